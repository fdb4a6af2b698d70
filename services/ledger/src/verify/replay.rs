//! Puts the entries through the rules again, one by one, and compares what comes out with what is stored.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use uuid::Uuid;

use super::{Report, empty_book, show};
use crate::{
    domain::{
        AccountId, AccountLimits, Answer, Asset, Book, CaptureHold, Command, CreateHold, Entry,
        EntryKind, Hold, Original, Posting, ReleaseHold, Request, RequestId, ReverseEntry,
        Transfer,
    },
    proof::note::ChainHead,
};

/// A change of limits, between two entries.
pub struct LimitChange {
    /// The last entry before it.
    pub sequence: i64,
    /// Whose.
    pub account: AccountId,
    /// From then on.
    pub limits: AccountLimits,
}

/// What the log of definitions says.
pub struct Defined {
    /// By code.
    pub assets: BTreeMap<String, Asset>,
    /// Every account as it was opened, in a book before the first entry.
    pub book: Book,
    /// In order.
    pub limits: VecDeque<LimitChange>,
    /// Of the log.
    pub head: ChainHead,
}

impl Default for Defined {
    fn default() -> Self {
        Self {
            assets: BTreeMap::new(),
            book: empty_book(),
            limits: VecDeque::new(),
            head: ChainHead::default(),
        }
    }
}

/// The state of a journal, entry by entry.
pub struct Replay {
    pub book: Book,
    limits: VecDeque<LimitChange>,
    pub limit_changes: i64,
    pub definitions: i64,
    pub last_sequence: i64,
    /// The release that a final capture posts after itself.
    remainder: Option<Entry>,
    hold_ids: HashMap<i64, RequestId>,
    pub pages: BTreeSet<(Uuid, i64)>,
}

impl Replay {
    pub fn new(defined: Defined) -> Self {
        Self {
            book: defined.book,
            limit_changes: i64::try_from(defined.limits.len()).unwrap_or(i64::MAX),
            limits: defined.limits,
            definitions: defined.head.count,
            last_sequence: 0,
            remainder: None,
            hold_ids: HashMap::new(),
            pages: BTreeSet::new(),
        }
    }

    /// The entries that the next page of the journal reverses.
    pub fn originals(&mut self, originals: Vec<Original>) {
        let by_sequence = |original: Original| (original.entry.sequence, original);
        self.book.originals = originals.into_iter().map(by_sequence).collect();
    }

    /// The holds, as they stand after the last entry.
    pub fn take_holds(&mut self) -> BTreeMap<RequestId, Hold> {
        let holds = std::mem::take(&mut self.book.holds);
        holds
            .into_iter()
            .map(|(id, (hold, _))| (id, hold))
            .collect()
    }

    /// The next entry.
    pub fn entry(&mut self, entry: Entry, report: &mut Report<'_>) {
        let expected = self.last_sequence + 1;
        if entry.sequence < expected {
            report.unexpected("entry", entry.sequence);
            return;
        }
        if entry.sequence > expected {
            let key = match entry.sequence - 1 {
                last if last == expected => format!("{last}"),
                last => format!("{expected} to {last}"),
            };
            report.missing("entry", key);
        }
        self.last_sequence = entry.sequence;
        self.set_limits(entry.sequence);
        if entry.recorded_at < self.book.now {
            let (expected, found) = (format!("{} or later", self.book.now), entry.recorded_at);
            report.differs("entry", entry.sequence, "recorded_at", expected, found);
        }
        self.book.now = entry.recorded_at;
        let recomputed = match self.remainder.take() {
            Some(remainder) => Ok(remainder),
            None => self.post(&entry, report),
        };
        match recomputed {
            Ok(recomputed) => compare(&recomputed, &entry, report),
            Err(why) => {
                report.differs(
                    "entry",
                    entry.sequence,
                    "the rules refuse it",
                    "no such entry",
                    why,
                );
                self.count(&entry);
            }
        }
        self.adopt(&entry);
    }

    /// After the last entry: what was defined since.
    pub fn end(&mut self, report: &mut Report<'_>) {
        self.set_limits(i64::MAX);
        if let Some(remainder) = self.remainder.take() {
            report.missing("entry", remainder.sequence);
        }
    }

    fn set_limits(&mut self, before: i64) {
        while let Some(change) = self.limits.pop_front_if(|change| change.sequence < before) {
            if let Some(account) = self.book.accounts.get_mut(&change.account) {
                account.definition.limits = change.limits;
                account.revision += 1;
            }
        }
    }

    /// What the rules make of what an entry says was asked.
    fn post(&mut self, entry: &Entry, report: &mut Report<'_>) -> Result<Entry, String> {
        let command = self.command(entry)?;
        self.check_fingerprint(entry, &command, report);
        let request = Request {
            identity: entry.request,
            linked: false,
            command,
        };
        self.book.next_sequence = entry.sequence;
        let answer = self.book.apply(&[request]).pop();
        let changes = std::mem::take(&mut self.book.changes);
        self.book.known.clear();
        self.pages.extend(
            changes
                .pages
                .iter()
                .map(|(account, sequence)| (account.0, *sequence)),
        );
        let mut entries = changes.entries.into_iter();
        match (answer, entries.next()) {
            (Some(Answer::Posted(_)), Some(posted)) => {
                self.remainder = entries.next();
                if let (EntryKind::Hold, Some((id, _))) = (posted.kind, posted.request) {
                    self.hold_ids.insert(posted.sequence, id);
                }
                Ok(posted)
            }
            (Some(Answer::Refused(refusal)), _) => Err(refusal.to_string()),
            _ => Err("no entry".to_owned()),
        }
    }

