//! The jobs of one transaction, and how they are applied to a book.

use std::collections::{HashMap, HashSet};

use runtime::{Ids, is_retryable, is_unavailable};
use uuid::Uuid;

use super::{Ask, Decision, Job, Waiting, Wish};
use crate::{
    Error,
    call::same_call,
    domain::{Begun, Book, Cause, Hindrance, Refusal, Settled, Verdict},
    store::{Answer, Call, Closed, Needs, Outcome},
};

/// Jobs that share a transaction, in the order they came.
#[derive(Debug, Default)]
pub(super) struct Batch {
    verdicts: Vec<Waiting<(Begun, Verdict), Option<Settled>>>,
    asks: Vec<Waiting<Ask, Decision>>,
}

/// What comes of a batch once it is committed, in its order.
#[derive(Debug)]
pub(super) struct Replies {
    settled: Vec<Option<Settled>>,
    decided: Vec<Decided>,
    /// How many came back of holds that had run out.
    pub stock_back: i64,
}

/// A decision, and what is to be kept of it.
#[derive(Debug)]
struct Decided {
    decision: Decision,
    kept: Kept,
}

/// What is to be kept of a call's decision.
#[derive(Debug)]
enum Kept {
    /// Nothing, or it is kept already.
    Nothing,
    /// The call, which waits for the ledger.
    Call,
    /// The call, and that it was refused.
    Refusal(Refusal),
}

/// Why a job has no reply.
#[derive(Debug, Clone, Copy)]
pub(super) enum Failure {
    /// Others were first.
    Conflict,
    /// The database does not answer.
    Unavailable,
    /// The database rejects it.
    Broken,
}

impl Failure {
    /// Why a transaction that may succeed later has failed.
    pub(super) fn of(error: &sqlx::Error) -> Self {
        match is_retryable(error) && !is_unavailable(error) {
            true => Self::Conflict,
            false => Self::Unavailable,
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Conflict => Self::Conflict,
            Failure::Unavailable => Self::Unavailable("database"),
            Failure::Broken => Self::Broken("a call that the database rejects".to_owned()),
        }
    }
}

impl Batch {
    /// Adds a job, unless nobody waits for it any more; what the ledger has answered is written all the same.
    pub(super) fn add(&mut self, job: Job) {
        match job {
            Job::Verdict(waiting) => self.verdicts.push(waiting),
            Job::Ask(waiting) => {
                if !waiting.deadline.has_passed() && !waiting.answer.is_closed() {
                    self.asks.push(waiting);
                }
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.verdicts.len() + self.asks.len()
    }

    /// Parts it in two, the later first.
    pub(super) fn halve(mut self) -> [Self; 2] {
        let later = Self {
            verdicts: self.verdicts.split_off(self.verdicts.len() / 2),
            asks: self.asks.split_off(self.asks.len().div_ceil(2)),
        };
        [later, self]
    }

    /// What it touches.
    pub(super) fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        for waiting in &self.verdicts {
            let (
                Begun {
                    operation,
                    redemption,
                },
                verdict,
            ) = &waiting.work;
            needs.redemptions.insert(redemption.id);
            if redemption.clone().settle(operation, verdict).stock_back > 0 {
                needs.offers.insert(redemption.offer);
            }
        }
        for waiting in &self.asks {
            match &waiting.work.wish {
                Wish::Take(taking) => {
                    let order = taking.order;
                    needs.takes.insert((order.offer, order.member));
                }
                Wish::Step(redemption, _) => {
                    needs.redemptions.insert(*redemption);
                }
            }
        }
        needs
    }

    /// The ids of its calls.
    pub(super) fn request_ids(&self) -> Vec<Uuid> {
        let ids = self.asks.iter().map(|one| one.work.call.request_id);
        let ids: HashSet<Uuid> = ids.collect();
        ids.into_iter().collect()
    }

    /// Applies what the ledger has answered, then what is asked for; `known` is what is kept of these calls.
    pub(super) fn apply(
        &self,
        book: &mut Book,
        mut known: HashMap<Uuid, Answer>,
        ids: &Ids,
    ) -> Replies {
        let verdicts = self.verdicts.iter();
        let settled = verdicts
            .map(|waiting| {
                let (step, verdict) = &waiting.work;
                book.settle(&step.operation, verdict)
            })
            .collect();
        let offers = self.asks.iter().filter_map(|one| match &one.work.wish {
            Wish::Take(taking) => Some(taking.order.offer),
            Wish::Step(..) => None,
        });
        let stock_back = book.expire(&offers.collect(), || ids.next());
        let asks = self.asks.iter();
        let decided = asks
            .map(|one| decide(&one.work, book, &mut known))
            .collect();
        Replies {
            settled,
            decided,
            stock_back,
        }
    }

    /// The calls that are to be kept.
    pub(super) fn fresh<'a>(
        &'a self,
        replies: &'a Replies,
    ) -> Vec<(&'a Call, Option<&'a Refusal>)> {
        let decided = self.asks.iter().zip(&replies.decided);
        let fresh = decided.filter_map(|(ask, decided)| match &decided.kept {
            Kept::Nothing => None,
            Kept::Call => Some((&ask.work.call, None)),
            Kept::Refusal(refusal) => Some((&ask.work.call, Some(refusal))),
        });
        fresh.collect()
    }

