//! Service records.

use chrono::TimeDelta;
use proto::{access::v1 as access_pb, activity::v1 as pb};
use runtime::{Access, Fields};
use tonic::{Request, Status};
use uuid::Uuid;

use super::{
    Place, call, chosen_id, community, fields, grant, member, neighbour, optional_enumeration,
    optional_neighbour, own, programme, required, resource,
};
use crate::{
    Activity,
    domain::{
        Community,
        service_record::{Capacity, RecordFilter, RecordState, Role, ServiceRecord},
    },
    service_record::{Decide, NewServiceRecord},
};

pub(super) async fn create(
    activity: &Activity,
    request: Request<pb::CreateServiceRecordRequest>,
) -> Result<pb::ServiceRecord, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = community(&mut fields, "parent", &request.parent);
    let request_id = fields.request_id(&request.request_id);
    let about = (community, &request.parent[..]);
    let call = call(&access, about, request_id, "CreateServiceRecord", &request);
    let id = chosen_id(&mut fields, "service_record_id", &request.service_record_id);
    let record = required(&mut fields, "service_record", request.service_record);
    let at = |field: &str| format!("service_record.{field}");
    let programme = neighbour(
        &mut fields,
        &at("programme"),
        &record.programme,
        (community, "programmes"),
    );
    let member = neighbour(
        &mut fields,
        &at("member"),
        &record.member,
        (community, "members"),
    );
    let role = read_role(&mut fields, &at("role"), record.role);
    let category = fields.text(&at("category"), &record.category, 60);
    let name = fields.text(&at("activity"), &record.activity, 120);
    let started_at = fields.time(&at("start_time"), &record.start_time);
    let ended_at = fields.time(&at("end_time"), &record.end_time);
    if record.start_time.is_some() && record.end_time.is_some() {
        let length = ended_at - started_at;
        fields.check(
            &at("end_time"),
            length > TimeDelta::zero(),
            "must be after start_time",
        );
        fields.check(
            &at("end_time"),
            length <= TimeDelta::hours(24),
            "at most 24 hours after start_time",
        );
        fields.check(
            &at("end_time"),
            ended_at <= activity.clock.now(),
            "must not be in the future",
        );
    }
    let evidence = read_evidence(&mut fields, &at("evidence"), &record.evidence);
    fields.finish()?;
    let Some(role) = role else {
        return Err(runtime::internal());
    };
    own::member(activity, &access, community, member).await?;
    let new = NewServiceRecord {
        id,
        programme,
        member,
        is_member: access.is(community.0, "members", member),
        role,
        category,
        activity: name,
        started_at,
        ended_at,
        evidence,
    };
    Ok(encode(activity.create_service_record(&call, new).await?))
}

pub(super) async fn verify(
    activity: &Activity,
    request: Request<pb::VerifyServiceRecordRequest>,
) -> Result<pb::ServiceRecord, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let (community, record) = resource(&mut fields, "name", &request.name, "serviceRecords");
    let request_id = fields.request_id(&request.request_id);
    let about = (community, &request.name[..]);
    let call = call(&access, about, request_id, "VerifyServiceRecord", &request);
    fields.finish()?;
    let decide = Decide {
        record,
        by: access,
        reason: None,
    };
    Ok(encode(activity.verify_service_record(&call, decide).await?))
}

pub(super) async fn reject(
    activity: &Activity,
    request: Request<pb::RejectServiceRecordRequest>,
) -> Result<pb::ServiceRecord, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let (community, record) = resource(&mut fields, "name", &request.name, "serviceRecords");
    let request_id = fields.request_id(&request.request_id);
    let about = (community, &request.name[..]);
    let call = call(&access, about, request_id, "RejectServiceRecord", &request);
    let reason = Some(fields.text("reason", &request.reason, 200));
    fields.finish()?;
    let decide = Decide {
        record,
        by: access,
        reason,
    };
    Ok(encode(activity.reject_service_record(&call, decide).await?))
}

pub(super) async fn revoke(
    activity: &Activity,
    request: Request<pb::RevokeServiceRecordRequest>,
) -> Result<pb::ServiceRecord, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let (community, record) = resource(&mut fields, "name", &request.name, "serviceRecords");
    let request_id = fields.request_id(&request.request_id);
    let about = (community, &request.name[..]);
    let call = call(&access, about, request_id, "RevokeServiceRecord", &request);
    let reason = Some(fields.text("reason", &request.reason, 200));
    fields.finish()?;
    let decide = Decide {
        record,
        by: access,
        reason,
    };
    Ok(encode(activity.revoke_service_record(&call, decide).await?))
}

