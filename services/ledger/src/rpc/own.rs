//! What is a caller's own: its accounts, and the entries that changed them. It is looked at before anything else, so that nobody learns from a
//! refusal what there is.

use std::collections::{HashMap, hash_map::Entry::Vacant};

use runtime::Access;
use tonic::Status;

use super::status::status;
use crate::{
    Ledger,
    domain::{Account, AccountId, AccountKind, CommunityId, Entry},
};

/// Refuses those who may only see what is their own, unless the account is.
pub async fn account(
    ledger: &Ledger,
    access: &Access,
    community: CommunityId,
    id: AccountId,
) -> Result<(), Status> {
    access.require(is_own(ledger, access, community, id).await?)
}

/// Unless a list is one account's, and that account is.
pub async fn list_of(
    ledger: &Ledger,
    access: &Access,
    community: CommunityId,
    id: Option<AccountId>,
) -> Result<(), Status> {
    match id {
        Some(id) => account(ledger, access, community, id).await,
        None => access.require(!access.is_limited()),
    }
}

/// Unless the entry changed an account that is.
pub async fn entry(
    ledger: &Ledger,
    access: &Access,
    community: CommunityId,
    sequence: i64,
) -> Result<(), Status> {
    if !access.is_limited() {
        return Ok(());
    }
    let entry = ledger.find_entry(community, sequence).await;
    let Some(entry) = entry.map_err(status)? else {
        return Err(access.not_yours());
    };
    let own = is_own(ledger, access, community, entry.debit).await?
        || is_own(ledger, access, community, entry.credit).await?;
    access.require(own)
}

/// Takes from entries what is the business of the other account: its balance and its lots.
pub async fn hide(
    ledger: &Ledger,
    access: &Access,
    community: CommunityId,
    mut entries: Vec<Entry>,
) -> Result<Vec<Entry>, Status> {
    if !access.is_limited() {
        return Ok(entries);
    }
    let mut own: HashMap<AccountId, Option<Account>> = HashMap::new();
    for entry in &mut entries {
        for id in [entry.debit, entry.credit] {
            if let Vacant(unknown) = own.entry(id) {
                unknown.insert(find_own(ledger, access, community, id).await?);
            }
        }
        let (debit, credit) = (&own[&entry.debit], &own[&entry.credit]);
        if debit.is_none() {
            entry.debit_balance = 0;
        }
        if credit.is_none() {
            entry.credit_balance = 0;
        }
        let keeps_lots = |account: &Account| account.definition.expiry_account.is_some();
        if ![debit, credit].into_iter().flatten().any(keeps_lots) {
            entry.allocations.clear();
        }
    }
    Ok(entries)
}

async fn is_own(
    ledger: &Ledger,
    access: &Access,
    community: CommunityId,
    id: AccountId,
) -> Result<bool, Status> {
    let own = !access.is_limited() || find_own(ledger, access, community, id).await?.is_some();
    Ok(own)
}

/// Whose an account is never changes.
async fn find_own(
    ledger: &Ledger,
    access: &Access,
    community: CommunityId,
    id: AccountId,
) -> Result<Option<Account>, Status> {
    let found = ledger.find_account(community, id).await.map_err(status)?;
    Ok(found.filter(|account| owns(access, community, account)))
}

fn owns(access: &Access, community: CommunityId, account: &Account) -> bool {
    let kind = match account.definition.kind {
        AccountKind::Member => "members",
        AccountKind::Merchant => "merchants",
        AccountKind::Issuing | AccountKind::Expired | AccountKind::PaidOut | AccountKind::Wish => {
            return false;
        }
    };
    let owner = account.definition.owner;
    owner.is_some_and(|owner| access.owns(community.0, kind, owner))
}
