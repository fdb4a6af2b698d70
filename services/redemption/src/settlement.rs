//! Statements of merchants' days: how they are read, and what merchants and staff do with closed ones. `closing` closes
//! them, `open_day` reads those that are not closed.

use chrono::NaiveDate;
use runtime::Deadline;
use sqlx::PgConnection;

use crate::{
    Error, Redemption,
    call::Stop,
    domain::{
        Decider, Deed, Dispute, Happened, Line, MerchantAccount, Name, NewEvent, News, Refusal,
        Resource, Settlement, SettlementRefusal, Statement, StatementName, StatementState,
    },
    store::{self, Call, LineQuery, Page, StatementFilter},
};

/// The most lines that one file takes.
const MOST_LINES: i64 = 50_000;

/// Where a list of lines goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LineCursor {
    /// The last line.
    pub line: i32,
    /// Of an open statement: the ledger's last entry so far.
    pub sequence: i64,
    /// Of an open statement: the balance after it.
    pub balance: i64,
    /// Of an open statement: how many adjustments so far.
    pub adjustments: usize,
}

/// How a dispute is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Which line.
    pub line: i32,
    /// Accepted with an adjustment of so many points; nothing: declined.
    pub points: Option<i64>,
    /// Why.
    pub reason: String,
    /// Whether the caller's token says that the merchant is their own.
    pub is_merchant: bool,
}

/// What goes into a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// The merchant's number.
    pub number: String,
    /// Oldest first.
    pub statements: Vec<Statement>,
    /// Those of each statement in turn.
    pub lines: Vec<Line>,
}

impl Redemption {
    /// Returns the statement of any day.
    pub async fn get_daily_statement(
        &self,
        name: StatementName,
        deadline: Deadline,
    ) -> Result<Statement, Error> {
        // First how far the merchant is settled: a day that is closed in between is then found below.
        let settlement = self.settlement(name.of).await?;
        if let Some(closed) = store::statement_find(&self.pool, name).await? {
            return Ok(closed);
        }
        if name.date < settlement.next_date {
            let balance = store::statement_balance_before(&self.pool, name).await?;
            return Ok(Statement {
                state: StatementState::Empty,
                opening_balance: balance,
                closing_balance: balance,
                ..Statement::begin(&settlement, name.date)
            });
        }
        self.open_statement(&settlement, name.date, deadline).await
    }

    /// Lists closed statements, newest first.
    pub async fn list_statements(
        &self,
        filter: StatementFilter,
        page: Page<(NaiveDate, uuid::Uuid, uuid::Uuid)>,
    ) -> Result<Vec<Statement>, Error> {
        Ok(store::statement_list(&self.pool, filter, page).await?)
    }

    /// Lists the lines of a day's statement, each with where the list goes on after it.
    pub async fn list_statement_entries(
        &self,
        name: StatementName,
        page: Page<LineCursor>,
        deadline: Deadline,
    ) -> Result<Vec<(Line, LineCursor)>, Error> {
        let settlement = self.settlement(name.of).await?;
        if name.date >= settlement.next_date
            && store::statement_find(&self.pool, name).await?.is_none()
        {
            return self.list_open(&settlement, name.date, page, deadline).await;
        }
        let query = LineQuery {
            of: name.of,
            start: name.date,
            end: name.date,
            after: page.after.unwrap_or_default().line,
            limit: page.limit,
        };
        let lines = store::line_list(&self.pool, query).await?;
        let lines = lines.into_iter().map(|line| {
            let cursor = LineCursor {
                line: line.number,
                ..LineCursor::default()
            };
            (line, cursor)
        });
        Ok(lines.collect())
    }

    /// The merchant agrees to a statement.
    pub async fn confirm_statement(
        &self,
        call: Call,
        name: StatementName,
    ) -> Result<Statement, Error> {
        self.answered(&call, Deadline::default(), async {
            let mut tx = self.begin(&call).await?;
            let statement = self.lock_statement(&mut tx, name).await?;
            let confirmed = statement.confirm(self.deed(&call))?;
            store::statement_set_state(&mut tx, &confirmed).await?;
            let event = NewEvent::of_statement(Happened::StatementConfirmed, name);
            self.finish(tx, &call, confirmed, event.into()).await
        })
        .await
    }

    /// The merchant objects to a line.
    pub async fn dispute_entry(
        &self,
        call: Call,
        name: StatementName,
        line: i32,
        reason: String,
    ) -> Result<Line, Error> {
        self.answered(&call, Deadline::default(), async {
            let mut tx = self.begin(&call).await?;
            let statement = self.lock_statement(&mut tx, name).await?;
            let disputed = statement.dispute()?;
            let found = self.line(&mut tx, name, line).await?;
            let date = name.date;
            if found.dispute.is_some() {
                return Err(refused(SettlementRefusal::DisputedBefore { date, line }).into());
            }
            let dispute = Dispute {
                reason,
                opened: self.deed(&call),
                resolution: None,
            };
            store::dispute_insert(&mut tx, name, line, &dispute).await?;
            store::statement_set_state(&mut tx, &disputed).await?;
            let dispute = Some(dispute);
            let event = NewEvent::of_statement(Happened::StatementDisputed, name);
            let line = Line { dispute, ..found };
            self.finish(tx, &call, line, event.into()).await
        })
        .await
    }

