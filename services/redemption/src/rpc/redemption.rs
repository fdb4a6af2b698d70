//! Requests about redemptions.

use chrono::TimeDelta;
use proto::redemption::v1 as pb;
use runtime::{Access, Deadline, Fields, timestamp};
use tonic::Status;
use uuid::Uuid;

use super::{
    member_code::HANDLES,
    merchant::MERCHANTS,
    offer::OFFERS,
    own::{self, Payer},
    read::{self, Asked, MEMBERS, fields},
    status::DOMAIN,
    terminal::{STORES, TERMINALS, name},
};
use crate::{
    Error, Order, Redemption, Reversal, Till,
    domain::{self, MAX_QUANTITY, Name, RedemptionState, Refusal},
    store::ListFilter,
};

pub(super) const REDEMPTIONS: &str = "redemptions";
const DEFAULT_TTL: TimeDelta = TimeDelta::minutes(5);
const MIN_TTL: TimeDelta = TimeDelta::seconds(1);
const MAX_TTL: TimeDelta = TimeDelta::days(30);

pub(super) async fn hold(
    service: &Redemption,
    access: &Access,
    request: pb::HoldRedemptionRequest,
    deadline: Deadline,
) -> Result<pb::Redemption, Status> {
    let mut fields = fields(access);
    let community = read::parent(&mut fields, &request.parent);
    let request_id = fields.request_id(&request.request_id);
    let payer = match &request.payer {
        Some(pb::hold_redemption_request::Payer::Member(name)) => Some(Named::Member(name)),
        Some(pb::hold_redemption_request::Payer::MemberHandle(name)) => Some(Named::Handle(name)),
        None => None,
    };
    let payer = read_payer(&mut fields, community, payer);
    let offer = read::name_within(&mut fields, community, "offer", &request.offer, OFFERS);
    let quantity = fields.range("quantity", request.quantity, 1, MAX_QUANTITY);
    let ttl = match &request.ttl {
        None => DEFAULT_TTL,
        Some(ttl) => read_ttl(&mut fields, ttl),
    };
    fields.finish()?;
    let name = Name {
        community,
        id: offer,
    };
    let (member, known_by) = own::payer(service, access, payer, name).await?;
    let order = Order {
        member,
        offer,
        quantity,
        validate_only: request.validate_only,
        known_by,
        till: till(access, community),
    };
    count(service, &order)?;
    let about = (community, &request.parent[..]);
    let call = read::call(access, about, request_id, "HoldRedemption", &request);
    let held = service.hold_redemption(call, order, ttl, deadline).await;
    let held = held.map_err(|error| untold(access, name, member, error))?;
    Ok(message(access, held))
}

pub(super) async fn redeem(
    service: &Redemption,
    access: &Access,
    request: pb::RedeemRequest,
    deadline: Deadline,
) -> Result<pb::Redemption, Status> {
    let mut fields = fields(access);
    let community = read::parent(&mut fields, &request.parent);
    let request_id = fields.request_id(&request.request_id);
    let payer = match &request.payer {
        Some(pb::redeem_request::Payer::Member(name)) => Some(Named::Member(name)),
        Some(pb::redeem_request::Payer::MemberHandle(name)) => Some(Named::Handle(name)),
        None => None,
    };
    let payer = read_payer(&mut fields, community, payer);
    let offer = read::name_within(&mut fields, community, "offer", &request.offer, OFFERS);
    let quantity = fields.range("quantity", request.quantity, 1, MAX_QUANTITY);
    fields.finish()?;
    let name = Name {
        community,
        id: offer,
    };
    let (member, known_by) = own::payer(service, access, payer, name).await?;
    let order = Order {
        member,
        offer,
        quantity,
        validate_only: request.validate_only,
        known_by,
        till: till(access, community),
    };
    count(service, &order)?;
    let about = (community, &request.parent[..]);
    let call = read::call(access, about, request_id, "Redeem", &request);
    let redeemed = service.redeem(call, order, deadline).await;
    let redeemed = redeemed.map_err(|error| untold(access, name, member, error))?;
    Ok(message(access, redeemed))
}

pub(super) async fn capture(
    service: &Redemption,
    access: &Access,
    request: pb::CaptureRedemptionRequest,
    deadline: Deadline,
) -> Result<pb::Redemption, Status> {
    let mut fields = fields(access);
    let name = read::name(&mut fields, "name", &request.name, REDEMPTIONS);
    let request_id = fields.request_id(&request.request_id);
    let quantity = optional_quantity(&mut fields, request.quantity);
    fields.finish()?;
    own::redemption(service, access, name).await?;
    let about = (name.community, &request.name[..]);
    let call = read::call(access, about, request_id, "CaptureRedemption", &request);
    let captured = service.capture_redemption(call, name, quantity, deadline);
    Ok(message(access, captured.await?))
}

