//! A till that does not know what became of its call cancels it by its id, whatever became of it.

use journeys::{World, refused};
use proto::redemption::v1 as red;
use tonic::Code;

#[tokio::test]
async fn a_cancelled_call_that_arrives_later_is_refused() {
    let world = World::start().await;
    let (_, offer, member) = world.counter(50).await;
    let order = world.order(&member, &offer, 1);
    let reservation = world.reservation(&member, &offer, 1);

    assert_eq!(world.cancel(&order.request_id).await.unwrap(), None);
    assert_eq!(world.cancel(&reservation.request_id).await.unwrap(), None);

    let late = [
        world.redeem(order.clone()).await.unwrap_err(),
        world.hold(reservation).await.unwrap_err(),
        world.redeem(order.clone()).await.unwrap_err(),
    ];
    for status in late {
        let refusal = refused(&status);
        assert_eq!(refusal.code, Code::FailedPrecondition);
        assert_eq!(refusal.reason, "CANCELLED");
    }
    assert_eq!(world.cancel(&order.request_id).await.unwrap(), None);
    assert_eq!(world.balance(&member).await, 50);
    assert_eq!(world.stock_left(&offer).await, 100);
    assert_eq!(world.redemptions().await, []);
}

#[tokio::test]
async fn a_cancelled_hold_is_released_and_stays_so() {
    let world = World::start().await;
    let (_, offer, member) = world.counter(50).await;
    let reservation = world.reservation(&member, &offer, 2);
    let held = world.hold(reservation.clone()).await.unwrap();

    let cancelled = world
        .cancel(&reservation.request_id)
        .await
        .unwrap()
        .unwrap();
    let again = world
        .cancel(&reservation.request_id)
        .await
        .unwrap()
        .unwrap();

    assert_eq!(cancelled.state(), red::RedemptionState::Released);
    assert_eq!(again, cancelled);
    let account = world.points(&member).await;
    assert_eq!((account.held, account.available), (0, 50));
    assert_eq!(world.stock_left(&offer).await, 100);
    let capture = world.capture(&held, None).await.unwrap_err();
    assert_eq!(refused(&capture).reason, "WRONG_STATE");
}

#[tokio::test]
async fn a_cancelled_purchase_is_reversed_once() {
    let world = World::start().await;
    let (merchant, offer, member) = world.counter(50).await;
    let order = world.order(&member, &offer, 3);
    world.redeem(order.clone()).await.unwrap();

    let cancelled = world.cancel(&order.request_id).await.unwrap().unwrap();
    let again = world.cancel(&order.request_id).await.unwrap().unwrap();

    assert_eq!(cancelled.state(), red::RedemptionState::Reversed);
    assert_eq!(cancelled.reversed_quantity, 3);
    assert_eq!(again, cancelled);
    assert_eq!(world.balance(&member).await, 50);
    assert_eq!(world.till(&merchant).await.balance, 0);
    assert_eq!(world.stock_left(&offer).await, 100);
    let takings = world.takings(&merchant).await;
    assert_eq!((takings.captured_points, takings.reversed_points), (30, 30));
    assert_eq!((takings.redemptions, takings.reversals), (1, 1));
}

#[tokio::test]
async fn a_captured_hold_is_cancelled_as_far_as_it_was_not_reversed() {
    let world = World::start().await;
    let (merchant, offer, member) = world.counter(50).await;
    let reservation = world.reservation(&member, &offer, 4);
    let held = world.hold(reservation.clone()).await.unwrap();
    let captured = world.capture(&held, Some(3)).await.unwrap();
    world.reverse(&captured, Some(1)).await.unwrap();

    let cancelled = world
        .cancel(&reservation.request_id)
        .await
        .unwrap()
        .unwrap();

    assert_eq!(cancelled.state(), red::RedemptionState::Reversed);
    assert_eq!(cancelled.reversed_points, 30);
    assert_eq!(world.balance(&member).await, 50);
    assert_eq!(world.till(&merchant).await.balance, 0);
    assert_eq!(world.stock_left(&offer).await, 100);
}

#[tokio::test]
async fn cancelling_a_refused_call_changes_nothing() {
    let world = World::start().await;
    let (_, offer, member) = world.counter(5).await;
    let order = world.order(&member, &offer, 1);
    let refusal = refused(&world.redeem(order.clone()).await.unwrap_err());

    let cancelled = world.cancel(&order.request_id).await.unwrap();

    assert_eq!(cancelled, None);
    assert_eq!(refusal.reason, "INSUFFICIENT_POINTS");
    assert!(world.redeem(order).await.is_err());
    assert_eq!(world.balance(&member).await, 5);
}

#[tokio::test]
async fn a_call_and_its_cancellation_at_once_leave_nothing_paid() {
    let world = World::start().await;
    let (merchant, offer, member) = world.counter(100).await;

    for _ in 0..10 {
        let order = world.order(&member, &offer, 1);
        let request_id = order.request_id.clone();
        let (_, cancelled) = tokio::join!(world.redeem(order), world.cancel(&request_id));
        let cancelled = match cancelled {
            Err(status) if status.code() == Code::Aborted => world.cancel(&request_id).await,
            cancelled => cancelled,
        };
        if let Some(redemption) = cancelled.unwrap() {
            assert_eq!(redemption.state(), red::RedemptionState::Reversed);
        }
    }

    assert_eq!(world.points(&member).await.available, 100);
    assert_eq!(world.till(&merchant).await.balance, 0);
    assert_eq!(world.stock_left(&offer).await, 100);
}
