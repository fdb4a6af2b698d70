//! Grants that wait for budget, and what becomes of them when there is some.

use super::*;
use crate::{
    domain::{grant::GrantState, programme::Totals},
    relay::Outcome,
};

impl World {
    /// Sets the budget, as an adjustment does that the ledger has taken.
    async fn raise(&self, budget: Option<i64>) {
        store::programme::set_budget(&self.pool, self.community, self.programme, budget)
            .await
            .unwrap();
    }

    /// Grants all that fits by now, and returns how many batches had some.
    async fn release(&self) -> usize {
        let mut batches = 0;
        while self
            .activity
            .release_batch(self.community, self.programme)
            .await
            .unwrap()
            > 0
        {
            batches += 1;
        }
        batches
    }

    async fn posts(&self) -> i64 {
        sqlx::query_scalar!(
            r#"select count(*) as "count!" from activity.outbox where community_id = $1 and kind = 'post'"#,
            self.community.0
        )
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }
}

#[tokio::test]
async fn who_has_waited_longest_comes_first_and_what_does_not_fit_holds_up_nothing_smaller() {
    let world = World::with_budget(Some(10)).await;
    let mut records = Vec::new();
    for hours in [3, 5, 2] {
        let member = world.member().await;
        let (record, grant) = world.granted(&member, 30, hours).await;
        assert_eq!(grant.state, GrantState::AwaitingBudget);
        records.push(record);
        world.clock.advance(TimeDelta::seconds(1));
    }
    assert_eq!(world.release().await, 0);

    world.raise(Some(55)).await;
    assert_eq!(world.release().await, 1);

    let mut states = Vec::new();
    for record in &records {
        states.push(world.grant(record).await.state);
    }
    assert_eq!(
        states,
        [
            GrantState::Pending,
            GrantState::AwaitingBudget,
            GrantState::Pending
        ]
    );
    let summary = world.summary().await;
    assert_eq!((summary.granted, summary.awaiting), (50, 50));

    world.raise(None).await;
    assert_eq!(world.release().await, 1);
    let summary = world.summary().await;
    assert_eq!((summary.granted, summary.awaiting), (100, 0));
    assert_eq!(world.posts().await, 3);
}

#[tokio::test]
async fn replicas_and_raises_at_once_grant_each_once() {
    let world = World::with_budget(Some(1)).await;
    for _ in 0..20 {
        let member = world.member().await;
        world.granted(&member, 30, 1).await;
    }
    let mut running = tokio::task::JoinSet::new();
    let (pool, key) = (world.pool.clone(), (world.community, world.programme));
    running.spawn(async move {
        for budget in [101, 151] {
            store::programme::set_budget(&pool, key.0, key.1, Some(budget))
                .await
                .unwrap();
        }
        0
    });
    for _ in 0..6 {
        let (activity, key) = (world.activity.clone(), (world.community, world.programme));
        running.spawn(async move { activity.release_batch(key.0, key.1).await.unwrap() });
    }
    let at_once: usize = running.join_all().await.into_iter().sum();
    world.release().await;

    let summary = world.summary().await;
    assert_eq!((summary.granted, summary.awaiting), (150, 50));
    assert_eq!(summary.grants * 10, summary.granted);
    assert_eq!(world.posts().await, summary.grants);
    assert!(at_once <= 15);
}

#[tokio::test]
async fn its_amount_stands_and_its_expiry_counts_from_then_by_the_revision_it_was_decided_under() {
    let world = World::with_budget(Some(10)).await;
    let member = world.member().await;
    let (record, waiting) = world.granted(&member, 30, 2).await;
    assert_eq!(waiting.expiry(), None);
    world
        .activate(Policy {
            caps: vec![],
            expiry_months: None,
            ..policy()
        })
        .await;
    world.clock.advance(TimeDelta::days(40));

    world.raise(Some(100)).await;
    world.release().await;

    let grant = world.grant(&record).await;
    assert_eq!((grant.amount, grant.counted), (20, 20));
    // Granted in June, six months beyond it.
    assert_eq!(
        grant.expiry(),
        Some("2024-12-31T16:00:00Z".parse().unwrap())
    );
    assert_eq!(grant.granted_at, Some(world.clock.now()));
    assert_eq!(grant.revision, waiting.revision);
    let explained = world
        .activity
        .explain_grant(world.community, grant.id)
        .await
        .unwrap();
    let text = explained.text_en();
    assert!(
        text.contains("It waited for budget until 2024-06-29; its expiry counts from then"),
        "{text}"
    );
    assert!(explained.text_zh().contains("等到 2024-06-29 有预算后发放"));
}

