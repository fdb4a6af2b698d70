//! What calls were answered: the memory that makes a repeated call harmless, and with who asked the audit log.

use chrono::{DateTime, Utc};
use runtime::Actor;
use sqlx::{PgConnection, PgExecutor};
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
        sqlx::types::Json(refusal) as _,
        now,
        call.by.subject,
        call.by.roles.to_string(),
        call.resource,
    )
    .execute(db)
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
        select method, fingerprint, answer, refusal as "refusal: sqlx::types::Json<Refusal>"
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
        outcome: match (row.refusal, row.answer) {
            (Some(refusal), _) => Outcome::Refused(refusal.0),
            (None, Some(answer)) => Outcome::Done(answer),
            (None, None) => Outcome::Pending,
        },
    }))
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

/// Writes the refusal of a claimed call.
pub async fn answer_set_refusal(
    conn: &mut PgConnection,
    community: Uuid,
    request_id: Uuid,
    refusal: &Refusal,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- redemption.answer_set_refusal
        update redemption.answer set refusal = $3 where community_id = $1 and request_id = $2
        "#,
        community,
        request_id,
        sqlx::types::Json(refusal) as _,
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
            refusal as "refusal: sqlx::types::Json<Refusal>", recorded_at
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
