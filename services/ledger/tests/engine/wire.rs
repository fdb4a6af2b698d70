//! What a batch costs on the wire to Postgres, counted where nothing is missed: between the two.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use ledger::{Ledger, ROLE, domain::CommunityId};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::{
    asked::{self, ANNA, BAO, DONOR, SHOP, account, id, transfer},
    books::World,
    domain::{Command, CreateHold, Posting, Request},
};

/// Statements that were executed, and answers that were waited for.
#[derive(Clone, Default)]
struct Counted(Arc<[AtomicUsize; 2]>);

impl Counted {
    fn take(&self) -> [usize; 2] {
        [0, 1].map(|index| self.0[index].swap(0, Ordering::Relaxed))
    }

    /// Passes a client's messages on and counts them.
    async fn pass(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> std::io::Result<()> {
        let mut is_start = true;
        loop {
            let kind = match is_start {
                true => None,
                false => Some(from.read_u8().await?),
            };
            let length = from.read_u32().await?;
            let mut body = vec![0; usize::try_from(length).unwrap() - 4];
            from.read_exact(&mut body).await?;
            if let Some(kind) = kind {
                to.write_u8(kind).await?;
            }
            to.write_u32(length).await?;
            to.write_all(&body).await?;
            // A client may first ask for TLS.
            is_start = is_start && body == 80_877_103_u32.to_be_bytes();
            // Execute and Query; Sync, Query and the end of a COPY.
            let counts = match kind {
                Some(b'E') => [1, 0],
                Some(b'S' | b'c') => [0, 1],
                Some(b'Q') => [1, 1],
                _ => [0, 0],
            };
            for (total, count) in self.0.iter().zip(counts) {
                total.fetch_add(count, Ordering::Relaxed);
            }
        }
    }

    async fn serve(self, listener: UnixListener, postgres: PathBuf) {
        while let Ok((client, _)) = listener.accept().await {
            let (from_client, mut to_client) = client.into_split();
            let server = UnixStream::connect(&postgres).await.unwrap();
            let (mut from_server, to_server) = server.into_split();
            let counted = self.clone();
            // Both end when either side hangs up.
            tokio::spawn(async move { counted.pass(from_client, to_server).await });
            tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
        }
    }
}

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Of a batch whose accounts are kept; begin and commit included. Raise it only with a reason.
const MOST_STATEMENTS: usize = 9;
/// The pool's look whether the connection is alive and the statement that starts it included; to copy into a table waits once more than to insert,
/// and into two a batch may.
const MOST_ROUND_TRIPS: usize = 13;

const SOCKET: &str = ".s.PGSQL.5432";

/// What is asked, the fewest that cost as much as any number of them, and the command of each number.
type Kind<'a> = (&'static str, usize, &'a dyn Fn(usize) -> Command);

#[tokio::test]
async fn a_batch_costs_as_many_statements_and_round_trips_for_8190_requests_as_for_one() {
    let mut world = World::start().await;
    world.lift_limits().await;
    let folder = Folder(std::env::temp_dir().join(format!("linli-wire-{}", std::process::id())));
    std::fs::create_dir_all(&folder.0).unwrap();
    let options: PgConnectOptions = world.database.url().parse().unwrap();
    let postgres = options.get_socket().unwrap().join(SOCKET);
    let listener = UnixListener::bind(folder.0.join(SOCKET)).unwrap();
    let counted = Counted::default();
    tokio::spawn(counted.clone().serve(listener, postgres));
    let options = options.socket(&folder.0).options([("role", ROLE)]);
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect_lazy_with(options);
    let ledger = Ledger::new(pool.clone(), world.clock.clone());

    let mut next = 1;
    let mut ids = || {
        next += 1;
        id(next)
    };
    let hold = || {
        Command::CreateHold(CreateHold {
            posting: Posting {
                debit: account(BAO),
                credit: account(SHOP),
                amount: 1,
            },
            expires_at: asked::minute(60),
            description: String::new(),
        })
    };
    // Two at least for lots: one that fills them and one that empties them.
    let kinds: [Kind<'_>; 3] = [
        ("transfers", 1, &|_| transfer(DONOR, SHOP, 1, None)),
        ("lots", 2, &|number| match number % 2 {
            0 => transfer(DONOR, ANNA, 5, i64::try_from(number % 7 + 10).ok()),
            _ => transfer(ANNA, SHOP, 4, None),
        }),
        ("holds", 1, &|_| hold()),
    ];
    let stock = Request::new(ids(), false, transfer(DONOR, BAO, 100_000, Some(100)));
    post(&ledger, world.community, vec![stock]).await;
    for (name, fewest, kind) in kinds {
        let mut costs = vec![];
        // The first prepares the statements.
        for count in [fewest, 8_190, fewest, 8_190, fewest] {
            let commands = (0..count).map(kind);
            let requests = commands.map(|command| Request::new(ids(), false, command));
            let requests = requests.collect();
            counted.take();
            post(&ledger, world.community, requests).await;
            // Giving the connection back is part of it.
            while pool.num_idle() == 0 {
                tokio::task::yield_now().await;
            }
            costs.push(counted.take());
        }
        println!("{name}: {costs:?} statements and round trips");
        // Copying entries is a statement more that waits twice, and of their allocations one that waits twice; another one, in some, notes
        // where a page of someone's statement ends.
        let prepared = &costs[2..];
        let [statements, round_trips] =
            [0, 1].map(|index| prepared.iter().map(|cost| cost[index]).max().unwrap());
        let steady = prepared
            .iter()
            .all(|cost| cost[0] + 2 >= statements && cost[1] + 4 >= round_trips);
        assert!(steady, "{name}: {costs:?}");
        assert!(
            statements <= MOST_STATEMENTS,
            "{name}: {statements} statements"
        );
        assert!(
            round_trips <= MOST_ROUND_TRIPS,
            "{name}: {round_trips} round trips"
        );
    }
}

async fn post(ledger: &Ledger, community: CommunityId, requests: Vec<Request>) {
    let posted = ledger.post_transfers(community, requests).await.unwrap();
    assert!(posted.iter().all(Result::is_ok));
}
