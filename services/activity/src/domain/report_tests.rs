//! Tables of what may be done to a report, and what comes of it.

use super::*;
use crate::domain::{
    Community,
    member::MemberKind,
    place::{Nearness, Place, Point},
    report::{Emergency, Origin, Submission},
    report_rules::{Category, EmergencyNumbers, Rules, Standing},
};

const COMMUNITY: Community = Community(Uuid::from_u128(1));

fn start() -> DateTime<Utc> {
    "2026-03-02T02:00:00Z".parse().unwrap()
}

fn reporter() -> Member {
    Member {
        community: COMMUNITY,
        id: Uuid::from_u128(7),
        number: "V000007".to_owned(),
        kind: MemberKind::Courier,
        team: None,
        birth_year: None,
        service_minutes: 0,
        created_at: start(),
        erased_at: None,
    }
}

fn submission(category: &str) -> Submission {
    Submission {
        category: category.to_owned(),
        photos: vec![],
        place: Place {
            text: "gate 3".to_owned(),
            point: None,
        },
        description: String::new(),
        urgency: None,
        emergency: None,
    }
}

fn origin(id: u128, at: DateTime<Utc>) -> Origin {
    Origin {
        community: COMMUNITY,
        id: Uuid::from_u128(id),
        programme: Uuid::from_u128(3),
        member: reporter().id,
        by: "wx-7".to_owned(),
        request: Uuid::from_u128(id),
        at,
    }
}

fn submitted(id: u128, at: DateTime<Utc>) -> Report {
    let (rules, standing) = (Rules::default(), Standing::default());
    let made = Report::submit(submission("litter"), origin(id, at), &rules, &standing);
    made.unwrap().report
}

fn taker(by: &str, at: DateTime<Utc>) -> Taker {
    Taker {
        by: by.to_owned(),
        is_reporter: false,
        at,
        request: Uuid::from_u128(99),
    }
}

fn take(report: Report, step: &Step) -> Result<Report, Refusal> {
    take_at(report, step, start())
}

fn take_at(report: Report, step: &Step, at: DateTime<Utc>) -> Result<Report, Refusal> {
    let changed = report.take(step, &reporter(), &taker("STAFF01", at))?;
    Ok(changed.report)
}

fn reason() -> String {
    "because".to_owned()
}

fn resolve() -> Step {
    Step::Resolve {
        note: "mended".to_owned(),
        photos: vec![],
    }
}

fn reopen() -> Step {
    Step::Reopen { reason: reason() }
}

/// Every step, with the state it leads to from any in which it may be taken.
fn steps() -> Vec<(Step, Option<ReportState>)> {
    use ReportState::{
        Accepted, Assigned, Closed, Duplicate, InProgress, Referred, Rejected, Resolved,
    };
    let photos = Vec::new;
    let earlier = Report {
        state: Accepted,
        ..submitted(1, start() - TimeDelta::days(1))
    };
    let keep = Step::Accept {
        urgency: None,
        visibility: None,
    };
    let (text, note) = (reason(), reason());
    let progress = Step::AddProgress {
        note: reason(),
        photos: photos(),
    };
    let detail = Step::AddDetail {
        text,
        photos: photos(),
    };
    let reject = |abuse| Step::Reject {
        reason: reason(),
        abuse,
    };
    let to = "12345".to_owned();
    let rate = Step::Rate {
        rating: 5,
        comment: String::new(),
    };
    let see = Step::SetVisibility {
        visibility: Visibility::Private,
        reason: reason(),
    };
    vec![
        (detail, None),
        (keep, Some(Accepted)),
        (reject(false), Some(Rejected)),
        (reject(true), Some(Rejected)),
        (
            Step::MarkDuplicate {
                of: Box::new(earlier),
            },
            Some(Duplicate),
        ),
        (Step::Refer { to, note }, Some(Referred)),
        (
            Step::Assign(Assignee::Staff("DESK".to_owned())),
            Some(Assigned),
        ),
        (Step::HandBack { reason: reason() }, Some(Accepted)),
        (Step::Start, Some(InProgress)),
        (progress, None),
        (resolve(), Some(Resolved)),
        (reopen(), Some(InProgress)),
        (Step::Close, Some(Closed)),
        (rate, None),
        (see, None),
    ]
}

