//! An account's statement: its entries, each of which names the one before it, entered through every 128th.

use sqlx::PgConnection;

use super::{
    EntryPage, Span,
    entry::{EntryRow, with_allocations},
};
use crate::domain::{AccountId, CommunityId, Entry, STATEMENT_PAGE};

/// The entries of an account in a span, page by page of its statement, until there are `limit`, or the next page would be more than
/// `looked_at` to look at.
pub(super) async fn statement(
    conn: &mut PgConnection,
    community: CommunityId,
    account: AccountId,
    span: Span,
    kinds: &[i16],
    limit: i64,
    looked_at: i64,
) -> sqlx::Result<EntryPage> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let page = usize::try_from(STATEMENT_PAGE).unwrap_or(usize::MAX);
    let mut left = usize::try_from(looked_at).unwrap_or(usize::MAX);
    let mut entries = Vec::new();
    let mut after = span.after;
    loop {
        let head = statement_head(conn, community, account, after).await?;
        let Some(head) = head.filter(|_| after < span.last) else {
            let next = None;
            return Ok(EntryPage { entries, next });
        };
        let mut sequences = statement_chain(conn, community, account, after, head).await?;
        left = left.saturating_sub(sequences.len());
        sequences.retain(|sequence| *sequence <= span.last);
        entries.extend(entries_pick(conn, community, &sequences, kinds).await?);
        after = head;
        if entries.len() > limit {
            entries.truncate(limit);
            let next = entries.last().map(|entry: &Entry| entry.sequence);
            return Ok(EntryPage { entries, next });
        }
        if entries.len() == limit || left < page {
            let next = (after < span.last).then_some(after);
            return Ok(EntryPage { entries, next });
        }
    }
}

/// What an account had after its last entry up to a sequence, and that entry; zeros when there is none.
pub async fn balance_at(
    conn: &mut PgConnection,
    community: CommunityId,
    account: AccountId,
    sequence: i64,
) -> sqlx::Result<(i64, i64)> {
    let row = sqlx::query!(
        r#"
        -- ledger.balance_at
        with recursive chain as (
            select sequence,
                case when debit_account_id = $2 then debit_balance else credit_balance end as balance,
                case when debit_account_id = $2 then debit_previous else credit_previous end as previous
            from ledger.entry
            where community_id = $1 and sequence = coalesce(
                (select min(sequence) from ledger.statement_page
                    where community_id = $1 and account_id = $2 and sequence >= $3),
                (select last_sequence from ledger.account where community_id = $1 and account_id = $2)
            )
            union all
            select entry.sequence,
                case when debit_account_id = $2 then debit_balance else credit_balance end,
                case when debit_account_id = $2 then debit_previous else credit_previous end
            from chain join ledger.entry on entry.community_id = $1 and entry.sequence = chain.previous
            where chain.sequence > $3
        )
        select balance as "balance!", sequence as "sequence!" from chain where sequence <= $3
        "#,
        community.0,
        account.0,
        sequence,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map_or((0, 0), |row| (row.balance, row.sequence)))
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

/// Those of the entries that are of the kinds, or all when no kind is named, by sequence.
async fn entries_pick(
    conn: &mut PgConnection,
    community: CommunityId,
    sequences: &[i64],
    kinds: &[i16],
) -> sqlx::Result<Vec<Entry>> {
    let rows = sqlx::query_as!(
        EntryRow,
        r#"
        -- ledger.entries_pick
        select sequence, kind, final as is_final, request_id, fingerprint, debit_account_id, credit_account_id, amount,
            debit_balance, credit_balance, debit_previous, credit_previous, expires_at, related_sequence, description, recorded_at
        from ledger.entry
        where community_id = $1 and sequence = any($2) and (cardinality($3::smallint[]) = 0 or kind = any($3))
        order by sequence
        "#,
        community.0,
        sequences,
        kinds,
    )
    .fetch_all(&mut *conn)
    .await?;
    with_allocations(conn, community, rows).await
}
