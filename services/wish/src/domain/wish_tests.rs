//! What may become of a wish and its pledges, and that the clock and the tables never say different things.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use uuid::Uuid;

use super::{
    Community,
    pledge::{Delivery, Pledge, PledgeState, Pledger},
    refusal::Refusal,
    value::ValueCeilings,
    wish::{Priority, Scope, Unit, Wish, WishState},
};

const DAY: TimeDelta = TimeDelta::days(1);

fn start() -> DateTime<Utc> {
    "2024-05-20T00:00:00Z".parse().unwrap()
}

/// A published wish that closes on the tenth day and is confirmed until the fortieth.
fn wish(target: i64) -> Wish {
    Wish {
        community: Community(Uuid::nil()),
        id: Uuid::nil(),
        programme: Uuid::nil(),
        beneficiary: Uuid::nil(),
        proxy: None,
        visit: None,
        round: None,
        category: "material".to_owned(),
        scope: Scope::Individual,
        priority: Priority::Normal,
        title: "一台电风扇".to_owned(),
        description: String::new(),
        unit: Unit::Each,
        target,
        pledged: 0,
        delivered: 0,
        confirmed: 0,
        settling: 0,
        reversed: 0,
        supplier: None,
        estimated_value: None,
        state: WishState::Published,
        created_at: start(),
        published_at: Some(start()),
        closes_at: start() + DAY * 10,
        confirms_until: start() + DAY * 40,
        ended_at: None,
        rating: None,
        feedback: String::new(),
    }
}

fn pledge(wish: &Wish, number: u128, quantity: i64) -> Pledge {
    Pledge {
        community: wish.community,
        id: Uuid::from_u128(number),
        wish: wish.id,
        programme: wish.programme,
        pledger: Pledger::Organisation("school".to_owned()),
        quantity,
        in_points: false,
        state: PledgeState::Active,
        evidence: vec![],
        note: String::new(),
        created_at: start(),
        delivered_at: None,
        ended_at: None,
        closes_at: wish.closes_at,
        confirms_until: wish.confirms_until,
        reversed_at: None,
        reversal_reason: String::new(),
        is_settling: false,
    }
}

fn delivery() -> Delivery {
    Delivery {
        evidence: vec![],
        note: String::new(),
    }
}

#[test]
fn each_step_has_its_states() {
    use WishState::{
        Closed, Fulfilled, Lapsed, Published, Rejected, Reviewed, Submitted, Withdrawn,
    };
    let all = [
        Submitted, Reviewed, Published, Fulfilled, Closed, Rejected, Withdrawn, Lapsed,
    ];
    type Step = fn(&mut Wish) -> Result<(), Refusal>;
    let steps: [(Step, &[WishState], WishState); 5] = [
        (|wish| wish.review(None), &[Submitted], Reviewed),
        (
            |wish| wish.reject(start()),
            &[Submitted, Reviewed],
            Rejected,
        ),
        (|wish| wish.publish(start()), &[Reviewed], Published),
        (
            |wish| wish.withdraw(start()),
            &[Submitted, Reviewed, Published],
            Withdrawn,
        ),
        (|wish| wish.close(5, String::new()), &[Fulfilled], Closed),
    ];
    for (step, from, to) in steps {
        for state in all {
            let mut wish = Wish { state, ..wish(3) };
            match step(&mut wish) {
                Ok(()) => assert!(from.contains(&state) && wish.state == to, "{state:?}"),
                Err(Refusal::WrongState { .. }) => assert!(!from.contains(&state), "{state:?}"),
                Err(other) => panic!("{state:?}: {other:?}"),
            }
        }
    }
}

#[test]
fn the_instant_of_its_close_is_the_last_one() {
    let wish = wish(3);
    assert_eq!(wish.clone().at(wish.closes_at).state, WishState::Published);
    let behind = wish.closes_at + TimeDelta::microseconds(1);
    let lapsed = wish.clone().at(behind);
    assert_eq!(lapsed.state, WishState::Lapsed);
    assert_eq!(lapsed.ended_at, Some(wish.closes_at));
    let promise = pledge(&wish, 1, 1);
    assert_eq!(
        promise.clone().at(wish.closes_at).state,
        PledgeState::Active
    );
    assert_eq!(promise.at(behind).state, PledgeState::Lapsed);
}

