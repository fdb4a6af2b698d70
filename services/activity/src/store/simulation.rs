//! What a simulation reads: deeds of the past in the order in which they were decided, with what they really earned.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::domain::{
    Community,
    policy::{Counted, Source},
    service_record::Role,
    simulation::{PastDeed, PastEffort},
};

/// Which deeds: verified services of a programme that began in some time, and its accepted reports that were submitted in it.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub community: Community,
    pub programme: Uuid,
    /// Included.
    pub start: DateTime<Utc>,
    /// Not included.
    pub end: DateTime<Utc>,
}

/// How many deeds there are, and what they were granted really.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    pub deeds: i64,
    pub granted: i64,
}

/// How much there is to simulate.
pub async fn extent(db: impl PgExecutor<'_>, span: Span) -> sqlx::Result<Extent> {
    sqlx::query_as!(
        Extent,
        r#"
        -- activity.simulation_extent
        select count(*) as "deeds!", coalesce(sum(counted), 0)::bigint as "granted!"
        from (
            select earned.counted
            from activity.service_record as record
            left join activity.reward_grant as earned
                on earned.community_id = $1 and earned.record_id = record.record_id and earned.source = 'service'
            where record.community_id = $1 and record.programme_id = $2 and record.state = 'verified'
                and record.started_at >= $3 and record.started_at < $4 and record.decided_at >= $3
            union all
            select earned.counted
            from activity.reward_grant as earned
            join activity.report on report.community_id = $1 and report.report_id = earned.record_id
            where earned.community_id = $1 and earned.programme_id = $2 and earned.source = 'report'
                and report.submitted_at >= $3 and report.submitted_at < $4
        ) as deed
        "#,
        span.community.0,
        span.programme,
        span.start,
        span.end,
    )
    .fetch_one(db)
    .await
}

/// Deeds by the time at which they were decided, behind one.
pub async fn list(
    db: impl PgExecutor<'_>,
    span: Span,
    after: (DateTime<Utc>, Uuid),
    limit: i64,
) -> sqlx::Result<Vec<PastDeed>> {
    let rows = sqlx::query!(
        r#"
        -- activity.simulation_list
        select deed_id as "deed_id!", member_id as "member_id!", role as "role: Role", category as "category!", minutes as "minutes!", urgency,
            started_at as "started_at!", decided_at as "decided_at!", granted as "granted!", awaiting as "awaiting!"
        from (
            (
                select record.record_id as deed_id, record.member_id, record.role, record.category, record.minutes, null as urgency,
                    record.started_at, record.decided_at, coalesce(earned.counted, 0) as granted,
                    case when earned.state = 'awaiting_budget' then earned.amount else 0 end as awaiting
                from activity.service_record as record
                left join activity.reward_grant as earned
                    on earned.community_id = $1 and earned.record_id = record.record_id and earned.source = 'service'
                where record.community_id = $1 and record.programme_id = $2 and record.state = 'verified'
                    and record.started_at >= $3 and record.started_at < $4
                    -- Nothing is verified before it began.
                    and record.decided_at >= $3 and (record.decided_at, record.record_id) > ($5, $6)
                order by record.decided_at, record.record_id
                limit $7
            )
            union all
            (
                -- Whatever is accepted has a grant, of nothing too.
                select report.report_id, report.member_id, null, report.category, 0, report.urgency, report.submitted_at,
                    earned.created_at, earned.counted,
                    case when earned.state = 'awaiting_budget' then earned.amount else 0 end
                from activity.reward_grant as earned
                join activity.report on report.community_id = $1 and report.report_id = earned.record_id
                where earned.community_id = $1 and earned.programme_id = $2 and earned.source = 'report'
                    and report.submitted_at >= $3 and report.submitted_at < $4
                    and earned.created_at >= $3 and (earned.created_at, earned.record_id) > ($5, $6)
                order by earned.created_at, earned.record_id
                limit $7
            )
        ) as deed
        order by decided_at, deed_id
        limit $7
        "#,
        span.community.0,
        span.programme,
        span.start,
        span.end,
        after.0,
        after.1,
        limit,
    )
    .fetch_all(db)
    .await?;
    let deeds = rows.into_iter().map(|row| PastDeed {
        id: row.deed_id,
        member: row.member_id,
        category: row.category,
        effort: match (row.role, row.urgency) {
            (Some(role), _) => PastEffort::Service {
                role,
                minutes: row.minutes,
            },
            (None, urgency) => PastEffort::Report {
                urgency: urgency.unwrap_or_default(),
            },
        },
        started_at: row.started_at,
        decided_at: row.decided_at,
        granted: row.granted,
        awaiting: row.awaiting,
    });
    Ok(deeds.collect())
}

/// What members' grants of a programme count on some local dates of one month, the last not included: a row a member and source, under its first date.
pub async fn list_counted(
    db: impl PgExecutor<'_>,
    (community, programme): (Community, Uuid),
    from: NaiveDate,
    to: NaiveDate,
) -> sqlx::Result<Vec<(Uuid, Counted)>> {
    let rows = sqlx::query!(
        r#"
        -- activity.simulation_list_counted
        select member_id, source as "source: Source", min(local_date) as "local_date!", sum(counted)::bigint as "counted!"
        from activity.reward_grant
        where community_id = $1 and programme_id = $2 and local_date >= $3 and local_date < $4 and counted > 0
        group by member_id, source
        "#,
        community.0,
        programme,
        from,
        to,
    )
    .fetch_all(db)
    .await?;
    let counted = rows.into_iter().map(|row| {
        let counted = Counted {
            source: row.source,
            local_date: row.local_date,
            amount: row.counted,
        };
        (row.member_id, counted)
    });
    Ok(counted.collect())
}

/// The numbers that members are known by.
pub async fn numbers(
    db: impl PgExecutor<'_>,
    community: Community,
    members: &[Uuid],
) -> sqlx::Result<Vec<(Uuid, String)>> {
    let rows = sqlx::query!(
        r#"
        -- activity.simulation_numbers
        select member_id, number from activity.member where community_id = $1 and member_id = any($2)
        "#,
        community.0,
        members,
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.member_id, row.number))
        .collect())
}
