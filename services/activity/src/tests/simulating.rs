//! Policies tried out on recorded services.

use super::*;
use crate::{
    domain::simulation::MemberOrder,
    simulation::{Simulated, Subject, Trial},
};

impl World {
    fn trial(&self, policy: Policy) -> Trial {
        Trial {
            community: self.community,
            programme: self.programme,
            subject: Subject::Policy(policy),
            start: "2024-05-01".parse().unwrap(),
            end: "2024-05-31".parse().unwrap(),
            apply_budget: false,
            order: MemberOrder::Difference,
        }
    }

    async fn simulate(&self, trial: &Trial) -> Simulated {
        self.activity
            .simulate_policy(trial, None, 50)
            .await
            .unwrap()
    }
}

fn per_hour(per_hour: i64) -> Policy {
    Policy {
        earn_rules: vec![EarnRule::Service {
            category: "*".to_owned(),
            per_hour,
        }],
        ..policy()
    }
}

#[tokio::test]
async fn the_policy_in_force_gives_what_was_granted() {
    let world = World::with_budget(None).await;
    for hours in [2, 3, 8] {
        let member = world.member().await;
        world.granted(&member, 30, hours).await;
        // Deeds of one instant are simulated in the order of their ids.
        world.clock.advance(TimeDelta::seconds(1));
        world.granted(&member, 20, 1).await;
    }
    let granted = world.summary().await.granted;

    let simulated = world.simulate(&world.trial(policy())).await;

    assert_eq!(simulated.sums.granted, granted);
    assert_eq!(simulated.sums.simulated_granted, granted);
    assert_eq!(simulated.sums.difference(), 0);
    assert_eq!((simulated.sums.deeds, simulated.member_count), (6, 3));
    assert_eq!((simulated.caps[0].grants, simulated.caps[0].cut), (2, 30));
}

#[tokio::test]
async fn it_tells_who_would_get_how_much_more_and_changes_nothing() {
    let world = World::with_budget(Some(100)).await;
    let mut numbers = Vec::new();
    for hours in [1, 3, 2] {
        let member = world.member().await;
        world.granted(&member, 30, hours).await;
        numbers.push(member.number);
    }
    let before = world.summary().await;

    let mut trial = world.trial(per_hour(20));
    let simulated = world.simulate(&trial).await;
    let lines: Vec<(String, i64)> = simulated
        .members
        .items
        .iter()
        .map(|member| (member.number.clone(), member.sums.difference()))
        .collect();
    let line = |index: usize, difference| (numbers[index].clone(), difference);
    assert_eq!(lines, [line(1, 30), line(2, 20), line(0, 10)]);
    assert_eq!(simulated.budget_left, Some(40));
    assert_eq!(simulated.sums.difference(), 60);

    trial.order = MemberOrder::Number;
    let first = world
        .activity
        .simulate_policy(&trial, None, 2)
        .await
        .unwrap();
    let rest = world
        .activity
        .simulate_policy(&trial, first.members.next.clone(), 2)
        .await
        .unwrap();
    let listed: Vec<String> = first
        .members
        .items
        .into_iter()
        .chain(rest.members.items)
        .map(|member| member.number)
        .collect();
    assert_eq!(listed, numbers);
    assert_eq!(world.summary().await, before);
}

#[tokio::test]
async fn with_the_budget_what_passes_it_waits() {
    let world = World::with_budget(Some(50)).await;
    for hours in [2, 3] {
        let member = world.member().await;
        world.granted(&member, 30, hours).await;
        world.clock.advance(TimeDelta::seconds(1));
    }
    let mut trial = world.trial(per_hour(20));
    trial.apply_budget = true;

    let simulated = world.simulate(&trial).await;

    let sums = simulated.sums;
    assert_eq!((sums.simulated_granted, sums.simulated_awaiting), (40, 60));
    assert_eq!(sums.difference(), -10);
}

#[tokio::test]
async fn other_days_and_revoked_services_do_not_count_and_the_month_before_uses_caps_up() {
    let world = World::with_budget(None).await;
    let member = world.member().await;
    world.granted(&member, 30, 2).await;
    let (revoked, _) = world.granted(&member, 20, 2).await;
    world.revoke(&revoked).await.unwrap();
    world.granted(&member, 6, 3).await;
    let mut trial = world.trial(Policy {
        caps: vec![Cap {
            source: None,
            period: Period::Month,
            limit: 40,
        }],
        ..policy()
    });
    // The first was on 19 May, the last on 20 May.
    trial.start = "2024-05-20".parse().unwrap();

    let simulated = world.simulate(&trial).await;

    assert_eq!(simulated.sums.deeds, 1);
    assert_eq!(
        (simulated.sums.granted, simulated.sums.simulated_granted),
        (30, 20)
    );
}

#[tokio::test]
async fn a_revision_of_another_programme_is_not_found() {
    let world = World::start().await;
    let mut trial = world.trial(policy());
    trial.subject = Subject::Revision(world.ids.next());
    let outcome = world.activity.simulate_policy(&trial, None, 50).await;
    assert!(matches!(refusal(outcome), Refusal::NotFound { .. }));
}
