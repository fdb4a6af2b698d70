//! What is a caller's own: the member that it is, the members of the teams that it leads. It is looked at before anything else, so that
//! nobody learns from a refusal what there is.

use runtime::Access;
use tonic::Status;
use uuid::Uuid;

use crate::{Activity, domain::Community};

const MEMBERS: &str = "members";
const TEAMS: &str = "teams";

/// Refuses those who may only see what is their own, unless the member is.
pub(super) async fn member(
    activity: &Activity,
    access: &Access,
    community: Community,
    id: Uuid,
) -> Result<(), Status> {
    if access.owns(community.0, MEMBERS, id) {
        return Ok(());
    }
    let member = activity.find_member(community, id).await?;
    let team = member.and_then(|member| member.team);
    access.require(team.is_some_and(|team| access.owns(community.0, TEAMS, team)))
}

/// Unless a list is one member's, and that member is.
pub(super) async fn list_of(
    activity: &Activity,
    access: &Access,
    community: Community,
    id: Option<Uuid>,
) -> Result<(), Status> {
    match id {
        Some(id) => member(activity, access, community, id).await,
        None => access.require(!access.is_limited()),
    }
}

/// Unless something was found, and it is about one of them.
pub(super) async fn found(
    activity: &Activity,
    access: &Access,
    community: Community,
    id: Option<Uuid>,
) -> Result<(), Status> {
    match id {
        Some(id) => member(activity, access, community, id).await,
        None => Err(access.not_yours()),
    }
}