    /// The staff accepts or declines a dispute.
    pub async fn resolve_dispute(
        &self,
        call: Call,
        name: StatementName,
        decision: Decision,
    ) -> Result<Line, Error> {
        self.answered(&call, Deadline::default(), async {
            let mut tx = self.begin(&call).await?;
            let statement = self.lock_statement(&mut tx, name).await?;
            let Decision {
                line,
                points,
                reason,
                is_merchant,
            } = decision;
            let found = self.line(&mut tx, name, line).await?;
            let date = name.date;
            let dispute = found
                .dispute
                .clone()
                .ok_or_else(|| refused(SettlementRefusal::NoDispute { date, line }))?;
            let decider = Decider {
                deed: self.deed(&call),
                is_merchant,
            };
            let dispute = dispute.resolve((name, line), points, reason, decider)?;
            store::dispute_set_resolution(&mut tx, name, line, &dispute).await?;
            let open = store::dispute_count_open(&mut *tx, name).await?;
            let resolved = statement.resolved(open);
            store::statement_set_state(&mut tx, &resolved).await?;
            let mut news = News::from(NewEvent::of_statement(
                match points {
                    Some(_) => Happened::DisputeAccepted,
                    None => Happened::DisputeDeclined,
                },
                name,
            ));
            if resolved.state == StatementState::Closed {
                let closed = NewEvent::of_statement(Happened::StatementClosed, name);
                news.events.push(closed);
            }
            let dispute = Some(dispute);
            self.finish(tx, &call, Line { dispute, ..found }, news)
                .await
        })
        .await
    }

    /// The staff has paid a statement.
    pub async fn pay_statement(
        &self,
        call: Call,
        name: StatementName,
        reference: String,
        is_merchant: bool,
    ) -> Result<Statement, Error> {
        self.answered(&call, Deadline::default(), async {
            let mut tx = self.begin(&call).await?;
            let statement = self.lock_statement(&mut tx, name).await?;
            let adjusters = store::dispute_adjusters(&mut *tx, name).await?;
            let payer = Decider {
                deed: self.deed(&call),
                is_merchant,
            };
            let paid = statement.pay(payer, reference, &adjusters)?;
            store::statement_set_state(&mut tx, &paid).await?;
            let event = NewEvent::of_statement(Happened::StatementPaid, name);
            self.finish(tx, &call, paid, event.into()).await
        })
        .await
    }

    /// Reads the closed statements of some days with all their lines, and checks that they are as they were frozen.
    pub async fn download_statements(
        &self,
        of: MerchantAccount,
        (start, end): (NaiveDate, NaiveDate),
    ) -> Result<Download, Error> {
        self.settlement(of).await?;
        let merchant = Name {
            community: of.community,
            id: of.merchant,
        };
        let number = self.get_merchant(merchant).await?.number;
        let filter = StatementFilter {
            community: of.community,
            merchant: Some(of.merchant),
            programme: Some(of.programme),
            state: None,
            start: Some(start),
            end: Some(end),
        };
        let all = Page {
            after: None,
            limit: i64::MAX,
        };
        let mut statements = store::statement_list(&self.pool, filter, all).await?;
        statements.reverse();
        let count: i64 = statements
            .iter()
            .map(|statement| i64::from(statement.line_count))
            .sum();
        if count > MOST_LINES {
            return Err(refused(SettlementRefusal::TooLong { most: MOST_LINES }));
        }
        let mut lines = Vec::new();
        for statement in &statements {
            let date = statement.name.date;
            let query = LineQuery {
                of,
                start: date,
                end: date,
                after: 0,
                limit: i64::MAX,
            };
            let own = store::line_list(&self.pool, query).await?;
            let hash = own
                .iter()
                .fold(statement.previous_hash, |hash, line| hash.then(line));
            if hash != statement.hash {
                return Err(Error::Broken(format!(
                    "the lines of {:?} were changed",
                    statement.name
                )));
            }
            lines.extend(own);
        }
        Ok(Download {
            number,
            statements,
            lines,
        })
    }

    async fn settlement(&self, of: MerchantAccount) -> Result<Settlement, Error> {
        let found = store::settlement_find(&self.pool, of).await?;
        found.ok_or(Error::Refused(Refusal::NotFound {
            resource: Resource::Settlement,
            id: of.programme,
        }))
    }

    fn deed(&self, call: &Call) -> Deed {
        Deed {
            by: call.by.subject.clone(),
            at: self.clock.now(),
        }
    }

    /// Locks a closed statement; of another day says where it stands.
    async fn lock_statement(
        &self,
        conn: &mut PgConnection,
        name: StatementName,
    ) -> Result<Statement, Stop> {
        let settlement = store::settlement_find(&mut *conn, name.of).await?;
        let settlement = settlement.ok_or(Refusal::NotFound {
            resource: Resource::Settlement,
            id: name.of.programme,
        })?;
        if let Some(statement) = store::statement_lock(conn, name).await? {
            return Ok(statement);
        }
        let state = if name.date < settlement.next_date {
            StatementState::Empty
        } else {
            StatementState::Open
        };
        let date = name.date;
        Err(refused(SettlementRefusal::StatementState { date, state }).into())
    }

    async fn line(
        &self,
        conn: &mut PgConnection,
        name: StatementName,
        line: i32,
    ) -> Result<Line, Error> {
        let query = LineQuery {
            of: name.of,
            start: name.date,
            end: name.date,
            after: line - 1,
            limit: 1,
        };
        let found = store::line_list(conn, query).await?.pop();
        let date = name.date;
        found
            .filter(|found| found.number == line)
            .ok_or_else(|| refused(SettlementRefusal::NoLine { date, line }))
    }
}

fn refused(refusal: SettlementRefusal) -> Error {
    Error::Refused(Refusal::Settlement(refusal))
}