#[tokio::test]
async fn what_waits_uses_no_cap_and_counts_once_it_is_granted() {
    let world = World::with_budget(Some(10)).await;
    let member = world.member().await;
    // On one local day, of which the cap is 60: 50 waits, then 10 is decided beside it.
    let (record, waiting) = world.granted(&member, 20, 5).await;
    assert_eq!(waiting.state, GrantState::AwaitingBudget);
    let (_, beside) = world.granted(&member, 15, 1).await;
    assert_eq!((beside.state, beside.amount), (GrantState::Pending, 10));

    world.raise(Some(1000)).await;
    world.release().await;

    assert_eq!(world.grant(&record).await.counted, 50);
    let (_, full) = world.granted(&member, 13, 1).await;
    assert_eq!((full.state, full.amount), (GrantState::Empty, 0));
}

#[tokio::test]
async fn a_revocation_frees_budget_for_what_waits() {
    let world = World::with_budget(Some(20)).await;
    let (first, second) = (world.member().await, world.member().await);
    let (revoked, _) = world.granted(&first, 30, 2).await;
    let (record, waiting) = world.granted(&second, 30, 2).await;
    assert_eq!(waiting.state, GrantState::AwaitingBudget);

    world.revoke(&revoked).await.unwrap();
    world.activity.grant_what_waited().await.unwrap();

    assert_eq!(world.grant(&record).await.state, GrantState::Pending);
    let summary = world.summary().await;
    assert_eq!((summary.granted, summary.awaiting), (20, 0));
}

#[tokio::test]
async fn a_waiting_grant_that_is_revoked_is_never_granted() {
    let world = World::with_budget(Some(10)).await;
    let member = world.member().await;
    let (record, _) = world.granted(&member, 30, 2).await;
    world.revoke(&record).await.unwrap();
    world.raise(None).await;
    assert_eq!(world.release().await, 0);
    assert_eq!(world.grant(&record).await.state, GrantState::Revoked);
    assert_eq!(world.posts().await, 0);
}

#[tokio::test]
async fn what_the_ledgers_limit_refused_is_tried_again_under_another_id_and_no_late_word_undoes_it()
{
    let world = World::start().await;
    let member = world.member().await;
    let (record, grant) = world.granted(&member, 30, 2).await;
    let posting = world.activity.claim(world.community).await.unwrap();
    let refused = [Outcome::OverLimit];
    let write = async |posting: &[crate::relay::Delivery], outcome: &[Outcome]| {
        world
            .activity
            .write_down(world.community, posting, outcome)
            .await
            .unwrap();
    };
    write(&posting, &refused).await;
    assert_eq!(world.release().await, 0);
    world.clock.advance(TimeDelta::seconds(1));
    world.activity.grant_what_waited().await.unwrap();
    let again = world.grant(&record).await;
    assert_eq!(again.state, GrantState::Pending);
    assert_ne!(again.posting_id(), grant.posting_id());
    let second = world.activity.claim(world.community).await.unwrap();

    // A relay that was slow says what the first posting came to.
    write(&posting, &refused).await;
    assert_eq!(world.grant(&record).await.state, GrantState::Pending);
    write(&second, &[Outcome::Posted { entry: 9 }]).await;

    let posted = world.grant(&record).await;
    assert_eq!(
        (posted.state, posted.entry_sequence),
        (GrantState::Posted, Some(9))
    );
    let totals = store::programme::lock(&world.pool, world.community, world.programme)
        .await
        .unwrap();
    let expected = Totals {
        granted: 20,
        awaiting: 0,
    };
    assert_eq!(totals, Some(expected));
}

#[tokio::test]
async fn what_an_older_release_was_refused_for_is_posted_under_another_id_too() {
    let world = World::start().await;
    let member = world.member().await;
    let (record, grant) = world.granted(&member, 30, 2).await;
    let refuse = async || {
        let posting = world.activity.claim(world.community).await.unwrap();
        let refused = [Outcome::OverLimit];
        world
            .activity
            .write_down(world.community, &posting, &refused)
            .await
            .unwrap();
        world.clock.advance(TimeDelta::hours(1));
    };
    refuse().await;
    // It did not count them.
    sqlx::query("update activity.reward_grant set posting = 0, retry_at = null")
        .execute(&world.pool)
        .await
        .unwrap();

    world.release().await;

    let again = world.grant(&record).await;
    assert_ne!(again.posting_id(), grant.id);
    assert!(again.granted_at.is_some());
    refuse().await;
    let waiting = world.grant(&record).await;
    assert_eq!(
        (waiting.state, waiting.granted_at),
        (GrantState::AwaitingBudget, None)
    );
    world.release().await;
    let third = world.grant(&record).await;
    assert_ne!(third.posting_id(), again.posting_id());
}
