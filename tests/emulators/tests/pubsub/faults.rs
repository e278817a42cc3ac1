//! Faults on demand.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::Method;
use emulators::pubsub::{Draft, Faults, Options, Server, Subscription};
use google_cloud_gax::error::rpc::Code;
use google_cloud_pubsub::error::PublishError;
use serde_json::json;

use crate::harness::{Endpoint, LIMIT, TOPIC, call, message, publisher, server};

fn numbered(server: &Server, count: usize) {
    let drafts = (0..count).map(|number| Draft {
        data: number.to_string().into(),
        ordering_key: format!("k{}", number % 10),
        ..Draft::default()
    });
    server.publish(TOPIC, drafts.collect()).expect("published");
}

fn times(endpoint: &Endpoint) -> BTreeMap<usize, usize> {
    let mut times = BTreeMap::new();
    for data in endpoint.taken() {
        *times.entry(data.parse().expect("a number")).or_default() += 1;
    }
    times
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_push_comes_three_times_and_out_of_order() {
    let server = server(Options::default()).await;
    let endpoint = Endpoint::willing().await;
    let subscription = Subscription { enable_message_ordering: true, ..endpoint.subscription() };
    server.create_subscription(subscription).expect("a subscription");
    let faults = Faults {
        copies: 3,
        late_milliseconds_max: 100,
        shuffle: true,
        delay_milliseconds_max: 5,
        ..Faults::default()
    };
    server.set_faults(faults).expect("faults");
    numbered(&server, 100);
    server.idle(LIMIT).await.expect("quiet");

    assert_eq!(times(&endpoint), (0..100).map(|number| (number, 3)).collect());
    let counters = server.counters()[TOPIC];
    assert_eq!((counters.pushed, counters.acked, counters.nacked), (300, 100, 0));
    // Late copies break the order of a key, which the first copies alone would keep.
    let of_a_key: Vec<usize> = endpoint
        .taken()
        .iter()
        .map(|data| data.parse().expect("a number"))
        .filter(|number| number % 10 == 3)
        .collect();
    assert!(!of_a_key.is_sorted(), "{of_a_key:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shuffled_keys_keep_their_order() {
    let server = server(Options::default()).await;
    let endpoint = Endpoint::willing().await;
    let subscription = Subscription { enable_message_ordering: true, ..endpoint.subscription() };
    server.create_subscription(subscription).expect("a subscription");
    server.set_faults(Faults { shuffle: true, seed: 5, ..Faults::default() }).expect("faults");
    numbered(&server, 200);
    server.idle(LIMIT).await.expect("quiet");
    let taken: Vec<usize> =
        endpoint.taken().iter().map(|data| data.parse().expect("a number")).collect();
    assert!(!taken.is_sorted());
    for key in 0..10 {
        let of_key: Vec<usize> = taken.iter().copied().filter(|n| n % 10 == key).collect();
        assert_eq!(of_key, (key..200).step_by(10).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_lost_answer_brings_the_message_again() {
    let server = server(Options::default()).await;
    let endpoint = Endpoint::willing().await;
    server.create_subscription(endpoint.subscription()).expect("a subscription");
    let (status, _) =
        call(&server, Method::POST, "/control/faults", json!({ "lost_answers": 0.5 })).await;
    assert_eq!(status, 200);
    numbered(&server, 60);
    let (status, counters) =
        call(&server, Method::POST, "/control/quiet", json!({ "limit_milliseconds": 60_000 }))
            .await;
    assert_eq!(status, 200);
    let times = times(&endpoint);
    assert_eq!(times.len(), 60, "none is lost");
    assert!(times.values().any(|count| *count > 1), "some came again");
    assert_eq!(counters[TOPIC]["acked"], 60);
    assert_eq!(counters[TOPIC]["pushed"], times.values().sum::<usize>());
}

#[tokio::test]
async fn an_outage_refuses_to_publish_and_holds_what_is_stored() {
    let server = server(Options::default()).await;
    let endpoint = Endpoint::willing().await;
    server.create_subscription(endpoint.subscription()).expect("a subscription");
    let publisher = publisher(server.endpoint(), TOPIC).await;
    server.outage(LIMIT);
    let refused = publisher.publish(message("during", "talk")).await.expect_err("refused");
    let PublishError::Rpc(error) = refused else { panic!("{refused}") };
    assert_eq!(error.status().map(|status| status.code), Some(Code::Unavailable));
    let (status, _) = call(
        &server,
        Method::POST,
        "/v1/projects/test/topics/events:publish",
        json!({ "messages": [{ "data": "eA==" }] }),
    )
    .await;
    assert_eq!(status, 503);
    assert!(matches!(
        publisher.publish(message("paused", "talk")).await,
        Err(PublishError::OrderingKeyPaused)
    ));
    server.set_faults(Faults::default()).expect("no faults");
    publisher.resume_publish("talk");
    publisher.publish(message("after", "talk")).await.expect("published");
    server.idle(LIMIT).await.expect("quiet");
    assert_eq!(endpoint.taken(), ["after"]);
}

#[tokio::test]
async fn nothing_is_pushed_during_an_outage() {
    let server = server(Options::default()).await;
    let endpoint = Endpoint::willing().await;
    server.create_subscription(endpoint.subscription()).expect("a subscription");
    // The first answer is lost, so the message waits to come again when the outage starts.
    server.set_faults(Faults { lost_answers: 1.0, ..Faults::default() }).expect("faults");
    numbered(&server, 1);
    while server.counters()[TOPIC].nacked == 0 {
        tokio::task::yield_now().await;
    }
    let outage = Faults { outage_milliseconds: 60_000, ..Faults::default() };
    server.set_faults(outage).expect("an outage");
    let before = server.counters()[TOPIC].pushed;
    server.idle(Duration::from_millis(300)).await.expect_err("it waits");
    assert!(server.counters()[TOPIC].pushed - before <= 1, "one may have been on its way");
    server.set_faults(Faults::default()).expect("no faults");
    server.idle(LIMIT).await.expect("quiet");
}

#[tokio::test]
async fn faults_out_of_bounds_are_refused() {
    let server = server(Options::default()).await;
    for faults in
        [json!({ "copies": 0 }), json!({ "lost_answers": 1.5 }), json!({ "unknown": true })]
    {
        let (status, answer) = call(&server, Method::POST, "/control/faults", faults.clone()).await;
        assert_eq!(
            (status, &answer["error"]["status"]),
            (400, &json!("INVALID_ARGUMENT")),
            "{faults}"
        );
    }
}
