//! The answers that requests got: an entry, or a stored refusal.

use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::fingerprint;
use crate::domain::{Book, CommunityId, Fingerprint, Refusal, RequestId};

/// What came of requests that were asked before.
#[derive(Debug, Default)]
pub(super) struct KnownRequests {
    /// Of the entries they made.
    pub sequences: Vec<i64>,
    /// Why others made none.
    pub refusals: Vec<(RequestId, Fingerprint, Refusal)>,
}

/// Those of these requests that were asked before. One descent of an index for each, whatever the statistics say: on a new table
/// a plan made for `= any` reads all of it.
pub(super) async fn requests_find(
    conn: &mut PgConnection,
    community: CommunityId,
    ids: &[Uuid],
) -> sqlx::Result<KnownRequests> {
    let rows = sqlx::query!(
        r#"
        -- ledger.requests_find
        select entry.sequence as "sequence?", wanted.request_id as "request_id!", null::bytea as fingerprint,
            null::jsonb as "refusal: Json<Refusal>"
        from unnest($2::uuid[]) as wanted (request_id)
        cross join lateral (
            select sequence from ledger.entry where community_id = $1 and entry.request_id = wanted.request_id offset 0
        ) as entry
        union all
        select null, wanted.request_id, refused.fingerprint, refused.refusal
        from unnest($2::uuid[]) as wanted (request_id)
        cross join lateral (
            select fingerprint, refusal from ledger.refusal
            where community_id = $1 and refusal.request_id = wanted.request_id offset 0
        ) as refused
        "#,
        community.0,
        ids,
    )
    .fetch_all(conn)
    .await?;
    let mut known = KnownRequests::default();
    for row in rows {
        known.sequences.extend(row.sequence);
        if let (Some(bytes), Some(refusal)) = (row.fingerprint, row.refusal) {
            let refusal = (RequestId(row.request_id), fingerprint(bytes)?, refusal.0);
            known.refusals.push(refusal);
        }
    }
    Ok(known)
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
