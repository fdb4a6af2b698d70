//! Wishes.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{Window, event, find, unknown, word};
use crate::domain::{
    Community,
    event::NewEvent,
    wish::{Priority, Scope, Unit, Wish, WishState},
};

struct Row {
    wish_id: Uuid,
    programme_id: Uuid,
    asset: Option<String>,
    beneficiary_id: Uuid,
    proxy_id: Option<Uuid>,
    visit_id: Option<Uuid>,
    round_id: Option<Uuid>,
    category: String,
    scope: String,
    priority: String,
    title: String,
    description: String,
    unit: String,
    target: i64,
    pledged: i64,
    delivered: i64,
    confirmed: i64,
    settling: i64,
    reversed: i64,
    supplier_id: Option<Uuid>,
    estimated_value: Option<i64>,
    state: String,
    closes_at: DateTime<Utc>,
    confirms_until: DateTime<Utc>,
    created_at: DateTime<Utc>,
    published_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    rating: Option<i16>,
    feedback: String,
}

impl Row {
    fn wish(self, community: Community) -> sqlx::Result<Wish> {
        Ok(Wish {
            community,
            id: self.wish_id,
            programme: self.programme_id,
            beneficiary: self.beneficiary_id,
            proxy: self.proxy_id,
            visit: self.visit_id,
            round: self.round_id,
            category: self.category,
            scope: find(&SCOPES, &self.scope)?,
            priority: find(&PRIORITIES, &self.priority)?,
            title: self.title,
            description: self.description,
            unit: match (&self.unit[..], self.asset) {
                ("each", _) => Unit::Each,
                ("hours", _) => Unit::Hours,
                ("points", Some(asset)) => Unit::Points { asset },
                (other, _) => return Err(unknown(other)),
            },
            target: self.target,
            pledged: self.pledged,
            delivered: self.delivered,
            confirmed: self.confirmed,
            settling: self.settling,
            reversed: self.reversed,
            supplier: self.supplier_id,
            estimated_value: self.estimated_value,
            state: find(&STATES, &self.state)?,
            created_at: self.created_at,
            published_at: self.published_at,
            closes_at: self.closes_at,
            confirms_until: self.confirms_until,
            ended_at: self.ended_at,
            rating: self.rating,
            feedback: self.feedback,
        })
    }
}

const SCOPES: [(&str, Scope); 2] = [("individual", Scope::Individual), ("common", Scope::Common)];
const PRIORITIES: [(&str, Priority); 3] = [
    ("high", Priority::High),
    ("normal", Priority::Normal),
    ("low", Priority::Low),
];
pub(super) const STATES: [(&str, WishState); 8] = [
    ("submitted", WishState::Submitted),
    ("reviewed", WishState::Reviewed),
    ("published", WishState::Published),
    ("fulfilled", WishState::Fulfilled),
    ("closed", WishState::Closed),
    ("rejected", WishState::Rejected),
    ("withdrawn", WishState::Withdrawn),
    ("lapsed", WishState::Lapsed),
];

/// Adds a wish.
pub async fn insert(conn: &mut PgConnection, wish: &Wish) -> sqlx::Result<()> {
    let (unit, asset) = match &wish.unit {
        Unit::Each => ("each", None),
        Unit::Hours => ("hours", None),
        Unit::Points { asset } => ("points", Some(asset)),
    };
    sqlx::query!(
        r#"
        -- wish.wish_insert
        insert into wish.wish
            (community_id, wish_id, programme_id, asset, beneficiary_id, proxy_id, round_id, category, scope, priority, title,
            description, unit, target, pledged, delivered, confirmed, state, closes_at, confirms_until, due_at, created_at,
            published_at, ended_at, rating, feedback, visit_id, reversed, supplier_id, estimated_value)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
            $25, $26, $27, $28, $29, $30)
        "#,
        wish.community.0,
        wish.id,
        wish.programme,
        asset,
        wish.beneficiary,
        wish.proxy,
        wish.round,
        wish.category,
        word(&SCOPES, &wish.scope),
        word(&PRIORITIES, &wish.priority),
        wish.title,
        wish.description,
        unit,
        wish.target,
        wish.pledged,
        wish.delivered,
        wish.confirmed,
        word(&STATES, &wish.state),
        wish.closes_at,
        wish.confirms_until,
        wish.due_at(),
        wish.created_at,
        wish.published_at,
        wish.ended_at,
        wish.rating,
        wish.feedback,
        wish.visit,
        wish.reversed,
        wish.supplier,
        wish.estimated_value,
    )
    .execute(&mut *conn)
    .await?;
    event::insert(conn, wish.community, &[moved(wish)]).await
}

