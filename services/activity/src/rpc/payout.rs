//! Payouts, and what members are owed.

use prost::Message;
use proto::activity::v1::{self as pb, payout_service_server::PayoutService};
use runtime::{Access, Fields, FileForm};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    Place, Service, call, chosen_id, fields, member, neighbour, optional_enumeration, own,
    programme, public, resource, sheet,
};
use crate::{
    domain::{
        Community,
        call::Call,
        money::Money,
        payout::{Confirmation, Line, LineState, MOST_LINES, Outcome, Payout, PayoutState},
    },
    payout::{NewPayout, Shown},
};

const PAYOUTS: &str = "payouts";
/// The most that the ledger moves at once.
const MOST: i64 = 1_000_000_000_000_000;
/// Of a hash as text.
const HASH_LENGTH: usize = 64;

#[tonic::async_trait]
impl PayoutService for Service {
    async fn create_payout(
        &self,
        request: Request<pb::CreatePayoutRequest>,
    ) -> Result<Response<pb::Payout>, Status> {
        let access = Access::of(&request);
        let request = request.into_inner();
        let mut fields = fields(&access);
        let (community, programme) = resource(&mut fields, "parent", &request.parent, "programmes");
        let request_id = fields.request_id(&request.request_id);
        let about = (community, &request.parent[..]);
        let call = call(&access, about, request_id, "CreatePayout", &request);
        let cutoff_at = fields.time("cutoff_time", &request.cutoff_time);
        let now = self.0.clock.now();
        fields.check("cutoff_time", cutoff_at <= now, "must not be in the future");
        let new = NewPayout {
            id: chosen_id(&mut fields, "payout_id", &request.payout_id),
            programme,
            cutoff_at,
            minimum: fields.range("minimum", request.minimum, 0, MOST),
        };
        fields.finish()?;
        let created = self.0.create_payout(&call, new).await?;
        Ok(Response::new(encode(created)))
    }

    async fn get_payout(
        &self,
        request: Request<pb::GetPayoutRequest>,
    ) -> Result<Response<pb::Payout>, Status> {
        let access = Access::of(&request);
        let mut fields = fields(&access);
        let (community, id) = resource(&mut fields, "name", &request.get_ref().name, PAYOUTS);
        fields.finish()?;
        let shown = self.0.get_payout(community, id).await?;
        Ok(Response::new(encode(shown)))
    }

    async fn list_payouts(
        &self,
        request: Request<pb::ListPayoutsRequest>,
    ) -> Result<Response<pb::ListPayoutsResponse>, Status> {
        let access = Access::of(&request);
        let request = request.into_inner();
        let mut fields = fields(&access);
        let programme = resource(&mut fields, "parent", &request.parent, "programmes");
        let state = match optional_enumeration(&mut fields, "state", request.state) {
            Some(pb::PayoutState::Draft) => Some(PayoutState::Draft),
            Some(pb::PayoutState::Exported) => Some(PayoutState::Exported),
            Some(pb::PayoutState::Confirmed) => Some(PayoutState::Confirmed),
            Some(pb::PayoutState::Cancelled) => Some(PayoutState::Cancelled),
            Some(pb::PayoutState::Unspecified) | None => None,
        };
        let query = format!("ListPayouts {} {}", request.parent, request.state);
        let place = Place::read(&mut fields, query, (request.page_size, &request.page_token));
        fields.finish()?;
        let after = place.after.unwrap_or(Uuid::nil());
        let page = self
            .0
            .list_payouts(programme, state, after, place.size)
            .await?;
        Ok(Response::new(pb::ListPayoutsResponse {
            next_page_token: place.next_page_token(&page),
            payouts: page.items.into_iter().map(encode).collect(),
        }))
    }

    async fn list_payout_lines(
        &self,
        request: Request<pb::ListPayoutLinesRequest>,
    ) -> Result<Response<pb::ListPayoutLinesResponse>, Status> {
        let access = Access::of(&request);
        let request = request.into_inner();
        let mut fields = fields(&access);
        let (community, id) = resource(&mut fields, "parent", &request.parent, PAYOUTS);
        let query = format!("ListPayoutLines {}", request.parent);
        let place = Place::read(&mut fields, query, (request.page_size, &request.page_token));
        fields.finish()?;
        let after = place.after.unwrap_or(0);
        let (payout, page) = self
            .0
            .list_payout_lines(community, id, after, place.size)
            .await?;
        let lines = page.items.iter().map(|line| encode_line(&payout, line));
        Ok(Response::new(pb::ListPayoutLinesResponse {
            lines: lines.collect(),
            next_page_token: place.next_page_token(&page),
        }))
    }

