//! Logs to stderr; traces and metrics to an OpenTelemetry collector when one is named. Trace context is W3C's.

use std::{collections::HashMap, io::IsTerminal};

use opentelemetry::{
    KeyValue,
    propagation::{Extractor, TextMapPropagator},
    trace::{TraceContextExt, TracerProvider},
};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{
    Resource, metrics::SdkMeterProvider, propagation::TraceContextPropagator,
    trace::SdkTracerProvider,
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{Directive, LevelFilter, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::Problem;

pub(crate) const TRACEPARENT: &str = "traceparent";

const OUR_CRATES: [&str; 6] = [
    "linli",
    "runtime",
    "ledger",
    "activity",
    "redemption",
    "wish",
];

/// What has to be flushed before the process ends.
#[derive(Debug, Default)]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
}

/// Starts telemetry for the process, once, inside a Tokio runtime. `RUST_LOG` filters, `LINLI_LOG_FORMAT=json` makes
/// each line a JSON object, `OTEL_EXPORTER_OTLP_ENDPOINT` turns on the export.
pub fn init(service: &str) -> Result<Telemetry, Problem> {
    let filter = match variable("RUST_LOG") {
        // Our crates tell what they do, others only what goes wrong.
        None => OUR_CRATES
            .iter()
            .fold(EnvFilter::new("warn"), |filter, name| {
                filter.add_directive(info(name))
            }),
        Some(directives) => EnvFilter::try_new(&directives)
            .map_err(|error| Problem::new(format!("RUST_LOG={directives:?}: {error}")))?,
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let lines = match variable("LINLI_LOG_FORMAT").as_deref() {
        None | Some("text") => lines.boxed(),
        Some("json") => lines.json().flatten_event(true).boxed(),
        Some(other) => {
            return Err(Problem::new(format!(
                "LINLI_LOG_FORMAT is text or json, not {other:?}"
            )));
        }
    };
    let telemetry = match variable("OTEL_EXPORTER_OTLP_ENDPOINT") {
        None => Telemetry::default(),
        Some(endpoint) => export(service, &endpoint)?,
    };
    // Traces do not depend on what is logged, and never hold the calls that export them.
    let ours = Targets::new().with_targets(OUR_CRATES.map(|name| (name, LevelFilter::INFO)));
    let spans = telemetry.traces.as_ref().map(|traces| {
        tracing_opentelemetry::layer()
            .with_tracer(traces.tracer("linli"))
            .with_filter(ours)
    });
    tracing_subscriber::registry()
        .with(spans)
        .with(lines.with_filter(filter))
        .try_init()
        .map_err(|error| Problem::new(format!("telemetry has started already: {error}")))?;
    Ok(telemetry)
}

/// Starts logs of warnings and errors only: for tests and demonstrations. A second start changes nothing.
pub fn init_quiet() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // An error means that somebody was first.
    let _ = tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init();
}

impl Telemetry {
    /// Sends what has not been sent yet. It blocks for up to some seconds: call it last.
    pub fn shutdown(self) {
        if let Some(traces) = self.traces
            && let Err(error) = traces.shutdown()
        {
            tracing::warn!("The last traces were not sent: {error}");
        }
        if let Some(metrics) = self.metrics
            && let Err(error) = metrics.shutdown()
        {
            tracing::warn!("The last metrics were not sent: {error}");
        }
    }
}

/// The current span as a W3C `traceparent`; nothing when traces are off.
pub fn current_traceparent() -> Option<String> {
    let context = Span::current().context();
    if !context.span().span_context().is_valid() {
        return None;
    }
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&context, &mut carrier);
    carrier.remove(TRACEPARENT)
}

/// A span that goes on with a stored trace: for relays, whose work began in another call.
pub fn span_with_parent(name: &'static str, traceparent: Option<&str>) -> Span {
    let span = tracing::info_span!("work", otel.name = name);
    if let Some(traceparent) = traceparent {
        let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
        set_parent(&span, &carrier);
    }
    span
}

pub(crate) fn set_parent(span: &Span, carrier: &dyn Extractor) {
    let parent = TraceContextPropagator::new().extract(carrier);
    if parent.span().span_context().is_valid() {
        // It fails only when traces are off.
        let _ = span.set_parent(parent);
    }
}

fn export(service: &str, endpoint: &str) -> Result<Telemetry, Problem> {
    let wrong = |error| Problem::new(format!("OTEL_EXPORTER_OTLP_ENDPOINT={endpoint}: {error}"));
    let resource = Resource::builder()
        .with_service_name(service.to_owned())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let spans = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .map_err(wrong)?;
    let measurements = opentelemetry_otlp::MetricExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .map_err(wrong)?;
    let traces = SdkTracerProvider::builder()
        .with_batch_exporter(spans)
        .with_resource(resource.clone())
        .build();
    let metrics = SdkMeterProvider::builder()
        .with_periodic_exporter(measurements)
        .with_resource(resource)
        .build();
    opentelemetry::global::set_meter_provider(metrics.clone());
    Ok(Telemetry {
        traces: Some(traces),
        metrics: Some(metrics),
    })
}

fn info(name: &str) -> Directive {
    format!("{name}=info")
        .parse()
        .expect("a crate's name and a level")
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
