//! Transfers, holds and sweeps: one effect, one answer, nothing beyond what is there.

use ledger::{
    EntryQuery, Error, Ledger, ROLE,
    domain::{AccountId, HoldState, Refusal, ReleaseHold},
};
use uuid::Uuid;

use super::world::*;

#[tokio::test]
async fn the_same_transfer_sent_20_times_in_parallel_has_one_effect_and_20_equal_answers() {
    let world = World::start().await;
    let tries = (0..20).map(|_| {
        let (ledger, community) = (world.ledger.clone(), world.community);
        let request = transfer(1, world.issuing, world.member, 50, None);
        async move {
            ledger
                .post_transfers(community, vec![request])
                .await
                .unwrap()
        }
    });
    let answers = in_parallel(tries).await;
    assert!(
        answers
            .iter()
            .all(|answer| answer[0].is_ok() && answer == &answers[0]),
        "{answers:?}"
    );
    assert_eq!(world.account(world.member).await.balance, 50);
    assert_eq!(world.count("entry").await, 1);
}

#[tokio::test]
async fn parallel_spenders_never_spend_more_than_there_is_and_sequences_stay_dense() {
    let world = World::start().await;
    world.grant(1, 100, noon(20)).await;
    let tries = (0..40).map(|number| {
        let (ledger, community) = (world.ledger.clone(), world.community);
        let request = transfer(100 + number, world.member, world.merchant, 7, None);
        async move {
            ledger
                .post_transfers(community, vec![request])
                .await
                .unwrap()
                .remove(0)
        }
    });
    let answers = in_parallel(tries).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 14);
    assert_eq!(world.account(world.merchant).await.balance, 98);
    let entries = world
        .ledger
        .entries(world.community, EntryQuery::default())
        .await
        .unwrap();
    let sequences: Vec<i64> = entries.iter().map(|entry| entry.sequence).collect();
    assert_eq!(sequences, (1..=15).collect::<Vec<i64>>());
}

#[tokio::test]
async fn a_refusal_leaves_nothing_but_its_answer_also_after_a_restart() {
    let world = World::start().await;
    let refused = world.transfer(1, world.member, world.merchant, 5).await;
    assert_eq!(
        refused,
        Err(Refusal::InsufficientPoints {
            available: 0,
            asked: 5
        })
    );
    assert_eq!(
        (
            world.count("entry").await,
            world.count("lot").await,
            world.count("refusal").await
        ),
        (0, 0, 1)
    );

    world.grant(2, 50, noon(20)).await;
    let restarted = Ledger::new(world.database.pool(ROLE).await, world.clock.clone());
    let again = transfer(1, world.member, world.merchant, 5, None);
    let outcome = restarted
        .post_transfers(world.community, vec![again])
        .await
        .unwrap()
        .remove(0);
    assert_eq!(outcome.map(|entry| entry.sequence), refused);
}

#[tokio::test]
async fn another_content_under_a_known_id_is_refused_whatever_became_of_the_first() {
    let world = World::start().await;
    world.grant(1, 50, noon(20)).await;
    let reused = Err(Refusal::RequestIdReused {
        request_id: Uuid::from_u128(1),
    });
    assert_eq!(
        world.transfer(1, world.issuing, world.member, 50).await,
        reused,
        "the expiry differs"
    );
    world
        .transfer(2, world.member, world.merchant, 51)
        .await
        .unwrap_err();
    let reused = Err(Refusal::RequestIdReused {
        request_id: Uuid::from_u128(2),
    });
    assert_eq!(
        world.transfer(2, world.member, world.merchant, 50).await,
        reused
    );
}

#[tokio::test]
async fn in_one_call_each_transfer_has_its_own_verdict_and_sees_those_before_it() {
    let world = World::start().await;
    let batch = vec![
        transfer(1, world.member, world.merchant, 5, None),
        transfer(2, world.issuing, world.member, 10, None),
        transfer(3, world.member, world.merchant, 5, None),
        transfer(3, world.member, world.merchant, 5, None),
        transfer(4, world.member, AccountId(Uuid::from_u128(404)), 5, None),
    ];
    let outcomes = world
        .ledger
        .post_transfers(world.community, batch)
        .await
        .unwrap();
    let sequences: Vec<_> = outcomes
        .into_iter()
        .map(|outcome| outcome.map(|entry| entry.sequence))
        .collect();
    assert_eq!(
        sequences,
        [
            Err(Refusal::InsufficientPoints {
                available: 0,
                asked: 5
            }),
            Ok(1),
            Ok(2),
            Ok(2),
            Err(Refusal::AccountNotFound {
                account: AccountId(Uuid::from_u128(404))
            }),
        ]
    );
}

#[tokio::test]
async fn a_hold_reserves_is_captured_once_and_every_answer_is_told_again_as_it_was() {
    let world = World::start().await;
    world.grant(1, 50, noon(20)).await;
    let held = world.hold(2, 40).await.unwrap();
    assert_eq!((held.state, world.available().await), (HoldState::Open, 10));
    let captured = world.capture(3, 2, 30).await.unwrap();
    assert_eq!(
        (captured.state, captured.captured, captured.released),
        (HoldState::Captured, 30, 10)
    );
    assert_eq!(world.available().await, 20);

    assert_eq!(
        world.hold(2, 40).await.unwrap(),
        held,
        "the first answer, not the present state"
    );
    assert_eq!(world.capture(3, 2, 30).await.unwrap(), captured);
    let closed = world.capture(4, 2, 1).await.unwrap_err();
    assert!(matches!(
        closed,
        Error::Refused(Refusal::HoldClosed {
            captured: 30,
            released: 10
        })
    ));
    assert_eq!(world.account(world.merchant).await.balance, 30);
}

#[tokio::test]
async fn a_release_gives_everything_back_to_the_lots() {
    let world = World::start().await;
    world.grant(1, 50, noon(20)).await;
    let before = world.account(world.member).await.lots;
    world.hold(2, 40).await.unwrap();
    let release = ReleaseHold { hold: id(2) };
    let released = world
        .ledger
        .release_hold(world.community, id(3), release.clone())
        .await
        .unwrap();
    assert_eq!(
        (released.state, released.released),
        (HoldState::Released, 40)
    );
    assert_eq!(
        world
            .ledger
            .release_hold(world.community, id(3), release)
            .await
            .unwrap(),
        released
    );
    assert_eq!(world.account(world.member).await.lots, before);
}

#[tokio::test]
async fn a_sweep_posts_what_has_expired_once_and_nothing_else() {
    let world = World::start().await;
    world.grant(1, 50, noon(10)).await;
    world.grant(2, 20, noon(20)).await;
    world.hold(3, 60).await.unwrap();
    assert_eq!(
        world.ledger.sweep_expired(world.community).await.unwrap(),
        Default::default()
    );

    world.clock.advance_to(noon(10));
    assert_eq!(
        world.available().await,
        10,
        "the hold is not swept yet and reserves 10 of the later lot"
    );
    let swept = world.ledger.sweep_expired(world.community).await.unwrap();
    assert_eq!((swept.holds, swept.lots), (1, 1));
    assert_eq!(
        (
            world.available().await,
            world.account(world.expired).await.balance
        ),
        (20, 50)
    );
    assert_eq!(
        world.ledger.sweep_expired(world.community).await.unwrap(),
        Default::default()
    );
    assert_eq!(
        world.count("lot").await,
        1,
        "only the lot that has something in it"
    );
}
