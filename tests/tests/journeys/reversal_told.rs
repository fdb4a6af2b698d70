//! What is given back at a counter is heard of by whom it concerns: the member, the shop, and nobody else.

use journeys::{Member, Merchant, World, at_once, heard, refused, send};
use proto::{
    activity::v1::{self as act, CardEventKind, NoticeClass, notice::Detail},
    redemption::v1::{self as red, RedemptionEventKind as Kind, redeem_request::Payer},
};
use runtime::{Holder, Role};
use tonic::Streaming;

fn app(member: &Member) -> Holder {
    Holder {
        resources: vec![member.name.clone()],
        ..Holder::everywhere("app", [Role::Member])
    }
}

fn owner(merchant: &Merchant) -> Holder {
    Holder {
        resources: vec![merchant.name.clone()],
        ..Holder::everywhere("owner", [Role::Merchant])
    }
}

fn till(merchant: &Merchant, terminal: &str) -> Holder {
    Holder {
        resources: vec![terminal.to_owned(), merchant.name.clone()],
        ..Holder::everywhere("till", [Role::Terminal])
    }
}

/// Watches what is about a member or a shop, from the first event on.
async fn watch(
    world: &World,
    holder: Holder,
    member: &str,
    merchant: &str,
) -> Streaming<red::RedemptionEvent> {
    let watch = red::WatchRedemptionEventsRequest {
        parent: world.community_name(),
        after_sequence: 0,
        member: member.to_owned(),
        merchant: merchant.to_owned(),
    };
    let clients = world.clients.of(holder);
    send!(clients.redemption_events, watch_redemption_events, watch).unwrap()
}

/// What a stream tells next, as far as a reader looks at it.
async fn kinds(events: &mut Streaming<red::RedemptionEvent>, count: usize) -> Vec<Kind> {
    let told = heard(events, count).await;
    told.iter().map(red::RedemptionEvent::kind).collect()
}

/// A till sells some of an offer to a member who shows their code.
async fn sell(
    world: &World,
    holder: Holder,
    (member, merchant): (&Member, &Merchant),
    offer: &red::Offer,
    quantity: i64,
) -> red::Redemption {
    let order = red::RedeemRequest {
        payer: Some(Payer::MemberHandle(world.handle(member, merchant).await)),
        ..world.order(member, offer, quantity)
    };
    send!(world.clients.of(holder).redemption, redeem, order).unwrap()
}

#[tokio::test]
async fn what_a_cashier_gives_back_is_told_to_the_member_and_the_shop_and_to_no_neighbour() {
    let world = World::start().await;
    let (merchant, offer, member) = world.counter(50).await;
    let (_, terminal) = world.pair(&merchant).await;
    let neighbour = world.merchant().await;
    let cashier = till(&merchant, &terminal);
    let mut shop = watch(&world, owner(&merchant), "", &merchant.name).await;
    let mut next_door = watch(&world, owner(&neighbour), "", &neighbour.name).await;
    assert_eq!(
        kinds(&mut shop, 6).await,
        [
            Kind::MerchantCreated,
            Kind::AgreementCreated,
            Kind::OfferDraft,
            Kind::OfferActive,
            Kind::StoreCreated,
            Kind::TerminalPaired,
        ]
    );
    let pair = (&member, &merchant);
    let sold = sell(&world, cashier.clone(), pair, &offer, 3).await;
    for quantity in [Some(1), None] {
        let reversal = world.reversal(&sold, quantity);
        let counter = world.clients.of(cashier.clone()).redemption;
        send!(counter, reverse_redemption, reversal).unwrap();
        world.clock.advance(chrono::TimeDelta::milliseconds(1));
    }

    let told = heard(&mut shop, 3).await;
    let seen: Vec<Kind> = told.iter().map(red::RedemptionEvent::kind).collect();
    assert_eq!(
        seen,
        [
            Kind::RedemptionCaptured,
            Kind::RedemptionPartlyReversed,
            Kind::RedemptionReversed,
        ]
    );
    for event in &told {
        assert_eq!(
            (&event.subject, &event.merchant),
            (&sold.name, &merchant.name)
        );
        assert_eq!(event.member, "", "a shop is not told who it was");
    }
    let mut notices = world.told(&member.name, 2).await;
    notices.sort_by(|one, other| one.name.cmp(&other.name));
    let back = |quantity, amount, whole| {
        Some(Detail::RedemptionReversed(act::RedemptionReversed {
            redemption: sold.name.clone(),
            title: offer.title.clone(),
            programme: world.programme_name(),
            quantity,
            amount,
            whole,
        }))
    };
    let details: Vec<_> = notices.iter().map(|one| one.detail.clone()).collect();
    assert_eq!(details, [back(1, 10, false), back(2, 20, true)]);
    for notice in &notices {
        assert_eq!(notice.class(), NoticeClass::Reversal);
        assert_eq!((&notice.subject, notice.read_time), (&sold.name, None));
    }
    let mute = act::SetNoticePreferencesRequest {
        name: format!("{}/noticePreferences", member.name),
        muted_classes: vec![NoticeClass::Reversal.into()],
        request_id: world.id(),
    };
    let settings = world.clients.of(app(&member)).notices;
    let muted = send!(settings, set_notice_preferences, mute);
    assert_eq!(
        refused(&muted.unwrap_err()).reason,
        "NOTICE_CLASS_NOT_MUTABLE"
    );

    world.suspend(&neighbour).await;
    assert_eq!(
        kinds(&mut next_door, 3).await,
        [
            Kind::MerchantCreated,
            Kind::AgreementCreated,
            Kind::MerchantSuspended,
        ]
    );
}

