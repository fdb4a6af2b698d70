//! How a day's lines add up and are chained, and what may become of its statement.

use super::*;

fn settlement() -> Settlement {
    Settlement::begin(&offer())
}

fn begun() -> Statement {
    Statement::begin(&settlement(), day("2026-03-10"))
}

fn posting(sequence: i64, points: i64, balance: i64) -> Posting {
    Posting {
        sequence,
        points,
        balance,
        at: at("2026-03-10T04:00:00.000001Z"),
        description: "理发 × 1".into(),
    }
}

fn step(sequence: i64, is_reversal: bool) -> Option<KnownStep> {
    Some(KnownStep {
        sequence,
        is_reversal,
        redemption: Uuid::from_u128(7),
        offer: Uuid::from_u128(2),
        title: "=理发".into(),
        quantity: 1,
    })
}

fn adjustment(points: i64) -> Adjustment {
    Adjustment {
        date: day("2026-03-09"),
        line: 4,
        redemption: Some(Uuid::from_u128(7)),
        offer: Some(Uuid::from_u128(2)),
        points,
        reason: "少记一次".into(),
        at: at("2026-03-10T05:00:00Z"),
    }
}

fn deed(by: &str) -> Deed {
    Deed {
        by: by.into(),
        at: at("2026-03-11T00:00:00Z"),
    }
}

fn decider(by: &str) -> Decider {
    Decider {
        deed: deed(by),
        is_merchant: false,
    }
}

#[test]
fn what_comes_late_for_a_closed_day_is_of_the_first_open_one() {
    let settlement = Settlement {
        next_date: day("2026-03-10"),
        ..settlement()
    };
    for (first, date) in [
        ("2026-03-09T15:59:59.999999Z", "2026-03-10"),
        ("2026-03-09T16:00:00Z", "2026-03-10"),
        ("2026-03-10T15:59:59.999999Z", "2026-03-10"),
        ("2026-03-10T16:00:00Z", "2026-03-11"),
    ] {
        assert_eq!(settlement.day_of(at(first)), day(date), "{first}");
    }
}

#[test]
fn captures_reversals_and_what_is_unknown_make_the_balance_and_adjustments_only_what_is_owed() {
    let mut statement = begun();
    let lines = [
        statement.post(posting(3, 30, 30), step(3, false)).unwrap(),
        statement.post(posting(5, -30, 0), step(5, true)).unwrap(),
        statement.post(posting(9, 7, 7), None).unwrap(),
        statement.adjust(adjustment(-20)).unwrap(),
    ];
    let kinds = lines.each_ref().map(|line| line.kind);
    assert_eq!(kinds, LineKind::ALL);
    assert_eq!(lines.each_ref().map(|line| line.number), [1, 2, 3, 4]);
    assert_eq!(lines.each_ref().map(|line| line.balance), [30, 0, 7, 7]);
    assert_eq!(
        statement.totals,
        Totals {
            captured: 30,
            reversed: 30,
            other: 7,
            adjusted: -20
        }
    );
    assert_eq!(
        (statement.opening_balance, statement.closing_balance),
        (0, 7)
    );
    assert_eq!(statement.payable(), Some(-13));
    assert_eq!(statement.last_sequence, 9);
}

#[test]
fn what_does_not_follow_is_not_taken() {
    for (sequence, points, balance) in [(3, 30, 31), (3, 30, 29), (0, 30, 30), (3, i64::MAX, 0)] {
        let mut statement = begun();
        statement.last_sequence = 1;
        let line = statement.post(posting(sequence, points, balance), None);
        assert_eq!(line, None, "{sequence} {points} {balance}");
    }
    let mut twice = begun();
    twice.post(posting(3, 30, 30), None).unwrap();
    assert_eq!(twice.post(posting(3, 30, 60), None), None);
    let mut full = begun();
    full.adjust(adjustment(i64::MAX)).unwrap();
    assert_eq!(full.adjust(adjustment(1)), None);
}

#[test]
fn the_hash_is_what_the_contract_says() {
    let mut statement = begun();
    assert_eq!(
        statement.hash.to_string(),
        "c006db90bfd2258d788c107402f1ac31d7e19578c318d62ce2709bf2e549749f"
    );
    let line = statement.post(posting(3, 30, 30), step(3, false)).unwrap();
    assert_eq!(
        line.cells(),
        [
            "2026-03-10",
            "1",
            "CAPTURE",
            "3",
            "00000000-0000-0000-0000-000000000007",
            "00000000-0000-0000-0000-000000000002",
            "=理发",
            "1",
            "30",
            "30",
            "2026-03-10T04:00:00.000001Z",
            "",
        ]
    );
    assert_eq!(
        statement.hash.to_string(),
        "801c7cbf3c1dd6222ac066aa84547dc609b198fdac58815fcbb24c6e9fa270e4"
    );
    let adjusted = statement.adjust(adjustment(-20)).unwrap();
    assert_eq!(adjusted.cells()[11], "2026-03-09#4");
    assert_eq!(
        statement.hash,
        statement.previous_hash.then(&line).then(&adjusted)
    );
}