pub(super) async fn release(
    service: &Redemption,
    access: &Access,
    request: pb::ReleaseRedemptionRequest,
    deadline: Deadline,
) -> Result<pb::Redemption, Status> {
    let mut fields = fields(access);
    let name = read::name(&mut fields, "name", &request.name, REDEMPTIONS);
    let request_id = fields.request_id(&request.request_id);
    fields.finish()?;
    own::redemption(service, access, name).await?;
    let about = (name.community, &request.name[..]);
    let call = read::call(access, about, request_id, "ReleaseRedemption", &request);
    Ok(message(
        access,
        service.release_redemption(call, name, deadline).await?,
    ))
}

pub(super) async fn reverse(
    service: &Redemption,
    access: &Access,
    request: pb::ReverseRedemptionRequest,
    deadline: Deadline,
) -> Result<pb::Redemption, Status> {
    let mut fields = fields(access);
    let name = read::name(&mut fields, "name", &request.name, REDEMPTIONS);
    let request_id = fields.request_id(&request.request_id);
    let reversal = Reversal {
        quantity: optional_quantity(&mut fields, request.quantity),
        reason: fields.text("reason", &request.reason, 200),
        operator: fields.text("operator", &request.operator, 120),
    };
    fields.finish()?;
    own::redemption(service, access, name).await?;
    let about = (name.community, &request.name[..]);
    let call = read::call(access, about, request_id, "ReverseRedemption", &request);
    let reversed = service.reverse_redemption(call, name, reversal, deadline);
    Ok(message(access, reversed.await?))
}

pub(super) async fn cancel(
    service: &Redemption,
    access: &Access,
    request: pb::CancelRedemptionByRequestIdRequest,
    deadline: Deadline,
) -> Result<pb::CancelRedemptionByRequestIdResponse, Status> {
    let mut fields = fields(access);
    let community = read::parent(&mut fields, &request.parent);
    let id = fields.request_id(&request.request_id);
    fields.finish()?;
    let name = Name { community, id };
    own::redemption_to_be(service, access, name).await?;
    let undone = service
        .cancel_redemption_by_request_id(name, access.actor(), deadline)
        .await?;
    Ok(pb::CancelRedemptionByRequestIdResponse {
        redemption: undone.map(|undone| message(access, undone)),
    })
}

pub(super) async fn get(
    service: &Redemption,
    access: &Access,
    request: pb::GetRedemptionRequest,
) -> Result<pb::Redemption, Status> {
    let mut fields = fields(access);
    let name = read::name(&mut fields, "name", &request.name, REDEMPTIONS);
    fields.finish()?;
    own::redemption(service, access, name).await?;
    Ok(message(access, service.get_redemption(name).await?))
}

pub(super) async fn list(
    service: &Redemption,
    access: &Access,
    request: pb::ListRedemptionsRequest,
) -> Result<pb::ListRedemptionsResponse, Status> {
    let mut fields = fields(access);
    let community = read::parent(&mut fields, &request.parent);
    let (merchant, member) = (&request.merchant, &request.member);
    let query = format!(
        "ListRedemptions {community} {merchant} {member} {}",
        request.state
    );
    let filter = ListFilter {
        community,
        merchant: read::optional_name_within(
            &mut fields,
            community,
            "merchant",
            merchant,
            MERCHANTS,
        ),
        member: read::optional_name_within(&mut fields, community, "member", member, MEMBERS),
        state: read_state(&mut fields, request.state),
    };
    let mut asked = Asked::read(&mut fields, query, request.page_size, &request.page_token);
    fields.finish()?;
    own::list_of(access, community, (filter.member, filter.merchant))?;
    let rows = service.list_redemptions(filter, asked.page()).await?;
    let (rows, next_page_token) = asked.cut(rows, |row| (row.created_at, row.id));
    Ok(pb::ListRedemptionsResponse {
        redemptions: rows.into_iter().map(|row| message(access, row)).collect(),
        next_page_token,
    })
}

