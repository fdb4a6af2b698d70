//! What this service asks of the ledger: a programme's and a member's accounts, postings, reversals, holds of payouts. Every request can be
//! repeated; an unknown outcome is settled by asking again.

mod payouts;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use proto::{
    account_id,
    ledger::v1::{
        Account, AccountKind, Asset, CreateAccountRequest, CreateAssetRequest, EntryKind,
        ListEntriesRequest, ListExpiringLotsRequest, PostTransfersRequest, ReverseEntryRequest,
        Transfer, TransferVerdict, UpdateAccountLimitsRequest, transfer_verdict::Verdict,
    },
};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{
    Activity,
    domain::{
        Community,
        adjustment::{Adjustment, Change},
        grant::Grant,
        programme::Programme,
    },
};

pub(crate) use payouts::LineTold;

/// How long the relay waits for an answer. It ends well within the lease of what it delivers.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
const MAX_PAUSE_SECONDS: i64 = 600;
/// How much of a list is asked for at once.
const PAGE: i32 = 1000;

/// What the ledger said to an adjustment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// It is done; points have an entry.
    Done(Option<i64>),
    /// A rule of the ledger says no, for this reason.
    Refused(String),
    /// It did not answer.
    Unanswered(String),
    /// It refused what it never should.
    Broken(String),
}

/// How long what the ledger refuses as it never should waits for its next try: a second, two, four … at most ten minutes.
pub(crate) fn pause_after(attempts: i32) -> TimeDelta {
    let doublings = u32::try_from(attempts - 1).unwrap_or(0);
    let seconds = 2_i64.saturating_pow(doublings);
    TimeDelta::seconds(seconds.min(MAX_PAUSE_SECONDS))
}

impl From<Status> for Told {
    fn from(status: Status) -> Self {
        let text = format!("{:?}: {}", status.code(), status.message());
        if is_transient(&status) {
            Self::Unanswered(text)
        } else {
            Self::Broken(text)
        }
    }
}

/// Accounts that are known to be open; accounts are never closed, so it never has to forget.
#[derive(Clone, Default)]
pub(crate) struct KnownAccounts(Arc<Mutex<HashSet<Uuid>>>);

impl KnownAccounts {
    fn contains(&self, account: Uuid) -> bool {
        self.0
            .lock()
            .expect("no holder of this lock panics")
            .contains(&account)
    }

    fn insert(&self, account: Uuid) {
        self.0
            .lock()
            .expect("no holder of this lock panics")
            .insert(account);
    }
}

/// Whether the same request may succeed later without anybody doing anything.
pub(crate) fn is_transient(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::Cancelled
            | Code::ResourceExhausted
            | Code::Unknown
    )
}

/// A lot that expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExpiringLot {
    pub(crate) account: Uuid,
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) remaining: i64,
    pub(crate) held: i64,
}

/// Points that have expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expired {
    pub(crate) entry: i64,
    pub(crate) account: Uuid,
    pub(crate) amount: i64,
    pub(crate) expires_at: DateTime<Utc>,
}

impl Activity {
    /// Defines a programme's asset and opens its two accounts.
    pub(crate) async fn open_programme(
        &self,
        programme: &Programme,
        timeout: Duration,
    ) -> Result<(), Status> {
        let mut ledger = self.ledger.clone();
        let parent = format!("communities/{}", programme.community.0);
        let asset = Asset {
            code: programme.asset.clone(),
            exponent: i32::from(programme.exponent),
            ..Asset::default()
        };
        let define = CreateAssetRequest {
            parent,
            asset: Some(asset),
        };
        ledger
            .create_asset(runtime::request(define, timeout))
            .await?;
        let expired = Account {
            min_balance: Some(0),
            ..account(programme, AccountKind::Expired, None)
        };
        // Grants leave it and revocations return to it, so it is never above zero, and the budget is its other limit.
        let issuing = Account {
            min_balance: programme.budget.map(|budget| -budget),
            max_balance: Some(0),
            ..account(programme, AccountKind::Issuing, None)
        };
        for (kind, account) in [
            (AccountKind::Expired, expired),
            (AccountKind::Issuing, issuing),
        ] {
            let open = open_request(programme, account_id(programme.id, kind, None), account);
            ledger
                .create_account(runtime::request(open, timeout))
                .await?;
        }
        Ok(())
    }

    /// Opens a member's account in a programme, unless it is known to be open.
    pub(crate) async fn open_member(
        &self,
        programme: &Programme,
        member: Uuid,
    ) -> Result<(), Status> {
        let id = account_id(programme.id, AccountKind::Member, Some(member));
        let expired = account_id(programme.id, AccountKind::Expired, None);
        let account = Account {
            expiry_account: account_name(programme.community, expired),
            min_balance: Some(0),
            ..account(programme, AccountKind::Member, Some(member))
        };
        let request = runtime::request(open_request(programme, id, account), PATIENCE);
        self.ledger.clone().create_account(request).await?;
        self.accounts.insert(id);
        Ok(())
    }

