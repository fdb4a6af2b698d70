//! `bench ledger`: how fast the ledger is, beside the textbook way on the same Postgres in the same run.
//!
//! It starts a private Postgres as it comes, with fsync, and the services as `up` does, and calls the ledger through gRPC like any
//! other client. Every figure has lots, holds, idempotency and the journal's proof turned on; there is no other ledger. A machine is
//! never quiet, so only the ratios of one run mean anything, and the baseline is measured again between the others.
//!
//! What was tried, and what it gave (PostgreSQL 15, 2 cores shared with other work; compare ratios only):
//!
//! - **Callers on one thread, requests encoded once, verdicts counted on the wire.** In bulk the callers then take 2 % of the processor time, the
//!   service 28 % and Postgres 70 %, most of it in `accounts_update` and `entries_insert`.
//! - **Plans made for an empty table.** Every key starts with `community_id`, so on a table that nobody has analyzed yet every index looks
//!   as good as the right one, and a prepared statement keeps its first generic plan: looking 30,000 accounts up by `= any(…)` read
//!   349 million tuples of an index by programme. A lateral join on `unnest` makes it one descent for each id, and that index is gone.
//! - **Statements.** A batch of one that touches no lot or hold sent 15, many of them about nothing; it sends 9, `begin` and `commit` included.
//! - **Strings.** A transfer's field names were formatted whether or not anything was wrong with it; now only what is wrong is.
//!
//! Ratios of one `--quick` run after that, with what is asked of them: bulk of 8,190, hot 42 (50), uniform 5.6 (8), hot to uniform 1.16
//! (0.9), lots to uniform 0.61 (0.5); unary with 256 in flight, hot 10.8 (12), p99 23 ms (50), uniform 1.1 (2); one in flight 0.66 ms
//! behind the baseline (1).

mod baseline;
mod books;
mod figure;
mod load;
mod meter;
mod report;
mod wire;
mod workload;

use std::{collections::HashMap, sync::Arc, thread, time::Duration};

use runtime::{Clock, Durability, Ids, Postgres, Problem};
use sqlx::{Connection, PgConnection};
use tokio::sync::oneshot;
use tonic::transport::Channel;

pub use self::load::Timing;
use self::{
    baseline::{Baseline, CONNECTIONS, Payee},
    books::Books,
    figure::Figure,
    load::{Sample, drive},
    meter::{Reading, Statements, database, memory_mb},
    report::{Measured, Preloaded, Report},
    workload::{Ring, Workload},
};
use crate::{
    cli::BenchLedgerArgs,
    progress::Progress,
    system::{Ports, System, SystemConfig},
    terminal,
};

const DATABASE: &str = "bench";
/// Connections that the calls are spread over.
const CHANNELS: usize = 4;
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
    let postgres = Postgres::temporary_with(Durability::Durable)?;
    let url = postgres.url(DATABASE);
    runtime::create_database(&url).await?;
    runtime::migrate(&url).await?;
    let system = System::start(SystemConfig {
        database_url: url.clone(),
        clock: clock.clone(),
        ids: ids.clone(),
        listen: Ports::ANY,
        signer: Some(crate::key::temporary()),
    })
    .await?;
    let channels = (0..CHANNELS).map(|_| runtime::channel(&system.ledger.url()));
    let channels = channels.collect::<Result<Vec<_>, Problem>>()?;
    let mut meter = PgConnection::connect(&url).await.map_err(database)?;
    let (version, settings) = meter::settings(&mut meter).await?;
    let books = Arc::new(Books::new(&ids));
    progress.stage("opening accounts");
    let posted = books.set_up(&channels[0], &ids, clock.now()).await?;
    let rings =
        Workload::ALL.map(|workload| (workload, Ring::new(workload, &books, &ids, clock.now())));
    let mut bench = Bench {
        baseline: Baseline::set_up(&url, &ids).await?,
        timing: args.timing(),
        books,
        channels,
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
    system.stop().await?;
    postgres.stop();
    Ok(report)
}

struct Bench {
    baseline: Baseline,
    timing: Timing,
    books: Arc<Books>,
    channels: Vec<Channel>,
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
        let figures = if args.quick {
            Figure::quick()
        } else {
            Figure::all()
        };
        let wanted =
            |figure: &Figure| args.only.is_empty() || args.only.contains(&figure.to_string());
        let figures: Vec<Figure> = figures.into_iter().filter(wanted).collect();
        for _ in 0..ROUNDS {
            for part in figures.chunks(figures.len().div_ceil(2).max(1)) {
                self.measure_baseline().await?;
                for figure in part {
                    let measured = self.measure(*figure).await?;
                    let all = self.report.figures.entry(*figure).or_default();
                    all.sample.add(measured.sample);
                    all.cost = all.cost.plus(measured.cost);
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
        let channels = self.channels.clone();
        let transfers = figure.way.transfers();
        let sample = drive(figure.way.in_flight(), timing, move |caller| {
            let channel = channels[caller % CHANNELS].clone();
            wire::post(channel, ring.request(transfers))
        })
        .await?;
        self.posted += sample.transfers;
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
                .transfers;
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
        let sequence = self.books.last_sequence(&self.channels[0]).await?;
        if u64::try_from(sequence) != Ok(self.posted) {
            return Err(Problem::new(format!(
                "{} transfers were accepted and the journal ends at {sequence}",
                self.posted
            )));
        }
        Ok(self.report)
    }
}
