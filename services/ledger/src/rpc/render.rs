//! Domain values as messages of the contract.

use chrono::{DateTime, Utc};
use proto::ledger::v1 as pb;
use runtime::timestamp;
use uuid::Uuid;

use super::status::refusal_message;
use crate::{
    AccountBalance, ExpiringLot, Outcome, ScheduledExpiry,
    accounts::TrialBalance,
    domain::{
        Account, AccountId, AccountKind, Allocation, Asset, CommunityId, Entry, EntryKind, Hold,
        HoldState, NEVER,
    },
};

/// Renders what belongs to one community.
#[derive(Clone, Copy)]
pub struct Community(pub CommunityId);

impl Community {
    fn name(self, collection: &str, id: &str) -> String {
        let mut text = Uuid::encode_buffer();
        let community = self.0.0.hyphenated().encode_lower(&mut text);
        ["communities/", community, "/", collection, "/", id].concat()
    }

    fn name_of(self, collection: &str, id: Uuid) -> String {
        self.name(
            collection,
            id.hyphenated().encode_lower(&mut Uuid::encode_buffer()),
        )
    }

    fn account_name(self, id: AccountId) -> String {
        self.name_of("accounts", id.0)
    }

    fn entry_name(self, sequence: i64) -> String {
        self.name("entries", &sequence.to_string())
    }

    pub fn asset(self, asset: Asset) -> pb::Asset {
        pb::Asset {
            name: self.name("assets", &asset.code),
            code: asset.code,
            exponent: i32::from(asset.exponent),
            create_time: Some(timestamp(asset.created_at)),
        }
    }

    pub fn account(self, account: Account, now: DateTime<Utc>) -> pb::Account {
        let available = account.available(now);
        let lots = account
            .lots
            .iter()
            .filter(|(_, lot)| lot.remaining > 0 || lot.held > 0);
        let lots = lots
            .map(|(expires_at, lot)| pb::Lot {
                expire_time: expiry(expires_at),
                remaining: lot.remaining,
                held: lot.held,
            })
            .collect();
        let definition = account.definition;
        pb::Account {
            name: self.account_name(definition.id),
            programme: self.name_of("programmes", definition.programme),
            asset: definition.asset,
            kind: kind(definition.kind).into(),
            owner: definition
                .owner
                .as_ref()
                .map(Uuid::to_string)
                .unwrap_or_default(),
            expiry_account: definition
                .expiry_account
                .map(|id| self.account_name(id))
                .unwrap_or_default(),
            min_balance: definition.limits.min_balance,
            max_balance: definition.limits.max_balance,
            balance: account.balance,
            held: account.held,
            available,
            lots,
            last_sequence: account.last_sequence,
            etag: account.revision.to_string(),
            create_time: Some(timestamp(account.created_at)),
        }
    }

    pub fn account_balance(self, account: AccountId, at: AccountBalance) -> pb::AccountBalance {
        pb::AccountBalance {
            account: self.account_name(account),
            balance: at.balance,
            sequence: at.sequence,
            last_sequence: at.last_sequence,
        }
    }

    pub fn expiring_lot(self, lot: ExpiringLot) -> pb::ExpiringLot {
        pb::ExpiringLot {
            account: self.account_name(lot.account),
            asset: lot.asset,
            expire_time: Some(timestamp(lot.expires_at)),
            remaining: lot.lot.remaining,
            held: lot.lot.held,
        }
    }

    pub fn verdict(self, outcome: Outcome) -> pb::TransferVerdict {
        let verdict = match outcome {
            Ok(entry) => pb::transfer_verdict::Verdict::Entry(self.entry(entry)),
            Err(refusal) => pb::transfer_verdict::Verdict::Refusal(refusal_message(&refusal)),
        };
        pb::TransferVerdict {
            verdict: Some(verdict),
        }
    }