#[test]
fn what_is_all_delivered_in_time_waits_for_its_confirmation() {
    let mut wish = wish(2);
    let mut promise = pledge(&wish, 1, 2);
    wish.pledge(2).unwrap();
    promise.deliver(delivery(), wish.closes_at).unwrap();
    wish.deliver(2);
    assert_eq!(
        wish.clone().at(wish.confirms_until).state,
        WishState::Published
    );
    let behind = wish.confirms_until + TimeDelta::microseconds(1);
    let lapsed = wish.lapse(vec![promise], behind);
    assert_eq!(lapsed[0].ended_at, Some(wish.confirms_until));
    assert_eq!(
        (wish.state, wish.ended_at),
        (WishState::Lapsed, Some(wish.confirms_until))
    );
}

#[test]
fn what_is_being_confirmed_does_not_lapse() {
    let mut wish = wish(2);
    let mut promise = pledge(&wish, 1, 2);
    wish.pledge(2).unwrap();
    promise.deliver(delivery(), start()).unwrap();
    wish.deliver(2);
    promise.is_settling = true;
    wish.settling = 2;
    let late = wish.confirms_until + DAY;
    assert_eq!(wish.clone().at(late), wish);
    assert!(wish.lapse(vec![promise], late).is_empty());
    wish.confirm(2, late);
    assert_eq!(wish.state, WishState::Fulfilled);
}

#[test]
fn a_delivery_that_is_refused_where_another_clock_has_closed_the_wish_lapses() {
    let closed = Wish {
        state: WishState::Lapsed,
        ..wish(2)
    };
    let over = closed.closes_at + TimeDelta::microseconds(1);
    for (wish, now) in [(closed, start()), (wish(2), over)] {
        let mut promise = pledge(&wish, 1, 2);
        wish.end_late(&mut promise, now);
        assert_eq!(promise.state, PledgeState::Lapsed);
        assert_eq!(promise.ended_at, Some(wish.closes_at));
    }
    let open = wish(2);
    let mut promise = pledge(&open, 1, 2);
    open.end_late(&mut promise, open.closes_at);
    assert_eq!(promise.state, PledgeState::Active);
}

/// A wish with a pledge of all of it, confirmed.
fn confirmed(target: i64) -> (Wish, Pledge) {
    let mut wish = wish(target);
    let mut promise = pledge(&wish, 1, target);
    wish.pledge(target).unwrap();
    promise.deliver(delivery(), start()).unwrap();
    wish.deliver(target);
    promise.end(PledgeState::Confirmed, start());
    wish.confirm(target, start());
    (wish, promise)
}

#[test]
fn a_reversed_pledge_was_confirmed_and_says_when_and_why() {
    let (_, promise) = confirmed(2);
    let mut reversed = promise.clone();
    let now = start() + DAY;
    reversed.reverse("faulty".to_owned(), now).unwrap();
    let expected = Pledge {
        state: PledgeState::Reversed,
        reversed_at: Some(now),
        reversal_reason: "faulty".to_owned(),
        ..promise
    };
    assert_eq!(reversed, expected);
    // Behind every end of the clock too.
    assert_eq!(reversed.clone().at(start() + DAY * 100), expected);
    let again = reversed.reverse("again".to_owned(), now);
    assert!(matches!(again, Err(Refusal::WrongState { .. })));
    for state in [
        PledgeState::Pending,
        PledgeState::Active,
        PledgeState::Delivered,
        PledgeState::Withdrawn,
        PledgeState::Revoked,
        PledgeState::Lapsed,
    ] {
        let mut other = Pledge {
            state,
            ..expected.clone()
        };
        let refused = other.reverse(String::new(), now);
        assert!(
            matches!(refused, Err(Refusal::WrongState { .. })),
            "{state:?}"
        );
    }
}

#[test]
fn a_fulfilled_wish_stays_so_when_some_of_it_is_reversed_and_nobody_pledges_that_anew() {
    let (mut wish, promise) = confirmed(2);
    wish.reverse(promise.quantity);
    assert_eq!(wish.state, WishState::Fulfilled);
    assert_eq!(
        [wish.pledged, wish.delivered, wish.confirmed, wish.reversed],
        [0, 0, 0, 2]
    );
    assert!(matches!(wish.pledge(1), Err(Refusal::WishClosed { .. })));
    wish.close(3, String::new()).unwrap();
    assert_eq!(wish.clone().at(start() + DAY * 100), wish);
}