/// How a request names who takes.
enum Named<'a> {
    Member(&'a str),
    Handle(&'a str),
}

fn read_payer(fields: &mut Fields, community: Uuid, named: Option<Named<'_>>) -> Payer {
    let name = |id| Name { community, id };
    match named {
        Some(Named::Member(text)) => {
            let id = read::name_within(fields, community, "member", text, MEMBERS);
            Payer::Member(name(id))
        }
        Some(Named::Handle(text)) => {
            let id = read::name_within(fields, community, "member_handle", text, HANDLES);
            Payer::Handle(name(id))
        }
        None => {
            fields.fail("member", "required, or member_handle");
            Payer::Member(name(Uuid::nil()))
        }
    }
}

/// A shop is told that the points are too few, and not how many there are.
fn untold(access: &Access, of: Name, member: Uuid, error: Error) -> Error {
    match error {
        Error::Refused(Refusal::InsufficientPoints { needed, .. })
            if !access.owns(of.community, MEMBERS, member) =>
        {
            let available = None;
            Error::Refused(Refusal::InsufficientPoints { needed, available })
        }
        error => error,
    }
}

/// The till that calls.
pub(super) fn till(access: &Access, community: Uuid) -> Option<Till> {
    Some(Till {
        terminal: access.only(community, TERMINALS)?,
        store: access.only(community, STORES),
    })
}

/// Counts what is asked for a member.
fn count(service: &Redemption, order: &Order) -> Result<(), Status> {
    let counted = service.counters.member(order.member);
    counted.map_err(|wait| runtime::rate_limited(DOMAIN, "member", wait))
}

fn optional_quantity(fields: &mut Fields, quantity: Option<i64>) -> Option<i64> {
    quantity.map(|quantity| fields.range("quantity", quantity, 1, MAX_QUANTITY))
}

fn read_ttl(fields: &mut Fields, ttl: &prost_types::Duration) -> TimeDelta {
    let read = runtime::from_duration(ttl)
        .and_then(|ttl| TimeDelta::from_std(ttl).ok())
        .filter(|ttl| (MIN_TTL..=MAX_TTL).contains(ttl));
    fields.check("ttl", read.is_some(), "from 1 s to 30 days");
    let micros = read.unwrap_or(DEFAULT_TTL).num_microseconds();
    // The database keeps microseconds.
    TimeDelta::microseconds(micros.expect("at most 30 days"))
}

fn read_state(fields: &mut Fields, state: i32) -> Option<RedemptionState> {
    if state == 0 {
        return None;
    }
    match fields.enumeration("state", state)? {
        pb::RedemptionState::Unspecified => None,
        pb::RedemptionState::Pending => Some(RedemptionState::Pending),
        pb::RedemptionState::Held => Some(RedemptionState::Held),
        pb::RedemptionState::Captured => Some(RedemptionState::Captured),
        pb::RedemptionState::Reversed => Some(RedemptionState::Reversed),
        pb::RedemptionState::Released => Some(RedemptionState::Released),
        pb::RedemptionState::Expired => Some(RedemptionState::Expired),
    }
}

pub(super) fn message(access: &Access, redemption: domain::Redemption) -> pb::Redemption {
    let community = redemption.community;
    // A shop need not know which of its visitors are the same person.
    let is_told = access.owns(community, MEMBERS, redemption.member);
    let state = match redemption.state {
        RedemptionState::Pending => pb::RedemptionState::Pending,
        RedemptionState::Held => pb::RedemptionState::Held,
        RedemptionState::Captured => pb::RedemptionState::Captured,
        RedemptionState::Reversed => pb::RedemptionState::Reversed,
        RedemptionState::Released => pb::RedemptionState::Released,
        RedemptionState::Expired => pb::RedemptionState::Expired,
    };
    let entry = redemption
        .ledger_entry
        .map(|entry| format!("communities/{community}/entries/{entry}"));
    let named = |kind, id: Option<Uuid>| id.map(|id| name(community, kind, id)).unwrap_or_default();
    pb::Redemption {
        name: format!("communities/{community}/redemptions/{}", redemption.id),
        member: match is_told {
            true => format!("communities/{community}/members/{}", redemption.member),
            false => String::new(),
        },
        offer: format!("communities/{community}/offers/{}", redemption.offer),
        merchant: format!("communities/{community}/merchants/{}", redemption.merchant),
        offer_revision: redemption.offer_revision,
        unit_points: redemption.unit_points,
        quantity: redemption.quantity,
        captured_quantity: redemption.captured_quantity,
        reversed_quantity: redemption.reversed_quantity,
        points: redemption.points(redemption.quantity),
        captured_points: redemption.points(redemption.captured_quantity),
        reversed_points: redemption.points(redemption.reversed_quantity),
        state: state.into(),
        expire_time: redemption.expires_at.map(timestamp),
        reversible_until: redemption.reversible_until().map(timestamp),
        create_time: Some(timestamp(redemption.created_at)),
        capture_time: redemption.captured_at.map(timestamp),
        entry: entry.unwrap_or_default(),
        asset: redemption.asset,
        terminal: named(TERMINALS, redemption.terminal),
        store: named(STORES, redemption.store),
        redeem_time: redemption.offline.map(|offline| timestamp(offline.sold_at)),
        assisted_by: redemption.assisted_by.unwrap_or_default(),
    }
}
