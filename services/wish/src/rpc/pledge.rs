//! Pledges.

use proto::wish::v1::{self as pb, pledge::Pledger as Named};
use runtime::{Access, Deadline, Fields, timestamp};
use tonic::{Request, Status};
use uuid::Uuid;

use super::{
    Place, Step, call, community, fields, neighbour, optional_neighbour, own, required, resource,
    sees_all, wish::WISHES,
};
use crate::{
    Wishes,
    domain::{
        Community,
        pledge::{Delivery, Pledge, PledgeState, Pledger},
    },
    pledge::NewPledge,
    store::pledge::PledgeFilter,
};

pub(super) const PLEDGES: &str = "pledges";
pub(super) const MEMBERS: &str = "members";
const MAX_QUANTITY: i64 = 1_000_000_000;
const MAX_EVIDENCE: usize = 20;

pub(super) async fn create(
    wishes: &Wishes,
    request: Request<pb::CreatePledgeRequest>,
) -> Result<pb::Pledge, Status> {
    let (access, deadline) = (Access::of(&request), Deadline::of(&request));
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = community(&mut fields, "parent", &request.parent);
    let request_id = fields.request_id(&request.request_id);
    let about = (community, &request.parent[..]);
    let call = call(&access, about, request_id, "CreatePledge", &request);
    let pledge = required(&mut fields, "pledge", request.pledge);
    let new = NewPledge {
        wish: neighbour(
            &mut fields,
            "pledge.wish",
            &pledge.wish,
            (community, WISHES),
        ),
        pledger: read_pledger(&mut fields, community, pledge.pledger),
        quantity: fields.range("pledge.quantity", pledge.quantity, 1, MAX_QUANTITY),
        sees_all: sees_all(&access),
    };
    fields.finish()?;
    own::pledger(&access, community, &new.pledger)?;
    Ok(encode(wishes.create_pledge(&call, new, deadline).await?))
}

fn read_pledger(fields: &mut Fields, community: Community, pledger: Option<Named>) -> Pledger {
    match pledger {
        Some(Named::Member(name)) => {
            let member = neighbour(fields, "pledge.member", &name, (community, MEMBERS));
            Pledger::Member(member)
        }
        Some(Named::Organisation(name)) => {
            Pledger::Organisation(fields.text("pledge.organisation", &name, 120))
        }
        Some(Named::Company(name)) => Pledger::Company(fields.text("pledge.company", &name, 120)),
        None => {
            fields.fail("pledge.member", "required, or an organisation or a company");
            Pledger::Member(Uuid::nil())
        }
    }
}

pub(super) async fn withdraw(
    wishes: &Wishes,
    request: Request<pb::WithdrawPledgeRequest>,
) -> Result<pb::Pledge, Status> {
    let (access, deadline) = (Access::of(&request), Deadline::of(&request));
    let request = request.into_inner();
    let mut fields = fields(&access);
    let step = Step {
        method: "WithdrawPledge",
        kind: PLEDGES,
        name: &request.name,
        request_id: &request.request_id,
        reason: None,
        message: &request,
    };
    let (call, id) = step.read(&access, &mut fields);
    fields.finish()?;
    own::pledge(wishes, &access, call.community, id).await?;
    Ok(encode(wishes.withdraw_pledge(&call, id, deadline).await?))
}

pub(super) async fn revoke(
    wishes: &Wishes,
    request: Request<pb::RevokePledgeRequest>,
) -> Result<pb::Pledge, Status> {
    let (access, deadline) = (Access::of(&request), Deadline::of(&request));
    let request = request.into_inner();
    let mut fields = fields(&access);
    let step = Step {
        method: "RevokePledge",
        kind: PLEDGES,
        name: &request.name,
        request_id: &request.request_id,
        reason: Some(&request.reason),
        message: &request,
    };
    let (call, id) = step.read(&access, &mut fields);
    fields.finish()?;
    let reason = request.reason;
    let pledge = wishes.revoke_pledge(&call, id, reason, deadline).await?;
    Ok(encode(pledge))
}

pub(super) async fn deliver(
    wishes: &Wishes,
    request: Request<pb::DeliverPledgeRequest>,
) -> Result<pb::Pledge, Status> {
    let (access, deadline) = (Access::of(&request), Deadline::of(&request));
    let request = request.into_inner();
    let mut fields = fields(&access);
    let step = Step {
        method: "DeliverPledge",
        kind: PLEDGES,
        name: &request.name,
        request_id: &request.request_id,
        reason: None,
        message: &request,
    };
    let (call, id) = step.read(&access, &mut fields);
    let delivery = Delivery {
        evidence: read_evidence(&mut fields, &request.evidence),
        note: fields.optional_text("note", &request.note, 1000),
    };
    fields.finish()?;
    own::pledge(wishes, &access, call.community, id).await?;
    let pledge = wishes.deliver_pledge(&call, id, delivery, deadline).await?;
    Ok(encode(pledge))
}

fn read_evidence(fields: &mut Fields, evidence: &[String]) -> Vec<String> {
    let why = format!("{} references, at most {MAX_EVIDENCE}", evidence.len());
    fields.check("evidence", evidence.len() <= MAX_EVIDENCE, why);
    let references = evidence.iter().take(MAX_EVIDENCE).enumerate();
    references
        .map(|(at, reference)| fields.text(&format!("evidence[{at}]"), reference, 200))
        .collect()
}

