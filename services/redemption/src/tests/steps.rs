//! Steps after that: each is settled once, whoever drives it.

use super::*;

#[tokio::test]
async fn the_second_answer_to_one_step_changes_nothing() {
    let shop = Shop::with_stock(10).await;
    let id = shop.held(4, FIVE_MINUTES).await;
    let call = shop.call("ReleaseRedemption");
    let released =
        shop.service
            .release_redemption(call.clone(), shop.name(id), Deadline::default());
    assert!(matches!(released.await, Err(Error::Unavailable("ledger"))));
    let operation = store::operation_find_pending(&shop.pool, shop.name(call.request_id));
    let operation = operation.await.unwrap().unwrap();
    let held = shop.redemption(id).await.unwrap();

    let step = Begun {
        operation,
        redemption: held,
    };
    let engine = &shop.service.engine;
    let first = engine.settle(step.clone(), shop.done()).await.unwrap();
    assert_eq!(first.unwrap().refusal, None);
    assert_eq!(engine.settle(step, shop.done()).await.unwrap(), None);

    assert_eq!(shop.stock_left().await, 10);
    assert_eq!(shop.state(id).await, RedemptionState::Released);
    // The call that got no answer gets it now, without the ledger.
    let again = shop
        .service
        .release_redemption(call, shop.name(id), Deadline::default());
    assert_eq!(again.await.unwrap(), shop.redemption(id).await.unwrap());
}

#[tokio::test]
async fn without_the_ledger_a_step_waits_and_no_other_begins() {
    let shop = Shop::with_stock(10).await;
    let id = shop.held(4, FIVE_MINUTES).await;
    let capture = shop.call("CaptureRedemption");
    let unavailable = |answer| matches!(answer, Err(Error::Unavailable("ledger")));
    let name = shop.name(id);
    let service = &shop.service;
    let limit = Deadline::default();

    let first = service
        .capture_redemption(capture.clone(), name, Some(1), limit)
        .await;
    let second = service
        .release_redemption(shop.call("ReleaseRedemption"), name, limit)
        .await;

    assert!(unavailable(first) && unavailable(second));
    assert_eq!(shop.state(id).await, RedemptionState::Held);
    assert_eq!(shop.answer(capture.request_id, shop.done()).await, None);
    assert_eq!(shop.state(id).await, RedemptionState::Captured);
    assert_eq!(shop.stock_left().await, 9);
    let late = service
        .release_redemption(shop.call("ReleaseRedemption"), name, limit)
        .await;
    assert!(matches!(
        late,
        Err(Error::Refused(Refusal::AlreadyCaptured))
    ));
}

#[tokio::test]
async fn a_hold_that_has_run_out_gives_its_stock_back_once() {
    let shop = Shop::with_stock(4).await;
    let id = shop.held(4, FIVE_MINUTES).await;
    shop.clock.advance(FIVE_MINUTES);
    let limit = Deadline::default();

    let capture = shop.call("CaptureRedemption");
    let late = shop
        .service
        .capture_redemption(capture, shop.name(id), None, limit)
        .await;
    assert!(matches!(
        late,
        Err(Error::Refused(Refusal::HoldExpired { .. }))
    ));
    // The ledger is out of reach, so the points wait; the stock does not.
    for _ in 0..2 {
        assert!(matches!(
            shop.service.recover().await,
            Err(Error::Unavailable("ledger"))
        ));
    }
    assert_eq!(shop.state(id).await, RedemptionState::Expired);
    assert_eq!(shop.stock_left().await, 4);
}

#[tokio::test]
async fn a_capture_in_time_is_not_overtaken_by_the_end_of_its_hold() {
    let shop = Shop::with_stock(4).await;
    let id = shop.held(4, FIVE_MINUTES).await;
    let capture = shop.call("CaptureRedemption");
    let limit = Deadline::default();
    let service = &shop.service;
    let waiting = service.capture_redemption(capture.clone(), shop.name(id), None, limit);
    assert!(waiting.await.is_err());
    shop.clock.advance(FIVE_MINUTES * 2);
    assert!(service.recover().await.is_err());
    assert_eq!(shop.state(id).await, RedemptionState::Held);
    shop.answer(capture.request_id, shop.done()).await;
    assert_eq!(shop.state(id).await, RedemptionState::Captured);
}

#[tokio::test]
async fn due_steps_are_claimed_by_one_at_a_time() {
    let shop = Shop::with_stock(30).await;
    for _ in 0..6 {
        let call = shop.call("Redeem");
        shop.reserve(&call, shop.order(1), Way::Redeem)
            .await
            .unwrap();
    }
    let community = shop.offer.community;
    let claim = |now: DateTime<Utc>| {
        let until = now + TimeDelta::seconds(15);
        store::operation_claim_due(&shop.pool, community, Lease { now, until })
    };
    let due = |now| store::operation_due_community(&shop.pool, now);
    let now = shop.clock.now();
    assert_eq!(due(now).await.unwrap(), None, "the calls have a head start");

    let later = now + TimeDelta::seconds(5);
    assert_eq!(due(later).await.unwrap(), Some(community));
    let (one, other) = tokio::join!(claim(later), claim(later));
    let ids: Vec<Uuid> = [one.unwrap(), other.unwrap()]
        .concat()
        .into_iter()
        .map(|due| due.operation)
        .collect();
    assert_eq!(ids.len(), 6);
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 6);
    assert!(claim(later).await.unwrap().is_empty());
    let lost = claim(later + TimeDelta::seconds(15)).await.unwrap();
    assert_eq!(lost.len(), 6, "a lease that ran out is free again");
}

#[tokio::test]
async fn reversals_in_parts_add_up_and_the_summary_with_them() {
    let shop = Shop::with_stock(10).await;
    let id = shop.redeemed(4).await;
    shop.held(2, FIVE_MINUTES).await;
    shop.reverse(shop.call("ReverseRedemption"), id, Some(1))
        .await;
    assert_eq!(shop.state(id).await, RedemptionState::Captured);
    assert_eq!(shop.stock_left().await, 5);
    shop.reverse(shop.call("ReverseRedemption"), id, None).await;
    assert_eq!(shop.state(id).await, RedemptionState::Reversed);
    assert_eq!(shop.stock_left().await, 8);

    let rows = shop
        .service
        .get_merchant_summary(shop.name(shop.offer.merchant))
        .await
        .unwrap();
    assert_eq!(
        rows,
        [store::SummaryRow {
            asset: "points".into(),
            redemptions: 1,
            captured_points: 120,
            reversed_points: 120,
            reversals: 2,
            held_points: 60,
        }]
    );
    assert_eq!(shop.count("transition").await, 4);
}
