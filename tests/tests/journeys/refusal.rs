//! What a shop is refused, for which reason first, and that a refused call leaves nothing behind.

use journeys::{Member, Merchant, Refused, World, at, date, refused, send};
use proto::{activity::v1 as act, ledger::v1 as led, redemption::v1 as red};
use runtime::reason_of;
use tonic::Code;

/// Everything that a redemption changes.
#[derive(Debug, PartialEq)]
struct Books {
    offer: red::Offer,
    redemptions: Vec<red::Redemption>,
    takings: red::MerchantSummaryRow,
    sums: led::TrialBalance,
}

/// One offer that nobody can take yet, for every reason there is.
struct Obstacles {
    world: World,
    merchant: Merchant,
    offer: red::Offer,
    resident: Member,
    courier: Member,
}

impl Obstacles {
    async fn new() -> Self {
        let world = World::start().await;
        let merchant = world.merchant().await;
        let draft = world.offer(&merchant).stock(1).limit(2);
        let offer = draft.for_audience(red::Audience::Gig).active().await;
        let pause = red::PauseOfferRequest {
            name: offer.name.clone(),
            request_id: world.id(),
        };
        send!(world.clients.redemption, pause_offer, pause).unwrap();
        world.suspend(&merchant).await;
        let resident = world.volunteer().register().await;
        let courier = world.volunteer().who_is(act::MemberKind::Courier);
        Self {
            courier: courier.register().await,
            world,
            merchant,
            offer,
            resident,
        }
    }

    async fn books(&self) -> Books {
        Books {
            offer: self.world.offer_now(&self.offer).await,
            redemptions: self.world.redemptions().await,
            takings: self.world.takings(&self.merchant).await,
            sums: self.world.trial_balance().await,
        }
    }

    /// Tries to redeem, to hold and to preview both; all are refused for the reason and change nothing.
    async fn refuse(&self, tries: &mut Tries, member: &Member, quantity: i64, reason: &str) {
        let before = self.books().await;
        let order = self.world.order(member, &self.offer, quantity);
        let reservation = self.world.reservation(member, &self.offer, quantity);
        let order_refusal = refused(&self.world.redeem(order.clone()).await.unwrap_err());
        let hold_refusal = refused(&self.world.hold(reservation.clone()).await.unwrap_err());
        let mut preview = self.world.order(member, &self.offer, quantity);
        preview.validate_only = true;
        let preview_refusal = refused(&self.world.redeem(preview).await.unwrap_err());
        let mut preview = self.world.reservation(member, &self.offer, quantity);
        preview.validate_only = true;
        let hold_preview_refusal = refused(&self.world.hold(preview).await.unwrap_err());

        for refusal in [
            &order_refusal,
            &hold_refusal,
            &preview_refusal,
            &hold_preview_refusal,
        ] {
            assert_eq!(refusal.reason, reason);
            assert_eq!(refusal.code, Code::FailedPrecondition);
            assert_eq!(refusal.domain, "redemption.linli");
            assert!(!refusal.message_zh.is_empty(), "a text for the clerk");
        }
        assert_eq!(self.books().await, before, "{reason}");
        for request_id in [&order.request_id, &reservation.request_id] {
            let status = self.world.redemption(request_id).await.unwrap_err();
            assert_eq!(status.code(), Code::NotFound);
        }
        tries.orders.push((order, order_refusal));
        tries.reservations.push((reservation, hold_refusal));
    }
}

/// What was tried, and what came of it.
#[derive(Default)]
struct Tries {
    orders: Vec<(red::RedeemRequest, Refused)>,
    reservations: Vec<(red::HoldRedemptionRequest, Refused)>,
}

