//! `bench ledger`: how fast the ledger is, beside the textbook way on the same Postgres in the same run.
//!
//! It starts a private Postgres as it comes, with fsync, and the services as `up` does, and calls the ledger through gRPC like any
//! other client. Every figure has lots, holds, idempotency and the journal's proof turned on; there is no other ledger. A machine is
//! never quiet, so only the ratios of one run mean anything, and the baseline is measured again between the others.
//!
//! What was tried, and what it gave (PostgreSQL 15, 2 cores shared with other work; compare ratios only):
//!
//! - **Callers on one thread, requests encoded once, verdicts counted on the wire.** In bulk the callers then take 3 % of the processor time, the
//!   service 18 % and Postgres 44 %; the rest is waiting for one backend, which is busy nearly all the time. A call of one transfer took the callers
//!   15 µs and the service 28, a third of the first in tonic's client; so they talk HTTP/2 themselves.
//! - **Plans made for an empty table.** Every key starts with `community_id`, so on a table that nobody has analyzed yet every index looks
//!   as good as the right one, and a prepared statement keeps its first generic plan: looking 30,000 accounts up by `= any(…)` read
//!   349 million tuples of an index by programme, and opening an account read all the others. A lateral join on `unnest` makes it one
//!   descent for each id. An update from `unnest` can't be held to that: after calls of one transfer each a batch of 240 was planned as a
//!   join that read the community (11,700/s in place of 22,600/s), and without hash joins as a comparison of all with all (2,200/s). An upsert
//!   goes by the key but does more: 35 ms for 8,000 accounts in SQL alone, 26 by a `merge` whose outer join, with hash and merge joins
//!   forbidden, leaves only the lookup by the key. For lots that was slower at first (45,000/s in place of 62,000/s), for the planner took their
//!   second index, by expiry, which leads to thousands; with the account in that index too either will do: 72 bytes of log a lot in place of
//!   128, 30 ms of a batch in place of 37. Numbers taken out of an array by place, and not unnested beside each other: 3 of these 35.
//! - **Plans made again and again.** A list whose length the planner sees makes a plan for a short one look cheaper than any that serves all, so
//!   it planned every execution: 0.37 ms in place of 0.12 for the search of one request, in SQL alone. Hidden in a subquery, it plans six times.
//! - **Statements.** A batch of one that touches no lot or hold sent 15, many of them about nothing, and then 7; it sends 3: lock and search, write,
//!   commit and begin. With 256 in flight a batch took 4.1 ms in place of 4.4, but came with fewer requests, for then the calls are what there is to
//!   wait for.
//! - **One look for all new ids.** Ids that grow with time are newer than all on file: the search of 8,190 took 15 ms of some 100, and now next to
//!   nothing. Random ids still cost that.
//! - **`COPY` in place of `unnest` for entries**, in SQL alone: 2.4 µs in place of 3.7 to 4.2 a row and 369 in place of 415 bytes of log. It
//!   waits for two answers more than a list in the statement that writes the accounts, so up to 255 entries are still inserted.
//! - **Answers of 1,000 and more on another thread**: the next batch waited 6 ms for its lock and search, and now waits 2.
//! - **A seeded hash that is made for short keys** (foldhash): 8,190 transfers are applied in 3.8 ms in place of 7.6.
//! - **Another allocator** (mimalloc): 71 µs of processor time a transfer in place of 82, callers and Postgres included, with 256 in flight, for a
//!   fifth of the service's time went into what one thread makes and another frees. Throughput alone had hidden that.
//! - **A connection of its own for each busy worker.** The pool hands connections out in turn, and ten cold backends did what one
//!   warm one does.
//! - **Leaves for the sealer from the engine.** Reading 8,190 entries back took 12 ms of Postgres beside a batch of some 100 ms, and as
//!   much again of the service.
//! - **Answers written together.** Each answer was a system call of its own, 14 % of the processor time with 256 in flight; a connection that
//!   first lets the ready tasks run writes them in one.
//! - **No foreign keys from accounts and lots**: 3.0 in place of 3.6 µs an updated row, in SQL alone.
//! - **Link-time optimisation** of the binary, about 5 % with 256 in flight.
//! - Without effect: a lower or higher `fillfactor` than 70 (2.8 to 4.1 µs a row, all within the noise of
//!   whole runs), a narrower row for balances (0.25 µs), looking for news of sockets more often (`event_interval` of 7 in place of 61), a thread
//!   and connections of its own for the engine, more or fewer threads and connections for the calls, callers pinned to one processor.
//!
//! Ratios of three runs with `--quick` after that, with what is asked of them: bulk of 8,190, hot 69 to 86 (50), uniform 12.0 to 15.3 (8),
//! hot to uniform 0.96 to 1.15 (0.9), lots to uniform 0.52 to 0.58 (0.5); unary with 256 in flight, hot 15.2 to 17.2 (12), p99 17 to 28 ms (50),
//! uniform 2.6 to 3.3 (2); one in flight 0.54 to 0.58 ms behind the baseline (1). The baseline was at 7,200 to 9,500 transfers a second. Of a
//! full run, whose windows are longer, lots to uniform was 0.69. Before the lots were there at the start, so that grants opened them, nine
//! runs gave 0.45 to 0.69. Bulk figures of one run swing by a tenth and more on a machine that is shared, and the ratio of two of them by more
//! than that. With 10,073,700 transfers stored before: 1.11 of the empty figure (0.8), and 296 MB of memory in place of 258.

