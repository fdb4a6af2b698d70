//! A service that is away for a while delays what needs it, and loses nothing.

use chrono::TimeDelta;
use journeys::{World, refused, send};
use proto::{activity::v1 as act, redemption::v1 as red};
use tonic::Code;

#[tokio::test]
async fn grants_made_while_the_ledger_is_away_arrive_once_it_is_back() {
    let mut world = World::start().await;
    let (_, _, member) = world.counter(10).await;
    let newcomer = world.volunteer().register().await;
    world.system.ledger.stop().await.unwrap();

    let mut grants = Vec::new();
    for who in [&member, &newcomer] {
        for _ in 0..5 {
            let record = world.record(world.service(who, 20)).await;
            let verification = world.verification(&record);
            let mut client = world.clients.activity.clone();
            // Nobody at the desk waits for the ledger.
            let request = runtime::request(verification, std::time::Duration::from_secs(2));
            let verified = client.verify_service_record(request).await.unwrap();
            grants.push(verified.into_inner().grant);
        }
    }

    assert_eq!(world.member(&member).await.service_minutes, 110);
    let summary = world.summary().await;
    assert_eq!(
        (summary.granted, summary.grants, summary.unposted_grants),
        (210, 11, 10)
    );
    for grant in &grants {
        assert_eq!(world.grant(grant).await.state(), act::GrantState::Pending);
    }

    world.system.ledger.start().await.unwrap();
    world
        .in_time("every grant is posted", async || {
            (world.summary().await.unposted_grants == 0).then_some(())
        })
        .await;

    for grant in &grants {
        assert_eq!(world.grant(grant).await.state(), act::GrantState::Posted);
    }
    assert_eq!(world.balance(&member).await, 110);
    assert_eq!(world.balance(&newcomer).await, 100);
    assert_eq!(world.entries("").await.len(), 11);
}

#[tokio::test]
async fn a_purchase_while_the_ledger_is_away_is_settled_once_by_the_tills_repeat() {
    let mut world = World::start().await;
    let (merchant, offer, member) = world.counter(50).await;
    let order = world.order(&member, &offer, 2);
    let reservation = world.reservation(&member, &offer, 1);
    world.system.ledger.stop().await.unwrap();

    let away = world.redeem(order.clone()).await.unwrap_err();
    let hold_away = world.hold(reservation.clone()).await.unwrap_err();
    let again = world.redeem(order.clone()).await.unwrap_err();
    for status in [away, hold_away, again] {
        let refusal = refused(&status);
        assert_eq!(refusal.code, Code::Unavailable, "{refusal:?}");
        assert_eq!(refusal.reason, "DEPENDENCY_UNAVAILABLE");
        assert!(refusal.try_again);
    }

    world.system.ledger.start().await.unwrap();
    let client = &world.clients.redemption;
    let redemption = linli::call!(client, redeem, order.clone()).await.unwrap();
    let held = linli::call!(client, hold_redemption, reservation)
        .await
        .unwrap();

    assert_eq!(redemption.state(), red::RedemptionState::Captured);
    assert_eq!(held.state(), red::RedemptionState::Held);
    assert_eq!(world.redeem(order).await.unwrap(), redemption);
    assert_eq!(world.till(&merchant).await.balance, 20);
    let account = world.points(&member).await;
    assert_eq!((account.balance, account.held), (30, 10));
    assert_eq!(world.stock_left(&offer).await, 97);
    assert_eq!(world.entries("").await.len(), 3);
}

#[tokio::test]
async fn a_purchase_that_the_till_gave_up_is_finished_or_undone_without_it() {
    let mut world = World::start().await;
    let (merchant, offer, member) = world.counter(50).await;
    let order = world.order(&member, &offer, 2);
    world.system.ledger.stop().await.unwrap();
    world.redeem(order.clone()).await.unwrap_err();

    world.system.ledger.start().await.unwrap();
    let redemption = world
        .in_time("the purchase is settled", async || {
            let redemption = world.redemption(&order.request_id).await.unwrap();
            (redemption.state() != red::RedemptionState::Pending).then_some(redemption)
        })
        .await;

    assert_eq!(redemption.state(), red::RedemptionState::Captured);
    assert_eq!(world.till(&merchant).await.balance, 20);
    assert_eq!(world.stock_left(&offer).await, 98);
}

