//! Verifying services: hours, grants, caps and budget, one at a time and all at once.

use super::*;
use crate::domain::{grant::GrantState, service_record::RecordState};

#[tokio::test]
async fn a_verified_service_enters_the_hours_and_earns_its_points() {
    let world = World::start().await;
    let member = world.member().await;

    let (record, grant) = world.granted(&member, 30, 2).await;

    assert_eq!(record.state, RecordState::Verified);
    assert_eq!(
        (record.decided_by.as_deref(), record.decided_at),
        (Some("STAFF01"), Some(start()))
    );
    assert_eq!(record.reason, None);
    assert_eq!(
        (grant.state, grant.amount, grant.record),
        (GrantState::Pending, 20, record.id)
    );
    assert_eq!(
        grant.expires_at,
        Some("2024-11-30T16:00:00Z".parse().unwrap())
    );
    assert_eq!(world.minutes(&member).await, 120);
    let summary = world.summary().await;
    assert_eq!(
        (summary.granted, summary.grants, summary.unposted_grants),
        (20, 1, 1)
    );
    assert_eq!((summary.awaiting, summary.service_minutes), (0, 120));
}

#[tokio::test]
async fn the_same_verification_twenty_times_at_once_makes_one_grant_and_twenty_equal_answers() {
    let world = World::start().await;
    let member = world.member().await;
    let record = world.served(&member, 30, 2).await;
    let call = world.call("VerifyServiceRecord");

    let mut twins = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (activity, call, decide) =
            (world.activity.clone(), call.clone(), by("STAFF01", &record));
        twins.spawn(async move { activity.verify_service_record(&call, decide).await });
    }
    let answers: Vec<ServiceRecord> = twins
        .join_all()
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();

    assert_eq!(answers.len(), 20);
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    let summary = world.summary().await;
    assert_eq!(
        (summary.granted, summary.grants, summary.service_minutes),
        (20, 1, 120)
    );
}

#[tokio::test]
async fn twenty_verifications_of_one_record_at_once_let_one_through() {
    let world = World::start().await;
    let member = world.member().await;
    let record = world.served(&member, 30, 2).await;

    let mut rivals = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (activity, call) = (world.activity.clone(), world.call("VerifyServiceRecord"));
        let decide = by("STAFF01", &record);
        rivals.spawn(async move { activity.verify_service_record(&call, decide).await });
    }
    let (won, lost): (Vec<_>, Vec<_>) =
        rivals.join_all().await.into_iter().partition(Result::is_ok);

    assert_eq!(won.len(), 1);
    for outcome in lost {
        assert!(matches!(refusal(outcome), Refusal::WrongState { .. }));
    }
    assert_eq!(world.summary().await.granted, 20);
}

#[tokio::test]
async fn a_member_serves_in_one_place_at_a_time_but_may_go_straight_on() {
    let world = World::start().await;
    let member = world.member().await;
    let other = world.member().await;
    let (first, _) = world.granted(&member, 30, 2).await;

    let overlapping = world.served(&member, 29, 2).await;
    let refused = refusal(world.verify(&overlapping).await);
    assert_eq!(
        refused,
        Refusal::ServiceOverlap {
            record: overlapping.id,
            verified: first.id
        }
    );
    for (member, hours_ago) in [(&member, 28), (&member, 32), (&other, 29)] {
        let record = world.served(member, hours_ago, 2).await;
        world.verify(&record).await.unwrap();
    }
    assert_eq!(world.minutes(&member).await, 360);

    // Once the first is revoked, its time is free again.
    world.revoke(&first).await.unwrap();
    let again = world.served(&member, 30, 2).await;
    world.verify(&again).await.unwrap();
}

#[tokio::test]
async fn of_overlapping_records_verified_at_once_one_counts() {
    let world = World::start().await;
    let member = world.member().await;
    let mut rivals = tokio::task::JoinSet::new();
    for hours_ago in 24..34 {
        let record = world.served(&member, hours_ago, 12).await;
        let (activity, call) = (world.activity.clone(), world.call("VerifyServiceRecord"));
        let decide = by("STAFF01", &record);
        rivals.spawn(async move { activity.verify_service_record(&call, decide).await });
    }

    let won = rivals
        .join_all()
        .await
        .into_iter()
        .filter(Result::is_ok)
        .count();

    assert_eq!(won, 1);
    assert_eq!(world.minutes(&member).await, 720);
}

#[tokio::test]
async fn a_volunteer_decides_on_nothing_of_their_own() {
    let world = World::start().await;
    let member = world.member().await;
    let record = world.served(&member, 30, 2).await;
    let name = format!("communities/{}/members/{}", world.community.0, member.id);

    for verifier in [member.number.to_lowercase(), member.id.to_string(), name] {
        let decide = by(&verifier, &record);
        let call = world.call("VerifyServiceRecord");
        let verified = world
            .activity
            .verify_service_record(&call, decide.clone())
            .await;
        assert_eq!(
            refusal(verified),
            Refusal::SelfVerification { record: record.id }
        );
        let call = world.call("RejectServiceRecord");
        let rejected = world.activity.reject_service_record(&call, decide).await;
        assert_eq!(
            refusal(rejected),
            Refusal::SelfVerification { record: record.id }
        );
    }
    world.verify(&record).await.unwrap();
    let call = world.call("RevokeServiceRecord");
    let revoked = world
        .activity
        .revoke_service_record(&call, by(&member.number, &record))
        .await;
    assert_eq!(
        refusal(revoked),
        Refusal::SelfVerification { record: record.id }
    );
}

