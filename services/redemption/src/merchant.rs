//! Merchants, their agreements, and what they have taken.

use chrono::NaiveDate;
use runtime::Deadline;
use uuid::Uuid;

use crate::{
    Error, Redemption,
    domain::{
        Agreement, Happened, Merchant, MerchantState, MerchantStep, Name, NewEvent, Refusal,
        Resource,
    },
    store::{self, Call, Page, SummaryRow},
};

/// A merchant to be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMerchant {
    /// Its id, when the caller chose one.
    pub id: Option<Uuid>,
    /// The community's number of it.
    pub number: String,
    /// Its name.
    pub display_name: String,
    /// What it deals in; may be empty.
    pub category: String,
}

/// An agreement to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAgreement {
    /// Its id, when the caller chose one.
    pub id: Option<Uuid>,
    /// First day, included.
    pub start: NaiveDate,
    /// Last day, included.
    pub end: NaiveDate,
}

impl Redemption {
    /// Registers a merchant.
    pub async fn create_merchant(&self, call: Call, new: NewMerchant) -> Result<Merchant, Error> {
        self.answered(&call, Deadline::default(), async {
            let mut tx = self.begin(&call).await?;
            let merchant = Merchant {
                community: call.community,
                id: new.id.unwrap_or_else(|| self.ids.next()),
                number: new.number,
                display_name: new.display_name,
                category: new.category,
                state: MerchantState::Active,
                created_at: self.clock.now(),
            };
            store::merchant_insert(&mut tx, &merchant)
                .await
                .map_err(|error| match runtime::constraint(&error) {
                    Some("merchant_pk") => exists(Resource::Merchant, merchant.id),
                    Some("merchant_number_unique") => Error::Refused(Refusal::NumberTaken {
                        number: merchant.number.clone(),
                    }),
                    _ => Error::Store(error),
                })?;
            let event = NewEvent::of_merchant(Happened::MerchantCreated, &merchant);
            self.finish(tx, &call, merchant, event.into()).await
        })
        .await
    }

    /// Returns a merchant.
    pub async fn get_merchant(&self, name: Name) -> Result<Merchant, Error> {
        let found = store::merchant_find(&self.pool, name).await?;
        found.ok_or(not_found(name))
    }

    /// Lists a community's merchants by id.
    pub async fn list_merchants(
        &self,
        community: Uuid,
        page: Page<Uuid>,
    ) -> Result<Vec<Merchant>, Error> {
        Ok(store::merchant_list(&self.pool, community, page).await?)
    }

    /// Stops new holds and redemptions at a merchant.
    pub async fn suspend_merchant(&self, call: Call, name: Name) -> Result<Merchant, Error> {
        self.step_merchant(call, name, MerchantStep::Suspend).await
    }

    /// Lets a suspended merchant go on.
    pub async fn resume_merchant(&self, call: Call, name: Name) -> Result<Merchant, Error> {
        self.step_merchant(call, name, MerchantStep::Resume).await
    }

    /// Ends a merchant for good.
    pub async fn terminate_merchant(&self, call: Call, name: Name) -> Result<Merchant, Error> {
        self.step_merchant(call, name, MerchantStep::Terminate)
            .await
    }

    async fn step_merchant(
        &self,
        call: Call,
        name: Name,
        step: MerchantStep,
    ) -> Result<Merchant, Error> {
        self.answered(&call, Deadline::default(), async {
            let mut tx = self.begin(&call).await?;
            let merchant = store::merchant_lock(&mut tx, name)
                .await?
                .ok_or(not_found(name))?
                .step(step)?;
            store::merchant_set_state(&mut tx, &merchant).await?;
            let event = NewEvent::of_merchant(Happened::Merchant(step), &merchant);
            self.finish(tx, &call, merchant, event.into()).await
        })
        .await
    }

    /// Adds an agreement to a merchant.
    pub async fn create_agreement(
        &self,
        call: Call,
        merchant: Name,
        new: NewAgreement,
    ) -> Result<Agreement, Error> {
        self.answered(&call, Deadline::default(), async {
            let mut tx = self.begin(&call).await?;
            store::merchant_find(&mut *tx, merchant)
                .await?
                .ok_or(not_found(merchant))?;
            let agreement = Agreement {
                community: merchant.community,
                id: new.id.unwrap_or_else(|| self.ids.next()),
                merchant: merchant.id,
                start: new.start,
                end: new.end,
            };
            store::agreement_insert(&mut tx, &agreement, self.clock.now())
                .await
                .map_err(|error| match runtime::constraint(&error) {
                    Some("agreement_pk") => exists(Resource::Agreement, agreement.id),
                    _ => Error::Store(error),
                })?;
            let event = NewEvent::of_agreement(&agreement);
            self.finish(tx, &call, agreement, event.into()).await
        })
        .await
    }

    /// Lists a merchant's agreements by first date.
    pub async fn list_agreements(
        &self,
        merchant: Name,
        page: Page<(NaiveDate, Uuid)>,
    ) -> Result<Vec<Agreement>, Error> {
        self.get_merchant(merchant).await?;
        Ok(store::agreement_list(&self.pool, merchant, page).await?)
    }

    /// Sums what a merchant has taken, by asset, from one snapshot.
    pub async fn get_merchant_summary(&self, merchant: Name) -> Result<Vec<SummaryRow>, Error> {
        self.get_merchant(merchant).await?;
        Ok(store::merchant_summary(&self.pool, merchant).await?)
    }
}

pub(crate) fn exists(resource: Resource, id: Uuid) -> Error {
    Error::Refused(Refusal::Exists { resource, id })
}

pub(crate) fn not_found(merchant: Name) -> Error {
    Error::Refused(Refusal::NotFound {
        resource: Resource::Merchant,
        id: merchant.id,
    })
}
