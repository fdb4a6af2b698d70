//! Grants and their explanations.

use proto::activity::v1 as pb;
use runtime::Access;
use tonic::{Request, Status};
use uuid::Uuid;

use super::{
    Place, fields, member, optional_enumeration, optional_neighbour, own, policy, programme,
    report_text, resource, service_record,
};
use crate::{
    Activity,
    domain::{
        Community,
        explain::Explained,
        grant::{Grant, GrantFilter, GrantState},
        policy::{CapStep, Source},
        programme::Programme,
    },
};

pub(super) async fn get(
    activity: &Activity,
    request: Request<pb::GetGrantRequest>,
) -> Result<pb::Grant, Status> {
    let access = Access::of(&request);
    let mut fields = fields(&access);
    let (community, id) = resource(&mut fields, "name", &request.get_ref().name, "grants");
    fields.finish()?;
    own_grant(activity, &access, community, id).await?;
    let grant = activity.get_grant(community, id).await?;
    let programme = activity.get_programme(community, grant.programme).await?;
    Ok(encode(&grant, &programme))
}

pub(super) async fn list(
    activity: &Activity,
    request: Request<pb::ListGrantsRequest>,
) -> Result<pb::ListGrantsResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let (community, programme) = resource(&mut fields, "parent", &request.parent, "programmes");
    let member = optional_neighbour(
        &mut fields,
        "member",
        &request.member,
        (community, "members"),
    );
    let state = match optional_enumeration(&mut fields, "state", request.state) {
        Some(pb::GrantState::Empty) => Some(GrantState::Empty),
        Some(pb::GrantState::AwaitingBudget) => Some(GrantState::AwaitingBudget),
        Some(pb::GrantState::Pending) => Some(GrantState::Pending),
        Some(pb::GrantState::Posted) => Some(GrantState::Posted),
        Some(pb::GrantState::Revoking) => Some(GrantState::Revoking),
        Some(pb::GrantState::Revoked) => Some(GrantState::Revoked),
        Some(pb::GrantState::Unspecified) | None => None,
    };
    let query = format!(
        "ListGrants {} {} {}",
        request.parent, request.member, request.state
    );
    let place = Place::read(&mut fields, query, (request.page_size, &request.page_token));
    fields.finish()?;
    own::list_of(activity, &access, community, member).await?;
    let filter = GrantFilter {
        community,
        programme,
        member,
        state,
    };
    let after = place.after.unwrap_or(Uuid::nil());
    let (programme, page) = activity.list_grants(filter, after, place.size).await?;
    let grants = page.items.iter().map(|grant| encode(grant, &programme));
    Ok(pb::ListGrantsResponse {
        grants: grants.collect(),
        next_page_token: place.next_page_token(&page),
    })
}

pub(super) async fn explain(
    activity: &Activity,
    request: Request<pb::ExplainGrantRequest>,
) -> Result<pb::GrantExplanation, Status> {
    let access = Access::of(&request);
    let mut fields = fields(&access);
    let (community, id) = resource(&mut fields, "name", &request.get_ref().name, "grants");
    fields.finish()?;
    own_grant(activity, &access, community, id).await?;
    let explained = activity.explain_grant(community, id).await?;
    Ok(encode_explanation(&explained))
}

/// Refuses those who may only see what is their own, unless the grant's member is.
async fn own_grant(
    activity: &Activity,
    access: &Access,
    community: Community,
    id: Uuid,
) -> Result<(), Status> {
    if !access.is_limited() {
        return Ok(());
    }
    let grant = activity.find_grant(community, id).await?;
    own::found(activity, access, community, grant.map(|grant| grant.member)).await
}

fn encode_explanation(explained: &Explained) -> pb::GrantExplanation {
    let arithmetic = &explained.arithmetic;
    pb::GrantExplanation {
        grant: Some(encode(&explained.grant, &explained.programme)),
        rule_index: arithmetic.rule.as_ref().map(|(index, _)| *index),
        rule: arithmetic
            .rule
            .as_ref()
            .map(|(_, rule)| policy::encode_rule(rule)),
        minutes: arithmetic.minutes,
        multipliers: arithmetic
            .multipliers
            .iter()
            .map(policy::encode_multiplier)
            .collect(),
        desired: arithmetic.desired,
        caps: arithmetic.caps.iter().map(encode_step).collect(),
        capped: arithmetic.capped,
        budget_left: arithmetic.budget_left,
        text_zh: explained.text_zh(),
        text_en: explained.text_en(),
        urgency: arithmetic.urgency.clone().unwrap_or_default(),
    }
}

fn encode_step(step: &CapStep) -> pb::CapStep {
    pb::CapStep {
        cap: Some(policy::encode_cap(&step.cap)),
        period_start: step.period_start.to_string(),
        used: step.used,
        before: step.before,
        after: step.after,
    }
}

fn encode(grant: &Grant, of: &Programme) -> pb::Grant {
    let community = grant.community;
    let state = match grant.state {
        GrantState::Empty => pb::GrantState::Empty,
        GrantState::AwaitingBudget => pb::GrantState::AwaitingBudget,
        GrantState::Pending => pb::GrantState::Pending,
        GrantState::Posted => pb::GrantState::Posted,
        GrantState::Revoking => pb::GrantState::Revoking,
        GrantState::Revoked => pb::GrantState::Revoked,
    };
    let revision = |id| policy::name(community, grant.programme, id);
    let entry = |sequence| format!("communities/{}/entries/{sequence}", community.0);
    pb::Grant {
        name: name(community, grant.id),
        programme: programme::name(community, grant.programme),
        member: member::name(community, grant.member),
        service_record: match grant.source {
            Source::Service => service_record::name(community, grant.record),
            Source::Report => String::new(),
        },
        report: match grant.source {
            Source::Service => String::new(),
            Source::Report => report_text::name(community, grant.record),
        },
        policy_revision: grant.revision.map(revision).unwrap_or_default(),
        amount: grant.amount,
        expire_time: grant.expiry().map(runtime::timestamp),
        state: state.into(),
        entry: grant.entry_sequence.map(entry).unwrap_or_default(),
        revoked_amount: grant.revoked_amount,
        create_time: Some(runtime::timestamp(grant.created_at)),
        grant_time: grant.granted_at.map(runtime::timestamp),
        asset: of.asset.clone(),
        amount_text_zh: of.money(grant.amount).text_zh(),
        amount_text_en: of.money(grant.amount).text_en(),
    }
}

pub(super) fn name(community: Community, id: Uuid) -> String {
    format!("communities/{}/grants/{id}", community.0)
}
