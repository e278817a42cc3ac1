//! What is promised holds when the process ends: everything is opened again and is still there.

use ports::{Commit, Failure, Topic};

use crate::backend::{Backend, end_of_time};
use crate::sample::{Samples, at};

/// A commit that was answered is there after a restart, as a whole.
pub async fn a_commit_survives(backend: Backend) {
    let make = Samples::new(500);
    let mut begun = make.begin();
    let (answer, failure) = (make.answer(), make.failure());
    begun.commit.answer = Some(answer.clone());
    begun.commit.failures = vec![failure.clone()];
    begun.commit.outbox = vec![make.envelope(Topic::Outbound, "k"), make.timer(at(5))];
    let outbox: Vec<String> = begun.commit.outbox.iter().map(|one| one.id.clone()).collect();
    // The process stops before anything more is published.
    let _lost = backend.turns.commit(begun.commit.clone()).await.unwrap();
    let backend = backend.reopened().await;
    let ids = [begun.task.id.clone()];
    let event = begun.commit.event.as_ref();
    let turn = backend.turns.turn(event, &begun.conversation.id, &ids).await.unwrap();
    assert!(turn.seen);
    assert_eq!(turn.conversation, Some(begun.conversation));
    assert_eq!(turn.tasks, [begun.task]);
    let history = backend.queries.history(&ids[0], 0, 10).await.unwrap();
    assert_eq!(history, [begun.history]);
    assert_eq!(backend.turns.kept_answer(&answer.key, at(1)).await.unwrap(), Some(answer));
    assert_eq!(backend.failures.failure(&failure.id).await.unwrap(), Some(failure));
    if backend.deliveries.is_some() {
        assert_eq!(backend.published_ids().await, outbox[..1]);
        assert_eq!(backend.timer_ids().await, outbox[1..]);
    }
}

/// "Keeps the count across restarts"; what was acknowledged stays done.
pub async fn deliveries_survive(backend: Backend) {
    let make = Samples::new(501);
    let all = [(); 3].map(|()| make.envelope(Topic::Events, "k"));
    let timer = make.timer(at(5));
    backend.bus.publish(&all).await.unwrap();
    backend.bus.publish(std::slice::from_ref(&timer)).await.unwrap();
    let delivered = backend.deliveries().after(0, 10).await.unwrap();
    backend.deliveries().acknowledge(&[delivered[0].position], &[]).await.unwrap();
    backend.deliveries().tried(delivered[1].position, 3).await.unwrap();
    let backend = backend.reopened().await;
    let left = backend.deliveries().after(0, 10).await.unwrap();
    let seen: Vec<_> =
        left.iter().map(|one| (one.position, one.attempts, one.envelope.id.as_str())).collect();
    let expected = [
        (delivered[1].position, 3, all[1].id.as_str()),
        (delivered[2].position, 0, all[2].id.as_str()),
    ];
    assert_eq!(seen, expected);
    let due = backend.deliveries().due(end_of_time(), 10).await.unwrap();
    assert_eq!(due.len(), 1);

    // Positions go on behind those that were given before.
    let done: Vec<i64> = left.iter().map(|one| one.position).collect();
    backend.deliveries().acknowledge(&done, &[]).await.unwrap();
    let backend = backend.reopened().await;
    let next = make.envelope(Topic::Events, "k");
    backend.bus.publish(std::slice::from_ref(&next)).await.unwrap();
    let behind = backend.deliveries().after(delivered[2].position, 10).await.unwrap();
    assert_eq!(behind.len(), 1, "a reader that stood at the end sees what is new");
}

/// Configuration, secrets, failures and rows are there after a restart.
pub async fn administration_survives(backend: Backend) {
    let make = Samples::new(502);
    let failure: Failure = make.failure();
    backend.failures.put_failure(&failure).await.unwrap();
    let secret = ports::Secret::new("hunter2");
    backend.secrets.put_secret("hook", &secret).await.unwrap();
    let table = crate::warehouse::table("leaves", &[]);
    backend.config.put_table(&table).await.unwrap();
    backend.warehouse.ensure(&table).await.unwrap();
    let backend = backend.reopened().await;
    assert_eq!(backend.failures.failure(&failure.id).await.unwrap(), Some(failure));
    assert_eq!(backend.secrets.secret("hook").await.unwrap(), Some(secret));
    assert_eq!(backend.config.tables().await.unwrap(), std::slice::from_ref(&table));
    backend.warehouse.ensure(&table).await.unwrap();
    assert_eq!(backend.warehouse.count(&table, false).await.unwrap(), 0);
}

/// The event key survives: a delivery that is repeated after a restart is a `Duplicate`.
pub async fn event_keys_survive(backend: Backend) {
    let begun = Samples::new(503).begin();
    let commit: Commit = begun.commit;
    backend.turns.commit(commit.clone()).await.unwrap();
    let backend = backend.reopened().await;
    let again = backend.turns.commit(commit).await;
    crate::check::assert_error!(again, ports::PortError::Duplicate { .. });
}
