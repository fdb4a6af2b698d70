//! Visits: what was found is in `sealed`.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{Window, event, find, word};
use crate::domain::{
    Community,
    event::NewEvent,
    visit::{Condition, Visit},
};

const CONDITIONS: [(&str, Condition); 4] = [
    ("well", Condition::Well),
    ("needs_attention", Condition::NeedsAttention),
    ("urgent", Condition::Urgent),
    ("not_met", Condition::NotMet),
];

struct Row {
    visit_id: Uuid,
    beneficiary_id: Uuid,
    visitor_id: Uuid,
    condition: String,
    visited_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
}

/// Adds a visit.
pub async fn insert(conn: &mut PgConnection, visit: &Visit) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- wish.visit_insert
        insert into wish.visit (community_id, visit_id, beneficiary_id, visitor_id, condition, visited_at, created_at)
        values ($1, $2, $3, $4, $5, $6, $7)
        "#,
        visit.community.0,
        visit.id,
        visit.beneficiary,
        visit.visitor,
        word(&CONDITIONS, &visit.condition),
        visit.visited_at,
        visit.created_at,
    )
    .execute(&mut *conn)
    .await?;
    let recorded = NewEvent {
        kind: "visit_recorded".to_owned(),
        subject: format!("visits/{}", visit.id),
        member: None,
    };
    event::insert(conn, visit.community, &[recorded]).await
}

/// Whom a visit was to.
pub async fn beneficiary_of(
    db: impl PgExecutor<'_>,
    community: Community,
    id: Uuid,
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        r#"
        -- wish.visit_beneficiary_of
        select beneficiary_id from wish.visit where community_id = $1 and visit_id = $2
        "#,
        community.0,
        id,
    )
    .fetch_optional(db)
    .await
}

/// A community's visits by id, or those to somebody.
pub async fn list(
    db: impl PgExecutor<'_>,
    community: Community,
    beneficiary: Option<Uuid>,
    window: Window<Uuid>,
) -> sqlx::Result<Vec<Visit>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- wish.visit_list
        select visit_id, beneficiary_id, visitor_id, condition, visited_at, created_at
        from wish.visit
        where community_id = $1 and visit_id > $2 and ($3::uuid is null or beneficiary_id = $3)
        order by visit_id
        limit $4
        "#,
        community.0,
        window.after,
        beneficiary,
        window.limit,
    )
    .fetch_all(db)
    .await?;
    let rows = rows.into_iter().map(|row| {
        Ok(Visit {
            community,
            id: row.visit_id,
            beneficiary: row.beneficiary_id,
            visitor: row.visitor_id,
            condition: find(&CONDITIONS, &row.condition)?,
            visited_at: row.visited_at,
            created_at: row.created_at,
        })
    });
    rows.collect()
}
