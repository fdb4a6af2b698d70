//! Every service inside this process, each as its own gRPC server on loopback and on threads of its own.
//!
//! A service can be stopped in good order, killed as if its process had died, and started again on the same port.
//! Nothing here knows a rule: callers use the public contracts through [`Clients`].

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

pub use activity::EmergencyNumbers;
use ledger::proof::Signer;
use proto::{
    activity::v1::{
        activity_event_service_client::ActivityEventServiceClient,
        activity_service_client::ActivityServiceClient, notice_service_client::NoticeServiceClient,
        oversight_service_client::OversightServiceClient,
        policy_service_client::PolicyServiceClient, report_service_client::ReportServiceClient,
    },
    ledger::v1::ledger_service_client::LedgerServiceClient,
    redemption::v1::{
        redemption_event_service_client::RedemptionEventServiceClient,
        redemption_service_client::RedemptionServiceClient,
        settlement_service_client::SettlementServiceClient,
    },
    wish::v1::{
        beneficiary_service_client::BeneficiaryServiceClient,
        dispatch_service_client::DispatchServiceClient, drive_service_client::DriveServiceClient,
        wish_event_service_client::WishEventServiceClient, wish_service_client::WishServiceClient,
    },
};
pub use redemption::{Limits, Offline, OfflineKeys};
pub use runtime::KeyRing;
use runtime::{Authority, Bearer, Client, Clock, Holder, Ids, Minter, Problem, Roles, Roots};
use tokio::{net::TcpListener, runtime::Runtime, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use crate::role::{Parts, Prepared, Role};

/// How long threads may take to end; each ends at its next wait.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// A port is free as soon as the threads of its last owner have ended.
const REBIND_TIMEOUT: Duration = Duration::from_secs(5);
const THREADS: usize = 2;

/// The loopback port of each service; 0 takes any free one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// The ledger's.
    pub ledger: u16,
    /// Activity's.
    pub activity: u16,
    /// Redemption's.
    pub redemption: u16,
    /// The wishes'.
    pub wish: u16,
}

impl Ports {
    /// Any free ones.
    pub const ANY: Self = Self {
        ledger: 0,
        activity: 0,
        redemption: 0,
        wish: 0,
    };
}

/// What a system is started with.
#[derive(Debug, Clone)]
pub struct SystemConfig {
    /// A migrated database.
    pub database_url: String,
    /// The time that all services share.
    pub clock: Clock,
    /// The ids that all services share.
    pub ids: Ids,
    /// Where they listen.
    pub listen: Ports,
    /// What the ledger signs its checkpoints with; without it there are none.
    pub signer: Option<Signer>,
    /// What persons are sealed under.
    pub person_keys: KeyRing,
    /// Of the web pages that may call from browsers.
    pub origins: Vec<String>,
    /// How much one till and one member may do.
    pub limits: Limits,
    /// What offline codes are signed with, and what they are worth.
    pub offline: Offline,
    /// Whose tokens all services trust, for every role.
    pub minter: Minter,
}

/// The running services.
#[derive(Debug)]
pub struct System {
    /// The ledger.
    pub ledger: Service,
    /// Activity.
    pub activity: Service,
    /// Redemption.
    pub redemption: Service,
    /// Wishes.
    pub wish: Service,
    minter: Minter,
    clock: Clock,
}

/// Clients of the services, for one holder of tokens.
#[derive(Debug, Clone)]
pub struct Clients {
    /// Of the ledger.
    pub ledger: LedgerServiceClient<Client>,
    /// Of activity.
    pub activity: ActivityServiceClient<Client>,
    /// Of what happens in activity.
    pub activity_events: ActivityEventServiceClient<Client>,
    /// Of activity's notices.
    pub notices: NoticeServiceClient<Client>,
    /// Of activity's oversight of services.
    pub oversight: OversightServiceClient<Client>,
    /// Of activity's looks at policies.
    pub policies: PolicyServiceClient<Client>,
    /// Of activity's problem reports.
    pub reports: ReportServiceClient<Client>,
    /// Of redemption.
    pub redemption: RedemptionServiceClient<Client>,
    /// Of what happens in redemption.
    pub redemption_events: RedemptionEventServiceClient<Client>,
    /// Of redemption's settlement.
    pub settlement: SettlementServiceClient<Client>,
    /// Of wishes.
    pub wish: WishServiceClient<Client>,
    /// Of what happens to wishes.
    pub wish_events: WishEventServiceClient<Client>,
    /// Of wish's roster.
    pub roster: BeneficiaryServiceClient<Client>,
    /// Of wish's dispatches.
    pub dispatches: DispatchServiceClient<Client>,
    /// Of wish's donation drives.
    pub drives: DriveServiceClient<Client>,
    dial: Dial,
}

