//! A service that dies in the middle of its work: whatever was begun is finished or undone, once.

use chrono::TimeDelta;
use journeys::{Member, Merchant, World, send};
use linli::system::Service;
use proto::{activity::v1 as act, redemption::v1 as red};
use tokio::task::JoinSet;
use tonic::Code;

/// How many calls are in flight when a service dies.
const CALLS: usize = 30;

#[tokio::test]
async fn a_hold_whose_service_died_is_given_back_when_its_time_is_over() {
    let mut world = World::start().await;
    let (_, offer, member) = world.counter(50).await;
    let held = world
        .hold(world.reservation(&member, &offer, 3))
        .await
        .unwrap();
    world.system.redemption.kill();
    assert_eq!(world.points(&member).await.held, 30);

    world.clock.advance(TimeDelta::minutes(6));
    world.system.redemption.start().await.unwrap();

    world
        .in_time("nothing is held", async || {
            let account = world.points(&member).await;
            ((account.held, account.available) == (0, 50)).then_some(())
        })
        .await;
    let id = held.name.rsplit('/').next().unwrap();
    let message = red::GetRedemptionRequest {
        name: format!("{}/redemptions/{id}", world.community_name()),
    };
    let client = &world.clients.redemption;
    let expired = linli::call!(client, get_redemption, message).await.unwrap();
    assert_eq!(expired.state(), red::RedemptionState::Expired);
    assert_eq!(world.stock_left(&offer).await, 100);
}

#[tokio::test]
async fn a_hold_outlives_a_restart_and_can_be_captured() {
    let mut world = World::start().await;
    let (merchant, offer, member) = world.counter(50).await;
    let held = world
        .hold(world.reservation(&member, &offer, 3))
        .await
        .unwrap();
    world.system.redemption.kill();
    world.system.ledger.kill();
    world.system.ledger.start().await.unwrap();
    world.system.redemption.start().await.unwrap();

    let capture = red::CaptureRedemptionRequest {
        name: held.name,
        request_id: world.id(),
        quantity: None,
    };
    let client = &world.clients.redemption;
    let captured = linli::call!(client, capture_redemption, capture)
        .await
        .unwrap();

    assert_eq!(captured.captured_points, 30);
    assert_eq!(world.till(&merchant).await.balance, 30);
}

/// Many purchases, and a service that dies once so many of them are answered.
async fn interrupted(service: fn(&mut World) -> &mut Service, after: usize) {
    let mut world = World::start().await;
    let (merchant, offer, member) = world.counter(1000).await;
    let orders: Vec<red::RedeemRequest> = (0..CALLS)
        .map(|_| world.order(&member, &offer, 1))
        .collect();
    let mut calls = JoinSet::new();
    for order in orders.clone() {
        let client = world.clients.redemption.clone();
        calls.spawn(async move { send!(client, redeem, order) });
    }
    let mut answered = Vec::new();
    for _ in 0..after {
        answered.extend(calls.join_next().await.unwrap().unwrap().ok());
    }
    // Lets calls leave when none was waited for.
    tokio::task::yield_now().await;

    service(&mut world).kill();
    service(&mut world).start().await.unwrap();
    for answer in calls.join_all().await {
        match answer {
            Ok(redemption) => answered.push(redemption),
            // Unknown is what a client calls an answer that broke off.
            Err(status) => assert!(
                matches!(
                    status.code(),
                    Code::Unavailable | Code::Unknown | Code::Cancelled
                ),
                "{status:?}"
            ),
        }
    }

    let mut settled = Vec::new();
    for order in orders {
        let client = &world.clients.redemption;
        let redemption = linli::call!(client, redeem, order).await.unwrap();
        assert_eq!(redemption.state(), red::RedemptionState::Captured);
        settled.push(redemption);
    }
    for redemption in &answered {
        assert!(
            settled.contains(redemption),
            "an answer that was given stays the answer"
        );
    }
    assert_books(&world, &merchant, &offer, &member).await;
}

/// Each purchase is in the books once.
async fn assert_books(world: &World, merchant: &Merchant, offer: &red::Offer, member: &Member) {
    let sold = i64::try_from(CALLS).unwrap();
    let takings = world.takings(merchant).await;
    assert_eq!(
        (takings.redemptions, takings.captured_points),
        (sold, sold * 10)
    );
    let till = world.till(merchant).await;
    assert_eq!(till.balance, sold * 10);
    assert_eq!(world.entries(&till.name).await.len(), CALLS);
    let account = world.points(member).await;
    assert_eq!((account.balance, account.held), (1000 - sold * 10, 0));
    assert_eq!(world.stock_left(offer).await, 100 - sold);
    world.trial_balance().await;
}

#[tokio::test]
async fn purchases_survive_the_death_of_redemption_at_their_beginning() {
    interrupted(|world| &mut world.system.redemption, 0).await;
}

#[tokio::test]
async fn purchases_survive_the_death_of_redemption_after_the_first_answer() {
    interrupted(|world| &mut world.system.redemption, 1).await;
}

#[tokio::test]
async fn purchases_survive_the_death_of_redemption_in_their_middle() {
    interrupted(|world| &mut world.system.redemption, CALLS / 2).await;
}

#[tokio::test]
async fn purchases_survive_the_death_of_the_ledger_after_the_first_answer() {
    interrupted(|world| &mut world.system.ledger, 1).await;
}

#[tokio::test]
async fn purchases_survive_the_death_of_the_ledger_in_their_middle() {
    interrupted(|world| &mut world.system.ledger, CALLS / 2).await;
}

