//! Functions killed, servers away, pushes delivered three times and shuffled: nothing is lost,
//! nothing doubled, order kept.

use std::time::Duration;

use cloud::Options;
use emulators::pubsub::Faults;

use crate::dialogues::{each_once_in_order, play, recorded};
use crate::setting::{PATIENCE, settle, with_sink};

/// Dialogues that are played under faults.
const DIALOGUES: usize = 25;

/// How long a server is away.
const AWAY: Duration = Duration::from_secs(30);

/// Every reply that the store calls sent arrived, under its own id; none is left behind.
async fn every_reply_arrived(server: &crate::setting::Server, sink: &cloud::Sink) {
    let out = server.all("/v1/messages?direction=out").await;
    assert!(!out.is_empty());
    let arrived: std::collections::BTreeSet<String> =
        sink.replies().iter().filter_map(|reply| reply["id"].as_str().map(str::to_owned)).collect();
    for message in &out {
        let state = message["state"].as_str().unwrap();
        assert!(["sent", "unknown"].contains(&state), "{message}");
        let id = message["id"].as_str().unwrap();
        assert!(state == "unknown" || arrived.contains(id), "{id} did not arrive");
    }
    let stored: std::collections::BTreeSet<&str> =
        out.iter().map(|message| message["id"].as_str().unwrap()).collect();
    for id in &arrived {
        assert!(stored.contains(id.as_str()), "{id} was sent and is not stored");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushes_may_come_three_times_and_shuffled() {
    let Some(messages) = recorded(DIALOGUES) else { return };
    let (system, sink, server) = with_sink(Options::default()).await;
    let pubsub = system.around.pubsub.as_ref().unwrap();
    let faults = Faults { copies: 3, shuffle: true, seed: 7, ..Faults::default() };
    pubsub.set_faults(faults).unwrap();
    let said = play(&server, &messages).await;
    settle(&system).await;
    each_once_in_order(&server, &said).await;
    every_reply_arrived(&server, &sink).await;
    let rows = server.all("/v1/tables/messages/rows?current=true").await;
    let stored = server.all("/v1/messages").await;
    assert_eq!(rows.len(), stored.len(), "the current view shows each message once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_may_be_killed_and_servers_may_be_away() {
    let Some(messages) = recorded(DIALOGUES) else { return };
    let options = Options {
        proxied: vec!["controller", "messenger", "landing", "gateway"],
        ..Options::default()
    };
    let (mut system, sink, server) = with_sink(options).await;
    let playing = tokio::spawn({
        let (server, messages) = (server.clone(), messages.clone());
        async move { play(&server, &messages).await }
    });
    // The clock of the world, not of the code: what happens when is not what is tested.
    // Not the landing: the BigQuery emulator does not let go of an append whose client is gone,
    // and answers none after it.
    for name in ["controller", "messenger", "gateway", "connector", "controller", "timekeeper"] {
        tokio::time::sleep(Duration::from_millis(700)).await;
        system.kill_and_restart(name).unwrap();
        system.until_it_answers(name).await.unwrap();
    }
    for proxy in [&system.firestore, &system.pubsub] {
        proxy.outage(AWAY);
        tokio::time::sleep(AWAY + Duration::from_secs(1)).await;
    }
    let said = tokio::time::timeout(PATIENCE, playing).await.unwrap().unwrap();
    settle(&system).await;
    // The sweeper publishes what a killed function left, once it is ten seconds old.
    tokio::time::sleep(Duration::from_secs(20)).await;
    settle(&system).await;
    each_once_in_order(&server, &said).await;
    every_reply_arrived(&server, &sink).await;
}
