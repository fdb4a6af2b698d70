//! Merchants, their offers, and what members take of them.

use proto::{
    google::r#type::Date,
    ledger::v1 as led,
    redemption::v1::{self as red, terminal_service_client::TerminalServiceClient},
};
use runtime::{Bearer, Client, Holder, Role};
use tonic::Status;
use uuid::Uuid;

use crate::{Member, World, send};

/// A partner shop with an agreement.
#[derive(Debug, Clone)]
pub struct Merchant {
    /// Its id.
    pub id: Uuid,
    /// `communities/{community}/merchants/{merchant}`.
    pub name: String,
}

/// An offer to be drafted.
pub struct Draft<'a> {
    world: &'a World,
    /// What it will say.
    pub offer: red::Offer,
}

impl Draft<'_> {
    /// Sets the price of one.
    pub fn costing(mut self, points: i64) -> Self {
        self.offer.points = points;
        self
    }

    /// Sets how many there are.
    pub fn stock(mut self, stock: i64) -> Self {
        self.offer.stock = stock;
        self
    }

    /// Sets the most that one member may take.
    pub fn limit(mut self, limit: i64) -> Self {
        self.offer.per_member_limit = Some(limit);
        self
    }

    /// Sets whom it is for.
    pub fn for_audience(mut self, audience: red::Audience) -> Self {
        self.offer.audience = audience.into();
        self
    }

    /// Sets its first and last day.
    pub fn between(mut self, start: Date, end: Date) -> Self {
        self.offer.start_date = Some(start);
        self.offer.end_date = Some(end);
        self
    }

    /// Drafts it.
    pub async fn draft(self) -> red::Offer {
        self.try_draft().await.unwrap()
    }

    /// Drafts it, if it is let.
    pub async fn try_draft(self) -> Result<red::Offer, Status> {
        let message = red::CreateOfferRequest {
            parent: self.world.community_name(),
            offer: Some(self.offer),
            request_id: self.world.id(),
            ..Default::default()
        };
        send!(self.world.clients.redemption, create_offer, message)
    }

    /// Drafts and activates it.
    pub async fn active(self) -> red::Offer {
        let world = self.world;
        let message = red::ActivateOfferRequest {
            name: self.draft().await.name,
            request_id: world.id(),
        };
        send!(world.clients.redemption, activate_offer, message).unwrap()
    }
}

impl World {
    /// Registers a merchant, with an agreement without a foreseeable end.
    pub async fn merchant(&self) -> Merchant {
        let merchant = self.merchant_without_agreement().await;
        self.agreement(&merchant, date(2000, 1, 1), date(2099, 12, 31))
            .await;
        merchant
    }

    /// Registers a merchant.
    pub async fn merchant_without_agreement(&self) -> Merchant {
        let id = self.ids.next();
        let message = red::CreateMerchantRequest {
            parent: self.community_name(),
            merchant_id: id.to_string(),
            merchant: Some(red::Merchant {
                number: self.number('S'),
                display_name: "Corner shop".to_owned(),
                ..Default::default()
            }),
            request_id: self.id(),
        };
        let merchant = send!(self.clients.redemption, create_merchant, message).unwrap();
        Merchant {
            id,
            name: merchant.name,
        }
    }

    /// Opens a store of a merchant and pairs a till with it; returns the names of both.
    pub async fn pair(&self, merchant: &Merchant) -> (String, String) {
        let token = self.token(&Holder::everywhere("STAFF01", [Role::Staff]));
        let channel = runtime::channel(&self.system.redemption.url()).unwrap();
        let bearer = Bearer::given(&token).unwrap();
        let desk = TerminalServiceClient::new(Client::new(channel, Some(bearer)));
        let store = red::CreateStoreRequest {
            parent: merchant.name.clone(),
            store: Some(red::Store {
                number: self.number('L'),
                display_name: "Corner".to_owned(),
                ..Default::default()
            }),
            request_id: self.id(),
            ..Default::default()
        };
        let store = send!(desk, create_store, store).unwrap().name;
        let code = red::CreatePairingCodeRequest {
            parent: store.clone(),
            request_id: self.id(),
        };
        let pairing = red::PairTerminalRequest {
            parent: self.community_name(),
            code: send!(desk, create_pairing_code, code).unwrap().code,
            display_name: "Till".to_owned(),
            request_id: self.id(),
        };
        let paired = send!(desk, pair_terminal, pairing).unwrap();
        (store, paired.terminal.unwrap().name)
    }

