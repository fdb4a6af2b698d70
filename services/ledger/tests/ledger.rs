//! The ledger's use cases on a real Postgres.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use ledger::{
    EntryQuery, Error, Ledger, ROLE,
    domain::{
        Account, AccountDefinition, AccountId, AccountKind, AccountLimits, CaptureHold, Command,
        CommunityId, CreateHold, EntryKind, HoldState, Posting, Refusal, ReleaseHold, Request,
        RequestId, ReverseEntry, Transfer,
    },
};
use runtime::{Clock, TestDatabase};
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

/// A community with an issuing, an expired and a merchant account, and one member.
struct World {
    database: TestDatabase,
    pool: PgPool,
    clock: Clock,
    ledger: Ledger,
    community: CommunityId,
    issuing: AccountId,
    expired: AccountId,
    merchant: AccountId,
    member: AccountId,
}

fn noon(day: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2024, 5, day, 12, 0, 0).unwrap()
}

impl World {
    async fn start() -> Self {
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

    fn definition(
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

    async fn open(&self, id: AccountId, kind: AccountKind, min_balance: Option<i64>) -> Account {
        let definition = self.definition(id, kind, min_balance);
        self.ledger
            .create_account(self.community, definition)
            .await
            .unwrap()
    }

    async fn transfer(
        &self,
        request: u128,
        debit: AccountId,
        credit: AccountId,
        amount: i64,
    ) -> Result<i64, Refusal> {
        self.post(transfer(request, debit, credit, amount, None))
            .await
    }

    async fn grant(&self, request: u128, amount: i64, expires: DateTime<Utc>) -> i64 {
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

    async fn post(&self, request: Request) -> Result<i64, Refusal> {
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

    async fn hold(&self, request: u128, amount: i64) -> Result<ledger::domain::Hold, Error> {
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

    async fn capture(
        &self,
        request: u128,
        hold: u128,
        amount: i64,
    ) -> Result<ledger::domain::Hold, Error> {
        let capture = CaptureHold {
            hold: id(hold),
            amount,
            is_final: true,
            description: String::new(),
        };
        Ok(self
            .ledger
            .capture_hold(self.community, id(request), capture)
            .await?
            .0)
    }

    async fn account(&self, id: AccountId) -> Account {
        self.ledger.account(self.community, id).await.unwrap()
    }

    async fn available(&self) -> i64 {
        self.account(self.member).await.available(self.clock.now())
    }

    async fn count(&self, table: &str) -> i64 {
        let sql = AssertSqlSafe(format!("select count(*) from ledger.{table}"));
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }
}

fn id(number: u128) -> RequestId {
    RequestId(Uuid::from_u128(number))
}

fn transfer(
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
    Request {
        id: Some(id(request)),
        linked: false,
        command: Command::Transfer(transfer),
    }
}

async fn in_parallel<T, F>(tries: impl IntoIterator<Item = F>) -> Vec<T>
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
            ..EntryQuery::default()
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
            ..EntryQuery::default()
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
