//! Balances at a point of the past.

use proto::ledger::v1::{self as pb, get_account_balance_request::Point};
use runtime::{reason_of, timestamp};
use tonic::{Code, Status};

use crate::world::{ANNA, BAO, ISSUING, MERCHANT, World, account, fault, grant, noon, transfer};

/// Balance, sequence and the account's last sequence.
async fn at(world: &World, number: u128, point: Point) -> Result<(i64, i64, i64), Status> {
    let request = pb::GetAccountBalanceRequest {
        name: account(number),
        point: Some(point),
    };
    let answer = world.client.clone().get_account_balance(request).await?;
    let at = answer.into_inner();
    assert_eq!(at.account, account(number));
    Ok((at.balance, at.sequence, at.last_sequence))
}

#[tokio::test]
async fn a_balance_of_any_sequence_is_the_sum_of_the_entries_up_to_it() {
    let mut world = World::start().await;
    // 700 entries, so that a statement has several pages; the amounts tell them apart.
    let mut transfers = Vec::new();
    for number in 1..=350_i64 {
        let id = u128::from(number.unsigned_abs());
        transfers.push(transfer(id, ISSUING, ANNA, number));
        let to = if number % 3 == 0 { BAO } else { ANNA };
        transfers.push(transfer(1_000 + id, ISSUING, to, 1));
    }
    let entries = world.post(transfers).await;
    let sums = |number: u128, upto: i64| {
        let of = account(number);
        let mut sum = (0, upto, 0);
        for entry in &entries {
            if entry.sequence > upto {
                break;
            }
            let change = match (entry.debit_account == of, entry.credit_account == of) {
                (true, _) => -entry.amount,
                (_, true) => entry.amount,
                _ => continue,
            };
            sum = (sum.0 + change, upto, entry.sequence);
        }
        sum
    };
    for sequence in (0..=700)
        .step_by(7)
        .chain([127, 128, 129, 255, 256, 257, 699])
    {
        for number in [ISSUING, ANNA, BAO, MERCHANT] {
            let told = at(&world, number, Point::Sequence(sequence)).await.unwrap();
            assert_eq!(
                told,
                sums(number, sequence),
                "account {number} at {sequence}"
            );
        }
    }
    let beyond = at(&world, BAO, Point::Sequence(9_999)).await.unwrap();
    assert_eq!(beyond, sums(BAO, 700), "the journal ends at 700");
}

#[tokio::test]
async fn a_balance_of_any_instant_is_that_of_the_last_entry_by_then() {
    let mut world = World::start().await;
    let point = |day| Point::Time(timestamp(noon(day)));
    assert_eq!(at(&world, ANNA, point(1)).await.unwrap(), (0, 0, 0));
    for day in (2..=20).step_by(2) {
        world.clock.advance_to(noon(day));
        let id = u128::from(day);
        // Several entries of one instant: the last of them counts.
        world.post(vec![grant(id, ANNA, 10, noon(30))]).await;
        world
            .post(vec![transfer(100 + id, ANNA, MERCHANT, 3)])
            .await;
        world.post(vec![transfer(200 + id, ISSUING, BAO, 1)]).await;
    }
    for day in 1..=25_u32 {
        let days = i64::from((day / 2).min(10));
        let last = if days == 0 { 0 } else { 3 * days - 1 };
        let told = at(&world, ANNA, point(day)).await.unwrap();
        assert_eq!(told, (7 * days, 3 * days, last), "day {day}");
    }
    let just_before = noon(4) - chrono::TimeDelta::microseconds(1);
    let told = at(&world, ANNA, Point::Time(timestamp(just_before))).await;
    assert_eq!(told.unwrap(), (7, 3, 2));
}

#[tokio::test]
async fn held_points_are_in_a_past_balance_until_they_are_captured() {
    let mut world = World::start().await;
    world.post(vec![grant(1, ANNA, 50, noon(20))]).await;
    world.hold(2, 40).await;
    let capture = pb::CaptureHoldRequest {
        credit_account: String::new(),
        name: format!(
            "{}/holds/{}",
            crate::world::community(),
            uuid::Uuid::from_u128(2)
        ),
        request_id: uuid::Uuid::from_u128(3).to_string(),
        amount: 30,
        r#final: true,
        ..Default::default()
    };
    world.client.capture_hold(capture).await.unwrap();
    let mut told = Vec::new();
    for sequence in 1..=4 {
        told.push(at(&world, ANNA, Point::Sequence(sequence)).await.unwrap());
    }
    assert_eq!(told, [(50, 1, 1), (50, 2, 2), (20, 3, 3), (20, 4, 4)]);
    let merchant = at(&world, MERCHANT, Point::Sequence(2)).await.unwrap();
    assert_eq!(merchant, (0, 2, 0), "a hold is no entry of whom it is for");
}

#[tokio::test]
async fn a_point_that_is_none_and_an_account_that_is_none_are_refused() {
    let world = World::start().await;
    let refused = at(&world, ANNA, Point::Sequence(-1)).await.unwrap_err();
    assert_eq!(
        fault(&refused),
        (Code::InvalidArgument, "sequence".to_owned())
    );
    let refused = at(&world, 404, Point::Sequence(1)).await.unwrap_err();
    assert_eq!(reason_of(&refused).as_deref(), Some("ACCOUNT_NOT_FOUND"));
    let request = pb::GetAccountBalanceRequest {
        name: account(ANNA),
        point: None,
    };
    let refused = world.client.clone().get_account_balance(request).await;
    let fault = fault(&refused.unwrap_err());
    assert_eq!(fault, (Code::InvalidArgument, "point".to_owned()));
}