    /// Whether a grant's account is known to be open.
    pub(crate) fn has_account(&self, grant: &Grant) -> bool {
        self.accounts.contains(account_id(
            grant.programme,
            AccountKind::Member,
            Some(grant.member),
        ))
    }

    /// Posts grants, each under its own id, and returns their verdicts in order.
    pub(crate) async fn post_grants(
        &self,
        community: Community,
        grants: &[&Grant],
    ) -> Result<Vec<TransferVerdict>, Status> {
        let transfers = grants.iter().map(|grant| transfer(grant)).collect();
        let request = PostTransfersRequest {
            parent: format!("communities/{}", community.0),
            transfers,
        };
        let answer = self
            .ledger
            .clone()
            .post_transfers(runtime::request(request, PATIENCE))
            .await?;
        let verdicts = answer.into_inner().verdicts;
        if verdicts.len() == grants.len() {
            Ok(verdicts)
        } else {
            Err(Status::internal(
                "the ledger gave another number of verdicts than it got transfers",
            ))
        }
    }

    /// Does what an approved adjustment says.
    pub(crate) async fn tell_adjustment(
        &self,
        programme: &Programme,
        adjustment: &Adjustment,
    ) -> Told {
        let told = match adjustment.change {
            Change::Points {
                member,
                amount,
                expires_at,
            } => {
                let moved = (member, amount, expires_at);
                self.move_points(programme, adjustment, moved).await
            }
            Change::Budget(budget) => self.set_budget(programme, budget).await,
        };
        told.unwrap_or_else(Told::from)
    }

    async fn move_points(
        &self,
        programme: &Programme,
        adjustment: &Adjustment,
        (member, amount, expires_at): (Uuid, i64, Option<DateTime<Utc>>),
    ) -> Result<Told, Status> {
        self.open_member(programme, member).await?;
        let community = programme.community;
        let issuing = account_id(programme.id, AccountKind::Issuing, None);
        let member = account_id(programme.id, AccountKind::Member, Some(member));
        let (debit, credit) = match amount > 0 {
            true => (issuing, member),
            false => (member, issuing),
        };
        let transfer = Transfer {
            request_id: adjustment.id.to_string(),
            debit_account: account_name(community, debit),
            credit_account: account_name(community, credit),
            amount: amount.saturating_abs(),
            expire_time: expires_at.map(runtime::timestamp),
            linked: false,
            description: format!("adjustment {}", adjustment.id),
        };
        let request = PostTransfersRequest {
            parent: format!("communities/{}", community.0),
            transfers: vec![transfer],
        };
        let request = runtime::request(request, PATIENCE);
        let answer = self.ledger.clone().post_transfers(request).await?;
        let verdict = answer.into_inner().verdicts.into_iter().next();
        Ok(match verdict.and_then(|verdict| verdict.verdict) {
            Some(Verdict::Entry(entry)) => Told::Done(Some(entry.sequence)),
            Some(Verdict::Refusal(refusal)) => match refusal.reason.as_str() {
                "INSUFFICIENT_POINTS" | "LIMIT_EXCEEDED" | "LOT_EXPIRED" => {
                    Told::Refused(refusal.reason)
                }
                reason => Told::Broken(format!("{reason}: {}", refusal.message)),
            },
            None => Told::Broken("the ledger gave no verdict".to_owned()),
        })
    }

    /// Sets the second line of a programme's budget: the limit of its issuing account.
    async fn set_budget(&self, programme: &Programme, budget: Option<i64>) -> Result<Told, Status> {
        let issuing = account_id(programme.id, AccountKind::Issuing, None);
        let request = UpdateAccountLimitsRequest {
            name: account_name(programme.community, issuing),
            min_balance: budget.map(|budget| -budget),
            max_balance: Some(0),
            ..UpdateAccountLimitsRequest::default()
        };
        let request = runtime::request(request, PATIENCE);
        match self.ledger.clone().update_account_limits(request).await {
            Ok(_) => Ok(Told::Done(None)),
            Err(status) => match runtime::reason_of(&status) {
                Some(reason) if reason == "LIMIT_EXCEEDED" => Ok(Told::Refused(reason)),
                _ => Err(status),
            },
        }
    }