pub(super) async fn get(
    activity: &Activity,
    request: Request<pb::GetServiceRecordRequest>,
) -> Result<pb::ServiceRecord, Status> {
    let access = Access::of(&request);
    let mut fields = fields(&access);
    let (community, id) = resource(
        &mut fields,
        "name",
        &request.get_ref().name,
        "serviceRecords",
    );
    fields.finish()?;
    if access.is_limited() {
        let record = activity.find_service_record(community, id).await?;
        let member = record.map(|record| record.member);
        own::found(activity, &access, community, member).await?;
    }
    Ok(encode(activity.get_service_record(community, id).await?))
}

pub(super) async fn list(
    activity: &Activity,
    request: Request<pb::ListServiceRecordsRequest>,
) -> Result<pb::ListServiceRecordsResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = community(&mut fields, "parent", &request.parent);
    let member = optional_neighbour(
        &mut fields,
        "member",
        &request.member,
        (community, "members"),
    );
    let state = match optional_enumeration(&mut fields, "state", request.state) {
        Some(pb::ServiceRecordState::Pending) => Some(RecordState::Pending),
        Some(pb::ServiceRecordState::Verified) => Some(RecordState::Verified),
        Some(pb::ServiceRecordState::Rejected) => Some(RecordState::Rejected),
        Some(pb::ServiceRecordState::Revoked) => Some(RecordState::Revoked),
        Some(pb::ServiceRecordState::Unspecified) | None => None,
    };
    let query = format!(
        "ListServiceRecords {} {} {}",
        request.parent, request.member, request.state
    );
    let place = Place::read(&mut fields, query, (request.page_size, &request.page_token));
    fields.finish()?;
    own::list_of(activity, &access, community, member).await?;
    let filter = RecordFilter {
        community,
        member,
        state,
    };
    let after = place.after.unwrap_or(Uuid::nil());
    let page = activity
        .list_service_records(filter, after, place.size)
        .await?;
    Ok(pb::ListServiceRecordsResponse {
        next_page_token: place.next_page_token(&page),
        service_records: page.items.into_iter().map(encode).collect(),
    })
}

/// Reads a role in a service.
pub(super) fn read_role(fields: &mut Fields, field: &str, value: i32) -> Option<Role> {
    match fields.enumeration(field, value)? {
        pb::ServiceRole::Member => Some(Role::Member),
        pb::ServiceRole::Leader => Some(Role::Leader),
        pb::ServiceRole::Unspecified => None,
    }
}

/// Writes a role in a service.
pub(super) fn encode_role(role: Role) -> i32 {
    match role {
        Role::Member => pb::ServiceRole::Member.into(),
        Role::Leader => pb::ServiceRole::Leader.into(),
    }
}

pub(super) fn encode(record: ServiceRecord) -> pb::ServiceRecord {
    let community = record.community;
    let state = match record.state {
        RecordState::Pending => pb::ServiceRecordState::Pending,
        RecordState::Verified => pb::ServiceRecordState::Verified,
        RecordState::Rejected => pb::ServiceRecordState::Rejected,
        RecordState::Revoked => pb::ServiceRecordState::Revoked,
    };
    pb::ServiceRecord {
        name: name(community, record.id),
        programme: programme::name(community, record.programme),
        member: member::name(community, record.member),
        role: encode_role(record.role),
        category: record.category,
        activity: record.activity,
        start_time: Some(runtime::timestamp(record.started_at)),
        end_time: Some(runtime::timestamp(record.ended_at)),
        minutes: record.minutes,
        state: state.into(),
        decided_by: record.decided_by.unwrap_or_default(),
        decide_time: record.decided_at.map(runtime::timestamp),
        reason: record.reason.unwrap_or_default(),
        grant: record
            .grant
            .map(|id| grant::name(community, id))
            .unwrap_or_default(),
        create_time: Some(runtime::timestamp(record.created_at)),
        recorded_by: record.recorded_by.unwrap_or_default(),
        evidence: record.evidence,
        recorded_as: encode_capacity(record.recorded_as),
    }
}

/// Reads references to what shows that a service took place.
pub(super) fn read_evidence(fields: &mut Fields, field: &str, evidence: &[String]) -> Vec<String> {
    let (count, most) = (evidence.len(), ServiceRecord::MOST_EVIDENCE);
    if count > most {
        fields.fail(field, format!("at most {most} of them, not {count}"));
        return Vec::new();
    }
    let evidence = evidence.iter().enumerate();
    evidence
        .map(|(index, evidence)| fields.text(&format!("{field}[{index}]"), evidence, 200))
        .collect()
}

/// Writes in what capacity a service was recorded.
pub(super) fn encode_capacity(capacity: Option<Capacity>) -> i32 {
    let role = match capacity {
        Some(Capacity::Member) => access_pb::Role::Member,
        Some(Capacity::Leader) => access_pb::Role::Leader,
        Some(Capacity::Staff) => access_pb::Role::Staff,
        None => access_pb::Role::Unspecified,
    };
    role.into()
}

pub(super) fn name(community: Community, id: Uuid) -> String {
    format!("communities/{}/serviceRecords/{id}", community.0)
}
