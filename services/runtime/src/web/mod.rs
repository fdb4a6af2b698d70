//! The same methods for browsers and mini-programs, on the same port: gRPC-Web, and JSON over HTTP/1.1 or HTTP/2.
//!
//! Both are turned into gRPC before a call is admitted, so whatever holds for one way in holds for all three. How they look is in
//! `docs/json.md`.

mod answer;
mod failure;
mod origins;
mod request;

use std::{
    convert::Infallible,
    future::ready,
    task::{Context, Poll},
};

use http::{HeaderMap, HeaderValue, Method, Request, Response, Version, header};
use prost_reflect::{DescriptorPool, MethodDescriptor};
use tonic::{Code, Status, body::Body};
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer, Service};

use self::failure::{NOT_POST, UNKNOWN_CONTENT_TYPE, UNKNOWN_METHOD};
pub(crate) use self::origins::Origins;
use crate::{Problem, call::Answer, status::unusable};

/// As tonic-web knows them.
const GRPC_WEB: [&str; 4] = [
    "application/grpc-web",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "application/grpc-web-text+proto",
];
/// How many bytes gRPC writes before each message: whether it is compressed, and its length.
const PREFIX: usize = 5;
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const JSON_LINES: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// What a request may be.
enum Way {
    Grpc,
    GrpcWeb,
    Json(MethodDescriptor),
}

/// Takes in gRPC, gRPC-Web and JSON, and hands all of it on as gRPC.
#[derive(Clone)]
pub(crate) struct WebLayer {
    pool: DescriptorPool,
    origins: Origins,
}

impl WebLayer {
    /// Of services with this encoded `FileDescriptorSet`.
    pub(crate) fn new(descriptor: &[u8], origins: Origins) -> Result<Self, Problem> {
        let malformed = |error| Problem::new(format!("a descriptor is malformed: {error}"));
        let mut pool = DescriptorPool::decode(descriptor).map_err(malformed)?;
        let details_of_errors = tonic_types::pb::FILE_DESCRIPTOR_SET;
        for more in [details_of_errors, tonic_health::pb::FILE_DESCRIPTOR_SET] {
            pool.decode_file_descriptor_set(more).map_err(malformed)?;
        }
        Ok(Self { pool, origins })
    }
}

impl<S: Clone> Layer<S> for WebLayer {
    type Service = Web<S>;

    fn layer(&self, service: S) -> Web<S> {
        Web {
            grpc_web: GrpcWebLayer::new().layer(service.clone()),
            grpc: service,
            pool: self.pool.clone(),
            origins: self.origins.clone(),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Web<S> {
    grpc: S,
    grpc_web: GrpcWebService<S>,
    pool: DescriptorPool,
    origins: Origins,
}

impl<S> Service<Request<Body>> for Web<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = Answer>
        + Clone
        + Send
        + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.grpc.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        match self.way(&mut request) {
            Ok(Way::Grpc) => self.grpc.call(request),
            Ok(Way::GrpcWeb) => Box::pin(self.grpc_web.call(request)),
            Err(status) => Box::pin(ready(Ok(failure::response(&status, &self.pool)))),
            Ok(Way::Json(method)) => {
                let pool = self.pool.clone();
                // The one that was asked whether it is ready.
                let next = self.grpc.clone();
                let service = std::mem::replace(&mut self.grpc, next);
                Box::pin(async move {
                    let answered = by_json(service, method, request, &pool).await;
                    Ok(answered.unwrap_or_else(|status| failure::response(&status, &pool)))
                })
            }
        }
    }
}

impl<S> Web<S> {
    /// The way a request takes, or why it is none that a service has.
    fn way(&self, request: &mut Request<Body>) -> Result<Way, Status> {
        let headers = request.headers();
        // Only pages send it. A browser asks first whether they may, but not on behalf of one that took on this server's own name.
        if let Some(origin) = headers.get(header::ORIGIN)
            && !self.origins.allow(origin)
        {
            let why = format!("pages of {origin:?} may not call: name it by --allow-origin");
            return Err(unusable(Code::PermissionDenied, "ORIGIN_NOT_ALLOWED", &why));
        }
        if request.version() == Version::HTTP_2 && is_grpc(headers) {
            return Ok(Way::Grpc);
        }
        let content_type = content_type(headers);
        let path = request.uri().path();
        let Some(method) = find(&self.pool, path) else {
            let why = format!("there is no method {path}; it is like /package.Service/Method");
            return Err(unusable(Code::Unimplemented, UNKNOWN_METHOD, &why));
        };
        if request.method() != Method::POST {
            let why = format!("methods are called by POST, not {}", request.method());
            return Err(unusable(Code::Unimplemented, NOT_POST, &why));
        }
        let unreadable = |why: &str| unusable(Code::InvalidArgument, UNKNOWN_CONTENT_TYPE, why);
        if let Some(encoding) = headers.get(header::CONTENT_ENCODING)
            && encoding != "identity"
        {
            let why = format!("content-encoding {encoding:?} is not taken; send it as it is");
            return Err(unreadable(&why));
        }
        match &content_type[..] {
            "application/json" => Ok(Way::Json(method)),
            "application/x-ndjson" if method.is_client_streaming() => Ok(Way::Json(method)),
            known if GRPC_WEB.contains(&known) => {
                if let Ok(value) = HeaderValue::from_str(known) {
                    request.headers_mut().insert(header::CONTENT_TYPE, value);
                }
                Ok(Way::GrpcWeb)
            }
            other => Err(unreadable(&format!(
                "content-type {other:?} is none of application/json, application/grpc-web and, over HTTP/2, application/grpc"
            ))),
        }
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let rest = value.and_then(|value| value.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// In lower case and without parameters, such as the charset.
fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE);
    let text = value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = text.split(';').next().unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

fn find(pool: &DescriptorPool, path: &str) -> Option<MethodDescriptor> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    let service = pool.get_service_by_name(service)?;
    service.methods().find(|known| known.name() == method)
}

async fn by_json<S>(
    mut service: S,
    method: MethodDescriptor,
    request: Request<Body>,
    pool: &DescriptorPool,
) -> Result<Response<Body>, Status>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    match service.call(request::to_grpc(&method, request)).await {
        Ok(response) => answer::from_grpc(&method, response, pool).await,
        Err(never) => match never {},
    }
}
