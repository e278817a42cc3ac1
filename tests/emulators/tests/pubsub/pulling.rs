//! Pulling over REST.

use std::time::{Duration, Instant};

use axum::http::Method;
use emulators::pubsub::{Draft, Options, Server, Subscription};
use serde_json::{Value, json};

use crate::harness::{SUBSCRIPTION, TOPIC, call, server};

async fn post(server: &Server, method: &str, body: Value) -> (u16, Value) {
    call(server, Method::POST, &format!("/v1/{SUBSCRIPTION}:{method}"), body).await
}

async fn pull(server: &Server, count: usize) -> Vec<Value> {
    let asked = json!({ "maxMessages": count, "returnImmediately": true });
    let (status, answer) = post(server, "pull", asked).await;
    assert_eq!(status, 200, "{answer}");
    answer["receivedMessages"].as_array().expect("a list").clone()
}

fn ids(received: &[Value]) -> Vec<&str> {
    received.iter().map(|message| message["ackId"].as_str().expect("an id")).collect()
}

async fn pulled(options: Options) -> Server {
    let server = server(options).await;
    let subscription = Subscription {
        name: SUBSCRIPTION.to_owned(),
        topic: TOPIC.to_owned(),
        ..Subscription::default()
    };
    server.create_subscription(subscription).expect("a subscription");
    server
}

fn drafts(count: usize) -> Vec<Draft> {
    let draft = |number: usize| Draft { data: number.to_string().into(), ..Draft::default() };
    (0..count).map(draft).collect()
}

#[tokio::test]
async fn what_is_pulled_is_gone_once_acknowledged() {
    let server = pulled(Options::default()).await;
    let messages = json!({ "messages": [
        { "data": "aGk=", "attributes": { "kind": "order" }, "orderingKey": "talk" },
        { "attributes": { "kind": "empty" } },
    ] });
    let (status, published) =
        call(&server, Method::POST, &format!("/v1/{TOPIC}:publish"), messages).await;
    assert_eq!(status, 200);
    let received = pull(&server, 10).await;
    assert_eq!(received.len(), 2);
    assert_eq!(received[0]["message"]["data"], "aGk=");
    assert_eq!(received[0]["message"]["attributes"], json!({ "kind": "order" }));
    assert_eq!(received[0]["message"]["orderingKey"], "talk");
    assert_eq!(received[0]["message"]["messageId"], published["messageIds"][0]);
    assert_eq!(pull(&server, 10).await, Vec::<Value>::new(), "both are out");

    let (status, _) = post(&server, "acknowledge", json!({ "ackIds": ids(&received[..1]) })).await;
    assert_eq!(status, 200);
    let refuse = json!({ "ackIds": ids(&received[1..]), "ackDeadlineSeconds": 0 });
    assert_eq!(post(&server, "modifyAckDeadline", refuse).await.0, 200);
    let (_, again) = post(&server, "pull", json!({ "maxMessages": 10 })).await;
    let again = again["receivedMessages"].as_array().expect("a list").clone();
    assert_eq!(again.len(), 1, "the refused one came again after its wait");
    assert_eq!(again[0]["message"]["messageId"], published["messageIds"][1]);
    // The first delivery's id means nothing any more.
    post(&server, "acknowledge", json!({ "ackIds": ids(&received[1..]) })).await;
    assert_eq!(server.counters()[TOPIC].acked, 1);
    post(&server, "acknowledge", json!({ "ackIds": ids(&again) })).await;
    let counters = server.counters()[TOPIC];
    assert_eq!((counters.published, counters.acked, counters.nacked), (2, 2, 1));
}

#[tokio::test]
async fn what_is_not_acknowledged_in_time_comes_again() {
    let server =
        pulled(Options { ack_deadline: Some(Duration::from_millis(50)), ..Options::default() })
            .await;
    server.publish(TOPIC, drafts(1)).expect("published");
    let first = pull(&server, 1).await;
    let (_, again) = post(&server, "pull", json!({ "maxMessages": 1 })).await;
    assert_eq!(again["receivedMessages"][0]["message"], first[0]["message"]);
    assert_ne!(again["receivedMessages"][0]["ackId"], first[0]["ackId"]);
    assert_eq!(server.counters()[TOPIC].nacked, 1);
}

#[tokio::test]
async fn a_waiting_pull_gets_what_is_published_meanwhile() {
    let server = pulled(Options::default()).await;
    let asked = post(&server, "pull", json!({ "maxMessages": 1 }));
    let (answer, ()) = tokio::join!(asked, async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        server.publish(TOPIC, drafts(1)).expect("published");
    });
    assert_eq!(answer.1["receivedMessages"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_hundred_thousand_messages_are_no_effort() {
    let server = pulled(Options::default()).await;
    let began = Instant::now();
    for _ in 0..100 {
        server.publish(TOPIC, drafts(1000)).expect("published");
    }
    for _ in 0..100 {
        let received = pull(&server, 1000).await;
        assert_eq!(received.len(), 1000);
        post(&server, "acknowledge", json!({ "ackIds": ids(&received) })).await;
    }
    assert_eq!(server.counters()[TOPIC].acked, 100_000);
    assert!(began.elapsed() < Duration::from_secs(90), "{:?}", began.elapsed());
}
