//! A proxy in front of Firestore or Pub/Sub that counts what goes through, and fails on demand.
//!
//! It carries HTTP/2 without TLS and HTTP/1 as they come: streams in both directions, trailers, and
//! nothing held back. Of the calls whose cost matters it reads along how much they ask for.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Context as _;
use axum::http::uri::{Authority, PathAndQuery, Scheme};
use axum::http::{HeaderMap, HeaderName, Request, Response, StatusCode, Uri, Version, header};
use bytes::{Buf as _, Bytes, BytesMut};
use gcloud_sdk::google::firestore::v1 as firestore;
use gcloud_sdk::google::pubsub::v1 as pubsub;
use http_body_util::{Either, Empty};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use prost::Message;
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

const FIRESTORE: &str = "/google.firestore.v1.Firestore/";
const PUBLISH: &str = "/google.pubsub.v1.Publisher/Publish";
const APPEND: &str = "/google.cloud.bigquery.storage.v1.BigQueryWrite/AppendRows";
/// The name under which everything that is not gRPC is counted.
const NOT_GRPC: &str = "http";
/// Paths that are counted one by one.
const PATHS_MAX: usize = 1000;
/// Bytes of one message that are read along.
const MESSAGE_BYTES_MAX: usize = 32 << 20;
/// Streams of one connection at a time.
const STREAMS_MAX: u32 = 1000;
/// Headers that concern one connection only.
const HOP: [HeaderName; 4] =
    [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE, header::PROXY_AUTHORIZATION];

/// What went through on one path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Calls {
    /// Calls begun.
    pub calls: u64,
    /// Calls that ended with a gRPC status other than OK, or had no answer.
    pub failed: u64,
    /// Bytes of request bodies.
    pub request_bytes: u64,
    /// Bytes of answers' bodies.
    pub response_bytes: u64,
    /// Writes, documents asked for by name, messages published, or requests of rows to append:
    /// whatever the call is about.
    pub items: u64,
    /// Documents that came back from a query or a batch.
    pub documents: u64,
    /// Queries by the collection they ask.
    pub queries: BTreeMap<String, u64>,
    /// Messages that could not be read along: compressed, too large, or of another form.
    pub undecoded: u64,
}

/// What went through, by gRPC path (`/package.Service/Method`); everything else under `http`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts(pub BTreeMap<String, Calls>);

impl Counts {
    /// What went through on the paths that end like this, added up.
    pub fn of(&self, ending: &str) -> Calls {
        let mut sum = Calls::default();
        for (_, calls) in self.0.iter().filter(|(path, _)| path.ends_with(ending)) {
            sum.add(calls);
        }
        sum
    }

    /// Documents written or deleted in Firestore, in whichever way.
    pub fn writes(&self) -> u64 {
        ["Commit", "BatchWrite", "Write", "CreateDocument", "UpdateDocument", "DeleteDocument"]
            .iter()
            .map(|method| self.firestore(method).items)
            .sum()
    }

    /// Documents asked for by name in Firestore.
    pub fn documents_asked(&self) -> u64 {
        self.firestore("BatchGetDocuments").items + self.firestore("GetDocument").items
    }

    /// Queries and aggregations in Firestore, by collection.
    pub fn queries(&self) -> BTreeMap<String, u64> {
        let mut sum = self.firestore("RunQuery");
        sum.add(&self.firestore("RunAggregationQuery"));
        sum.queries
    }

    /// Messages published to Pub/Sub.
    pub fn published(&self) -> u64 {
        self.0.get(PUBLISH).map_or(0, |calls| calls.items)
    }

    fn firestore(&self, method: &str) -> Calls {
        self.0.get(&format!("{FIRESTORE}{method}")).cloned().unwrap_or_default()
    }
}

impl Calls {
    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.failed += other.failed;
        self.request_bytes += other.request_bytes;
        self.response_bytes += other.response_bytes;
        self.items += other.items;
        self.documents += other.documents;
        self.undecoded += other.undecoded;
        for (collection, count) in &other.queries {
            *self.queries.entry(collection.clone()).or_default() += count;
        }
    }
}

/// A running proxy. It ends when dropped, and cuts its connections.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    _listening: JoinSet<()>,
}

