//! Reversals, limits, statements, sums, and a history that nobody may change.

use std::collections::HashSet;

use ledger::{
    EntryQuery, Error, Ledger,
    domain::{AccountKind, AccountLimits, CommunityId, EntryKind, Refusal, ReverseEntry},
};
use runtime::Clock;
use uuid::Uuid;

use super::world::*;

#[tokio::test]
async fn reversals_return_to_old_lots_and_never_pass_the_original() {
    let world = World::start().await;
    world.grant(1, 10, noon(10)).await;
    world.grant(2, 10, noon(20)).await;
    let spent = world
        .transfer(3, world.member, world.merchant, 15)
        .await
        .unwrap();
    let reverse = |request, amount| {
        let reverse = ReverseEntry {
            sequence: spent,
            amount,
            allow_partial: false,
            description: String::new(),
        };
        world
            .ledger
            .reverse_entry(world.community, id(request), reverse)
    };
    let first = reverse(4, 7).await.unwrap();
    assert_eq!(
        (first.kind, first.related),
        (EntryKind::Reversal, Some(spent))
    );
    assert_eq!(reverse(4, 7).await.unwrap(), first);
    reverse(5, 8).await.unwrap();
    let beyond = reverse(6, 1).await.unwrap_err();
    assert!(matches!(
        beyond,
        Error::Refused(Refusal::AmountExceedsOriginal {
            reversible: 0,
            asked: 1
        })
    ));
    let lots: Vec<_> = world
        .account(world.member)
        .await
        .lots
        .iter()
        .map(|(at, lot)| (at, lot.remaining))
        .collect();
    assert_eq!(lots, [(noon(10), 10), (noon(20), 10)]);
}

#[tokio::test]
async fn a_budget_is_the_floor_of_the_issuing_account_and_can_be_raised() {
    let world = World::start().await;
    let too_much = world.transfer(1, world.issuing, world.member, 1_001).await;
    assert_eq!(
        too_much,
        Err(Refusal::InsufficientPoints {
            available: 1_000,
            asked: 1_001
        })
    );
    let raised = AccountLimits {
        min_balance: Some(-2_000),
        max_balance: None,
    };
    let update = |revision| {
        world
            .ledger
            .update_account_limits(world.community, world.issuing, raised, revision)
    };
    assert!(matches!(update(Some(7)).await, Err(Error::StaleEtag)));
    let account = update(Some(1)).await.unwrap();
    assert_eq!(account.revision, 2);
    world
        .transfer(2, world.issuing, world.member, 1_001)
        .await
        .unwrap();
    let below = AccountLimits {
        min_balance: Some(-1_000),
        max_balance: None,
    };
    let refused = world
        .ledger
        .update_account_limits(world.community, world.issuing, below, None)
        .await;
    assert!(matches!(
        refused,
        Err(Error::Refused(Refusal::LimitExceeded { .. }))
    ));
}

#[tokio::test]
async fn definitions_can_be_repeated_but_not_changed() {
    let world = World::start().await;
    world.grant(1, 5, noon(20)).await;
    assert_eq!(
        world
            .open(world.member, AccountKind::Member, Some(0))
            .await
            .balance,
        5
    );
    let other = world.definition(world.member, AccountKind::Merchant, Some(0));
    let refused = world.ledger.create_account(world.community, other).await;
    assert!(matches!(
        refused,
        Err(Error::Refused(Refusal::AccountExists { .. }))
    ));
    let refused = world
        .ledger
        .create_asset(world.community, "points".to_owned(), 2)
        .await;
    assert!(matches!(
        refused,
        Err(Error::Refused(Refusal::AssetExists { exponent: 0, .. }))
    ));
}

#[tokio::test]
async fn a_statement_shows_both_sides_of_an_account_page_by_page() {
    let world = World::start().await;
    for request in 1..=5 {
        world.grant(request, 10, noon(20)).await;
        world
            .transfer(100 + request, world.member, world.merchant, 3)
            .await
            .unwrap();
    }
    let mut seen = vec![];
    loop {
        let query = EntryQuery {
            account: Some(world.member),
            after: seen.last().copied().unwrap_or(0),
            limit: 4,
        };
        let page = world.ledger.entries(world.community, query).await.unwrap();
        if page.is_empty() {
            break;
        }
        seen.extend(page.iter().map(|entry| entry.sequence));
    }
    assert_eq!(seen, (1..=10).collect::<Vec<i64>>());
}

