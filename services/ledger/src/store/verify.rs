//! What a verification reads besides what the use cases read: whole tables, a page at a time.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    entry::{entries_find, entries_related},
    hold::holds_find,
};
use crate::domain::{Asset, CommunityId, EntryKind, Hold, Original};

/// Entries that are reversed, with what was reversed of them before an entry.
pub async fn originals_find(
    conn: &mut PgConnection,
    community: CommunityId,
    sequences: &[i64],
    before: i64,
) -> sqlx::Result<Vec<Original>> {
    if sequences.is_empty() {
        return Ok(Vec::new());
    }
    let entries = entries_find(conn, community, sequences).await?;
    let related = entries_related(conn, community, sequences).await?;
    let original = |entry: crate::domain::Entry| {
        let reversals = related.iter().filter(|about| {
            about.related == Some(entry.sequence)
                && about.kind == EntryKind::Reversal
                && about.sequence < before
        });
        let reversed = reversals.map(|about| about.amount).sum();
        Original { entry, reversed }
    };
    Ok(entries.into_iter().map(original).collect())
}

/// Every asset of a community.
pub async fn assets_list(
    conn: &mut PgConnection,
    community: CommunityId,
) -> sqlx::Result<Vec<Asset>> {
    sqlx::query_as!(
        Asset,
        r#"
        -- ledger.assets_list
        select code, exponent, created_at from ledger.asset where community_id = $1 order by code
        "#,
        community.0,
    )
    .fetch_all(conn)
    .await
}

/// Holds by id, after one.
pub async fn holds_after(
    conn: &mut PgConnection,
    community: CommunityId,
    after: Uuid,
    limit: i64,
) -> sqlx::Result<Vec<Hold>> {
    let ids = sqlx::query_scalar!(
        r#"
        -- ledger.holds_after
        select hold_id from ledger.hold where community_id = $1 and hold_id > $2 order by hold_id limit $3
        "#,
        community.0,
        after,
        limit,
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut holds = holds_find(conn, community, &ids).await?;
    holds.sort_unstable_by_key(|hold| hold.id);
    Ok(holds)
}

/// Pages of statements by account and sequence, after one.
pub async fn pages_after(
    conn: &mut PgConnection,
    community: CommunityId,
    after: (Uuid, i64),
    limit: i64,
) -> sqlx::Result<Vec<(Uuid, i64)>> {
    let rows = sqlx::query!(
        r#"
        -- ledger.pages_after
        select account_id, sequence from ledger.statement_page
        where community_id = $1 and (account_id, sequence) > ($2, $3) order by account_id, sequence limit $4
        "#,
        community.0,
        after.0,
        after.1,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.account_id, row.sequence))
        .collect())
}

/// Lots with something in them whose account is not there.
pub async fn lots_stray(
    conn: &mut PgConnection,
    community: CommunityId,
) -> sqlx::Result<Vec<(Uuid, chrono::DateTime<chrono::Utc>)>> {
    let rows = sqlx::query!(
        r#"
        -- ledger.lots_stray
        select account_id, expires_at from ledger.lot
        where community_id = $1 and (remaining > 0 or held > 0) and not exists (
            select from ledger.account where account.community_id = $1 and account.account_id = lot.account_id
        )
        order by account_id, expires_at limit 100
        "#,
        community.0,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.account_id, row.expires_at))
        .collect())
}

/// Allocations after one entry and up to another that belong to no entry, or whose positions leave a gap.
pub async fn allocations_stray(
    conn: &mut PgConnection,
    community: CommunityId,
    after: i64,
    last: i64,
) -> sqlx::Result<Vec<(i64, i16)>> {
    let rows = sqlx::query!(
        r#"
        -- ledger.allocations_stray
        select sequence, position from (
            select sequence, position, row_number() over (partition by sequence order by position) - 1 as place
            from ledger.allocation where community_id = $1 and sequence > $2 and sequence <= $3
        ) as placed
        where position <> place or not exists (
            select from ledger.entry where entry.community_id = $1 and entry.sequence = placed.sequence
        )
        order by sequence, position limit 100
        "#,
        community.0,
        after,
        last,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.sequence, row.position))
        .collect())
}
