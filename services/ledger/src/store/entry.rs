//! The journal's entries.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::unknown;
use crate::domain::{AccountId, Allocation, CommunityId, Entry, RequestId};

/// Which entries to list.
#[derive(Clone, Copy, Debug)]
pub struct EntryQuery {
    /// Only those that changed it.
    pub account: Option<AccountId>,
    /// Only those about this entry.
    pub related: Option<i64>,
    /// Only those with a greater sequence.
    pub after: i64,
    /// At most so many.
    pub limit: i64,
}

impl Default for EntryQuery {
    fn default() -> Self {
        Self {
            account: None,
            related: None,
            after: 0,
            limit: i64::MAX,
        }
    }
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
    let query = EntryQuery {
        after: sequence.saturating_sub(1),
        limit: 1,
        ..EntryQuery::default()
    };
    let found = entry_list(conn, community, query).await?.pop();
    Ok(found.filter(|entry| entry.sequence == sequence))
}

/// Entries by sequence.
pub async fn entry_list(
    conn: &mut PgConnection,
    community: CommunityId,
    query: EntryQuery,
) -> sqlx::Result<Vec<Entry>> {
    let rows = match (query.account, query.related) {
        (Some(account), _) => return statement(conn, community, account, query).await,
        (None, Some(related)) => related_rows(conn, community, &[related]).await?,
        (None, None) => journal_rows(conn, community, query).await?,
    };
    with_allocations(conn, community, rows).await
}

async fn journal_rows(
    conn: &mut PgConnection,
    community: CommunityId,
    query: EntryQuery,
) -> sqlx::Result<Vec<EntryRow>> {
    sqlx::query_as!(
        EntryRow,
        r#"
        -- ledger.journal_rows
        select sequence, kind, final as is_final, request_id, fingerprint, debit_account_id, credit_account_id, amount,
            debit_balance, credit_balance, debit_previous, credit_previous, expires_at, related_sequence, description, recorded_at
        from ledger.entry where community_id = $1 and sequence > $2
        order by sequence limit $3
        "#,
        community.0,
        query.after,
        query.limit,
    )
    .fetch_all(conn)
    .await
}

/// The entries of an account, page by page of its statement.
async fn statement(
    conn: &mut PgConnection,
    community: CommunityId,
    account: AccountId,
    query: EntryQuery,
) -> sqlx::Result<Vec<Entry>> {
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let mut sequences = Vec::new();
    let mut after = query.after;
    while sequences.len() < limit {
        let Some(head) = statement_head(conn, community, account, after).await? else {
            break;
        };
        sequences.extend(statement_chain(conn, community, account, after, head).await?);
        after = head;
    }
    sequences.truncate(limit);
    let mut entries = entries_find(conn, community, &[], &sequences).await?;
    entries.sort_unstable_by_key(|entry| entry.sequence);
    Ok(entries)
}

/// The end of the page of an account's statement that goes on after a sequence; `None` when nothing follows.
async fn statement_head(
    conn: &mut PgConnection,
    community: CommunityId,
    account: AccountId,
    after: i64,
) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!(
        r#"
        -- ledger.statement_head
        select coalesce(
            (select min(sequence) from ledger.statement_page where community_id = $1 and account_id = $2 and sequence > $3),
            (select last_sequence from ledger.account where community_id = $1 and account_id = $2 and last_sequence > $3)
        )
        "#,
        community.0,
        account.0,
        after,
    )
    .fetch_one(conn)
    .await
}

/// The sequences of an account's entries after one and up to another, walked back from there.
async fn statement_chain(
    conn: &mut PgConnection,
    community: CommunityId,
    account: AccountId,
    after: i64,
    head: i64,
) -> sqlx::Result<Vec<i64>> {
    let mut sequences = sqlx::query_scalar!(
        r#"
        -- ledger.statement_chain
        with recursive chain as (
            select sequence, case when debit_account_id = $2 then debit_previous else credit_previous end as previous
            from ledger.entry where community_id = $1 and sequence = $4
            union all
            select entry.sequence, case when debit_account_id = $2 then debit_previous else credit_previous end
            from chain join ledger.entry on entry.community_id = $1 and entry.sequence = chain.previous
            where chain.previous > $3
        )
        select sequence as "sequence!" from chain
        "#,
        community.0,
        account.0,
        after,
        head,
    )
    .fetch_all(conn)
    .await?;
    sequences.reverse();
    Ok(sequences)
}

pub(super) async fn related_rows(
    conn: &mut PgConnection,
    community: CommunityId,
    related: &[i64],
) -> sqlx::Result<Vec<EntryRow>> {
    sqlx::query_as!(
        EntryRow,
        r#"
        -- ledger.related_rows
        select sequence, kind, final as is_final, request_id, fingerprint, debit_account_id, credit_account_id, amount,
            debit_balance, credit_balance, debit_previous, credit_previous, expires_at, related_sequence, description, recorded_at
        from ledger.entry where community_id = $1 and related_sequence = any($2)
        order by sequence
        "#,
        community.0,
        related,
    )
    .fetch_all(conn)
    .await
}

/// Entries by the ids of the requests that made them, or by sequence.
pub(super) async fn entries_find(
    conn: &mut PgConnection,
    community: CommunityId,
    request_ids: &[Uuid],
    sequences: &[i64],
) -> sqlx::Result<Vec<Entry>> {
    let rows = sqlx::query_as!(
        EntryRow,
        r#"
        -- ledger.entries_find
        select sequence, kind, final as is_final, request_id, fingerprint, debit_account_id, credit_account_id, amount,
            debit_balance, credit_balance, debit_previous, credit_previous, expires_at, related_sequence, description, recorded_at
        from ledger.entry where community_id = $1 and (request_id = any($2) or sequence = any($3))
        "#,
        community.0,
        request_ids,
        sequences,
    )
    .fetch_all(&mut *conn)
    .await?;
    with_allocations(conn, community, rows).await
}

async fn with_allocations(
    conn: &mut PgConnection,
    community: CommunityId,
    rows: Vec<EntryRow>,
) -> sqlx::Result<Vec<Entry>> {
    let sequences: Vec<i64> = rows.iter().map(|row| row.sequence).collect();
    let mut allocations = allocations_find(conn, community, &sequences).await?;
    rows.into_iter()
        .map(|row| {
            Ok(Entry {
                sequence: row.sequence,
                kind: row.kind.try_into().map_err(unknown("entry kind"))?,
                is_final: row.is_final,
                request: row.request_id.map(RequestId).zip(row.fingerprint),
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
