//! Statements of merchants' days.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{Page, hash, known};
use crate::domain::{
    Deed, MerchantAccount, Payment, Statement, StatementName, StatementState, Totals, Zone,
};

/// The state, in the database alone, of a statement whose lines are still being written.
const CLOSING: &str = "closing";

struct Row {
    community_id: Uuid,
    programme_id: Uuid,
    merchant_id: Uuid,
    business_date: NaiveDate,
    asset: String,
    time_zone: String,
    state: String,
    opening_balance: i64,
    captured_points: i64,
    reversed_points: i64,
    other_points: i64,
    adjusted_points: i64,
    line_count: i32,
    last_sequence: i64,
    previous_hash: Vec<u8>,
    hash: Vec<u8>,
    closed_at: Option<DateTime<Utc>>,
    confirmed_at: Option<DateTime<Utc>>,
    confirmed_by: Option<String>,
    paid_at: Option<DateTime<Utc>>,
    paid_by: Option<String>,
    payment_reference: Option<String>,
}

impl TryFrom<Row> for Statement {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> sqlx::Result<Self> {
        let deed = |by: Option<String>, at: Option<DateTime<Utc>>| {
            by.zip(at).map(|(by, at)| Deed { by, at })
        };
        let state = match &row.state[..] {
            CLOSING => StatementState::Open,
            state => known(StatementState::parse(state), state)?,
        };
        let paid = deed(row.paid_by, row.paid_at).zip(row.payment_reference);
        Ok(Self {
            name: StatementName {
                of: MerchantAccount {
                    community: row.community_id,
                    programme: row.programme_id,
                    merchant: row.merchant_id,
                },
                date: row.business_date,
            },
            asset: row.asset,
            time_zone: Zone::try_from(row.time_zone)
                .map_err(|error| sqlx::Error::Decode(error.into()))?,
            state,
            opening_balance: row.opening_balance,
            closing_balance: row.opening_balance + row.captured_points - row.reversed_points
                + row.other_points,
            totals: Totals {
                captured: row.captured_points,
                reversed: row.reversed_points,
                other: row.other_points,
                adjusted: row.adjusted_points,
            },
            line_count: row.line_count,
            last_sequence: row.last_sequence,
            previous_hash: hash(row.previous_hash)?,
            hash: hash(row.hash)?,
            closed_at: row.closed_at,
            confirmed: deed(row.confirmed_by, row.confirmed_at),
            paid: paid.map(|(deed, reference)| Payment { deed, reference }),
        })
    }
}

/// Writes a statement whose lines are being written: begins it, goes on with it, or freezes it.
pub async fn statement_put(conn: &mut PgConnection, statement: &Statement) -> sqlx::Result<()> {
    let StatementName { of, date } = statement.name;
    let state = match statement.state {
        StatementState::Open => CLOSING,
        other => other.as_str(),
    };
    sqlx::query!(
        r#"
        -- redemption.statement_put
        insert into redemption.statement (
            community_id, programme_id, merchant_id, business_date, state, opening_balance, captured_points, reversed_points, other_points,
            adjusted_points, line_count, last_sequence, previous_hash, hash, closed_at
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
        on conflict on constraint statement_pk do update
        set state = excluded.state, captured_points = excluded.captured_points, reversed_points = excluded.reversed_points,
            other_points = excluded.other_points, adjusted_points = excluded.adjusted_points, line_count = excluded.line_count,
            last_sequence = excluded.last_sequence, hash = excluded.hash, closed_at = excluded.closed_at
        where statement.state = 'closing'
        "#,
        of.community,
        of.programme,
        of.merchant,
        date,
        state,
        statement.opening_balance,
        statement.totals.captured,
        statement.totals.reversed,
        statement.totals.other,
        statement.totals.adjusted,
        statement.line_count,
        statement.last_sequence,
        &statement.previous_hash.0[..],
        &statement.hash.0[..],
        statement.closed_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The statement whose lines are being written, if there is one.
pub async fn statement_find_closing(
    db: impl PgExecutor<'_>,
    of: MerchantAccount,
) -> sqlx::Result<Option<Statement>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- redemption.statement_find_closing
        select community_id, programme_id, merchant_id, business_date, asset, time_zone, state, opening_balance, captured_points,
            reversed_points, other_points, adjusted_points, line_count, statement.last_sequence, previous_hash, statement.hash, closed_at,
            confirmed_at, confirmed_by, paid_at, paid_by, payment_reference
        from redemption.statement
        join redemption.settlement using (community_id, programme_id, merchant_id)
        where community_id = $1 and programme_id = $2 and merchant_id = $3 and state = 'closing'
        "#,
        of.community,
        of.programme,
        of.merchant,
    )
    .fetch_optional(db)
    .await?;
    row.map(Statement::try_from).transpose()
}

/// Reads a closed statement.
pub async fn statement_find(
    db: impl PgExecutor<'_>,
    name: StatementName,
) -> sqlx::Result<Option<Statement>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- redemption.statement_find
        select community_id, programme_id, merchant_id, business_date, asset, time_zone, state, opening_balance, captured_points,
            reversed_points, other_points, adjusted_points, line_count, statement.last_sequence, previous_hash, statement.hash, closed_at,
            confirmed_at, confirmed_by, paid_at, paid_by, payment_reference
        from redemption.statement
        join redemption.settlement using (community_id, programme_id, merchant_id)
        where community_id = $1 and programme_id = $2 and merchant_id = $3 and business_date = $4 and state <> 'closing'
        "#,
        name.of.community,
        name.of.programme,
        name.of.merchant,
        name.date,
    )
    .fetch_optional(db)
    .await?;
    row.map(Statement::try_from).transpose()
}

