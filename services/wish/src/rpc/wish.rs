//! Wishes.

use chrono::TimeDelta;
use proto::wish::v1 as pb;
use runtime::{Access, Deadline, Fields, Role, timestamp};
use tonic::{Request, Status};
use uuid::Uuid;

use super::{
    Place, Step, call, chosen_id, community, fields, neighbour, optional_enumeration,
    optional_neighbour, own, required, resource, sees_all,
};
use crate::{
    Wishes,
    domain::{
        Community,
        wish::{Priority, Scope, Unit, Wish, WishState},
    },
    store::wish::WishFilter,
    wish::{NewUnit, NewWish},
};

pub(super) const WISHES: &str = "wishes";
pub(super) const PROGRAMMES: &str = "programmes";
const MERCHANTS: &str = "merchants";
const MAX_TARGET: i64 = 1_000_000_000;
/// Of estimated values and their ceilings, in fen of CNY.
const MAX_VALUE: i64 = 1_000_000_000;
/// How long deliveries can be confirmed after a wish's close when nothing else is said, and at most.
const USUAL_CONFIRMING: TimeDelta = TimeDelta::days(30);
const MOST_CONFIRMING: TimeDelta = TimeDelta::days(366);

pub(super) async fn create(
    wishes: &Wishes,
    request: Request<pb::CreateWishRequest>,
) -> Result<pb::Wish, Status> {
    let (access, deadline) = (Access::of(&request), Deadline::of(&request));
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = community(&mut fields, "parent", &request.parent);
    let request_id = fields.request_id(&request.request_id);
    let about = (community, &request.parent[..]);
    let call = call(&access, about, request_id, "CreateWish", &request);
    let id = chosen_id(&mut fields, "wish_id", &request.wish_id);
    let wish = required(&mut fields, "wish", request.wish);
    let new = read(&mut fields, community, id, &wish);
    fields.finish()?;
    let wish = wishes.create_wish(&call, new, deadline).await?;
    Ok(encode(wish, &access))
}

fn read(fields: &mut Fields, community: Community, id: Option<Uuid>, wish: &pb::Wish) -> NewWish {
    let place = (community, PROGRAMMES);
    let programme = neighbour(fields, "wish.programme", &wish.programme, place);
    let place = (community, "beneficiaries");
    let beneficiary = neighbour(fields, "wish.requester", &wish.requester, place);
    let place = (community, super::visit::VISITS);
    let visit = optional_neighbour(fields, "wish.visit", &wish.visit, place);
    let proxy = optional_neighbour(fields, "wish.proxy", &wish.proxy, (community, "members"));
    let closes_at = fields.time("wish.close_time", &wish.close_time);
    let confirm_time = fields.optional_time("wish.confirm_time", &wish.confirm_time);
    let confirms_until = confirm_time.unwrap_or(closes_at + USUAL_CONFIRMING);
    let in_order = (closes_at..=closes_at + MOST_CONFIRMING).contains(&confirms_until);
    let why = "must be from close_time to 366 days after it";
    fields.check("wish.confirm_time", in_order, why);
    let unit = fields.enumeration("wish.unit", wish.unit);
    let scope = fields.enumeration("wish.scope", wish.scope);
    let priority = optional_enumeration(fields, "wish.priority", wish.priority);
    NewWish {
        id,
        programme,
        beneficiary,
        proxy,
        visit,
        category: fields.text("wish.category", &wish.category, 60),
        scope: match scope {
            Some(pb::WishScope::Common) => Scope::Common,
            Some(pb::WishScope::Individual | pb::WishScope::Unspecified) | None => {
                Scope::Individual
            }
        },
        priority: match priority {
            Some(pb::WishPriority::High) => Priority::High,
            Some(pb::WishPriority::Low) => Priority::Low,
            Some(pb::WishPriority::Normal | pb::WishPriority::Unspecified) | None => {
                Priority::Normal
            }
        },
        title: fields.text("wish.title", &wish.title, 120),
        description: fields.optional_text("wish.description", &wish.description, 1000),
        unit: match unit {
            Some(pb::WishUnit::Points) => NewUnit::Points,
            Some(pb::WishUnit::Hours) => NewUnit::Hours,
            Some(pb::WishUnit::Each | pb::WishUnit::Unspecified) | None => NewUnit::Each,
        },
        target: fields.range("wish.target", wish.target, 1, MAX_TARGET),
        closes_at,
        confirms_until,
        supplier: optional_neighbour(
            fields,
            "wish.supplier",
            &wish.supplier,
            (community, MERCHANTS),
        ),
        estimated_value: read_value(fields, "wish.estimated_value", wish.estimated_value),
    }
}