impl Proxy {
    /// Listens on a free loopback port and passes everything on to `upstream`.
    pub async fn start(upstream: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("no free port for the proxy")?;
        let address = listener.local_addr()?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let mut http2 = Client::builder(TokioExecutor::new());
        http2.http2_only(true).http2_adaptive_window(true);
        let shared = Arc::new(Shared {
            upstream: Authority::try_from(upstream.to_string())?,
            http1: Client::builder(TokioExecutor::new()).build(connector.clone()),
            http2: http2.build(connector),
            counts: Mutex::default(),
            latency: Mutex::default(),
            down_until: watch::channel(None).0,
        });
        let mut listening = JoinSet::new();
        listening.spawn(listen(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, _listening: listening })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What went through since the start or the last [`Proxy::reset`].
    pub fn counts(&self) -> Counts {
        Counts(lock(&self.shared.counts).clone())
    }

    /// Forgets what went through.
    pub fn reset(&self) {
        lock(&self.shared.counts).clear();
    }

    /// Cuts every connection, and closes each new one at once for so long. What was passed on
    /// before may still take effect: its outcome is unknown to the caller, as in life. Zero ends
    /// an outage, and cuts what is open all the same.
    pub fn outage(&self, length: Duration) {
        self.shared.down_until.send_replace(Some(Instant::now() + length));
    }

    /// Holds each request so long before it is passed on; zero ends that.
    pub fn latency(&self, latency: Duration) {
        *lock(&self.shared.latency) = latency;
    }
}

struct Shared {
    upstream: Authority,
    http1: Client<HttpConnector, Metered>,
    http2: Client<HttpConnector, Metered>,
    counts: Mutex<BTreeMap<String, Calls>>,
    latency: Mutex<Duration>,
    down_until: watch::Sender<Option<Instant>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn is_down(&self) -> bool {
        self.down_until.borrow().is_some_and(|until| until > Instant::now())
    }

