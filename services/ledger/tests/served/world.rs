//! A ledger that serves on a port of its own, and one community in it.

use std::time::Duration;

use chrono::{DateTime, TimeZone, Utc};
use ledger::{Ledger, ROLE, proof::Signer};
use proto::ledger::v1::{
    self as pb, AccountKind, ledger_service_client::LedgerServiceClient,
    proof_service_client::ProofServiceClient, transfer_verdict::Verdict,
};
use runtime::{Client, Clock, Problem, TestDatabase, acquainted, channel, listen, timestamp};
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use uuid::Uuid;

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub const ISSUING: u128 = 1;
pub const EXPIRED: u128 = 2;
pub const MERCHANT: u128 = 3;
pub const ANNA: u128 = 4;
pub const BAO: u128 = 5;

pub struct World {
    _database: TestDatabase,
    pub pool: PgPool,
    pub clock: Clock,
    pub client: LedgerServiceClient<Client>,
    pub proofs: ProofServiceClient<Client>,
    /// The one that serves.
    pub ledger: Ledger,
    pub stop: CancellationToken,
    pub ended: JoinHandle<Result<(), Problem>>,
}

pub fn noon(day: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2024, 5, day, 12, 0, 0).unwrap()
}

pub fn community() -> String {
    format!("communities/{}", Uuid::from_u128(7))
}

pub fn programme() -> String {
    format!("{}/programmes/{}", community(), Uuid::from_u128(99))
}

pub fn account(number: u128) -> String {
    format!("{}/accounts/{}", community(), Uuid::from_u128(number))
}

/// A transfer of points that never expire.
pub fn transfer(request: u128, debit: u128, credit: u128, amount: i64) -> pb::Transfer {
    pb::Transfer {
        request_id: Uuid::from_u128(request).to_string(),
        debit_account: account(debit),
        credit_account: account(credit),
        amount,
        ..Default::default()
    }
}

/// Points for a member that expire.
pub fn grant(request: u128, member: u128, amount: i64, expires: DateTime<Utc>) -> pb::Transfer {
    pb::Transfer {
        expire_time: Some(timestamp(expires)),
        ..transfer(request, ISSUING, member, amount)
    }
}

pub fn sequences(entries: &[pb::Entry]) -> Vec<i64> {
    entries.iter().map(|entry| entry.sequence).collect()
}

/// The code of a refusal and the first field that is at fault.
pub fn fault(status: &Status) -> (Code, String) {
    let field = status.message().split(": ").next().unwrap_or_default();
    (status.code(), field.to_owned())
}

impl World {
    pub async fn start() -> Self {
        let database = TestDatabase::new().await;
        let pool = database.pool(ROLE).await;
        let clock = Clock::manual(noon(1));
        let listener = listen("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let signer = Signer::from_seed("linli-test", [42; 32]).unwrap();
        let ledger = Ledger::new(pool.clone(), clock.clone()).with_signer(signer);
        let (authority, bearer) = acquainted();
        let ended = tokio::spawn(ledger.server().run(listener, authority, stop.clone()));
        let channel = Client::new(channel(&url).unwrap(), Some(bearer));
        let client = LedgerServiceClient::new(channel.clone());
        let mut world = Self {
            _database: database,
            pool,
            clock,
            client,
            proofs: ProofServiceClient::new(channel),
            ledger,
            stop,
            ended,
        };
        let asset = pb::CreateAssetRequest {
            parent: community(),
            asset: Some(pb::Asset {
                code: "points".to_owned(),
                ..Default::default()
            }),
        };
        world.client.create_asset(asset).await.unwrap();
        world.open(ISSUING, AccountKind::Issuing, None).await;
        world.open(EXPIRED, AccountKind::Expired, Some(0)).await;
        world.open(MERCHANT, AccountKind::Merchant, Some(0)).await;
        world.open(ANNA, AccountKind::Member, Some(0)).await;
        world.open(BAO, AccountKind::Member, Some(0)).await;
        world
    }

    pub async fn open(&mut self, number: u128, kind: AccountKind, min_balance: Option<i64>) {
        let expiry_account = match kind {
            AccountKind::Member => account(EXPIRED),
            _ => String::new(),
        };
        let account = pb::Account {
            programme: programme(),
            asset: "points".to_owned(),
            kind: kind.into(),
            expiry_account,
            min_balance,
            ..Default::default()
        };
        let request = pb::CreateAccountRequest {
            parent: community(),
            account_id: Uuid::from_u128(number).to_string(),
            account: Some(account),
        };
        self.client.create_account(request).await.unwrap();
    }

    /// Another process on the same database.
    pub fn replica(&self) -> Ledger {
        Ledger::new(self.pool.clone(), self.clock.clone())
    }

    /// Posts transfers, all of which must go through.
    pub async fn post(&mut self, transfers: Vec<pb::Transfer>) -> Vec<pb::Entry> {
        let request = pb::PostTransfersRequest {
            parent: community(),
            transfers,
        };
        let answer = self.client.post_transfers(request).await.unwrap();
        let verdicts = answer.into_inner().verdicts.into_iter();
        verdicts
            .map(|verdict| match verdict.verdict {
                Some(Verdict::Entry(entry)) => entry,
                refused => panic!("{refused:?}"),
            })
            .collect()
    }

    /// Holds points of Anna for the merchant.
    pub async fn hold(&mut self, request: u128, amount: i64) {
        let hold = pb::CreateHoldRequest {
            parent: community(),
            request_id: Uuid::from_u128(request).to_string(),
            debit_account: account(ANNA),
            credit_account: account(MERCHANT),
            amount,
            expire_time: Some(timestamp(self.clock.now() + Duration::from_secs(600))),
            ..Default::default()
        };
        self.client.create_hold(hold).await.unwrap();
    }
}

/// What must come in time.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what)
        .await
        .expect("it comes in time")
}
