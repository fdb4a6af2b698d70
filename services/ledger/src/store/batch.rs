//! Reading what a batch touches and writing what it changed: a fixed number of statements, however many requests.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    account::accounts_find,
    entry::{allocations_find, entries_find, reversed_amounts, sequences_of_requests},
    hold::holds_find,
    refusal::{refusals_find, refusals_insert},
};
use crate::domain::{
    Account, AccountId, Answer, Book, Command, CommunityId, Entry, Hold, Known, Original, Request,
};

/// What a batch of requests has to know.
#[derive(Debug, Default)]
pub struct Needs {
    request_ids: Vec<Uuid>,
    accounts: BTreeSet<Uuid>,
    holds: Vec<Uuid>,
    sequences: Vec<i64>,
    /// Accounts whose expired points need the account they go to.
    expiring: Vec<AccountId>,
}

impl Needs {
    /// What these requests have to know.
    pub fn of(requests: &[Request]) -> Self {
        let ids = requests.iter().filter_map(Request::id);
        let mut needs = Self {
            request_ids: ids.map(|id| id.0).collect(),
            ..Self::default()
        };
        for request in requests {
            match &request.command {
                Command::Transfer(transfer) => {
                    needs
                        .accounts
                        .extend([transfer.posting.debit.0, transfer.posting.credit.0]);
                }
                Command::CreateHold(hold) => needs
                    .accounts
                    .extend([hold.posting.debit.0, hold.posting.credit.0]),
                Command::CaptureHold(capture) => needs.holds.push(capture.hold.0),
                Command::ReleaseHold(release) => needs.holds.push(release.hold.0),
                Command::ReverseEntry(reverse) => needs.sequences.push(reverse.sequence),
                Command::ExpireHold(hold) => needs.holds.push(hold.0),
                Command::ExpireLot(account, _) => {
                    needs.accounts.insert(account.0);
                    needs.expiring.push(*account);
                }
            }
        }
        needs
    }
}

/// Reads into the book what the requests touch, and returns the entries that it read on the way, among them those that answer
/// repeated requests. The journal must be locked.
pub async fn load(
    conn: &mut PgConnection,
    community: CommunityId,
    mut needs: Needs,
    book: &mut Book,
) -> sqlx::Result<Vec<Entry>> {
    let mut sequences = sequences_of_requests(conn, community, &needs.request_ids).await?;
    sequences.extend(&needs.sequences);
    let entries = entries_find(conn, community, &sequences).await?;
    for entry in &entries {
        if let Some((id, fingerprint)) = &entry.request {
            let known = Known {
                fingerprint: *fingerprint,
                answer: Answer::Posted(entry.sequence),
            };
            book.known.insert(*id, known);
        }
        if needs.sequences.contains(&entry.sequence) {
            needs.accounts.extend([entry.debit.0, entry.credit.0]);
            let original = Original {
                entry: entry.clone(),
                reversed: 0,
            };
            book.originals.insert(entry.sequence, original);
        }
    }
    if !needs.sequences.is_empty() {
        for (sequence, amount) in reversed_amounts(conn, community, &needs.sequences).await? {
            if let Some(original) = book.originals.get_mut(&sequence) {
                original.reversed = amount;
            }
        }
    }
    for (id, fingerprint, refusal) in refusals_find(conn, community, &needs.request_ids).await? {
        book.known.insert(
            id,
            Known {
                fingerprint,
                answer: Answer::Refused(refusal),
            },
        );
    }
    if !needs.holds.is_empty() {
        let holds = holds_find(conn, community, &needs.holds).await?;
        let sequences: Vec<i64> = holds.iter().map(|hold| hold.sequence).collect();
        let mut parts = allocations_find(conn, community, &sequences).await?;
        for hold in holds {
            needs.accounts.extend([hold.debit.0, hold.credit.0]);
            let parts = parts.remove(&hold.sequence).unwrap_or_default();
            book.holds.insert(hold.id, (hold, parts));
        }
    }
    accounts_read(conn, community, needs.accounts, book).await?;
    let expiring = needs.expiring.iter().filter_map(|id| book.accounts.get(id));
    let expired = expiring.filter_map(|account| account.definition.expiry_account);
    let expired: BTreeSet<Uuid> = expired.map(|id| id.0).collect();
    accounts_read(conn, community, expired, book).await?;
    Ok(entries)
}

