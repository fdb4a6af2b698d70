//! Wishes: collect one, review it, publish it, take it back, close it; find them.

use std::slice;

use chrono::{DateTime, Utc};
use runtime::Deadline;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Error, Page, Wishes,
    answer::{Known, Turn},
    beneficiary::active,
    domain::{
        Community,
        call::Call,
        refusal::{Refusal, Resource},
        telling::NewTelling,
        wish::{Priority, Scope, Unit, Wish, WishState},
    },
    store::{self, wish::WishFilter},
    value::require_within,
};

/// Code of the asset that is money.
const CASH: &str = "CNY";

/// A wish to write down.
#[derive(Debug, Clone)]
pub(crate) struct NewWish {
    pub(crate) id: Option<Uuid>,
    pub(crate) programme: Uuid,
    pub(crate) beneficiary: Uuid,
    pub(crate) proxy: Option<Uuid>,
    pub(crate) visit: Option<Uuid>,
    pub(crate) category: String,
    pub(crate) scope: Scope,
    pub(crate) priority: Priority,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) unit: NewUnit,
    pub(crate) target: i64,
    pub(crate) closes_at: DateTime<Utc>,
    pub(crate) confirms_until: DateTime<Utc>,
    /// The merchant who is to get its points.
    pub(crate) supplier: Option<Uuid>,
    /// In fen of CNY.
    pub(crate) estimated_value: Option<i64>,
}

/// What a new wish is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NewUnit {
    Each,
    Hours,
    /// Of the programme's asset, whatever that is.
    Points,
}

impl Wishes {
    /// Writes down a wish.
    pub(crate) async fn create_wish(
        &self,
        call: &Call,
        new: NewWish,
        deadline: Deadline,
    ) -> Result<Wish, Error> {
        match self.known(call).await? {
            Known::Answer(answer) => return Ok(answer),
            Known::Unsettled => return Err(Error::Unsettled),
            Known::Nothing => {}
        }
        let asset = match self.prepare(call.community, &new, deadline).await {
            Ok(asset) => asset,
            Err(Error::Refused(refusal)) => return self.refuse(call, refusal).await,
            Err(error) => return Err(error),
        };
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let wish = Wish {
            community: call.community,
            id: new.id.unwrap_or_else(|| self.ids.next()),
            programme: new.programme,
            beneficiary: new.beneficiary,
            proxy: new.proxy,
            visit: new.visit,
            round: None,
            category: new.category,
            scope: new.scope,
            priority: new.priority,
            title: new.title,
            description: new.description,
            unit: match new.unit {
                NewUnit::Each => Unit::Each,
                NewUnit::Hours => Unit::Hours,
                NewUnit::Points => Unit::Points { asset },
            },
            target: new.target,
            pledged: 0,
            delivered: 0,
            confirmed: 0,
            settling: 0,
            reversed: 0,
            supplier: new.supplier,
            estimated_value: new.estimated_value,
            state: WishState::Submitted,
            created_at: self.clock.now(),
            published_at: None,
            closes_at: new.closes_at,
            confirms_until: new.confirms_until,
            ended_at: None,
            rating: None,
            feedback: String::new(),
        };
        let outcome = collect(&mut tx, wish).await;
        self.conclude(tx, call, outcome).await
    }

    /// Sees that the programme is there, that its asset may be spent, and that points have an account to go to. Returns the programme's asset.
    async fn prepare(
        &self,
        community: Community,
        new: &NewWish,
        deadline: Deadline,
    ) -> Result<String, Error> {
        let closes_at = new.closes_at;
        if closes_at < self.clock.now() {
            return Err(Refusal::CloseTimeOver { closes_at }.into());
        }
        let found = self.activity.asset(community, new.programme, deadline);
        let asset = found.await?.ok_or(Refusal::NotFound {
            resource: Resource::Programme,
            id: new.programme,
        })?;
        if new.unit == NewUnit::Points {
            if asset == CASH {
                let programme = new.programme;
                return Err(Refusal::CashProgramme { programme }.into());
            }
            let account = (community, new.programme, &asset[..]);
            self.ledger.open_account(account, deadline).await?;
        }
        self.require_payable(community, new, deadline).await?;
        Ok(asset)
    }

    /// Sees that whoever supplies can get the points.
    async fn require_payable(
        &self,
        community: Community,
        new: &NewWish,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let Some(merchant) = new.supplier else {
            return Ok(());
        };
        if new.unit != NewUnit::Points {
            return Err(Refusal::SupplierWithoutPoints { merchant }.into());
        }
        let programme = new.programme;
        let account = (community, programme, merchant);
        match self.ledger.has_account(account, deadline).await? {
            true => Ok(()),
            false => Err(Refusal::SupplierWithoutAccount {
                merchant,
                programme,
            }
            .into()),
        }
    }

