//! Writing what a batch of calls has changed: a fixed number of statements, however many calls.
//!
//! Rows are changed by a `merge` that would insert what it does not find: so the planner has to begin with the list, and not with all
//! rows of the community. Everything in the list is locked, so nothing is ever inserted, nor could it be.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::{Book, Operation, Redemption};

/// Writes what has changed.
pub async fn write(conn: &mut PgConnection, book: &Book) -> sqlx::Result<()> {
    let changes = &book.changes;
    if changes.stock.values().any(|quantity| *quantity != 0) {
        stock_add(conn, book).await?;
    }
    // What has ended makes room for what begins.
    if !changes.ended.is_empty() {
        operations_end(conn, book.community, &changes.ended).await?;
    }
    if !changes.removed.is_empty() {
        redemptions_remove(conn, book.community, &changes.removed).await?;
    }
    if !changes.made.is_empty() {
        redemptions_insert(conn, book).await?;
    }
    if !changes.changed.is_empty() {
        redemptions_update(conn, book).await?;
    }
    if !changes.begun.is_empty() {
        operations_insert(conn, book.community, &changes.begun).await?;
    }
    if !changes.transitions.is_empty() {
        transitions_insert(conn, book).await?;
    }
    Ok(())
}

fn column<T, V>(rows: &[T], value: impl Fn(&T) -> V) -> Vec<V> {
    rows.iter().map(value).collect()
}