/// Reads the accounts that the book does not know yet.
async fn accounts_read(
    conn: &mut PgConnection,
    community: CommunityId,
    ids: BTreeSet<Uuid>,
    book: &mut Book,
) -> sqlx::Result<()> {
    let unknown = |id: &Uuid| !book.accounts.contains_key(&AccountId(*id));
    let ids: Vec<Uuid> = ids.into_iter().filter(unknown).collect();
    if !ids.is_empty() {
        let accounts = accounts_find(conn, community, &ids).await?;
        let accounts = accounts.into_iter().map(|account| (account.id(), account));
        book.accounts.extend(accounts);
    }
    Ok(())
}

/// Writes what a book changed and moves the journal's head on.
pub async fn write(
    conn: &mut PgConnection,
    community: CommunityId,
    book: &Book,
) -> sqlx::Result<()> {
    if !book.changes.entries.is_empty() {
        accounts_update(conn, community, book).await?;
        if !book.changes.lots.is_empty() {
            lots_upsert(conn, community, book).await?;
        }
        entries_insert(conn, community, book).await?;
        if !book.changes.pages.is_empty() {
            pages_insert(conn, community, book).await?;
        }
        allocations_insert(conn, community, book).await?;
        if !book.changes.holds.is_empty() {
            holds_upsert(conn, community, book).await?;
        }
        journal_advance(conn, community, book).await?;
    }
    if !book.changes.refusals.is_empty() {
        refusals_insert(conn, community, book).await?;
    }
    Ok(())
}

