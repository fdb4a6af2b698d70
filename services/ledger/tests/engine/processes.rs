//! The whole process killed at random moments, and started again. Clients call over gRPC and repeat what they have no answer to.
//!
//! `LINLI_KILLS=200 cargo test -p ledger --test engine processes` kills that often; a few times is the default.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command as Process, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use chrono::Months;
use ledger::{EntryQuery, Ledger, ROLE};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use proto::ledger::v1::{
    self as pb, ledger_service_client::LedgerServiceClient, transfer_verdict::Verdict,
};
use runtime::{Client, Clock, acquainted, channel, connect, listen};
use sqlx::PgPool;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{
    asked,
    books::{World, assert_equal, assert_sound},
    crowd::{Call, Record, Told, assert_explained, deadlocks, head, replay},
    domain::{AccountId, Command, CommunityId, Posting, Request},
};

/// Of the database; tells a copy of this program to be the ledger.
const SERVE: &str = "LINLI_TEST_SERVE";
const KILLS: &str = "LINLI_KILLS";
const CLIENTS: u128 = 6;
/// How many ids the calls of a client are named by before it goes on to others.
const IDS: u128 = 60;

/// Not a test of its own: the program that the next one kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_when_asked_to_be_one() {
    let Ok(url) = std::env::var(SERVE) else {
        return;
    };
    let pool = connect(&url, ROLE, 4).await.unwrap();
    let listener = listen("127.0.0.1:0").await.unwrap();
    println!("\nserves at http://{}", listener.local_addr().unwrap());
    std::io::stdout().flush().unwrap();
    let ledger = Ledger::new(pool, Clock::system());
    let served = ledger
        .server()
        .run(listener, acquainted().0, CancellationToken::new());
    served.await.unwrap();
}

/// A running copy of this program; it is killed when dropped.
struct Served {
    child: Child,
    url: String,
}

