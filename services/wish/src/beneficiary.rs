//! The roster: put somebody on it, change them, take them off, find them.

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use chrono::NaiveDate;
use chrono_tz::Tz;
use runtime::Deadline;

use crate::{
    Error, Page, Wishes,
    answer::Turn,
    domain::{
        Community,
        beneficiary::{
            Beneficiary, BeneficiaryState, Change, Grade, MaskedBeneficiary, own_number,
        },
        call::Call,
        event::NewEvent,
        person::{Person, PersonChange},
        refusal::{Refusal, Resource, RosterRefusal},
    },
    seal,
    store::{
        self,
        beneficiary::{DueFilter, RosterFilter},
        sealed::{Holds, Owner},
    },
};

/// Somebody to put on the roster.
#[derive(Debug, Clone)]
pub(crate) struct NewBeneficiary {
    pub(crate) id: Option<Uuid>,
    /// `None`: the service gives the next one of its own.
    pub(crate) number: Option<String>,
    pub(crate) programme: Uuid,
    pub(crate) household: Option<String>,
    pub(crate) birth_year: Option<i16>,
    pub(crate) grade: Grade,
    pub(crate) person: Person,
}

/// What is kept as an answer: nothing that an erasure takes away.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) id: Uuid,
}

/// Whose visit is due, and by how much.
#[derive(Debug)]
pub(crate) struct DueVisit {
    pub(crate) of: MaskedBeneficiary,
    pub(crate) due_date: NaiveDate,
    /// Negative: not yet.
    pub(crate) overdue_days: i64,
}

impl Wishes {
    /// Puts somebody on the roster; the person is sealed.
    pub(crate) async fn create_beneficiary(
        &self,
        call: &Call,
        new: NewBeneficiary,
        deadline: Deadline,
    ) -> Result<MaskedBeneficiary, Error> {
        if let Some(kept) = self.kept(call).await? {
            return self.registered(call, kept, &new).await;
        }
        let found = self
            .activity
            .time_zone(call.community, new.programme, deadline);
        let Some(time_zone) = found.await? else {
            let refusal = Refusal::NotFound {
                resource: Resource::Programme,
                id: new.programme,
            };
            let kept = self.refuse(call, refusal).await?;
            return self.registered(call, kept, &new).await;
        };
        let kept = match self.turn(call).await? {
            Turn::First(mut tx) => {
                let outcome = self
                    .register(&mut tx, call.community, &new, time_zone)
                    .await;
                self.conclude(tx, call, outcome).await?
            }
            Turn::Again(kept) => kept,
        };
        self.registered(call, kept, &new).await
    }

    /// The answer, each time. What an erasure takes away is no part of the call's fingerprint; it is compared as long as nothing was changed.
    async fn registered(
        &self,
        call: &Call,
        Kept { id }: Kept,
        new: &NewBeneficiary,
    ) -> Result<MaskedBeneficiary, Error> {
        let (beneficiary, person) = self.read_beneficiary(call.community, id).await?;
        let of = &beneficiary;
        let is_other = |person: &Person| {
            let about = (person, &of.household, of.birth_year);
            about != (&new.person, &new.household, new.birth_year)
        };
        if of.revision == 1 && person.as_ref().is_some_and(is_other) {
            return Err(Error::RequestIdReused(call.request_id));
        }
        Ok(masked(beneficiary, person))
    }

    pub(crate) async fn register(
        &self,
        tx: &mut PgConnection,
        community: Community,
        new: &NewBeneficiary,
        time_zone: Tz,
    ) -> Result<Kept, Error> {
        let mut beneficiary = Beneficiary {
            community,
            id: new.id.unwrap_or_else(|| self.ids.next()),
            number: String::new(),
            programme: new.programme,
            time_zone,
            household: new.household.clone(),
            birth_year: new.birth_year,
            grade: new.grade,
            state: BeneficiaryState::Active,
            last_visit_at: None,
            revision: 1,
            created_at: self.clock.now(),
            ended_at: None,
            erased_at: None,
        };
        let id = beneficiary.id;
        match &new.number {
            Some(number) => {
                beneficiary.number.clone_from(number);
                if !insert(tx, &beneficiary).await? {
                    let number = beneficiary.number;
                    return Err(refused(RosterRefusal::NumberTaken { number }));
                }
            }
            // Somebody may have chosen a number of this form by hand: then the next one is tried.
            None => loop {
                let next = store::beneficiary::next_number(&mut *tx, community).await?;
                beneficiary.number = own_number(next);
                if insert(tx, &beneficiary).await? {
                    break;
                }
            },
        }
        self.seal_person(tx, community, id, &new.person).await?;
        Ok(Kept { id })
    }

