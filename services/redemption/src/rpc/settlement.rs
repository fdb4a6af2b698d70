//! Requests about statements.

use std::{sync::Arc, time::Duration};

use chrono::{Datelike, NaiveDate, TimeDelta};
use proto::redemption::v1::{self as pb, settlement_service_server::SettlementService};
use runtime::{Access, Deadline, Fields, timestamp};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use super::{
    merchant::MERCHANTS,
    offer::OFFERS,
    own,
    read::{self, Asked, fields},
    redemption::REDEMPTIONS,
    sheet,
    status::DOMAIN,
    terminal::name,
};
use crate::{
    Decision, Redemption, StatementFilter,
    domain::{
        Deed, Dispute, Line, LineKind, MerchantAccount, Name, Origin, Statement, StatementName,
        StatementState,
    },
};

const PROGRAMMES: &str = "programmes";
const MAX_LINE: i64 = 1_000_000_000;
const MAX_POINTS: i64 = 1_000_000_000;
const MAX_DAYS: TimeDelta = TimeDelta::days(92);
/// How many files are made at once: a long one takes some 200 MB while it is.
const FILES: usize = 1;
/// How long a file waits for its turn.
const FILE_WAIT: Duration = Duration::from_secs(20);

/// Statements, as the contract names them.
pub(super) struct SettlementRpc {
    service: Redemption,
    files: Arc<Semaphore>,
}

impl SettlementRpc {
    pub(super) fn new(service: Redemption) -> Self {
        Self {
            service,
            files: Arc::new(Semaphore::new(FILES)),
        }
    }
}

#[tonic::async_trait]
impl SettlementService for SettlementRpc {
    async fn get_daily_statement(
        &self,
        request: Request<pb::GetDailyStatementRequest>,
    ) -> Result<Response<pb::Statement>, Status> {
        let access = &Access::of(&request);
        let deadline = Deadline::of(&request);
        let mut fields = fields(access);
        let name = statement_name(&mut fields, "name", &request.get_ref().name);
        fields.finish()?;
        own::merchant(access, merchant(name.of))?;
        let statement = self.service.get_daily_statement(name, deadline).await?;
        Ok(Response::new(message(statement)))
    }

    async fn list_statements(
        &self,
        request: Request<pb::ListStatementsRequest>,
    ) -> Result<Response<pb::ListStatementsResponse>, Status> {
        let access = &Access::of(&request);
        let request = request.into_inner();
        let mut fields = fields(access);
        let community = read::parent(&mut fields, &request.parent);
        let mut optional_name = |field, value: &str, kind| {
            read::optional_name_within(&mut fields, community, field, value, kind)
        };
        let merchant = optional_name("merchant", &request.merchant, MERCHANTS);
        let programme = optional_name("programme", &request.programme, PROGRAMMES);
        let filter = StatementFilter {
            community,
            merchant,
            programme,
            state: read_state(&mut fields, request.state),
            start: read::optional_date(&mut fields, "start_date", &request.start_date),
            end: read::optional_date(&mut fields, "end_date", &request.end_date),
        };
        let ordered = filter.start.zip(filter.end);
        let ordered = ordered.is_none_or(|(start, end)| start <= end);
        fields.check("end_date", ordered, "before start_date");
        let query = format!("ListStatements {filter:?}");
        let mut asked = Asked::read(&mut fields, query, request.page_size, &request.page_token);
        fields.finish()?;
        let own = merchant.is_some_and(|id| access.owns(community, MERCHANTS, id));
        access.require(own || !access.is_limited())?;
        let rows = self.service.list_statements(filter, asked.page()).await?;
        let (rows, next_page_token) = asked.cut(rows, |row| {
            let of = row.name.of;
            (row.name.date, of.merchant, of.programme)
        });
        Ok(Response::new(pb::ListStatementsResponse {
            statements: rows.into_iter().map(message).collect(),
            next_page_token,
        }))
    }