#[tokio::test]
async fn a_statement_longer_than_its_pages_is_read_from_anywhere() {
    let world = World::start().await;
    let batch = (1..=600).map(|request| transfer(request, world.issuing, world.member, 1, None));
    let batch = batch.collect();
    world
        .ledger
        .post_transfers(world.community, batch)
        .await
        .unwrap();
    world
        .transfer(1_000, world.member, world.merchant, 5)
        .await
        .unwrap();
    let statement = async |account, after, limit| {
        let query = EntryQuery {
            account: Some(account),
            after,
            limit,
        };
        let entries = world.ledger.entries(world.community, query).await.unwrap();
        entries
            .into_iter()
            .map(|entry| entry.sequence)
            .collect::<Vec<i64>>()
    };
    assert_eq!(
        statement(world.member, 0, 1_000).await,
        (1..=601).collect::<Vec<i64>>()
    );
    assert_eq!(
        statement(world.member, 120, 10).await,
        (121..=130).collect::<Vec<i64>>()
    );
    assert_eq!(statement(world.member, 128, 1).await, [129]);
    assert_eq!(statement(world.member, 600, 10).await, [601]);
    assert_eq!(statement(world.member, 601, 10).await, [0_i64; 0]);
    assert_eq!(statement(world.merchant, 0, 10).await, [601]);
    assert_eq!(world.count("statement_page").await, 8);
}

#[tokio::test]
async fn a_trial_balance_sums_to_zero() {
    let world = World::start().await;
    world.grant(1, 50, noon(10)).await;
    world
        .transfer(2, world.member, world.merchant, 20)
        .await
        .unwrap();
    world.clock.advance_to(noon(11));
    world.ledger.sweep_expired(world.community).await.unwrap();
    let balance = world
        .ledger
        .trial_balance(world.community, None)
        .await
        .unwrap();
    let sums: Vec<i64> = balance.rows.iter().map(|row| row.balance).collect();
    assert_eq!((sums, balance.last_sequence), (vec![-50, 30, 0, 20], 3));
}

#[tokio::test]
async fn communities_do_not_see_each_other() {
    let world = World::start().await;
    let elsewhere = CommunityId(Uuid::from_u128(8));
    let request = transfer(1, world.issuing, world.member, 5, None);
    let outcome = world
        .ledger
        .post_transfers(elsewhere, vec![request])
        .await
        .unwrap()
        .remove(0);
    assert_eq!(
        outcome.unwrap_err(),
        Refusal::AccountNotFound {
            account: world.issuing
        }
    );
    assert!(world.ledger.account(elsewhere, world.member).await.is_err());
}

#[tokio::test]
async fn the_service_may_not_change_or_delete_history() {
    let world = World::start().await;
    world.grant(1, 50, noon(10)).await;
    for statement in [
        "update ledger.entry set amount = 1",
        "delete from ledger.entry",
        "delete from ledger.allocation",
        "update ledger.refusal set fingerprint = ''",
        "delete from ledger.account",
        "delete from ledger.hold",
        "delete from ledger.statement_page",
        "truncate ledger.entry",
    ] {
        let refused = sqlx::query(statement)
            .execute(&world.pool)
            .await
            .unwrap_err();
        let code = refused
            .as_database_error()
            .and_then(|error| error.code().map(|code| code.into_owned()));
        assert_eq!(
            code.as_deref(),
            Some("42501"),
            "{statement}: insufficient_privilege"
        );
    }
}

#[tokio::test]
async fn time_in_a_journal_never_runs_backwards() {
    let world = World::start().await;
    world.clock.advance_to(noon(5));
    world.grant(1, 50, noon(10)).await;
    let slow = Ledger::new(world.pool.clone(), Clock::manual(noon(4)));
    let request = transfer(2, world.member, world.merchant, 5, None);
    slow.post_transfers(world.community, vec![request])
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    let entries = world
        .ledger
        .entries(world.community, EntryQuery::default())
        .await
        .unwrap();
    let times: HashSet<_> = entries.iter().map(|entry| entry.recorded_at).collect();
    assert_eq!(times, HashSet::from([noon(5)]));
}
