//! One service as it runs in production: its database connections, its server, its background loops, an orderly end.

use std::time::Duration;

use activity::{Activity, EmergencyNumbers};
use clap::ValueEnum;
use ledger::{Ledger, proof::Signer};
use redemption::{Limits, Offline, Redemption};
use runtime::{Authority, Bearer, Client, Clock, Ids, KeyRing, Problem, Roots, Server, Tls};
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use wish::Wishes;

/// Database connections of one service in one process.
const MAX_CONNECTIONS: u32 = 10;
/// How long background loops may take to end their present run.
const LAST_RUN: Duration = Duration::from_secs(10);

/// Which service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Role {
    /// Accounts and the journal.
    Ledger,
    /// Members, service records, grants.
    Activity,
    /// Merchants, offers, redemptions.
    Redemption,
    /// Wishes and pledges.
    Wish,
}

impl Role {
    /// Every service, each after those it calls.
    pub const ALL: [Self; 4] = [Self::Ledger, Self::Activity, Self::Redemption, Self::Wish];

    /// What it is called on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Activity => "activity",
            Self::Redemption => "redemption",
            Self::Wish => "wish",
        }
    }

    /// Its contract, an encoded `FileDescriptorSet`.
    pub fn descriptor(self) -> &'static [u8] {
        match self {
            Self::Ledger => proto::ledger::v1::DESCRIPTOR,
            Self::Activity => proto::activity::v1::DESCRIPTOR,
            Self::Redemption => proto::redemption::v1::DESCRIPTOR,
            Self::Wish => proto::wish::v1::DESCRIPTOR,
        }
    }

    /// The port it has when nothing else is said.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Ledger => 7401,
            Self::Activity => 7402,
            Self::Redemption => 7403,
            Self::Wish => 7404,
        }
    }
}

/// What a service is put together from.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The database, as its login user.
    pub database_url: String,
    /// The only source of now.
    pub clock: Clock,
    /// The only source of new ids.
    pub ids: Ids,
    /// Where the ledger answers.
    pub ledger_url: String,
    /// Where activity answers.
    pub activity_url: String,
    /// Who may say, over https, that they are those.
    pub roots: Roots,
    /// What the service ends TLS with; without it its port is plain.
    pub tls: Option<Tls>,
    /// What the ledger signs its checkpoints with; without it there are none.
    pub signer: Option<Signer>,
    /// What activity and wish seal persons under; they do not start without.
    pub person_keys: Option<KeyRing>,
    /// Of the web pages that may call from browsers.
    pub origins: Vec<String>,
    /// How much one till and one member may do.
    pub limits: Limits,
    /// What offline codes are signed with, and what they are worth.
    pub offline: Offline,
    /// What activity tells those who report an emergency to call.
    pub emergency_numbers: EmergencyNumbers,
    /// Who is trusted to say who calls.
    pub authority: Authority,
    /// What the service calls others with.
    pub bearer: Bearer,
}

/// A service that is ready to take calls; its background loops run already.
pub struct Prepared {
    role: Role,
    server: Server,
    authority: Authority,
    pool: PgPool,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Prepared {
    /// Connects to the database and starts the background loops. They end with `stop`.
    pub async fn new(role: Role, parts: Parts, stop: CancellationToken) -> Result<Self, Problem> {
        let Parts {
            database_url,
            clock,
            ids,
            ledger_url,
            activity_url,
            roots,
            tls,
            signer,
            person_keys,
            origins,
            limits,
            offline,
            emergency_numbers,
            authority,
            bearer,
        } = parts;
        let connect = async |database_role| {
            runtime::connect(&database_url, database_role, MAX_CONNECTIONS).await
        };
        let client = |url: &str| {
            let channel = runtime::channel_trusting(&roots, url)?;
            Ok::<_, Problem>(Client::new(channel, Some(bearer.clone())))
        };
        let tasks = TaskTracker::new();
        authority.spawn_workers(&tasks, &stop);
        if let Some(tls) = &tls {
            tls.spawn_reload(&tasks, stop.clone());
        }
        let (pool, server) = match role {
            Role::Ledger => {
                let pool = connect(ledger::ROLE).await?;
                let mut ledger = Ledger::new(pool.clone(), clock);
                match signer {
                    Some(signer) => ledger = ledger.with_signer(signer),
                    None => tracing::warn!("the ledger keeps no proofs: set LINLI_LEDGER_KEY"),
                }
                ledger.spawn_workers(&tasks, &stop);
                (pool, ledger.server())
            }
            Role::Activity => {
                let pool = connect(activity::ROLE).await?;
                let ledger = client(&ledger_url)?;
                let keys =
                    person_keys.ok_or_else(|| Problem::new("activity has no person keys"))?;
                let activity = Activity::new(pool.clone(), clock, ids, ledger, keys)
                    .with_emergency_numbers(emergency_numbers);
                activity.check_keys().await?;
                activity.spawn_workers(&tasks, &stop);
                (pool, activity.server())
            }
            Role::Redemption => {
                let pool = connect(redemption::ROLE).await?;
                let ledger = client(&ledger_url)?;
                let activity = client(&activity_url)?;
                let redemption = Redemption::new(pool.clone(), clock, ids, ledger, activity)
                    .with_limits(limits)
                    .with_offline(offline);
                redemption.spawn_workers(&tasks, &stop);
                (pool, redemption.server())
            }
            Role::Wish => {
                let pool = connect(wish::ROLE).await?;
                let ledger = client(&ledger_url)?;
                let services = (ledger, client(&activity_url)?);
                let keys = person_keys.ok_or_else(|| Problem::new("wish has no person keys"))?;
                let wishes = Wishes::new(pool.clone(), clock, ids, services, keys);
                wishes.check_keys().await?;
                wishes.spawn_workers(&tasks, &stop);
                (pool, wishes.server())
            }
        };
        tasks.close();
        Ok(Self {
            role,
            server: server.with_origins(origins).with_tls(tls),
            authority,
            pool,
            tasks,
            stop,
        })
    }

    /// Answers health checks on a plain port too.
    pub fn with_plain_health(self, probed: Option<TcpListener>) -> Self {
        let server = self.server.with_plain_health(probed);
        Self { server, ..self }
    }

    /// Serves until the stop, then lets calls and loops end, each within a hard limit.
    pub async fn run(self, listener: TcpListener) -> Result<(), Problem> {
        let served = self
            .server
            .run(listener, self.authority, self.stop.clone())
            .await;
        self.stop.cancel();
        let name = self.role.name();
        if tokio::time::timeout(LAST_RUN, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("{name} left a background run unfinished after {LAST_RUN:?}");
        }
        self.pool.close().await;
        tracing::info!("{name} stopped");
        served
    }
}
