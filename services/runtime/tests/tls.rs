//! A server that ends TLS itself, over a real port, with certificates of authorities that each test makes.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by a panic, its helpers too"
)]

use std::{
    convert::Infallible,
    fs,
    future::ready,
    path::PathBuf,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use chrono::{DateTime, TimeDelta};
use http::uri::PathAndQuery;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PublicKeyData,
    date_time_ymd,
};
use runtime::{
    Authority, Client, Clock, Roots, Server, Thumbprint, Tls, TlsFiles, channel, channel_trusting,
    listen, request,
};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{
    Status,
    body::Body,
    server::NamedService,
    service::Routes,
    transport::{Certificate, ClientTlsConfig, Endpoint, Identity},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_prost::ProstCodec;

const PATIENCE: Duration = Duration::from_secs(10);

/// An authority that signs.
struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for `localhost` until the end of a year.
    fn sign(&self, key: &KeyPair, year: i32) -> String {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 12, 31);
        params.signed_by(key, &self.0).unwrap().pem()
    }
}

/// What a client shows: a certificate and its key.
struct Shown {
    certificate: String,
    key: KeyPair,
}

impl Shown {
    fn by(ca: &Ca) -> Self {
        let key = KeyPair::generate().unwrap();
        Self {
            certificate: ca.sign(&key, 2030),
            key,
        }
    }

    fn thumbprint(&self) -> String {
        let info = self.key.subject_public_key_info();
        Thumbprint(Sha256::digest(info).into()).to_string()
    }
}

/// A service that says what certificate its caller showed.
#[derive(Clone)]
struct Mirror;

impl NamedService for Mirror {
    const NAME: &'static str = "test.v1.Mirror";
}

impl tower::Service<http::Request<Body>> for Mirror {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future =
        std::pin::Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = tower::service_fn(|request| ready(seen(&request)));
        Box::pin(async move {
            let codec = ProstCodec::<String, String>::default();
            Ok(tonic::server::Grpc::new(codec).unary(method, request).await)
        })
    }
}

fn seen(request: &tonic::Request<String>) -> Result<tonic::Response<String>, Status> {
    let shown = Thumbprint::of(request).map_or("nothing".to_owned(), |shown| shown.to_string());
    Ok(tonic::Response::new(shown))
}

/// Its contract.
fn descriptor() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let contract = r#"
        syntax = "proto3";
        package test.v1;
        import "google/protobuf/wrappers.proto";
        import "linli/access/v1/access.proto";
        service Mirror {
            rpc Look(google.protobuf.StringValue) returns (google.protobuf.StringValue) {
                option (linli.access.v1.callers) = {anyone: true};
            }
        }"#;
    fs::write(folder.path().join("mirror.proto"), contract).unwrap();
    let ours = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto"));
    let mut compiler = protox::Compiler::new([folder.path(), &ours]).unwrap();
    compiler.include_imports(true);
    compiler.open_file("mirror.proto").unwrap();
    compiler.encode_file_descriptor_set()
}

/// A server at noon of 1 June 2026.
struct Running {
    port: u16,
    health_port: u16,
    folder: tempfile::TempDir,
    servers: Ca,
    clients: Ca,
    clock: Clock,
    tls: Tls,
    stop: CancellationToken,
}

impl Running {
    async fn start() -> Self {
        let (servers, clients) = (Ca::new(), Ca::new());
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual("2026-06-01T12:00:00Z".parse::<DateTime<_>>().unwrap());
        let (listener, probed) = (listen("127.0.0.1:0").await, listen("127.0.0.1:0").await);
        let (listener, probed) = (listener.unwrap(), probed.unwrap());
        write(&folder, &servers, &clients.pem());
        let tls = Tls::read(files(&folder), clock.clone()).unwrap();
        let running = Self {
            port: listener.local_addr().unwrap().port(),
            health_port: probed.local_addr().unwrap().port(),
            folder,
            servers,
            clients,
            tls,
            clock,
            stop: CancellationToken::new(),
        };
        let authority = Authority::new(running.clock.clone(), vec![]).unwrap();
        let server = Server::new(Mirror::NAME, Routes::new(Mirror), descriptor().leak())
            .with_tls(Some(running.tls.clone()))
            .with_plain_health(Some(probed));
        tokio::spawn(server.run(listener, authority, running.stop.clone()));
        running
    }

    fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// What the server sees of a client on a new connection.
    async fn sees(&self, shown: Option<&Shown>) -> Result<String, Status> {
        self.sees_one_who_trusts(&self.servers, shown).await
    }

