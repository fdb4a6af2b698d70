//! The life of a problem report: three taps, points at acceptance, a name for who has it, and no end that the reporter can't question.

use chrono::TimeDelta;
use journeys::{Scheme, World, at, refused, send};
use proto::activity::v1::{
    self as act, ReportEventKind as Kind, ReportState as State, report_assignee::Who,
};
use runtime::timestamp;
use tonic::Code;

#[tokio::test]
async fn a_rider_reports_in_three_taps_and_is_paid_and_told_without_asking() {
    let world = World::with(Scheme::of_reports(15)).await;
    let rider = world
        .volunteer()
        .who_is(act::MemberKind::Rider)
        .register()
        .await;
    let phone = world.phone(&rider).reports;
    let mut report = world.report(&rider, "broken-lamp");
    let said = report.report.as_mut().unwrap();
    said.photos = vec!["oss://before.jpg".to_owned()];
    said.place = Some(act::ReportPlace {
        text: String::new(),
        point: Some(act::GeoPoint {
            latitude: 31.230_416,
            longitude: 121.473_701,
            accuracy_metres: 12,
        }),
    });

    let filed = send!(phone, create_report, report).unwrap();
    let receipt = filed.report.unwrap();

    assert_eq!(filed.emergency, None);
    assert_eq!(
        (receipt.state(), receipt.urgency()),
        (State::Submitted, act::ReportUrgency::Blue)
    );
    let due = world.clock.now() + TimeDelta::hours(72);
    assert_eq!(receipt.triage_due_time, Some(timestamp(due)));
    let point = receipt.place.as_ref().unwrap().point.as_ref().unwrap();
    assert_eq!((point.latitude, point.longitude), (31.230_416, 121.473_701));

    world.clock.advance(TimeDelta::hours(1));
    let detail = act::AddReportDetailRequest {
        name: receipt.name.clone(),
        text: "the third one from the gate".to_owned(),
        photos: vec![],
        request_id: world.id(),
    };
    send!(phone, add_report_detail, detail).unwrap();
    let accepted = world.accept_report(&receipt).await.unwrap();
    world.posted(&accepted.grant).await;
    assert_eq!(
        world.balance(&rider).await,
        15,
        "before anybody has mended anything"
    );
    let grant = world.grant(&accepted.grant).await;
    assert_eq!(
        (grant.report, grant.service_record),
        (receipt.name.clone(), String::new())
    );
    let progress = act::AddReportProgressRequest {
        name: receipt.name.clone(),
        note: "the lamp is ordered".to_owned(),
        photos: vec![],
        request_id: world.id(),
    };
    world.clock.advance(TimeDelta::milliseconds(1));
    send!(
        world.staff("STAFF02").reports,
        add_report_progress,
        progress
    )
    .unwrap();

    let told = world.report_events(&rider, &receipt).await;
    let told: Vec<_> = told
        .iter()
        .map(|event| (event.kind(), &event.actor[..], &event.text[..]))
        .collect();
    assert_eq!(
        told,
        [
            (Kind::Submitted, "wx-1", ""),
            (Kind::Detail, "wx-1", "the third one from the gate"),
            (Kind::Accepted, "STAFF01", ""),
            (Kind::Progress, "STAFF02", "the lamp is ordered"),
        ]
    );
    // What others did with it is told without asking, newest first, and not what the rider did.
    let notices = world.notices(&rider.name).await;
    let moved = notices.into_iter().map(|notice| match notice.detail {
        Some(act::notice::Detail::ReportMoved(moved)) => (moved.kind(), notice.text_zh),
        other => panic!("{other:?}"),
    });
    let text = |word| format!("您上报的问题（broken-lamp）{word}。");
    assert_eq!(
        moved.collect::<Vec<_>>(),
        [
            (Kind::Progress, text("有新的进展")),
            (Kind::Accepted, text("已受理")),
        ]
    );
}

