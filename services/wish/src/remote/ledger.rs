//! What this service asks of the ledger: an account for what members give to wishes, and
//! the steps of points pledges. The ledger's ids are one space for all of its callers, so a step's id there is derived from the pledge's and its kind.

use chrono::TimeDelta;
use proto::{
    account_id,
    ledger::v1::{
        Account, AccountKind, CaptureHoldRequest, CreateAccountRequest, CreateHoldRequest,
        GetAccountRequest, ReleaseHoldRequest, ReverseEntryRequest,
        ledger_service_client::LedgerServiceClient,
    },
};
use runtime::{Client, Deadline, timestamp};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

use super::{broken, call};
use crate::{
    Error,
    domain::{
        Community,
        operation::{Kind, LedgerRefusal, Step, StepKey, Verdict},
    },
};

const SERVICE: &str = "ledger";
/// The ledger's hold outlives what can be confirmed by so much, so that a confirmation in time is not refused there, and a hold left behind is
/// freed all the same.
const GRACE: TimeDelta = TimeDelta::days(1);

/// A client of the ledger.
#[derive(Debug, Clone)]
pub(crate) struct Ledger(LedgerServiceClient<Client>);

impl Ledger {
    /// Makes a client.
    pub(crate) fn new(client: Client) -> Self {
        Self(LedgerServiceClient::new(client))
    }

