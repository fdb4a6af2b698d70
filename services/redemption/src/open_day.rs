//! Days that are not closed: their statements are made from the ledger as it is now, page by page.

use chrono::{NaiveDate, TimeDelta};
use runtime::Deadline;

use crate::{
    Error, Redemption,
    closing::{append, beyond, does_not_add_up},
    domain::{Adjustment, Line, Origin, Settlement, Statement},
    remote::PostingQuery,
    settlement::LineCursor,
    store::{self, Page},
};

/// More lines than a day can have.
const LAST_LINE: i32 = 1_000_000_000;
/// How many entries the ledger gives at once.
const PAGE: i32 = 1000;

/// A day that is not closed, while it is read from the ledger.
struct OpenDay {
    /// As far as it was read.
    statement: Statement,
    /// What is left to read; nothing when there is nothing.
    query: Option<PostingQuery>,
    /// Whether the list goes on where a page ended: what a caller sends back of that is not taken for the balance.
    is_resumed: bool,
    adjustments: Vec<Adjustment>,
}

impl OpenDay {
    /// Goes on behind a line. Whatever comes from a caller stays within what can be added up.
    fn go_on(&mut self, cursor: LineCursor) {
        if cursor == LineCursor::default() {
            return;
        }
        self.is_resumed = true;
        self.statement.line_count = cursor.line.clamp(0, LAST_LINE);
        self.statement.closing_balance = cursor.balance;
        self.statement.opening_balance = cursor.balance;
        if let Some(query) = &mut self.query {
            query.after = cursor.sequence.max(query.after);
            self.statement.last_sequence = query.after;
        }
    }
}

impl Redemption {
    /// Returns the statement of an open day so far.
    pub(crate) async fn open_statement(
        &self,
        settlement: &Settlement,
        date: NaiveDate,
        deadline: Deadline,
    ) -> Result<Statement, Error> {
        let mut day = self.open_day(settlement, date, deadline).await?;
        while self.read_open(&mut day, PAGE, deadline).await?.1 {}
        for adjustment in day.adjustments {
            let line = day.statement.adjust(adjustment);
            line.ok_or_else(does_not_add_up)?;
        }
        Ok(day.statement)
    }

    /// Looks where an open day begins.
    async fn open_day(
        &self,
        settlement: &Settlement,
        date: NaiveDate,
        deadline: Deadline,
    ) -> Result<OpenDay, Error> {
        let (of, zone, now) = (settlement.of, settlement.time_zone, self.clock.now());
        let mut statement = Statement::begin(settlement, date);
        let is_next = date == settlement.next_date;
        if date > zone.business_date(now) {
            // Nothing has happened on it, and all that has happened is before it.
            let balance = self.ledger.balance_at(of, now, deadline).await?;
            statement.opening_balance = balance;
            statement.closing_balance = balance;
            return Ok(OpenDay {
                statement,
                query: None,
                is_resumed: false,
                adjustments: Vec::new(),
            });
        }
        let start = zone.start_of(date).ok_or_else(beyond)?;
        let end = zone.end_of(date).ok_or_else(beyond)?;
        if !is_next {
            let before = start - TimeDelta::microseconds(1);
            let balance = self.ledger.balance_at(of, before, deadline).await?;
            statement.opening_balance = balance;
            statement.closing_balance = balance;
        }
        let mut adjustments = store::dispute_list_unsettled(&self.pool, of, end).await?;
        adjustments.retain(|adjustment| is_next || adjustment.at >= start);
        let query = PostingQuery {
            of,
            after: settlement.last_sequence,
            // What came late for the day before is of the first open one.
            start: (!is_next).then_some(start),
            end: Some(end),
            limit: PAGE,
        };
        Ok(OpenDay {
            statement,
            query: Some(query),
            is_resumed: false,
            adjustments,
        })
    }

    /// Reads a page of an open day, and whether there is more.
    async fn read_open(
        &self,
        day: &mut OpenDay,
        limit: i32,
        deadline: Deadline,
    ) -> Result<(Vec<Line>, bool), Error> {
        let Some(query) = day.query else {
            return Ok((Vec::new(), false));
        };
        let query = PostingQuery { limit, ..query };
        let page = self.ledger.postings(query, deadline).await?;
        let entries: Vec<i64> = page
            .postings
            .iter()
            .map(|posting| posting.sequence)
            .collect();
        let known = store::operation_list_by_entry(&self.pool, query.of, &entries).await?;
        if let Some(first) = page.postings.first().filter(|_| day.is_resumed) {
            day.statement.closing_balance = first.balance.saturating_sub(first.points);
            day.is_resumed = false;
        }
        let lines = append(&mut day.statement, page.postings, known)?;
        day.query = page.next.map(|after| PostingQuery { after, ..query });
        Ok((lines, day.query.is_some()))
    }

    /// Lists the lines of an open day so far, each with where the list goes on after it.
    pub(crate) async fn list_open(
        &self,
        settlement: &Settlement,
        date: NaiveDate,
        page: Page<LineCursor>,
        deadline: Deadline,
    ) -> Result<Vec<(Line, LineCursor)>, Error> {
        let mut cursor = page.after.unwrap_or_default();
        let mut day = self.open_day(settlement, date, deadline).await?;
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        day.go_on(cursor);
        let mut rows = Vec::new();
        while rows.len() < limit {
            let left = i32::try_from(limit - rows.len()).map_or(PAGE, |left| left.min(PAGE));
            let (lines, more) = self.read_open(&mut day, left, deadline).await?;
            for line in lines {
                cursor.line = line.number;
                cursor.balance = line.balance;
                if let Origin::Entry(sequence) = line.origin {
                    cursor.sequence = sequence;
                }
                rows.push((line, cursor));
            }
            if !more {
                break;
            }
        }
        for adjustment in day.adjustments.into_iter().skip(cursor.adjustments) {
            let line = day
                .statement
                .adjust(adjustment)
                .ok_or_else(does_not_add_up)?;
            cursor.line = line.number;
            cursor.adjustments += 1;
            rows.push((line, cursor));
        }
        rows.truncate(limit);
        Ok(rows)
    }
}
