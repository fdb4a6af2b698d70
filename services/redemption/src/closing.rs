//! Closes merchants' days after local midnight, in order, without a call.
//!
//! A statement takes the ledger's entries behind those of the statement before, up to the last one of its day, a page at a time; each page is one
//! transaction that only counts if nobody else wrote since it was read. So any number of replicas may close the same day, and whatever is interrupted
//! goes on where it stopped. The ledger's time never runs backwards and its sequence has no gaps, so what is posted while a day is being closed comes
//! behind what was read: it is in the next statement, and nothing is lost or taken twice.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use runtime::{Deadline, Progress};
use tokio::task::JoinSet;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Error, Redemption,
    domain::{
        Adjustment, Happened, KnownStep, Line, MerchantAccount, Name, NewEvent, News, Posting,
        Settlement, Statement,
    },
    remote::PostingQuery,
    store::{self, Lease},
};

/// How often there is a look for work.
const EVERY: Duration = Duration::from_secs(1);
/// How often there is a look for merchants that another version has not begun to settle.
const ADOPT_EVERY: TimeDelta = TimeDelta::hours(1);
/// How long after midnight a day is closed: time for what was under way at midnight to end on its own day.
pub(crate) const DELAY: TimeDelta = TimeDelta::minutes(5);
/// Longer than the steps of one claim take.
const LEASE: TimeDelta = TimeDelta::seconds(60);
/// The longest wait after a failure.
const LAST_PAUSE: TimeDelta = TimeDelta::minutes(5);
/// How many pages and days of one merchant are closed before others have their turn.
const STEPS: usize = 32;
/// How many entries are read and written at once.
const PAGE: i32 = 1000;

/// What a step of closing has come to.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// There may be more to close.
    More,
    /// Every day that is over is closed.
    Done,
}

/// Lines to write, and where they leave their statement.
#[derive(Clone)]
pub(crate) struct NewLines {
    /// As it was read.
    pub(crate) settlement: Settlement,
    /// How many lines of the statement there were when it was read.
    pub(crate) written: i32,
    pub(crate) statement: Statement,
    pub(crate) lines: Vec<Line>,
    /// Whether the day has no more entries.
    pub(crate) is_last: bool,
}

impl Redemption {
    /// Starts the loop that closes days.
    pub(crate) fn spawn_closing(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        let service = self.clone();
        let mut adopt_at = DateTime::<Utc>::MIN_UTC;
        runtime::spawn_worker(
            tasks,
            stop.clone(),
            self.clock.clone(),
            EVERY,
            runtime::Nudge::default(),
            "redemption.closing",
            move || {
                let service = service.clone();
                let now = service.clock.now();
                let adopts = now >= adopt_at;
                if adopts {
                    adopt_at = now + ADOPT_EVERY;
                }
                async move {
                    if adopts {
                        service.adopt_merchants().await?;
                    }
                    Ok(service.close_due().await?)
                }
            },
        );
    }

    /// Begins to settle the merchants whose offers came from a version that did not.
    pub(crate) async fn adopt_merchants(&self) -> Result<(), Error> {
        while let Some((community, id)) = store::settlement_missing(&self.pool).await? {
            let Some(offer) = store::offer_find(&self.pool, Name { community, id }).await? else {
                return Ok(());
            };
            let mut conn = self.pool.acquire().await?;
            let settlement = Settlement::begin(&offer);
            store::settlement_insert(&mut conn, &settlement, self.clock.now()).await?;
        }
        Ok(())
    }

    /// Closes what is due in one community.
    pub async fn close_due(&self) -> Result<Progress, Error> {
        let now = self.clock.now();
        let Some(community) = store::settlement_due_community(&self.pool, now).await? else {
            return Ok(Progress::Idle);
        };
        let lease = Lease {
            now,
            until: now + LEASE,
        };
        let mut running = JoinSet::new();
        for (of, attempts) in store::settlement_claim_due(&self.pool, community, lease).await? {
            let service = self.clone();
            running.spawn(async move { service.close_claimed(of, attempts).await });
        }
        if running.is_empty() {
            return Ok(Progress::Idle);
        }
        let mut failure = None;
        while let Some(ended) = running.join_next().await {
            let closed = ended
                .map_err(|error| Error::Broken(format!("a day to close: {error}")))
                .flatten();
            failure = closed.err().or(failure);
        }
        failure.map_or(Ok(Progress::More), Err)
    }

