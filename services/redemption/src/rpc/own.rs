//! What is a caller's own. It is looked at before anything else, so that nobody learns from a refusal what there is.

use runtime::Access;
use tonic::Status;
use uuid::Uuid;

use super::{merchant::MERCHANTS, read::MEMBERS, terminal::TERMINALS};
use crate::{
    Error, KnownBy, Redemption,
    domain::{Card, Handle, Name, Refusal, Resource, Store, Terminal},
    owners::Owners,
};

/// Refuses those who may only see what is their own, unless the merchant is.
pub(super) fn merchant(access: &Access, name: Name) -> Result<(), Status> {
    access.require(access.owns(name.community, MERCHANTS, name.id))
}

/// Unless the member is.
pub(super) fn member(access: &Access, name: Name) -> Result<(), Status> {
    access.require(access.owns(name.community, MEMBERS, name.id))
}

/// Unless what is listed is about a member who is, or about a merchant that is: that list may not go by member, for it would say who a shop's visitors are.
pub(super) fn list_of(
    access: &Access,
    community: Uuid,
    (member, merchant): (Option<Uuid>, Option<Uuid>),
) -> Result<(), Status> {
    let owns = |kind, id: Option<Uuid>| id.is_some_and(|id| access.owns(community, kind, id));
    let shops = member.is_none() && owns(MERCHANTS, merchant);
    access.require(!access.is_limited() || shops || owns(MEMBERS, member))
}

/// Unless the card's member is.
pub(super) async fn member_card(
    service: &Redemption,
    access: &Access,
    name: Name,
) -> Result<(), Status> {
    if !access.is_limited() {
        return Ok(());
    }
    let card = service.find_member_card(name).await?;
    let own = |card: Card| access.owns(name.community, MEMBERS, card.member);
    access.require(card.is_some_and(own))
}

/// Unless the offer's merchant is.
pub(super) async fn offer(service: &Redemption, access: &Access, name: Name) -> Result<(), Status> {
    if !access.is_limited() {
        return Ok(());
    }
    let owners = service.owners_of_offer(name).await?;
    let own = |owners: Owners| access.owns(name.community, MERCHANTS, owners.merchant);
    access.require(owners.is_some_and(own))
}

/// Unless the store's merchant is.
pub(super) async fn store(service: &Redemption, access: &Access, name: Name) -> Result<(), Status> {
    if !access.is_limited() {
        return Ok(());
    }
    let store = service.find_store(name).await?;
    let own = |store: Store| access.owns(name.community, MERCHANTS, store.merchant);
    access.require(store.is_some_and(own))
}

/// Unless the terminal is, or its merchant.
pub(super) async fn terminal(
    service: &Redemption,
    access: &Access,
    name: Name,
) -> Result<(), Status> {
    if access.owns(name.community, TERMINALS, name.id) {
        return Ok(());
    }
    let terminal = service.find_terminal(name).await?;
    let own = |terminal: Terminal| access.owns(name.community, MERCHANTS, terminal.merchant);
    access.require(terminal.is_some_and(own))
}

/// Who takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Payer {
    /// A member, by name.
    Member(Name),
    /// Whoever a handle stands for.
    Handle(Name),
}

/// Says who takes an offer and how that is known. A member is named by themself or by staff; a handle is used where it was made.
pub(super) async fn payer(
    service: &Redemption,
    access: &Access,
    payer: Payer,
    of: Name,
) -> Result<(Uuid, KnownBy), Status> {
    let name = match payer {
        Payer::Member(name) => {
            member(access, name)?;
            let known_by = match access.is_limited() {
                true => KnownBy::Themself,
                false => KnownBy::Staff,
            };
            return Ok((name.id, known_by));
        }
        Payer::Handle(name) => name,
    };
    offer(service, access, of).await?;
    let handle = service.find_member_handle(name).await?;
    let own = |handle: &Handle| access.owns(name.community, MERCHANTS, handle.merchant);
    access.require(handle.as_ref().is_some_and(own) || !access.is_limited())?;
    let handle = handle.ok_or(Error::Refused(Refusal::NotFound {
        resource: Resource::MemberHandle,
        id: name.id,
    }))?;
    let given = service
        .owners_of_offer(of)
        .await?
        .map(|owners| owners.merchant);
    if given.is_some_and(|merchant| merchant != handle.merchant) {
        return Err(Error::Refused(Refusal::NotYourStore).into());
    }
    let expires_at = handle.expires_at;
    Ok((handle.member, KnownBy::Handle { expires_at }))
}

/// Unless the redemption's member is, or its merchant.
pub(super) async fn redemption(
    service: &Redemption,
    access: &Access,
    name: Name,
) -> Result<(), Status> {
    access.require(is_party(service, access, name).await? == Some(true))
}

/// The same for a redemption that may not be there yet.
pub(super) async fn redemption_to_be(
    service: &Redemption,
    access: &Access,
    name: Name,
) -> Result<(), Status> {
    access.require(is_party(service, access, name).await? != Some(false))
}

/// Whether the caller has a part in a redemption; nothing when there is none.
async fn is_party(
    service: &Redemption,
    access: &Access,
    name: Name,
) -> Result<Option<bool>, Status> {
    if !access.is_limited() {
        return Ok(Some(true));
    }
    // Whose it is never changes, so nothing is missed between this look and what comes after.
    let owners = service.owners_of_redemption(name).await?;
    Ok(owners.map(|owners| {
        let own = |member| access.owns(name.community, MEMBERS, member);
        owners.member.is_some_and(own) || access.owns(name.community, MERCHANTS, owners.merchant)
    }))
}
