//! Visits, and whose are due.

use chrono::NaiveDate;
use proto::wish::v1 as pb;
use runtime::{Access, Deadline, timestamp};
use tonic::{Request, Status};
use uuid::Uuid;

use super::{
    Place, beneficiary, call, chosen_id, community,
    date::{date_message, optional_date},
    fields, neighbour, optional_neighbour, required, resource,
};
use crate::{
    Wishes,
    beneficiary::DueVisit,
    domain::{
        Community,
        visit::{Condition, Visit},
    },
};

pub(super) const VISITS: &str = "visits";

pub(super) async fn record(
    wishes: &Wishes,
    request: Request<pb::RecordVisitRequest>,
) -> Result<pb::Visit, Status> {
    let (access, deadline) = (Access::of(&request), Deadline::of(&request));
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = community(&mut fields, "parent", &request.parent);
    let request_id = fields.request_id(&request.request_id);
    // What is hashed can be found again by trying.
    let impersonal = pb::RecordVisitRequest {
        visit: request.visit.clone().map(|visit| pb::Visit {
            note: String::new(),
            ..visit
        }),
        ..request.clone()
    };
    let about = (community, &request.parent[..]);
    let call = call(&access, about, request_id, "RecordVisit", &impersonal);
    let id = chosen_id(&mut fields, "visit_id", &request.visit_id);
    let visit = required(&mut fields, "visit", request.visit);
    let place = (community, beneficiary::BENEFICIARIES);
    let of = neighbour(&mut fields, "visit.beneficiary", &visit.beneficiary, place);
    let place = (community, "members");
    let visitor = neighbour(&mut fields, "visit.visitor", &visit.visitor, place);
    let visited_at = fields.time("visit.visit_time", &visit.visit_time);
    let now = wishes.now();
    fields.check("visit.visit_time", visited_at <= now, "in the future");
    let condition = fields.enumeration("visit.condition", visit.condition);
    let note = fields.optional_text("visit.note", &visit.note, 500);
    fields.finish()?;
    let Some(condition) = condition.and_then(decode_condition) else {
        return Err(runtime::internal());
    };
    let visit = Visit {
        community,
        id: id.unwrap_or_else(|| wishes.ids.next()),
        beneficiary: of,
        visitor,
        condition,
        visited_at,
        created_at: now,
    };
    let recorded = wishes.record_visit(&call, visit, &note, deadline).await?;
    Ok(encode(recorded))
}

pub(super) async fn list(
    wishes: &Wishes,
    request: Request<pb::ListVisitsRequest>,
) -> Result<pb::ListVisitsResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = community(&mut fields, "parent", &request.parent);
    let place = (community, beneficiary::BENEFICIARIES);
    let of = optional_neighbour(&mut fields, "beneficiary", &request.beneficiary, place);
    let query = format!("ListVisits {} {of:?}", request.parent);
    let place = Place::read(&mut fields, query, (request.page_size, &request.page_token));
    fields.finish()?;
    let after = place.after.unwrap_or(Uuid::nil());
    let page = wishes.list_visits(community, of, after, place.size).await?;
    Ok(pb::ListVisitsResponse {
        next_page_token: place.next_page_token(&page),
        visits: page.items.into_iter().map(encode).collect(),
    })
}

pub(super) async fn list_due(
    wishes: &Wishes,
    request: Request<pb::ListDueVisitsRequest>,
) -> Result<pb::ListDueVisitsResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let (community, programme) = resource(&mut fields, "parent", &request.parent, "programmes");
    let until = optional_date(&mut fields, "until_date", &request.until_date);
    let grade = beneficiary::read_grade(&mut fields, request.grade);
    let query = format!("ListDueVisits {} {until:?} {grade:?}", request.parent);
    let place = Place::read(&mut fields, query, (request.page_size, &request.page_token));
    fields.finish()?;
    let after = place.after.unwrap_or((NaiveDate::default(), Uuid::nil()));
    let of = (community, programme);
    let page = wishes
        .list_due_visits(of, (until, grade), after, place.size)
        .await?;
    Ok(pb::ListDueVisitsResponse {
        next_page_token: place.next_page_token(&page),
        due_visits: page.items.into_iter().map(encode_due).collect(),
    })
}

fn encode_due(due: DueVisit) -> pb::DueVisit {
    let days = due.overdue_days;
    let end = if days < 0 { i32::MIN } else { i32::MAX };
    pb::DueVisit {
        beneficiary: Some(beneficiary::encode(due.of)),
        due_date: Some(date_message(due.due_date)),
        overdue_days: i32::try_from(days).unwrap_or(end),
    }
}

fn decode_condition(condition: pb::VisitCondition) -> Option<Condition> {
    match condition {
        pb::VisitCondition::Unspecified => None,
        pb::VisitCondition::Well => Some(Condition::Well),
        pb::VisitCondition::NeedsAttention => Some(Condition::NeedsAttention),
        pb::VisitCondition::Urgent => Some(Condition::Urgent),
        pb::VisitCondition::NotMet => Some(Condition::NotMet),
    }
}

fn encode(visit: Visit) -> pb::Visit {
    let condition = match visit.condition {
        Condition::Well => pb::VisitCondition::Well,
        Condition::NeedsAttention => pb::VisitCondition::NeedsAttention,
        Condition::Urgent => pb::VisitCondition::Urgent,
        Condition::NotMet => pb::VisitCondition::NotMet,
    };
    pb::Visit {
        name: name(visit.community, visit.id),
        beneficiary: beneficiary::name(visit.community, visit.beneficiary),
        visitor: format!(
            "communities/{}/members/{}",
            visit.community.0, visit.visitor
        ),
        visit_time: Some(timestamp(visit.visited_at)),
        condition: condition.into(),
        note: String::new(),
        create_time: Some(timestamp(visit.created_at)),
    }
}

pub(super) fn name(community: Community, id: Uuid) -> String {
    format!("communities/{}/{VISITS}/{id}", community.0)
}
