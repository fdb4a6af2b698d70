//! The head of a community's journal.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::domain::CommunityId;

/// The head of a journal, locked until the transaction ends.
pub struct JournalHead {
    /// Of the next entry.
    pub next_sequence: i64,
    /// Of the last entry.
    pub last_recorded_at: DateTime<Utc>,
}

/// Opens a community's journal unless it is open.
pub async fn journal_open(
    conn: &mut PgConnection,
    community: CommunityId,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- ledger.journal_open
        insert into ledger.journal (community_id, next_sequence, last_recorded_at) values ($1, 1, $2)
        on conflict on constraint journal_pk do nothing
        "#,
        community.0,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Locks a community's journal; `None` when there is none.
pub async fn journal_lock(
    conn: &mut PgConnection,
    community: CommunityId,
) -> sqlx::Result<Option<JournalHead>> {
    let row = sqlx::query!(
        r#"
        -- ledger.journal_lock
        select next_sequence, last_recorded_at from ledger.journal where community_id = $1 for update
        "#,
        community.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| JournalHead {
        next_sequence: row.next_sequence,
        last_recorded_at: row.last_recorded_at,
    }))
}

/// The sequence of the last entry, 0 when there is none.
pub async fn journal_sequence(
    conn: &mut PgConnection,
    community: CommunityId,
) -> sqlx::Result<i64> {
    let next = sqlx::query_scalar!(
        r#"
        -- ledger.journal_sequence
        select next_sequence from ledger.journal where community_id = $1
        "#,
        community.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(next.map_or(0, |next| next - 1))
}