    async fn seal_person(
        &self,
        tx: &mut PgConnection,
        community: Community,
        id: Uuid,
        person: &Person,
    ) -> Result<(), Error> {
        let owner = Owner {
            community,
            id,
            holds: Holds::Beneficiary,
            beneficiary: id,
        };
        let sealed = seal::person(&self.keys, community, id, person);
        match store::sealed::set(tx, owner, &sealed).await? {
            true => Ok(()),
            // A visit's.
            false => Err(Refusal::Exists {
                resource: Resource::Beneficiary,
                id,
            }
            .into()),
        }
    }

    /// Changes somebody. `seen` is the revision that the caller has read, if it says.
    pub(crate) async fn update_beneficiary(
        &self,
        call: &Call,
        id: Uuid,
        change: Change,
        seen: Option<i64>,
    ) -> Result<MaskedBeneficiary, Error> {
        let Kept { id } = match self.turn(call).await? {
            Turn::First(mut tx) => {
                let outcome = self
                    .change_beneficiary(&mut tx, call.community, id, change, seen)
                    .await;
                self.conclude(tx, call, outcome).await?
            }
            Turn::Again(kept) => kept,
        };
        self.get_beneficiary(call.community, id).await
    }

    async fn change_beneficiary(
        &self,
        tx: &mut PgConnection,
        community: Community,
        id: Uuid,
        change: Change,
        seen: Option<i64>,
    ) -> Result<Kept, Error> {
        let beneficiary = locked(tx, community, id).await?.change(&change, seen)?;
        store::beneficiary::set(&mut *tx, &beneficiary).await?;
        tell(tx, &beneficiary, "updated").await?;
        if !change.person.is_empty() {
            self.change_person(tx, &beneficiary, change.person).await?;
        }
        Ok(Kept { id })
    }

    async fn change_person(
        &self,
        tx: &mut PgConnection,
        of: &Beneficiary,
        change: PersonChange,
    ) -> Result<(), Error> {
        let (community, id) = (of.community, of.id);
        let sealed = store::sealed::find_many(&mut *tx, community, &[id]).await?;
        let erased = RosterRefusal::BeneficiaryErased { beneficiary: id };
        let (_, sealed) = sealed.first().ok_or_else(|| refused(erased))?;
        let person = seal::open_person(&self.keys, community, id, sealed)?;
        self.seal_person(tx, community, id, &person.with(change))
            .await
    }

    /// Takes somebody off the roster.
    pub(crate) async fn end_beneficiary(
        &self,
        call: &Call,
        id: Uuid,
    ) -> Result<MaskedBeneficiary, Error> {
        let Kept { id } = match self.turn(call).await? {
            Turn::First(mut tx) => {
                let outcome = self.end(&mut tx, call.community, id).await;
                self.conclude(tx, call, outcome).await?
            }
            Turn::Again(kept) => kept,
        };
        self.get_beneficiary(call.community, id).await
    }

    async fn end(
        &self,
        tx: &mut PgConnection,
        community: Community,
        id: Uuid,
    ) -> Result<Kept, Error> {
        let beneficiary = locked(tx, community, id).await?.end(self.clock.now())?;
        store::beneficiary::set(&mut *tx, &beneficiary).await?;
        tell(tx, &beneficiary, "ended").await?;
        Ok(Kept { id })
    }

    /// Returns somebody, masked.
    pub(crate) async fn get_beneficiary(
        &self,
        community: Community,
        id: Uuid,
    ) -> Result<MaskedBeneficiary, Error> {
        let (beneficiary, person) = self.read_beneficiary(community, id).await?;
        Ok(masked(beneficiary, person))
    }