/// Reads a closed statement and locks it: whoever holds the lock decides what becomes of it.
pub async fn statement_lock(
    conn: &mut PgConnection,
    name: StatementName,
) -> sqlx::Result<Option<Statement>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- redemption.statement_lock
        select community_id, programme_id, merchant_id, business_date, asset, time_zone, state, opening_balance, captured_points,
            reversed_points, other_points, adjusted_points, line_count, statement.last_sequence, previous_hash, statement.hash, closed_at,
            confirmed_at, confirmed_by, paid_at, paid_by, payment_reference
        from redemption.statement
        join redemption.settlement using (community_id, programme_id, merchant_id)
        where community_id = $1 and programme_id = $2 and merchant_id = $3 and business_date = $4 and state <> 'closing'
        for no key update of statement
        "#,
        name.of.community,
        name.of.programme,
        name.of.merchant,
        name.date,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Statement::try_from).transpose()
}

/// The merchant's balance when the last closed statement before a date ended; 0 when there is none.
pub async fn statement_balance_before(
    db: impl PgExecutor<'_>,
    name: StatementName,
) -> sqlx::Result<i64> {
    let balance = sqlx::query_scalar!(
        r#"
        -- redemption.statement_balance_before
        select opening_balance + captured_points - reversed_points + other_points as "balance!"
        from redemption.statement
        where community_id = $1 and programme_id = $2 and merchant_id = $3 and business_date < $4 and state <> 'closing'
        order by business_date desc
        limit 1
        "#,
        name.of.community,
        name.of.programme,
        name.of.merchant,
        name.date,
    )
    .fetch_optional(db)
    .await?;
    Ok(balance.unwrap_or(0))
}

/// Writes what becomes of a closed statement.
pub async fn statement_set_state(
    conn: &mut PgConnection,
    statement: &Statement,
) -> sqlx::Result<()> {
    let StatementName { of, date } = statement.name;
    let (confirmed, paid) = (statement.confirmed.as_ref(), statement.paid.as_ref());
    sqlx::query!(
        r#"
        -- redemption.statement_set_state
        update redemption.statement
        set state = $5, confirmed_at = $6, confirmed_by = $7, paid_at = $8, paid_by = $9, payment_reference = $10
        where community_id = $1 and programme_id = $2 and merchant_id = $3 and business_date = $4
        "#,
        of.community,
        of.programme,
        of.merchant,
        date,
        statement.state.as_str(),
        confirmed.map(|deed| deed.at),
        confirmed.map(|deed| &deed.by[..]),
        paid.map(|paid| paid.deed.at),
        paid.map(|paid| &paid.deed.by[..]),
        paid.map(|paid| &paid.reference[..]),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Which statements a list is of.
#[derive(Debug, Clone, Copy)]
pub struct StatementFilter {
    /// The community.
    pub community: Uuid,
    /// Only this merchant's.
    pub merchant: Option<Uuid>,
    /// Only in this programme.
    pub programme: Option<Uuid>,
    /// Only those in this state.
    pub state: Option<StatementState>,
    /// Only of this date or later.
    pub start: Option<NaiveDate>,
    /// Only of this date or earlier.
    pub end: Option<NaiveDate>,
}

/// Lists closed statements, newest first.
pub async fn statement_list(
    db: impl PgExecutor<'_>,
    filter: StatementFilter,
    page: Page<(NaiveDate, Uuid, Uuid)>,
) -> sqlx::Result<Vec<Statement>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- redemption.statement_list
        select community_id, programme_id, merchant_id, business_date, asset, time_zone, state, opening_balance, captured_points,
            reversed_points, other_points, adjusted_points, line_count, statement.last_sequence, previous_hash, statement.hash, closed_at,
            confirmed_at, confirmed_by, paid_at, paid_by, payment_reference
        from redemption.statement
        join redemption.settlement using (community_id, programme_id, merchant_id)
        where community_id = $1 and state <> 'closing'
            and ($2::uuid is null or merchant_id = $2)
            and ($3::uuid is null or programme_id = $3)
            and ($4::text is null or state = $4)
            and ($5::date is null or business_date >= $5)
            and ($6::date is null or business_date <= $6)
            and ($7::date is null or (business_date, merchant_id, programme_id) < ($7, $8, $9))
        order by business_date desc, merchant_id desc, programme_id desc
        limit $10
        "#,
        filter.community,
        filter.merchant,
        filter.programme,
        filter.state.map(StatementState::as_str),
        filter.start,
        filter.end,
        page.after.map(|(date, ..)| date),
        page.after.map(|(_, merchant, _)| merchant),
        page.after.map(|(.., programme)| programme),
        page.limit,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(Statement::try_from).collect()
}
