//! The lines of payouts. Those that move are due for the ledger until it has answered.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use super::Window;
use crate::domain::{
    Community,
    payout::{Line, LineState},
};

struct Row {
    line: i32,
    member_id: Uuid,
    amount: i64,
    state: LineState,
    entry: Option<i64>,
    note: String,
    steps_id: Uuid,
}

impl Row {
    fn line(self) -> Line {
        Line {
            number: self.line,
            member: self.member_id,
            amount: self.amount,
            state: self.state,
            entry: self.entry,
            note: self.note,
            steps: self.steps_id,
        }
    }
}

/// Adds the lines of a new payout; each is due at once.
pub async fn insert(
    db: impl PgExecutor<'_>,
    (community, payout): (Community, Uuid),
    lines: &[Line],
    due_at: DateTime<Utc>,
) -> sqlx::Result<()> {
    let numbers: Vec<i32> = lines.iter().map(|line| line.number).collect();
    let members: Vec<Uuid> = lines.iter().map(|line| line.member).collect();
    let amounts: Vec<i64> = lines.iter().map(|line| line.amount).collect();
    let steps: Vec<Uuid> = lines.iter().map(|line| line.steps).collect();
    sqlx::query!(
        r#"
        -- activity.payout_line_insert
        insert into activity.payout_line (community_id, payout_id, line, member_id, amount, steps_id, state, due_at)
        select $1, $2, new.line, new.member_id, new.amount, new.steps_id, 'pending', $7
        from unnest($3::integer[], $4::uuid[], $5::bigint[], $6::uuid[]) as new (line, member_id, amount, steps_id)
        "#,
        community.0,
        payout,
        &numbers,
        &members,
        &amounts,
        &steps,
        due_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// All lines of a payout by number.
pub async fn all(
    db: impl PgExecutor<'_>,
    (community, payout): (Community, Uuid),
) -> sqlx::Result<Vec<Line>> {
    let window = Window {
        after: 0,
        limit: i64::MAX,
    };
    list(db, (community, payout), window).await
}

/// A payout's lines by number.
pub async fn list(
    db: impl PgExecutor<'_>,
    (community, payout): (Community, Uuid),
    window: Window<i32>,
) -> sqlx::Result<Vec<Line>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- activity.payout_line_list
        select line, member_id, amount, state as "state: LineState", entry, note, steps_id
        from activity.payout_line
        where community_id = $1 and payout_id = $2 and line > $3
        order by line
        limit $4
        "#,
        community.0,
        payout,
        window.after,
        window.limit,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Row::line).collect())
}

/// Some lines of a payout.
pub async fn find(
    db: impl PgExecutor<'_>,
    (community, payout): (Community, Uuid),
    numbers: &[i32],
) -> sqlx::Result<Vec<Line>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- activity.payout_line_find
        select line, member_id, amount, state as "state: LineState", entry, note, steps_id
        from activity.payout_line
        where community_id = $1 and payout_id = $2 and line = any($3)
        order by line
        "#,
        community.0,
        payout,
        numbers,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Row::line).collect())
}

