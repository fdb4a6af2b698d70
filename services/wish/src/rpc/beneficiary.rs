//! The roster. Who somebody is, is read here; it is written whole only in the answer of RevealBeneficiary.

use chrono::Datelike;
use proto::wish::v1 as pb;
use runtime::{Access, Deadline, Fields, timestamp};
use tonic::{Request, Status};
use uuid::Uuid;

use super::{
    Place, call, chosen_id, community, date::date_message, dispatch::DISPATCHES, fields, neighbour,
    optional_enumeration, optional_neighbour, own, pledge::PLEDGES, required, resource,
};
use crate::{
    Wishes,
    beneficiary::NewBeneficiary,
    domain::{
        Community,
        beneficiary::{BeneficiaryState, Change, Grade, MaskedBeneficiary},
        call::Call,
        person::{Person, PersonChange},
    },
    person::Task,
    store::beneficiary::RosterFilter,
};

pub(super) const BENEFICIARIES: &str = "beneficiaries";
/// What `person` in a mask stands for.
const PERSON: [&str; 6] = [
    "display_name",
    "phone",
    "address",
    "needs",
    "proxy_name",
    "proxy_phone",
];

pub(super) async fn create(
    wishes: &Wishes,
    request: Request<pb::CreateBeneficiaryRequest>,
) -> Result<pb::Beneficiary, Status> {
    let (access, deadline) = (Access::of(&request), Deadline::of(&request));
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = community(&mut fields, "parent", &request.parent);
    let request_id = fields.request_id(&request.request_id);
    // What is hashed can be found again by trying.
    let impersonal = pb::CreateBeneficiaryRequest {
        beneficiary: request.beneficiary.as_ref().map(without_person),
        ..request.clone()
    };
    let about = (community, &request.parent[..]);
    let call = call(&access, about, request_id, "CreateBeneficiary", &impersonal);
    let id = chosen_id(&mut fields, "beneficiary_id", &request.beneficiary_id);
    let of = required(&mut fields, "beneficiary", request.beneficiary);
    let place = (community, "programmes");
    let programme = neighbour(&mut fields, "beneficiary.programme", &of.programme, place);
    let number = fields.optional_number("beneficiary.number", &of.number);
    let household = read_household(&mut fields, &of.household);
    let birth_year = read_birth_year(&mut fields, of.birth_year, wishes.now().year());
    let grade = fields.enumeration("beneficiary.grade", of.grade);
    let person = read_person(&mut fields, required_person(of.person));
    fields.finish()?;
    let Some(grade) = grade.and_then(decode_grade) else {
        return Err(runtime::internal());
    };
    let new = NewBeneficiary {
        id,
        number,
        programme,
        household,
        birth_year,
        grade,
        person,
    };
    Ok(encode(
        wishes.create_beneficiary(&call, new, deadline).await?,
    ))
}

pub(super) async fn get(
    wishes: &Wishes,
    request: Request<pb::GetBeneficiaryRequest>,
) -> Result<pb::Beneficiary, Status> {
    let access = Access::of(&request);
    let mut fields = fields(&access);
    let (community, id) = resource(&mut fields, "name", &request.get_ref().name, BENEFICIARIES);
    fields.finish()?;
    Ok(encode(wishes.get_beneficiary(community, id).await?))
}

pub(super) async fn list(
    wishes: &Wishes,
    request: Request<pb::ListBeneficiariesRequest>,
) -> Result<pb::ListBeneficiariesResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = community(&mut fields, "parent", &request.parent);
    let state = optional_enumeration(&mut fields, "state", request.state);
    let filter = RosterFilter {
        community,
        number: fields.optional_text("number", &request.number, 32),
        household: fields.optional_text("household", &request.household, 32),
        grade: read_grade(&mut fields, request.grade),
        state: state.and_then(decode_state),
    };
    let query = format!("ListBeneficiaries {filter:?}");
    let place = Place::read(&mut fields, query, (request.page_size, &request.page_token));
    fields.finish()?;
    let after = place.after.unwrap_or(Uuid::nil());
    let page = wishes
        .list_beneficiaries(&filter, after, place.size)
        .await?;
    Ok(pb::ListBeneficiariesResponse {
        next_page_token: place.next_page_token(&page),
        beneficiaries: page.items.into_iter().map(encode).collect(),
    })
}

pub(super) async fn update(
    wishes: &Wishes,
    request: Request<pb::UpdateBeneficiaryRequest>,
) -> Result<pb::Beneficiary, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let impersonal = pb::UpdateBeneficiaryRequest {
        beneficiary: request.beneficiary.as_ref().map(without_person),
        ..request.clone()
    };
    let of = required(&mut fields, "beneficiary", request.beneficiary);
    let (community, id) = resource(&mut fields, "beneficiary.name", &of.name, BENEFICIARIES);
    let request_id = fields.request_id(&request.request_id);
    let about = (community, &of.name[..]);
    let call = call(&access, about, request_id, "UpdateBeneficiary", &impersonal);
    // What never changes is only looked at.
    fields.optional_number("beneficiary.number", &of.number);
    let place = (community, "programmes");
    optional_neighbour(&mut fields, "beneficiary.programme", &of.programme, place);
    let paths = request.update_mask.unwrap_or_default().paths;
    fields.check("update_mask", !paths.is_empty(), "required");
    let mut change = Change::default();
    for path in &paths {
        read_change(&mut fields, &mut change, path, &of, wishes.now().year());
    }
    fields.finish()?;
    // What is no etag of this service is stale.
    let seen = (!of.etag.is_empty()).then(|| of.etag.parse().unwrap_or_default());
    Ok(encode(
        wishes.update_beneficiary(&call, id, change, seen).await?,
    ))
}

