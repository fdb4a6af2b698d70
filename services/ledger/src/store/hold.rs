//! Holds.

use sqlx::PgConnection;

use super::{entry::entries_related, unknown};
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
        select hold.*
        from unnest((select $2::uuid[])) as wanted (id)
        cross join lateral (
            select hold_id, sequence, debit_account_id, credit_account_id, amount, captured, released, state, expires_at, created_at
            from ledger.hold where community_id = $1 and hold_id = wanted.id
            offset 0
        ) as hold
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

/// A hold with everything the journal says of it.
pub async fn hold_recorded(
    conn: &mut PgConnection,
    community: CommunityId,
    id: RequestId,
) -> sqlx::Result<Option<RecordedHold>> {
    let Some(hold) = hold_find(conn, community, id).await? else {
        return Ok(None);
    };
    let entries = entries_related(conn, community, &[hold.sequence]).await?;
    Ok(Some(RecordedHold { hold, entries }))
}
