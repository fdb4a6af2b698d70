//! Dispatches.

use proto::wish::v1 as pb;
use runtime::{Access, Deadline, Fields, timestamp};
use tonic::{Request, Status};
use uuid::Uuid;

use super::{
    Place, call, chosen_id, community, fields, neighbour, optional_enumeration, optional_neighbour,
    own, pledge::MEMBERS, required, resource, wish::WISHES,
};
use crate::{
    Wishes,
    dispatch::NewDispatch,
    domain::{
        Community,
        call::Call,
        dispatch::{Assignee, Dispatch, DispatchState},
    },
    store::dispatch::DispatchFilter,
};

pub(super) const DISPATCHES: &str = "dispatches";
pub(super) const TEAMS: &str = "teams";
/// As much as a wish can want.
const MAX_QUANTITY: i64 = 1_000_000_000;

pub(super) async fn create(
    wishes: &Wishes,
    request: Request<pb::DispatchWishRequest>,
) -> Result<pb::Dispatch, Status> {
    let (access, deadline) = (Access::of(&request), Deadline::of(&request));
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = community(&mut fields, "parent", &request.parent);
    let request_id = fields.request_id(&request.request_id);
    let about = (community, &request.parent[..]);
    let call = call(&access, about, request_id, "DispatchWish", &request);
    let id = chosen_id(&mut fields, "dispatch_id", &request.dispatch_id);
    let dispatch = required(&mut fields, "dispatch", request.dispatch);
    let wish = neighbour(
        &mut fields,
        "dispatch.wish",
        &dispatch.wish,
        (community, WISHES),
    );
    let assignee = read_assignee(&mut fields, community, &dispatch);
    let quantity = fields.range("dispatch.quantity", dispatch.quantity, 0, MAX_QUANTITY);
    let expires_at = fields.time("dispatch.expire_time", &dispatch.expire_time);
    let new = NewDispatch {
        id,
        wish,
        assignee,
        quantity: (quantity > 0).then_some(quantity),
        note: fields.optional_text("dispatch.note", &dispatch.note, 200),
        expires_at,
    };
    fields.finish()?;
    Ok(encode(wishes.dispatch_wish(&call, new, deadline).await?))
}

fn read_assignee(fields: &mut Fields, community: Community, dispatch: &pb::Dispatch) -> Assignee {
    match &dispatch.assignee {
        Some(pb::dispatch::Assignee::Team(team)) => {
            let (field, place) = ("dispatch.team.team", (community, TEAMS));
            Assignee::Team {
                id: neighbour(fields, field, &team.team, place),
                organisation: fields.text("dispatch.team.display_name", &team.display_name, 120),
            }
        }
        Some(pb::dispatch::Assignee::Member(member)) => {
            let place = (community, MEMBERS);
            Assignee::Member(neighbour(fields, "dispatch.member", member, place))
        }
        None => {
            fields.fail("dispatch.member", "a member or a team is required");
            Assignee::Member(Uuid::nil())
        }
    }
}

pub(super) async fn get(
    wishes: &Wishes,
    request: Request<pb::GetDispatchRequest>,
) -> Result<pb::Dispatch, Status> {
    let access = Access::of(&request);
    let mut fields = fields(&access);
    let (community, id) = resource(&mut fields, "name", &request.get_ref().name, DISPATCHES);
    fields.finish()?;
    own::dispatch(wishes, &access, community, id).await?;
    Ok(encode(wishes.get_dispatch(community, id).await?))
}

pub(super) async fn list(
    wishes: &Wishes,
    request: Request<pb::ListDispatchesRequest>,
) -> Result<pb::ListDispatchesResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = community(&mut fields, "parent", &request.parent);
    let member = optional_neighbour(&mut fields, "member", &request.member, (community, MEMBERS));
    let team = optional_neighbour(&mut fields, "team", &request.team, (community, TEAMS));
    let wish = optional_neighbour(&mut fields, "wish", &request.wish, (community, WISHES));
    let state = optional_enumeration(&mut fields, "state", request.state);
    let state = state.and_then(decode_state);
    let query = format!(
        "ListDispatches {} {member:?} {team:?} {wish:?} {state:?}",
        request.parent
    );
    let place = Place::read(&mut fields, query, (request.page_size, &request.page_token));
    fields.finish()?;
    own::dispatches_of(&access, community, (member, team))?;
    let filter = DispatchFilter {
        community,
        member,
        team,
        wish,
        state,
        now: wishes.now(),
    };
    let after = place.after.unwrap_or(Uuid::nil());
    let page = wishes.list_dispatches(&filter, after, place.size).await?;
    Ok(pb::ListDispatchesResponse {
        next_page_token: place.next_page_token(&page),
        dispatches: page.items.into_iter().map(encode).collect(),
    })
}

