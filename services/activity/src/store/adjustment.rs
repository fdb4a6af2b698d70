//! Adjustments. Those that are approved are due for the ledger until it has answered.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use super::Window;
use crate::domain::{
    Community,
    adjustment::{Adjustment, AdjustmentState, Change},
};

struct Row {
    adjustment_id: Uuid,
    programme_id: Uuid,
    member_id: Option<Uuid>,
    amount: Option<i64>,
    expires_at: Option<DateTime<Utc>>,
    budget: Option<i64>,
    reason: String,
    state: AdjustmentState,
    proposed_by: String,
    proposed_at: DateTime<Utc>,
    decided_by: Option<String>,
    decided_at: Option<DateTime<Utc>>,
    entry: Option<i64>,
    refusal: Option<String>,
}

impl Row {
    fn adjustment(self, community: Community) -> Adjustment {
        let change = match (self.member_id, self.amount) {
            (Some(member), Some(amount)) => Change::Points {
                member,
                amount,
                expires_at: self.expires_at,
            },
            _ => Change::Budget(self.budget),
        };
        Adjustment {
            community,
            id: self.adjustment_id,
            programme: self.programme_id,
            change,
            reason: self.reason,
            state: self.state,
            proposed_by: self.proposed_by,
            proposed_at: self.proposed_at,
            decided_by: self.decided_by,
            decided_at: self.decided_at,
            entry: self.entry,
            refusal: self.refusal,
        }
    }
}

/// Adds a proposed one.
pub async fn insert(db: impl PgExecutor<'_>, adjustment: &Adjustment) -> sqlx::Result<()> {
    let (member, amount, expires_at, budget) = match adjustment.change {
        Change::Points {
            member,
            amount,
            expires_at,
        } => (Some(member), Some(amount), expires_at, None),
        Change::Budget(budget) => (None, None, None, budget),
    };
    sqlx::query!(
        r#"
        -- activity.adjustment_insert
        insert into activity.adjustment
            (community_id, adjustment_id, programme_id, member_id, amount, expires_at, budget, reason, state, proposed_by, proposed_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        "#,
        adjustment.community.0,
        adjustment.id,
        adjustment.programme,
        member,
        amount,
        expires_at,
        budget,
        adjustment.reason,
        adjustment.state as AdjustmentState,
        adjustment.proposed_by,
        adjustment.proposed_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Locks one; false when it is not there.
pub async fn lock(db: impl PgExecutor<'_>, community: Community, id: Uuid) -> sqlx::Result<bool> {
    let row = sqlx::query!(
        r#"
        -- activity.adjustment_lock
        select adjustment_id from activity.adjustment where community_id = $1 and adjustment_id = $2 for no key update
        "#,
        community.0,
        id,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.is_some())
}

/// The change of a locked programme's budget that the ledger has not taken yet, if there is one.
pub async fn budget_changing(
    db: impl PgExecutor<'_>,
    (community, programme): (Community, Uuid),
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        r#"
        -- activity.adjustment_budget_changing
        select adjustment_id from activity.adjustment
        where community_id = $1 and programme_id = $2 and member_id is null and state = 'approved'
        limit 1
        "#,
        community.0,
        programme,
    )
    .fetch_optional(db)
    .await
}

/// Finds one.
pub async fn find(
    db: impl PgExecutor<'_>,
    community: Community,
    id: Uuid,
) -> sqlx::Result<Option<Adjustment>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- activity.adjustment_find
        select adjustment_id, programme_id, member_id, amount, expires_at, budget, reason, state as "state: AdjustmentState",
            proposed_by, proposed_at, decided_by, decided_at, entry, refusal
        from activity.adjustment
        where community_id = $1 and adjustment_id = $2
        "#,
        community.0,
        id,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| row.adjustment(community)))
}

/// A programme's by id.
pub async fn list(
    db: impl PgExecutor<'_>,
    (community, programme): (Community, Uuid),
    state: Option<AdjustmentState>,
    window: Window<Uuid>,
) -> sqlx::Result<Vec<Adjustment>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- activity.adjustment_list
        select adjustment_id, programme_id, member_id, amount, expires_at, budget, reason, state as "state: AdjustmentState",
            proposed_by, proposed_at, decided_by, decided_at, entry, refusal
        from activity.adjustment
        where community_id = $1 and programme_id = $2 and adjustment_id > $3
            and ($4::text is null or state = $4)
        order by adjustment_id
        limit $5
        "#,
        community.0,
        programme,
        window.after,
        state as Option<AdjustmentState>,
        window.limit,
    )
    .fetch_all(db)
    .await?;
    let rows = rows.into_iter();
    Ok(rows.map(|row| row.adjustment(community)).collect())
}

/// Writes where a locked one stands; an approved one is due at once.
pub async fn set_state(
    db: impl PgExecutor<'_>,
    adjustment: &Adjustment,
    due_at: Option<DateTime<Utc>>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.adjustment_set_state
        update activity.adjustment set state = $3, decided_by = $4, decided_at = $5, due_at = $6, entry = $7, refusal = $8
        where community_id = $1 and adjustment_id = $2
        "#,
        adjustment.community.0,
        adjustment.id,
        adjustment.state as AdjustmentState,
        adjustment.decided_by,
        adjustment.decided_at,
        due_at,
        adjustment.entry,
        adjustment.refusal,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A community in which one is due.
pub async fn community_due(
    db: impl PgExecutor<'_>,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<Community>> {
    let community = sqlx::query_scalar!(
        r#"
        -- activity.adjustment_community_due
        select community_id from activity.adjustment where state = 'approved' and due_at <= $1 order by due_at limit 1
        "#,
        now,
    )
    .fetch_optional(db)
    .await?;
    Ok(community.map(Community))
}

/// Takes the one of a community that was approved first among those that are due, and keeps it from others until `until`.
pub async fn claim_due(
    db: impl PgExecutor<'_>,
    community: Community,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> sqlx::Result<Option<(Uuid, i32)>> {
    let row = sqlx::query!(
        r#"
        -- activity.adjustment_claim_due
        update activity.adjustment set due_at = $3, attempts = attempts + 1
        where community_id = $1 and adjustment_id = (
            select adjustment_id from activity.adjustment
            where community_id = $1 and state = 'approved' and due_at <= $2
            order by decided_at, adjustment_id
            limit 1
            for no key update skip locked
        )
        returning adjustment_id, attempts
        "#,
        community.0,
        now,
        until,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| (row.adjustment_id, row.attempts)))
}

/// Lets a claimed one wait until it is tried again.
pub async fn postpone(
    db: impl PgExecutor<'_>,
    community: Community,
    id: Uuid,
    due_at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.adjustment_postpone
        update activity.adjustment set due_at = $3
        where community_id = $1 and adjustment_id = $2 and state = 'approved'
        "#,
        community.0,
        id,
        due_at,
    )
    .execute(db)
    .await?;
    Ok(())
}
