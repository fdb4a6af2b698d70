//! What expires when.

use proto::ledger::v1::{self as pb, AccountKind};
use runtime::timestamp;
use tonic::Code;

use crate::world::{
    ANNA, BAO, ISSUING, MERCHANT, World, account, community, fault, grant, noon, programme,
    transfer,
};

fn lots() -> pb::ListExpiringLotsRequest {
    pb::ListExpiringLotsRequest {
        parent: community(),
        ..Default::default()
    }
}

fn schedule() -> pb::ListExpiryScheduleRequest {
    pb::ListExpiryScheduleRequest {
        parent: community(),
        ..Default::default()
    }
}

/// Account, expiry, remaining and held of every lot, page by page of two.
async fn all_lots(
    world: &World,
    mut request: pb::ListExpiringLotsRequest,
) -> Vec<(String, prost_types::Timestamp, i64, i64)> {
    request.page_size = 2;
    let mut seen = Vec::new();
    loop {
        let answer = world
            .client
            .clone()
            .list_expiring_lots(request.clone())
            .await;
        let page = answer.unwrap().into_inner();
        assert!(page.lots.len() <= 2);
        for lot in page.lots {
            assert_eq!(lot.asset, "points");
            let at = lot.expire_time.unwrap();
            seen.push((lot.account, at, lot.remaining, lot.held));
        }
        if page.next_page_token.is_empty() {
            return seen;
        }
        request.page_token = page.next_page_token;
    }
}

/// Expiry, accounts, remaining and held of every sum, page by page of one.
async fn all_sums(
    world: &World,
    mut request: pb::ListExpiryScheduleRequest,
) -> Vec<(prost_types::Timestamp, i64, i64, i64)> {
    request.page_size = 1;
    let mut seen = Vec::new();
    loop {
        let answer = world
            .client
            .clone()
            .list_expiry_schedule(request.clone())
            .await;
        let page = answer.unwrap().into_inner();
        for sum in page.expiries {
            let at = sum.expire_time.unwrap();
            seen.push((at, sum.accounts, sum.remaining, sum.held));
        }
        if page.next_page_token.is_empty() {
            return seen;
        }
        request.page_token = page.next_page_token;
    }
}

/// Anna has lots of days 10, 20 and 30 with 15 of the first held, Bao of days 10 and 20; both have points that never expire.
async fn members() -> World {
    let mut world = World::start().await;
    world
        .post(vec![
            grant(1, ANNA, 20, noon(30)),
            grant(2, ANNA, 30, noon(10)),
            grant(3, ANNA, 40, noon(20)),
            grant(4, BAO, 5, noon(20)),
            grant(5, BAO, 7, noon(10)),
            transfer(6, ISSUING, ANNA, 100),
            transfer(7, ISSUING, BAO, 100),
        ])
        .await;
    world.hold(8, 15).await;
    world
}

#[tokio::test]
async fn a_member_sees_what_expires_first_at_the_top() {
    let world = members().await;
    let mine = |number| pb::ListExpiringLotsRequest {
        account: account(number),
        ..lots()
    };
    let row = |day, remaining, held| (account(ANNA), timestamp(noon(day)), remaining, held);
    let seen = all_lots(&world, mine(ANNA)).await;
    assert_eq!(seen, [row(10, 15, 15), row(20, 40, 0), row(30, 20, 0)]);
    let soon = pb::ListExpiringLotsRequest {
        end_time: Some(timestamp(noon(20))),
        ..mine(ANNA)
    };
    assert_eq!(all_lots(&world, soon).await, [row(10, 15, 15)]);
    assert_eq!(all_lots(&world, mine(MERCHANT)).await, []);
}

#[tokio::test]
async fn a_community_sees_every_lot_and_the_sums_of_each_instant() {
    let world = members().await;
    let row = |number, day, remaining, held| {
        let at = timestamp(noon(day));
        (account(number), at, remaining, held)
    };
    let every_lot = [
        row(ANNA, 10, 15, 15),
        row(BAO, 10, 7, 0),
        row(ANNA, 20, 40, 0),
        row(BAO, 20, 5, 0),
        row(ANNA, 30, 20, 0),
    ];
    assert_eq!(all_lots(&world, lots()).await, every_lot);
    let sums = [
        (timestamp(noon(10)), 2, 22, 15),
        (timestamp(noon(20)), 2, 45, 0),
        (timestamp(noon(30)), 1, 20, 0),
    ];
    assert_eq!(all_sums(&world, schedule()).await, sums);
    let before = pb::ListExpiryScheduleRequest {
        end_time: Some(timestamp(noon(20))),
        ..schedule()
    };
    assert_eq!(all_sums(&world, before).await, sums[..1]);
}

#[tokio::test]
async fn what_has_expired_or_is_spent_is_not_about_to_expire() {
    let mut world = members().await;
    world.post(vec![transfer(20, BAO, MERCHANT, 7)]).await;
    let first = all_lots(&world, lots()).await.remove(1);
    assert_eq!((first.0, first.1), (account(ANNA), timestamp(noon(20))));
    world.clock.advance_to(noon(20));
    let left = all_sums(&world, schedule()).await;
    assert_eq!(left, [(timestamp(noon(30)), 1, 20, 0)]);
}

#[tokio::test]
async fn one_programme_does_not_see_what_expires_in_another() {
    let mut world = members().await;
    let elsewhere = format!("{}/programmes/{}", community(), uuid::Uuid::from_u128(98));
    for (number, kind) in [
        (11, AccountKind::Issuing),
        (12, AccountKind::Expired),
        (13, AccountKind::Member),
    ] {
        let definition = pb::Account {
            programme: elsewhere.clone(),
            asset: "points".to_owned(),
            kind: kind.into(),
            expiry_account: if number == 13 {
                account(12)
            } else {
                String::new()
            },
            min_balance: (number != 11).then_some(0),
            ..Default::default()
        };
        let request = pb::CreateAccountRequest {
            parent: community(),
            account_id: uuid::Uuid::from_u128(number).to_string(),
            account: Some(definition),
        };
        world.client.create_account(request).await.unwrap();
    }
    let there = pb::Transfer {
        debit_account: account(11),
        ..grant(30, 13, 9, noon(10))
    };
    world.post(vec![there]).await;

    let of = |programme: &str| pb::ListExpiringLotsRequest {
        programme: programme.to_owned(),
        ..lots()
    };
    assert_eq!(all_lots(&world, of(&programme())).await.len(), 5);
    let theirs = all_lots(&world, of(&elsewhere)).await;
    assert_eq!(theirs, [(account(13), timestamp(noon(10)), 9, 0)]);
    let of_both = all_sums(&world, schedule()).await;
    assert_eq!(of_both[0], (timestamp(noon(10)), 3, 31, 15));
    let request = pb::ListExpiryScheduleRequest {
        programme: elsewhere,
        ..schedule()
    };
    let sums = all_sums(&world, request).await;
    assert_eq!(sums, [(timestamp(noon(10)), 1, 9, 0)]);
}

#[tokio::test]
async fn a_token_of_another_query_is_refused() {
    let world = members().await;
    let first = pb::ListExpiringLotsRequest {
        page_size: 1,
        ..lots()
    };
    let answer = world.client.clone().list_expiring_lots(first.clone()).await;
    let changed = pb::ListExpiringLotsRequest {
        account: account(ANNA),
        page_token: answer.unwrap().into_inner().next_page_token,
        ..first
    };
    let refused = world.client.clone().list_expiring_lots(changed).await;
    let fault = fault(&refused.unwrap_err());
    assert_eq!(fault, (Code::InvalidArgument, "page_token".to_owned()));
}
