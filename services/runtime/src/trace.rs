//! One span and one measurement a call, from its arrival to the last byte of its answer. It records method and status
//! and never looks into a message.

use std::{
    pin::Pin,
    sync::OnceLock,
    task::{Context, Poll},
    time::Instant,
};

use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use opentelemetry::{KeyValue, metrics::Histogram, propagation::Extractor, trace};
use tonic::{Code, Status, body::Body};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::telemetry;

/// Follows one call; dropped without a status, it was given up by the caller.
pub(crate) struct Record(Option<Open>);

struct Open {
    span: Span,
    service: String,
    method: String,
    started: Instant,
}

impl Record {
    pub(crate) fn start(request: &Request<Body>) -> Self {
        let path = request.uri().path().trim_start_matches('/');
        let (service, method) = path.split_once('/').unwrap_or((path, ""));
        // Probes come every few seconds and say nothing.
        if service.starts_with("grpc.health.") || service.starts_with("grpc.reflection.") {
            return Self(None);
        }
        // Attributes that only a trace needs stay out of the fields, which each line of the log repeats.
        let span = tracing::info_span!("rpc", otel.name = path, otel.kind = "server");
        telemetry::set_parent(&span, &Headers(request.headers()));
        span.set_attribute("rpc.system", "grpc");
        span.set_attribute("rpc.service", service.to_owned());
        span.set_attribute("rpc.method", method.to_owned());
        Self(Some(Open {
            span,
            service: service.to_owned(),
            method: method.to_owned(),
            started: Instant::now(),
        }))
    }

    pub(crate) fn span(&self) -> Span {
        self.0
            .as_ref()
            .map_or_else(Span::none, |open| open.span.clone())
    }

    /// Notes the status, at once when the headers hold it (an error before any message), else when the body ends.
    pub(crate) fn finish(mut self, response: Response<Body>) -> Response<Body> {
        if self.0.is_none() {
            return response;
        }
        match Status::from_header_map(response.headers()) {
            Some(status) => {
                self.close(status.code());
                response
            }
            None => response.map(|body| Body::new(Recorded { body, record: self })),
        }
    }

    fn close(&mut self, code: Code) {
        let Some(open) = self.0.take() else { return };
        let _entered = open.span.enter();
        let number = i64::from(i32::from(code));
        open.span.set_attribute("rpc.grpc.status_code", number);
        let took = open.started.elapsed();
        let (service, method) = (&open.service, &open.method);
        match code {
            Code::Internal | Code::Unknown | Code::DataLoss => {
                open.span.set_status(trace::Status::error(""));
                tracing::error!("{service}/{method} failed with {code:?} after {took:?}");
            }
            Code::Unavailable | Code::DeadlineExceeded => {
                open.span.set_status(trace::Status::error(""));
                tracing::warn!("{service}/{method} gave {code:?} after {took:?}");
            }
            _ => tracing::debug!("{service}/{method} gave {code:?} after {took:?}"),
        }
        histogram().record(
            took.as_secs_f64() * 1000.0,
            &[
                KeyValue::new("rpc.system", "grpc"),
                KeyValue::new("rpc.service", open.service.clone()),
                KeyValue::new("rpc.method", open.method.clone()),
                KeyValue::new("rpc.grpc.status_code", number),
            ],
        );
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.close(Code::Cancelled);
    }
}

/// A body that notes the status in its trailers.
struct Recorded {
    body: Body,
    record: Record,
}

impl http_body::Body for Recorded {
    type Data = <Body as http_body::Body>::Data;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        let span = self.record.span();
        let entered = span.enter();
        let frame = Pin::new(&mut self.body).poll_frame(context);
        drop(entered);
        match &frame {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(status) = frame.trailers_ref().and_then(Status::from_header_map) {
                    self.record.close(status.code());
                }
            }
            Poll::Ready(Some(Err(status))) => self.record.close(status.code()),
            Poll::Ready(None) => self.record.close(Code::Ok),
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

/// Made at the first call, after telemetry has started: an instrument made before it would measure nothing.
fn histogram() -> &'static Histogram<f64> {
    static HISTOGRAM: OnceLock<Histogram<f64>> = OnceLock::new();
    HISTOGRAM.get_or_init(|| {
        opentelemetry::global::meter("linli")
            .f64_histogram("rpc.server.duration")
            .with_unit("ms")
            .with_description("Time from the arrival of a call to the end of its answer")
            .build()
    })
}