/// Reads what one path of an update mask names.
fn read_change(
    fields: &mut Fields,
    change: &mut Change,
    path: &str,
    of: &pb::Beneficiary,
    this_year: i32,
) {
    match path {
        "household" => change.household = Some(read_household(fields, &of.household)),
        "birth_year" => {
            change.birth_year = Some(read_birth_year(fields, of.birth_year, this_year));
        }
        "grade" => {
            let grade = fields.enumeration("beneficiary.grade", of.grade);
            change.grade = grade.and_then(decode_grade);
        }
        "person" => {
            for part in PERSON {
                read_part(fields, &mut change.person, part, of);
            }
        }
        _ => match path.strip_prefix("person.") {
            Some(part) if PERSON.contains(&part) => {
                read_part(fields, &mut change.person, part, of);
            }
            _ => fields.fail("update_mask", format!("can't be changed: {path:?}")),
        },
    }
}

fn read_part(fields: &mut Fields, change: &mut PersonChange, part: &str, of: &pb::Beneficiary) {
    let person = required_person(of.person.clone());
    let field = format!("beneficiary.person.{part}");
    match part {
        "display_name" => change.name = Some(fields.text(&field, &person.display_name, 60)),
        "phone" => change.phone = Some(fields.optional_phone(&field, &person.phone)),
        "address" => change.address = Some(fields.optional_text(&field, &person.address, 200)),
        "needs" => change.needs = Some(fields.optional_text(&field, &person.needs, 500)),
        "proxy_name" => {
            change.proxy_name = Some(fields.optional_text(&field, &person.proxy_name, 60));
        }
        _ => change.proxy_phone = Some(fields.optional_phone(&field, &person.proxy_phone)),
    }
}

pub(super) async fn end(
    wishes: &Wishes,
    request: Request<pb::EndBeneficiaryRequest>,
) -> Result<pb::Beneficiary, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let asked = (&request.name[..], &request.reason[..]);
    let id = &request.request_id;
    let (call, id) = reasoned(&access, asked, id, "EndBeneficiary", &request)?;
    Ok(encode(wishes.end_beneficiary(&call, id).await?))
}

pub(super) async fn reveal(
    wishes: &Wishes,
    request: Request<pb::RevealBeneficiaryRequest>,
) -> Result<pb::RevealBeneficiaryResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let asked = (&request.name[..], &request.reason[..]);
    let id = &request.request_id;
    let (call, id) = reasoned(&access, asked, id, "RevealBeneficiary", &request)?;
    let community = call.community;
    let whole = wishes.reveal_beneficiary(&call.of_its_caller(), id).await?;
    let notes = whole.notes.into_iter().map(|(visit, note)| pb::VisitNote {
        visit: super::visit::name(community, visit),
        note_damaged: note.is_none(),
        note: note.unwrap_or_default(),
    });
    Ok(pb::RevealBeneficiaryResponse {
        person: Some(encode_person(whole.person)),
        visit_notes: notes.collect(),
    })
}

pub(super) async fn reveal_address(
    wishes: &Wishes,
    request: Request<pb::RevealAddressRequest>,
) -> Result<pb::RevealAddressResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let is_dispatch = request.task.split('/').nth(2) == Some(DISPATCHES);
    let kind = if is_dispatch { DISPATCHES } else { PLEDGES };
    let (community, id) = resource(&mut fields, "task", &request.task, kind);
    let reason = fields.text("reason", &request.reason, 200);
    let request_id = fields.request_id(&request.request_id);
    let about = (community, &request.task[..]);
    let call = call(&access, about, request_id, "RevealAddress", &request);
    fields.finish()?;
    let task = if is_dispatch {
        own::dispatch(wishes, &access, community, id).await?;
        Task::Dispatch(id)
    } else {
        own::pledge(wishes, &access, community, id).await?;
        Task::Pledge(id)
    };
    let call = Call {
        reason: Some(reason),
        ..call.of_its_caller()
    };
    let person = wishes.reveal_address(&call, task).await?;
    Ok(pb::RevealAddressResponse {
        masked_name: person.masked().name,
        address: person.address,
    })
}

pub(super) async fn erase(
    wishes: &Wishes,
    request: Request<pb::EraseBeneficiaryRequest>,
) -> Result<pb::Beneficiary, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let asked = (&request.name[..], &request.reason[..]);
    let id = &request.request_id;
    let (call, id) = reasoned(&access, asked, id, "EraseBeneficiary", &request)?;
    Ok(encode(wishes.erase_beneficiary(&call, id).await?))
}

