//! A batch of requests, applied one after another to what they touch.
//!
//! The same requests applied in one batch or one by one, in the same order, get the same answers and leave the same state. A refusal
//! changes nothing but the answers.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::{
    Account, AccountId, Allocation, Command, Entry, EntryKind, Fingerprint, Hold, HoldState,
    Posting, Refusal, Request, RequestId,
};

/// How many entries of an account make a page of its statement.
pub const STATEMENT_PAGE: i64 = 128;

/// Things by their ids. A transfer looks some fifteen of them up, and takes half the time with this hash of the time it takes with the
/// standard library's; it is seeded as well.
pub type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It made this entry.
    Posted(i64),
    /// It changed nothing.
    Refused(Refusal),
}

/// The answer that an earlier request with the same id got.
#[derive(Clone, Debug)]
pub struct Known {
    /// Of what was asked then.
    pub fingerprint: Fingerprint,
    /// What came of it.
    pub answer: Answer,
}

/// An entry that a request wants reversed.
#[derive(Clone, Debug)]
pub struct Original {
    /// The entry.
    pub entry: Entry,
    /// How much of it has been reversed so far.
    pub reversed: i64,
}

/// What must be written after a batch.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// New entries, by sequence.
    pub entries: Vec<Entry>,
    /// New refusals with the fingerprints of what was asked.
    pub refusals: Vec<(RequestId, Fingerprint, Refusal)>,
    /// Lots that changed, as often as they did.
    pub lots: Vec<(AccountId, DateTime<Utc>)>,
    /// Entries where a page of an account's statement ends.
    pub pages: Vec<(AccountId, i64)>,
    /// Holds that changed or are new.
    pub holds: BTreeSet<RequestId>,
    /// Holds as a capture or a release left them, by the sequence of its entry.
    pub answered: Map<i64, Hold>,
}

impl Changes {
    /// The accounts that changed, in order: every change of an account is an entry.
    pub fn accounts(&self) -> Vec<AccountId> {
        let moved = |entry: &Entry| entry.kind.moves().then_some(entry.credit);
        let changed = |entry: &Entry| [Some(entry.debit), moved(entry)].into_iter().flatten();
        let mut accounts: Vec<AccountId> = self.entries.iter().flat_map(changed).collect();
        accounts.sort_unstable();
        accounts.dedup();
        accounts
    }

    /// The lots that changed, in order.
    pub fn lots(&self) -> Vec<(AccountId, DateTime<Utc>)> {
        let mut lots = self.lots.clone();
        lots.sort_unstable();
        lots.dedup();
        lots
    }
}

/// Everything a batch of requests touches.
#[derive(Clone, Debug)]
pub struct Book {
    /// The instant of the batch, not before that of the last entry.
    pub now: DateTime<Utc>,
    /// Of the next entry.
    pub next_sequence: i64,
    /// By id.
    pub accounts: Map<AccountId, Account>,
    /// By id, with the lots they reserve.
    pub holds: Map<RequestId, (Hold, Vec<Allocation>)>,
    /// By sequence.
    pub originals: Map<i64, Original>,
    /// By id.
    pub known: Map<RequestId, Known>,
    /// What must be written.
    pub changes: Changes,
    /// The accounts as they were before the chain that is being applied; `None` outside a chain.
    saved: Option<Vec<Account>>,
}

/// An entry without what the book adds to it.
pub(super) struct Draft {
    pub(super) kind: EntryKind,
    pub(super) is_final: bool,
    pub(super) posting: Posting,
    pub(super) expires_at: Option<DateTime<Utc>>,
    pub(super) related: Option<i64>,
    pub(super) allocations: Vec<Allocation>,
    pub(super) description: String,
}

pub(super) type Identity = Option<(RequestId, Fingerprint)>;

impl Book {
    /// An empty book at an instant.
    pub fn new(now: DateTime<Utc>, next_sequence: i64) -> Self {
        Self {
            now,
            next_sequence,
            accounts: Map::default(),
            holds: Map::default(),
            originals: Map::default(),
            known: Map::default(),
            changes: Changes::default(),
            saved: None,
        }
    }

    /// Applies the requests in order; one answer each.
    pub fn apply(&mut self, requests: &[Request]) -> Vec<Answer> {
        self.known.reserve(requests.len());
        self.changes.entries.reserve(requests.len());
        requests
            .chunk_by(|request, _| request.linked)
            .flat_map(|chain| match chain {
                [alone] => vec![self.apply_one(alone)],
                chain => self.apply_chain(chain),
            })
            .collect()
    }

    fn apply_one(&mut self, request: &Request) -> Answer {
        if let Some(answer) = self.earlier_answer(request) {
            return answer;
        }
        match self.decide(request) {
            Ok(sequence) => self.remember(request, Answer::Posted(sequence)),
            Err(refusal) => self.refuse(request, refusal),
        }
    }

