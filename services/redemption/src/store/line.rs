//! Lines of statements and their disputes.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::known;
use crate::domain::{
    Adjustment, Deed, Dispute, Line, LineKind, MerchantAccount, Origin, Resolution, StatementName,
};

struct Row {
    business_date: NaiveDate,
    line: i32,
    kind: String,
    ledger_entry: Option<i64>,
    redemption_id: Option<Uuid>,
    offer_id: Option<Uuid>,
    title: String,
    quantity: i64,
    points: i64,
    balance: i64,
    recorded_at: DateTime<Utc>,
    adjusts_date: Option<NaiveDate>,
    adjusts_line: Option<i32>,
    reason: Option<String>,
    opened_by: Option<String>,
    opened_at: Option<DateTime<Utc>>,
    adjustment: Option<i64>,
    resolution: Option<String>,
    resolved_by: Option<String>,
    resolved_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Line {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> sqlx::Result<Self> {
        let deed = |by: Option<String>, at: Option<DateTime<Utc>>| {
            by.zip(at).map(|(by, at)| Deed { by, at })
        };
        let resolution = row.resolution.zip(deed(row.resolved_by, row.resolved_at));
        let opened = row.reason.zip(deed(row.opened_by, row.opened_at));
        let origin = match (row.ledger_entry, row.adjusts_date, row.adjusts_line) {
            (Some(sequence), _, _) => Origin::Entry(sequence),
            (None, Some(date), Some(line)) => Origin::Dispute { date, line },
            (None, ..) => return Err(sqlx::Error::Decode("a line from nowhere".into())),
        };
        Ok(Self {
            date: row.business_date,
            number: row.line,
            kind: known(LineKind::parse(&row.kind), &row.kind)?,
            origin,
            redemption: row.redemption_id,
            offer: row.offer_id,
            title: row.title,
            quantity: row.quantity,
            points: row.points,
            balance: row.balance,
            at: row.recorded_at,
            dispute: opened.map(|(reason, opened)| Dispute {
                reason,
                opened,
                resolution: resolution.map(|(reason, deed)| Resolution {
                    points: row.adjustment,
                    reason,
                    deed,
                }),
            }),
        })
    }
}

/// Adds lines to a statement.
pub async fn line_insert(
    conn: &mut PgConnection,
    of: MerchantAccount,
    lines: &[Line],
) -> sqlx::Result<()> {
    let dispute = |line: &Line| match line.origin {
        Origin::Entry(_) => None,
        Origin::Dispute { date, line } => Some((date, line)),
    };
    let entry = |line: &Line| match line.origin {
        Origin::Entry(sequence) => Some(sequence),
        Origin::Dispute { .. } => None,
    };
    sqlx::query!(
        r#"
        -- redemption.line_insert
        insert into redemption.statement_line (
            community_id, programme_id, merchant_id, business_date, line, kind, ledger_entry, redemption_id, offer_id, title, quantity,
            points, balance, recorded_at, adjusts_date, adjusts_line
        )
        select $1, $2, $3, unnest($4::date[]), unnest($5::integer[]), unnest($6::text[]), unnest($7::bigint[]), unnest($8::uuid[]),
            unnest($9::uuid[]), unnest($10::text[]), unnest($11::bigint[]), unnest($12::bigint[]), unnest($13::bigint[]),
            unnest($14::timestamptz[]), unnest($15::date[]), unnest($16::integer[])
        "#,
        of.community,
        of.programme,
        of.merchant,
        &column(lines, |line| line.date),
        &column(lines, |line| line.number),
        &column(lines, |line| line.kind.as_str().to_owned()),
        &column(lines, entry) as &[Option<i64>],
        &column(lines, |line| line.redemption) as &[Option<Uuid>],
        &column(lines, |line| line.offer) as &[Option<Uuid>],
        &column(lines, |line| line.title.clone()),
        &column(lines, |line| line.quantity),
        &column(lines, |line| line.points),
        &column(lines, |line| line.balance),
        &column(lines, |line| line.at),
        &column(lines, |line| dispute(line).map(|(date, _)| date)) as &[Option<NaiveDate>],
        &column(lines, |line| dispute(line).map(|(_, line)| line)) as &[Option<i32>],
    )
    .execute(conn)
    .await?;
    Ok(())
}

fn column<T>(lines: &[Line], value: impl Fn(&Line) -> T) -> Vec<T> {
    lines.iter().map(value).collect()
}

/// The days and lines that a list is of: those of the closed statements from one day to another, after a line.
#[derive(Debug, Clone, Copy)]
pub struct LineQuery {
    /// Whose.
    pub of: MerchantAccount,
    /// First day, included.
    pub start: NaiveDate,
    /// Last day, included.
    pub end: NaiveDate,
    /// Only lines of a greater number.
    pub after: i32,
    /// At most so many.
    pub limit: i64,
}

/// Lists lines of closed statements with their disputes, by day and number.
pub async fn line_list(db: impl PgExecutor<'_>, query: LineQuery) -> sqlx::Result<Vec<Line>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- redemption.line_list
        select l.business_date, l.line, l.kind, l.ledger_entry, l.redemption_id, l.offer_id, l.title, l.quantity, l.points, l.balance,
            l.recorded_at, l.adjusts_date, l.adjusts_line, d.reason as "reason?", d.opened_by as "opened_by?", d.opened_at as "opened_at?",
            d.points as adjustment, d.resolution, d.resolved_by, d.resolved_at
        from redemption.statement_line l
        join redemption.statement s using (community_id, programme_id, merchant_id, business_date)
        left join redemption.dispute d using (community_id, programme_id, merchant_id, business_date, line)
        where community_id = $1 and programme_id = $2 and merchant_id = $3 and business_date between $4 and $5 and line > $6
            and s.state <> 'closing'
        order by business_date, line
        limit $7
        "#,
        query.of.community,
        query.of.programme,
        query.of.merchant,
        query.start,
        query.end,
        query.after,
        query.limit,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(Line::try_from).collect()
}

/// Adds a dispute of a line.
pub async fn dispute_insert(
    conn: &mut PgConnection,
    name: StatementName,
    line: i32,
    dispute: &Dispute,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.dispute_insert
        insert into redemption.dispute
            (community_id, programme_id, merchant_id, business_date, line, reason, opened_by, opened_at, state)
        values ($1, $2, $3, $4, $5, $6, $7, $8, 'open')
        "#,
        name.of.community,
        name.of.programme,
        name.of.merchant,
        name.date,
        line,
        dispute.reason,
        dispute.opened.by,
        dispute.opened.at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes what was decided about a dispute.
pub async fn dispute_set_resolution(
    conn: &mut PgConnection,
    name: StatementName,
    line: i32,
    dispute: &Dispute,
) -> sqlx::Result<()> {
    let resolution = dispute.resolution.as_ref();
    sqlx::query!(
        r#"
        -- redemption.dispute_set_resolution
        update redemption.dispute
        set state = $6, points = $7, resolution = $8, resolved_by = $9, resolved_at = $10
        where community_id = $1 and programme_id = $2 and merchant_id = $3 and business_date = $4 and line = $5
        "#,
        name.of.community,
        name.of.programme,
        name.of.merchant,
        name.date,
        line,
        dispute.state(),
        resolution.and_then(|resolution| resolution.points),
        resolution.map(|resolution| &resolution.reason[..]),
        resolution.map(|resolution| &resolution.deed.by[..]),
        resolution.map(|resolution| resolution.deed.at),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How many disputes of a statement are open.
pub async fn dispute_count_open(db: impl PgExecutor<'_>, name: StatementName) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"
        -- redemption.dispute_count_open
        select count(*) as "count!"
        from redemption.dispute
        where community_id = $1 and programme_id = $2 and merchant_id = $3 and business_date = $4 and state = 'open'
        "#,
        name.of.community,
        name.of.programme,
        name.of.merchant,
        name.date,
    )
    .fetch_one(db)
    .await
}

/// Who accepted the disputes whose adjustments are in a statement.
pub async fn dispute_adjusters(
    db: impl PgExecutor<'_>,
    name: StatementName,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"
        -- redemption.dispute_adjusters
        select distinct resolved_by as "resolved_by!"
        from redemption.dispute
        where community_id = $1 and programme_id = $2 and merchant_id = $3 and settled_date = $4
        "#,
        name.of.community,
        name.of.programme,
        name.of.merchant,
        name.date,
    )
    .fetch_all(db)
    .await
}

/// The disputes that were accepted before an instant and are in no statement yet, in the order in which they were.
pub async fn dispute_list_unsettled(
    db: impl PgExecutor<'_>,
    of: MerchantAccount,
    before: DateTime<Utc>,
) -> sqlx::Result<Vec<Adjustment>> {
    let rows = sqlx::query!(
        r#"
        -- redemption.dispute_list_unsettled
        select d.business_date, d.line, l.redemption_id, l.offer_id, d.points as "points!", d.resolution as "resolution!",
            d.resolved_at as "resolved_at!"
        from redemption.dispute d
        join redemption.statement_line l using (community_id, programme_id, merchant_id, business_date, line)
        where community_id = $1 and programme_id = $2 and merchant_id = $3 and d.state = 'accepted' and d.settled_date is null
            and d.resolved_at < $4
        order by d.resolved_at, d.business_date, d.line
        "#,
        of.community,
        of.programme,
        of.merchant,
        before,
    )
    .fetch_all(db)
    .await?;
    let adjustments = rows.into_iter().map(|row| Adjustment {
        date: row.business_date,
        line: row.line,
        redemption: row.redemption_id,
        offer: row.offer_id,
        points: row.points,
        reason: row.resolution,
        at: row.resolved_at,
    });
    Ok(adjustments.collect())
}

/// Writes which statement has the adjustments of these disputes.
pub async fn dispute_settle(
    conn: &mut PgConnection,
    name: StatementName,
    disputed: &[(NaiveDate, i32)],
) -> sqlx::Result<()> {
    let (dates, lines): (Vec<NaiveDate>, Vec<i32>) = disputed.iter().copied().unzip();
    sqlx::query!(
        r#"
        -- redemption.dispute_settle
        update redemption.dispute
        set settled_date = $4
        where community_id = $1 and programme_id = $2 and merchant_id = $3
            and (business_date, line) in (select unnest($5::date[]), unnest($6::integer[]))
        "#,
        name.of.community,
        name.of.programme,
        name.of.merchant,
        name.date,
        &dates,
        &lines,
    )
    .execute(conn)
    .await?;
    Ok(())
}
