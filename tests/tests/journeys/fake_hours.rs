//! Hours for sale, ghost activities, days of twenty hours: what stops them, who finds them, and that everyone can see what was recorded late.

use chrono::TimeDelta;
use journeys::{Member, Refused, World, at_once, refused, send};
use proto::{access::v1 as acc, activity::v1 as act};
use runtime::{Holder, Role};
use tonic::Code;

use act::ServiceAnomalyKind as Kind;

fn reason(outcome: Result<act::ServiceRecord, tonic::Status>) -> Refused {
    let refusal = refused(&outcome.unwrap_err());
    assert_eq!(refusal.code, Code::FailedPrecondition, "{refusal:?}");
    assert!(!refusal.message_zh.is_empty());
    refusal
}

/// A team of so many, its name, and whoever leads it.
async fn team(world: &World, members: usize) -> (Vec<Member>, linli::system::Clients) {
    let message = act::CreateTeamRequest {
        parent: world.community_name(),
        team: Some(act::Team {
            number: "T1".to_owned(),
            display_name: "Red scarves".to_owned(),
            ..Default::default()
        }),
        request_id: world.id(),
        ..Default::default()
    };
    let team = send!(world.clients.activity, create_team, message).unwrap();
    let mut all = Vec::new();
    for _ in 0..members {
        all.push(world.volunteer().of_team(&team.name).register().await);
    }
    let leader = world.clients.of(Holder {
        resources: vec![team.name],
        ..Holder::everywhere("LEADER7", [Role::Leader])
    });
    (all, leader)
}

#[tokio::test]
async fn five_hours_for_forty_yuan_are_stopped_found_and_seen_by_everyone() {
    let world = World::start().await;
    world
        .set_service_settings(act::ServiceSettings {
            leader_quota: Some(act::RecorderQuota {
                day_minutes: Some(600),
                month_minutes: None,
            }),
            evidence_over_minutes: Some(240),
            anomaly_thresholds: Some(act::AnomalyThresholds {
                burst_minutes: Some(500),
                ..Default::default()
            }),
            ..Default::default()
        })
        .await;
    let (buyers, leader) = team(&world, 4).await;
    let yesterday = world.clock.now() - TimeDelta::days(1);

    // Two buyers have their five hours two minutes apart; the third is one too many for the day, however often the leader tries at once.
    let mut sold = Vec::new();
    for buyer in &buyers[..2] {
        world.clock.advance(TimeDelta::minutes(2));
        let five_hours = world.service_at(buyer, yesterday, 300);
        sold.push(send!(leader.activity, create_service_record, five_hours).unwrap());
    }
    assert_eq!(sold[0].recorded_as(), acc::Role::Leader);
    let tries = at_once(20, |number| {
        let one_more = world.service_at(&buyers[2 + number % 2], yesterday, 300);
        let client = leader.activity.clone();
        async move { send!(client, create_service_record, one_more) }
    })
    .await;
    for outcome in tries {
        let refusal = reason(outcome);
        assert_eq!(refusal.reason, "RECORDER_QUOTA_EXCEEDED");
        let said = |key: &str| &refusal.metadata[key][..];
        assert_eq!(
            [said("period"), said("limit_minutes"), said("left_minutes")],
            ["DAY", "600", "0"]
        );
        assert_eq!(said("reset_time"), "2026-03-02T16:00:00+00:00");
    }

    // What is long has to be shown: nobody verifies it before there is a list of who was there.
    let refusal = reason(world.verify_as("CLERK1", &sold[0]).await);
    assert_eq!(
        (&refusal.reason[..], &refusal.metadata["why"][..]),
        ("EVIDENCE_REQUIRED", "LONG")
    );
    assert_eq!(world.show("CLERK1", &sold[0]).await.evidence.len(), 1);
    let verified = world.verify_as("CLERK1", &sold[0]).await.unwrap();
    assert_eq!(verified.evidence, ["lists/2026-03/17"]);

    // Sold at the desk, for long ago, it takes a second person too.
    let desk = world.staff("CLERK1").activity;
    let mut long_ago = world.service_at(&buyers[2], yesterday - TimeDelta::days(20), 300);
    let evidence = vec!["photos/1".to_owned()];
    long_ago.service_record.as_mut().unwrap().evidence = evidence;
    let late = send!(desk, create_service_record, long_ago).unwrap();
    let refusal = reason(world.verify_as("CLERK1", &late).await);
    assert_eq!(refusal.reason, "SECOND_PERSON_REQUIRED");
    assert_eq!(world.late_services().await, []);
    world.verify_as("CLERK2", &late).await.unwrap();

    // The auditor finds ten hours of service that took two minutes to record, and everyone sees what was recorded late, and of whom nothing but a mask.
    let bursts = world.anomalies(Kind::RecordingBurst).await;
    assert_eq!(bursts.len(), 1, "{bursts:#?}");
    let burst = &bursts[0];
    assert_eq!(
        (&burst.subject[..], burst.minutes, burst.members),
        ("LEADER7", 600, 2)
    );
    let mut names: Vec<&String> = sold.iter().map(|record| &record.name).collect();
    names.sort();
    assert_eq!(burst.service_records.iter().collect::<Vec<_>>(), names);
    assert_eq!(
        burst.text_en,
        "LEADER7 recorded 2 services of 2 members, 10 h in all, from 2026-03-02 10:02 to 2026-03-02 10:04."
    );
    assert!(burst.text_zh.contains("10 小时"), "{}", burst.text_zh);
    let seen = act::PublicLateService {
        masked_name: "王**".to_owned(),
        service_date: Some(journeys::date(2026, 2, 9)),
        record_date: Some(journeys::date(2026, 3, 2)),
        minutes: 300,
        category: "elder-care".to_owned(),
        recorded_as: acc::Role::Staff.into(),
        second_person: true,
    };
    assert_eq!(world.late_services().await, [seen]);

    // The office looks into it and revokes; nothing is left to see.
    for record in [&sold[0], &late] {
        world.revoke(&record.name).await.unwrap();
    }
    assert_eq!(world.anomalies(Kind::RecordingBurst).await, []);
    assert_eq!(world.late_services().await, []);
    assert_eq!(world.summary().await.service_minutes, 0);
}

