//! Connections that break, requests that the database rejects, queues that fill, callers that leave, a worker that dies.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use ledger::{Error, Ledger};
use proto::ledger::v1::{self as pb, ledger_service_client::LedgerServiceClient};
use runtime::{Client, Deadline};
use sqlx::{PgPool, Postgres, Transaction};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic_types::StatusExt;

use super::{
    asked::{self, ANNA, ISSUING, SHOP, account, id, transfer},
    books::{World, assert_equal, assert_sound},
    crowd::{Record, assert_explained, calls_for, client, deadlocks, replay},
    domain::{
        CaptureHold, Command, CommunityId, CreateHold, Posting, Refusal, Request, RequestId,
        Transfer,
    },
};

/// More than wait for a community at most.
const FULL: u128 = 65_536;
const MOST_AT_ONCE: u128 = 8_190;

/// Keeps every writer of a community waiting until it is dropped.
async fn stop_writers(pool: &PgPool, community: CommunityId) -> Transaction<'static, Postgres> {
    let mut tx = pool.begin().await.unwrap();
    sqlx::query("select from ledger.journal where community_id = $1 for update")
        .bind(community.0)
        .execute(&mut *tx)
        .await
        .unwrap();
    tx
}

/// On a runtime of one thread, lets every task come as far as it can without waiting for the database.
async fn let_tasks_begin() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

/// Waits until as many connections wait for a lock, which is as far as writers come.
async fn await_waiting(pool: &PgPool, count: i64) {
    for _ in 0..10_000 {
        let waiting: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        )
        .fetch_one(pool)
        .await
        .unwrap();
        if waiting == count {
            return;
        }
    }
    panic!("no writer waits for the journal");
}

fn grant(number: u128, amount: i64) -> Request {
    Request::new(id(number), false, transfer(ISSUING, ANNA, amount, None))
}

fn marked(number: u128, linked: bool) -> Request {
    let posting = Posting {
        debit: account(ISSUING),
        credit: account(ANNA),
        amount: 1,
    };
    let transfer = Transfer {
        posting,
        expires_at: None,
        description: "unloved".to_owned(),
    };
    Request::new(id(number), linked, Command::Transfer(transfer))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_break_around_a_commit_lose_nothing_and_double_nothing() {
    const KILLS: i64 = 60;
    let mut world = World::start().await;
    let replicas = [world.replica().await, world.replica().await];
    let watcher = world.superuser().await;
    world.lift_limits().await;
    let record = Record::default();
    let mut clients = JoinSet::new();
    for (number, calls) in calls_for(6, 60, 1_200, 0).into_iter().enumerate() {
        let ledger = replicas[number % 2].clone();
        clients.spawn(client(
            ledger,
            watcher.clone(),
            world.community,
            calls,
            record.clone(),
        ));
    }
    let over = Arc::new(AtomicBool::new(false));
    let killer = tokio::spawn({
        let (pool, over) = (watcher.clone(), over.clone());
        async move {
            let mut killed = 0;
            while !over.load(Ordering::Relaxed) && killed < KILLS {
                // Between two blows the others do a random share of their work.
                for _ in 0..random_share(&pool).await {
                    random_share(&pool).await;
                }
                killed += sqlx::query_scalar::<_, i64>(
                    "select count(pg_terminate_backend(pid)) from (select pid from pg_stat_activity
                     where datname = current_database() and application_name = 'linli_ledger' and state <> 'idle'
                     order by random() limit 1) as victim",
                )
                .fetch_one(&pool)
                .await
                .unwrap();
            }
            killed
        }
    });
    clients.join_all().await;
    over.store(true, Ordering::Relaxed);
    let killed = killer.await.unwrap();

    assert!(killed > 5, "only {killed} connections were broken");
    let query = ledger::EntryQuery::default();
    let entries = replicas[0].entries(world.community, query).await.unwrap();
    replay(&mut world.model, &entries, &record);
    assert_explained(&world.model, &record, world.clock.now());
    assert_equal(&replicas[1], world.community, &world.model).await;
    assert_sound(&watcher, world.community).await;
    assert_eq!(deadlocks(&watcher).await, 0);
}

