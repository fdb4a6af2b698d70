//! Steps of points pledges towards the ledger.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use super::{find, word};
use crate::domain::{
    Community,
    operation::{Kind, Step, StepKey},
};

const KINDS: [(&str, Kind); 4] = [
    ("hold", Kind::Hold),
    ("capture", Kind::Capture),
    ("release", Kind::Release),
    ("reverse", Kind::Reverse),
];

/// A step to write down.
#[derive(Debug)]
pub struct NewStep {
    pub key: StepKey,
    /// The call that waits for it.
    pub request_id: Option<Uuid>,
    pub now: DateTime<Utc>,
    /// When a recovery loop may take it up.
    pub due_at: DateTime<Utc>,
}

/// Adds a step, in the trace of the present call.
pub async fn insert(db: impl PgExecutor<'_>, step: &NewStep) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- wish.operation_insert
        insert into wish.operation
            (community_id, pledge_id, kind, request_id, state, traceparent, due_at, attempts, created_at)
        values ($1, $2, $3, $4, 'pending', $5, $6, 0, $7)
        "#,
        step.key.community.0,
        step.key.pledge,
        word(&KINDS, &step.key.kind),
        step.request_id,
        runtime::current_traceparent(),
        step.due_at,
        step.now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Adds a release for each of a community's pledges, due at once, that no call waits for.
pub async fn insert_releases(
    db: impl PgExecutor<'_>,
    community: Community,
    pledges: &[Uuid],
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- wish.operation_insert_releases
        insert into wish.operation (community_id, pledge_id, kind, state, traceparent, due_at, attempts, created_at)
        select $1, pledge_id, 'release', 'pending', $3, $4, 0, $4
        from unnest($2::uuid[]) as pledge_id
        "#,
        community.0,
        pledges,
        runtime::current_traceparent(),
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Returns a step that is still pending.
pub async fn find_pending(
    db: impl PgExecutor<'_>,
    community: Community,
    pledge: Uuid,
) -> sqlx::Result<Option<Step>> {
    let row = sqlx::query!(
        r#"
        -- wish.operation_find_pending
        select o.kind, o.request_id, p.wish_id, p.programme_id, p.member_id as "member_id!", p.quantity, w.supplier_id, w.title,
            w.confirms_until, c.ledger_entry as "captured?", a.reason as "reason?"
        from wish.operation o
        left join wish.operation c on c.community_id = $1 and c.pledge_id = o.pledge_id and c.kind = 'capture'
        left join wish.answer a on a.community_id = $1 and a.request_id = o.request_id
        join wish.pledge p on p.community_id = $1 and p.pledge_id = o.pledge_id
        join wish.wish w on w.community_id = $1 and w.wish_id = p.wish_id
        where o.community_id = $1 and o.pledge_id = $2 and o.state = 'pending'
        "#,
        community.0,
        pledge,
    )
    .fetch_optional(db)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Step {
        key: StepKey {
            community,
            pledge,
            kind: find(&KINDS, &row.kind)?,
        },
        request_id: row.request_id,
        wish: row.wish_id,
        programme: row.programme_id,
        member: row.member_id,
        quantity: row.quantity,
        supplier: row.supplier_id,
        title: row.title,
        confirms_until: row.confirms_until,
        captured: row.captured,
        reason: row.reason.unwrap_or_default(),
    }))
}

/// Ends a pending step by what the ledger said: the entry it made, or nothing when it refused. False when it has ended before.
///
/// The call is part of what is ended: a step that was refused and removed may have a successor of the same kind.
pub async fn end(db: impl PgExecutor<'_>, step: &Step, entry: Option<i64>) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        r#"
        -- wish.operation_end
        update wish.operation
        set state = case when $4::bigint is null then 'refused' else 'done' end, ledger_entry = $4
        where community_id = $1 and pledge_id = $2 and kind = $3 and state = 'pending' and request_id is not distinct from $5
        "#,
        step.key.community.0,
        step.key.pledge,
        word(&KINDS, &step.key.kind),
        entry,
        step.request_id,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Removes a step that the ledger refused, so that there can be another of its kind.
pub async fn delete(db: impl PgExecutor<'_>, key: StepKey) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- wish.operation_delete
        delete from wish.operation where community_id = $1 and pledge_id = $2 and kind = $3 and state = 'refused'
        "#,
        key.community.0,
        key.pledge,
        word(&KINDS, &key.kind),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Lets a recovery loop take up a pending step from an instant on.
pub async fn postpone(
    db: impl PgExecutor<'_>,
    key: StepKey,
    due_at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- wish.operation_postpone
        update wish.operation set due_at = $4
        where community_id = $1 and pledge_id = $2 and kind = $3 and state = 'pending'
        "#,
        key.community.0,
        key.pledge,
        word(&KINDS, &key.kind),
        due_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Picks a community with a step that is due.
pub async fn due_community(
    db: impl PgExecutor<'_>,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<Community>> {
    let community = sqlx::query_scalar!(
        r#"
        -- wish.operation_due_community
        select community_id from wish.operation where state = 'pending' and due_at <= $1 order by due_at limit 1
        "#,
        now,
    )
    .fetch_optional(db)
    .await?;
    Ok(community.map(Community))
}

/// A step to be taken up.
#[derive(Debug)]
pub struct Due {
    pub pledge: Uuid,
    /// The trace of its call.
    pub traceparent: Option<String>,
}

/// Claims the steps of a community that are due, longest due first; others may take them up from `until` on.
pub async fn claim_due(
    db: impl PgExecutor<'_>,
    community: Community,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> sqlx::Result<Vec<Due>> {
    let rows = sqlx::query!(
        r#"
        -- wish.operation_claim_due
        update wish.operation
        set due_at = $3, attempts = attempts + 1
        where community_id = $1 and state = 'pending' and pledge_id in (
            select pledge_id
            from wish.operation
            where community_id = $1 and state = 'pending' and due_at <= $2
            order by due_at
            limit 20
            for update skip locked
        )
        returning pledge_id, traceparent
        "#,
        community.0,
        now,
        until,
    )
    .fetch_all(db)
    .await?;
    let due = rows.into_iter().map(|row| Due {
        pledge: row.pledge_id,
        traceparent: row.traceparent,
    });
    Ok(due.collect())
}
