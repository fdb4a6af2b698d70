//! The answers that requests got: an entry, or a stored refusal.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::{column, fingerprint, journal::Fence};
use crate::domain::{Book, CommunityId, Fingerprint, Refusal, RequestId};

/// A journal that is locked until the transaction ends, and what it knows of some requests.
#[derive(Debug)]
pub struct LockedJournal {
    /// Where it stands.
    pub fence: Fence,
    /// Of the last entry.
    pub last_recorded_at: DateTime<Utc>,
    /// Of the entries that some of the requests made.
    pub(super) sequences: Vec<i64>,
    /// Why others made none.
    pub(super) refusals: Vec<(RequestId, Fingerprint, Refusal)>,
}

/// Locks a community's journal and finds those of these requests that were asked before; `None` when there is no journal.
///
/// The search sees what was committed when the statement began, which may be long before it got the lock. It holds when the fence shows that
/// nobody has written in between, or when this transaction held the lock before.
///
/// Ids that grow with time are mostly newer than all on file, which one look says of all of them together. Else there is one descent of an
/// index for each, whatever the statistics say: on a new table a plan made for `= any` reads all of it.
pub(super) async fn requests_find(
    conn: &mut PgConnection,
    community: CommunityId,
    ids: &[Uuid],
) -> sqlx::Result<Option<LockedJournal>> {
    let rows = sqlx::query!(
        r#"
        -- ledger.requests_find
        with head as materialized (
            select next_sequence, definitions, last_refusal, last_recorded_at from ledger.journal where community_id = $1 for update
        )
        select head.next_sequence as "next_sequence!", head.definitions as "definitions!", head.last_refusal as "last_refusal!",
            head.last_recorded_at as "last_recorded_at!", known.sequence as "sequence?", known.request_id as "request_id?",
            known.fingerprint as "fingerprint?", known.refusal as "refusal?: Json<Refusal>"
        from head
        left join (
            select entry.sequence, wanted.request_id, null::bytea as fingerprint, null::jsonb as refusal
            from unnest((select $2::uuid[])) as wanted (request_id)
            cross join lateral (
                select sequence from ledger.entry where community_id = $1 and entry.request_id = wanted.request_id offset 0
            ) as entry
            where (select request_id from ledger.entry where community_id = $1 and request_id >= $3 order by request_id limit 1) <= $4
            union all
            select null, wanted.request_id, refused.fingerprint, refused.refusal
            from unnest((select $2::uuid[])) as wanted (request_id)
            cross join lateral (
                select fingerprint, refusal from ledger.refusal
                where community_id = $1 and refusal.request_id = wanted.request_id offset 0
            ) as refused
            where (select request_id from ledger.refusal where community_id = $1 and request_id >= $3 order by request_id limit 1) <= $4
        ) as known on true
        "#,
        community.0,
        ids,
        ids.iter().min(),
        ids.iter().max(),
    )
    .fetch_all(conn)
    .await?;
    let Some(head) = rows.first() else {
        return Ok(None);
    };
    let mut locked = LockedJournal {
        fence: Fence {
            next_sequence: head.next_sequence,
            definitions: head.definitions,
            last_refusal: head.last_refusal,
        },
        last_recorded_at: head.last_recorded_at,
        sequences: Vec::new(),
        refusals: Vec::new(),
    };
    for row in rows {
        locked.sequences.extend(row.sequence);
        if let (Some(id), Some(bytes), Some(refusal)) =
            (row.request_id, row.fingerprint, row.refusal)
        {
            let refusal = (RequestId(id), fingerprint(bytes)?, refusal.0);
            locked.refusals.push(refusal);
        }
    }
    Ok(Some(locked))
}

/// Adds a book's new refusals.
pub(super) async fn refusals_insert(
    conn: &mut PgConnection,
    community: CommunityId,
    book: &Book,
) -> sqlx::Result<()> {
    let refusals = &book.changes.refusals;
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
        &column(refusals, |(id, _, _)| id.0),
        &column(refusals, |(_, fingerprint, _)| *fingerprint) as &[Fingerprint],
        &column(refusals, |(_, _, refusal)| Json(refusal)) as &[Json<&Refusal>],
    )
    .execute(conn)
    .await?;
    Ok(())
}
