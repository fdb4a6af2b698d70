//! Points never vanish without notice: what expires when can be asked at any time, it is told 30, 7 and 1 days before, and a receipt follows.

use chrono::TimeDelta;
use journeys::{Member, Scheme, World, at, eventually, per_hour, refused, send};
use proto::{
    activity::v1 as act,
    ledger::v1 as led,
    redemption::v1::{self as red, redeem_request::Payer},
};
use runtime::{Holder, Role, timestamp};
use tonic::Code;

use act::notice::Detail;

/// A world in which points that are earned in March expire with the end of May.
async fn world() -> World {
    World::with(Scheme {
        policy: act::Policy {
            expiry_months: Some(2),
            ..per_hour("*", 60)
        },
        budget: None,
    })
    .await
}

/// Moves the clock and waits until a member has so many notices; returns the newest.
async fn told_at(world: &World, member: &Member, time: &str, count: usize) -> act::Notice {
    world.clock.advance(at(time) - world.clock.now());
    let notices = world.told(&member.name, count).await;
    assert_eq!(notices.len(), count, "{notices:#?}");
    notices.into_iter().next().unwrap()
}

fn ahead(notice: &act::Notice) -> (i64, i32) {
    match notice.detail.as_ref().unwrap() {
        Detail::ExpiryAhead(ahead) => (ahead.amount, ahead.days),
        other => panic!("not ahead: {other:?}"),
    }
}

#[tokio::test]
async fn points_never_vanish_without_notice() {
    let world = world().await;
    let member = world.volunteer().with_points(120).await;
    let (merchant, offer, _) = world.counter(0).await;
    let asked = led::ListExpiringLotsRequest {
        parent: world.community_name(),
        account: world.account_name(led::AccountKind::Member, Some(member.id)),
        ..Default::default()
    };
    let lots = send!(world.clients.ledger, list_expiring_lots, asked)
        .unwrap()
        .lots;
    let expires = at("2026-05-31T16:00:00Z");
    assert_eq!((lots.len(), lots[0].remaining), (1, 120));
    assert_eq!(lots[0].expire_time, Some(timestamp(expires)));
    assert!(world.notices(&member.name).await.is_empty());

    let first = told_at(&world, &member, "2026-05-01T16:00:30Z", 1).await;
    assert_eq!(ahead(&first), (120, 30));
    assert_eq!(first.class(), act::NoticeClass::Expiry);
    assert_eq!(
        first.text_zh,
        "您有 120 points 将于 2026-06-01 零时到期，到期后不能再使用。"
    );
    assert!(
        first
            .text_en
            .contains("120 points will expire at the start of 2026-06-01")
    );
    // What was spent is not threatened any more.
    let order = red::RedeemRequest {
        payer: Some(Payer::MemberHandle(world.handle(&member, &merchant).await)),
        ..world.order(&member, &offer, 1)
    };
    world.redeem(order).await.unwrap();
    let left = world.balance(&member).await;
    let second = told_at(&world, &member, "2026-05-24T16:00:30Z", 2).await;
    assert_eq!(ahead(&second), (left, 7));
    let third = told_at(&world, &member, "2026-05-30T16:00:30Z", 3).await;
    assert_eq!(ahead(&third), (left, 1));

    let receipt = told_at(&world, &member, "2026-05-31T16:01:00Z", 4).await;
    let Some(Detail::ExpiryDone(done)) = &receipt.detail else {
        panic!("no receipt: {receipt:?}");
    };
    assert_eq!(
        (done.amount, receipt.subject.as_str()),
        (left, done.entry.as_str())
    );
    let entry = led::GetEntryRequest {
        name: done.entry.clone(),
    };
    let entry = send!(world.clients.ledger, get_entry, entry).unwrap();
    assert_eq!(
        (entry.kind(), entry.amount),
        (led::EntryKind::LotExpiry, left)
    );
    assert_eq!(world.balance(&member).await, 0);
}