#[test]
fn each_state_allows_its_own_steps() {
    use ReportState::{
        Accepted, Assigned, Closed, Duplicate, InProgress, Referred, Rejected, Resolved, Submitted,
    };
    // By the number of the step above.
    let allowed: [(ReportState, &[usize]); 9] = [
        (Submitted, &[0, 1, 2, 3, 4, 5, 14]),
        (Accepted, &[0, 6, 9, 14]),
        (Assigned, &[0, 7, 8, 9, 14]),
        (InProgress, &[0, 9, 10, 14]),
        (Resolved, &[11, 12, 14]),
        (Closed, &[11, 13, 14]),
        (Rejected, &[14]),
        (Duplicate, &[14]),
        (Referred, &[14]),
    ];
    for (state, allowed) in allowed {
        for (number, (step, to)) in steps().into_iter().enumerate() {
            let report = Report {
                state,
                close_at: [Resolved, Closed]
                    .contains(&state)
                    .then_some(start() + TimeDelta::days(1)),
                ..submitted(2, start())
            };
            let taken = take(report, &step);
            if allowed.contains(&number) {
                assert_eq!(
                    taken.unwrap().state,
                    to.unwrap_or(state),
                    "{state:?} {step:?}"
                );
            } else {
                let refused = matches!(taken, Err(Refusal::WrongState { .. }));
                assert!(refused, "{state:?} {step:?}: {taken:?}");
            }
        }
    }
}

#[test]
fn every_step_leaves_one_event_that_says_who_when_and_why() {
    let before = submitted(2, start());
    let step = Step::Reject {
        reason: "nothing there".to_owned(),
        abuse: true,
    };
    let changed = before
        .take(&step, &reporter(), &taker("STAFF01", start()))
        .unwrap();
    assert_eq!(changed.report.reason, "nothing there");
    assert_eq!(changed.report.changed_by.as_deref(), Some("STAFF01"));
    let [event] = &changed.events[..] else {
        panic!("{:?}", changed.events)
    };
    let told = (event.number, event.kind, event.state, &event.text[..]);
    assert_eq!(
        told,
        (2, EventKind::Abuse, ReportState::Rejected, "nothing there")
    );
    assert_eq!(event.request, Some(Uuid::from_u128(99)));
}

#[test]
fn nobody_looks_first_at_their_own_report() {
    for (step, _) in steps().into_iter().take(6).skip(1) {
        for by in ["V000007", &reporter().id.to_string()] {
            let refused = submitted(2, start()).take(&step, &reporter(), &taker(by, start()));
            assert!(
                matches!(
                    refused,
                    Err(Refusal::Report(ReportRefusal::SelfTriage { .. }))
                ),
                "{by} {step:?}"
            );
        }
        let own = Taker {
            is_reporter: true,
            ..taker("wx-7", start())
        };
        let refused = submitted(2, start()).take(&step, &reporter(), &own);
        assert!(
            matches!(
                refused,
                Err(Refusal::Report(ReportRefusal::SelfTriage { .. }))
            ),
            "{step:?}"
        );
    }
}

#[test]
fn an_original_is_earlier_and_stands_by_itself() {
    let report = submitted(2, start());
    let mark = |of: Report| take(report.clone(), &Step::MarkDuplicate { of: Box::new(of) });
    let undecided = submitted(1, start());
    let earlier = Report {
        state: ReportState::Accepted,
        ..undecided.clone()
    };
    assert_eq!(
        mark(earlier.clone()).unwrap().duplicate_of,
        Some(earlier.id)
    );
    for (of, refused) in [
        (report.clone(), "was not submitted before"),
        (submitted(3, start()), "was not submitted before"),
        (
            submitted(1, start() + TimeDelta::seconds(1)),
            "was not submitted before",
        ),
        (undecided, "is SUBMITTED: decide on that one first"),
        (
            Report {
                state: ReportState::Rejected,
                ..earlier.clone()
            },
            "is REJECTED itself",
        ),
        (
            Report {
                programme: Uuid::nil(),
                ..earlier
            },
            "not found",
        ),
    ] {
        let why = mark(of).unwrap_err().to_string();
        assert!(why.contains(refused), "{why}");
    }
}

#[test]
fn due_times_follow_the_urgency_by_the_targets_of_when_it_was_made() {
    let hours = |report: &Report| {
        let after = |at: DateTime<Utc>| (at - report.submitted_at).num_hours();
        (after(report.triage_due_at), after(report.resolve_due_at))
    };
    let report = submitted(2, start());
    assert_eq!((report.urgency, hours(&report)), (Urgency::Blue, (72, 168)));
    let accept = Step::Accept {
        urgency: Some(Urgency::Red),
        visibility: Some(Visibility::Public),
    };
    let report = take(report, &accept).unwrap();
    assert_eq!((report.urgency, hours(&report)), (Urgency::Red, (2, 24)));
    assert_eq!(report.visibility, Visibility::Public);
    let due = report.resolve_due_at;
    assert!(!report.is_overdue(due));
    assert!(report.is_overdue(due + TimeDelta::seconds(1)));
    let resolved = Report {
        state: ReportState::Resolved,
        ..report
    };
    assert!(!resolved.is_overdue(due + TimeDelta::days(9)));
}

