//! Rounds. Which wishes are in one is kept with the wishes.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{Window, event};
use crate::domain::{Community, event::NewEvent, round::Round};

struct Row {
    round_id: Uuid,
    title: String,
    created_at: DateTime<Utc>,
    published_at: Option<DateTime<Utc>>,
    wishes: Vec<Uuid>,
}

impl Row {
    fn round(self, community: Community) -> Round {
        Round {
            community,
            id: self.round_id,
            title: self.title,
            wishes: self.wishes,
            created_at: self.created_at,
            published_at: self.published_at,
        }
    }
}

/// Adds a draft.
pub async fn insert(conn: &mut PgConnection, round: &Round) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- wish.round_insert
        insert into wish.round (community_id, round_id, title, state, created_at)
        values ($1, $2, $3, 'draft', $4)
        "#,
        round.community.0,
        round.id,
        round.title,
        round.created_at,
    )
    .execute(&mut *conn)
    .await?;
    event::insert(conn, round.community, &[moved(round, "created")]).await
}

/// Locks a round.
pub async fn lock(db: impl PgExecutor<'_>, community: Community, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- wish.round_lock
        select round_id from wish.round where community_id = $1 and round_id = $2 for no key update
        "#,
        community.0,
        id,
    )
    .fetch_optional(db)
    .await?;
    Ok(())
}

/// Returns a round.
pub async fn find_one(
    db: impl PgExecutor<'_>,
    community: Community,
    id: Uuid,
) -> sqlx::Result<Option<Round>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- wish.round_find
        select round_id, title, created_at, published_at,
            array(
                select wish_id from wish.wish
                where wish.community_id = $1 and wish.round_id = round.round_id
                order by wish_id
            ) as "wishes!"
        from wish.round
        where community_id = $1 and round_id = $2
        "#,
        community.0,
        id,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| row.round(community)))
}

/// A community's rounds by id.
pub async fn list(
    db: impl PgExecutor<'_>,
    community: Community,
    window: Window<Uuid>,
) -> sqlx::Result<Vec<Round>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- wish.round_list
        select round_id, title, created_at, published_at,
            array(
                select wish_id from wish.wish
                where wish.community_id = $1 and wish.round_id = round.round_id
                order by wish_id
            ) as "wishes!"
        from wish.round
        where community_id = $1 and round_id > $2
        order by round_id
        limit $3
        "#,
        community.0,
        window.after,
        window.limit,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| row.round(community)).collect())
}

/// Writes down that a round is published.
pub async fn set_published(conn: &mut PgConnection, round: &Round) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- wish.round_set_published
        update wish.round set state = 'published', published_at = $3 where community_id = $1 and round_id = $2
        "#,
        round.community.0,
        round.id,
        round.published_at,
    )
    .execute(&mut *conn)
    .await?;
    event::insert(conn, round.community, &[moved(round, "published")]).await
}

/// What was done with a round.
fn moved(round: &Round, what: &str) -> NewEvent {
    NewEvent {
        kind: format!("round_{what}"),
        subject: format!("rounds/{}", round.id),
        member: None,
    }
}
