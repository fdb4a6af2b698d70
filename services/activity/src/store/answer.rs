//! First answers: what a call with the same request id gets again.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgExecutor, types::Json};

use crate::domain::{call::Call, refusal::Refusal};

/// A stored first answer and the call it belongs to.
#[derive(Debug)]
pub struct Kept {
    pub method: String,
    pub fingerprint: Vec<u8>,
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
        insert into activity.answer (community_id, request_id, method, fingerprint, refusal, recorded_at)
        values ($1, $2, $3, $4, $5, $6)
        on conflict on constraint answer_pk do nothing
        "#,
        call.community.0,
        call.request_id,
        call.method,
        &call.fingerprint[..],
        refusal.map(Json) as _,
        at,
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
        select method, fingerprint, answer, refusal as "refusal: Json<Refusal>"
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
