//! What this service asks of the ledger: merchants' accounts, what a member can spend, and the steps of redemptions.
//!
//! The ledger's ids are one space for all of its callers, so a step's id there is derived from its id here and its kind.

use chrono::{DateTime, TimeDelta, Utc};
use proto::{
    account_id,
    ledger::v1::{
        Account, AccountKind, CaptureHoldRequest, CreateAccountRequest, CreateHoldRequest, Entry,
        GetAccountRequest, PostTransfersRequest, ReleaseHoldRequest, ReverseEntryRequest, Transfer,
        ledger_service_client::LedgerServiceClient, transfer_verdict,
    },
};
use runtime::{Client, Deadline};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

use super::{broken, call, postings::settled_account};
use crate::{
    domain::{
        KeptOfflineCode, Kind, LedgerReceipt, LedgerRefusal, MerchantAccount, OfflineCode,
        Operation, Redemption, Verdict,
    },
    error::Error,
};

pub(super) const SERVICE: &str = "ledger";
/// The ledger's hold outlives ours by so much, so that a capture in time is not refused there, and a hold left
/// behind is freed all the same.
const GRACE: TimeDelta = TimeDelta::minutes(10);

/// A client of the ledger.
#[derive(Debug, Clone)]
pub struct Ledger(pub(super) LedgerServiceClient<Client>);

/// The account of a merchant in a programme.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The community.
    pub community: Uuid,
    /// The programme.
    pub programme: Uuid,
    /// The programme's asset.
    pub asset: String,
    /// Whose it is.
    pub merchant: Uuid,
}

/// A member's account in a programme.
#[derive(Debug, Clone, Copy)]
pub struct Purse {
    /// The community.
    pub community: Uuid,
    /// The programme.
    pub programme: Uuid,
    /// Whose it is.
    pub member: Uuid,
}

impl Purse {
    /// What pays a redemption.
    pub fn of(redemption: &Redemption) -> Self {
        Self {
            community: redemption.community,
            programme: redemption.programme,
            member: redemption.member,
        }
    }
}

impl Ledger {
    /// Makes a client.
    pub fn new(client: Client) -> Self {
        Self(LedgerServiceClient::new(client))
    }

    /// Opens a merchant's account in a programme, or finds it open.
    pub async fn open_account(&self, new: NewAccount, deadline: Deadline) -> Result<(), Error> {
        let id = account_id(new.programme, AccountKind::Merchant, Some(new.merchant));
        let message = CreateAccountRequest {
            parent: format!("communities/{}", new.community),
            account_id: id.to_string(),
            account: Some(Account {
                programme: format!("communities/{}/programmes/{}", new.community, new.programme),
                asset: new.asset,
                kind: AccountKind::Merchant.into(),
                owner: new.merchant.to_string(),
                min_balance: Some(0),
                ..Account::default()
            }),
        };
        let mut client = self.0.clone();
        let answer = call(SERVICE, deadline, message, |request| async move {
            client.create_account(request).await
        });
        match answer.await? {
            Ok(_) => Ok(()),
            Err(status) => Err(broken(SERVICE, status.message())),
        }
    }

    /// Returns what a member can spend now.
    pub async fn available(&self, purse: Purse, deadline: Deadline) -> Result<i64, Error> {
        let message = GetAccountRequest {
            name: member_account(purse),
        };
        let mut client = self.0.clone();
        let answer = call(SERVICE, deadline, message, |request| async move {
            client.get_account(request).await
        });
        match answer.await? {
            Ok(account) => Ok(account.available),
            // A member who never earned anything has no account.
            Err(status) if status.code() == Code::NotFound => Ok(0),
            Err(status) => Err(broken(SERVICE, status.message())),
        }
    }

    /// Carries out a step. The same step again gets the same verdict.
    pub async fn carry_out(
        &self,
        operation: &Operation,
        redemption: &Redemption,
        deadline: Deadline,
    ) -> Result<Verdict, Error> {
        match operation.kind {
            Kind::Hold => self.hold(operation, redemption, deadline).await,
            Kind::Redeem => self.transfer(operation, redemption, deadline).await,
            Kind::Capture | Kind::Forward => self.capture(operation, redemption, deadline).await,
            Kind::Release | Kind::Expire => self.release(operation, redemption, deadline).await,
            Kind::Reverse => self.reverse(operation, redemption, deadline).await,
        }
    }

