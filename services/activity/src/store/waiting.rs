//! Grants that wait for budget. Whether one fits is read from the programme's own sums, so nothing has to remember that budget came.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::domain::{Community, waiting::Released};

/// A grant that waits, with the revision it was decided under.
#[derive(Debug, Clone)]
pub struct Fitting {
    pub grant_id: Uuid,
    pub member_id: Uuid,
    pub amount: i64,
    pub revision_id: Option<Uuid>,
}

/// Programmes in which some grant waits that would fit by now. Of all communities.
pub async fn programmes_fitting(
    db: impl PgExecutor<'_>,
    now: DateTime<Utc>,
    limit: i64,
) -> sqlx::Result<Vec<(Community, Uuid)>> {
    let rows = sqlx::query!(
        r#"
        -- activity.waiting_programmes_fitting
        select community_id, programme_id from activity.programme
        where awaiting > 0 and exists (
            select from activity.reward_grant as waiting
            where waiting.community_id = programme.community_id and waiting.programme_id = programme.programme_id
                and waiting.state = 'awaiting_budget'
                and waiting.amount <= coalesce(programme.budget - programme.granted, waiting.amount)
                and (waiting.retry_at is null or waiting.retry_at <= $1)
        )
        limit $2
        "#,
        now,
        limit,
    )
    .fetch_all(db)
    .await?;
    let keys = rows
        .into_iter()
        .map(|row| (Community(row.community_id), row.programme_id));
    Ok(keys.collect())
}

/// The grants of a locked programme that wait and are each for no more than what is left, in the order of their decision.
pub async fn list_fitting(
    db: impl PgExecutor<'_>,
    (community, programme): (Community, Uuid),
    left: Option<i64>,
    now: DateTime<Utc>,
    limit: i64,
) -> sqlx::Result<Vec<Fitting>> {
    sqlx::query_as!(
        Fitting,
        r#"
        -- activity.waiting_list_fitting
        select grant_id, member_id, amount, revision_id from activity.reward_grant
        where community_id = $1 and programme_id = $2 and state = 'awaiting_budget' and amount <= $3
            and (retry_at is null or retry_at <= $4)
        order by created_at, grant_id
        limit $5
        "#,
        community.0,
        programme,
        left.unwrap_or(i64::MAX),
        now,
        limit,
    )
    .fetch_all(db)
    .await
}

/// Grants what waited in a locked programme; returns how many.
pub async fn release(
    db: impl PgExecutor<'_>,
    community: Community,
    released: &[Released],
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let ids: Vec<Uuid> = released.iter().map(|one| one.grant).collect();
    let expiries: Vec<Option<DateTime<Utc>>> = released.iter().map(|one| one.expires_at).collect();
    let done = sqlx::query!(
        r#"
        -- activity.waiting_release
        update activity.reward_grant set state = 'pending', counted = reward_grant.amount,
            expires_at = made.expires_at, granted_at = $4, retry_at = null,
            -- The release before did not count what the ledger refused under the first id.
            posting = greatest(posting, (exists (
                select from activity.outbox as asked
                where asked.community_id = $1 and asked.grant_id = reward_grant.grant_id and asked.kind = 'post'
            ))::integer)
        from unnest($2::uuid[], $3::timestamptz[]) as made (grant_id, expires_at)
        where community_id = $1 and reward_grant.grant_id = made.grant_id and state = 'awaiting_budget'
        "#,
        community.0,
        &ids,
        &expiries as &[Option<DateTime<Utc>>],
        now,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Writes that the ledger's own limit refused locked grants, and when each may be tried again.
pub async fn set_refused(
    db: impl PgExecutor<'_>,
    community: Community,
    refused: &[(Uuid, DateTime<Utc>)],
) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = refused.iter().map(|(id, _)| *id).collect();
    let times: Vec<DateTime<Utc>> = refused.iter().map(|(_, at)| *at).collect();
    sqlx::query!(
        r#"
        -- activity.waiting_set_refused
        update activity.reward_grant set posting = posting + 1, retry_at = late.retry_at, granted_at = null
        from unnest($2::uuid[], $3::timestamptz[]) as late (grant_id, retry_at)
        where community_id = $1 and reward_grant.grant_id = late.grant_id
        "#,
        community.0,
        &ids,
        &times,
    )
    .execute(db)
    .await?;
    Ok(())
}