#[tokio::test]
async fn what_is_not_ours_has_a_name_and_what_is_not_mended_is_reopened() {
    let world = World::with(Scheme::of_reports(5)).await;
    let member = world.volunteer().register().await;
    let phone = world.phone(&member).reports;
    let desk = world.staff("STAFF01").reports;
    let elsewhere = world.reported(world.report(&member, "gas-smell")).await;
    let mut referral = act::ReferReportRequest {
        name: elsewhere.name.clone(),
        referred_to: "City Gas".to_owned(),
        note: String::new(),
        request_id: world.id(),
    };
    let unexplained = send!(desk, refer_report, referral.clone()).unwrap_err();
    assert_eq!(
        refused(&unexplained).fields,
        ["note"],
        "nobody is sent away without a word"
    );
    referral.note = "ticket 4711, call 021-96777".to_owned();

    let referred = send!(desk, refer_report, referral).unwrap();

    assert_eq!(referred.state(), State::Referred);
    let told = (&referred.referred_to[..], &referred.reason[..]);
    assert_eq!(told, ("City Gas", "ticket 4711, call 021-96777"));
    assert_eq!(referred.grant, "", "it was not accepted");

    let lamp = world.accepted_report(&member, "broken-lamp").await;
    let resolved = world.mend_report(&lamp).await;
    let reopening = act::ReopenReportRequest {
        name: lamp.name.clone(),
        reason: "it flickers still".to_owned(),
        request_id: world.id(),
    };
    // The office closes it at once, which takes nothing from the reporter.
    let closing = act::CloseReportRequest {
        name: lamp.name.clone(),
        request_id: world.id(),
    };
    assert_eq!(
        send!(desk, close_report, closing).unwrap().state(),
        State::Closed
    );
    let rating = act::RateReportRequest {
        name: lamp.name.clone(),
        rating: 1,
        comment: "not mended".to_owned(),
        request_id: world.id(),
    };
    assert_eq!(send!(phone, rate_report, rating.clone()).unwrap().rating, 1);
    world.clock.advance(TimeDelta::days(6));
    let reopened = send!(phone, reopen_report, reopening.clone()).unwrap();
    assert_eq!((reopened.state(), reopened.rating), (State::InProgress, 0));
    assert_eq!(reopened.reason, "it flickers still");

    let again = world.resolve_report(&lamp).await;
    assert!(again.reopen_deadline.unwrap().seconds > resolved.reopen_deadline.unwrap().seconds);
    world.clock.advance(TimeDelta::days(7));
    assert_eq!(
        world.report_now(&lamp).await.state(),
        State::Closed,
        "by the clock"
    );
    let late = act::ReopenReportRequest {
        request_id: world.id(),
        ..reopening
    };
    let late = refused(&send!(phone, reopen_report, late).unwrap_err());
    assert_eq!(late.reason, "REOPEN_WINDOW_CLOSED");
    let rating = act::RateReportRequest {
        rating: 5,
        request_id: world.id(),
        ..rating
    };
    assert_eq!(send!(phone, rate_report, rating).unwrap().rating, 5);
    let told = world.report_events(&member, &lamp).await;
    let closed = &told[told.len() - 2];
    assert_eq!((closed.kind(), &closed.actor[..]), (Kind::Closed, ""));
    assert_eq!(closed.create_time, again.reopen_deadline);
    let numbers: Vec<i64> = told.iter().map(|event| event.number).collect();
    assert_eq!(numbers, (1..=11).collect::<Vec<i64>>());
}

#[tokio::test]
async fn a_report_goes_from_hand_to_hand_and_says_when_it_is_overdue() {
    let world = World::with(Scheme::of_reports(5)).await;
    let member = world.volunteer().register().await;
    let team = act::CreateTeamRequest {
        parent: world.community_name(),
        team: Some(act::Team {
            number: "T1".to_owned(),
            display_name: "Night round".to_owned(),
            ..Default::default()
        }),
        request_id: world.id(),
        ..Default::default()
    };
    let team = send!(world.clients.activity, create_team, team).unwrap();
    let desk = world.staff("STAFF01").reports;
    let report = world.reported(world.report(&member, "litter")).await;
    let overdue = async || {
        let message = act::ListReportsRequest {
            parent: world.community_name(),
            overdue: true,
            ..Default::default()
        };
        let listed = send!(world.clients.reports, list_reports, message).unwrap();
        listed.reports.len()
    };
    world.clock.advance(TimeDelta::hours(72));
    assert_eq!(overdue().await, 0);
    world.clock.advance(TimeDelta::seconds(1));
    assert_eq!(overdue().await, 1, "nobody has looked");
    let red = act::AcceptReportRequest {
        name: report.name.clone(),
        urgency: act::ReportUrgency::Yellow.into(),
        request_id: world.id(),
        ..Default::default()
    };
    let accepted = send!(desk, accept_report, red).unwrap();
    assert!(accepted.overdue, "yellow had 72 hours");

    let assignment = act::AssignReportRequest {
        name: report.name.clone(),
        assignee: Some(act::ReportAssignee {
            who: Some(Who::Team(team.name)),
        }),
        request_id: world.id(),
    };
    let assigned = send!(desk, assign_report, assignment.clone()).unwrap();
    assert_eq!(
        (assigned.state(), assigned.assignee),
        (State::Assigned, assignment.assignee.clone())
    );
    let back = act::HandBackReportRequest {
        name: report.name.clone(),
        reason: "needs a lorry".to_owned(),
        request_id: world.id(),
    };
    let back = send!(desk, hand_back_report, back).unwrap();
    assert_eq!(
        (back.state(), back.assignee, &back.reason[..]),
        (State::Accepted, None, "needs a lorry")
    );
    let nobody = act::AssignReportRequest {
        assignee: Some(act::ReportAssignee {
            who: Some(Who::Member(format!(
                "{}/members/{}",
                world.community_name(),
                world.id()
            ))),
        }),
        request_id: world.id(),
        ..assignment
    };
    let refusal = refused(&send!(desk, assign_report, nobody).unwrap_err());
    assert_eq!(refusal.code, Code::NotFound);
    let mended = world.mend_report(&report).await;
    assert_eq!(mended.state(), State::Resolved);
    assert_eq!(overdue().await, 0);
    let early = act::RateReportRequest {
        name: report.name.clone(),
        rating: 5,
        comment: String::new(),
        request_id: world.id(),
    };
    let early = refused(&send!(world.phone(&member).reports, rate_report, early).unwrap_err());
    assert_eq!(
        (&early.reason[..], &early.metadata["needed"][..]),
        ("WRONG_STATE", "CLOSED")
    );
}

