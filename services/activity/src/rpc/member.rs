//! Members and their hours books. A name or a phone number is read here; it is written whole only in the answer of RevealMember.

use chrono::Datelike;
use proto::activity::v1 as pb;
use runtime::{Access, Fields};
use tonic::{Request, Status};
use uuid::Uuid;

use super::{
    Place, call, chosen_id, community, fields, optional_neighbour, own, required, resource,
    service_record, team,
};
use crate::{
    Activity,
    domain::{
        Community,
        call::Call,
        member::{HourEntry, MaskedMember, MemberKind},
        person::Person,
    },
    member::NewMember,
};

pub(super) async fn create(
    activity: &Activity,
    request: Request<pb::CreateMemberRequest>,
) -> Result<pb::Member, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = community(&mut fields, "parent", &request.parent);
    let request_id = fields.request_id(&request.request_id);
    let about = (community, &request.parent[..]);
    // What is hashed can be found again by trying.
    let impersonal = without_person(&request);
    let call = call(&access, about, request_id, "CreateMember", &impersonal);
    let id = chosen_id(&mut fields, "member_id", &request.member_id);
    let member = required(&mut fields, "member", request.member);
    let number = fields.optional_number("member.number", &member.number);
    let kind = read_kind(&mut fields, member.kind);
    let team = optional_neighbour(
        &mut fields,
        "member.team",
        &member.team,
        (community, "teams"),
    );
    let birth_year = read_birth_year(&mut fields, member.birth_year, activity.clock.now().year());
    let person = Person {
        name: fields.text("member.display_name", &member.display_name, 60),
        phone: fields.optional_phone("member.phone", &member.phone),
    };
    fields.finish()?;
    let Some(kind) = kind else {
        return Err(runtime::internal());
    };
    let new = NewMember {
        id,
        number,
        kind,
        team,
        birth_year,
        person,
    };
    Ok(encode(activity.create_member(&call, new).await?))
}

pub(super) async fn get(
    activity: &Activity,
    request: Request<pb::GetMemberRequest>,
) -> Result<pb::Member, Status> {
    let access = Access::of(&request);
    let mut fields = fields(&access);
    let (community, id) = resource(&mut fields, "name", &request.get_ref().name, "members");
    fields.finish()?;
    own::member(activity, &access, community, id).await?;
    Ok(encode(activity.get_member(community, id).await?))
}

pub(super) async fn list(
    activity: &Activity,
    request: Request<pb::ListMembersRequest>,
) -> Result<pb::ListMembersResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = community(&mut fields, "parent", &request.parent);
    let number = fields.optional_text("number", &request.number, 32);
    let query = format!("ListMembers {} {number}", request.parent);
    let place = Place::read(&mut fields, query, (request.page_size, &request.page_token));
    fields.finish()?;
    let number = (!number.is_empty()).then_some(number.as_str());
    let after = place.after.unwrap_or(Uuid::nil());
    let page = activity
        .list_members(community, number, after, place.size)
        .await?;
    Ok(pb::ListMembersResponse {
        next_page_token: place.next_page_token(&page),
        members: page.items.into_iter().map(encode).collect(),
    })
}

pub(super) async fn reveal(
    activity: &Activity,
    request: Request<pb::RevealMemberRequest>,
) -> Result<pb::RevealMemberResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let (community, id) = resource(&mut fields, "name", &request.name, "members");
    let reason = fields.text("reason", &request.reason, 200);
    let request_id = fields.request_id(&request.request_id);
    let about = (community, &request.name[..]);
    let call = call(&access, about, request_id, "RevealMember", &request);
    fields.finish()?;
    let call = Call {
        reason: Some(reason),
        ..call.of_its_caller()
    };
    let person = activity.reveal_member(&call, id).await?;
    Ok(pb::RevealMemberResponse {
        display_name: person.name,
        phone: person.phone,
    })
}