    pub fn entry(self, entry: Entry) -> pb::Entry {
        pb::Entry {
            name: self.entry_name(entry.sequence),
            sequence: entry.sequence,
            kind: entry_kind(entry.kind).into(),
            request_id: entry
                .request
                .map(|(id, _)| id.0.to_string())
                .unwrap_or_default(),
            debit_account: self.account_name(entry.debit),
            credit_account: self.account_name(entry.credit),
            amount: entry.amount,
            debit_balance: entry.debit_balance,
            credit_balance: entry.credit_balance,
            expire_time: entry.expires_at.and_then(expiry),
            related_entry: entry
                .related
                .map(|sequence| self.entry_name(sequence))
                .unwrap_or_default(),
            allocations: entry.allocations.into_iter().map(allocation).collect(),
            description: entry.description,
            create_time: Some(timestamp(entry.recorded_at)),
        }
    }

    pub fn hold(self, hold: Hold) -> pb::Hold {
        pb::Hold {
            name: self.name_of("holds", hold.id.0),
            debit_account: self.account_name(hold.debit),
            credit_account: self.account_name(hold.credit),
            amount: hold.amount,
            captured: hold.captured,
            released: hold.released,
            state: hold_state(hold.state).into(),
            expire_time: Some(timestamp(hold.expires_at)),
            entry: self.entry_name(hold.sequence),
            create_time: Some(timestamp(hold.created_at)),
        }
    }
}

pub fn scheduled_expiry(expiry: ScheduledExpiry) -> pb::ScheduledExpiry {
    pb::ScheduledExpiry {
        expire_time: Some(timestamp(expiry.expires_at)),
        asset: expiry.asset,
        accounts: expiry.accounts,
        remaining: expiry.sum.remaining,
        held: expiry.sum.held,
    }
}

pub fn trial_balance(balance: TrialBalance) -> pb::TrialBalance {
    let rows = balance.rows.into_iter().map(|row| pb::TrialBalanceRow {
        asset: row.asset,
        kind: kind(row.kind).into(),
        accounts: row.accounts,
        balance: row.balance,
        held: row.held,
    });
    pb::TrialBalance {
        rows: rows.collect(),
        last_sequence: balance.last_sequence,
    }
}

fn expiry(expires_at: DateTime<Utc>) -> Option<prost_types::Timestamp> {
    (expires_at < NEVER).then(|| timestamp(expires_at))
}

fn allocation(part: Allocation) -> pb::LotAllocation {
    pb::LotAllocation {
        expire_time: expiry(part.expires_at),
        amount: part.amount,
    }
}

fn kind(kind: AccountKind) -> pb::AccountKind {
    match kind {
        AccountKind::Issuing => pb::AccountKind::Issuing,
        AccountKind::Expired => pb::AccountKind::Expired,
        AccountKind::Member => pb::AccountKind::Member,
        AccountKind::Merchant => pb::AccountKind::Merchant,
        AccountKind::PaidOut => pb::AccountKind::PaidOut,
        AccountKind::Wish => pb::AccountKind::Wish,
    }
}

fn entry_kind(kind: EntryKind) -> pb::EntryKind {
    match kind {
        EntryKind::Transfer => pb::EntryKind::Transfer,
        EntryKind::Hold => pb::EntryKind::Hold,
        EntryKind::Capture => pb::EntryKind::Capture,
        EntryKind::Release => pb::EntryKind::Release,
        EntryKind::HoldExpiry => pb::EntryKind::HoldExpiry,
        EntryKind::LotExpiry => pb::EntryKind::LotExpiry,
        EntryKind::Reversal => pb::EntryKind::Reversal,
    }
}

fn hold_state(state: HoldState) -> pb::HoldState {
    match state {
        HoldState::Open => pb::HoldState::Open,
        HoldState::Captured => pb::HoldState::Captured,
        HoldState::Released => pb::HoldState::Released,
        HoldState::Expired => pb::HoldState::Expired,
    }
}