    async fn list_statement_entries(
        &self,
        request: Request<pb::ListStatementEntriesRequest>,
    ) -> Result<Response<pb::ListStatementEntriesResponse>, Status> {
        let access = &Access::of(&request);
        let deadline = Deadline::of(&request);
        let request = request.into_inner();
        let mut fields = fields(access);
        let name = statement_name(&mut fields, "parent", &request.parent);
        let query = format!("ListStatementEntries {}", request.parent);
        let mut asked = Asked::read(&mut fields, query, request.page_size, &request.page_token);
        fields.finish()?;
        own::merchant(access, merchant(name.of))?;
        let page = asked.page();
        let rows = self
            .service
            .list_statement_entries(name, page, deadline)
            .await?;
        let (rows, next_page_token) = asked.cut(rows, |(_, cursor)| *cursor);
        let entries = rows
            .into_iter()
            .map(|(line, _)| line_message(name.of, line));
        Ok(Response::new(pb::ListStatementEntriesResponse {
            entries: entries.collect(),
            next_page_token,
        }))
    }

    async fn confirm_statement(
        &self,
        request: Request<pb::ConfirmStatementRequest>,
    ) -> Result<Response<pb::Statement>, Status> {
        let access = &Access::of(&request);
        let request = request.into_inner();
        let mut fields = fields(access);
        let name = statement_name(&mut fields, "name", &request.name);
        let request_id = fields.request_id(&request.request_id);
        fields.finish()?;
        own::merchant(access, merchant(name.of))?;
        let about = (name.of.community, &request.name[..]);
        let call = read::call(access, about, request_id, "ConfirmStatement", &request);
        let confirmed = self.service.confirm_statement(call, name).await?;
        Ok(Response::new(message(confirmed)))
    }

    async fn dispute_entry(
        &self,
        request: Request<pb::DisputeEntryRequest>,
    ) -> Result<Response<pb::StatementEntry>, Status> {
        let access = &Access::of(&request);
        let request = request.into_inner();
        let mut fields = fields(access);
        let name = statement_name(&mut fields, "name", &request.name);
        let line = read_line(&mut fields, request.line);
        let reason = fields.text("reason", &request.reason, 200);
        let request_id = fields.request_id(&request.request_id);
        fields.finish()?;
        own::merchant(access, merchant(name.of))?;
        let about = (name.of.community, &request.name[..]);
        let call = read::call(access, about, request_id, "DisputeEntry", &request);
        let disputed = self.service.dispute_entry(call, name, line, reason).await?;
        Ok(Response::new(line_message(name.of, disputed)))
    }

    async fn accept_dispute(
        &self,
        request: Request<pb::AcceptDisputeRequest>,
    ) -> Result<Response<pb::StatementEntry>, Status> {
        let access = &Access::of(&request);
        let request = request.into_inner();
        let mut fields = fields(access);
        let name = statement_name(&mut fields, "name", &request.name);
        let points = fields.range("points", request.points, -MAX_POINTS, MAX_POINTS);
        fields.check("points", points != 0, "must not be 0");
        let line = read_line(&mut fields, request.line);
        let reason = fields.text("resolution", &request.resolution, 200);
        let request_id = fields.request_id(&request.request_id);
        fields.finish()?;
        let about = (name.of.community, &request.name[..]);
        let call = read::call(access, about, request_id, "AcceptDispute", &request);
        let decision = Decision {
            line,
            points: Some(points),
            reason,
            is_merchant: is_merchant(access, name),
        };
        let resolved = self.service.resolve_dispute(call, name, decision).await?;
        Ok(Response::new(line_message(name.of, resolved)))
    }

    async fn decline_dispute(
        &self,
        request: Request<pb::DeclineDisputeRequest>,
    ) -> Result<Response<pb::StatementEntry>, Status> {
        let access = &Access::of(&request);
        let request = request.into_inner();
        let mut fields = fields(access);
        let name = statement_name(&mut fields, "name", &request.name);
        let line = read_line(&mut fields, request.line);
        let reason = fields.text("resolution", &request.resolution, 200);
        let request_id = fields.request_id(&request.request_id);
        fields.finish()?;
        let about = (name.of.community, &request.name[..]);
        let call = read::call(access, about, request_id, "DeclineDispute", &request);
        let decision = Decision {
            line,
            points: None,
            reason,
            is_merchant: is_merchant(access, name),
        };
        let resolved = self.service.resolve_dispute(call, name, decision).await?;
        Ok(Response::new(line_message(name.of, resolved)))
    }

    async fn pay_statement(
        &self,
        request: Request<pb::PayStatementRequest>,
    ) -> Result<Response<pb::Statement>, Status> {
        let access = &Access::of(&request);
        let request = request.into_inner();
        let mut fields = fields(access);
        let name = statement_name(&mut fields, "name", &request.name);
        let reference = fields.text("payment_reference", &request.payment_reference, 120);
        let request_id = fields.request_id(&request.request_id);
        fields.finish()?;
        let about = (name.of.community, &request.name[..]);
        let call = read::call(access, about, request_id, "PayStatement", &request);
        let is_merchant = is_merchant(access, name);
        let paid = self
            .service
            .pay_statement(call, name, reference, is_merchant);
        Ok(Response::new(message(paid.await?)))
    }

