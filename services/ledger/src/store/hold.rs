//! Holds.

use sqlx::PgConnection;

use super::{entry::entries_related, entry_find, unknown};
use crate::domain::{AccountId, CommunityId, Hold, RecordedHold, RequestId};

/// A hold as it stands.
pub async fn hold_find(
    conn: &mut PgConnection,
    community: CommunityId,
    id: RequestId,
) -> sqlx::Result<Option<Hold>> {
    Ok(holds_find(conn, community, &[id.0]).await?.pop())
}

/// Holds, in no order.
pub(super) async fn holds_find(
    conn: &mut PgConnection,
    community: CommunityId,
    ids: &[uuid::Uuid],
) -> sqlx::Result<Vec<Hold>> {
    let rows = sqlx::query!(
        r#"
        -- ledger.holds_find
        select hold_id, sequence, debit_account_id, credit_account_id, amount, captured, released, state, expires_at, created_at
        from ledger.hold where community_id = $1 and hold_id = any($2)
        "#,
        community.0,
        ids,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Hold {
                id: RequestId(row.hold_id),
                sequence: row.sequence,
                debit: AccountId(row.debit_account_id),
                credit: AccountId(row.credit_account_id),
                amount: row.amount,
                captured: row.captured,
                released: row.released,
                state: row.state.try_into().map_err(unknown("hold state"))?,
                expires_at: row.expires_at,
                created_at: row.created_at,
            })
        })
        .collect()
}

/// A hold, found by its entry, with everything the journal says of it.
pub async fn hold_recorded(
    conn: &mut PgConnection,
    community: CommunityId,
    sequence: i64,
) -> sqlx::Result<Option<RecordedHold>> {
    // A hold is named by the request that made it.
    let entry = entry_find(conn, community, sequence).await?;
    let Some((id, _)) = entry.and_then(|entry| entry.request) else {
        return Ok(None);
    };
    let Some(hold) = hold_find(conn, community, id).await? else {
        return Ok(None);
    };
    let entries = entries_related(conn, community, &[sequence]).await?;
    Ok(Some(RecordedHold { hold, entries }))
}
