use proptest::prelude::*;

use super::*;

const PAYOUT: Uuid = Uuid::from_u128(3);

fn day(day: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(day)
}

fn deed(by: &str, on: i64) -> Deed {
    Deed {
        by: by.to_owned(),
        at: day(on),
    }
}

fn draft() -> Payout {
    Payout {
        community: Community(Uuid::from_u128(1)),
        id: PAYOUT,
        programme: Uuid::from_u128(2),
        asset: "CNY".to_owned(),
        exponent: 2,
        state: PayoutState::Draft,
        cutoff_at: day(0),
        minimum: 0,
        more_owed: false,
        created: deed("STAFF01", 0),
        expires_at: day(0) + LIFE,
        frozen: None,
        exported: None,
        decided: None,
        reason: None,
    }
}

fn line(number: i32, state: LineState) -> Line {
    Line {
        number,
        member: Uuid::from_u128(u128::try_from(number).unwrap() + 100),
        amount: i64::from(number) * 1_000,
        state,
        entry: None,
        note: String::new(),
        steps: Uuid::nil(),
    }
}

fn two_held() -> Vec<Line> {
    vec![line(1, LineState::Held), line(2, LineState::Held)]
}

fn exported() -> Payout {
    let frozen = draft().freeze(&two_held(), day(0));
    frozen.export(deed("STAFF01", 1)).unwrap()
}

fn outcome(line: i32, is_paid: bool) -> Outcome {
    Outcome {
        line,
        is_paid,
        note: if is_paid { "" } else { "account closed" }.to_owned(),
    }
}

fn confirmation(payout: &Payout, outcomes: Vec<Outcome>) -> Confirmation {
    let hash = payout.frozen.map(|frozen| frozen.hash.to_string());
    Confirmation {
        hash: hash.unwrap_or_default(),
        outcomes,
    }
}

fn confirm(
    payout: Payout,
    outcomes: Vec<Outcome>,
    deed: Deed,
) -> Result<(Payout, Vec<Line>), Refusal> {
    let confirmation = confirmation(&payout, outcomes);
    payout.confirm(two_held(), confirmation, deed, |_| false)
}

fn states(lines: &[Line]) -> Vec<LineState> {
    lines.iter().map(|line| line.state).collect()
}

#[test]
fn a_list_has_what_each_is_owed_from_before_the_cut_off() {
    let member = Uuid::from_u128;
    let of = |number, amount| Available {
        member: member(number),
        amount,
    };
    let since = HashMap::from([(member(2), 300), (member(3), 900)]);
    let found = vec![of(4, 99), of(3, 900), of(2, 500), of(1, 100)];
    let (lines, more) = lines(found, &since, 100, Uuid::nil);
    let listed: Vec<(i32, Uuid, i64)> = lines
        .iter()
        .map(|line| (line.number, line.member, line.amount))
        .collect();
    assert_eq!(listed, [(1, member(1), 100), (2, member(2), 200)]);
    assert!(!more);
}

#[test]
fn a_list_takes_so_many_and_says_that_there_are_more() {
    let of = |number: usize| Available {
        member: Uuid::from_u128(u128::try_from(number).unwrap()),
        amount: 1,
    };
    for (owed, more) in [(MOST_LINES, false), (MOST_LINES + 1, true)] {
        let (lines, is_more) = lines((1..=owed).map(of).collect(), &HashMap::new(), 0, Uuid::nil);
        assert_eq!((lines.len(), is_more), (MOST_LINES, more));
    }
}

#[test]
fn a_list_is_frozen_when_no_line_waits_and_then_never_again() {
    let waits = [line(1, LineState::Held), line(2, LineState::Pending)];
    assert_eq!(draft().freeze(&waits, day(1)).frozen, None);
    let frozen = draft().freeze(&two_held(), day(1));
    assert_eq!(frozen.frozen.unwrap().at, day(1));
    let again = frozen.clone().freeze(&two_held()[..1], day(2));
    assert_eq!(again, frozen);
}

