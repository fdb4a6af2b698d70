//! Writing what a batch changed: a fixed number of statements, however many requests.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{column, copy::CopyRows, request::refusals_insert};
use crate::domain::{
    Account, AccountId, Allocation, Book, CommunityId, Entry, Fingerprint, Hold, Lot,
};

/// From how many rows on they are copied.
const COPY_FROM: usize = 256;

/// Writes what a book changed and moves the journal's head on.
pub async fn write(
    conn: &mut PgConnection,
    community: CommunityId,
    book: &Book,
) -> sqlx::Result<()> {
    let entries = &book.changes.entries[..];
    if !entries.is_empty() {
        let (inserted, copied) = match entries.len() {
            ..COPY_FROM => (entries, &[][..]),
            _ => (&[][..], entries),
        };
        entries_post(conn, community, book, inserted).await?;
        if !copied.is_empty() {
            entries_copy(conn, community, book.now, copied).await?;
        }
        if !book.changes.lots.is_empty() {
            lots_merge(conn, community, book).await?;
        }
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

/// Brings the journal's head and the accounts to where a book leaves them and adds entries, all at once, for a batch waits for every
/// statement. Numbers are taken out of their lists by place: each further list that is unnested costs a row a tenth more.
///
/// No account goes missing under the journal's lock; one that did is an error, for it can't be inserted without its id. That there is an
/// insert makes the list the outer side of the join, whatever the planner takes the table for.
async fn entries_post(
    conn: &mut PgConnection,
    community: CommunityId,
    book: &Book,
    entries: &[Entry],
) -> sqlx::Result<()> {
    let changed = book.changes.accounts();
    let accounts = changed.iter().filter_map(|id| book.accounts.get(id));
    let accounts: Vec<&Account> = accounts.collect();
    sqlx::query!(
        r#"
        -- ledger.entries_post
        with head as (update ledger.journal set next_sequence = $2, last_recorded_at = $3 where community_id = $1),
        added as (
            insert into ledger.entry (community_id, sequence, kind, final, request_id, fingerprint, debit_account_id,
                credit_account_id, amount, debit_balance, credit_balance, debit_previous, credit_previous, expires_at,
                related_sequence, description, recorded_at)
            select $1, sequence, kind, final, request_id, fingerprint, debit_account_id, credit_account_id, amount,
                debit_balance, credit_balance, debit_previous, credit_previous, expires_at, related_sequence, description, $3
            from unnest($10::bigint[], $11::smallint[], $12::boolean[], $13::uuid[], $14::bytea[], $15::uuid[], $16::uuid[],
                $17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[], $21::bigint[], $22::timestamptz[], $23::bigint[],
                $24::text[])
                as added (sequence, kind, final, request_id, fingerprint, debit_account_id, credit_account_id, amount,
                    debit_balance, credit_balance, debit_previous, credit_previous, expires_at, related_sequence, description)
        )
        merge into ledger.account using unnest((select $4::uuid[])) with ordinality as changed (account_id, place)
        on account.community_id = $1 and account.account_id = changed.account_id
        when matched then update set balance = ($5::bigint[])[place], held = ($6::bigint[])[place],
            last_sequence = ($7::bigint[])[place], entries = ($8::bigint[])[place], revision = ($9::bigint[])[place]
        when not matched then insert (community_id) values (null)
        "#,
        community.0,
        book.next_sequence,
        book.now,
        &column(&accounts, |it| it.definition.id.0),
        &column(&accounts, |it| it.balance),
        &column(&accounts, |it| it.held),
        &column(&accounts, |it| it.last_sequence),
        &column(&accounts, |it| it.entries),
        &column(&accounts, |it| it.revision),
        &column(entries, |it| it.sequence),
        &column(entries, |it| it.kind as i16),
        &column(entries, |it| it.is_final),
        &column(entries, |it| it.request.map(|(id, _)| id.0)) as &[Option<Uuid>],
        &column(entries, |it| it.request.map(|(_, fingerprint)| fingerprint)) as &[Option<Fingerprint>],
        &column(entries, |it| it.debit.0),
        &column(entries, |it| it.credit.0),
        &column(entries, |it| it.amount),
        &column(entries, |it| it.debit_balance),
        &column(entries, |it| it.credit_balance),
        &column(entries, |it| it.debit_previous),
        &column(entries, |it| it.credit_previous),
        &column(entries, |it| it.expires_at) as &[Option<DateTime<Utc>>],
        &column(entries, |it| it.related) as &[Option<i64>],
        &column(entries, |it| it.description.as_str()) as &[&str],
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Adds lots and brings them to where a book leaves them; as with the accounts, the list is the outer side of the join.
async fn lots_merge(
    conn: &mut PgConnection,
    community: CommunityId,
    book: &Book,
) -> sqlx::Result<()> {
    let changed = book.changes.lots().into_iter();
    let lots: Vec<(AccountId, DateTime<Utc>, Lot)> = changed
        .map(|(id, expires_at)| {
            let account = book.accounts.get(&id);
            let lot = account.map(|account| account.lots.get(expires_at));
            (id, expires_at, lot.unwrap_or_default())
        })
        .collect();
    sqlx::query!(
        r#"
        -- ledger.lots_merge
        merge into ledger.lot using unnest((select $2::uuid[])) with ordinality as changed (account_id, place)
        on lot.community_id = $1 and lot.account_id = changed.account_id and lot.expires_at = ($3::timestamptz[])[place]
        when matched then update set remaining = ($4::bigint[])[place], held = ($5::bigint[])[place]
        when not matched then insert (community_id, account_id, expires_at, remaining, held)
            values ($1, account_id, ($3::timestamptz[])[place], ($4::bigint[])[place], ($5::bigint[])[place])
        "#,
        community.0,
        &column(&lots, |(account, ..)| account.0),
        &column(&lots, |(_, expires_at, _)| *expires_at),
        &column(&lots, |(.., lot)| lot.remaining),
        &column(&lots, |(.., lot)| lot.held),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Adds many entries. It costs each of them less than in a list, but waits for two answers more.
async fn entries_copy(
    conn: &mut PgConnection,
    community: CommunityId,
    recorded_at: DateTime<Utc>,
    entries: &[Entry],
) -> sqlx::Result<()> {
    let mut rows = CopyRows::new(17);
    for entry in entries {
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
            .column(recorded_at)?;
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
    sqlx::query!(
        r#"
        -- ledger.pages_insert
        insert into ledger.statement_page (community_id, account_id, sequence)
        select $1, account_id, sequence from unnest($2::uuid[], $3::bigint[]) as added (account_id, sequence)
        "#,
        community.0,
        &column(pages, |(account, _)| account.0),
        &column(pages, |(_, sequence)| *sequence),
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
    let parts = book.changes.entries.iter().flat_map(|entry| {
        let parts = (0_i16..).zip(&entry.allocations);
        parts.map(move |(position, part)| (entry.sequence, position, *part))
    });
    let parts: Vec<(i64, i16, Allocation)> = parts.collect();
    if parts.is_empty() {
        return Ok(());
    }
    if parts.len() >= COPY_FROM {
        return allocations_copy(conn, community, &parts).await;
    }
    sqlx::query!(
        r#"
        -- ledger.allocations_insert
        insert into ledger.allocation (community_id, sequence, position, expires_at, amount)
        select $1, sequence, position, expires_at, amount
        from unnest($2::bigint[], $3::smallint[], $4::timestamptz[], $5::bigint[]) as added (sequence, position, expires_at, amount)
        "#,
        community.0,
        &column(&parts, |(sequence, ..)| *sequence),
        &column(&parts, |(_, position, _)| *position),
        &column(&parts, |(.., part)| part.expires_at),
        &column(&parts, |(.., part)| part.amount),
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn allocations_copy(
    conn: &mut PgConnection,
    community: CommunityId,
    parts: &[(i64, i16, Allocation)],
) -> sqlx::Result<()> {
    let mut rows = CopyRows::new(5);
    for (sequence, position, part) in parts {
        rows.row()
            .column(community.0)?
            .column(sequence)?
            .column(position)?
            .column(part.expires_at)?
            .column(part.amount)?;
    }
    let statement = "
        -- ledger.allocations_copy
        copy ledger.allocation (community_id, sequence, position, expires_at, amount) from stdin (format binary)";
    rows.send(conn, statement).await
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
        &column(&holds, |it| it.id.0),
        &column(&holds, |it| it.sequence),
        &column(&holds, |it| it.debit.0),
        &column(&holds, |it| it.credit.0),
        &column(&holds, |it| it.amount),
        &column(&holds, |it| it.captured),
        &column(&holds, |it| it.released),
        &column(&holds, |it| it.state as i16),
        &column(&holds, |it| it.expires_at),
        &column(&holds, |it| it.created_at),
    )
    .execute(conn)
    .await?;
    Ok(())
}
