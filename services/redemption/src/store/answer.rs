//! What calls were answered: the memory that makes a repeated call harmless, and with who asked the audit log.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use runtime::Actor;
use sqlx::{PgConnection, PgExecutor, types::Json};
use uuid::Uuid;

use super::Page;
use crate::domain::Refusal;

/// A mutating call: who it is for, its id, and what identifies its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The community it is about.
    pub community: Uuid,
    /// The caller's id for it.
    pub request_id: Uuid,
    /// The RPC.
    pub method: &'static str,
    /// SHA-256 of the request.
    pub fingerprint: Vec<u8>,
    /// Who calls.
    pub by: Actor,
    /// What the call names: its `name` or `parent`.
    pub resource: String,
}

/// What is kept of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The RPC.
    pub method: String,
    /// SHA-256 of the request.
    pub fingerprint: Vec<u8>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The ledger has not answered yet.
    Pending,
    /// Done; the answer as JSON.
    Done(Vec<u8>),
    /// Refused.
    Refused(Refusal),
}

/// Claims the call's id; false when it was claimed before. Waits for a twin that is being decided.
pub async fn answer_claim(
    conn: &mut PgConnection,
    call: &Call,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        r#"
        -- redemption.answer_claim
        insert into redemption.answer (community_id, request_id, method, fingerprint, recorded_at, subject, roles, resource)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        on conflict on constraint answer_pk do nothing
        "#,
        call.community,
        call.request_id,
        call.method,
        call.fingerprint,
        now,
        call.by.subject,
        call.by.roles.to_string(),
        call.resource,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Keeps a refusal alone; nothing when the id was claimed before.
pub async fn answer_insert_refusal(
    db: impl PgExecutor<'_>,
    call: &Call,
    refusal: &Refusal,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.answer_insert_refusal
        insert into redemption.answer
            (community_id, request_id, method, fingerprint, refusal, recorded_at, subject, roles, resource)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        on conflict on constraint answer_pk do nothing
        "#,
        call.community,
        call.request_id,
        call.method,
        call.fingerprint,
        Json(refusal) as _,
        now,
        call.by.subject,
        call.by.roles.to_string(),
        call.resource,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Writes the refusal of a claimed call.
pub async fn answer_set_refusal(
    conn: &mut PgConnection,
    call: &Call,
    refusal: &Refusal,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.answer_set_refusal
        update redemption.answer set refusal = $3 where community_id = $1 and request_id = $2
        "#,
        call.community,
        call.request_id,
        Json(refusal) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Reads what is kept of a call.
pub async fn answer_find(
    db: impl PgExecutor<'_>,
    community: Uuid,
    request_id: Uuid,
) -> sqlx::Result<Option<Answer>> {
    let row = sqlx::query!(
        r#"
        -- redemption.answer_find
        select method, fingerprint, answer, refusal as "refusal: Json<Refusal>"
        from redemption.answer
        where community_id = $1 and request_id = $2
        "#,
        community,
        request_id,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| Answer {
        method: row.method,
        fingerprint: row.fingerprint,
        outcome: outcome(row.refusal, row.answer),
    }))
}

fn outcome(refusal: Option<Json<Refusal>>, answer: Option<Vec<u8>>) -> Outcome {
    match (refusal, answer) {
        (Some(refusal), _) => Outcome::Refused(refusal.0),
        (None, Some(answer)) => Outcome::Done(answer),
        (None, None) => Outcome::Pending,
    }
}

/// Writes the answer of a claimed call.
pub async fn answer_set(
    conn: &mut PgConnection,
    community: Uuid,
    request_id: Uuid,
    answer: &[u8],
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.answer_set
        update redemption.answer set answer = $3 where community_id = $1 and request_id = $2
        "#,
        community,
        request_id,
        answer,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Reads what is kept of calls, by their ids.
pub async fn answers_find(
    conn: &mut PgConnection,
    community: Uuid,
    request_ids: &[Uuid],
) -> sqlx::Result<HashMap<Uuid, Answer>> {
    let rows = sqlx::query!(
        r#"
        -- redemption.answers_find
        select request_id as "request_id!", method as "method!", fingerprint as "fingerprint!", answer,
            refusal as "refusal: Json<Refusal>"
        from unnest((select $2::uuid[])) as wanted (id)
        cross join lateral (
            select request_id, method, fingerprint, answer, refusal from redemption.answer
            where community_id = $1 and request_id = wanted.id
            offset 0
        ) as kept
        "#,
        community,
        request_ids,
    )
    .fetch_all(conn)
    .await?;
    let answers = rows.into_iter().map(|row| {
        let answer = Answer {
            method: row.method,
            fingerprint: row.fingerprint,
            outcome: outcome(row.refusal, row.answer),
        };
        (row.request_id, answer)
    });
    Ok(answers.collect())
}

/// Keeps calls with what came of them; false when one of them was kept before. Waits for twins that are being decided.
pub async fn answers_insert(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    answers: &[(&Call, Option<&Refusal>)],
) -> sqlx::Result<bool> {
    let column = |value: fn(&Call) -> String| -> Vec<String> {
        answers.iter().map(|(call, _)| value(call)).collect()
    };
    let ids: Vec<Uuid> = answers.iter().map(|(call, _)| call.request_id).collect();
    let fingerprints: Vec<&[u8]> = answers
        .iter()
        .map(|(call, _)| &call.fingerprint[..])
        .collect();
    let refusals: Vec<Option<Json<&Refusal>>> = answers
        .iter()
        .map(|(_, refusal)| refusal.map(Json))
        .collect();
    let done = sqlx::query!(
        r#"
        -- redemption.answers_insert
        insert into redemption.answer
            (community_id, request_id, method, fingerprint, refusal, recorded_at, subject, roles, resource)
        select $1, id, method, fingerprint, refusal, $2, subject, roles, resource
        from unnest($3::uuid[], $4::text[], $5::bytea[], $6::jsonb[], $7::text[], $8::text[], $9::text[])
            as kept (id, method, fingerprint, refusal, subject, roles, resource)
        order by id
        on conflict on constraint answer_pk do nothing
        "#,
        answers.first().map(|(call, _)| call.community),
        now,
        &ids,
        &column(|call| call.method.to_owned()),
        &fingerprints as &[&[u8]],
        &refusals as _,
        &column(|call| call.by.subject.clone()),
        &column(|call| call.by.roles.to_string()),
        &column(|call| call.resource.clone()),
    )
    .execute(conn)
    .await?;
    Ok(usize::try_from(done.rows_affected()) == Ok(answers.len()))
}

/// What the ledger's answer to a step makes of its call's: the answer as JSON, or the refusal.
#[derive(Debug, Clone, PartialEq)]
pub struct Closed {
    /// The call.
    pub request_id: Uuid,
    /// Its answer, or why there is none.
    pub outcome: Result<Vec<u8>, Refusal>,
}

/// Writes the answers of those of these calls that were kept: no call asks for a hold to expire. The `merge` makes the planner begin
/// with the list.
pub async fn answers_set(
    conn: &mut PgConnection,
    community: Uuid,
    closed: &[Closed],
) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = closed.iter().map(|one| one.request_id).collect();
    let answers: Vec<Option<&[u8]>> = closed
        .iter()
        .map(|one| one.outcome.as_ref().ok().map(|answer| &answer[..]))
        .collect();
    let refusals: Vec<Option<Json<&Refusal>>> = closed
        .iter()
        .map(|one| one.outcome.as_ref().err().map(Json))
        .collect();
    sqlx::query!(
        r#"
        -- redemption.answers_set
        merge into redemption.answer as kept
        using unnest((select $2::uuid[]), (select $3::bytea[]), (select $4::jsonb[])) as closed (id, answer, refusal)
        on kept.community_id = $1 and kept.request_id = closed.id
        when matched then update set answer = closed.answer, refusal = closed.refusal
        when not matched and id is null then insert (community_id) values (null)
        "#,
        community,
        &ids,
        &answers as &[Option<&[u8]>],
        &refusals as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Which calls a list is of.
#[derive(Debug)]
pub struct AuditFilter {
    /// The community they were about.
    pub community: Uuid,
    /// Who called; empty: everyone.
    pub subject: String,
    /// Only at this time or later.
    pub start: Option<DateTime<Utc>>,
    /// Only earlier.
    pub end: Option<DateTime<Utc>>,
}

/// That somebody asked for something.
#[derive(Debug)]
pub struct Asked {
    /// The caller's id of it.
    pub request_id: Uuid,
    /// The RPC.
    pub method: String,
    /// What it named.
    pub resource: String,
    /// Who.
    pub subject: String,
    /// In what capacities, joined by commas.
    pub roles: String,
    /// Why it was refused, if it was.
    pub refusal: Option<Refusal>,
    /// When.
    pub recorded_at: DateTime<Utc>,
}

/// Who asked for what, newest first.
pub async fn answer_list(
    db: impl PgExecutor<'_>,
    filter: &AuditFilter,
    page: Page<(DateTime<Utc>, Uuid)>,
) -> sqlx::Result<Vec<Asked>> {
    let rows = sqlx::query!(
        r#"
        -- redemption.answer_list
        select request_id, method, resource as "resource!", subject as "subject!", roles as "roles!",
            refusal as "refusal: Json<Refusal>", recorded_at
        from redemption.answer
        where community_id = $1 and subject is not null and ($2 = '' or subject = $2)
            and ($3::timestamptz is null or recorded_at >= $3) and ($4::timestamptz is null or recorded_at < $4)
            and ($5::timestamptz is null or (recorded_at, request_id) < ($5, $6))
        order by recorded_at desc, request_id desc
        limit $7
        "#,
        filter.community,
        filter.subject,
        filter.start,
        filter.end,
        page.after.map(|(at, _)| at),
        page.after.map(|(_, id)| id),
        page.limit,
    )
    .fetch_all(db)
    .await?;
    let rows = rows.into_iter().map(|row| Asked {
        request_id: row.request_id,
        method: row.method,
        resource: row.resource,
        subject: row.subject,
        roles: row.roles,
        refusal: row.refusal.map(|refusal| refusal.0),
        recorded_at: row.recorded_at,
    });
    Ok(rows.collect())
}
