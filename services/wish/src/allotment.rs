//! Packs of a donation drive: set some aside for somebody, hand them over, take them back.

use runtime::Deadline;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Error, Page, Wishes,
    answer::Turn,
    beneficiary::{active, refused},
    domain::{
        Community,
        call::Call,
        drive::{Allotment, AllotmentState, Drive, Receipt},
        refusal::{Refusal, Resource, RosterRefusal},
    },
    drive::locked,
    store,
};

/// Packs to set aside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewAllotment {
    pub(crate) id: Option<Uuid>,
    pub(crate) drive: Uuid,
    pub(crate) beneficiary: Uuid,
    pub(crate) packs: i64,
}

impl Wishes {
    /// Sets packs aside for somebody.
    pub(crate) async fn allot_packs(
        &self,
        call: &Call,
        new: NewAllotment,
    ) -> Result<Allotment, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = self.allot(&mut tx, call.community, new).await;
        self.conclude(tx, call, outcome).await
    }

    async fn allot(
        &self,
        tx: &mut PgConnection,
        community: Community,
        new: NewAllotment,
    ) -> Result<Allotment, Error> {
        let beneficiary = active(tx, community, new.beneficiary).await?;
        let drive = locked(tx, community, new.drive).await?.allot(new.packs)?;
        if !drive.repeat_households {
            // Under another household they may have been before.
            let (drive, of) = (new.drive, new.beneficiary);
            if store::allotment::is_served(&mut *tx, community, drive, of).await? {
                return Err(refused(RosterRefusal::HouseholdServed {
                    drive,
                    beneficiary: of,
                }));
            }
        }
        let once = (!drive.repeat_households).then(|| beneficiary.served_as());
        let allotment = Allotment {
            community,
            id: new.id.unwrap_or_else(|| self.ids.next()),
            drive: new.drive,
            beneficiary: new.beneficiary,
            household: beneficiary.household,
            packs: new.packs,
            state: AllotmentState::Allotted,
            receipt: None,
            reason: String::new(),
            created_at: self.clock.now(),
            ended_at: None,
        };
        store::drive::set(&mut *tx, &drive).await?;
        match store::allotment::insert(&mut *tx, &allotment, once.as_deref()).await {
            Ok(()) => Ok(allotment),
            Err(error) => Err(match runtime::constraint(&error) {
                Some("allotment_pk") => Refusal::Exists {
                    resource: Resource::Allotment,
                    id: allotment.id,
                }
                .into(),
                Some("allotment_household_once") => refused(RosterRefusal::HouseholdServed {
                    drive: new.drive,
                    beneficiary: new.beneficiary,
                }),
                _ => error.into(),
            }),
        }
    }

    /// Hands an allotment over against receipt.
    pub(crate) async fn hand_over_allotment(
        &self,
        call: &Call,
        id: Uuid,
        receipt: Receipt,
        deadline: Deadline,
    ) -> Result<Allotment, Error> {
        if let Some(answer) = self.kept(call).await? {
            return Ok(answer);
        }
        let by = self
            .activity
            .require_member(call.community, receipt.by, deadline);
        match by.await {
            Ok(()) => {}
            Err(Error::Refused(refusal)) => return self.refuse(call, refusal).await,
            Err(error) => return Err(error),
        }
        let now = self.clock.now();
        self.end_allotment(call, id, |allotment, drive| {
            let packs = allotment.packs;
            Ok((allotment.hand_over(receipt, now)?, drive.hand_over(packs)))
        })
        .await
    }

    /// Takes an allotment back.
    pub(crate) async fn take_back_allotment(
        &self,
        call: &Call,
        id: Uuid,
        reason: String,
    ) -> Result<Allotment, Error> {
        let now = self.clock.now();
        self.end_allotment(call, id, |allotment, drive| {
            let packs = allotment.packs;
            Ok((allotment.take_back(reason, now)?, drive.take_back(packs)))
        })
        .await
    }

    async fn end_allotment(
        &self,
        call: &Call,
        id: Uuid,
        decide: impl FnOnce(Allotment, Drive) -> Result<(Allotment, Drive), Refusal>,
    ) -> Result<Allotment, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = end(&mut tx, call.community, id, decide).await;
        self.conclude(tx, call, outcome).await
    }

    /// Returns an allotment.
    pub(crate) async fn get_allotment(
        &self,
        community: Community,
        id: Uuid,
    ) -> Result<Allotment, Error> {
        let found = store::allotment::find_one(&self.pool, community, id).await?;
        Ok(found.ok_or(not_found(id))?)
    }

    /// Lists a community's allotments by id, or those of a drive.
    pub(crate) async fn list_allotments(
        &self,
        place: (Community, Option<Uuid>),
        state: Option<AllotmentState>,
        after: Uuid,
        size: i64,
    ) -> Result<Page<Allotment, Uuid>, Error> {
        let window = Page::<Allotment, _>::window(after, size);
        let rows = store::allotment::list(&self.pool, place, state, window).await?;
        Ok(Page::cut(rows, size, |allotment| allotment.id))
    }
}

async fn end(
    tx: &mut PgConnection,
    community: Community,
    id: Uuid,
    decide: impl FnOnce(Allotment, Drive) -> Result<(Allotment, Drive), Refusal>,
) -> Result<Allotment, Error> {
    // Whose it is never changes; the drive's lock is the allotment's too, so it is read again under it.
    let found = store::allotment::find_one(&mut *tx, community, id).await?;
    let drive = locked(tx, community, found.ok_or(not_found(id))?.drive).await?;
    let found = store::allotment::find_one(&mut *tx, community, id).await?;
    let (allotment, drive) = decide(found.ok_or(not_found(id))?, drive)?;
    store::allotment::set_ended(&mut *tx, &allotment).await?;
    store::drive::set(&mut *tx, &drive).await?;
    Ok(allotment)
}

fn not_found(id: Uuid) -> Refusal {
    Refusal::NotFound {
        resource: Resource::Allotment,
        id,
    }
}
