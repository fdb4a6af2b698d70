//! Problem reports: handing one in, and what is done to it.

use proto::activity::v1::{self as pb, report_service_server::ReportService};
use runtime::{Access, Fields};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    call, chosen_id, community, fields, neighbour, optional_enumeration, own,
    report_rules as rules,
    report_text::{
        encode, encode_emergency, read_assignee, read_photos, read_submission, read_visibility,
    },
    report_view as view, required, resource,
};
use crate::{
    Activity,
    domain::{Community, call::Call, report::Urgency},
    report::{NewReport, Target},
};

pub(super) struct ReportRpc(pub(super) Activity);

/// An RPC by the function that reads its request.
macro_rules! rpcs {
    ($($name:ident($request:ident) -> $answer:ident: $($reader:ident)::+;)+) => {
        #[tonic::async_trait]
        impl ReportService for ReportRpc {
            $(
                async fn $name(&self, request: Request<pb::$request>) -> Result<Response<pb::$answer>, Status> {
                    $($reader)::+(&self.0, request).await.map(Response::new)
                }
            )+
        }
    };
}

rpcs! {
    create_report(CreateReportRequest) -> CreateReportResponse: create;
    add_report_detail(AddReportDetailRequest) -> Report: add_detail;
    accept_report(AcceptReportRequest) -> Report: accept;
    reject_report(RejectReportRequest) -> Report: reject;
    mark_report_duplicate(MarkReportDuplicateRequest) -> Report: mark_duplicate;
    refer_report(ReferReportRequest) -> Report: refer;
    suggest_duplicates(SuggestDuplicatesRequest) -> SuggestDuplicatesResponse: view::suggest_duplicates;
    assign_report(AssignReportRequest) -> Report: assign;
    hand_back_report(HandBackReportRequest) -> Report: hand_back;
    start_report(StartReportRequest) -> Report: start;
    add_report_progress(AddReportProgressRequest) -> Report: add_progress;
    resolve_report(ResolveReportRequest) -> Report: resolve;
    reopen_report(ReopenReportRequest) -> Report: reopen;
    close_report(CloseReportRequest) -> Report: close;
    rate_report(RateReportRequest) -> Report: rate;
    set_report_visibility(SetReportVisibilityRequest) -> Report: set_visibility;
    get_report(GetReportRequest) -> Report: view::get;
    list_reports(ListReportsRequest) -> ListReportsResponse: view::list;
    list_report_events(ListReportEventsRequest) -> ListReportEventsResponse: view::list_events;
    list_public_reports(ListPublicReportsRequest) -> ListPublicReportsResponse: view::list_public;
    get_report_settings(GetReportSettingsRequest) -> ReportSettings: rules::get;
    set_report_settings(SetReportSettingsRequest) -> ReportSettings: rules::set;
}

async fn create(
    activity: &Activity,
    request: Request<pb::CreateReportRequest>,
) -> Result<pb::CreateReportResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = community(&mut fields, "parent", &request.parent);
    let request_id = fields.request_id(&request.request_id);
    let about = (community, &request.parent[..]);
    let call = call(&access, about, request_id, "CreateReport", &request);
    let id = chosen_id(&mut fields, "report_id", &request.report_id);
    let report = required(&mut fields, "report", request.report);
    let mut place = |field: &str, value: &str, kind| {
        neighbour(
            &mut fields,
            &format!("report.{field}"),
            value,
            (community, kind),
        )
    };
    let programme = place("programme", &report.programme, "programmes");
    let member = place("member", &report.member, "members");
    let submission = read_submission(&mut fields, &report);
    fields.finish()?;
    own::member(activity, &access, community, member).await?;
    let new = NewReport {
        id,
        programme,
        member,
        submission,
    };
    let filed = activity.create_report(&call, new).await?;
    Ok(pb::CreateReportResponse {
        emergency: filed.emergency.as_ref().map(encode_emergency),
        report: Some(encode(&filed.report, activity.clock.now())),
    })
}

/// A request about one report, while it is read.
struct Asked {
    access: Access,
    fields: Fields,
    community: Community,
    report: Uuid,
    call: Call,
}

impl Asked {
    fn read<M: prost::Message>(
        access: Access,
        (name, request_id): (&str, &str),
        method: &'static str,
        request: &M,
    ) -> Self {
        let mut fields = fields(&access);
        let (community, report) = resource(&mut fields, "name", name, "reports");
        let request_id = fields.request_id(request_id);
        let call = call(&access, (community, name), request_id, method, request);
        Self {
            access,
            fields,
            community,
            report,
            call,
        }
    }