    /// A page of a programme's lots that expire before an instant, and the token of the next page.
    pub(crate) async fn expiring_lots(
        &self,
        programme: &Programme,
        end: DateTime<Utc>,
        page_token: String,
    ) -> Result<(Vec<ExpiringLot>, String), Status> {
        let request = ListExpiringLotsRequest {
            parent: format!("communities/{}", programme.community.0),
            programme: programme_name(programme),
            end_time: Some(runtime::timestamp(end)),
            page_size: PAGE,
            page_token,
            ..ListExpiringLotsRequest::default()
        };
        let request = runtime::request(request, PATIENCE);
        let page = self.ledger.clone().list_expiring_lots(request).await?;
        let page = page.into_inner();
        let lots = page.lots.into_iter().map(|lot| {
            Ok(ExpiringLot {
                account: account_of(&lot.account)?,
                expires_at: instant(lot.expire_time)?,
                remaining: lot.remaining,
                held: lot.held,
            })
        });
        Ok((lots.collect::<Result<_, Status>>()?, page.next_page_token))
    }

    /// A page of what has expired in a programme behind an entry, and the token of the next page.
    pub(crate) async fn expired_points(
        &self,
        programme: &Programme,
        after_sequence: i64,
        page_token: String,
    ) -> Result<(Vec<Expired>, String), Status> {
        let expired = account_id(programme.id, AccountKind::Expired, None);
        let request = ListEntriesRequest {
            parent: format!("communities/{}", programme.community.0),
            account: account_name(programme.community, expired),
            after_sequence,
            page_size: PAGE,
            page_token,
            kinds: vec![EntryKind::LotExpiry.into()],
            ..ListEntriesRequest::default()
        };
        let request = runtime::request(request, PATIENCE);
        let page = self
            .ledger
            .clone()
            .list_entries(request)
            .await?
            .into_inner();
        let entries = page.entries.into_iter().map(|entry| {
            Ok(Expired {
                entry: entry.sequence,
                account: account_of(&entry.debit_account)?,
                amount: entry.amount,
                expires_at: instant(entry.expire_time)?,
            })
        });
        Ok((
            entries.collect::<Result<_, Status>>()?,
            page.next_page_token,
        ))
    }

    /// Takes a posted grant back as far as the points are still there, and returns how many were.
    pub(crate) async fn reverse_grant(&self, grant: &Grant, entry: i64) -> Result<i64, Status> {
        let request = ReverseEntryRequest {
            name: format!("communities/{}/entries/{entry}", grant.community.0),
            request_id: Uuid::new_v5(&grant.id, b"revoke").to_string(),
            amount: grant.amount,
            allow_partial: true,
            description: format!("revoked service {}", grant.record),
        };
        let answer = self
            .ledger
            .clone()
            .reverse_entry(runtime::request(request, PATIENCE))
            .await;
        match answer {
            Ok(reversal) => Ok(reversal.into_inner().amount),
            Err(refused)
                if runtime::reason_of(&refused).as_deref() == Some("INSUFFICIENT_POINTS") =>
            {
                Ok(0)
            }
            Err(status) => Err(status),
        }
    }
}

fn transfer(grant: &Grant) -> Transfer {
    let issuing = account_id(grant.programme, AccountKind::Issuing, None);
    let member = account_id(grant.programme, AccountKind::Member, Some(grant.member));
    Transfer {
        request_id: grant.posting_id().to_string(),
        debit_account: account_name(grant.community, issuing),
        credit_account: account_name(grant.community, member),
        amount: grant.amount,
        expire_time: grant.expires_at.map(runtime::timestamp),
        linked: false,
        description: format!("service {}", grant.record),
    }
}

fn account(programme: &Programme, kind: AccountKind, owner: Option<Uuid>) -> Account {
    Account {
        programme: programme_name(programme),
        asset: programme.asset.clone(),
        kind: kind.into(),
        owner: owner.map(|owner| owner.to_string()).unwrap_or_default(),
        ..Account::default()
    }
}

fn open_request(programme: &Programme, id: Uuid, account: Account) -> CreateAccountRequest {
    CreateAccountRequest {
        parent: format!("communities/{}", programme.community.0),
        account_id: id.to_string(),
        account: Some(account),
    }
}

fn programme_name(programme: &Programme) -> String {
    format!(
        "communities/{}/programmes/{}",
        programme.community.0, programme.id
    )
}

/// The account that the ledger names.
fn account_of(name: &str) -> Result<Uuid, Status> {
    let id = name.rsplit('/').next().and_then(|id| id.parse().ok());
    id.ok_or_else(|| Status::internal(format!("the ledger names no account: {name}")))
}

fn instant(time: Option<prost_types::Timestamp>) -> Result<DateTime<Utc>, Status> {
    let read = time
        .and_then(|time| DateTime::from_timestamp(time.seconds, u32::try_from(time.nanos).ok()?));
    read.ok_or_else(|| Status::internal("the ledger names no time"))
}

fn account_name(community: Community, account: Uuid) -> String {
    format!("communities/{}/accounts/{account}", community.0)
}
