//! What closing a day writes, whoever else is at it.

use super::*;
use crate::{
    closing::{NewLines, append},
    domain::{MerchantAccount, Posting, Settlement, Statement, StatementName, StatementState},
    store::LineQuery,
};

impl Shop {
    fn account(&self) -> MerchantAccount {
        Settlement::begin(&self.offer).of
    }

    async fn settlement(&self) -> Settlement {
        let found = store::settlement_find(&self.pool, self.account()).await;
        found.unwrap().unwrap()
    }

    /// What follows in the ledger, as it would be read: `count` entries of ten points.
    async fn read(&self, count: i64, is_last: bool) -> NewLines {
        let settlement = self.settlement().await;
        let begun = store::statement_find_closing(&self.pool, settlement.of)
            .await
            .unwrap();
        let date = self.clock.now().date_naive();
        let mut statement = begun.unwrap_or_else(|| Statement::begin(&settlement, date));
        let written = statement.line_count;
        let (last, balance) = (statement.last_sequence, statement.closing_balance);
        let postings = (1..=count).map(|number| Posting {
            sequence: last + number,
            points: 10,
            balance: balance + number * 10,
            at: self.clock.now(),
            description: "理发 × 1".into(),
        });
        let lines = append(&mut statement, postings.collect(), vec![]).unwrap();
        NewLines {
            settlement,
            written,
            statement,
            lines,
            is_last,
        }
    }

    async fn lines(&self) -> Vec<domain::Line> {
        let query = LineQuery {
            of: self.account(),
            start: self.offer.start,
            end: self.offer.end,
            after: 0,
            limit: i64::MAX,
        };
        store::line_list(&self.pool, query).await.unwrap()
    }

    async fn statement(&self) -> Option<Statement> {
        let name = StatementName {
            of: self.account(),
            date: self.clock.now().date_naive(),
        };
        store::statement_find(&self.pool, name).await.unwrap()
    }
}

#[tokio::test]
async fn merchants_of_an_older_version_are_settled_from_their_first_offer_on() {
    let shop = Shop::with_stock(1).await;
    let begun = Settlement::begin(&shop.offer);
    let migration = include_str!("../../../../migrations/0009_settlement.sql");
    let start = migration.find("insert into redemption.settlement").unwrap();
    let backfill = migration[start..].split(';').next().unwrap();
    sqlx::query(sqlx::AssertSqlSafe(backfill))
        .execute(&shop.pool)
        .await
        .unwrap();
    assert_eq!(shop.settlement().await, begun);

    let late = Shop::with_stock(1).await;
    for _ in 0..2 {
        late.service.adopt_merchants().await.unwrap();
        assert_eq!(late.settlement().await, Settlement::begin(&late.offer));
    }
}

#[tokio::test]
async fn of_two_replicas_that_close_the_same_day_one_writes_it() {
    let shop = Shop::with_stock(1).await;
    shop.service.adopt_merchants().await.unwrap();
    let read = shop.read(3, true).await;

    let (one, other) = tokio::join!(
        shop.service.write_lines(read.clone()),
        shop.service.write_lines(read.clone())
    );
    one.unwrap();
    other.unwrap();
    // One that comes much later has nothing to write either.
    shop.service.write_lines(read.clone()).await.unwrap();

    assert_eq!(shop.lines().await, read.lines);
    let closed = shop.statement().await.unwrap();
    assert_eq!(closed.state, StatementState::Closed);
    assert_eq!((closed.line_count, closed.closing_balance), (3, 30));
    let settlement = shop.settlement().await;
    assert_eq!(settlement.last_sequence, 3);
    assert_eq!((settlement.balance, settlement.hash), (30, closed.hash));
    assert_eq!(Some(settlement.next_date), closed.name.date.succ_opt());
}

#[tokio::test]
async fn a_long_day_is_written_page_by_page_and_nobody_sees_half_of_it() {
    let shop = Shop::with_stock(1).await;
    shop.service.adopt_merchants().await.unwrap();
    for page in 1..=3 {
        let read = shop.read(1000, false).await;
        assert_eq!(read.written, (page - 1) * 1000);
        let (one, other) = tokio::join!(
            shop.service.write_lines(read.clone()),
            shop.service.write_lines(read.clone())
        );
        one.unwrap();
        other.unwrap();
        assert_eq!(shop.statement().await, None);
        assert!(shop.lines().await.is_empty());
    }
    shop.service
        .write_lines(shop.read(1, true).await)
        .await
        .unwrap();

    let (statement, lines) = (shop.statement().await.unwrap(), shop.lines().await);
    assert_eq!((statement.line_count, lines.len()), (3001, 3001));
    assert_eq!(statement.payable(), Some(30_010));
    let numbers: Vec<i32> = lines.iter().map(|line| line.number).collect();
    assert_eq!(numbers, (1..=3001).collect::<Vec<i32>>());
    let hash = lines
        .iter()
        .fold(statement.previous_hash, |hash, line| hash.then(line));
    assert_eq!(hash, statement.hash);
}

#[tokio::test]
async fn what_is_frozen_can_not_be_changed_by_the_service() {
    let shop = Shop::with_stock(1).await;
    shop.service.adopt_merchants().await.unwrap();
    shop.service
        .write_lines(shop.read(3, true).await)
        .await
        .unwrap();
    for statement in [
        "update redemption.statement_line set points = 11",
        "delete from redemption.statement_line",
        "update redemption.statement set opening_balance = 1",
        "delete from redemption.statement",
        "delete from redemption.dispute",
    ] {
        let error = sqlx::query(statement)
            .execute(&shop.pool)
            .await
            .unwrap_err();
        let code = error.as_database_error().and_then(|error| error.code());
        assert_eq!(code.as_deref(), Some("42501"), "{statement}: {error}");
    }
}