    /// Refuses what is wrong with the request, and then those whose report it is not.
    async fn finish(self, activity: &Activity) -> Result<(Call, Target), Status> {
        let Self {
            access,
            fields,
            community,
            report,
            call,
        } = self;
        fields.finish()?;
        own_report(activity, &access, community, report).await?;
        Ok((call, Target { report, by: access }))
    }
}

/// Refuses those who may only see what is their own, unless the report is.
pub(super) async fn own_report(
    activity: &Activity,
    access: &Access,
    community: Community,
    id: Uuid,
) -> Result<(), Status> {
    if !access.is_limited() {
        return Ok(());
    }
    let report = activity.find_report(community, id).await?;
    own::found(
        activity,
        access,
        community,
        report.map(|report| report.member),
    )
    .await
}

/// Reads a request about one report: its name, its id, and whatever else there is by `$read`.
macro_rules! asked {
    ($request:ident, $method:literal, $asked:ident => $read:expr) => {{
        let access = Access::of(&$request);
        let $request = $request.into_inner();
        let names = (&$request.name[..], &$request.request_id[..]);
        let mut $asked = Asked::read(access, names, $method, &$request);
        let read = $read;
        ($asked, read)
    }};
}

async fn add_detail(
    activity: &Activity,
    request: Request<pb::AddReportDetailRequest>,
) -> Result<pb::Report, Status> {
    let (asked, said) = asked!(request, "AddReportDetail", asked => {
        let text = asked.fields.text("text", &request.text, 1000);
        (text, read_photos(&mut asked.fields, "photos", &request.photos))
    });
    let (call, target) = asked.finish(activity).await?;
    let report = activity.add_report_detail(&call, target, said).await?;
    Ok(encode(&report, activity.clock.now()))
}

async fn accept(
    activity: &Activity,
    request: Request<pb::AcceptReportRequest>,
) -> Result<pb::Report, Status> {
    let (asked, found) = asked!(request, "AcceptReport", asked => {
        let urgency = read_urgency(&mut asked.fields, "urgency", request.urgency);
        (urgency, read_visibility(&mut asked.fields, "visibility", request.visibility))
    });
    let (call, target) = asked.finish(activity).await?;
    let report = activity.accept_report(&call, target, found).await?;
    Ok(encode(&report, activity.clock.now()))
}

async fn reject(
    activity: &Activity,
    request: Request<pb::RejectReportRequest>,
) -> Result<pb::Report, Status> {
    let (asked, why) = asked!(request, "RejectReport", asked => {
        (asked.fields.text("reason", &request.reason, 200), request.abuse)
    });
    let (call, target) = asked.finish(activity).await?;
    let report = activity.reject_report(&call, target, why).await?;
    Ok(encode(&report, activity.clock.now()))
}

async fn mark_duplicate(
    activity: &Activity,
    request: Request<pb::MarkReportDuplicateRequest>,
) -> Result<pb::Report, Status> {
    let (asked, of) = asked!(request, "MarkReportDuplicate", asked => {
        let place = (asked.community, "reports");
        neighbour(&mut asked.fields, "duplicate_of", &request.duplicate_of, place)
    });
    let (call, target) = asked.finish(activity).await?;
    let report = activity.mark_report_duplicate(&call, target, of).await?;
    Ok(encode(&report, activity.clock.now()))
}

async fn refer(
    activity: &Activity,
    request: Request<pb::ReferReportRequest>,
) -> Result<pb::Report, Status> {
    let (asked, whither) = asked!(request, "ReferReport", asked => {
        let to = asked.fields.text("referred_to", &request.referred_to, 120);
        (to, asked.fields.text("note", &request.note, 200))
    });
    let (call, target) = asked.finish(activity).await?;
    let report = activity.refer_report(&call, target, whither).await?;
    Ok(encode(&report, activity.clock.now()))
}

async fn assign(
    activity: &Activity,
    request: Request<pb::AssignReportRequest>,
) -> Result<pb::Report, Status> {
    let (asked, assignee) = asked!(request, "AssignReport", asked => {
        let assignee = required(&mut asked.fields, "assignee", request.assignee.clone());
        read_assignee(&mut asked.fields, asked.community, &assignee)
    });
    let (call, target) = asked.finish(activity).await?;
    let assignee = assignee.ok_or_else(runtime::internal)?;
    let report = activity.assign_report(&call, target, assignee).await?;
    Ok(encode(&report, activity.clock.now()))
}