    async fn hold(
        &self,
        operation: &Operation,
        redemption: &Redemption,
        deadline: Deadline,
    ) -> Result<Verdict, Error> {
        let end = redemption.expires_at.unwrap_or(redemption.created_at) + GRACE;
        let message = CreateHoldRequest {
            parent: format!("communities/{}", redemption.community),
            request_id: step_id(operation.id, operation.kind).to_string(),
            debit_account: member_account(Purse::of(redemption)),
            credit_account: merchant_account(redemption),
            amount: redemption.points(operation.quantity),
            expire_time: Some(runtime::timestamp(end)),
            description: description(operation, redemption),
        };
        let mut client = self.0.clone();
        let answer = call(SERVICE, deadline, message, |request| async move {
            client.create_hold(request).await
        });
        verdict(operation, answer.await?, |hold| {
            receipt(&hold.entry, hold.create_time)
        })
    }

    async fn transfer(
        &self,
        operation: &Operation,
        redemption: &Redemption,
        deadline: Deadline,
    ) -> Result<Verdict, Error> {
        let message = PostTransfersRequest {
            parent: format!("communities/{}", redemption.community),
            transfers: vec![Transfer {
                request_id: step_id(operation.id, operation.kind).to_string(),
                debit_account: member_account(Purse::of(redemption)),
                credit_account: merchant_account(redemption),
                amount: redemption.points(operation.quantity),
                description: description(operation, redemption),
                ..Transfer::default()
            }],
        };
        let mut client = self.0.clone();
        let answer = call(SERVICE, deadline, message, |request| async move {
            client.post_transfers(request).await
        });
        let posted = match answer.await? {
            Ok(mut posted) => posted.verdicts.pop().and_then(|one| one.verdict),
            Err(status) => return Ok(Verdict::Refused(refusal(operation.id, &status))),
        };
        match posted {
            Some(transfer_verdict::Verdict::Entry(entry)) => Ok(Verdict::Done(receipt_of(&entry)?)),
            Some(transfer_verdict::Verdict::Refusal(refusal)) => {
                Ok(Verdict::Refused(LedgerRefusal {
                    available: number(refusal.metadata.get("available")),
                    reason: refusal.reason,
                }))
            }
            None => Err(broken(SERVICE, "one transfer in, no verdict out")),
        }
    }

    async fn capture(
        &self,
        operation: &Operation,
        redemption: &Redemption,
        deadline: Deadline,
    ) -> Result<Verdict, Error> {
        // Who is paid was not known when an offline code's points were held.
        let (held, credit_account) = match redemption.offline {
            None => (redemption.id, String::new()),
            Some(offline) => (offline.code, merchant_account(redemption)),
        };
        let message = CaptureHoldRequest {
            name: hold_name(redemption.community, held),
            request_id: step_id(operation.id, operation.kind).to_string(),
            amount: redemption.points(operation.quantity),
            r#final: true,
            credit_account,
            description: description(operation, redemption),
        };
        let mut client = self.0.clone();
        let answer = call(SERVICE, deadline, message, |request| async move {
            client.capture_hold(request).await
        });
        verdict(operation, answer.await?, |captured| {
            receipt_of(&captured.entry.unwrap_or_default())
        })
    }

    /// Holds what an offline code is worth, before anyone knows at which merchant it will be used. The same code again gets the same verdict.
    pub async fn hold_in_advance(
        &self,
        kept: &KeptOfflineCode,
        deadline: Deadline,
    ) -> Result<Verdict, Error> {
        let OfflineCode {
            community,
            programme,
            id,
            points,
            ..
        } = kept.code;
        let purse = Purse {
            community,
            programme,
            member: kept.member,
        };
        // What is never used stays the member's; the side that a hold has to name is where points come from.
        let issuing = account_id(programme, AccountKind::Issuing, None);
        let message = CreateHoldRequest {
            parent: format!("communities/{community}"),
            request_id: step_id(id, Kind::Hold).to_string(),
            debit_account: member_account(purse),
            credit_account: format!("communities/{community}/accounts/{issuing}"),
            amount: points,
            expire_time: Some(runtime::timestamp(kept.returns_at + GRACE)),
            description: "离线码".to_owned(),
        };
        let mut client = self.0.clone();
        let answer = call(SERVICE, deadline, message, |request| async move {
            client.create_hold(request).await
        });
        match answer.await? {
            Ok(hold) => Ok(Verdict::Done(receipt(&hold.entry, hold.create_time)?)),
            Err(status) => Ok(Verdict::Refused(refusal(id, &status))),
        }
    }

