//! What a report says, read and written.

use chrono::{DateTime, Utc};
use proto::activity::v1::{self as pb, report_assignee::Who};
use runtime::Fields;
use uuid::Uuid;

use super::{
    grant, member, neighbour, optional_enumeration, programme, report::read_urgency, required, team,
};
use crate::domain::{
    Community,
    place::{Place, Point},
    report::{
        Assignee, Emergency, EmergencyAnswer, EventKind, Report, ReportEvent, ReportState,
        Submission, Urgency, Visibility,
    },
};

/// How many photos come with one call.
const MAX_PHOTOS: usize = 9;

/// Reads what is reported; where it is has to be said.
pub(super) fn read_submission(fields: &mut Fields, report: &pb::Report) -> Submission {
    let place = required(fields, "report.place", report.place.clone());
    Submission {
        category: fields.text("report.category", &report.category, 60),
        photos: read_photos(fields, "report.photos", &report.photos),
        place: read_place(fields, "report.place", report.place.is_some(), &place),
        description: fields.optional_text("report.description", &report.description, 1000),
        urgency: read_urgency(fields, "report.urgency", report.urgency),
        emergency: read_emergency(fields, "report.emergency", report.emergency),
    }
}

fn read_place(fields: &mut Fields, at: &str, there: bool, place: &pb::ReportPlace) -> Place {
    let text = fields.optional_text(&format!("{at}.text"), &place.text, 200);
    if there && text.is_empty() && place.point.is_none() {
        fields.fail(at, "needs a text, a point or both");
    }
    let point = place.point.as_ref().map(|point| {
        let at = |field: &str| format!("{at}.point.{field}");
        let accuracy = i64::from(point.accuracy_metres);
        let accuracy = fields.range(&at("accuracy_metres"), accuracy, 0, 100_000);
        Point {
            latitude_e6: read_degrees(fields, &at("latitude"), point.latitude, 90),
            longitude_e6: read_degrees(fields, &at("longitude"), point.longitude, 180),
            accuracy_metres: i32::try_from(accuracy).unwrap_or_default(),
        }
    });
    Place { text, point }
}

/// Reads an angle, to the next millionth of a degree.
fn read_degrees(fields: &mut Fields, field: &str, degrees: f64, most: i32) -> i32 {
    let limit = f64::from(most);
    if !(-limit..=limit).contains(&degrees) {
        fields.fail(field, format!("from -{most} to {most}, not {degrees}"));
        return 0;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "180 million is within range"
    )]
    let e6 = (degrees * 1e6).round() as i32;
    e6
}

/// Reads references to photos.
pub(super) fn read_photos(fields: &mut Fields, field: &str, photos: &[String]) -> Vec<String> {
    let count = photos.len();
    fields.check(
        field,
        count <= MAX_PHOTOS,
        format!("at most {MAX_PHOTOS} of them, not {count}"),
    );
    let photos = photos.iter().enumerate();
    photos
        .map(|(index, photo)| fields.text(&format!("{field}[{index}]"), photo, 500))
        .collect()
}

/// Reads an emergency that may be left out.
pub(super) fn read_emergency(fields: &mut Fields, field: &str, value: i32) -> Option<Emergency> {
    match optional_enumeration(fields, field, value)? {
        pb::EmergencyKind::Crime => Some(Emergency::Crime),
        pb::EmergencyKind::Fire => Some(Emergency::Fire),
        pb::EmergencyKind::Medical => Some(Emergency::Medical),
        pb::EmergencyKind::Traffic => Some(Emergency::Traffic),
        pb::EmergencyKind::Unspecified => None,
    }
}

/// Reads a visibility that may be left out.
pub(super) fn read_visibility(fields: &mut Fields, field: &str, value: i32) -> Option<Visibility> {
    match optional_enumeration(fields, field, value)? {
        pb::ReportVisibility::Public => Some(Visibility::Public),
        pb::ReportVisibility::Redacted => Some(Visibility::Redacted),
        pb::ReportVisibility::Private => Some(Visibility::Private),
        pb::ReportVisibility::Unspecified => None,
    }
}

