//! What the ledger has yet to be told. A claim is a lease: it moves the row's due time ahead and counts an attempt, so a
//! row whose claimer died becomes due again by itself. Rows of one grant are claimed in order of their sequence.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::domain::Community;

/// What the ledger is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Kind {
    /// Post the grant.
    Post,
    /// Take it back.
    Revoke,
}

/// What is to be written.
#[derive(Debug, Clone)]
pub struct NewRow<'a> {
    pub community: Community,
    pub kind: Kind,
    pub grant: Uuid,
    pub traceparent: Option<&'a str>,
    pub at: DateTime<Utc>,
}

/// A claimed row.
#[derive(Debug, Clone)]
pub struct Claimed {
    pub sequence: i64,
    pub kind: Kind,
    pub grant_id: Uuid,
    pub traceparent: Option<String>,
    /// This one included.
    pub attempts: i32,
}

/// How much is claimed, from when to when.
#[derive(Debug, Clone, Copy)]
pub struct Lease {
    pub now: DateTime<Utc>,
    pub until: DateTime<Utc>,
    pub limit: i64,
}

/// Adds a row that is due at once.
pub async fn insert(db: impl PgExecutor<'_>, row: &NewRow<'_>) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.outbox_insert
        insert into activity.outbox (community_id, kind, grant_id, traceparent, created_at, due_at)
        values ($1, $2, $3, $4, $5, $5)
        "#,
        row.community.0,
        row.kind as Kind,
        row.grant,
        row.traceparent,
        row.at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Adds a posting of each grant, due at once.
pub async fn insert_posts(
    db: impl PgExecutor<'_>,
    community: Community,
    grants: &[Uuid],
    at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.outbox_insert_posts
        insert into activity.outbox (community_id, kind, grant_id, created_at, due_at)
        select $1, 'post', released.grant_id, $3, $3
        from unnest($2::uuid[]) with ordinality as released (grant_id, place)
        order by released.place
        "#,
        community.0,
        grants,
        at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Settles the posting of a grant that was never claimed; false when the ledger may have heard of it.
pub async fn cancel_post(
    db: impl PgExecutor<'_>,
    community: Community,
    grant: Uuid,
    at: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        r#"
        -- activity.outbox_cancel_post
        update activity.outbox set delivered_at = $3, last_error = 'revoked before it was posted'
        where community_id = $1 and grant_id = $2 and kind = 'post' and delivered_at is null and attempts = 0
        "#,
        community.0,
        grant,
        at,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Communities with rows that can be claimed, the longest waiting first. The one statement over all communities.
pub async fn communities_due(
    db: impl PgExecutor<'_>,
    now: DateTime<Utc>,
    limit: i64,
) -> sqlx::Result<Vec<Community>> {
    let ids = sqlx::query_scalar!(
        r#"
        -- activity.outbox_communities_due
        select community_id from activity.outbox as candidate
        where delivered_at is null and due_at <= $1
            and not exists (
                select from activity.outbox as earlier
                where earlier.community_id = candidate.community_id and earlier.grant_id = candidate.grant_id
                    and earlier.sequence < candidate.sequence and earlier.delivered_at is null
            )
        group by community_id
        order by min(due_at)
        limit $2
        "#,
        now,
        limit,
    )
    .fetch_all(db)
    .await?;
    Ok(ids.into_iter().map(Community).collect())
}

/// Claims rows of a community that are due and whose grant has no earlier row open.
pub async fn claim(
    db: impl PgExecutor<'_>,
    community: Community,
    lease: Lease,
) -> sqlx::Result<Vec<Claimed>> {
    let mut claimed = sqlx::query_as!(
        Claimed,
        r#"
        -- activity.outbox_claim
        with due as (
            select sequence from activity.outbox as candidate
            where community_id = $1 and delivered_at is null and due_at <= $2
                and not exists (
                    select from activity.outbox as earlier
                    where earlier.community_id = $1 and earlier.grant_id = candidate.grant_id
                        and earlier.sequence < candidate.sequence and earlier.delivered_at is null
                )
            order by sequence
            limit $4
            for update skip locked
        )
        update activity.outbox as taken set due_at = $3, attempts = taken.attempts + 1
        from due
        where taken.community_id = $1 and taken.sequence = due.sequence
        returning taken.sequence, taken.kind as "kind: Kind", taken.grant_id, taken.traceparent, taken.attempts
        "#,
        community.0,
        lease.now,
        lease.until,
        lease.limit,
    )
    .fetch_all(db)
    .await?;
    claimed.sort_by_key(|row| row.sequence);
    Ok(claimed)
}

/// Settles rows.
pub async fn settle(
    db: impl PgExecutor<'_>,
    community: Community,
    sequences: &[i64],
    at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.outbox_settle
        update activity.outbox set delivered_at = $3
        where community_id = $1 and sequence = any($2) and delivered_at is null
        "#,
        community.0,
        sequences,
        at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Makes claimed rows due again later, and keeps why.
pub async fn postpone(
    db: impl PgExecutor<'_>,
    community: Community,
    rows: &[Postponed],
) -> sqlx::Result<()> {
    let sequences: Vec<i64> = rows.iter().map(|row| row.sequence).collect();
    let due: Vec<DateTime<Utc>> = rows.iter().map(|row| row.due_at).collect();
    let errors: Vec<String> = rows.iter().map(|row| row.error.clone()).collect();
    sqlx::query!(
        r#"
        -- activity.outbox_postpone
        update activity.outbox set due_at = late.due_at, last_error = late.error
        from unnest($2::bigint[], $3::timestamptz[], $4::text[]) as late (sequence, due_at, error)
        where community_id = $1 and outbox.sequence = late.sequence and delivered_at is null
        "#,
        community.0,
        &sequences,
        &due,
        &errors,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A row that could not be delivered now.
#[derive(Debug, Clone)]
pub struct Postponed {
    pub sequence: i64,
    pub due_at: DateTime<Utc>,
    pub error: String,
}