    fn apply_chain(&mut self, chain: &[Request]) -> Vec<Answer> {
        if chain
            .iter()
            .any(|request| self.earlier_answer(request).is_some())
        {
            // Repeated as a whole: everyone has an answer. Otherwise an id was used before and the chain can't post together.
            return chain
                .iter()
                .map(|request| {
                    self.earlier_answer(request)
                        .unwrap_or_else(|| self.refuse(request, Refusal::LinkedTransferFailed))
                })
                .collect();
        }
        let Changes {
            entries,
            lots,
            pages,
            ..
        } = &self.changes;
        let (entries, lots, pages) = (entries.len(), lots.len(), pages.len());
        let next_sequence = self.next_sequence;
        self.saved = Some(Vec::new());
        let mut decided: Vec<Result<i64, Refusal>> = Vec::new();
        let mut ids = HashSet::new();
        for request in chain {
            let is_twin = !ids.insert(request.id());
            let result = if is_twin {
                Err(Refusal::LinkedTransferFailed)
            } else {
                self.decide(request)
            };
            let failed = result.is_err();
            decided.push(result);
            if failed {
                break;
            }
        }
        let saved = self.saved.take().unwrap_or_default();
        let Some(Err(refusal)) = decided.last().cloned() else {
            let sequences = decided.into_iter().flatten();
            return chain
                .iter()
                .zip(sequences)
                .map(|(request, sequence)| self.remember(request, Answer::Posted(sequence)))
                .collect();
        };
        self.changes.entries.truncate(entries);
        self.changes.lots.truncate(lots);
        self.changes.pages.truncate(pages);
        self.next_sequence = next_sequence;
        // The oldest copy of an account is the one from before the chain.
        for account in saved.into_iter().rev() {
            self.accounts.insert(account.id(), account);
        }
        let culprit = decided.len() - 1;
        chain
            .iter()
            .enumerate()
            .map(|(index, request)| {
                // The second of two with one id gets what it will get when the chain is repeated.
                self.earlier_answer(request).unwrap_or_else(|| {
                    let refusal = (index == culprit).then(|| refusal.clone());
                    self.refuse(request, refusal.unwrap_or(Refusal::LinkedTransferFailed))
                })
            })
            .collect()
    }

    fn earlier_answer(&self, request: &Request) -> Option<Answer> {
        let (id, fingerprint) = request.identity?;
        let known = self.known.get(&id)?;
        Some(if known.fingerprint == fingerprint {
            known.answer.clone()
        } else {
            Answer::Refused(Refusal::RequestIdReused { request_id: id.0 })
        })
    }

    fn remember(&mut self, request: &Request, answer: Answer) -> Answer {
        if let Some((id, fingerprint)) = request.identity {
            let known = Known {
                fingerprint,
                answer: answer.clone(),
            };
            self.known.insert(id, known);
        }
        answer
    }

    fn refuse(&mut self, request: &Request, refusal: Refusal) -> Answer {
        if let Some((id, fingerprint)) = request.identity {
            self.changes
                .refusals
                .push((id, fingerprint, refusal.clone()));
        }
        self.remember(request, Answer::Refused(refusal))
    }

    fn decide(&mut self, request: &Request) -> Result<i64, Refusal> {
        let identity = request.identity;
        match &request.command {
            Command::Transfer(transfer) => self.transfer(transfer, identity),
            Command::CreateHold(hold) => self.create_hold(hold, identity),
            Command::CaptureHold(capture) => {
                let sequence = self.capture_hold(capture, identity)?;
                Ok(self.answered(sequence, capture.hold))
            }
            Command::ReleaseHold(release) => {
                let sequence = self.end_hold(release.hold, EntryKind::Release, identity)?;
                Ok(self.answered(sequence, release.hold))
            }
            Command::ReverseEntry(reverse) => self.reverse_entry(reverse, identity),
            Command::ExpireHold(hold) => self.end_hold(*hold, EntryKind::HoldExpiry, identity),
            Command::ExpireLot(account, expires_at) => {
                self.expire_lot(*account, *expires_at, identity)
            }
        }
    }

    /// Keeps the hold as it stands for the answer to the request that posted `sequence`; a later one of the batch may change it.
    fn answered(&mut self, sequence: i64, hold: RequestId) -> i64 {
        if let Some((hold, _)) = self.holds.get(&hold) {
            self.changes.answered.insert(sequence, hold.clone());
        }
        sequence
    }

    pub(super) fn account(&self, id: AccountId) -> Result<&Account, Refusal> {
        self.accounts
            .get(&id)
            .ok_or(Refusal::AccountNotFound { account: id })
    }

