//! Packs of a donation drive for somebody.

use proto::wish::v1 as pb;
use runtime::{Access, Deadline, Role, timestamp};
use tonic::{Request, Status};
use uuid::Uuid;

use super::{
    Place, beneficiary, call, chosen_id, community, drive, fields, neighbour, optional_enumeration,
    optional_neighbour, required, resource,
};
use crate::{
    Wishes,
    allotment::NewAllotment,
    domain::drive::{Allotment, AllotmentState, Receipt, Receiver},
};

const ALLOTMENTS: &str = "allotments";
const MAX_PACKS: i64 = 1_000;

pub(super) async fn create(
    wishes: &Wishes,
    request: Request<pb::AllotPacksRequest>,
) -> Result<pb::Allotment, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = community(&mut fields, "parent", &request.parent);
    let request_id = fields.request_id(&request.request_id);
    let about = (community, &request.parent[..]);
    let call = call(&access, about, request_id, "AllotPacks", &request);
    let id = chosen_id(&mut fields, "allotment_id", &request.allotment_id);
    let allotment = required(&mut fields, "allotment", request.allotment);
    let place = (community, drive::DRIVES);
    let drive = neighbour(&mut fields, "allotment.drive", &allotment.drive, place);
    let place = (community, beneficiary::BENEFICIARIES);
    let new = NewAllotment {
        id,
        drive,
        beneficiary: neighbour(
            &mut fields,
            "allotment.beneficiary",
            &allotment.beneficiary,
            place,
        ),
        packs: fields.range("allotment.pack_count", allotment.pack_count, 1, MAX_PACKS),
    };
    fields.finish()?;
    Ok(encode(wishes.allot_packs(&call, new).await?, &access))
}

pub(super) async fn hand_over(
    wishes: &Wishes,
    request: Request<pb::HandOverAllotmentRequest>,
) -> Result<pb::Allotment, Status> {
    let (access, deadline) = (Access::of(&request), Deadline::of(&request));
    let request = request.into_inner();
    let mut fields = fields(&access);
    let (community, id) = resource(&mut fields, "name", &request.name, ALLOTMENTS);
    let request_id = fields.request_id(&request.request_id);
    let about = (community, &request.name[..]);
    let call = call(&access, about, request_id, "HandOverAllotment", &request);
    let receiver = fields.enumeration("receiver", request.receiver);
    let reference = fields.text("receipt_reference", &request.receipt_reference, 200);
    let place = (community, "members");
    let by = neighbour(
        &mut fields,
        "handed_over_by",
        &request.handed_over_by,
        place,
    );
    fields.finish()?;
    let receiver = match receiver {
        Some(pb::PackReceiver::Beneficiary) => Receiver::Beneficiary,
        Some(pb::PackReceiver::Household) => Receiver::Household,
        Some(pb::PackReceiver::Proxy) => Receiver::Proxy,
        Some(pb::PackReceiver::Unspecified) | None => return Err(runtime::internal()),
    };
    let receipt = Receipt {
        receiver,
        reference,
        by,
    };
    let handed = wishes
        .hand_over_allotment(&call, id, receipt, deadline)
        .await?;
    Ok(encode(handed, &access))
}

pub(super) async fn take_back(
    wishes: &Wishes,
    request: Request<pb::TakeBackAllotmentRequest>,
) -> Result<pb::Allotment, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let (community, id) = resource(&mut fields, "name", &request.name, ALLOTMENTS);
    let request_id = fields.request_id(&request.request_id);
    let about = (community, &request.name[..]);
    let call = call(&access, about, request_id, "TakeBackAllotment", &request);
    let reason = fields.text("reason", &request.reason, 200);
    fields.finish()?;
    let taken = wishes.take_back_allotment(&call, id, reason).await?;
    Ok(encode(taken, &access))
}

pub(super) async fn get(
    wishes: &Wishes,
    request: Request<pb::GetAllotmentRequest>,
) -> Result<pb::Allotment, Status> {
    let access = Access::of(&request);
    let mut fields = fields(&access);
    let (community, id) = resource(&mut fields, "name", &request.get_ref().name, ALLOTMENTS);
    fields.finish()?;
    Ok(encode(wishes.get_allotment(community, id).await?, &access))
}

pub(super) async fn list(
    wishes: &Wishes,
    request: Request<pb::ListAllotmentsRequest>,
) -> Result<pb::ListAllotmentsResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = community(&mut fields, "parent", &request.parent);
    let place = (community, drive::DRIVES);
    let drive = optional_neighbour(&mut fields, "drive", &request.drive, place);
    let state = optional_enumeration(&mut fields, "state", request.state);
    let state = state.and_then(|state| match state {
        pb::AllotmentState::Unspecified => None,
        pb::AllotmentState::Allotted => Some(AllotmentState::Allotted),
        pb::AllotmentState::HandedOver => Some(AllotmentState::HandedOver),
        pb::AllotmentState::TakenBack => Some(AllotmentState::TakenBack),
    });
    let query = format!("ListAllotments {} {drive:?} {state:?}", request.parent);
    let place = Place::read(&mut fields, query, (request.page_size, &request.page_token));
    fields.finish()?;
    let after = place.after.unwrap_or(Uuid::nil());
    let of = (community, drive);
    let page = wishes.list_allotments(of, state, after, place.size).await?;
    let next_page_token = place.next_page_token(&page);
    let items = page.items.into_iter();
    Ok(pb::ListAllotmentsResponse {
        allotments: items.map(|item| encode(item, &access)).collect(),
        next_page_token,
    })
}

/// An allotment as its caller may see it.
fn encode(allotment: Allotment, access: &Access) -> pb::Allotment {
    let community = allotment.community;
    let sees_whose = access.roles().has(Role::Staff);
    let state = match allotment.state {
        AllotmentState::Allotted => pb::AllotmentState::Allotted,
        AllotmentState::HandedOver => pb::AllotmentState::HandedOver,
        AllotmentState::TakenBack => pb::AllotmentState::TakenBack,
    };
    let receipt = allotment.receipt;
    let receiver = receipt.as_ref().map(|receipt| match receipt.receiver {
        Receiver::Beneficiary => pb::PackReceiver::Beneficiary,
        Receiver::Household => pb::PackReceiver::Household,
        Receiver::Proxy => pb::PackReceiver::Proxy,
    });
    let member = |id: Uuid| format!("communities/{}/members/{id}", community.0);
    let by = receipt.as_ref().map(|receipt| member(receipt.by));
    pb::Allotment {
        name: format!("communities/{}/{ALLOTMENTS}/{}", community.0, allotment.id),
        drive: drive::name(community, allotment.drive),
        beneficiary: match sees_whose {
            true => beneficiary::name(community, allotment.beneficiary),
            false => String::new(),
        },
        household: allotment
            .household
            .filter(|_| sees_whose)
            .unwrap_or_default(),
        pack_count: allotment.packs,
        state: state.into(),
        receiver: receiver.unwrap_or_default().into(),
        handed_over_by: by.unwrap_or_default(),
        receipt_reference: receipt.map(|receipt| receipt.reference).unwrap_or_default(),
        reason: allotment.reason,
        create_time: Some(timestamp(allotment.created_at)),
        end_time: allotment.ended_at.map(timestamp),
    }
}
