//! Pledges: make one, take it back, deliver it, have it confirmed.

use std::slice;

use chrono::{DateTime, Utc};
use runtime::{Access, Deadline};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Error, Page, Wishes,
    answer::{Known, Turn},
    domain::{
        Community,
        call::Call,
        operation::{HEAD_START, Kind, StepKey},
        pledge::{Delivery, Pledge, PledgeState, Pledger},
        refusal::{Refusal, Resource},
        telling::NewTelling,
        wish::{MOST_OPEN_PLEDGES, Unit, Wish},
    },
    lapse::no_wish,
    store::{self, operation::NewStep, pledge::PledgeFilter},
};

/// How often a call looks again after a step that another had under way.
const ROUNDS: usize = 5;
/// What the names of members are called.
const MEMBERS: &str = "members";

/// A promise to write down.
#[derive(Debug, Clone)]
pub(crate) struct NewPledge {
    pub(crate) wish: Uuid,
    pub(crate) pledger: Pledger,
    pub(crate) quantity: i64,
    /// Whether who promises may know of a wish that was never published.
    pub(crate) sees_all: bool,
}

/// What is decided about a pledge with the ledger.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Decision<'a> {
    /// A delivery is confirmed.
    Confirm,
    /// A confirmed one is taken back, for this reason.
    Reverse(&'a str),
}

impl Wishes {
    /// Promises a part of a wish. Points are held before it is answered.
    pub(crate) async fn create_pledge(
        &self,
        call: &Call,
        new: NewPledge,
        deadline: Deadline,
    ) -> Result<Pledge, Error> {
        for _ in 0..ROUNDS {
            match self.known(call).await? {
                Known::Answer(answer) => return Ok(answer),
                Known::Unsettled => {
                    self.settle(call.community, call.request_id, deadline)
                        .await?;
                    continue;
                }
                Known::Nothing => {}
            }
            if let Some(member) = new.pledger.member() {
                let asked = self
                    .activity
                    .require_member(call.community, member, deadline);
                match asked.await {
                    Ok(()) => {}
                    Err(Error::Refused(refusal)) => return self.refuse(call, refusal).await,
                    Err(error) => return Err(error),
                }
            }
            let mut tx = match self.turn(call).await {
                Ok(Turn::First(tx)) => tx,
                Ok(Turn::Again(answer)) => return Ok(answer),
                Err(Error::Unsettled) => continue,
                Err(error) => return Err(error),
            };
            match self.promise(&mut tx, call, &new).await {
                Ok(pledge) if pledge.in_points => self.commit(tx, call.community).await?,
                outcome => return self.conclude(tx, call, outcome).await,
            }
        }
        Err(Error::Unsettled)
    }

    pub(crate) async fn promise(
        &self,
        tx: &mut PgConnection,
        call: &Call,
        new: &NewPledge,
    ) -> Result<Pledge, Error> {
        // One that has run out refuses; what becomes of its pledges need not be written for that.
        let (wish, now) = self.locked(tx, call.community, new.wish).await?;
        let mut wish = wish.at(now);
        if !new.sees_all && wish.published_at.is_none() {
            return Err(no_wish(wish.id).into());
        }
        wish.pledge(new.quantity)?;
        let open = store::pledge::count_open(&mut *tx, call.community, wish.id).await?;
        if open >= MOST_OPEN_PLEDGES {
            return Err(Refusal::TooManyPledges { wish: wish.id }.into());
        }
        let in_points = matches!(wish.unit, Unit::Points { .. });
        if in_points && new.pledger.member().is_none() {
            return Err(Refusal::OnlyMembersPledgePoints { wish: wish.id }.into());
        }
        let pledge = Pledge {
            community: call.community,
            id: call.request_id,
            wish: wish.id,
            programme: wish.programme,
            pledger: new.pledger.clone(),
            quantity: new.quantity,
            in_points,
            state: match in_points {
                true => PledgeState::Pending,
                false => PledgeState::Active,
            },
            evidence: Vec::new(),
            note: String::new(),
            created_at: now,
            delivered_at: None,
            ended_at: None,
            closes_at: wish.closes_at,
            confirms_until: wish.confirms_until,
            reversed_at: None,
            reversal_reason: String::new(),
            is_settling: in_points,
        };
        store::wish::update(&mut *tx, &wish).await?;
        store::pledge::insert(&mut *tx, &pledge).await?;
        if in_points {
            self.begin(tx, call, &pledge, Kind::Hold).await?;
        }
        Ok(pledge)
    }

