//! What members are still to be told.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor, types::Json};
use uuid::Uuid;

use super::Lease;
use crate::domain::{Content, Telling};

/// How many are claimed at once: as many as activity records at once.
const AT_ONCE: i64 = 100;

/// A telling that was claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The telling.
    pub telling: Telling,
    /// How many times it was claimed, this one included.
    pub attempts: i32,
}

/// Adds what members are to be told, at once.
pub async fn telling_insert(
    conn: &mut PgConnection,
    community: Uuid,
    tellings: &[Telling],
    at: DateTime<Utc>,
) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = tellings.iter().map(|new| new.id).collect();
    let members: Vec<Uuid> = tellings.iter().map(|new| new.member).collect();
    let contents: Vec<Json<&Content>> = tellings.iter().map(|new| Json(&new.content)).collect();
    sqlx::query!(
        r#"
        -- redemption.telling_insert
        insert into redemption.telling (community_id, telling_id, member_id, content, created_at, due_at)
        select $1, id, member_id, content, $2, $2
        from unnest($3::uuid[], $4::uuid[], $5::jsonb[]) as made (id, member_id, content)
        "#,
        community,
        at,
        &ids,
        &members,
        &contents as &[Json<&Content>],
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Picks a community with something to tell.
pub async fn telling_due_community(
    db: impl PgExecutor<'_>,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        r#"
        -- redemption.telling_due_community
        select community_id from redemption.telling where due_at <= $1 order by due_at limit 1
        "#,
        now,
    )
    .fetch_optional(db)
    .await
}

/// Claims what a community has to tell, longest due first, under a lease; in the order in which it was written.
pub async fn telling_claim_due(
    db: impl PgExecutor<'_>,
    community: Uuid,
    lease: Lease,
) -> sqlx::Result<Vec<Claimed>> {
    let mut rows = sqlx::query!(
        r#"
        -- redemption.telling_claim_due
        with due as (
            select telling_id from redemption.telling
            where community_id = $1 and due_at <= $2
            order by due_at, telling_id
            limit $4
            for update skip locked
        )
        update redemption.telling as telling set due_at = $3, attempts = attempts + 1
        from due
        where telling.community_id = $1 and telling.telling_id = due.telling_id
        returning telling.telling_id, member_id, content as "content: Json<Content>", created_at, attempts
        "#,
        community,
        lease.now,
        lease.until,
        AT_ONCE,
    )
    .fetch_all(db)
    .await?;
    rows.sort_unstable_by_key(|row| (row.created_at, row.telling_id));
    let claimed = rows.into_iter().map(|row| Claimed {
        telling: Telling {
            id: row.telling_id,
            member: row.member_id,
            content: row.content.0,
        },
        attempts: row.attempts,
    });
    Ok(claimed.collect())
}

/// Writes when these are to be told next; nothing: they were told.
pub async fn telling_set_due(
    db: impl PgExecutor<'_>,
    community: Uuid,
    tellings: &[Uuid],
    due_at: Option<DateTime<Utc>>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.telling_set_due
        update redemption.telling set due_at = $3
        where community_id = $1 and telling_id = any($2) and due_at is not null
        "#,
        community,
        tellings,
        due_at,
    )
    .execute(db)
    .await?;
    Ok(())
}
