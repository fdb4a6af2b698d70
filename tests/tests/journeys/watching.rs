//! What happens is heard of by whoever watches: in order, without a gap, once, and by nobody whom it does not concern.

use std::sync::Arc;

use chrono::TimeDelta;
use journeys::{Member, PATIENCE, World, at_once, heard, refused, send};
use proto::activity::v1::{self as act, ActivityEventKind as Kind};
use runtime::{Holder, Role};
use tonic::{Code, Streaming};

use crate::two_people::{approve, points, propose, settled};

/// Watches as who has these rights.
async fn watch(
    world: &World,
    holder: Holder,
    after: i64,
    member: &str,
) -> Streaming<act::ActivityEvent> {
    let watch = act::WatchActivityEventsRequest {
        parent: world.community_name(),
        after_sequence: after,
        member: member.to_owned(),
    };
    let clients = world.clients.of(holder);
    send!(clients.activity_events, watch_activity_events, watch).unwrap()
}

fn staff() -> Holder {
    Holder::everywhere("gateway", [Role::Staff])
}

fn app(member: &Member) -> Holder {
    Holder {
        resources: vec![member.name.clone()],
        ..Holder::everywhere("app", [Role::Member])
    }
}

#[tokio::test]
async fn a_service_is_heard_of_from_its_record_to_its_points() {
    let world = World::start().await;
    let member = world.volunteer().register().await;
    let mut events = watch(&world, app(&member), 0, &member.name).await;
    let registered = heard(&mut events, 1).await.remove(0);
    assert_eq!(registered.kind(), Kind::MemberCreated);
    assert_eq!(
        (registered.subject, registered.member),
        (member.name.clone(), member.name.clone())
    );

    let record = world.record(world.service(&member, 60)).await;
    let verified = world.verify(&record).await.unwrap();
    world.posted(&verified.grant).await;
    let told = heard(&mut events, 4).await;
    let seen: Vec<_> = told
        .iter()
        .map(|event| (event.kind(), &event.subject[..]))
        .collect();
    assert_eq!(
        seen,
        [
            (Kind::ServiceRecordPending, &record.name[..]),
            (Kind::ServiceRecordVerified, &record.name[..]),
            (Kind::GrantPending, &verified.grant[..]),
            (Kind::GrantPosted, &verified.grant[..]),
        ]
    );
}

#[tokio::test]
async fn who_watches_everything_misses_nothing_whatever_happens_at_once() {
    let world = Arc::new(World::start().await);
    let mut events = watch(&world, staff(), 0, "").await;
    let members = at_once(20, |_| {
        let world = world.clone();
        async move { world.volunteer().register().await.name }
    })
    .await;
    // The programme and its policy come first.
    let told = heard(&mut events, 23).await;
    let sequences: Vec<i64> = told.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (1..=23).collect::<Vec<_>>());
    for member in &members {
        let of_member = told.iter().filter(|event| event.member == *member);
        assert_eq!(of_member.count(), 1, "{member}");
    }

    let mut again = watch(&world, staff(), 20, "").await;
    assert_eq!(heard(&mut again, 3).await, told[20..]);
    let last = &told[22];
    assert_eq!(
        last.name,
        format!("{}/activityEvents/23", world.community_name())
    );
}

#[tokio::test]
async fn a_member_hears_of_nobody_else() {
    let world = World::start().await;
    let member = world.volunteer().register().await;
    let neighbour = world.volunteer().register().await;
    let mut events = watch(&world, app(&member), 0, &member.name).await;
    world.earn(&neighbour, 60).await;
    let record = world.record(world.service(&member, 60)).await;
    let told = heard(&mut events, 2).await;
    assert_eq!(told[1].subject, record.name);
    assert!(told.iter().all(|event| event.member == member.name));

    for of in ["", &neighbour.name] {
        let watch = act::WatchActivityEventsRequest {
            parent: world.community_name(),
            after_sequence: 0,
            member: of.to_owned(),
        };
        let clients = world.clients.of(app(&member));
        let answer = send!(clients.activity_events, watch_activity_events, watch);
        let refusal = refused(&answer.unwrap_err());
        assert_eq!(
            (refusal.code, &refusal.reason[..]),
            (Code::PermissionDenied, "NOT_YOURS")
        );
    }
}

#[tokio::test]
async fn an_app_that_watches_can_push_what_a_member_is_told() {
    let world = World::start().await;
    let member = world.volunteer().register().await;
    let report = world.reported(world.report(&member, "litter")).await;
    let mut events = watch(&world, staff(), 0, &member.name).await;
    world.accept_report(&report).await.unwrap();
    let told = heard(&mut events, 4).await;
    let notice = &told[3];
    assert_eq!(notice.kind(), Kind::NoticeRecorded);
    assert_eq!(notice.subject, world.notices(&member.name).await[0].name);
}

#[tokio::test]
async fn a_stream_ends_with_the_token_that_began_it_and_another_goes_on() {
    let world = World::start().await;
    let mut events = watch(&world, staff(), 0, "").await;
    let last = heard(&mut events, 3).await.remove(2);
    world.clock.advance(TimeDelta::days(1));
    let end = tokio::time::timeout(PATIENCE, events.message()).await;
    let end = refused(&end.unwrap().unwrap_err());
    assert_eq!(
        (end.code, &end.reason[..], end.try_again),
        (Code::Unavailable, "STREAM_OVER", true)
    );
    let member = world.volunteer().register().await;
    let mut events = watch(&world, staff(), last.sequence, "").await;
    assert_eq!(heard(&mut events, 1).await[0].member, member.name);
}

#[tokio::test]
async fn nobody_hears_of_a_deduction_before_two_people_stand_for_it() {
    let world = World::start().await;
    let member = world.volunteer().with_points(50).await;
    let mut all = watch(&world, staff(), 0, "").await;
    let taken = propose(&world, points(&member.name, -30)).await;
    approve(&world, "STAFF02", &taken).await.unwrap();
    settled(&world, &taken).await;
    let mut of_taken = Vec::new();
    while of_taken.len() < 3 {
        let told = heard(&mut all, 1).await;
        of_taken.extend(told.into_iter().filter(|event| event.subject == taken.name));
    }
    let told: Vec<(Kind, &str)> = of_taken
        .iter()
        .map(|event| (event.kind(), &event.member[..]))
        .collect();
    assert_eq!(
        told,
        [
            (Kind::AdjustmentProposed, ""),
            (Kind::AdjustmentApproved, ""),
            (Kind::AdjustmentApplied, &member.name),
        ]
    );
}
