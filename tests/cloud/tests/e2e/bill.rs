//! What one message with one reply costs the controller: counted at proxies before Firestore and
//! Pub/Sub.

use cloud::Options;
use cloud::proxies::Service;

use crate::setting::{PATIENCE, settle, with_sink};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_costs_one_read_one_commit_and_two_publishes() {
    let options = Options {
        proxied: vec!["controller"],
        // No sweep in between.
        sweep_every: std::time::Duration::from_secs(3_600),
        ..Options::default()
    };
    let (system, sink, server) = with_sink(options).await;
    server.say("a-1", "mei", "leave").await;
    sink.texts_to("mei", 1, PATIENCE).await.unwrap();
    settle(&system).await;

    // Warm: the catalog is read, the versions are cached. It may be read anew in between, as it
    // is every ten seconds, so the measure is the least of several messages.
    let mut least: Option<(u64, u64, u64, u64, u64)> = None;
    for (turn, text) in ["nonsense", "more of it", "and more"].iter().enumerate() {
        let proxies = &system.proxies["controller"];
        proxies.reset();
        server.say(&format!("a-{}", turn + 2), "mei", text).await;
        sink.texts_to("mei", turn + 2, PATIENCE).await.unwrap();
        settle(&system).await;
        let (store, bus) = (proxies.counts(Service::Firestore), proxies.counts(Service::Pubsub));
        let cost = (
            store.of("BatchGetDocuments").calls + store.of("RunQuery").calls,
            store.of("Commit").calls,
            store.writes(),
            bus.of("Publish").calls,
            store.documents_asked(),
        );
        least = Some(least.map_or(cost, |least| least.min(cost)));
    }
    let (reads, commits, writes, publishes, asked) = least.unwrap();
    println!(
        "one message with one reply costs the controller {reads} read ({asked} documents), \
         {commits} commit ({writes} documents), {publishes} publishes; a million of them: \
         {asked} million reads, {writes} million writes, {publishes} million publishes"
    );
    assert_eq!(reads, 1, "one batched read");
    assert_eq!(commits, 1, "one commit");
    assert!(writes <= 5, "{writes} documents in the commit");
    assert!(publishes <= 2, "{publishes} publishes");
}