    /// Lists a community's roster by id, masked.
    pub(crate) async fn list_beneficiaries(
        &self,
        filter: &RosterFilter,
        after: Uuid,
        size: i64,
    ) -> Result<Page<MaskedBeneficiary, Uuid>, Error> {
        let window = Page::<Beneficiary, _>::window(after, size);
        let rows = store::beneficiary::list(&self.pool, filter, window).await?;
        let page = Page::cut(rows, size, |of: &Beneficiary| of.id);
        Ok(Page {
            items: self.masked(filter.community, page.items).await?,
            next: page.next,
        })
    }

    /// Lists whose visit is due up to a local date, or today; first whose was due first.
    pub(crate) async fn list_due_visits(
        &self,
        (community, programme): (Community, Uuid),
        (until, grade): (Option<NaiveDate>, Option<Grade>),
        after: (NaiveDate, Uuid),
        size: i64,
    ) -> Result<Page<DueVisit, (NaiveDate, Uuid)>, Error> {
        let zone = store::beneficiary::time_zone(&self.pool, community, programme).await?;
        let Some(zone) = zone else {
            let (items, next) = (Vec::new(), None);
            return Ok(Page { items, next });
        };
        let today = self.clock.now().with_timezone(&zone).date_naive();
        let filter = DueFilter {
            community,
            programme,
            until: until.unwrap_or(today),
            grade,
        };
        let window = Page::<Beneficiary, _>::window(after, size);
        let rows = store::beneficiary::list_due(&self.pool, &filter, window).await?;
        let due_date = |of: &Beneficiary| of.due_date().unwrap_or(NaiveDate::MAX);
        let page = Page::cut(rows, size, |of| (due_date(of), of.id));
        let due = self.masked(community, page.items).await?.into_iter();
        let due = due.map(|of| {
            let due_date = due_date(&of.beneficiary);
            DueVisit {
                overdue_days: (today - due_date).num_days(),
                due_date,
                of,
            }
        });
        Ok(Page {
            items: due.collect(),
            next: page.next,
        })
    }
}

/// Somebody, locked until the transaction ends.
pub(crate) async fn locked(
    tx: &mut PgConnection,
    community: Community,
    id: Uuid,
) -> Result<Beneficiary, Error> {
    store::beneficiary::lock(&mut *tx, community, id).await?;
    let found = store::beneficiary::find_one(&mut *tx, community, id).await?;
    found.ok_or_else(|| not_found(id).into())
}

/// Somebody on the roster, who stays there until the transaction ends.
pub(crate) async fn active(
    tx: &mut PgConnection,
    community: Community,
    id: Uuid,
) -> Result<Beneficiary, Error> {
    store::beneficiary::lock_shared(&mut *tx, community, id).await?;
    let found = store::beneficiary::find_one(&mut *tx, community, id).await?;
    let beneficiary = found.ok_or(not_found(id))?;
    beneficiary.require_active()?;
    Ok(beneficiary)
}

/// False when the number is taken.
async fn insert(tx: &mut PgConnection, of: &Beneficiary) -> Result<bool, Error> {
    match store::beneficiary::insert(&mut *tx, of).await {
        Ok(true) => {
            tell(tx, of, "active").await?;
            Ok(true)
        }
        Ok(false) => Ok(false),
        Err(error) if runtime::constraint(&error) == Some("beneficiary_pk") => {
            Err(Refusal::Exists {
                resource: Resource::Beneficiary,
                id: of.id,
            }
            .into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Writes down what was done with somebody's place on the roster.
pub(crate) async fn tell(tx: &mut PgConnection, of: &Beneficiary, what: &str) -> Result<(), Error> {
    let event = NewEvent {
        kind: format!("beneficiary_{what}"),
        subject: format!("beneficiaries/{}", of.id),
        member: None,
    };
    Ok(store::event::insert(tx, of.community, &[event]).await?)
}

/// Somebody as staff may see them.
pub(crate) fn masked(beneficiary: Beneficiary, person: Option<Person>) -> MaskedBeneficiary {
    let masked = person.map(|person| person.masked()).unwrap_or_default();
    MaskedBeneficiary {
        beneficiary,
        masked,
        is_damaged: false,
    }
}

pub(crate) fn not_found(id: Uuid) -> Refusal {
    Refusal::NotFound {
        resource: Resource::Beneficiary,
        id,
    }
}

pub(crate) fn refused(refusal: RosterRefusal) -> Error {
    Refusal::from(refusal).into()
}
