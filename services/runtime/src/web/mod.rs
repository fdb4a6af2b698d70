//! The same methods for browsers and mini-programs, on the same port: gRPC-Web, and JSON over HTTP/1.1 or HTTP/2.
//!
//! Both are turned into gRPC before a call is admitted, so whatever holds for one way in holds for all three. How they look is in
//! `docs/json.md`.

mod answer;
mod failure;
mod request;

use std::{
    convert::Infallible,
    future::ready,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use prost_reflect::{DescriptorPool, MethodDescriptor};
use tonic::{Code, body::Body};
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer, Service};
use tower_http::cors::{AllowHeaders, CorsLayer};

use self::failure::Failure;
use crate::{Problem, call::Answer};

/// How long a browser may remember what it was allowed.
const ALLOWED_FOR: Duration = Duration::from_secs(3600);
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const JSON_LINES: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// What a request may be.
enum Way {
    Grpc,
    GrpcWeb,
    Json(MethodDescriptor),
    /// None that a service has.
    Wrong(Failure),
}

/// Takes in gRPC, gRPC-Web and JSON, and hands all of it on as gRPC.
#[derive(Clone)]
pub(crate) struct WebLayer {
    pool: DescriptorPool,
}

impl WebLayer {
    /// Of services with this encoded `FileDescriptorSet`.
    pub(crate) fn new(descriptor: &[u8]) -> Result<Self, Problem> {
        let malformed = |error| Problem::new(format!("a descriptor is malformed: {error}"));
        let mut pool = DescriptorPool::decode(descriptor).map_err(malformed)?;
        let details_of_errors = tonic_types::pb::FILE_DESCRIPTOR_SET;
        for more in [details_of_errors, tonic_health::pb::FILE_DESCRIPTOR_SET] {
            pool.decode_file_descriptor_set(more).map_err(malformed)?;
        }
        Ok(Self { pool })
    }
}

impl<S: Clone> Layer<S> for WebLayer {
    type Service = Web<S>;

    fn layer(&self, service: S) -> Web<S> {
        Web {
            grpc_web: GrpcWebLayer::new().layer(service.clone()),
            grpc: service,
            pool: self.pool.clone(),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Web<S> {
    grpc: S,
    grpc_web: GrpcWebService<S>,
    pool: DescriptorPool,
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

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match way(&self.pool, &request) {
            Way::Grpc => self.grpc.call(request),
            Way::GrpcWeb => Box::pin(self.grpc_web.call(request)),
            Way::Wrong(failure) => Box::pin(ready(Ok(failure.into_response(&self.pool)))),
            Way::Json(method) => {
                let pool = self.pool.clone();
                // The one that was asked whether it is ready.
                let next = self.grpc.clone();
                let service = std::mem::replace(&mut self.grpc, next);
                Box::pin(async move {
                    let answered = by_json(service, method, request, &pool).await;
                    Ok(answered.unwrap_or_else(|failure| failure.into_response(&pool)))
                })
            }
        }
    }
}

fn way(pool: &DescriptorPool, request: &Request<Body>) -> Way {
    let content_type = content_type(request);
    if content_type.starts_with("application/grpc-web") {
        return Way::GrpcWeb;
    }
    if content_type.starts_with("application/grpc") && request.version() == Version::HTTP_2 {
        return Way::Grpc;
    }
    let wrong = |http, code, reason, why: &str| Way::Wrong(Failure::new(http, code, reason, why));
    let path = request.uri().path();
    let Some(method) = find(pool, path) else {
        let why = format!("there is no method {path}; it is like /package.Service/Method");
        return wrong(
            StatusCode::NOT_FOUND,
            Code::Unimplemented,
            "UNKNOWN_METHOD",
            &why,
        );
    };
    if request.method() != Method::POST {
        let why = format!("methods are called by POST, not {}", request.method());
        return wrong(
            StatusCode::METHOD_NOT_ALLOWED,
            Code::Unimplemented,
            "NOT_POST",
            &why,
        );
    }
    match content_type {
        "application/json" => Way::Json(method),
        "application/x-ndjson" if method.is_client_streaming() => Way::Json(method),
        other => {
            let why = format!(
                "content-type {other:?} is none of application/json, application/grpc-web and, over HTTP/2, application/grpc"
            );
            wrong(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                Code::InvalidArgument,
                "UNKNOWN_CONTENT_TYPE",
                &why,
            )
        }
    }
}

/// Without parameters, such as the charset.
fn content_type(request: &Request<Body>) -> &str {
    let value = request.headers().get(header::CONTENT_TYPE);
    let text = value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim()
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
) -> Result<Response<Body>, Failure>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let request = request::to_grpc(&method, request).await?;
    let response = match service.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    answer::from_grpc(&method, response, pool).await
}

/// Lets pages of these origins read what a browser asked for; `*` means every page.
pub(crate) fn cors(origins: &[String]) -> Result<CorsLayer, Problem> {
    let exposed = [
        "grpc-status",
        "grpc-message",
        "grpc-status-details-bin",
        "retry-after",
    ];
    let layer = CorsLayer::new()
        .allow_methods([Method::POST])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(exposed.map(HeaderName::from_static))
        .max_age(ALLOWED_FOR);
    if origins.iter().any(|origin| origin == "*") {
        return Ok(layer.allow_origin(tower_http::cors::Any));
    }
    let parsed = origins.iter().map(|origin| {
        let is_one = origin.parse::<http::Uri>().is_ok_and(|uri| {
            uri.scheme().is_some()
                && uri.authority().is_some()
                && !origin.ends_with('/')
                && uri.path() == "/"
        });
        let wrong = || Problem::new(format!("{origin:?} is no origin like https://app.example"));
        is_one
            .then(|| HeaderValue::from_str(origin).ok())
            .flatten()
            .ok_or_else(wrong)
    });
    Ok(layer.allow_origin(parsed.collect::<Result<Vec<_>, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_no_path() {
        let origins = |list: &[&str]| {
            let list: Vec<String> = list.iter().map(|origin| (*origin).to_owned()).collect();
            cors(&list).map(drop)
        };
        assert_eq!(
            origins(&["https://app.example", "http://localhost:5173"]),
            Ok(())
        );
        assert_eq!(origins(&["*"]), Ok(()));
        for wrong in [
            "app.example",
            "https://app.example/",
            "https://app.example/shop",
            "null",
            "",
        ] {
            let problem = origins(&["https://app.example", wrong])
                .unwrap_err()
                .to_string();
            assert_eq!(
                problem,
                format!("{wrong:?} is no origin like https://app.example")
            );
        }
    }
}
