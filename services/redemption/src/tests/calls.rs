//! Calls: repeated, cancelled, listed.

use super::*;

#[tokio::test]
async fn a_call_cancelled_before_it_came_never_takes_effect() {
    let shop = Shop::with_stock(10).await;
    let call = shop.call("Redeem");
    let name = shop.name(call.request_id);
    let cancel = async || {
        let cancelled =
            shop.service
                .cancel_redemption_by_request_id(name, asker(), Deadline::default());
        cancelled.await.unwrap()
    };
    assert_eq!(cancel().await, None);
    assert_eq!(cancel().await, None);

    let request_id = call.request_id;
    let late = shop.reserve(&call, shop.order(1), Way::Redeem).await;
    assert_eq!(late, Err(Refusal::Cancelled { request_id }));
    let repeated = shop
        .service
        .redeem(call, shop.order(1), Deadline::default())
        .await;
    assert!(matches!(
        repeated,
        Err(Error::Refused(Refusal::Cancelled { .. }))
    ));
    assert_eq!(shop.stock_left().await, 10);
    assert_eq!(cancel().await, None);
}

#[tokio::test]
async fn only_calls_that_take_can_be_cancelled() {
    let shop = Shop::with_stock(10).await;
    let call = shop.call("SuspendMerchant");
    let merchant = shop.name(shop.offer.merchant);
    shop.service
        .suspend_merchant(call.clone(), merchant)
        .await
        .unwrap();
    let name = shop.name(call.request_id);
    let cancelled =
        shop.service
            .cancel_redemption_by_request_id(name, asker(), Deadline::default());
    assert!(matches!(
        cancelled.await,
        Err(Error::Refused(Refusal::RequestIdReused { .. }))
    ));
}

#[tokio::test]
async fn a_repeated_call_gets_its_first_answer_even_a_refusal() {
    let shop = Shop::with_stock(10).await;
    let merchant = shop.name(shop.offer.merchant);
    let service = &shop.service;
    let (suspend, resume) = (shop.call("SuspendMerchant"), shop.call("ResumeMerchant"));

    let early = service.resume_merchant(resume.clone(), merchant).await;
    assert!(matches!(
        early,
        Err(Error::Refused(Refusal::WrongState { .. }))
    ));
    let suspended = service
        .suspend_merchant(suspend.clone(), merchant)
        .await
        .unwrap();
    assert_eq!(suspended.state, domain::MerchantState::Suspended);
    // It could resume by now, but this call was refused.
    let again = service.resume_merchant(resume, merchant).await;
    assert!(matches!(
        again,
        Err(Error::Refused(Refusal::WrongState { .. }))
    ));
    service
        .resume_merchant(shop.call("ResumeMerchant"), merchant)
        .await
        .unwrap();
    assert_eq!(
        service
            .suspend_merchant(suspend.clone(), merchant)
            .await
            .unwrap(),
        suspended
    );

    let other = Call {
        fingerprint: vec![2],
        ..suspend
    };
    let reused = service.suspend_merchant(other, merchant).await;
    assert!(matches!(
        reused,
        Err(Error::Refused(Refusal::RequestIdReused { .. }))
    ));
}

#[tokio::test]
async fn a_merchant_has_a_number_and_an_id_of_its_own() {
    let shop = Shop::with_stock(1).await;
    let create = async |id, number: &str| {
        let new = NewMerchant {
            id,
            number: number.into(),
            display_name: "米店".into(),
            category: String::new(),
        };
        shop.service
            .create_merchant(shop.call("CreateMerchant"), new)
            .await
    };
    let taken = create(None, "M01").await;
    assert!(matches!(
        taken,
        Err(Error::Refused(Refusal::NumberTaken { .. }))
    ));
    let exists = create(Some(shop.offer.merchant), "M02").await;
    assert!(matches!(
        exists,
        Err(Error::Refused(Refusal::Exists { .. }))
    ));
}

#[tokio::test]
async fn redemptions_are_listed_newest_first_in_pages() {
    let shop = Shop::with_stock(10).await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(shop.redeemed(1).await);
        shop.clock.advance(TimeDelta::seconds(1));
    }
    made.reverse();
    let filter = ListFilter {
        community: shop.offer.community,
        member: Some(shop.ann),
        state: Some(RedemptionState::Captured),
        ..ListFilter::default()
    };
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = Page { after, limit: 2 };
        let rows = shop.service.list_redemptions(filter, page).await.unwrap();
        let Some(last) = rows.last() else { break };
        after = Some((last.created_at, last.id));
        seen.extend(rows.into_iter().map(|row| row.id));
    }
    assert_eq!(seen, made);
}

#[tokio::test]
async fn history_and_prices_can_not_be_rewritten() {
    let shop = Shop::with_stock(10).await;
    shop.redeemed(1).await;
    for statement in [
        "update redemption.transition set operator = 'x'",
        "delete from redemption.transition",
        "update redemption.offer_revision set points = 1",
        "delete from redemption.offer_revision",
        "delete from redemption.answer",
    ] {
        assert!(
            sqlx::query(statement).execute(&shop.pool).await.is_err(),
            "{statement}"
        );
    }
}
