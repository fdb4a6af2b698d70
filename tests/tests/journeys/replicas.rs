//! Each service may run any number of times: nothing rests on there being one.

use std::collections::HashSet;

use journeys::{World, at_once, eventually, send};
use linli::system::Clients;
use proto::{
    activity::v1 as act,
    ledger::v1::{AccountKind, GetAccountRequest},
};
use runtime::reason_of;
use tokio::task::JoinSet;

/// A world and the clients of two sets of its services.
async fn doubled() -> (World, linli::system::System, [Clients; 2]) {
    let world = World::start().await;
    let replicas = world.replicas().await;
    let clients = [world.clients.clone(), replicas.clients().unwrap()];
    (world, replicas, clients)
}

#[tokio::test]
async fn the_same_purchase_at_two_replicas_is_paid_once() {
    let (world, _replicas, clients) = doubled().await;
    let (merchant, offer, member) = world.counter(100).await;
    let order = world.order(&member, &offer, 1);

    let answers = at_once(20, |number| {
        let (client, order) = (clients[number % 2].redemption.clone(), order.clone());
        async move { send!(client, redeem, order).unwrap() }
    })
    .await;

    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(world.till(&merchant).await.balance, 10);
    assert_eq!(world.stock_left(&offer).await, 99);
}

#[tokio::test]
async fn the_last_item_and_the_last_points_go_once_whichever_replica_is_asked() {
    let (world, _replicas, clients) = doubled().await;
    let merchant = world.merchant().await;
    let last = world.offer(&merchant).stock(1).active().await;
    let plenty = world.offer(&merchant).active().await;
    let member = world.volunteer().with_points(60).await;

    for (offer, sold, reason) in [
        (&last, 1, "OFFER_SOLD_OUT"),
        (&plenty, 5, "INSUFFICIENT_POINTS"),
    ] {
        let answers = at_once(20, |number| {
            let client = clients[number % 2].redemption.clone();
            let order = world.order(&member, offer, 1);
            async move { send!(client, redeem, order) }
        })
        .await;
        let refusals: Vec<_> = answers
            .iter()
            .filter_map(|answer| answer.as_ref().err())
            .collect();
        assert_eq!(refusals.len(), 20 - sold, "{refusals:?}");
        for refusal in refusals {
            assert_eq!(reason_of(refusal).as_deref(), Some(reason));
        }
    }

    assert_eq!(world.balance(&member).await, 0);
    assert_eq!(world.till(&merchant).await.balance, 60);
}

#[tokio::test]
async fn two_relays_post_each_grant_once_and_the_journal_stays_dense() {
    let (world, _replicas, clients) = doubled().await;
    let member = world.volunteer().register().await;
    let mut verifications = Vec::new();
    for _ in 0..20 {
        let record = world.record(world.service(&member, 10)).await;
        verifications.push(world.verification(&record));
    }

    at_once(20, |number| {
        let client = clients[number % 2].activity.clone();
        let message = verifications[number].clone();
        async move { send!(client, verify_service_record, message).unwrap() }
    })
    .await;

    eventually("every grant is posted", async || {
        (world.summary().await.unposted_grants == 0).then_some(())
    })
    .await;
    assert_eq!(world.balance(&member).await, 200);
    let journal = world.entries("").await;
    let numbers: Vec<i64> = journal.iter().map(|entry| entry.sequence).collect();
    assert_eq!(numbers, (1..=20).collect::<Vec<i64>>());
    let balances: HashSet<i64> = journal.iter().map(|entry| entry.credit_balance).collect();
    assert_eq!(balances.len(), 20, "each saw the one before");
}

#[tokio::test]
async fn members_registered_at_two_replicas_get_numbers_of_their_own() {
    let (world, _replicas, clients) = doubled().await;

    let members = at_once(20, |number| {
        let client = clients[number % 2].activity.clone();
        let message = act::CreateMemberRequest {
            parent: world.community_name(),
            member: Some(act::Member {
                kind: act::MemberKind::Driver.into(),
                display_name: "韩梅梅".to_owned(),
                ..Default::default()
            }),
            request_id: world.id(),
            ..Default::default()
        };
        async move { send!(client, create_member, message).unwrap() }
    })
    .await;

    let mut numbers: Vec<String> = members.into_iter().map(|member| member.number).collect();
    numbers.sort();
    let expected: Vec<String> = (1..=20).map(|number| format!("V{number:06}")).collect();
    assert_eq!(numbers, expected);
}

#[tokio::test]
async fn what_a_replica_began_and_did_not_end_another_ends() {
    let (mut world, _replicas, clients) = doubled().await;
    let (merchant, offer, member) = world.counter(1000).await;
    let orders: Vec<_> = (0..30).map(|_| world.order(&member, &offer, 1)).collect();
    let mut calls = JoinSet::new();
    for order in orders.clone() {
        let client = clients[0].redemption.clone();
        calls.spawn(async move { send!(client, redeem, order) });
    }
    let first = calls.join_next().await.unwrap().unwrap().unwrap();

    world.system.redemption.kill();
    world.system.ledger.kill();
    world.system.activity.kill();

    let other = &clients[1];
    let mut settled = Vec::new();
    for order in orders {
        settled.push(linli::call!(other.redemption, redeem, order).await.unwrap());
    }
    assert!(settled.contains(&first));
    let name = world.account_name(AccountKind::Merchant, Some(merchant.id));
    let till = GetAccountRequest { name };
    let till = send!(other.ledger, get_account, till).unwrap();
    assert_eq!(till.balance, 300);
}
