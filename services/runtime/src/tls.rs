//! TLS that the server ends itself. The files are read as one generation, again and again: when they change, new connections take the new
//! ones, and when those can't be used, the ones before. A client may show a certificate; one that does not count ends its handshake.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sha2::{Digest, Sha256};
use tokio::{net::TcpStream, sync::Semaphore, sync::mpsc};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, RootCertStore, ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
        server::{NoServerSessionStorage, WebPkiClientVerifier},
        time_provider::TimeProvider,
    },
};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::transport::server::TcpIncoming;

use crate::{Clock, Nudge, Problem, Progress, connection::Connection, spawn_worker};

/// How often there is a look at the files.
const LOOK: Duration = Duration::from_secs(10);
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// So many handshakes may go on at once; more wait in the kernel's queue.
const HANDSHAKES: usize = 1024;

/// Where the server's certificate is and whose clients' it takes, all in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, and behind it those that lead to a root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities that sign clients' certificates, one or several; without it clients are not asked for any.
    pub client_ca: Option<PathBuf>,
}

/// What a server needs to end TLS; clones share it.
#[derive(Debug, Clone)]
pub struct Tls {
    files: Arc<TlsFiles>,
    clock: Clock,
    current: Arc<Mutex<Current>>,
}

#[derive(Debug)]
struct Current {
    config: Arc<ServerConfig>,
    /// What was there at the last look: its hash, or why it can't be read.
    seen: Result<[u8; 32], String>,
}

/// What the files hold at one look.
struct Generation {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Tls {
    /// Reads the files; at the start they have to be right.
    pub fn read(files: TlsFiles, clock: Clock) -> Result<Self, Problem> {
        let generation = Generation::read(&files)?;
        let current = Current {
            config: generation.config(&files, &clock)?,
            seen: Ok(generation.hash()),
        };
        Ok(Self {
            files: Arc::new(files),
            clock,
            current: Arc::new(Mutex::new(current)),
        })
    }

    /// Starts what looks whether the files have changed.
    pub fn spawn_reload(&self, tasks: &TaskTracker, stop: CancellationToken) {
        let tls = self.clone();
        let work = move || {
            tls.look();
            async { Ok(Progress::Idle) }
        };
        let (clock, nudge) = (self.clock.clone(), Nudge::default());
        spawn_worker(tasks, stop, clock, LOOK, nudge, "tls files", work);
    }

    /// A key that does not fit the certificate, as when they are read in the middle of a change, is no generation; the next look finds the
    /// whole one.
    fn look(&self) {
        let found = Generation::read(&self.files);
        let seen = match &found {
            Ok(generation) => Ok(generation.hash()),
            Err(problem) => Err(problem.to_string()),
        };
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.seen == seen {
            return;
        }
        current.seen = seen;
        match found.and_then(|generation| generation.config(&self.files, &self.clock)) {
            Ok(config) => {
                current.config = config;
                tracing::info!("New connections take the TLS files as they are now");
            }
            Err(problem) => tracing::warn!(
                "The TLS files have changed and can't be used, new connections take those before: {problem}"
            ),
        }
    }

    fn config(&self) -> Arc<ServerConfig> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.config.clone()
    }

    /// Turns connections into those whose handshakes have been made. They are made side by side, so a slow client holds up nobody.
    pub(crate) fn secure(
        self,
        mut incoming: TcpIncoming,
    ) -> impl Stream<Item = io::Result<Connection>> {
        let (ready, connections) = mpsc::channel(1);
        let places = Arc::new(Semaphore::new(HANDSHAKES));
        tokio::spawn(async move {
            while let Ok(place) = places.clone().acquire_owned().await {
                let connection = tokio::select! {
                    () = ready.closed() => return,
                    connection = incoming.next() => connection,
                };
                match connection {
                    None => return,
                    Some(Err(error)) => {
                        if ready.send(Err(error)).await.is_err() {
                            return;
                        }
                    }
                    Some(Ok(connection)) => {
                        let (config, ready) = (self.config(), ready.clone());
                        tokio::spawn(async move {
                            match handshake(connection, config).await {
                                // Nobody takes it any more after the stop.
                                Ok(connection) => drop(ready.send(Ok(connection)).await),
                                Err(error) => log(&error),
                            }
                            drop(place);
                        });
                    }
                }
            }
        });
        ReceiverStream::new(connections)
    }
}

