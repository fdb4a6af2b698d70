//! A reversal is a step like any other: what the ledger says to it is written once, and refused it leaves nothing.

use runtime::Deadline;

use super::*;
use crate::{
    Error,
    domain::{
        operation::{Kind, LedgerRefusal, Step, StepKey, Verdict},
        pledge::{Pledge, PledgeState},
        refusal::{Refusal, Resource},
        wish::WishState,
    },
    store::operation::NewStep,
};

impl World {
    /// A confirmed pledge of all of a fulfilled wish in points, captured by the ledger's entry 7.
    async fn confirmed(&self, quantity: i64) -> (Wish, Pledge) {
        let mut wish = self.published(self.community, quantity).await;
        let mut pledge = self
            .pledged(&mut wish, quantity, PledgeState::Delivered)
            .await;
        pledge.end(PledgeState::Confirmed, start());
        wish.confirm(quantity, start());
        store::pledge::update(&mut *self.conn().await, &pledge)
            .await
            .unwrap();
        store::wish::update(&mut *self.conn().await, &wish)
            .await
            .unwrap();
        self.confirming(&pledge).await;
        let step = self.step(&pledge).await;
        store::operation::end(&self.pool, &step, Some(7))
            .await
            .unwrap();
        (wish, pledge)
    }

    /// Writes down that a call reverses a pledge; the step.
    async fn reversing(&self, pledge: &Pledge) -> Step {
        let call = Call {
            reason: Some("faulty".to_owned()),
            ..self.call("ReversePledge")
        };
        store::answer::claim(&self.pool, &call, start())
            .await
            .unwrap();
        let step = NewStep {
            key: StepKey {
                community: pledge.community,
                pledge: pledge.id,
                kind: Kind::Reverse,
            },
            request_id: Some(call.request_id),
            now: start(),
            due_at: start(),
        };
        store::operation::insert(&self.pool, &step).await.unwrap();
        self.step(pledge).await
    }

    async fn step(&self, pledge: &Pledge) -> Step {
        let found = store::operation::find_pending(&self.pool, pledge.community, pledge.id).await;
        found.unwrap().unwrap()
    }

    /// Writes what the ledger said; false when that was done before.
    async fn said(&self, step: &Step, verdict: Verdict) -> bool {
        let mut tx = self.pool.begin().await.unwrap();
        let entry = match &verdict {
            Verdict::Done(entry) => Some(*entry),
            Verdict::Refused(_) => None,
        };
        if !store::operation::end(&mut *tx, step, entry).await.unwrap() {
            return false;
        }
        let settled = self.wishes.settle_reversal(&mut tx, step, verdict).await;
        settled.unwrap();
        tx.commit().await.unwrap();
        true
    }

    async fn now(&self, pledge: &Pledge) -> Pledge {
        let found = self.wishes.get_pledge(pledge.community, pledge.id).await;
        found.unwrap()
    }
}

fn refused() -> Verdict {
    Verdict::Refused(LedgerRefusal {
        reason: "INSUFFICIENT_POINTS".to_owned(),
        available: Some(0),
    })
}

#[tokio::test]
async fn a_step_back_knows_its_capture_and_its_reason() {
    let world = World::start().await;
    let (wish, pledge) = world.confirmed(5).await;

    let step = world.reversing(&pledge).await;

    assert_eq!((step.captured, &step.reason[..]), (Some(7), "faulty"));
    assert_eq!(step.title, wish.title);
    let shown = world.now(&pledge).await;
    assert_eq!(
        (shown.state, shown.is_settling),
        (PledgeState::Confirmed, true)
    );
}

#[tokio::test]
async fn what_the_ledger_has_reversed_is_kept_with_its_reason() {
    let world = World::start().await;
    let (wish, pledge) = world.confirmed(5).await;
    let step = world.reversing(&pledge).await;
    world.clock.advance(TimeDelta::days(1));

    assert!(world.said(&step, Verdict::Done(8)).await);
    assert!(!world.said(&step, Verdict::Done(8)).await, "once");

    let reversed = world.now(&pledge).await;
    assert_eq!(reversed.state, PledgeState::Reversed);
    assert_eq!(reversed.reversed_at, Some(world.clock.now()));
    assert_eq!(reversed.reversal_reason, "faulty");
    assert_eq!(reversed.ended_at, Some(start()));
    let wish = world.read(&wish).await;
    assert_eq!(wish.state, WishState::Fulfilled);
    assert_eq!(
        [wish.pledged, wish.delivered, wish.confirmed, wish.reversed],
        [0, 0, 0, 5]
    );
}