/// Returns a wish as it was last written.
pub async fn find_one(
    db: impl PgExecutor<'_>,
    community: Community,
    id: Uuid,
) -> sqlx::Result<Option<Wish>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- wish.wish_find
        select wish_id, programme_id, asset, beneficiary_id, proxy_id, visit_id, round_id, category, scope, priority, title, description, unit,
            target, pledged, delivered, confirmed, reversed, supplier_id, estimated_value, state, closes_at, confirms_until, created_at, published_at, ended_at, rating,
            feedback, (
                select coalesce(sum(p.quantity), 0)::bigint
                from wish.pledge p
                join wish.operation o on o.community_id = p.community_id and o.pledge_id = p.pledge_id
                where p.community_id = $1 and p.wish_id = w.wish_id and p.state = 'delivered' and o.kind = 'capture' and o.state = 'pending'
            ) as "settling!"
        from wish.wish w
        where community_id = $1 and wish_id = $2
        "#,
        community.0,
        id,
    )
    .fetch_optional(db)
    .await?;
    row.map(|row| row.wish(community)).transpose()
}

/// Locks a wish; false when there is none.
pub async fn lock(db: impl PgExecutor<'_>, community: Community, id: Uuid) -> sqlx::Result<bool> {
    let locked = sqlx::query_scalar!(
        r#"
        -- wish.wish_lock
        select wish_id from wish.wish where community_id = $1 and wish_id = $2 for no key update
        "#,
        community.0,
        id,
    )
    .fetch_optional(db)
    .await?;
    Ok(locked.is_some())
}

/// Locks several wishes in the order of their ids.
pub async fn lock_all(
    db: impl PgExecutor<'_>,
    community: Community,
    ids: &[Uuid],
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- wish.wish_lock_all
        select wish_id from wish.wish
        where community_id = $1 and wish_id = any($2)
        order by wish_id
        for no key update
        "#,
        community.0,
        ids,
    )
    .fetch_all(db)
    .await?;
    Ok(())
}

/// Returns several wishes by id, those that are there.
pub async fn find_all(
    db: impl PgExecutor<'_>,
    community: Community,
    ids: &[Uuid],
) -> sqlx::Result<Vec<Wish>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- wish.wish_find_all
        select wish_id, programme_id, asset, beneficiary_id, proxy_id, visit_id, round_id, category, scope, priority, title, description, unit,
            target, pledged, delivered, confirmed, reversed, supplier_id, estimated_value, state, closes_at, confirms_until, created_at, published_at, ended_at, rating,
            feedback, (
                select coalesce(sum(p.quantity), 0)::bigint
                from wish.pledge p
                join wish.operation o on o.community_id = p.community_id and o.pledge_id = p.pledge_id
                where p.community_id = $1 and p.wish_id = w.wish_id and p.state = 'delivered' and o.kind = 'capture' and o.state = 'pending'
            ) as "settling!"
        from wish.wish w
        where community_id = $1 and wish_id = any($2)
        order by wish_id
        "#,
        community.0,
        ids,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| row.wish(community)).collect()
}

/// Writes what moves of a wish, and that it came to another state if it did.
pub async fn update(conn: &mut PgConnection, wish: &Wish) -> sqlx::Result<()> {
    let before = sqlx::query_scalar!(
        r#"
        -- wish.wish_update
        update wish.wish as wish
        set round_id = $3, pledged = $4, delivered = $5, confirmed = $6, state = $7, due_at = $8, published_at = $9, ended_at = $10,
            rating = $11, feedback = $12, reversed = $13, estimated_value = $14
        from (select state from wish.wish where community_id = $1 and wish_id = $2) as before
        where community_id = $1 and wish_id = $2
        returning before.state
        "#,
        wish.community.0,
        wish.id,
        wish.round,
        wish.pledged,
        wish.delivered,
        wish.confirmed,
        word(&STATES, &wish.state),
        wish.due_at(),
        wish.published_at,
        wish.ended_at,
        wish.rating,
        wish.feedback,
        wish.reversed,
        wish.estimated_value,
    )
    .fetch_optional(&mut *conn)
    .await?;
    if before.as_deref() == Some(word(&STATES, &wish.state)) {
        return Ok(());
    }
    event::insert(conn, wish.community, &[moved(wish)]).await
}

