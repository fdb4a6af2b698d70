//! Replays a programme: each row becomes calls on the public contracts, in time order, on a clock that moves with them.
//!
//! Nothing is written behind the services' backs, and no rule is decided here: refusals are the services' answers.

use std::{
    collections::{BTreeMap, HashSet},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use proto::{activity::v1 as act, ledger::v1 as led, redemption::v1 as red};
use runtime::{Holder, Problem, Role, reason_of, timestamp};
use tonic::{Code, Status};

use super::{
    Event, Figures, Programme, books, events,
    numbering::Numbering,
    record::{Redemption, Reversal, Service},
    report::{self, Report},
    setup,
    wishes::WishRun,
};
use crate::{call, progress::Progress, rpc::failure, system::Clients};

/// How long a grant may take from its decision to the ledger.
const POSTING_TIMEOUT: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LAST_PAUSE: Duration = Duration::from_millis(50);

/// The instant at which the clock of a replay has to start.
pub fn first_instant(programme: &Programme) -> DateTime<Utc> {
    let starts = programme.settings.starts;
    events(programme)
        .first()
        .map_or(starts, |event| event.at().min(starts))
}

/// Sets the programme up, applies its events, and takes the figures at `as_of`.
///
/// The services' clock is a manual one and stands at [`first_instant`]; `go_to` moves it forward to an instant, and may stop on the way.
pub async fn replay(
    programme: &Programme,
    clients: &Clients,
    mut go_to: impl AsyncFnMut(DateTime<Utc>) -> Result<(), Problem>,
    progress: &mut Progress,
) -> Result<Figures, Problem> {
    let numbering = Numbering::new(&programme.settings);
    progress.stage("setting up");
    setup::set_up(programme, &numbering, clients).await?;

    let mut run = Run {
        clients,
        numbering: &numbering,
        wishes: WishRun {
            clients,
            numbering: &numbering,
            pledged: HashSet::new(),
        },
        answers: Answers::default(),
    };
    let events = events(programme);
    progress.expect(events.len());
    for (index, event) in events.iter().enumerate() {
        go_to(event.moment()).await?;
        match event {
            Event::Service(service) => run.service(service).await?,
            Event::Submission(report) => report::submit(report, &numbering, clients).await?,
            Event::Report(report, _) => run.report(report).await?,
            Event::Redemption(redemption) => run.redemption(redemption).await?,
            Event::Reversal(redemption, reversal) => run.reversal(redemption, *reversal).await?,
            Event::Publication(wish) => run.wishes.publish(wish).await?,
            Event::Pledge(pledge) => {
                if !run.wishes.pledge(pledge).await? {
                    run.answers.refuse("pledge_refused");
                }
            }
            Event::Fulfilment(pledge, _) => run.wishes.fulfil(pledge).await?,
            Event::Close(wish) => run.wishes.close(wish).await?,
        }
        progress.advance(index + 1, event.at());
    }

    progress.stage("taking the figures");
    go_to(programme.settings.as_of).await?;
    run.sweep().await?;
    books::take(programme, &numbering, clients, run.answers).await
}

/// What the services answered.
#[derive(Debug, Default)]
pub struct Answers {
    /// How many refusals there were, by what `expected.json` calls their reason.
    pub refused: BTreeMap<String, i64>,
    /// The numbers of the redemptions that were captured.
    pub captured: HashSet<String>,
    /// How many reversals were made.
    pub reversals: i64,
}

impl Answers {
    fn refuse(&mut self, reason: &str) {
        *self.refused.entry(reason.to_owned()).or_default() += 1;
    }
}

struct Run<'a> {
    clients: &'a Clients,
    numbering: &'a Numbering,
    wishes: WishRun<'a>,
    answers: Answers,
}

