//! What looks odd in a programme's services, worked out from the records by one statement a kind: each gives the latest first, behind where a page
//! ended. Nothing is stored.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::domain::{
    Community,
    anomaly::{Anomaly, AnomalyKind, Thresholds},
    service_limits::Span,
};

/// Where and from where on to look.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    pub community: Community,
    pub programme: Uuid,
    /// Each local day; there is one at least.
    pub days: &'a [Span],
    pub thresholds: &'a Thresholds,
    /// A service recorded later than so many days after it ended was recorded late.
    pub second_person_days: i32,
    /// Behind the one that ended then, under this key.
    pub after: Option<(DateTime<Utc>, &'a str)>,
    pub limit: i64,
}

impl Look<'_> {
    fn from(&self) -> Option<DateTime<Utc>> {
        self.days.first().map(|day| day.0)
    }

    fn to(&self) -> Option<DateTime<Utc>> {
        self.days.last().map(|day| day.1)
    }
}

struct Row {
    key: String,
    subject: Option<String>,
    member: Option<Uuid>,
    started_at: DateTime<Utc>,
    ended_at: DateTime<Utc>,
    minutes: i64,
    total_minutes: i64,
    members: i64,
    records: i64,
    record_ids: Vec<Uuid>,
}

impl Row {
    fn anomaly(self, kind: AnomalyKind) -> Anomaly {
        Anomaly {
            kind,
            key: self.key,
            subject: self.subject,
            member: self.member,
            started_at: self.started_at,
            ended_at: self.ended_at,
            minutes: self.minutes,
            total_minutes: self.total_minutes,
            members: self.members,
            records: self.records,
            record_ids: self.record_ids,
        }
    }
}

/// The anomalies of one kind.
pub async fn list(
    db: impl PgExecutor<'_>,
    look: Look<'_>,
    kind: AnomalyKind,
) -> sqlx::Result<Vec<Anomaly>> {
    let rows = match kind {
        AnomalyKind::RecordingBurst => bursts(db, look, false).await,
        AnomalyKind::VerificationBurst => bursts(db, look, true).await,
        AnomalyKind::IdenticalTimes => identical_times(db, look).await,
        AnomalyKind::LongDay => long_days(db, look).await,
        AnomalyKind::OnePerson => one_person(db, look).await,
        AnomalyKind::LateRecording => late_recording(db, look).await,
    };
    Ok(rows?.into_iter().map(|row| row.anomaly(kind)).collect())
}

/// Of the two halves of `done` one is not looked at, whichever it is, so each has an index of its own. For each instant at which a caller did something, `recent` sums up the window that ends there; the instants over the threshold whose windows
/// meet are one burst, told by its fullest window.
async fn bursts(
    db: impl PgExecutor<'_>,
    look: Look<'_>,
    of_verification: bool,
) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as!(
        Row,
        r#"
        -- activity.anomaly_bursts
        with done as (
            select record_id, member_id, minutes, recorded_by as subject, created_at as at
            from activity.service_record
            where not $5::boolean and community_id = $1 and programme_id = $2 and state in ('pending', 'verified')
                and created_at >= $3 and created_at < $4
            union all
            select record_id, member_id, minutes, decided_by, decided_at
            from activity.service_record
            where $5 and community_id = $1 and programme_id = $2 and state = 'verified' and decided_at >= $3 and decided_at < $4
        ),
        recent as (
            select subject, at, sum(minutes) over near as minutes, min(at) over near as since
            from done
            where subject is not null
            window near as (
                partition by subject order by at range between make_interval(mins => $6) preceding and current row
            )
        ),
        hot as (select distinct subject, at, minutes, since from recent where minutes > $7::bigint),
        step as (
            select *, coalesce(since > lag(at) over (partition by subject order by at), true) as begins from hot
        ),
        burst as (
            select *, count(*) filter (where begins) over (partition by subject order by at) as number from step
        ),
        fullest as (
            select distinct on (subject, number) subject, at, since
            from burst order by subject, number, minutes desc, at
        ),
        page as (
            select subject, at, since from fullest
            where (at, subject) < (coalesce($8::timestamptz, 'infinity'), $9::text)
            order by at desc, subject desc
            limit $10
        )
        select subject as "key!", subject, null::uuid as member, since as "started_at!", page.at as "ended_at!",
            sum(minutes)::bigint as "minutes!", sum(minutes)::bigint as "total_minutes!",
            count(distinct member_id) as "members!", count(*) as "records!",
            (array_agg(record_id order by record_id))[1:10] as "record_ids!"
        from page join done using (subject)
        where done.at between since and page.at
        group by subject, since, page.at
        order by page.at desc, subject desc
        "#,
        look.community.0,
        look.programme,
        look.from(),
        look.to(),
        of_verification,
        look.thresholds.burst_window_minutes,
        i64::from(look.thresholds.burst_minutes),
        look.after.map(|(at, _)| at),
        look.after.map(|(_, key)| key),
        look.limit,
    )
    .fetch_all(db)
    .await
}

