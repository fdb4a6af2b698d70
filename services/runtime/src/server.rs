//! The server of every service: gRPC, gRPC-Web and JSON on one port, health, reflection, what `call` gives each request, and an orderly
//! end.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue};
use tokio::net::{TcpListener, lookup_host};
use tokio_stream::{Stream, StreamExt};
use tokio_util::{either::Either, sync::CancellationToken};
use tonic::{service::Routes, transport::server::TcpIncoming};
use tonic_health::{
    ServingStatus,
    pb::health_server::{Health, HealthServer},
};
use tower::util::option_layer;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::{
    Authority, Keys, Problem, Stop, Tls,
    access::Guard,
    call::CallLayer,
    connection::Connection,
    gathered::Gathered,
    web::{Origins, WebLayer},
};

/// How long calls in progress may go on after the stop; streams without end are told of it by [`Stop`].
const DRAIN: Duration = Duration::from_secs(20);

/// After so long a connection takes no new call: its client opens another, and so reaches replicas that came later. What is under way on
/// it goes on, for with a grace tonic would cut it without a word (0.14.9).
const CONNECTION_AGE: Duration = Duration::from_secs(600);

/// Says of every answer which version of the contract gave it; `server` would be overwritten by gateways.
pub(crate) const VERSION_HEADER: HeaderName = HeaderName::from_static("linli-version");
const VERSION: HeaderValue = HeaderValue::from_static(env!("CARGO_PKG_VERSION"));

/// One service on one port.
pub struct Server {
    name: &'static str,
    routes: Routes,
    descriptor: &'static [u8],
    origins: Vec<String>,
    keys: Option<Keys>,
    tls: Option<Tls>,
    probed: Option<TcpListener>,
}

impl Server {
    /// Prepares the service `name`, as in `linli.ledger.v1.LedgerService`; `descriptor` is an encoded
    /// `FileDescriptorSet` for reflection and JSON.
    pub fn new(name: &'static str, routes: Routes, descriptor: &'static [u8]) -> Self {
        Self {
            name,
            routes,
            descriptor,
            origins: Vec::new(),
            keys: None,
            tls: None,
            probed: None,
        }
    }

    /// Lets in the holders of the service's own keys too.
    pub fn with_keys(self, keys: Keys) -> Self {
        let keys = Some(keys);
        Self { keys, ..self }
    }

    /// Lets web pages of these origins, as in `https://app.example`, call it from browsers; `*` means every page.
    pub fn with_origins(self, origins: Vec<String>) -> Self {
        Self { origins, ..self }
    }

    /// Ends TLS itself; without it the port is plain.
    pub fn with_tls(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
    }

    /// Answers `grpc.health.v1` on a plain port too, and nothing else there: for probes that know no TLS.
    pub fn with_plain_health(self, probed: Option<TcpListener>) -> Self {
        Self { probed, ..self }
    }

    /// Serves the callers whom `authority` knows and the contract names for each method, until `stop`: then it is not healthy any more, takes no new connection, and ends when the calls in
    /// progress have ended, after 20 s at the latest.
    pub async fn run(
        self,
        listener: TcpListener,
        authority: Authority,
        stop: CancellationToken,
    ) -> Result<(), Problem> {
        let guard = Arc::new(Guard::new(self.descriptor, authority, self.keys)?);
        let (health, health_service) = tonic_health::server::health_reporter();
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(self.descriptor)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let malformed = |error| Problem::new(format!("the descriptor of {}: {error}", self.name));
        let routes = self
            .routes
            .add_service(health_service.clone())
            .add_service(reflection().build_v1().map_err(malformed)?)
            .add_service(reflection().build_v1alpha().map_err(malformed)?);
        let set_health = async |status| {
            health.set_service_status("", status).await;
            health.set_service_status(self.name, status).await;
        };
        set_health(ServingStatus::Serving).await;
        let probes = probes(self.probed, health_service.clone());

        let origins = Origins::parse(&self.origins)?;
        let closing = CancellationToken::new();
        let serve = tonic::transport::Server::builder()
            .accept_http1(true)
            .layer(SetResponseHeaderLayer::overriding(VERSION_HEADER, VERSION))
            .layer(option_layer(origins.cors()))
            .layer(WebLayer::new(self.descriptor, origins)?)
            .layer(CallLayer {
                stop: Stop(closing.clone()),
                guard,
            })
            .http2_keepalive_interval(Some(Duration::from_secs(30)))
            .http2_keepalive_timeout(Some(Duration::from_secs(10)))
            .max_concurrent_streams(1024)
            .max_connection_age(CONNECTION_AGE)
            .add_routes(routes)
            .serve_with_incoming_shutdown(
                connections(listener, self.tls),
                closing.clone().cancelled_owned(),
            );
        let limit = async {
            stop.cancelled().await;
            set_health(ServingStatus::NotServing).await;
            closing.cancel();
            tokio::time::sleep(DRAIN).await;
        };
        tokio::select! {
            served = serve => {
                served.map_err(|error| Problem::new(format!("{} stopped serving: {error}", self.name)))
            }
            probed = probes => probed,
            () = limit => {
                tracing::warn!("{} cut the calls that were open {DRAIN:?} after the stop", self.name);
                Ok(())
            }
        }
    }
}

fn connections(
    listener: TcpListener,
    tls: Option<Tls>,
) -> impl Stream<Item = io::Result<Gathered<Connection>>> {
    // The builder's own setting does not reach a listener that is handed in; without it an answer waits 40 ms for an
    // acknowledgement.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let connections = match tls {
        None => Either::Left(incoming.map(|made| made.map(Connection::Plain))),
        Some(tls) => Either::Right(tls.secure(incoming)),
    };
    connections.map(|made| made.map(Gathered::new))
}

/// Serves probes on a port of their own, if there is one, as long as it is asked to.
async fn probes(
    listener: Option<TcpListener>,
    health: HealthServer<impl Health>,
) -> Result<(), Problem> {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    let served = tonic::transport::Server::builder()
        .max_concurrent_streams(64)
        .add_service(health)
        .serve_with_incoming(TcpIncoming::from(listener));
    let stopped = |error| Problem::new(format!("the port for probes is not served: {error}"));
    served.await.map_err(stopped)
}

/// Opens a port; port 0 takes any free one.
pub async fn listen(addr: &str) -> Result<TcpListener, Problem> {
    let places: Vec<SocketAddr> = lookup_host(addr)
        .await
        .map_err(|error| Problem::new(format!("{addr} is not like 127.0.0.1:7401: {error}")))?
        .collect();
    TcpListener::bind(&places[..]).await.map_err(|error| {
        let port = places.first().map_or(0, SocketAddr::port);
        Problem::new(match error.kind() {
            io::ErrorKind::AddrInUse => {
                format!("port {port} is taken: stop what listens at {addr}, or choose another port")
            }
            io::ErrorKind::PermissionDenied => {
                format!("port {port} needs more rights: choose a port above 1023")
            }
            _ => format!("can't listen at {addr}: {error}"),
        })
    })
}
