//! The journal's entries.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{fingerprint, statement::statement, unknown};
use crate::domain::{AccountId, Allocation, CommunityId, Entry, EntryKind, Fingerprint, RequestId};

/// The most entries that one page of a listing looks at.
const MAX_LOOKED_AT: i64 = 4_096;

/// Which entries to list.
#[derive(Clone, Copy, Debug)]
pub struct EntryQuery {
    /// Only those that changed it.
    pub account: Option<AccountId>,
    /// Only those with a greater sequence.
    pub after: i64,
    /// At most so many.
    pub limit: i64,
}

impl Default for EntryQuery {
    fn default() -> Self {
        Self {
            account: None,
            after: 0,
            limit: i64::MAX,
        }
    }
}

/// A part of the journal, by sequence.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// From the entry after this one.
    pub after: i64,
    /// To this one.
    pub last: i64,
}

/// A page of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryPage {
    /// Those found, by sequence.
    pub entries: Vec<Entry>,
    /// After which entry to go on; `None` at the end.
    pub next: Option<i64>,
}

pub(super) struct EntryRow {
    pub sequence: i64,
    pub kind: i16,
    pub is_final: bool,
    pub request_id: Option<Uuid>,
    pub fingerprint: Option<Vec<u8>>,
    pub debit_account_id: Uuid,
    pub credit_account_id: Uuid,
    pub amount: i64,
    pub debit_balance: i64,
    pub credit_balance: i64,
    pub debit_previous: i64,
    pub credit_previous: i64,
    pub expires_at: Option<DateTime<Utc>>,
    pub related_sequence: Option<i64>,
    pub description: String,
    pub recorded_at: DateTime<Utc>,
}

/// One entry.
pub async fn entry_find(
    conn: &mut PgConnection,
    community: CommunityId,
    sequence: i64,
) -> sqlx::Result<Option<Entry>> {
    Ok(entries_find(conn, community, &[sequence]).await?.pop())
}

/// Entries by sequence.
pub async fn entry_list(
    conn: &mut PgConnection,
    community: CommunityId,
    query: EntryQuery,
) -> sqlx::Result<Vec<Entry>> {
    let span = Span {
        after: query.after,
        last: i64::MAX,
    };
    if let Some(account) = query.account {
        let page = statement(conn, community, account, span, &[], query.limit, i64::MAX);
        return Ok(page.await?.entries);
    }
    let rows = span_rows(conn, community, span, &[], query.limit).await?;
    with_allocations(conn, community, rows).await
}

/// At most `limit` entries of a span of the journal, or of one account in it, of some kinds or of all when none is named. It
/// looks at a bounded number of entries, so a page may be short and still not the last.
pub async fn entry_page(
    conn: &mut PgConnection,
    community: CommunityId,
    account: Option<AccountId>,
    span: Span,
    kinds: &[EntryKind],
    limit: i64,
) -> sqlx::Result<EntryPage> {
    let kinds: Vec<i16> = kinds.iter().map(|kind| *kind as i16).collect();
    if let Some(account) = account {
        return statement(conn, community, account, span, &kinds, limit, MAX_LOOKED_AT).await;
    }
    let looked_at = Span {
        last: span.last.min(span.after.saturating_add(MAX_LOOKED_AT)),
        ..span
    };
    let rows = span_rows(conn, community, looked_at, &kinds, limit).await?;
    let full = i64::try_from(rows.len()).is_ok_and(|count| count == limit);
    let last = rows.last().filter(|_| full);
    let reached = last.map_or(looked_at.last, |row| row.sequence);
    Ok(EntryPage {
        entries: with_allocations(conn, community, rows).await?,
        next: (reached < span.last).then_some(reached),
    })
}