#[tokio::test]
async fn without_activity_a_shop_is_told_to_try_again_and_can_still_capture() {
    let mut world = World::start().await;
    let (_, offer, member) = world.counter(50).await;
    let held = world
        .hold(world.reservation(&member, &offer, 2))
        .await
        .unwrap();
    let order = world.order(&member, &offer, 1);
    world.system.activity.stop().await.unwrap();
    // What was said of the member a moment ago counts no more.
    world.clock.advance(TimeDelta::seconds(10));

    let away = refused(&world.redeem(order.clone()).await.unwrap_err());
    let captured = world.capture(&held, None).await.unwrap();

    assert_eq!((away.code, away.try_again), (Code::Unavailable, true));
    assert_eq!(captured.state(), red::RedemptionState::Captured);
    assert_eq!(world.stock_left(&offer).await, 98);
    world.system.activity.start().await.unwrap();
    let client = &world.clients.redemption;
    let redemption = linli::call!(client, redeem, order).await.unwrap();
    assert_eq!(redemption.state(), red::RedemptionState::Captured);
}

#[tokio::test]
async fn a_revocation_while_the_ledger_is_away_takes_the_points_back_later() {
    let mut world = World::start().await;
    let member = world.volunteer().with_points(20).await;
    let posted = world.earn(&member, 30).await;
    world.system.ledger.stop().await.unwrap();
    let pending = world.serve(world.service(&member, 40)).await;

    for record in [&posted.service_record, &pending.service_record] {
        world.revoke(record).await.unwrap();
    }
    assert_eq!(world.member(&member).await.service_minutes, 20);

    world.system.ledger.start().await.unwrap();
    for grant in [&posted.name, &pending.name] {
        world
            .in_time("the grant is revoked", async || {
                let state = world.grant(grant).await.state();
                (state == act::GrantState::Revoked).then_some(())
            })
            .await;
    }

    assert_eq!(world.balance(&member).await, 20);
    let summary = world.summary().await;
    assert_eq!((summary.granted, summary.grants), (20, 1));
}

#[tokio::test]
async fn a_programme_starts_only_with_the_ledger() {
    let mut world = World::empty().await;
    world.system.ledger.stop().await.unwrap();
    let message = act::CreateProgrammeRequest {
        parent: world.community_name(),
        programme_id: world.programme.to_string(),
        programme: Some(act::Programme {
            display_name: "Neighbours".to_owned(),
            asset: "points".to_owned(),
            time_zone: "Asia/Shanghai".to_owned(),
            ..Default::default()
        }),
        request_id: world.id(),
    };
    let client = world.clients.activity.clone();

    let away = refused(&send!(client, create_programme, message.clone()).unwrap_err());
    world.system.ledger.start().await.unwrap();
    let programme = linli::call!(client, create_programme, message)
        .await
        .unwrap();

    assert_eq!(away.code, Code::Unavailable);
    assert_eq!(programme.name, world.programme_name());
}

#[tokio::test]
async fn a_repeat_is_answered_though_every_other_service_is_away() {
    let mut world = World::start().await;
    let (_, offer, member) = world.counter(15).await;
    let order = world.order(&member, &offer, 1);
    let refused_order = world.order(&member, &offer, 1);
    let answer = world.redeem(order.clone()).await.unwrap();
    let refusal = refused(&world.redeem(refused_order.clone()).await.unwrap_err());
    world.system.activity.stop().await.unwrap();
    world.system.ledger.stop().await.unwrap();

    assert_eq!(world.redeem(order).await.unwrap(), answer);
    let again = world.redeem(refused_order).await.unwrap_err();
    assert_eq!(refused(&again), refusal);
    assert_eq!(refusal.reason, "INSUFFICIENT_POINTS");
}

#[tokio::test]
async fn a_purchase_cancelled_while_the_ledger_is_away_is_undone_once_it_is_back() {
    let mut world = World::start().await;
    let (merchant, offer, member) = world.counter(50).await;
    let order = world.order(&member, &offer, 2);
    world.system.ledger.stop().await.unwrap();
    world.redeem(order.clone()).await.unwrap_err();

    let away = refused(&world.cancel(&order.request_id).await.unwrap_err());
    world.system.ledger.start().await.unwrap();
    let message = red::CancelRedemptionByRequestIdRequest {
        parent: world.community_name(),
        request_id: order.request_id.clone(),
    };
    let client = &world.clients.redemption;
    let cancelled = linli::call!(client, cancel_redemption_by_request_id, message);

    assert_eq!((away.code, away.try_again), (Code::Unavailable, true));
    let redemption = cancelled.await.unwrap().redemption.unwrap();
    assert_eq!(redemption.state(), red::RedemptionState::Reversed);
    assert_eq!(world.points(&member).await.available, 50);
    assert_eq!(world.till(&merchant).await.balance, 0);
    assert_eq!(world.stock_left(&offer).await, 100);
}