    fn command(&self, entry: &Entry) -> Result<Command, String> {
        let asked = entry.request.is_some();
        let hold = || {
            let id = entry
                .related
                .and_then(|sequence| self.hold_ids.get(&sequence));
            id.copied()
                .ok_or_else(|| format!("there is no hold at {}", show(&entry.related)))
        };
        let posting = Posting {
            debit: entry.debit,
            credit: entry.credit,
            amount: entry.amount,
        };
        let description = entry.description.clone();
        let until = entry
            .expires_at
            .ok_or_else(|| "it has no expires_at".to_owned());
        Ok(match entry.kind {
            EntryKind::LotExpiry if !asked => Command::ExpireLot(entry.debit, until?),
            EntryKind::HoldExpiry if !asked => Command::ExpireHold(hold()?),
            EntryKind::Transfer if asked => Command::Transfer(Transfer {
                posting,
                expires_at: entry.expires_at,
                description,
            }),
            EntryKind::Hold if asked => Command::CreateHold(CreateHold {
                posting,
                expires_at: until?,
                description,
            }),
            EntryKind::Capture if asked => {
                let hold = hold()?;
                let own = self.book.holds.get(&hold).map(|(held, _)| held.credit);
                Command::CaptureHold(CaptureHold {
                    hold,
                    amount: entry.amount,
                    is_final: entry.is_final,
                    credit: (own != Some(entry.credit)).then_some(entry.credit),
                    description,
                })
            }
            EntryKind::Release if asked => Command::ReleaseHold(ReleaseHold { hold: hold()? }),
            EntryKind::Reversal if asked => Command::ReverseEntry(ReverseEntry {
                sequence: entry.related.unwrap_or_default(),
                amount: entry.amount,
                allow_partial: false,
                description,
            }),
            kind => return Err(format!("a {kind:?} with request {}", show(&entry.request))),
        })
    }

    /// A fingerprint says what was asked; only how much of an entry to reverse is not told by the answer.
    fn check_fingerprint(&self, entry: &Entry, command: &Command, report: &mut Report<'_>) {
        let Some((id, fingerprint)) = entry.request else {
            return;
        };
        let fits = |linked| Request::new(id, linked, command.clone()).identity == entry.request;
        if entry.kind != EntryKind::Reversal && !fits(false) && !fits(true) {
            let what = "that of its content";
            report.differs(
                "entry",
                entry.sequence,
                "fingerprint",
                what,
                show(&fingerprint),
            );
        }
    }

    /// An entry that the rules refuse is still one of its accounts' statements.
    fn count(&mut self, entry: &Entry) {
        let parties = [
            Some(entry.debit),
            entry.kind.moves().then_some(entry.credit),
        ];
        for id in parties.into_iter().flatten() {
            if let Some(account) = self.book.accounts.get_mut(&id) {
                account.entries += 1;
                account.revision += 1;
                account.last_sequence = entry.sequence;
            }
        }
    }

    /// Goes on from what is stored, so that one wrong entry is not told again at each that follows it.
    fn adopt(&mut self, entry: &Entry) {
        for (id, balance) in [
            (entry.debit, entry.debit_balance),
            (entry.credit, entry.credit_balance),
        ] {
            if let Some(account) = self.book.accounts.get_mut(&id) {
                account.balance = balance;
            }
        }
    }
}

fn compare(expected: &Entry, found: &Entry, report: &mut Report<'_>) {
    if expected == found {
        return;
    }
    let key = found.sequence;
    for ((what, expected), (_, found)) in columns(expected).iter().zip(&columns(found)) {
        report.compare("entry", key, what, expected, found);
    }
    let (expected, found) = (&expected.allocations, &found.allocations);
    report.compare("allocation", key, "the lots", expected, found);
}

/// The columns of an entry by their names.
fn columns(entry: &Entry) -> [(&'static str, String); 14] {
    [
        ("kind", show(&entry.kind)),
        ("final", show(&entry.is_final)),
        ("request_id", show(&entry.request)),
        ("debit_account_id", entry.debit.0.to_string()),
        ("credit_account_id", entry.credit.0.to_string()),
        ("amount", show(&entry.amount)),
        ("debit_balance", show(&entry.debit_balance)),
        ("credit_balance", show(&entry.credit_balance)),
        ("debit_previous", show(&entry.debit_previous)),
        ("credit_previous", show(&entry.credit_previous)),
        ("expires_at", show(&entry.expires_at)),
        ("related_sequence", show(&entry.related)),
        ("description", entry.description.clone()),
        ("recorded_at", show(&entry.recorded_at)),
    ]
}
