//! What waits for budget is granted when there is some, once, and not before.

use chrono::TimeDelta;
use journeys::{Member, Scheme, World, at_once, per_hour};
use proto::{activity::v1 as act, ledger::v1::AccountKind};

use crate::two_people::{approve, budget, propose, settled};

/// A world with a budget of 100, a point a minute, of which points expire six months after their month.
async fn world() -> World {
    World::with(Scheme {
        budget: Some(100),
        policy: act::Policy {
            expiry_months: Some(6),
            ..per_hour("*", 60)
        },
    })
    .await
}

/// Grants of so many points each that wait, one after another.
async fn waiting(world: &World, member: &Member, amounts: &[i64]) -> Vec<act::Grant> {
    let mut grants = Vec::new();
    for amount in amounts {
        let grant = world.serve(world.service(member, *amount)).await;
        assert_eq!(grant.state(), act::GrantState::AwaitingBudget);
        assert_eq!(grant.expire_time, None);
        grants.push(grant);
        world.clock.advance(TimeDelta::seconds(1));
    }
    grants
}

async fn raise(world: &World, to: i64) {
    let raised = propose(world, budget(to)).await;
    approve(world, "STAFF02", &raised).await.unwrap();
    let raised = settled(world, &raised).await;
    assert_eq!(raised.state(), act::AdjustmentState::Applied);
}

#[tokio::test]
async fn a_raised_budget_grants_the_longest_waiting_that_fit() {
    let world = world().await;
    let member = world.volunteer().with_points(90).await;
    let grants = waiting(&world, &member, &[50, 80, 20]).await;

    raise(&world, 165).await;

    let first = world.posted(&grants[0].name).await;
    world.posted(&grants[2].name).await;
    let big = world.grant(&grants[1].name).await;
    assert_eq!(big.state(), act::GrantState::AwaitingBudget);
    assert_eq!(world.balance(&member).await, 160);
    let summary = world.summary().await;
    assert_eq!((summary.granted, summary.awaiting_budget), (160, 80));
    assert!(first.grant_time.is_some() && first.expire_time.is_some());
    let told = world.explain(&first.name).await;
    assert!(
        told.text_en
            .contains("It waited for budget until 2026-03-02"),
        "{}",
        told.text_en
    );
    let issuing = world.account(AccountKind::Issuing, None).await;
    assert_eq!((issuing.balance, issuing.min_balance), (-160, Some(-165)));
    world.trial_balance().await;
}

#[tokio::test]
async fn two_raises_at_once_before_two_replicas_grant_each_once() {
    let world = world().await;
    let _replicas = world.replicas().await;
    let member = world.volunteer().with_points(95).await;
    let grants = waiting(&world, &member, &[10; 6]).await;
    let raises = [
        propose(&world, budget(155)).await,
        propose(&world, budget(170)).await,
    ];
    let desk = world.staff("STAFF02").activity;
    let approvals = raises.clone().map(|raised| act::ApproveAdjustmentRequest {
        name: raised.name,
        request_id: world.id(),
    });
    at_once(2, |number| {
        let (desk, approval) = (desk.clone(), approvals[number].clone());
        async move {
            // One, unless it is applied before the other is looked at.
            if let Err(refusal) = journeys::send!(desk, approve_adjustment, approval) {
                assert_eq!(journeys::refused(&refusal).reason, "BUDGET_CHANGING");
            }
        }
    })
    .await;
    for raised in &raises {
        settled(&world, raised).await;
    }

    for grant in &grants {
        world
            .in_time("it is posted", async || {
                let grant = world.grant(&grant.name).await;
                (grant.state() == act::GrantState::Posted).then_some(())
            })
            .await;
    }
    assert_eq!(world.balance(&member).await, 155);
    let statement = world.entries(&world.points(&member).await.name).await;
    let entries = statement.iter().filter(|entry| entry.amount == 10).count();
    assert_eq!(entries, 6);
    world.trial_balance().await;
}

#[tokio::test]
async fn a_crash_between_the_raise_and_the_ledger_loses_and_doubles_nothing() {
    let mut world = world().await;
    let member = world.volunteer().with_points(100).await;
    let grants = waiting(&world, &member, &[30, 30]).await;
    let raised = propose(&world, budget(200)).await;
    approve(&world, "STAFF02", &raised).await.unwrap();
    settled(&world, &raised).await;
    world.system.ledger.stop().await.unwrap();
    world.system.activity.kill();
    world.system.activity.start().await.unwrap();
    world.system.ledger.start().await.unwrap();

    for grant in &grants {
        world
            .in_time("it is posted", async || {
                let grant = world.grant(&grant.name).await;
                (grant.state() == act::GrantState::Posted).then_some(())
            })
            .await;
    }
    assert_eq!(world.balance(&member).await, 160);
    assert_eq!(world.summary().await.granted, 160);
}

#[tokio::test]
async fn a_revoked_service_makes_room_for_the_next() {
    let world = world().await;
    let first = world.volunteer().register().await;
    let earned = world.earn(&first, 100).await;
    let next = world.volunteer().register().await;
    let grants = waiting(&world, &next, &[60]).await;

    world.revoke(&earned.service_record).await.unwrap();

    world.posted(&grants[0].name).await;
    assert_eq!(world.balance(&next).await, 60);
    assert_eq!(world.balance(&first).await, 0);
    assert_eq!(world.summary().await.granted, 60);
}

#[tokio::test]
async fn a_new_policy_re_dates_no_points_not_even_those_that_wait() {
    let world = world().await;
    let member = world.volunteer().register().await;
    let old = world.earn(&member, 80).await;
    let grants = waiting(&world, &member, &[40]).await;
    world
        .put_in_force(act::Policy {
            expiry_months: Some(0),
            ..per_hour("*", 60)
        })
        .await;

    raise(&world, 200).await;

    let granted = world.posted(&grants[0].name).await;
    assert_eq!(granted.policy_revision, old.policy_revision);
    assert_eq!(granted.expire_time, old.expire_time);
    assert_eq!(world.posted(&old.name).await.expire_time, old.expire_time);
    let lots = world.points(&member).await.lots;
    assert_eq!(lots.len(), 1);
    assert_eq!(lots[0].remaining, 120);
    assert_eq!(lots[0].expire_time, old.expire_time);
}
