//! Merchants, their agreements, and what they have taken.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{Page, known};
use crate::domain::{Agreement, Merchant, MerchantState, Name};

struct Row {
    community_id: Uuid,
    merchant_id: Uuid,
    number: String,
    display_name: String,
    category: String,
    state: String,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for Merchant {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> sqlx::Result<Self> {
        Ok(Self {
            community: row.community_id,
            id: row.merchant_id,
            number: row.number,
            display_name: row.display_name,
            category: row.category,
            state: known(MerchantState::parse(&row.state), &row.state)?,
            created_at: row.created_at,
        })
    }
}

/// Adds a merchant.
pub async fn merchant_insert(conn: &mut PgConnection, merchant: &Merchant) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.merchant_insert
        insert into redemption.merchant (community_id, merchant_id, number, display_name, category, state, created_at)
        values ($1, $2, $3, $4, $5, $6, $7)
        "#,
        merchant.community,
        merchant.id,
        merchant.number,
        merchant.display_name,
        merchant.category,
        merchant.state.as_str(),
        merchant.created_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Reads a merchant.
pub async fn merchant_find(db: impl PgExecutor<'_>, name: Name) -> sqlx::Result<Option<Merchant>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- redemption.merchant_find
        select community_id, merchant_id, number, display_name, category, state, created_at
        from redemption.merchant
        where community_id = $1 and merchant_id = $2
        "#,
        name.community,
        name.id,
    )
    .fetch_optional(db)
    .await?;
    row.map(Merchant::try_from).transpose()
}

/// Reads a merchant and locks it.
pub async fn merchant_lock(conn: &mut PgConnection, name: Name) -> sqlx::Result<Option<Merchant>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- redemption.merchant_lock
        select community_id, merchant_id, number, display_name, category, state, created_at
        from redemption.merchant
        where community_id = $1 and merchant_id = $2
        for no key update
        "#,
        name.community,
        name.id,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Merchant::try_from).transpose()
}

/// Writes a merchant's state.
pub async fn merchant_set_state(conn: &mut PgConnection, merchant: &Merchant) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.merchant_set_state
        update redemption.merchant set state = $3 where community_id = $1 and merchant_id = $2
        "#,
        merchant.community,
        merchant.id,
        merchant.state.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Lists merchants by id.
pub async fn merchant_list(
    db: impl PgExecutor<'_>,
    community: Uuid,
    page: Page<Uuid>,
) -> sqlx::Result<Vec<Merchant>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- redemption.merchant_list
        select community_id, merchant_id, number, display_name, category, state, created_at
        from redemption.merchant
        where community_id = $1 and ($2::uuid is null or merchant_id > $2)
        order by merchant_id
        limit $3
        "#,
        community,
        page.after,
        page.limit,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(Merchant::try_from).collect()
}

/// Adds an agreement.
pub async fn agreement_insert(
    conn: &mut PgConnection,
    agreement: &Agreement,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.agreement_insert
        insert into redemption.agreement (community_id, agreement_id, merchant_id, start_date, end_date, created_at)
        values ($1, $2, $3, $4, $5, $6)
        "#,
        agreement.community,
        agreement.id,
        agreement.merchant,
        agreement.start,
        agreement.end,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Lists a merchant's agreements by first date.
pub async fn agreement_list(
    db: impl PgExecutor<'_>,
    merchant: Name,
    page: Page<(NaiveDate, Uuid)>,
) -> sqlx::Result<Vec<Agreement>> {
    let (after_date, after_id) = page.after.unzip();
    let rows = sqlx::query!(
        r#"
        -- redemption.agreement_list
        select community_id, agreement_id, merchant_id, start_date, end_date
        from redemption.agreement
        where community_id = $1 and merchant_id = $2
            and ($3::date is null or (start_date, agreement_id) > ($3, $4::uuid))
        order by start_date, agreement_id
        limit $5
        "#,
        merchant.community,
        merchant.id,
        after_date,
        after_id,
        page.limit,
    )
    .fetch_all(db)
    .await?;
    let agreement = rows.into_iter().map(|row| Agreement {
        community: row.community_id,
        id: row.agreement_id,
        merchant: row.merchant_id,
        start: row.start_date,
        end: row.end_date,
    });
    Ok(agreement.collect())
}

/// What a merchant has taken, in units of one asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SummaryRow {
    /// The asset.
    pub asset: String,
    /// How many redemptions were captured.
    pub redemptions: i64,
    /// What was captured.
    pub captured_points: i64,
    /// What was given back after that.
    pub reversed_points: i64,
    /// How often something was given back.
    pub reversals: i64,
    /// What is held.
    pub held_points: i64,
}

/// Sums what a merchant has taken, by asset, from one snapshot.
pub async fn merchant_summary(
    db: impl PgExecutor<'_>,
    merchant: Name,
) -> sqlx::Result<Vec<SummaryRow>> {
    sqlx::query_as!(
        SummaryRow,
        r#"
        -- redemption.merchant_summary
        select
            asset,
            count(*) filter (where state in ('captured', 'reversed')) as "redemptions!",
            sum(unit_points * captured_quantity)::bigint as "captured_points!",
            sum(unit_points * reversed_quantity)::bigint as "reversed_points!",
            sum(reversals)::bigint as "reversals!",
            coalesce(sum(unit_points * quantity) filter (where state = 'held'), 0)::bigint as "held_points!"
        from redemption.redemption
        where community_id = $1 and merchant_id = $2 and state <> 'pending'
        group by asset
        order by asset
        "#,
        merchant.community,
        merchant.id,
    )
    .fetch_all(db)
    .await
}

/// Whether an agreement of the merchant covers a date.
pub async fn agreement_covers(
    db: impl PgExecutor<'_>,
    merchant: Name,
    date: NaiveDate,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"
        -- redemption.agreement_covers
        select exists (
            select from redemption.agreement
            where community_id = $1 and merchant_id = $2 and $3 between start_date and end_date
        ) as "covers!"
        "#,
        merchant.community,
        merchant.id,
        date,
    )
    .fetch_one(db)
    .await
}
