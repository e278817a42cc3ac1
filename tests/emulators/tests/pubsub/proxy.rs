//! The proxy, between Google's clients and the servers they speak to.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::Method;
use emulators::official::Emulator;
use emulators::proxy::Proxy;
use emulators::pubsub::Options;
use firestore::{FirestoreDb, FirestoreDbOptions};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use gcloud_sdk::google::firestore::v1::firestore_client::FirestoreClient;
use gcloud_sdk::google::firestore::v1::listen_request::TargetChange;
use gcloud_sdk::google::firestore::v1::listen_response::ResponseType;
use gcloud_sdk::google::firestore::v1::target::{DocumentsTarget, TargetType};
use gcloud_sdk::google::firestore::v1::{ListenRequest, Target};
use google_cloud_auth::credentials::anonymous;
use google_cloud_gax::error::rpc::Code;
use google_cloud_pubsub::error::PublishError;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;

use crate::harness::{LIMIT, TOPIC, message, publisher, send, server};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Note {
    text: String,
}

#[derive(Debug, Deserialize)]
struct Count {
    notes: usize,
}

fn note(text: &str) -> Note {
    Note { text: text.to_owned() }
}

async fn database(proxy: &Proxy) -> FirestoreDb {
    let mut options = FirestoreDbOptions::new("proxied".to_owned());
    options.firebase_api_url = Some(proxy.endpoint());
    let credentials = anonymous::Builder::new().build();
    FirestoreDb::with_options_auth(options, credentials).await.expect("a client")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn firestores_calls_are_counted_by_what_they_cost() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let directory = tempfile::tempdir().expect("a directory");
    let firestore = Emulator::firestore(directory.path(), |_| ()).await.expect("Firestore");
    let proxy = Proxy::start(firestore.address).await.expect("a proxy");
    let db = database(&proxy).await;

    let mut batch = db.begin_transaction().await.expect("begun");
    for name in ["a", "b", "c"] {
        db.fluent()
            .update()
            .in_col("notes")
            .document_id(name)
            .object(&note(name))
            .add_to_transaction(&mut batch)
            .expect("added");
    }
    batch.commit().await.expect("committed");
    assert_eq!(proxy.counts().writes(), 3);
    assert_eq!(proxy.counts().of("/Commit").calls, 1);

    let select = || db.fluent().select();
    let found: Vec<(String, Option<Note>)> = select()
        .by_id_in("notes")
        .obj::<Note>()
        .batch_with_errors(["a", "b", "nothing"])
        .await
        .expect("asked")
        .try_collect()
        .await
        .expect("answered");
    assert_eq!(found.iter().filter(|(_, note)| note.is_some()).count(), 2);
    let queried: Vec<Note> = select().from("notes").obj().query().await.expect("answered");
    assert_eq!(queried, [note("a"), note("b"), note("c")]);
    let counted: Vec<Count> = select()
        .from("notes")
        .aggregate(|of| of.fields([of.field("notes").count()]))
        .obj()
        .query()
        .await
        .expect("answered");
    assert_eq!(counted[0].notes, 3);

    let counts = proxy.counts();
    assert_eq!(counts.documents_asked(), 3);
    assert_eq!(counts.of("/BatchGetDocuments").documents, 2);
    assert_eq!(counts.of("/RunQuery").documents, 3);
    assert_eq!(counts.queries(), BTreeMap::from([("notes".to_owned(), 2)]));
    for (path, calls) in &counts.0 {
        assert_eq!((calls.undecoded, calls.failed), (0, 0), "{path}");
        assert!(calls.response_bytes >= 5 && calls.request_bytes > 5, "{path}: {calls:?}");
    }

    proxy.reset();
    let twice = note("a");
    let create = db.fluent().insert().into("notes").document_id("a").object(&twice);
    create.execute::<Note>().await.expect_err("it exists");
    let again = proxy.counts().of("/CreateDocument");
    assert_eq!((again.calls, again.items, again.failed), (1, 1, 1));
    assert_eq!(proxy.counts().of("/Commit").calls, 0, "counted from the reset");
    listens(&proxy, &db).await;
}