    async fn sees_one_who_trusts(
        &self,
        servers: &Ca,
        shown: Option<&Shown>,
    ) -> Result<String, Status> {
        let mut config =
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(servers.pem()));
        if let Some(shown) = shown {
            let key = shown.key.serialize_pem();
            config = config.identity(Identity::from_pem(&shown.certificate, key));
        }
        let endpoint = Endpoint::from_shared(self.url()).unwrap();
        let channel = endpoint.tls_config(config).unwrap().connect_lazy();
        call(Client::new(channel, None)).await
    }

    /// Looks at the files.
    async fn look(&self) {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        self.tls.spawn_reload(&tasks, stop.clone());
        tasks.close();
        // It looks as soon as it runs.
        tokio::task::yield_now().await;
        stop.cancel();
        tasks.wait().await;
    }
}

async fn call(client: Client) -> Result<String, Status> {
    let mut grpc = tonic::client::Grpc::new(client);
    grpc.ready().await?;
    let path = PathAndQuery::from_static("/test.v1.Mirror/Look");
    let codec = ProstCodec::<String, String>::default();
    let message = request(String::new(), PATIENCE);
    Ok(grpc.unary(message, path, codec).await?.into_inner())
}

fn files(folder: &tempfile::TempDir) -> TlsFiles {
    TlsFiles {
        certificate: folder.path().join("tls.crt"),
        key: folder.path().join("tls.key"),
        client_ca: Some(folder.path().join("ca.crt")),
    }
}

/// Writes a new pair for the server, and whose clients it takes.
fn write(folder: &tempfile::TempDir, servers: &Ca, client_ca: &str) {
    let key = KeyPair::generate().unwrap();
    let TlsFiles {
        certificate,
        key: key_file,
        client_ca: ca_file,
    } = files(folder);
    fs::write(certificate, servers.sign(&key, 2030)).unwrap();
    fs::write(key_file, key.serialize_pem()).unwrap();
    fs::write(ca_file.unwrap(), client_ca).unwrap();
}

#[tokio::test]
async fn a_client_may_show_a_certificate_and_need_not() {
    let server = Running::start().await;
    let till = Shown::by(&server.clients);
    assert_eq!(server.sees(None).await.unwrap(), "nothing");
    assert_eq!(server.sees(Some(&till)).await.unwrap(), till.thumbprint());

    // Renewed for the same key it is the same; with another key it is another.
    let renewed = Shown {
        certificate: server.clients.sign(&till.key, 2031),
        key: KeyPair::from_pem(&till.key.serialize_pem()).unwrap(),
    };
    assert_eq!(
        server.sees(Some(&renewed)).await.unwrap(),
        till.thumbprint()
    );
    let other = Shown::by(&server.clients);
    assert_ne!(server.sees(Some(&other)).await.unwrap(), till.thumbprint());
}

#[tokio::test]
async fn a_certificate_that_does_not_count_ends_the_handshake() {
    let server = Running::start().await;
    let stranger = Shown::by(&Ca::new());
    assert!(server.sees(Some(&stranger)).await.is_err());

    let till = Shown::by(&server.clients);
    assert!(server.sees(Some(&till)).await.is_ok());
    server.clock.advance(TimeDelta::days(5 * 365));
    assert!(server.sees(Some(&till)).await.is_err(), "its time is over");
    assert!(server.sees(None).await.is_ok());
}

#[tokio::test]
async fn a_client_trusts_the_authorities_that_it_was_given_and_no_others() {
    let server = Running::start().await;
    let file: PathBuf = server.folder.path().join("roots.pem");
    let with = async |pem: String| {
        fs::write(&file, pem).unwrap();
        let roots = Roots::read(&file).unwrap();
        call(Client::new(
            channel_trusting(&roots, &server.url()).unwrap(),
            None,
        ))
        .await
    };
    let ours = server.servers.pem();
    assert_eq!(with(ours.clone()).await.unwrap(), "nothing");
    assert_eq!(with(Ca::new().pem() + &ours).await.unwrap(), "nothing");
    assert!(with(Ca::new().pem()).await.is_err());
    let system = Client::new(channel(&server.url()).unwrap(), None);
    assert!(
        call(system).await.is_err(),
        "the system knows nothing of it"
    );
    fs::write(&file, "none").unwrap();
    let problem = Roots::read(&file).unwrap_err().to_string();
    assert!(problem.contains("roots.pem: no certificate"), "{problem}");
}

