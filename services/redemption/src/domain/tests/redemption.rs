//! Redemptions.

use super::*;

#[test]
fn what_each_state_allows() {
    use RedemptionState::*;
    let now = at(BEFORE_THE_END);
    let of = |state| redemption(state);
    let wrong = |refusal: Refusal| matches!(refusal, Refusal::WrongState { .. });

    assert_eq!(of(Held).capture(None, now), Ok(4));
    assert_eq!(of(Held).capture(Some(1), now), Ok(1));
    let exceeds = Refusal::AmountExceedsHeld { held: 4, asked: 5 };
    assert_eq!(of(Held).capture(Some(5), now), Err(exceeds));
    for state in [Captured, Reversed] {
        assert_eq!(of(state).capture(None, now), Err(Refusal::AlreadyCaptured));
        assert_eq!(of(state).release(now), Err(Refusal::AlreadyCaptured));
    }
    let expired = of(Expired).capture(None, now).unwrap_err();
    assert!(matches!(expired, Refusal::HoldExpired { .. }));
    for state in [Pending, Released] {
        assert!(wrong(of(state).capture(None, now).unwrap_err()));
    }

    assert_eq!(of(Held).release(now), Ok(4));
    for state in [Pending, Released, Expired] {
        assert!(wrong(of(state).release(now).unwrap_err()));
    }

    assert_eq!(of(Captured).reverse(None, now), Ok(4));
    for state in [Pending, Held, Reversed, Released, Expired] {
        assert!(wrong(of(state).reverse(None, now).unwrap_err()));
    }

    assert_eq!(of(Held).undo(now), Ok(Some((Kind::Release, 4))));
    assert_eq!(of(Captured).undo(now), Ok(Some((Kind::Reverse, 4))));
    for state in [Reversed, Released, Expired] {
        assert_eq!(of(state).undo(now), Ok(None));
    }
}

#[test]
fn a_hold_ends_at_its_instant_even_if_no_one_has_looked() {
    let held = redemption(RedemptionState::Held);
    assert!(held.capture(None, at(BEFORE_THE_END)).is_ok());
    let late = held.capture(None, at(AT_THE_END)).unwrap_err();
    assert_eq!(
        late,
        Refusal::HoldExpired {
            expired_at: at(AT_THE_END)
        }
    );
    assert!(held.release(at(AT_THE_END)).is_err());
}

#[test]
fn the_last_instant_of_the_window_still_reverses() {
    let captured = redemption(RedemptionState::Captured);
    let until = captured.reversible_until().unwrap();
    assert_eq!(until, at("2026-03-17T04:01:00Z"));
    assert_eq!(captured.reverse(Some(2), until), Ok(2));
    let late = until + TimeDelta::microseconds(1);
    let closed = Refusal::ReversalWindowClosed { until };
    assert_eq!(captured.reverse(Some(2), late), Err(closed.clone()));
    assert_eq!(captured.undo(late), Err(closed));
    assert_eq!(
        captured.reverse(Some(5), until),
        Err(Refusal::QuantityExceedsCaptured { left: 4, asked: 5 })
    );
}

#[test]
fn what_the_ledger_did_moves_the_redemption() {
    use RedemptionState::*;
    let table = [
        (Pending, Kind::Hold, 4, Held, 0),
        (Pending, Kind::Redeem, 4, Captured, 0),
        (Held, Kind::Capture, 4, Captured, 0),
        (Held, Kind::Capture, 1, Captured, 3),
        (Held, Kind::Release, 4, Released, 4),
        (Expired, Kind::Expire, 4, Expired, 0),
        (Captured, Kind::Reverse, 1, Captured, 1),
        (Captured, Kind::Reverse, 4, Reversed, 4),
    ];
    for (from, kind, quantity, to, stock_back) in table {
        let settled = redemption(from).settle(&operation(kind, quantity), &done());
        let state = settled.redemption.map(|after| after.state);
        assert_eq!(
            (state, settled.stock_back, settled.refusal),
            (Some(to), stock_back, None),
            "{from:?} {kind:?} {quantity}"
        );
    }
}

#[test]
fn what_the_ledger_refused_undoes_or_leaves_the_redemption() {
    use RedemptionState::*;
    let settle =
        |from, kind, reason| redemption(from).settle(&operation(kind, 4), &refused(reason));

    for kind in [Kind::Hold, Kind::Redeem] {
        for reason in ["INSUFFICIENT_POINTS", "ACCOUNT_NOT_FOUND"] {
            let settled = settle(Pending, kind, reason);
            assert_eq!((settled.redemption, settled.stock_back), (None, 4));
            assert!(matches!(
                settled.refusal,
                Some(Refusal::InsufficientPoints { needed: 120, .. })
            ));
        }
    }
    for reason in ["HOLD_EXPIRED", "HOLD_CLOSED", "HOLD_NOT_FOUND"] {
        let captured = settle(Held, Kind::Capture, reason);
        assert_eq!(captured.redemption.map(|after| after.state), Some(Expired));
        assert_eq!(captured.stock_back, 4);
        assert!(matches!(
            captured.refusal,
            Some(Refusal::HoldExpired { .. })
        ));
        let released = settle(Held, Kind::Release, reason);
        assert_eq!(released.redemption.map(|after| after.state), Some(Released));
        assert_eq!((released.stock_back, released.refusal), (4, None));
        let expired = settle(Expired, Kind::Expire, reason);
        assert_eq!((expired.stock_back, expired.refusal), (0, None));
    }
    let reversed = settle(Captured, Kind::Reverse, "LIMIT_EXCEEDED");
    assert_eq!(reversed.redemption, Some(redemption(Captured)));
    assert!(matches!(
        reversed.refusal,
        Some(Refusal::LedgerRefused { .. })
    ));
}

#[test]
fn refusals_are_read_back_as_they_were_kept() {
    let refusals = [
        Refusal::AlreadyCaptured,
        Refusal::OfferNotActive(Inactive::Date {
            today: day("2026-04-01"),
            start: day("2026-03-01"),
            end: day("2026-03-31"),
        }),
        Refusal::InsufficientPoints {
            needed: 30,
            available: None,
        },
        Refusal::HoldExpired {
            expired_at: at(BEFORE_THE_END),
        },
    ];
    for refusal in refusals {
        let kept = serde_json::to_value(&refusal).unwrap();
        assert_eq!(serde_json::from_value::<Refusal>(kept).unwrap(), refusal);
    }
}

proptest! {
    /// Whatever is captured and reversed in whatever portions, all of the stock is either taken or back, and never more.
    #[test]
    fn stock_is_neither_lost_nor_made(captured in 1_i64..=4, portions in prop::collection::vec(1_i64..=4, 0..8)) {
        let now = at("2026-03-10T04:02:00Z");
        let held = redemption(RedemptionState::Held);
        let settled = held.settle(&operation(Kind::Capture, captured), &done());
        let mut back = settled.stock_back;
        let mut one = settled.redemption.unwrap();
        for portion in portions {
            if let Ok(quantity) = one.reverse(Some(portion), now) {
                let settled = one.settle(&operation(Kind::Reverse, quantity), &done());
                back += settled.stock_back;
                one = settled.redemption.unwrap();
            }
            prop_assert_eq!(back + one.reversible_quantity(), one.quantity);
            let is_whole = one.reversed_quantity == one.captured_quantity;
            prop_assert_eq!(one.state == RedemptionState::Reversed, is_whole);
        }
    }
}