/// Reads an amount in fen of CNY that may be missing.
pub(super) fn read_value(fields: &mut Fields, field: &str, value: Option<i64>) -> Option<i64> {
    value.map(|value| fields.range(field, value, 1, MAX_VALUE))
}

pub(super) async fn get(
    wishes: &Wishes,
    request: Request<pb::GetWishRequest>,
) -> Result<pb::Wish, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let (community, id) = resource(&mut fields, "name", &request.name, WISHES);
    fields.finish()?;
    let wish = wishes.get_wish(community, id, sees_all(&access)).await?;
    Ok(encode(wish, &access))
}

pub(super) async fn review(
    wishes: &Wishes,
    request: Request<pb::ReviewWishRequest>,
) -> Result<pb::Wish, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let step = Step {
        method: "ReviewWish",
        kind: WISHES,
        name: &request.name,
        request_id: &request.request_id,
        reason: None,
        message: &request,
    };
    let (call, id) = step.read(&access, &mut fields);
    let value = read_value(&mut fields, "estimated_value", request.estimated_value);
    fields.finish()?;
    Ok(encode(wishes.review_wish(&call, id, value).await?, &access))
}

pub(super) async fn reject(
    wishes: &Wishes,
    request: Request<pb::RejectWishRequest>,
) -> Result<pb::Wish, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let step = Step {
        method: "RejectWish",
        kind: WISHES,
        name: &request.name,
        request_id: &request.request_id,
        reason: Some(&request.reason),
        message: &request,
    };
    let (call, id) = step.read(&access, &mut fields);
    fields.finish()?;
    Ok(encode(wishes.reject_wish(&call, id).await?, &access))
}

pub(super) async fn publish(
    wishes: &Wishes,
    request: Request<pb::PublishWishRequest>,
) -> Result<pb::Wish, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let step = Step {
        method: "PublishWish",
        kind: WISHES,
        name: &request.name,
        request_id: &request.request_id,
        reason: None,
        message: &request,
    };
    let (call, id) = step.read(&access, &mut fields);
    fields.finish()?;
    Ok(encode(wishes.publish_wish(&call, id).await?, &access))
}

pub(super) async fn withdraw(
    wishes: &Wishes,
    request: Request<pb::WithdrawWishRequest>,
) -> Result<pb::Wish, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let step = Step {
        method: "WithdrawWish",
        kind: WISHES,
        name: &request.name,
        request_id: &request.request_id,
        reason: Some(&request.reason),
        message: &request,
    };
    let (call, id) = step.read(&access, &mut fields);
    fields.finish()?;
    let wish = wishes.withdraw_wish(&call, id, request.reason).await?;
    Ok(encode(wish, &access))
}

pub(super) async fn close(
    wishes: &Wishes,
    request: Request<pb::CloseWishRequest>,
) -> Result<pb::Wish, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let step = Step {
        method: "CloseWish",
        kind: WISHES,
        name: &request.name,
        request_id: &request.request_id,
        reason: None,
        message: &request,
    };
    let (call, id) = step.read(&access, &mut fields);
    let rating = fields.range("rating", request.rating.into(), 1, 5);
    let rating = i16::try_from(rating).unwrap_or_default();
    let feedback = fields.optional_text("feedback", &request.feedback, 1000);
    fields.finish()?;
    own::wish_of_proxy(wishes, &access, call.community, id).await?;
    let wish = wishes.close_wish(&call, id, (rating, feedback)).await?;
    Ok(encode(wish, &access))
}

pub(super) async fn list(
    wishes: &Wishes,
    request: Request<pb::ListWishesRequest>,
) -> Result<pb::ListWishesResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = community(&mut fields, "parent", &request.parent);
    let place = (community, PROGRAMMES);
    let programme = optional_neighbour(&mut fields, "programme", &request.programme, place);
    let state = optional_enumeration::<pb::WishState>(&mut fields, "state", request.state);
    let (state, covered) = state.map_or((None, None), decode_state);
    let category = fields.optional_text("category", &request.category, 60);
    let published = !sees_all(&access);
    let asked = (programme, state, covered, &category, published);
    let query = format!("ListWishes {} {asked:?}", request.parent);
    let place = Place::read(&mut fields, query, (request.page_size, &request.page_token));
    fields.finish()?;
    let filter = WishFilter {
        community,
        programme,
        state,
        covered,
        category,
        published,
        now: wishes.now(),
    };
    let after = place.after.unwrap_or(Uuid::nil());
    let page = wishes.list_wishes(filter, after, place.size).await?;
    let next_page_token = place.next_page_token(&page);
    let encode = |wish| encode(wish, &access);
    Ok(pb::ListWishesResponse {
        wishes: page.items.into_iter().map(encode).collect(),
        next_page_token,
    })
}

