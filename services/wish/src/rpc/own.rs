//! What is a caller's own: what they pledged, and the wishes that they may confirm for somebody. It is looked at before anything else, so that
//! nobody learns from a refusal what there is.

use runtime::Access;
use tonic::Status;
use uuid::Uuid;

use super::{dispatch::TEAMS, pledge::MEMBERS};
use crate::{
    Wishes,
    domain::{
        Community,
        dispatch::Assignee,
        pledge::{Pledge, Pledger},
    },
};

/// Refuses those who may only see what is their own, unless they are who pledges.
pub(super) fn pledger(
    access: &Access,
    community: Community,
    pledger: &Pledger,
) -> Result<(), Status> {
    access.require(!access.is_limited() || owns(access, community, pledger.member()))
}

/// Unless a list is one member's, and they are that member.
pub(super) fn list_of(
    access: &Access,
    community: Community,
    member: Option<Uuid>,
) -> Result<(), Status> {
    access.require(!access.is_limited() || owns(access, community, member))
}

/// Unless they are who pledged.
pub(super) async fn pledge(
    wishes: &Wishes,
    access: &Access,
    community: Community,
    id: Uuid,
) -> Result<(), Status> {
    let Some(pledge) = looked_up(wishes, access, community, id).await? else {
        return Ok(());
    };
    access.require(owns(access, community, pledge.pledger.member()))
}

/// Unless they may confirm for the wish that it is of.
pub(super) async fn pledge_of_proxy(
    wishes: &Wishes,
    access: &Access,
    community: Community,
    id: Uuid,
) -> Result<(), Status> {
    match looked_up(wishes, access, community, id).await? {
        Some(pledge) => wish_of_proxy(wishes, access, community, pledge.wish).await,
        None => Ok(()),
    }
}

/// Unless they are who pledged, or may confirm for the wish that it is of.
pub(super) async fn pledge_of_party(
    wishes: &Wishes,
    access: &Access,
    community: Community,
    id: Uuid,
) -> Result<(), Status> {
    match looked_up(wishes, access, community, id).await? {
        Some(pledge) if !owns(access, community, pledge.pledger.member()) => {
            wish_of_proxy(wishes, access, community, pledge.wish).await
        }
        Some(_) | None => Ok(()),
    }
}

/// Unless they may confirm for a wish.
pub(super) async fn wish_of_proxy(
    wishes: &Wishes,
    access: &Access,
    community: Community,
    id: Uuid,
) -> Result<(), Status> {
    if !access.is_limited() {
        return Ok(());
    }
    let wish = wishes.find_wish(community, id).await?;
    let proxy = wish.and_then(|wish| wish.proxy);
    access.require(owns(access, community, proxy))
}

/// The pledge, for those who may only see what is their own; nothing for others.
async fn looked_up(
    wishes: &Wishes,
    access: &Access,
    community: Community,
    id: Uuid,
) -> Result<Option<Pledge>, Status> {
    if !access.is_limited() {
        return Ok(None);
    }
    let pledge = wishes.find_pledge(community, id).await?;
    pledge.map(Some).ok_or_else(|| access.not_yours())
}

fn owns(access: &Access, community: Community, member: Option<Uuid>) -> bool {
    member.is_some_and(|member| access.owns(community.0, MEMBERS, member))
}

/// Unless a dispatch is to them, or to a team that they lead.
pub(super) async fn dispatch(
    wishes: &Wishes,
    access: &Access,
    community: Community,
    id: Uuid,
) -> Result<(), Status> {
    if !access.is_limited() {
        return Ok(());
    }
    let found = wishes.find_dispatch(community, id).await?;
    access.require(found.is_some_and(|dispatch| match dispatch.assignee {
        Assignee::Member(member) => owns(access, community, Some(member)),
        Assignee::Team { id, .. } => access.owns(community.0, TEAMS, id),
    }))
}

/// Unless a list is of dispatches to one of them.
pub(super) fn dispatches_of(
    access: &Access,
    community: Community,
    (member, team): (Option<Uuid>, Option<Uuid>),
) -> Result<(), Status> {
    let to_team = team.is_some_and(|team| access.owns(community.0, TEAMS, team));
    access.require(!access.is_limited() || to_team || owns(access, community, member))
}