#[test]
fn a_resolved_report_is_closed_by_the_clock_and_reopened_only_before() {
    let days = TimeDelta::days;
    let working = Report {
        state: ReportState::InProgress,
        ..submitted(2, start())
    };
    let resolved = take(working, &resolve()).unwrap();
    let end = start() + days(7);
    assert_eq!(resolved.close_at, Some(end));
    let last = end - TimeDelta::microseconds(1);
    assert_eq!(
        resolved.clone().settled(last).report.state,
        ReportState::Resolved
    );
    let closed = resolved.clone().settled(end);
    assert_eq!(closed.report.state, ReportState::Closed);
    assert_eq!(
        (closed.report.changed_by, closed.report.changed_at),
        (None, end)
    );
    assert_eq!(
        (closed.events[0].actor.clone(), closed.events[0].at),
        (None, end)
    );

    let again = take_at(resolved.clone(), &reopen(), last).unwrap();
    assert_eq!(
        (again.state, again.close_at),
        (ReportState::InProgress, None)
    );
    let late = take_at(resolved.clone(), &reopen(), end);
    assert!(
        matches!(late, Err(Refusal::Report(ReportRefusal::ReopenWindowClosed { until, .. })) if until == end)
    );

    // Who closes it early takes nothing from the reporter.
    let early = take(resolved.clone(), &Step::Close).unwrap();
    let rated = take(
        early,
        &Step::Rate {
            rating: 2,
            comment: reason(),
        },
    )
    .unwrap();
    assert_eq!(rated.rating, Some(2));
    let again = take_at(rated, &reopen(), last).unwrap();
    assert_eq!((again.state, again.rating), (ReportState::InProgress, None));

    // What the clock did comes before what is done after it.
    let rate = Step::Rate {
        rating: 5,
        comment: String::new(),
    };
    let changed = resolved
        .take(&rate, &reporter(), &taker("wx-7", end))
        .unwrap();
    let kinds: Vec<_> = changed
        .events
        .iter()
        .map(|event| (event.number, event.kind))
        .collect();
    assert_eq!(kinds, [(3, EventKind::Closed), (4, EventKind::Rated)]);
    assert_eq!(changed.report.events, 4);
}

#[test]
fn a_report_takes_only_so_many_additions() {
    let full = Report {
        details: MAX_DETAILS,
        ..submitted(2, start())
    };
    let add = Step::AddDetail {
        text: reason(),
        photos: vec![],
    };
    assert!(matches!(
        take(full, &add),
        Err(Refusal::Report(ReportRefusal::DetailLimit { .. }))
    ));
}

#[test]
fn an_emergency_is_red_and_is_taken_even_from_who_may_not_report() {
    let fire = Category {
        emergency: Some(Emergency::Fire),
        ..Rules::default().category("fire").unwrap()
    };
    let litter = Category {
        code: "litter".to_owned(),
        emergency: None,
        ..fire.clone()
    };
    let rules = Rules {
        categories: vec![fire, litter],
        ..Rules::default()
    };
    let until = start() + TimeDelta::days(3);
    let suspended = Standing {
        strikes: 0,
        suspended_until: Some(until),
    };
    let submit = |submission| Report::submit(submission, origin(2, start()), &rules, &suspended);

    let report = submit(Submission {
        urgency: Some(Urgency::Blue),
        ..submission("fire")
    })
    .unwrap()
    .report;
    assert_eq!(report.urgency, Urgency::Red);
    let answer = report
        .emergency_answer(&rules, &EmergencyNumbers::default())
        .unwrap();
    assert_eq!((answer.kind, &answer.number[..]), (Emergency::Fire, "119"));
    assert!(answer.text_zh().contains("119") && answer.text_en().contains("119"));

    let refused = submit(submission("litter"));
    let member = reporter().id;
    assert_eq!(
        refused,
        Err(ReportRefusal::ReportingSuspended { member, until }.into())
    );
    let hurt = Submission {
        emergency: Some(Emergency::Medical),
        ..submission("litter")
    };
    assert_eq!(
        submit(hurt).unwrap().report.emergency,
        Some(Emergency::Medical)
    );
}

#[test]
fn candidates_are_earlier_and_near_the_nearest_first() {
    let on_map = |id, north: i32| {
        let mut report = submitted(id, start());
        report.place.point = Some(Point {
            latitude_e6: 31_230_400 + north,
            longitude_e6: 121_473_700,
            accuracy_metres: 0,
        });
        report
    };
    let report = on_map(9, 0);
    let mut elsewhere = submitted(4, start());
    elsewhere.place.text = "gate 4".to_owned();
    let others = vec![
        on_map(1, 500),
        on_map(2, 100),
        on_map(3, 5_000),
        elsewhere,
        submitted(5, start()),
        on_map(10, 0),
        report.clone(),
    ];
    let found = report.candidates(others.clone(), 100, 20);
    let found: Vec<_> = found
        .iter()
        .map(|one| (one.report.id.as_u128(), one.nearness))
        .collect();
    let metres = Nearness::Metres;
    assert_eq!(
        found,
        [(2, metres(11)), (1, metres(55)), (5, Nearness::SameWords)]
    );
    assert_eq!(report.candidates(others, 100, 1).len(), 1);
}
