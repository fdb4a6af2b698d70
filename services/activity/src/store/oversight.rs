//! The settings by which programmes take services, revision by revision; what callers have recorded, and what was recorded late.

use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, types::Json};
use uuid::Uuid;

use crate::domain::{
    Community,
    report_rules::Changed,
    service_limits::{RecordedMinutes, RecordingPeriods, ServiceSettings, SettingsOf, Span},
    service_record::Capacity,
};

/// The latest settings of a programme, if anybody has set them.
pub async fn find_settings(
    db: impl PgExecutor<'_>,
    community: Community,
    programme: Uuid,
) -> sqlx::Result<Option<SettingsOf>> {
    let row = sqlx::query!(
        r#"
        -- activity.service_settings_find
        select revision, settings as "settings: Json<ServiceSettings>", changed_by, changed_at
        from activity.service_settings
        where community_id = $1 and programme_id = $2
        order by revision desc
        limit 1
        "#,
        community.0,
        programme,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| SettingsOf {
        community,
        programme,
        revision: row.revision,
        settings: row.settings.0,
        changed: Some(Changed {
            by: row.changed_by,
            at: row.changed_at,
        }),
    }))
}

/// Adds a revision of the settings of a locked programme and returns its number; those before stay.
pub async fn insert_settings(
    db: impl PgExecutor<'_>,
    programme: (Community, Uuid),
    settings: &ServiceSettings,
    changed: &Changed,
) -> sqlx::Result<i32> {
    let (community, programme) = programme;
    sqlx::query_scalar!(
        r#"
        -- activity.service_settings_insert
        insert into activity.service_settings (community_id, programme_id, revision, settings, changed_by, changed_at)
        select $1, $2, coalesce(max(revision), 0) + 1, $3, $4, $5
        from activity.service_settings
        where community_id = $1 and programme_id = $2
        returning revision
        "#,
        community.0,
        programme,
        Json(settings) as _,
        changed.by,
        changed.at,
    )
    .fetch_one(db)
    .await
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

/// What a locked recorder has recorded as one of the staff, or as leader or member; what was rejected or revoked does not count. What is from before the
/// capacity was kept counts in either.
pub async fn recorded_minutes(
    db: impl PgExecutor<'_>,
    recorder: Recorder<'_>,
    capacity: Capacity,
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
            and state in ('pending', 'verified') and coalesce((recorded_as = 'staff') = $8, true)
        "#,
        recorder.community.0,
        recorder.programme,
        recorder.subject,
        periods.day.0,
        periods.day.1,
        periods.month.0,
        periods.month.1,
        capacity == Capacity::Staff,
    )
    .fetch_one(db)
    .await
}

/// A service that was recorded late, before its member is masked.
#[derive(Debug, Clone)]
pub struct LateService {
    pub member: Uuid,
    pub category: String,
    pub started_at: DateTime<Utc>,
    pub minutes: i64,
    /// On which of the days it was recorded; the first is 1.
    pub day: i32,
    /// Of its id: orders a day without a word of when in it something was recorded.
    pub digest: String,
    pub recorded_as: Option<Capacity>,
    pub second_person: bool,
}

/// Of which services a list is.
#[derive(Debug, Clone, Copy)]
pub struct LateFilter<'a> {
    pub community: Community,
    pub programme: Uuid,
    /// The local days on which they were recorded; there is one at least.
    pub days: &'a [Span],
    /// Later than so many days after they ended.
    pub second_person_days: i32,
}

/// The verified services that were recorded late, the last day of recording first, behind the one of this day and this digest.
pub async fn late_services(
    db: impl PgExecutor<'_>,
    filter: LateFilter<'_>,
    before: Option<(i32, &str)>,
    limit: i64,
) -> sqlx::Result<Vec<LateService>> {
    let begins: Vec<DateTime<Utc>> = filter.days.iter().map(|day| day.0).collect();
    sqlx::query_as!(
        LateService,
        r#"
        -- activity.late_services
        with late as (
            select member_id, category, started_at, minutes, recorded_as, coalesce(decided_by <> recorded_by, false) as second_person,
                width_bucket(created_at, $4::timestamptz[]) as day, encode(sha256(uuid_send(record_id)), 'hex') as digest
            from activity.service_record
            where community_id = $1 and programme_id = $2 and state = 'verified'
                and created_at - ended_at > make_interval(days => $3)
                and created_at >= ($4::timestamptz[])[1] and created_at < $5
        )
        select member_id as member, category, started_at, minutes, day as "day!", digest as "digest!",
            recorded_as as "recorded_as: Capacity", second_person as "second_person!"
        from late
        where $6::integer is null or (day, digest) < ($6, $7::text)
        order by day desc, digest desc
        limit $8
        "#,
        filter.community.0,
        filter.programme,
        filter.second_person_days,
        &begins,
        filter.days.last().map(|day| day.1),
        before.map(|(day, _)| day),
        before.map(|(_, digest)| digest),
        limit,
    )
    .fetch_all(db)
    .await
}
