//! Programmes, their sums and their summary.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use super::Window;
use crate::domain::{
    Community,
    programme::{Programme, Summary, Totals},
};

struct Row {
    programme_id: Uuid,
    display_name: String,
    asset: String,
    exponent: i16,
    time_zone: String,
    budget: Option<i64>,
    second_person_days: i32,
    expiry_notice_days: Vec<i32>,
    created_at: DateTime<Utc>,
}

impl Row {
    fn programme(self, community: Community) -> sqlx::Result<Programme> {
        Ok(Programme {
            community,
            id: self.programme_id,
            display_name: self.display_name,
            asset: self.asset,
            exponent: self.exponent,
            time_zone: self
                .time_zone
                .parse()
                .map_err(|cause| sqlx::Error::Decode(Box::new(cause)))?,
            budget: self.budget,
            second_person_days: self.second_person_days,
            expiry_notice_days: self.expiry_notice_days,
            created_at: self.created_at,
        })
    }
}

/// Adds a programme with nothing granted.
pub async fn insert(db: impl PgExecutor<'_>, programme: &Programme) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.programme_insert
        insert into activity.programme
            (community_id, programme_id, display_name, asset, exponent, time_zone, budget, created_at,
            second_person_days, expiry_notice_days)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        "#,
        programme.community.0,
        programme.id,
        programme.display_name,
        programme.asset,
        programme.exponent,
        programme.time_zone.name(),
        programme.budget,
        programme.created_at,
        programme.second_person_days,
        &programme.expiry_notice_days,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Finds a programme.
pub async fn find(
    db: impl PgExecutor<'_>,
    community: Community,
    id: Uuid,
) -> sqlx::Result<Option<Programme>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- activity.programme_find
        select programme_id, display_name, asset, exponent, time_zone, budget, second_person_days,
            expiry_notice_days, created_at
        from activity.programme
        where community_id = $1 and programme_id = $2
        "#,
        community.0,
        id,
    )
    .fetch_optional(db)
    .await?;
    row.map(|row| row.programme(community)).transpose()
}

/// A community's programmes by id.
pub async fn list(
    db: impl PgExecutor<'_>,
    community: Community,
    window: Window<Uuid>,
) -> sqlx::Result<Vec<Programme>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- activity.programme_list
        select programme_id, display_name, asset, exponent, time_zone, budget, second_person_days,
            expiry_notice_days, created_at
        from activity.programme
        where community_id = $1 and programme_id > $2
        order by programme_id
        limit $3
        "#,
        community.0,
        window.after,
        window.limit,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| row.programme(community))
        .collect()
}

/// Locks a programme and returns its sums: from here on nobody else decides its grants or its policy.
pub async fn lock(
    db: impl PgExecutor<'_>,
    community: Community,
    id: Uuid,
) -> sqlx::Result<Option<Totals>> {
    sqlx::query_as!(
        Totals,
        r#"
        -- activity.programme_lock
        select granted, awaiting from activity.programme
        where community_id = $1 and programme_id = $2
        for no key update
        "#,
        community.0,
        id,
    )
    .fetch_optional(db)
    .await
}

/// Writes the sums of a locked programme.
pub async fn set_totals(
    db: impl PgExecutor<'_>,
    community: Community,
    id: Uuid,
    totals: &Totals,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.programme_set_totals
        update activity.programme set granted = $3, awaiting = $4
        where community_id = $1 and programme_id = $2
        "#,
        community.0,
        id,
        totals.granted,
        totals.awaiting,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Writes the budget of a locked programme.
pub async fn set_budget(
    db: impl PgExecutor<'_>,
    community: Community,
    id: Uuid,
    budget: Option<i64>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.programme_set_budget
        update activity.programme set budget = $3 where community_id = $1 and programme_id = $2
        "#,
        community.0,
        id,
        budget,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// What a programme stands at, in one statement and so from one snapshot.
pub async fn summary(
    db: impl PgExecutor<'_>,
    community: Community,
    id: Uuid,
) -> sqlx::Result<Option<Summary>> {
    sqlx::query_as!(
        Summary,
        r#"
        -- activity.programme_summary
        select programme.granted, programme.awaiting,
            grants.made as "grants!", grants.unposted as "unposted_grants!", records.minutes as "service_minutes!"
        from activity.programme
        cross join (
            select count(*) filter (where counted > 0) as made, count(*) filter (where state = 'pending') as unposted
            from activity.reward_grant
            where community_id = $1 and programme_id = $2
        ) as grants
        cross join (
            select coalesce(sum(minutes), 0)::bigint as minutes
            from activity.service_record
            where community_id = $1 and programme_id = $2 and state = 'verified'
        ) as records
        where programme.community_id = $1 and programme.programme_id = $2
        "#,
        community.0,
        id,
    )
    .fetch_optional(db)
    .await
}
