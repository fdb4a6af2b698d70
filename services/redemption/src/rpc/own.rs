//! What is a caller's own. It is looked at before anything else, so that nobody learns from a refusal what there is.

use runtime::Access;
use tonic::Status;
use uuid::Uuid;

use super::{merchant::MERCHANTS, read::MEMBERS, terminal::TERMINALS};
use crate::{
    Order, Redemption,
    domain::{Name, Store, Terminal},
    owners::Owners,
};

/// Refuses those who may only see what is their own, unless the merchant is.
pub(super) fn merchant(access: &Access, name: Name) -> Result<(), Status> {
    access.require(access.owns(name.community, MERCHANTS, name.id))
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

/// Unless the member who takes is, or the merchant who gives.
pub(super) async fn order(
    service: &Redemption,
    access: &Access,
    community: Uuid,
    order: &Order,
) -> Result<(), Status> {
    if access.owns(community, MEMBERS, order.member) {
        return Ok(());
    }
    let id = order.offer;
    offer(service, access, Name { community, id }).await
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