    async fn close_claimed(&self, of: MerchantAccount, attempts: i32) -> Result<(), Error> {
        for _ in 0..STEPS {
            match self.close_step(of).await {
                Ok(Step::More) => {}
                Ok(Step::Done) => return Ok(()),
                Err(error) => {
                    let due_at = self.clock.now() + pause_after(attempts);
                    store::settlement_set_due(&self.pool, of, due_at).await?;
                    return Err(error);
                }
            }
        }
        Ok(store::settlement_set_due(&self.pool, of, self.clock.now()).await?)
    }

    /// Writes one page of a merchant's next statement, or finds that no day of theirs is left to close.
    async fn close_step(&self, of: MerchantAccount) -> Result<Step, Error> {
        let settlement = store::settlement_find(&self.pool, of).await?;
        let settlement = settlement.ok_or(Error::Broken("a claim of nothing".into()))?;
        let zone = settlement.time_zone;
        // Days before this one are closed.
        let today = zone.business_date(self.clock.now() - DELAY);
        if settlement.next_date >= today {
            self.skip_to(&settlement, settlement.next_date).await?;
            return Ok(Step::Done);
        }
        match self.read_lines(&settlement, today).await? {
            Some(lines) => {
                self.write_lines(lines).await?;
                Ok(Step::More)
            }
            None => {
                self.skip_to(&settlement, today).await?;
                Ok(Step::Done)
            }
        }
    }

    /// Reads what follows in the ledger, as far as it is of one day; nothing when nothing has happened before today.
    async fn read_lines(
        &self,
        settlement: &Settlement,
        today: NaiveDate,
    ) -> Result<Option<NewLines>, Error> {
        let (of, zone) = (settlement.of, settlement.time_zone);
        let begun = store::statement_find_closing(&self.pool, of).await?;
        // Without an end the ledger need not look for it; what is of today comes with the rest and is left for tomorrow.
        let query = PostingQuery {
            of,
            after: begun
                .as_ref()
                .map_or(settlement.last_sequence, |begun| begun.last_sequence),
            start: None,
            end: None,
            limit: PAGE,
        };
        let page = self.ledger.postings(query, Deadline::default()).await?;
        let mut statement = match begun {
            Some(begun) => begun,
            None => {
                let today = zone.start_of(today).ok_or_else(beyond)?;
                let adjustments = store::dispute_list_unsettled(&self.pool, of, today).await?;
                match first_at(&page.postings, &adjustments).filter(|first| *first < today) {
                    Some(first) => Statement::begin(settlement, settlement.day_of(first)),
                    None => return Ok(None),
                }
            }
        };
        let end = zone.end_of(statement.name.date).ok_or_else(beyond)?;
        let mut postings = page.postings;
        let read = postings.len();
        postings.retain(|posting| posting.at < end);
        let is_last = postings.len() < read || page.next.is_none();
        let known = self.known_steps(of, &postings).await?;
        let written = statement.line_count;
        let lines = append(&mut statement, postings, known)?;
        Ok(Some(NewLines {
            settlement: settlement.clone(),
            written,
            statement,
            lines,
            is_last,
        }))
    }

    /// What is known of the entries, once every step that may have made one has been answered.
    async fn known_steps(
        &self,
        of: MerchantAccount,
        postings: &[Posting],
    ) -> Result<Vec<KnownStep>, Error> {
        let entries: Vec<i64> = postings.iter().map(|posting| posting.sequence).collect();
        let known = store::operation_list_by_entry(&self.pool, of, &entries).await?;
        if known.len() == entries.len() {
            return Ok(known);
        }
        for id in store::operation_list_pending_at(&self.pool, of).await? {
            let community = of.community;
            self.settle(Name { community, id }, Deadline::default())
                .await?;
        }
        Ok(store::operation_list_by_entry(&self.pool, of, &entries).await?)
    }

