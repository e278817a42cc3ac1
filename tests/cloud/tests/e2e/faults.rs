//! Functions killed, servers away, pushes delivered three times and shuffled: nothing is lost,
//! nothing doubled, order kept.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cloud::proxies::Service;
use cloud::{Options, Sink, System};
use emulators::pubsub::Faults;
use tokio::time::Instant;

use crate::dialogues::{each_once_in_order, play, recorded};
use crate::setting::{PATIENCE, Server, settle, with_sink};

/// Dialogues that are played under faults.
const DIALOGUES: usize = 25;

/// How long a server is away.
const AWAY: Duration = Duration::from_secs(30);

/// Every reply that the store calls sent arrived, under its own id; none is left behind.
async fn every_reply_arrived(server: &Server, sink: &Sink) {
    let out = server.all("/v1/messages?direction=out").await;
    assert!(!out.is_empty());
    let arrived: BTreeSet<String> =
        sink.replies().iter().filter_map(|reply| reply["id"].as_str().map(str::to_owned)).collect();
    for message in &out {
        let state = message["state"].as_str().unwrap();
        assert!(["sent", "unknown"].contains(&state), "{message}");
        let id = message["id"].as_str().unwrap();
        assert!(state == "unknown" || arrived.contains(id), "{id} did not arrive");
    }
    let stored: BTreeSet<&str> =
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

/// Waits until all is done, and looks whether nothing was lost, doubled, or put out of order.
async fn all_is_well(
    system: &System,
    server: &Server,
    sink: &Sink,
    said: &BTreeMap<String, Vec<String>>,
) {
    settle(system).await;
    // The sweeper publishes what was left behind, once it is ten seconds old.
    tokio::time::sleep(Duration::from_secs(20)).await;
    settle(system).await;
    each_once_in_order(server, said).await;
    every_reply_arrived(server, sink).await;
    let rows = server.all("/v1/tables/messages/rows?current=true").await;
    let stored = server.all("/v1/messages").await;
    assert_eq!(rows.len(), stored.len(), "each message landed once in the current view");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_may_be_killed() {
    let Some(messages) = recorded(DIALOGUES) else { return };
    let (mut system, sink, server) = with_sink(Options::default()).await;
    let playing = tokio::spawn({
        let (server, messages) = (server.clone(), messages.clone());
        async move { play(&server, &messages).await }
    });
    // The clock of the world, not of the code: what happens when is not what is tested.
    for name in ["controller", "landing", "messenger", "gateway", "landing", "connector"] {
        tokio::time::sleep(Duration::from_millis(700)).await;
        system.kill_and_restart(name).unwrap();
        system.until_it_answers(name).await.unwrap();
    }
    for name in ["landing", "controller", "timekeeper", "failures", "landing"] {
        tokio::time::sleep(Duration::from_millis(300)).await;
        system.kill_and_restart(name).unwrap();
        system.until_it_answers(name).await.unwrap();
    }
    let said = tokio::time::timeout(PATIENCE, playing).await.unwrap().unwrap();
    all_is_well(&system, &server, &sink, &said).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_may_be_away() {
    let Some(messages) = recorded(DIALOGUES) else { return };
    let proxied = cloud::system::FUNCTIONS.map(|(name, _)| name).to_vec();
    let (system, sink, server) = with_sink(Options { proxied, ..Options::default() }).await;
    let away: [&[Service]; 4] = [
        &[Service::Firestore],
        &[Service::Pubsub],
        &[Service::Bigquery, Service::StorageWrite],
        &[Service::Tasks],
    ];
    let mut said: BTreeMap<String, Vec<String>> = BTreeMap::new();
    // A part of the recording while each is away, and one after all are back.
    for (part, messages) in messages.chunks(messages.len().div_ceil(away.len() + 1)).enumerate() {
        let back = Instant::now() + AWAY;
        for service in away.get(part).copied().unwrap_or_default() {
            system.outage(*service, AWAY);
        }
        let playing = tokio::time::timeout(PATIENCE, play(&server, messages));
        for (user, texts) in playing.await.unwrap() {
            said.entry(user).or_default().extend(texts);
        }
        if part < away.len() {
            tokio::time::sleep_until(back).await;
        }
    }
    all_is_well(&system, &server, &sink, &said).await;
}
