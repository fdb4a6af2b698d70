//! The community that is measured: 10,000 shops without lots, 10,000 members with lots, one account everyone pays into and
//! one with a limit that everyone is paid from. All is set up through the contract.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use proto::ledger::v1::{self as pb, AccountKind, ledger_service_client::LedgerServiceClient};
use runtime::{Client, Ids, Problem, timestamp};
use uuid::Uuid;

use super::{
    load::all_at_once,
    wire::Wire,
    workload::{EXPIRY_DAYS, Ring},
};
use crate::{call, rpc::failure};

/// How many accounts there are of each sort.
pub const ACCOUNTS: usize = 10_000;
const ASSET: &str = "points";
/// What every shop starts with; no run spends it.
const FUNDS: i64 = 1_000_000_000_000;
/// What every member starts with, in each lot that a grant goes to: in a community that runs they are there, as the accounts are.
const POINTS: i64 = 100_000;
/// How far below zero the account that pays everyone may go; no run gets there.
const BUDGET: i64 = 1_000_000_000_000_000_000;

/// Whose accounts there are.
#[derive(Debug, Clone)]
pub struct Books {
    community: Uuid,
    programme: Uuid,
    /// Where points come from.
    pub issuing: Uuid,
    expired: Uuid,
    /// Accounts without lots that can't go below zero.
    pub shops: Vec<Uuid>,
    /// Accounts with lots.
    pub members: Vec<Uuid>,
    /// The account that everyone pays into.
    pub hot: Uuid,
    /// The account that everyone is paid from, down to a limit.
    pub limited: Uuid,
}

impl Books {
    /// Chooses the ids.
    pub fn new(ids: &Ids) -> Self {
        let programme = ids.next();
        let account = |kind, owner| proto::account_id(programme, kind, owner);
        let owned = |kind| account(kind, Some(ids.next()));
        let accounts = |kind| (0..ACCOUNTS).map(|_| owned(kind)).collect();
        Self {
            community: ids.next(),
            programme,
            issuing: account(AccountKind::Issuing, None),
            expired: account(AccountKind::Expired, None),
            shops: accounts(AccountKind::Merchant),
            members: accounts(AccountKind::Member),
            hot: owned(AccountKind::Merchant),
            limited: owned(AccountKind::Issuing),
        }
    }

    /// The community's resource name.
    pub fn community_name(&self) -> String {
        format!("communities/{}", self.community)
    }

    fn account_name(&self, id: Uuid) -> String {
        format!("communities/{}/accounts/{id}", self.community)
    }

    /// A transfer without its id.
    pub fn transfer(&self, debit: Uuid, credit: Uuid, amount: i64) -> pb::Transfer {
        pb::Transfer {
            debit_account: self.account_name(debit),
            credit_account: self.account_name(credit),
            amount,
            ..Default::default()
        }
    }

    /// Opens the accounts and gives every shop and member something; returns how many transfers that took.
    pub async fn set_up(
        self: &Arc<Self>,
        client: &LedgerServiceClient<Client>,
        wire: &Wire,
        ids: &Ids,
        now: DateTime<Utc>,
    ) -> Result<u64, Problem> {
        let request = pb::CreateAssetRequest {
            parent: self.community_name(),
            asset: Some(pb::Asset {
                code: ASSET.into(),
                ..Default::default()
            }),
        };
        call!(client, create_asset, request)
            .await
            .map_err(|status| failure("CreateAsset", &status))?;
        let special = [
            (self.issuing, AccountKind::Issuing),
            (self.expired, AccountKind::Expired),
            (self.hot, AccountKind::Merchant),
            (self.limited, AccountKind::Issuing),
        ];
        self.open(client, &special).await?;
        let shops = self.shops.iter().map(|id| (*id, AccountKind::Merchant));
        let members = self.members.iter().map(|id| (*id, AccountKind::Member));
        self.open(client, &shops.chain(members).collect::<Vec<_>>())
            .await?;
        self.fund(wire, ids, now).await
    }

    async fn open(
        self: &Arc<Self>,
        client: &LedgerServiceClient<Client>,
        accounts: &[(Uuid, AccountKind)],
    ) -> Result<(), Problem> {
        all_at_once(accounts.iter().copied(), |(id, kind)| {
            let (books, client) = (self.clone(), client.clone());
            async move {
                let request = books.definition(id, kind);
                let opened = call!(client, create_account, request).await;
                let opened = opened.map_err(|status| failure("CreateAccount", &status));
                opened.map(drop)
            }
        })
        .await
    }

    fn definition(&self, id: Uuid, kind: AccountKind) -> pb::CreateAccountRequest {
        let min_balance = match kind {
            _ if id == self.limited => Some(-BUDGET),
            _ if id == self.hot => None,
            AccountKind::Merchant | AccountKind::Member | AccountKind::PaidOut => Some(0),
            AccountKind::Issuing
            | AccountKind::Expired
            | AccountKind::Wish
            | AccountKind::Unspecified => None,
        };
        let expiry_account = match kind {
            AccountKind::Member => self.account_name(self.expired),
            _ => String::new(),
        };
        pb::CreateAccountRequest {
            parent: self.community_name(),
            account_id: id.to_string(),
            account: Some(pb::Account {
                programme: format!("{}/programmes/{}", self.community_name(), self.programme),
                asset: ASSET.into(),
                kind: kind.into(),
                expiry_account,
                min_balance,
                ..Default::default()
            }),
        }
    }

    async fn fund(&self, wire: &Wire, ids: &Ids, now: DateTime<Utc>) -> Result<u64, Problem> {
        let funds = |id: &Uuid| self.transfer(self.issuing, *id, FUNDS);
        let points = |id: &Uuid, lot: i64| pb::Transfer {
            expire_time: Some(timestamp(now + TimeDelta::days(30 * (lot + 1)))),
            ..self.transfer(self.issuing, *id, POINTS)
        };
        let lots =
            (0..EXPIRY_DAYS).flat_map(|lot| self.members.iter().map(move |id| points(id, lot)));
        let transfers: Vec<pb::Transfer> = self.shops.iter().map(funds).chain(lots).collect();
        let mut posted = 0;
        for part in transfers.chunks(5_000) {
            let request = Ring::of(part.to_vec(), self, ids).request(part.len());
            posted += wire.post(&request).await?;
        }
        Ok(posted)
    }

    /// Where the journal ends, whose accounts have to sum up to zero.
    pub async fn last_sequence(
        &self,
        client: &LedgerServiceClient<Client>,
    ) -> Result<i64, Problem> {
        let request = pb::GetTrialBalanceRequest {
            parent: self.community_name(),
            ..Default::default()
        };
        let trial = call!(client, get_trial_balance, request)
            .await
            .map_err(|status| failure("GetTrialBalance", &status))?;
        match trial.rows.iter().map(|row| row.balance).sum() {
            0_i64 => Ok(trial.last_sequence),
            sum => Err(Problem::new(format!(
                "the accounts sum up to {sum}, not to 0"
            ))),
        }
    }
}