mod baseline;
mod books;
mod figure;
mod load;
mod meter;
mod report;
mod till;
mod wire;
mod workload;

use std::{collections::HashMap, net::SocketAddr, sync::Arc, thread, time::Duration};

use chrono::TimeDelta;
use proto::ledger::v1::ledger_service_client::LedgerServiceClient;
use redemption::{Limits, Offline};
use runtime::{Client, Clock, Durability, Holder, Ids, Minter, Postgres, Problem, Role};
use sqlx::{Connection, PgConnection};
use tokio::sync::oneshot;

use self::{
    baseline::{Baseline, CONNECTIONS, Payee},
    books::Books,
    load::{Sample, drive},
    meter::{Reading, Statements, database, memory_mb},
    report::{Measured, Preloaded, Report},
    wire::Wire,
    workload::{Ring, Workload},
};
pub use self::{figure::Figure, load::Timing, till::till};
use crate::{
    cli::BenchLedgerArgs,
    key,
    progress::Progress,
    system::{Ports, System, SystemConfig},
    terminal,
};

const DATABASE: &str = "bench";
/// Connections that the calls are spread over.
const WIRES: usize = 2;
/// How often each figure is measured, so that none has only a bad moment.
const ROUNDS: u32 = 2;

/// Measures and prints.
pub async fn ledger(args: BenchLedgerArgs) -> Result<(), Problem> {
    let statements = Statements::count();
    let (sender, report) = oneshot::channel();
    // One thread makes all the calls: on few cores every further one takes time from those that answer.
    let spawned = thread::Builder::new()
        .name("callers".into())
        .spawn(move || {
            let threads = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let report = match threads {
                Ok(threads) => threads.block_on(measure(&args, statements)),
                Err(error) => Err(Problem::new(format!("can't start threads: {error}"))),
            };
            // Nobody waits any more when the process ends.
            let _ = sender.send(report.map(|report| {
                if args.json {
                    report.json()
                } else {
                    report.text()
                }
            }));
        });
    spawned.map_err(|error| Problem::new(format!("can't start threads: {error}")))?;
    let report = report
        .await
        .map_err(|_| Problem::new("the benchmark broke down"))?;
    terminal::print(report?)
}

async fn measure(args: &BenchLedgerArgs, statements: Statements) -> Result<Report, Problem> {
    let mut progress = Progress::new("bench");
    progress.stage("starting");
    let clock = Clock::system();
    let ids = Ids::new(clock.clone());
    let served = Served::start(&clock, &ids).await?;
    let Served { system, url, .. } = &served;
    let client = system.clients()?.ledger;
    let token = served.token(&clock);
    let ledger = system.ledger.address();
    let mut meter = PgConnection::connect(url).await.map_err(database)?;
    let (version, settings) = meter::settings(&mut meter).await?;
    let books = Arc::new(Books::new(&ids));
    progress.stage("opening accounts");
    // Grants go to the lots that are set up, so both begin at one instant.
    let now = clock.now();
    let posted = books
        .set_up(&client, &Wire::connect(ledger, &token).await?, &ids, now)
        .await?;
    let rings = Workload::ALL.map(|workload| (workload, Ring::new(workload, &books, &ids, now)));
    let mut bench = Bench {
        baseline: Baseline::set_up(url, &ids).await?,
        timing: args.timing(),
        books,
        client,
        token,
        ledger,
        rings: HashMap::from(rings),
        meter,
        statements,
        progress,
        posted,
        report: Report {
            postgres: version,
            settings,
            ..Report::default()
        },
    };
    bench.run(args).await?;
    bench.progress.finish();
    let report = bench.end().await?;
    served.stop().await?;
    Ok(report)
}

/// All services on a temporary Postgres as it comes, with fsync.
struct Served {
    postgres: Postgres,
    url: String,
    system: System,
    minter: Minter,
}

impl Served {
    async fn start(clock: &Clock, ids: &Ids) -> Result<Self, Problem> {
        let postgres = Postgres::temporary_with(Durability::Durable)?;
        let url = postgres.url(DATABASE);
        runtime::create_database(&url).await?;
        runtime::migrate(&url).await?;
        let minter = key::temporary_issuer();
        let system = System::start(SystemConfig {
            database_url: url.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            listen: Ports::ANY,
            signer: Some(key::temporary()),
            person_keys: key::temporary_persons(),
            origins: Vec::new(),
            limits: Limits::default(),
            offline: Offline::default(),
            minter: minter.clone(),
        })
        .await?;
        Ok(Self {
            postgres,
            url,
            system,
            minter,
        })
    }