/// What a client's or our own certificate is to blame for is told; that a scanner speaks no TLS is not.
fn log(error: &io::Error) {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    match cause {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::AlertReceived(_)) => {
            tracing::info!("A TLS handshake failed: {error}");
        }
        _ => tracing::debug!("A TLS handshake failed: {error}"),
    }
}

async fn handshake(connection: TcpStream, config: Arc<ServerConfig>) -> io::Result<Connection> {
    let made = TlsAcceptor::from(config).accept(connection);
    let made = tokio::time::timeout(HANDSHAKE, made)
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "it took too long"))?;
    Ok(Connection::secure(made?))
}

impl Generation {
    fn read(files: &TlsFiles) -> Result<Self, Problem> {
        Ok(Self {
            certificate: read(&files.certificate)?,
            key: read(&files.key)?,
            client_ca: files.client_ca.as_deref().map(read).transpose()?,
        })
    }

    fn hash(&self) -> [u8; 32] {
        let client_ca = self.client_ca.as_deref().unwrap_or_default();
        let hashes = [&self.certificate, &self.key, client_ca].map(Sha256::digest);
        Sha256::digest(hashes.concat()).into()
    }

    fn config(&self, files: &TlsFiles, clock: &Clock) -> Result<Arc<ServerConfig>, Problem> {
        let chain = certificates(&self.certificate, &files.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|error| unusable(&files.key, &format!("no private key in PEM: {error}")))?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let clients = match (&self.client_ca, &files.client_ca) {
            (Some(pem), Some(path)) => {
                let roots = Arc::new(roots(pem, path)?);
                WebPkiClientVerifier::builder_with_provider(roots, provider.clone())
                    .allow_unauthenticated()
                    .build()
                    .map_err(|error| unusable(path, &error.to_string()))?
            }
            _ => WebPkiClientVerifier::no_client_auth(),
        };
        let time = Arc::new(Time(clock.clone()));
        let mut config = ServerConfig::builder_with_details(provider, time)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&files.certificate, &error.to_string()))?
            .with_client_cert_verifier(clients)
            .with_single_cert(chain, key)
            .map_err(|error| {
                let why = format!("with the key {}: {error}", files.key.display());
                unusable(&files.certificate, &why)
            })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        if self.client_ca.is_some() {
            // A session that goes on would bring a certificate that nobody looks at again, though its time may be over.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Arc::new(config))
    }
}

/// Whether a certificate's time is over is told by the same clock as all else.
#[derive(Debug)]
struct Time(Clock);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().timestamp()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    std::fs::read(path).map_err(|error| unusable(path, &error.to_string()))
}

/// The certificates of a file, one at least.
pub(crate) fn certificates(
    pem: &[u8],
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Ok(read) if read.is_empty() => Err(unusable(path, "no certificate in PEM")),
        Ok(read) => Ok(read),
        Err(error) => Err(unusable(path, &format!("no certificates in PEM: {error}"))),
    }
}

/// The same as authorities, each of which has to be one.
pub(crate) fn roots(pem: &[u8], path: &Path) -> Result<RootCertStore, Problem> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem, path)? {
        let added = roots.add(certificate);
        added.map_err(|error| unusable(path, &error.to_string()))?;
    }
    Ok(roots)
}

fn unusable(path: &Path, why: &str) -> Problem {
    Problem::new(format!("TLS file {}: {why}", path.display()))
}
