//! What has expired and is not yet swept.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::{AccountId, CommunityId, RequestId};

/// Every community with a journal.
pub async fn communities_list(conn: &mut PgConnection) -> sqlx::Result<Vec<CommunityId>> {
    let ids: Vec<Uuid> = sqlx::query_scalar!(
        r#"
        -- ledger.communities_list
        select community_id from ledger.journal order by community_id
        "#,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(CommunityId).collect())
}

/// A lot that has expired and that no hold reserves.
pub struct LotDue {
    /// Whose.
    pub account: AccountId,
    /// When it expired.
    pub expires_at: DateTime<Utc>,
    /// Whether nothing is left in it.
    pub is_empty: bool,
}

/// The lots of a community that have expired, the oldest first, at most `limit`.
pub async fn lots_due(
    conn: &mut PgConnection,
    community: CommunityId,
    now: DateTime<Utc>,
    limit: i64,
) -> sqlx::Result<Vec<LotDue>> {
    let rows = sqlx::query!(
        r#"
        -- ledger.lots_due
        select account_id, expires_at, remaining from ledger.lot
        where community_id = $1 and expires_at <= $2 and (remaining > 0 or held = 0)
        order by expires_at, account_id limit $3
        "#,
        community.0,
        now,
        limit,
    )
    .fetch_all(conn)
    .await?;
    let due = rows.into_iter().map(|row| LotDue {
        account: AccountId(row.account_id),
        expires_at: row.expires_at,
        is_empty: row.remaining == 0,
    });
    Ok(due.collect())
}

/// The open holds of a community whose time is over, the oldest first, at most `limit`.
pub async fn holds_due(
    conn: &mut PgConnection,
    community: CommunityId,
    now: DateTime<Utc>,
    limit: i64,
) -> sqlx::Result<Vec<RequestId>> {
    let ids = sqlx::query_scalar!(
        r#"
        -- ledger.holds_due
        select hold_id from ledger.hold
        where community_id = $1 and state = 1 and expires_at <= $2
        order by expires_at, hold_id limit $3
        "#,
        community.0,
        now,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(RequestId).collect())
}

/// Removes lots that have expired and hold nothing: their entries tell all there is to know of them.
pub async fn lots_delete_empty(
    conn: &mut PgConnection,
    community: CommunityId,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- ledger.lots_delete_empty
        delete from ledger.lot
        where community_id = $1 and expires_at <= $2 and remaining = 0 and held = 0
        "#,
        community.0,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}
