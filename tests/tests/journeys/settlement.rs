//! What a shop is owed: each day is frozen after midnight and can be taken away as a file.

use chrono::TimeDelta;
use journeys::{Member, Merchant, World, at, date, refused, send};
use linli::system::Clients;
use proto::{
    ledger::v1 as led,
    redemption::v1::{self as red, StatementEntryKind as Kind, StatementState as State},
};
use runtime::{Holder, Role};
use tonic::Code;

/// A shop, an offer of 10 points, a member with points, and who calls for the shop.
pub struct Shop {
    pub world: World,
    pub merchant: Merchant,
    pub offer: red::Offer,
    pub member: Member,
    pub clerk: Clients,
}

impl Shop {
    pub async fn start() -> Self {
        let world = World::start().await;
        let (merchant, offer, member) = world.counter(1000).await;
        let clerk = world.clients.of(Holder {
            resources: vec![merchant.name.clone()],
            ..Holder::everywhere("SHOP01", [Role::Merchant])
        });
        Self {
            world,
            merchant,
            offer,
            member,
            clerk,
        }
    }

    pub async fn redeem(&self, quantity: i64) -> red::Redemption {
        let order = self.world.order(&self.member, &self.offer, quantity);
        self.world.redeem(order).await.unwrap()
    }

    pub fn name(&self, date: &str) -> String {
        self.world.statement_name(&self.merchant.name, date)
    }

    pub async fn day(&self, date: &str) -> red::Statement {
        self.world.statement(&self.merchant, date).await
    }

    pub async fn lines(&self, date: &str) -> Vec<red::StatementEntry> {
        self.world.lines(&self.merchant, date).await
    }

    /// Goes to ten in the morning of the next day, when the one before is closed.
    pub async fn next_day(&self, date: &str) -> red::Statement {
        self.world.clock.advance(TimeDelta::days(1));
        self.world.closed(&self.merchant, date).await
    }
}

pub fn totals(statement: &red::Statement) -> [i64; 5] {
    [
        statement.opening_balance,
        statement.captured_points,
        statement.reversed_points,
        statement.closing_balance,
        statement.payable_points,
    ]
}

#[tokio::test]
async fn a_day_is_frozen_after_midnight_and_a_reversal_is_of_the_day_on_which_it_happens() {
    let shop = Shop::start().await;
    let world = &shop.world;
    let first = shop.redeem(2).await;
    let held = world.reservation(&shop.member, &shop.offer, 3);
    let held = world.hold(held).await.unwrap();
    let held = world.capture(&held, Some(1)).await.unwrap();

    let open = shop.day("2026-03-02").await;
    assert_eq!((open.state(), open.line_count), (State::Open, 2));
    assert_eq!(totals(&open), [0, 30, 0, 30, 30]);
    assert!(open.hash.is_empty());
    let lines = shop.lines("2026-03-02").await;
    assert_eq!(shop.day("2026-03-03").await.opening_balance, 30);

    let closed = shop.next_day("2026-03-02").await;
    assert_eq!((closed.state(), closed.line_count), (State::Closed, 2));
    assert_eq!(totals(&closed), totals(&open));
    assert_eq!(shop.lines("2026-03-02").await, lines);
    assert_eq!(lines[0].redemption, first.name);
    assert_eq!(lines[0].entry, first.entry);
    assert_eq!(lines[1].redemption, held.name);
    assert_eq!(
        (lines[1].quantity, lines[1].points, lines[1].balance),
        (1, 10, 30)
    );
    assert!(
        lines
            .iter()
            .all(|line| line.kind() == Kind::Capture && line.offer == shop.offer.name)
    );

    world.reverse(&first, Some(1)).await.unwrap();
    let second = shop.next_day("2026-03-03").await;
    assert_eq!(totals(&second), [30, 0, 10, 20, -10]);
    assert_eq!(second.previous_hash, closed.hash);
    let reversal = &shop.lines("2026-03-03").await[0];
    assert_eq!((reversal.kind(), reversal.points), (Kind::Reversal, -10));
    assert_eq!(reversal.redemption, first.name);
    assert_eq!(
        shop.day("2026-03-02").await,
        closed,
        "a snapshot never changes"
    );
    assert_eq!(world.till(&shop.merchant).await.balance, 20);

    // A day without anything has no statement of its own.
    let empty = shop.next_day("2026-03-04").await;
    assert_eq!(
        (empty.state(), totals(&empty)),
        (State::Empty, [20, 0, 0, 20, 0])
    );
    assert_eq!(totals(&shop.day("2026-03-01").await), [0; 5]);
    assert_eq!(totals(&shop.day("2099-01-01").await), [20, 0, 0, 20, 0]);
}

