//! How a service calls another: channels that notice a dead peer, and calls that carry the trace and a deadline.

use std::{
    error::Error,
    fmt::Display,
    future::Future,
    path::Path,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderValue, Request, Response, header::AUTHORIZATION};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use tokio::net::TcpStream;
use tonic::{
    Code, Status, TimeoutExpired,
    body::Body,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};
use tower::{Service, ServiceExt};

use crate::{Bearer, Problem, gathered::Gathered, status, telemetry, tls};

/// A channel for generated clients: `LedgerServiceClient<Client>`. It sends the caller's token and the current span as `traceparent`, and
/// gives DEADLINE_EXCEEDED when time runs out on this side first, where tonic gives CANCELLED.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    bearer: Option<Bearer>,
}

/// Who may say, over https, that a server is the one that its URL names: the system's authorities, unless others were read.
#[derive(Clone, Debug, Default)]
pub struct Roots(Option<Certificate>);

impl Roots {
    /// Those of a PEM file, one or several, and no others.
    pub fn read(path: &Path) -> Result<Self, Problem> {
        let pem = tls::read(path)?;
        tls::roots(&pem, path)?;
        Ok(Self(Some(Certificate::from_pem(pem))))
    }

    fn config(&self) -> ClientTlsConfig {
        match &self.0 {
            None => ClientTlsConfig::new().with_native_roots(),
            Some(authorities) => ClientTlsConfig::new().ca_certificate(authorities.clone()),
        }
    }
}

/// Prepares a channel to `url`; it connects at the first call and again after each loss. Needs a Tokio runtime.
pub fn channel(url: &str) -> Result<Channel, Problem> {
    channel_trusting(&Roots::default(), url)
}

/// The same, and over https these are trusted.
pub fn channel_trusting(roots: &Roots, url: &str) -> Result<Channel, Problem> {
    let wrong =
        |why: &dyn Display| Problem::new(format!("{url} is not like http://host:7401: {why}"));
    let mut endpoint = Endpoint::from_shared(url.to_owned())
        .map_err(|error| wrong(&error))?
        .connect_timeout(Duration::from_secs(2))
        // Without these a channel stays for ever on a connection whose peer is gone.
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true);
    match endpoint.uri().scheme_str() {
        Some("http") => {}
        Some("https") => {
            endpoint = endpoint
                .tls_config(roots.config())
                .map_err(|error| wrong(&error))?;
        }
        _ => return Err(wrong(&"it starts neither with http:// nor with https://")),
    }
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    let gathered = connector
        .map_response(|io: TokioIo<TcpStream>| TokioIo::new(Gathered::new(io.into_inner())));
    Ok(endpoint.connect_with_connector_lazy(gathered))
}

impl Client {
    /// Calls over a channel; without a bearer, without a token.
    pub fn new(channel: Channel, bearer: Option<Bearer>) -> Self {
        Self { channel, bearer }
    }
}

/// A request that gives up after `timeout`, on both sides.
pub fn request<T>(message: T, timeout: Duration) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(timeout);
    request
}

impl Service<Request<Body>> for Client {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.channel.poll_ready(context).map_err(failure)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // A call that brings a token of its own keeps it.
        if let Some(bearer) = &self.bearer
            && !request.headers().contains_key(AUTHORIZATION)
        {
            request.headers_mut().insert(AUTHORIZATION, bearer.value());
        }
        if let Some(parent) = telemetry::current_traceparent()
            && let Ok(value) = HeaderValue::try_from(parent)
        {
            request.headers_mut().insert(telemetry::TRACEPARENT, value);
        }
        let answer = self.channel.call(request);
        Box::pin(async move { answer.await.map_err(failure) })
    }
}

fn failure(error: tonic::transport::Error) -> Status {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        if error.is::<TimeoutExpired>() {
            return status::deadline_exceeded();
        }
        cause = error.source();
    }
    let status = Status::from_error(error.into());
    match status.code() {
        // The connection broke in the middle of a call: as good as no connection, the same request may be sent again.
        Code::Unknown => Status::unavailable(status.message()),
        _ => status,
    }
}
