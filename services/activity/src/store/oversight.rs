//! The settings by which programmes take services, what callers have recorded, and what was recorded late.

use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, types::Json};
use uuid::Uuid;

use crate::domain::{
    Community,
    report_rules::Changed,
    service_limits::{RecordedMinutes, RecordingPeriods, ServiceSettings, SettingsOf, Span},
    service_record::Capacity,
};

/// The settings of a programme, if anybody has set them.
pub async fn find_settings(
    db: impl PgExecutor<'_>,
    community: Community,
    programme: Uuid,
) -> sqlx::Result<Option<SettingsOf>> {
    let row = sqlx::query!(
        r#"
        -- activity.service_settings_find
        select settings as "settings: Json<ServiceSettings>", changed_by, changed_at
        from activity.service_settings
        where community_id = $1 and programme_id = $2
        "#,
        community.0,
        programme,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| SettingsOf {
        community,
        programme,
        settings: row.settings.0,
        changed: Some(Changed {
            by: row.changed_by,
            at: row.changed_at,
        }),
    }))
}

/// Writes the settings of a programme.
pub async fn set_settings(
    db: impl PgExecutor<'_>,
    programme: (Community, Uuid),
    settings: &ServiceSettings,
    changed: &Changed,
) -> sqlx::Result<()> {
    let (community, programme) = programme;
    sqlx::query!(
        r#"
        -- activity.service_settings_set
        insert into activity.service_settings (community_id, programme_id, settings, changed_by, changed_at)
        values ($1, $2, $3, $4, $5)
        on conflict on constraint service_settings_pk do update
            set settings = excluded.settings, changed_by = excluded.changed_by, changed_at = excluded.changed_at
        "#,
        community.0,
        programme,
        Json(settings) as _,
        changed.by,
        changed.at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Who records, in which programme.
#[derive(Debug, Clone, Copy)]
pub struct Recorder<'a> {
    pub community: Community,
    pub programme: Uuid,
    pub subject: &'a str,
}

/// Locks who records: from here on nothing more is recorded by them.
pub async fn lock_recorder(db: impl PgExecutor<'_>, recorder: Recorder<'_>) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.recorder_lock
        insert into activity.recorder (community_id, programme_id, subject) values ($1, $2, $3)
        on conflict on constraint recorder_pk do update set subject = excluded.subject
        "#,
        recorder.community.0,
        recorder.programme,
        recorder.subject,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// What a locked recorder has recorded; what was rejected or revoked does not count.
pub async fn recorded_minutes(
    db: impl PgExecutor<'_>,
    recorder: Recorder<'_>,
    periods: RecordingPeriods,
) -> sqlx::Result<RecordedMinutes> {
    sqlx::query_as!(
        RecordedMinutes,
        r#"
        -- activity.recorder_minutes
        select coalesce(sum(minutes) filter (where created_at >= $4 and created_at < $5), 0)::bigint as "day!",
            coalesce(sum(minutes), 0)::bigint as "month!"
        from activity.service_record
        where community_id = $1 and programme_id = $2 and recorded_by = $3 and created_at >= $6 and created_at < $7
            and state in ('pending', 'verified')
        "#,
        recorder.community.0,
        recorder.programme,
        recorder.subject,
        periods.day.0,
        periods.day.1,
        periods.month.0,
        periods.month.1,
    )
    .fetch_one(db)
    .await
}

/// A service that was recorded late, before its member is masked.
#[derive(Debug, Clone)]
pub struct LateService {
    pub record: Uuid,
    pub member: Uuid,
    pub category: String,
    pub started_at: DateTime<Utc>,
    pub minutes: i64,
    pub created_at: DateTime<Utc>,
    pub recorded_as: Option<Capacity>,
    pub second_person: bool,
}

/// Of which services a list is.
#[derive(Debug, Clone, Copy)]
pub struct LateFilter {
    pub community: Community,
    pub programme: Uuid,
    /// When they were recorded; nothing: whenever.
    pub month: Option<Span>,
    /// Later than so many days after they ended.
    pub second_person_days: i32,
}

/// Where a list of late services goes on: behind the one that was recorded then, under this id.
pub type LateCursor = (DateTime<Utc>, Uuid);

/// The verified services that were recorded late, the last recorded first.
pub async fn late_services(
    db: impl PgExecutor<'_>,
    filter: LateFilter,
    before: Option<LateCursor>,
    limit: i64,
) -> sqlx::Result<Vec<LateService>> {
    sqlx::query_as!(
        LateService,
        r#"
        -- activity.late_services
        select record_id as record, member_id as member, category, started_at, minutes, created_at,
            recorded_as as "recorded_as: Capacity", coalesce(decided_by <> recorded_by, false) as "second_person!"
        from activity.service_record
        where community_id = $1 and programme_id = $2 and state = 'verified'
            and created_at - ended_at > make_interval(days => $3)
            and created_at >= coalesce($4::timestamptz, '-infinity') and created_at < coalesce($5::timestamptz, 'infinity')
            and (created_at, record_id) < (coalesce($6::timestamptz, 'infinity'), $7)
        order by created_at desc, record_id desc
        limit $8
        "#,
        filter.community.0,
        filter.programme,
        filter.second_person_days,
        filter.month.map(|month| month.0),
        filter.month.map(|month| month.1),
        before.map(|(at, _)| at),
        before.map(|(_, id)| id),
        limit,
    )
    .fetch_all(db)
    .await
}
