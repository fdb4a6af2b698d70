//! Many calls in one transaction: each has a verdict of its own. On one thread, calls made together wait together.

use std::{future::Future, time::Instant};

use runtime::Nudge;

use super::*;
use crate::{domain::Step, engine::Engine, event::Publisher};

/// Makes calls together, in this order.
async fn together<T>(calls: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut calls: Vec<_> = calls.into_iter().map(Box::pin).collect();
    let mut answers: Vec<Option<T>> = calls.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (call, answer) in calls.iter_mut().zip(&mut answers) {
            if answer.is_none()
                && let std::task::Poll::Ready(done) = call.as_mut().poll(context)
            {
                *answer = Some(done);
            }
        }
        match answers.iter().all(Option::is_some) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    answers.into_iter().flatten().collect()
}

impl Shop {
    fn taking(&self, quantity: i64) -> Wish {
        Wish::Take(Taking {
            order: self.order(quantity),
            way: Way::Hold(FIVE_MINUTES),
            member: Some(MEMBER),
            assisted_by: None,
        })
    }

    /// A step of each of these holds that waits for the ledger.
    async fn begun(&self, count: usize) -> Vec<Begun> {
        let calls: Vec<Call> = (0..count).map(|_| self.call("HoldRedemption")).collect();
        let decided = together(calls.iter().map(|call| self.decide(call, self.taking(1)))).await;
        let begun = decided.into_iter().map(|one| match one {
            Decision::Begun(step) => step,
            other => panic!("{other:?}"),
        });
        begun.collect()
    }

    /// The engine of another process.
    fn replica(&self) -> Engine {
        Engine::new(
            self.pool.clone(),
            self.clock.clone(),
            self.service.ids.clone(),
            Nudge::default(),
            Publisher::default(),
        )
    }

    async fn transactions(&self) -> i64 {
        let statement = "select count(distinct xmin::text) from redemption.answer where method = 'HoldRedemption'";
        let rows = sqlx::query_scalar(statement).fetch_one(&self.pool);
        rows.await.unwrap()
    }
}

#[tokio::test]
async fn calls_made_together_share_a_transaction() {
    let shop = Shop::with_stock(50).await;
    shop.begun(30).await;
    assert_eq!(shop.transactions().await, 1);
    assert_eq!(shop.stock_left().await, 20);
    assert_eq!(shop.count("operation").await, 30);
}

#[tokio::test]
async fn of_twins_in_one_batch_one_begins_and_under_their_id_nothing_else_does() {
    let shop = Shop::with_stock(10).await;
    let call = shop.call("HoldRedemption");
    let other = Call {
        fingerprint: vec![2],
        ..call.clone()
    };
    let calls = [&call, &call, &other];

    let decided = together(calls.map(|call| shop.decide(call, shop.taking(2)))).await;

    let [
        Decision::Begun(step),
        Decision::Known(twin),
        Decision::Known(reused),
    ] = &decided[..]
    else {
        panic!("{decided:?}")
    };
    let request_id = call.request_id;
    assert_eq!(step.operation.id, request_id);
    assert_eq!(*twin, Outcome::Pending);
    let refusal = Refusal::RequestIdReused { request_id };
    assert_eq!(*reused, Outcome::Refused(refusal));
    assert_eq!(shop.stock_left().await, 8);
}

#[tokio::test]
async fn of_twenty_in_one_batch_one_gets_the_last_piece() {
    let shop = Shop::with_stock(1).await;
    let calls: Vec<Call> = (0..20).map(|_| shop.call("HoldRedemption")).collect();

    let decided = together(calls.iter().map(|call| shop.decide(call, shop.taking(1)))).await;

    let sold_out = Outcome::Refused(Refusal::OfferSoldOut { left: 0, asked: 1 });
    assert!(matches!(&decided[0], Decision::Begun(_)));
    for refused in &decided[1..] {
        assert!(matches!(refused, Decision::Known(outcome) if *outcome == sold_out));
    }
    assert_eq!(shop.stock_left().await, 0);
    // A refusal is the answer for ever, though there is stock by now.
    let first = calls[0].request_id;
    shop.answer(first, refused("INSUFFICIENT_POINTS")).await;
    let again = shop.decide(&calls[1], shop.taking(1)).await;
    assert!(matches!(again, Decision::Known(outcome) if outcome == sold_out));
}