    /// Adds an agreement.
    pub async fn agreement(&self, merchant: &Merchant, start: Date, end: Date) {
        let message = red::CreateAgreementRequest {
            parent: merchant.name.clone(),
            agreement: Some(red::Agreement {
                start_date: Some(start),
                end_date: Some(end),
                ..Default::default()
            }),
            request_id: self.id(),
            ..Default::default()
        };
        send!(self.clients.redemption, create_agreement, message).unwrap();
    }

    /// An offer of a merchant: 100 pots of tea for 10 points each, for everyone, for years.
    pub fn offer(&self, merchant: &Merchant) -> Draft<'_> {
        Draft {
            world: self,
            offer: red::Offer {
                merchant: merchant.name.clone(),
                programme: self.programme_name(),
                title: "A pot of tea".to_owned(),
                points: 10,
                stock: 100,
                audience: red::Audience::All.into(),
                start_date: Some(date(2000, 1, 1)),
                end_date: Some(date(2099, 12, 31)),
                ..Default::default()
            },
        }
    }

    /// The request of a member who takes some of an offer at once.
    pub fn order(&self, member: &Member, offer: &red::Offer, quantity: i64) -> red::RedeemRequest {
        red::RedeemRequest {
            parent: self.community_name(),
            request_id: self.id(),
            payer: Some(red::redeem_request::Payer::Member(member.name.clone())),
            offer: offer.name.clone(),
            quantity,
            validate_only: false,
        }
    }

    /// The request of a member who has some of an offer held, for five minutes.
    pub fn reservation(
        &self,
        member: &Member,
        offer: &red::Offer,
        quantity: i64,
    ) -> red::HoldRedemptionRequest {
        red::HoldRedemptionRequest {
            parent: self.community_name(),
            request_id: self.id(),
            payer: Some(red::hold_redemption_request::Payer::Member(
                member.name.clone(),
            )),
            offer: offer.name.clone(),
            quantity,
            ttl: None,
            validate_only: false,
        }
    }

    /// Takes some of an offer.
    pub async fn redeem(&self, order: red::RedeemRequest) -> Result<red::Redemption, Status> {
        send!(self.clients.redemption, redeem, order)
    }

    /// Holds some of an offer.
    pub async fn hold(
        &self,
        reservation: red::HoldRedemptionRequest,
    ) -> Result<red::Redemption, Status> {
        send!(self.clients.redemption, hold_redemption, reservation)
    }

    /// Captures a hold, or a part of it.
    pub async fn capture(
        &self,
        redemption: &red::Redemption,
        quantity: Option<i64>,
    ) -> Result<red::Redemption, Status> {
        let message = red::CaptureRedemptionRequest {
            name: redemption.name.clone(),
            request_id: self.id(),
            quantity,
        };
        send!(self.clients.redemption, capture_redemption, message)
    }

    /// Releases a hold.
    pub async fn release(&self, redemption: &red::Redemption) -> Result<red::Redemption, Status> {
        let message = red::ReleaseRedemptionRequest {
            name: redemption.name.clone(),
            request_id: self.id(),
        };
        send!(self.clients.redemption, release_redemption, message)
    }

    /// The request of a clerk who reverses a redemption, or a part of it.
    pub fn reversal(
        &self,
        redemption: &red::Redemption,
        quantity: Option<i64>,
    ) -> red::ReverseRedemptionRequest {
        red::ReverseRedemptionRequest {
            name: redemption.name.clone(),
            request_id: self.id(),
            quantity,
            reason: "brought back".to_owned(),
            operator: "CLERK01".to_owned(),
        }
    }

    /// Reverses a redemption, or a part of it.
    pub async fn reverse(
        &self,
        redemption: &red::Redemption,
        quantity: Option<i64>,
    ) -> Result<red::Redemption, Status> {
        let message = self.reversal(redemption, quantity);
        send!(self.clients.redemption, reverse_redemption, message)
    }

    /// Undoes whatever the call with a `request_id` did.
    pub async fn cancel(&self, request_id: &str) -> Result<Option<red::Redemption>, Status> {
        let message = red::CancelRedemptionByRequestIdRequest {
            parent: self.community_name(),
            request_id: request_id.to_owned(),
        };
        let client = &self.clients.redemption;
        let answer = send!(client, cancel_redemption_by_request_id, message);
        answer.map(|answer| answer.redemption)
    }

    /// A redemption as it stands, by the `request_id` that made it.
    pub async fn redemption(&self, request_id: &str) -> Result<red::Redemption, Status> {
        let message = red::GetRedemptionRequest {
            name: format!("{}/redemptions/{request_id}", self.community_name()),
        };
        send!(self.clients.redemption, get_redemption, message)
    }

    /// All redemptions, newest first.
    pub async fn redemptions(&self) -> Vec<red::Redemption> {
        let message = red::ListRedemptionsRequest {
            parent: self.community_name(),
            page_size: 1000,
            ..Default::default()
        };
        let answer = send!(self.clients.redemption, list_redemptions, message);
        answer.unwrap().redemptions
    }

    /// How many of an offer are left.
    pub async fn stock_left(&self, offer: &red::Offer) -> i64 {
        self.offer_now(offer).await.stock_left
    }

    /// An offer as it stands.
    pub async fn offer_now(&self, offer: &red::Offer) -> red::Offer {
        let message = red::GetOfferRequest {
            name: offer.name.clone(),
        };
        send!(self.clients.redemption, get_offer, message).unwrap()
    }

    /// What a merchant has taken of the programme's points.
    pub async fn takings(&self, merchant: &Merchant) -> red::MerchantSummaryRow {
        let message = red::GetMerchantSummaryRequest {
            name: merchant.name.clone(),
        };
        let summary = send!(self.clients.redemption, get_merchant_summary, message).unwrap();
        assert!(summary.rows.len() <= 1, "one asset");
        summary.rows.into_iter().next().unwrap_or_default()
    }

    /// A merchant's account in the ledger.
    pub async fn till(&self, merchant: &Merchant) -> led::Account {
        self.account(led::AccountKind::Merchant, Some(merchant.id))
            .await
    }

    /// Name of a merchant's statement of a day, written as in `2026-03-02`.
    pub fn statement_name(&self, merchant: &str, date: &str) -> String {
        let programme = self.programme;
        format!("{merchant}/programmes/{programme}/statements/{date}")
    }

    /// A merchant's statement of a day as it stands.
    pub async fn statement(&self, merchant: &Merchant, date: &str) -> red::Statement {
        let message = red::GetDailyStatementRequest {
            name: self.statement_name(&merchant.name, date),
        };
        send!(self.clients.settlement, get_daily_statement, message).unwrap()
    }

    /// The same once the day is closed, which its end has to allow.
    pub async fn closed(&self, merchant: &Merchant, date: &str) -> red::Statement {
        self.in_time("the day is closed", async || {
            let statement = self.statement(merchant, date).await;
            (statement.state() != red::StatementState::Open).then_some(statement)
        })
        .await
    }

    /// The first thousand lines of a merchant's statement of a day.
    pub async fn lines(&self, merchant: &Merchant, date: &str) -> Vec<red::StatementEntry> {
        let message = red::ListStatementEntriesRequest {
            parent: self.statement_name(&merchant.name, date),
            page_size: 1000,
            ..Default::default()
        };
        let answer = send!(self.clients.settlement, list_statement_entries, message);
        answer.unwrap().entries
    }

    /// Suspends a merchant, for a while.
    pub async fn suspend(&self, merchant: &Merchant) {
        let message = red::SuspendMerchantRequest {
            name: merchant.name.clone(),
            request_id: self.id(),
        };
        send!(self.clients.redemption, suspend_merchant, message).unwrap();
    }

    /// A merchant, an active offer and a member who can pay for it: what most journeys begin with.
    pub async fn counter(&self, points: i64) -> (Merchant, red::Offer, Member) {
        let merchant = self.merchant().await;
        let offer = self.offer(&merchant).active().await;
        let member = self.volunteer().with_points(points).await;
        (merchant, offer, member)
    }
}

/// A date.
pub fn date(year: i32, month: i32, day: i32) -> Date {
    Date { year, month, day }
}