/// A stream in both directions: what is written shows while the request is still open.
async fn listens(proxy: &Proxy, db: &FirestoreDb) {
    let database = "projects/proxied/databases/(default)";
    let documents = vec![format!("{database}/documents/notes/live")];
    let target = Target {
        target_id: 1,
        target_type: Some(TargetType::Documents(DocumentsTarget { documents })),
        ..Target::default()
    };
    let first = ListenRequest {
        database: database.to_owned(),
        target_change: Some(TargetChange::AddTarget(target)),
        ..ListenRequest::default()
    };
    let requests = stream::iter([first]).chain(stream::pending());
    let channel = gcloud_sdk::tonic::transport::Endpoint::from_shared(proxy.endpoint())
        .expect("an address")
        .connect()
        .await
        .expect("connected");
    let mut request = gcloud_sdk::tonic::Request::new(requests);
    let resource = format!("database={database}").parse().expect("ASCII");
    request.metadata_mut().insert("google-cloud-resource-prefix", resource);
    let mut answers =
        FirestoreClient::new(channel).listen(request).await.expect("listening").into_inner();
    let live = async {
        while let Some(answer) = answers.message().await.expect("open") {
            match answer.response_type {
                Some(ResponseType::TargetChange(change)) if change.resume_token.is_empty() => {}
                Some(ResponseType::TargetChange(_)) => {
                    let write = db.fluent().insert().into("notes").document_id("live");
                    write.object(&note("now")).execute::<Note>().await.ok();
                }
                Some(ResponseType::DocumentChange(change)) => return change.document,
                _ => {}
            }
        }
        None
    };
    let document = tokio::time::timeout(LIMIT, live).await.expect("in time").expect("a document");
    assert!(document.name.ends_with("/notes/live"));
}

#[tokio::test]
async fn published_messages_are_counted_and_latency_is_felt() {
    let server = server(Options::default()).await;
    let proxy = Proxy::start(server.grpc).await.expect("a proxy");
    let publisher = publisher(proxy.endpoint(), TOPIC).await;
    let sent: Vec<_> = (0..50).map(|_| publisher.publish(message("x".repeat(1000), ""))).collect();
    for sent in sent {
        sent.await.expect("published");
    }
    let counts = proxy.counts();
    let calls = counts.of("Publisher/Publish");
    assert_eq!((counts.published(), calls.failed), (50, 0));
    assert!((50_000..60_000).contains(&calls.request_bytes), "{calls:?}");

    proxy.reset();
    proxy.latency(Duration::from_millis(200));
    let began = Instant::now();
    publisher.publish(message("x", "")).await.expect("published");
    assert!(began.elapsed() >= Duration::from_millis(200));
    assert_eq!(proxy.counts().published(), 1);
}

#[tokio::test]
async fn http1_goes_through_as_well() {
    let server = server(Options::default()).await;
    let proxy = Proxy::start(server.rest).await.expect("a proxy");
    let address = format!("{}/v1/{TOPIC}:publish", proxy.endpoint());
    let body = json!({ "messages": [{ "data": "eA==" }] });
    assert_eq!(send(Method::POST, &address, body).await.0, 200);
    assert_eq!(server.counters()[TOPIC].published, 1);
    assert_eq!(proxy.counts().0["http"].calls, 1);
}

#[tokio::test]
async fn an_outage_cuts_open_calls_and_refuses_new_ones() {
    let server = server(Options::default()).await;
    let proxy = Proxy::start(server.grpc).await.expect("a proxy");
    let publisher = publisher(proxy.endpoint(), TOPIC).await;
    publisher.publish(message("before", "")).await.expect("published");

    proxy.latency(Duration::from_secs(30));
    let open = publisher.publish(message("open", ""));
    // The latency holds the call, so it is open when its connection is cut.
    while proxy.counts().of("Publish").calls < 2 {
        tokio::task::yield_now().await;
    }
    proxy.outage(LIMIT);
    let cut = tokio::time::timeout(LIMIT, open).await.expect("cut at once");
    cut.expect_err("cut");
    proxy.latency(Duration::ZERO);
    let refused = publisher.publish(message("during", "")).await.expect_err("refused");
    assert!(matches!(refused, PublishError::Rpc(_)), "{refused}");

    proxy.outage(Duration::ZERO);
    tokio::time::timeout(LIMIT, async {
        while publisher.publish(message("after", "")).await.is_err() {}
    })
    .await
    .expect("it works again");
}

#[tokio::test]
async fn without_an_upstream_a_call_fails_as_unavailable() {
    let gone = server(Options::default()).await.grpc;
    let proxy = Proxy::start(gone).await.expect("a proxy");
    let publisher = publisher(proxy.endpoint(), TOPIC).await;
    let refused = publisher.publish(message("x", "")).await.expect_err("refused");
    let PublishError::Rpc(error) = refused else { panic!("{refused}") };
    assert_eq!(error.status().map(|status| status.code), Some(Code::Unavailable));
    assert_eq!(proxy.counts().of("Publish").failed, 1);
}