/// Reads a state that may be left out.
pub(super) fn read_state(fields: &mut Fields, field: &str, value: i32) -> Option<ReportState> {
    match optional_enumeration(fields, field, value)? {
        pb::ReportState::Submitted => Some(ReportState::Submitted),
        pb::ReportState::Accepted => Some(ReportState::Accepted),
        pb::ReportState::Assigned => Some(ReportState::Assigned),
        pb::ReportState::InProgress => Some(ReportState::InProgress),
        pb::ReportState::Resolved => Some(ReportState::Resolved),
        pb::ReportState::Closed => Some(ReportState::Closed),
        pb::ReportState::Rejected => Some(ReportState::Rejected),
        pb::ReportState::Duplicate => Some(ReportState::Duplicate),
        pb::ReportState::Referred => Some(ReportState::Referred),
        pb::ReportState::Unspecified => None,
    }
}

/// Reads who is to have a report.
pub(super) fn read_assignee(
    fields: &mut Fields,
    community: Community,
    assignee: &pb::ReportAssignee,
) -> Option<Assignee> {
    match &assignee.who {
        Some(Who::Member(name)) => Some(Assignee::Member(neighbour(
            fields,
            "assignee.member",
            name,
            (community, "members"),
        ))),
        Some(Who::Team(name)) => Some(Assignee::Team(neighbour(
            fields,
            "assignee.team",
            name,
            (community, "teams"),
        ))),
        Some(Who::Staff(name)) => Some(Assignee::Staff(fields.text("assignee.staff", name, 120))),
        None => {
            fields.fail("assignee", "needs one of member, team and staff");
            None
        }
    }
}

/// Writes a report as it stands at an instant.
pub(super) fn encode(report: &Report, now: DateTime<Utc>) -> pb::Report {
    let community = report.community;
    pb::Report {
        name: name(community, report.id),
        programme: programme::name(community, report.programme),
        member: member::name(community, report.member),
        category: report.category.clone(),
        photos: report.photos.clone(),
        place: Some(encode_place(&report.place)),
        urgency: encode_urgency(report.urgency),
        emergency: report.emergency.map(encode_kind).unwrap_or_default(),
        description: report.description.clone(),
        visibility: encode_visibility(report.visibility),
        state: encode_state(report.state),
        submit_time: Some(runtime::timestamp(report.submitted_at)),
        triage_due_time: Some(runtime::timestamp(report.triage_due_at)),
        resolve_due_time: Some(runtime::timestamp(report.resolve_due_at)),
        overdue: report.is_overdue(now),
        assignee: report.assignee.as_ref().map(|assignee| pb::ReportAssignee {
            who: Some(match assignee {
                Assignee::Member(id) => Who::Member(member::name(community, *id)),
                Assignee::Team(id) => Who::Team(team::name(community, *id)),
                Assignee::Staff(name) => Who::Staff(name.clone()),
            }),
        }),
        changed_by: report.changed_by.clone().unwrap_or_default(),
        change_time: Some(runtime::timestamp(report.changed_at)),
        reason: report.reason.clone(),
        duplicate_of: named(community, report.duplicate_of, name),
        referred_to: report.referred_to.clone().unwrap_or_default(),
        grant: named(community, report.grant, grant::name),
        reopen_deadline: report.close_at.map(runtime::timestamp),
        rating: report.rating.map(i32::from).unwrap_or_default(),
        rating_comment: report.rating_comment.clone(),
        recorded_by: report.recorded_by.clone(),
    }
}

fn named(
    community: Community,
    id: Option<Uuid>,
    name: impl Fn(Community, Uuid) -> String,
) -> String {
    id.map(|id| name(community, id)).unwrap_or_default()
}

/// Writes a place.
pub(super) fn encode_place(place: &Place) -> pb::ReportPlace {
    let degrees = |e6: i32| f64::from(e6) / 1e6;
    pb::ReportPlace {
        text: place.text.clone(),
        point: place.point.map(|point| pb::GeoPoint {
            latitude: degrees(point.latitude_e6),
            longitude: degrees(point.longitude_e6),
            accuracy_metres: point.accuracy_metres,
        }),
    }
}

