//! One conversation from webhook to warehouse.

use cloud::Options;
use serde_json::json;

use crate::setting::{PATIENCE, no_errors, settle, with_sink};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_goes_from_webhook_to_warehouse() {
    let (system, sink, server) = with_sink(Options::default()).await;
    server.say("a-1", "mei", "leave").await;
    let first = sink.texts_to("mei", 1, PATIENCE).await.unwrap();
    assert!(!first[0].is_empty());
    // The same delivery again, and the answer.
    server.say("a-1", "mei", "leave").await;
    server.say("a-2", "mei", "tomorrow").await;
    let texts = sink.texts_to("mei", 2, PATIENCE).await.unwrap();
    settle(&system).await;
    assert_eq!(sink.texts_to("mei", 2, PATIENCE).await.unwrap(), texts, "each reply once");

    let tasks = server.all("/v1/tasks?contact=mei").await;
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks[0]["flow"], "leave-request");
    assert_eq!(tasks[0]["status"], "waiting");
    let messages = server.all("/v1/messages?contact=mei").await;
    let states: Vec<_> = messages.iter().map(|message| &message["state"]).collect();
    assert_eq!(states, ["processed", "sent", "processed", "sent"]);
    let found = server.all("/v1/messages?q=tomorrow&direction=in").await;
    assert_eq!(found.len(), 1, "the search finds what was said");

    let rows = server.all("/v1/tables/messages/rows?current=true").await;
    assert_eq!(rows.len(), 4, "every message landed: {rows:?}");
    let landed = server.all("/v1/tables/tasks/rows?current=true").await;
    assert_eq!(landed.len(), 1);
    assert_eq!(landed[0]["task_id"], tasks[0]["id"]);
    assert_eq!(landed[0]["vars"]["start"], tasks[0]["vars"]["start"]);
    let failures = server.all("/v1/failures?state=open").await;
    assert_eq!(failures, Vec::<serde_json::Value>::new());
    no_errors(&system);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alarms_ring_and_lost_ones_are_made_up_for() {
    let (system, sink, server) = with_sink(Options::default()).await;
    let flow = "flow: nap\ntriggers:\n  - {on: keyword, any: [nap, doze]}\nvars: {}\nstart: wait\n\
                steps:\n  wait: {type: wait, for: 2s, next: told}\n  \
                told: {type: say, text: awake, next: done}\n  done: {type: end}\n";
    let url = format!("{}/v1/flows/nap", server.url);
    let put = server.client.put(&url).bearer_auth(&server.key);
    let put = put.header("content-type", "application/yaml").body(flow).send().await.unwrap();
    assert!(put.status().is_success(), "{}", put.text().await.unwrap());
    let publish = server.client.post(format!("{url}/publish")).bearer_auth(&server.key);
    let published = publish.json(&json!({})).send().await.unwrap();
    assert!(published.status().is_success(), "{}", published.text().await.unwrap());
    // The controller looks for new flows every few seconds.
    tokio::time::sleep(std::time::Duration::from_secs(11)).await;

    server.say("b-1", "ann", "nap").await;
    let texts = sink.texts_to("ann", 1, PATIENCE).await.unwrap();
    assert_eq!(texts, ["awake"], "the alarm rang");
    let tasks = system.around.tasks.as_ref().unwrap();
    tasks.pause();
    server.say("b-2", "bob", "doze").await;
    settle(&system).await;
    assert_eq!(tasks.lose_all(), 1, "its alarm was set, and is lost");
    tasks.resume();
    let texts = sink.texts_to("bob", 1, PATIENCE).await.unwrap();
    assert_eq!(texts, ["awake"], "the sweeper found it");
}