/// What clients are made from.
#[derive(Debug, Clone)]
struct Dial {
    /// To the ledger, activity, redemption and wishes.
    channels: [Channel; 4],
    minter: Minter,
    clock: Clock,
}

impl Dial {
    fn clients(self, holder: Holder) -> Clients {
        let bearer = Bearer::minted(self.minter.clone(), holder, self.clock.clone());
        let [ledger, activity, redemption, wish] = self
            .channels
            .clone()
            .map(|channel| Client::new(channel, Some(bearer.clone())));
        Clients {
            ledger: LedgerServiceClient::new(ledger),
            activity_events: ActivityEventServiceClient::new(activity.clone()),
            notices: NoticeServiceClient::new(activity.clone()),
            oversight: OversightServiceClient::new(activity.clone()),
            policies: PolicyServiceClient::new(activity.clone()),
            reports: ReportServiceClient::new(activity.clone()),
            activity: ActivityServiceClient::new(activity),
            settlement: SettlementServiceClient::new(redemption.clone()),
            redemption_events: RedemptionEventServiceClient::new(redemption.clone()),
            redemption: RedemptionServiceClient::new(redemption),
            wish_events: WishEventServiceClient::new(wish.clone()),
            roster: BeneficiaryServiceClient::new(wish.clone()),
            dispatches: DispatchServiceClient::new(wish.clone()),
            drives: DriveServiceClient::new(wish.clone()),
            wish: WishServiceClient::new(wish),
            dial: self,
        }
    }
}

impl Clients {
    /// The same connections for someone else.
    pub fn of(&self, holder: Holder) -> Self {
        self.dial.clone().clients(holder)
    }
}

impl System {
    /// Starts every service; when it returns, all of them take calls.
    pub async fn start(config: SystemConfig) -> Result<Self, Problem> {
        let SystemConfig {
            database_url,
            clock,
            ids,
            listen,
            signer,
            person_keys,
            origins,
            limits,
            offline,
            minter,
        } = config;
        // The ports are opened first, for the services have to know each other's.
        let ledger = Bound::new(listen.ledger).await?;
        let activity = Bound::new(listen.activity).await?;
        let redemption = Bound::new(listen.redemption).await?;
        let wish = Bound::new(listen.wish).await?;
        let trusted = minter.issuer(Roles::from_iter(runtime::Role::ALL));
        let service = Holder::everywhere("linli", [runtime::Role::Service]);
        let parts = Parts {
            authority: Authority::new(clock.clone(), vec![trusted])?,
            bearer: Bearer::minted(minter.clone(), service, clock.clone()),
            database_url,
            clock: clock.clone(),
            ids,
            ledger_url: url(ledger.address),
            activity_url: url(activity.address),
            roots: Roots::default(),
            tls: None,
            signer,
            person_keys: Some(person_keys),
            origins,
            limits,
            offline,
            emergency_numbers: EmergencyNumbers::default(),
        };
        Ok(Self {
            ledger: Service::new(Role::Ledger, parts.clone(), ledger).await?,
            activity: Service::new(Role::Activity, parts.clone(), activity).await?,
            redemption: Service::new(Role::Redemption, parts.clone(), redemption).await?,
            wish: Service::new(Role::Wish, parts, wish).await?,
            minter,
            clock,
        })
    }

    /// Clients that connect at their first call and again after each loss, and may do everything. Needs a Tokio runtime.
    pub fn clients(&self) -> Result<Clients, Problem> {
        self.clients_of(Holder::everywhere("linli", runtime::Role::ALL))
    }

    /// The same for someone in particular.
    pub fn clients_of(&self, holder: Holder) -> Result<Clients, Problem> {
        let dial = Dial {
            channels: [
                runtime::channel(&self.ledger.url())?,
                runtime::channel(&self.activity.url())?,
                runtime::channel(&self.redemption.url())?,
                runtime::channel(&self.wish.url())?,
            ],
            minter: self.minter.clone(),
            clock: self.clock.clone(),
        };
        Ok(dial.clients(holder))
    }

    /// Waits until a service ends by itself, which none should, and says why.
    pub async fn failed(&mut self) -> Problem {
        tokio::select! {
            problem = self.ledger.failed() => problem,
            problem = self.activity.failed() => problem,
            problem = self.redemption.failed() => problem,
            problem = self.wish.failed() => problem,
        }
    }