#[tokio::test]
async fn an_emergency_is_answered_with_the_number_to_call_and_recorded_all_the_same() {
    let world = World::with(Scheme::of_reports(5)).await;
    let member = world.volunteer().register().await;
    let mut report = world.report(&member, "smoke");
    let said = report.report.as_mut().unwrap();
    said.emergency = act::EmergencyKind::Fire.into();
    said.urgency = act::ReportUrgency::Blue.into();

    let filed = send!(world.phone(&member).reports, create_report, report.clone()).unwrap();

    let first = filed.emergency.clone().unwrap();
    assert_eq!(
        (first.kind(), &first.number[..]),
        (act::EmergencyKind::Fire, "119")
    );
    assert!(first.text_zh.contains("119") && first.text_en.contains("119"));
    assert_eq!(
        filed.report.as_ref().unwrap().urgency(),
        act::ReportUrgency::Red
    );
    let again = send!(world.phone(&member).reports, create_report, report).unwrap();
    assert_eq!(again, filed);

    // A category may be one by itself, and a programme may have numbers of its own.
    let settings = act::ReportSettings {
        categories: vec![act::ReportCategory {
            code: "fainted".to_owned(),
            emergency: act::EmergencyKind::Medical.into(),
            involves_persons: true,
            ..Default::default()
        }],
        emergency_numbers: vec![act::EmergencyNumber {
            kind: act::EmergencyKind::Medical.into(),
            phone: "021-120".to_owned(),
        }],
        ..Default::default()
    };
    let settings = world.set_report_settings(settings).await;
    assert_eq!(
        settings.categories[0].visibility(),
        act::ReportVisibility::Private
    );
    assert_eq!((settings.reopen_days, settings.targets.len()), (Some(7), 3));
    let filed = send!(
        world.clients.reports,
        create_report,
        world.report(&member, "fainted")
    );
    let filed = filed.unwrap();
    assert_eq!(filed.emergency.unwrap().number, "021-120");
    let other = send!(
        world.clients.reports,
        create_report,
        world.report(&member, "litter")
    );
    let other = refused(&other.unwrap_err());
    assert_eq!(
        (other.code, &other.reason[..]),
        (Code::InvalidArgument, "CATEGORY_UNKNOWN")
    );
}

#[tokio::test]
async fn points_are_capped_by_the_day_of_the_report_and_wait_for_budget() {
    let mut scheme = Scheme::of_reports(40);
    scheme.budget = Some(95);
    scheme.policy.caps = vec![act::Cap {
        source: act::EarnSource::Report.into(),
        period: act::CapPeriod::Day.into(),
        limit: 50,
    }];
    let world = World::with(scheme).await;
    let member = world.volunteer().register().await;
    // 23:30 in Shanghai, and half an hour later.
    world.clock.advance_to(at("2026-03-02T15:30:00Z"));
    let first = world.reported(world.report(&member, "litter")).await;
    let second = world.reported(world.report(&member, "lamp")).await;
    world.clock.advance(TimeDelta::minutes(30));
    let third = world.reported(world.report(&member, "bench")).await;

    let mut grants = Vec::new();
    for report in [first, second, third] {
        world.clock.advance(TimeDelta::hours(1));
        let accepted = world.accept_report(&report).await.unwrap();
        grants.push(world.grant(&accepted.grant).await);
    }

    let amounts: Vec<i64> = grants.iter().map(|grant| grant.amount).collect();
    assert_eq!(amounts, [40, 10, 40]);
    let step = &world.explain(&grants[1].name).await;
    assert_eq!(
        (step.desired, step.caps[0].used, &step.urgency[..]),
        (40, 40, "blue")
    );
    let waiting = world.accepted_report(&member, "hedge").await;
    let waiting = world.grant(&waiting.grant).await;
    assert_eq!(
        (waiting.state(), waiting.amount),
        (act::GrantState::AwaitingBudget, 10)
    );
    for grant in &grants {
        world.posted(&grant.name).await;
    }
    assert_eq!(world.balance(&member).await, 90);
    let listed = act::ListGrantsRequest {
        parent: world.programme_name(),
        member: member.name.clone(),
        ..Default::default()
    };
    let listed = send!(world.clients.activity, list_grants, listed).unwrap();
    assert_eq!(listed.grants.len(), 4);
}
