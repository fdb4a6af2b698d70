//! Adjustments.

use prost::Message;
use proto::activity::v1 as pb;
use runtime::{Access, Fields};
use tonic::{Request, Status};
use uuid::Uuid;

use super::{
    Place, call, chosen_id, community, fields, member, neighbour, optional_enumeration, programme,
    required, resource,
};
use crate::{
    Activity,
    adjustment::NewAdjustment,
    domain::{
        Community,
        adjustment::{Adjustment, AdjustmentState, Change},
        call::Call,
    },
};

const ADJUSTMENTS: &str = "adjustments";
/// The most that the ledger moves at once.
const MOST: i64 = 1_000_000_000_000_000;

pub(super) async fn create(
    activity: &Activity,
    request: Request<pb::CreateAdjustmentRequest>,
) -> Result<pb::Adjustment, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = community(&mut fields, "parent", &request.parent);
    let request_id = fields.request_id(&request.request_id);
    let about = (community, &request.parent[..]);
    let call = call(&access, about, request_id, "CreateAdjustment", &request);
    let id = chosen_id(&mut fields, "adjustment_id", &request.adjustment_id);
    let adjustment = required(&mut fields, "adjustment", request.adjustment);
    let place = (community, "programmes");
    let programme = neighbour(
        &mut fields,
        "adjustment.programme",
        &adjustment.programme,
        place,
    );
    let reason = fields.text("adjustment.reason", &adjustment.reason, 200);
    let change = read_change(&mut fields, community, adjustment.change);
    if let Some(Change::Points {
        expires_at: Some(at),
        ..
    }) = change
    {
        let field = "adjustment.points.expire_time";
        fields.check(field, at > activity.clock.now(), "must be in the future");
    }
    fields.finish()?;
    let Some(change) = change else {
        return Err(runtime::internal());
    };
    let new = NewAdjustment {
        id,
        programme,
        change,
        reason,
    };
    Ok(encode(activity.create_adjustment(&call, new).await?))
}

pub(super) async fn approve(
    activity: &Activity,
    request: Request<pb::ApproveAdjustmentRequest>,
) -> Result<pb::Adjustment, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let asked = (&request.name[..], &request.request_id[..]);
    let (call, id) = decision(&access, asked, "ApproveAdjustment", &request)?;
    let approved = activity.approve_adjustment(&call, &access, id).await?;
    Ok(encode(approved))
}

pub(super) async fn decline(
    activity: &Activity,
    request: Request<pb::DeclineAdjustmentRequest>,
) -> Result<pb::Adjustment, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let asked = (&request.name[..], &request.request_id[..]);
    let (call, id) = decision(&access, asked, "DeclineAdjustment", &request)?;
    let declined = activity.decline_adjustment(&call, &access, id).await?;
    Ok(encode(declined))
}

pub(super) async fn get(
    activity: &Activity,
    request: Request<pb::GetAdjustmentRequest>,
) -> Result<pb::Adjustment, Status> {
    let access = Access::of(&request);
    let mut fields = fields(&access);
    let (community, id) = resource(&mut fields, "name", &request.get_ref().name, ADJUSTMENTS);
    fields.finish()?;
    Ok(encode(activity.get_adjustment(community, id).await?))
}

pub(super) async fn list(
    activity: &Activity,
    request: Request<pb::ListAdjustmentsRequest>,
) -> Result<pb::ListAdjustmentsResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let parent = resource(&mut fields, "parent", &request.parent, "programmes");
    let state = match optional_enumeration(&mut fields, "state", request.state) {
        Some(pb::AdjustmentState::Proposed) => Some(AdjustmentState::Proposed),
        Some(pb::AdjustmentState::Approved) => Some(AdjustmentState::Approved),
        Some(pb::AdjustmentState::Applied) => Some(AdjustmentState::Applied),
        Some(pb::AdjustmentState::Declined) => Some(AdjustmentState::Declined),
        Some(pb::AdjustmentState::Refused) => Some(AdjustmentState::Refused),
        Some(pb::AdjustmentState::Unspecified) | None => None,
    };
    let query = format!("ListAdjustments {} {}", request.parent, request.state);
    let place = Place::read(&mut fields, query, (request.page_size, &request.page_token));
    fields.finish()?;
    let after = place.after.unwrap_or(Uuid::nil());
    let page = activity
        .list_adjustments(parent, state, after, place.size)
        .await?;
    Ok(pb::ListAdjustmentsResponse {
        next_page_token: place.next_page_token(&page),
        adjustments: page.items.into_iter().map(encode).collect(),
    })
}

