//! The contract `linli.activity.v1`: protobuf to domain and back, one file a resource. Every field of a request is read
//! here, and everything wrong with it is told at once.

mod adjustment;
mod audit;
mod error;
mod event;
mod grant;
mod member;
mod notice;
mod notice_detail;
mod oversight;
mod own;
mod payout;
mod policy;
mod programme;
mod public;
mod report;
mod report_error;
mod report_rules;
mod report_text;
mod report_view;
mod service_record;
mod sheet;
mod simulation;
mod team;

use prost::Message;
use proto::activity::v1::{
    self as pb,
    activity_event_service_server::ActivityEventServiceServer,
    activity_service_server::{ActivityService, ActivityServiceServer},
    notice_service_server::NoticeServiceServer,
    oversight_service_server::OversightServiceServer,
    payout_service_server::PayoutServiceServer,
    policy_service_server::PolicyServiceServer,
    report_service_server::ReportServiceServer,
};
use runtime::{Access, Fields, Place, Server};
use sha2::{Digest, Sha256};
use tonic::{Request, Response, Status, service::Routes};
use uuid::Uuid;

use crate::{
    Activity,
    domain::{Community, call::Call},
};
use error::DOMAIN;
pub(crate) use oversight::OversightRpc;
use report::ReportRpc;

const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

impl Activity {
    /// The gRPC server of the service.
    pub fn server(&self) -> Server {
        let service = ActivityServiceServer::new(Service(self.clone()))
            .max_decoding_message_size(MAX_MESSAGE_BYTES);
        let notices = NoticeServiceServer::new(notice::NoticeRpc(self.clone()));
        let events = ActivityEventServiceServer::new(event::EventRpc(self.clone()));
        let oversight = OversightServiceServer::new(OversightRpc(self.clone()));
        let policies = PolicyServiceServer::new(simulation::PolicyRpc(self.clone()));
        let payouts = PayoutServiceServer::new(Service(self.clone()))
            .max_decoding_message_size(MAX_MESSAGE_BYTES);
        let reports = ReportServiceServer::new(ReportRpc(self.clone()))
            .max_decoding_message_size(MAX_MESSAGE_BYTES);
        let routes = Routes::new(service)
            .add_service(notices)
            .add_service(events)
            .add_service(oversight)
            .add_service(policies)
            .add_service(payouts)
            .add_service(reports);
        Server::new("linli.activity.v1.ActivityService", routes, pb::DESCRIPTOR)
    }
}

pub(crate) struct Service(pub(crate) Activity);

/// An RPC by the file and the function that reads its request.
macro_rules! rpcs {
    ($($name:ident($request:ident) -> $answer:ident: $($reader:ident)::+;)+) => {
        #[tonic::async_trait]
        impl ActivityService for Service {
            $(
                async fn $name(&self, request: Request<pb::$request>) -> Result<Response<pb::$answer>, Status> {
                    $($reader)::+(&self.0, request).await.map(Response::new)
                }
            )+
        }
    };
}

