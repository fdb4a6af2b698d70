//! What may become of a wish and its pledges, and that the clock and the tables never say different things.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use uuid::Uuid;

use super::{
    Community,
    pledge::{Delivery, Pledge, PledgeState, Pledger},
    refusal::Refusal,
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
        (Wish::review, &[Submitted], Reviewed),
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
            | Deed::Confirm(number) => *number,
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
        use PledgeState::{Active, Confirmed, Delivered};
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
            prop_assert!(wish.pledged <= wish.target);
            prop_assert_eq!(wish.state == WishState::Fulfilled, wish.confirmed == wish.target);
        }
    }
}
