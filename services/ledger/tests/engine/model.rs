//! The ledger the slow way: what every request must be answered, worked out from the whole history each time.
//!
//! It shares the names of things with the crate (requests, entries, refusals) and no arithmetic: it keeps a list of entries and a
//! list of answers and nothing else, no balances, no lots, no holds. An amount by lot is a list with one item for each point.

use chrono::{DateTime, Utc};

use super::{
    domain::{
        Account, AccountDefinition, AccountId, AccountLimits, Command, Entry, EntryKind, Lots,
        Refusal, Request,
    },
    history::Books,
};

type Time = DateTime<Utc>;
/// What came of a request.
pub type Outcome = Result<Entry, Refusal>;

/// A community's journal and everything that was ever answered.
#[derive(Clone, Debug)]
pub struct Model {
    pub opened_at: Time,
    pub accounts: Vec<AccountDefinition>,
    pub limits_set: Vec<AccountId>,
    pub entries: Vec<Entry>,
    pub answers: Vec<(Request, Outcome)>,
}

impl Model {
    pub fn new(opened_at: Time, accounts: Vec<AccountDefinition>) -> Self {
        Self {
            opened_at,
            accounts,
            limits_set: vec![],
            entries: vec![],
            answers: vec![],
        }
    }

    /// The books as they stand.
    pub fn books(&self) -> Books<'_> {
        self.books_after(self.entries.len())
    }

    /// The books as they stood after so many entries.
    pub fn books_after(&self, entries: usize) -> Books<'_> {
        Books {
            accounts: &self.accounts,
            entries: &self.entries[..entries],
        }
    }

    /// The instant of a batch: a journal's time never runs backwards.
    pub fn instant(&self, clock: Time) -> Time {
        let last = self.entries.last().map(|entry| entry.recorded_at);
        clock.max(last.unwrap_or(self.opened_at))
    }

    /// The model as it would be after so many entries if nothing had been refused.
    pub fn cut(&self, entries: usize) -> Self {
        Self {
            entries: self.entries[..entries].to_vec(),
            answers: vec![],
            ..self.clone()
        }
    }

    /// Asks in one batch; one outcome each.
    pub fn ask(&mut self, clock: Time, requests: &[Request]) -> Vec<Outcome> {
        let now = self.instant(clock);
        let mut outcomes = vec![];
        let mut rest = requests;
        while !rest.is_empty() {
            let last = rest.iter().position(|request| !request.linked);
            let (chain, others) = rest.split_at(last.map_or(rest.len(), |last| last + 1));
            outcomes.extend(self.ask_together(now, chain));
            rest = others;
        }
        outcomes
    }

    fn ask_together(&mut self, now: Time, chain: &[Request]) -> Vec<Outcome> {
        let before = self.entries.len();
        let mut posted = vec![];
        let mut culprit = None;
        let is_new = |request: &Request| self.answered(request).is_none();
        if !chain.iter().all(is_new) {
            // Those that were answered keep their answers, and without them the others can't post.
            culprit = Some((chain.len(), Refusal::LinkedTransferFailed));
        }
        for (index, request) in chain.iter().enumerate() {
            if culprit.is_some() {
                break;
            }
            let twin = chain[..index]
                .iter()
                .any(|earlier| earlier.id().is_some() && earlier.id() == request.id());
            let decided = match twin {
                true => Err(Refusal::LinkedTransferFailed),
                false => self.books().decide(request, now),
            };
            match decided {
                Ok(entries) => {
                    posted.push(entries[0].clone());
                    self.entries.extend(entries);
                }
                Err(refusal) => culprit = Some((index, refusal)),
            }
        }
        let Some((culprit, refusal)) = culprit else {
            for (request, entry) in chain.iter().zip(&posted) {
                self.answers.push((request.clone(), Ok(entry.clone())));
            }
            return posted.into_iter().map(Ok).collect();
        };
        self.entries.truncate(before);
        let mut outcomes = vec![];
        for (index, request) in chain.iter().enumerate() {
            let outcome = self.answered(request).unwrap_or_else(|| {
                let own = index == culprit;
                let outcome = Err(match own {
                    true => refusal.clone(),
                    false => Refusal::LinkedTransferFailed,
                });
                self.answers.push((request.clone(), outcome.clone()));
                outcome
            });
            outcomes.push(outcome);
        }
        outcomes
    }

    /// What a request must be answered because its id is known.
    pub fn answered(&self, request: &Request) -> Option<Outcome> {
        let id = request.id()?;
        let (first, outcome) = self
            .answers
            .iter()
            .find(|(first, _)| first.id() == Some(id))?;
        Some(match content(first) == content(request) {
            true => outcome.clone(),
            false => Err(Refusal::RequestIdReused { request_id: id.0 }),
        })
    }

    /// Posts what has expired by a clock; how many lots and how many holds.
    pub fn sweep(&mut self, clock: Time) -> (i32, i32) {
        let mut swept = (0, 0);
        loop {
            let due = self.books().due(clock);
            let before = swept;
            for outcome in self.ask(clock, &due) {
                match outcome.map(|entry| entry.kind) {
                    Ok(EntryKind::LotExpiry) => swept.0 += 1,
                    Ok(_) => swept.1 += 1,
                    Err(_) => {}
                }
            }
            if swept == before {
                return swept;
            }
        }
    }

    pub fn set_limits(&mut self, id: AccountId, limits: AccountLimits) -> Result<(), Refusal> {
        let books = self.books();
        let definition = books.definition(id)?;
        if definition.expiry_account.is_some() && limits.min_balance.unwrap_or(-1) < 0 {
            return Err(Refusal::LotsNeedMinBalance);
        }
        let balance = books.balance(id);
        let free = balance - books.held(id);
        match (limits.min_balance, limits.max_balance) {
            (Some(asked), _) if asked > free => {
                return Err(Refusal::LimitExceeded { room: free, asked });
            }
            (_, Some(asked)) if asked < balance => {
                return Err(Refusal::LimitExceeded {
                    room: balance,
                    asked,
                });
            }
            _ => {}
        }
        self.limits_set.push(id);
        let account = self.accounts.iter_mut().find(|account| account.id == id);
        account.unwrap().limits = limits;
        Ok(())
    }

    /// An account as the ledger must show it.
    pub fn account(&self, definition: &AccountDefinition) -> Account {
        let (books, id) = (self.books(), definition.id);
        let mut lots = Lots::default();
        for (expires_at, lot) in books.lots(id) {
            lots.insert(expires_at, lot);
        }
        let statement: Vec<&Entry> = books.statement(id).collect();
        let limits_set = self.limits_set.iter().filter(|set| **set == id).count();
        Account {
            definition: definition.clone(),
            balance: books.balance(id),
            held: books.held(id),
            last_sequence: statement.last().map_or(0, |entry| entry.sequence),
            entries: i64::try_from(statement.len()).unwrap(),
            revision: i64::try_from(1 + statement.len() + limits_set).unwrap(),
            created_at: self.opened_at,
            lots,
        }
    }
}

/// Everything that is asked, the id aside.
fn content(request: &Request) -> String {
    let linked = request.linked && matches!(request.command, Command::Transfer(_));
    format!("{linked} {:?}", request.command)
}