#[tokio::test]
async fn a_members_app_hears_that_it_has_paid_while_it_stands_at_the_counter() {
    let world = World::start().await;
    let (merchant, offer, member) = world.counter(50).await;
    let (_, terminal) = world.pair(&merchant).await;
    let mut events = watch(&world, app(&member), &member.name, "").await;
    let pair = (&member, &merchant);
    let sold = sell(&world, till(&merchant, &terminal), pair, &offer, 1).await;
    let paid = heard(&mut events, 1).await.remove(0);
    assert_eq!(paid.kind(), Kind::RedemptionCaptured);
    assert_eq!((paid.subject, paid.member), (sold.name, member.name));
    // A shop can't ask for one visitor's.
    let watch = red::WatchRedemptionEventsRequest {
        parent: world.community_name(),
        after_sequence: 0,
        member: world.volunteer().register().await.name,
        merchant: merchant.name.clone(),
    };
    let clients = world.clients.of(owner(&merchant));
    let answer = send!(clients.redemption_events, watch_redemption_events, watch);
    assert_eq!(refused(&answer.unwrap_err()).reason, "NOT_YOURS");
}

#[tokio::test]
async fn who_is_named_by_somebody_is_told_what_they_have_paid() {
    let world = World::start().await;
    let (_, offer, member) = world.counter(50).await;
    let order = world.order(&member, &offer, 2);
    let desk = world.staff("STAFF01");
    let sold = send!(desk.redemption, redeem, order).unwrap();
    let notice = world.told(&member.name, 1).await.remove(0);
    assert_eq!(notice.class(), NoticeClass::Security);
    let assisted = act::RedemptionAssisted {
        redemption: sold.name,
        title: offer.title,
        programme: world.programme_name(),
        amount: 20,
    };
    assert_eq!(notice.detail, Some(Detail::RedemptionAssisted(assisted)));
}

#[tokio::test]
async fn what_becomes_of_a_card_is_told_for_security() {
    let world = World::start().await;
    let (merchant, _, member) = world.counter(50).await;
    let mut events = watch(&world, app(&member), &member.name, "").await;
    let made = world.card(&member).await;
    let wrong_pin = match &made.pin[..] {
        "000000" => "000001",
        _ => "000000",
    };
    world.clock.advance(chrono::TimeDelta::milliseconds(1));
    for _ in 0..6 {
        let scan = red::ResolveMemberCodeRequest {
            pin: wrong_pin.to_owned(),
            ..world.scan(&merchant, &made.number)
        };
        world.resolve(scan).await.unwrap_err();
    }
    let card = made.card.unwrap().name;
    let mut notices = world.told(&member.name, 2).await;
    notices.sort_by(|one, other| one.name.cmp(&other.name));
    let changed = |kind: CardEventKind| {
        Some(Detail::CardChanged(act::CardChanged {
            member_card: card.clone(),
            kind: kind.into(),
        }))
    };
    let details: Vec<_> = notices.iter().map(|one| one.detail.clone()).collect();
    assert_eq!(
        details,
        [
            changed(CardEventKind::Created),
            changed(CardEventKind::Blocked),
        ]
    );
    assert!(
        notices
            .iter()
            .all(|one| one.class() == NoticeClass::Security)
    );
    assert_eq!(
        kinds(&mut events, 2).await,
        [Kind::MemberCardActive, Kind::MemberCardBlocked]
    );

    // Another one takes its place.
    world.card(&member).await;
    assert_eq!(
        kinds(&mut events, 2).await,
        [Kind::MemberCardRevoked, Kind::MemberCardActive]
    );
}

#[tokio::test]
async fn what_was_given_back_while_activity_was_away_is_told_afterwards() {
    let mut world = World::start().await;
    let (merchant, offer, member) = world.counter(50).await;
    let (_, terminal) = world.pair(&merchant).await;
    let pair = (&member, &merchant);
    let sold = sell(&world, till(&merchant, &terminal), pair, &offer, 1).await;
    world.system.activity.stop().await.unwrap();
    world.reverse(&sold, None).await.unwrap();
    assert_eq!(world.balance(&member).await, 50);

    world.system.activity.start().await.unwrap();
    let notice = world
        .in_time("the member is told", async || {
            let list = act::ListNoticesRequest {
                parent: member.name.clone(),
                ..Default::default()
            };
            let answer = send!(world.clients.notices, list_notices, list);
            answer.ok()?.notices.pop()
        })
        .await;
    assert_eq!(notice.class(), NoticeClass::Reversal);
    assert_eq!(notice.subject, sold.name);
}

#[tokio::test]
async fn two_replicas_tell_everything_once() {
    let world = World::start().await;
    let replicas = world.replicas().await;
    let (_, offer, member) = world.counter(60).await;
    let orders: Vec<_> = (0..6).map(|_| world.order(&member, &offer, 1)).collect();
    let clients = [world.clients.clone(), replicas.clients().unwrap()];
    at_once(6, |number| {
        let (client, order) = (
            clients[number % 2].redemption.clone(),
            orders[number].clone(),
        );
        async move { send!(client, redeem, order).unwrap() }
    })
    .await;
    world.told(&member.name, 6).await;
    world.clock.advance(chrono::TimeDelta::seconds(30));
    // What is told later comes behind everything that was told before.
    let card = world.card(&member).await.card.unwrap();
    let notices = world.told(&member.name, 7).await;
    assert_eq!(notices.len(), 7);
    let mut subjects: Vec<&str> = notices.iter().map(|one| &one.subject[..]).collect();
    subjects.sort_unstable();
    subjects.dedup();
    assert_eq!(subjects.len(), 7);
    assert!(subjects.contains(&&card.name[..]));
}
