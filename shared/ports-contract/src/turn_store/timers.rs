//! Timers: envelopes with a due time that a later commit may take back.

use ports::Commit;

use crate::backend::Backend;
use crate::sample::{Samples, at};

/// "Ids of envelopes (timers) that are not needed any more, where they are still here."
pub async fn a_withdrawn_timer_does_not_fire(backend: Backend) {
    let make = Samples::new(50);
    let (first, second) = (make.timer(at(10)), make.timer(at(20)));
    let outbox = vec![first.clone(), second.clone()];
    let receipt = backend.turns.commit(Commit { outbox, ..make.commit() }).await.unwrap();
    backend.publish(receipt).await;
    let withdrawn = vec![first.id, "env-none".to_owned()];
    backend.turns.commit(Commit { withdrawn, ..make.commit() }).await.unwrap();
    assert_eq!(backend.timer_ids().await, [second.id]);
}

/// A timer can be taken back before anybody has published it.
pub async fn an_unpublished_timer_can_be_withdrawn(backend: Backend) {
    let make = Samples::new(51);
    let timer = make.timer(at(10));
    let outbox = vec![timer.clone()];
    // The process stops here.
    let _lost = backend.turns.commit(Commit { outbox, ..make.commit() }).await.unwrap();
    let withdrawn = vec![timer.id];
    backend.turns.commit(Commit { withdrawn, ..make.commit() }).await.unwrap();
    assert_eq!(backend.timer_ids().await, Vec::<String>::new());
}

/// One commit takes a timer back and sets the next.
pub async fn a_timer_is_replaced_in_one_step(backend: Backend) {
    let make = Samples::new(52);
    let mut current = make.timer(at(10));
    let outbox = vec![current.clone()];
    let receipt = backend.turns.commit(Commit { outbox, ..make.commit() }).await.unwrap();
    backend.publish(receipt).await;
    for round in 0..5 {
        let next = make.timer(at(20 + round));
        let commit =
            Commit { outbox: vec![next.clone()], withdrawn: vec![current.id], ..make.commit() };
        let receipt = backend.turns.commit(commit).await.unwrap();
        backend.publish(receipt).await;
        current = next;
    }
    assert_eq!(backend.timer_ids().await, [current.id]);
}
