//! Offers: drafting, review, prices and stock.

use chrono::NaiveDate;
use runtime::Deadline;
use uuid::Uuid;

use crate::{
    Error, Redemption,
    domain::{
        Audience, Happened, Name, NewEvent, Offer, OfferState, OfferStep, Refusal, Resource,
        Settlement, check_spendable,
    },
    merchant,
    remote::{NewAccount, Programme},
    store::{self, Call, NewPrice, Page},
};

/// An offer to be drafted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOffer {
    /// Its id, when the caller chose one.
    pub id: Option<Uuid>,
    /// Who gives it.
    pub merchant: Uuid,
    /// Whose points it takes.
    pub programme: Uuid,
    /// What it is.
    pub title: String,
    /// Price of one.
    pub points: i64,
    /// How many there are.
    pub stock: i64,
    /// The most one member may take.
    pub per_member_limit: Option<i64>,
    /// Whom it is for.
    pub audience: Audience,
    /// First local day, included.
    pub start: NaiveDate,
    /// Last local day, included.
    pub end: NaiveDate,
    /// How many times 24 h after its capture a redemption can be reversed.
    pub reversal_days: i32,
}

impl Redemption {
    /// Drafts an offer, with its merchant's account in the ledger open.
    pub async fn create_offer(
        &self,
        call: Call,
        new: NewOffer,
        deadline: Deadline,
    ) -> Result<Offer, Error> {
        self.answered(&call, deadline, async {
            self.stop_if_known(&call).await?;
            let merchant = Name {
                community: call.community,
                id: new.merchant,
            };
            self.get_merchant(merchant).await?.check_may_offer()?;
            let programme = self.programme(&call, &new, deadline).await?;
            let mut tx = self.begin(&call).await?;
            store::merchant_lock(&mut tx, merchant)
                .await?
                .ok_or(merchant::not_found(merchant))?
                .check_may_offer()?;
            let offer = self.draft(&call, new, programme);
            store::offer_insert(&mut tx, &offer).await.map_err(
                |error| match runtime::constraint(&error) {
                    Some("offer_pk") => merchant::exists(Resource::Offer, offer.id),
                    _ => Error::Store(error),
                },
            )?;
            store::offer_revision_insert(&mut tx, &offer, self.price_of(&call)).await?;
            let settlement = Settlement::begin(&offer);
            store::settlement_insert(&mut tx, &settlement, offer.created_at).await?;
            let event = NewEvent::of_offer(Happened::Offer(offer.state), &offer);
            self.finish(tx, &call, offer, event.into()).await
        })
        .await
    }

    /// Returns the programme of a new offer, once its merchant's account there is open.
    async fn programme(
        &self,
        call: &Call,
        new: &NewOffer,
        deadline: Deadline,
    ) -> Result<Programme, Error> {
        let name = Name {
            community: call.community,
            id: new.programme,
        };
        let programme = self.activity.programme(name, deadline).await?;
        let programme = programme.ok_or(Error::Refused(Refusal::NotFound {
            resource: Resource::Programme,
            id: new.programme,
        }))?;
        check_spendable(&programme.asset)?;
        let account = NewAccount {
            community: call.community,
            programme: new.programme,
            asset: programme.asset.clone(),
            merchant: new.merchant,
        };
        self.ledger.open_account(account, deadline).await?;
        Ok(programme)
    }

    fn draft(&self, call: &Call, new: NewOffer, programme: Programme) -> Offer {
        Offer {
            community: call.community,
            id: new
                .id
                .unwrap_or_else(|| Uuid::new_v5(&call.request_id, b"offer")),
            merchant: new.merchant,
            programme: new.programme,
            title: new.title,
            points: new.points,
            revision: 1,
            stock: new.stock,
            stock_left: new.stock,
            per_member_limit: new.per_member_limit,
            audience: new.audience,
            start: new.start,
            end: new.end,
            reversal_days: new.reversal_days,
            state: OfferState::Draft,
            asset: programme.asset,
            time_zone: programme.time_zone,
            created_at: self.clock.now(),
        }
    }

