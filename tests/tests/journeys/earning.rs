//! What a deed earns: caps, budget, policy, and taking it back.

use chrono::{DateTime, TimeDelta, Utc};
use journeys::{Member, Scheme, World, at, per_hour, refused, send};
use proto::{activity::v1 as act, ledger::v1 as led};
use runtime::{Holder, Role};
use tonic::Code;

fn cap(period: act::CapPeriod, limit: i64) -> act::Cap {
    act::Cap {
        source: act::EarnSource::Service.into(),
        period: period.into(),
        limit,
    }
}

#[tokio::test]
async fn a_grant_that_does_not_fit_the_budget_waits_whole_and_a_smaller_one_passes_it() {
    let world = World::with(Scheme {
        budget: Some(100),
        ..Scheme::default()
    })
    .await;
    let member = world.volunteer().with_points(60).await;

    let waits = world.serve(world.service(&member, 50)).await;
    let fits = world.serve(world.service(&member, 40)).await;
    let next = world.serve(world.service(&member, 1)).await;

    assert_eq!(waits.state(), act::GrantState::AwaitingBudget);
    assert_eq!((waits.amount, waits.entry.as_str()), (50, ""));
    assert_eq!(world.posted(&fits.name).await.amount, 40);
    assert_eq!(next.state(), act::GrantState::AwaitingBudget);
    assert_eq!(world.explain(&waits.name).await.budget_left, Some(40));
    assert_eq!(world.balance(&member).await, 100);
    let summary = world.summary().await;
    assert_eq!((summary.granted, summary.awaiting_budget), (100, 51));
    assert_eq!((summary.grants, summary.service_minutes), (2, 151));
    assert_eq!(summary.unposted_grants, 0);
    let issuing = world.account(led::AccountKind::Issuing, None).await;
    assert_eq!((issuing.balance, issuing.min_balance), (-100, Some(-100)));
}

#[tokio::test]
async fn twenty_verifications_at_once_never_pass_the_budget_or_a_cap() {
    let policy = act::Policy {
        caps: vec![cap(act::CapPeriod::Month, 250)],
        ..per_hour("*", 60)
    };
    let world = World::with(Scheme {
        policy,
        budget: Some(400),
    })
    .await;
    let members = [
        world.volunteer().register().await,
        world.volunteer().register().await,
    ];
    let mut verifications = Vec::new();
    for number in 0..20 {
        let start = at("2026-02-01T00:00:00Z") + TimeDelta::hours(2 * number);
        let member = &members[usize::try_from(number % 2).unwrap()];
        let record = world.record(world.service_at(member, start, 60)).await;
        verifications.push(world.verification(&record));
    }

    journeys::at_once(20, |number| {
        let (client, message) = (
            world.clients.activity.clone(),
            verifications[number].clone(),
        );
        async move { send!(client, verify_service_record, message).unwrap() }
    })
    .await;

    let summary = world.summary().await;
    assert!(
        summary.granted <= 400 && summary.granted > 400 - 60,
        "{summary:?}"
    );
    journeys::eventually("all is posted", async || {
        (world.summary().await.unposted_grants == 0).then_some(())
    })
    .await;
    let balances = [
        world.balance(&members[0]).await,
        world.balance(&members[1]).await,
    ];
    assert!(
        balances.iter().all(|balance| *balance <= 250),
        "{balances:?}"
    );
    assert_eq!(balances.iter().sum::<i64>(), summary.granted);
}