    /// Opens a programme's account for wishes, or finds it open.
    pub(crate) async fn open_account(
        &self,
        (community, programme, asset): (Community, Uuid, &str),
        deadline: Deadline,
    ) -> Result<(), Error> {
        let message = CreateAccountRequest {
            parent: format!("communities/{}", community.0),
            account_id: account_id(programme, AccountKind::Wish, None).to_string(),
            account: Some(Account {
                programme: format!("communities/{}/programmes/{programme}", community.0),
                asset: asset.to_owned(),
                kind: AccountKind::Wish.into(),
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

    /// Whether a merchant has an account in a programme.
    pub(crate) async fn has_account(
        &self,
        (community, programme, merchant): (Community, Uuid, Uuid),
        deadline: Deadline,
    ) -> Result<bool, Error> {
        let id = account_id(programme, AccountKind::Merchant, Some(merchant));
        let message = GetAccountRequest {
            name: format!("communities/{}/accounts/{id}", community.0),
        };
        let mut client = self.0.clone();
        let answer = call(SERVICE, deadline, message, |request| async move {
            client.get_account(request).await
        });
        match answer.await? {
            Ok(_) => Ok(true),
            Err(status) if status.code() == Code::NotFound => Ok(false),
            Err(status) => Err(broken(SERVICE, status.message())),
        }
    }

    /// Carries out a step. The same step again gets the same verdict.
    pub(crate) async fn carry_out(
        &self,
        step: &Step,
        deadline: Deadline,
    ) -> Result<Verdict, Error> {
        match step.key.kind {
            Kind::Hold => self.hold(step, deadline).await,
            Kind::Capture => self.capture(step, deadline).await,
            Kind::Release => self.release(step, deadline).await,
            Kind::Reverse => self.reverse(step, deadline).await,
        }
    }

    async fn hold(&self, step: &Step, deadline: Deadline) -> Result<Verdict, Error> {
        let community = step.key.community.0;
        let account = |kind, owner| {
            let id = account_id(step.programme, kind, owner);
            format!("communities/{community}/accounts/{id}")
        };
        let receiver = match step.supplier {
            None => account(AccountKind::Wish, None),
            Some(merchant) => account(AccountKind::Merchant, Some(merchant)),
        };
        let message = CreateHoldRequest {
            parent: format!("communities/{community}"),
            request_id: step_id(step).to_string(),
            debit_account: account(AccountKind::Member, Some(step.member)),
            credit_account: receiver,
            amount: step.quantity,
            expire_time: Some(timestamp(step.confirms_until + GRACE)),
            description: step.title.clone(),
        };
        let mut client = self.0.clone();
        let answer = call(SERVICE, deadline, message, |request| async move {
            client.create_hold(request).await
        });
        verdict(step, answer.await?, |hold| hold.entry)
    }

    async fn capture(&self, step: &Step, deadline: Deadline) -> Result<Verdict, Error> {
        let message = CaptureHoldRequest {
            name: hold_name(step.key),
            request_id: step_id(step).to_string(),
            amount: step.quantity,
            r#final: true,
            // Whom the hold names.
            credit_account: String::new(),
            description: step.title.clone(),
        };
        let mut client = self.0.clone();
        let answer = call(SERVICE, deadline, message, |request| async move {
            client.capture_hold(request).await
        });
        let entry = |captured: proto::ledger::v1::CaptureHoldResponse| {
            captured.entry.unwrap_or_default().name
        };
        verdict(step, answer.await?, entry)
    }

    async fn release(&self, step: &Step, deadline: Deadline) -> Result<Verdict, Error> {
        let message = ReleaseHoldRequest {
            name: hold_name(step.key),
            request_id: step_id(step).to_string(),
        };
        let mut client = self.0.clone();
        let answer = call(SERVICE, deadline, message, |request| async move {
            client.release_hold(request).await
        });
        verdict(step, answer.await?, |hold| hold.entry)
    }

    async fn reverse(&self, step: &Step, deadline: Deadline) -> Result<Verdict, Error> {
        let captured = step.captured;
        let captured = captured.ok_or_else(|| broken(SERVICE, "a capture without an entry"))?;
        let message = ReverseEntryRequest {
            name: format!("communities/{}/entries/{captured}", step.key.community.0),
            request_id: step_id(step).to_string(),
            amount: step.quantity,
            allow_partial: false,
            description: step.title.clone(),
        };
        let mut client = self.0.clone();
        let answer = call(SERVICE, deadline, message, |request| async move {
            client.reverse_entry(request).await
        });
        verdict(step, answer.await?, |entry| entry.name)
    }
}

fn verdict<T>(
    step: &Step,
    answer: Result<T, Status>,
    entry: impl FnOnce(T) -> String,
) -> Result<Verdict, Error> {
    let status = match answer {
        Ok(done) => {
            let entry = entry(done);
            let sequence = entry.rsplit('/').next().and_then(|text| text.parse().ok());
            let sequence = sequence.ok_or_else(|| broken(SERVICE, "an entry without number"))?;
            return Ok(Verdict::Done(sequence));
        }
        Err(status) => status,
    };
    if status.code() == Code::InvalidArgument {
        tracing::error!(pledge.id = %step.key.pledge, "The ledger finds a step malformed: {status}");
    }
    let info = status.get_details_error_info();
    let available = info
        .as_ref()
        .and_then(|info| info.metadata.get("available")?.parse().ok());
    Ok(Verdict::Refused(LedgerRefusal {
        available,
        reason: info.map(|info| info.reason).unwrap_or_default(),
    }))
}

/// The ledger's id of a step. A reversal that was refused may be tried again by another call, which is another step there.
fn step_id(step: &Step) -> Uuid {
    let StepKey { pledge, kind, .. } = step.key;
    match (kind, step.request_id) {
        (Kind::Hold, _) => hold_id(pledge),
        (Kind::Capture, _) => Uuid::new_v5(&pledge, b"ledger/capture"),
        (Kind::Release, _) => Uuid::new_v5(&pledge, b"ledger/release"),
        (Kind::Reverse, call) => {
            let call = call.unwrap_or_default();
            Uuid::new_v5(&pledge, format!("ledger/reverse/{call}").as_bytes())
        }
    }
}

fn hold_id(pledge: Uuid) -> Uuid {
    Uuid::new_v5(&pledge, b"ledger/hold")
}

/// The ledger's hold of a pledge: it has the id of the step that made it.
fn hold_name(key: StepKey) -> String {
    let hold = hold_id(key.pledge);
    format!("communities/{}/holds/{hold}", key.community.0)
}
