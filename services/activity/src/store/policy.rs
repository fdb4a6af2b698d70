//! Policy revisions. Their text is only ever inserted.

use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, types::Json};
use uuid::Uuid;

use super::Window;
use crate::domain::{
    Community,
    policy::Policy,
    revision::{PolicyRevision, RevisionKey, RevisionState},
};

struct Row {
    revision_id: Uuid,
    programme_id: Uuid,
    number: i32,
    state: RevisionState,
    policy: Json<Policy>,
    created_at: DateTime<Utc>,
    effective_at: Option<DateTime<Utc>>,
    retired_at: Option<DateTime<Utc>>,
}

impl Row {
    fn revision(self, community: Community) -> PolicyRevision {
        PolicyRevision {
            community,
            id: self.revision_id,
            programme: self.programme_id,
            number: self.number,
            state: self.state,
            policy: self.policy.0,
            created_at: self.created_at,
            effective_at: self.effective_at,
            retired_at: self.retired_at,
        }
    }
}

/// Adds a draft.
pub async fn insert(db: impl PgExecutor<'_>, revision: &PolicyRevision) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.policy_insert
        insert into activity.policy_revision
            (community_id, revision_id, programme_id, number, state, policy, created_at)
        values ($1, $2, $3, $4, $5, $6, $7)
        "#,
        revision.community.0,
        revision.id,
        revision.programme,
        revision.number,
        revision.state as RevisionState,
        Json(&revision.policy) as _,
        revision.created_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The number of the newest revision of a locked programme; 0 when there is none.
pub async fn last_number(
    db: impl PgExecutor<'_>,
    community: Community,
    programme: Uuid,
) -> sqlx::Result<i32> {
    sqlx::query_scalar!(
        r#"
        -- activity.policy_last_number
        select coalesce(max(number), 0) as "number!" from activity.policy_revision
        where community_id = $1 and programme_id = $2
        "#,
        community.0,
        programme,
    )
    .fetch_one(db)
    .await
}

/// Finds a revision of a programme.
pub async fn find(
    db: impl PgExecutor<'_>,
    key: &RevisionKey,
) -> sqlx::Result<Option<PolicyRevision>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- activity.policy_find
        select revision_id, programme_id, number, state as "state: RevisionState", policy as "policy: Json<Policy>",
            created_at, effective_at, retired_at
        from activity.policy_revision
        where community_id = $1 and programme_id = $2 and revision_id = $3
        "#,
        key.community.0,
        key.programme,
        key.revision,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| row.revision(key.community)))
}

/// The revision of a programme that is in force.
pub async fn find_active(
    db: impl PgExecutor<'_>,
    community: Community,
    programme: Uuid,
) -> sqlx::Result<Option<PolicyRevision>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- activity.policy_find_active
        select revision_id, programme_id, number, state as "state: RevisionState", policy as "policy: Json<Policy>",
            created_at, effective_at, retired_at
        from activity.policy_revision
        where community_id = $1 and programme_id = $2 and state = 'active'
        "#,
        community.0,
        programme,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| row.revision(community)))
}

/// A programme's revisions, newest first, below a number.
pub async fn list(
    db: impl PgExecutor<'_>,
    community: Community,
    programme: Uuid,
    window: Window<i32>,
) -> sqlx::Result<Vec<PolicyRevision>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- activity.policy_list
        select revision_id, programme_id, number, state as "state: RevisionState", policy as "policy: Json<Policy>",
            created_at, effective_at, retired_at
        from activity.policy_revision
        where community_id = $1 and programme_id = $2 and number < $3
        order by number desc
        limit $4
        "#,
        community.0,
        programme,
        window.after,
        window.limit,
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| row.revision(community))
        .collect())
}

/// Writes where a revision stands.
pub async fn set_state(db: impl PgExecutor<'_>, revision: &PolicyRevision) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.policy_set_state
        update activity.policy_revision set state = $3, effective_at = $4, retired_at = $5
        where community_id = $1 and revision_id = $2
        "#,
        revision.community.0,
        revision.id,
        revision.state as RevisionState,
        revision.effective_at,
        revision.retired_at,
    )
    .execute(db)
    .await?;
    Ok(())
}
