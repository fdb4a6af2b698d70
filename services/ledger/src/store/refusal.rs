//! The answers to requests that were refused.

use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::fingerprint;
use crate::domain::{Book, CommunityId, Fingerprint, Refusal, RequestId};

/// The refusals that these requests got.
pub(super) async fn refusals_find(
    conn: &mut PgConnection,
    community: CommunityId,
    ids: &[Uuid],
) -> sqlx::Result<Vec<(RequestId, Fingerprint, Refusal)>> {
    let rows = sqlx::query!(
        r#"
        -- ledger.refusals_find
        select request_id, fingerprint, refusal as "refusal: Json<Refusal>" from ledger.refusal
        where community_id = $1 and request_id = any($2)
        "#,
        community.0,
        ids,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let fingerprint = fingerprint(row.fingerprint)?;
            Ok((RequestId(row.request_id), fingerprint, row.refusal.0))
        })
        .collect()
}

/// Adds a book's new refusals.
pub(super) async fn refusals_insert(
    conn: &mut PgConnection,
    community: CommunityId,
    book: &Book,
) -> sqlx::Result<()> {
    let refusals = &book.changes.refusals;
    let ids: Vec<Uuid> = refusals.iter().map(|(id, _, _)| id.0).collect();
    let fingerprints: Vec<Vec<u8>> = refusals
        .iter()
        .map(|(_, fingerprint, _)| fingerprint.to_vec())
        .collect();
    let texts: Vec<Json<Refusal>> = refusals
        .iter()
        .map(|(_, _, refusal)| Json(refusal.clone()))
        .collect();
    sqlx::query!(
        r#"
        -- ledger.refusals_insert
        with head as (
            update ledger.journal set last_refusal = last_refusal + cardinality($3::uuid[]) where community_id = $1
            returning last_refusal - cardinality($3::uuid[]) as before
        )
        insert into ledger.refusal (community_id, request_id, fingerprint, refusal, recorded_at, number)
        select $1, request_id, fingerprint, refusal, $2, before + place
        from head, unnest($3::uuid[], $4::bytea[], $5::jsonb[]) with ordinality as added (request_id, fingerprint, refusal, place)
        "#,
        community.0,
        book.now,
        &ids,
        &fingerprints,
        &texts as &[Json<Refusal>],
    )
    .execute(conn)
    .await?;
    Ok(())
}