pub(super) async fn erase(
    activity: &Activity,
    request: Request<pb::EraseMemberRequest>,
) -> Result<pb::Member, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let (community, id) = resource(&mut fields, "name", &request.name, "members");
    let reason = fields.text("reason", &request.reason, 200);
    let request_id = fields.request_id(&request.request_id);
    let about = (community, &request.name[..]);
    let call = call(&access, about, request_id, "EraseMember", &request);
    fields.finish()?;
    let call = Call {
        reason: Some(reason),
        ..call
    };
    Ok(encode(activity.erase_member(&call, id).await?))
}

pub(super) async fn list_hours(
    activity: &Activity,
    request: Request<pb::ListHourEntriesRequest>,
) -> Result<pb::ListHourEntriesResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let (community, member) = resource(&mut fields, "parent", &request.parent, "members");
    let query = format!("ListHourEntries {}", request.parent);
    let place = Place::read(&mut fields, query, (request.page_size, &request.page_token));
    fields.finish()?;
    own::member(activity, &access, community, member).await?;
    let page = activity
        .list_hour_entries(community, member, place.after.unwrap_or(0), place.size)
        .await?;
    Ok(pb::ListHourEntriesResponse {
        next_page_token: place.next_page_token(&page),
        hour_entries: page
            .items
            .into_iter()
            .map(|entry| encode_hours(community, &entry))
            .collect(),
    })
}

/// The request without what says who it is about.
fn without_person(request: &pb::CreateMemberRequest) -> pb::CreateMemberRequest {
    let member = request.member.as_ref().map(|member| pb::Member {
        display_name: String::new(),
        phone: String::new(),
        masked_name: String::new(),
        masked_phone: String::new(),
        birth_year: 0,
        team: String::new(),
        ..member.clone()
    });
    pb::CreateMemberRequest {
        member,
        ..request.clone()
    }
}

fn read_kind(fields: &mut Fields, value: i32) -> Option<MemberKind> {
    match fields.enumeration("member.kind", value)? {
        pb::MemberKind::Resident => Some(MemberKind::Resident),
        pb::MemberKind::Courier => Some(MemberKind::Courier),
        pb::MemberKind::Rider => Some(MemberKind::Rider),
        pb::MemberKind::Driver => Some(MemberKind::Driver),
        pb::MemberKind::Staff => Some(MemberKind::Staff),
        pb::MemberKind::Unspecified => None,
    }
}

fn read_birth_year(fields: &mut Fields, value: i32, this_year: i32) -> Option<i16> {
    if value == 0 {
        return None;
    }
    fields.range(
        "member.birth_year",
        i64::from(value),
        1900,
        i64::from(this_year),
    );
    i16::try_from(value).ok()
}

fn encode(shown: MaskedMember) -> pb::Member {
    let MaskedMember {
        member,
        masked,
        is_damaged,
    } = shown;
    let kind = match member.kind {
        MemberKind::Resident => pb::MemberKind::Resident,
        MemberKind::Courier => pb::MemberKind::Courier,
        MemberKind::Rider => pb::MemberKind::Rider,
        MemberKind::Driver => pb::MemberKind::Driver,
        MemberKind::Staff => pb::MemberKind::Staff,
    };
    pb::Member {
        name: name(member.community, member.id),
        number: member.number,
        kind: kind.into(),
        team: member
            .team
            .map(|id| team::name(member.community, id))
            .unwrap_or_default(),
        birth_year: member.birth_year.map_or(0, i32::from),
        display_name: String::new(),
        phone: String::new(),
        masked_name: masked.name,
        masked_phone: masked.phone,
        service_minutes: member.service_minutes,
        create_time: Some(runtime::timestamp(member.created_at)),
        erase_time: member.erased_at.map(runtime::timestamp),
        person_damaged: is_damaged,
    }
}

fn encode_hours(community: Community, entry: &HourEntry) -> pb::HourEntry {
    pb::HourEntry {
        service_record: service_record::name(community, entry.record),
        minutes: entry.minutes,
        balance_minutes: entry.balance_minutes,
        create_time: Some(runtime::timestamp(entry.created_at)),
    }
}

pub(super) fn name(community: Community, id: Uuid) -> String {
    format!("communities/{}/members/{id}", community.0)
}
