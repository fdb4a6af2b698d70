//! Problem reports: what a decision leaves behind, what none leaves behind, and what the clock does by itself.

use chrono::TimeDelta;
use runtime::Access;
use tokio::task::JoinSet;

use super::{World, policy, refusal, start};
use crate::{
    domain::{
        grant::GrantState,
        member::Member,
        place::Place,
        policy::{Cap, EarnRule, Period, Policy, Source},
        refusal::Refusal,
        report::{EventKind, Report, ReportState, Submission, Visibility},
        report_rules::Rules,
    },
    report::{NewReport, Target},
    store::{self, public::PublicFilter},
};

/// 40 for each report, at most 50 a day.
fn of_reports() -> Policy {
    Policy {
        earn_rules: vec![EarnRule::Report {
            category: "*".to_owned(),
            urgency: "blue".to_owned(),
            fixed: 40,
        }],
        caps: vec![Cap {
            source: Some(Source::Report),
            period: Period::Day,
            limit: 50,
        }],
        ..policy()
    }
}

impl World {
    async fn reported(&self, member: &Member) -> Report {
        let new = NewReport {
            id: None,
            programme: self.programme,
            member: member.id,
            submission: Submission {
                category: "litter".to_owned(),
                photos: vec![],
                place: Place {
                    text: "gate 3".to_owned(),
                    point: None,
                },
                description: String::new(),
                urgency: None,
                emergency: None,
            },
        };
        let call = self.call("CreateReport");
        let filed = self.activity.create_report(&call, new).await;
        filed.unwrap().report
    }

    fn target(&self, report: &Report) -> Target {
        Target {
            report: report.id,
            by: Access::everything("STAFF01"),
        }
    }

