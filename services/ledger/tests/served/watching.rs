//! The journal as a stream.

use std::time::Duration;

use chrono::TimeDelta;
use ledger::domain::{AccountId, Command, CommunityId, Posting, Request, RequestId, Transfer};
use proto::ledger::v1 as pb;
use runtime::reason_of;
use tonic::{Code, Streaming};
use uuid::Uuid;

use crate::world::{ANNA, ISSUING, World, community, fault, sequences, soon, transfer};

async fn watch(world: &World, after: i64) -> Streaming<pb::Entry> {
    let request = pb::WatchEntriesRequest {
        parent: community(),
        after_sequence: after,
    };
    let answer = world.client.clone().watch_entries(request).await;
    answer.unwrap().into_inner()
}

async fn next(entries: &mut Streaming<pb::Entry>, count: usize) -> Vec<pb::Entry> {
    let mut seen = Vec::new();
    while seen.len() < count {
        seen.push(soon(entries.message()).await.unwrap().unwrap());
    }
    seen
}

fn transfers(ids: std::ops::Range<u128>) -> Vec<pb::Transfer> {
    ids.map(|id| transfer(id, ISSUING, ANNA, 1)).collect()
}

/// A transfer of one point, as a use case takes it.
fn paid(id: u128) -> Request {
    let posting = Posting {
        debit: AccountId(Uuid::from_u128(ISSUING)),
        credit: AccountId(Uuid::from_u128(ANNA)),
        amount: 1,
    };
    let command = Command::Transfer(Transfer {
        posting,
        expires_at: None,
        description: String::new(),
    });
    Request::new(RequestId(Uuid::from_u128(id)), false, command)
}

#[tokio::test]
async fn a_watcher_gets_history_then_what_comes_without_a_gap_and_none_twice() {
    let mut world = World::start().await;
    world.post(transfers(1..1_301)).await;
    let mut entries = watch(&world, 0).await;
    let mut from_700 = watch(&world, 700).await;
    assert_eq!(
        sequences(&next(&mut entries, 200).await),
        (1..=200).collect::<Vec<i64>>()
    );
    // Posts go on while the history is still being read.
    for start in (2_000..2_500).step_by(50) {
        world.post(transfers(start..start + 50)).await;
    }
    let rest = next(&mut entries, 1_600).await;
    assert_eq!(sequences(&rest), (201..=1_800).collect::<Vec<i64>>());
    let behind = next(&mut from_700, 1_100).await;
    assert_eq!(sequences(&behind), (701..=1_800).collect::<Vec<i64>>());
    assert_eq!(behind[0], rest[500], "the same entry, whole");
}

#[tokio::test]
async fn what_is_posted_is_seen_at_once_though_the_clock_stands_still() {
    let mut world = World::start().await;
    let mut entries = watch(&world, 0).await;
    for id in 1..=20 {
        let posted = world.post(transfers(id..id + 1)).await;
        assert_eq!(next(&mut entries, 1).await, posted);
    }
}

#[tokio::test]
async fn what_another_process_posts_is_seen_within_a_second_of_the_clock() {
    let mut world = World::start().await;
    let mut entries = watch(&world, 0).await;
    world.post(transfers(1..2)).await;
    next(&mut entries, 1).await;

    let community = CommunityId(Uuid::from_u128(7));
    let posted = world
        .replica()
        .post_transfers(community, vec![paid(2)])
        .await;
    posted.unwrap().remove(0).unwrap();

    // The watcher may not sleep yet when the clock is moved first.
    let moving = async {
        loop {
            world.clock.advance(TimeDelta::seconds(1));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let seen = tokio::select! {
        seen = next(&mut entries, 1) => seen,
        () = moving => unreachable!("it moves on for ever"),
    };
    assert_eq!(sequences(&seen), [2]);
}

#[tokio::test]
async fn a_watcher_misses_nothing_while_several_processes_post_at_once() {
    let world = World::start().await;
    let community = CommunityId(Uuid::from_u128(7));
    let mut entries = watch(&world, 0).await;
    let posters = (0..4_u128).map(|poster| {
        let ledger = world.replica();
        tokio::spawn(async move {
            for round in 0..40 {
                let ids = (0..5).map(|number| 1 + poster * 1_000 + round * 5 + number);
                let outcomes = ledger.post_transfers(community, ids.map(paid).collect());
                assert!(outcomes.await.unwrap().iter().all(Result::is_ok));
            }
        })
    });
    let posters: Vec<_> = posters.collect();
    // None of them is the process that is asked: its watchers wake on the clock alone.
    let moving = async {
        loop {
            world.clock.advance(TimeDelta::seconds(1));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let seen = tokio::select! {
        seen = next(&mut entries, 800) => seen,
        () = moving => unreachable!("it moves on for ever"),
    };
    assert!(sequences(&seen).into_iter().eq(1..=800));
    for poster in posters {
        poster.await.unwrap();
    }
}

#[tokio::test]
async fn a_community_without_a_journal_is_waited_for_and_a_wrong_one_is_not() {
    let world = World::start().await;
    let elsewhere = pb::WatchEntriesRequest {
        parent: format!("communities/{}", Uuid::from_u128(8)),
        after_sequence: 0,
    };
    let answer = world.client.clone().watch_entries(elsewhere).await;
    let mut entries = answer.unwrap().into_inner();
    let waited = tokio::time::timeout(Duration::from_millis(200), entries.message()).await;
    assert!(waited.is_err(), "{waited:?}");

    let wrong = pb::WatchEntriesRequest {
        parent: community(),
        after_sequence: -1,
    };
    let refused = world.client.clone().watch_entries(wrong).await.unwrap_err();
    assert_eq!(
        fault(&refused),
        (Code::InvalidArgument, "after_sequence".to_owned())
    );
}

#[tokio::test]
async fn a_watcher_that_does_not_read_holds_nobody_up_and_gets_everything_later() {
    let mut world = World::start().await;
    let mut slow = watch(&world, 0).await;
    let mut start = 1;
    for _ in 0..4 {
        soon(world.post(transfers(start..start + 5_000))).await;
        start += 5_000;
    }
    assert_eq!(
        sequences(&next(&mut slow, 20_000).await),
        (1..=20_000).collect::<Vec<i64>>()
    );
}

#[tokio::test]
async fn the_stop_of_the_server_ends_a_watch_and_so_the_server() {
    let mut world = World::start().await;
    let mut entries = watch(&world, 0).await;
    world.post(transfers(1..2)).await;
    next(&mut entries, 1).await;

    world.stop.cancel();
    let end = soon(entries.message()).await.unwrap_err();
    assert_eq!(end.code(), Code::Unavailable);
    assert_eq!(reason_of(&end).as_deref(), Some("SERVER_STOPPING"));
    let ended = tokio::time::timeout(Duration::from_secs(5), world.ended).await;
    ended.expect("long before calls are cut").unwrap().unwrap();
}
