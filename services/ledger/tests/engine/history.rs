//! What follows from a list of entries, recomputed whenever it is asked for.

use chrono::{DateTime, Utc};

use super::domain::{
    AccountDefinition, AccountId, Command, Entry, EntryKind, Hold, HoldState, Lot, NEVER, Refusal,
    Request, RequestId,
};

pub type Time = DateTime<Utc>;

/// The books after some entries.
#[derive(Clone, Copy, Debug)]
pub struct Books<'a> {
    pub accounts: &'a [AccountDefinition],
    pub entries: &'a [Entry],
}

impl<'a> Books<'a> {
    pub fn definition(&self, id: AccountId) -> Result<&'a AccountDefinition, Refusal> {
        let found = self.accounts.iter().find(|account| account.id == id);
        found.ok_or(Refusal::AccountNotFound { account: id })
    }

    pub fn keeps_lots(&self, id: AccountId) -> bool {
        self.definition(id)
            .is_ok_and(|account| account.expiry_account.is_some())
    }

    /// The entries that changed an account.
    pub fn statement(&self, id: AccountId) -> impl Iterator<Item = &'a Entry> {
        let changed = move |entry: &&Entry| {
            entry.debit == id || (entry.credit == id && moves_points(entry.kind))
        };
        self.entries.iter().filter(changed)
    }

    pub fn balance(&self, id: AccountId) -> i64 {
        let moved = self.statement(id).filter(|entry| moves_points(entry.kind));
        moved
            .map(|entry| {
                if entry.debit == id {
                    -entry.amount
                } else {
                    entry.amount
                }
            })
            .sum()
    }

    pub fn held(&self, id: AccountId) -> i64 {
        let made = self
            .statement(id)
            .filter(|entry| entry.kind == EntryKind::Hold);
        made.map(|made| {
            let given: i64 = self.about(made).map(|entry| entry.amount).sum();
            made.amount - given
        })
        .sum()
    }

    pub fn about(&self, entry: &Entry) -> impl Iterator<Item = &'a Entry> {
        let sequence = entry.sequence;
        self.entries
            .iter()
            .filter(move |entry| entry.related == Some(sequence))
    }

    /// The lots with something in them, by expiry.
    pub fn lots(&self, id: AccountId) -> Vec<(Time, Lot)> {
        let mut lots: Vec<(Time, Lot)> = vec![];
        if !self.keeps_lots(id) {
            return lots;
        }
        let mut change = |expires_at, remaining, held| {
            let there = lots.iter_mut().find(|(at, _)| *at == expires_at);
            match there {
                Some((_, lot)) => {
                    lot.remaining += remaining;
                    lot.held += held;
                }
                None => lots.push((expires_at, Lot { remaining, held })),
            }
        };
        for entry in self.statement(id) {
            let into = entry
                .expires_at
                .filter(|_| entry.kind == EntryKind::Transfer);
            if entry.credit == id && entry.kind != EntryKind::Reversal {
                change(into.unwrap_or(NEVER), entry.amount, 0);
                continue;
            }
            for part in &entry.allocations {
                let (remaining, held) = match entry.kind {
                    EntryKind::Reversal if entry.credit == id => (1, 0),
                    EntryKind::Transfer | EntryKind::LotExpiry | EntryKind::Reversal => (-1, 0),
                    EntryKind::Hold => (-1, 1),
                    EntryKind::Capture => (0, -1),
                    EntryKind::Release | EntryKind::HoldExpiry => (1, -1),
                };
                change(part.expires_at, remaining * part.amount, held * part.amount);
            }
        }
        lots.retain(|(_, lot)| lot.remaining != 0 || lot.held != 0);
        lots.sort_by_key(|(expires_at, _)| *expires_at);
        lots
    }

    pub fn expired(&self, id: AccountId, now: Time) -> i64 {
        let lots = self.lots(id).into_iter();
        let over = lots.filter(|(expires_at, _)| *expires_at <= now);
        over.map(|(_, lot)| lot.remaining).sum()
    }

    /// The hold of a request, with what became of it.
    pub fn hold(&self, id: RequestId) -> Option<Hold> {
        let made = self.hold_entry(id)?;
        let sum = |kinds: &[EntryKind]| {
            let those = self.about(made).filter(|entry| kinds.contains(&entry.kind));
            those.map(|entry| entry.amount).sum::<i64>()
        };
        let captured = sum(&[EntryKind::Capture]);
        let released = sum(&[EntryKind::Release, EntryKind::HoldExpiry]);
        let state = match self.about(made).last() {
            Some(last) if captured + released == made.amount => match last.kind {
                EntryKind::HoldExpiry => HoldState::Expired,
                EntryKind::Release if last.request.is_some() => HoldState::Released,
                _ => HoldState::Captured,
            },
            _ => HoldState::Open,
        };
        Some(Hold {
            id,
            sequence: made.sequence,
            debit: made.debit,
            credit: made.credit,
            amount: made.amount,
            captured,
            released,
            state,
            expires_at: made.expires_at?,
            created_at: made.recorded_at,
        })
    }

    pub fn hold_entry(&self, id: RequestId) -> Option<&'a Entry> {
        let named = |entry: &&Entry| {
            entry.kind == EntryKind::Hold && entry.request.map(|(id, _)| id) == Some(id)
        };
        self.entries.iter().find(named)
    }

    /// What a sweep asks for: holds whose time is over, then lots.
    pub fn due(&self, clock: Time) -> Vec<Request> {
        let made = self
            .entries
            .iter()
            .filter(|entry| entry.kind == EntryKind::Hold);
        let named = made.filter_map(|entry| self.hold(entry.request?.0));
        let over = named.filter(|hold| hold.state == HoldState::Open && hold.expires_at <= clock);
        let mut holds: Vec<(Time, RequestId)> = over.map(|it| (it.expires_at, it.id)).collect();
        holds.sort();
        let mut lots: Vec<(Time, AccountId)> = vec![];
        for account in self.accounts {
            for (expires_at, lot) in self.lots(account.id) {
                if expires_at <= clock && lot.remaining > 0 {
                    lots.push((expires_at, account.id));
                }
            }
        }
        lots.sort();
        let holds = holds.into_iter().map(|(_, id)| Command::ExpireHold(id));
        let lots = lots.into_iter().map(|(at, id)| Command::ExpireLot(id, at));
        holds.chain(lots).map(Request::own).collect()
    }
}

pub fn moves_points(kind: EntryKind) -> bool {
    !matches!(
        kind,
        EntryKind::Hold | EntryKind::Release | EntryKind::HoldExpiry
    )
}
