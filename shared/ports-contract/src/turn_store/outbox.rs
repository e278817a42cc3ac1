//! What a commit leaves to publish: done already, or handed to the caller, or found later.

use ports::{Commit, Envelope, Recovery, Topic};

use crate::backend::Backend;
use crate::sample::{Samples, at};

fn three(make: &Samples) -> Vec<Envelope> {
    let mut envelopes =
        vec![make.envelope(Topic::Outbound, "a"), make.envelope(Topic::Outbound, "a")];
    envelopes.push(make.envelope(Topic::Landing, "b"));
    envelopes
}

fn ids(envelopes: &[Envelope]) -> Vec<String> {
    envelopes.iter().map(|envelope| envelope.id.clone()).collect()
}

/// "Envelopes of the outbox that the caller must publish now. Empty where the backend's commit
/// has published them already." Either all of them or none, in their order.
pub async fn the_outbox_is_published_or_handed_over(backend: Backend) {
    let make = Samples::new(40);
    let outbox = three(&make);
    let commit = Commit { outbox: outbox.clone(), ..make.commit() };
    let receipt = backend.turns.commit(commit).await.unwrap();
    if receipt.unpublished.is_empty() {
        let left = backend.turns.unpublished(at(1_000), 100).await.unwrap();
        assert_eq!(left, [], "what the receipt does not hand over is published");
    } else {
        assert_eq!(receipt.unpublished, outbox);
    }
    backend.publish(receipt).await;
    let left = backend.turns.unpublished(at(1_000), 100).await.unwrap();
    assert_eq!(left, [], "published and noted");
    if backend.deliveries.is_some() {
        let delivered: Vec<Envelope> =
            backend.on_the_way().await.into_iter().map(|delivery| delivery.envelope).collect();
        assert_eq!(delivered, outbox, "each exactly once, complete and in order");
    }
}

/// "Envelopes committed before `before` that nobody published, oldest first."
pub async fn what_nobody_published_is_found(backend: Backend) {
    let make = Samples::new(41);
    let mut handed_over = Vec::new();
    for second in [0, 10, 20] {
        let commit = Commit { at: at(second), outbox: three(&make), ..make.commit() };
        // The process stops here: nobody publishes what was handed over.
        handed_over.push(backend.turns.commit(commit).await.unwrap().unpublished);
    }
    let of = |count: usize| handed_over[..count].concat();
    for (before, commits) in [(0, 0), (1, 1), (11, 2), (21, 3)] {
        let found = backend.turns.unpublished(at(before), 100).await.unwrap();
        assert_eq!(ids(&found), ids(&of(commits)), "committed before {before} s");
    }
    let all = of(3);
    assert_eq!(backend.turns.unpublished(at(100), 100).await.unwrap(), all);
    let some = backend.turns.unpublished(at(100), 2).await.unwrap();
    assert_eq!(some, all.iter().take(2).cloned().collect::<Vec<_>>(), "at most the limit");
    backend.sweep().await;
    assert_eq!(backend.turns.unpublished(at(100), 100).await.unwrap(), []);
    if backend.deliveries.is_some() {
        assert_eq!(backend.on_the_way().await.len(), 9);
    }
}

/// "Notes that these envelopes of the outbox were published": those, and no others.
pub async fn only_what_was_marked_is_published(backend: Backend) {
    let make = Samples::new(42);
    let outbox = three(&make);
    let commit = Commit { outbox: outbox.clone(), ..make.commit() };
    let receipt = backend.turns.commit(commit).await.unwrap();
    let handed_over = receipt.unpublished;
    let Some((first, rest)) = handed_over.split_first() else {
        // The commit has published; marking is then a note about nothing.
        backend.turns.mark_published(&ids(&outbox)).await.unwrap();
        assert_eq!(backend.turns.unpublished(at(100), 100).await.unwrap(), []);
        return;
    };
    backend.turns.mark_published(std::slice::from_ref(&first.id)).await.unwrap();
    assert_eq!(backend.turns.unpublished(at(100), 100).await.unwrap(), rest);
    // Twice, and one that never was: no error, no other effect.
    backend.turns.mark_published(&[first.id.clone(), "env-none".into()]).await.unwrap();
    backend.turns.mark_published(&[]).await.unwrap();
    assert_eq!(backend.turns.unpublished(at(100), 100).await.unwrap(), rest);
    backend.turns.mark_published(&ids(rest)).await.unwrap();
    assert_eq!(backend.turns.unpublished(at(100), 100).await.unwrap(), []);
}

