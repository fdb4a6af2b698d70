//! First answers: what a call with the same request id gets again, and who asked for it: the audit log.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgExecutor, types::Json};
use uuid::Uuid;

use crate::domain::{Community, call::Call, refusal::Refusal};

/// A stored first answer and the call it belongs to.
#[derive(Debug)]
pub struct Kept {
    pub method: String,
    /// Nothing, where an older release made it of a person.
    pub fingerprint: Option<Vec<u8>>,
    pub answer: Option<Value>,
    pub refusal: Option<Refusal>,
}

/// Takes the request id for this transaction; false when it has its answer already. Waits for a twin in progress.
pub async fn claim(db: impl PgExecutor<'_>, call: &Call, at: DateTime<Utc>) -> sqlx::Result<bool> {
    insert(db, call, None, at).await
}

/// Keeps a refusal as the answer; false when the request id has another answer by now.
pub async fn insert_refusal(
    db: impl PgExecutor<'_>,
    call: &Call,
    refusal: &Refusal,
    at: DateTime<Utc>,
) -> sqlx::Result<bool> {
    insert(db, call, Some(refusal), at).await
}

async fn insert(
    db: impl PgExecutor<'_>,
    call: &Call,
    refusal: Option<&Refusal>,
    at: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        r#"
        -- activity.answer_insert
        insert into activity.answer
            (community_id, request_id, method, fingerprint, refusal, recorded_at, subject, roles, resource, reason,
            impersonal)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, true)
        on conflict on constraint answer_pk do nothing
        "#,
        call.community.0,
        call.request_id,
        call.method,
        &call.fingerprint[..],
        refusal.map(Json) as _,
        at,
        call.by.subject,
        call.by.roles.to_string(),
        call.resource,
        call.reason,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Completes the answer that this transaction has claimed.
pub async fn set(db: impl PgExecutor<'_>, call: &Call, answer: &Value) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.answer_set
        update activity.answer set answer = $3 where community_id = $1 and request_id = $2
        "#,
        call.community.0,
        call.request_id,
        answer,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The answer that a call's request id has already.
pub async fn find(db: impl PgExecutor<'_>, call: &Call) -> sqlx::Result<Option<Kept>> {
    let row = sqlx::query!(
        r#"
        -- activity.answer_find
        select method, answer, refusal as "refusal: Json<Refusal>",
            case when impersonal or method <> 'CreateMember' then nullif(fingerprint, '') end as fingerprint
        from activity.answer
        where community_id = $1 and request_id = $2
        "#,
        call.community.0,
        call.request_id,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| Kept {
        method: row.method,
        fingerprint: row.fingerprint,
        answer: row.answer,
        refusal: row.refusal.map(|Json(refusal)| refusal),
    }))
}

/// A community in which an older release's answer says something of a person.
pub async fn community_personal(db: impl PgExecutor<'_>) -> sqlx::Result<Option<Community>> {
    let community = sqlx::query_scalar!(
        r#"
        -- activity.answer_community_personal
        select community_id from activity.answer where method = 'CreateMember' and not impersonal limit 1
        "#,
    )
    .fetch_optional(db)
    .await?;
    Ok(community.map(Community))
}

/// Takes the person out of so many of a community's answers, or of those about one member: what is masked, and the fingerprint, which could be
/// found again by trying names and numbers. Says of how many.
pub async fn forget_persons(
    db: impl PgExecutor<'_>,
    community: Community,
    member: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        r#"
        -- activity.answer_forget_persons
        update activity.answer
        set fingerprint = '', impersonal = true,
            answer = answer || '{"birth_year": null, "team": null, "masked": {"name": "", "phone": ""}}'::jsonb
        where community_id = $1 and request_id in (
            select request_id from activity.answer
            where community_id = $1 and method = 'CreateMember' and not impersonal
                and ($2::uuid is null or answer ->> 'id' = $2::text)
            order by request_id
            limit $3
            for no key update
        )
        "#,
        community.0,
        member,
        limit,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Takes the evidence of a member's service records out of the answers about them, and of the calls that said it the fingerprint, which could be found
/// again by trying.
pub async fn clear_evidence(
    db: impl PgExecutor<'_>,
    community: Community,
    member: Uuid,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.answer_clear_evidence
        update activity.answer
        set answer = answer || '{"evidence": []}'::jsonb,
            fingerprint = case when method in ('CreateServiceRecord', 'AddServiceEvidence') then '' else fingerprint end
        where community_id = $1 and answer ->> 'member' = $2::text and answer -> 'evidence' <> '[]'
        "#,
        community.0,
        member.to_string(),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Which calls a list is of.
#[derive(Debug)]
pub struct AuditFilter {
    pub community: Community,
    /// Who called; empty: everyone.
    pub subject: String,
    pub start: Option<DateTime<Utc>>,
    pub end: Option<DateTime<Utc>>,
}

/// That somebody asked for something.
#[derive(Debug)]
pub struct Asked {
    pub request_id: Uuid,
    pub method: String,
    pub resource: String,
    pub subject: String,
    /// Joined by commas.
    pub roles: String,
    pub reason: Option<String>,
    pub refusal: Option<Refusal>,
    pub recorded_at: DateTime<Utc>,
}

/// Who asked for what, newest first, from behind a call on.
pub async fn list(
    db: impl PgExecutor<'_>,
    filter: &AuditFilter,
    after: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> sqlx::Result<Vec<Asked>> {
    let rows = sqlx::query!(
        r#"
        -- activity.answer_list
        select request_id, method, resource as "resource!", subject as "subject!", roles as "roles!",
            reason, refusal as "refusal: Json<Refusal>", recorded_at
        from activity.answer
        where community_id = $1 and subject is not null and ($2 = '' or subject = $2)
            and ($3::timestamptz is null or recorded_at >= $3) and ($4::timestamptz is null or recorded_at < $4)
            and ($5::timestamptz is null or (recorded_at, request_id) < ($5, $6))
        order by recorded_at desc, request_id desc
        limit $7
        "#,
        filter.community.0,
        filter.subject,
        filter.start,
        filter.end,
        after.map(|(at, _)| at),
        after.map(|(_, id)| id),
        limit,
    )
    .fetch_all(db)
    .await?;
    let rows = rows.into_iter().map(|row| Asked {
        request_id: row.request_id,
        method: row.method,
        resource: row.resource,
        subject: row.subject,
        roles: row.roles,
        reason: row.reason,
        refusal: row.refusal.map(|Json(refusal)| refusal),
        recorded_at: row.recorded_at,
    });
    Ok(rows.collect())
}
