//! A server and a client of this crate, over a real port.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by a panic, its helpers too"
)]

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::uri::PathAndQuery;
use opentelemetry::trace::TracerProvider;
use runtime::{
    Access, Authority, Client, Clock, Fields, Problem, Server, channel, listen, reason_of, request,
};
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, body::Body, server::NamedService, service::Routes};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_prost::ProstCodec;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use tonic_types::StatusExt;
use tracing::Instrument;
use tracing_subscriber::layer::SubscriberExt;

const PATIENCE: Duration = Duration::from_secs(10);

/// A service with one method for each way a call can go; requests and answers are `google.protobuf.StringValue`.
#[derive(Clone)]
struct Probe;

impl NamedService for Probe {
    const NAME: &'static str = "test.v1.Probe";
}

impl tower::Service<http::Request<Body>> for Probe {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let path = request.uri().path().to_owned();
        let method = tower::service_fn(move |request: tonic::Request<String>| {
            answer(path.clone(), request.into_inner())
        });
        Box::pin(async move {
            let codec = ProstCodec::<String, String>::default();
            Ok(tonic::server::Grpc::new(codec).unary(method, request).await)
        })
    }
}

async fn answer(path: String, text: String) -> Result<tonic::Response<String>, Status> {
    match path.as_str() {
        "/test.v1.Probe/Echo" => Ok(tonic::Response::new(text)),
        "/test.v1.Probe/Read" => {
            let mut fields = Fields::new("test.linli", &Access::default());
            fields.uuid("member_id", &text);
            fields.finish()?;
            Ok(tonic::Response::new(text))
        }
        "/test.v1.Probe/Panic" => panic!("our bug"),
        "/test.v1.Probe/Sleep" => std::future::pending().await,
        "/test.v1.Probe/Nap" => {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Ok(tonic::Response::new(text))
        }
        "/test.v1.Probe/Trace" => {
            let parent = runtime::current_traceparent().unwrap_or_default();
            Ok(tonic::Response::new(parent))
        }
        other => Err(Status::unimplemented(other)),
    }
}

/// Nobody is trusted, and nobody has to be: the probe is in no contract.
fn nobody() -> Authority {
    Authority::new(Clock::system(), vec![]).unwrap()
}

struct Running {
    url: String,
    stop: CancellationToken,
    ended: JoinHandle<Result<(), Problem>>,
}

