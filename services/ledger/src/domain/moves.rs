//! What each command does to the book: look, decide, move. Everything that can be refused is refused before anything is changed.

use chrono::{DateTime, Utc};

use super::{
    AccountId, Allocation, Book, CaptureHold, CreateHold, EntryKind, Hold, HoldState, NEVER,
    Original, Posting, Refusal, RequestId, ReverseEntry, Transfer,
    book::{Draft, Identity},
    lots::slice,
};

impl Book {
    pub(super) fn transfer(
        &mut self,
        transfer: &Transfer,
        identity: Identity,
    ) -> Result<i64, Refusal> {
        let posting = &transfer.posting;
        let (_, credit) = self.parties(posting)?;
        if let Some(expire_time) = transfer.expires_at {
            if !credit.keeps_lots() {
                return Err(Refusal::LotsNotKept {
                    account: credit.id(),
                });
            }
            if expire_time <= self.now {
                return Err(Refusal::LotExpired {
                    expire_time,
                    now: self.now,
                });
            }
        }
        let allocations = self.payment(posting, None)?;
        self.require_room(posting)?;
        self.debit(posting, &allocations);
        let into = Allocation {
            expires_at: transfer.expires_at.unwrap_or(NEVER),
            amount: posting.amount,
        };
        self.credit(posting, &[into]);
        Ok(self.post(
            Draft {
                kind: EntryKind::Transfer,
                is_final: false,
                posting: posting.clone(),
                expires_at: transfer.expires_at,
                related: None,
                allocations,
                description: transfer.description.clone(),
            },
            identity,
        ))
    }

    pub(super) fn create_hold(
        &mut self,
        hold: &CreateHold,
        identity: Identity,
    ) -> Result<i64, Refusal> {
        let posting = &hold.posting;
        self.parties(posting)?;
        if hold.expires_at <= self.now {
            return Err(Refusal::HoldExpired {
                expire_time: hold.expires_at,
                now: self.now,
            });
        }
        let allocations = self.payment(posting, None)?;
        self.change(posting.debit, |account| {
            account.held += posting.amount;
            allocations.iter().for_each(|part| account.lots.hold(*part));
        });
        self.touch_lots(posting.debit, &allocations);
        let id = identity
            .map(|(id, _)| id)
            .expect("a hold is asked for by a caller");
        let sequence = self.post(
            Draft {
                kind: EntryKind::Hold,
                is_final: false,
                posting: posting.clone(),
                expires_at: Some(hold.expires_at),
                related: None,
                allocations: allocations.clone(),
                description: hold.description.clone(),
            },
            identity,
        );
        let hold = Hold {
            id,
            sequence,
            debit: posting.debit,
            credit: posting.credit,
            amount: posting.amount,
            captured: 0,
            released: 0,
            state: HoldState::Open,
            expires_at: hold.expires_at,
            created_at: self.now,
        };
        self.holds.insert(id, (hold, allocations));
        self.changes.holds.insert(id);
        Ok(sequence)
    }

    pub(super) fn capture_hold(
        &mut self,
        capture: &CaptureHold,
        identity: Identity,
    ) -> Result<i64, Refusal> {
        let (mut hold, held) = self.open_hold(capture.hold)?;
        if hold.expires_at <= self.now {
            return Err(Refusal::HoldExpired {
                expire_time: hold.expires_at,
                now: self.now,
            });
        }
        if capture.amount > hold.left() {
            return Err(Refusal::AmountExceedsHeld {
                held: hold.left(),
                asked: capture.amount,
            });
        }
        let posting = Posting {
            debit: hold.debit,
            credit: capture.credit.unwrap_or(hold.credit),
            amount: capture.amount,
        };
        if let Some(credit) = capture.credit {
            if [hold.debit, hold.credit].contains(&credit) {
                return Err(Refusal::NotAnotherAccount { account: credit });
            }
            self.parties(&posting)?;
        }
        self.require_room(&posting)?;
        let parts = slice(held.iter().copied(), hold.captured, capture.amount);
        self.change(hold.debit, |account| {
            account.held -= capture.amount;
            account.balance -= capture.amount;
            parts.iter().for_each(|part| account.lots.capture(*part));
        });
        self.touch_lots(hold.debit, &parts);
        self.credit(
            &posting,
            &[Allocation {
                expires_at: NEVER,
                amount: capture.amount,
            }],
        );
        let sequence = self.post(
            Draft {
                kind: EntryKind::Capture,
                is_final: capture.is_final,
                posting,
                expires_at: None,
                related: Some(hold.sequence),
                allocations: parts,
                description: capture.description.clone(),
            },
            identity,
        );
        hold.captured += capture.amount;
        if hold.left() == 0 {
            hold.state = HoldState::Captured;
        }
        let remainder = hold.left();
        self.holds.insert(hold.id, (hold, held));
        self.changes.holds.insert(capture.hold);
        if capture.is_final && remainder > 0 {
            self.give_back(capture.hold, EntryKind::Release, HoldState::Captured, None);
        }
        Ok(sequence)
    }

