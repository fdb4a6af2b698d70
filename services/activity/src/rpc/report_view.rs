//! Looking at problem reports.

use proto::activity::v1 as pb;
use runtime::Access;
use tonic::{Request, Status};

use super::{
    Place, community, fields, optional_neighbour, own,
    report::{own_report, read_urgency},
    report_text::{
        encode, encode_event, encode_event_kind, encode_place, encode_state, encode_urgency,
        encode_visibility, name, read_state,
    },
    resource,
};
use crate::{
    Activity,
    domain::{
        place::Nearness,
        report::{Candidate, EventKind, ReportEvent, ReportFilter, Visibility},
    },
    report_view::Shown,
};

pub(super) async fn suggest_duplicates(
    activity: &Activity,
    request: Request<pb::SuggestDuplicatesRequest>,
) -> Result<pb::SuggestDuplicatesResponse, Status> {
    let access = Access::of(&request);
    let mut fields = fields(&access);
    let (community, id) = resource(&mut fields, "name", &request.get_ref().name, "reports");
    fields.finish()?;
    let found = activity.suggest_duplicates(community, id).await?;
    let now = activity.clock.now();
    let candidate = |one: Candidate| pb::DuplicateCandidate {
        report: Some(encode(&one.report, now)),
        distance_metres: match one.nearness {
            Nearness::Metres(metres) => Some(metres),
            Nearness::SameWords => None,
        },
    };
    Ok(pb::SuggestDuplicatesResponse {
        candidates: found.into_iter().map(candidate).collect(),
    })
}

pub(super) async fn get(
    activity: &Activity,
    request: Request<pb::GetReportRequest>,
) -> Result<pb::Report, Status> {
    let access = Access::of(&request);
    let mut fields = fields(&access);
    let (community, id) = resource(&mut fields, "name", &request.get_ref().name, "reports");
    fields.finish()?;
    own_report(activity, &access, community, id).await?;
    let report = activity.get_report(community, id).await?;
    Ok(encode(&report, activity.clock.now()))
}

pub(super) async fn list(
    activity: &Activity,
    request: Request<pb::ListReportsRequest>,
) -> Result<pb::ListReportsResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = community(&mut fields, "parent", &request.parent);
    let mut only = |field: &str, value: &str, kind| {
        optional_neighbour(&mut fields, field, value, (community, kind))
    };
    let programme = only("programme", &request.programme, "programmes");
    let member = only("member", &request.member, "members");
    let category = fields.optional_text("category", &request.category, 60);
    let filter = ReportFilter {
        community,
        programme,
        member,
        state: read_state(&mut fields, "state", request.state),
        category: (!category.is_empty()).then_some(category),
        urgency: read_urgency(&mut fields, "urgency", request.urgency),
        overdue: request.overdue,
    };
    let query = format!(
        "ListReports {} {} {} {} {} {} {:?}",
        request.parent,
        request.programme,
        request.member,
        request.state,
        request.urgency,
        request.overdue,
        request.category
    );
    let place = Place::read(&mut fields, query, (request.page_size, &request.page_token));
    fields.finish()?;
    own::list_of(activity, &access, community, member).await?;
    let page = activity
        .list_reports(&filter, place.after, place.size)
        .await?;
    let now = activity.clock.now();
    Ok(pb::ListReportsResponse {
        next_page_token: place.next_page_token(&page),
        reports: page
            .items
            .iter()
            .map(|report| encode(report, now))
            .collect(),
    })
}

pub(super) async fn list_events(
    activity: &Activity,
    request: Request<pb::ListReportEventsRequest>,
) -> Result<pb::ListReportEventsResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let (community, id) = resource(&mut fields, "parent", &request.parent, "reports");
    let query = format!("ListReportEvents {}", request.parent);
    let place = Place::read(&mut fields, query, (request.page_size, &request.page_token));
    fields.finish()?;
    own_report(activity, &access, community, id).await?;
    let after = place.after.unwrap_or(0);
    let page = activity
        .list_report_events(community, id, after, place.size)
        .await?;
    Ok(pb::ListReportEventsResponse {
        next_page_token: place.next_page_token(&page),
        report_events: page.items.into_iter().map(encode_event).collect(),
    })
}

pub(super) async fn list_public(
    activity: &Activity,
    request: Request<pb::ListPublicReportsRequest>,
) -> Result<pb::ListPublicReportsResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let programme = resource(&mut fields, "parent", &request.parent, "programmes");
    let category = fields.optional_text("category", &request.category, 60);
    let query = format!("ListPublicReports {} {category:?}", request.parent);
    let place = Place::read(&mut fields, query, (request.page_size, &request.page_token));
    fields.finish()?;
    let category = (!category.is_empty()).then_some(&category[..]);
    let page = activity
        .list_public_reports(programme, category, place.after, place.size)
        .await?;
    Ok(pb::ListPublicReportsResponse {
        next_page_token: place.next_page_token(&page),
        public_reports: page.items.into_iter().map(encode_shown).collect(),
    })
}

/// Writes what everybody may see, and nothing else: a report that should be private here is an empty one.
fn encode_shown(shown: Shown) -> pb::PublicReport {
    let report = shown.report;
    let whole = match report.visibility {
        Visibility::Public => true,
        Visibility::Redacted => false,
        Visibility::Private => return pb::PublicReport::default(),
    };
    let progress = shown.notes.into_iter();
    pb::PublicReport {
        name: name(report.community, report.id),
        category: report.category,
        urgency: encode_urgency(report.urgency),
        state: encode_state(report.state),
        visibility: encode_visibility(report.visibility),
        masked_reporter: shown.reporter.name,
        place: whole.then(|| encode_place(&report.place)),
        description: if whole {
            report.description
        } else {
            String::new()
        },
        photos: if whole { report.photos } else { Vec::new() },
        submit_time: Some(runtime::timestamp(report.submitted_at)),
        change_time: Some(runtime::timestamp(report.changed_at)),
        resolve_due_time: Some(runtime::timestamp(report.resolve_due_at)),
        referred_to: report.referred_to.unwrap_or_default(),
        progress: progress
            .map(|event| encode_progress(event, whole))
            .collect(),
        rating: report.rating.map(i32::from).unwrap_or_default(),
    }
}

/// Why a report was reopened is for those who work on it.
fn encode_progress(event: ReportEvent, whole: bool) -> pb::ReportProgress {
    let told = event.kind != EventKind::Reopened;
    pb::ReportProgress {
        kind: encode_event_kind(event.kind),
        create_time: Some(runtime::timestamp(event.at)),
        note: if told { event.text } else { String::new() },
        photos: if whole { event.photos } else { Vec::new() },
    }
}
