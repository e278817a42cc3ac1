//! One message is one trace, from the webhook to BigQuery: seen by a collector.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use cloud::Options;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::setting::{PATIENCE, settle, with_sink};

const TRACE: [u8; 16] = *b"one message only";

/// What a collector of OTLP over HTTP has got, each a batch of one service's spans.
type Batches = Arc<Mutex<Vec<Bytes>>>;

async fn collector() -> (String, Batches) {
    let batches = Batches::default();
    let keep = async |State(batches): State<Batches>, body: Bytes| {
        batches.lock().unwrap().push(body);
    };
    let router = Router::new()
        .route("/v1/traces", post(keep))
        .route("/v1/metrics", post(async || {}))
        .with_state(batches.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, batches)
}

/// How protobuf writes the resource's attribute `service.name`.
fn service_name(service: &str) -> Vec<u8> {
    let length = u8::try_from(service.len()).unwrap();
    [b"service.name", &[0x12, length + 2, 0x0a, length][..], service.as_bytes()].concat()
}

fn holds(batch: &[u8], wanted: &[u8]) -> bool {
    batch.windows(wanted.len()).any(|window| window == wanted)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_one_trace_from_webhook_to_warehouse() {
    let (collector, batches) = collector().await;
    let variables = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", collector)];
    let (system, sink, _) = with_sink(Options { variables, ..Options::default() }).await;
    let hex = format!("{:032x}", u128::from_be_bytes(TRACE));
    let body = json!({ "id": "a-1", "contact": { "id": "mei", "lang": "en" }, "text": "leave" });
    let sent = system.client.post(format!("{}/webhooks/demo", system.url("gateway"))).json(&body);
    let sent = sent.header("traceparent", format!("00-{hex}-00f067aa0ba902b7-01")).send().await;
    assert!(sent.unwrap().status().is_success());
    sink.texts_to("mei", 1, PATIENCE).await.unwrap();
    settle(&system).await;

    // Spans are sent every few seconds.
    let began = Instant::now();
    for service in ["gateway", "controller", "messenger", "landing"] {
        let seen = || {
            let batches = batches.lock().unwrap();
            batches.iter().any(|batch| holds(batch, &service_name(service)) && holds(batch, &TRACE))
        };
        while !seen() {
            assert!(began.elapsed() < PATIENCE, "no span of {service} is in the trace");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
}
