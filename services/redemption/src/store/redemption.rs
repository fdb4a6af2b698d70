//! Redemptions.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{Page, known};
use crate::domain::{Name, OfflineUse, Redemption, RedemptionState};

struct Row {
    community_id: Uuid,
    redemption_id: Uuid,
    member_id: Uuid,
    offer_id: Uuid,
    merchant_id: Uuid,
    programme_id: Uuid,
    offer_revision: i32,
    title: String,
    unit_points: i64,
    asset: String,
    reversal_days: i32,
    quantity: i64,
    captured_quantity: i64,
    reversed_quantity: i64,
    reversals: i32,
    state: String,
    expires_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    captured_at: Option<DateTime<Utc>>,
    ledger_entry: Option<i64>,
    terminal_id: Option<Uuid>,
    store_id: Option<Uuid>,
    assisted_by: Option<String>,
    offline_code_id: Option<Uuid>,
    sold_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Redemption {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> sqlx::Result<Self> {
        Ok(Self {
            community: row.community_id,
            id: row.redemption_id,
            member: row.member_id,
            offer: row.offer_id,
            merchant: row.merchant_id,
            programme: row.programme_id,
            offer_revision: row.offer_revision,
            title: row.title,
            unit_points: row.unit_points,
            asset: row.asset,
            reversal_days: row.reversal_days,
            quantity: row.quantity,
            captured_quantity: row.captured_quantity,
            reversed_quantity: row.reversed_quantity,
            reversals: row.reversals,
            state: known(RedemptionState::parse(&row.state), &row.state)?,
            expires_at: row.expires_at,
            created_at: row.created_at,
            captured_at: row.captured_at,
            ledger_entry: row.ledger_entry,
            terminal: row.terminal_id,
            store: row.store_id,
            assisted_by: row.assisted_by,
            offline: row
                .offline_code_id
                .zip(row.sold_at)
                .map(|(code, sold_at)| OfflineUse { code, sold_at }),
        })
    }
}

/// Reads a redemption.
pub async fn redemption_find(
    db: impl PgExecutor<'_>,
    name: Name,
) -> sqlx::Result<Option<Redemption>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- redemption.redemption_find
        select community_id, redemption_id, member_id, offer_id, merchant_id, programme_id, offer_revision, title, unit_points, asset,
            reversal_days, quantity, captured_quantity, reversed_quantity, reversals, state, expires_at, created_at, captured_at,
            ledger_entry, terminal_id, store_id, assisted_by, offline_code_id, sold_at
        from redemption.redemption
        where community_id = $1 and redemption_id = $2
        "#,
        name.community,
        name.id,
    )
    .fetch_optional(db)
    .await?;
    row.map(Redemption::try_from).transpose()
}

/// Reads redemptions and locks them one after another: whoever holds the lock decides a redemption's next step.
pub(super) async fn redemptions_lock(
    conn: &mut PgConnection,
    community: Uuid,
    redemptions: &[Uuid],
) -> sqlx::Result<Vec<Redemption>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- redemption.redemptions_lock
        select redemption.*
        from unnest((select $2::uuid[])) as wanted (id)
        cross join lateral (
            select community_id, redemption_id, member_id, offer_id, merchant_id, programme_id, offer_revision, title, unit_points,
                asset, reversal_days, quantity, captured_quantity, reversed_quantity, reversals, state, expires_at, created_at,
                captured_at, ledger_entry, terminal_id, store_id, assisted_by, offline_code_id, sold_at
            from redemption.redemption
            where community_id = $1 and redemption_id = wanted.id
            for no key update
        ) as redemption
        "#,
        community,
        redemptions,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Redemption::try_from).collect()
}

