//! A community with an issuing, an expired and a merchant account, and one member.

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use ledger::{
    Error, Ledger, ROLE,
    domain::{
        Account, AccountDefinition, AccountId, AccountKind, AccountLimits, CaptureHold, Command,
        CommunityId, CreateHold, Posting, Refusal, Request, RequestId, Transfer,
    },
};
use runtime::{Clock, TestDatabase};
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

/// A community with an issuing, an expired and a merchant account, and one member.
pub struct World {
    pub database: TestDatabase,
    pub pool: PgPool,
    pub clock: Clock,
    pub ledger: Ledger,
    pub community: CommunityId,
    pub issuing: AccountId,
    pub expired: AccountId,
    pub merchant: AccountId,
    pub member: AccountId,
}

pub fn noon(day: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2024, 5, day, 12, 0, 0).unwrap()
}

impl World {
    pub async fn start() -> Self {
        let database = TestDatabase::new().await;
        let pool = database.pool(ROLE).await;
        let clock = Clock::manual(noon(1));
        let ledger = Ledger::new(pool.clone(), clock.clone());
        let community = CommunityId(Uuid::from_u128(7));
        ledger
            .create_asset(community, "points".to_owned(), 0)
            .await
            .unwrap();
        let account = |number| AccountId(Uuid::from_u128(number));
        let world = Self {
            database,
            pool,
            clock,
            ledger,
            community,
            issuing: account(1),
            expired: account(2),
            merchant: account(3),
            member: account(4),
        };
        world
            .open(world.issuing, AccountKind::Issuing, Some(-1_000))
            .await;
        world
            .open(world.expired, AccountKind::Expired, Some(0))
            .await;
        world
            .open(world.merchant, AccountKind::Merchant, Some(0))
            .await;
        world.open(world.member, AccountKind::Member, Some(0)).await;
        world
    }

    pub fn definition(
        &self,
        id: AccountId,
        kind: AccountKind,
        min_balance: Option<i64>,
    ) -> AccountDefinition {
        AccountDefinition {
            id,
            programme: Uuid::from_u128(99),
            asset: "points".to_owned(),
            kind,
            owner: None,
            expiry_account: (kind == AccountKind::Member).then_some(self.expired),
            limits: AccountLimits {
                min_balance,
                max_balance: None,
            },
        }
    }

    pub async fn open(
        &self,
        id: AccountId,
        kind: AccountKind,
        min_balance: Option<i64>,
    ) -> Account {
        let definition = self.definition(id, kind, min_balance);
        self.ledger
            .create_account(self.community, definition)
            .await
            .unwrap()
    }

    pub async fn transfer(
        &self,
        request: u128,
        debit: AccountId,
        credit: AccountId,
        amount: i64,
    ) -> Result<i64, Refusal> {
        self.post(transfer(request, debit, credit, amount, None))
            .await
    }

    pub async fn grant(&self, request: u128, amount: i64, expires: DateTime<Utc>) -> i64 {
        self.post(transfer(
            request,
            self.issuing,
            self.member,
            amount,
            Some(expires),
        ))
        .await
        .unwrap()
    }

    pub async fn post(&self, request: Request) -> Result<i64, Refusal> {
        let outcomes = self
            .ledger
            .post_transfers(self.community, vec![request])
            .await
            .unwrap();
        outcomes
            .into_iter()
            .next()
            .unwrap()
            .map(|entry| entry.sequence)
    }

    pub async fn hold(&self, request: u128, amount: i64) -> Result<ledger::domain::Hold, Error> {
        let hold = CreateHold {
            posting: Posting {
                debit: self.member,
                credit: self.merchant,
                amount,
            },
            expires_at: self.clock.now() + TimeDelta::minutes(5),
            description: String::new(),
        };
        self.ledger
            .create_hold(self.community, id(request), hold)
            .await
    }

    pub async fn capture(
        &self,
        request: u128,
        hold: u128,
        amount: i64,
    ) -> Result<ledger::domain::Hold, Error> {
        let capture = CaptureHold {
            hold: id(hold),
            amount,
            is_final: true,
            credit: None,
            description: String::new(),
        };
        Ok(self
            .ledger
            .capture_hold(self.community, id(request), capture)
            .await?
            .0)
    }

    pub async fn account(&self, id: AccountId) -> Account {
        self.ledger.account(self.community, id).await.unwrap()
    }

    pub async fn available(&self) -> i64 {
        self.account(self.member).await.available(self.clock.now())
    }

    pub async fn count(&self, table: &str) -> i64 {
        let sql = AssertSqlSafe(format!("select count(*) from ledger.{table}"));
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }
}

pub fn id(number: u128) -> RequestId {
    RequestId(Uuid::from_u128(number))
}

pub fn transfer(
    request: u128,
    debit: AccountId,
    credit: AccountId,
    amount: i64,
    expires_at: Option<DateTime<Utc>>,
) -> Request {
    let posting = Posting {
        debit,
        credit,
        amount,
    };
    let transfer = Transfer {
        posting,
        expires_at,
        description: "a test".to_owned(),
    };
    Request::new(id(request), false, Command::Transfer(transfer))
}

pub async fn in_parallel<T, F>(tries: impl IntoIterator<Item = F>) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = tries.into_iter().map(tokio::spawn).collect();
    let mut results = vec![];
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}
