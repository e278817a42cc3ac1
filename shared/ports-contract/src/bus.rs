//! `Bus` and `Deliveries`: durable, at least once, in order within a key, done when it is said.

use std::time::Duration;

use ports::{Delivery, ENVELOPE_BYTES_MAX, Envelope, PortError, Topic};

use crate::backend::{Backend, end_of_time};
use crate::check::assert_error;
use crate::sample::{Samples, at};

fn ids(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| delivery.envelope.id.as_str()).collect()
}

fn envelopes(deliveries: Vec<Delivery>) -> Vec<Envelope> {
    deliveries.into_iter().map(|delivery| delivery.envelope).collect()
}

fn three(make: &Samples) -> [Envelope; 3] {
    [(); 3].map(|()| make.envelope(Topic::Events, "k"))
}

/// "Publishes all of them, durably, in this order."
pub async fn what_is_published_is_delivered(backend: Backend) {
    let make = Samples::new(400);
    let deliveries = backend.deliveries();
    assert_eq!(deliveries.after(0, 10).await.unwrap(), []);
    backend.bus.publish(&[]).await.unwrap();
    let mut all: Vec<Envelope> = Topic::ALL
        .into_iter()
        .flat_map(|topic| [make.envelope(topic, "a"), make.envelope(topic, "請假 \0")])
        .collect();
    all[3].body = "{\"text\":\"quote ' NUL \\u0000 請假 😀\"}".into();
    all[4].body = String::new();
    backend.bus.publish(&all[..5]).await.unwrap();
    backend.bus.publish(&all[5..]).await.unwrap();
    let delivered = deliveries.after(0, 1_000).await.unwrap();
    assert!(delivered.iter().all(|delivery| delivery.attempts == 0), "never tried before");
    assert!(delivered.windows(2).all(|pair| pair[0].position < pair[1].position));
    assert!(delivered.windows(2).all(|pair| pair[0].published_at <= pair[1].published_at));
    assert_eq!(envelopes(delivered), all);
    assert_eq!(deliveries.due(end_of_time(), 10).await.unwrap(), [], "none has a due time");
}

/// "Envelopes without a due time behind `position`, in order", at most `limit`.
pub async fn deliveries_are_read_in_parts(backend: Backend) {
    let make = Samples::new(401);
    let all: Vec<Envelope> =
        (0..25).map(|number| make.envelope(Topic::Calls, &format!("{}", number % 4))).collect();
    backend.bus.publish(&all).await.unwrap();
    let mut read = Vec::new();
    let mut position = 0;
    for _ in 0..5 {
        let part = backend.deliveries().after(position, 7).await.unwrap();
        assert!(part.len() <= 7);
        assert!(part.iter().all(|delivery| delivery.position > position));
        position = part.last().map_or(position, |delivery| delivery.position);
        read.extend(part);
    }
    assert_eq!(envelopes(read), all);
    assert_eq!(backend.deliveries().after(position, 7).await.unwrap(), []);
    assert_eq!(backend.deliveries().after(i64::MAX, 7).await.unwrap(), []);
}

/// "Publishing the same id twice is publishing it once, as long as it is undelivered."
pub async fn an_id_is_published_once(backend: Backend) {
    let make = Samples::new(402);
    let [first, second, third] = three(&make);
    let timer = make.timer(at(10));
    let batch = [first.clone(), second.clone(), first.clone(), timer.clone()];
    backend.bus.publish(&batch).await.unwrap();
    let again = [second.clone(), first.clone(), third.clone(), timer.clone()];
    backend.bus.publish(&again).await.unwrap();
    let delivered = envelopes(backend.deliveries().after(0, 100).await.unwrap());
    assert_eq!(delivered, [first, second, third], "in the place of the first time");
    let due = envelopes(backend.deliveries().due(end_of_time(), 100).await.unwrap());
    assert_eq!(due, [timer]);
}

/// "Envelopes whose time has come, earliest first."
pub async fn timers_come_due_in_order(backend: Backend) {
    let make = Samples::new(403);
    let timers: Vec<Envelope> =
        [30, 10, 20, 40, 10].into_iter().map(|second| make.timer(at(second))).collect();
    backend.bus.publish(&timers).await.unwrap();
    let deliveries = backend.deliveries();
    let due_at = async |second: i64, limit: usize| -> Vec<i64> {
        let due = deliveries.due(at(second), limit).await.unwrap();
        let times = due.iter().filter_map(|delivery| delivery.envelope.due);
        times.map(|due| (due - at(0)).num_seconds()).collect()
    };
    assert_eq!(due_at(9, 10).await, Vec::<i64>::new());
    assert_eq!(due_at(10, 10).await, [10, 10], "at its time, not after it");
    assert_eq!(due_at(29, 10).await, [10, 10, 20]);
    assert_eq!(due_at(1_000, 10).await, [10, 10, 20, 30, 40]);
    assert_eq!(due_at(1_000, 3).await, [10, 10, 20], "the limit keeps the earliest");
    assert_eq!(deliveries.after(0, 10).await.unwrap(), [], "only `due` gives them");

    let first = deliveries.due(at(20), 2).await.unwrap();
    let positions: Vec<i64> = first.iter().map(|delivery| delivery.position).collect();
    deliveries.acknowledge(&positions, &[]).await.unwrap();
    assert_eq!(due_at(1_000, 10).await, [20, 30, 40]);
}

