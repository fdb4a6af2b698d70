//! Events: that something came about or came to another state, for whoever wants to hear of it. An event says what changed and to what; what it is now
//! is the resource's own to say.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    Agreement, Card, CardChange, Kind, Merchant, MerchantStep, Name, Offer, OfferState, Operation,
    Redemption, RedemptionState, StatementName, Store, Terminal,
};

/// What happened: mostly the state that something came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened {
    /// A merchant was registered.
    MerchantCreated,
    /// A merchant took a step.
    Merchant(MerchantStep),
    /// A merchant has an agreement.
    AgreementCreated,
    /// A merchant has a further store.
    StoreCreated,
    /// A till was let in.
    TerminalPaired,
    /// A till got a new key.
    TerminalKeyRotated,
    /// A till was shut out.
    TerminalRevoked,
    /// An offer came to a state.
    Offer(OfferState),
    /// An offer has another price.
    OfferRevised,
    /// An offer's stock was added to, or taken from.
    OfferStockAdjusted,
    /// Points are held for a redemption.
    RedemptionHeld,
    /// A redemption was paid.
    RedemptionCaptured,
    /// A hold was given back.
    RedemptionReleased,
    /// A hold's time was over.
    RedemptionExpired,
    /// A part of what was paid was given back.
    RedemptionPartlyReversed,
    /// All that was left of it was.
    RedemptionReversed,
    /// Something became of a card.
    MemberCard(CardChange),
    /// A member has offline codes.
    OfflineCodesCreated,
    /// A day is closed.
    StatementClosed,
    /// The merchant agreed to a day.
    StatementConfirmed,
    /// The merchant objected to a line of a day.
    StatementDisputed,
    /// A day was paid.
    StatementPaid,
    /// The staff agreed to an objection.
    DisputeAccepted,
    /// The staff did not.
    DisputeDeclined,
}

impl Happened {
    /// Everything that can happen.
    pub const ALL: [Self; 33] = [
        Self::MerchantCreated,
        Self::Merchant(MerchantStep::Suspend),
        Self::Merchant(MerchantStep::Resume),
        Self::Merchant(MerchantStep::Terminate),
        Self::AgreementCreated,
        Self::StoreCreated,
        Self::TerminalPaired,
        Self::TerminalKeyRotated,
        Self::TerminalRevoked,
        Self::Offer(OfferState::Draft),
        Self::Offer(OfferState::InReview),
        Self::Offer(OfferState::Active),
        Self::Offer(OfferState::Paused),
        Self::Offer(OfferState::Ended),
        Self::OfferRevised,
        Self::OfferStockAdjusted,
        Self::RedemptionHeld,
        Self::RedemptionCaptured,
        Self::RedemptionReleased,
        Self::RedemptionExpired,
        Self::RedemptionPartlyReversed,
        Self::RedemptionReversed,
        Self::MemberCard(CardChange::Created),
        Self::MemberCard(CardChange::PinReset),
        Self::MemberCard(CardChange::Blocked),
        Self::MemberCard(CardChange::Revoked),
        Self::OfflineCodesCreated,
        Self::StatementClosed,
        Self::StatementConfirmed,
        Self::StatementDisputed,
        Self::StatementPaid,
        Self::DisputeAccepted,
        Self::DisputeDeclined,
    ];

    /// As the database keeps it; the contract writes the same in capitals.
    pub fn word(self) -> &'static str {
        match self {
            Self::MerchantCreated => "merchant_created",
            Self::Merchant(MerchantStep::Suspend) => "merchant_suspended",
            Self::Merchant(MerchantStep::Resume) => "merchant_resumed",
            Self::Merchant(MerchantStep::Terminate) => "merchant_terminated",
            Self::AgreementCreated => "agreement_created",
            Self::StoreCreated => "store_created",
            Self::TerminalPaired => "terminal_paired",
            Self::TerminalKeyRotated => "terminal_key_rotated",
            Self::TerminalRevoked => "terminal_revoked",
            Self::Offer(OfferState::Draft) => "offer_draft",
            Self::Offer(OfferState::InReview) => "offer_in_review",
            Self::Offer(OfferState::Active) => "offer_active",
            Self::Offer(OfferState::Paused) => "offer_paused",
            Self::Offer(OfferState::Ended) => "offer_ended",
            Self::OfferRevised => "offer_revised",
            Self::OfferStockAdjusted => "offer_stock_adjusted",
            Self::RedemptionHeld => "redemption_held",
            Self::RedemptionCaptured => "redemption_captured",
            Self::RedemptionReleased => "redemption_released",
            Self::RedemptionExpired => "redemption_expired",
            Self::RedemptionPartlyReversed => "redemption_partly_reversed",
            Self::RedemptionReversed => "redemption_reversed",
            Self::MemberCard(CardChange::Created) => "member_card_active",
            Self::MemberCard(CardChange::PinReset) => "member_card_pin_reset",
            Self::MemberCard(CardChange::Blocked) => "member_card_blocked",
            Self::MemberCard(CardChange::Revoked) => "member_card_revoked",
            Self::OfflineCodesCreated => "offline_codes_created",
            Self::StatementClosed => "statement_closed",
            Self::StatementConfirmed => "statement_confirmed",
            Self::StatementDisputed => "statement_disputed",
            Self::StatementPaid => "statement_paid",
            Self::DisputeAccepted => "dispute_accepted",
            Self::DisputeDeclined => "dispute_declined",
        }
    }

    /// What it is that a step has led a redemption to a state; nothing when it never came about.
    pub fn of_transition(step: &Operation, to: RedemptionState) -> Option<Self> {
        match (to, step.kind) {
            (RedemptionState::Pending, _) => None,
            (RedemptionState::Held, _) => Some(Self::RedemptionHeld),
            (RedemptionState::Captured, Kind::Reverse) => Some(Self::RedemptionPartlyReversed),
            (RedemptionState::Captured, _) => Some(Self::RedemptionCaptured),
            (RedemptionState::Reversed, _) => Some(Self::RedemptionReversed),
            (RedemptionState::Released, _) => Some(Self::RedemptionReleased),
            (RedemptionState::Expired, _) => Some(Self::RedemptionExpired),
        }
    }
}