    /// The answers of the calls whose steps have ended.
    pub(super) fn closed(&self, replies: &Replies) -> sqlx::Result<Vec<Closed>> {
        let settled = self.verdicts.iter().zip(&replies.settled);
        let closed = settled.filter_map(|(waiting, settled)| {
            let (step, _) = &waiting.work;
            let outcome = match settled.as_ref()?.answer() {
                Ok(redemption) => match serde_json::to_vec(redemption) {
                    Ok(answer) => Ok(answer),
                    Err(error) => return Some(Err(sqlx::Error::Encode(error.into()))),
                },
                Err(refusal) => Err(refusal.clone()),
            };
            Some(Ok(Closed {
                request_id: step.operation.id,
                outcome,
            }))
        });
        closed.collect()
    }

    /// Gives each who waits their reply. Who has gone asks again with the same id.
    pub(super) fn answer(self, replies: Replies) {
        for (waiting, settled) in self.verdicts.into_iter().zip(replies.settled) {
            let _ = waiting.answer.send(Ok(settled));
        }
        for (waiting, decided) in self.asks.into_iter().zip(replies.decided) {
            let _ = waiting.answer.send(Ok(decided.decision));
        }
    }

    /// Tells all who wait that there is none.
    pub(super) fn fail(self, failure: Failure) {
        for waiting in self.verdicts {
            let _ = waiting.answer.send(Err(failure.into()));
        }
        for waiting in self.asks {
            let _ = waiting.answer.send(Err(failure.into()));
        }
    }
}

/// Decides a call, unless it is known.
fn decide(ask: &Ask, book: &mut Book, known: &mut HashMap<Uuid, Answer>) -> Decided {
    let call = &ask.call;
    if let Some(answer) = known.get(&call.request_id) {
        let outcome = same_call(call, answer.clone());
        return Decided {
            decision: Decision::Known(outcome.unwrap_or_else(Outcome::Refused)),
            kept: Kept::Nothing,
        };
    }
    let cause = Cause {
        id: call.request_id,
        traceparent: ask.traceparent.clone(),
    };
    let begun = match &ask.wish {
        Wish::Take(taking) => book.take(&cause, taking),
        Wish::Step(redemption, step) => book.step(&cause, *redemption, step),
    };
    let (decided, outcome) = match begun {
        Ok(begun) => (
            Decided {
                decision: Decision::Begun(begun),
                kept: Kept::Call,
            },
            Outcome::Pending,
        ),
        Err(Hindrance::Refused(refusal)) => {
            let outcome = Outcome::Refused(refusal.clone());
            (
                Decided {
                    decision: Decision::Known(outcome.clone()),
                    kept: Kept::Refusal(refusal),
                },
                outcome,
            )
        }
        Err(Hindrance::Busy(operation)) => {
            return Decided {
                decision: Decision::Busy(operation),
                kept: Kept::Nothing,
            };
        }
    };
    // Its twins in the same batch find it.
    let answer = Answer {
        method: call.method.to_owned(),
        fingerprint: call.fingerprint.clone(),
        outcome,
    };
    known.insert(call.request_id, answer);
    decided
}