#[tokio::test]
async fn caps_cut_in_order_by_local_day_and_month() {
    let policy = act::Policy {
        caps: vec![
            cap(act::CapPeriod::Day, 100),
            cap(act::CapPeriod::Month, 170),
        ],
        ..per_hour("*", 60)
    };
    let world = World::with(Scheme {
        policy,
        budget: None,
    })
    .await;
    let member = world.volunteer().register().await;
    let services: [(&str, i64, i64); 6] = [
        // 20:00 and 23:30 in Shanghai: one day, though the second ends in the next.
        ("2026-02-09T12:00:00Z", 80, 80),
        ("2026-02-09T15:30:00Z", 60, 20),
        // 00:30 the day after.
        ("2026-02-09T16:30:00Z", 60, 60),
        // The month has 10 left.
        ("2026-02-20T04:00:00Z", 60, 10),
        ("2026-02-21T04:00:00Z", 60, 0),
        // 00:00 on 1 March.
        ("2026-02-28T16:00:00Z", 60, 60),
    ];

    for (start, minutes, granted) in services {
        let grant = world
            .serve(world.service_at(&member, at(start), minutes))
            .await;
        assert_eq!(grant.amount, granted, "{start}");
        if granted == 0 {
            assert_eq!(grant.state(), act::GrantState::Empty);
        }
    }

    assert_eq!(world.member(&member).await.service_minutes, 380);
    journeys::eventually("all is posted", async || {
        (world.balance(&member).await == 230).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_new_policy_leaves_what_was_granted_as_it_was() {
    let world = World::with(Scheme {
        policy: act::Policy {
            expiry_months: Some(6),
            ..per_hour("*", 60)
        },
        budget: None,
    })
    .await;
    let member = world.volunteer().with_points(60).await;
    let before = world.points(&member).await.lots;

    let second = world
        .put_in_force(act::Policy {
            expiry_months: Some(1),
            ..per_hour("*", 30)
        })
        .await;
    let grant = world.earn(&member, 60).await;

    assert_eq!(
        (second.number, second.state()),
        (2, act::PolicyRevisionState::Active)
    );
    assert_eq!((grant.amount, &grant.policy_revision), (30, &second.name));
    let lots = world.points(&member).await.lots;
    assert_eq!(lots.len(), 2);
    assert_eq!(lots[1], before[0], "the old points keep their expiry");
    let revisions = act::ListPolicyRevisionsRequest {
        parent: world.programme_name(),
        ..Default::default()
    };
    let client = &world.clients.activity;
    let revisions = send!(client, list_policy_revisions, revisions).unwrap();
    let states: Vec<_> = revisions
        .policy_revisions
        .iter()
        .map(|one| one.state())
        .collect();
    assert_eq!(
        states,
        [
            act::PolicyRevisionState::Active,
            act::PolicyRevisionState::Retired
        ]
    );
}

#[tokio::test]
async fn without_a_policy_hours_count_and_nothing_is_granted() {
    let world = World::empty().await;
    world.programme(world.programme, None).await;
    let member = world.volunteer().register().await;

    let grant = world.serve(world.service(&member, 90)).await;

    assert_eq!((grant.state(), grant.amount), (act::GrantState::Empty, 0));
    assert_eq!(grant.policy_revision, "");
    assert_eq!(world.member(&member).await.service_minutes, 90);
    assert_eq!(world.explain(&grant.name).await.rule_index, None);
}

#[tokio::test]
async fn a_revoked_record_takes_its_points_back() {
    let world = World::start().await;
    let member = world.volunteer().with_points(30).await;
    let grant = world.earn(&member, 50).await;

    let revoked = world.revoke(&grant.service_record).await.unwrap();
    let taken = world
        .grant_once(&grant.name, act::GrantState::Revoked)
        .await;

    assert_eq!(revoked.state(), act::ServiceRecordState::Revoked);
    assert_eq!(taken.revoked_amount, 50);
    assert_eq!(world.balance(&member).await, 30);
    let summary = world.summary().await;
    assert_eq!(
        (summary.granted, summary.grants, summary.service_minutes),
        (30, 1, 30)
    );
    let again = world.revoke(&grant.service_record).await.unwrap_err();
    assert_eq!(refused(&again).reason, "WRONG_STATE");
}

#[tokio::test]
async fn a_revoked_record_takes_points_back_as_far_as_they_are_there() {
    let world = World::start().await;
    let (merchant, offer, member) = world.counter(0).await;
    let grant = world.earn(&member, 50).await;
    world.redeem(world.order(&member, &offer, 3)).await.unwrap();

    world.revoke(&grant.service_record).await.unwrap();
    let taken = world
        .grant_once(&grant.name, act::GrantState::Revoked)
        .await;

    assert_eq!(taken.revoked_amount, 20);
    assert_eq!(world.balance(&member).await, 0);
    assert_eq!(
        world.till(&merchant).await.balance,
        30,
        "the shop keeps what it was paid"
    );
    assert_eq!(world.summary().await.granted, 30);
    assert_eq!(world.member(&member).await.service_minutes, 0);
}

#[tokio::test]
async fn a_revocation_finds_nothing_where_all_is_spent() {
    let world = World::start().await;
    let (_, offer, member) = world.counter(0).await;
    let grant = world.earn(&member, 30).await;
    world.redeem(world.order(&member, &offer, 3)).await.unwrap();

    world.revoke(&grant.service_record).await.unwrap();
    let taken = world
        .grant_once(&grant.name, act::GrantState::Revoked)
        .await;

    assert_eq!(taken.revoked_amount, 0);
    assert_eq!(world.balance(&member).await, 0);
}

#[tokio::test]
async fn a_revoked_record_that_waited_for_budget_waits_no_longer() {
    let world = World::with(Scheme {
        budget: Some(10),
        ..Scheme::default()
    })
    .await;
    let member = world.volunteer().register().await;
    let waits = world.serve(world.service(&member, 50)).await;
    assert_eq!(world.summary().await.awaiting_budget, 50);

    world.revoke(&waits.service_record).await.unwrap();

    let grant = world.grant(&waits.name).await;
    assert_eq!(grant.state(), act::GrantState::Revoked);
    assert_eq!(world.summary().await.awaiting_budget, 0);
    assert_eq!(world.member(&member).await.service_minutes, 0);
}

#[tokio::test]
async fn nobody_verifies_their_own_service() {
    let world = World::start().await;
    let member = world.volunteer().register().await;
    let record = world.record(world.service(&member, 60)).await;

    for oneself in [&member.number, &member.name, &member.number.to_lowercase()] {
        let refusal = refused(&world.verify_as(oneself, &record).await.unwrap_err());
        assert_eq!(refusal.code, Code::FailedPrecondition);
        assert_eq!(refusal.reason, "SELF_VERIFICATION", "{oneself}");
    }
    let rejection = act::RejectServiceRecordRequest {
        name: record.name.clone(),
        reason: "no".to_owned(),
        request_id: world.id(),
    };
    let desk = world.staff(&member.number).activity;
    let refusal = refused(&send!(desk, reject_service_record, rejection).unwrap_err());
    assert_eq!(refusal.reason, "SELF_VERIFICATION");
    // Staff who take part themselves are known by their token, whatever they are called.
    let mut holder = Holder::everywhere("Chen", [Role::Staff]);
    holder.resources = vec![member.name.clone()];
    let desk = world.clients.of(holder).activity;
    let verification = world.verification(&record);
    let refusal = refused(&send!(desk, verify_service_record, verification).unwrap_err());
    assert_eq!(refusal.reason, "SELF_VERIFICATION");

    assert_eq!(world.summary().await.grants, 0);
    assert!(world.verify(&record).await.is_ok(), "by someone else");
}

#[tokio::test]
async fn services_may_touch_but_not_overlap() {
    let world = World::start().await;
    let member = world.volunteer().register().await;
    let other = world.volunteer().register().await;
    let start = at("2026-03-01T02:00:00Z");
    let service = async |who: &Member, start: DateTime<Utc>, minutes| {
        let record = world.record(world.service_at(who, start, minutes)).await;
        world.verify(&record).await
    };
    service(&member, start, 60).await.unwrap();

    let second = TimeDelta::seconds(1);
    let after = service(&member, start + TimeDelta::hours(1), 60).await;
    let before = service(&member, start - TimeDelta::hours(1), 60).await;
    assert!(after.is_ok() && before.is_ok(), "back to back");
    for (from, minutes) in [
        (start, 60),
        (start + TimeDelta::minutes(20), 10),
        (start - TimeDelta::hours(2) + second, 60),
        (start + TimeDelta::hours(2) - second, 60),
        (start - TimeDelta::hours(3), 480),
    ] {
        let refusal = refused(&service(&member, from, minutes).await.unwrap_err());
        assert_eq!(refusal.code, Code::FailedPrecondition);
        assert_eq!(
            refusal.reason, "SERVICE_OVERLAP",
            "{from} for {minutes} min"
        );
    }
    assert!(service(&other, start, 60).await.is_ok(), "another member");
    assert_eq!(world.member(&member).await.service_minutes, 180);
    assert_eq!(world.summary().await.service_minutes, 240);
}

#[tokio::test]
async fn of_two_overlapping_services_verified_at_once_one_counts() {
    let world = World::start().await;
    let member = world.volunteer().register().await;
    let start = at("2026-03-01T02:00:00Z");
    let mut verifications = Vec::new();
    for minutes in [0, 5, 10, 15, 20] {
        let start = start + TimeDelta::minutes(minutes);
        let record = world.record(world.service_at(&member, start, 30)).await;
        verifications.push(world.verification(&record));
    }

    let answers = journeys::at_once(5, |number| {
        let (client, message) = (
            world.clients.activity.clone(),
            verifications[number].clone(),
        );
        async move { send!(client, verify_service_record, message) }
    })
    .await;

    let refusals: Vec<String> = answers
        .iter()
        .filter_map(|answer| answer.as_ref().err())
        .map(|status| refused(status).reason)
        .collect();
    assert_eq!(refusals, ["SERVICE_OVERLAP"; 4]);
    assert_eq!(world.member(&member).await.service_minutes, 30);
    assert_eq!(world.summary().await.granted, 30);
}

#[tokio::test]
async fn a_grant_out_of_all_range_is_refused_and_nothing_counts() {
    let thousandfold = act::Multiplier {
        factor: "1000".to_owned(),
        condition: Some(act::multiplier::Condition::Category(
            "elder-care".to_owned(),
        )),
    };
    let world = World::with(Scheme {
        policy: act::Policy {
            multipliers: vec![thousandfold; 100],
            ..per_hour("*", 1_000_000_000)
        },
        budget: None,
    })
    .await;
    let member = world.volunteer().register().await;
    let record = world.record(world.service(&member, 12 * 60)).await;

    let refusal = refused(&world.verify(&record).await.unwrap_err());

    assert_eq!(refusal.code, Code::FailedPrecondition, "{refusal:?}");
    assert_eq!(world.summary().await, act::ProgrammeSummary::default());
    assert_eq!(world.member(&member).await.service_minutes, 0);
}