/// An event to write down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// What happened.
    pub happened: Happened,
    /// Name of what changed, within its community.
    pub subject: String,
    /// Whom it is about.
    pub member: Option<Uuid>,
    /// Whose shop it is about.
    pub merchant: Option<Uuid>,
}

/// An event as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// 1, 2, 3 … within the community.
    pub sequence: i64,
    /// The word of what happened; one that a later release wrote may not be known here.
    pub kind: String,
    /// Name of what changed, within its community.
    pub subject: String,
    /// Whom it is about.
    pub member: Option<Uuid>,
    /// Whose shop it is about.
    pub merchant: Option<Uuid>,
    /// When it happened.
    pub at: DateTime<Utc>,
}

/// Which events to read.
#[derive(Debug, Clone, Copy)]
pub struct EventFilter {
    /// The community.
    pub community: Uuid,
    /// Only those about this member.
    pub member: Option<Uuid>,
    /// Only those about this shop.
    pub merchant: Option<Uuid>,
}

impl NewEvent {
    /// Something happened to a merchant.
    pub fn of_merchant(happened: Happened, merchant: &Merchant) -> Self {
        Self::of_shop(happened, format!("merchants/{}", merchant.id), merchant.id)
    }

    /// A merchant has an agreement.
    pub fn of_agreement(agreement: &Agreement) -> Self {
        let (id, merchant) = (agreement.id, agreement.merchant);
        let subject = format!("merchants/{merchant}/agreements/{id}");
        Self::of_shop(Happened::AgreementCreated, subject, merchant)
    }

    /// A merchant has a further store.
    pub fn of_store(store: &Store) -> Self {
        let subject = format!("stores/{}", store.id);
        Self::of_shop(Happened::StoreCreated, subject, store.merchant)
    }

    /// Something happened to a till.
    pub fn of_terminal(happened: Happened, terminal: &Terminal) -> Self {
        let subject = format!("terminals/{}", terminal.id);
        Self::of_shop(happened, subject, terminal.merchant)
    }

    /// Something happened to an offer.
    pub fn of_offer(happened: Happened, offer: &Offer) -> Self {
        Self::of_shop(happened, format!("offers/{}", offer.id), offer.merchant)
    }

    /// Something happened to a redemption.
    pub fn of_redemption(happened: Happened, redemption: &Redemption) -> Self {
        Self {
            happened,
            subject: format!("redemptions/{}", redemption.id),
            member: Some(redemption.member),
            merchant: Some(redemption.merchant),
        }
    }

    /// Something became of a card.
    pub fn of_card(change: CardChange, card: &Card) -> Self {
        let happened = Happened::MemberCard(change);
        Self::of_member(happened, format!("memberCards/{}", card.id), card.member)
    }

    /// A member has offline codes.
    pub fn of_offline_codes(member: Name) -> Self {
        let subject = format!("members/{}", member.id);
        Self::of_member(Happened::OfflineCodesCreated, subject, member.id)
    }

    /// Something happened to a day's statement, or to one of its lines.
    pub fn of_statement(happened: Happened, name: StatementName) -> Self {
        let (of, date) = (name.of, name.date);
        let subject = format!(
            "merchants/{}/programmes/{}/statements/{date}",
            of.merchant, of.programme
        );
        Self::of_shop(happened, subject, of.merchant)
    }

    fn of_shop(happened: Happened, subject: String, merchant: Uuid) -> Self {
        Self {
            happened,
            subject,
            member: None,
            merchant: Some(merchant),
        }
    }

    fn of_member(happened: Happened, subject: String, member: Uuid) -> Self {
        Self {
            happened,
            subject,
            member: Some(member),
            merchant: None,
        }
    }
}
