//! Offers, their prices and their stock.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{Page, known};
use crate::domain::{Audience, Name, Offer, OfferState, Zone};

struct Row {
    community_id: Uuid,
    offer_id: Uuid,
    merchant_id: Uuid,
    programme_id: Uuid,
    asset: String,
    time_zone: String,
    title: String,
    revision: i32,
    points: i64,
    stock: i64,
    stock_left: i64,
    per_member_limit: Option<i64>,
    audience: String,
    start_date: NaiveDate,
    end_date: NaiveDate,
    reversal_days: i32,
    state: String,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for Offer {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> sqlx::Result<Self> {
        Ok(Self {
            community: row.community_id,
            id: row.offer_id,
            merchant: row.merchant_id,
            programme: row.programme_id,
            title: row.title,
            points: row.points,
            revision: row.revision,
            stock: row.stock,
            stock_left: row.stock_left,
            per_member_limit: row.per_member_limit,
            audience: known(Audience::parse(&row.audience), &row.audience)?,
            start: row.start_date,
            end: row.end_date,
            reversal_days: row.reversal_days,
            state: known(OfferState::parse(&row.state), &row.state)?,
            asset: row.asset,
            time_zone: Zone::try_from(row.time_zone)
                .map_err(|error| sqlx::Error::Decode(error.into()))?,
            created_at: row.created_at,
        })
    }
}

/// Adds an offer.
pub async fn offer_insert(conn: &mut PgConnection, offer: &Offer) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.offer_insert
        insert into redemption.offer (
            community_id, offer_id, merchant_id, programme_id, asset, time_zone, title, revision, points, stock, stock_left,
            per_member_limit, audience, start_date, end_date, reversal_days, state, created_at
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
        "#,
        offer.community,
        offer.id,
        offer.merchant,
        offer.programme,
        offer.asset,
        String::from(offer.time_zone),
        offer.title,
        offer.revision,
        offer.points,
        offer.stock,
        offer.stock_left,
        offer.per_member_limit,
        offer.audience.as_str(),
        offer.start,
        offer.end,
        offer.reversal_days,
        offer.state.as_str(),
        offer.created_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Which call sets an offer's price, and when.
#[derive(Debug, Clone, Copy)]
pub struct NewPrice {
    /// The call.
    pub request_id: Uuid,
    /// When.
    pub at: DateTime<Utc>,
}

/// Adds the price now in force to the offer's prices.
pub async fn offer_revision_insert(
    conn: &mut PgConnection,
    offer: &Offer,
    price: NewPrice,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.offer_revision_insert
        insert into redemption.offer_revision (community_id, offer_id, revision, points, request_id, created_at)
        values ($1, $2, $3, $4, $5, $6)
        "#,
        offer.community,
        offer.id,
        offer.revision,
        offer.points,
        price.request_id,
        price.at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Reads an offer.
pub async fn offer_find(db: impl PgExecutor<'_>, name: Name) -> sqlx::Result<Option<Offer>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- redemption.offer_find
        select community_id, offer_id, merchant_id, programme_id, asset, time_zone, title, revision, points, stock, stock_left,
            per_member_limit, audience, start_date, end_date, reversal_days, state, created_at
        from redemption.offer
        where community_id = $1 and offer_id = $2
        "#,
        name.community,
        name.id,
    )
    .fetch_optional(db)
    .await?;
    row.map(Offer::try_from).transpose()
}

/// Reads an offer and locks it, and with it its stock and every member's quota.
pub async fn offer_lock(conn: &mut PgConnection, name: Name) -> sqlx::Result<Option<Offer>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- redemption.offer_lock
        select community_id, offer_id, merchant_id, programme_id, asset, time_zone, title, revision, points, stock, stock_left,
            per_member_limit, audience, start_date, end_date, reversal_days, state, created_at
        from redemption.offer
        where community_id = $1 and offer_id = $2
        for no key update
        "#,
        name.community,
        name.id,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Offer::try_from).transpose()
}

/// Writes what can change of an offer that was locked.
pub async fn offer_update(conn: &mut PgConnection, offer: &Offer) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.offer_update
        update redemption.offer
        set state = $3, revision = $4, points = $5, stock = $6, stock_left = $7
        where community_id = $1 and offer_id = $2
        "#,
        offer.community,
        offer.id,
        offer.state.as_str(),
        offer.revision,
        offer.points,
        offer.stock,
        offer.stock_left,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Reads offers and locks them one after another, and with each its stock and every member's quota.
pub(super) async fn offers_lock(
    conn: &mut PgConnection,
    community: Uuid,
    offers: &[Uuid],
) -> sqlx::Result<Vec<Offer>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- redemption.offers_lock
        select offer.*
        from unnest((select $2::uuid[])) as wanted (id)
        cross join lateral (
            select community_id, offer_id, merchant_id, programme_id, asset, time_zone, title, revision, points, stock, stock_left,
                per_member_limit, audience, start_date, end_date, reversal_days, state, created_at
            from redemption.offer
            where community_id = $1 and offer_id = wanted.id
            for no key update
        ) as offer
        "#,
        community,
        offers,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Offer::try_from).collect()
}

/// Lists offers by id; of one merchant, when it is given.
pub async fn offer_list(
    db: impl PgExecutor<'_>,
    community: Uuid,
    merchant: Option<Uuid>,
    page: Page<Uuid>,
) -> sqlx::Result<Vec<Offer>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- redemption.offer_list
        select community_id, offer_id, merchant_id, programme_id, asset, time_zone, title, revision, points, stock, stock_left,
            per_member_limit, audience, start_date, end_date, reversal_days, state, created_at
        from redemption.offer
        where community_id = $1
            and ($2::uuid is null or merchant_id = $2)
            and ($3::uuid is null or offer_id > $3)
        order by offer_id
        limit $4
        "#,
        community,
        merchant,
        page.after,
        page.limit,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(Offer::try_from).collect()
}

/// A merchant's active offers by id.
pub async fn offer_list_active(
    db: impl PgExecutor<'_>,
    merchant: Name,
    most: i64,
) -> sqlx::Result<Vec<Offer>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- redemption.offer_list_active
        select community_id, offer_id, merchant_id, programme_id, asset, time_zone, title, revision, points, stock, stock_left,
            per_member_limit, audience, start_date, end_date, reversal_days, state, created_at
        from redemption.offer
        where community_id = $1 and merchant_id = $2 and state = 'active'
        order by offer_id
        limit $3
        "#,
        merchant.community,
        merchant.id,
        most,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(Offer::try_from).collect()
}