    pub(super) fn end_hold(
        &mut self,
        id: RequestId,
        kind: EntryKind,
        identity: Identity,
    ) -> Result<i64, Refusal> {
        let (hold, _) = self.open_hold(id)?;
        if kind == EntryKind::HoldExpiry && hold.expires_at > self.now {
            return Err(Refusal::HoldNotExpired {
                expire_time: hold.expires_at,
                now: self.now,
            });
        }
        let state = match kind {
            EntryKind::HoldExpiry => HoldState::Expired,
            _ => HoldState::Released,
        };
        Ok(self.give_back(id, kind, state, identity))
    }

    fn give_back(
        &mut self,
        id: RequestId,
        kind: EntryKind,
        state: HoldState,
        identity: Identity,
    ) -> i64 {
        let (mut hold, held) = self
            .holds
            .get(&id)
            .cloned()
            .expect("the hold was looked up before");
        let left = hold.left();
        let parts = slice(held.iter().copied(), hold.captured, left);
        self.change(hold.debit, |account| {
            account.held -= left;
            parts.iter().for_each(|part| account.lots.release(*part));
        });
        self.touch_lots(hold.debit, &parts);
        let sequence = self.post(
            Draft {
                kind,
                is_final: false,
                posting: Posting {
                    debit: hold.debit,
                    credit: hold.credit,
                    amount: left,
                },
                expires_at: None,
                related: Some(hold.sequence),
                allocations: parts,
                description: String::new(),
            },
            identity,
        );
        hold.released += left;
        hold.state = state;
        self.holds.insert(id, (hold, held));
        self.changes.holds.insert(id);
        sequence
    }

    pub(super) fn reverse_entry(
        &mut self,
        reverse: &ReverseEntry,
        identity: Identity,
    ) -> Result<i64, Refusal> {
        let sequence = reverse.sequence;
        let original = self.original(sequence)?;
        if !matches!(
            original.entry.kind,
            EntryKind::Transfer | EntryKind::Capture
        ) {
            return Err(Refusal::NotReversible { sequence });
        }
        let reversible = original.entry.amount - original.reversed;
        if reverse.amount > reversible {
            return Err(Refusal::AmountExceedsOriginal {
                reversible,
                asked: reverse.amount,
            });
        }
        let mut posting = Posting {
            debit: original.entry.credit,
            credit: original.entry.debit,
            amount: reverse.amount,
        };
        let (giver, _) = self.parties(&posting)?;
        let available = giver.available(self.now);
        if reverse.allow_partial && available > 0 {
            posting.amount = posting.amount.min(available);
        }
        let made = original.entry.expires_at.unwrap_or(NEVER);
        let taken = self.payment(&posting, Some(made))?;
        self.require_room(&posting)?;
        // What was taken last goes back first; what earlier reversals gave back is skipped.
        let paid = original.entry.allocations.iter().rev().copied();
        let returned = slice(paid, original.reversed, posting.amount);
        self.debit(&posting, &taken);
        self.credit(&posting, &returned);
        let amount = posting.amount;
        let posted = self.post(
            Draft {
                kind: EntryKind::Reversal,
                is_final: false,
                posting,
                expires_at: None,
                related: Some(sequence),
                allocations: if taken.is_empty() { returned } else { taken },
                description: reverse.description.clone(),
            },
            identity,
        );
        let reversed = original.reversed + amount;
        let original = Original {
            reversed,
            ..original
        };
        self.originals.insert(sequence, original);
        Ok(posted)
    }

    /// The entry to reverse: one that was there before the batch, or one of its own.
    fn original(&self, sequence: i64) -> Result<Original, Refusal> {
        let own = || {
            let first = self.changes.entries.first()?.sequence;
            let index = usize::try_from(sequence.checked_sub(first)?).ok()?;
            let entry = self.changes.entries.get(index)?.clone();
            Some(Original { entry, reversed: 0 })
        };
        self.originals
            .get(&sequence)
            .cloned()
            .or_else(own)
            .ok_or(Refusal::EntryNotFound { sequence })
    }

    pub(super) fn expire_lot(
        &mut self,
        id: AccountId,
        expires_at: DateTime<Utc>,
        identity: Identity,
    ) -> Result<i64, Refusal> {
        let account = self.account(id)?;
        let amount = account.lots.get(expires_at).remaining;
        let credit = account
            .definition
            .expiry_account
            .ok_or(Refusal::LotsNotKept { account: id })?;
        if amount == 0 || expires_at > self.now {
            return Err(Refusal::InsufficientPoints {
                available: 0,
                asked: amount,
            });
        }
        let posting = Posting {
            debit: id,
            credit,
            amount,
        };
        self.parties(&posting)?;
        self.require_room(&posting)?;
        let parts = vec![Allocation { expires_at, amount }];
        self.debit(&posting, &parts);
        self.credit(&posting, &[]);
        Ok(self.post(
            Draft {
                kind: EntryKind::LotExpiry,
                is_final: false,
                posting,
                expires_at: Some(expires_at),
                related: None,
                allocations: parts,
                description: String::new(),
            },
            identity,
        ))
    }
}
