//! The contract `linli.wish.v1`: protobuf to domain and back, one file a resource. Every field of a request is read
//! here, and everything wrong with it is told at once.

mod allotment;
mod audit;
mod beneficiary;
mod date;
mod dispatch;
mod drive;
mod error;
mod event;
mod own;
mod pledge;
mod round;
mod value;
mod visit;
mod wish;

use prost::Message;
use proto::wish::v1::{
    self as pb,
    beneficiary_service_server::{BeneficiaryService, BeneficiaryServiceServer},
    dispatch_service_server::{DispatchService, DispatchServiceServer},
    drive_service_server::{DriveService, DriveServiceServer},
    wish_event_service_server::WishEventServiceServer,
    wish_service_server::{WishService, WishServiceServer},
};
use runtime::{Access, Fields, Place, Role, Server};
use sha2::{Digest, Sha256};
use tonic::{Request, Response, Status, service::Routes};
use uuid::Uuid;

use crate::{
    Wishes,
    domain::{Community, call::Call},
};
use error::DOMAIN;

impl Wishes {
    /// The gRPC server of the service.
    pub fn server(&self) -> Server {
        let routes = Routes::new(WishServiceServer::new(Service(self.clone())))
            .add_service(BeneficiaryServiceServer::new(Service(self.clone())))
            .add_service(DispatchServiceServer::new(Service(self.clone())))
            .add_service(DriveServiceServer::new(Service(self.clone())))
            .add_service(WishEventServiceServer::new(event::EventRpc(self.clone())));
        Server::new("linli.wish.v1.WishService", routes, pb::DESCRIPTOR)
    }
}

struct Service(Wishes);

/// An RPC by the file and the function that reads its request.
macro_rules! rpcs {
    ($service:ident; $($name:ident($request:ident) -> $answer:ident: $($reader:ident)::+;)+) => {
        #[tonic::async_trait]
        impl $service for Service {
            $(
                async fn $name(&self, request: Request<pb::$request>) -> Result<Response<pb::$answer>, Status> {
                    $($reader)::+(&self.0, request).await.map(Response::new)
                }
            )+
        }
    };
}

rpcs! {
    WishService;
    create_wish(CreateWishRequest) -> Wish: wish::create;
    get_wish(GetWishRequest) -> Wish: wish::get;
    list_wishes(ListWishesRequest) -> ListWishesResponse: wish::list;
    review_wish(ReviewWishRequest) -> Wish: wish::review;
    reject_wish(RejectWishRequest) -> Wish: wish::reject;
    publish_wish(PublishWishRequest) -> Wish: wish::publish;
    withdraw_wish(WithdrawWishRequest) -> Wish: wish::withdraw;
    close_wish(CloseWishRequest) -> Wish: wish::close;
    create_round(CreateRoundRequest) -> Round: round::create;
    publish_round(PublishRoundRequest) -> Round: round::publish;
    get_round(GetRoundRequest) -> Round: round::get;
    list_rounds(ListRoundsRequest) -> ListRoundsResponse: round::list;
    set_value_ceilings(SetValueCeilingsRequest) -> ValueCeilings: value::set;
    get_value_ceilings(GetValueCeilingsRequest) -> ValueCeilings: value::get;
    create_pledge(CreatePledgeRequest) -> Pledge: pledge::create;
    withdraw_pledge(WithdrawPledgeRequest) -> Pledge: pledge::withdraw;
    revoke_pledge(RevokePledgeRequest) -> Pledge: pledge::revoke;
    deliver_pledge(DeliverPledgeRequest) -> Pledge: pledge::deliver;
    confirm_pledge(ConfirmPledgeRequest) -> Pledge: pledge::confirm;
    refuse_delivery(RefuseDeliveryRequest) -> Pledge: pledge::refuse_delivery;
    reverse_pledge(ReversePledgeRequest) -> Pledge: pledge::reverse;
    get_pledge(GetPledgeRequest) -> Pledge: pledge::get;
    list_pledges(ListPledgesRequest) -> ListPledgesResponse: pledge::list;
    list_audit_entries(ListAuditEntriesRequest) -> ListAuditEntriesResponse: audit::list;
}