async fn identical_times(db: impl PgExecutor<'_>, look: Look<'_>) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as!(
        Row,
        r#"
        -- activity.anomaly_identical_times
        with same as (
            select recorded_by as subject, started_at, ended_at, sum(minutes)::bigint as minutes,
                count(distinct member_id) as members, count(*) as records,
                (array_agg(record_id order by record_id))[1:10] as record_ids,
                concat(recorded_by, ' ', extract(epoch from started_at)) as key
            from activity.service_record
            where community_id = $1 and programme_id = $2 and state in ('pending', 'verified') and recorded_by is not null
                and created_at >= $3 and started_at >= $3 and started_at < $4
            group by recorded_by, started_at, ended_at
            having count(distinct member_id) >= $5::bigint
        )
        select key as "key!", subject, null::uuid as member, started_at, ended_at, minutes as "minutes!",
            minutes as "total_minutes!", members as "members!", records as "records!", record_ids as "record_ids!"
        from same
        where (ended_at, key) < (coalesce($6::timestamptz, 'infinity'), $7::text)
        order by ended_at desc, key desc
        limit $8
        "#,
        look.community.0,
        look.programme,
        look.from(),
        look.to(),
        i64::from(look.thresholds.identical_members),
        look.after.map(|(at, _)| at),
        look.after.map(|(_, key)| key),
        look.limit,
    )
    .fetch_all(db)
    .await
}

/// A day's number is that of the last one that began before: `width_bucket` finds it in the list of all.
async fn long_days(db: impl PgExecutor<'_>, look: Look<'_>) -> sqlx::Result<Vec<Row>> {
    let (begins, ends): (Vec<_>, Vec<_>) = look.days.iter().copied().unzip();
    sqlx::query_as!(
        Row,
        r#"
        -- activity.anomaly_long_days
        with part as (
            select record_id, programme_id, member_id, ($3::timestamptz[])[number] as begins, ($4::timestamptz[])[number] as ends,
                least(ended_at, ($4::timestamptz[])[number]) - greatest(started_at, ($3::timestamptz[])[number]) as length
            from activity.service_record
            cross join lateral generate_series(
                greatest(width_bucket(started_at, $3::timestamptz[]), 1),
                width_bucket(ended_at - interval '1 microsecond', $3::timestamptz[])
            ) as number
            where community_id = $1 and state in ('pending', 'verified')
                and started_at < ($4::timestamptz[])[cardinality($4::timestamptz[])]
                and ended_at > ($3::timestamptz[])[1] and created_at >= ($3::timestamptz[])[1]
        ),
        day as (
            select member_id, begins, ends, floor(extract(epoch from sum(length)) / 60)::bigint as minutes,
                count(*) as records, (array_agg(record_id order by record_id))[1:10] as record_ids
            from part
            group by member_id, begins, ends
            having sum(length) > make_interval(mins => $5) and bool_or(programme_id = $2)
        )
        select member_id::text as "key!", null::text as subject, member_id as "member?", begins as "started_at!",
            ends as "ended_at!", minutes as "minutes!", minutes as "total_minutes!", 1::bigint as "members!",
            records as "records!", record_ids as "record_ids!"
        from day
        where (ends, member_id::text) < (coalesce($6::timestamptz, 'infinity'), $7::text)
        order by ends desc, member_id::text desc
        limit $8
        "#,
        look.community.0,
        look.programme,
        &begins,
        &ends,
        look.thresholds.long_day_minutes,
        look.after.map(|(at, _)| at),
        look.after.map(|(_, key)| key),
        look.limit,
    )
    .fetch_all(db)
    .await
}

