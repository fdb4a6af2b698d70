//! A policy is looked at before it is put into force: what it would have cost and who would have got what, and what differs.

use journeys::{Scheme, World, date, per_hour, refused, send};
use proto::activity::v1::{
    self as act, PolicyDifferenceKind, policy_part::Part, simulate_policy_request::Subject,
};
use tonic::Code;

/// All days that services of a world may be on.
fn question(world: &World, subject: Subject) -> act::SimulatePolicyRequest {
    act::SimulatePolicyRequest {
        parent: world.programme_name(),
        subject: Some(subject),
        start_date: Some(date(2026, 1, 1)),
        end_date: Some(date(2026, 12, 31)),
        ..Default::default()
    }
}

async fn draft(world: &World, policy: act::Policy) -> act::PolicyRevision {
    let message = act::CreatePolicyRevisionRequest {
        parent: world.programme_name(),
        policy: Some(policy),
        request_id: world.id(),
    };
    send!(world.clients.activity, create_policy_revision, message).unwrap()
}

fn capped(limit: i64) -> act::Policy {
    act::Policy {
        caps: vec![act::Cap {
            source: act::EarnSource::Unspecified.into(),
            period: act::CapPeriod::Day.into(),
            limit,
        }],
        ..per_hour("*", 120)
    }
}

#[tokio::test]
async fn a_draft_is_tried_out_before_it_is_put_into_force() {
    let world = World::with(Scheme {
        budget: Some(300),
        ..Scheme::default()
    })
    .await;
    let mut members = Vec::new();
    for minutes in [30, 60, 90] {
        let member = world.volunteer().register().await;
        world.earn(&member, minutes).await;
        members.push(member);
    }
    let before = (world.summary().await, world.trial_balance().await);
    let draft = draft(&world, capped(100)).await;
    let desk = world.staff("STAFF01").policies;

    let mut ask = question(&world, Subject::PolicyRevision(draft.name));
    ask.page_size = 2;
    let first = send!(desk, simulate_policy, ask.clone()).unwrap();
    ask.page_token = first.next_page_token.clone();
    let rest = send!(desk, simulate_policy, ask).unwrap();

    // 60, 100 instead of 120, 100 instead of 180.
    let sums = first.sums.unwrap();
    assert_eq!((sums.deeds, sums.granted), (3, 180));
    assert_eq!((sums.simulated_granted, sums.difference), (260, 80));
    assert_eq!(
        (first.budget_left, first.budget_left_after),
        (Some(120), Some(40))
    );
    let lines: Vec<(String, i64)> = first
        .members
        .iter()
        .chain(&rest.members)
        .map(|line| (line.member.clone(), line.sums.unwrap().difference))
        .collect();
    let line = |index: usize, difference| (members[index].name.clone(), difference);
    assert_eq!(lines, [line(1, 40), line(0, 30), line(2, 10)]);
    assert_eq!((first.member_count, rest.next_page_token.as_str()), (3, ""));
    assert_eq!((first.rules[0].deeds, first.rules[0].desired), (3, 360));
    assert_eq!((first.caps[0].grants, first.caps[0].cut), (2, 100));
    assert_eq!((world.summary().await, world.trial_balance().await), before);
}

#[tokio::test]
async fn a_policy_in_the_question_is_tried_out_with_the_budget_too() {
    let world = World::with(Scheme {
        budget: Some(100),
        ..Scheme::default()
    })
    .await;
    let member = world.volunteer().register().await;
    for minutes in [40, 40] {
        world.earn(&member, minutes).await;
    }
    let desk = world.staff("STAFF01").policies;
    let mut ask = question(&world, Subject::Policy(per_hour("*", 120)));

    let without = send!(desk, simulate_policy, ask.clone()).unwrap();
    ask.apply_budget = true;
    let with = send!(desk, simulate_policy, ask.clone()).unwrap();

    assert_eq!(without.budget_left_after, Some(-60));
    let sums = with.sums.unwrap();
    assert_eq!(
        (sums.simulated_granted, sums.simulated_awaiting_budget),
        (80, 80)
    );
    ask.subject = None;
    ask.end_date = Some(date(2025, 1, 1));
    let refusal = refused(&send!(desk, simulate_policy, ask).unwrap_err());
    assert_eq!(refusal.code, Code::InvalidArgument);
    assert_eq!(refusal.fields, ["end_date", "policy_revision", "policy"]);
}

#[tokio::test]
async fn two_revisions_are_compared_part_by_part() {
    let world = World::start().await;
    let base = draft(&world, per_hour("*", 60)).await;
    let newer = act::Policy {
        expiry_months: Some(6),
        ..capped(100)
    };
    let newer = draft(&world, newer).await;
    let ask = act::ComparePolicyRevisionsRequest {
        name: newer.name.clone(),
        base: base.name.clone(),
    };

    let answer = send!(world.clients.policies, compare_policy_revisions, ask).unwrap();

    let kinds: Vec<PolicyDifferenceKind> = answer
        .differences
        .iter()
        .map(act::PolicyDifference::kind)
        .collect();
    assert_eq!(
        kinds,
        [
            PolicyDifferenceKind::Changed,
            PolicyDifferenceKind::Added,
            PolicyDifferenceKind::Changed
        ]
    );
    let rule = &answer.differences[0];
    assert_eq!(
        rule.text_en,
        "changed: services (all), 60 an hour → services (all), 120 an hour"
    );
    let example = rule.example.as_ref().unwrap();
    assert_eq!(
        (example.minutes, example.before, example.after),
        (60, 60, 120)
    );
    let expiry = &answer.differences[2];
    let part = |part: &Option<act::PolicyPart>| part.as_ref().unwrap().part.clone();
    assert_eq!(part(&expiry.before), Some(Part::ExpiryMonths(-1)));
    assert_eq!(part(&expiry.after), Some(Part::ExpiryMonths(6)));
    let same = act::ComparePolicyRevisionsRequest {
        name: newer.name.clone(),
        base: newer.name,
    };
    let same = send!(world.clients.policies, compare_policy_revisions, same).unwrap();
    assert!(same.differences.is_empty());
}
