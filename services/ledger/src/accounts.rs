//! Use cases about assets, accounts and their sums.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    Error, Ledger,
    domain::{Account, AccountDefinition, AccountId, AccountLimits, Asset, CommunityId, Refusal},
    store::{self, AccountQuery, TrialBalanceRow},
};

/// The sums of accounts, from one snapshot.
pub struct TrialBalance {
    /// By asset and kind.
    pub rows: Vec<TrialBalanceRow>,
    /// The journal's last sequence in the snapshot.
    pub last_sequence: i64,
}

impl Ledger {
    /// Defines an asset and opens the community's journal with the first. The same definition again returns it.
    pub async fn create_asset(
        &self,
        community: CommunityId,
        code: String,
        exponent: i16,
    ) -> Result<Asset, Error> {
        let asset = Asset {
            code,
            exponent,
            created_at: self.clock.now(),
        };
        let mut tx = self.pool.begin().await?;
        store::journal_open(&mut tx, community, asset.created_at).await?;
        if store::asset_insert(&mut tx, community, &asset).await? {
            store::asset_log(&mut tx, community, &asset).await?;
            tx.commit().await?;
            return Ok(asset);
        }
        let not_found = Refusal::AssetNotFound {
            asset: asset.code.clone(),
        };
        let there = store::asset_find(&mut tx, community, &asset.code)
            .await?
            .ok_or(not_found)?;
        if there.exponent != exponent {
            return Err(Refusal::AssetExists {
                asset: there.code,
                exponent: there.exponent,
            }
            .into());
        }
        Ok(there)
    }

    /// Opens an account. The same definition again returns it as it is now, whatever its limits have become.
    pub async fn create_account(
        &self,
        community: CommunityId,
        account: AccountDefinition,
    ) -> Result<Account, Error> {
        let mut tx = self.pool.begin().await?;
        if store::asset_find(&mut tx, community, &account.asset)
            .await?
            .is_none()
        {
            return Err(Refusal::AssetNotFound {
                asset: account.asset,
            }
            .into());
        }
        if let Some(id) = account.expiry_account {
            let not_found = Refusal::AccountNotFound { account: id };
            let expired = store::account_find(&mut tx, community, id)
                .await?
                .ok_or(not_found)?;
            account.accept_expiry_account(&expired.definition)?;
        }
        let now = self.clock.now();
        if store::account_insert(&mut tx, community, &account, now).await? {
            store::account_log(&mut tx, community, &account, now).await?;
            tx.commit().await?;
            return Ok(Account::opened(account, now));
        }
        let not_found = Refusal::AccountNotFound {
            account: account.id,
        };
        let there = store::account_find(&mut tx, community, account.id)
            .await?
            .ok_or(not_found)?;
        if !there.definition.is_same(&account) {
            return Err(Refusal::AccountExists {
                account: account.id,
            }
            .into());
        }
        Ok(there)
    }

    /// An account with its lots, from one snapshot.
    pub async fn account(&self, community: CommunityId, id: AccountId) -> Result<Account, Error> {
        let account = self.find_account(community, id).await?;
        Ok(account.ok_or(Refusal::AccountNotFound { account: id })?)
    }

    /// One account as it is now, if it is there.
    pub async fn find_account(
        &self,
        community: CommunityId,
        id: AccountId,
    ) -> Result<Option<Account>, Error> {
        let mut tx = self.snapshot().await?;
        Ok(store::account_find(&mut tx, community, id).await?)
    }

    /// Accounts by id.
    pub async fn accounts(
        &self,
        community: CommunityId,
        query: AccountQuery,
    ) -> Result<Vec<Account>, Error> {
        let mut tx = self.snapshot().await?;
        Ok(store::account_list(&mut tx, community, query).await?)
    }

    /// Sets an account's limits, if it is still at the revision last seen, when one is given.
    pub async fn update_account_limits(
        &self,
        community: CommunityId,
        id: AccountId,
        limits: AccountLimits,
        seen_revision: Option<i64>,
    ) -> Result<Account, Error> {
        let mut tx = self.pool.begin().await?;
        // Whoever changes an account holds its journal's lock.
        store::journal_lock(&mut tx, community).await?;
        let not_found = Refusal::AccountNotFound { account: id };
        let mut account = store::account_find(&mut tx, community, id)
            .await?
            .ok_or(not_found)?;
        if seen_revision.is_some_and(|revision| revision != account.revision) {
            return Err(Error::StaleEtag);
        }
        account.set_limits(limits)?;
        store::account_set_limits(&mut tx, community, id, limits).await?;
        store::limits_log(&mut tx, community, id, limits, self.clock.now()).await?;
        tx.commit().await?;
        Ok(account)
    }

    /// The sums of a community's or a programme's accounts.
    pub async fn trial_balance(
        &self,
        community: CommunityId,
        programme: Option<Uuid>,
    ) -> Result<TrialBalance, Error> {
        let mut tx = self.snapshot().await?;
        let rows = store::trial_balance(&mut tx, community, programme).await?;
        let last_sequence = store::journal_sequence(&mut tx, community).await?;
        Ok(TrialBalance {
            rows,
            last_sequence,
        })
    }

    /// The present instant, for what depends on it in an answer.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
}
