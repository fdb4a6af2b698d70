//! A community whose journal has one of everything.

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use ledger::{
    Ledger, ROLE,
    domain::{
        AccountDefinition, AccountId, AccountKind, AccountLimits, CaptureHold, Command,
        CommunityId, CreateHold, Posting, ReleaseHold, Request, RequestId, ReverseEntry, Transfer,
    },
    proof::Signer,
    verify::{Difference, Verification, verify},
};
use runtime::{Clock, TestDatabase};
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

pub const COMMUNITY: CommunityId = CommunityId(Uuid::from_u128(7));

pub struct World {
    pub database: TestDatabase,
    pub pool: PgPool,
    /// May do everything.
    pub owner: PgPool,
    pub clock: Clock,
    pub ledger: Ledger,
    pub issuing: AccountId,
    pub merchant: AccountId,
    pub members: Vec<AccountId>,
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn signer() -> Signer {
    Signer::from_seed("linli-test", [42; 32]).unwrap()
}

pub fn day(day: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2024, 5, day, 12, 0, 0).unwrap()
}

pub fn account(number: u128) -> AccountId {
    AccountId(Uuid::from_u128(number))
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
    linked(request, debit, credit, amount, expires_at, false)
}

pub fn linked(
    request: u128,
    debit: AccountId,
    credit: AccountId,
    amount: i64,
    expires_at: Option<DateTime<Utc>>,
    linked: bool,
) -> Request {
    let posting = Posting {
        debit,
        credit,
        amount,
    };
    let description = format!("request {request}");
    Request::new(
        id(request),
        linked,
        Command::Transfer(Transfer {
            posting,
            expires_at,
            description,
        }),
    )
}

pub fn definition(id: AccountId, kind: AccountKind, min_balance: Option<i64>) -> AccountDefinition {
    AccountDefinition {
        id,
        programme: Uuid::from_u128(99),
        asset: "points".to_owned(),
        kind,
        owner: None,
        expiry_account: (kind == AccountKind::Member).then_some(account(2)),
        limits: AccountLimits {
            min_balance,
            max_balance: None,
        },
    }
}

impl World {
    pub async fn start() -> Self {
        let database = TestDatabase::new().await;
        let pool = database.pool(ROLE).await;
        let owner = database.pool("").await;
        let clock = Clock::manual(day(1));
        let ledger = Ledger::new(pool.clone(), clock.clone()).with_signer(signer());
        ledger
            .create_asset(COMMUNITY, "points".to_owned(), 0)
            .await
            .unwrap();
        let world = Self {
            database,
            pool,
            owner,
            clock,
            ledger,
            issuing: account(1),
            merchant: account(3),
            members: (4..8).map(account).collect(),
        };
        world.open(account(1), AccountKind::Issuing, None).await;
        world.open(account(2), AccountKind::Expired, Some(0)).await;
        world.open(account(3), AccountKind::Merchant, Some(0)).await;
        for member in &world.members {
            world.open(*member, AccountKind::Member, Some(0)).await;
        }
        world
    }

    async fn open(&self, id: AccountId, kind: AccountKind, min_balance: Option<i64>) {
        self.ledger
            .create_account(COMMUNITY, definition(id, kind, min_balance))
            .await
            .unwrap();
    }

    pub async fn post(&self, requests: Vec<Request>) -> Vec<ledger::Outcome> {
        self.ledger
            .post_transfers(COMMUNITY, requests)
            .await
            .unwrap()
    }

    pub async fn hold(&self, request: u128, member: AccountId, amount: i64, minutes: i64) -> bool {
        let hold = CreateHold {
            posting: Posting {
                debit: member,
                credit: self.merchant,
                amount,
            },
            expires_at: self.clock.now() + TimeDelta::minutes(minutes),
            description: "a hold".to_owned(),
        };
        self.ledger
            .create_hold(COMMUNITY, id(request), hold)
            .await
            .is_ok()
    }

    pub async fn capture(&self, request: u128, hold: u128, amount: i64, is_final: bool) -> bool {
        let capture = CaptureHold {
            hold: id(hold),
            amount,
            is_final,
            credit: None,
            description: String::new(),
        };
        self.ledger
            .capture_hold(COMMUNITY, id(request), capture)
            .await
            .is_ok()
    }