/// Reads a request that has a name and an id and nothing else.
fn decision(
    access: &Access,
    (name, request_id): (&str, &str),
    method: &'static str,
    message: &impl Message,
) -> Result<(Call, Uuid), Status> {
    let mut fields = fields(access);
    let (community, id) = resource(&mut fields, "name", name, ADJUSTMENTS);
    let request_id = fields.request_id(request_id);
    fields.finish()?;
    let call = call(access, (community, name), request_id, method, message);
    Ok((call, id))
}

fn read_change(
    fields: &mut Fields,
    community: Community,
    change: Option<pb::adjustment::Change>,
) -> Option<Change> {
    match change {
        None => {
            fields.fail("adjustment", "one of points and budget is required");
            None
        }
        Some(pb::adjustment::Change::Budget(change)) => {
            let limit = change.budget;
            Some(Change::Budget(limit.map(|limit| {
                fields.range("adjustment.budget.budget", limit, 1, i64::MAX)
            })))
        }
        Some(pb::adjustment::Change::Points(change)) => {
            let amount = change.amount;
            fields.check("adjustment.points.amount", amount != 0, "must not be 0");
            fields.range("adjustment.points.amount", amount, -MOST, MOST);
            let field = "adjustment.points.expire_time";
            let expires_at = fields.optional_time(field, &change.expire_time);
            let given = expires_at.is_none() || amount > 0;
            fields.check(field, given, "points that are taken do not expire");
            let place = (community, "members");
            Some(Change::Points {
                member: neighbour(fields, "adjustment.points.member", &change.member, place),
                amount,
                expires_at,
            })
        }
    }
}

fn encode(adjustment: Adjustment) -> pb::Adjustment {
    let community = adjustment.community;
    let state = match adjustment.state {
        AdjustmentState::Proposed => pb::AdjustmentState::Proposed,
        AdjustmentState::Approved => pb::AdjustmentState::Approved,
        AdjustmentState::Applied => pb::AdjustmentState::Applied,
        AdjustmentState::Declined => pb::AdjustmentState::Declined,
        AdjustmentState::Refused => pb::AdjustmentState::Refused,
    };
    let change = match adjustment.change {
        Change::Points {
            member,
            amount,
            expires_at,
        } => pb::adjustment::Change::Points(pb::PointsChange {
            member: member::name(community, member),
            amount,
            expire_time: expires_at.map(runtime::timestamp),
        }),
        Change::Budget(budget) => pb::adjustment::Change::Budget(pb::BudgetChange { budget }),
    };
    let entry = |sequence| format!("communities/{}/entries/{sequence}", community.0);
    pb::Adjustment {
        name: format!(
            "communities/{}/{ADJUSTMENTS}/{}",
            community.0, adjustment.id
        ),
        programme: programme::name(community, adjustment.programme),
        change: Some(change),
        reason: adjustment.reason,
        state: state.into(),
        proposed_by: adjustment.proposed_by,
        propose_time: Some(runtime::timestamp(adjustment.proposed_at)),
        decided_by: adjustment.decided_by.unwrap_or_default(),
        decide_time: adjustment.decided_at.map(runtime::timestamp),
        entry: adjustment.entry.map(entry).unwrap_or_default(),
        refusal: adjustment.refusal.unwrap_or_default(),
    }
}