async fn stock_add(conn: &mut PgConnection, book: &Book) -> sqlx::Result<()> {
    let (offers, quantities): (Vec<Uuid>, Vec<i64>) = book.changes.stock.iter().unzip();
    sqlx::query!(
        r#"
        -- redemption.stock_add
        merge into redemption.offer using unnest((select $2::uuid[]), (select $3::bigint[])) as added (id, quantity)
        on community_id = $1 and offer_id = id
        when matched then update set stock_left = stock_left + quantity
        when not matched then insert (community_id) values (null)
        "#,
        book.community,
        &offers,
        &quantities,
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn operations_end(
    conn: &mut PgConnection,
    community: Uuid,
    ended: &[(Uuid, Option<i64>)],
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.operations_end
        merge into redemption.operation using unnest((select $2::uuid[]), (select $3::bigint[])) as ended (id, entry)
        on community_id = $1 and operation_id = id
        when matched then update set state = case when entry is null then 'refused' else 'done' end, ledger_entry = entry
        when not matched then insert (community_id) values (null)
        "#,
        community,
        &column(ended, |(id, _)| *id),
        &column(ended, |(_, entry)| *entry) as &[Option<i64>],
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes redemptions that never came about, with their steps.
async fn redemptions_remove(
    conn: &mut PgConnection,
    community: Uuid,
    removed: &[Uuid],
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.operations_remove
        merge into redemption.operation using unnest((select $2::uuid[])) as removed (id)
        on community_id = $1 and redemption_id = id
        when matched then delete
        when not matched then insert (community_id) values (null)
        "#,
        community,
        removed,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        r#"
        -- redemption.redemptions_remove
        merge into redemption.redemption using unnest((select $2::uuid[])) as removed (id)
        on community_id = $1 and redemption_id = id
        when matched then delete
        when not matched then insert (community_id) values (null)
        "#,
        community,
        removed,
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn redemptions_insert(conn: &mut PgConnection, book: &Book) -> sqlx::Result<()> {
    let made: &[Redemption] = &book.changes.made;
    sqlx::query!(
        r#"
        -- redemption.redemptions_insert
        insert into redemption.redemption (
            community_id, redemption_id, member_id, offer_id, merchant_id, programme_id, offer_revision, title, unit_points, asset,
            reversal_days, quantity, captured_quantity, reversed_quantity, reversals, state, expires_at, created_at, terminal_id,
            store_id, assisted_by, offline_code_id, sold_at
        )
        select $1, made.redemption_id, member_id, offer_id, merchant_id, programme_id, offer_revision, title, unit_points, asset,
            reversal_days, quantity, 0, 0, 0, 'pending', expires_at, $2, terminal_id, store_id, assisted_by, offline_code_id, sold_at
        from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::uuid[], $8::integer[], $9::text[], $10::bigint[], $11::text[],
                $12::integer[], $13::bigint[], $14::timestamptz[], $15::uuid[], $16::uuid[], $17::text[], $18::uuid[],
                $19::timestamptz[])
            as made (redemption_id, member_id, offer_id, merchant_id, programme_id, offer_revision, title, unit_points, asset,
                reversal_days, quantity, expires_at, terminal_id, store_id, assisted_by, offline_code_id, sold_at)
        "#,
        book.community,
        book.now,
        &column(made, |it| it.id),
        &column(made, |it| it.member),
        &column(made, |it| it.offer),
        &column(made, |it| it.merchant),
        &column(made, |it| it.programme),
        &column(made, |it| it.offer_revision),
        &column(made, |it| it.title.clone()),
        &column(made, |it| it.unit_points),
        &column(made, |it| it.asset.clone()),
        &column(made, |it| it.reversal_days),
        &column(made, |it| it.quantity),
        &column(made, |it| it.expires_at) as _,
        &column(made, |it| it.terminal) as &[Option<Uuid>],
        &column(made, |it| it.store) as &[Option<Uuid>],
        &column(made, |it| it.assisted_by.clone()) as &[Option<String>],
        &column(made, |it| it.offline.map(|offline| offline.code)) as &[Option<Uuid>],
        &column(made, |it| it.offline.map(|offline| offline.sold_at)) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn redemptions_update(conn: &mut PgConnection, book: &Book) -> sqlx::Result<()> {
    let changed: Vec<&Redemption> = book.changes.changed.values().collect();
    sqlx::query!(
        r#"
        -- redemption.redemptions_update
        merge into redemption.redemption
        using unnest((select $2::uuid[]), (select $3::text[]), (select $4::bigint[]), (select $5::bigint[]), (select $6::integer[]),
                (select $7::timestamptz[]), (select $8::bigint[]))
            as changed (id, state, captured, reversed, reversals, at, entry)
        on community_id = $1 and redemption_id = id
        when matched then update set state = changed.state, captured_quantity = changed.captured, reversed_quantity = changed.reversed,
            reversals = changed.reversals, captured_at = changed.at, ledger_entry = changed.entry
        when not matched then insert (community_id) values (null)
        "#,
        book.community,
        &column(&changed, |it| it.id),
        &column(&changed, |it| it.state.as_str()) as &[&str],
        &column(&changed, |it| it.captured_quantity),
        &column(&changed, |it| it.reversed_quantity),
        &column(&changed, |it| it.reversals),
        &column(&changed, |it| it.captured_at) as _,
        &column(&changed, |it| it.ledger_entry) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn operations_insert(
    conn: &mut PgConnection,
    community: Uuid,
    begun: &[Operation],
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.operations_insert
        insert into redemption.operation (
            community_id, operation_id, redemption_id, kind, quantity, operator, reason, state, traceparent, due_at, attempts, created_at
        )
        select $1, id, redemption_id, kind, quantity, operator, reason, 'pending', traceparent, due_at, 0, created_at
        from unnest($2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::timestamptz[],
                $10::timestamptz[])
            as begun (id, redemption_id, kind, quantity, operator, reason, traceparent, due_at, created_at)
        "#,
        community,
        &column(begun, |it| it.id),
        &column(begun, |it| it.redemption),
        &column(begun, |it| it.kind.as_str()) as &[&str],
        &column(begun, |it| it.quantity),
        &column(begun, |it| it.operator.clone()),
        &column(begun, |it| it.reason.clone()),
        &column(begun, |it| it.traceparent.clone()) as &[Option<String>],
        &column(begun, |it| it.due_at),
        &column(begun, |it| it.created_at),
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn transitions_insert(conn: &mut PgConnection, book: &Book) -> sqlx::Result<()> {
    let transitions = &book.changes.transitions;
    sqlx::query!(
        r#"
        -- redemption.transitions_insert
        insert into redemption.transition (
            community_id, request_id, redemption_id, from_state, to_state, quantity, operator, reason, recorded_at
        )
        select $1, id, redemption_id, from_state, to_state, quantity, operator, reason, $2
        from unnest($3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::bigint[], $8::text[], $9::text[])
            as made (id, redemption_id, from_state, to_state, quantity, operator, reason)
        "#,
        book.community,
        book.now,
        &column(transitions, |(operation, ..)| operation.id),
        &column(transitions, |(operation, ..)| operation.redemption),
        &column(transitions, |(_, from, _)| from.as_str()) as &[&str],
        &column(transitions, |(.., to)| to.as_str()) as &[&str],
        &column(transitions, |(operation, ..)| operation.quantity),
        &column(transitions, |(operation, ..)| operation.operator.clone()),
        &column(transitions, |(operation, ..)| operation.reason.clone()),
    )
    .execute(conn)
    .await?;
    Ok(())
}
