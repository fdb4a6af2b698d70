//! Donation drives: open one, close it, find them.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Error, Page, Wishes,
    answer::Turn,
    domain::{
        Community,
        call::Call,
        drive::{Drive, DriveState},
        refusal::{Refusal, Resource},
    },
    store,
};

impl Wishes {
    /// Opens a drive.
    pub(crate) async fn create_donation_drive(
        &self,
        call: &Call,
        drive: Drive,
    ) -> Result<Drive, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = match store::drive::insert(&mut tx, &drive).await {
            Ok(()) => Ok(drive),
            Err(error) if runtime::constraint(&error) == Some("donation_drive_pk") => {
                Err(Refusal::Exists {
                    resource: Resource::DonationDrive,
                    id: drive.id,
                }
                .into())
            }
            Err(error) => Err(error.into()),
        };
        self.conclude(tx, call, outcome).await
    }

    /// Closes a drive.
    pub(crate) async fn close_donation_drive(&self, call: &Call, id: Uuid) -> Result<Drive, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = self.close(&mut tx, call.community, id).await;
        self.conclude(tx, call, outcome).await
    }

    async fn close(
        &self,
        tx: &mut PgConnection,
        community: Community,
        id: Uuid,
    ) -> Result<Drive, Error> {
        let drive = locked(tx, community, id).await?.close(self.clock.now())?;
        store::drive::set(&mut *tx, &drive).await?;
        Ok(drive)
    }

    /// Returns a drive.
    pub(crate) async fn get_donation_drive(
        &self,
        community: Community,
        id: Uuid,
    ) -> Result<Drive, Error> {
        let found = store::drive::find_one(&self.pool, community, id).await?;
        Ok(found.ok_or(not_found(id))?)
    }

    /// Lists a community's drives by id.
    pub(crate) async fn list_donation_drives(
        &self,
        community: Community,
        state: Option<DriveState>,
        after: Uuid,
        size: i64,
    ) -> Result<Page<Drive, Uuid>, Error> {
        let window = Page::<Drive, _>::window(after, size);
        let rows = store::drive::list(&self.pool, community, state, window).await?;
        Ok(Page::cut(rows, size, |drive| drive.id))
    }
}

/// A drive, locked until the transaction ends.
pub(crate) async fn locked(
    tx: &mut PgConnection,
    community: Community,
    id: Uuid,
) -> Result<Drive, Error> {
    store::drive::lock(&mut *tx, community, id).await?;
    let found = store::drive::find_one(&mut *tx, community, id).await?;
    Ok(found.ok_or(not_found(id))?)
}

fn not_found(id: Uuid) -> Refusal {
    Refusal::NotFound {
        resource: Resource::DonationDrive,
        id,
    }
}
