//! What each fault is, one by one; and that the seed decides.

use ports::{Bus, Commit, Deliveries, Envelope, PortError, PortResult, Receipt, Topic, TurnStore};

use super::{DELAY_CALLS_MAX, Faults, Faulty, Rates, Retrying};
use crate::backend::Backend;
use crate::check::{assert_error, sorted};
use crate::sample::Samples;

fn ids(envelopes: &[Envelope]) -> Vec<String> {
    envelopes.iter().map(|envelope| envelope.id.clone()).collect()
}

/// Without rates nothing happens.
pub async fn without_rates_nothing_happens(backend: Backend) {
    let faulty = Faulty::new(backend, 1, Rates::NONE);
    let through = faulty.backend();
    crate::turn_store::every_outbox_arrives(through).await;
    assert_eq!(faulty.faults(), Faults::default());
}

/// A refused commit has changed nothing; the same commit works when the fault is over.
pub async fn a_refused_commit_has_changed_nothing(backend: Backend) {
    let make = Samples::new(600);
    let faulty = Faulty::new(backend, 1, Rates::NONE);
    let begun = make.begin();
    faulty.set_rates(Rates { conflict: 1_000, ..Rates::NONE });
    assert_error!(faulty.commit(begun.commit.clone()).await, PortError::Conflict { .. });
    faulty.set_rates(Rates { unavailable: 1_000, ..Rates::NONE });
    assert_error!(faulty.commit(begun.commit.clone()).await, PortError::Unavailable { .. });
    faulty.set_rates(Rates::NONE);
    faulty.commit(begun.commit).await.unwrap();
    assert_eq!(faulty.faults(), Faults { conflicts: 1, unavailable: 1, ..Faults::default() });
}

/// A commit whose answer is lost is done: the retry is a `Duplicate`, the outbox is found.
pub async fn a_lost_answer_is_a_duplicate(backend: Backend) {
    let make = Samples::new(601);
    let faulty = Faulty::new(backend, 1, Rates { lost_answer: 1_000, ..Rates::NONE });
    let begun = make.begin();
    let outbox = vec![make.envelope(Topic::Outbound, "k")];
    let expected = ids(&outbox);
    let commit = Commit { outbox, ..begun.commit };
    assert_error!(faulty.commit(commit.clone()).await, PortError::Unavailable { .. });
    assert_error!(faulty.commit(commit.clone()).await, PortError::Duplicate { .. });
    let through = Retrying::backend(&faulty.backend());
    faulty.set_rates(Rates::NONE);
    assert_eq!(faulty.faults().lost_answers, 1);
    let tasks = [begun.task.id];
    let turn = through.turns.turn(None, &begun.conversation.id, &tasks).await.unwrap();
    assert_eq!(turn.tasks.len(), 1, "the commit was done");
    if through.deliveries.is_some() {
        assert_eq!(through.published_ids().await, expected);
    }
}

/// A process that stops between commit and publish leaves its outbox to the sweeper.
pub async fn a_crash_leaves_the_outbox_to_the_sweeper(backend: Backend) {
    let make = Samples::new(602);
    let faulty = Faulty::new(backend, 1, Rates { crash: 1_000, ..Rates::NONE });
    let through = faulty.backend();
    let mut expected = Vec::new();
    for _ in 0..5 {
        let outbox = vec![make.envelope(Topic::Outbound, "k"), make.envelope(Topic::Landing, "k")];
        expected.extend(ids(&outbox));
        let receipt = faulty.commit(Commit { outbox, ..make.commit() }).await.unwrap();
        assert_eq!(receipt, Receipt::default(), "nothing is handed over");
    }
    let left = through.turns.unpublished(crate::backend::end_of_time(), 100).await.unwrap();
    // A backend whose commits publish has nothing to lose between the two.
    let crashes = if left.is_empty() { 0 } else { 5 };
    assert_eq!(faulty.faults(), Faults { crashes, ..Faults::default() });
    if through.deliveries.is_some() {
        assert_eq!(through.published_ids().await, expected, "each exactly once, in order");
    }
}