#[tokio::test]
async fn midnight_belongs_to_the_day_that_it_begins() {
    let shop = Shop::start().await;
    let midnight = at("2026-03-02T16:00:00Z");
    shop.world
        .clock
        .advance_to(midnight - TimeDelta::microseconds(1));
    let before = shop.redeem(1).await;
    shop.world.clock.advance_to(midnight);
    let after = shop.redeem(2).await;

    assert_eq!(shop.day("2026-03-02").await.state(), State::Open);
    let closed = shop.next_day("2026-03-02").await;
    assert_eq!(totals(&closed), [0, 10, 0, 10, 10]);
    assert_eq!(shop.lines("2026-03-02").await[0].entry, before.entry);
    let next = shop.next_day("2026-03-03").await;
    assert_eq!(totals(&next), [10, 20, 0, 30, 20]);
    assert_eq!(shop.lines("2026-03-03").await[0].entry, after.entry);
}

#[tokio::test]
async fn several_replicas_close_each_day_once_and_in_order() {
    let world = World::start().await;
    let replicas = world.replicas().await;
    let member = world.volunteer().with_points(1000).await;
    let mut shops = Vec::new();
    for _ in 0..6 {
        let merchant = world.merchant().await;
        shops.push((world.offer(&merchant).active().await, merchant));
    }
    for _ in 0..3 {
        for (offer, _) in &shops {
            world.redeem(world.order(&member, offer, 1)).await.unwrap();
        }
        world.clock.advance(TimeDelta::days(1));
    }
    for (_, merchant) in &shops {
        let mut balance = 0;
        let mut hash = None;
        for day in ["2026-03-02", "2026-03-03", "2026-03-04"] {
            let closed = world.closed(merchant, day).await;
            assert_eq!(totals(&closed), [balance, 10, 0, balance + 10, 10]);
            assert_eq!(world.lines(merchant, day).await.len(), 1);
            assert!(hash.is_none_or(|hash| hash == closed.previous_hash));
            hash = Some(closed.hash);
            balance = closed.closing_balance;
        }
        assert_eq!(world.till(merchant).await.balance, balance);
    }
    replicas.stop().await.unwrap();
}

#[tokio::test]
async fn without_the_ledger_a_day_waits_and_is_closed_when_it_is_back() {
    let mut shop = Shop::start().await;
    shop.redeem(1).await;
    shop.world.system.ledger.stop().await.unwrap();
    shop.world.clock.advance(TimeDelta::days(1));
    let message = red::GetDailyStatementRequest {
        name: shop.name("2026-03-02"),
    };
    let client = &shop.world.clients.settlement;
    let away = refused(&send!(client, get_daily_statement, message).unwrap_err());
    assert_eq!((away.code, away.try_again), (Code::Unavailable, true));

    shop.world.system.ledger.start().await.unwrap();
    let closed = shop.world.closed(&shop.merchant, "2026-03-02").await;
    assert_eq!(totals(&closed), [0, 10, 0, 10, 10]);
}