rpcs! {
    create_programme(CreateProgrammeRequest) -> Programme: programme::create;
    get_programme(GetProgrammeRequest) -> Programme: programme::get;
    list_programmes(ListProgrammesRequest) -> ListProgrammesResponse: programme::list;
    get_programme_summary(GetProgrammeSummaryRequest) -> ProgrammeSummary: programme::get_summary;
    create_policy_revision(CreatePolicyRevisionRequest) -> PolicyRevision: policy::create;
    activate_policy_revision(ActivatePolicyRevisionRequest) -> PolicyRevision: policy::activate;
    discard_policy_revision(DiscardPolicyRevisionRequest) -> PolicyRevision: policy::discard;
    get_policy_revision(GetPolicyRevisionRequest) -> PolicyRevision: policy::get;
    list_policy_revisions(ListPolicyRevisionsRequest) -> ListPolicyRevisionsResponse: policy::list;
    create_team(CreateTeamRequest) -> Team: team::create;
    list_teams(ListTeamsRequest) -> ListTeamsResponse: team::list;
    create_member(CreateMemberRequest) -> Member: member::create;
    get_member(GetMemberRequest) -> Member: member::get;
    list_members(ListMembersRequest) -> ListMembersResponse: member::list;
    reveal_member(RevealMemberRequest) -> RevealMemberResponse: member::reveal;
    erase_member(EraseMemberRequest) -> Member: member::erase;
    list_hour_entries(ListHourEntriesRequest) -> ListHourEntriesResponse: member::list_hours;
    create_service_record(CreateServiceRecordRequest) -> ServiceRecord: service_record::create;
    verify_service_record(VerifyServiceRecordRequest) -> ServiceRecord: service_record::verify;
    reject_service_record(RejectServiceRecordRequest) -> ServiceRecord: service_record::reject;
    revoke_service_record(RevokeServiceRecordRequest) -> ServiceRecord: service_record::revoke;
    get_service_record(GetServiceRecordRequest) -> ServiceRecord: service_record::get;
    list_service_records(ListServiceRecordsRequest) -> ListServiceRecordsResponse: service_record::list;
    get_grant(GetGrantRequest) -> Grant: grant::get;
    list_grants(ListGrantsRequest) -> ListGrantsResponse: grant::list;
    explain_grant(ExplainGrantRequest) -> GrantExplanation: grant::explain;
    create_adjustment(CreateAdjustmentRequest) -> Adjustment: adjustment::create;
    approve_adjustment(ApproveAdjustmentRequest) -> Adjustment: adjustment::approve;
    decline_adjustment(DeclineAdjustmentRequest) -> Adjustment: adjustment::decline;
    get_adjustment(GetAdjustmentRequest) -> Adjustment: adjustment::get;
    list_adjustments(ListAdjustmentsRequest) -> ListAdjustmentsResponse: adjustment::list;
    list_audit_entries(ListAuditEntriesRequest) -> ListAuditEntriesResponse: audit::list;
}

/// What makes a mutating call the same call again: its id, its method and everything it says; and who makes it, about what.
fn call(
    access: &Access,
    (community, resource): (Community, &str),
    request_id: Uuid,
    method: &'static str,
    message: &impl Message,
) -> Call {
    Call {
        community,
        request_id,
        method,
        fingerprint: Sha256::digest(message.encode_to_vec()).into(),
        by: access.actor(),
        resource: resource.to_owned(),
        reason: None,
    }
}

/// Reads `communities/{community}`.
fn community(fields: &mut Fields, field: &str, value: &str) -> Community {
    let [community] = fields.name(field, value, ["communities"]);
    Community(community)
}

/// Reads `communities/{community}/{kind}/{id}`.
fn resource(
    fields: &mut Fields,
    field: &str,
    value: &str,
    kind: &'static str,
) -> (Community, Uuid) {
    let [community, id] = fields.name(field, value, ["communities", kind]);
    (Community(community), id)
}

/// Reads the name of another resource of the same community.
fn neighbour(
    fields: &mut Fields,
    field: &str,
    value: &str,
    place: (Community, &'static str),
) -> Uuid {
    let (community, kind) = place;
    let (of, id) = resource(fields, field, value, kind);
    let elsewhere = of != community && !of.0.is_nil() && !community.0.is_nil();
    fields.check(field, !elsewhere, "belongs to another community");
    id
}

/// Reads the name of another resource of the same community, if there is one.
fn optional_neighbour(
    fields: &mut Fields,
    field: &str,
    value: &str,
    place: (Community, &'static str),
) -> Option<Uuid> {
    (!value.is_empty()).then(|| neighbour(fields, field, value, place))
}

/// Reads an id that the caller may choose.
fn chosen_id(fields: &mut Fields, field: &str, value: &str) -> Option<Uuid> {
    let chosen = fields.optional_uuid(field, value);
    let all_zeros = value == Uuid::nil().to_string();
    fields.check(field, !all_zeros, "must not be all zeros");
    chosen
}

/// Reads an enum that may be left unspecified.
fn optional_enumeration<E: TryFrom<i32>>(
    fields: &mut Fields,
    field: &str,
    value: i32,
) -> Option<E> {
    if value == 0 {
        None
    } else {
        fields.enumeration(field, value)
    }
}

fn fields(access: &Access) -> Fields {
    Fields::new(DOMAIN, access)
}

/// The message field of a request that must be there.
fn required<M: Default>(fields: &mut Fields, field: &str, message: Option<M>) -> M {
    fields.check(field, message.is_some(), "required");
    message.unwrap_or_default()
}
