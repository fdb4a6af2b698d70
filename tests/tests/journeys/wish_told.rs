//! Whoever promised something hears how it goes on when somebody else did it, and whoever is asked for help hears of it: nobody has to keep looking.

use chrono::TimeDelta;
use journeys::{Member, World, heard, send};
use proto::{
    activity::v1 as act,
    wish::v1::{self as pb, VisitGrade, WishEventKind as Kind},
};
use runtime::{Holder, Role};
use tonic::Streaming;

use act::{DispatchEventKind, NoticeClass, PledgeEventKind, notice::Detail};

async fn watch(world: &World, holder: Holder, member: &str) -> Streaming<pb::WishEvent> {
    let watch = pb::WatchWishEventsRequest {
        parent: world.community_name(),
        after_sequence: 0,
        member: member.to_owned(),
    };
    let clients = world.clients.of(holder);
    send!(clients.wish_events, watch_wish_events, watch).unwrap()
}

fn app(member: &Member) -> Holder {
    Holder {
        resources: vec![member.name.clone()],
        ..Holder::everywhere("app", [Role::Member])
    }
}

fn kinds(events: &[pb::WishEvent]) -> Vec<Kind> {
    events.iter().map(|event| event.kind()).collect()
}

/// What a notice tells of a pledge, and what came back.
fn of_pledge(notice: &act::Notice) -> (PledgeEventKind, i64) {
    assert_eq!(notice.class(), NoticeClass::Wish);
    match notice.detail.as_ref().unwrap() {
        Detail::PledgeMoved(moved) => (moved.kind(), moved.amount),
        other => panic!("not of a pledge: {other:?}"),
    }
}

#[tokio::test]
async fn who_promised_hears_that_it_was_refused_and_that_it_was_confirmed() {
    let world = World::start().await;
    let member = world.volunteer().register().await;
    let wish = world.published(world.wish_for(pb::WishUnit::Each, 2)).await;
    let pledge = world.pledge(world.pledge_of(&wish, &member, 2)).await;
    let pledge = pledge.unwrap();
    world.deliver(&pledge).await.unwrap();
    let refusal = pb::RefuseDeliveryRequest {
        name: pledge.name.clone(),
        reason: "the fan does not turn".to_owned(),
        request_id: world.id(),
    };
    send!(world.clients.wish, refuse_delivery, refusal).unwrap();
    let told = world.told(&member.name, 1).await;
    assert_eq!(of_pledge(&told[0]), (PledgeEventKind::Refused, 0));
    assert_eq!(told[0].subject, pledge.name);

    world.clock.advance(TimeDelta::seconds(1));
    world.deliver(&pledge).await.unwrap();
    world.confirm(&pledge).await.unwrap();
    let told = world.told(&member.name, 2).await;
    assert_eq!(of_pledge(&told[0]), (PledgeEventKind::Confirmed, 0));
    assert_eq!(
        told[0].text_zh,
        "您认领的微心愿“电风扇”已确认完成，谢谢您。"
    );
    assert_eq!(
        told[0].text_en,
        "Your pledge to the wish \"电风扇\" was confirmed: thank you."
    );
}

#[tokio::test]
async fn points_that_come_back_from_a_lapsed_wish_are_told_of_when_they_are_there() {
    let world = World::start().await;
    let member = world.volunteer().with_points(50).await;
    let wish = world
        .published(world.wish_for(pb::WishUnit::Points, 100))
        .await;
    let pledge = world.pledge(world.pledge_of(&wish, &member, 30)).await;
    pledge.unwrap();
    world.clock.advance(TimeDelta::days(11));
    let told = world.told(&member.name, 1).await;
    assert_eq!(of_pledge(&told[0]), (PledgeEventKind::Lapsed, 30));
    assert_eq!(world.balance(&member).await, 50);
    let mut events = watch(&world, app(&member), &member.name).await;
    assert_eq!(
        kinds(&heard(&mut events, 2).await),
        [Kind::PledgeActive, Kind::PledgeLapsed]
    );
}