/// The caller and the sweeper may both publish: "publishing the same id twice is publishing it
/// once, as long as it is undelivered".
pub async fn caller_and_sweeper_may_both_publish(backend: Backend) {
    let make = Samples::new(43);
    let outbox = three(&make);
    let commit = Commit { outbox: outbox.clone(), ..make.commit() };
    let receipt = backend.turns.commit(commit).await.unwrap();
    backend.bus.publish(&receipt.unpublished).await.unwrap();
    // The caller stops before it notes that; the sweeper publishes all of it again.
    backend.sweep().await;
    backend.bus.publish(&outbox).await.unwrap();
    if backend.deliveries.is_some() {
        assert_eq!(backend.published_ids().await, ids(&outbox));
    }
}

/// Two commits after each other publish in the order of the commits.
pub async fn commits_publish_in_their_order(backend: Backend) {
    let make = Samples::new(44);
    let mut expected = Vec::new();
    for _ in 0..20 {
        let outbox = three(&make);
        expected.extend(ids(&outbox));
        let commit = Commit { outbox, ..make.commit() };
        let receipt = backend.turns.commit(commit).await.unwrap();
        backend.publish(receipt).await;
    }
    if backend.deliveries.is_some() {
        assert_eq!(backend.published_ids().await, expected);
    }
}

/// Every commit's outbox reaches the bus, whoever publishes it; no envelope is lost or doubled.
pub async fn every_outbox_arrives(backend: Backend) {
    let make = Samples::new(45);
    let mut expected = Vec::new();
    for number in 0..20 {
        let outbox = vec![make.envelope(Topic::Events, &format!("key-{}", number % 3))];
        expected.extend(ids(&outbox));
        let receipt = backend.turns.commit(Commit { outbox, ..make.commit() }).await.unwrap();
        // Every second caller stops before it publishes.
        if number % 2 == 0 {
            backend.publish(receipt).await;
        }
    }
    backend.sweep().await;
    if backend.deliveries.is_some() {
        let arrived = backend.published_ids().await;
        assert_eq!(crate::check::sorted(arrived), crate::check::sorted(expected));
    }
}

/// A commit whose event comes again until its handler has published: the event hands out what
/// its commit left, and each envelope arrives.
pub async fn a_redelivered_event_brings_its_outbox(backend: Backend) {
    let make = Samples::new(46);
    let outbox = three(&make);
    let commit = Commit { outbox: outbox.clone(), recovery: Recovery::Redelivery, ..make.commit() };
    let event = commit.event.clone();
    let receipt = backend.turns.commit(commit).await.unwrap();
    let conversation = make.conversation().id;
    let turn = backend.turns.turn(event.as_ref(), &conversation, &[]).await.unwrap();
    assert!(turn.seen);
    // Nothing where the commit has published it.
    assert!(turn.outbox.is_empty() || turn.outbox == outbox, "all of it: {:?}", turn.outbox);
    assert!(!turn.outbox.is_empty() || receipt.unpublished.is_empty(), "what was handed over");
    // The first handler stopped; the second one publishes.
    if !turn.outbox.is_empty() {
        backend.bus.publish(&turn.outbox).await.unwrap();
    }
    let other = backend.turns.turn(Some(&make.event_id()), &conversation, &[]).await.unwrap();
    assert_eq!(other.outbox, [], "another event has none");
    if backend.deliveries.is_some() {
        assert_eq!(backend.published_ids().await, ids(&outbox));
    }
}