/// Writes the number to call.
pub(super) fn encode_emergency(answer: &EmergencyAnswer) -> pb::EmergencyAnswer {
    pb::EmergencyAnswer {
        kind: encode_kind(answer.kind),
        number: answer.number.clone(),
        text_zh: answer.text_zh(),
        text_en: answer.text_en(),
    }
}

/// Writes an event.
pub(super) fn encode_event(event: ReportEvent) -> pb::ReportEvent {
    pb::ReportEvent {
        number: event.number,
        kind: encode_event_kind(event.kind),
        state: encode_state(event.state),
        actor: event.actor.unwrap_or_default(),
        create_time: Some(runtime::timestamp(event.at)),
        text: event.text,
        photos: event.photos,
        request_id: event.request.map(|id| id.to_string()).unwrap_or_default(),
    }
}

pub(super) fn encode_state(state: ReportState) -> i32 {
    match state {
        ReportState::Submitted => pb::ReportState::Submitted.into(),
        ReportState::Accepted => pb::ReportState::Accepted.into(),
        ReportState::Assigned => pb::ReportState::Assigned.into(),
        ReportState::InProgress => pb::ReportState::InProgress.into(),
        ReportState::Resolved => pb::ReportState::Resolved.into(),
        ReportState::Closed => pb::ReportState::Closed.into(),
        ReportState::Rejected => pb::ReportState::Rejected.into(),
        ReportState::Duplicate => pb::ReportState::Duplicate.into(),
        ReportState::Referred => pb::ReportState::Referred.into(),
    }
}

pub(super) fn encode_urgency(urgency: Urgency) -> i32 {
    match urgency {
        Urgency::Red => pb::ReportUrgency::Red.into(),
        Urgency::Yellow => pb::ReportUrgency::Yellow.into(),
        Urgency::Blue => pb::ReportUrgency::Blue.into(),
    }
}

pub(super) fn encode_visibility(visibility: Visibility) -> i32 {
    match visibility {
        Visibility::Public => pb::ReportVisibility::Public.into(),
        Visibility::Redacted => pb::ReportVisibility::Redacted.into(),
        Visibility::Private => pb::ReportVisibility::Private.into(),
    }
}

pub(super) fn encode_kind(kind: Emergency) -> i32 {
    match kind {
        Emergency::Crime => pb::EmergencyKind::Crime.into(),
        Emergency::Fire => pb::EmergencyKind::Fire.into(),
        Emergency::Medical => pb::EmergencyKind::Medical.into(),
        Emergency::Traffic => pb::EmergencyKind::Traffic.into(),
    }
}

pub(super) fn encode_event_kind(kind: EventKind) -> i32 {
    let kind = match kind {
        EventKind::Submitted => pb::ReportEventKind::Submitted,
        EventKind::Detail => pb::ReportEventKind::Detail,
        EventKind::Accepted => pb::ReportEventKind::Accepted,
        EventKind::Rejected => pb::ReportEventKind::Rejected,
        EventKind::Abuse => pb::ReportEventKind::Abuse,
        EventKind::Duplicate => pb::ReportEventKind::Duplicate,
        EventKind::Referred => pb::ReportEventKind::Referred,
        EventKind::Assigned => pb::ReportEventKind::Assigned,
        EventKind::HandedBack => pb::ReportEventKind::HandedBack,
        EventKind::Started => pb::ReportEventKind::Started,
        EventKind::Progress => pb::ReportEventKind::Progress,
        EventKind::Resolved => pb::ReportEventKind::Resolved,
        EventKind::Reopened => pb::ReportEventKind::Reopened,
        EventKind::Closed => pb::ReportEventKind::Closed,
        EventKind::Rated => pb::ReportEventKind::Rated,
        EventKind::Visibility => pb::ReportEventKind::Visibility,
    };
    kind.into()
}

pub(super) fn name(community: Community, id: Uuid) -> String {
    format!("communities/{}/reports/{id}", community.0)
}
