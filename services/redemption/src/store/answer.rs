//! What calls were answered: the memory that makes a repeated call harmless.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

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
        insert into redemption.answer (community_id, request_id, method, fingerprint, recorded_at)
        values ($1, $2, $3, $4, $5)
        on conflict on constraint answer_pk do nothing
        "#,
        call.community,
        call.request_id,
        call.method,
        call.fingerprint,
        now,
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
        insert into redemption.answer (community_id, request_id, method, fingerprint, refusal, recorded_at)
        values ($1, $2, $3, $4, $5, $6)
        on conflict on constraint answer_pk do nothing
        "#,
        call.community,
        call.request_id,
        call.method,
        call.fingerprint,
        sqlx::types::Json(refusal) as _,
        now,
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
