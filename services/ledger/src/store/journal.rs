//! The head of a community's journal.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::domain::CommunityId;

/// While it is the same, no request of the community was answered and no account changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// Of the next entry.
    pub next_sequence: i64,
    /// Counts the changes of accounts that are no entries.
    pub definitions: i64,
    /// Number of the last refusal.
    pub last_refusal: i64,
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
        insert into ledger.journal (community_id, next_sequence, definitions, last_recorded_at) values ($1, 1, 0, $2)
        on conflict on constraint journal_pk do nothing
        "#,
        community.0,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Locks a community's journal until the transaction ends.
pub async fn journal_lock(conn: &mut PgConnection, community: CommunityId) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- ledger.journal_lock
        select from ledger.journal where community_id = $1 for update
        "#,
        community.0,
    )
    .execute(conn)
    .await?;
    Ok(())
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

/// The sequence of the last entry that was posted at or before an instant, 0 when there is none: halved down to, for time in a journal
/// never runs backwards.
pub async fn journal_sequence_at(
    conn: &mut PgConnection,
    community: CommunityId,
    at: DateTime<Utc>,
) -> sqlx::Result<i64> {
    let found = sqlx::query_scalar!(
        r#"
        -- ledger.journal_sequence_at
        with recursive search as (
            select 0::bigint as low, next_sequence as high from ledger.journal where community_id = $1
            union all
            select case when middle.recorded_at <= $2 then middle.sequence else low end,
                case when middle.recorded_at <= $2 then high else middle.sequence end
            from search join ledger.entry as middle on middle.community_id = $1 and middle.sequence = (low + high) / 2
            where high - low > 1
        )
        select low as "low!" from search order by high - low limit 1
        "#,
        community.0,
        at,
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.unwrap_or(0))
}
