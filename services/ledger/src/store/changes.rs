//! Writing what a batch changed: a fixed number of statements, however many requests.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{copy::CopyRows, request::refusals_insert};
use crate::domain::{Account, AccountId, Book, CommunityId, Hold};

/// From how many entries on a batch is copied.
const COPY_FROM: usize = 32;

/// Writes what a book changed and moves the journal's head on.
pub async fn write(
    conn: &mut PgConnection,
    community: CommunityId,
    book: &Book,
) -> sqlx::Result<()> {
    if !book.changes.entries.is_empty() {
        accounts_upsert(conn, community, book).await?;
        if !book.changes.lots.is_empty() {
            lots_upsert(conn, community, book).await?;
        }
        entries_add(conn, community, book).await?;
        if !book.changes.pages.is_empty() {
            pages_insert(conn, community, book).await?;
        }
        allocations_insert(conn, community, book).await?;
        if !book.changes.holds.is_empty() {
            holds_upsert(conn, community, book).await?;
        }
    }
    if !book.changes.refusals.is_empty() {
        refusals_insert(conn, community, book).await?;
    }
    Ok(())
}

/// Moves the journal's head as well, for a batch waits for every statement. An upsert, though every row is there: it goes to each by the
/// primary key, where an update from a list may be planned, on a table that is new, as a comparison of all with all.
async fn accounts_upsert(
    conn: &mut PgConnection,
    community: CommunityId,
    book: &Book,
) -> sqlx::Result<()> {
    let changed = book.changes.accounts();
    let accounts = changed.iter().filter_map(|id| book.accounts.get(id));
    let accounts: Vec<&Account> = accounts.collect();
    let definitions = || accounts.iter().map(|account| &account.definition);
    let ids: Vec<Uuid> = definitions().map(|account| account.id.0).collect();
    let programmes: Vec<Uuid> = definitions().map(|account| account.programme).collect();
    let assets: Vec<String> = definitions().map(|account| account.asset.clone()).collect();
    let kinds: Vec<i16> = definitions().map(|account| account.kind as i16).collect();
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
        -- ledger.accounts_upsert
        with head as (update ledger.journal set next_sequence = $11, last_recorded_at = $12 where community_id = $1)
        insert into ledger.account (community_id, account_id, programme_id, asset, kind, balance, held, last_sequence, entries,
            revision, created_at)
        select $1, account_id, programme_id, asset, kind, balance, held, last_sequence, entries, revision, $12
        from unnest($2::uuid[], $3::uuid[], $4::text[], $5::smallint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],
            $10::bigint[])
            as changed (account_id, programme_id, asset, kind, balance, held, last_sequence, entries, revision)
        on conflict on constraint account_pk do update
        set balance = excluded.balance, held = excluded.held, last_sequence = excluded.last_sequence, entries = excluded.entries,
            revision = excluded.revision
        "#,
        community.0,
        &ids,
        &programmes,
        &assets,
        &kinds,
        &balances,
        &held,
        &last_sequences,
        &entries,
        &revisions,
        book.next_sequence,
        book.now,
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

/// Adds the new entries, many by `COPY` and a few by `INSERT`: it costs each of them more, but waits for one answer less, which counts at
/// a till.
async fn entries_add(
    conn: &mut PgConnection,
    community: CommunityId,
    book: &Book,
) -> sqlx::Result<()> {
    if book.changes.entries.len() < COPY_FROM {
        entries_insert(conn, community, book).await
    } else {
        entries_copy(conn, community, book).await
    }
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

async fn entries_copy(
    conn: &mut PgConnection,
    community: CommunityId,
    book: &Book,
) -> sqlx::Result<()> {
    let mut rows = CopyRows::new(17);
    for entry in &book.changes.entries {
        let (request_id, fingerprint) = entry.request.unzip();
        rows.row()
            .column(community.0)?
            .column(entry.sequence)?
            .column(entry.kind as i16)?
            .column(entry.is_final)?
            .column(request_id.map(|id| id.0))?
            .column(fingerprint.as_ref().map(|bytes| &bytes[..]))?
            .column(entry.debit.0)?
            .column(entry.credit.0)?
            .column(entry.amount)?
            .column(entry.debit_balance)?
            .column(entry.credit_balance)?
            .column(entry.debit_previous)?
            .column(entry.credit_previous)?
            .column(entry.expires_at)?
            .column(entry.related)?
            .column(entry.description.as_str())?
            .column(book.now)?;
    }
    let statement = "
        -- ledger.entries_copy
        copy ledger.entry (community_id, sequence, kind, final, request_id, fingerprint, debit_account_id, credit_account_id,
            amount, debit_balance, credit_balance, debit_previous, credit_previous, expires_at, related_sequence, description,
            recorded_at)
        from stdin (format binary)";
    rows.send(conn, statement).await
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
