//! Grants. The decision and its arithmetic are inserted once; only where a grant stands is updated.

use std::ops::Range;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgExecutor, types::Json};
use uuid::Uuid;

use super::Window;
use crate::domain::{
    Community,
    grant::{Grant, GrantFilter, GrantState, Step},
    policy::{Arithmetic, Counted, Source},
};

struct Row {
    grant_id: Uuid,
    programme_id: Uuid,
    member_id: Uuid,
    record_id: Uuid,
    revision_id: Option<Uuid>,
    source: Source,
    local_date: NaiveDate,
    amount: i64,
    expires_at: Option<DateTime<Utc>>,
    state: GrantState,
    counted: i64,
    entry_sequence: Option<i64>,
    revoked_amount: i64,
    created_at: DateTime<Utc>,
    granted_at: Option<DateTime<Utc>>,
    posting: i32,
}

impl Row {
    fn grant(self, community: Community) -> Grant {
        Grant {
            community,
            id: self.grant_id,
            programme: self.programme_id,
            member: self.member_id,
            record: self.record_id,
            revision: self.revision_id,
            source: self.source,
            local_date: self.local_date,
            amount: self.amount,
            expires_at: self.expires_at,
            state: self.state,
            counted: self.counted,
            entry_sequence: self.entry_sequence,
            revoked_amount: self.revoked_amount,
            created_at: self.created_at,
            granted_at: self.granted_at,
            posting: self.posting,
        }
    }
}

/// Adds a decided grant with its arithmetic.
pub async fn insert(
    db: impl PgExecutor<'_>,
    grant: &Grant,
    arithmetic: &Arithmetic,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.grant_insert
        insert into activity.reward_grant
            (community_id, grant_id, programme_id, member_id, record_id, revision_id, source, local_date, amount,
            expires_at, arithmetic, created_at, state, counted)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        "#,
        grant.community.0,
        grant.id,
        grant.programme,
        grant.member,
        grant.record,
        grant.revision,
        grant.source as Source,
        grant.local_date,
        grant.amount,
        grant.expires_at,
        Json(arithmetic) as _,
        grant.created_at,
        grant.state as GrantState,
        grant.counted,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// What a member's grants of a programme count on some local dates. The member is locked.
pub async fn list_counted(
    db: impl PgExecutor<'_>,
    community: Community,
    (programme, member): (Uuid, Uuid),
    dates: Range<NaiveDate>,
) -> sqlx::Result<Vec<Counted>> {
    sqlx::query_as!(
        Counted,
        r#"
        -- activity.grant_list_counted
        select source as "source: Source", local_date, counted as amount
        from activity.reward_grant
        where community_id = $1 and programme_id = $2 and member_id = $3
            and local_date >= $4 and local_date < $5 and counted > 0
        "#,
        community.0,
        programme,
        member,
        dates.start,
        dates.end,
    )
    .fetch_all(db)
    .await
}

/// The id of the grant that a service record earned.
pub async fn find_of_record(
    db: impl PgExecutor<'_>,
    community: Community,
    record: Uuid,
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        r#"
        -- activity.grant_find_of_record
        select grant_id from activity.reward_grant where community_id = $1 and record_id = $2 and source = 'service'
        "#,
        community.0,
        record,
    )
    .fetch_optional(db)
    .await
}

/// Locks grants in order of their ids.
pub async fn lock(db: impl PgExecutor<'_>, community: Community, ids: &[Uuid]) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.grant_lock
        select grant_id from activity.reward_grant
        where community_id = $1 and grant_id = any($2)
        order by grant_id
        for no key update
        "#,
        community.0,
        ids,
    )
    .fetch_all(db)
    .await?;
    Ok(())
}

/// Finds grants by their ids.
pub async fn find_many(
    db: impl PgExecutor<'_>,
    community: Community,
    ids: &[Uuid],
) -> sqlx::Result<Vec<Grant>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- activity.grant_find_many
        select grant_id, programme_id, member_id, record_id, revision_id, source as "source: Source", local_date, amount,
            expires_at, state as "state: GrantState", counted, entry_sequence, revoked_amount, created_at, granted_at,
            posting
        from activity.reward_grant
        where community_id = $1 and grant_id = any($2)
        "#,
        community.0,
        ids,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| row.grant(community)).collect())
}

/// Finds a grant.
pub async fn find(
    db: impl PgExecutor<'_>,
    community: Community,
    id: Uuid,
) -> sqlx::Result<Option<Grant>> {
    Ok(find_many(db, community, &[id]).await?.pop())
}

/// The arithmetic a grant was decided by.
pub async fn find_arithmetic(
    db: impl PgExecutor<'_>,
    community: Community,
    id: Uuid,
) -> sqlx::Result<Option<Arithmetic>> {
    let arithmetic = sqlx::query_scalar!(
        r#"
        -- activity.grant_find_arithmetic
        select arithmetic as "arithmetic: Json<Arithmetic>" from activity.reward_grant
        where community_id = $1 and grant_id = $2
        "#,
        community.0,
        id,
    )
    .fetch_optional(db)
    .await?;
    Ok(arithmetic.map(|Json(arithmetic)| arithmetic))
}

/// A programme's grants by id, all or one member's or those in one state.
pub async fn list(
    db: impl PgExecutor<'_>,
    filter: GrantFilter,
    window: Window<Uuid>,
) -> sqlx::Result<Vec<Grant>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- activity.grant_list
        select grant_id, programme_id, member_id, record_id, revision_id, source as "source: Source", local_date, amount,
            expires_at, state as "state: GrantState", counted, entry_sequence, revoked_amount, created_at, granted_at,
            posting
        from activity.reward_grant
        where community_id = $1 and programme_id = $2 and grant_id > $3
            and ($4::uuid is null or member_id = $4)
            and ($5::text is null or state = $5)
        order by grant_id
        limit $6
        "#,
        filter.community.0,
        filter.programme,
        window.after,
        filter.member,
        filter.state as Option<GrantState>,
        window.limit,
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| row.grant(filter.community))
        .collect())
}

/// A step of one grant, with the ledger's entry when the step came with one.
#[derive(Debug, Clone)]
pub struct Move {
    pub grant: Uuid,
    pub step: Step,
    pub entry: Option<i64>,
}

/// Writes the steps of locked grants. An entry that is known stays known.
pub async fn set_steps(
    db: impl PgExecutor<'_>,
    community: Community,
    moves: &[Move],
) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = moves.iter().map(|made| made.grant).collect();
    let states: Vec<GrantState> = moves.iter().map(|made| made.step.state).collect();
    let counted: Vec<i64> = moves.iter().map(|made| made.step.counted).collect();
    let revoked: Vec<i64> = moves.iter().map(|made| made.step.revoked_amount).collect();
    let entries: Vec<Option<i64>> = moves.iter().map(|made| made.entry).collect();
    sqlx::query!(
        r#"
        -- activity.grant_set_steps
        update activity.reward_grant set state = made.state, counted = made.counted,
            revoked_amount = made.revoked_amount, entry_sequence = coalesce(entry_sequence, made.entry)
        from unnest($2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])
            as made (grant_id, state, counted, revoked_amount, entry)
        where community_id = $1 and reward_grant.grant_id = made.grant_id
        "#,
        community.0,
        &ids,
        &states as &[GrantState],
        &counted,
        &revoked,
        &entries as &[Option<i64>],
    )
    .execute(db)
    .await?;
    Ok(())
}
