//! Timers: envelopes with a due time that a later commit may take back.

use ports::{Commit, Envelope};

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

/// A timer is found by its id, due or not, until it is done; what is not a timer never is.
pub async fn a_timer_is_found_until_it_is_done(backend: Backend) {
    let make = Samples::new(53);
    let (timer, other) = (make.timer(at(10)), make.timer(at(20)));
    let plain = make.envelope(ports::Topic::Outbound, "k");
    let outbox = vec![timer.clone(), plain.clone()];
    let receipt = backend.turns.commit(Commit { outbox, ..make.commit() }).await.unwrap();
    backend.publish(receipt).await;
    backend.bus.publish(std::slice::from_ref(&other)).await.unwrap();
    // What a caller that stopped has not published is not done, and would be set again.
    backend.sweep().await;
    for set in [&timer, &other] {
        assert_eq!(backend.timers.timer(&set.id).await.unwrap().as_ref(), Some(set));
        backend.timers.alarm(set).await.unwrap();
        backend.timers.alarm(set).await.unwrap();
    }
    for none in [plain.id.as_str(), "env-none", ""] {
        assert_eq!(backend.timers.timer(none).await.unwrap(), None);
    }
    let done = [timer.id.clone(), "env-none".to_owned()];
    backend.timers.done(&done).await.unwrap();
    backend.timers.done(&done).await.unwrap();
    assert_eq!(backend.timers.timer(&timer.id).await.unwrap(), None);
    assert_eq!(backend.timer_ids().await, [other.id]);
}

/// "Timers due before `before`, earliest first, at most `limit`."
pub async fn overdue_timers_are_found_in_order(backend: Backend) {
    let make = Samples::new(54);
    let timers: Vec<Envelope> = [30, 10, 20, 40, 50].map(|due| make.timer(at(due))).into();
    backend.bus.publish(&timers).await.unwrap();
    let ids = |places: &[usize]| -> Vec<&str> {
        places.iter().filter_map(|place| timers.get(*place)).map(|it| it.id.as_str()).collect()
    };
    for (before, limit, expected) in [
        (10, 9, &[][..]),
        (11, 9, &[1]),
        (30, 9, &[1, 2]),
        (99, 3, &[1, 2, 0]),
        (99, 9, &[1, 2, 0, 3, 4]),
    ] {
        let found = backend.timers.overdue(at(before), limit).await.unwrap();
        let found: Vec<&str> = found.iter().map(|timer| timer.id.as_str()).collect();
        assert_eq!(found, ids(expected), "before {before} s, at most {limit}");
    }
}
