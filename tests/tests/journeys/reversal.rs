//! Choosing how much to spend, giving it back, and what that means for points that expire.

use chrono::TimeDelta;
use journeys::{Member, Scheme, World, at, eventually, per_hour, refused};
use proto::{activity::v1 as act, ledger::v1 as led, redemption::v1 as red};
use runtime::timestamp;

/// Points of this month expire with the next: those of March at the end of April.
async fn short_lived() -> World {
    let policy = act::Policy {
        expiry_months: Some(1),
        ..per_hour("*", 60)
    };
    World::with(Scheme {
        policy,
        budget: None,
    })
    .await
}

/// The lots of a member: the day before each expires, as the month and day in Shanghai, and what remains.
async fn lots(world: &World, member: &Member) -> Vec<(String, i64)> {
    let account = world.points(member).await;
    let lots = account.lots.into_iter().map(|lot| {
        let end = lot.expire_time.unwrap();
        let end = chrono::DateTime::from_timestamp(end.seconds, 0).unwrap();
        (end.format("%m-%d").to_string(), lot.remaining)
    });
    lots.collect()
}

fn lot(day: &str, remaining: i64) -> (String, i64) {
    (day.to_owned(), remaining)
}

#[tokio::test]
async fn a_part_of_a_hold_can_be_captured_and_a_part_of_that_given_back() {
    let world = World::start().await;
    let (merchant, offer, member) = world.counter(100).await;

    let held = world
        .hold(world.reservation(&member, &offer, 5))
        .await
        .unwrap();
    let account = world.points(&member).await;
    assert_eq!(
        (account.balance, account.held, account.available),
        (100, 50, 50)
    );
    assert_eq!(world.takings(&merchant).await.held_points, 50);

    let captured = world.capture(&held, Some(3)).await.unwrap();
    assert_eq!((captured.quantity, captured.captured_quantity), (5, 3));
    assert_eq!((captured.points, captured.captured_points), (50, 30));
    let account = world.points(&member).await;
    assert_eq!(
        (account.balance, account.held, account.available),
        (70, 0, 70)
    );
    assert_eq!(world.stock_left(&offer).await, 97);

    let reversed = world.reverse(&captured, Some(2)).await.unwrap();
    assert_eq!(reversed.state(), red::RedemptionState::Captured);
    assert_eq!(
        (reversed.reversed_quantity, reversed.reversed_points),
        (2, 20)
    );
    assert_eq!(world.balance(&member).await, 90);
    assert_eq!(world.stock_left(&offer).await, 99);

    let too_much = world.reverse(&captured, Some(2)).await.unwrap_err();
    assert_eq!(refused(&too_much).reason, "QUANTITY_EXCEEDS_CAPTURED");
    let reversed = world.reverse(&captured, None).await.unwrap();
    assert_eq!(reversed.state(), red::RedemptionState::Reversed);
    assert_eq!(world.balance(&member).await, 100);
    assert_eq!(world.till(&merchant).await.balance, 0);
    assert_eq!(world.stock_left(&offer).await, 100);
    let takings = world.takings(&merchant).await;
    assert_eq!((takings.redemptions, takings.captured_points), (1, 30));
    assert_eq!((takings.reversals, takings.reversed_points), (2, 30));
    assert_eq!(takings.held_points, 0);
}

#[tokio::test]
async fn a_redemption_goes_only_where_its_state_lets_it() {
    let world = World::start().await;
    let (_, offer, member) = world.counter(100).await;
    let held = world
        .hold(world.reservation(&member, &offer, 2))
        .await
        .unwrap();
    let reason = |answer: Result<red::Redemption, _>| refused(&answer.unwrap_err()).reason;

    assert_eq!(
        reason(world.capture(&held, Some(3)).await),
        "AMOUNT_EXCEEDS_HELD"
    );
    assert_eq!(reason(world.reverse(&held, None).await), "WRONG_STATE");
    let captured = world.capture(&held, None).await.unwrap();
    assert_eq!(reason(world.capture(&held, None).await), "ALREADY_CAPTURED");
    assert_eq!(reason(world.release(&held).await), "ALREADY_CAPTURED");
    world.reverse(&captured, None).await.unwrap();
    assert_eq!(reason(world.reverse(&captured, None).await), "WRONG_STATE");
    let released = world
        .hold(world.reservation(&member, &offer, 2))
        .await
        .unwrap();
    world.release(&released).await.unwrap();
    assert_eq!(reason(world.capture(&released, None).await), "WRONG_STATE");

    assert_eq!(world.points(&member).await.available, 100);
    assert_eq!(world.stock_left(&offer).await, 100);
}

#[tokio::test]
async fn a_hold_can_be_captured_until_its_end_and_not_at_it() {
    let world = World::start().await;
    let (_, offer, member) = world.counter(100).await;
    let first = world
        .hold(world.reservation(&member, &offer, 1))
        .await
        .unwrap();
    let second = world
        .hold(world.reservation(&member, &offer, 2))
        .await
        .unwrap();
    let end = world.clock.now() + TimeDelta::minutes(5);
    assert_eq!(first.expire_time, Some(timestamp(end)));

    world.clock.advance_to(end - TimeDelta::microseconds(1));
    let in_time = world.capture(&first, None).await;
    world.clock.advance_to(end);
    let late = world.capture(&second, None).await.unwrap_err();

    assert!(in_time.is_ok(), "{in_time:?}");
    assert_eq!(refused(&late).reason, "HOLD_EXPIRED");
    world
        .in_time("the held points are back", async || {
            (world.points(&member).await.available == 90).then_some(())
        })
        .await;
    let id = second.name.rsplit('/').next().unwrap();
    let expired = world.redemption(id).await.unwrap();
    assert_eq!(expired.state(), red::RedemptionState::Expired);
    assert_eq!(world.stock_left(&offer).await, 99);
}