/// Picks a community with a wish that the clock has ended. One that waits for the ledger is left to that, or it would keep others from ending.
pub async fn due_community(
    db: impl PgExecutor<'_>,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<Community>> {
    let community = sqlx::query_scalar!(
        r#"
        -- wish.wish_due_community
        select community_id from wish.wish w
        where due_at < $1 and not exists (
            select from wish.pledge p
            join wish.operation o on o.community_id = p.community_id and o.pledge_id = p.pledge_id
            where p.community_id = w.community_id and p.wish_id = w.wish_id and o.kind = 'capture' and o.state = 'pending'
        )
        order by due_at
        limit 1
        "#,
        now,
    )
    .fetch_optional(db)
    .await?;
    Ok(community.map(Community))
}

/// The wishes of a community that the clock has ended, longest ended first.
pub async fn due(
    db: impl PgExecutor<'_>,
    community: Community,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        -- wish.wish_due
        select wish_id from wish.wish w
        where community_id = $1 and due_at < $2 and not exists (
            select from wish.pledge p
            join wish.operation o on o.community_id = $1 and o.pledge_id = p.pledge_id
            where p.community_id = $1 and p.wish_id = w.wish_id and o.kind = 'capture' and o.state = 'pending'
        )
        order by due_at
        limit 100
        "#,
        community.0,
        now,
    )
    .fetch_all(db)
    .await
}

/// Lets the loop step over a wish until an instant.
pub async fn postpone(
    db: impl PgExecutor<'_>,
    community: Community,
    id: Uuid,
    until: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- wish.wish_postpone
        update wish.wish set due_at = $3 where community_id = $1 and wish_id = $2 and due_at < $3
        "#,
        community.0,
        id,
        until,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Which wishes a list is of.
#[derive(Debug)]
pub struct WishFilter {
    pub community: Community,
    pub programme: Option<Uuid>,
    /// By the clock.
    pub state: Option<WishState>,
    /// Of a published one: whether it is covered.
    pub covered: Option<bool>,
    /// Empty: every one.
    pub category: String,
    /// Only those that were ever published.
    pub published: bool,
    pub now: DateTime<Utc>,
}

/// A community's wishes by id.
pub async fn list(
    db: impl PgExecutor<'_>,
    filter: &WishFilter,
    window: Window<Uuid>,
) -> sqlx::Result<Vec<Wish>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- wish.wish_list
        select wish_id, programme_id, asset, beneficiary_id, proxy_id, visit_id, round_id, category, scope, priority, title, description, unit,
            target, pledged, delivered, confirmed, reversed, supplier_id, estimated_value, state, closes_at, confirms_until, created_at, published_at, ended_at, rating,
            feedback, settling as "settling!"
        from wish.wish w
        cross join lateral (
            select coalesce(sum(p.quantity), 0)::bigint as settling
            from wish.pledge p
            join wish.operation o on o.community_id = p.community_id and o.pledge_id = p.pledge_id
            where p.community_id = $1 and p.wish_id = w.wish_id and p.state = 'delivered' and o.kind = 'capture' and o.state = 'pending'
        ) being_confirmed
        where community_id = $1 and wish_id > $2
            and ($3::uuid is null or programme_id = $3)
            and ($4::text is null or $4 = case
                when state = 'published' and delivered < target and closes_at < $5 then 'lapsed'
                when state = 'published' and confirmed + settling < target and confirms_until < $5 then 'lapsed'
                else state end)
            and ($6::boolean is null or $6 = (pledged = target))
            and ($7 = '' or category = $7)
            and (not $8 or published_at is not null)
        order by wish_id
        limit $9
        "#,
        filter.community.0,
        window.after,
        filter.programme,
        filter.state.map(|state| word(&STATES, &state)),
        filter.now,
        filter.covered,
        filter.category,
        filter.published,
        window.limit,
    )
    .fetch_all(db)
    .await?;
    let community = filter.community;
    rows.into_iter().map(|row| row.wish(community)).collect()
}

/// That a wish came to its state.
fn moved(wish: &Wish) -> NewEvent {
    NewEvent {
        kind: format!("wish_{}", word(&STATES, &wish.state)),
        subject: format!("wishes/{}", wish.id),
        member: None,
    }
}