/// A wish as its caller may see it.
pub(super) fn encode(wish: Wish, access: &Access) -> pb::Wish {
    let community = wish.community.0;
    let name = |kind: &str, id: Uuid| format!("communities/{community}/{kind}/{id}");
    let sees_whose = access.roles().has(Role::Staff);
    let whose = |kind: &str, id: Option<Uuid>| {
        let id = id.filter(|_| sees_whose);
        id.map(|id| name(kind, id)).unwrap_or_default()
    };
    pb::Wish {
        name: name(WISHES, wish.id),
        programme: name(PROGRAMMES, wish.programme),
        requester: whose("beneficiaries", Some(wish.beneficiary)),
        proxy: whose("members", wish.proxy),
        visit: whose(super::visit::VISITS, wish.visit),
        state: encode_state(&wish).into(),
        category: wish.category,
        scope: match wish.scope {
            Scope::Individual => pb::WishScope::Individual,
            Scope::Common => pb::WishScope::Common,
        }
        .into(),
        priority: match wish.priority {
            Priority::High => pb::WishPriority::High,
            Priority::Normal => pb::WishPriority::Normal,
            Priority::Low => pb::WishPriority::Low,
        }
        .into(),
        title: wish.title,
        description: wish.description,
        unit: match wish.unit {
            Unit::Each => pb::WishUnit::Each,
            Unit::Hours => pb::WishUnit::Hours,
            Unit::Points { .. } => pb::WishUnit::Points,
        }
        .into(),
        target: wish.target,
        pledged_quantity: wish.pledged,
        delivered_quantity: wish.delivered,
        confirmed_quantity: wish.confirmed,
        reversed_quantity: wish.reversed,
        supplier: wish
            .supplier
            .map(|id| name(MERCHANTS, id))
            .unwrap_or_default(),
        estimated_value: wish.estimated_value,
        create_time: Some(timestamp(wish.created_at)),
        publish_time: wish.published_at.map(timestamp),
        close_time: Some(timestamp(wish.closes_at)),
        confirm_time: Some(timestamp(wish.confirms_until)),
        end_time: wish.ended_at.map(timestamp),
        round: wish.round.map(|id| name("rounds", id)).unwrap_or_default(),
        rating: wish.rating.map(i32::from).unwrap_or_default(),
        feedback: match sees_whose {
            true => wish.feedback,
            false => String::new(),
        },
    }
}

fn encode_state(wish: &Wish) -> pb::WishState {
    match wish.state {
        WishState::Submitted => pb::WishState::Submitted,
        WishState::Reviewed => pb::WishState::Reviewed,
        WishState::Published if wish.is_covered() => pb::WishState::Claimed,
        WishState::Published => pb::WishState::Published,
        WishState::Fulfilled => pb::WishState::Fulfilled,
        WishState::Closed => pb::WishState::Closed,
        WishState::Rejected => pb::WishState::Rejected,
        WishState::Withdrawn => pb::WishState::Withdrawn,
        WishState::Lapsed => pb::WishState::Expired,
    }
}

/// The state, and whether the wish is covered, where that makes a difference.
fn decode_state(state: pb::WishState) -> (Option<WishState>, Option<bool>) {
    match state {
        pb::WishState::Unspecified => (None, None),
        pb::WishState::Submitted => (Some(WishState::Submitted), None),
        pb::WishState::Reviewed => (Some(WishState::Reviewed), None),
        pb::WishState::Published => (Some(WishState::Published), Some(false)),
        pb::WishState::Claimed => (Some(WishState::Published), Some(true)),
        pb::WishState::Fulfilled => (Some(WishState::Fulfilled), None),
        pb::WishState::Closed => (Some(WishState::Closed), None),
        pb::WishState::Rejected => (Some(WishState::Rejected), None),
        pb::WishState::Withdrawn => (Some(WishState::Withdrawn), None),
        pb::WishState::Expired => (Some(WishState::Lapsed), None),
    }
}