/// A number from 0 to 39, one round trip later.
async fn random_share(pool: &PgPool) -> i32 {
    sqlx::query_scalar("select (random() * 39)::int")
        .fetch_one(pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_request_that_the_database_rejects_fails_alone() {
    let world = World::start().await;
    let superuser = world.superuser().await;
    sqlx::query(
        "alter table ledger.entry add constraint entry_loved check (description <> 'unloved')",
    )
    .execute(&superuser)
    .await
    .unwrap();
    let ledger = world.replica().await;
    let calls = [
        vec![grant(1, 10)],
        vec![grant(2, 20)],
        vec![marked(3, false)],
        vec![
            Request::new(id(4), true, transfer(ISSUING, ANNA, 5, None)),
            marked(5, true),
            grant(6, 5),
        ],
        vec![grant(7, 30)],
        vec![grant(8, 40)],
        // So many that the whole is copied, and what it is halved into is copied and inserted.
        (100..400).map(|number| grant(number, 1)).collect(),
    ];
    let stop = stop_writers(&superuser, world.community).await;
    let mut answers = vec![];
    for call in calls {
        let (ledger, community) = (ledger.clone(), world.community);
        let posting = async move { ledger.post_transfers(community, call).await };
        answers.push(tokio::spawn(posting));
    }
    // The first is a batch already, the others make the next one.
    let_tasks_begin().await;
    drop(stop);
    let mut posted = vec![];
    for answer in answers {
        posted.push(match answer.await.unwrap() {
            Ok(outcomes) => outcomes.into_iter().map(|it| it.unwrap().amount).sum(),
            Err(Error::Broken) => 0,
            Err(error) => panic!("{error}"),
        });
    }

    assert_eq!(posted, [10, 20, 0, 0, 30, 40, 300]);
    let anna = ledger
        .account(world.community, account(ANNA))
        .await
        .unwrap();
    assert_eq!((anna.balance, anna.last_sequence), (400, 304));
    assert_sound(&superuser, world.community).await;
}

#[tokio::test]
async fn what_another_process_answered_while_this_one_waited_is_known_to_it() {
    let world = World::start().await;
    let superuser = world.superuser().await;
    let (here, there) = (world.replica().await, world.replica().await);
    let post = |ledger: &Ledger, request| {
        let (ledger, community) = (ledger.clone(), world.community);
        let posting = async move { ledger.post_transfers(community, vec![request]).await };
        tokio::spawn(async move { posting.await.unwrap().remove(0) })
    };
    // They are served in the order in which they wait; the search of the second begins before the first has its answer.
    let one_after_the_other = async |first, second| {
        let stop = stop_writers(&superuser, world.community).await;
        let first = post(&there, first);
        await_waiting(&superuser, 1).await;
        let second = post(&here, second);
        await_waiting(&superuser, 2).await;
        drop(stop);
        (first.await.unwrap(), second.await.unwrap())
    };
    post(&here, grant(1, 10)).await.unwrap().unwrap();

    let spend = Request::new(id(2), false, transfer(ANNA, SHOP, 50, None));
    let too_few = Refusal::InsufficientPoints {
        available: 10,
        asked: 50,
    };
    let reused = Refusal::RequestIdReused {
        request_id: id(2).0,
    };
    assert_eq!(
        one_after_the_other(spend, grant(2, 5)).await,
        (Err(too_few), Err(reused))
    );
    let (first, second) = one_after_the_other(grant(3, 5), grant(3, 5)).await;
    assert_eq!(first.unwrap(), second.unwrap());
    assert_sound(&superuser, world.community).await;
}

#[tokio::test]
async fn a_full_queue_turns_callers_away_and_those_who_leave_it_are_not_served() {
    let world = World::start().await;
    let superuser = world.superuser().await;
    let ledger = world.replica().await;
    let post = |requests| {
        let (ledger, community) = (ledger.clone(), world.community);
        tokio::spawn(async move { ledger.post_transfers(community, requests).await })
    };
    let stop = stop_writers(&superuser, world.community).await;
    let first = post(vec![grant(1, 1)]);
    await_waiting(&superuser, 1).await;
    let mut waiting = vec![];
    let mut next = 2;
    while next < FULL + 1 {
        let end = (next + MOST_AT_ONCE).min(FULL + 1);
        waiting.push(post((next..end).map(|number| grant(number, 1)).collect()));
        next = end;
    }
    let_tasks_begin().await;

    let turned_away = ledger
        .post_transfers(world.community, vec![grant(next, 1)])
        .await;
    assert!(matches!(turned_away, Err(Error::Busy)), "{turned_away:?}");
    let status = post_over_the_wire(&ledger, world.community, next).await;
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.get_details_retry_info().is_some());

    for call in &waiting {
        call.abort();
    }
    let_tasks_begin().await;
    drop(stop);
    let posted = first.await.unwrap().unwrap().remove(0).unwrap();
    let after = ledger.post_transfers(world.community, vec![grant(next, 1)]);
    let after = after.await.unwrap().remove(0).unwrap();
    assert_eq!((posted.sequence, after.sequence), (1, 2));
}

#[tokio::test]
async fn a_call_whose_time_runs_out_in_the_queue_is_not_served() {
    let world = World::start().await;
    let superuser = world.superuser().await;
    let ledger = world.replica().await;
    let post = |requests| {
        let (ledger, community) = (ledger.clone(), world.community);
        async move { ledger.post_transfers(community, requests).await }
    };
    let stop = stop_writers(&superuser, world.community).await;
    let first = tokio::spawn(post(vec![grant(1, 1)]));
    await_waiting(&superuser, 1).await;
    let over = Deadline(Some(Instant::now()));
    let late = tokio::spawn(over.scope(post(vec![grant(2, 1)])));
    let_tasks_begin().await;
    drop(stop);
    first.await.unwrap().unwrap().remove(0).unwrap();
    let late = late.await.unwrap();
    assert!(matches!(late, Err(Error::Interrupted)), "{late:?}");
    let anna = ledger.account(world.community, account(ANNA)).await;
    assert_eq!(anna.unwrap().balance, 1);
}

async fn post_over_the_wire(
    ledger: &Ledger,
    community: CommunityId,
    number: u128,
) -> tonic::Status {
    let listener = runtime::listen("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let (authority, bearer) = runtime::acquainted();
    let server = tokio::spawn(ledger.server().run(listener, authority, stop.clone()));
    let name = |number: u128| format!("communities/{}/accounts/{}", community.0, account(number).0);
    let request = pb::PostTransfersRequest {
        parent: format!("communities/{}", community.0),
        transfers: vec![pb::Transfer {
            request_id: id(number).0.to_string(),
            debit_account: name(ISSUING),
            credit_account: name(ANNA),
            amount: 1,
            ..pb::Transfer::default()
        }],
    };
    let mut client = LedgerServiceClient::new(Client::new(
        runtime::channel(&address).unwrap(),
        Some(bearer),
    ));
    let status = client.post_transfers(request).await.unwrap_err();
    stop.cancel();
    server.await.unwrap().unwrap();
    status
}

#[tokio::test]
async fn a_worker_that_dies_leaves_nobody_waiting_and_has_a_successor() {
    let world = World::start().await;
    let superuser = world.superuser().await;
    let ledger = world.replica().await;
    let hold = CreateHold {
        posting: Posting {
            debit: account(ANNA),
            credit: account(SHOP),
            amount: 5,
        },
        expires_at: asked::minute(60),
        description: String::new(),
    };
    let batch = vec![
        grant(1, 10),
        Request::new(id(2), false, Command::CreateHold(hold)),
    ];
    let posted = ledger.post_transfers(world.community, batch).await.unwrap();
    assert!(posted.iter().all(Result::is_ok));

    // Nothing that the ledger does removes an account; one that is gone is a bug, and bugs panic.
    for table in ["lot", "account"] {
        let statement = format!("delete from ledger.{table} where account_id = $1");
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(account(ANNA).0)
            .execute(&superuser)
            .await
            .unwrap();
    }
    let another = world.replica().await;
    let capture = CaptureHold {
        hold: RequestId(id(2).0),
        amount: 5,
        is_final: true,
        credit: None,
        description: String::new(),
    };
    let captured = another.capture_hold(world.community, id(3), capture).await;
    assert!(matches!(captured, Err(Error::Interrupted)), "{captured:?}");

    let elsewhere = Request::new(id(4), false, transfer(ISSUING, SHOP, 7, None));
    let posted = another
        .post_transfers(world.community, vec![elsewhere])
        .await;
    assert_eq!(posted.unwrap().remove(0).unwrap().sequence, 3);
}
