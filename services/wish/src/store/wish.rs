//! Wishes.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use super::Window;
use crate::domain::{
    Community,
    wish::{Priority, Scope, Unit, Wish, WishState},
};

struct Row {
    wish_id: Uuid,
    programme_id: Uuid,
    asset: Option<String>,
    beneficiary_id: Uuid,
    proxy_id: Option<Uuid>,
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
const STATES: [(&str, WishState); 8] = [
    ("submitted", WishState::Submitted),
    ("reviewed", WishState::Reviewed),
    ("published", WishState::Published),
    ("fulfilled", WishState::Fulfilled),
    ("closed", WishState::Closed),
    ("rejected", WishState::Rejected),
    ("withdrawn", WishState::Withdrawn),
    ("lapsed", WishState::Lapsed),
];

/// The value that a word stands for.
pub(super) fn find<T: Copy>(words: &[(&'static str, T)], word: &str) -> sqlx::Result<T> {
    let found = words.iter().find(|(known, _)| *known == word);
    found.map(|(_, value)| *value).ok_or_else(|| unknown(word))
}

/// The word of a value.
pub(super) fn word<T: PartialEq>(words: &[(&'static str, T)], value: &T) -> &'static str {
    let found = words.iter().find(|(_, known)| known == value);
    found
        .map(|(word, _)| *word)
        .expect("every value has a word")
}

fn unknown(word: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("unknown word {word:?}").into())
}

/// Adds a wish.
pub async fn insert(db: impl PgExecutor<'_>, wish: &Wish) -> sqlx::Result<()> {
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
            published_at, ended_at, rating, feedback)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
            $25, $26)
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
    )
    .execute(db)
    .await?;
    Ok(())
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
        select wish_id, programme_id, asset, beneficiary_id, proxy_id, round_id, category, scope, priority, title, description, unit,
            target, pledged, delivered, confirmed, state, closes_at, confirms_until, created_at, published_at, ended_at, rating,
            feedback
        from wish.wish
        where community_id = $1 and wish_id = $2
        "#,
        community.0,
        id,
    )
    .fetch_optional(db)
    .await?;
    row.map(|row| row.wish(community)).transpose()
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
        select wish_id, programme_id, asset, beneficiary_id, proxy_id, round_id, category, scope, priority, title, description, unit,
            target, pledged, delivered, confirmed, state, closes_at, confirms_until, created_at, published_at, ended_at, rating,
            feedback
        from wish.wish
        where community_id = $1 and wish_id > $2
            and ($3::uuid is null or programme_id = $3)
            and ($4::text is null or $4 = case when state = 'published' and due_at < $5 then 'lapsed' else state end)
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
