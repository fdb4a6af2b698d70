//! Service records.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use super::Window;
use crate::domain::{
    Community,
    service_limits::Span,
    service_record::{Capacity, RecordFilter, RecordState, Role, ServiceRecord},
};

struct Row {
    record_id: Uuid,
    programme_id: Uuid,
    member_id: Uuid,
    role: Role,
    category: String,
    activity: String,
    started_at: DateTime<Utc>,
    ended_at: DateTime<Utc>,
    minutes: i64,
    state: RecordState,
    decided_by: Option<String>,
    decided_at: Option<DateTime<Utc>>,
    reason: Option<String>,
    grant_id: Option<Uuid>,
    created_at: DateTime<Utc>,
    recorded_by: Option<String>,
    recorded_as: Option<Capacity>,
    evidence: Vec<String>,
}

impl Row {
    fn record(self, community: Community) -> ServiceRecord {
        ServiceRecord {
            community,
            id: self.record_id,
            programme: self.programme_id,
            member: self.member_id,
            role: self.role,
            category: self.category,
            activity: self.activity,
            started_at: self.started_at,
            ended_at: self.ended_at,
            minutes: self.minutes,
            state: self.state,
            decided_by: self.decided_by,
            decided_at: self.decided_at,
            reason: self.reason,
            grant: self.grant_id,
            created_at: self.created_at,
            recorded_by: self.recorded_by,
            recorded_as: self.recorded_as,
            evidence: self.evidence,
        }
    }
}

/// Adds a record.
pub async fn insert(db: impl PgExecutor<'_>, record: &ServiceRecord) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.service_record_insert
        insert into activity.service_record
            (community_id, record_id, programme_id, member_id, role, category, activity, started_at, ended_at, minutes,
            state, created_at, recorded_by, recorded_as, evidence)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
        "#,
        record.community.0,
        record.id,
        record.programme,
        record.member,
        record.role as Role,
        record.category,
        record.activity,
        record.started_at,
        record.ended_at,
        record.minutes,
        record.state as RecordState,
        record.created_at,
        record.recorded_by,
        record.recorded_as as Option<Capacity>,
        &record.evidence,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Locks a record; false when it is not there.
pub async fn lock(db: impl PgExecutor<'_>, community: Community, id: Uuid) -> sqlx::Result<bool> {
    let row = sqlx::query!(
        r#"
        -- activity.service_record_lock
        select record_id from activity.service_record where community_id = $1 and record_id = $2 for no key update
        "#,
        community.0,
        id,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.is_some())
}

/// Finds a record with the grant it earned.
pub async fn find(
    db: impl PgExecutor<'_>,
    community: Community,
    id: Uuid,
) -> sqlx::Result<Option<ServiceRecord>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- activity.service_record_find
        select record.record_id, record.programme_id, record.member_id, record.role as "role: Role", record.category,
            record.activity, record.started_at, record.ended_at, record.minutes, record.state as "state: RecordState",
            record.decided_by, record.decided_at, record.reason, earned.grant_id as "grant_id?", record.created_at,
            record.recorded_by, record.recorded_as as "recorded_as: Capacity", record.evidence
        from activity.service_record as record
        left join activity.reward_grant as earned
            on earned.community_id = record.community_id and earned.record_id = record.record_id and earned.source = 'service'
        where record.community_id = $1 and record.record_id = $2
        "#,
        community.0,
        id,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| row.record(community)))
}

/// The community's or one member's records by id.
pub async fn list(
    db: impl PgExecutor<'_>,
    filter: RecordFilter,
    window: Window<Uuid>,
) -> sqlx::Result<Vec<ServiceRecord>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- activity.service_record_list
        select record.record_id, record.programme_id, record.member_id, record.role as "role: Role", record.category,
            record.activity, record.started_at, record.ended_at, record.minutes, record.state as "state: RecordState",
            record.decided_by, record.decided_at, record.reason, earned.grant_id as "grant_id?", record.created_at,
            record.recorded_by, record.recorded_as as "recorded_as: Capacity", record.evidence
        from activity.service_record as record
        left join activity.reward_grant as earned
            on earned.community_id = record.community_id and earned.record_id = record.record_id and earned.source = 'service'
        where record.community_id = $1 and record.record_id > $2
            and ($3::uuid is null or record.member_id = $3)
            and ($4::text is null or record.state = $4)
        order by record.record_id
        limit $5
        "#,
        filter.community.0,
        window.after,
        filter.member,
        filter.state as Option<RecordState>,
        window.limit,
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| row.record(filter.community))
        .collect())
}

/// A verified record of the same member that overlaps this one in time. The member is locked, so it stays true.
pub async fn find_overlapping(
    db: impl PgExecutor<'_>,
    record: &ServiceRecord,
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        r#"
        -- activity.service_record_find_overlapping
        select record_id from activity.service_record
        where community_id = $1 and member_id = $2 and state = 'verified'
            and tstzrange(started_at, ended_at, '[)') && tstzrange($3, $4, '[)')
        order by record_id
        limit 1
        "#,
        record.community.0,
        record.member,
        record.started_at,
        record.ended_at,
    )
    .fetch_optional(db)
    .await
}

/// From when to when the verified records of a record's member last that have a part in a span of time, in every programme. The member is locked,
/// so it stays true.
pub async fn verified_spans(
    db: impl PgExecutor<'_>,
    record: &ServiceRecord,
    (from, to): Span,
) -> sqlx::Result<Vec<Span>> {
    let rows = sqlx::query!(
        r#"
        -- activity.service_record_verified_spans
        select started_at, ended_at from activity.service_record
        where community_id = $1 and member_id = $2 and state = 'verified'
            and tstzrange(started_at, ended_at, '[)') && tstzrange($3, $4, '[)')
        "#,
        record.community.0,
        record.member,
        from,
        to,
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.started_at, row.ended_at))
        .collect())
}

/// Writes the evidence of a locked record.
pub async fn set_evidence(db: impl PgExecutor<'_>, record: &ServiceRecord) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.service_record_set_evidence
        update activity.service_record set evidence = $3 where community_id = $1 and record_id = $2
        "#,
        record.community.0,
        record.id,
        &record.evidence,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Empties the evidence of a member's records.
pub async fn clear_evidence(
    db: impl PgExecutor<'_>,
    community: Community,
    member: Uuid,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.service_record_clear_evidence
        update activity.service_record set evidence = '{}' where community_id = $1 and member_id = $2 and evidence <> '{}'
        "#,
        community.0,
        member,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Writes what was decided on a locked record.
pub async fn set_decision(db: impl PgExecutor<'_>, record: &ServiceRecord) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.service_record_set_decision
        update activity.service_record set state = $3, decided_by = $4, decided_at = $5, reason = $6
        where community_id = $1 and record_id = $2
        "#,
        record.community.0,
        record.id,
        record.state as RecordState,
        record.decided_by,
        record.decided_at,
        record.reason,
    )
    .execute(db)
    .await?;
    Ok(())
}
