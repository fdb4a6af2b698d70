//! The outbox and the relay's book-keeping. That points arrive in the ledger is shown by the journeys.

use super::*;
use crate::{domain::grant::GrantState, relay::Outcome};

#[tokio::test]
async fn an_unreachable_ledger_delays_nobody_and_loses_nothing() {
    let world = World::start().await;
    let member = world.member().await;
    let (record, _) = world.granted(&member, 30, 2).await;

    for attempt in 1..=3 {
        let error = world.activity.relay().await.unwrap_err();
        assert!(
            error.to_string().contains("grants stay in the outbox"),
            "{error}"
        );
        let (attempts, due_at, open) = outbox(&world).await;
        assert_eq!((attempts, due_at, open), (attempt, start(), true));
    }

    assert_eq!(world.grant(&record).await.state, GrantState::Pending);
    let (_, second) = world.granted(&member, 20, 1).await;
    assert_eq!(second.state, GrantState::Pending);
    assert_eq!(world.summary().await.unposted_grants, 2);
}

#[tokio::test]
async fn a_claimed_row_is_nobody_elses_until_its_lease_is_over() {
    let world = World::start().await;
    let member = world.member().await;
    world.granted(&member, 30, 2).await;

    assert_eq!(
        world.activity.claim(world.community).await.unwrap().len(),
        1
    );
    assert!(
        world
            .activity
            .claim(world.community)
            .await
            .unwrap()
            .is_empty()
    );
    world.clock.advance(TimeDelta::seconds(20));

    let again = world.activity.claim(world.community).await.unwrap();
    assert_eq!((again.len(), again[0].row.attempts), (1, 2));
}

#[tokio::test]
async fn relays_at_once_share_the_rows() {
    let world = World::with_budget(None).await;
    for _ in 0..20 {
        let member = world.member().await;
        world.granted(&member, 30, 2).await;
    }
    let mut relays = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (activity, community) = (world.activity.clone(), world.community);
        relays.spawn(async move { activity.claim(community).await.unwrap() });
    }
    let mut claimed: Vec<i64> = relays
        .join_all()
        .await
        .iter()
        .flatten()
        .map(|delivery| delivery.row.sequence)
        .collect();
    let count = claimed.len();
    claimed.sort_unstable();
    claimed.dedup();
    assert_eq!((count, claimed.len()), (20, 20));
}

#[tokio::test]
async fn a_posted_grant_keeps_its_entry_and_is_told_once() {
    let world = World::start().await;
    let member = world.member().await;
    let (record, _) = world.granted(&member, 30, 2).await;
    let posting = world.activity.claim(world.community).await.unwrap();
    let posted = [Outcome::Posted { entry: 41 }];
    world
        .activity
        .write_down(world.community, &posting, &posted)
        .await
        .unwrap();
    // A second relay whose answer comes late says the same.
    world
        .activity
        .write_down(world.community, &posting, &posted)
        .await
        .unwrap();

    let grant = world.grant(&record).await;
    assert_eq!(
        (grant.state, grant.entry_sequence),
        (GrantState::Posted, Some(41))
    );
    assert_eq!(world.summary().await.unposted_grants, 0);
    world.clock.advance(TimeDelta::days(1));
    assert!(
        world
            .activity
            .claim(world.community)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn the_ledgers_own_limit_makes_a_grant_wait_for_budget() {
    let world = World::start().await;
    let member = world.member().await;
    let (record, _) = world.granted(&member, 30, 2).await;
    let posting = world.activity.claim(world.community).await.unwrap();

    world
        .activity
        .write_down(world.community, &posting, &[Outcome::OverLimit])
        .await
        .unwrap();

    assert_eq!(world.grant(&record).await.state, GrantState::AwaitingBudget);
    let summary = world.summary().await;
    assert_eq!(
        (summary.granted, summary.awaiting, summary.unposted_grants),
        (0, 20, 0)
    );
}

#[tokio::test]
async fn a_grant_that_expired_on_the_way_is_revoked_and_frees_the_budget() {
    let world = World::start().await;
    let member = world.member().await;
    let (record, _) = world.granted(&member, 30, 2).await;
    let posting = world.activity.claim(world.community).await.unwrap();

    world
        .activity
        .write_down(world.community, &posting, &[Outcome::TooLate])
        .await
        .unwrap();

    let grant = world.grant(&record).await;
    assert_eq!(
        (grant.state, grant.revoked_amount),
        (GrantState::Revoked, 20)
    );
    assert_eq!(world.summary().await.granted, 0);
}

#[tokio::test]
async fn a_refused_row_is_tried_again_ever_more_rarely_and_holds_nobody_up() {
    let world = World::start().await;
    let member = world.member().await;
    let (record, _) = world.granted(&member, 30, 2).await;
    for wait in [1, 2, 4] {
        let posting = world.activity.claim(world.community).await.unwrap();
        let refused = [Outcome::Refused("ASSET_MISMATCH: no".to_owned())];
        world
            .activity
            .write_down(world.community, &posting, &refused)
            .await
            .unwrap();
        let (_, due_at, open) = outbox(&world).await;
        assert_eq!(
            (due_at, open),
            (world.clock.now() + TimeDelta::seconds(wait), true)
        );
        assert!(
            world
                .activity
                .claim(world.community)
                .await
                .unwrap()
                .is_empty()
        );
        world.clock.advance(TimeDelta::seconds(wait));
    }
    assert_eq!(world.grant(&record).await.state, GrantState::Pending);
}

#[tokio::test]
async fn books_are_only_added_to_under_the_services_rights() {
    let world = World::start().await;
    let member = world.member().await;
    world.granted(&member, 30, 2).await;
    for statement in [
        "delete from activity.hour_entry",
        "update activity.hour_entry set minutes = 1",
        "delete from activity.reward_grant",
        "update activity.reward_grant set amount = 1",
        "update activity.reward_grant set arithmetic = '{}'",
        "update activity.policy_revision set policy = '{}'",
        "update activity.programme set asset = ''",
        "update activity.adjustment set amount = 1",
        "delete from activity.adjustment",
        "delete from activity.service_record",
        "delete from activity.outbox",
        "update activity.answer set refusal = '{}'",
        "select * from ledger.account",
    ] {
        let error = sqlx::query(statement)
            .execute(&world.pool)
            .await
            .unwrap_err();
        let code = error
            .as_database_error()
            .and_then(|error| error.code().map(|code| code.into_owned()));
        assert_eq!(code.as_deref(), Some("42501"), "{statement}");
    }
}

/// Attempts and due time of the first row, and whether it is open.
async fn outbox(world: &World) -> (i32, DateTime<Utc>, bool) {
    sqlx::query_as("select attempts, due_at, delivered_at is null from activity.outbox order by sequence limit 1")
        .fetch_one(&world.pool)
        .await
        .unwrap()
}
