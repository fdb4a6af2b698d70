//! Many callers at once: stock, quota and balance are never passed.

use std::collections::BTreeMap;

use journeys::{Member, World, at_once, send};
use proto::{ledger::v1 as led, redemption::v1 as red};
use runtime::reason_of;
use tonic::Status;

/// How many were served, and how many were refused for each reason.
fn tally<T>(answers: &[Result<T, Status>]) -> (usize, BTreeMap<String, usize>) {
    let mut refusals = BTreeMap::new();
    for status in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        let reason = reason_of(status).unwrap_or_else(|| format!("{status:?}"));
        *refusals.entry(reason).or_default() += 1;
    }
    let refused: usize = refusals.values().sum();
    (answers.len() - refused, refusals)
}

fn all_for(reason: &str, count: usize) -> BTreeMap<String, usize> {
    BTreeMap::from([(reason.to_owned(), count)])
}

async fn redeem_all(
    world: &World,
    orders: Vec<red::RedeemRequest>,
) -> Vec<Result<red::Redemption, Status>> {
    at_once(orders.len(), |number| {
        let (client, order) = (world.clients.redemption.clone(), orders[number].clone());
        async move { send!(client, redeem, order) }
    })
    .await
}

#[tokio::test]
async fn fifty_who_want_the_last_one_get_one() {
    let world = World::start().await;
    let merchant = world.merchant().await;
    let offer = world.offer(&merchant).stock(1).active().await;
    let mut members: Vec<Member> = Vec::new();
    for _ in 0..5 {
        members.push(world.volunteer().with_points(100).await);
    }

    let orders = (0..50).map(|number| world.order(&members[number % 5], &offer, 1));
    let answers = redeem_all(&world, orders.collect()).await;

    assert_eq!(tally(&answers), (1, all_for("OFFER_SOLD_OUT", 49)));
    assert_eq!(world.stock_left(&offer).await, 0);
    assert_eq!(world.redemptions().await.len(), 1);
    let till = world.till(&merchant).await;
    assert_eq!(till.balance, 10);
    let statement = world.entries(&till.name).await;
    assert_eq!(statement.len(), 1, "one capture in the ledger");
    assert_eq!(statement[0].amount, 10);
    let mut points = 0;
    for member in &members {
        points += world.points(member).await.available;
    }
    assert_eq!(points, 490);
}

#[tokio::test]
async fn twenty_spenders_of_one_account_never_overspend() {
    let world = World::start().await;
    let (merchant, offer, member) = world.counter(105).await;

    let orders = (0..20).map(|_| world.order(&member, &offer, 1));
    let answers = redeem_all(&world, orders.collect()).await;

    assert_eq!(tally(&answers), (10, all_for("INSUFFICIENT_POINTS", 10)));
    assert_eq!(world.balance(&member).await, 5);
    assert_eq!(world.till(&merchant).await.balance, 100);
    assert_eq!(
        world.stock_left(&offer).await,
        90,
        "the refused gave theirs back"
    );
}

#[tokio::test]
async fn twenty_calls_of_one_member_never_pass_the_limit() {
    let world = World::start().await;
    let merchant = world.merchant().await;
    let offer = world.offer(&merchant).limit(3).active().await;
    let member = world.volunteer().with_points(500).await;

    let orders = (0..20).map(|_| world.order(&member, &offer, 1));
    let answers = redeem_all(&world, orders.collect()).await;

    assert_eq!(tally(&answers), (3, all_for("MEMBER_LIMIT_REACHED", 17)));
    assert_eq!(world.balance(&member).await, 470);
}

#[tokio::test]
async fn twenty_holds_of_one_account_never_hold_more_than_it_has() {
    let world = World::start().await;
    let (_, offer, member) = world.counter(70).await;

    let answers = at_once(20, |_| {
        let client = world.clients.redemption.clone();
        let reservation = world.reservation(&member, &offer, 1);
        async move { send!(client, hold_redemption, reservation) }
    })
    .await;

    assert_eq!(tally(&answers), (7, all_for("INSUFFICIENT_POINTS", 13)));
    let account = world.points(&member).await;
    assert_eq!(
        (account.balance, account.held, account.available),
        (70, 70, 0)
    );
    assert_eq!(world.stock_left(&offer).await, 93);
}

#[tokio::test]
async fn of_capture_release_and_cancellation_at_once_one_wins() {
    let world = World::start().await;
    let (merchant, offer, member) = world.counter(1000).await;

    for _ in 0..10 {
        let reservation = world.reservation(&member, &offer, 1);
        let held = world.hold(reservation.clone()).await.unwrap();
        let capture = red::CaptureRedemptionRequest {
            name: held.name.clone(),
            request_id: world.id(),
            quantity: None,
        };
        let release = red::ReleaseRedemptionRequest {
            name: held.name.clone(),
            request_id: world.id(),
        };
        let client = &world.clients.redemption;
        let (captured, released) = tokio::join!(
            async { send!(client, capture_redemption, capture) },
            async { send!(client, release_redemption, release) },
        );
        assert!(
            captured.is_ok() != released.is_ok(),
            "{captured:?} {released:?}"
        );
        let undone = world
            .cancel(&reservation.request_id)
            .await
            .unwrap()
            .unwrap();
        let expected = if captured.is_ok() {
            red::RedemptionState::Reversed
        } else {
            red::RedemptionState::Released
        };
        assert_eq!(undone.state(), expected);
    }

    let account = world.points(&member).await;
    assert_eq!((account.balance, account.held), (1000, 0));
    assert_eq!(world.till(&merchant).await.balance, 0);
    assert_eq!(world.stock_left(&offer).await, 100);
}

#[tokio::test]
async fn points_sent_around_at_once_are_neither_made_nor_lost() {
    let world = World::start().await;
    let (merchant, _, member) = world.counter(100).await;
    let transfer = || led::PostTransfersRequest {
        parent: world.community_name(),
        transfers: vec![led::Transfer {
            request_id: world.id(),
            debit_account: world.account_name(led::AccountKind::Member, Some(member.id)),
            credit_account: world.account_name(led::AccountKind::Merchant, Some(merchant.id)),
            amount: 30,
            ..Default::default()
        }],
    };

    at_once(20, |_| {
        let (client, message) = (world.clients.ledger.clone(), transfer());
        async move { send!(client, post_transfers, message).unwrap() }
    })
    .await;

    assert_eq!(world.balance(&member).await, 10);
    assert_eq!(world.till(&merchant).await.balance, 90);
    let journal = world.entries("").await;
    let numbers: Vec<i64> = journal.iter().map(|entry| entry.sequence).collect();
    assert_eq!(numbers, [1, 2, 3, 4], "dense, refusals take no number");
    world.trial_balance().await;
}
