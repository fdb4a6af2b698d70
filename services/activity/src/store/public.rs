//! What everyone may see of rewards.

use chrono::NaiveDate;
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::domain::Community;

/// Whose rewards, and of which months.
#[derive(Debug, Clone, Copy)]
pub struct PublicFilter {
    pub community: Community,
    pub programme: Uuid,
    /// From this day on; nothing: from the first.
    pub start: Option<NaiveDate>,
    /// Before this day.
    pub end: Option<NaiveDate>,
}

/// A reward, before its member is masked.
#[derive(Debug, Clone)]
pub struct Rewarded {
    pub grant: Uuid,
    pub member: Uuid,
    pub amount: i64,
    pub local_date: NaiveDate,
    pub category: String,
}

/// Where a list of rewards goes on: behind the one of that day, under this id.
pub type Cursor = (NaiveDate, Uuid);

/// Rewards that are made, by the day of the deed, the last first. Those of private reports are not among them.
pub async fn list(
    db: impl PgExecutor<'_>,
    filter: PublicFilter,
    before: Option<Cursor>,
    limit: i64,
) -> sqlx::Result<Vec<Rewarded>> {
    sqlx::query_as!(
        Rewarded,
        r#"
        -- activity.public_list
        select grant_id as "grant", reward_grant.member_id as member, amount, local_date, category as "category!"
        from activity.reward_grant
        cross join lateral (
            select category from activity.service_record
            where source = 'service' and service_record.community_id = $1 and service_record.record_id = reward_grant.record_id
            union all
            select category from activity.report
            where source = 'report' and report.community_id = $1 and report.report_id = reward_grant.record_id
                and visibility <> 'private'
        ) as deed
        where reward_grant.community_id = $1 and reward_grant.programme_id = $2
            and reward_grant.state in ('pending', 'posted') and amount > 0
            and local_date >= coalesce($3::date, '-infinity') and local_date < coalesce($4::date, 'infinity')
            and (local_date, grant_id) < (coalesce($5::date, 'infinity'), $6)
        order by local_date desc, grant_id desc
        limit $7
        "#,
        filter.community.0,
        filter.programme,
        filter.start,
        filter.end,
        before.map(|(day, _)| day),
        before.map(|(_, id)| id),
        limit,
    )
    .fetch_all(db)
    .await
}

/// What was given for one category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CategorySum {
    pub category: String,
    pub rewards: i64,
    pub amount: i64,
}

/// The sums of all, by category; those of private reports are of the empty one.
pub async fn sums(db: impl PgExecutor<'_>, filter: PublicFilter) -> sqlx::Result<Vec<CategorySum>> {
    sqlx::query_as!(
        CategorySum,
        r#"
        -- activity.public_sums
        select category as "category!", count(*) as "rewards!", sum(amount)::bigint as "amount!"
        from activity.reward_grant
        cross join lateral (
            select category from activity.service_record
            where source = 'service' and service_record.community_id = $1 and service_record.record_id = reward_grant.record_id
            union all
            select case when visibility = 'private' then '' else category end from activity.report
            where source = 'report' and report.community_id = $1 and report.report_id = reward_grant.record_id
        ) as deed
        where reward_grant.community_id = $1 and reward_grant.programme_id = $2
            and reward_grant.state in ('pending', 'posted') and amount > 0
            and local_date >= coalesce($3::date, '-infinity') and local_date < coalesce($4::date, 'infinity')
        group by category
        order by category
        "#,
        filter.community.0,
        filter.programme,
        filter.start,
        filter.end,
    )
    .fetch_all(db)
    .await
}