impl Served {
    fn start(database: &str) -> Self {
        let mut child = Process::new(std::env::current_exe().unwrap())
            .args([
                "processes::a_ledger_when_asked_to_be_one",
                "--exact",
                "--nocapture",
            ])
            .env(SERVE, database)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines.find_map(|line| Some(line.unwrap().strip_prefix("serves at ")?.to_owned()));
        Self {
            child,
            url: url.expect("it ends only when it is killed"),
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // SIGKILL: it gets to do nothing more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_killed_at_any_moment_has_lost_nothing_and_doubled_nothing() {
    let kills = std::env::var(KILLS).map_or(8, |kills| kills.parse().unwrap());
    let mut world = World::start().await;
    let watcher = world.superuser().await;
    world.lift_limits().await;
    let record = Record::default();
    let database = world.database.url().to_owned();
    let start = |database: String| async move {
        let served = tokio::task::spawn_blocking(move || Served::start(&database));
        served.await.unwrap()
    };
    let mut served = start(database.clone()).await;
    let (moved, url) = watch::channel(served.url.clone());
    let over = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(client(Caller {
            // Two clients each use the same ids.
            number: number / 2,
            community: world.community,
            url: url.clone(),
            pool: watcher.clone(),
            record: record.clone(),
            over: over.clone(),
            calls: calls(number),
        }));
    }
    for kill in 0..kills {
        // A few calls more, and a moment within the next ones.
        record.more(kill * 7 % 5 + 1).await;
        for _ in 0..kill * 7919 % 400 {
            tokio::task::yield_now().await;
        }
        drop(served);
        served = start(database.clone()).await;
        moved.send(served.url.clone()).unwrap();
    }
    over.store(true, Ordering::Relaxed);
    clients.join_all().await;

    let ledger = Ledger::new(world.pool.clone(), world.clock.clone());
    let query = EntryQuery::default();
    let entries = ledger.entries(world.community, query).await.unwrap();
    println!(
        "{kills} kills, {} calls answered, {} entries",
        record.count(),
        entries.len()
    );
    assert!(entries.len() > kills, "little was posted");
    replay(&mut world.model, &entries, &record);
    assert_explained(&world.model, &record, asked::start());
    assert_equal(&ledger, world.community, &world.model).await;
    assert_sound(&watcher, world.community).await;
    assert_eq!(deadlocks(&watcher).await, 0);
}

struct Caller {
    number: u128,
    community: CommunityId,
    url: watch::Receiver<String>,
    pool: PgPool,
    record: Record,
    over: Arc<AtomicBool>,
    calls: Box<dyn FnMut() -> Vec<Request> + Send>,
}

async fn client(mut caller: Caller) {
    let mut range = 0;
    while !caller.over.load(Ordering::Relaxed) {
        for _ in 0..IDS / 2 {
            let requests = (caller.calls)();
            let offset = (caller.number << 64) + (range << 32);
            let requests: Vec<Request> = requests
                .iter()
                .map(|request| asked::renamed(&lasting(request), offset))
                .collect();
            let after = head(&caller.pool, caller.community).await;
            let told = caller.ask(&requests).await;
            caller.record.add(Call {
                before: head(&caller.pool, caller.community).await,
                requests,
                told,
                after,
            });
            if caller.over.load(Ordering::Relaxed) {
                return;
            }
        }
        range += 1;
    }
}

/// Random calls without end, the same at every run.
fn calls(seed: u128) -> Box<dyn FnMut() -> Vec<Request> + Send> {
    let mut bytes = [7; 32];
    bytes[..16].copy_from_slice(&seed.to_be_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    Box::new(move || {
        asked::wire_call(IDS)
            .new_tree(&mut runner)
            .unwrap()
            .current()
    })
}

/// The same request with times a century later, so that nothing in it depends on the system's clock.
fn lasting(request: &Request) -> Request {
    let century = Months::new(1_200);
    let mut command = request.command.clone();
    match &mut command {
        Command::Transfer(transfer) => {
            transfer.expires_at = transfer.expires_at.map(|at| at + century)
        }
        Command::CreateHold(hold) => hold.expires_at = hold.expires_at + century,
        _ => {}
    }
    Request::new(request.id().unwrap(), request.linked, command)
}

impl Caller {
    /// Asks until there is an answer, wherever the ledger is by then.
    async fn ask(&mut self, requests: &[Request]) -> Vec<Told> {
        loop {
            let url = self.url.borrow_and_update().clone();
            let client =
                LedgerServiceClient::new(Client::new(channel(&url).unwrap(), Some(acquainted().1)));
            match self.try_asking(client, requests).await {
                Ok(told) => return told,
                Err(status) => {
                    let gone = [
                        Code::Unavailable,
                        Code::Unknown,
                        Code::Cancelled,
                        Code::Internal,
                        Code::Aborted,
                    ];
                    assert!(gone.contains(&status.code()), "{status:?}");
                    assert!(
                        status.code() != Code::Internal
                            || status.get_error_details().error_info().is_none(),
                        "{status:?}"
                    );
                    // Until it is somewhere else, asking again is of no use; if it is there after all, it is asked again.
                    let patience = std::time::Duration::from_millis(100);
                    let _ = tokio::time::timeout(patience, self.url.changed()).await;
                }
            }
        }
    }

    async fn try_asking(
        &mut self,
        mut client: LedgerServiceClient<Client>,
        requests: &[Request],
    ) -> Result<Vec<Told>, Status> {
        let request_id = requests[0].id().unwrap().0.to_string();
        let community = format!("communities/{}", self.community.0);
        let name = |kind: &str, id: &dyn std::fmt::Display| format!("{community}/{kind}/{id}");
        let account = |id: AccountId| name("accounts", &id.0);
        let told = match &requests[0].command {
            Command::CreateHold(hold) => {
                let Posting {
                    debit,
                    credit,
                    amount,
                } = hold.posting;
                let held = client.create_hold(pb::CreateHoldRequest {
                    parent: community.clone(),
                    request_id,
                    debit_account: account(debit),
                    credit_account: account(credit),
                    amount,
                    expire_time: Some(runtime::timestamp(hold.expires_at)),
                    description: hold.description.clone(),
                });
                let entry = held.await.map(|hold| hold.into_inner().entry);
                entry.map(|entry| entry.rsplit_once('/').unwrap().1.parse().unwrap())
            }
            Command::CaptureHold(capture) => {
                let captured = client.capture_hold(pb::CaptureHoldRequest {
                    name: name("holds", &capture.hold.0),
                    request_id,
                    amount: capture.amount,
                    r#final: capture.is_final,
                    credit_account: capture.credit.map(account).unwrap_or_default(),
                    description: capture.description.clone(),
                });
                captured
                    .await
                    .map(|it| it.into_inner().entry.unwrap().sequence)
            }
            Command::ReverseEntry(reverse) => {
                let reversed = client.reverse_entry(pb::ReverseEntryRequest {
                    name: name("entries", &reverse.sequence),
                    request_id,
                    amount: reverse.amount,
                    allow_partial: reverse.allow_partial,
                    description: reverse.description.clone(),
                });
                reversed.await.map(|entry| entry.into_inner().sequence)
            }
            _ => {
                let transfers = requests
                    .iter()
                    .map(|request| wire_transfer(request, account))
                    .collect();
                let post = pb::PostTransfersRequest {
                    parent: community.clone(),
                    transfers,
                };
                let answer = client.post_transfers(post).await?.into_inner();
                return Ok(answer.verdicts.into_iter().map(verdict).collect());
            }
        };
        match told {
            Ok(sequence) => Ok(vec![Ok(sequence)]),
            Err(status) => match status.get_details_error_info() {
                Some(info)
                    if !["DEPENDENCY_UNAVAILABLE", "CONCURRENT_UPDATE"]
                        .contains(&&*info.reason) =>
                {
                    Ok(vec![Err(values(info.reason, info.metadata))])
                }
                _ => Err(status),
            },
        }
    }
}

fn wire_transfer(request: &Request, account: impl Fn(AccountId) -> String) -> pb::Transfer {
    let Command::Transfer(transfer) = &request.command else {
        panic!("not a transfer: {request:?}");
    };
    pb::Transfer {
        request_id: request.id().unwrap().0.to_string(),
        debit_account: account(transfer.posting.debit),
        credit_account: account(transfer.posting.credit),
        amount: transfer.posting.amount,
        expire_time: transfer.expires_at.map(runtime::timestamp),
        linked: request.linked,
        description: transfer.description.clone(),
    }
}

fn verdict(verdict: pb::TransferVerdict) -> Told {
    match verdict.verdict.unwrap() {
        Verdict::Entry(entry) => Ok(entry.sequence),
        Verdict::Refusal(refusal) => Err(values(refusal.reason, refusal.metadata)),
    }
}

/// A refusal's reason and values under the names that the domain gives them.
fn values(
    reason: String,
    metadata: impl IntoIterator<Item = (String, String)>,
) -> Vec<(String, String)> {
    let rename = |(key, value): (String, String)| match key.as_str() {
        "entry" => ("sequence".to_owned(), value),
        _ => (key, value),
    };
    let mut values: Vec<_> = metadata.into_iter().map(rename).collect();
    values.push(("reason".to_owned(), reason));
    values.sort();
    values
}