pub(super) async fn accept(
    wishes: &Wishes,
    request: Request<pb::AcceptDispatchRequest>,
) -> Result<pb::Dispatch, Status> {
    let (access, deadline) = (Access::of(&request), Deadline::of(&request));
    let request = request.into_inner();
    let mut fields = fields(&access);
    let (community, id) = resource(&mut fields, "name", &request.name, DISPATCHES);
    let request_id = fields.request_id(&request.request_id);
    let about = (community, &request.name[..]);
    let call = call(&access, about, request_id, "AcceptDispatch", &request);
    fields.finish()?;
    own::dispatch(wishes, &access, community, id).await?;
    Ok(encode(wishes.accept_dispatch(&call, id, deadline).await?))
}

pub(super) async fn decline(
    wishes: &Wishes,
    request: Request<pb::DeclineDispatchRequest>,
) -> Result<pb::Dispatch, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let (name, reason) = (&request.name[..], &request.reason[..]);
    let id = &request.request_id;
    let (call, id, reason) = reasoned(&access, (name, reason), id, "DeclineDispatch", &request)?;
    own::dispatch(wishes, &access, call.community, id).await?;
    Ok(encode(wishes.decline_dispatch(&call, id, reason).await?))
}

pub(super) async fn withdraw(
    wishes: &Wishes,
    request: Request<pb::WithdrawDispatchRequest>,
) -> Result<pb::Dispatch, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let (name, reason) = (&request.name[..], &request.reason[..]);
    let id = &request.request_id;
    let (call, id, reason) = reasoned(&access, (name, reason), id, "WithdrawDispatch", &request)?;
    Ok(encode(wishes.withdraw_dispatch(&call, id, reason).await?))
}

/// Reads a call about a dispatch that says why.
fn reasoned(
    access: &Access,
    (name, reason): (&str, &str),
    request_id: &str,
    method: &'static str,
    message: &impl prost::Message,
) -> Result<(Call, Uuid, String), Status> {
    let mut fields = fields(access);
    let (community, id) = resource(&mut fields, "name", name, DISPATCHES);
    let reason = fields.text("reason", reason, 200);
    let request_id = fields.request_id(request_id);
    fields.finish()?;
    let call = call(access, (community, name), request_id, method, message);
    Ok((call, id, reason))
}

fn decode_state(state: pb::DispatchState) -> Option<DispatchState> {
    match state {
        pb::DispatchState::Unspecified => None,
        pb::DispatchState::Issued => Some(DispatchState::Issued),
        pb::DispatchState::Accepted => Some(DispatchState::Accepted),
        pb::DispatchState::Declined => Some(DispatchState::Declined),
        pb::DispatchState::Expired => Some(DispatchState::Expired),
        pb::DispatchState::Withdrawn => Some(DispatchState::Withdrawn),
    }
}

fn encode(dispatch: Dispatch) -> pb::Dispatch {
    let community = dispatch.community.0;
    let name = |kind: &str, id: Uuid| format!("communities/{community}/{kind}/{id}");
    let state = match dispatch.state {
        DispatchState::Issued => pb::DispatchState::Issued,
        DispatchState::Accepted => pb::DispatchState::Accepted,
        DispatchState::Declined => pb::DispatchState::Declined,
        DispatchState::Expired => pb::DispatchState::Expired,
        DispatchState::Withdrawn => pb::DispatchState::Withdrawn,
    };
    let assignee = match dispatch.assignee {
        Assignee::Member(member) => pb::dispatch::Assignee::Member(name(MEMBERS, member)),
        Assignee::Team { id, organisation } => pb::dispatch::Assignee::Team(pb::DispatchedTeam {
            team: name(TEAMS, id),
            display_name: organisation,
        }),
    };
    let pledge = dispatch.pledge.map(|id| name("pledges", id));
    pb::Dispatch {
        name: name(DISPATCHES, dispatch.id),
        wish: name(WISHES, dispatch.wish),
        assignee: Some(assignee),
        quantity: dispatch.quantity,
        note: dispatch.note,
        expire_time: Some(timestamp(dispatch.expires_at)),
        state: state.into(),
        reason: dispatch.reason,
        pledge: pledge.unwrap_or_default(),
        create_time: Some(timestamp(dispatch.created_at)),
        end_time: dispatch.ended_at.map(timestamp),
    }
}
