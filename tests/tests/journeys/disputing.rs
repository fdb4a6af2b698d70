//! What becomes of a frozen day: the shop confirms or disputes it, the staff decides and pays, and nobody does both.

use journeys::{Refused, at_once, refused, send};
use proto::redemption::v1::{self as red, StatementEntryKind as Kind, StatementState as State};
use tonic::Code;

use crate::settlement::{Shop, totals};

impl Shop {
    async fn confirm(&self, date: &str) -> Result<red::Statement, Refused> {
        let message = red::ConfirmStatementRequest {
            name: self.name(date),
            request_id: self.world.id(),
        };
        let answer = send!(self.clerk.settlement, confirm_statement, message);
        answer.map_err(|status| refused(&status))
    }

    fn dispute(&self, date: &str, line: i32) -> red::DisputeEntryRequest {
        red::DisputeEntryRequest {
            name: self.name(date),
            line,
            reason: "two were taken".to_owned(),
            request_id: self.world.id(),
        }
    }

    async fn open(&self, dispute: red::DisputeEntryRequest) -> Result<red::Dispute, Refused> {
        let answer = send!(self.clerk.settlement, dispute_entry, dispute);
        answer
            .map(|line| line.dispute.unwrap())
            .map_err(|status| refused(&status))
    }

    async fn accept(&self, by: &str, date: &str, line: i32, points: i64) -> Result<(), Refused> {
        let message = red::AcceptDisputeRequest {
            name: self.name(date),
            line,
            points,
            resolution: "the slip says two".to_owned(),
            request_id: self.world.id(),
        };
        let answer = send!(self.world.staff(by).settlement, accept_dispute, message);
        answer.map(drop).map_err(|status| refused(&status))
    }

    async fn decline(&self, by: &str, date: &str, line: i32) -> Result<(), Refused> {
        let message = red::DeclineDisputeRequest {
            name: self.name(date),
            line,
            resolution: "the slip says one".to_owned(),
            request_id: self.world.id(),
        };
        let answer = send!(self.world.staff(by).settlement, decline_dispute, message);
        answer.map(drop).map_err(|status| refused(&status))
    }

    async fn pay(&self, by: &str, date: &str) -> Result<red::Statement, Refused> {
        let message = red::PayStatementRequest {
            name: self.name(date),
            payment_reference: "2026-0001".to_owned(),
            request_id: self.world.id(),
        };
        let answer = send!(self.world.staff(by).settlement, pay_statement, message);
        answer.map_err(|status| refused(&status))
    }
}

#[tokio::test]
async fn a_statement_is_confirmed_by_the_shop_and_paid_by_somebody_else() {
    let shop = Shop::start().await;
    shop.redeem(1).await;
    let early = shop.confirm("2026-03-02").await.unwrap_err();
    assert_eq!(
        (&early.reason[..], &early.metadata["state"][..]),
        ("WRONG_STATE", "OPEN")
    );
    shop.next_day("2026-03-02").await;
    let empty = shop.confirm("2026-03-01").await.unwrap_err();
    assert_eq!(
        (&empty.reason[..], &empty.metadata["state"][..]),
        ("WRONG_STATE", "EMPTY")
    );
    let early = shop.pay("STAFF01", "2026-03-02").await.unwrap_err();
    assert_eq!(early.metadata["state"], "CLOSED");
    // Whoever the shop is, it goes on.
    shop.world.suspend(&shop.merchant).await;

    let message = red::ConfirmStatementRequest {
        name: shop.name("2026-03-02"),
        request_id: shop.world.id(),
    };
    let confirmed = journeys::one_answer!(shop.clerk.settlement, confirm_statement, message);
    assert_eq!(confirmed.state(), State::Confirmed);
    assert_eq!(confirmed.confirmed_by, "SHOP01");
    let late = shop.open(shop.dispute("2026-03-02", 1)).await.unwrap_err();
    assert_eq!(
        (late.code, &late.reason[..]),
        (Code::FailedPrecondition, "STATEMENT_CLOSED")
    );
    assert!(late.message_zh.contains("已确认"));

    let alone = shop.pay("SHOP01", "2026-03-02").await.unwrap_err();
    assert_eq!(alone.reason, "SECOND_PERSON_REQUIRED");
    let paid = shop.pay("STAFF01", "2026-03-02").await.unwrap();
    assert_eq!((paid.state(), &paid.paid_by[..]), (State::Paid, "STAFF01"));
    assert_eq!(paid.payment_reference, "2026-0001");
    assert_eq!(shop.day("2026-03-02").await, paid);
    let twice = shop.pay("STAFF02", "2026-03-02").await.unwrap_err();
    assert_eq!(twice.metadata["state"], "PAID");

    let message = red::ListAuditEntriesRequest {
        parent: shop.world.community_name(),
        subject: "STAFF01".to_owned(),
        ..Default::default()
    };
    let log = send!(shop.world.clients.redemption, list_audit_entries, message).unwrap();
    let asked: Vec<&str> = log.entries.iter().map(|entry| &entry.method[..]).collect();
    assert!(asked.contains(&"PayStatement"), "{asked:?}");
}

