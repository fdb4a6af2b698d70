//! Cash rewards and the lists that pay them.

use chrono::{DateTime, Utc};
use proto::activity::v1::{self as act, payout_service_client::PayoutServiceClient as Payouts};
use runtime::{Bearer, Client, Holder, Role, timestamp};
use tonic::Status;
use uuid::Uuid;

use crate::{Member, World, per_hour, send};

impl World {
    /// A world whose programme pays a yuan a minute, and nothing that is older than some months.
    pub async fn cash(expiry_months: Option<i32>) -> Self {
        let world = Self::empty().await;
        world.cash_programme(world.programme).await;
        let policy = act::Policy {
            expiry_months,
            ..per_hour("*", 6_000)
        };
        world.put_in_force(policy).await;
        world
    }

    /// Starts a cash programme of this world's community.
    pub async fn cash_programme(&self, id: Uuid) -> act::Programme {
        let message = act::CreateProgrammeRequest {
            parent: self.community_name(),
            programme_id: id.to_string(),
            programme: Some(act::Programme {
                display_name: "Cash".to_owned(),
                asset: "CNY".to_owned(),
                asset_exponent: 2,
                time_zone: "Asia/Shanghai".to_owned(),
                ..Default::default()
            }),
            request_id: self.id(),
        };
        send!(self.clients.activity, create_programme, message).unwrap()
    }

    /// The payouts as somebody reaches them.
    pub fn payouts_of(&self, holder: &Holder) -> Payouts<Client> {
        let channel = runtime::channel(&self.system.activity.url()).unwrap();
        let bearer = Bearer::given(&self.token(holder)).unwrap();
        Payouts::new(Client::new(channel, Some(bearer)))
    }

    /// The payouts as one of the staff reaches them.
    pub fn payouts(&self, subject: &str) -> Payouts<Client> {
        self.payouts_of(&Holder::everywhere(subject, [Role::Staff]))
    }

    /// The request for a list of what was granted before an instant.
    pub fn payout_before(&self, cutoff: DateTime<Utc>) -> act::CreatePayoutRequest {
        act::CreatePayoutRequest {
            parent: self.programme_name(),
            payout_id: String::new(),
            cutoff_time: Some(timestamp(cutoff)),
            minimum: 0,
            request_id: self.id(),
        }
    }

    /// Makes a list of everything that is owed and returns it once it is frozen.
    pub async fn list_of_owed(&self) -> act::Payout {
        self.clock.advance(chrono::TimeDelta::seconds(1));
        let message = self.payout_before(self.clock.now());
        let made = send!(self.payouts("STAFF01"), create_payout, message).unwrap();
        self.frozen(&made.name).await
    }

    /// A list once it is frozen.
    pub async fn frozen(&self, name: &str) -> act::Payout {
        self.in_time("the list is frozen", async || {
            let payout = self.payout(name).await;
            payout.freeze_time.is_some().then_some(payout)
        })
        .await
    }

    /// A list once the ledger knows where all of it stands.
    pub async fn settled(&self, name: &str) -> act::Payout {
        self.in_time("the list has settled", async || {
            let payout = self.payout(name).await;
            (payout.moving_lines == 0).then_some(payout)
        })
        .await
    }

    /// A list as it stands.
    pub async fn payout(&self, name: &str) -> act::Payout {
        let name = name.to_owned();
        send!(
            self.payouts("STAFF01"),
            get_payout,
            act::GetPayoutRequest { name }
        )
        .unwrap()
    }

    /// Every line of a list.
    pub async fn payout_lines(&self, name: &str) -> Vec<act::PayoutLine> {
        let message = act::ListPayoutLinesRequest {
            parent: name.to_owned(),
            page_size: 1000,
            page_token: String::new(),
        };
        let answer = send!(self.payouts("STAFF01"), list_payout_lines, message);
        answer.unwrap().lines
    }

    /// Gets the file of a list.
    pub async fn export(
        &self,
        name: &str,
        format: act::PayoutFormat,
    ) -> Result<act::ExportPayoutResponse, Status> {
        let message = act::ExportPayoutRequest {
            name: name.to_owned(),
            format: format.into(),
            reason: "March is paid".to_owned(),
            request_id: self.id(),
        };
        send!(self.payouts("STAFF01"), export_payout, message)
    }

    /// The request that says of a list that everyone was paid, except on some lines.
    pub async fn confirmation(&self, name: &str, failed: &[i32]) -> act::ConfirmPayoutRequest {
        let held = act::PayoutLineState::Held;
        let lines = self.payout_lines(name).await.into_iter();
        let outcomes = lines.filter(|line| line.state() == held).map(|line| {
            let (outcome, note) = match failed.contains(&line.line) {
                true => (act::PaymentOutcome::Failed, "account closed"),
                false => (act::PaymentOutcome::Paid, ""),
            };
            act::LineOutcome {
                line: line.line,
                outcome: outcome.into(),
                note: note.to_owned(),
            }
        });
        act::ConfirmPayoutRequest {
            name: name.to_owned(),
            hash: self.payout(name).await.hash,
            outcomes: outcomes.collect(),
            request_id: self.id(),
        }
    }

    /// Exports a list, and lets somebody else say that everyone was paid, except on some lines; returns it once the ledger knows.
    pub async fn pay(&self, name: &str, failed: &[i32]) -> act::Payout {
        self.export(name, act::PayoutFormat::Csv).await.unwrap();
        let message = self.confirmation(name, failed).await;
        send!(self.payouts("STAFF02"), confirm_payout, message).unwrap();
        self.settled(name).await
    }

    /// What a member is owed.
    pub async fn cash_of(&self, member: &Member) -> act::CashBalance {
        let message = act::GetCashBalanceRequest {
            name: member.name.clone(),
            programme: self.programme_name(),
        };
        send!(self.payouts("STAFF01"), get_cash_balance, message).unwrap()
    }
}