    async fn download_statements(
        &self,
        request: Request<pb::DownloadStatementsRequest>,
    ) -> Result<Response<pb::DownloadStatementsResponse>, Status> {
        let access = &Access::of(&request);
        let deadline = Deadline::of(&request);
        let request = request.into_inner();
        let mut fields = fields(access);
        let of = account(&mut fields, "parent", &request.parent);
        let days = read::span(&mut fields, "", &request.start_date, &request.end_date);
        let short = days.end - days.start < MAX_DAYS;
        fields.check("end_date", short, "at most 92 days, both included");
        let format = fields.enumeration("format", request.format);
        fields.finish()?;
        own::merchant(access, merchant(of))?;
        let format = sheet::form(format).ok_or_else(runtime::internal)?;
        let wait = deadline.remaining(FILE_WAIT);
        let place = tokio::time::timeout(wait, self.files.acquire()).await;
        let place = place.map_err(|_| runtime::rate_limited(DOMAIN, "service", FILE_WAIT))?;
        let _place = place.map_err(|_| runtime::internal())?;
        let days = (days.start, days.end);
        let download = self.service.download_statements(of, days).await?;
        let file = tokio::task::spawn_blocking(move || sheet::file(format, days, &download)).await;
        Ok(Response::new(file.map_err(|error| broken(&error))??))
    }
}

fn broken(error: &tokio::task::JoinError) -> Status {
    tracing::error!("A file of statements was not made: {error}");
    runtime::internal()
}

/// Reads `communities/{community}/merchants/{merchant}/programmes/{programme}`.
fn account(fields: &mut Fields, field: &str, value: &str) -> MerchantAccount {
    let pattern = ["communities", MERCHANTS, PROGRAMMES];
    let [community, merchant, programme] = fields.name(field, value, pattern);
    MerchantAccount {
        community,
        programme,
        merchant,
    }
}

/// Reads `communities/{community}/merchants/{merchant}/programmes/{programme}/statements/{date}`.
fn statement_name(fields: &mut Fields, field: &str, value: &str) -> StatementName {
    let read = value.rsplit_once("/statements/").and_then(|(of, text)| {
        let date: NaiveDate = text.parse().ok()?;
        // One day has one spelling.
        let canonical = date.to_string() == text && (1..=9999).contains(&date.year());
        canonical.then_some((of, date))
    });
    // Without a date the whole is no name, and what is wrong with it is said once.
    let Some((of, date)) = read else {
        let why = match value {
            "" => "required",
            _ => {
                "not of the form communities/{uuid}/merchants/{uuid}/programmes/{uuid}/statements/{yyyy-mm-dd}"
            }
        };
        fields.fail(field, why);
        return StatementName {
            of: MerchantAccount {
                community: uuid::Uuid::nil(),
                programme: uuid::Uuid::nil(),
                merchant: uuid::Uuid::nil(),
            },
            date: NaiveDate::default(),
        };
    };
    StatementName {
        of: account(fields, field, of),
        date,
    }
}

fn merchant(of: MerchantAccount) -> Name {
    Name {
        community: of.community,
        id: of.merchant,
    }
}

/// Whether the caller's token says that the merchant is their own, in whatever role they call.
fn is_merchant(access: &Access, name: StatementName) -> bool {
    access.is(name.of.community, MERCHANTS, name.of.merchant)
}

fn read_line(fields: &mut Fields, line: i32) -> i32 {
    fields.range("line", line.into(), 1, MAX_LINE);
    line
}

fn read_state(fields: &mut Fields, state: i32) -> Option<StatementState> {
    if state == 0 {
        return None;
    }
    match fields.enumeration("state", state)? {
        pb::StatementState::Unspecified => None,
        pb::StatementState::Open => Some(StatementState::Open),
        pb::StatementState::Empty => Some(StatementState::Empty),
        pb::StatementState::Closed => Some(StatementState::Closed),
        pb::StatementState::Disputed => Some(StatementState::Disputed),
        pb::StatementState::Confirmed => Some(StatementState::Confirmed),
        pb::StatementState::Paid => Some(StatementState::Paid),
    }
}