impl Run<'_> {
    async fn service(&mut self, service: &Service) -> Result<(), Problem> {
        let Self {
            clients, numbering, ..
        } = self;
        let number = &service.number;
        let record = act::CreateServiceRecordRequest {
            parent: numbering.community.clone(),
            service_record_id: numbering.id("serviceRecords", number).to_string(),
            service_record: Some(act::ServiceRecord {
                programme: numbering.programme.clone(),
                member: numbering.name("members", &service.member),
                role: service.role.into(),
                category: service.category.clone(),
                activity: service.activity.clone(),
                start_time: Some(timestamp(service.start)),
                end_time: Some(timestamp(service.end)),
                ..Default::default()
            }),
            request_id: numbering.request("CreateServiceRecord", number),
        };
        let name = call!(clients.activity, create_service_record, record)
            .await
            .map_err(|status| failure(format!("CreateServiceRecord {number}"), &status))?
            .name;
        // Who verifies is who calls.
        let desk = clients.of(Holder::everywhere(&service.verified_by, [Role::Staff]));
        if !service.verified {
            let rejection = act::RejectServiceRecordRequest {
                name,
                reason: "rejected".to_owned(),
                request_id: numbering.request("RejectServiceRecord", number),
            };
            return call!(desk.activity, reject_service_record, rejection)
                .await
                .map(drop)
                .map_err(|status| failure(format!("RejectServiceRecord {number}"), &status));
        }
        let verification = act::VerifyServiceRecordRequest {
            name,
            request_id: numbering.request("VerifyServiceRecord", number),
        };
        let record = call!(desk.activity, verify_service_record, verification)
            .await
            .map_err(|status| failure(format!("VerifyServiceRecord {number}"), &status))?;
        self.settle(&record.grant, number).await
    }

    async fn report(&mut self, report: &Report) -> Result<(), Problem> {
        match report::decide(report, self.numbering, self.clients).await? {
            Some(grant) => self.settle(&grant, &report.number).await,
            None => Ok(()),
        }
    }

    /// Waits until the grant is in the ledger, if it is to get there: it counts from the moment it was decided.
    async fn settle(&self, grant: &str, number: &str) -> Result<(), Problem> {
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
            let request = act::GetGrantRequest {
                name: grant.to_owned(),
            };
            let grant = call!(self.clients.activity, get_grant, request)
                .await
                .map_err(|status| failure(format!("GetGrant of {number}"), &status))?;
            if grant.state() != act::GrantState::Pending {
                return Ok(());
            }
            if started.elapsed() > POSTING_TIMEOUT {
                return Err(Problem::new(format!(
                    "the grant of {number} did not reach the ledger within {} s",
                    POSTING_TIMEOUT.as_secs()
                )));
            }
        }
    }

    async fn redemption(&mut self, redemption: &Redemption) -> Result<(), Problem> {
        let Self {
            clients, numbering, ..
        } = self;
        let number = &redemption.number;
        let request = red::RedeemRequest {
            parent: numbering.community.clone(),
            request_id: numbering.id("redemptions", number).to_string(),
            payer: Some(red::redeem_request::Payer::Member(
                numbering.name("members", &redemption.member),
            )),
            offer: numbering.name("offers", &redemption.offer),
            quantity: redemption.quantity,
            validate_only: false,
        };
        let answer = call!(clients.redemption, redeem, request).await;
        match answer {
            Ok(taken) if taken.state() == red::RedemptionState::Captured => {
                self.answers.captured.insert(number.clone());
                Ok(())
            }
            Ok(taken) => Err(Problem::new(format!(
                "Redeem {number}: answered with {}",
                taken.state().as_str_name()
            ))),
            Err(status) => match refusal(&status) {
                Some(reason) => {
                    self.answers.refuse(reason);
                    Ok(())
                }
                None => Err(failure(format!("Redeem {number}"), &status)),
            },
        }
    }

    async fn reversal(
        &mut self,
        redemption: &Redemption,
        reversal: Reversal,
    ) -> Result<(), Problem> {
        let Self {
            clients, numbering, ..
        } = self;
        let number = &redemption.number;
        let request = red::ReverseRedemptionRequest {
            name: numbering.name("redemptions", number),
            request_id: numbering.request("ReverseRedemption", number),
            quantity: Some(reversal.quantity),
            reason: "given back".to_owned(),
            operator: "replay".to_owned(),
        };
        match call!(clients.redemption, reverse_redemption, request).await {
            Ok(_) => {
                self.answers.reversals += 1;
                Ok(())
            }
            Err(status) if self.refuses_reversal(number, &status) => {
                self.answers.refuse("reversal_refused");
                Ok(())
            }
            Err(status) => Err(failure(format!("ReverseRedemption {number}"), &status)),
        }
    }

    /// What was refused is not found; what was captured has to be.
    fn refuses_reversal(&self, number: &str, status: &Status) -> bool {
        match status.code() {
            Code::FailedPrecondition => true,
            Code::NotFound => !self.answers.captured.contains(number),
            _ => false,
        }
    }

    async fn sweep(&self) -> Result<(), Problem> {
        loop {
            let request = led::SweepExpiredRequest {
                parent: self.numbering.community.clone(),
            };
            let swept = call!(self.clients.ledger, sweep_expired, request)
                .await
                .map_err(|status| failure("SweepExpired", &status))?;
            if swept.expired_lots == 0 && swept.expired_holds == 0 {
                return Ok(());
            }
        }
    }
}

/// What `expected.json` calls the reason of a refused redemption.
fn refusal(status: &Status) -> Option<&'static str> {
    if status.code() != Code::FailedPrecondition {
        return None;
    }
    match reason_of(status)?.as_str() {
        "OFFER_NOT_ACTIVE" => Some("offer_not_active"),
        "AUDIENCE_NOT_MATCHED" => Some("audience"),
        "OFFER_SOLD_OUT" => Some("sold_out"),
        "MEMBER_LIMIT_REACHED" => Some("member_limit"),
        "INSUFFICIENT_POINTS" => Some("insufficient_points"),
        _ => None,
    }
}