/// "The earliest due time that is still to come."
pub async fn the_next_due_time_is_known(backend: Backend) {
    let make = Samples::new(404);
    let deliveries = backend.deliveries();
    assert_eq!(deliveries.next_due().await.unwrap(), None);
    backend.bus.publish(&[make.envelope(Topic::Events, "k")]).await.unwrap();
    assert_eq!(deliveries.next_due().await.unwrap(), None, "it has no due time");
    // Decades ahead, so that it is still to come for any clock.
    let (soon, late) = (at(50 * 365 * 86_400), at(60 * 365 * 86_400));
    backend.bus.publish(&[make.timer(late), make.timer(soon)]).await.unwrap();
    assert_eq!(deliveries.next_due().await.unwrap(), Some(soon));
    let due = deliveries.due(soon, 10).await.unwrap();
    deliveries.acknowledge(&[due[0].position], &[]).await.unwrap();
    assert_eq!(deliveries.next_due().await.unwrap(), Some(late));
    let due = deliveries.due(late, 10).await.unwrap();
    deliveries.acknowledge(&[due[0].position], &[]).await.unwrap();
    assert_eq!(deliveries.next_due().await.unwrap(), None);
}

/// "These are done": they are not delivered again, and no others are touched.
pub async fn what_is_acknowledged_is_done(backend: Backend) {
    let make = Samples::new(405);
    let [first, second, third] = three(&make);
    backend.bus.publish(&[first.clone(), second.clone(), third.clone()]).await.unwrap();
    let deliveries = backend.deliveries();
    let delivered = deliveries.after(0, 10).await.unwrap();
    let again = deliveries.after(0, 10).await.unwrap();
    assert_eq!(delivered, again, "what is not acknowledged comes again");
    deliveries.acknowledge(&[delivered[1].position], &[]).await.unwrap();
    let left = deliveries.after(0, 10).await.unwrap();
    assert_eq!(ids(&left), [first.id.as_str(), third.id.as_str()]);
    // Twice, and one that never was.
    deliveries.acknowledge(&[delivered[1].position, 1_000_000], &[]).await.unwrap();
    deliveries.acknowledge(&[], &[]).await.unwrap();
    let all: Vec<i64> = delivered.iter().map(|delivery| delivery.position).collect();
    deliveries.acknowledge(&all, &[]).await.unwrap();
    assert_eq!(deliveries.after(0, 10).await.unwrap(), []);
    // A position is never given twice, or a reader would miss what comes next.
    let last = make.envelope(Topic::Events, "k");
    backend.bus.publish(std::slice::from_ref(&last)).await.unwrap();
    let next = deliveries.after(delivered[2].position, 10).await.unwrap();
    assert_eq!(envelopes(next), [last]);
}

/// "Envelopes of `instead` are published in the same step."
pub async fn giving_up_publishes_instead(backend: Backend) {
    let make = Samples::new(406);
    let [first, second, third] = three(&make);
    backend.bus.publish(&[first, second.clone()]).await.unwrap();
    let deliveries = backend.deliveries();
    let delivered = deliveries.after(0, 10).await.unwrap();
    let dead = Envelope { topic: Topic::Failures, ..third };
    let timer = make.timer(at(5));
    deliveries.acknowledge(&[delivered[0].position], &[dead.clone(), timer.clone()]).await.unwrap();
    let left = envelopes(deliveries.after(0, 10).await.unwrap());
    assert_eq!(left, [second.clone(), dead.clone()]);
    assert_eq!(envelopes(deliveries.due(at(5), 10).await.unwrap()), [timer]);

    // What cannot be published is not given up either.
    let large = Envelope { body: "x".repeat(ENVELOPE_BYTES_MAX + 1), ..make.timer(at(1)) };
    let refused = deliveries.acknowledge(&[delivered[1].position], &[large]).await;
    assert_error!(refused, PortError::TooLarge { limit: ENVELOPE_BYTES_MAX, .. });
    assert_eq!(envelopes(deliveries.after(0, 10).await.unwrap()), [second, dead]);
}

/// "This one was tried and is to be tried again": the count stands beside the delivery.
pub async fn tries_are_counted(backend: Backend) {
    let make = Samples::new(407);
    let [first, second, _] = three(&make);
    let timer = make.timer(at(5));
    backend.bus.publish(&[first, second, timer]).await.unwrap();
    let deliveries = backend.deliveries();
    let delivered = deliveries.after(0, 10).await.unwrap();
    let due = deliveries.due(at(5), 10).await.unwrap();
    deliveries.tried(delivered[1].position, 1).await.unwrap();
    deliveries.tried(delivered[1].position, 2).await.unwrap();
    deliveries.tried(due[0].position, 7).await.unwrap();
    deliveries.tried(1_000_000, 1).await.unwrap();
    let attempts: Vec<u32> =
        deliveries.after(0, 10).await.unwrap().iter().map(|one| one.attempts).collect();
    assert_eq!(attempts, [0, 2]);
    assert_eq!(deliveries.due(at(5), 10).await.unwrap()[0].attempts, 7);
}