fn name_of(of: MerchantAccount, date: NaiveDate) -> String {
    let MerchantAccount {
        community,
        programme,
        merchant,
    } = of;
    format!("communities/{community}/merchants/{merchant}/programmes/{programme}/statements/{date}")
}

fn message(statement: Statement) -> pb::Statement {
    let payable = statement.payable().unwrap_or_default();
    let StatementName { of, date } = statement.name;
    let state = match statement.state {
        StatementState::Open => pb::StatementState::Open,
        StatementState::Empty => pb::StatementState::Empty,
        StatementState::Closed => pb::StatementState::Closed,
        StatementState::Disputed => pb::StatementState::Disputed,
        StatementState::Confirmed => pb::StatementState::Confirmed,
        StatementState::Paid => pb::StatementState::Paid,
    };
    let hash = |hash: crate::domain::LineHash| match statement.closed_at {
        Some(_) => hash.to_string(),
        None => String::new(),
    };
    let confirmed = statement.confirmed.as_ref();
    let paid = statement.paid.as_ref();
    let by = |deed: Option<&Deed>| deed.map(|deed| deed.by.clone()).unwrap_or_default();
    pb::Statement {
        name: name_of(of, date),
        business_date: Some(read::date_message(date)),
        time_zone: statement.time_zone.into(),
        asset: statement.asset,
        state: state.into(),
        opening_balance: statement.opening_balance,
        closing_balance: statement.closing_balance,
        captured_points: statement.totals.captured,
        reversed_points: statement.totals.reversed,
        other_points: statement.totals.other,
        adjusted_points: statement.totals.adjusted,
        payable_points: payable,
        line_count: statement.line_count,
        previous_hash: hash(statement.previous_hash),
        hash: hash(statement.hash),
        close_time: statement.closed_at.map(timestamp),
        confirm_time: confirmed.map(|deed| timestamp(deed.at)),
        confirmed_by: by(confirmed),
        pay_time: paid.map(|paid| timestamp(paid.deed.at)),
        paid_by: by(paid.map(|paid| &paid.deed)),
        payment_reference: paid.map(|paid| paid.reference.clone()).unwrap_or_default(),
    }
}

fn line_message(of: MerchantAccount, line: Line) -> pb::StatementEntry {
    let community = of.community;
    let kind = match line.kind {
        LineKind::Capture => pb::StatementEntryKind::Capture,
        LineKind::Reversal => pb::StatementEntryKind::Reversal,
        LineKind::Other => pb::StatementEntryKind::Other,
        LineKind::Adjustment => pb::StatementEntryKind::Adjustment,
    };
    let (entry, adjusted_statement, adjusted_line) = match line.origin {
        Origin::Entry(sequence) => {
            let entry = format!("communities/{community}/entries/{sequence}");
            (entry, String::new(), 0)
        }
        Origin::Dispute { date, line } => (String::new(), name_of(of, date), line),
    };
    let named = |kind, id: Option<uuid::Uuid>| id.map(|id| name(community, kind, id));
    pb::StatementEntry {
        line: line.number,
        kind: kind.into(),
        entry,
        redemption: named(REDEMPTIONS, line.redemption).unwrap_or_default(),
        offer: named(OFFERS, line.offer).unwrap_or_default(),
        title: line.title,
        quantity: line.quantity,
        points: line.points,
        balance: line.balance,
        create_time: Some(timestamp(line.at)),
        adjusted_statement,
        adjusted_line,
        dispute: line.dispute.map(dispute_message),
    }
}

fn dispute_message(dispute: Dispute) -> pb::Dispute {
    let resolution = dispute.resolution.as_ref();
    let state = match resolution.map(|resolution| resolution.points) {
        None => pb::DisputeState::Open,
        Some(None) => pb::DisputeState::Declined,
        Some(Some(_)) => pb::DisputeState::Accepted,
    };
    let points = resolution.and_then(|resolution| resolution.points);
    let (reason, by) = resolution
        .map(|resolution| (resolution.reason.clone(), resolution.deed.by.clone()))
        .unwrap_or_default();
    pb::Dispute {
        state: state.into(),
        points: points.unwrap_or_default(),
        resolution: reason,
        resolved_by: by,
        resolve_time: resolution.map(|resolution| timestamp(resolution.deed.at)),
        reason: dispute.reason,
        opened_by: dispute.opened.by,
        open_time: Some(timestamp(dispute.opened.at)),
    }
}
