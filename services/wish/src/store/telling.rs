//! The outbox of what members are told.

use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, types::Json};
use uuid::Uuid;

use crate::domain::{
    Community,
    telling::{NewTelling, Telling},
};

/// A telling that is claimed.
#[derive(Debug, Clone)]
pub struct Due {
    pub id: Uuid,
    pub member: Uuid,
    pub telling: Telling,
    /// How often it was tried, this time included.
    pub attempts: i32,
}

/// Adds what members are to be told, each under an id of its own.
pub async fn insert(
    db: impl PgExecutor<'_>,
    community: Community,
    tellings: &[(Uuid, NewTelling)],
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = tellings.iter().map(|(id, _)| *id).collect();
    let members: Vec<Uuid> = tellings.iter().map(|(_, new)| new.member).collect();
    let contents: Vec<Json<&Telling>> =
        tellings.iter().map(|(_, new)| Json(&new.telling)).collect();
    sqlx::query!(
        r#"
        -- wish.telling_insert
        insert into wish.telling (community_id, telling_id, member_id, content, created_at, due_at)
        select $1, id, member_id, content, $5, $5
        from unnest($2::uuid[], $3::uuid[], $4::jsonb[]) as new (id, member_id, content)
        "#,
        community.0,
        &ids,
        &members,
        &contents as _,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Picks a community with something to tell.
pub async fn due_community(
    db: impl PgExecutor<'_>,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<Community>> {
    let community = sqlx::query_scalar!(
        r#"
        -- wish.telling_due_community
        select community_id from wish.telling where due_at <= $1 order by due_at limit 1
        "#,
        now,
    )
    .fetch_optional(db)
    .await?;
    Ok(community.map(Community))
}

/// Claims what is to be told in a community, longest due first; others may take it up from `until` on.
pub async fn claim(
    db: impl PgExecutor<'_>,
    community: Community,
    (now, until): (DateTime<Utc>, DateTime<Utc>),
    limit: i64,
) -> sqlx::Result<Vec<Due>> {
    let rows = sqlx::query!(
        r#"
        -- wish.telling_claim
        with due as (
            select telling_id from wish.telling
            where community_id = $1 and due_at <= $2
            order by due_at
            limit $4
            for update skip locked
        )
        update wish.telling as telling set due_at = $3, attempts = attempts + 1
        from due
        where telling.community_id = $1 and telling.telling_id = due.telling_id
        returning telling.telling_id, telling.member_id, telling.content as "content: Json<Telling>", telling.attempts
        "#,
        community.0,
        now,
        until,
        limit,
    )
    .fetch_all(db)
    .await?;
    let due = rows.into_iter().map(|row| Due {
        id: row.telling_id,
        member: row.member_id,
        telling: row.content.0,
        attempts: row.attempts,
    });
    Ok(due.collect())
}

/// Writes that some were told, or when each is to be told again.
pub async fn set_due(
    db: impl PgExecutor<'_>,
    community: Community,
    ids: &[Uuid],
    due_at: Option<DateTime<Utc>>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- wish.telling_set_due
        update wish.telling set due_at = $3 where community_id = $1 and telling_id = any($2) and due_at is not null
        "#,
        community.0,
        ids,
        due_at,
    )
    .execute(db)
    .await?;
    Ok(())
}
