//! Packs of a donation drive for somebody.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{Window, event, find, word};
use crate::domain::{
    Community,
    drive::{Allotment, AllotmentState, Receipt, Receiver},
    event::NewEvent,
};

pub(super) const STATES: [(&str, AllotmentState); 3] = [
    ("allotted", AllotmentState::Allotted),
    ("handed_over", AllotmentState::HandedOver),
    ("taken_back", AllotmentState::TakenBack),
];
const RECEIVERS: [(&str, Receiver); 3] = [
    ("beneficiary", Receiver::Beneficiary),
    ("household", Receiver::Household),
    ("proxy", Receiver::Proxy),
];

struct Row {
    allotment_id: Uuid,
    drive_id: Uuid,
    beneficiary_id: Uuid,
    household: Option<String>,
    packs: i64,
    state: String,
    receiver: Option<String>,
    receipt_reference: Option<String>,
    handed_over_by: Option<Uuid>,
    reason: String,
    created_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
}

impl Row {
    fn allotment(self, community: Community) -> sqlx::Result<Allotment> {
        let receipt = match (self.receiver, self.receipt_reference, self.handed_over_by) {
            (Some(receiver), Some(reference), Some(by)) => Some(Receipt {
                receiver: find(&RECEIVERS, &receiver)?,
                reference,
                by,
            }),
            _ => None,
        };
        Ok(Allotment {
            community,
            id: self.allotment_id,
            drive: self.drive_id,
            beneficiary: self.beneficiary_id,
            household: self.household,
            packs: self.packs,
            state: find(&STATES, &self.state)?,
            receipt,
            reason: self.reason,
            created_at: self.created_at,
            ended_at: self.ended_at,
        })
    }
}

/// Adds an allotment. `served_once` says what must be there once a drive, if anything.
pub async fn insert(
    conn: &mut PgConnection,
    allotment: &Allotment,
    served_once: Option<&str>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- wish.allotment_insert
        insert into wish.allotment
            (community_id, allotment_id, drive_id, beneficiary_id, household, served_once, packs, state, reason, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        "#,
        allotment.community.0,
        allotment.id,
        allotment.drive,
        allotment.beneficiary,
        allotment.household,
        served_once,
        allotment.packs,
        word(&STATES, &allotment.state),
        allotment.reason,
        allotment.created_at,
    )
    .execute(&mut *conn)
    .await?;
    event::insert(conn, allotment.community, &[moved(allotment)]).await
}

/// Whether somebody has packs of a drive that are there once, under whatever household.
pub async fn is_served(
    db: impl PgExecutor<'_>,
    community: Community,
    drive: Uuid,
    beneficiary: Uuid,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"
        -- wish.allotment_is_served
        select exists (
            select from wish.allotment
            where community_id = $1 and drive_id = $2 and beneficiary_id = $3 and served_once is not null
        ) as "is_served!"
        "#,
        community.0,
        drive,
        beneficiary,
    )
    .fetch_one(db)
    .await
}

/// Returns an allotment. It is changed under its drive's lock.
pub async fn find_one(
    db: impl PgExecutor<'_>,
    community: Community,
    id: Uuid,
) -> sqlx::Result<Option<Allotment>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- wish.allotment_find
        select allotment_id, drive_id, beneficiary_id, household, packs, state, receiver, receipt_reference, handed_over_by, reason,
            created_at, ended_at
        from wish.allotment
        where community_id = $1 and allotment_id = $2
        "#,
        community.0,
        id,
    )
    .fetch_optional(db)
    .await?;
    row.map(|row| row.allotment(community)).transpose()
}

/// Writes how an allotment has ended; one that was taken back leaves its household free.
pub async fn set_ended(conn: &mut PgConnection, allotment: &Allotment) -> sqlx::Result<()> {
    let receipt = allotment.receipt.as_ref();
    sqlx::query!(
        r#"
        -- wish.allotment_set_ended
        update wish.allotment
        set state = $3, receiver = $4, receipt_reference = $5, handed_over_by = $6, reason = $7, ended_at = $8,
            served_once = case when $3 = 'taken_back' then null else served_once end
        where community_id = $1 and allotment_id = $2
        "#,
        allotment.community.0,
        allotment.id,
        word(&STATES, &allotment.state),
        receipt.map(|receipt| word(&RECEIVERS, &receipt.receiver)),
        receipt.map(|receipt| &receipt.reference[..]),
        receipt.map(|receipt| receipt.by),
        allotment.reason,
        allotment.ended_at,
    )
    .execute(&mut *conn)
    .await?;
    event::insert(conn, allotment.community, &[moved(allotment)]).await
}

/// A community's allotments by id, or those of a drive.
pub async fn list(
    db: impl PgExecutor<'_>,
    (community, drive): (Community, Option<Uuid>),
    state: Option<AllotmentState>,
    window: Window<Uuid>,
) -> sqlx::Result<Vec<Allotment>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- wish.allotment_list
        select allotment_id, drive_id, beneficiary_id, household, packs, state, receiver, receipt_reference, handed_over_by, reason,
            created_at, ended_at
        from wish.allotment
        where community_id = $1 and allotment_id > $2 and ($3::uuid is null or drive_id = $3)
            and ($4::text is null or state = $4)
        order by allotment_id
        limit $5
        "#,
        community.0,
        window.after,
        drive,
        state.map(|state| word(&STATES, &state)),
        window.limit,
    )
    .fetch_all(db)
    .await?;
    let rows = rows.into_iter();
    rows.map(|row| row.allotment(community)).collect()
}

/// That an allotment came to its state.
fn moved(allotment: &Allotment) -> NewEvent {
    NewEvent {
        kind: format!("allotment_{}", word(&STATES, &allotment.state)),
        subject: format!("allotments/{}", allotment.id),
        member: None,
    }
}