impl Running {
    async fn start() -> Self {
        let listener = listen("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let server = Server::new(Probe::NAME, Routes::new(Probe), &[]);
        let ended = tokio::spawn(server.run(listener, nobody(), stop.clone()));
        Self { url, stop, ended }
    }

    fn client(&self) -> Client {
        Client::new(channel(&self.url).unwrap(), None)
    }

    async fn call(&self, method: &str, text: &str, timeout: Duration) -> Result<String, Status> {
        call(self.client(), method, text, timeout).await
    }

    async fn health(&self, service: &str) -> Result<ServingStatus, Status> {
        let message = HealthCheckRequest {
            service: service.to_owned(),
        };
        let answer = HealthClient::new(self.client())
            .check(request(message, PATIENCE))
            .await?;
        Ok(answer.into_inner().status())
    }
}

async fn call(
    client: Client,
    method: &str,
    text: &str,
    timeout: Duration,
) -> Result<String, Status> {
    let path = PathAndQuery::try_from(format!("/test.v1.Probe/{method}")).unwrap();
    let mut grpc = tonic::client::Grpc::new(client);
    grpc.ready().await?;
    let codec = ProstCodec::<String, String>::default();
    let answer = grpc
        .unary(request(text.to_owned(), timeout), path, codec)
        .await?;
    Ok(answer.into_inner())
}

#[tokio::test]
async fn every_answer_says_which_version_gave_it() {
    let server = Running::start().await;
    let version = env!("CARGO_PKG_VERSION");
    let mut health = HealthClient::new(server.client());
    let mut asked = async |service: &str| {
        let service = service.to_owned();
        let message = HealthCheckRequest { service };
        health.check(request(message, PATIENCE)).await
    };
    let answer = asked("").await.unwrap();
    assert_eq!(answer.metadata().get("linli-version").unwrap(), version);
    let refusal = asked("test.v1.Other").await.unwrap_err();
    assert_eq!(refusal.metadata().get("linli-version").unwrap(), version);
}

#[tokio::test]
async fn a_server_is_healthy_and_describes_itself() {
    let server = Running::start().await;

    assert_eq!(server.health("").await.unwrap(), ServingStatus::Serving);
    assert_eq!(
        server.health(Probe::NAME).await.unwrap(),
        ServingStatus::Serving
    );
    assert_eq!(
        server.health("test.v1.Other").await.unwrap_err().code(),
        Code::NotFound
    );

    let question = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = ServerReflectionClient::new(server.client())
        .server_reflection_info(tokio_stream::iter([question]))
        .await
        .unwrap()
        .into_inner();
    let answer = answers.next().await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = answer else {
        panic!("not a list of services: {answer:?}");
    };
    assert!(
        list.service
            .iter()
            .any(|service| service.name == "grpc.health.v1.Health")
    );
}

#[tokio::test]
async fn error_details_arrive() {
    let server = Running::start().await;

    let status = server.call("Read", "abc", PATIENCE).await.unwrap_err();

    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(reason_of(&status).as_deref(), Some("INVALID_FIELD"));
    let violations = status.get_details_bad_request().unwrap().field_violations;
    assert_eq!(violations[0].field, "member_id");
}

#[tokio::test]
async fn a_panic_fails_its_own_call_only() {
    let server = Running::start().await;
    let client = server.client();

    let status = call(client.clone(), "Panic", "", PATIENCE)
        .await
        .unwrap_err();
    let echo = call(client, "Echo", "邻里", PATIENCE).await.unwrap();

    assert_eq!(status.code(), Code::Internal);
    assert_eq!(status.message(), "internal error");
    assert_eq!(echo, "邻里");
}

#[tokio::test]
async fn a_call_out_of_time_gives_deadline_exceeded() {
    let server = Running::start().await;
    for timeout in [0, 1, 30, 60] {
        let timeout = Duration::from_millis(timeout);
        let status = server.call("Sleep", "", timeout).await.unwrap_err();
        assert_eq!(
            status.code(),
            Code::DeadlineExceeded,
            "{timeout:?}: {status}"
        );
        assert_eq!(reason_of(&status).as_deref(), Some("DEADLINE_EXCEEDED"));
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable() {
    let listener = listen("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::new(channel(&url).unwrap(), None);
    let status = call(client, "Echo", "", PATIENCE).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
}

#[tokio::test]
async fn a_stop_lets_calls_in_progress_finish() {
    let server = Running::start().await;
    let client = server.client();
    call(client.clone(), "Echo", "", PATIENCE).await.unwrap();
    let nap = tokio::spawn(async move { call(client, "Nap", "done", PATIENCE).await });
    tokio::time::sleep(Duration::from_millis(100)).await;

    server.stop.cancel();

    assert_eq!(nap.await.unwrap().unwrap(), "done");
    let ended = tokio::time::timeout(PATIENCE, server.ended).await;
    assert_eq!(ended.unwrap().unwrap(), Ok(()));
}

#[tokio::test]
async fn a_taken_port_is_a_clear_problem() {
    let taken = listen("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let _holder = listen(&taken.to_string()).await.unwrap();
    let problem = listen(&taken.to_string()).await.unwrap_err().to_string();
    assert!(
        problem.starts_with(&format!("port {} is taken", taken.port())),
        "{problem}"
    );

    let problem = listen("here").await.unwrap_err().to_string();
    assert!(
        problem.starts_with("here is not like 127.0.0.1:7401"),
        "{problem}"
    );
    let problem = channel("ledger:7401").unwrap_err().to_string();
    assert!(
        problem.starts_with("ledger:7401 is not like http://host:7401"),
        "{problem}"
    );
}

#[tokio::test]
async fn a_trace_goes_on_from_the_client_into_the_server() {
    let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    // With one subscriber alone, tracing would ask that of whichever test's thread comes first, and never again.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    // For this thread, on which the runtime of this test runs everything.
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let server = Running::start().await;

    let span = tracing::info_span!("purchase");
    let (here, there) = async {
        let here = runtime::current_traceparent().unwrap();
        (here, server.call("Trace", "", PATIENCE).await.unwrap())
    }
    .instrument(span)
    .await;

    let (here, there): (Vec<&str>, Vec<&str>) =
        (here.split('-').collect(), there.split('-').collect());
    assert_eq!(here[1], there[1], "one trace");
    assert_ne!(here[2], there[2], "two spans");

    let stored = format!("00-{}-{}-01", here[1], here[2]);
    let relay = runtime::span_with_parent("ledger.relay", Some(&stored));
    let later = async { runtime::current_traceparent().unwrap() }
        .instrument(relay)
        .await;
    assert_eq!(
        later.split('-').nth(1),
        Some(here[1]),
        "the relay's work too"
    );
}