    /// Writes down a step that a call waits for.
    pub(crate) async fn begin(
        &self,
        conn: &mut PgConnection,
        call: &Call,
        pledge: &Pledge,
        kind: Kind,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let step = NewStep {
            key: StepKey {
                community: pledge.community,
                pledge: pledge.id,
                kind,
            },
            request_id: Some(call.request_id),
            now,
            due_at: now + HEAD_START,
        };
        Ok(store::operation::insert(conn, &step).await?)
    }

    /// Confirms a delivery. Points are spent before it is answered.
    pub(crate) async fn confirm_pledge(
        &self,
        call: &Call,
        access: &Access,
        id: Uuid,
        deadline: Deadline,
    ) -> Result<Pledge, Error> {
        self.decide(call, id, (access, Decision::Confirm), deadline)
            .await
    }

    /// Takes a decision that the ledger has a part in where points are pledged, and its step to the end.
    pub(crate) async fn decide(
        &self,
        call: &Call,
        id: Uuid,
        (access, decision): (&Access, Decision<'_>),
        deadline: Deadline,
    ) -> Result<Pledge, Error> {
        for _ in 0..ROUNDS {
            match self.known(call).await? {
                Known::Answer(answer) => return Ok(answer),
                Known::Unsettled | Known::Nothing => {}
            }
            // Its own step, or another's that is under way.
            self.settle(call.community, id, deadline).await?;
            let mut tx = match self.turn(call).await {
                Ok(Turn::First(tx)) => tx,
                Ok(Turn::Again(answer)) => return Ok(answer),
                Err(Error::Unsettled) => continue,
                Err(error) => return Err(error),
            };
            let outcome = match decision {
                Decision::Confirm => self.confirm(&mut tx, call, access, id).await,
                Decision::Reverse(reason) => {
                    self.reverse(&mut tx, call, access, (id, reason)).await
                }
            };
            match outcome {
                Ok(pledge) if pledge.in_points => self.commit(tx, call.community).await?,
                // Another began to decide the same meanwhile; what comes of that decides.
                Err(Error::Unsettled) => {}
                outcome => return self.conclude(tx, call, outcome).await,
            }
        }
        Err(Error::Unsettled)
    }

    async fn confirm(
        &self,
        tx: &mut PgConnection,
        call: &Call,
        access: &Access,
        id: Uuid,
    ) -> Result<Pledge, Error> {
        let (mut wish, mut pledge, now) = self.open_both(tx, call.community, id).await?;
        pledge.require_delivered()?;
        if is_pledger(access, &pledge) {
            return Err(Refusal::PledgerConfirms { pledge: id }.into());
        }
        if pledge.in_points {
            if pledge.is_settling {
                return Err(Error::Unsettled);
            }
            self.begin(tx, call, &pledge, Kind::Capture).await?;
            return Ok(pledge);
        }
        pledge.end(PledgeState::Confirmed, now);
        wish.confirm(pledge.quantity, now);
        store::pledge::update(&mut *tx, &pledge).await?;
        let told = NewTelling::of_pledge(&pledge, &wish.title);
        self.tell(tx, call.community, told).await?;
        store::wish::update(tx, &wish).await?;
        Ok(pledge)
    }

    /// Takes a pledge back.
    pub(crate) async fn withdraw_pledge(
        &self,
        call: &Call,
        id: Uuid,
        deadline: Deadline,
    ) -> Result<Pledge, Error> {
        self.change_pledge(call, id, deadline, Pledge::withdraw)
            .await
    }

    /// Ends a pledge that will not come to anything.
    pub(crate) async fn revoke_pledge(
        &self,
        call: &Call,
        id: Uuid,
        reason: String,
        deadline: Deadline,
    ) -> Result<Pledge, Error> {
        let change = |pledge: &mut Pledge, now| pledge.revoke(reason, now);
        self.change_pledge(call, id, deadline, change).await
    }

    /// Says that a pledge was delivered.
    pub(crate) async fn deliver_pledge(
        &self,
        call: &Call,
        id: Uuid,
        delivery: Delivery,
        deadline: Deadline,
    ) -> Result<Pledge, Error> {
        let change = |pledge: &mut Pledge, now| pledge.deliver(delivery, now);
        self.change_pledge(call, id, deadline, change).await
    }

    /// Says that a delivery is not accepted.
    pub(crate) async fn refuse_delivery(
        &self,
        call: &Call,
        id: Uuid,
        reason: String,
        deadline: Deadline,
    ) -> Result<Pledge, Error> {
        let change = |pledge: &mut Pledge, now| pledge.refuse_delivery(reason, now);
        self.change_pledge(call, id, deadline, change).await
    }

    /// Changes a pledge under its wish's lock, after a step of it that is under way. Its points go back when it has ended.
    async fn change_pledge(
        &self,
        call: &Call,
        id: Uuid,
        deadline: Deadline,
        change: impl FnOnce(&mut Pledge, DateTime<Utc>) -> Result<(), Refusal>,
    ) -> Result<Pledge, Error> {
        match self.known(call).await? {
            Known::Answer(answer) => return Ok(answer),
            Known::Unsettled => return Err(Error::Unsettled),
            Known::Nothing => self.settle(call.community, id, deadline).await?,
        }
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = async {
            let (mut wish, mut pledge, now) = self.open_both(&mut tx, call.community, id).await?;
            let before = pledge.state;
            change(&mut pledge, now)?;
            wish.end_late(&mut pledge, now);
            if pledge.state == PledgeState::Delivered {
                wish.deliver(pledge.quantity);
            } else {
                wish.lose(&pledge, before);
                // A wish that was all delivered by its close is so no more.
                wish.lapse(Vec::new(), now);
            }
            store::pledge::update(&mut tx, &pledge).await?;
            let told = NewTelling::of_pledge(&pledge, &wish.title);
            self.tell(&mut tx, call.community, told).await?;
            store::wish::update(&mut tx, &wish).await?;
            if pledge.ended_at.is_some() {
                self.give_back(&mut tx, slice::from_ref(&pledge)).await?;
                pledge.is_settling = pledge.in_points;
            }
            Ok(pledge)
        };
        let outcome = outcome.await;
        let pledge = self.conclude(tx, call, outcome).await?;
        if pledge.is_settling && self.settle(call.community, id, deadline).await.is_err() {
            // The pledge has ended whatever the ledger says; the loop gives its points back.
            self.recovery.nudge();
        }
        Ok(pledge)
    }

    /// Locks a pledge's wish, and brings both up to the clock, whose moment it says.
    pub(crate) async fn open_both(
        &self,
        conn: &mut PgConnection,
        community: Community,
        id: Uuid,
    ) -> Result<(Wish, Pledge, DateTime<Utc>), Error> {
        let found = store::pledge::find_one(&mut *conn, community, id).await?;
        let pledge = found.ok_or(not_found(id))?;
        let (wish, now) = self.open(&mut *conn, community, pledge.wish).await?;
        // What was read before the lock may have changed since.
        let found = store::pledge::find_one(&mut *conn, community, id).await?;
        Ok((wish, found.ok_or(not_found(id))?, now))
    }

    /// Returns a pledge by the clock.
    pub(crate) async fn get_pledge(&self, community: Community, id: Uuid) -> Result<Pledge, Error> {
        let found = self.find_pledge(community, id).await?;
        Ok(found.ok_or(not_found(id))?.at(self.clock.now()))
    }

    /// The same as it was last written, if it is there.
    pub(crate) async fn find_pledge(
        &self,
        community: Community,
        id: Uuid,
    ) -> Result<Option<Pledge>, Error> {
        Ok(store::pledge::find_one(&self.pool, community, id).await?)
    }

    /// Lists pledges by id.
    pub(crate) async fn list_pledges(
        &self,
        filter: PledgeFilter,
        after: Uuid,
        size: i64,
    ) -> Result<Page<Pledge, Uuid>, Error> {
        let window = Page::<Pledge, _>::window(after, size);
        let rows = store::pledge::list(&self.pool, &filter, window).await?;
        let now = self.clock.now();
        let rows = rows.into_iter().map(|pledge| pledge.at(now)).collect();
        Ok(Page::cut(rows, size, |pledge: &Pledge| pledge.id))
    }
}

/// Whether the caller is who pledged.
pub(crate) fn is_pledger(access: &Access, pledge: &Pledge) -> bool {
    let member = pledge.pledger.member();
    member.is_some_and(|member| access.is(pledge.community.0, MEMBERS, member))
}

fn not_found(id: Uuid) -> Refusal {
    Refusal::NotFound {
        resource: Resource::Pledge,
        id,
    }
}