    pub(super) fn parties(&self, posting: &Posting) -> Result<(&Account, &Account), Refusal> {
        let (debit, credit) = (self.account(posting.debit)?, self.account(posting.credit)?);
        let (from, to) = (&debit.definition, &credit.definition);
        if (from.programme, &from.asset) != (to.programme, &to.asset) {
            return Err(Refusal::AssetMismatch {
                debit: from.asset.clone(),
                credit: to.asset.clone(),
            });
        }
        if debit.keeps_lots() && credit.keeps_lots() {
            return Err(Refusal::LotsOnBothSides);
        }
        Ok((debit, credit))
    }

    /// Which lots of the debit account pay; none for an account that keeps no lots.
    pub(super) fn payment(
        &self,
        posting: &Posting,
        first: Option<DateTime<Utc>>,
    ) -> Result<Vec<Allocation>, Refusal> {
        let account = self.account(posting.debit)?;
        let available = account.available(self.now);
        let too_few = Refusal::InsufficientPoints {
            available,
            asked: posting.amount,
        };
        if available < posting.amount || account.balance.checked_sub(posting.amount).is_none() {
            return Err(too_few);
        }
        if !account.keeps_lots() {
            return Ok(Vec::new());
        }
        account
            .lots
            .choose(posting.amount, first, self.now)
            .ok_or(too_few)
    }

    pub(super) fn require_room(&self, posting: &Posting) -> Result<(), Refusal> {
        let account = self.account(posting.credit)?;
        let room = account.room(self.now);
        if room < posting.amount || account.balance.checked_add(posting.amount).is_none() {
            return Err(Refusal::LimitExceeded {
                room: room.max(0),
                asked: posting.amount,
            });
        }
        Ok(())
    }

    pub(super) fn debit(&mut self, posting: &Posting, parts: &[Allocation]) {
        self.change(posting.debit, |account| {
            account.balance -= posting.amount;
            parts.iter().for_each(|part| account.lots.take(*part));
        });
        self.touch_lots(posting.debit, parts);
    }

    pub(super) fn credit(&mut self, posting: &Posting, parts: &[Allocation]) {
        let keeps_lots = self
            .accounts
            .get(&posting.credit)
            .is_some_and(Account::keeps_lots);
        let parts = if keeps_lots { parts } else { &[] };
        self.change(posting.credit, |account| {
            account.balance += posting.amount;
            parts.iter().for_each(|part| account.lots.put(*part));
        });
        self.touch_lots(posting.credit, parts);
    }

    pub(super) fn change(&mut self, id: AccountId, change: impl FnOnce(&mut Account)) {
        let account = self
            .accounts
            .get_mut(&id)
            .expect("the account was looked up before");
        if let Some(saved) = &mut self.saved {
            saved.push(account.clone());
        }
        change(account);
        account.revision += 1;
    }

    pub(super) fn touch_lots(&mut self, id: AccountId, parts: &[Allocation]) {
        if self.accounts.get(&id).is_some_and(Account::keeps_lots) {
            self.changes
                .lots
                .extend(parts.iter().map(|part| (id, part.expires_at)));
        }
    }

    pub(super) fn open_hold(&self, id: RequestId) -> Result<(Hold, Vec<Allocation>), Refusal> {
        let (hold, parts) = self
            .holds
            .get(&id)
            .cloned()
            .ok_or(Refusal::HoldNotFound { hold: id.0 })?;
        match hold.state {
            HoldState::Open => Ok((hold, parts)),
            HoldState::Expired => Err(Refusal::HoldExpired {
                expire_time: hold.expires_at,
                now: self.now,
            }),
            HoldState::Captured | HoldState::Released => Err(Refusal::HoldClosed {
                captured: hold.captured,
                released: hold.released,
            }),
        }
    }

    pub(super) fn post(&mut self, draft: Draft, request: Identity) -> i64 {
        let sequence = self.next_sequence;
        let (debit, credit) = (draft.posting.debit, draft.posting.credit);
        let debit_previous = self.enter(debit);
        let credit_previous = if draft.kind.moves() {
            self.enter(credit)
        } else {
            0
        };
        let balance = |id: AccountId| self.accounts.get(&id).map_or(0, |account| account.balance);
        self.changes.entries.push(Entry {
            sequence,
            kind: draft.kind,
            is_final: draft.is_final,
            request,
            debit,
            credit,
            amount: draft.posting.amount,
            debit_balance: balance(debit),
            credit_balance: balance(credit),
            debit_previous,
            credit_previous,
            expires_at: draft.expires_at,
            related: draft.related,
            allocations: draft.allocations,
            description: draft.description,
            recorded_at: self.now,
        });
        self.next_sequence += 1;
        sequence
    }

    /// Puts the next entry at the head of an account's statement and returns the one before it.
    fn enter(&mut self, id: AccountId) -> i64 {
        let account = self
            .accounts
            .get_mut(&id)
            .expect("the account was looked up before");
        account.entries += 1;
        if account.entries % STATEMENT_PAGE == 0 {
            self.changes.pages.push((id, self.next_sequence));
        }
        std::mem::replace(&mut account.last_sequence, self.next_sequence)
    }
}