/// Writes where lines of a locked payout stand; those that move are due at `due_at`.
pub async fn set_states(
    db: impl PgExecutor<'_>,
    (community, payout): (Community, Uuid),
    lines: &[Line],
    due_at: DateTime<Utc>,
) -> sqlx::Result<()> {
    let numbers: Vec<i32> = lines.iter().map(|line| line.number).collect();
    let states: Vec<LineState> = lines.iter().map(|line| line.state).collect();
    let entries: Vec<Option<i64>> = lines.iter().map(|line| line.entry).collect();
    let notes: Vec<String> = lines.iter().map(|line| line.note.clone()).collect();
    let due = |line: &Line| line.state.is_moving().then_some(due_at);
    let due: Vec<Option<DateTime<Utc>>> = lines.iter().map(due).collect();
    sqlx::query!(
        r#"
        -- activity.payout_line_set_states
        update activity.payout_line
        set state = new.state, entry = new.entry, note = new.note, due_at = new.due_at, attempts = 0
        from unnest($3::integer[], $4::text[], $5::bigint[], $6::text[], $7::timestamptz[]) as new (line, state, entry, note, due_at)
        where community_id = $1 and payout_id = $2 and payout_line.line = new.line
        "#,
        community.0,
        payout,
        &numbers,
        &states as &[LineState],
        &entries as &[Option<i64>],
        &notes,
        &due as &[Option<DateTime<Utc>>],
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Whether a line of a payout waits to be held.
pub async fn is_any_pending(
    db: impl PgExecutor<'_>,
    (community, payout): (Community, Uuid),
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"
        -- activity.payout_line_is_any_pending
        select exists (
            select from activity.payout_line where community_id = $1 and payout_id = $2 and state = 'pending'
        ) as "any!"
        "#,
        community.0,
        payout,
    )
    .fetch_one(db)
    .await
}

/// A community in which a line is due.
pub async fn community_due(
    db: impl PgExecutor<'_>,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<Community>> {
    let community = sqlx::query_scalar!(
        r#"
        -- activity.payout_line_community_due
        select community_id from activity.payout_line where due_at <= $1 order by due_at limit 1
        "#,
        now,
    )
    .fetch_optional(db)
    .await?;
    Ok(community.map(Community))
}

/// A line to tell the ledger of.
#[derive(Debug, Clone)]
pub struct Claimed {
    pub payout: Uuid,
    pub line: Line,
    /// This one included.
    pub attempts: i32,
}

/// From when until when lines are whose.
#[derive(Debug, Clone, Copy)]
pub struct Lease {
    pub now: DateTime<Utc>,
    pub until: DateTime<Utc>,
    /// How many.
    pub limit: i64,
}

/// Takes the lines of a community that have been due longest, and keeps them from others for a while.
pub async fn claim_due(
    db: impl PgExecutor<'_>,
    community: Community,
    lease: Lease,
) -> sqlx::Result<Vec<Claimed>> {
    let rows = sqlx::query!(
        r#"
        -- activity.payout_line_claim_due
        update activity.payout_line set due_at = $3, attempts = attempts + 1
        where community_id = $1 and (payout_id, line) in (
            select payout_id, line from activity.payout_line
            where community_id = $1 and due_at <= $2
            order by due_at, payout_id, line
            limit $4
            for no key update skip locked
        )
        returning payout_id, line, member_id, amount, state as "state: LineState", entry, note, steps_id, attempts
        "#,
        community.0,
        lease.now,
        lease.until,
        lease.limit,
    )
    .fetch_all(db)
    .await?;
    let claimed = rows.into_iter().map(|row| Claimed {
        payout: row.payout_id,
        line: Line {
            number: row.line,
            member: row.member_id,
            amount: row.amount,
            state: row.state,
            entry: row.entry,
            note: row.note,
            steps: row.steps_id,
        },
        attempts: row.attempts,
    });
    Ok(claimed.collect())
}

/// Lets a claimed line wait until it is tried again.
pub async fn postpone(
    db: impl PgExecutor<'_>,
    (community, payout): (Community, Uuid),
    line: i32,
    due_at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.payout_line_postpone
        update activity.payout_line set due_at = $4
        where community_id = $1 and payout_id = $2 and line = $3 and due_at is not null
        "#,
        community.0,
        payout,
        line,
        due_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// What a member was paid in a programme.
pub async fn paid_to(
    db: impl PgExecutor<'_>,
    (community, programme): (Community, Uuid),
    member: Uuid,
) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"
        -- activity.payout_line_paid_to
        select coalesce(sum(amount), 0)::bigint as "paid!"
        from activity.payout_line
        join activity.payout on payout.community_id = $1 and payout.payout_id = payout_line.payout_id
        where payout_line.community_id = $1 and member_id = $3 and programme_id = $2 and payout_line.state = 'paid'
        "#,
        community.0,
        programme,
        member,
    )
    .fetch_one(db)
    .await
}

/// The numbers that the members of a payout are known by, those of the erased too.
pub async fn numbers(
    db: impl PgExecutor<'_>,
    (community, payout): (Community, Uuid),
) -> sqlx::Result<Vec<(Uuid, String)>> {
    let rows = sqlx::query!(
        r#"
        -- activity.payout_line_numbers
        select member.member_id, number
        from activity.payout_line
        join activity.member on member.community_id = $1 and member.member_id = payout_line.member_id
        where payout_line.community_id = $1 and payout_id = $2
        "#,
        community.0,
        payout,
    )
    .fetch_all(db)
    .await?;
    let rows = rows.into_iter();
    Ok(rows.map(|row| (row.member_id, row.number)).collect())
}

/// Those of some members whom somebody can still name.
pub async fn payable(
    db: impl PgExecutor<'_>,
    community: Community,
    members: &[Uuid],
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        -- activity.payout_line_payable
        select member_id from activity.member
        where community_id = $1 and member_id = any($2) and erased_at is null
        "#,
        community.0,
        members,
    )
    .fetch_all(db)
    .await
}