proptest! {
    #[test]
    fn no_line_can_be_changed_moved_or_left_out(
        points in prop::collection::vec(1_i64..1000, 2..8), at in any::<prop::sample::Index>(), by in 1_i64..9,
    ) {
        let mut statement = begun();
        let lines: Vec<Line> = (1..).zip(&points).map(|(sequence, points)| {
            let balance = statement.closing_balance + points;
            statement.post(posting(sequence, *points, balance), None).unwrap()
        }).collect();
        let hash = |lines: &[Line]| lines.iter().fold(statement.previous_hash, |hash, line| hash.then(line));
        prop_assert_eq!(hash(&lines), statement.hash);
        let at = at.index(lines.len());
        let mut changed = lines.clone();
        changed[at].points += by;
        prop_assert_ne!(hash(&changed), statement.hash);
        let mut shorter = lines.clone();
        shorter.remove(at);
        prop_assert_ne!(hash(&shorter), statement.hash);
        let mut moved = lines.clone();
        moved.rotate_left(1);
        prop_assert_ne!(hash(&moved), statement.hash);
    }
}

#[test]
fn every_state_allows_its_steps_and_no_other() {
    use StatementState::{Closed, Confirmed, Disputed, Empty, Open, Paid};
    for (state, confirms, disputes, pays) in [
        (Open, false, false, false),
        (Empty, false, false, false),
        (Closed, true, true, false),
        (Disputed, false, true, false),
        (Confirmed, false, false, true),
        (Paid, false, false, false),
    ] {
        let statement = Statement {
            state,
            confirmed: matches!(state, Confirmed | Paid).then(|| deed("shop")),
            paid: matches!(state, Paid).then(|| Payment {
                deed: deed("ann"),
                reference: "T1".into(),
            }),
            ..begun()
        };
        let confirmed = statement.clone().confirm(deed("shop"));
        assert_eq!(confirmed.is_ok(), confirms, "{state:?} confirm");
        let disputed = statement.clone().dispute();
        assert_eq!(disputed.is_ok(), disputes, "{state:?} dispute");
        let closed = matches!(
            disputed,
            Err(Refusal::Settlement(
                SettlementRefusal::StatementClosed { .. }
            ))
        );
        assert_eq!(closed, matches!(state, Confirmed | Paid), "{state:?}");
        let paid = statement.clone().pay(decider("bob"), "T2".into(), &[]);
        assert_eq!(paid.is_ok(), pays, "{state:?} pay");
        assert_eq!(statement.clone().resolved(1).state, state);
        let last = if state == Disputed { Closed } else { state };
        assert_eq!(statement.resolved(0).state, last, "{state:?}");
    }
}

#[test]
fn who_is_paid_who_confirmed_and_who_adjusted_do_not_pay() {
    let confirmed = begun()
        .close(at("2026-03-11T00:00:00Z"))
        .confirm(deed("shop"))
        .unwrap();
    let pay = |payer| {
        let paid = confirmed.clone().pay(payer, "T1".into(), &["ann".into()]);
        paid.map(|paid| paid.state)
    };
    let second = Err(Refusal::Settlement(SettlementRefusal::SecondPerson {
        date: day("2026-03-10"),
    }));
    assert_eq!(pay(decider("shop")), second);
    assert_eq!(pay(decider("ann")), second);
    let owner = Decider {
        is_merchant: true,
        ..decider("bob")
    };
    assert_eq!(pay(owner), second);
    assert_eq!(pay(decider("bob")), Ok(StatementState::Paid));
}

#[test]
fn a_dispute_ends_once_and_not_by_who_began_it() {
    let dispute = Dispute {
        reason: "只取了一份".into(),
        opened: deed("shop"),
        resolution: None,
    };
    let line = (begun().name, 1);
    let resolve = |dispute: &Dispute, points, by| {
        let resolved = dispute.clone().resolve(line, points, "核对".into(), by);
        resolved.map(|resolved| resolved.state())
    };
    assert_eq!(resolve(&dispute, None, decider("ann")), Ok("declined"));
    assert_eq!(resolve(&dispute, Some(5), decider("ann")), Ok("accepted"));
    let owner = Decider {
        is_merchant: true,
        ..decider("ann")
    };
    for by in [decider("shop"), owner] {
        let refusal = resolve(&dispute, Some(5), by).unwrap_err();
        let second = matches!(
            refusal,
            Refusal::Settlement(SettlementRefusal::SecondPerson { .. })
        );
        assert!(second, "{refusal:?}");
    }
    let ended = dispute.resolve(line, None, "核对".into(), decider("ann"));
    let refusal = resolve(&ended.unwrap(), Some(5), decider("bob")).unwrap_err();
    let over = matches!(
        refusal,
        Refusal::Settlement(SettlementRefusal::DisputeState { .. })
    );
    assert!(over, "{refusal:?}");
}