#[tokio::test]
async fn what_the_ledger_refuses_in_the_middle_of_a_batch_disturbs_no_other() {
    let shop = Shop::with_stock(3).await;
    let begun = shop.begun(3).await;
    let engine = &shop.service.engine;
    let verdict = |number| match number {
        1 => refused("INSUFFICIENT_POINTS"),
        _ => shop.done(),
    };
    let late = shop.call("HoldRedemption");

    let steps = begun.iter().cloned().enumerate();
    let settled = together(steps.map(|(number, step)| engine.settle(step, verdict(number))));
    let (settled, taken) = tokio::join!(settled, shop.decide(&late, shop.taking(1)));

    let too_few = Refusal::InsufficientPoints {
        needed: 30,
        available: Some(5),
    };
    let refusals: Vec<Option<Refusal>> = settled
        .into_iter()
        .map(|one| one.unwrap().unwrap().refusal)
        .collect();
    assert_eq!(refusals, [None, Some(too_few), None]);
    assert_eq!(shop.redemption(begun[1].redemption.id).await, None);
    for held in [&begun[0], &begun[2]] {
        assert_eq!(shop.state(held.redemption.id).await, RedemptionState::Held);
    }
    // What came back was there for the call behind it.
    assert!(matches!(taken, Decision::Begun(_)));
    assert_eq!(shop.stock_left().await, 0);
}

#[tokio::test]
async fn of_two_steps_in_one_batch_the_second_waits_for_the_first() {
    let shop = Shop::with_stock(2).await;
    let id = shop.held(2, FIVE_MINUTES).await;
    let (capture, release) = (
        shop.call("CaptureRedemption"),
        shop.call("ReleaseRedemption"),
    );

    let (captured, released) = tokio::join!(
        shop.decide(&capture, Wish::Step(id, Step::Capture(None))),
        shop.decide(&release, Wish::Step(id, Step::Release)),
    );

    assert!(matches!(captured, Decision::Begun(_)));
    assert!(matches!(released, Decision::Busy(id) if id == capture.request_id));
    // It can be asked again: nothing is kept of it.
    assert_eq!(shop.answer(capture.request_id, shop.done()).await, None);
    let late = shop.decide(&release, Wish::Step(id, Step::Release)).await;
    let captured = Outcome::Refused(Refusal::AlreadyCaptured);
    assert!(matches!(late, Decision::Known(outcome) if outcome == captured));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_at_one_offer_never_pass_its_stock() {
    let shop = std::sync::Arc::new(Shop::with_stock(15).await);
    let replica = shop.replica();
    let calls: Vec<Call> = (0..40).map(|_| shop.call("HoldRedemption")).collect();
    let mut tries = JoinSet::new();
    for (number, call) in calls.iter().enumerate() {
        // Every fourth call is made at both.
        let here = (number % 4 != 1).then(|| shop.service.engine.clone());
        let there = (number % 2 == 1 || number % 4 == 0).then(|| replica.clone());
        for engine in here.into_iter().chain(there) {
            let ask = Ask {
                call: call.clone(),
                wish: shop.taking(1),
                traceparent: None,
            };
            tries.spawn(async move { engine.decide(ask, Deadline::default()).await.unwrap() });
        }
    }
    let begun = tries.join_all().await.into_iter();
    let begun = begun
        .filter(|one| matches!(one, Decision::Begun(_)))
        .count();
    assert_eq!(begun, 15);
    assert_eq!(shop.count("redemption").await, 15);
    assert_eq!(shop.stock_left().await, 0);
}

#[tokio::test]
async fn a_step_whose_call_died_is_taken_up_by_the_recovery_loop() {
    let shop = Shop::with_stock(3).await;
    let begun = shop.begun(3).await;
    assert!(
        shop.service.recover().await.is_ok(),
        "the calls have a head start"
    );

    shop.clock.advance(TimeDelta::seconds(5));

    let asked = shop.service.recover().await;
    assert!(matches!(asked, Err(Error::Unavailable("ledger"))));
    let id = begun[0].operation.id;
    assert_eq!(shop.answer(id, shop.done()).await, None);
    assert_eq!(shop.state(id).await, RedemptionState::Held);
    // The call that comes again gets the answer that was written meanwhile.
    let call = Call {
        request_id: id,
        ..shop.call("HoldRedemption")
    };
    let again = shop.decide(&call, shop.taking(1));
    assert!(matches!(again.await, Decision::Known(Outcome::Done(_))));
}

#[tokio::test]
async fn a_full_queue_turns_calls_away_and_a_late_one_is_dropped() {
    let shop = Shop::with_stock(1).await;
    let engine = &shop.service.engine;
    let ask = || Ask {
        call: shop.call("ReleaseRedemption"),
        wish: Wish::Step(shop.ann, Step::Release),
        traceparent: None,
    };
    let calls = (0..4_100).map(|_| engine.decide(ask(), Deadline::default()));
    let answers = together(calls).await;
    let busy = |one: &&Result<Decision, Error>| matches!(one, Err(Error::Busy));
    assert_eq!(answers.iter().filter(busy).count(), 4);
    assert!(answers[4_096..].iter().all(|one| busy(&one)));

    let late = ask();
    let call = late.call.clone();
    let over = Deadline(Some(Instant::now()));
    assert!(matches!(
        engine.decide(late, over).await,
        Err(Error::Unavailable("redemption"))
    ));
    assert_eq!(shop.service.outcome(&call).await.unwrap(), None);
}