#[tokio::test]
async fn a_release_that_knows_no_reversals_reads_a_confirmed_pledge_and_closes_its_wish() {
    let world = World::start().await;
    let (wish, pledge) = world.confirmed(5).await;
    let step = world.reversing(&pledge).await;
    assert!(world.said(&step, Verdict::Done(8)).await);

    let state: String = sqlx::query_scalar("select state from wish.pledge where pledge_id = $1")
        .bind(pledge.id)
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(state, "confirmed");
    // As that release writes both.
    for (statement, id) in [
        (
            "update wish.pledge set state = 'confirmed', note = '' where pledge_id = $1",
            pledge.id,
        ),
        (
            "update wish.wish set pledged = 0, delivered = 0, confirmed = 0, state = 'closed', rating = 1, feedback = ''
            where wish_id = $1",
            wish.id,
        ),
    ] {
        let written = sqlx::query(statement).bind(id).execute(&world.pool).await;
        assert_eq!(written.unwrap().rows_affected(), 1);
    }

    assert_eq!(world.now(&pledge).await.state, PledgeState::Reversed);
    let wish = world.read(&wish).await;
    assert_eq!((wish.state, wish.reversed), (WishState::Closed, 5));
}

#[tokio::test]
async fn a_refused_step_back_leaves_its_refusal_and_another_call_may_try_again() {
    let world = World::start().await;
    let (wish, pledge) = world.confirmed(5).await;
    let first = world.reversing(&pledge).await;
    assert!(world.said(&first, refused()).await);
    assert_eq!(world.now(&pledge).await, pledge);
    assert_eq!(world.read(&wish).await, wish);
    let kept: serde_json::Value =
        sqlx::query_scalar("select refusal from wish.answer where request_id = $1")
            .bind(first.request_id)
            .fetch_one(&world.pool)
            .await
            .unwrap();
    let reason = "INSUFFICIENT_POINTS".to_owned();
    assert_eq!(
        serde_json::from_value::<Refusal>(kept).unwrap(),
        Refusal::LedgerRefused { reason }
    );

    let second = world.reversing(&pledge).await;
    // Who was slow to write what the ledger said to the first says nothing about the second.
    assert!(!world.said(&first, refused()).await);
    assert!(world.said(&second, Verdict::Done(9)).await);

    assert_eq!(world.now(&pledge).await.state, PledgeState::Reversed);
}

#[tokio::test]
async fn while_the_ledger_is_away_a_reversal_is_written_down_and_the_pledge_stays_confirmed() {
    let world = World::start().await;
    let (_, pledge) = world.confirmed(5).await;
    let access = Access::everything("test");
    let call = world.call("ReversePledge");
    let reverse = |call| async {
        let what = (pledge.id, "faulty");
        let call: Call = call;
        let asked = world
            .wishes
            .reverse_pledge(&call, &access, what, Deadline::default());
        asked.await
    };
    for call in [call.clone(), call, world.call("ReversePledge")] {
        let asked = reverse(call).await;
        assert!(
            matches!(asked, Err(Error::Unavailable("ledger"))),
            "{asked:?}"
        );
    }
    let shown = world.now(&pledge).await;
    assert_eq!(
        (shown.state, shown.is_settling),
        (PledgeState::Confirmed, true)
    );
    let step = world.step(&pledge).await;
    assert!(world.said(&step, Verdict::Done(8)).await);

    let late = reverse(world.call("ReversePledge")).await;

    let expected = Refusal::WrongState {
        resource: Resource::Pledge,
        id: pledge.id,
        state: "REVERSED".to_owned(),
        needed: "CONFIRMED".to_owned(),
    };
    assert!(matches!(late, Err(Error::Refused(refusal)) if refusal == expected));
}