pub(super) async fn confirm(
    wishes: &Wishes,
    request: Request<pb::ConfirmPledgeRequest>,
) -> Result<pb::Pledge, Status> {
    let (access, deadline) = (Access::of(&request), Deadline::of(&request));
    let request = request.into_inner();
    let mut fields = fields(&access);
    let step = Step {
        method: "ConfirmPledge",
        kind: PLEDGES,
        name: &request.name,
        request_id: &request.request_id,
        reason: None,
        message: &request,
    };
    let (call, id) = step.read(&access, &mut fields);
    fields.finish()?;
    own::pledge_of_proxy(wishes, &access, call.community, id).await?;
    let pledge = wishes.confirm_pledge(&call, &access, id, deadline).await?;
    Ok(encode(pledge))
}

pub(super) async fn refuse_delivery(
    wishes: &Wishes,
    request: Request<pb::RefuseDeliveryRequest>,
) -> Result<pb::Pledge, Status> {
    let (access, deadline) = (Access::of(&request), Deadline::of(&request));
    let request = request.into_inner();
    let mut fields = fields(&access);
    let step = Step {
        method: "RefuseDelivery",
        kind: PLEDGES,
        name: &request.name,
        request_id: &request.request_id,
        reason: Some(&request.reason),
        message: &request,
    };
    let (call, id) = step.read(&access, &mut fields);
    fields.finish()?;
    own::pledge_of_proxy(wishes, &access, call.community, id).await?;
    let reason = request.reason;
    let pledge = wishes.refuse_delivery(&call, id, reason, deadline).await?;
    Ok(encode(pledge))
}

pub(super) async fn reverse(
    wishes: &Wishes,
    request: Request<pb::ReversePledgeRequest>,
) -> Result<pb::Pledge, Status> {
    let (access, deadline) = (Access::of(&request), Deadline::of(&request));
    let request = request.into_inner();
    let mut fields = fields(&access);
    let step = Step {
        method: "ReversePledge",
        kind: PLEDGES,
        name: &request.name,
        request_id: &request.request_id,
        reason: Some(&request.reason),
        message: &request,
    };
    let (call, id) = step.read(&access, &mut fields);
    fields.finish()?;
    let what = (id, &request.reason[..]);
    let pledge = wishes.reverse_pledge(&call, &access, what, deadline);
    Ok(encode(pledge.await?))
}

pub(super) async fn get(
    wishes: &Wishes,
    request: Request<pb::GetPledgeRequest>,
) -> Result<pb::Pledge, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let (community, id) = resource(&mut fields, "name", &request.name, PLEDGES);
    fields.finish()?;
    own::pledge_of_party(wishes, &access, community, id).await?;
    Ok(encode(wishes.get_pledge(community, id).await?))
}

pub(super) async fn list(
    wishes: &Wishes,
    request: Request<pb::ListPledgesRequest>,
) -> Result<pb::ListPledgesResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = community(&mut fields, "parent", &request.parent);
    let place = (community, MEMBERS);
    let filter = PledgeFilter {
        community,
        wish: optional_neighbour(&mut fields, "wish", &request.wish, (community, WISHES)),
        member: optional_neighbour(&mut fields, "member", &request.member, place),
    };
    let query = format!("ListPledges {filter:?}");
    let place = Place::read(&mut fields, query, (request.page_size, &request.page_token));
    fields.finish()?;
    own::list_of(&access, community, filter.member)?;
    let after = place.after.unwrap_or(Uuid::nil());
    let page = wishes.list_pledges(filter, after, place.size).await?;
    Ok(pb::ListPledgesResponse {
        next_page_token: place.next_page_token(&page),
        pledges: page.items.into_iter().map(encode).collect(),
    })
}

fn encode(pledge: Pledge) -> pb::Pledge {
    let community = pledge.community.0;
    let name = |kind: &str, id: Uuid| format!("communities/{community}/{kind}/{id}");
    let is_open = match pledge.state {
        PledgeState::Pending | PledgeState::Active | PledgeState::Delivered => true,
        PledgeState::Confirmed
        | PledgeState::Withdrawn
        | PledgeState::Revoked
        | PledgeState::Lapsed
        | PledgeState::Reversed => pledge.is_settling,
    };
    pb::Pledge {
        name: name(PLEDGES, pledge.id),
        wish: name(WISHES, pledge.wish),
        points_held: pledge.in_points && is_open,
        pledger: Some(match pledge.pledger {
            Pledger::Member(member) => Named::Member(name(MEMBERS, member)),
            Pledger::Organisation(name) => Named::Organisation(name),
            Pledger::Company(name) => Named::Company(name),
        }),
        quantity: pledge.quantity,
        state: match pledge.state {
            PledgeState::Pending => pb::PledgeState::Pending,
            PledgeState::Active => pb::PledgeState::Active,
            PledgeState::Delivered => pb::PledgeState::Delivered,
            PledgeState::Confirmed => pb::PledgeState::Confirmed,
            PledgeState::Withdrawn => pb::PledgeState::Withdrawn,
            PledgeState::Revoked => pb::PledgeState::Revoked,
            PledgeState::Lapsed => pb::PledgeState::Lapsed,
            PledgeState::Reversed => pb::PledgeState::Reversed,
        }
        .into(),
        evidence: pledge.evidence,
        note: pledge.note,
        create_time: Some(timestamp(pledge.created_at)),
        deliver_time: pledge.delivered_at.map(timestamp),
        end_time: pledge.ended_at.map(timestamp),
        reverse_time: pledge.reversed_at.map(timestamp),
        reversal_reason: pledge.reversal_reason,
    }
}
