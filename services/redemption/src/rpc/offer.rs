//! Requests about offers.

use proto::redemption::v1 as pb;
use runtime::{Access, Deadline, Fields, timestamp};
use tonic::Status;

use super::{
    merchant::MERCHANTS,
    own,
    read::{self, Asked, checked, fields},
};
use crate::{
    NewOffer, Redemption,
    domain::{Audience, Name, Offer, OfferState},
    store::Call,
};

pub(super) const OFFERS: &str = "offers";
/// The most of points, stock and limits.
const MOST: i64 = 1_000_000_000;
const DEFAULT_REVERSAL_DAYS: i32 = 7;

pub(super) async fn create(
    service: &Redemption,
    access: &Access,
    request: pb::CreateOfferRequest,
    deadline: Deadline,
) -> Result<pb::Offer, Status> {
    let mut fields = fields(access);
    let community = read::parent(&mut fields, &request.parent);
    let request_id = fields.request_id(&request.request_id);
    let id = fields.optional_uuid("offer_id", &request.offer_id);
    let about = (community, &request.parent[..]);
    let call = read::call(access, about, request_id, "CreateOffer", &request);
    let offer = read::required(&mut fields, "offer", request.offer);
    let new = NewOffer {
        id,
        ..new_offer(&mut fields, &call, offer)
    };
    fields.finish()?;
    let merchant = Name {
        community: call.community,
        id: new.merchant,
    };
    own::merchant(access, merchant)?;
    Ok(message(service.create_offer(call, new, deadline).await?))
}

fn new_offer(fields: &mut Fields, call: &Call, offer: pb::Offer) -> NewOffer {
    let community = call.community;
    let audience = match fields.enumeration("offer.audience", offer.audience) {
        Some(pb::Audience::Gig) => Audience::Gig,
        Some(pb::Audience::Senior) => Audience::Senior,
        // Without a value there is a violation.
        Some(pb::Audience::All | pb::Audience::Unspecified) | None => Audience::All,
    };
    let span = read::span(fields, "offer.", &offer.start_date, &offer.end_date);
    let reversal_days = offer.reversal_days.unwrap_or(DEFAULT_REVERSAL_DAYS);
    fields.range("offer.reversal_days", i64::from(reversal_days), 0, 3650);
    let (merchant, programme) = ("offer.merchant", "offer.programme");
    NewOffer {
        id: None,
        merchant: read::name_within(fields, community, merchant, &offer.merchant, MERCHANTS),
        programme: read::name_within(fields, community, programme, &offer.programme, "programmes"),
        title: fields.text("offer.title", &offer.title, 120),
        points: fields.range("offer.points", offer.points, 1, MOST),
        stock: fields.range("offer.stock", offer.stock, 0, MOST),
        per_member_limit: offer
            .per_member_limit
            .map(|limit| fields.range("offer.per_member_limit", limit, 1, MOST)),
        audience,
        start: span.start,
        end: span.end,
        reversal_days,
    }
}

pub(super) async fn get(
    service: &Redemption,
    access: &Access,
    request: pb::GetOfferRequest,
) -> Result<pb::Offer, Status> {
    let mut fields = fields(access);
    let name = read::name(&mut fields, "name", &request.name, OFFERS);
    fields.finish()?;
    Ok(message(service.get_offer(name).await?))
}

pub(super) async fn list(
    service: &Redemption,
    access: &Access,
    request: pb::ListOffersRequest,
) -> Result<pb::ListOffersResponse, Status> {
    let mut fields = fields(access);
    let community = read::parent(&mut fields, &request.parent);
    let merchant = &request.merchant;
    let query = format!("ListOffers {community} {merchant}");
    let merchant =
        read::optional_name_within(&mut fields, community, "merchant", merchant, MERCHANTS);
    let mut asked = Asked::read(&mut fields, query, request.page_size, &request.page_token);
    fields.finish()?;
    let rows = service
        .list_offers(community, merchant, asked.page())
        .await?;
    let (rows, next_page_token) = asked.cut(rows, |row| row.id);
    Ok(pb::ListOffersResponse {
        offers: rows.into_iter().map(message).collect(),
        next_page_token,
    })
}

pub(super) async fn submit(
    service: &Redemption,
    access: &Access,
    request: pb::SubmitOfferRequest,
) -> Result<pb::Offer, Status> {
    let (call, name) = step(
        access,
        "SubmitOffer",
        &request.name,
        &request.request_id,
        &request,
    )?;
    own::offer(service, access, name).await?;
    Ok(message(service.submit_offer(call, name).await?))
}

pub(super) async fn send_back(
    service: &Redemption,
    access: &Access,
    request: pb::ReturnOfferRequest,
) -> Result<pb::Offer, Status> {
    let (call, name) = step(
        access,
        "ReturnOffer",
        &request.name,
        &request.request_id,
        &request,
    )?;
    Ok(message(service.return_offer(call, name).await?))
}