#[tokio::test]
async fn a_rejected_record_counts_nowhere() {
    let world = World::start().await;
    let member = world.member().await;
    let record = world.served(&member, 30, 2).await;

    let call = world.call("RejectServiceRecord");
    let rejected = world
        .activity
        .reject_service_record(&call, by("STAFF01", &record))
        .await
        .unwrap();

    assert_eq!(rejected.state, RecordState::Rejected);
    assert_eq!(
        (rejected.reason.as_deref(), rejected.grant),
        (Some("checked again"), None)
    );
    assert_eq!(world.minutes(&member).await, 0);
    assert!(matches!(
        refusal(world.verify(&record).await),
        Refusal::WrongState { .. }
    ));
}

#[tokio::test]
async fn a_daily_cap_goes_by_the_local_day_of_the_start() {
    let world = World::with_budget(None).await;
    let member = world.member().await;

    // 19 May, 09:00 and 19:00 in Shanghai: 50, then 10 of 40, then nothing. 20 May begins at 00:00 local, 8 hours ago.
    let cases = [(23, 5, 50), (13, 4, 10), (9, 1, 0), (8, 2, 20)];
    for (hours_ago, hours, amount) in cases {
        let (_, grant) = world.granted(&member, hours_ago, hours).await;
        assert_eq!(grant.amount, amount, "{hours_ago} hours ago");
        let state = if amount == 0 {
            GrantState::Empty
        } else {
            GrantState::Pending
        };
        assert_eq!(grant.state, state);
    }
    assert_eq!(world.summary().await.grants, 3);
}

#[tokio::test]
async fn what_passes_the_budget_waits_whole_and_uses_no_cap() {
    let world = World::with_budget(Some(50)).await;
    let member = world.member().await;
    world.granted(&member, 23, 4).await;

    let (_, waits) = world.granted(&member, 19, 2).await;
    assert_eq!(
        (waits.state, waits.amount),
        (GrantState::AwaitingBudget, 20)
    );
    // 40 of the cap of 60 are used, and 10 of the budget are left.
    let (_, fits) = world.granted(&member, 17, 1).await;
    assert_eq!((fits.state, fits.amount), (GrantState::Pending, 10));

    let summary = world.summary().await;
    assert_eq!(
        (summary.granted, summary.awaiting, summary.grants),
        (50, 20, 2)
    );
    let explained = world
        .activity
        .explain_grant(world.community, waits.id)
        .await
        .unwrap();
    assert_eq!(explained.arithmetic.budget_left, Some(10));
    assert!(explained.text_en().contains("20 points wait for budget"));
}

#[tokio::test]
async fn many_at_once_never_pass_the_budget() {
    let world = World::with_budget(Some(100)).await;
    let mut rush = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let member = world.member().await;
        let record = world.served(&member, 30, 3).await;
        let (activity, call) = (world.activity.clone(), world.call("VerifyServiceRecord"));
        let decide = by("STAFF01", &record);
        rush.spawn(async move { activity.verify_service_record(&call, decide).await });
    }

    for outcome in rush.join_all().await {
        outcome.unwrap();
    }

    let summary = world.summary().await;
    assert_eq!(
        (summary.granted, summary.awaiting, summary.grants),
        (90, 270, 3)
    );
    assert_eq!(summary.service_minutes, 12 * 180);
}

#[tokio::test]
async fn an_amount_out_of_range_is_refused_and_the_record_stays_pending() {
    let world = World::without_policy(None).await;
    let rule = EarnRule::Service {
        category: "*".to_owned(),
        per_hour: 1_000_000_000,
    };
    let multiplier = crate::domain::policy::Multiplier {
        factor: "1000".parse().unwrap(),
        when: crate::domain::policy::Condition::Role(Role::Member),
    };
    world
        .activate(Policy {
            earn_rules: vec![rule],
            multipliers: vec![multiplier; 100],
            caps: vec![],
            ..policy()
        })
        .await;
    let member = world.member().await;
    let record = world.served(&member, 30, 2).await;

    assert_eq!(
        refusal(world.verify(&record).await),
        Refusal::AmountOutOfRange { record: record.id }
    );

    let record = world
        .activity
        .get_service_record(world.community, record.id)
        .await
        .unwrap();
    assert_eq!(record.state, RecordState::Pending);
    assert_eq!(world.minutes(&member).await, 0);
}

#[tokio::test]
async fn less_than_a_minute_is_verified_without_an_hours_line() {
    let world = World::start().await;
    let member = world.member().await;
    let new = NewServiceRecord {
        id: None,
        programme: world.programme,
        member: member.id,
        is_member: false,
        role: Role::Leader,
        category: "patrol".to_owned(),
        activity: "a moment".to_owned(),
        started_at: start() - TimeDelta::seconds(59),
        ended_at: start(),
        evidence: vec![],
    };
    let call = world.call("CreateServiceRecord");
    let record = world
        .activity
        .create_service_record(&call, new)
        .await
        .unwrap();

    world.verify(&record).await.unwrap();
    assert_eq!(world.grant(&record).await.state, GrantState::Empty);
    world.revoke(&record).await.unwrap();

    let hours = world
        .activity
        .list_hour_entries(world.community, member.id, 0, 10)
        .await
        .unwrap();
    assert_eq!(hours.items, []);
}