async fn one_person(db: impl PgExecutor<'_>, look: Look<'_>) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as!(
        Row,
        r#"
        -- activity.anomaly_one_person
        with service as (
            select record_id, member_id, minutes, started_at, ended_at, recorded_by, decided_by,
                sum(minutes) over (partition by member_id) as total_minutes
            from activity.service_record
            where community_id = $1 and programme_id = $2 and state = 'verified'
                and created_at >= $3 and started_at >= $3 and started_at < $4
        ),
        alone as (
            select member_id, decided_by as subject, min(started_at) as started_at, max(ended_at) as ended_at,
                sum(minutes)::bigint as minutes, max(total_minutes)::bigint as total_minutes, count(*) as records,
                (array_agg(record_id order by record_id))[1:10] as record_ids, concat(member_id, ' ', decided_by) as key
            from service
            where decided_by = recorded_by
            group by member_id, decided_by
            having sum(minutes) >= $5::bigint and sum(minutes) * 100 >= max(total_minutes) * $6::bigint
        )
        select key as "key!", subject, member_id as "member?", started_at as "started_at!", ended_at as "ended_at!",
            minutes as "minutes!", total_minutes as "total_minutes!", 1::bigint as "members!",
            records as "records!", record_ids as "record_ids!"
        from alone
        where (ended_at, key) < (coalesce($7::timestamptz, 'infinity'), $8::text)
        order by ended_at desc, key desc
        limit $9
        "#,
        look.community.0,
        look.programme,
        look.from(),
        look.to(),
        i64::from(look.thresholds.one_person_minutes),
        i64::from(look.thresholds.one_person_percent),
        look.after.map(|(at, _)| at),
        look.after.map(|(_, key)| key),
        look.limit,
    )
    .fetch_all(db)
    .await
}

async fn late_recording(db: impl PgExecutor<'_>, look: Look<'_>) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as!(
        Row,
        r#"
        -- activity.anomaly_late_recording
        with service as (
            select record_id, member_id, minutes, recorded_by as subject, created_at,
                created_at - ended_at > make_interval(days => $5) as late
            from activity.service_record
            where community_id = $1 and programme_id = $2 and state in ('pending', 'verified') and recorded_by is not null
                and created_at >= $3 and created_at < $4
        ),
        share as (
            select subject, min(created_at) filter (where late) as started_at, max(created_at) filter (where late) as ended_at,
                coalesce(sum(minutes) filter (where late), 0)::bigint as minutes, sum(minutes)::bigint as total_minutes,
                count(distinct member_id) filter (where late) as members, count(*) filter (where late) as records,
                (array_agg(record_id order by record_id) filter (where late))[1:10] as record_ids
            from service
            group by subject
        )
        select subject as "key!", subject, null::uuid as member, started_at as "started_at!", ended_at as "ended_at!",
            minutes as "minutes!", total_minutes as "total_minutes!", members as "members!",
            records as "records!", record_ids as "record_ids!"
        from share
        where minutes >= $6::bigint and minutes * 100 > total_minutes * $7::bigint
            and (ended_at, subject) < (coalesce($8::timestamptz, 'infinity'), $9::text)
        order by ended_at desc, subject desc
        limit $10
        "#,
        look.community.0,
        look.programme,
        look.from(),
        look.to(),
        look.second_person_days,
        i64::from(look.thresholds.late_minutes),
        i64::from(look.thresholds.late_percent),
        look.after.map(|(at, _)| at),
        look.after.map(|(_, key)| key),
        look.limit,
    )
    .fetch_all(db)
    .await
}
