//! Taking an offer: stock and quota.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn fifty_parallel_reservations_of_the_last_item_reserve_one() {
    let shop = std::sync::Arc::new(Shop::with_stock(1).await);
    let mut tries = JoinSet::new();
    for _ in 0..50 {
        let shop = shop.clone();
        tries.spawn(async move {
            let call = shop.call("Redeem");
            shop.reserve(&call, shop.order(1), Way::Redeem).await
        });
    }
    let outcomes = tries.join_all().await;

    let sold_out = Err(Refusal::OfferSoldOut { left: 0, asked: 1 });
    assert_eq!(outcomes.iter().filter(|one| one.is_ok()).count(), 1);
    assert_eq!(outcomes.iter().filter(|one| **one == sold_out).count(), 49);
    assert_eq!(shop.stock_left().await, 0);
    assert_eq!(shop.count("redemption").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_parallel_twins_reserve_once() {
    let shop = std::sync::Arc::new(Shop::with_stock(10).await);
    let call = shop.call("Redeem");
    let mut twins = JoinSet::new();
    for _ in 0..20 {
        let (shop, call) = (shop.clone(), call.clone());
        twins.spawn(async move { shop.reserve(&call, shop.order(2), Way::Redeem).await });
    }
    assert!(twins.join_all().await.iter().all(Result::is_ok));
    assert_eq!(shop.stock_left().await, 8);
    assert_eq!(shop.count("operation").await, 1);
}

#[tokio::test]
async fn a_refusal_of_the_ledger_leaves_only_its_answer() {
    let shop = Shop::with_stock(10).await;
    let call = shop.call("HoldRedemption");
    let order = shop.order(2);
    shop.reserve(&call, order, Way::Hold(FIVE_MINUTES))
        .await
        .unwrap();
    assert_eq!(shop.state(call.request_id).await, RedemptionState::Pending);
    assert_eq!(shop.stock_left().await, 8);

    let refusal = shop
        .answer(call.request_id, refused("INSUFFICIENT_POINTS"))
        .await;

    let too_few = Refusal::InsufficientPoints {
        needed: 60,
        available: Some(5),
    };
    assert_eq!(refusal, Some(too_few.clone()));
    assert_eq!(shop.stock_left().await, 10);
    for table in ["operation", "redemption", "transition"] {
        assert_eq!(shop.count(table).await, 0, "{table}");
    }
    let again = shop
        .service
        .hold_redemption(call, order, FIVE_MINUTES, Deadline::default())
        .await;
    assert!(matches!(again, Err(Error::Refused(refusal)) if refusal == too_few));
}

#[tokio::test]
async fn the_stock_of_a_hold_that_has_run_out_can_be_taken_at_once() {
    let shop = Shop::with_stock(4).await;
    let old = shop.held(4, FIVE_MINUTES).await;
    shop.clock.advance(FIVE_MINUTES);
    shop.redeemed(3).await;
    assert_eq!(shop.state(old).await, RedemptionState::Expired);
    assert_eq!(shop.stock_left().await, 1);
}

#[tokio::test]
async fn a_quota_counts_what_is_under_way_and_not_what_came_back() {
    let shop = Shop::with_stock(30).await;
    sqlx::query("update redemption.offer set per_member_limit = 3 where community_id = $1")
        .bind(shop.offer.community)
        .execute(&shop._database.pool("").await)
        .await
        .unwrap();
    let reserve = async |quantity| {
        let call = shop.call("Redeem");
        shop.reserve(&call, shop.order(quantity), Way::Redeem).await
    };
    let held = shop.held(1, FIVE_MINUTES).await;
    let spent = shop.redeemed(1).await;
    reserve(1).await.unwrap();
    let reached = Refusal::MemberLimitReached {
        limit: 3,
        taken: 3,
        asked: 1,
    };
    assert_eq!(reserve(1).await, Err(reached));

    let reverse = shop.call("ReverseRedemption");
    shop.reverse(reverse, spent, None).await;
    reserve(1).await.unwrap();
    assert!(reserve(1).await.is_err());
    shop.clock.advance(FIVE_MINUTES);
    reserve(1).await.unwrap();
    assert_eq!(shop.state(held).await, RedemptionState::Expired);
}