#[test]
fn what_is_reversed_of_an_open_wish_is_pledged_anew() {
    let (_, promise) = confirmed(2);
    let mut wish = wish(5);
    wish.pledge(5).unwrap();
    wish.deliver(2);
    wish.confirm(2, start());
    wish.reverse(promise.quantity);
    assert_eq!((wish.state, wish.pledged), (WishState::Published, 3));
    wish.pledge(2).unwrap();
    assert!(wish.is_covered());
}

#[test]
fn a_wish_that_was_all_delivered_by_its_close_has_lapsed_once_some_of_it_is_reversed() {
    let mut wish = wish(5);
    wish.pledge(5).unwrap();
    wish.deliver(5);
    wish.confirm(2, start());
    let late = wish.closes_at + DAY;
    assert_eq!(wish.clone().at(late).state, WishState::Published);
    wish.reverse(2);
    wish.lapse(Vec::new(), late);
    assert_eq!(
        (wish.state, wish.ended_at),
        (WishState::Lapsed, Some(wish.closes_at))
    );
    assert_eq!([wish.pledged, wish.delivered, wish.confirmed], [3, 3, 0]);
}

#[test]
fn a_wish_is_within_the_ceiling_of_its_scope_or_says_by_how_much_not() {
    let ceilings = |individual, common| ValueCeilings {
        individual,
        common,
        ..ValueCeilings::none(Community(Uuid::nil()), Uuid::nil())
    };
    let worth = |scope, estimated_value| Wish {
        scope,
        estimated_value,
        ..wish(1)
    };
    let (for_one, for_many) = (Scope::Individual, Scope::Common);
    let nil = Uuid::nil();
    for (ceilings, wish, expected) in [
        (ceilings(None, None), worth(for_one, None), Ok(())),
        (ceilings(None, Some(1)), worth(for_one, Some(9)), Ok(())),
        (ceilings(Some(9), None), worth(for_one, Some(9)), Ok(())),
        (
            ceilings(Some(9), Some(99)),
            worth(for_one, Some(10)),
            Err(Refusal::ValueAboveCeiling {
                wish: nil,
                ceiling: 9,
                value: 10,
            }),
        ),
        (
            ceilings(Some(9), Some(99)),
            worth(for_many, Some(99)),
            Ok(()),
        ),
        (
            ceilings(None, Some(99)),
            worth(for_many, None),
            Err(Refusal::ValueRequired {
                wish: nil,
                ceiling: 99,
            }),
        ),
    ] {
        assert_eq!(ceilings.require_within(&wish), expected);
    }
}

#[test]
fn the_reviewer_s_estimate_goes_before_the_one_that_was_written_down() {
    for (estimate, expected) in [(None, Some(5)), (Some(7), Some(7))] {
        let mut wish = Wish {
            state: WishState::Submitted,
            estimated_value: Some(5),
            ..wish(1)
        };
        wish.review(estimate).unwrap();
        assert_eq!(wish.estimated_value, expected);
    }
}

/// What somebody does to one of the pledges, or when time passes.
#[derive(Debug, Clone)]
enum Deed {
    Pledge(i64),
    Withdraw(usize),
    Deliver(usize),
    Refuse(usize),
    Revoke(usize),
    BeginToConfirm(usize),
    Confirm(usize),
    Reverse(usize),
    Wait(i32),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        (1..6_i64).prop_map(Deed::Pledge),
        (0..8_usize).prop_map(Deed::Withdraw),
        (0..8_usize).prop_map(Deed::Deliver),
        (0..8_usize).prop_map(Deed::Refuse),
        (0..8_usize).prop_map(Deed::Revoke),
        (0..8_usize).prop_map(Deed::BeginToConfirm),
        (0..8_usize).prop_map(Deed::Confirm),
        (0..8_usize).prop_map(Deed::Reverse),
        (1..15_i32).prop_map(Deed::Wait),
    ]
}

/// A wish with its pledges, each deed done as the service does it.
struct World {
    wish: Wish,
    pledges: Vec<Pledge>,
    now: DateTime<Utc>,
}