#[tokio::test]
async fn refusals_come_in_order_leave_nothing_behind_and_stay_the_answer() {
    let it = Obstacles::new().await;
    let (world, client) = (&it.world, &it.world.clients.redemption);
    let mut tries = Tries::default();

    it.refuse(&mut tries, &it.resident, 3, "MERCHANT_SUSPENDED")
        .await;
    let resume = red::ResumeMerchantRequest {
        name: it.merchant.name.clone(),
        request_id: world.id(),
    };
    send!(client, resume_merchant, resume).unwrap();
    it.refuse(&mut tries, &it.resident, 3, "OFFER_NOT_ACTIVE")
        .await;
    let resume = red::ResumeOfferRequest {
        name: it.offer.name.clone(),
        request_id: world.id(),
    };
    send!(client, resume_offer, resume).unwrap();
    it.refuse(&mut tries, &it.resident, 3, "AUDIENCE_NOT_MATCHED")
        .await;
    it.refuse(&mut tries, &it.courier, 3, "OFFER_SOLD_OUT")
        .await;
    let more = red::AdjustOfferStockRequest {
        name: it.offer.name.clone(),
        delta: 9,
        request_id: world.id(),
    };
    send!(client, adjust_offer_stock, more).unwrap();
    it.refuse(&mut tries, &it.courier, 3, "MEMBER_LIMIT_REACHED")
        .await;
    it.refuse(&mut tries, &it.courier, 2, "INSUFFICIENT_POINTS")
        .await;
    world.earn(&it.courier, 100).await;
    let redeemed = world.redeem(world.order(&it.courier, &it.offer, 2)).await;
    assert_eq!(redeemed.unwrap().points, 20);

    let before = it.books().await;
    for (order, refusal) in tries.orders {
        let again = world.redeem(order).await.unwrap_err();
        assert_eq!(refused(&again), refusal);
    }
    for (reservation, refusal) in tries.reservations {
        let again = world.hold(reservation).await.unwrap_err();
        assert_eq!(refused(&again), refusal);
    }
    assert_eq!(it.books().await, before);
}

#[tokio::test]
async fn a_preview_answers_as_if_and_changes_nothing() {
    let world = World::start().await;
    let (merchant, offer, member) = world.counter(50).await;
    let sums = world.trial_balance().await;

    let mut order = world.order(&member, &offer, 2);
    order.validate_only = true;
    let preview = world.redeem(order.clone()).await.unwrap();
    let mut reservation = world.reservation(&member, &offer, 2);
    reservation.validate_only = true;
    let hold_preview = world.hold(reservation).await.unwrap();

    assert_eq!(preview.state(), red::RedemptionState::Captured);
    assert_eq!((preview.points, preview.unit_points), (20, 10));
    assert_eq!(hold_preview.state(), red::RedemptionState::Held);
    assert_eq!(world.redemptions().await, []);
    assert_eq!(world.stock_left(&offer).await, 100);
    assert_eq!(world.trial_balance().await, sums);

    order.validate_only = false;
    assert!(world.redeem(order).await.is_ok(), "its id is still free");
    assert_eq!(world.till(&merchant).await.balance, 20);
}

#[tokio::test]
async fn an_offer_can_be_taken_only_while_it_is_active_and_agreed() {
    let world = World::start().await;
    let member = world.volunteer().with_points(100).await;
    let shop = world.merchant().await;
    let (past, yesterday) = (date(2026, 2, 1), date(2026, 3, 1));
    let (tomorrow, future) = (date(2026, 3, 3), date(2026, 4, 1));
    let lapsed = world.merchant_without_agreement().await;
    world.agreement(&lapsed, past, yesterday).await;
    world.agreement(&lapsed, tomorrow, future).await;
    let ended = world.offer(&shop).active().await;
    let end = red::EndOfferRequest {
        name: ended.name.clone(),
        request_id: world.id(),
    };
    send!(world.clients.redemption, end_offer, end).unwrap();

    let offers = [
        ("a draft", world.offer(&shop).draft().await),
        ("an ended one", ended),
        (
            "over",
            world.offer(&shop).between(past, yesterday).active().await,
        ),
        (
            "not begun",
            world.offer(&shop).between(tomorrow, future).active().await,
        ),
        ("between agreements", world.offer(&lapsed).active().await),
    ];

    for (what, offer) in &offers {
        let status = world
            .redeem(world.order(&member, offer, 1))
            .await
            .unwrap_err();
        assert_eq!(
            reason_of(&status).as_deref(),
            Some("OFFER_NOT_ACTIVE"),
            "{what}"
        );
    }
    assert_eq!(world.balance(&member).await, 100);
    world.clock.advance_to(at("2026-03-02T16:00:00Z"));
    for (what, offer) in &offers[3..] {
        let redeemed = world.redeem(world.order(&member, offer, 1)).await;
        assert!(redeemed.is_ok(), "{what}: {redeemed:?}");
    }
}