#[tokio::test]
async fn points_that_expire_first_are_spent_first_and_go_back_to_where_they_came_from() {
    let world = short_lived().await;
    let merchant = world.merchant().await;
    let offer = world.offer(&merchant).active().await;
    let member = world.volunteer().with_points(30).await;
    world.clock.advance_to(at("2026-04-10T02:00:00Z"));
    world.earn(&member, 50).await;
    assert_eq!(
        lots(&world, &member).await,
        [lot("04-30", 30), lot("05-31", 50)]
    );

    let redemption = world.redeem(world.order(&member, &offer, 5)).await.unwrap();
    assert_eq!(lots(&world, &member).await, [lot("05-31", 30)]);
    world.reverse(&redemption, Some(1)).await.unwrap();
    assert_eq!(
        lots(&world, &member).await,
        [lot("05-31", 40)],
        "last used, first back"
    );
    world.reverse(&redemption, Some(3)).await.unwrap();
    assert_eq!(
        lots(&world, &member).await,
        [lot("04-30", 20), lot("05-31", 50)]
    );
    world.reverse(&redemption, None).await.unwrap();

    assert_eq!(
        lots(&world, &member).await,
        [lot("04-30", 30), lot("05-31", 50)]
    );
    assert_eq!(world.till(&merchant).await.balance, 0);
}

#[tokio::test]
async fn points_are_spendable_until_their_instant_and_never_after() {
    let world = short_lived().await;
    let (_, offer, member) = world.counter(30).await;
    let end = at("2026-04-30T16:00:00Z");

    world.clock.advance_to(end - TimeDelta::microseconds(1));
    let in_time = world.redeem(world.order(&member, &offer, 1)).await;
    world.clock.advance_to(end);
    let late = world
        .redeem(world.order(&member, &offer, 1))
        .await
        .unwrap_err();

    assert!(in_time.is_ok(), "{in_time:?}");
    assert_eq!(refused(&late).reason, "INSUFFICIENT_POINTS");
    assert_eq!(world.points(&member).await.available, 0);
    world.clock.advance(TimeDelta::minutes(1));
    eventually("what expired is posted", async || {
        (world.balance(&member).await == 0).then_some(())
    })
    .await;
    let expired = world.account(led::AccountKind::Expired, None).await;
    assert_eq!(expired.balance, 20);
    let statement = world.entries(&world.points(&member).await.name).await;
    let last = statement.last().unwrap();
    assert_eq!(last.kind(), led::EntryKind::LotExpiry);
    assert_eq!(
        (last.amount, &last.expire_time),
        (20, &Some(timestamp(end)))
    );
}

#[tokio::test]
async fn points_under_a_hold_do_not_expire_and_can_still_be_captured() {
    let world = short_lived().await;
    let (merchant, offer, member) = world.counter(30).await;
    world.clock.advance_to(at("2026-04-30T15:58:00Z"));
    let held = world
        .hold(world.reservation(&member, &offer, 2))
        .await
        .unwrap();

    world.clock.advance_to(at("2026-04-30T16:01:00Z"));
    let captured = world.capture(&held, Some(1)).await.unwrap();

    assert_eq!(captured.captured_points, 10);
    assert_eq!(world.till(&merchant).await.balance, 10);
    let account = world.points(&member).await;
    assert_eq!(
        (account.held, account.available),
        (0, 0),
        "the rest came back expired"
    );
}

#[tokio::test]
async fn the_reversal_window_includes_its_last_instant() {
    let world = World::start().await;
    let (_, offer, member) = world.counter(50).await;
    let redemption = world.redeem(world.order(&member, &offer, 2)).await.unwrap();
    let end = world.clock.now() + TimeDelta::days(7);
    assert_eq!(redemption.reversible_until, Some(timestamp(end)));

    world.clock.advance_to(end);
    let in_time = world.reverse(&redemption, Some(1)).await;
    world.clock.advance(TimeDelta::microseconds(1));
    let late = world.reverse(&redemption, None).await.unwrap_err();
    let cancelled = world
        .cancel(redemption.name.rsplit('/').next().unwrap())
        .await;

    assert!(in_time.is_ok(), "{in_time:?}");
    assert_eq!(refused(&late).reason, "REVERSAL_WINDOW_CLOSED");
    assert_eq!(
        refused(&cancelled.unwrap_err()).reason,
        "REVERSAL_WINDOW_CLOSED"
    );
    assert_eq!(world.balance(&member).await, 40);
    assert_eq!(world.stock_left(&offer).await, 99);
}

#[tokio::test]
async fn points_given_back_after_their_expiry_expire_at_once() {
    let world = short_lived().await;
    let (merchant, offer, member) = world.counter(30).await;
    world.clock.advance_to(at("2026-04-29T16:00:00Z"));
    let redemption = world.redeem(world.order(&member, &offer, 3)).await.unwrap();
    world.clock.advance_to(at("2026-05-02T16:00:00Z"));

    let reversed = world.reverse(&redemption, Some(2)).await.unwrap();

    assert_eq!(reversed.reversed_points, 20);
    assert_eq!(world.till(&merchant).await.balance, 10);
    assert_eq!(world.points(&member).await.available, 0);
    world.clock.advance(TimeDelta::minutes(1));
    eventually("they are posted as expired", async || {
        (world.balance(&member).await == 0).then_some(())
    })
    .await;
    let expired = world.account(led::AccountKind::Expired, None).await;
    assert_eq!(expired.balance, 20);
}