impl World {
    fn bring_up(&mut self) {
        let open = self
            .pledges
            .iter()
            .filter(|pledge| pledge.ended_at.is_none());
        for lapsed in self.wish.lapse(open.cloned().collect(), self.now) {
            let known = self.pledges.iter_mut().find(|known| known.id == lapsed.id);
            *known.unwrap() = lapsed;
        }
    }

    fn apply(&mut self, deed: &Deed) {
        let now = self.now;
        let number = match deed {
            Deed::Wait(days) => {
                self.now += DAY * *days;
                return;
            }
            Deed::Pledge(quantity) => {
                self.bring_up();
                if self.wish.pledge(*quantity).is_ok() {
                    let number = self.pledges.len() as u128;
                    self.pledges.push(pledge(&self.wish, number, *quantity));
                }
                return;
            }
            Deed::Withdraw(number)
            | Deed::Deliver(number)
            | Deed::Refuse(number)
            | Deed::Revoke(number)
            | Deed::BeginToConfirm(number)
            | Deed::Confirm(number)
            | Deed::Reverse(number) => *number,
        };
        self.bring_up();
        let Some(promise) = self.pledges.get_mut(number) else {
            return;
        };
        let before = promise.state;
        let done = match deed {
            Deed::Withdraw(_) => promise.withdraw(now),
            Deed::Deliver(_) => promise.deliver(delivery(), now),
            Deed::Refuse(_) => promise.refuse_delivery(String::new(), now),
            Deed::Revoke(_) => promise.revoke(String::new(), now),
            Deed::Reverse(_) => promise.reverse("faulty".to_owned(), now),
            Deed::BeginToConfirm(_) if promise.is_settling => return,
            Deed::BeginToConfirm(_) | Deed::Confirm(_) => promise.require_delivered(),
            Deed::Pledge(_) | Deed::Wait(_) => unreachable!("done above"),
        };
        if done.is_err() {
            return;
        }
        match deed {
            Deed::BeginToConfirm(_) => {
                promise.is_settling = true;
                self.wish.settling += promise.quantity;
            }
            Deed::Confirm(_) => {
                if promise.is_settling {
                    promise.is_settling = false;
                    self.wish.settling -= promise.quantity;
                }
                promise.end(PledgeState::Confirmed, now);
                self.wish.confirm(promise.quantity, now);
            }
            Deed::Deliver(_) => self.wish.deliver(promise.quantity),
            Deed::Reverse(_) => {
                self.wish.reverse(promise.quantity);
                self.wish.lapse(Vec::new(), now);
            }
            _ => {
                self.wish.lose(promise, before);
                self.wish.lapse(Vec::new(), now);
            }
        }
    }

    fn sum(&self, states: &[PledgeState]) -> i64 {
        let of = self
            .pledges
            .iter()
            .filter(|one| states.contains(&one.state));
        of.map(|one| one.quantity).sum()
    }
}

proptest! {
    #[test]
    fn a_wish_is_always_the_sum_of_its_pledges(
        target in 1..12_i64,
        deeds in prop::collection::vec(deed(), 1..40),
    ) {
        use PledgeState::{Active, Confirmed, Delivered, Reversed};
        let mut world = World { wish: wish(target), pledges: vec![], now: start() };
        for deed in &deeds {
            world.apply(deed);
            // What a reader is shown before it is written down is what is written down then.
            let shown = world.wish.clone().at(world.now);
            let pledges: Vec<_> = world.pledges.iter().map(|one| one.clone().at(world.now)).collect();
            world.bring_up();
            prop_assert_eq!(&shown, &world.wish);
            prop_assert_eq!(&pledges, &world.pledges);

            let wish = &world.wish;
            prop_assert_eq!(wish.pledged, world.sum(&[Active, Delivered, Confirmed]));
            prop_assert_eq!(wish.delivered, world.sum(&[Delivered, Confirmed]));
            prop_assert_eq!(wish.confirmed, world.sum(&[Confirmed]));
            prop_assert_eq!(wish.reversed, world.sum(&[Reversed]));
            prop_assert!(wish.pledged <= wish.target);
            let fulfilled = wish.state == WishState::Fulfilled;
            prop_assert!(fulfilled || wish.confirmed < wish.target);
            prop_assert!(!fulfilled || wish.confirmed + wish.reversed >= wish.target);
        }
    }
}