    /// Brings a report to RESOLVED.
    async fn mended(&self, report: &Report) {
        let activity = &self.activity;
        let call = self.call("AcceptReport");
        let accepted = activity.accept_report(&call, self.target(report), (None, None));
        accepted.await.unwrap();
        let staff = crate::domain::report::Assignee::Staff("DESK".to_owned());
        let call = self.call("AssignReport");
        activity
            .assign_report(&call, self.target(report), staff)
            .await
            .unwrap();
        let call = self.call("StartReport");
        activity
            .start_report(&call, self.target(report))
            .await
            .unwrap();
        let call = self.call("ResolveReport");
        let said = ("mended".to_owned(), vec![]);
        activity
            .resolve_report(&call, self.target(report), said)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn reports_accepted_at_once_pass_neither_cap_nor_budget_while_the_ledger_is_away() {
    let world = World::without_policy(Some(100)).await;
    world.activate(of_reports()).await;
    let members = [
        world.member().await,
        world.member().await,
        world.member().await,
    ];
    let mut accepting = JoinSet::new();
    for number in 0..9 {
        let report = world.reported(&members[number % 3]).await;
        let (activity, call, target) = (
            world.activity.clone(),
            world.call("AcceptReport"),
            world.target(&report),
        );
        accepting.spawn(async move { activity.accept_report(&call, target, (None, None)).await });
    }

    let mut granted = 0;
    for accepted in accepting.join_all().await {
        let grant = accepted.unwrap().grant.unwrap();
        let grant = world
            .activity
            .get_grant(world.community, grant)
            .await
            .unwrap();
        assert_eq!(grant.source, Source::Report);
        if grant.state == GrantState::Pending {
            granted += grant.amount;
        }
    }

    let summary = world.summary().await;
    assert_eq!(summary.granted, granted);
    assert!((50..=100).contains(&granted), "{summary:?}");
}

#[tokio::test]
async fn a_refused_step_leaves_nothing_but_its_refusal() {
    let world = World::without_policy(None).await;
    let member = world.member().await;
    let report = world.reported(&member).await;
    let call = world.call("StartReport");

    let refused = refusal(
        world
            .activity
            .start_report(&call, world.target(&report))
            .await,
    );

    assert!(matches!(refused, Refusal::WrongState { .. }), "{refused}");
    let again = refusal(
        world
            .activity
            .start_report(&call, world.target(&report))
            .await,
    );
    assert_eq!(again, refused);
    let kept = world
        .activity
        .get_report(world.community, report.id)
        .await
        .unwrap();
    assert_eq!(kept, report);
    let events = world
        .activity
        .list_report_events(world.community, report.id, 0, 50)
        .await;
    assert_eq!(events.unwrap().items.len(), 1);
}

#[tokio::test]
async fn what_the_clock_closed_is_in_every_list_as_if_somebody_had() {
    let world = World::without_policy(None).await;
    let member = world.member().await;
    let report = world.reported(&member).await;
    world.mended(&report).await;
    world
        .clock
        .advance(TimeDelta::days(Rules::default().reopen_days.into()));

    let mut numbers = Vec::new();
    let mut after = 0;
    loop {
        let page = world
            .activity
            .list_report_events(world.community, report.id, after, 2);
        let page = page.await.unwrap();
        numbers.extend(page.items.iter().map(|event| (event.number, event.kind)));
        let Some(next) = page.next else { break };
        after = next;
    }

    let last = numbers.last().copied();
    assert_eq!((numbers.len(), last), (6, Some((6, EventKind::Closed))));
    let stored = store::report::find(&world.pool, world.community, report.id).await;
    assert_eq!(
        stored.unwrap().unwrap().state,
        ReportState::Resolved,
        "nothing had to run"
    );
    let shown = world
        .activity
        .get_report(world.community, report.id)
        .await
        .unwrap();
    assert_eq!(shown.state, ReportState::Closed);
    assert_eq!(shown.changed_at, start() + TimeDelta::days(7));
    // The first thing done after it makes it so in the books as well.
    let call = world.call("RateReport");
    let rated = world
        .activity
        .rate_report(&call, world.target(&report), (4, String::new()));
    assert_eq!(rated.await.unwrap().events, 7);
    let events = world
        .activity
        .list_report_events(world.community, report.id, 0, 50)
        .await;
    assert_eq!(events.unwrap().items.len(), 7);
}

#[tokio::test]
async fn what_a_private_report_earned_is_in_the_sums_and_in_no_list() {
    let world = World::without_policy(None).await;
    world.activate(of_reports()).await;
    let mut shown = Vec::new();
    for visibility in [
        Visibility::Public,
        Visibility::Private,
        Visibility::Redacted,
    ] {
        let member = world.member().await;
        let report = world.reported(&member).await;
        let call = world.call("AcceptReport");
        let accepted = world
            .activity
            .accept_report(&call, world.target(&report), (None, Some(visibility)))
            .await
            .unwrap();
        // Ids of one instant are in no order.
        world.clock.advance(TimeDelta::milliseconds(1));
        if visibility != Visibility::Private {
            shown.insert(0, accepted.grant.unwrap());
        }
    }
    let day = start().date_naive();
    let filter = PublicFilter {
        community: world.community,
        programme: world.programme,
        start: Some(day),
        end: day.succ_opt(),
    };

    let mut listed = Vec::new();
    let mut before = None;
    while let [row] = &store::public::list(&world.pool, filter, before, 1)
        .await
        .unwrap()[..]
    {
        listed.push(row.grant);
        before = Some((row.local_date, row.grant));
    }
    assert_eq!(listed, shown);
    let sums = store::public::sums(&world.pool, filter).await.unwrap();
    let sums: Vec<_> = sums
        .iter()
        .map(|sum| (&sum.category[..], sum.rewards, sum.amount))
        .collect();
    assert_eq!(sums, [("", 1, 40), ("litter", 2, 80)]);
    let later = PublicFilter {
        start: day.succ_opt(),
        end: None,
        ..filter
    };
    let none = store::public::list(&world.pool, later, None, 1)
        .await
        .unwrap();
    assert!(none.is_empty());
}
