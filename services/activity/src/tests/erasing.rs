//! A person is shown to somebody who says why, and erased for good; the books stand.

use proto::activity::v1::{self as pb, activity_service_server::ActivityService};
use runtime::asked_by;

use super::{
    persons::{NAME, PHONE, assert_nobody, new_member},
    *,
};
use crate::{
    adjustment::NewAdjustment, domain::adjustment::Change, rpc::Service, store::answer::AuditFilter,
};

#[tokio::test]
async fn a_reveal_is_logged_with_its_reason_and_counts_for_one_look_of_one_caller() {
    let world = World::start().await;
    let member = world.member().await;
    let service = Service(world.activity.clone());
    let request = |request_id: &str| pb::RevealMemberRequest {
        name: format!("communities/{}/members/{}", world.community.0, member.id),
        reason: "parcel at the desk".to_owned(),
        request_id: request_id.to_owned(),
    };
    let first = world.ids.next().to_string();
    let reveal = async |caller: &str, id: &str| {
        let answer = service.reveal_member(asked_by(caller, request(id))).await;
        answer.map(tonic::Response::into_inner)
    };
    let reason = |status: tonic::Status| runtime::reason_of(&status).unwrap();

    let seen = reveal("STAFF01", &first).await.unwrap();
    assert_eq!((&seen.display_name[..], &seen.phone[..]), (NAME, PHONE));
    assert_eq!(reveal("STAFF01", &first).await.unwrap(), seen);
    let other = reveal("STAFF02", &first).await.unwrap_err();
    assert_eq!(reason(other), "REQUEST_ID_REUSED");
    world.clock.advance(TimeDelta::minutes(6));
    assert_eq!(
        reason(reveal("STAFF01", &first).await.unwrap_err()),
        "REVEAL_OVER"
    );
    world.erase(&member).await;
    world.clock.advance(TimeDelta::seconds(1));
    let second = world.ids.next().to_string();
    for _ in 0..2 {
        assert_eq!(
            reason(reveal("STAFF02", &second).await.unwrap_err()),
            "MEMBER_ERASED"
        );
    }

    let filter = AuditFilter {
        community: world.community,
        subject: String::new(),
        start: None,
        end: None,
    };
    let log = world
        .activity
        .list_audit_entries(&filter, None, 50)
        .await
        .unwrap();
    let log = log
        .items
        .iter()
        .filter(|asked| asked.method == "RevealMember");
    let log: Vec<_> = log
        .map(|asked| {
            (
                &asked.subject[..],
                asked.reason.as_deref(),
                asked.refusal.is_some(),
            )
        })
        .collect();
    let why = Some("parcel at the desk");
    assert_eq!(log, [("STAFF02", why, true), ("STAFF01", why, false)]);
}

#[tokio::test]
async fn an_erased_member_is_a_number_whose_books_stand() {
    let world = World::start().await;
    let call = world.call("CreateMember");
    let created = world.activity.create_member(&call, new_member(NAME)).await;
    let member = created.unwrap().member;
    let (kept, grant) = world.granted(&member, 30, 2).await;
    world.as_before(&call, &member).await;

    let erased = world.erase(&member).await;

    let left = Member {
        birth_year: None,
        service_minutes: 120,
        erased_at: Some(start()),
        ..member.clone()
    };
    assert_eq!(erased, left);
    assert_nobody(&world.dump().await);
    assert!(!world.dump().await.contains("1960"));
    assert_eq!(world.shares().await, []);
    assert_eq!(world.grant(&kept).await, grant);
    // To erase again, under the same id or another, changes nothing.
    world.clock.advance(TimeDelta::days(1));
    assert_eq!(world.erase(&member).await, left);
    let list = world
        .activity
        .list_members(world.community, None, Uuid::nil(), 10);
    assert_eq!(list.await.unwrap().items[0].member, left);
}

#[tokio::test]
async fn what_an_erased_member_had_begun_goes_on_and_nothing_new_begins() {
    let world = World::start().await;
    let member = world.member().await;
    world.granted(&member, 30, 2).await;
    let (taken_back, _) = world.granted(&member, 60, 1).await;
    let waiting = world.served(&member, 90, 1).await;
    world.erase(&member).await;

    world.verify(&waiting).await.unwrap();
    world.revoke(&taken_back).await.unwrap();
    assert_eq!(world.minutes(&member).await, 180);

    let erased = Refusal::MemberErased { member: member.id };
    let record = NewServiceRecord {
        id: None,
        programme: world.programme,
        member: member.id,
        is_member: false,
        role: Role::Member,
        category: "patrol".to_owned(),
        activity: "night round".to_owned(),
        started_at: start() - TimeDelta::hours(5),
        ended_at: start() - TimeDelta::hours(4),
        evidence: vec![],
    };
    let call = world.call("CreateServiceRecord");
    let refused = world.activity.create_service_record(&call, record).await;
    assert_eq!(refusal(refused), erased);
    let points = async |amount| {
        let new = NewAdjustment {
            id: None,
            programme: world.programme,
            change: Change::Points {
                member: member.id,
                amount,
                expires_at: None,
            },
            reason: "left over".to_owned(),
        };
        let call = world.call("CreateAdjustment");
        world.activity.create_adjustment(&call, new).await
    };
    assert_eq!(refusal(points(1).await), erased);
    points(-1).await.unwrap();
}