    /// Stops every service in good order, callers before those they call.
    pub async fn stop(mut self) -> Result<(), Problem> {
        for service in [
            &mut self.wish,
            &mut self.redemption,
            &mut self.activity,
            &mut self.ledger,
        ] {
            service.stop().await?;
        }
        Ok(())
    }
}

/// One service of a system.
#[derive(Debug)]
pub struct Service {
    role: Role,
    parts: Parts,
    address: SocketAddr,
    running: Option<Running>,
}

impl Service {
    async fn new(role: Role, parts: Parts, bound: Bound) -> Result<Self, Problem> {
        Ok(Self {
            role,
            address: bound.address,
            running: Some(Running::new(role, parts.clone(), bound).await?),
            parts,
        })
    }

    /// Where it listens; the same after a restart.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL.
    pub fn url(&self) -> String {
        url(self.address)
    }

    /// Starts it again on the same port. Does nothing when it runs.
    pub async fn start(&mut self) -> Result<(), Problem> {
        if self.running.is_some() {
            return Ok(());
        }
        let started = Instant::now();
        let bound = loop {
            match Bound::new(self.address.port()).await {
                Err(_) if started.elapsed() < REBIND_TIMEOUT => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                bound => break bound?,
            }
        };
        self.running = Some(Running::new(self.role, self.parts.clone(), bound).await?);
        Ok(())
    }

    /// Stops it in good order: calls in progress are answered first. Does nothing when it does not run.
    pub async fn stop(&mut self) -> Result<(), Problem> {
        let Some(mut running) = self.running.take() else {
            return Ok(());
        };
        running.stop.cancel();
        (&mut running.ended)
            .await
            .unwrap_or_else(|error| Err(self.broke(&error)))
    }

    /// Ends it at once, in the middle of whatever it does, as `kill -9` would. Does nothing when it does not run.
    pub fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.threads.end();
        }
    }

    async fn failed(&mut self) -> Problem {
        let name = self.role.name();
        match &mut self.running {
            None => std::future::pending().await,
            Some(running) => match (&mut running.ended).await {
                Ok(Ok(())) => Problem::new(format!("{name} ended by itself")),
                Ok(Err(problem)) => problem,
                Err(error) => self.broke(&error),
            },
        }
    }

    fn broke(&self, error: &tokio::task::JoinError) -> Problem {
        Problem::new(format!("{} broke down: {error}", self.role.name()))
    }
}

/// Threads of its own, so that all of a service, calls in progress included, can end at once.
#[derive(Debug)]
struct Threads(Option<Runtime>);

impl Threads {
    fn new() -> Result<Self, Problem> {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .enable_all()
            .build()
            .map(|runtime| Self(Some(runtime)))
            .map_err(|error| Problem::new(format!("can't start threads: {error}")))
    }

    fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        let runtime = self.0.as_ref().expect("only drop takes the runtime");
        runtime.spawn(work)
    }
}

impl Threads {
    /// Ends everything that runs on them and waits until it has ended.
    fn end(mut self) {
        let Some(runtime) = self.0.take() else { return };
        // A thread that belongs to another runtime must not wait for this one.
        let waiting = std::thread::spawn(move || runtime.shutdown_timeout(END_TIMEOUT));
        // It has nothing to tell, and it ends in time.
        let _ = waiting.join();
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // A runtime dropped by itself would wait for its tasks, which is not allowed inside another one.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// An open port whose service has not started.
struct Bound {
    threads: Threads,
    listener: TcpListener,
    address: SocketAddr,
}

impl Bound {
    async fn new(port: u16) -> Result<Self, Problem> {
        let threads = Threads::new()?;
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port)).to_string();
        let listener = threads
            .spawn(async move { runtime::listen(&wanted).await })
            .await
            .map_err(|error| Problem::new(format!("can't listen at port {port}: {error}")))??;
        let address = listener
            .local_addr()
            .map_err(|error| Problem::new(format!("can't listen at port {port}: {error}")))?;
        Ok(Self {
            threads,
            listener,
            address,
        })
    }
}

#[derive(Debug)]
struct Running {
    stop: CancellationToken,
    ended: JoinHandle<Result<(), Problem>>,
    /// Their drop ends everything that runs on them.
    threads: Threads,
}

impl Running {
    async fn new(role: Role, parts: Parts, bound: Bound) -> Result<Self, Problem> {
        let stop = CancellationToken::new();
        let Bound {
            threads, listener, ..
        } = bound;
        let prepared = threads
            .spawn(Prepared::new(role, parts, stop.clone()))
            .await
            .map_err(|error| Problem::new(format!("{} did not start: {error}", role.name())))??;
        Ok(Self {
            stop,
            ended: threads.spawn(prepared.run(listener)),
            threads,
        })
    }
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}
