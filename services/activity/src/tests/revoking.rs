//! Revoking verified records: hours back, points back, budget and caps free again.

use super::*;
use crate::{domain::grant::GrantState, domain::service_record::RecordState, relay::Outcome};

#[tokio::test]
async fn a_grant_the_ledger_never_heard_of_is_undone_at_once() {
    let world = World::with_budget(Some(50)).await;
    let member = world.member().await;
    let (record, _) = world.granted(&member, 30, 5).await;

    let revoked = world.revoke(&record).await.unwrap();

    assert_eq!(revoked.state, RecordState::Revoked);
    let grant = world.grant(&record).await;
    assert_eq!(
        (grant.state, grant.revoked_amount, grant.counted),
        (GrantState::Revoked, 50, 0)
    );
    assert_eq!(world.minutes(&member).await, 0);
    let summary = world.summary().await;
    assert_eq!(
        (summary.granted, summary.grants, summary.service_minutes),
        (0, 0, 0)
    );
    assert!(
        world
            .activity
            .claim(world.community)
            .await
            .unwrap()
            .is_empty()
    );
    // Budget and cap are free again.
    let (_, again) = world.granted(&member, 29, 5).await;
    assert_eq!((again.state, again.amount), (GrantState::Pending, 50));
}

#[tokio::test]
async fn the_hours_book_keeps_both_lines() {
    let world = World::start().await;
    let member = world.member().await;
    let (first, _) = world.granted(&member, 30, 2).await;
    let (second, _) = world.granted(&member, 20, 1).await;
    world.revoke(&first).await.unwrap();

    let page = world
        .activity
        .list_hour_entries(world.community, member.id, 0, 2)
        .await
        .unwrap();
    let rest = world
        .activity
        .list_hour_entries(world.community, member.id, page.next.unwrap(), 2)
        .await
        .unwrap();

    let lines: Vec<_> = page
        .items
        .iter()
        .chain(&rest.items)
        .map(|line| (line.record, line.minutes, line.balance_minutes))
        .collect();
    assert_eq!(
        lines,
        [
            (first.id, 120, 120),
            (second.id, 60, 180),
            (first.id, -120, 60)
        ]
    );
    assert_eq!(rest.next, None);
}

#[tokio::test]
async fn a_grant_that_waits_for_budget_waits_no_more() {
    let world = World::with_budget(Some(10)).await;
    let member = world.member().await;
    let (record, grant) = world.granted(&member, 30, 5).await;
    assert_eq!(
        (grant.state, world.summary().await.awaiting),
        (GrantState::AwaitingBudget, 50)
    );

    world.revoke(&record).await.unwrap();

    let grant = world.grant(&record).await;
    assert_eq!(
        (grant.state, grant.revoked_amount),
        (GrantState::Revoked, 0)
    );
    let summary = world.summary().await;
    assert_eq!(
        (summary.granted, summary.awaiting, summary.grants),
        (0, 0, 0)
    );
}

#[tokio::test]
async fn a_grant_on_its_way_is_posted_first_and_then_taken_back() {
    let world = World::with_budget(Some(50)).await;
    let member = world.member().await;
    let (record, _) = world.granted(&member, 30, 5).await;
    let on_its_way = world.activity.claim(world.community).await.unwrap();

    world.revoke(&record).await.unwrap();
    assert_eq!(world.grant(&record).await.state, GrantState::Revoking);
    assert_eq!(
        world.summary().await.granted,
        50,
        "until the ledger has given it back"
    );
    assert!(
        world
            .activity
            .claim(world.community)
            .await
            .unwrap()
            .is_empty(),
        "the posting comes first"
    );
    world
        .activity
        .write_down(
            world.community,
            &on_its_way,
            &[Outcome::Posted { entry: 7 }],
        )
        .await
        .unwrap();

    let revocation = world.activity.claim(world.community).await.unwrap();
    assert_eq!(revocation.len(), 1);
    assert_eq!(revocation[0].grant.entry_sequence, Some(7));
    let taken = [Outcome::TakenBack { amount: 20 }];
    world
        .activity
        .write_down(world.community, &revocation, &taken)
        .await
        .unwrap();

    let grant = world.grant(&record).await;
    assert_eq!(
        (grant.state, grant.revoked_amount, grant.counted),
        (GrantState::Revoked, 20, 30)
    );
    let summary = world.summary().await;
    assert_eq!(
        (summary.granted, summary.grants),
        (30, 1),
        "30 were spent already"
    );
}

#[tokio::test]
async fn a_posted_grant_of_which_nothing_is_left_is_revoked_with_nothing() {
    let world = World::start().await;
    let member = world.member().await;
    let (record, _) = world.granted(&member, 30, 5).await;
    let posting = world.activity.claim(world.community).await.unwrap();
    world
        .activity
        .write_down(world.community, &posting, &[Outcome::Posted { entry: 7 }])
        .await
        .unwrap();
    world.revoke(&record).await.unwrap();

    let revocation = world.activity.claim(world.community).await.unwrap();
    let taken = [Outcome::TakenBack { amount: 0 }];
    world
        .activity
        .write_down(world.community, &revocation, &taken)
        .await
        .unwrap();

    let grant = world.grant(&record).await;
    assert_eq!(
        (grant.state, grant.revoked_amount, grant.counted),
        (GrantState::Revoked, 0, 50)
    );
    assert_eq!(world.summary().await.granted, 50);
}

#[tokio::test]
async fn a_revocation_and_the_relay_at_once_never_lose_the_grant() {
    let world = World::with_budget(None).await;
    for _ in 0..10 {
        let member = world.member().await;
        let (record, _) = world.granted(&member, 30, 5).await;
        let (claimed, revoked) =
            tokio::join!(world.activity.claim(world.community), world.revoke(&record));
        revoked.unwrap();
        let claimed = claimed.unwrap();
        let posted = vec![Outcome::Posted { entry: 7 }; claimed.len()];
        world
            .activity
            .write_down(world.community, &claimed, &posted)
            .await
            .unwrap();
        let grant = world.grant(&record).await;
        if claimed.is_empty() {
            assert_eq!(
                (grant.state, grant.revoked_amount),
                (GrantState::Revoked, 50)
            );
        } else {
            assert_eq!(
                (grant.state, grant.entry_sequence),
                (GrantState::Revoking, Some(7))
            );
            let revocation = world.activity.claim(world.community).await.unwrap();
            let taken = [Outcome::TakenBack { amount: 50 }];
            world
                .activity
                .write_down(world.community, &revocation, &taken)
                .await
                .unwrap();
        }
    }
    assert_eq!(world.summary().await.granted, 0);
}
