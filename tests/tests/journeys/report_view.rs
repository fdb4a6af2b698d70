//! Who sees what of a report, who may not report for a time, and whose report counts.

use chrono::TimeDelta;
use journeys::{Scheme, World, refused, send};
use proto::activity::v1::{self as act, ReportState as State, ReportVisibility as Visibility};
use tonic::Code;

fn category(code: &str, visibility: Visibility) -> act::ReportCategory {
    act::ReportCategory {
        code: code.to_owned(),
        visibility: visibility.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn neighbours_see_progress_and_never_what_is_private() {
    let world = World::with(Scheme::of_reports(5)).await;
    world
        .set_report_settings(act::ReportSettings {
            categories: vec![
                category("lamp", Visibility::Unspecified),
                category("noise", Visibility::Redacted),
                act::ReportCategory {
                    involves_persons: true,
                    ..category("quarrel", Visibility::Unspecified)
                },
            ],
            ..Default::default()
        })
        .await;
    let member = world.volunteer().register().await;
    let neighbour = world.phone(&world.volunteer().register().await);
    for code in ["lamp", "noise", "quarrel"] {
        let mut report = world.report(&member, code);
        let said = report.report.as_mut().unwrap();
        said.description = "by the entrance".to_owned();
        said.photos = vec!["oss://1.jpg".to_owned()];
        let made = world.reported(report).await;
        world.clock.advance(TimeDelta::minutes(1));
        assert!(
            world
                .public_reports(&neighbour)
                .await
                .iter()
                .all(|shown| shown.category != code),
            "nobody has looked at it"
        );
        let accepted = world.accept_report(&made).await.unwrap();
        world.mend_report(&accepted).await;
        world.clock.advance(TimeDelta::minutes(1));
    }
    let rejected = world.reported(world.report(&member, "lamp")).await;
    world.reject_report(&rejected, false).await;

    let shown = world.public_reports(&neighbour).await;

    let [noise, lamp] = &shown[..] else {
        panic!("{shown:#?}")
    };
    assert_eq!(
        (&lamp.category[..], lamp.state()),
        ("lamp", State::Resolved)
    );
    assert_eq!(
        (&lamp.masked_reporter[..], &lamp.description[..]),
        ("王**", "by the entrance")
    );
    assert_eq!(lamp.place.as_ref().unwrap().text, "Gate 3");
    assert_eq!(lamp.photos, ["oss://1.jpg"]);
    let notes: Vec<&str> = lamp.progress.iter().map(|one| &one.note[..]).collect();
    assert_eq!(notes, ["", "", "lamp replaced"]);
    assert_eq!(noise.category, "noise");
    let hidden = (&noise.place, &noise.description[..], &noise.photos[..]);
    assert_eq!(hidden, (&None, "", &[][..]));
    assert!(noise.progress.iter().all(|one| one.photos.is_empty()));

    // A member of the staff sees a face in a photo.
    let hide = act::SetReportVisibilityRequest {
        name: lamp.name.clone(),
        visibility: Visibility::Private.into(),
        reason: "a face in the photo".to_owned(),
        request_id: world.id(),
    };
    send!(world.staff("STAFF01").reports, set_report_visibility, hide).unwrap();
    assert_eq!(world.public_reports(&neighbour).await.len(), 1);
    let theirs = act::GetReportRequest {
        name: lamp.name.clone(),
    };
    let refusal = refused(&send!(neighbour.reports, get_report, theirs).unwrap_err());
    assert_eq!(
        (refusal.code, &refusal.reason[..]),
        (Code::PermissionDenied, "NOT_YOURS")
    );
}

#[tokio::test]
async fn who_abuses_reports_pauses_and_may_still_report_an_emergency() {
    let world = World::with(Scheme::of_reports(5)).await;
    world
        .set_report_settings(act::ReportSettings {
            strike_limit: Some(2),
            suspension_days: Some(10),
            ..Default::default()
        })
        .await;
    let member = world.volunteer().register().await;
    let phone = world.phone(&member).reports;
    for abuse in [true, false, true] {
        let report = world.reported(world.report(&member, "litter")).await;
        let rejected = world.reject_report(&report, abuse).await;
        assert_eq!(
            (rejected.state(), &rejected.reason[..]),
            (State::Rejected, "nothing there")
        );
        assert_eq!(rejected.grant, "");
    }

    let report = world.report(&member, "litter");
    let refusal = refused(&send!(phone, create_report, report.clone()).unwrap_err());

    assert_eq!(
        (refusal.code, &refusal.reason[..]),
        (Code::FailedPrecondition, "REPORTING_SUSPENDED")
    );
    assert_eq!(refusal.metadata["until"], "2026-03-12T02:00:00+00:00");
    let mut fire = world.report(&member, "smoke");
    fire.report.as_mut().unwrap().emergency = act::EmergencyKind::Fire.into();
    assert!(
        send!(phone, create_report, fire)
            .unwrap()
            .emergency
            .is_some()
    );
    let other = world.volunteer().register().await;
    world.reported(world.report(&other, "litter")).await;
    world.clock.advance(TimeDelta::days(10));
    let later = act::CreateReportRequest {
        request_id: world.id(),
        ..report
    };
    send!(phone, create_report, later).unwrap();
}

#[tokio::test]
async fn the_first_reporter_is_paid_and_the_second_is_pointed_to_the_first() {
    let world = World::with(Scheme::of_reports(10)).await;
    let [first, second] = [
        world.volunteer().register().await,
        world.volunteer().register().await,
    ];
    let somewhere = |member, metres: f64| {
        let mut report = world.report(member, "pothole");
        report.report.as_mut().unwrap().place = Some(act::ReportPlace {
            text: String::new(),
            point: Some(act::GeoPoint {
                latitude: 31.23 + metres / 111_195.0,
                longitude: 121.47,
                accuracy_metres: 5,
            }),
        });
        report
    };
    let original = world.reported(somewhere(&first, 0.0)).await;
    world.clock.advance(TimeDelta::minutes(1));
    let far = world.reported(somewhere(&first, 500.0)).await;
    world.clock.advance(TimeDelta::minutes(1));
    let same = world.reported(somewhere(&second, 60.0)).await;
    world.clock.advance(TimeDelta::minutes(1));

    let desk = world.staff("STAFF01").reports;
    let question = act::SuggestDuplicatesRequest {
        name: same.name.clone(),
    };
    let found = send!(desk, suggest_duplicates, question)
        .unwrap()
        .candidates;
    let found: Vec<_> = found
        .iter()
        .map(|one| {
            (
                &one.report.as_ref().unwrap().name[..],
                one.distance_metres.unwrap(),
            )
        })
        .collect();
    assert!(
        matches!(found[..], [(name, 59..=60)] if name == original.name),
        "{found:?}"
    );

    let mark = |report: &act::Report, of: &act::Report| act::MarkReportDuplicateRequest {
        name: report.name.clone(),
        duplicate_of: of.name.clone(),
        request_id: world.id(),
    };
    let wrong = send!(desk, mark_report_duplicate, mark(&original, &same)).unwrap_err();
    assert_eq!(refused(&wrong).reason, "NOT_EARLIER");
    let early = send!(desk, mark_report_duplicate, mark(&same, &original)).unwrap_err();
    assert_eq!(refused(&early).reason, "NOT_AN_ORIGINAL");
    let accepted = world.accept_report(&original).await.unwrap();
    let marked = send!(desk, mark_report_duplicate, mark(&same, &original)).unwrap();
    assert_eq!(
        (marked.state(), marked.duplicate_of),
        (State::Duplicate, original.name.clone())
    );
    let chained = world.reported(somewhere(&second, 61.0)).await;
    let wrong = send!(desk, mark_report_duplicate, mark(&chained, &same)).unwrap_err();
    assert_eq!(refused(&wrong).reason, "NOT_AN_ORIGINAL");
    world.posted(&accepted.grant).await;
    assert_eq!(
        (world.balance(&first).await, marked.grant),
        (10, String::new())
    );
    assert_eq!(far.state(), State::Submitted);
}

#[tokio::test]
async fn reports_are_found_by_what_they_are_now() {
    let world = World::with(Scheme::of_reports(5)).await;
    let [member, other] = [
        world.volunteer().register().await,
        world.volunteer().register().await,
    ];
    let waiting = world.reported(world.report(&other, "litter")).await;
    let accepted = world.accepted_report(&member, "lamp").await;
    let mended = world.mend_report(&accepted).await;
    let all = act::ListReportsRequest {
        parent: world.community_name(),
        ..Default::default()
    };
    let find = async |message: act::ListReportsRequest| {
        let found = send!(world.clients.reports, list_reports, message).unwrap();
        let names = found.reports.into_iter().map(|report| report.name);
        names.collect::<Vec<_>>()
    };
    let in_state = |state: State| act::ListReportsRequest {
        state: state.into(),
        ..all.clone()
    };
    assert_eq!(find(in_state(State::Resolved)).await, [&mended.name[..]]);
    world.clock.advance(TimeDelta::days(7));
    assert_eq!(find(in_state(State::Resolved)).await, [""; 0]);
    assert_eq!(find(in_state(State::Closed)).await, [&mended.name[..]]);
    let of = |member: &str, category: &str| act::ListReportsRequest {
        member: member.to_owned(),
        category: category.to_owned(),
        urgency: act::ReportUrgency::Blue.into(),
        programme: world.programme_name(),
        ..all.clone()
    };
    assert_eq!(find(of(&other.name, "")).await, [&waiting.name[..]]);
    assert_eq!(find(of("", "lamp")).await, [&mended.name[..]]);
    let mine = of(&member.name, "");
    let own = send!(world.phone(&member).reports, list_reports, mine).unwrap();
    assert_eq!(own.reports.len(), 1);
    assert_eq!(find(all).await.len(), 2);
}