rpcs! {
    BeneficiaryService;
    create_beneficiary(CreateBeneficiaryRequest) -> Beneficiary: beneficiary::create;
    get_beneficiary(GetBeneficiaryRequest) -> Beneficiary: beneficiary::get;
    list_beneficiaries(ListBeneficiariesRequest) -> ListBeneficiariesResponse: beneficiary::list;
    update_beneficiary(UpdateBeneficiaryRequest) -> Beneficiary: beneficiary::update;
    end_beneficiary(EndBeneficiaryRequest) -> Beneficiary: beneficiary::end;
    reveal_beneficiary(RevealBeneficiaryRequest) -> RevealBeneficiaryResponse: beneficiary::reveal;
    reveal_address(RevealAddressRequest) -> RevealAddressResponse: beneficiary::reveal_address;
    erase_beneficiary(EraseBeneficiaryRequest) -> Beneficiary: beneficiary::erase;
    record_visit(RecordVisitRequest) -> Visit: visit::record;
    list_visits(ListVisitsRequest) -> ListVisitsResponse: visit::list;
    list_due_visits(ListDueVisitsRequest) -> ListDueVisitsResponse: visit::list_due;
}

rpcs! {
    DispatchService;
    dispatch_wish(DispatchWishRequest) -> Dispatch: dispatch::create;
    get_dispatch(GetDispatchRequest) -> Dispatch: dispatch::get;
    list_dispatches(ListDispatchesRequest) -> ListDispatchesResponse: dispatch::list;
    accept_dispatch(AcceptDispatchRequest) -> Dispatch: dispatch::accept;
    decline_dispatch(DeclineDispatchRequest) -> Dispatch: dispatch::decline;
    withdraw_dispatch(WithdrawDispatchRequest) -> Dispatch: dispatch::withdraw;
}

rpcs! {
    DriveService;
    create_donation_drive(CreateDonationDriveRequest) -> DonationDrive: drive::create;
    get_donation_drive(GetDonationDriveRequest) -> DonationDrive: drive::get;
    list_donation_drives(ListDonationDrivesRequest) -> ListDonationDrivesResponse: drive::list;
    close_donation_drive(CloseDonationDriveRequest) -> DonationDrive: drive::close;
    allot_packs(AllotPacksRequest) -> Allotment: allotment::create;
    hand_over_allotment(HandOverAllotmentRequest) -> Allotment: allotment::hand_over;
    take_back_allotment(TakeBackAllotmentRequest) -> Allotment: allotment::take_back;
    get_allotment(GetAllotmentRequest) -> Allotment: allotment::get;
    list_allotments(ListAllotmentsRequest) -> ListAllotmentsResponse: allotment::list;
}

/// Whether the caller sees wishes that were not published.
fn sees_all(access: &Access) -> bool {
    [Role::Staff, Role::Auditor]
        .map(|role| access.roles().has(role))
        .contains(&true)
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

/// A change of one thing: `name` and `request_id` of its request.
struct Step<'a, M> {
    method: &'static str,
    kind: &'static str,
    name: &'a str,
    request_id: &'a str,
    /// Why, where the method asks for it.
    reason: Option<&'a str>,
    message: &'a M,
}

impl<M: Message> Step<'_, M> {
    /// Reads it: the call, and the id of what it is about. `fields` may have more to say.
    fn read(self, access: &Access, fields: &mut Fields) -> (Call, Uuid) {
        let (community, id) = resource(fields, "name", self.name, self.kind);
        let request_id = fields.request_id(self.request_id);
        let reason = self.reason.map(|reason| fields.text("reason", reason, 200));
        let about = (community, self.name);
        let mut call = call(access, about, request_id, self.method, self.message);
        call.reason = reason;
        (call, id)
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