#[tokio::test]
async fn a_ghost_activity_of_thirty_people_is_listed_and_blocks_nobody() {
    let world = World::start().await;
    let (ghosts, leader) = team(&world, 30).await;
    let start = world.clock.now() - TimeDelta::days(1);
    let mut records = Vec::new();
    for ghost in &ghosts {
        assert_eq!(world.anomalies(Kind::IdenticalTimes).await, []);
        // A meeting, logged as service.
        let meeting = world.service_at(ghost, start, 130);
        records.push(send!(leader.activity, create_service_record, meeting).unwrap());
    }

    let found = world.anomalies(Kind::IdenticalTimes).await;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].members, found[0].records), (30, 30));
    assert_eq!(found[0].service_records.len(), 10, "the first of them");
    assert_eq!(
        found[0].text_en,
        "LEADER7 recorded services of 30 members that all last from 2026-03-01 10:00 to 2026-03-01 12:10, 65 h in all."
    );
    // Sixty-five hours at one instant are a burst as well.
    let all = world.anomalies(Kind::Unspecified).await;
    let kinds: Vec<Kind> = all.iter().map(act::ServiceAnomaly::kind).collect();
    assert_eq!(kinds, [Kind::RecordingBurst, Kind::IdenticalTimes]);
    // It is a hint: an honest clean-up of thirty neighbours looks the same.
    world.verify(&records[0]).await.unwrap();
}

#[tokio::test]
async fn nobody_serves_longer_than_a_day_may_hold() {
    let world = World::start().await;
    let member = world.volunteer().register().await;
    let half_days = act::ServiceSettings {
        member_day_minutes: Some(720),
        ..Default::default()
    };
    world.set_service_settings(half_days).await;
    let morning = journeys::at("2026-02-28T16:00:00Z");
    for (hours, minutes) in [(0, 480), (9, 180)] {
        let start = morning + TimeDelta::hours(hours);
        let record = world
            .record(world.service_at(&member, start, minutes))
            .await;
        world.verify(&record).await.unwrap();
    }
    // 22:00 to 01:00 of 2 March: two hours on the day, one of which is left.
    let evening = world.service_at(&member, morning + TimeDelta::hours(22), 180);
    let evening = world.record(evening).await;
    let refusal = reason(world.verify(&evening).await);
    assert_eq!(refusal.reason, "MEMBER_DAY_EXCEEDED");
    let said = |key: &str| &refusal.metadata[key][..];
    assert_eq!(
        [said("date"), said("limit_minutes"), said("left_minutes")],
        ["2026-03-01", "720", "60"]
    );
    let long_days = world.anomalies(Kind::LongDay).await;
    assert_eq!(long_days.len(), 1);
    assert_eq!(
        (&long_days[0].member, long_days[0].minutes),
        (&member.name, 780)
    );

    let raised = act::ServiceSettings {
        member_day_minutes: Some(780),
        ..Default::default()
    };
    let raised = world.set_service_settings(raised).await;
    assert_eq!(raised.changed_by, "OFFICE");
    world.verify(&evening).await.unwrap();
    assert_eq!(world.member(&member).await.service_minutes, 840);
}

#[tokio::test]
async fn the_settings_of_services_are_their_defaults_until_somebody_sets_them() {
    let world = World::start().await;
    let message = act::GetServiceSettingsRequest {
        name: format!("{}/serviceSettings", world.programme_name()),
    };
    let desk = world.staff("CLERK1").oversight;
    let usual = send!(desk, get_service_settings, message.clone()).unwrap();
    assert_eq!(usual.member_day_minutes, Some(1_500));
    assert_eq!((usual.leader_quota, usual.staff_quota), (None, None));
    assert_eq!(
        (usual.evidence_over_minutes, usual.evidence_late_hours),
        (None, None)
    );
    let thresholds = usual.anomaly_thresholds.unwrap();
    assert_eq!(thresholds.identical_members, Some(30));
    assert_eq!((&usual.changed_by[..], usual.change_time), ("", None));

    let wanted = act::ServiceSettings {
        staff_quota: Some(act::RecorderQuota {
            day_minutes: Some(6_000),
            month_minutes: Some(60_000),
        }),
        evidence_late_hours: Some(0),
        ..usual.clone()
    };
    let set = world.set_service_settings(wanted.clone()).await;
    assert_eq!(set.changed_by, "OFFICE");
    let expected = act::ServiceSettings {
        changed_by: set.changed_by.clone(),
        revision: 1,
        change_time: set.change_time,
        ..wanted
    };
    assert_eq!(set, expected);
    assert_eq!(send!(desk, get_service_settings, message).unwrap(), set);
}