    async fn export_payout(
        &self,
        request: Request<pb::ExportPayoutRequest>,
    ) -> Result<Response<pb::ExportPayoutResponse>, Status> {
        let access = Access::of(&request);
        let request = request.into_inner();
        let mut fields = fields(&access);
        let asked = (&request.name[..], &request.request_id[..]);
        let (call, id) = about(&mut fields, &access, asked, ("ExportPayout", &request));
        let form = match fields.enumeration("format", request.format) {
            Some(pb::PayoutFormat::Csv) => Some(FileForm::Csv),
            Some(pb::PayoutFormat::Xlsx) => Some(FileForm::Xlsx),
            Some(pb::PayoutFormat::Unspecified) | None => None,
        };
        let reason = fields.text("reason", &request.reason, 200);
        fields.finish()?;
        let form = form.ok_or_else(runtime::internal)?;
        let call = Call {
            reason: Some(reason),
            ..call.of_its_caller()
        };
        let (shown, lines) = self.0.export_payout(&call, id).await?;
        let made = tokio::task::spawn_blocking(move || sheet::file(form, shown, &lines)).await;
        let file = made.map_err(|_| runtime::internal())??;
        Ok(Response::new(file))
    }

    async fn confirm_payout(
        &self,
        request: Request<pb::ConfirmPayoutRequest>,
    ) -> Result<Response<pb::Payout>, Status> {
        let access = Access::of(&request);
        let request = request.into_inner();
        let mut fields = fields(&access);
        let asked = (&request.name[..], &request.request_id[..]);
        let (call, id) = about(&mut fields, &access, asked, ("ConfirmPayout", &request));
        let hash = fields.text("hash", &request.hash, HASH_LENGTH);
        let outcomes = read_outcomes(&mut fields, &request.outcomes);
        fields.finish()?;
        let confirmation = Confirmation { hash, outcomes };
        let confirmed = self
            .0
            .confirm_payout(&call, &access, id, confirmation)
            .await?;
        Ok(Response::new(encode(confirmed)))
    }

    async fn cancel_payout(
        &self,
        request: Request<pb::CancelPayoutRequest>,
    ) -> Result<Response<pb::Payout>, Status> {
        let access = Access::of(&request);
        let request = request.into_inner();
        let mut fields = fields(&access);
        let asked = (&request.name[..], &request.request_id[..]);
        let (call, id) = about(&mut fields, &access, asked, ("CancelPayout", &request));
        let reason = fields.text("reason", &request.reason, 200);
        fields.finish()?;
        let call = Call {
            reason: Some(reason.clone()),
            ..call
        };
        let cancelled = self.0.cancel_payout(&call, id, reason).await?;
        Ok(Response::new(encode(cancelled)))
    }

    async fn get_cash_balance(
        &self,
        request: Request<pb::GetCashBalanceRequest>,
    ) -> Result<Response<pb::CashBalance>, Status> {
        let access = Access::of(&request);
        let request = request.into_inner();
        let mut fields = fields(&access);
        let (community, id) = resource(&mut fields, "name", &request.name, "members");
        let place = (community, "programmes");
        let programme = neighbour(&mut fields, "programme", &request.programme, place);
        fields.finish()?;
        own::member(&self.0, &access, community, id).await?;
        let cash = self.0.get_cash_balance(community, id, programme).await?;
        let owed = cash.programme.money(cash.owed);
        Ok(Response::new(pb::CashBalance {
            asset: cash.programme.asset.clone(),
            asset_exponent: i32::from(cash.programme.exponent),
            owed: cash.owed,
            owed_text_zh: owed.text_zh(),
            owed_text_en: owed.text_en(),
            listed: cash.listed,
            paid: cash.paid,
        }))
    }

    async fn get_public_rewards(
        &self,
        request: Request<pb::GetPublicRewardsRequest>,
    ) -> Result<Response<pb::PublicRewards>, Status> {
        public::get(&self.0, request).await.map(Response::new)
    }

    async fn list_public_rewards(
        &self,
        request: Request<pb::ListPublicRewardsRequest>,
    ) -> Result<Response<pb::ListPublicRewardsResponse>, Status> {
        public::list(&self.0, request).await.map(Response::new)
    }
}