async fn hand_back(
    activity: &Activity,
    request: Request<pb::HandBackReportRequest>,
) -> Result<pb::Report, Status> {
    let (asked, reason) = asked!(request, "HandBackReport", asked => {
        asked.fields.text("reason", &request.reason, 200)
    });
    let (call, target) = asked.finish(activity).await?;
    let report = activity.hand_back_report(&call, target, reason).await?;
    Ok(encode(&report, activity.clock.now()))
}

async fn start(
    activity: &Activity,
    request: Request<pb::StartReportRequest>,
) -> Result<pb::Report, Status> {
    let request = (Access::of(&request), request.into_inner());
    let names = (&request.1.name[..], &request.1.request_id[..]);
    let asked = Asked::read(request.0, names, "StartReport", &request.1);
    let (call, target) = asked.finish(activity).await?;
    let report = activity.start_report(&call, target).await?;
    Ok(encode(&report, activity.clock.now()))
}

async fn add_progress(
    activity: &Activity,
    request: Request<pb::AddReportProgressRequest>,
) -> Result<pb::Report, Status> {
    let (asked, said) = asked!(request, "AddReportProgress", asked => {
        let note = asked.fields.text("note", &request.note, 500);
        (note, read_photos(&mut asked.fields, "photos", &request.photos))
    });
    let (call, target) = asked.finish(activity).await?;
    let report = activity.add_report_progress(&call, target, said).await?;
    Ok(encode(&report, activity.clock.now()))
}

async fn resolve(
    activity: &Activity,
    request: Request<pb::ResolveReportRequest>,
) -> Result<pb::Report, Status> {
    let (asked, said) = asked!(request, "ResolveReport", asked => {
        let note = asked.fields.text("note", &request.note, 500);
        (note, read_photos(&mut asked.fields, "photos", &request.photos))
    });
    let (call, target) = asked.finish(activity).await?;
    let report = activity.resolve_report(&call, target, said).await?;
    Ok(encode(&report, activity.clock.now()))
}

async fn reopen(
    activity: &Activity,
    request: Request<pb::ReopenReportRequest>,
) -> Result<pb::Report, Status> {
    let (asked, reason) = asked!(request, "ReopenReport", asked => {
        asked.fields.text("reason", &request.reason, 200)
    });
    let (call, target) = asked.finish(activity).await?;
    let report = activity.reopen_report(&call, target, reason).await?;
    Ok(encode(&report, activity.clock.now()))
}

async fn close(
    activity: &Activity,
    request: Request<pb::CloseReportRequest>,
) -> Result<pb::Report, Status> {
    let request = (Access::of(&request), request.into_inner());
    let names = (&request.1.name[..], &request.1.request_id[..]);
    let asked = Asked::read(request.0, names, "CloseReport", &request.1);
    let (call, target) = asked.finish(activity).await?;
    let report = activity.close_report(&call, target).await?;
    Ok(encode(&report, activity.clock.now()))
}

async fn rate(
    activity: &Activity,
    request: Request<pb::RateReportRequest>,
) -> Result<pb::Report, Status> {
    let (asked, rating) = asked!(request, "RateReport", asked => {
        let rating = asked.fields.range("rating", i64::from(request.rating), 1, 5);
        let rating = i16::try_from(rating).unwrap_or_default();
        (rating, asked.fields.optional_text("comment", &request.comment, 500))
    });
    let (call, target) = asked.finish(activity).await?;
    let report = activity.rate_report(&call, target, rating).await?;
    Ok(encode(&report, activity.clock.now()))
}

async fn set_visibility(
    activity: &Activity,
    request: Request<pb::SetReportVisibilityRequest>,
) -> Result<pb::Report, Status> {
    let (asked, (visibility, reason)) = asked!(request, "SetReportVisibility", asked => {
        let visibility = read_visibility(&mut asked.fields, "visibility", request.visibility);
        asked.fields.check("visibility", request.visibility != 0, "required");
        (visibility, asked.fields.text("reason", &request.reason, 200))
    });
    let (call, target) = asked.finish(activity).await?;
    let seen = (visibility.ok_or_else(runtime::internal)?, reason);
    let report = activity.set_report_visibility(&call, target, seen).await?;
    Ok(encode(&report, activity.clock.now()))
}

/// Reads an urgency that may be left out.
pub(super) fn read_urgency(fields: &mut Fields, field: &str, value: i32) -> Option<Urgency> {
    match optional_enumeration(fields, field, value)? {
        pb::ReportUrgency::Red => Some(Urgency::Red),
        pb::ReportUrgency::Yellow => Some(Urgency::Yellow),
        pb::ReportUrgency::Blue => Some(Urgency::Blue),
        pb::ReportUrgency::Unspecified => None,
    }
}