#[tokio::test]
async fn who_takes_a_pledge_back_is_not_told_what_they_know() {
    let world = World::start().await;
    let member = world.volunteer().with_points(50).await;
    let wish = world
        .published(world.wish_for(pb::WishUnit::Points, 100))
        .await;
    let pledge = world.pledge(world.pledge_of(&wish, &member, 30)).await;
    world.withdraw(&pledge.unwrap()).await.unwrap();
    let second = world.pledge(world.pledge_of(&wish, &member, 20)).await;
    let second = second.unwrap();
    world.clock.advance(TimeDelta::seconds(1));
    let revocation = pb::RevokePledgeRequest {
        name: second.name.clone(),
        reason: "twice by mistake".to_owned(),
        request_id: world.id(),
    };
    send!(world.clients.wish, revoke_pledge, revocation).unwrap();
    let told = world.told(&member.name, 1).await;
    assert_eq!(told.len(), 1);
    assert_eq!(of_pledge(&told[0]), (PledgeEventKind::Revoked, 20));
    assert_eq!(told[0].subject, second.name);
}

#[tokio::test]
async fn who_gets_their_points_back_after_all_is_told_so() {
    let world = World::start().await;
    let member = world.volunteer().with_points(50).await;
    let wish = world
        .published(world.wish_for(pb::WishUnit::Points, 30))
        .await;
    let pledge = world.pledge(world.pledge_of(&wish, &member, 30)).await;
    let pledge = pledge.unwrap();
    world.deliver(&pledge).await.unwrap();
    world.confirm(&pledge).await.unwrap();
    world.told(&member.name, 1).await;
    world.clock.advance(TimeDelta::seconds(1));
    let reversal = pb::ReversePledgeRequest {
        name: pledge.name.clone(),
        reason: "it came to the wrong door".to_owned(),
        request_id: world.id(),
    };
    send!(world.clients.wish, reverse_pledge, reversal).unwrap();
    let told = world.told(&member.name, 2).await;
    assert_eq!(of_pledge(&told[0]), (PledgeEventKind::Reversed, 30));
    assert_eq!(
        told[0].text_zh,
        "您认领的微心愿“电风扇”在确认后被撤销，30 points 已按原有效期退回。"
    );
    assert_eq!(world.balance(&member).await, 50);
}

#[tokio::test]
async fn who_is_asked_hears_of_it_and_that_they_are_not_any_more() {
    let world = World::start().await;
    let member = world.volunteer().register().await;
    let needy = world.beneficiary(VisitGrade::Weekly).await;
    let wish = world.open_wish(&needy.name, 1).await;
    let dispatch = world.dispatch(&wish, &member).await;
    let told = world.told(&member.name, 1).await;
    let what = |notice: &act::Notice| match notice.detail.as_ref().unwrap() {
        Detail::DispatchMoved(moved) => moved.kind(),
        other => panic!("not of a dispatch: {other:?}"),
    };
    assert_eq!(what(&told[0]), DispatchEventKind::Issued);
    assert_eq!(told[0].subject, dispatch.name);

    world.clock.advance(TimeDelta::seconds(1));
    let withdrawal = pb::WithdrawDispatchRequest {
        name: dispatch.name.clone(),
        reason: "someone else was nearer".to_owned(),
        request_id: world.id(),
    };
    send!(world.clients.dispatches, withdraw_dispatch, withdrawal).unwrap();
    let told = world.told(&member.name, 2).await;
    assert_eq!(what(&told[0]), DispatchEventKind::Withdrawn);
}

#[tokio::test]
async fn staff_hear_of_a_wish_from_its_collection_to_its_end() {
    let world = World::start().await;
    let mut events = watch(&world, Holder::everywhere("desk", [Role::Staff]), "").await;
    let member = world.volunteer().register().await;
    let wish = world.published(world.wish_for(pb::WishUnit::Each, 1)).await;
    let pledge = world.pledge(world.pledge_of(&wish, &member, 1)).await;
    let pledge = pledge.unwrap();
    world.deliver(&pledge).await.unwrap();
    world.confirm(&pledge).await.unwrap();
    let told = heard(&mut events, 8).await;
    assert_eq!(
        kinds(&told),
        [
            Kind::BeneficiaryActive,
            Kind::WishSubmitted,
            Kind::WishReviewed,
            Kind::WishPublished,
            Kind::PledgeActive,
            Kind::PledgeDelivered,
            Kind::PledgeConfirmed,
            Kind::WishFulfilled,
        ]
    );
    let sequences: Vec<i64> = told.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (1..=8).collect::<Vec<_>>());
    // Nobody learns from the stream who is helped.
    assert!(
        told.iter()
            .all(|event| event.member.is_empty() || event.member == member.name)
    );
}