async fn span_rows(
    conn: &mut PgConnection,
    community: CommunityId,
    span: Span,
    kinds: &[i16],
    limit: i64,
) -> sqlx::Result<Vec<EntryRow>> {
    sqlx::query_as!(
        EntryRow,
        r#"
        -- ledger.span_rows
        select sequence, kind, final as is_final, request_id, fingerprint, debit_account_id, credit_account_id, amount,
            debit_balance, credit_balance, debit_previous, credit_previous, expires_at, related_sequence, description, recorded_at
        from ledger.entry
        where community_id = $1 and sequence > $2 and sequence <= $3 and (cardinality($4::smallint[]) = 0 or kind = any($4))
        order by sequence limit $5
        "#,
        community.0,
        span.after,
        span.last,
        kinds,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// The entries about these entries, in order.
pub(super) async fn entries_related(
    conn: &mut PgConnection,
    community: CommunityId,
    related: &[i64],
) -> sqlx::Result<Vec<Entry>> {
    let sequences = sequences_related(conn, community, related).await?;
    entries_find(conn, community, &sequences).await
}

async fn sequences_related(
    conn: &mut PgConnection,
    community: CommunityId,
    related: &[i64],
) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar!(
        r#"
        -- ledger.sequences_related
        select entry.sequence from unnest((select $2::bigint[])) as wanted (related_sequence)
        cross join lateral (
            select sequence from ledger.entry
            where community_id = $1 and entry.related_sequence = wanted.related_sequence offset 0
        ) as entry
        order by entry.sequence
        "#,
        community.0,
        related,
    )
    .fetch_all(conn)
    .await
}

/// How much of each of these entries has been reversed; those of which nothing was are left out.
pub(super) async fn reversed_amounts(
    conn: &mut PgConnection,
    community: CommunityId,
    sequences: &[i64],
) -> sqlx::Result<Vec<(i64, i64)>> {
    let rows = sqlx::query!(
        r#"
        -- ledger.reversed_amounts
        select wanted.sequence as "sequence!", sum(entry.amount)::bigint as "amount!"
        from unnest((select $2::bigint[])) as wanted (sequence)
        cross join lateral (
            select amount from ledger.entry
            where community_id = $1 and entry.related_sequence = wanted.sequence and kind = $3 offset 0
        ) as entry
        group by wanted.sequence
        "#,
        community.0,
        sequences,
        EntryKind::Reversal as i16,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.sequence, row.amount))
        .collect())
}

/// Entries by their sequences, in order.
pub(super) async fn entries_find(
    conn: &mut PgConnection,
    community: CommunityId,
    sequences: &[i64],
) -> sqlx::Result<Vec<Entry>> {
    if sequences.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query_as!(
        EntryRow,
        r#"
        -- ledger.entries_find
        select sequence, kind, final as is_final, request_id, fingerprint, debit_account_id, credit_account_id, amount,
            debit_balance, credit_balance, debit_previous, credit_previous, expires_at, related_sequence, description, recorded_at
        from ledger.entry where community_id = $1 and sequence = any($2)
        order by sequence
        "#,
        community.0,
        sequences,
    )
    .fetch_all(&mut *conn)
    .await?;
    with_allocations(conn, community, rows).await
}

pub(super) async fn with_allocations(
    conn: &mut PgConnection,
    community: CommunityId,
    rows: Vec<EntryRow>,
) -> sqlx::Result<Vec<Entry>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let sequences: Vec<i64> = rows.iter().map(|row| row.sequence).collect();
    let mut allocations = allocations_find(conn, community, &sequences).await?;
    rows.into_iter()
        .map(|row| {
            Ok(Entry {
                sequence: row.sequence,
                kind: row.kind.try_into().map_err(unknown("entry kind"))?,
                is_final: row.is_final,
                request: identity(row.request_id, row.fingerprint)?,
                debit: AccountId(row.debit_account_id),
                credit: AccountId(row.credit_account_id),
                amount: row.amount,
                debit_balance: row.debit_balance,
                credit_balance: row.credit_balance,
                debit_previous: row.debit_previous,
                credit_previous: row.credit_previous,
                expires_at: row.expires_at,
                related: row.related_sequence,
                allocations: allocations.remove(&row.sequence).unwrap_or_default(),
                description: row.description,
                recorded_at: row.recorded_at,
            })
        })
        .collect()
}

/// The allocations of entries, in order.
pub(super) async fn allocations_find(
    conn: &mut PgConnection,
    community: CommunityId,
    sequences: &[i64],
) -> sqlx::Result<HashMap<i64, Vec<Allocation>>> {
    let rows = sqlx::query!(
        r#"
        -- ledger.allocations_find
        select sequence, expires_at, amount from ledger.allocation
        where community_id = $1 and sequence = any($2)
        order by sequence, position
        "#,
        community.0,
        sequences,
    )
    .fetch_all(conn)
    .await?;
    let mut by_entry: HashMap<i64, Vec<Allocation>> = HashMap::new();
    for row in rows {
        let part = Allocation {
            expires_at: row.expires_at,
            amount: row.amount,
        };
        by_entry.entry(row.sequence).or_default().push(part);
    }
    Ok(by_entry)
}

fn identity(
    request_id: Option<Uuid>,
    fingerprint_bytes: Option<Vec<u8>>,
) -> sqlx::Result<Option<(RequestId, Fingerprint)>> {
    let bytes = fingerprint_bytes.map(fingerprint).transpose()?;
    Ok(request_id.map(RequestId).zip(bytes))
}
