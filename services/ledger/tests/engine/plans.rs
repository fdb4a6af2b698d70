//! How a batch finds its rows while Postgres knows nothing of the tables.

use ledger::{Ledger, ROLE};
use sqlx::PgPool;

use super::{
    asked::{DONOR, SHOP, account, cast, id, transfer},
    books::World,
    domain::{AccountDefinition, Request},
};

const FIRST: u128 = 1_000;
const SHOPS: u128 = 250;

#[tokio::test]
async fn a_batch_goes_to_rows_by_their_keys_before_anyone_has_analyzed_the_tables() {
    let world = World::start().await;
    let ledger = Ledger::new(world.pool.clone(), world.clock.clone());
    let shop = cast().into_iter().find(|it| it.id == account(SHOP));
    let shop = shop.unwrap();
    for number in FIRST..FIRST + SHOPS {
        let id = account(number);
        let shop = AccountDefinition { id, ..shop.clone() };
        ledger.create_account(world.community, shop).await.unwrap();
    }
    let mut next = 0;
    let mut paid = |shops: u128| {
        let pay = |shop| {
            next += 1;
            Request::new(id(next), false, transfer(DONOR, FIRST + shop, 1, None))
        };
        (0..shops).map(pay).collect::<Vec<_>>()
    };
    // A plan is kept after five executions; the lists of each may be of any length.
    for shops in [[1; 10], [SHOPS; 10], [1; 10], [2; 10]].concat() {
        let outcomes = ledger.post_transfers(world.community, paid(shops)).await;
        assert!(outcomes.unwrap().iter().all(Result::is_ok));
    }

    // Connections tell what they have read when they end.
    world.pool.close().await;
    let owner = world.superuser().await;
    while count(
        &owner,
        "select count(*) from pg_stat_activity where datname = current_database() and application_name = $1",
        ROLE,
    )
    .await
        > 0
    {}
    let read = count(
        &owner,
        "select seq_tup_read + idx_tup_fetch from pg_stat_user_tables where relname = $1",
        "account",
    )
    .await;
    let touched = i64::try_from(10 * (SHOPS + 1) + 10 * 2 + 10 * 2 + 10 * 3).unwrap();
    assert!(
        read < 2 * touched,
        "{read} rows were read to change {touched}"
    );
}

async fn count(pool: &PgPool, sql: &'static str, of: &str) -> i64 {
    sqlx::query_scalar(sql)
        .bind(of)
        .fetch_one(pool)
        .await
        .unwrap()
}