async fn accounts_update(
    conn: &mut PgConnection,
    community: CommunityId,
    book: &Book,
) -> sqlx::Result<()> {
    let accounts: Vec<&Account> = book
        .changes
        .accounts
        .iter()
        .filter_map(|id| book.accounts.get(id))
        .collect();
    let ids: Vec<Uuid> = accounts.iter().map(|account| account.id().0).collect();
    let balances: Vec<i64> = accounts.iter().map(|account| account.balance).collect();
    let held: Vec<i64> = accounts.iter().map(|account| account.held).collect();
    let last_sequences: Vec<i64> = accounts
        .iter()
        .map(|account| account.last_sequence)
        .collect();
    let entries: Vec<i64> = accounts.iter().map(|account| account.entries).collect();
    let revisions: Vec<i64> = accounts.iter().map(|account| account.revision).collect();
    sqlx::query!(
        r#"
        -- ledger.accounts_update
        update ledger.account
        set balance = changed.balance, held = changed.held, last_sequence = changed.last_sequence, entries = changed.entries,
            revision = changed.revision
        from unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
            as changed (account_id, balance, held, last_sequence, entries, revision)
        where account.community_id = $1 and account.account_id = changed.account_id
        "#,
        community.0,
        &ids,
        &balances,
        &held,
        &last_sequences,
        &entries,
        &revisions,
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn lots_upsert(
    conn: &mut PgConnection,
    community: CommunityId,
    book: &Book,
) -> sqlx::Result<()> {
    let keys: Vec<&(AccountId, DateTime<Utc>)> = book.changes.lots.iter().collect();
    let lot = |(account, expires_at): &(AccountId, DateTime<Utc>)| {
        book.accounts
            .get(account)
            .map(|account| account.lots.get(*expires_at))
            .unwrap_or_default()
    };
    let accounts: Vec<Uuid> = keys.iter().map(|(account, _)| account.0).collect();
    let expires_at: Vec<DateTime<Utc>> = keys.iter().map(|(_, expires_at)| *expires_at).collect();
    let remaining: Vec<i64> = keys.iter().map(|key| lot(key).remaining).collect();
    let held: Vec<i64> = keys.iter().map(|key| lot(key).held).collect();
    sqlx::query!(
        r#"
        -- ledger.lots_upsert
        insert into ledger.lot (community_id, account_id, expires_at, remaining, held)
        select $1, account_id, expires_at, remaining, held
        from unnest($2::uuid[], $3::timestamptz[], $4::bigint[], $5::bigint[]) as changed (account_id, expires_at, remaining, held)
        on conflict on constraint lot_pk do update set remaining = excluded.remaining, held = excluded.held
        "#,
        community.0,
        &accounts,
        &expires_at,
        &remaining,
        &held,
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn entries_insert(
    conn: &mut PgConnection,
    community: CommunityId,
    book: &Book,
) -> sqlx::Result<()> {
    let entries = &book.changes.entries;
    let sequences: Vec<i64> = entries.iter().map(|entry| entry.sequence).collect();
    let kinds: Vec<i16> = entries.iter().map(|entry| entry.kind as i16).collect();
    let finals: Vec<bool> = entries.iter().map(|entry| entry.is_final).collect();
    let request_ids: Vec<Option<Uuid>> = entries
        .iter()
        .map(|entry| entry.request.as_ref().map(|(id, _)| id.0))
        .collect();
    let fingerprints: Vec<Option<Vec<u8>>> = entries
        .iter()
        .map(|entry| entry.request.map(|(_, fingerprint)| fingerprint.to_vec()))
        .collect();
    let debits: Vec<Uuid> = entries.iter().map(|entry| entry.debit.0).collect();
    let credits: Vec<Uuid> = entries.iter().map(|entry| entry.credit.0).collect();
    let amounts: Vec<i64> = entries.iter().map(|entry| entry.amount).collect();
    let debit_balances: Vec<i64> = entries.iter().map(|entry| entry.debit_balance).collect();
    let credit_balances: Vec<i64> = entries.iter().map(|entry| entry.credit_balance).collect();
    let debit_previous: Vec<i64> = entries.iter().map(|entry| entry.debit_previous).collect();
    let credit_previous: Vec<i64> = entries.iter().map(|entry| entry.credit_previous).collect();
    let expires_at: Vec<Option<DateTime<Utc>>> =
        entries.iter().map(|entry| entry.expires_at).collect();
    let related: Vec<Option<i64>> = entries.iter().map(|entry| entry.related).collect();
    let descriptions: Vec<String> = entries
        .iter()
        .map(|entry| entry.description.clone())
        .collect();
    sqlx::query!(
        r#"
        -- ledger.entries_insert
        insert into ledger.entry (community_id, sequence, kind, final, request_id, fingerprint, debit_account_id,
            credit_account_id, amount, debit_balance, credit_balance, debit_previous, credit_previous, expires_at,
            related_sequence, description, recorded_at)
        select $1, sequence, kind, final, request_id, fingerprint, debit_account_id, credit_account_id, amount,
            debit_balance, credit_balance, debit_previous, credit_previous, expires_at, related_sequence, description, $2
        from unnest($3::bigint[], $4::smallint[], $5::boolean[], $6::uuid[], $7::bytea[], $8::uuid[], $9::uuid[], $10::bigint[],
            $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::timestamptz[], $16::bigint[], $17::text[])
            as added (sequence, kind, final, request_id, fingerprint, debit_account_id, credit_account_id, amount,
                debit_balance, credit_balance, debit_previous, credit_previous, expires_at, related_sequence, description)
        "#,
        community.0,
        book.now,
        &sequences,
        &kinds,
        &finals,
        &request_ids as &[Option<Uuid>],
        &fingerprints as &[Option<Vec<u8>>],
        &debits,
        &credits,
        &amounts,
        &debit_balances,
        &credit_balances,
        &debit_previous,
        &credit_previous,
        &expires_at as &[Option<DateTime<Utc>>],
        &related as &[Option<i64>],
        &descriptions,
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn pages_insert(
    conn: &mut PgConnection,
    community: CommunityId,
    book: &Book,
) -> sqlx::Result<()> {
    let pages = &book.changes.pages;
    let accounts: Vec<Uuid> = pages.iter().map(|(account, _)| account.0).collect();
    let sequences: Vec<i64> = pages.iter().map(|(_, sequence)| *sequence).collect();
    sqlx::query!(
        r#"
        -- ledger.pages_insert
        insert into ledger.statement_page (community_id, account_id, sequence)
        select $1, account_id, sequence from unnest($2::uuid[], $3::bigint[]) as added (account_id, sequence)
        "#,
        community.0,
        &accounts,
        &sequences,
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn allocations_insert(
    conn: &mut PgConnection,
    community: CommunityId,
    book: &Book,
) -> sqlx::Result<()> {
    let (mut sequences, mut positions, mut expires_at, mut amounts) =
        (vec![], vec![], vec![], vec![]);
    for entry in &book.changes.entries {
        for (position, part) in (0_i16..).zip(&entry.allocations) {
            sequences.push(entry.sequence);
            positions.push(position);
            expires_at.push(part.expires_at);
            amounts.push(part.amount);
        }
    }
    if sequences.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        r#"
        -- ledger.allocations_insert
        insert into ledger.allocation (community_id, sequence, position, expires_at, amount)
        select $1, sequence, position, expires_at, amount
        from unnest($2::bigint[], $3::smallint[], $4::timestamptz[], $5::bigint[]) as added (sequence, position, expires_at, amount)
        "#,
        community.0,
        &sequences,
        &positions,
        &expires_at,
        &amounts,
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn holds_upsert(
    conn: &mut PgConnection,
    community: CommunityId,
    book: &Book,
) -> sqlx::Result<()> {
    let holds: Vec<&Hold> = book
        .changes
        .holds
        .iter()
        .filter_map(|id| book.holds.get(id))
        .map(|(hold, _)| hold)
        .collect();
    let ids: Vec<Uuid> = holds.iter().map(|hold| hold.id.0).collect();
    let sequences: Vec<i64> = holds.iter().map(|hold| hold.sequence).collect();
    let debits: Vec<Uuid> = holds.iter().map(|hold| hold.debit.0).collect();
    let credits: Vec<Uuid> = holds.iter().map(|hold| hold.credit.0).collect();
    let amounts: Vec<i64> = holds.iter().map(|hold| hold.amount).collect();
    let captured: Vec<i64> = holds.iter().map(|hold| hold.captured).collect();
    let released: Vec<i64> = holds.iter().map(|hold| hold.released).collect();
    let states: Vec<i16> = holds.iter().map(|hold| hold.state as i16).collect();
    let expires_at: Vec<DateTime<Utc>> = holds.iter().map(|hold| hold.expires_at).collect();
    let created_at: Vec<DateTime<Utc>> = holds.iter().map(|hold| hold.created_at).collect();
    sqlx::query!(
        r#"
        -- ledger.holds_upsert
        insert into ledger.hold (community_id, hold_id, sequence, debit_account_id, credit_account_id, amount, captured, released,
            state, expires_at, created_at)
        select $1, hold_id, sequence, debit_account_id, credit_account_id, amount, captured, released, state, expires_at, created_at
        from unnest($2::uuid[], $3::bigint[], $4::uuid[], $5::uuid[], $6::bigint[], $7::bigint[], $8::bigint[], $9::smallint[],
            $10::timestamptz[], $11::timestamptz[])
            as changed (hold_id, sequence, debit_account_id, credit_account_id, amount, captured, released, state, expires_at, created_at)
        on conflict on constraint hold_pk do update
        set captured = excluded.captured, released = excluded.released, state = excluded.state
        "#,
        community.0,
        &ids,
        &sequences,
        &debits,
        &credits,
        &amounts,
        &captured,
        &released,
        &states,
        &expires_at,
        &created_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn journal_advance(
    conn: &mut PgConnection,
    community: CommunityId,
    book: &Book,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- ledger.journal_advance
        update ledger.journal set next_sequence = $2, last_recorded_at = $3 where community_id = $1
        "#,
        community.0,
        book.next_sequence,
        book.now,
    )
    .execute(conn)
    .await?;
    Ok(())
}