/// Envelopes change places across keys and never within one.
pub async fn reordering_keeps_every_key_in_order(backend: Backend) {
    let make = Samples::new(603);
    let faulty = Faulty::new(backend, 1, Rates { reorder: 1_000, ..Rates::NONE });
    let keys = ["a", "b", "c", "d"];
    let all: Vec<Envelope> =
        (0..40_usize).map(|number| make.envelope(Topic::Events, keys[number % 4])).collect();
    for part in all.chunks(20) {
        faulty.publish(part).await.unwrap();
    }
    assert_eq!(faulty.faults().reorders, 2);
    let delivered: Vec<Envelope> =
        faulty.after(0, 100).await.unwrap().into_iter().map(|one| one.envelope).collect();
    assert_ne!(ids(&delivered), ids(&all));
    assert_eq!(sorted(ids(&delivered)), sorted(ids(&all)));
    for key in keys {
        let of = |envelopes: &[Envelope]| {
            envelopes.iter().filter(|one| one.key == key).map(|one| one.id.clone()).collect()
        };
        let (delivered, published): (Vec<String>, Vec<String>) = (of(&delivered), of(&all));
        assert_eq!(delivered, published, "{key}");
    }
}

/// What is held back comes after a few calls, in its order, before anything that came later.
pub async fn a_delay_ends(backend: Backend) {
    let make = Samples::new(604);
    let faulty = Faulty::new(backend, 1, Rates { delay: 1_000, ..Rates::NONE });
    let all = [(); 3].map(|()| make.envelope(Topic::Events, "k"));
    faulty.publish(&all[..2]).await.unwrap();
    assert!(faulty.is_holding().await, "it was taken and is not there yet");
    faulty.set_rates(Rates::NONE);
    faulty.publish(&all[2..]).await.unwrap();
    for _ in 0..DELAY_CALLS_MAX {
        faulty.after(0, 10).await.unwrap();
    }
    let delivered = faulty.after(0, 10).await.unwrap();
    let delivered: Vec<Envelope> = delivered.into_iter().map(|one| one.envelope).collect();
    assert_eq!(delivered, all);
    assert_eq!(faulty.faults(), Faults { delays: 1, ..Faults::default() });
}

/// What is held back never comes after what a later commit publishes.
pub async fn a_commit_does_not_overtake_a_delay(backend: Backend) {
    let make = Samples::new(605);
    let faulty = Faulty::new(backend, 1, Rates { delay: 1_000, ..Rates::NONE });
    let through = Retrying::backend(&faulty.backend());
    let (first, second) = (make.envelope(Topic::Events, "k"), make.envelope(Topic::Events, "k"));
    faulty.publish(std::slice::from_ref(&first)).await.unwrap();
    let commit = Commit { outbox: vec![second.clone()], ..make.commit() };
    let receipt = faulty.commit(commit).await.unwrap();
    through.publish(receipt).await;
    assert_eq!(through.published_ids().await, [first.id, second.id]);
}

/// A delivery comes twice, right behind itself, within the limit.
pub async fn deliveries_come_twice(backend: Backend) {
    let make = Samples::new(606);
    let faulty = Faulty::new(backend, 1, Rates { duplicate: 1_000, ..Rates::NONE });
    let all = [(); 3].map(|()| make.envelope(Topic::Events, "k"));
    faulty.publish(&all).await.unwrap();
    let twice = faulty.after(0, 10).await.unwrap();
    let places: Vec<usize> = twice
        .iter()
        .filter_map(|one| all.iter().position(|envelope| *envelope == one.envelope))
        .collect();
    assert_eq!(places, [0, 0, 1, 1, 2, 2]);
    assert_eq!(faulty.after(0, 3).await.unwrap().len(), 3, "no more than the limit");
    assert_eq!(faulty.faults(), Faults { duplicates: 3, ..Faults::default() });
}

/// The same seed makes the same faults, another seed makes others.
pub async fn the_seed_decides(backend: Backend) {
    let make = Samples::new(607);
    let outcomes = async |seed: u64| -> (Vec<u8>, Faults) {
        let faulty = Faulty::new(backend.clone(), seed, Rates::OFTEN);
        let code = |result: PortResult<()>| match result {
            Ok(()) => 0,
            Err(PortError::Conflict { .. }) => 1,
            Err(PortError::Unavailable { .. }) => 2,
            Err(other) => panic!("{other:?}"),
        };
        let mut outcomes = Vec::new();
        for _ in 0..40 {
            let outbox = vec![make.envelope(Topic::Events, "a"), make.envelope(Topic::Calls, "b")];
            outcomes.push(code(faulty.publish(&outbox).await));
            let commit = Commit { outbox, ..make.commit() };
            outcomes.push(code(faulty.commit(commit).await.map(|_| ())));
        }
        faulty.flush().await.unwrap();
        (outcomes, faulty.faults())
    };
    let first = outcomes(7).await;
    assert_eq!(first, outcomes(7).await);
    assert_ne!(first.0, outcomes(8).await.0);
    assert!(first.1.total() > 10, "{:?}", first.1);
}