/// Reads and locks the holds of offers that have run out, but for those whose next step is being decided elsewhere.
pub(super) async fn redemptions_expired_lock(
    conn: &mut PgConnection,
    (community, now): (Uuid, DateTime<Utc>),
    offers: &[Uuid],
) -> sqlx::Result<Vec<Redemption>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- redemption.redemptions_expired_lock
        select redemption.*
        from unnest((select $2::uuid[])) as wanted (id)
        cross join lateral (
            select community_id, redemption_id, member_id, offer_id, merchant_id, programme_id, offer_revision, title, unit_points,
                asset, reversal_days, quantity, captured_quantity, reversed_quantity, reversals, state, expires_at, created_at,
                captured_at, ledger_entry, terminal_id, store_id, assisted_by, offline_code_id, sold_at
            from redemption.redemption
            where community_id = $1 and offer_id = wanted.id and state = 'held' and expires_at <= $3
            order by expires_at
            limit 100
            for no key update skip locked
        ) as redemption
        "#,
        community,
        offers,
        now,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Redemption::try_from).collect()
}

/// Picks an offer with a hold that has run out and has no step under way.
pub async fn redemption_due_offer(
    db: impl PgExecutor<'_>,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<Name>> {
    let row = sqlx::query!(
        r#"
        -- redemption.redemption_due_offer
        select r.community_id, r.offer_id
        from redemption.redemption r
        where r.state = 'held' and r.expires_at <= $1
            and not exists (
                select from redemption.operation o
                where o.community_id = r.community_id and o.redemption_id = r.redemption_id and o.state = 'pending'
            )
        order by r.expires_at
        limit 1
        "#,
        now,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| Name {
        community: row.community_id,
        id: row.offer_id,
    }))
}

/// What a member has of each offer of a merchant, net of reversals, with what is still pending.
pub async fn redemption_quantities_of(
    db: impl PgExecutor<'_>,
    merchant: Name,
    member: Uuid,
) -> sqlx::Result<Vec<(Uuid, i64)>> {
    let rows = sqlx::query!(
        r#"
        -- redemption.redemption_quantities_of
        select offer_id, coalesce(sum(
            case
                when state in ('pending', 'held') then quantity
                when state = 'captured' then captured_quantity - reversed_quantity
                else 0
            end
        ), 0)::bigint as "quantity!"
        from redemption.redemption
        where community_id = $1 and member_id = $2 and merchant_id = $3
        group by offer_id
        "#,
        merchant.community,
        member,
        merchant.id,
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.offer_id, row.quantity))
        .collect())
}

/// Which redemptions to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct ListFilter {
    /// The community.
    pub community: Uuid,
    /// Only this merchant's.
    pub merchant: Option<Uuid>,
    /// Only this member's.
    pub member: Option<Uuid>,
    /// Only those in this state.
    pub state: Option<RedemptionState>,
}

/// Lists redemptions, newest first.
pub async fn redemption_list(
    db: impl PgExecutor<'_>,
    filter: ListFilter,
    page: Page<(DateTime<Utc>, Uuid)>,
) -> sqlx::Result<Vec<Redemption>> {
    let (after_time, after_id) = page.after.unzip();
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- redemption.redemption_list
        select community_id, redemption_id, member_id, offer_id, merchant_id, programme_id, offer_revision, title, unit_points, asset,
            reversal_days, quantity, captured_quantity, reversed_quantity, reversals, state, expires_at, created_at, captured_at,
            ledger_entry, terminal_id, store_id, assisted_by, offline_code_id, sold_at
        from redemption.redemption
        where community_id = $1
            and ($2::uuid is null or merchant_id = $2)
            and ($3::uuid is null or member_id = $3)
            and ($4::text is null or state = $4)
            and ($5::timestamptz is null or (created_at, redemption_id) < ($5, $6::uuid))
        order by created_at desc, redemption_id desc
        limit $7
        "#,
        filter.community,
        filter.merchant,
        filter.member,
        filter.state.map(RedemptionState::as_str),
        after_time,
        after_id,
        page.limit,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(Redemption::try_from).collect()
}