    /// What another service would call with, for as long as the benchmark may take.
    fn token(&self, clock: &Clock) -> String {
        let holder = Holder::everywhere("bench", [Role::Service]);
        self.minter.mint(&holder, clock.now(), TimeDelta::days(1))
    }

    async fn stop(self) -> Result<(), Problem> {
        self.system.stop().await?;
        self.postgres.stop();
        Ok(())
    }
}

struct Bench {
    baseline: Baseline,
    timing: Timing,
    books: Arc<Books>,
    /// For the calls that are not measured.
    client: LedgerServiceClient<Client>,
    /// What the measured calls are made with.
    token: String,
    ledger: SocketAddr,
    rings: HashMap<Workload, Ring>,
    meter: PgConnection,
    statements: Statements,
    progress: Progress,
    /// How many transfers the ledger has accepted.
    posted: u64,
    report: Report,
}

impl Bench {
    async fn run(&mut self, args: &BenchLedgerArgs) -> Result<(), Problem> {
        if args.preload > 0 {
            self.preload(args.preload).await?;
        }
        let figures = match (&args.only[..], args.quick) {
            ([], true) => Figure::quick(),
            ([], false) => Figure::all(),
            (only, _) => only.to_vec(),
        };
        for _ in 0..ROUNDS {
            for part in figures.chunks(figures.len().div_ceil(2).max(1)) {
                self.measure_baseline().await?;
                for figure in part {
                    let measured = self.measure(*figure).await?;
                    let all = self.report.figures.entry(*figure).or_default();
                    all.add(measured);
                }
            }
        }
        self.measure_baseline().await
    }

    async fn measure_baseline(&mut self) -> Result<(), Problem> {
        self.progress.stage("baseline");
        let Self {
            baseline,
            timing,
            report,
            ..
        } = self;
        let all = &mut report.baseline;
        let parts = [
            (&mut all.uniform, Payee::Any, CONNECTIONS),
            (&mut all.hot, Payee::Hot, CONNECTIONS),
            (&mut all.alone, Payee::Any, 1),
        ];
        for (sample, payee, connections) in parts {
            sample.add(baseline.measure(payee, connections, *timing).await?);
        }
        Ok(())
    }

    async fn measure(&mut self, figure: Figure) -> Result<Measured, Problem> {
        self.progress.stage(&figure.to_string());
        let before = Reading::take(&mut self.meter, &self.statements).await?;
        let sample = self.drive(figure, self.timing).await?;
        let after = Reading::take(&mut self.meter, &self.statements).await?;
        Ok(Measured {
            sample,
            cost: after.since(before),
        })
    }

    async fn drive(&mut self, figure: Figure, timing: Timing) -> Result<Sample, Problem> {
        let ring = self
            .rings
            .get(&figure.workload)
            .expect("every workload has its ring")
            .clone();
        // A service closes connections that grow old.
        let mut wires = Vec::new();
        for _ in 0..WIRES {
            wires.push(Wire::connect(self.ledger, &self.token).await?);
        }
        let transfers = figure.way.transfers();
        let sample = drive(figure.way.in_flight(), timing, move |caller| {
            let wire = wires[caller % WIRES].clone();
            let request = ring.request(transfers);
            async move { wire.post(&request).await }
        })
        .await?;
        self.posted += sample.made;
        Ok(sample)
    }

    /// Measures the empty ledger, then stores transfers.
    async fn preload(&mut self, transfers: u64) -> Result<(), Problem> {
        let empty = self.measure(Figure::bulk(Workload::Uniform)).await?;
        let memory_before_mb = memory_mb();
        let step = Timing {
            warm_up: Duration::ZERO,
            measured: Duration::from_secs(2),
        };
        let mut stored = 0;
        while stored < transfers {
            self.progress
                .stage(&format!("stored {stored} of {transfers} transfers"));
            stored += self
                .drive(Figure::bulk(Workload::Uniform), step)
                .await?
                .made;
        }
        self.report.preloaded = Some(Preloaded {
            transfers: stored,
            empty_rate: empty.sample.rate(),
            memory_before_mb,
            memory_after_mb: memory_mb(),
        });
        Ok(())
    }

    /// Makes sure that what was measured has happened.
    async fn end(self) -> Result<Report, Problem> {
        let sequence = self.books.last_sequence(&self.client).await?;
        if u64::try_from(sequence) != Ok(self.posted) {
            return Err(Problem::new(format!(
                "{} transfers were accepted and the journal ends at {sequence}",
                self.posted
            )));
        }
        Ok(self.report)
    }
}
