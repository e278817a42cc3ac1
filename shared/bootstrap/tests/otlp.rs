//! What a collector receives, and how a trace goes on from a push to the next publish.

#![cfg(feature = "cloud")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::routing::post;
use bootstrap::telemetry::otlp::Export;
use bootstrap::telemetry::{metrics, trace};
use bootstrap::{Config, Role, function};
use ports::Topic;
use tokio::net::TcpListener;
use tower::ServiceExt;
use tracing_subscriber::layer::SubscriberExt;

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

type Received = Arc<Mutex<Vec<(String, Bytes)>>>;

async fn collector() -> (String, Received) {
    let received = Received::default();
    let keep = async |path: &'static str, received: Received, headers: HeaderMap, body: Bytes| {
        let kind = headers["content-type"].to_str().unwrap().to_owned();
        received.lock().unwrap().push((format!("{path} {kind}"), body));
    };
    let traces = move |State(all): State<Received>, headers: HeaderMap, body: Bytes| async move {
        keep("traces", all, headers, body).await;
    };
    let numbers = move |State(all): State<Received>, headers: HeaderMap, body: Bytes| async move {
        keep("metrics", all, headers, body).await;
    };
    let router = Router::new()
        .route("/v1/traces", post(traces))
        .route("/v1/metrics", post(numbers))
        .with_state(received.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}"), received)
}

fn config() -> Config {
    let vars = [
        ("CHATFLOW_BACKEND", "gcp"),
        ("CHATFLOW_PROJECT", "demo-1"),
        ("CHATFLOW_REGION", "asia-east1"),
        ("CHATFLOW_TIMEKEEPER_URL", "https://timekeeper.run.app"),
        ("CHATFLOW_TASKS_SERVICE_ACCOUNT", "a@b.c"),
        ("K_SERVICE", "chatflow-gateway"),
    ];
    let vars = vars.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    Config::from_environment(vars, Role::Gateway).unwrap()
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

fn raw(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_is_one_trace() {
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let (url, received) = collector().await;
    let export = Export::start(&url, &config()).unwrap();
    let subscriber = tracing_subscriber::registry().with(export.layer());
    tracing::subscriber::set_global_default(subscriber).unwrap();

    // What a request is told to pass on, while it is handled.
    let routes = Router::new().route("/webhooks/demo", post(async || trace::current().unwrap()));
    let request = Request::post("/webhooks/demo")
        .header("traceparent", format!("00-{TRACE_ID}-{PARENT}-01"))
        .body(axum::body::Body::empty())
        .unwrap();
    let response = function::observed(routes).oneshot(request).await.unwrap();
    let body = axum::body::to_bytes(response.into_body(), 1_000).await.unwrap();
    let passed_on = String::from_utf8(body.to_vec()).unwrap();
    let parts: Vec<&str> = passed_on.split('-').collect();
    assert_eq!((parts[0], parts[1], parts[3]), ("00", TRACE_ID, "01"), "{passed_on}");
    assert_ne!(parts[2], PARENT, "the span of the request is a new one");

    let latency = std::time::Duration::from_millis(3);
    metrics::delivered(Topic::Outbound, metrics::Delivery::Done, Some(12), latency);
    metrics::failed();
    tokio::task::spawn_blocking(move || export.end()).await.unwrap();

    let received = received.lock().unwrap();
    let of = |kind: &str| {
        let kind = format!("{kind} application/x-protobuf");
        received.iter().find(|(name, _)| *name == kind).map(|(_, body)| body.clone()).unwrap()
    };
    let spans = of("traces");
    assert!(holds(&spans, &raw(TRACE_ID)) && holds(&spans, &raw(PARENT)));
    assert!(holds(&spans, &raw(parts[2])), "the span that was passed on is the one sent");
    assert!(holds(&spans, b"chatflow-gateway") && holds(&spans, b"request"));
    let numbers = of("metrics");
    for name in [
        "chatflow.accepted",
        "chatflow.sent",
        "chatflow.failed",
        "chatflow.queue.age",
        "chatflow.latency",
        "outbound",
    ] {
        assert!(holds(&numbers, name.as_bytes()), "{name}");
    }
}