/// Reads a call about somebody that says why.
fn reasoned(
    access: &Access,
    (name, reason): (&str, &str),
    request_id: &str,
    method: &'static str,
    message: &impl prost::Message,
) -> Result<(Call, Uuid), Status> {
    let mut fields = fields(access);
    let (community, id) = resource(&mut fields, "name", name, BENEFICIARIES);
    let reason = fields.text("reason", reason, 200);
    let request_id = fields.request_id(request_id);
    fields.finish()?;
    let call = call(access, (community, name), request_id, method, message);
    let reason = Some(reason);
    Ok((Call { reason, ..call }, id))
}

/// A beneficiary without what says who it is.
fn without_person(of: &pb::Beneficiary) -> pb::Beneficiary {
    pb::Beneficiary {
        person: None,
        masked_name: String::new(),
        masked_phone: String::new(),
        household: String::new(),
        birth_year: 0,
        ..of.clone()
    }
}

/// What is not there is told by the name that is missing.
fn required_person(person: Option<pb::BeneficiaryPerson>) -> pb::BeneficiaryPerson {
    person.unwrap_or_default()
}

fn read_person(fields: &mut Fields, person: pb::BeneficiaryPerson) -> Person {
    let field = |name: &str| format!("beneficiary.person.{name}");
    Person {
        name: fields.text(&field("display_name"), &person.display_name, 60),
        phone: fields.optional_phone(&field("phone"), &person.phone),
        address: fields.optional_text(&field("address"), &person.address, 200),
        needs: fields.optional_text(&field("needs"), &person.needs, 500),
        proxy_name: fields.optional_text(&field("proxy_name"), &person.proxy_name, 60),
        proxy_phone: fields.optional_phone(&field("proxy_phone"), &person.proxy_phone),
    }
}

fn read_household(fields: &mut Fields, value: &str) -> Option<String> {
    fields.optional_number("beneficiary.household", value)
}

fn read_birth_year(fields: &mut Fields, value: i32, this_year: i32) -> Option<i16> {
    if value == 0 {
        return None;
    }
    let (field, latest) = ("beneficiary.birth_year", i64::from(this_year));
    fields.range(field, i64::from(value), 1900, latest);
    i16::try_from(value).ok()
}

/// Reads a grade that may be left unspecified.
pub(super) fn read_grade(fields: &mut Fields, value: i32) -> Option<Grade> {
    optional_enumeration(fields, "grade", value).and_then(decode_grade)
}

fn decode_grade(grade: pb::VisitGrade) -> Option<Grade> {
    match grade {
        pb::VisitGrade::Unspecified => None,
        pb::VisitGrade::Weekly => Some(Grade::Weekly),
        pb::VisitGrade::Quarterly => Some(Grade::Quarterly),
        pb::VisitGrade::HalfYearly => Some(Grade::HalfYearly),
    }
}

fn decode_state(state: pb::BeneficiaryState) -> Option<BeneficiaryState> {
    match state {
        pb::BeneficiaryState::Unspecified => None,
        pb::BeneficiaryState::Active => Some(BeneficiaryState::Active),
        pb::BeneficiaryState::Ended => Some(BeneficiaryState::Ended),
    }
}

fn encode_person(person: Person) -> pb::BeneficiaryPerson {
    pb::BeneficiaryPerson {
        display_name: person.name,
        phone: person.phone,
        address: person.address,
        needs: person.needs,
        proxy_name: person.proxy_name,
        proxy_phone: person.proxy_phone,
    }
}

pub(super) fn encode(shown: MaskedBeneficiary) -> pb::Beneficiary {
    let MaskedBeneficiary {
        beneficiary: of,
        masked,
        is_damaged,
    } = shown;
    let grade = match of.grade {
        Grade::Weekly => pb::VisitGrade::Weekly,
        Grade::Quarterly => pb::VisitGrade::Quarterly,
        Grade::HalfYearly => pb::VisitGrade::HalfYearly,
    };
    let state = match of.state {
        BeneficiaryState::Active => pb::BeneficiaryState::Active,
        BeneficiaryState::Ended => pb::BeneficiaryState::Ended,
    };
    pb::Beneficiary {
        name: name(of.community, of.id),
        programme: format!("communities/{}/programmes/{}", of.community.0, of.programme),
        birth_year: of.birth_year.map_or(0, i32::from),
        grade: grade.into(),
        person: None,
        masked_name: masked.name,
        masked_phone: masked.phone,
        person_damaged: is_damaged,
        state: state.into(),
        last_visit_time: of.last_visit_at.map(timestamp),
        due_date: of.due_date().map(date_message),
        etag: of.revision.to_string(),
        create_time: Some(timestamp(of.created_at)),
        end_time: of.ended_at.map(timestamp),
        erase_time: of.erased_at.map(timestamp),
        number: of.number,
        household: of.household.unwrap_or_default(),
    }
}

pub(super) fn name(community: Community, id: Uuid) -> String {
    format!("communities/{}/{BENEFICIARIES}/{id}", community.0)
}