/// Reads what a change of a payout is about.
fn about(
    fields: &mut Fields,
    access: &Access,
    (name, request_id): (&str, &str),
    (method, request): (&'static str, &impl Message),
) -> (Call, Uuid) {
    let (community, id) = resource(fields, "name", name, PAYOUTS);
    let request_id = fields.request_id(request_id);
    let call = call(access, (community, name), request_id, method, request);
    (call, id)
}

fn read_outcomes(fields: &mut Fields, outcomes: &[pb::LineOutcome]) -> Vec<Outcome> {
    let fits = outcomes.len() <= MOST_LINES;
    fields.check("outcomes", fits, format!("more than {MOST_LINES}"));
    if !fits {
        return Vec::new();
    }
    let mut seen = std::collections::HashSet::new();
    let mut read = Vec::with_capacity(outcomes.len());
    for (index, outcome) in outcomes.iter().enumerate() {
        let item = || format!("outcomes[{index}]");
        read.push(fields.item(item, |fields| {
            let is_new = seen.insert(outcome.line);
            fields.check("line", is_new, "has an outcome before");
            read_outcome(fields, outcome)
        }));
    }
    read
}

fn read_outcome(fields: &mut Fields, outcome: &pb::LineOutcome) -> Outcome {
    let most = i64::try_from(MOST_LINES).unwrap_or(i64::MAX);
    fields.range("line", i64::from(outcome.line), 1, most);
    let what = fields.enumeration("outcome", outcome.outcome);
    let note = match what {
        Some(pb::PaymentOutcome::Failed) => fields.text("note", &outcome.note, 200),
        Some(pb::PaymentOutcome::Paid | pb::PaymentOutcome::Unspecified) | None => {
            fields.optional_text("note", &outcome.note, 200)
        }
    };
    Outcome {
        line: outcome.line,
        is_paid: what == Some(pb::PaymentOutcome::Paid),
        note,
    }
}

pub(super) fn encode(shown: Shown) -> pb::Payout {
    let Shown { payout, sums } = shown;
    let state = match payout.state {
        PayoutState::Draft => pb::PayoutState::Draft,
        PayoutState::Exported => pb::PayoutState::Exported,
        PayoutState::Confirmed => pb::PayoutState::Confirmed,
        PayoutState::Cancelled => pb::PayoutState::Cancelled,
    };
    let amount = money(&payout, sums.amount);
    let exported = payout.exported.as_ref();
    let decided = payout.decided.as_ref();
    let by = |by: &String| by.clone();
    pb::Payout {
        name: name(payout.community, payout.id),
        programme: programme::name(payout.community, payout.programme),
        asset_exponent: i32::from(payout.exponent),
        state: state.into(),
        cutoff_time: Some(runtime::timestamp(payout.cutoff_at)),
        minimum: payout.minimum,
        more_owed: payout.more_owed,
        line_count: count(sums.lines),
        amount: sums.amount,
        amount_text_zh: amount.text_zh(),
        amount_text_en: amount.text_en(),
        moving_lines: count(sums.moving),
        paid_amount: sums.paid,
        failed_amount: sums.failed,
        hash: payout
            .frozen
            .map(|frozen| frozen.hash.to_string())
            .unwrap_or_default(),
        freeze_time: payout.frozen.map(|frozen| runtime::timestamp(frozen.at)),
        created_by: by(&payout.created.by),
        create_time: Some(runtime::timestamp(payout.created.at)),
        expire_time: Some(runtime::timestamp(payout.expires_at)),
        exported_by: exported.map(|deed| by(&deed.by)).unwrap_or_default(),
        export_time: exported.map(|deed| runtime::timestamp(deed.at)),
        decided_by: decided.map(|deed| by(&deed.by)).unwrap_or_default(),
        decide_time: decided.map(|deed| runtime::timestamp(deed.at)),
        reason: payout.reason.clone().unwrap_or_default(),
        asset: payout.asset,
    }
}

fn encode_line(payout: &Payout, line: &Line) -> pb::PayoutLine {
    let community = payout.community;
    let state = match line.state {
        LineState::Pending => pb::PayoutLineState::Pending,
        LineState::Held => pb::PayoutLineState::Held,
        LineState::NotHeld => pb::PayoutLineState::NotHeld,
        LineState::Paying => pb::PayoutLineState::Paying,
        LineState::Paid => pb::PayoutLineState::Paid,
        LineState::Failing => pb::PayoutLineState::Failing,
        LineState::Failed => pb::PayoutLineState::Failed,
        LineState::Cancelling => pb::PayoutLineState::Cancelling,
        LineState::Cancelled => pb::PayoutLineState::Cancelled,
    };
    let amount = money(payout, line.amount);
    let entry = |sequence| format!("communities/{}/entries/{sequence}", community.0);
    pb::PayoutLine {
        line: line.number,
        member: member::name(community, line.member),
        amount: line.amount,
        amount_text_zh: amount.text_zh(),
        amount_text_en: amount.text_en(),
        state: state.into(),
        note: line.note.clone(),
        hold: format!("communities/{}/holds/{}", community.0, line.hold()),
        entry: line.entry.map(entry).unwrap_or_default(),
    }
}

/// An amount of a payout.
pub(super) fn money(payout: &Payout, amount: i64) -> Money<'_> {
    Money {
        amount,
        asset: &payout.asset,
        exponent: payout.exponent,
    }
}

fn count(lines: i64) -> i32 {
    i32::try_from(lines).expect("a payout has at most 5,000 lines")
}

pub(super) fn name(community: Community, id: Uuid) -> String {
    format!("communities/{}/{PAYOUTS}/{id}", community.0)
}