#[tokio::test]
async fn an_accepted_dispute_is_a_line_of_the_day_on_which_it_is_accepted() {
    let shop = Shop::start().await;
    let taken = shop.redeem(1).await;
    shop.redeem(1).await;
    let frozen = shop.next_day("2026-03-02").await;

    let dispute = shop.open(shop.dispute("2026-03-02", 1)).await.unwrap();
    assert_eq!(
        (dispute.state(), &dispute.opened_by[..]),
        (red::DisputeState::Open, "SHOP01")
    );
    shop.open(shop.dispute("2026-03-02", 2)).await.unwrap();
    let again = shop.open(shop.dispute("2026-03-02", 2)).await.unwrap_err();
    assert_eq!(
        (again.code, &again.reason[..]),
        (Code::AlreadyExists, "RESOURCE_EXISTS")
    );
    let nothing = shop.open(shop.dispute("2026-03-02", 3)).await.unwrap_err();
    assert_eq!(nothing.code, Code::NotFound);
    assert_eq!(
        shop.confirm("2026-03-02").await.unwrap_err().metadata["state"],
        "DISPUTED"
    );

    let own = shop
        .accept("SHOP01", "2026-03-02", 1, 10)
        .await
        .unwrap_err();
    assert_eq!(own.reason, "SECOND_PERSON_REQUIRED");
    shop.accept("STAFF01", "2026-03-02", 1, 10).await.unwrap();
    assert_eq!(shop.day("2026-03-02").await.state(), State::Disputed);
    shop.decline("STAFF01", "2026-03-02", 2).await.unwrap();
    let over = shop
        .accept("STAFF02", "2026-03-02", 2, 10)
        .await
        .unwrap_err();
    assert_eq!(
        (&over.reason[..], &over.metadata["state"][..]),
        ("WRONG_STATE", "DECLINED")
    );
    let undisputed = shop.decline("STAFF02", "2026-03-02", 3).await.unwrap_err();
    assert_eq!(undisputed.code, Code::NotFound);
    assert_eq!(
        shop.day("2026-03-02").await,
        frozen,
        "closed again, and the same"
    );

    let today = shop.day("2026-03-03").await;
    assert_eq!(
        (today.state(), today.adjusted_points, today.payable_points),
        (State::Open, 10, 10)
    );
    assert_eq!((today.opening_balance, today.closing_balance), (20, 20));
    let closed = shop.next_day("2026-03-03").await;
    assert_eq!(
        (closed.state(), totals(&closed)),
        (State::Closed, [20, 0, 0, 20, 10])
    );
    let lines = shop.lines("2026-03-03").await;
    assert_eq!(lines.len(), 1);
    assert_eq!(
        (lines[0].kind(), lines[0].points, lines[0].balance),
        (Kind::Adjustment, 10, 20)
    );
    assert_eq!(lines[0].redemption, taken.name);
    assert_eq!(lines[0].adjusted_statement, frozen.name);
    assert_eq!((lines[0].adjusted_line, &lines[0].entry[..]), (1, ""));
    assert_eq!(shop.world.till(&shop.merchant).await.balance, 20);

    // Who gave the points does not pay them.
    shop.confirm("2026-03-03").await.unwrap();
    let giver = shop.pay("STAFF01", "2026-03-03").await.unwrap_err();
    assert_eq!(giver.reason, "SECOND_PERSON_REQUIRED");
    shop.pay("STAFF02", "2026-03-03").await.unwrap();
    // In any order.
    shop.confirm("2026-03-02").await.unwrap();
    shop.pay("STAFF01", "2026-03-02").await.unwrap();
}

#[tokio::test]
async fn of_many_who_decide_on_a_dispute_at_once_one_does() {
    let shop = Shop::start().await;
    shop.redeem(1).await;
    shop.next_day("2026-03-02").await;
    shop.open(shop.dispute("2026-03-02", 1)).await.unwrap();
    let answers = at_once(10, |number| {
        let client = shop.world.staff(&format!("STAFF{number:02}")).settlement;
        let message = red::AcceptDisputeRequest {
            name: shop.name("2026-03-02"),
            line: 1,
            points: 10,
            resolution: "yes".to_owned(),
            request_id: shop.world.id(),
        };
        async move { send!(client, accept_dispute, message).is_ok() }
    });
    let accepted = answers
        .await
        .into_iter()
        .filter(|accepted| *accepted)
        .count();
    assert_eq!(accepted, 1);
    assert_eq!(shop.next_day("2026-03-03").await.adjusted_points, 10);
    assert_eq!(shop.next_day("2026-03-04").await.adjusted_points, 0);
}
