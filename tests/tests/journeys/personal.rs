//! Who the members are: masked, shown whole to somebody who says why, and gone for good while the books stand.

use journeys::{Member, Refused, World, refused, send};
use proto::{access::v1 as acc, activity::v1 as act, redemption::v1::RedemptionState};
use tonic::{Code, Status};

async fn reveal(
    world: &World,
    by: &str,
    member: &Member,
) -> Result<act::RevealMemberResponse, Status> {
    let message = act::RevealMemberRequest {
        name: member.name.clone(),
        reason: "a parcel at the desk".to_owned(),
        request_id: world.id(),
    };
    send!(world.staff(by).activity, reveal_member, message)
}

async fn erase(world: &World, member: &Member) -> act::Member {
    let message = act::EraseMemberRequest {
        name: member.name.clone(),
        reason: "asked for it".to_owned(),
        request_id: world.id(),
    };
    let desk = world.staff("STAFF01").activity;
    let erased = send!(desk, erase_member, message.clone()).unwrap();
    let again = send!(desk, erase_member, message).unwrap();
    assert_eq!(again, erased);
    erased
}

/// Who looked at whom or erased whom, oldest first.
async fn log(world: &World) -> Vec<acc::AuditEntry> {
    let message = act::ListAuditEntriesRequest {
        parent: world.community_name(),
        ..Default::default()
    };
    let answer = send!(world.clients.activity, list_audit_entries, message).unwrap();
    let mut entries = answer.entries;
    entries.retain(|entry| ["RevealMember", "EraseMember"].contains(&&entry.method[..]));
    entries.reverse();
    entries
}

fn is_erased(refusal: &Refused) -> bool {
    refusal.code == Code::FailedPrecondition
        && refusal.reason == "MEMBER_ERASED"
        && refusal.message_zh.contains("已删除")
}

#[tokio::test]
async fn who_looks_at_a_person_says_why_and_is_in_the_log() {
    let world = World::start().await;
    let member = world.volunteer().register().await;
    let masked = world.member(&member).await;
    assert_eq!(
        (&masked.masked_name[..], &masked.masked_phone[..]),
        ("王**", "*******1234")
    );

    let seen = reveal(&world, "STAFF07", &member).await.unwrap();

    assert_eq!(
        (&seen.display_name[..], &seen.phone[..]),
        ("王小明", "13800001234")
    );
    let log = log(&world).await;
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].subject, "STAFF07");
    assert_eq!(log[0].resource, member.name);
    assert_eq!(log[0].reason, "a parcel at the desk");
    assert_eq!(log[0].refusal, "");
    let unsaid = act::RevealMemberRequest {
        name: member.name,
        reason: " ".to_owned(),
        request_id: world.id(),
    };
    let refusal = send!(world.staff("STAFF07").activity, reveal_member, unsaid).unwrap_err();
    assert_eq!(refused(&refusal).fields, ["reason"]);
}

#[tokio::test]
async fn an_erased_member_leaves_the_books_as_they_were_and_takes_nothing_more() {
    let world = World::start().await;
    let (_, offer, member) = world.counter(120).await;
    world.redeem(world.order(&member, &offer, 1)).await.unwrap();
    world
        .hold(world.reservation(&member, &offer, 2))
        .await
        .unwrap();
    let books = async || {
        let points = world.points(&member).await;
        let entries = world.entries(&points.name).await;
        (
            points,
            entries,
            world.hours(&member).await,
            world.summary().await,
        )
    };
    let before = books().await;
    let known = world.member(&member).await;

    let erased = erase(&world, &member).await;
    // Redemption remembers a member for ten seconds.
    world.clock.advance(chrono::TimeDelta::seconds(10));

    assert!(erased.erase_time.is_some());
    let left = act::Member {
        birth_year: 0,
        masked_name: String::new(),
        masked_phone: String::new(),
        erase_time: erased.erase_time,
        ..known
    };
    assert_eq!(erased, left);
    assert_eq!(world.member(&member).await, left);
    assert_eq!(books().await, before);
    // Nothing new begins, in either service.
    let order = world.order(&member, &offer, 1);
    for _ in 0..2 {
        let refusal = refused(&world.redeem(order.clone()).await.unwrap_err());
        assert!(is_erased(&refusal), "{refusal:?}");
    }
    let mut preview = world.reservation(&member, &offer, 1);
    preview.validate_only = true;
    assert!(is_erased(&refused(&world.hold(preview).await.unwrap_err())));
    let service = world.service(&member, 30);
    let desk = world.staff("STAFF01").activity;
    let record = send!(desk, create_service_record, service).unwrap_err();
    assert!(is_erased(&refused(&record)));
    let look = reveal(&world, "STAFF07", &member).await.unwrap_err();
    assert!(is_erased(&refused(&look)));
    assert_eq!(books().await, before);
    let log = log(&world).await;
    let log: Vec<_> = log
        .iter()
        .map(|entry| (&entry.method[..], &entry.reason[..], &entry.refusal[..]))
        .collect();
    assert_eq!(
        log,
        [
            ("EraseMember", "asked for it", ""),
            ("RevealMember", "a parcel at the desk", "MEMBER_ERASED")
        ]
    );
}

#[tokio::test]
async fn what_an_erased_member_had_begun_goes_to_its_end() {
    let world = World::start().await;
    let (_, offer, member) = world.counter(120).await;
    let taken = world.redeem(world.order(&member, &offer, 1)).await.unwrap();
    let held = world
        .hold(world.reservation(&member, &offer, 2))
        .await
        .unwrap();
    let waiting = world.record(world.service(&member, 30)).await;

    erase(&world, &member).await;

    let captured = world.capture(&held, None).await.unwrap();
    assert_eq!(captured.state(), RedemptionState::Captured);
    let reversed = world.reverse(&taken, None).await.unwrap();
    assert_eq!(reversed.state(), RedemptionState::Reversed);
    let verified = world.verify(&waiting).await.unwrap();
    world.posted(&verified.grant).await;
    assert_eq!(world.balance(&member).await, 120 - 20 + 30);
    assert_eq!(world.member(&member).await.service_minutes, 150);
    world.trial_balance().await;
}

#[tokio::test]
async fn any_replica_shows_and_erases_who_another_registered() {
    let world = World::start().await;
    let member = world.volunteer().register().await;
    let replicas = world.replicas().await;
    let there = replicas.clients().unwrap().activity;
    let get = act::GetMemberRequest {
        name: member.name.clone(),
    };
    let seen = send!(there, get_member, get.clone()).unwrap();
    assert_eq!(seen, world.member(&member).await);

    let erased = erase(&world, &member).await;

    assert_eq!(send!(there, get_member, get).unwrap(), erased);
    drop(there);
    replicas.stop().await.unwrap();
}
