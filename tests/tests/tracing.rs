//! One trace follows a call from the till to the ledger, and a grant through the outbox.
//!
//! In a process of its own: the services run on threads of theirs, so the subscriber has to be the process's.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use journeys::{PATIENCE, World, eventually};
use opentelemetry::{
    Context,
    trace::{TraceId, TracerProvider},
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SdkTracerProvider, Span, SpanData, SpanProcessor},
};
use tracing_subscriber::{filter::LevelFilter, layer::SubscriberExt, util::SubscriberInitExt};

/// The trace and the name of every span that has ended.
#[derive(Debug, Clone, Default)]
struct Spans(Arc<Mutex<HashSet<(TraceId, String)>>>);

impl Spans {
    async fn has(&self, trace: &str, name: &str) {
        let wanted = (TraceId::from_hex(trace).unwrap(), name.to_owned());
        eventually(&format!("{name} is in the trace"), async || {
            self.0.lock().unwrap().contains(&wanted).then_some(())
        })
        .await;
    }
}

impl SpanProcessor for Spans {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        let ended = (span.span_context.trace_id(), span.name.into_owned());
        self.0.lock().unwrap().insert(ended);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// A request of a caller who is in a trace.
fn traced<T>(message: T, trace: &str) -> tonic::Request<T> {
    let mut request = runtime::request(message, PATIENCE);
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    request
        .metadata_mut()
        .insert("traceparent", parent.parse().unwrap());
    request
}

#[tokio::test]
async fn a_trace_follows_a_purchase_to_the_ledger_and_a_grant_through_the_outbox() {
    let spans = Spans::default();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(spans.clone())
        .build();
    tracing_subscriber::registry()
        .with(tracing_opentelemetry::layer().with_tracer(provider.tracer("test")))
        .with(LevelFilter::INFO)
        .init();
    let mut world = World::start().await;
    let (_, offer, member) = world.counter(50).await;
    let order = world.order(&member, &offer, 1);
    let record = world.record(world.service(&member, 30)).await;
    let verification = world.verification(&record);
    let (purchase, grant) = (
        "0af7651916cd43dd8448eb211c80319c",
        "4bf92f3577b34da6a3ce929d0e0e4736",
    );

    let mut till = world.clients.redemption.clone();
    till.redeem(traced(order, purchase)).await.unwrap();

    spans
        .has(purchase, "linli.redemption.v1.RedemptionService/Redeem")
        .await;
    spans
        .has(purchase, "linli.activity.v1.ActivityService/GetMember")
        .await;
    spans
        .has(purchase, "linli.ledger.v1.LedgerService/PostTransfers")
        .await;

    // The grant waits for a while, and for another process.
    world.system.ledger.stop().await.unwrap();
    let mut desk = world.clients.activity.clone();
    desk.verify_service_record(traced(verification, grant))
        .await
        .unwrap();
    world.system.activity.kill();
    world.system.ledger.start().await.unwrap();
    world.system.activity.start().await.unwrap();
    world
        .in_time("the grant is posted", async || {
            (world.balance(&member).await == 70).then_some(())
        })
        .await;

    spans
        .has(
            grant,
            "linli.activity.v1.ActivityService/VerifyServiceRecord",
        )
        .await;
    spans
        .has(grant, "linli.ledger.v1.LedgerService/PostTransfers")
        .await;
}