#[tokio::test]
async fn a_request_in_the_clear_gets_no_answer() {
    let server = Running::start().await;
    let plain = format!("http://127.0.0.1:{}", server.port);
    assert!(
        call(Client::new(channel(&plain).unwrap(), None))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn http_1_and_json_are_served_too() {
    let server = Running::start().await;
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(server.servers.pem().as_bytes());
    roots.add(ca.unwrap()).unwrap();
    let till = Shown::by(&server.clients);
    let shown = CertificateDer::from_pem_slice(till.certificate.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(till.key.serialize_pem().as_bytes());
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![shown.unwrap()], key.unwrap())
        .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let tcp = tokio::net::TcpStream::connect(("127.0.0.1", server.port)).await;
    let connector = TlsConnector::from(Arc::new(config));
    let name = "localhost".try_into().unwrap();
    let mut stream = connector.connect(name, tcp.unwrap()).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let asked = "POST /test.v1.Mirror/Look HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
        content-type: application/json\r\ncontent-length: 2\r\n\r\n\"\"";
    stream.write_all(asked.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains(&till.thumbprint()), "{answer}");
}

#[tokio::test]
async fn new_connections_take_new_files_and_the_last_good_ones_when_those_are_broken() {
    let server = Running::start().await;
    let till = Shown::by(&server.clients);
    let (next_servers, next_clients) = (Ca::new(), Ca::new());
    let newer = Shown::by(&next_clients);
    assert!(server.sees(Some(&newer)).await.is_err());

    // Both authorities while one takes the place of the other; the server's own has changed.
    let both = server.clients.pem() + &next_clients.pem();
    write(&server.folder, &next_servers, &both);
    assert!(server.sees(None).await.is_ok(), "nobody has looked yet");
    server.look().await;
    assert!(server.sees(None).await.is_err());
    let sees = async |shown| server.sees_one_who_trusts(&next_servers, shown).await;
    assert!(sees(Some(&till)).await.is_ok());
    assert!(sees(Some(&newer)).await.is_ok());

    let TlsFiles { key, client_ca, .. } = files(&server.folder);
    let good = fs::read(&key).unwrap();
    for broken in [
        &b"broken"[..],
        KeyPair::generate().unwrap().serialize_pem().as_bytes(),
    ] {
        fs::write(&key, broken).unwrap();
        server.look().await;
        assert!(sees(Some(&till)).await.is_ok(), "the last good ones");
    }
    fs::remove_file(&key).unwrap();
    server.look().await;
    assert!(sees(None).await.is_ok(), "the last good ones");

    fs::write(&key, good).unwrap();
    fs::write(client_ca.unwrap(), next_clients.pem()).unwrap();
    server.look().await;
    assert!(sees(Some(&till)).await.is_err(), "its authority went");
    assert!(sees(Some(&newer)).await.is_ok());
}

#[tokio::test]
async fn files_that_are_wrong_at_the_start_are_a_clear_problem() {
    let folder = tempfile::tempdir().unwrap();
    let read = || Tls::read(files(&folder), Clock::system());
    let problem = || read().unwrap_err().to_string();
    assert!(problem().contains("tls.crt: No such file"), "{}", problem());
    write(&folder, &Ca::new(), "");
    assert!(
        problem().contains("ca.crt: no certificate"),
        "{}",
        problem()
    );
    write(&folder, &Ca::new(), &Ca::new().pem());
    assert!(read().is_ok());
    let other = KeyPair::generate().unwrap().serialize_pem();
    fs::write(files(&folder).key, &other).unwrap();
    assert!(problem().contains("tls.crt: with the key"), "{}", problem());
    fs::write(files(&folder).key, "").unwrap();
    assert!(
        problem().contains("tls.key: no private key"),
        "{}",
        problem()
    );
}

#[tokio::test]
async fn probes_have_a_plain_port_that_serves_nothing_else() {
    let server = Running::start().await;
    let url = format!("http://127.0.0.1:{}", server.health_port);
    let mut health = HealthClient::new(channel(&url).unwrap());
    let mut asked = async || {
        let service = Mirror::NAME.to_owned();
        let answer = health.check(request(HealthCheckRequest { service }, PATIENCE));
        answer.await.map(|answer| answer.into_inner().status())
    };
    assert_eq!(asked().await.unwrap(), ServingStatus::Serving);
    let other = call(Client::new(channel(&url).unwrap(), None)).await;
    assert_eq!(other.unwrap_err().code(), tonic::Code::Unimplemented);
}
