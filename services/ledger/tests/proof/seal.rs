//! Sealing and what follows from it.

use chrono::TimeDelta;
use ledger::{
    Error, Ledger, ROLE,
    domain::AccountKind,
    proof::{
        Checkpoint,
        tree::{self, Hash},
    },
};
use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng},
};
use runtime::Clock;
use sqlx::Row;

use crate::world::{COMMUNITY, World, account, day, definition, signer, transfer};

async fn open(world: &World, size: Option<i64>) -> Checkpoint {
    let row = world.ledger.checkpoint(COMMUNITY, size).await.unwrap();
    Checkpoint::parse(signer().verifier().open(&row.note).unwrap()).unwrap()
}

#[tokio::test]
async fn a_checkpoint_covers_everything_and_each_continues_the_one_before() {
    let world = World::start().await;
    world.seal().await;
    let empty = open(&world, None).await;
    assert_eq!(
        (empty.size, empty.root, empty.definitions.count),
        (0, tree::empty_root(), 8)
    );
    let mut heads = vec![];
    for round in 0..4_u128 {
        world.pay(1_000 + round * 200, 150).await;
        world.seal().await;
        world.seal().await;
        heads.push(open(&world, None).await);
    }
    let sizes: Vec<i64> = heads.iter().map(|head| head.size).collect();
    assert_eq!(sizes, [150, 300, 450, 600]);
    for (old, new) in heads.iter().zip(&heads[1..]) {
        let (size, proof) = world
            .ledger
            .consistency_proof(COMMUNITY, old.size, Some(new.size))
            .await
            .unwrap();
        assert_eq!(size, new.size);
        let (old, new) = (
            (old.size.unsigned_abs(), &old.root),
            (new.size.unsigned_abs(), &new.root),
        );
        assert!(tree::verify_consistency(old, new, &proof));
    }
    for sequence in [1, 150, 256, 257, 600] {
        let proof = world
            .ledger
            .inclusion_proof(COMMUNITY, sequence, None)
            .await
            .unwrap();
        let (leaf, index) = (tree::leaf_hash(&proof.leaf), sequence.unsigned_abs() - 1);
        let root: Hash = proof.checkpoint.root[..].try_into().unwrap();
        assert!(tree::verify_inclusion(
            &leaf,
            index,
            600,
            &proof.path,
            &root
        ));
        let old = world
            .ledger
            .inclusion_proof(COMMUNITY, sequence, Some(150))
            .await;
        assert_eq!(old.is_ok(), sequence <= 150);
    }
    assert_eq!(world.differences().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_database_that_lost_commits_is_sealed_as_it_is() {
    const LEFT_BEHIND: [&str; 3] = ["journal", "account", "entry"];
    let world = World::start().await;
    world.pay(1_000, 5).await;
    world.seal().await;
    for table in LEFT_BEHIND {
        let copy = format!("create table copy_{table} as select * from ledger.{table}");
        world.tamper(&copy).await;
    }
    world.pay(2_000, 3).await;

    // A standby takes over that has not heard of the last three, and another replica posts to it.
    for table in LEFT_BEHIND {
        world.tamper(&format!("delete from ledger.{table}")).await;
        let back = format!("insert into ledger.{table} select * from copy_{table}");
        world.tamper(&back).await;
    }
    let other = Ledger::new(world.pool.clone(), world.clock.clone());
    let paid = (3_000..3_004).map(|id| transfer(id, world.issuing, world.merchant, 2, None));
    other
        .post_transfers(COMMUNITY, paid.collect())
        .await
        .unwrap();
    world.seal().await;

    assert_eq!(open(&world, None).await.size, 9);
    assert_eq!(world.differences().await, Vec::<String>::new());
}

#[tokio::test]
async fn several_replicas_seal_one_history() {
    let world = World::start().await;
    let mut replicas = vec![world.ledger.clone()];
    for _ in 0..3 {
        let pool = world.database.pool(ROLE).await;
        replicas.push(Ledger::new(pool, world.clock.clone()).with_signer(signer()));
    }
    let sealers: Vec<_> = replicas
        .iter()
        .cloned()
        .map(|ledger| {
            tokio::spawn(async move {
                for _ in 0..30 {
                    ledger.seal(COMMUNITY).await.unwrap();
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for round in 0..20_u128 {
        let replica = &replicas[usize::try_from(round).unwrap() % replicas.len()];
        let spend = |n| {
            transfer(
                10_000 + round * 100 + n,
                world.issuing,
                world.merchant,
                1,
                None,
            )
        };
        replica
            .post_transfers(COMMUNITY, (0..37).map(spend).collect())
            .await
            .unwrap();
    }
    for sealer in sealers {
        sealer.await.unwrap();
    }
    world.seal().await;
    assert_eq!(open(&world, None).await.size, 740);
    assert_eq!(world.differences().await, Vec::<String>::new());
}

#[tokio::test]
async fn the_sealer_signs_nothing_that_does_not_continue_what_it_signed() {
    let world = World::start().await;
    world.pay(1_000, 10).await;
    world.seal().await;
    world.pay(2_000, 10).await;
    world
        .tamper("update ledger.tile set hashes = overlay(hashes placing '\\x00'::bytea from 5)")
        .await;
    let refused = world.ledger.seal(COMMUNITY).await;
    assert!(
        matches!(refused, Err(Error::HistoryChanged { .. })),
        "{refused:?}"
    );

    let world = World::start().await;
    world.pay(1_000, 10).await;
    world.seal().await;
    world
        .tamper("delete from ledger.entry where sequence = 10")
        .await;
    world
        .tamper("update ledger.journal set next_sequence = 10")
        .await;
    let refused = world.ledger.seal(COMMUNITY).await;
    assert!(
        matches!(refused, Err(Error::HistoryChanged { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn without_a_key_nothing_is_sealed_and_what_is_not_sealed_is_not_proved() {
    let world = World::start().await;
    let keyless = Ledger::new(world.pool.clone(), world.clock.clone());
    world.pay(1_000, 3).await;
    keyless.seal(COMMUNITY).await.unwrap();
    assert!(matches!(keyless.verifier(), Err(Error::ProofNotKept)));
    assert!(matches!(
        keyless.checkpoint(COMMUNITY, None).await,
        Err(Error::ProofNotKept)
    ));
    let unsealed = world.ledger.inclusion_proof(COMMUNITY, 2, None).await.err();
    assert!(
        matches!(unsealed, Some(Error::NotSealed { sequence: 2 })),
        "{unsealed:?}"
    );
    assert_eq!(world.differences().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_many_open_at_once_is_opened_and_logged_once() {
    let world = World::start().await;
    // The clocks of machines differ.
    let late = Ledger::new(
        world.pool.clone(),
        Clock::manual(day(1) - TimeDelta::hours(1)),
    );
    let opened = (0..60_u128).map(|call| {
        let ledger = [&world.ledger, &late][call as usize % 2].clone();
        let definition = definition(account(100 + call / 3), AccountKind::Merchant, Some(0));
        tokio::spawn(async move { ledger.create_account(COMMUNITY, definition).await })
    });
    let mut accounts = vec![];
    for account in opened.collect::<Vec<_>>() {
        accounts.push(account.await.unwrap().unwrap());
    }
    for told in accounts.chunks(3) {
        assert_eq!(told[0], told[1]);
        assert_eq!(told[0], told[2]);
    }
    late.create_asset(COMMUNITY, "hours".to_owned(), 1)
        .await
        .unwrap();
    world.seal().await;
    assert_eq!(open(&world, None).await.definitions.count, 8 + 20 + 1);
    assert_eq!(world.differences().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_account_and_its_definition_are_one_transaction() {
    let world = World::start().await;
    let rows = sqlx::query("select number, kind from ledger.definition order by number")
        .fetch_all(&world.pool)
        .await
        .unwrap();
    let kinds: Vec<(i64, i16)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(
        kinds,
        [
            (1, 1),
            (2, 2),
            (3, 2),
            (4, 2),
            (5, 2),
            (6, 2),
            (7, 2),
            (8, 2)
        ]
    );
}

#[tokio::test]
async fn verification_is_clean_after_a_life_with_everything_in_it() {
    let world = World::start().await;
    world.live().await;
    assert_eq!(
        world.differences().await,
        Vec::<String>::new(),
        "before sealing"
    );
    world.seal().await;
    world.pay(5_000, 300).await;
    assert_eq!(
        world.differences().await,
        Vec::<String>::new(),
        "with an open end"
    );
    world.seal().await;
    assert_eq!(world.differences().await, Vec::<String>::new());
}

/// Random requests of every kind, many of them refused, at moments that lie up to two days apart.
async fn wander(seed: u8) {
    let world = World::start().await;
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    for step in 0..160_u128 {
        let (member, other) = (
            world.members[random.random_range(0..4)],
            world.members[random.random_range(0..4)],
        );
        let (amount, earlier) = (
            random.random_range(1..60),
            1_000 + random.random_range(0..=step),
        );
        let request = 1_000 + step;
        let expires = world.clock.now() + TimeDelta::hours(random.random_range(1..200));
        match random.random_range(0..12) {
            0..=3 => drop(
                world
                    .post(vec![transfer(
                        request,
                        world.issuing,
                        member,
                        amount,
                        Some(expires),
                    )])
                    .await,
            ),
            4 => drop(
                world
                    .post(vec![transfer(
                        request,
                        member,
                        world.merchant,
                        amount,
                        None,
                    )])
                    .await,
            ),
            5 => {
                let chain = vec![
                    crate::world::linked(
                        request,
                        world.issuing,
                        member,
                        amount,
                        Some(expires),
                        true,
                    ),
                    crate::world::linked(50_000 + step, other, world.merchant, amount, None, false),
                ];
                world.post(chain).await;
            }
            6 | 7 => drop(
                world
                    .hold(request, member, amount, random.random_range(1..3_000))
                    .await,
            ),
            8 => drop(
                world
                    .capture(
                        request,
                        earlier,
                        amount / 2 + 1,
                        random.random_range(0..2) == 0,
                    )
                    .await,
            ),
            9 => drop(world.release(request, earlier).await),
            10 => {
                let sequence = random.random_range(1..=i64::try_from(step).unwrap() + 1);
                world
                    .reverse(request, sequence, amount, random.random_range(0..2) == 0)
                    .await;
            }
            _ => {
                world
                    .clock
                    .advance(TimeDelta::minutes(random.random_range(1..2_880)));
                world.ledger.sweep_expired(COMMUNITY).await.unwrap();
            }
        }
        if step % 23 == 0 {
            world.seal().await;
        }
    }
    assert_eq!(
        world.differences().await,
        Vec::<String>::new(),
        "seed {seed}"
    );
}

#[tokio::test]
async fn verification_is_clean_after_random_lives() {
    for seed in 0..4 {
        wander(seed).await;
    }
}
