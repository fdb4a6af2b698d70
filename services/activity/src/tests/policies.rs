//! Policy revisions in force, and what is explained of grants made under them.

use super::*;
use crate::domain::{grant::GrantState, revision::RevisionState};

#[tokio::test]
async fn a_new_revision_retires_the_one_before_and_leaves_its_grants_alone() {
    let world = World::start().await;
    let member = world.member().await;
    let (_, old) = world.granted(&member, 30, 1).await;
    world.clock.advance(TimeDelta::hours(1));
    let rule = EarnRule::Service {
        category: "*".to_owned(),
        per_hour: 20,
    };
    let key = world
        .activate(Policy {
            earn_rules: vec![rule],
            ..policy()
        })
        .await;

    let (_, new) = world.granted(&member, 25, 1).await;

    assert_eq!((old.amount, new.amount), (10, 20));
    assert_eq!(new.revision, Some(key.revision));
    let page = world
        .activity
        .list_policy_revisions(world.community, world.programme, i32::MAX, 10)
        .await
        .unwrap();
    let states: Vec<_> = page
        .items
        .iter()
        .map(|revision| (revision.number, revision.state))
        .collect();
    assert_eq!(
        states,
        [(2, RevisionState::Active), (1, RevisionState::Retired)]
    );
    assert_eq!(page.items[1].retired_at, page.items[0].effective_at);
    let kept = world
        .activity
        .get_grant(world.community, old.id)
        .await
        .unwrap();
    assert_eq!(kept, old);
    let explained = world
        .activity
        .explain_grant(world.community, old.id)
        .await
        .unwrap();
    assert!(
        explained
            .text_en()
            .contains("Rule 1 of revision 1 (all categories) gives 10 an hour.")
    );
}

#[tokio::test]
async fn a_discarded_draft_never_comes_into_force() {
    let world = World::start().await;
    let call = world.call("CreatePolicyRevision");
    let draft = world
        .activity
        .create_policy_revision(&call, world.programme, policy())
        .await
        .unwrap();
    let key = RevisionKey {
        community: world.community,
        programme: world.programme,
        revision: draft.id,
    };
    let discarded = world
        .activity
        .discard_policy_revision(&world.call("DiscardPolicyRevision"), key)
        .await
        .unwrap();
    assert_eq!(discarded.state, RevisionState::Discarded);

    let activated = world
        .activity
        .activate_policy_revision(&world.call("ActivatePolicyRevision"), key)
        .await;

    assert!(
        matches!(refusal(activated), Refusal::WrongState { state, .. } if state == "DISCARDED")
    );
}

#[tokio::test]
async fn ten_drafts_activated_at_once_leave_one_active() {
    let world = World::start().await;
    let mut rush = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let call = world.call("CreatePolicyRevision");
        let draft = world
            .activity
            .create_policy_revision(&call, world.programme, policy())
            .await
            .unwrap();
        let key = RevisionKey {
            community: world.community,
            programme: world.programme,
            revision: draft.id,
        };
        let (activity, call) = (world.activity.clone(), world.call("ActivatePolicyRevision"));
        rush.spawn(async move { activity.activate_policy_revision(&call, key).await });
    }
    for outcome in rush.join_all().await {
        outcome.unwrap();
    }
    let page = world
        .activity
        .list_policy_revisions(world.community, world.programme, i32::MAX, 50)
        .await
        .unwrap();
    let active = page
        .items
        .iter()
        .filter(|revision| revision.state == RevisionState::Active)
        .count();
    assert_eq!((page.items.len(), active), (11, 1));
}

#[tokio::test]
async fn without_a_policy_hours_count_and_the_grant_is_empty() {
    let world = World::without_policy(Some(100)).await;
    let member = world.member().await;

    let (_, grant) = world.granted(&member, 30, 2).await;

    assert_eq!(
        (grant.state, grant.amount, grant.revision),
        (GrantState::Empty, 0, None)
    );
    assert_eq!(world.minutes(&member).await, 120);
    assert!(
        world
            .activity
            .claim(world.community)
            .await
            .unwrap()
            .is_empty()
    );
}
