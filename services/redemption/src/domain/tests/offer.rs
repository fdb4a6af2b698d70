//! Merchants and offers.

use super::*;

#[test]
fn names_are_read_back() {
    for state in MerchantState::ALL {
        assert_eq!(MerchantState::parse(state.as_str()), Some(state));
    }
    for state in OfferState::ALL {
        assert_eq!(OfferState::parse(state.as_str()), Some(state));
    }
    for audience in Audience::ALL {
        assert_eq!(Audience::parse(audience.as_str()), Some(audience));
    }
    for state in RedemptionState::ALL {
        assert_eq!(RedemptionState::parse(state.as_str()), Some(state));
    }
    for kind in Kind::ALL {
        assert_eq!(Kind::parse(kind.as_str()), Some(kind));
    }
    assert_eq!(RedemptionState::parse("sold"), None);
}

#[test]
fn a_merchant_moves_as_drawn_and_no_other_way() {
    use MerchantState::*;
    use MerchantStep::*;
    let allowed = [
        (Active, Suspend, Suspended),
        (Suspended, Resume, Active),
        (Active, Terminate, Terminated),
        (Suspended, Terminate, Terminated),
    ];
    for from in MerchantState::ALL {
        for step in [Suspend, Resume, Terminate] {
            let expected = allowed.iter().find(|one| (one.0, one.1) == (from, step));
            assert_eq!(
                from.after(step),
                expected.map(|one| one.2),
                "{from:?} {step:?}"
            );
        }
    }
}

#[test]
fn an_offer_moves_as_drawn_and_no_other_way() {
    use OfferState::*;
    use OfferStep::*;
    let allowed = [
        (Draft, Submit, InReview),
        (InReview, Return, Draft),
        (Draft, Activate, Active),
        (InReview, Activate, Active),
        (Active, Pause, Paused),
        (Paused, Resume, Active),
        (Draft, End, Ended),
        (InReview, End, Ended),
        (Active, End, Ended),
        (Paused, End, Ended),
    ];
    for from in OfferState::ALL {
        for step in [Submit, Return, Activate, Pause, Resume, End] {
            let expected = allowed.iter().find(|one| (one.0, one.1) == (from, step));
            assert_eq!(
                from.after(step),
                expected.map(|one| one.2),
                "{from:?} {step:?}"
            );
        }
    }
}

#[test]
fn a_redemption_is_refused_for_the_first_reason_that_is_true() {
    let mut offer = Offer {
        state: OfferState::Paused,
        audience: Audience::Senior,
        stock_left: 0,
        ..offer()
    };
    let erased = Member {
        is_erased: true,
        ..RIDER
    };
    let mut counter = Counter {
        merchant: MerchantState::Terminated,
        agreed: false,
        taken: 3,
        now: at("2026-04-10T04:00:00Z"),
        member: &erased,
        ..counter()
    };
    let reason = |offer: &Offer, counter: &Counter<'_>| offer.admit(counter).unwrap_err();

    assert_eq!(reason(&offer, &counter), Refusal::MemberErased);
    counter.member = &RIDER;
    assert!(matches!(
        reason(&offer, &counter),
        Refusal::MerchantSuspended { .. }
    ));
    counter.merchant = MerchantState::Active;
    assert_eq!(
        reason(&offer, &counter),
        Refusal::OfferNotActive(Inactive::State(OfferState::Paused))
    );
    offer.state = OfferState::Active;
    assert!(matches!(
        reason(&offer, &counter),
        Refusal::OfferNotActive(Inactive::Date { .. })
    ));
    counter.now = at("2026-03-10T04:00:00Z");
    assert!(matches!(
        reason(&offer, &counter),
        Refusal::OfferNotActive(Inactive::Agreement { .. })
    ));
    counter.agreed = true;
    assert!(matches!(
        reason(&offer, &counter),
        Refusal::AudienceNotMatched { .. }
    ));
    offer.audience = Audience::Gig;
    assert_eq!(
        reason(&offer, &counter),
        Refusal::OfferSoldOut { left: 0, asked: 1 }
    );
    offer.stock_left = 1;
    assert_eq!(
        reason(&offer, &counter),
        Refusal::MemberLimitReached {
            limit: 3,
            taken: 3,
            asked: 1
        }
    );
    counter.taken = 2;
    assert_eq!(offer.admit(&counter), Ok(()));
}