    pub async fn release(&self, request: u128, hold: u128) -> bool {
        let release = ReleaseHold { hold: id(hold) };
        self.ledger
            .release_hold(COMMUNITY, id(request), release)
            .await
            .is_ok()
    }

    pub async fn reverse(
        &self,
        request: u128,
        sequence: i64,
        amount: i64,
        allow_partial: bool,
    ) -> bool {
        let reverse = ReverseEntry {
            sequence,
            amount,
            allow_partial,
            description: String::new(),
        };
        self.ledger
            .reverse_entry(COMMUNITY, id(request), reverse)
            .await
            .is_ok()
    }

    /// One of everything: grants, spends, a chain, a refusal, holds that end in every way, reversals, expiries, a limit.
    pub async fn live(&self) {
        let [ada, ben, ..] = self.members[..] else {
            panic!("four members")
        };
        let grant = |request, member, amount, expires| {
            transfer(request, self.issuing, member, amount, Some(day(expires)))
        };
        self.post(vec![
            grant(100, ada, 50, 3),
            grant(101, ada, 50, 20),
            grant(102, ben, 80, 20),
        ])
        .await;
        self.post(vec![transfer(103, ada, self.merchant, 60, None)])
            .await;
        self.post(vec![
            linked(104, self.issuing, ben, 5, None, true),
            linked(105, ben, self.merchant, 6, None, false),
        ])
        .await;
        let refused = self
            .post(vec![transfer(106, ben, self.merchant, 10_000, None)])
            .await;
        assert!(refused[0].is_err());
        assert!(self.hold(107, ben, 20, 5).await);
        assert!(self.capture(108, 107, 5, false).await);
        assert!(self.capture(109, 107, 5, true).await);
        assert!(self.hold(110, ben, 10, 5).await);
        assert!(self.release(111, 110).await);
        assert!(self.hold(112, ada, 10, 5).await);
        assert!(self.hold(113, ben, 9, 60 * 24 * 9).await);
        assert!(self.reverse(114, 4, 20, false).await);
        let limits = AccountLimits {
            min_balance: Some(-500),
            max_balance: Some(0),
        };
        self.ledger
            .update_account_limits(COMMUNITY, self.issuing, limits, None)
            .await
            .unwrap();
        assert!(self.reverse(115, 2, 50, true).await);
        self.clock.advance_to(day(4));
        self.ledger.sweep_expired(COMMUNITY).await.unwrap();
        let refused = self
            .post(vec![transfer(116, self.issuing, ben, 10_000, None)])
            .await;
        assert!(refused[0].is_err());
    }

    /// Enough small payments that the merchant's statement has pages.
    pub async fn pay(&self, first: u128, count: u128) {
        let spends = (first..first + count)
            .map(|request| transfer(request, self.issuing, self.merchant, 1, None));
        let outcomes = self.post(spends.collect()).await;
        assert!(outcomes.iter().all(Result::is_ok));
    }

    pub async fn seal(&self) {
        self.ledger.seal(COMMUNITY).await.unwrap();
    }

    /// Every difference, as `table key: what`.
    pub async fn differences(&self) -> Vec<String> {
        self.differences_with(Verification {
            key: Some(signer().verifier().clone()),
            ..Verification::default()
        })
        .await
    }

    pub async fn differences_with(&self, asked: Verification) -> Vec<String> {
        let mut found: Vec<Difference> = vec![];
        let done = verify(&self.pool, &asked, &mut |difference| found.push(difference)).await;
        let verified = done.unwrap();
        assert_eq!(verified.differences, found.len() as u64);
        found
            .iter()
            .map(|one| {
                format!(
                    "{} {}: {}: {} {}",
                    one.table, one.key, one.what, one.expected, one.found
                )
            })
            .collect()
    }

    /// Does as a superuser what no rule allows.
    pub async fn tamper(&self, sql: &str) {
        let mut tx = self.owner.begin().await.unwrap();
        for statement in ["set local session_replication_role = replica", sql] {
            sqlx::query(AssertSqlSafe(statement.to_owned()))
                .execute(&mut *tx)
                .await
                .unwrap();
        }
        tx.commit().await.unwrap();
    }
}
