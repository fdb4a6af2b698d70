//! Programmes: start one, look at one, list them, sum one up.

use std::time::Duration;

use chrono_tz::Tz;
use tonic::Status;
use uuid::Uuid;

use crate::{
    Activity, Error, Page,
    answer::Turn,
    domain::{
        Community,
        call::Call,
        event::NewEvent,
        programme::{Programme, Summary},
        refusal::{Refusal, Resource},
    },
    store,
};

/// What to start.
#[derive(Debug, Clone)]
pub(crate) struct NewProgramme {
    pub(crate) id: Option<Uuid>,
    pub(crate) display_name: String,
    pub(crate) asset: String,
    pub(crate) exponent: i16,
    pub(crate) time_zone: Tz,
    pub(crate) budget: Option<i64>,
    pub(crate) second_person_days: i32,
    pub(crate) expiry_notice_days: Vec<i32>,
}

impl Activity {
    /// Starts a programme: first its accounts in the ledger, then its row. A call that ends in between is finished by
    /// sending it again, because everything in the ledger goes by ids that the call decides.
    pub(crate) async fn create_programme(
        &self,
        call: &Call,
        new: NewProgramme,
        timeout: Duration,
    ) -> Result<Programme, Error> {
        if let Some(answer) = self.kept(call).await? {
            return Ok(answer);
        }
        let community = call.community;
        let name = format!("programme/{}", call.request_id);
        let programme = Programme {
            community,
            id: new
                .id
                .unwrap_or_else(|| Uuid::new_v5(&community.0, name.as_bytes())),
            display_name: new.display_name,
            asset: new.asset,
            exponent: new.exponent,
            time_zone: new.time_zone,
            budget: new.budget,
            second_person_days: new.second_person_days,
            expiry_notice_days: new.expiry_notice_days,
            created_at: self.clock.now(),
        };
        // The ledger is asked only for what may come to be: its accounts are never closed.
        if store::programme::find(&self.pool, community, programme.id)
            .await?
            .is_none()
            && let Err(status) = self.open_programme(&programme, timeout).await
        {
            let refusal =
                refused_by_ledger(&status, &programme).ok_or(Error::Ledger(Box::new(status)))?;
            return self.refuse(call, refusal).await;
        }
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = match store::programme::insert(&mut *tx, &programme).await {
            Ok(()) => {
                let event = NewEvent::of_programme(&programme);
                let told = store::event::insert(&mut tx, programme.community, &[event]).await;
                told.map(|()| programme).map_err(Error::from)
            }
            Err(error) if runtime::constraint(&error) == Some("programme_pk") => {
                Err(Refusal::Exists {
                    resource: Resource::Programme,
                    id: programme.id,
                }
                .into())
            }
            Err(error) => Err(error.into()),
        };
        self.conclude(tx, call, outcome).await
    }

    /// Returns a programme.
    pub(crate) async fn get_programme(
        &self,
        community: Community,
        id: Uuid,
    ) -> Result<Programme, Error> {
        let programme = store::programme::find(&self.pool, community, id).await?;
        programme.ok_or(
            Refusal::NotFound {
                resource: Resource::Programme,
                id,
            }
            .into(),
        )
    }

    /// Lists a community's programmes by id.
    pub(crate) async fn list_programmes(
        &self,
        community: Community,
        after: Uuid,
        size: i64,
    ) -> Result<Page<Programme, Uuid>, Error> {
        let window = Page::<Programme, _>::window(after, size);
        let rows = store::programme::list(&self.pool, community, window).await?;
        Ok(Page::cut(rows, size, |programme| programme.id))
    }

    /// Returns what a programme stands at, from one snapshot.
    pub(crate) async fn get_programme_summary(
        &self,
        community: Community,
        id: Uuid,
    ) -> Result<Summary, Error> {
        let summary = store::programme::summary(&self.pool, community, id).await?;
        summary.ok_or(
            Refusal::NotFound {
                resource: Resource::Programme,
                id,
            }
            .into(),
        )
    }
}

/// The refusal that a ledger's answer means for a new programme; `None` when it is no refusal.
fn refused_by_ledger(status: &Status, programme: &Programme) -> Option<Refusal> {
    match runtime::reason_of(status)?.as_str() {
        "ASSET_EXISTS" => Some(Refusal::AssetExists {
            asset: programme.asset.clone(),
            exponent: programme.exponent,
        }),
        // Accounts under this id, opened for a programme with another budget or asset.
        "ACCOUNT_EXISTS" => Some(Refusal::Exists {
            resource: Resource::Programme,
            id: programme.id,
        }),
        _ => None,
    }
}