    /// Writes lines, and freezes the statement behind the last of them, unless another replica was first.
    pub(crate) async fn write_lines(&self, new: NewLines) -> Result<(), Error> {
        let NewLines {
            settlement,
            written,
            mut statement,
            mut lines,
            is_last,
        } = new;
        let (of, name) = (settlement.of, statement.name);
        let now = self.clock.now();
        let mut tx = self.pool.begin().await?;
        let locked = store::settlement_lock(&mut tx, of).await?;
        let begun = store::statement_find_closing(&mut *tx, of).await?;
        if locked.as_ref() != Some(&settlement)
            || begun.map_or(0, |begun| begun.line_count) != written
        {
            return Ok(());
        }
        let mut disputed = Vec::new();
        if is_last {
            let end = settlement.time_zone.end_of(name.date).ok_or_else(beyond)?;
            for adjustment in store::dispute_list_unsettled(&mut *tx, of, end).await? {
                disputed.push((adjustment.date, adjustment.line));
                lines.push(statement.adjust(adjustment).ok_or_else(does_not_add_up)?);
            }
            statement = statement.close(now);
        }
        store::statement_put(&mut tx, &statement).await?;
        store::line_insert(&mut tx, of, &lines).await?;
        store::dispute_settle(&mut tx, name, &disputed).await?;
        let next = if is_last {
            Settlement {
                next_date: name.date.succ_opt().ok_or_else(beyond)?,
                last_sequence: statement.last_sequence,
                balance: statement.closing_balance,
                hash: statement.hash,
                ..settlement
            }
        } else {
            // The days before are known to be empty.
            Settlement {
                next_date: name.date,
                ..settlement
            }
        };
        store::settlement_update(&mut tx, &next, now + LEASE).await?;
        let news = match is_last {
            true => NewEvent::of_statement(Happened::StatementClosed, name).into(),
            false => News::none(),
        };
        self.commit(tx, of.community, &news).await?;
        if is_last {
            let (merchant, date, count) = (of.merchant, name.date, statement.line_count);
            tracing::info!(merchant.id = %merchant, "Closed {date} of merchant {merchant}: {count} lines");
        }
        Ok(())
    }

    /// Passes over days on which nothing happened, unless another replica was first.
    async fn skip_to(&self, settlement: &Settlement, date: NaiveDate) -> Result<(), Error> {
        let due_at = settlement.time_zone.end_of(date).ok_or_else(beyond)? + DELAY;
        Ok(store::settlement_skip(&self.pool, settlement, date, due_at).await?)
    }
}

/// Adds what was posted to a statement.
pub(crate) fn append(
    statement: &mut Statement,
    postings: Vec<Posting>,
    known: Vec<KnownStep>,
) -> Result<Vec<Line>, Error> {
    let mut known: std::collections::HashMap<i64, KnownStep> = known
        .into_iter()
        .map(|step| (step.sequence, step))
        .collect();
    let lines = postings.into_iter().map(|posting| {
        let step = known.remove(&posting.sequence);
        statement.post(posting, step).ok_or_else(does_not_add_up)
    });
    lines.collect()
}

/// When the first of all this happened.
fn first_at(postings: &[Posting], adjustments: &[Adjustment]) -> Option<DateTime<Utc>> {
    let posted = postings.first().map(|posting| posting.at);
    let accepted = adjustments.first().map(|adjustment| adjustment.at);
    posted.into_iter().chain(accepted).min()
}

/// Twice as long after each failure.
pub(crate) fn pause_after(attempts: i32) -> TimeDelta {
    let doublings = attempts.clamp(1, 16) - 1;
    TimeDelta::seconds(1 << doublings).min(LAST_PAUSE)
}

pub(crate) fn does_not_add_up() -> Error {
    Error::Broken("what the ledger posted does not follow the statement before".into())
}

pub(crate) fn beyond() -> Error {
    Error::Broken("a day beyond the calendar".into())
}