#[tokio::test]
async fn replicas_tell_each_step_once_and_a_late_lot_gets_the_step_it_is_in() {
    let world = world().await;
    let _replicas = world.replicas().await;
    let early = world.volunteer().with_points(30).await;
    world
        .clock
        .advance(at("2026-05-27T00:00:00Z") - world.clock.now());
    world.told(&early.name, 1).await;
    world
        .put_in_force(act::Policy {
            expiry_months: Some(0),
            ..per_hour("*", 60)
        })
        .await;
    let late = world.volunteer().register().await;
    world.earn(&late, 20).await;

    world.clock.advance(TimeDelta::hours(2));
    let told = world.told(&late.name, 1).await;
    assert_eq!(ahead(&told[0]), (20, 7));
    world.clock.advance(TimeDelta::hours(1));
    for member in [&early, &late] {
        let told = told_at(&world, member, "2026-05-30T16:00:30Z", 2).await;
        assert_eq!(ahead(&told).1, 1);
        world.clock.advance(TimeDelta::seconds(1));
    }
    let days: Vec<i32> = world
        .notices(&early.name)
        .await
        .iter()
        .map(|notice| ahead(notice).1)
        .collect();
    assert_eq!(days, [1, 7]);
}

#[tokio::test]
async fn a_ledger_that_is_away_delays_a_notice_and_loses_none() {
    let mut world = world().await;
    let member = world.volunteer().with_points(30).await;
    world.system.ledger.stop().await.unwrap();
    world
        .clock
        .advance(at("2026-05-02T00:00:00Z") - world.clock.now());
    world.system.activity.kill();
    world.system.activity.start().await.unwrap();
    world.system.ledger.start().await.unwrap();

    let told = eventually("the member is told", async || {
        // The turn that found nobody home ends with its lease.
        world.clock.advance(TimeDelta::minutes(1));
        let notices = world.notices(&member.name).await;
        (!notices.is_empty()).then_some(notices)
    })
    .await;

    assert_eq!(told.len(), 1);
    assert_eq!(ahead(&told[0]), (30, 30));
}

#[tokio::test]
async fn members_read_their_own_and_cannot_mute_what_takes_points_away() {
    let world = world().await;
    let member = world.volunteer().with_points(30).await;
    world
        .clock
        .advance(at("2026-05-02T00:00:00Z") - world.clock.now());
    let told = world.told(&member.name, 1).await;
    let app = world.clients.of(Holder {
        resources: vec![member.name.clone()],
        ..Holder::everywhere("APP", [Role::Member])
    });
    let mark = act::MarkNoticesReadRequest {
        parent: member.name.clone(),
        names: vec![told[0].name.clone()],
        request_id: world.id(),
    };
    let answer = send!(app.notices, mark_notices_read, mark.clone()).unwrap();
    assert_eq!(answer.unread, 0);
    assert_eq!(send!(app.notices, mark_notices_read, mark).unwrap(), answer);
    assert!(world.notices(&member.name).await[0].read_time.is_some());

    let mut set = act::SetNoticePreferencesRequest {
        name: format!("{}/noticePreferences", member.name),
        muted_classes: vec![act::NoticeClass::Expiry.into()],
        request_id: world.id(),
    };
    let refusal = send!(app.notices, set_notice_preferences, set.clone());
    let refusal = refused(&refusal.unwrap_err());
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::FailedPrecondition, "NOTICE_CLASS_NOT_MUTABLE")
    );
    assert_eq!(refusal.metadata["class"], "EXPIRY");
    set.muted_classes = vec![act::NoticeClass::Report.into()];
    set.request_id = world.id();
    let kept = send!(app.notices, set_notice_preferences, set.clone()).unwrap();
    let get = act::GetNoticePreferencesRequest { name: set.name };
    assert_eq!(
        send!(app.notices, get_notice_preferences, get).unwrap(),
        kept
    );
    assert_eq!(kept.muted_classes, set.muted_classes);
}