    async fn release(
        &self,
        operation: &Operation,
        redemption: &Redemption,
        deadline: Deadline,
    ) -> Result<Verdict, Error> {
        let message = ReleaseHoldRequest {
            name: hold_name(redemption.community, redemption.id),
            request_id: step_id(operation.id, operation.kind).to_string(),
        };
        let mut client = self.0.clone();
        let answer = call(SERVICE, deadline, message, |request| async move {
            client.release_hold(request).await
        });
        verdict(operation, answer.await?, |hold| {
            receipt(&hold.entry, hold.create_time)
        })
    }

    async fn reverse(
        &self,
        operation: &Operation,
        redemption: &Redemption,
        deadline: Deadline,
    ) -> Result<Verdict, Error> {
        let Some(entry) = redemption.ledger_entry else {
            return Err(broken(SERVICE, "a capture without an entry"));
        };
        let message = ReverseEntryRequest {
            name: format!("communities/{}/entries/{entry}", redemption.community),
            request_id: step_id(operation.id, operation.kind).to_string(),
            amount: redemption.points(operation.quantity),
            allow_partial: false,
            description: description(operation, redemption),
        };
        let mut client = self.0.clone();
        let answer = call(SERVICE, deadline, message, |request| async move {
            client.reverse_entry(request).await
        });
        verdict(operation, answer.await?, |entry| receipt_of(&entry))
    }
}

fn verdict<T>(
    operation: &Operation,
    answer: Result<T, Status>,
    receipt: impl FnOnce(T) -> Result<LedgerReceipt, Error>,
) -> Result<Verdict, Error> {
    match answer {
        Ok(done) => Ok(Verdict::Done(receipt(done)?)),
        Err(status) => Ok(Verdict::Refused(refusal(operation.id, &status))),
    }
}

fn refusal(step: Uuid, status: &Status) -> LedgerRefusal {
    if status.code() == Code::InvalidArgument {
        tracing::error!(operation.id = %step, "The ledger finds a step malformed: {status}");
    }
    let info = status.get_details_error_info();
    let available = info
        .as_ref()
        .and_then(|info| number(info.metadata.get("available")));
    LedgerRefusal {
        available,
        reason: info.map(|info| info.reason).unwrap_or_default(),
    }
}

fn number(text: Option<&String>) -> Option<i64> {
    text?.parse().ok()
}

pub(super) fn receipt_of(entry: &Entry) -> Result<LedgerReceipt, Error> {
    receipt(&entry.name, entry.create_time)
}

fn receipt(entry: &str, at: Option<prost_types::Timestamp>) -> Result<LedgerReceipt, Error> {
    let sequence = entry.rsplit('/').next().and_then(|text| text.parse().ok());
    let at = at
        .and_then(|at| DateTime::<Utc>::from_timestamp(at.seconds, u32::try_from(at.nanos).ok()?));
    match (sequence, at) {
        (Some(entry), Some(at)) => Ok(LedgerReceipt { entry, at }),
        _ => Err(broken(SERVICE, "an entry without number or time")),
    }
}

/// The ledger's id of a step.
fn step_id(operation: Uuid, kind: Kind) -> Uuid {
    Uuid::new_v5(&operation, format!("ledger/{}", kind.as_str()).as_bytes())
}

/// The ledger's hold of a redemption or an offline code: it has the id of the step that made it.
fn hold_name(community: Uuid, id: Uuid) -> String {
    let hold = step_id(id, Kind::Hold);
    format!("communities/{community}/holds/{hold}")
}

fn member_account(purse: Purse) -> String {
    let id = account_id(purse.programme, AccountKind::Member, Some(purse.member));
    format!("communities/{}/accounts/{id}", purse.community)
}

fn merchant_account(redemption: &Redemption) -> String {
    settled_account(MerchantAccount {
        community: redemption.community,
        programme: redemption.programme,
        merchant: redemption.merchant,
    })
}

/// What members and merchants read in their statements. It is part of what the ledger compares when a step is repeated, so it rests on
/// nothing that changes.
fn description(operation: &Operation, redemption: &Redemption) -> String {
    format!("{} × {}", redemption.title, operation.quantity)
}