#[test]
fn the_days_of_an_offer_begin_and_end_at_midnight_of_its_own_zone() {
    let admitted = |now: &str| {
        let counter = Counter {
            now: at(now),
            ..counter()
        };
        offer().admit(&counter).is_ok()
    };
    assert!(!admitted("2026-02-28T15:59:59.999999Z"));
    assert!(admitted("2026-02-28T16:00:00Z"));
    assert!(admitted("2026-03-31T15:59:59.999999Z"));
    assert!(!admitted("2026-03-31T16:00:00Z"));
}

#[test]
fn gig_workers_are_couriers_riders_and_drivers() {
    let of = |kind| Member {
        kind,
        birth_year: None,
        is_erased: false,
    };
    for kind in [MemberKind::Courier, MemberKind::Rider, MemberKind::Driver] {
        assert!(Audience::Gig.includes(&of(kind), 2026), "{kind:?}");
    }
    for kind in [MemberKind::Resident, MemberKind::Staff] {
        assert!(!Audience::Gig.includes(&of(kind), 2026), "{kind:?}");
        assert!(Audience::All.includes(&of(kind), 2026), "{kind:?}");
    }
}

#[test]
fn seniors_turn_60_in_or_before_the_local_year() {
    let senior = |birth_year, now: &str| {
        let member = Member {
            kind: MemberKind::Resident,
            birth_year,
            is_erased: false,
        };
        let offer = Offer {
            audience: Audience::Senior,
            start: day("2025-12-01"),
            end: day("2026-12-31"),
            ..offer()
        };
        let counter = Counter {
            member: &member,
            now: at(now),
            ..counter()
        };
        offer.admit(&counter).is_ok()
    };
    assert!(senior(Some(1966), "2026-03-10T04:00:00Z"));
    assert!(!senior(Some(1967), "2026-03-10T04:00:00Z"));
    assert!(!senior(None, "2026-03-10T04:00:00Z"));
    // In Shanghai the year ends eight hours before it does in UTC.
    assert!(!senior(Some(1966), "2025-12-31T15:59:59Z"));
    assert!(senior(Some(1966), "2025-12-31T16:00:00Z"));
}

#[test]
fn stock_can_be_added_and_only_what_is_unsold_taken_away() {
    let offer = Offer {
        stock_left: 4,
        ..offer()
    };
    let more = offer.clone().adjust_stock(5).unwrap();
    assert_eq!((more.stock, more.stock_left), (15, 9));
    let less = offer.clone().adjust_stock(-4).unwrap();
    assert_eq!((less.stock, less.stock_left), (6, 0));
    assert_eq!(
        offer.clone().adjust_stock(-5),
        Err(Refusal::OfferSoldOut { left: 4, asked: 5 })
    );
    let ended = offer.step(OfferStep::End).unwrap();
    assert!(matches!(
        ended.clone().adjust_stock(1),
        Err(Refusal::WrongState { .. })
    ));
    assert!(matches!(ended.revise(1), Err(Refusal::WrongState { .. })));
}

proptest! {
    /// Whatever was taken before, nobody passes the limit and nothing that is not there is given.
    #[test]
    fn neither_stock_nor_quota_is_passed(left in 0_i64..20, taken in 0_i64..20, quantity in 1_i64..20, limit in prop::option::of(1_i64..20)) {
        let offer = Offer { stock_left: left, per_member_limit: limit, ..offer() };
        let admitted = offer.admit(&Counter { taken, quantity, ..counter() }).is_ok();
        let fits = quantity <= left && limit.is_none_or(|limit| taken + quantity <= limit);
        prop_assert_eq!(admitted, fits);
    }
}
