//! The same request twenty times at once has one effect and twenty equal answers; under its id nothing else passes.

use journeys::{World, one_answer, refused, send};
use proto::{activity::v1 as act, ledger::v1 as led, redemption::v1 as red};
use tonic::{Code, Status};

#[tokio::test]
async fn twenty_equal_redemptions_are_paid_once() {
    let world = World::start().await;
    let (merchant, offer, member) = world.counter(500).await;

    let order = world.order(&member, &offer, 2);
    let redemption = one_answer!(world.clients.redemption, redeem, order);

    assert_eq!(redemption.state(), red::RedemptionState::Captured);
    assert_eq!(world.redemptions().await, [redemption]);
    assert_eq!(world.balance(&member).await, 480);
    assert_eq!(world.till(&merchant).await.balance, 20);
    assert_eq!(world.stock_left(&offer).await, 98);
}

#[tokio::test]
async fn twenty_equal_holds_captures_and_reversals_each_happen_once() {
    let world = World::start().await;
    let (merchant, offer, member) = world.counter(500).await;
    let client = &world.clients.redemption;

    let held = one_answer!(
        client,
        hold_redemption,
        world.reservation(&member, &offer, 3)
    );
    assert_eq!(held.state(), red::RedemptionState::Held);
    assert_eq!(world.points(&member).await.held, 30);
    assert_eq!(world.stock_left(&offer).await, 97);

    let capture = red::CaptureRedemptionRequest {
        name: held.name.clone(),
        request_id: world.id(),
        quantity: Some(2),
    };
    let captured = one_answer!(client, capture_redemption, capture);
    assert_eq!(captured.captured_points, 20);
    assert_eq!(world.till(&merchant).await.balance, 20);

    let reversal = world.reversal(&captured, Some(1));
    let reversed = one_answer!(client, reverse_redemption, reversal);
    assert_eq!(reversed.reversed_points, 10);
    assert_eq!(world.till(&merchant).await.balance, 10);
    assert_eq!(world.balance(&member).await, 490);
    assert_eq!(world.stock_left(&offer).await, 99);
}

#[tokio::test]
async fn twenty_equal_releases_happen_once() {
    let world = World::start().await;
    let (_, offer, member) = world.counter(100).await;
    let held = world
        .hold(world.reservation(&member, &offer, 3))
        .await
        .unwrap();

    let release = red::ReleaseRedemptionRequest {
        name: held.name,
        request_id: world.id(),
    };
    let released = one_answer!(world.clients.redemption, release_redemption, release);

    assert_eq!(released.state(), red::RedemptionState::Released);
    assert_eq!(world.points(&member).await.available, 100);
    assert_eq!(world.stock_left(&offer).await, 100);
}

#[tokio::test]
async fn twenty_equal_verifications_grant_once() {
    let world = World::start().await;
    let member = world.volunteer().register().await;
    let record = world.record(world.service(&member, 60)).await;

    let verification = world.verification(&record);
    let verified = one_answer!(world.clients.activity, verify_service_record, verification);

    world.posted(&verified.grant).await;
    let summary = world.summary().await;
    assert_eq!(
        (summary.grants, summary.granted, summary.service_minutes),
        (1, 60, 60)
    );
    assert_eq!(world.balance(&member).await, 60);
    assert_eq!(world.hours(&member).await.len(), 1);
}

#[tokio::test]
async fn twenty_equal_registrations_make_one_member() {
    let world = World::start().await;
    let message = act::CreateMemberRequest {
        parent: world.community_name(),
        member: Some(act::Member {
            kind: act::MemberKind::Rider.into(),
            display_name: "李雷".to_owned(),
            ..Default::default()
        }),
        request_id: world.id(),
        ..Default::default()
    };

    let member = one_answer!(world.clients.activity, create_member, message);

    let all = act::ListMembersRequest {
        parent: world.community_name(),
        ..Default::default()
    };
    let all = send!(world.clients.activity, list_members, all).unwrap();
    assert_eq!(all.members, [member]);
}

#[tokio::test]
async fn twenty_equal_batches_of_transfers_post_once() {
    let world = World::start().await;
    let (merchant, _, member) = world.counter(100).await;
    let message = transfers(&world, &member.id, &merchant.id, [30, 200, 40]);

    let answer = one_answer!(world.clients.ledger, post_transfers, message);

    let posted: Vec<bool> = answer
        .verdicts
        .iter()
        .map(|one| matches!(one.verdict, Some(led::transfer_verdict::Verdict::Entry(_))))
        .collect();
    assert_eq!(posted, [true, false, true]);
    assert_eq!(world.balance(&member).await, 30);
    assert_eq!(world.entries("").await.len(), 3);
}

#[tokio::test]
async fn an_id_that_was_used_for_something_else_is_refused() {
    let world = World::start().await;
    let (merchant, offer, member) = world.counter(100).await;
    let order = world.order(&member, &offer, 1);
    let reservation = world.reservation(&member, &offer, 1);
    let record = world.record(world.service(&member, 60)).await;
    let verification = world.verification(&record);
    let batch = transfers(&world, &member.id, &merchant.id, [5, 6, 7]);
    world.redeem(order.clone()).await.unwrap();
    world.hold(reservation.clone()).await.unwrap();
    let client = &world.clients.activity;
    let verified = send!(client, verify_service_record, verification.clone()).unwrap();
    world.posted(&verified.grant).await;
    send!(world.clients.ledger, post_transfers, batch.clone()).unwrap();
    let before = world.trial_balance().await;

    let mut other = order.clone();
    other.quantity = 2;
    reused(world.redeem(other).await);
    let mut other = reservation.clone();
    other.request_id = order.request_id.clone();
    reused(world.hold(other).await);
    let mut other = reservation;
    other.ttl = Some(prost_types::Duration {
        seconds: 60,
        nanos: 0,
    });
    reused(world.hold(other).await);
    let mut other = verification;
    other.name = world.record(world.service(&member, 30)).await.name;
    reused(send!(client, verify_service_record, other));
    let mut other = batch;
    other.transfers[1].amount += 1;
    let answer = send!(world.clients.ledger, post_transfers, other).unwrap();

    let Some(led::transfer_verdict::Verdict::Refusal(refusal)) = &answer.verdicts[1].verdict else {
        panic!("{answer:?}");
    };
    assert_eq!(refusal.reason, "REQUEST_ID_REUSED");
    assert_eq!(world.trial_balance().await, before);
    assert_eq!(world.stock_left(&offer).await, 98);
}

fn reused<T: std::fmt::Debug>(answer: Result<T, Status>) {
    let refusal = refused(&answer.unwrap_err());
    assert_eq!(refusal.code, Code::InvalidArgument);
    assert_eq!(refusal.reason, "REQUEST_ID_REUSED");
}

fn transfers(
    world: &World,
    member: &uuid::Uuid,
    merchant: &uuid::Uuid,
    amounts: [i64; 3],
) -> led::PostTransfersRequest {
    let transfers = amounts.map(|amount| led::Transfer {
        request_id: world.id(),
        debit_account: world.account_name(led::AccountKind::Member, Some(*member)),
        credit_account: world.account_name(led::AccountKind::Merchant, Some(*merchant)),
        amount,
        ..Default::default()
    });
    led::PostTransfersRequest {
        parent: world.community_name(),
        transfers: transfers.to_vec(),
    }
}