    /// Returns an offer.
    pub async fn get_offer(&self, name: Name) -> Result<Offer, Error> {
        let found = self.find_offer(name).await?;
        found.ok_or(not_found(name))
    }

    /// Returns an offer, if it is there.
    pub async fn find_offer(&self, name: Name) -> Result<Option<Offer>, Error> {
        Ok(store::offer_find(&self.pool, name).await?)
    }

    /// Lists a community's offers by id, or one merchant's.
    pub async fn list_offers(
        &self,
        community: Uuid,
        merchant: Option<Uuid>,
        page: Page<Uuid>,
    ) -> Result<Vec<Offer>, Error> {
        Ok(store::offer_list(&self.pool, community, merchant, page).await?)
    }

    /// Hands an offer in for review.
    pub async fn submit_offer(&self, call: Call, name: Name) -> Result<Offer, Error> {
        self.step_offer(call, name, OfferStep::Submit).await
    }

    /// Returns an offer from review to be written anew.
    pub async fn return_offer(&self, call: Call, name: Name) -> Result<Offer, Error> {
        self.step_offer(call, name, OfferStep::Return).await
    }

    /// Puts an offer in force.
    pub async fn activate_offer(&self, call: Call, name: Name) -> Result<Offer, Error> {
        self.step_offer(call, name, OfferStep::Activate).await
    }

    /// Stops an offer for a while.
    pub async fn pause_offer(&self, call: Call, name: Name) -> Result<Offer, Error> {
        self.step_offer(call, name, OfferStep::Pause).await
    }

    /// Lets a paused offer go on.
    pub async fn resume_offer(&self, call: Call, name: Name) -> Result<Offer, Error> {
        self.step_offer(call, name, OfferStep::Resume).await
    }

    /// Ends an offer for good.
    pub async fn end_offer(&self, call: Call, name: Name) -> Result<Offer, Error> {
        self.step_offer(call, name, OfferStep::End).await
    }

    /// Sets an offer's price from now on.
    pub async fn revise_offer(&self, call: Call, name: Name, points: i64) -> Result<Offer, Error> {
        self.answered(&call, Deadline::default(), async {
            let mut tx = self.begin(&call).await?;
            let offer = store::offer_lock(&mut tx, name)
                .await?
                .ok_or(not_found(name))?
                .revise(points)?;
            store::offer_update(&mut tx, &offer).await?;
            store::offer_revision_insert(&mut tx, &offer, self.price_of(&call)).await?;
            let event = NewEvent::of_offer(Happened::OfferRevised, &offer);
            self.finish(tx, &call, offer, event.into()).await
        })
        .await
    }

    /// Adds to an offer's stock, or takes from what is unsold.
    pub async fn adjust_offer_stock(
        &self,
        call: Call,
        name: Name,
        delta: i64,
    ) -> Result<Offer, Error> {
        self.change_offer(call, name, |offer| {
            Ok((Happened::OfferStockAdjusted, offer.adjust_stock(delta)?))
        })
        .await
    }

    async fn step_offer(&self, call: Call, name: Name, step: OfferStep) -> Result<Offer, Error> {
        self.change_offer(call, name, |offer| {
            let offer = offer.step(step)?;
            Ok((Happened::Offer(offer.state), offer))
        })
        .await
    }

    async fn change_offer(
        &self,
        call: Call,
        name: Name,
        change: impl FnOnce(Offer) -> Result<(Happened, Offer), Refusal> + Send,
    ) -> Result<Offer, Error> {
        self.answered(&call, Deadline::default(), async {
            let mut tx = self.begin(&call).await?;
            let offer = store::offer_lock(&mut tx, name)
                .await?
                .ok_or(not_found(name))?;
            let (happened, offer) = change(offer)?;
            store::offer_update(&mut tx, &offer).await?;
            let event = NewEvent::of_offer(happened, &offer);
            self.finish(tx, &call, offer, event.into()).await
        })
        .await
    }

    fn price_of(&self, call: &Call) -> NewPrice {
        NewPrice {
            request_id: call.request_id,
            at: self.clock.now(),
        }
    }
}

fn not_found(offer: Name) -> Error {
    Error::Refused(Refusal::NotFound {
        resource: Resource::Offer,
        id: offer.id,
    })
}
