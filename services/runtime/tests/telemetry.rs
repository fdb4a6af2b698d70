//! What leaves the process: logs on stderr, traces and metrics to a collector.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by a panic, its helpers too"
)]

use std::{
    convert::Infallible,
    future::poll_fn,
    pin::Pin,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Request, Response, uri::PathAndQuery};
use runtime::{Authority, Client, Clock, Server, channel, listen, request};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, service::Routes};
use tonic_prost::ProstCodec;
use tracing::Instrument;

/// Set for the process whose telemetry is looked at.
const SPEAK: &str = "LINLI_TEST_SPEAK";
const TRACE_ID: [u8; 16] = *b"\x0a\xf7\x65\x19\x16\xcd\x43\xdd\x84\x48\xeb\x21\x1c\x80\x31\x9c";
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Whatever was exported, as it came: the path of the call and the bytes of its message.
type Exports = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

async fn collect(exports: Exports, request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    let mut body = request.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) =
        poll_fn(|context| http_body::Body::poll_frame(Pin::new(&mut body), context)).await
    {
        bytes.extend_from_slice(&frame.unwrap().into_data().unwrap_or_default());
    }
    exports.lock().unwrap().push((path, bytes));
    // An empty message is a whole answer, of whatever type; its frame is five zero bytes.
    let answer = tower::service_fn(async |_: tonic::Request<()>| Ok(tonic::Response::new(())));
    let mut grpc = tonic::server::Grpc::new(ProstCodec::<(), ()>::default());
    let frame = Request::new(Body::new("\0\0\0\0\0".to_owned()));
    Ok(grpc.unary(answer, frame).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traces_metrics_and_json_logs_leave_the_process() {
    let exports = Exports::default();
    let listener = listen("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let collector = tower::service_fn({
        let exports = exports.clone();
        move |request| collect(exports.clone(), request)
    });
    tokio::spawn(
        tonic::transport::Server::builder()
            .serve_with_incoming(collector, TcpListenerStream::new(listener)),
    );

    let speaker = tokio::task::spawn_blocking(move || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "speaks_when_asked_to", "--nocapture"])
            .env(SPEAK, "1")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            .env("LINLI_LOG_FORMAT", "json")
            // Quiet logs must not make traces quiet.
            .env("RUST_LOG", "warn")
            .output()
    });
    let output = speaker.await.unwrap().unwrap();

    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    let exports = exports.lock().unwrap();
    let exported = |path: &str, bytes: &[u8]| {
        exports.iter().any(|(called, message)| {
            called == path && message.windows(bytes.len()).any(|part| part == bytes)
        })
    };
    let traces = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    assert!(exported(traces, b"test.v1.Probe/Nothing"));
    assert!(exported(traces, b"a relay"));
    assert!(exported(traces, &TRACE_ID));
    let metrics = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
    assert!(exported(metrics, b"rpc.server.duration"));
    let line = errors
        .lines()
        .find(|line| line.contains("a warning"))
        .unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["points"], 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn speaks_when_asked_to() {
    if std::env::var_os(SPEAK).is_none() {
        return;
    }
    let telemetry = runtime::init("speaker").unwrap();
    let listener = listen("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = Server::new("test.v1.Probe", Routes::default(), b"");
    let authority = Authority::new(Clock::system(), vec![]).unwrap();
    tokio::spawn(server.run(listener, authority, CancellationToken::new()));

    async {
        let mut grpc = tonic::client::Grpc::new(Client::new(channel(&url).unwrap(), None));
        grpc.ready().await.unwrap();
        let codec = ProstCodec::<(), ()>::default();
        let path = PathAndQuery::from_static("/test.v1.Probe/Nothing");
        let message = request((), Duration::from_secs(10));
        let status = grpc.unary(message, path, codec).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unimplemented);
        tracing::warn!(points = 7, "a warning");
    }
    .instrument(runtime::span_with_parent("a relay", Some(TRACEPARENT)))
    .await;

    tokio::task::spawn_blocking(|| telemetry.shutdown())
        .await
        .unwrap();
}
