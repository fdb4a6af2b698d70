//! The rules by which programmes take problem reports, and how members stand as reporters.

use sqlx::{PgExecutor, types::Json};
use uuid::Uuid;

use crate::domain::{
    Community,
    report::Report,
    report_rules::{Changed, Rules, RulesOf, Standing},
};

/// The rules of a programme, if anybody has set them.
pub async fn find(
    db: impl PgExecutor<'_>,
    community: Community,
    programme: Uuid,
) -> sqlx::Result<Option<RulesOf>> {
    let row = sqlx::query!(
        r#"
        -- activity.report_settings_find
        select settings as "settings: Json<Rules>", changed_by, changed_at
        from activity.report_settings
        where community_id = $1 and programme_id = $2
        "#,
        community.0,
        programme,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| RulesOf {
        community,
        programme,
        rules: row.settings.0,
        changed: Some(Changed {
            by: row.changed_by,
            at: row.changed_at,
        }),
    }))
}

/// Writes the rules of a programme.
pub async fn set(
    db: impl PgExecutor<'_>,
    programme: (Community, Uuid),
    rules: &Rules,
    changed: &Changed,
) -> sqlx::Result<()> {
    let (community, programme) = programme;
    sqlx::query!(
        r#"
        -- activity.report_settings_set
        insert into activity.report_settings (community_id, programme_id, settings, changed_by, changed_at)
        values ($1, $2, $3, $4, $5)
        on conflict on constraint report_settings_pk do update
            set settings = excluded.settings, changed_by = excluded.changed_by, changed_at = excluded.changed_at
        "#,
        community.0,
        programme,
        Json(rules) as _,
        changed.by,
        changed.at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// How a member stands as a reporter in a programme. The member is locked, so it stays true.
pub async fn find_standing(
    db: impl PgExecutor<'_>,
    community: Community,
    (programme, member): (Uuid, Uuid),
) -> sqlx::Result<Standing> {
    let found = sqlx::query_as!(
        Standing,
        r#"
        -- activity.reporter_find
        select strikes, suspended_until from activity.reporter
        where community_id = $1 and programme_id = $2 and member_id = $3
        "#,
        community.0,
        programme,
        member,
    )
    .fetch_optional(db)
    .await?;
    Ok(found.unwrap_or_default())
}

/// Writes how the reporter of a report stands; the member is locked.
pub async fn set_standing(
    db: impl PgExecutor<'_>,
    report: &Report,
    standing: &Standing,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.reporter_set
        insert into activity.reporter (community_id, programme_id, member_id, strikes, suspended_until)
        values ($1, $2, $3, $4, $5)
        on conflict on constraint reporter_pk do update
            set strikes = excluded.strikes, suspended_until = excluded.suspended_until
        "#,
        report.community.0,
        report.programme,
        report.member,
        standing.strikes,
        standing.suspended_until,
    )
    .execute(db)
    .await?;
    Ok(())
}
