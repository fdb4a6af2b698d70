//! Teams.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use super::Window;
use crate::domain::{Community, member::Team};

struct Row {
    team_id: Uuid,
    number: String,
    display_name: String,
    colour: String,
    created_at: DateTime<Utc>,
}

/// Adds a team.
pub async fn insert(db: impl PgExecutor<'_>, team: &Team) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.team_insert
        insert into activity.team (community_id, team_id, number, display_name, colour, created_at)
        values ($1, $2, $3, $4, $5, $6)
        "#,
        team.community.0,
        team.id,
        team.number,
        team.display_name,
        team.colour,
        team.created_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Whether a team is there.
pub async fn exists(db: impl PgExecutor<'_>, community: Community, id: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"
        -- activity.team_exists
        select exists (select from activity.team where community_id = $1 and team_id = $2) as "found!"
        "#,
        community.0,
        id,
    )
    .fetch_one(db)
    .await
}

/// A community's teams by id.
pub async fn list(
    db: impl PgExecutor<'_>,
    community: Community,
    window: Window<Uuid>,
) -> sqlx::Result<Vec<Team>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- activity.team_list
        select team_id, number, display_name, colour, created_at
        from activity.team
        where community_id = $1 and team_id > $2
        order by team_id
        limit $3
        "#,
        community.0,
        window.after,
        window.limit,
    )
    .fetch_all(db)
    .await?;
    let team = |row: Row| Team {
        community,
        id: row.team_id,
        number: row.number,
        display_name: row.display_name,
        colour: row.colour,
        created_at: row.created_at,
    };
    Ok(rows.into_iter().map(team).collect())
}