    /// Changes the counts of a path.
    fn count(&self, path: &str, change: impl FnOnce(&mut Calls)) {
        let mut counts = lock(&self.counts);
        let known = counts.contains_key(path) || counts.len() < PATHS_MAX;
        let path = if known { path } else { NOT_GRPC };
        change(counts.entry(path.to_owned()).or_default());
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let mut outages = shared.down_until.subscribe();
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            biased;
            _ = outages.changed() => {
                connections.abort_all();
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            // Dropped: the caller sees the connection end at once.
            Ok(_) if shared.is_down() => {}
            Ok((stream, _)) => {
                connections.spawn(serve(stream, Arc::clone(&shared)));
            }
            Err(error) => {
                tracing::warn!(%error, "the proxy cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // Small frames must not wait for a full packet.
    drop(stream.set_nodelay(true));
    let service = service_fn(move |request| forward(Arc::clone(&shared), request));
    let mut serving = auto::Builder::new(TokioExecutor::new());
    serving.http2().adaptive_window(true).max_concurrent_streams(STREAMS_MAX);
    if let Err(error) = serving.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection to the proxy ended");
    }
}

type Answer = Response<Either<Metered, Empty<Bytes>>>;

/// Passes one request on, and its answer back.
async fn forward(shared: Arc<Shared>, request: Request<Incoming>) -> anyhow::Result<Answer> {
    let (mut parts, body) = request.into_parts();
    let path = if is_grpc(&parts.headers) { parts.uri.path() } else { NOT_GRPC };
    let path: Arc<str> = path.into();
    shared.count(&path, |calls| {
        calls.calls += 1;
        calls.items += single_item(&path);
    });
    let latency = *lock(&shared.latency);
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let http2 = parts.version == Version::HTTP_2;
    let asked = parts.uri.path_and_query().cloned();
    parts.uri = Uri::builder()
        .scheme(Scheme::HTTP)
        .authority(shared.upstream.clone())
        .path_and_query(asked.unwrap_or_else(|| PathAndQuery::from_static("/")))
        .build()?;
    for name in HOP {
        parts.headers.remove(name);
    }
    let meter = Meter::new(&shared, &path, reader_of_requests(&path), Side::Request);
    let request = Request::from_parts(parts, Metered { body, meter });
    let client = if http2 { &shared.http2 } else { &shared.http1 };
    let answer = match client.request(request).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::debug!(%error, path = &*path, "the upstream did not answer");
            shared.count(&path, |calls| calls.failed += 1);
            let mut answer = Response::new(Either::Right(Empty::new()));
            *answer.status_mut() = StatusCode::BAD_GATEWAY;
            return Ok(answer);
        }
    };
    let (mut parts, body) = answer.into_parts();
    for name in HOP {
        parts.headers.remove(name);
    }
    let mut meter = Meter::new(&shared, &path, reader_of_answers(&path), Side::Response);
    meter.status(&parts.headers);
    Ok(Response::from_parts(parts, Either::Left(Metered { body, meter })))
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Calls about one document need no reading.
fn single_item(path: &str) -> u64 {
    let method = path.strip_prefix(FIRESTORE).unwrap_or_default();
    let one = ["GetDocument", "CreateDocument", "UpdateDocument", "DeleteDocument"];
    u64::from(one.contains(&method))
}

/// Reads one gRPC message and counts what is in it.
type Reader = fn(Bytes, &mut Calls) -> Result<(), prost::DecodeError>;

fn reader_of_requests(path: &str) -> Option<Reader> {
    if path == PUBLISH {
        return Some(|bytes, calls| {
            calls.items += pubsub::PublishRequest::decode(bytes)?.messages.len() as u64;
            Ok(())
        });
    }
    if path == APPEND {
        return Some(|_, calls| {
            calls.items += 1;
            Ok(())
        });
    }
    let reader: Reader = match path.strip_prefix(FIRESTORE)? {
        "Commit" => |bytes, calls| {
            calls.items += firestore::CommitRequest::decode(bytes)?.writes.len() as u64;
            Ok(())
        },
        "BatchWrite" => |bytes, calls| {
            calls.items += firestore::BatchWriteRequest::decode(bytes)?.writes.len() as u64;
            Ok(())
        },
        "Write" => |bytes, calls| {
            calls.items += firestore::WriteRequest::decode(bytes)?.writes.len() as u64;
            Ok(())
        },
        "BatchGetDocuments" => |bytes, calls| {
            let asked = firestore::BatchGetDocumentsRequest::decode(bytes)?;
            calls.items += asked.documents.len() as u64;
            Ok(())
        },
        "RunQuery" => |bytes, calls| {
            use firestore::run_query_request::QueryType::StructuredQuery;
            if let Some(StructuredQuery(query)) =
                firestore::RunQueryRequest::decode(bytes)?.query_type
            {
                calls.query(&query);
            }
            Ok(())
        },
        "RunAggregationQuery" => |bytes, calls| {
            use firestore::run_aggregation_query_request::QueryType::StructuredAggregationQuery;
            use firestore::structured_aggregation_query::QueryType::StructuredQuery;
            if let Some(StructuredAggregationQuery(outer)) =
                firestore::RunAggregationQueryRequest::decode(bytes)?.query_type
                && let Some(StructuredQuery(query)) = outer.query_type
            {
                calls.query(&query);
            }
            Ok(())
        },
        _ => return None,
    };
    Some(reader)
}

fn reader_of_answers(path: &str) -> Option<Reader> {
    let reader: Reader = match path.strip_prefix(FIRESTORE)? {
        "RunQuery" => |bytes, calls| {
            let answer = firestore::RunQueryResponse::decode(bytes)?;
            calls.documents += u64::from(answer.document.is_some());
            Ok(())
        },
        "BatchGetDocuments" => |bytes, calls| {
            use firestore::batch_get_documents_response::Result::Found;
            let answer = firestore::BatchGetDocumentsResponse::decode(bytes)?;
            calls.documents += u64::from(matches!(answer.result, Some(Found(_))));
            Ok(())
        },
        _ => return None,
    };
    Some(reader)
}

impl Calls {
    fn query(&mut self, query: &firestore::StructuredQuery) {
        let from = query.from.first().map(|from| from.collection_id.clone()).unwrap_or_default();
        *self.queries.entry(from).or_default() += 1;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Request,
    Response,
}

/// Counts one body as it passes.
struct Meter {
    shared: Arc<Shared>,
    path: Arc<str>,
    side: Side,
    /// Absent where nothing is read along, or no longer.
    reader: Option<Reader>,
    held: BytesMut,
}

impl Meter {
    fn new(shared: &Arc<Shared>, path: &Arc<str>, reader: Option<Reader>, side: Side) -> Self {
        let (shared, path) = (Arc::clone(shared), Arc::clone(path));
        Self { shared, path, side, reader, held: BytesMut::new() }
    }

    fn frame(&mut self, frame: &Frame<Bytes>) {
        if let Some(data) = frame.data_ref() {
            let (side, length) = (self.side, data.len() as u64);
            self.shared.count(&self.path, |calls| match side {
                Side::Request => calls.request_bytes += length,
                Side::Response => calls.response_bytes += length,
            });
            if self.reader.is_some() {
                self.held.extend_from_slice(data);
                self.read_messages();
            }
        } else if let Some(trailers) = frame.trailers_ref() {
            self.status(trailers);
        }
    }

    /// Reads every complete message of gRPC's framing: a flag, four bytes of length, the message.
    fn read_messages(&mut self) {
        while let Some(reader) = self.reader
            && self.held.len() >= 5
        {
            let compressed = self.held[0] != 0;
            let length = (&self.held[1..5]).get_u32() as usize;
            if compressed || length > MESSAGE_BYTES_MAX {
                self.reader = None;
                self.held = BytesMut::new();
                self.shared.count(&self.path, |calls| calls.undecoded += 1);
                return;
            }
            if self.held.len() < 5 + length {
                return;
            }
            self.held.advance(5);
            let message = self.held.split_to(length).freeze();
            self.shared.count(&self.path, |calls| {
                if reader(message, calls).is_err() {
                    calls.undecoded += 1;
                }
            });
        }
    }

    /// Notes a failure that headers or trailers tell of.
    fn status(&mut self, headers: &HeaderMap) {
        if headers.get("grpc-status").is_some_and(|status| status != "0") {
            self.shared.count(&self.path, |calls| calls.failed += 1);
        }
    }
}

/// A body that is counted as it passes.
struct Metered {
    body: Incoming,
    meter: Meter,
}

impl Body for Metered {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.meter.frame(frame);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