/// "Waits until something was published or `longest` has passed."
pub async fn a_reader_can_wait(backend: Backend) {
    let make = Samples::new(408);
    let deliveries = backend.deliveries().clone();
    tokio::time::timeout(Duration::from_secs(20), deliveries.published(Duration::from_millis(5)))
        .await
        .unwrap();
    for through_a_commit in [false, true] {
        let waiter = deliveries.clone();
        let mut waits =
            tokio::spawn(async move { waiter.published(Duration::from_hours(1)).await });
        // Published again and again, since the first may come before the wait begins.
        let mut woken = false;
        for _ in 0..500 {
            let envelope = make.envelope(Topic::Events, "k");
            if through_a_commit {
                let commit = ports::Commit { outbox: vec![envelope], ..make.commit() };
                let receipt = backend.turns.commit(commit).await.unwrap();
                backend.publish(receipt).await;
            } else {
                backend.bus.publish(&[envelope]).await.unwrap();
            }
            if tokio::time::timeout(Duration::from_millis(20), &mut waits).await.is_ok() {
                woken = true;
                break;
            }
        }
        waits.abort();
        assert!(woken, "through a commit: {through_a_commit}");
    }
}

/// "How many envelopes wait, by topic."
pub async fn the_backlog_is_counted(backend: Backend) {
    let make = Samples::new(409);
    let count = async |topic: Topic| -> u64 {
        let backlog = backend.deliveries().backlog().await.unwrap();
        assert!(backlog.iter().filter(|(one, _)| *one == topic).count() <= 1, "once per topic");
        backlog.iter().find(|(one, _)| *one == topic).map_or(0, |(_, count)| *count)
    };
    for topic in Topic::ALL {
        assert_eq!(count(topic).await, 0);
    }
    for (number, topic) in Topic::ALL.into_iter().enumerate() {
        for _ in 0..=number {
            backend.bus.publish(&[make.envelope(topic, "k")]).await.unwrap();
        }
    }
    for (number, topic) in (1..).zip(Topic::ALL) {
        assert_eq!(count(topic).await, number, "{topic:?}");
    }
    let delivered = backend.deliveries().after(0, 100).await.unwrap();
    let positions: Vec<i64> = delivered
        .iter()
        .filter(|delivery| delivery.envelope.topic == Topic::Calls)
        .map(|delivery| delivery.position)
        .collect();
    backend.deliveries().acknowledge(&positions, &[]).await.unwrap();
    assert_eq!(count(Topic::Calls).await, 0);
    assert_eq!(count(Topic::Events).await, 1);
}

/// "Largest body of an envelope in bytes": that large it passes, larger it is `TooLarge`, and
/// nothing of its batch is published.
pub async fn an_envelope_has_a_largest_size(backend: Backend) {
    let make = Samples::new(410);
    let of = |bytes: usize| Envelope {
        // Three bytes each: the limit counts bytes, not characters.
        body: "請".repeat(bytes / 3) + &"x".repeat(bytes % 3),
        ..make.envelope(Topic::Landing, "k")
    };
    let small = make.envelope(Topic::Landing, "k");
    let refused = backend.bus.publish(&[small, of(ENVELOPE_BYTES_MAX + 1)]).await;
    assert_error!(refused, PortError::TooLarge { limit: ENVELOPE_BYTES_MAX, .. });
    assert_eq!(backend.deliveries().after(0, 10).await.unwrap(), []);
    let largest = of(ENVELOPE_BYTES_MAX);
    backend.bus.publish(std::slice::from_ref(&largest)).await.unwrap();
    assert_eq!(envelopes(backend.deliveries().after(0, 10).await.unwrap()), [largest]);
}

/// Many publishers at once: nothing is lost, and each one's envelopes keep their order.
pub async fn publishers_at_once_keep_their_order(backend: Backend) {
    let make = Samples::new(411);
    let batches: Vec<Vec<Envelope>> = (0..20)
        .map(|publisher| {
            let key = format!("publisher-{publisher}");
            (0..10).map(|_| make.envelope(Topic::Outbound, &key)).collect()
        })
        .collect();
    futures::future::join_all(batches.iter().cloned().map(|batch| {
        let bus = backend.bus.clone();
        let publishing = async move {
            for part in batch.chunks(2) {
                bus.publish(part).await.unwrap();
            }
        };
        async move { tokio::spawn(publishing).await.unwrap() }
    }))
    .await;
    let delivered = envelopes(backend.deliveries().after(0, 1_000).await.unwrap());
    assert_eq!(delivered.len(), 200);
    for batch in &batches {
        let key = &batch[0].key;
        let of_key: Vec<&Envelope> = delivered.iter().filter(|one| one.key == *key).collect();
        assert_eq!(of_key, batch.iter().collect::<Vec<_>>(), "{key}");
    }
}
