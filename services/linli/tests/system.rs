//! A system inside this process: its services stop, die and come back.

#![allow(clippy::unwrap_used, reason = "these are tests, helpers included")]

use std::time::Duration;

use chrono::DateTime;
use linli::system::{Ports, System, SystemConfig};
use proto::ledger::v1::{Asset, CreateAssetRequest};
use runtime::{Clock, Ids, TestDatabase};
use tonic::Code;

async fn start(database: &TestDatabase) -> System {
    let clock = Clock::manual(DateTime::UNIX_EPOCH);
    System::start(SystemConfig {
        database_url: database.url().to_owned(),
        ids: Ids::seeded(clock.clone(), 1),
        clock,
        listen: Ports::ANY,
        signer: Some(linli::key::temporary()),
        person_keys: linli::key::temporary_persons(),
        origins: Vec::new(),
        limits: Default::default(),
        offline: Default::default(),
        minter: linli::key::temporary_issuer(),
    })
    .await
    .unwrap()
}

/// Asks the ledger for the same thing again and again, which is harmless.
async fn define_points(system: &System) -> Result<Asset, Code> {
    let mut ledger = system.clients().unwrap().ledger;
    let request = CreateAssetRequest {
        parent: "communities/00000000-0000-4000-8000-000000000001".to_owned(),
        asset: Some(Asset {
            code: "points".to_owned(),
            ..Default::default()
        }),
    };
    let request = runtime::request(request, Duration::from_secs(5));
    let answer = ledger.create_asset(request).await;
    answer
        .map(tonic::Response::into_inner)
        .map_err(|status| status.code())
}

#[tokio::test]
async fn a_service_that_was_killed_or_stopped_comes_back_on_its_port() {
    let database = TestDatabase::new().await;
    let mut system = start(&database).await;
    let address = system.ledger.address();
    let first = define_points(&system).await.unwrap();

    system.ledger.kill();
    assert_eq!(define_points(&system).await, Err(Code::Unavailable));
    system.ledger.start().await.unwrap();
    assert_eq!(system.ledger.address(), address);
    assert_eq!(define_points(&system).await.unwrap(), first);

    system.ledger.stop().await.unwrap();
    assert_eq!(define_points(&system).await, Err(Code::Unavailable));
    system.ledger.start().await.unwrap();
    assert_eq!(define_points(&system).await.unwrap(), first);

    system.stop().await.unwrap();
}

#[tokio::test]
async fn a_system_without_a_schema_says_what_to_do() {
    let database = TestDatabase::empty().await;
    let clock = Clock::system();
    let problem = System::start(SystemConfig {
        database_url: database.url().to_owned(),
        ids: Ids::new(clock.clone()),
        clock,
        listen: Ports::ANY,
        signer: Some(linli::key::temporary()),
        person_keys: linli::key::temporary_persons(),
        origins: Vec::new(),
        limits: Default::default(),
        offline: Default::default(),
        minter: linli::key::temporary_issuer(),
    })
    .await
    .unwrap_err();
    assert!(problem.to_string().contains("linli migrate"), "{problem}");
}
