//! Steps of redemptions towards the ledger, and what they changed.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use super::known;
use crate::domain::{Kind, Name, Operation};

/// Reads a step that is still pending.
pub async fn operation_find_pending(
    db: impl PgExecutor<'_>,
    name: Name,
) -> sqlx::Result<Option<Operation>> {
    let row = sqlx::query!(
        r#"
        -- redemption.operation_find_pending
        select community_id, operation_id, redemption_id, kind, quantity, operator, reason, traceparent, due_at, created_at
        from redemption.operation
        where community_id = $1 and operation_id = $2 and state = 'pending'
        "#,
        name.community,
        name.id,
    )
    .fetch_optional(db)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Operation {
        community: row.community_id,
        id: row.operation_id,
        redemption: row.redemption_id,
        kind: known(Kind::parse(&row.kind), &row.kind)?,
        quantity: row.quantity,
        operator: row.operator,
        reason: row.reason,
        traceparent: row.traceparent,
        due_at: row.due_at,
        created_at: row.created_at,
    }))
}

/// Lets a recovery loop take up a pending step from an instant on.
pub async fn operation_release(
    db: impl PgExecutor<'_>,
    operation: Name,
    due_at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.operation_release
        update redemption.operation
        set due_at = $3
        where community_id = $1 and operation_id = $2 and state = 'pending'
        "#,
        operation.community,
        operation.id,
        due_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Picks a community with a step that is due.
pub async fn operation_due_community(
    db: impl PgExecutor<'_>,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        r#"
        -- redemption.operation_due_community
        select community_id
        from redemption.operation
        where state = 'pending' and due_at <= $1
        order by due_at
        limit 1
        "#,
        now,
    )
    .fetch_optional(db)
    .await
}

/// For how long whoever claims a step may work on it alone.
#[derive(Debug, Clone, Copy)]
pub struct Lease {
    /// When it begins.
    pub now: DateTime<Utc>,
    /// When others may take the step up.
    pub until: DateTime<Utc>,
}

/// A step to be taken up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Its id.
    pub operation: Uuid,
    /// The trace of its call.
    pub traceparent: Option<String>,
}

/// Claims the steps of a community that are due, longest due first, under a lease.
pub async fn operation_claim_due(
    db: impl PgExecutor<'_>,
    community: Uuid,
    lease: Lease,
) -> sqlx::Result<Vec<Due>> {
    let rows = sqlx::query!(
        r#"
        -- redemption.operation_claim_due
        update redemption.operation
        set due_at = $3, attempts = attempts + 1
        where community_id = $1 and operation_id in (
            select operation_id
            from redemption.operation
            where community_id = $1 and state = 'pending' and due_at <= $2
            order by due_at
            limit 20
            for update skip locked
        )
        returning operation_id, traceparent
        "#,
        community,
        lease.now,
        lease.until,
    )
    .fetch_all(db)
    .await?;
    let due = rows.into_iter().map(|row| Due {
        operation: row.operation_id,
        traceparent: row.traceparent,
    });
    Ok(due.collect())
}
