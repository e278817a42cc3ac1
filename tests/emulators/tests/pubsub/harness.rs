//! A server, Google's publisher, and an endpoint that notes what is pushed to it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use emulators::pubsub::{Options, PushConfig, Server, Subscription};
use google_cloud_auth::credentials::anonymous;
use google_cloud_gax::retry_policy::{NeverRetry, RetryPolicyArg};
use google_cloud_pubsub::client::Publisher;
use google_cloud_pubsub::model::Message;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub(crate) const PROJECT: &str = "projects/test";
pub(crate) const TOPIC: &str = "projects/test/topics/events";
pub(crate) const SUBSCRIPTION: &str = "projects/test/subscriptions/events-push";
/// Nothing here takes longer on a machine that is not stuck.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A push as an endpoint sees it.
#[derive(Clone, Debug)]
pub(crate) struct Push {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    /// The message's data as text.
    pub(crate) data: String,
    pub(crate) key: String,
    pub(crate) attempt: Option<u64>,
    /// How it was answered.
    pub(crate) status: StatusCode,
    /// Pushes of the same key that were open when it came.
    pub(crate) open: usize,
}

type Decide = dyn Fn(usize, &Push) -> StatusCode + Send + Sync;

/// An endpoint on loopback.
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    noted: Arc<Noted>,
    _serving: JoinSet<()>,
}

struct Noted {
    pushes: Mutex<Vec<Push>>,
    open: Mutex<BTreeMap<String, usize>>,
    decide: Box<Decide>,
    takes: Duration,
}

impl Endpoint {
    /// Answers the n-th push as `decide` says, after `takes`.
    pub(crate) async fn start(
        takes: Duration,
        decide: impl Fn(usize, &Push) -> StatusCode + Send + Sync + 'static,
    ) -> Self {
        let noted = Arc::new(Noted {
            pushes: Mutex::default(),
            open: Mutex::default(),
            decide: Box::new(decide),
            takes,
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().route("/", post(receive)).with_state(Arc::clone(&noted));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.expect("serving") });
        Self { address, noted, _serving: serving }
    }

    /// Takes everything at once.
    pub(crate) async fn willing() -> Self {
        Self::start(Duration::ZERO, |_, _| StatusCode::NO_CONTENT).await
    }

    pub(crate) fn pushes(&self) -> Vec<Push> {
        self.noted.pushes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The data of the pushes that were taken.
    pub(crate) fn taken(&self) -> Vec<String> {
        let good = self.pushes().into_iter().filter(|push| push.status.is_success());
        good.map(|push| push.data).collect()
    }

    pub(crate) fn push_config(&self) -> PushConfig {
        let push_endpoint = format!("http://{}/", self.address);
        PushConfig { push_endpoint, ..PushConfig::default() }
    }

    /// A subscription that pushes here.
    pub(crate) fn subscription(&self) -> Subscription {
        Subscription {
            name: SUBSCRIPTION.to_owned(),
            topic: TOPIC.to_owned(),
            push_config: Some(self.push_config()),
            ..Subscription::default()
        }
    }
}

async fn receive(State(noted): State<Arc<Noted>>, headers: HeaderMap, bytes: Bytes) -> StatusCode {
    let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let message = &body["message"];
    let data = STANDARD.decode(message["data"].as_str().unwrap_or_default()).expect("base64");
    let key = message["orderingKey"].as_str().unwrap_or_default().to_owned();
    let mut push = Push {
        headers,
        data: String::from_utf8(data).expect("text"),
        attempt: body["deliveryAttempt"].as_u64(),
        status: StatusCode::OK,
        open: noted.change_open(&key, 1),
        key: key.clone(),
        body,
    };
    tokio::time::sleep(noted.takes).await;
    let status = {
        let mut pushes = noted.pushes.lock().expect("pushes");
        push.status = (noted.decide)(pushes.len(), &push);
        pushes.push(push.clone());
        push.status
    };
    noted.change_open(&key, -1);
    status
}

impl Noted {
    fn change_open(&self, key: &str, by: isize) -> usize {
        let mut open = self.open.lock().expect("open");
        let count = open.entry(key.to_owned()).or_default();
        *count = count.checked_add_signed(by).expect("as many ends as starts");
        *count
    }
}

/// A server with the topic `events`.
pub(crate) async fn server(options: Options) -> Server {
    // Clients that could speak TLS want to know how, even when they do not.
    drop(rustls::crypto::ring::default_provider().install_default());
    let server = Server::start(options).await.expect("a server");
    server.create_topic(TOPIC).expect("a topic");
    server
}

/// Google's publisher to a topic, which never tries again by itself.
pub(crate) async fn publisher(endpoint: String, topic: &str) -> Publisher {
    Publisher::builder(topic)
        .with_endpoint(endpoint)
        .with_credentials(anonymous::Builder::new().build())
        .with_retry_policy(RetryPolicyArg::from(NeverRetry))
        .build()
        .await
        .expect("a publisher")
}

pub(crate) fn message(data: impl Into<String>, key: &str) -> Message {
    Message::new().set_data(Bytes::from(data.into())).set_ordering_key(key)
}

/// A call of REST: the status and the JSON of the answer.
pub(crate) async fn call(server: &Server, method: Method, path: &str, body: Value) -> (u16, Value) {
    send(method, &format!("{}{path}", server.endpoint()), body).await
}

/// A call of an address: the status and the JSON of the answer.
pub(crate) async fn send(method: Method, address: &str, body: Value) -> (u16, Value) {
    let (status, _, answer) = exchange(method, address, body).await;
    (status, answer)
}

/// A call of an address: the status, the headers and the JSON of the answer.
pub(crate) async fn exchange(
    method: Method,
    address: &str,
    body: Value,
) -> (u16, HeaderMap, Value) {
    // Without TLS, whose certificates would take longer to load than all the rest.
    let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let mut request = Request::new(Full::new(Bytes::from(body.to_string())));
    *request.method_mut() = method;
    *request.uri_mut() = address.parse().expect("an address");
    let answer = client.request(request).await.expect("an answer");
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let bytes = answer.into_body().collect().await.expect("a body").to_bytes();
    (status, headers, serde_json::from_slice(&bytes).expect("JSON"))
}