#[tokio::test]
async fn what_only_the_ledger_knows_is_a_line_too_however_many_there_are() {
    let shop = Shop::start().await;
    let world = &shop.world;
    shop.redeem(1).await;
    let count = 2500;
    let transfers = (0..count).map(|number| led::Transfer {
        request_id: world.id(),
        debit_account: world.account_name(led::AccountKind::Issuing, None),
        credit_account: world.account_name(led::AccountKind::Merchant, Some(shop.merchant.id)),
        amount: 1,
        description: format!("correction {number}"),
        ..Default::default()
    });
    let message = led::PostTransfersRequest {
        parent: world.community_name(),
        transfers: transfers.collect(),
    };
    send!(world.clients.ledger, post_transfers, message).unwrap();
    shop.redeem(1).await;

    let open = shop.day("2026-03-02").await;
    assert_eq!(
        (open.line_count, open.captured_points, open.other_points),
        (2502, 20, 2500)
    );
    let listed = |size| {
        let mut message = red::ListStatementEntriesRequest {
            parent: shop.name("2026-03-02"),
            page_size: size,
            ..Default::default()
        };
        let client = world.clients.settlement.clone();
        async move {
            let mut all = Vec::new();
            loop {
                let page = send!(client, list_statement_entries, message.clone()).unwrap();
                all.extend(page.entries);
                message.page_token = page.next_page_token;
                if message.page_token.is_empty() {
                    return all;
                }
            }
        }
    };
    let lines = listed(1000).await;
    assert_eq!(lines.len(), 2502);
    assert_eq!(listed(333).await, lines);
    let closed = shop.next_day("2026-03-02").await;
    assert_eq!((closed.line_count, totals(&closed)), (2502, totals(&open)));
    assert_eq!(listed(999).await, lines);
    let other = &lines[1];
    assert_eq!(
        (other.kind(), &other.title[..]),
        (Kind::Other, "correction 0")
    );
    assert_eq!(
        (&other.redemption[..], other.points, other.balance),
        ("", 1, 11)
    );
}

#[tokio::test]
async fn a_month_is_downloaded_as_a_file_over_grpc_and_as_json() {
    let shop = Shop::start().await;
    let parent = format!("{}/programmes/{}", shop.merchant.name, shop.world.programme);
    let message = |format: red::FileFormat| red::DownloadStatementsRequest {
        parent: parent.clone(),
        start_date: Some(date(2026, 3, 1)),
        end_date: Some(date(2026, 3, 31)),
        format: format.into(),
    };
    let client = &shop.clerk.settlement;
    let empty = send!(client, download_statements, message(red::FileFormat::Csv)).unwrap();
    assert_eq!(
        empty.content.iter().filter(|byte| **byte == b'\n').count(),
        1
    );
    let taken = shop.redeem(1).await;
    shop.next_day("2026-03-02").await;
    shop.world.reverse(&taken, None).await.unwrap();
    let last = shop.next_day("2026-03-03").await;

    let csv = send!(client, download_statements, message(red::FileFormat::Csv)).unwrap();
    let text = String::from_utf8(csv.content.clone()).unwrap();
    let rows: Vec<&str> = text.trim_end().split("\r\n").collect();
    assert_eq!(rows.len(), 3, "{text}");
    let order = taken.name.rsplit('/').next().unwrap();
    assert!(rows[1].starts_with("2026-03-02,1,CAPTURE,") && rows[1].contains(order));
    assert!(rows[2].starts_with("2026-03-03,1,REVERSAL,") && rows[2].contains(order));
    assert!(rows[2].contains(&last.hash));
    let xlsx = send!(client, download_statements, message(red::FileFormat::Xlsx)).unwrap();
    assert!(xlsx.content.starts_with(b"PK") && xlsx.file_name.ends_with(".xlsx"));

    let url = format!(
        "{}/linli.redemption.v1.SettlementService/DownloadStatements",
        shop.world.system.redemption.url()
    );
    let json = serde_json::json!({
        "parent": parent, "format": "FILE_FORMAT_CSV",
        "startDate": {"year": 2026, "month": 3, "day": 1}, "endDate": {"year": 2026, "month": 3, "day": 31},
    });
    let reply = shop.world.web().post(&url, &json).await.json();
    assert_eq!(reply["fileName"], csv.file_name);
    assert_eq!(reply["contentType"], "text/csv; charset=utf-8");
    let content = reply["content"].as_str().unwrap();
    assert_eq!(content.len(), csv.content.len().div_ceil(3) * 4);

    let mut long = message(red::FileFormat::Csv);
    long.end_date = Some(date(2026, 6, 1));
    let refusal = refused(&send!(client, download_statements, long).unwrap_err());
    assert_eq!(refusal.fields, ["end_date"]);
}

#[tokio::test]
async fn a_shop_without_offers_in_a_programme_has_no_statements_there() {
    let world = World::start().await;
    let merchant = world.merchant().await;
    let message = red::GetDailyStatementRequest {
        name: world.statement_name(&merchant.name, "2026-03-02"),
    };
    let refusal =
        refused(&send!(world.clients.settlement, get_daily_statement, message).unwrap_err());
    assert_eq!(
        (refusal.code, &refusal.reason[..]),
        (Code::NotFound, "RESOURCE_NOT_FOUND")
    );
}