#[tokio::test]
async fn an_audience_is_who_it_says() {
    let world = World::start().await;
    let merchant = world.merchant().await;
    let gig = world.offer(&merchant).for_audience(red::Audience::Gig);
    let senior = world.offer(&merchant).for_audience(red::Audience::Senior);
    let (gig, senior) = (gig.active().await, senior.active().await);
    let members = [
        (act::MemberKind::Resident, 1966, false, true),
        (act::MemberKind::Resident, 1967, false, false),
        (act::MemberKind::Resident, 0, false, false),
        (act::MemberKind::Courier, 1990, true, false),
        (act::MemberKind::Rider, 1990, true, false),
        (act::MemberKind::Driver, 1950, true, true),
        (act::MemberKind::Staff, 1990, false, false),
    ];

    for (kind, born, is_gig, is_senior) in members {
        let member = world
            .volunteer()
            .who_is(kind)
            .born(born)
            .with_points(20)
            .await;
        for (offer, may) in [(&gig, is_gig), (&senior, is_senior)] {
            let answer = world.redeem(world.order(&member, offer, 1)).await;
            let refusal = answer.err().and_then(|status| reason_of(&status));
            let expected = (!may).then_some("AUDIENCE_NOT_MATCHED");
            assert_eq!(refusal.as_deref(), expected, "{kind:?} born {born}");
        }
    }
}

#[tokio::test]
async fn a_suspended_shop_still_captures_and_reverses() {
    let world = World::start().await;
    let (merchant, offer, member) = world.counter(50).await;
    let held = world
        .hold(world.reservation(&member, &offer, 2))
        .await
        .unwrap();
    world.suspend(&merchant).await;

    let captured = world.capture(&held, None).await.unwrap();
    let reversed = world.reverse(&captured, None).await.unwrap();

    assert_eq!(reversed.state(), red::RedemptionState::Reversed);
    assert_eq!(world.balance(&member).await, 50);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let world = World::start().await;
    let (_, offer, member) = world.counter(50).await;
    let mut order = world.order(&member, &offer, 1);
    let nobody = format!("{}/members/{}", world.community_name(), world.id());
    order.payer = Some(red::redeem_request::Payer::Member(nobody));
    let no_member = refused(&world.redeem(order).await.unwrap_err());
    let mut order = world.order(&member, &offer, 1);
    order.offer = format!("{}/offers/{}", world.community_name(), world.id());
    let no_offer = refused(&world.redeem(order).await.unwrap_err());
    let no_redemption = refused(&world.redemption(&world.id()).await.unwrap_err());

    for refusal in [no_member, no_offer, no_redemption] {
        assert_eq!(refusal.code, Code::NotFound);
        assert_eq!(refusal.reason, "RESOURCE_NOT_FOUND");
    }
}

#[tokio::test]
async fn a_price_that_changes_leaves_what_is_held_at_the_old_one() {
    let world = World::start().await;
    let (_, offer, member) = world.counter(100).await;
    let held = world
        .hold(world.reservation(&member, &offer, 1))
        .await
        .unwrap();
    let revise = red::ReviseOfferRequest {
        name: offer.name.clone(),
        points: 25,
        request_id: world.id(),
    };
    let revised = send!(world.clients.redemption, revise_offer, revise).unwrap();

    let captured = world.capture(&held, None).await.unwrap();
    let after = world.redeem(world.order(&member, &offer, 1)).await.unwrap();

    assert_eq!((revised.points, revised.revision), (25, 2));
    assert_eq!((captured.points, captured.offer_revision), (10, 1));
    assert_eq!((after.points, after.offer_revision), (25, 2));
    assert_eq!(world.balance(&member).await, 65);
}

#[tokio::test]
async fn points_of_one_programme_do_not_pay_in_another() {
    let mut world = World::start().await;
    let member = world.volunteer().with_points(100).await;
    let merchant = world.merchant().await;
    let first = world.programme;
    world.programme = world.id().parse().unwrap();
    world.programme(world.programme, None).await;
    let offer = world.offer(&merchant).active().await;

    let refusal = refused(
        &world
            .redeem(world.order(&member, &offer, 1))
            .await
            .unwrap_err(),
    );

    assert_eq!(refusal.reason, "INSUFFICIENT_POINTS");
    assert_eq!(world.till(&merchant).await.balance, 0);
    world.programme = first;
    assert_eq!(world.balance(&member).await, 100);
}
