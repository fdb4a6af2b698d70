//! Reports under pressure: two people at once, the same call again, who decides on their own, who is gone.

use chrono::TimeDelta;
use journeys::{Scheme, World, at_once, one_answer, refused, send};
use proto::activity::v1::{self as act, ReportState as State};
use runtime::{Holder, Role};

#[tokio::test]
async fn of_twenty_who_decide_at_once_one_does_and_one_grant_is_made() {
    let world = World::with(Scheme::of_reports(10)).await;
    let member = world.volunteer().register().await;
    for _ in 0..3 {
        let report = world.reported(world.report(&member, "litter")).await;
        let ids: Vec<String> = (0..20).map(|_| world.id()).collect();
        let outcomes = at_once(20, |number| {
            let desk = world.staff(&format!("STAFF{number}")).reports;
            let (name, request_id) = (report.name.clone(), ids[number].clone());
            async move {
                if number % 2 == 0 {
                    let message = act::AcceptReportRequest {
                        name,
                        request_id,
                        ..Default::default()
                    };
                    send!(desk, accept_report, message)
                } else {
                    let message = act::RejectReportRequest {
                        name,
                        reason: "no".to_owned(),
                        abuse: false,
                        request_id,
                    };
                    send!(desk, reject_report, message)
                }
            }
        })
        .await;

        let (done, refusals): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        assert_eq!(done.len(), 1);
        for refusal in refusals {
            assert_eq!(refused(&refusal.unwrap_err()).reason, "WRONG_STATE");
        }
        let stands = world.report_now(&report).await;
        assert_eq!(stands.state(), done[0].as_ref().unwrap().state());
        assert_eq!(stands.state() == State::Accepted, !stands.grant.is_empty());
        assert_eq!(world.report_events(&member, &report).await.len(), 2);
        world.clock.advance(TimeDelta::minutes(1));
    }
}

#[tokio::test]
async fn the_same_call_again_gets_the_first_answer_and_has_one_effect() {
    let world = World::with(Scheme::of_reports(10)).await;
    let member = world.volunteer().register().await;
    let reports = &world.clients.reports;
    let filed = one_answer!(reports, create_report, world.report(&member, "litter"));
    let report = filed.report.unwrap();
    let acceptance = act::AcceptReportRequest {
        name: report.name.clone(),
        request_id: world.id(),
        ..Default::default()
    };
    let accepted = one_answer!(reports, accept_report, acceptance.clone());
    world.posted(&accepted.grant).await;

    let other = act::AcceptReportRequest {
        urgency: act::ReportUrgency::Red.into(),
        ..acceptance
    };
    let other = refused(&send!(reports, accept_report, other).unwrap_err());

    assert_eq!(other.reason, "REQUEST_ID_REUSED");
    assert_eq!(world.balance(&member).await, 10);
    assert_eq!(world.report_events(&member, &report).await.len(), 2);
}

#[tokio::test]
async fn nobody_accepts_their_own_report_and_who_is_erased_reports_no_more() {
    let world = World::with(Scheme::of_reports(10)).await;
    let member = world.volunteer().register().await;
    let report = world.reported(world.report(&member, "litter")).await;
    let own = world.clients.of(Holder {
        resources: vec![member.name.clone()],
        ..Holder::everywhere("wx-1", [Role::Staff])
    });
    for desk in [own, world.staff(&member.number)] {
        let message = act::AcceptReportRequest {
            name: report.name.clone(),
            request_id: world.id(),
            ..Default::default()
        };
        let refusal = refused(&send!(desk.reports, accept_report, message).unwrap_err());
        assert_eq!(refusal.reason, "SELF_TRIAGE");
    }

    let erasure = act::EraseMemberRequest {
        name: member.name.clone(),
        reason: "asked for it".to_owned(),
        request_id: world.id(),
    };
    send!(world.clients.activity, erase_member, erasure).unwrap();

    let again = send!(
        world.clients.reports,
        create_report,
        world.report(&member, "litter")
    );
    assert_eq!(refused(&again.unwrap_err()).reason, "MEMBER_ERASED");
    world.clock.advance(TimeDelta::minutes(1));
    let red = act::AcceptReportRequest {
        name: report.name.clone(),
        visibility: act::ReportVisibility::Public.into(),
        request_id: world.id(),
        ..Default::default()
    };
    let accepted = send!(world.clients.reports, accept_report, red).unwrap();
    assert_eq!(
        accepted.state(),
        State::Accepted,
        "what had begun goes to its end"
    );
    let shown = world.public_reports(&world.clients).await;
    assert_eq!((shown.len(), &shown[0].masked_reporter[..]), (1, ""));
}
