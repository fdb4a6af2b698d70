//! The same call again, another call under its id, and what a refusal leaves behind.

use super::*;
use crate::team::NewTeam;

fn team(number: &str) -> NewTeam {
    NewTeam {
        id: None,
        number: number.to_owned(),
        display_name: "红马甲".to_owned(),
        colour: "red".to_owned(),
    }
}

#[tokio::test]
async fn a_repeated_call_gets_its_first_answer_even_when_the_world_has_moved_on() {
    let world = World::start().await;
    let member = world.member().await;
    let record = world.served(&member, 30, 2).await;
    let call = world.call("VerifyServiceRecord");
    let first = world
        .activity
        .verify_service_record(&call, by("STAFF01", &record))
        .await
        .unwrap();
    world.revoke(&record).await.unwrap();
    world.clock.advance(TimeDelta::days(60));

    let again = world
        .activity
        .verify_service_record(&call, by("STAFF01", &record))
        .await
        .unwrap();

    assert_eq!(again, first);
}

#[tokio::test]
async fn a_request_id_belongs_to_one_call() {
    let world = World::start().await;
    let call = world.call("CreateTeam");
    world.activity.create_team(&call, team("T1")).await.unwrap();

    let other_content = Call {
        fingerprint: [8; 32],
        ..call.clone()
    };
    let other_method = Call {
        method: "CreateMember",
        ..call.clone()
    };
    for reused in [other_content, other_method] {
        let refused = world.activity.create_team(&reused, team("T2")).await;
        assert!(matches!(refused, Err(Error::RequestIdReused(id)) if id == call.request_id));
    }
    // Another community knows nothing of it.
    let elsewhere = Call {
        community: Community(world.ids.next()),
        ..call
    };
    world
        .activity
        .create_team(&elsewhere, team("T1"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_refused_call_leaves_nothing_behind_but_its_answer() {
    let world = World::start().await;
    let member = world.member().await;
    let record = world.served(&member, 30, 2).await;
    let before = rows(&world).await;
    let call = world.call("VerifyServiceRecord");

    let refused = world
        .activity
        .verify_service_record(&call, by(&member.number, &record))
        .await;
    let again = world
        .activity
        .verify_service_record(&call, by(&member.number, &record))
        .await;

    assert_eq!(refusal(refused), refusal(again));
    let after = rows(&world).await;
    assert_eq!(after.1, before.1 + 1, "its answer");
    assert_eq!(after.0, before.0);
    let unchanged = world
        .activity
        .get_service_record(world.community, record.id)
        .await
        .unwrap();
    assert_eq!(unchanged, record);
}

#[tokio::test]
async fn a_refusal_stays_the_answer_when_the_reason_is_gone() {
    let world = World::start().await;
    let member = world.member().await;
    let (first, _) = world.granted(&member, 30, 2).await;
    let overlapping = world.served(&member, 29, 2).await;
    let call = world.call("VerifyServiceRecord");
    let refused = world
        .activity
        .verify_service_record(&call, by("STAFF01", &overlapping))
        .await;
    world.revoke(&first).await.unwrap();

    let again = world
        .activity
        .verify_service_record(&call, by("STAFF01", &overlapping))
        .await;

    assert_eq!(refusal(again), refusal(refused));
    world.verify(&overlapping).await.unwrap();
}

#[tokio::test]
async fn a_programme_can_not_start_without_the_ledger_and_the_call_may_try_again() {
    let world = World::start().await;
    let call = world.call("CreateProgramme");
    let new = crate::programme::NewProgramme {
        id: None,
        display_name: "新项目".to_owned(),
        asset: "points".to_owned(),
        exponent: 0,
        time_zone: chrono_tz::Tz::Asia__Shanghai,
        budget: Some(1),
        second_person_days: 7,
        expiry_notice_days: vec![30, 7, 1],
    };
    let before = rows(&world).await;
    for _ in 0..2 {
        let timeout = std::time::Duration::from_secs(2);
        let outcome = world
            .activity
            .create_programme(&call, new.clone(), timeout)
            .await;
        let status = tonic::Status::from(outcome.unwrap_err());
        assert_eq!(status.code(), tonic::Code::Unavailable);
        assert_eq!(
            runtime::reason_of(&status).as_deref(),
            Some("DEPENDENCY_UNAVAILABLE")
        );
    }
    assert_eq!(rows(&world).await, before);
}

#[tokio::test]
async fn an_id_or_a_number_is_taken_once() {
    let world = World::start().await;
    let id = world.ids.next();
    let founded = |number: &str| NewTeam {
        id: Some(id),
        ..team(number)
    };
    world
        .activity
        .create_team(&world.call("CreateTeam"), founded("T1"))
        .await
        .unwrap();

    let same_id = world
        .activity
        .create_team(&world.call("CreateTeam"), founded("T2"))
        .await;
    let same_number = world
        .activity
        .create_team(&world.call("CreateTeam"), team("T1"))
        .await;

    assert!(matches!(refusal(same_id), Refusal::Exists { id: taken, .. } if taken == id));
    assert!(matches!(refusal(same_number), Refusal::NumberTaken { number, .. } if number == "T1"));
}

#[tokio::test]
async fn own_member_numbers_go_round_those_chosen_by_hand() {
    let world = World::start().await;
    let new = |number: Option<&str>| NewMember {
        id: None,
        number: number.map(str::to_owned),
        kind: MemberKind::Courier,
        team: None,
        birth_year: None,
        person: Person {
            name: "李".to_owned(),
            phone: String::new(),
        },
    };
    let register = async |number| {
        world
            .activity
            .create_member(&world.call("CreateMember"), new(number))
            .await
    };

    register(Some("V000002")).await.unwrap();
    assert_eq!(register(None).await.unwrap().member.number, "V000001");
    assert_eq!(register(None).await.unwrap().member.number, "V000003");
    assert!(matches!(
        refusal(register(Some("V000003")).await),
        Refusal::NumberTaken { .. }
    ));
}

#[tokio::test]
async fn twenty_members_registered_at_once_get_twenty_numbers() {
    let world = World::start().await;
    let mut rush = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (activity, call) = (world.activity.clone(), world.call("CreateMember"));
        let new = NewMember {
            id: None,
            number: None,
            kind: MemberKind::Rider,
            team: None,
            birth_year: None,
            person: Person {
                name: "赵".to_owned(),
                phone: String::new(),
            },
        };
        rush.spawn(async move {
            activity
                .create_member(&call, new)
                .await
                .unwrap()
                .member
                .number
        });
    }
    let mut numbers = rush.join_all().await;
    numbers.sort();
    let expected: Vec<String> = (1..=20).map(|n| format!("V{n:06}")).collect();
    assert_eq!(numbers, expected);
}

/// Rows of everything but answers, and of answers.
async fn rows(world: &World) -> (i64, i64) {
    let all: (i64, i64) = sqlx::query_as(
        "select (select count(*) from activity.programme) + (select count(*) from activity.member)
            + (select count(*) from activity.hour_entry) + (select count(*) from activity.reward_grant)
            + (select count(*) from activity.outbox) + (select count(*) from activity.service_record),
            (select count(*) from activity.answer)",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    all
}

#[tokio::test]
async fn the_same_refused_call_twenty_times_at_once_gets_twenty_equal_refusals() {
    let world = World::start().await;
    let member = world.member().await;
    let record = world.served(&member, 30, 2).await;
    let call = world.call("VerifyServiceRecord");
    let mut twins = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (activity, call) = (world.activity.clone(), call.clone());
        let decide = by(&member.number, &record);
        twins.spawn(async move { activity.verify_service_record(&call, decide).await });
    }
    for outcome in twins.join_all().await {
        assert_eq!(
            refusal(outcome),
            Refusal::SelfVerification { record: record.id }
        );
    }
}