    /// Finds a wish to be in order.
    pub(crate) async fn review_wish(
        &self,
        call: &Call,
        id: Uuid,
        estimated_value: Option<i64>,
    ) -> Result<Wish, Error> {
        self.change(call, id, |wish, _| wish.review(estimated_value))
            .await
    }

    /// Does not take a wish up.
    pub(crate) async fn reject_wish(&self, call: &Call, id: Uuid) -> Result<Wish, Error> {
        self.change(call, id, Wish::reject).await
    }

    /// Publishes a wish by itself.
    pub(crate) async fn publish_wish(&self, call: &Call, id: Uuid) -> Result<Wish, Error> {
        self.change(call, id, Wish::publish).await
    }

    /// Closes a wish with what the requester said.
    pub(crate) async fn close_wish(
        &self,
        call: &Call,
        id: Uuid,
        (rating, feedback): (i16, String),
    ) -> Result<Wish, Error> {
        self.change(call, id, |wish, _| wish.close(rating, feedback))
            .await
    }

    /// Changes a wish under its lock.
    async fn change(
        &self,
        call: &Call,
        id: Uuid,
        change: impl FnOnce(&mut Wish, DateTime<Utc>) -> Result<(), Refusal>,
    ) -> Result<Wish, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = async {
            let (mut wish, now) = self.open(&mut tx, call.community, id).await?;
            change(&mut wish, now)?;
            if matches!(wish.state, WishState::Reviewed | WishState::Published) {
                require_within(&mut tx, slice::from_ref(&wish)).await?;
            }
            store::wish::update(&mut tx, &wish).await?;
            Ok(wish)
        };
        let outcome = outcome.await;
        self.conclude(tx, call, outcome).await
    }

    /// Takes a wish back, and ends its pledges.
    pub(crate) async fn withdraw_wish(
        &self,
        call: &Call,
        id: Uuid,
        reason: String,
    ) -> Result<Wish, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = async {
            let (mut wish, now) = self.open(&mut tx, call.community, id).await?;
            wish.withdraw(now)?;
            let mut pledges = store::pledge::open(&mut *tx, call.community, id).await?;
            for pledge in &mut pledges {
                pledge.revoke(reason.clone(), now)?;
            }
            store::pledge::end_all(&mut tx, call.community, &pledges).await?;
            self.give_back(&mut tx, &pledges).await?;
            let told = |pledge| NewTelling::of_pledge(pledge, &wish.title);
            let tellings: Vec<NewTelling> = pledges.iter().filter_map(told).collect();
            self.tell(&mut tx, call.community, tellings).await?;
            store::wish::update(&mut tx, &wish).await?;
            Ok(wish)
        };
        let outcome = outcome.await;
        let wish = self.conclude(tx, call, outcome).await?;
        self.recovery.nudge();
        Ok(wish)
    }

    /// Whose a wish is, and who may confirm for them; nothing when there is none.
    pub(crate) async fn find_wish(
        &self,
        community: Community,
        id: Uuid,
    ) -> Result<Option<Wish>, Error> {
        Ok(store::wish::find_one(&self.pool, community, id).await?)
    }

    /// The moment that lists are told by.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Returns a wish by the clock; one that was never published only to those who see all.
    pub(crate) async fn get_wish(
        &self,
        community: Community,
        id: Uuid,
        sees_all: bool,
    ) -> Result<Wish, Error> {
        let found = store::wish::find_one(&self.pool, community, id).await?;
        let found = found.filter(|wish| sees_all || wish.published_at.is_some());
        let wish = found.ok_or(Refusal::NotFound {
            resource: Resource::Wish,
            id,
        })?;
        Ok(wish.at(self.clock.now()))
    }

    /// Lists a community's wishes by id.
    pub(crate) async fn list_wishes(
        &self,
        filter: WishFilter,
        after: Uuid,
        size: i64,
    ) -> Result<Page<Wish, Uuid>, Error> {
        let window = Page::<Wish, _>::window(after, size);
        let rows = store::wish::list(&self.pool, &filter, window).await?;
        let rows = rows.into_iter().map(|wish| wish.at(filter.now)).collect();
        Ok(Page::cut(rows, size, |wish: &Wish| wish.id))
    }
}

/// Adds a wish of somebody on the roster.
async fn collect(tx: &mut PgConnection, wish: Wish) -> Result<Wish, Error> {
    let requester = active(tx, wish.community, wish.beneficiary).await?;
    if let Some(visit) = wish.visit {
        let of = store::visit::beneficiary_of(&mut *tx, wish.community, visit).await?;
        if of != Some(requester.id) {
            return Err(Refusal::NotFound {
                resource: Resource::Visit,
                id: visit,
            }
            .into());
        }
    }
    match store::wish::insert(&mut *tx, &wish).await {
        Ok(()) => Ok(wish),
        Err(error) if runtime::constraint(&error) == Some("wish_pk") => Err(Refusal::Exists {
            resource: Resource::Wish,
            id: wish.id,
        }
        .into()),
        Err(error) => Err(error.into()),
    }
}
