//! Donation drives.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{Window, event, find, word};
use crate::domain::{
    Community,
    drive::{Drive, DriveState},
    event::NewEvent,
};

pub(super) const STATES: [(&str, DriveState); 2] =
    [("open", DriveState::Open), ("closed", DriveState::Closed)];

struct Row {
    drive_id: Uuid,
    donor: String,
    title: String,
    pack: String,
    packs: i64,
    repeat_households: bool,
    handed_over: i64,
    allotted: i64,
    state: String,
    created_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
}

impl Row {
    fn drive(self, community: Community) -> sqlx::Result<Drive> {
        Ok(Drive {
            community,
            id: self.drive_id,
            donor: self.donor,
            title: self.title,
            pack: self.pack,
            packs: self.packs,
            repeat_households: self.repeat_households,
            handed_over: self.handed_over,
            allotted: self.allotted,
            state: find(&STATES, &self.state)?,
            created_at: self.created_at,
            ended_at: self.ended_at,
        })
    }
}

/// Adds a drive.
pub async fn insert(conn: &mut PgConnection, drive: &Drive) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- wish.drive_insert
        insert into wish.donation_drive
            (community_id, drive_id, donor, title, pack, packs, repeat_households, handed_over, allotted, state, created_at, ended_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        "#,
        drive.community.0,
        drive.id,
        drive.donor,
        drive.title,
        drive.pack,
        drive.packs,
        drive.repeat_households,
        drive.handed_over,
        drive.allotted,
        word(&STATES, &drive.state),
        drive.created_at,
        drive.ended_at,
    )
    .execute(&mut *conn)
    .await?;
    event::insert(conn, drive.community, &[moved(drive)]).await
}

/// Keeps a drive as it is until the transaction ends.
pub async fn lock(db: impl PgExecutor<'_>, community: Community, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- wish.drive_lock
        select 1 as "one!" from wish.donation_drive where community_id = $1 and drive_id = $2 for no key update
        "#,
        community.0,
        id,
    )
    .fetch_optional(db)
    .await?;
    Ok(())
}

/// Returns a drive.
pub async fn find_one(
    db: impl PgExecutor<'_>,
    community: Community,
    id: Uuid,
) -> sqlx::Result<Option<Drive>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- wish.drive_find
        select drive_id, donor, title, pack, packs, repeat_households, handed_over, allotted, state, created_at, ended_at
        from wish.donation_drive
        where community_id = $1 and drive_id = $2
        "#,
        community.0,
        id,
    )
    .fetch_optional(db)
    .await?;
    row.map(|row| row.drive(community)).transpose()
}

/// Writes what has changed of a drive.
pub async fn set(conn: &mut PgConnection, drive: &Drive) -> sqlx::Result<()> {
    let before = sqlx::query_scalar!(
        r#"
        -- wish.drive_set
        update wish.donation_drive as drive set handed_over = $3, allotted = $4, state = $5, ended_at = $6
        from (select state from wish.donation_drive where community_id = $1 and drive_id = $2) as before
        where community_id = $1 and drive_id = $2
        returning before.state
        "#,
        drive.community.0,
        drive.id,
        drive.handed_over,
        drive.allotted,
        word(&STATES, &drive.state),
        drive.ended_at,
    )
    .fetch_optional(&mut *conn)
    .await?;
    if before.as_deref() == Some(word(&STATES, &drive.state)) {
        return Ok(());
    }
    event::insert(conn, drive.community, &[moved(drive)]).await
}

/// A community's drives by id.
pub async fn list(
    db: impl PgExecutor<'_>,
    community: Community,
    state: Option<DriveState>,
    window: Window<Uuid>,
) -> sqlx::Result<Vec<Drive>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- wish.drive_list
        select drive_id, donor, title, pack, packs, repeat_households, handed_over, allotted, state, created_at, ended_at
        from wish.donation_drive
        where community_id = $1 and drive_id > $2 and ($3::text is null or state = $3)
        order by drive_id
        limit $4
        "#,
        community.0,
        window.after,
        state.map(|state| word(&STATES, &state)),
        window.limit,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| row.drive(community)).collect()
}

/// That a drive came to its state.
fn moved(drive: &Drive) -> NewEvent {
    NewEvent {
        kind: format!("drive_{}", word(&STATES, &drive.state)),
        subject: format!("donationDrives/{}", drive.id),
        member: None,
    }
}
