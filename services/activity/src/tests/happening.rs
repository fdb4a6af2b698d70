//! Events: numbered in the order in which they are committed, without a gap.

use runtime::Window;

use super::World;
use crate::{
    domain::event::{EventFilter, Happened, NewEvent},
    store,
};

impl World {
    fn founded(&self) -> NewEvent {
        NewEvent {
            happened: Happened::TeamCreated,
            subject: format!("teams/{}", self.ids.next()),
            member: None,
        }
    }

    /// The last number so far.
    async fn head(&self) -> i64 {
        let happened = self.happened(0).await;
        happened.last().map_or(0, |(sequence, _)| *sequence)
    }

    /// Sequence and subject of everything that has happened behind a sequence.
    async fn happened(&self, after: i64) -> Vec<(i64, String)> {
        let filter = EventFilter {
            community: self.community,
            member: None,
        };
        let window = Window { after, limit: 100 };
        let events = self.activity.watched_events(filter, window).await.unwrap();
        let events = events.into_iter();
        events
            .map(|event| (event.sequence, event.subject))
            .collect()
    }
}

#[tokio::test]
async fn who_commits_later_has_the_later_number_whoever_began() {
    let world = World::start().await;
    let head = world.head().await;
    let (first, second) = (world.founded(), world.founded());
    let mut slow = world.pool.begin().await.unwrap();
    let mut quick = world.pool.begin().await.unwrap();
    let events = [first.clone()];
    let written = store::event::insert(&mut slow, world.community, &events);
    written.await.unwrap();
    let events = [second.clone(), world.founded()];
    let written = store::event::insert(&mut quick, world.community, &events);
    written.await.unwrap();
    assert!(world.happened(head).await.is_empty());

    world.activity.commit(quick, world.community).await.unwrap();
    world.activity.commit(slow, world.community).await.unwrap();

    let happened = world.happened(head).await;
    let sequences: Vec<i64> = happened.iter().map(|(sequence, _)| *sequence).collect();
    assert_eq!(sequences, [head + 1, head + 2, head + 3]);
    assert_eq!(happened[0].1, second.subject);
    assert_eq!(happened[2].1, first.subject);
}

#[tokio::test]
async fn what_is_taken_back_leaves_no_gap() {
    let world = World::start().await;
    let head = world.head().await;
    let mut tx = world.pool.begin().await.unwrap();
    let now = world.clock.now();
    let events = [world.founded()];
    let written = store::event::insert(&mut tx, world.community, &events);
    written.await.unwrap();
    let numbered = store::event::number(&mut tx, world.community, now).await;
    assert!(numbered.unwrap());
    tx.rollback().await.unwrap();

    world.member().await;
    let happened = world.happened(head).await;
    assert_eq!(happened.len(), 1);
    assert_eq!(happened[0].0, head + 1);
    assert!(happened[0].1.starts_with("members/"));
}