#[tokio::test]
async fn a_stop_in_good_order_answers_what_has_begun() {
    let mut world = World::start().await;
    let (merchant, offer, member) = world.counter(1000).await;
    let orders: Vec<red::RedeemRequest> = (0..CALLS)
        .map(|_| world.order(&member, &offer, 1))
        .collect();
    let mut calls = JoinSet::new();
    for order in orders.clone() {
        let client = world.clients.redemption.clone();
        calls.spawn(async move { send!(client, redeem, order) });
    }
    calls.join_next().await.unwrap().unwrap().unwrap();

    world.system.redemption.stop().await.unwrap();

    let mut sold = 1;
    for answer in calls.join_all().await {
        match answer {
            Ok(_) => sold += 1,
            Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status:?}"),
        }
    }
    let till = world.till(&merchant).await;
    assert_eq!(till.balance, sold * 10, "nobody paid without an answer");
    world.system.redemption.start().await.unwrap();
    for order in orders {
        let client = &world.clients.redemption;
        linli::call!(client, redeem, order).await.unwrap();
    }
    assert_books(&world, &merchant, &offer, &member).await;
}

#[tokio::test]
async fn purchases_nobody_asks_about_again_are_settled_after_the_death_of_redemption() {
    let mut world = World::start().await;
    let (merchant, offer, member) = world.counter(1000).await;
    let mut calls = JoinSet::new();
    for _ in 0..CALLS {
        let (client, order) = (
            world.clients.redemption.clone(),
            world.order(&member, &offer, 1),
        );
        calls.spawn(async move { send!(client, redeem, order) });
    }
    calls.join_next().await.unwrap().unwrap().unwrap();

    world.system.redemption.kill();
    world.system.redemption.start().await.unwrap();
    calls.join_all().await;

    let all = red::ListRedemptionsRequest {
        parent: world.community_name(),
        page_size: 1000,
        ..Default::default()
    };
    let redemptions = world
        .in_time("no purchase is pending", async || {
            let client = &world.clients.redemption;
            let answer = linli::call!(client, list_redemptions, all.clone())
                .await
                .unwrap();
            let captured = |one: &red::Redemption| one.state() == red::RedemptionState::Captured;
            answer
                .redemptions
                .iter()
                .all(captured)
                .then_some(answer.redemptions)
        })
        .await;

    let sold = i64::try_from(redemptions.len()).unwrap();
    assert_eq!(world.till(&merchant).await.balance, sold * 10);
    assert_eq!(world.points(&member).await.available, 1000 - sold * 10);
    assert_eq!(world.stock_left(&offer).await, 100 - sold);
}

#[tokio::test]
async fn grants_survive_the_death_of_activity_before_they_are_posted() {
    let mut world = World::start().await;
    let member = world.volunteer().with_points(10).await;
    world.system.ledger.kill();
    for _ in 0..10 {
        world.serve(world.service(&member, 20)).await;
    }
    world.system.activity.kill();
    world.system.ledger.start().await.unwrap();
    world.system.activity.start().await.unwrap();

    all_posted(&world, 11).await;

    assert_eq!(world.balance(&member).await, 210);
    assert_eq!(world.entries("").await.len(), 11, "each once");
}

#[tokio::test]
async fn grants_survive_the_death_of_activity_while_they_are_posted() {
    let mut world = World::start().await;
    let member = world.volunteer().with_points(10).await;
    let mut records = Vec::new();
    for _ in 0..20 {
        records.push(world.record(world.service(&member, 20)).await);
    }
    let verifications: Vec<_> = records.iter().map(|one| world.verification(one)).collect();
    let mut calls = JoinSet::new();
    for verification in verifications.clone() {
        let client = world.clients.activity.clone();
        calls.spawn(async move { send!(client, verify_service_record, verification) });
    }
    for _ in 0..5 {
        calls.join_next().await.unwrap().unwrap().unwrap();
    }

    world.system.activity.kill();
    world.system.activity.start().await.unwrap();
    calls.join_all().await;
    for verification in verifications {
        let client = &world.clients.activity;
        let verified = linli::call!(client, verify_service_record, verification).await;
        assert_eq!(verified.unwrap().state(), act::ServiceRecordState::Verified);
    }

    all_posted(&world, 21).await;
    assert_eq!(world.balance(&member).await, 410);
    assert_eq!(world.entries("").await.len(), 21, "each once");
    assert_eq!(world.hours(&member).await.len(), 21);
}

#[tokio::test]
async fn grants_survive_the_death_of_the_ledger_while_they_are_posted() {
    let mut world = World::start().await;
    let member = world.volunteer().with_points(10).await;
    for number in 0..20 {
        world.serve(world.service(&member, 20)).await;
        if number % 7 == 3 {
            world.system.ledger.kill();
            world.system.ledger.start().await.unwrap();
        }
    }

    all_posted(&world, 21).await;

    assert_eq!(world.balance(&member).await, 410);
    assert_eq!(world.entries("").await.len(), 21, "each once");
}

async fn all_posted(world: &World, grants: i64) {
    let message = act::GetProgrammeSummaryRequest {
        name: world.programme_name(),
    };
    world
        .in_time("every grant is posted", async || {
            let client = &world.clients.activity;
            let summary = linli::call!(client, get_programme_summary, message.clone()).await;
            let summary = summary.unwrap();
            ((summary.unposted_grants, summary.grants) == (0, grants)).then_some(())
        })
        .await;
}