pub(super) async fn activate(
    service: &Redemption,
    access: &Access,
    request: pb::ActivateOfferRequest,
) -> Result<pb::Offer, Status> {
    let (call, name) = step(
        access,
        "ActivateOffer",
        &request.name,
        &request.request_id,
        &request,
    )?;
    Ok(message(service.activate_offer(call, name).await?))
}

pub(super) async fn pause(
    service: &Redemption,
    access: &Access,
    request: pb::PauseOfferRequest,
) -> Result<pb::Offer, Status> {
    let (call, name) = step(
        access,
        "PauseOffer",
        &request.name,
        &request.request_id,
        &request,
    )?;
    own::offer(service, access, name).await?;
    Ok(message(service.pause_offer(call, name).await?))
}

pub(super) async fn resume(
    service: &Redemption,
    access: &Access,
    request: pb::ResumeOfferRequest,
) -> Result<pb::Offer, Status> {
    let (call, name) = step(
        access,
        "ResumeOffer",
        &request.name,
        &request.request_id,
        &request,
    )?;
    own::offer(service, access, name).await?;
    Ok(message(service.resume_offer(call, name).await?))
}

pub(super) async fn end(
    service: &Redemption,
    access: &Access,
    request: pb::EndOfferRequest,
) -> Result<pb::Offer, Status> {
    let (call, name) = step(
        access,
        "EndOffer",
        &request.name,
        &request.request_id,
        &request,
    )?;
    own::offer(service, access, name).await?;
    Ok(message(service.end_offer(call, name).await?))
}

pub(super) async fn revise(
    service: &Redemption,
    access: &Access,
    request: pb::ReviseOfferRequest,
) -> Result<pb::Offer, Status> {
    let mut fields = fields(access);
    let name = read::name(&mut fields, "name", &request.name, OFFERS);
    let request_id = fields.request_id(&request.request_id);
    let points = fields.range("points", request.points, 1, MOST);
    fields.finish()?;
    own::offer(service, access, name).await?;
    let about = (name.community, &request.name[..]);
    let call = read::call(access, about, request_id, "ReviseOffer", &request);
    Ok(message(service.revise_offer(call, name, points).await?))
}

pub(super) async fn adjust_stock(
    service: &Redemption,
    access: &Access,
    request: pb::AdjustOfferStockRequest,
) -> Result<pb::Offer, Status> {
    let mut fields = fields(access);
    let name = read::name(&mut fields, "name", &request.name, OFFERS);
    let request_id = fields.request_id(&request.request_id);
    let delta = fields.range("delta", request.delta, -MOST, MOST);
    fields.check("delta", delta != 0, "must not be 0");
    fields.finish()?;
    own::offer(service, access, name).await?;
    let about = (name.community, &request.name[..]);
    let call = read::call(access, about, request_id, "AdjustOfferStock", &request);
    Ok(message(
        service.adjust_offer_stock(call, name, delta).await?,
    ))
}

/// Reads a request that has a name and an id and nothing else.
fn step(
    access: &Access,
    method: &'static str,
    text: &str,
    request_id: &str,
    message: &impl prost::Message,
) -> Result<(Call, Name), Status> {
    let mut fields = fields(access);
    let name = read::name(&mut fields, "name", text, OFFERS);
    let request_id = fields.request_id(request_id);
    let about = (name.community, text);
    let call = read::call(access, about, request_id, method, message);
    checked(fields, (call, name))
}

fn message(offer: Offer) -> pb::Offer {
    let community = offer.community;
    let audience = match offer.audience {
        Audience::All => pb::Audience::All,
        Audience::Gig => pb::Audience::Gig,
        Audience::Senior => pb::Audience::Senior,
    };
    let state = match offer.state {
        OfferState::Draft => pb::OfferState::Draft,
        OfferState::InReview => pb::OfferState::InReview,
        OfferState::Active => pb::OfferState::Active,
        OfferState::Paused => pb::OfferState::Paused,
        OfferState::Ended => pb::OfferState::Ended,
    };
    pb::Offer {
        name: format!("communities/{community}/offers/{}", offer.id),
        merchant: format!("communities/{community}/merchants/{}", offer.merchant),
        programme: format!("communities/{community}/programmes/{}", offer.programme),
        title: offer.title,
        points: offer.points,
        revision: offer.revision,
        stock: offer.stock,
        stock_left: offer.stock_left,
        per_member_limit: offer.per_member_limit,
        audience: audience.into(),
        start_date: Some(read::date_message(offer.start)),
        end_date: Some(read::date_message(offer.end)),
        reversal_days: Some(offer.reversal_days),
        state: state.into(),
        asset: offer.asset,
        time_zone: offer.time_zone.into(),
        create_time: Some(timestamp(offer.created_at)),
    }
}
