//! Policy revisions: requests and answers. `text` reads and writes what a policy says.

mod text;

use proto::activity::v1 as pb;
use runtime::{Access, Fields};
use tonic::{Request, Status};
use uuid::Uuid;

use super::{Place, call, fields, required, resource};
use crate::{
    Activity,
    domain::{
        Community,
        revision::{PolicyRevision, RevisionKey, RevisionState},
    },
};

pub(super) use text::{encode_cap, encode_multiplier, encode_rule, read as read_policy};

pub(super) async fn create(
    activity: &Activity,
    request: Request<pb::CreatePolicyRevisionRequest>,
) -> Result<pb::PolicyRevision, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let (community, programme) = resource(&mut fields, "parent", &request.parent, "programmes");
    let request_id = fields.request_id(&request.request_id);
    let about = (community, &request.parent[..]);
    let call = call(&access, about, request_id, "CreatePolicyRevision", &request);
    let policy = required(&mut fields, "policy", request.policy);
    let policy = text::read(&mut fields, &policy);
    fields.finish()?;
    let revision = activity
        .create_policy_revision(&call, programme, policy)
        .await?;
    Ok(encode(revision))
}

pub(super) async fn activate(
    activity: &Activity,
    request: Request<pb::ActivatePolicyRevisionRequest>,
) -> Result<pb::PolicyRevision, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let key = revision_key(&mut fields, "name", &request.name);
    let request_id = fields.request_id(&request.request_id);
    fields.finish()?;
    let about = (key.community, &request.name[..]);
    let call = call(
        &access,
        about,
        request_id,
        "ActivatePolicyRevision",
        &request,
    );
    Ok(encode(activity.activate_policy_revision(&call, key).await?))
}

pub(super) async fn discard(
    activity: &Activity,
    request: Request<pb::DiscardPolicyRevisionRequest>,
) -> Result<pb::PolicyRevision, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let key = revision_key(&mut fields, "name", &request.name);
    let request_id = fields.request_id(&request.request_id);
    fields.finish()?;
    let about = (key.community, &request.name[..]);
    let call = call(
        &access,
        about,
        request_id,
        "DiscardPolicyRevision",
        &request,
    );
    Ok(encode(activity.discard_policy_revision(&call, key).await?))
}

pub(super) async fn get(
    activity: &Activity,
    request: Request<pb::GetPolicyRevisionRequest>,
) -> Result<pb::PolicyRevision, Status> {
    let access = Access::of(&request);
    let mut fields = fields(&access);
    let key = revision_key(&mut fields, "name", &request.get_ref().name);
    fields.finish()?;
    Ok(encode(activity.get_policy_revision(key).await?))
}

pub(super) async fn list(
    activity: &Activity,
    request: Request<pb::ListPolicyRevisionsRequest>,
) -> Result<pb::ListPolicyRevisionsResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let (community, programme) = resource(&mut fields, "parent", &request.parent, "programmes");
    let query = format!("ListPolicyRevisions {}", request.parent);
    let place = Place::read(&mut fields, query, (request.page_size, &request.page_token));
    fields.finish()?;
    let before = place.after.unwrap_or(i32::MAX);
    let page = activity
        .list_policy_revisions(community, programme, before, place.size)
        .await?;
    Ok(pb::ListPolicyRevisionsResponse {
        next_page_token: place.next_page_token(&page),
        policy_revisions: page.items.into_iter().map(encode).collect(),
    })
}

pub(super) fn revision_key(fields: &mut Fields, field: &str, value: &str) -> RevisionKey {
    let pattern = ["communities", "programmes", "policyRevisions"];
    let [community, programme, revision] = fields.name(field, value, pattern);
    RevisionKey {
        community: Community(community),
        programme,
        revision,
    }
}

fn encode(revision: PolicyRevision) -> pb::PolicyRevision {
    let state = match revision.state {
        RevisionState::Draft => pb::PolicyRevisionState::Draft,
        RevisionState::Active => pb::PolicyRevisionState::Active,
        RevisionState::Retired => pb::PolicyRevisionState::Retired,
        RevisionState::Discarded => pb::PolicyRevisionState::Discarded,
    };
    pb::PolicyRevision {
        name: name(revision.community, revision.programme, revision.id),
        number: revision.number,
        state: state.into(),
        policy: Some(text::encode(&revision.policy)),
        create_time: Some(runtime::timestamp(revision.created_at)),
        effective_time: revision.effective_at.map(runtime::timestamp),
        retire_time: revision.retired_at.map(runtime::timestamp),
    }
}

pub(super) fn name(community: Community, programme: Uuid, revision: Uuid) -> String {
    format!(
        "communities/{}/programmes/{programme}/policyRevisions/{revision}",
        community.0
    )
}