#[test]
fn the_hash_is_over_number_member_and_amount_of_what_was_held() {
    let with_another = [two_held(), vec![line(3, LineState::NotHeld)]].concat();
    let frozen = |lines: &[Line]| draft().freeze(lines, day(1)).frozen.unwrap().hash;
    assert_eq!(frozen(&with_another), frozen(&two_held()));

    let digest = |text: String| {
        let bytes = Sha256::digest(text);
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let community = "communities/00000000-0000-0000-0000-000000000001";
    let member =
        |last: &str| format!("{community}/members/00000000-0000-0000-0000-0000000000{last}");
    let seed = digest(format!("{community}/payouts/{PAYOUT}"));
    let first = digest(format!("{seed}\t1\t{}\t1000", member("65")));
    let second = digest(format!("{first}\t2\t{}\t2000", member("66")));
    assert_eq!(frozen(&two_held()).to_string(), second);

    let mut other = two_held();
    other[0].amount += 1;
    assert_ne!(frozen(&other), frozen(&two_held()));
}

#[test]
fn only_a_frozen_list_leaves_and_who_had_it_first_is_kept() {
    let refused = draft().export(deed("STAFF01", 1)).unwrap_err();
    assert_eq!(refused, Refusal::PayoutNotReady { payout: PAYOUT });
    let again = exported().export(deed("STAFF02", 2)).unwrap();
    assert_eq!(again.exported, Some(deed("STAFF01", 1)));
}

#[test]
fn a_second_person_says_what_became_of_every_line() {
    let both = || vec![outcome(1, true), outcome(2, false)];
    let alone = confirm(exported(), both(), deed("STAFF01", 2));
    let second = Refusal::SecondPersonRequired {
        resource: Resource::Payout,
        id: PAYOUT,
    };
    assert_eq!(alone.unwrap_err(), second);

    let (payout, lines) = confirm(exported(), both(), deed("STAFF02", 2)).unwrap();
    assert_eq!(payout.state, PayoutState::Confirmed);
    assert_eq!(payout.decided, Some(deed("STAFF02", 2)));
    assert_eq!(states(&lines), [LineState::Paying, LineState::Failing]);
    assert_eq!(lines[1].note, "account closed");

    let payout = PAYOUT;
    let cases = [
        (
            vec![outcome(1, true)],
            Refusal::OutcomeMissing { payout, line: 2 },
        ),
        (
            [both(), vec![outcome(3, true)]].concat(),
            Refusal::OutcomeOfNoLine { payout, line: 3 },
        ),
    ];
    for (outcomes, refusal) in cases {
        let refused = confirm(exported(), outcomes, deed("STAFF02", 2));
        assert_eq!(refused.unwrap_err(), refusal);
    }
}

#[test]
fn nobody_confirms_their_own_payment_or_another_list() {
    let both = || vec![outcome(1, true), outcome(2, true)];
    let second = line(2, LineState::Held).member;
    let given = confirmation(&exported(), both());
    let own = exported().confirm(two_held(), given, deed("STAFF02", 2), |member| {
        member == second
    });
    let payout = PAYOUT;
    assert_eq!(own.unwrap_err(), Refusal::SelfPayout { payout, line: 2 });

    let other = Confirmation {
        hash: "0".repeat(64),
        outcomes: both(),
    };
    let refused = exported().confirm(two_held(), other, deed("STAFF02", 2), |_| false);
    assert!(matches!(
        refused.unwrap_err(),
        Refusal::PayoutHashMismatch { .. }
    ));
}

#[test]
fn a_list_ends_by_itself_when_its_time_is_over_and_nothing_is_confirmed_any_more() {
    let last = LIFE.num_days();
    let both = || vec![outcome(1, true), outcome(2, true)];
    assert!(
        exported()
            .expire(two_held(), day(last) - TimeDelta::seconds(1))
            .is_none()
    );
    assert!(matches!(
        confirm(exported(), both(), deed("STAFF02", last)).unwrap_err(),
        Refusal::PayoutExpired { .. }
    ));
    let frozen = draft().freeze(&two_held(), day(1));
    assert!(frozen.export(deed("STAFF02", last)).is_err());

    let (ended, lines) = exported().expire(two_held(), day(last)).unwrap();
    assert_eq!(ended.state, PayoutState::Cancelled);
    assert_eq!(ended.decided, Some(deed("", last)));
    assert_eq!(states(&lines), [LineState::Cancelling; 2]);
    assert!(ended.expire(two_held(), day(last)).is_none());
    assert!(exported().holds_until() > exported().expires_at);
}

#[test]
fn one_person_cancels_a_draft_and_another_what_may_be_at_the_bank() {
    let lines = || {
        vec![
            line(1, LineState::Pending),
            line(2, LineState::Held),
            line(3, LineState::NotHeld),
        ]
    };
    let why = || "wrong month".to_owned();
    let (cancelled, back) = draft().cancel(lines(), deed("STAFF01", 1), why()).unwrap();
    assert_eq!(cancelled.reason, Some(why()));
    assert_eq!(states(&back), [LineState::Cancelling; 2]);

    assert!(
        exported()
            .cancel(two_held(), deed("STAFF01", 2), why())
            .is_err()
    );
    assert!(
        exported()
            .cancel(two_held(), deed("STAFF02", 2), why())
            .is_ok()
    );
    let (confirmed, _) = confirm(
        exported(),
        vec![outcome(1, true), outcome(2, true)],
        deed("STAFF02", 2),
    )
    .unwrap();
    let decided = [cancelled, confirmed];
    for payout in decided {
        let refused = payout.cancel(vec![], deed("STAFF03", 3), why());
        assert!(matches!(refused.unwrap_err(), Refusal::WrongState { .. }));
    }
}

#[test]
fn a_line_moves_only_by_what_it_waits_for() {
    use LineState::{Cancelled, Cancelling, Failed, Failing, Held, NotHeld, Paid, Paying, Pending};
    let all = [
        Pending, Held, NotHeld, Paying, Paid, Failing, Failed, Cancelling, Cancelled,
    ];
    let answers = [Said::Held, Said::NotHeld, Said::Captured(7), Said::Returned];
    let moves: Vec<(LineState, Said, LineState, Option<i64>)> = all
        .into_iter()
        .flat_map(|state| answers.map(|said| (state, said)))
        .filter_map(|(state, said)| {
            let after = line(1, state).settle(said)?;
            assert!(state.is_moving() && !after.state.is_moving());
            Some((state, said, after.state, after.entry))
        })
        .collect();
    assert_eq!(
        moves,
        [
            (Pending, Said::Held, Held, None),
            (Pending, Said::NotHeld, NotHeld, None),
            (Paying, Said::Captured(7), Paid, Some(7)),
            (Failing, Said::Returned, Failed, None),
            (Cancelling, Said::Returned, Cancelled, None),
        ]
    );
}

proptest! {
    #[test]
    fn no_line_is_more_than_what_is_available(
        owed in prop::collection::vec((0i64..=i64::MAX, 0i64..=i64::MAX), 0..50),
        minimum in 0i64..1_000,
    ) {
        let member = |index: usize| Uuid::from_u128(u128::try_from(index).unwrap());
        let found = owed.iter().enumerate().map(|(index, (amount, _))| Available {
            member: member(index),
            amount: *amount,
        });
        let since = owed.iter().enumerate().map(|(index, (_, since))| (member(index), *since));
        let (lines, _) = lines(found.collect(), &since.collect(), minimum, Uuid::nil);
        for line in lines {
            let (amount, _) = owed[usize::try_from(line.member.as_u128()).unwrap()];
            prop_assert!(line.amount >= 1 && line.amount >= minimum && line.amount <= amount);
        }
    }
}
