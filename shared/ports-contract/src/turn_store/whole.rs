//! "One atomic batch: all of it or nothing."
//!
//! Each case commits everything there is with exactly one part that cannot be written.

use engine::Wait;
use ports::{
    Commit, ENVELOPE_BYTES_MAX, Envelope, IdempotentAnswer, MessageFilter, MessageWrite, Page,
    PortError, Topic, Turn,
};

use crate::backend::Backend;
use crate::check::assert_error;
use crate::sample::{Begun, Samples, at, create, next_revision, next_sequence, update, waiting};

/// What is stored, what is then tried, and what must be left.
struct Attempt {
    make: Samples,
    stored: Begun,
    answer: IdempotentAnswer,
    timer: Envelope,
    commit: Commit,
}

impl Attempt {
    /// A store with one conversation and one timer, and a commit that touches every part of it.
    async fn prepare(backend: &Backend, seed: u64) -> Self {
        let make = Samples::new(seed);
        let stored = make.begin();
        let mut commit = stored.commit.clone();
        let answer = make.answer();
        commit.answer = Some(answer.clone());
        let timer = make.timer(at(60));
        commit.outbox = vec![timer.clone()];
        let receipt = backend.turns.commit(commit).await.unwrap();
        backend.publish(receipt).await;
        backend.sweep().await;

        let mut task = next_sequence(&stored.task);
        task.label = "unheard-of".into();
        let mut child = make.task(&stored.conversation);
        child.status = waiting(Wait::Event { kind: "paid".into(), key: "k".into() });
        let mut message = stored.message.clone();
        message.content.text = "never committed".into();
        message.revision = 2;
        let commit = Commit {
            at: at(10),
            conversation: Some(next_revision(&stored.conversation)),
            tasks: vec![update(&task), create(&child)],
            messages: vec![
                MessageWrite {
                    message: make.message(&stored.conversation, "a new one, never committed"),
                    expected: None,
                },
                MessageWrite { message, expected: Some(1) },
            ],
            history: vec![make.history(&task), make.history(&child)],
            outbox: vec![make.envelope(Topic::Outbound, "k"), make.timer(at(5))],
            withdrawn: vec![timer.id.clone()],
            answer: Some(make.answer()),
            failures: vec![make.failure()],
            ..make.commit()
        };
        Self { make, stored, answer, timer, commit }
    }

    /// Tries it, expects a `Conflict`, and looks at everything.
    async fn conflicts(self, backend: &Backend) {
        assert_error!(backend.turns.commit(self.commit.clone()).await, PortError::Conflict { .. });
        self.left_nothing(backend).await;
    }

    async fn left_nothing(self, backend: &Backend) {
        let (stored, commit) = (&self.stored, &self.commit);
        let ids: Vec<_> = commit
            .tasks
            .iter()
            .map(|write| write.task.id.clone())
            .chain([stored.task.id.clone()])
            .collect();
        let turn =
            backend.turns.turn(commit.event.as_ref(), &stored.conversation.id, &ids).await.unwrap();
        let untouched = Turn {
            seen: false,
            conversation: Some(stored.conversation.clone()),
            tasks: vec![stored.task.clone()],
            ..Turn::default()
        };
        assert_eq!(turn, untouched);

        let page = Page { limit: 100, cursor: None };
        let all = MessageFilter::default();
        let messages = backend.queries.list_messages(&all, &page).await.unwrap();
        assert_eq!(messages.items, std::slice::from_ref(&stored.message));
        let found = MessageFilter { q: Some("committed".into()), ..all };
        let found = backend.queries.list_messages(&found, &page).await.unwrap();
        assert_eq!(found.items, [], "the search does not know what was not committed");
        let history = backend.queries.history(&stored.task.id, 0, 100).await.unwrap();
        assert_eq!(history, std::slice::from_ref(&stored.history));
        assert_eq!(backend.turns.awaiting("paid", "k", 10).await.unwrap(), []);
        let kept = backend.turns.kept_answer(&self.answer.key, at(1)).await.unwrap();
        assert_eq!(kept.as_ref(), Some(&self.answer));
        for answer in commit.answer.iter().filter(|answer| answer.key != self.answer.key) {
            assert_eq!(backend.turns.kept_answer(&answer.key, at(1)).await.unwrap(), None);
        }
        for failure in &commit.failures {
            assert_eq!(backend.failures.failure(&failure.id).await.unwrap(), None);
        }
        let unpublished = backend.turns.unpublished(at(1_000), 100).await.unwrap();
        assert_eq!(unpublished, [], "nothing of it waits to be published");
        if backend.deliveries.is_some() {
            assert_eq!(backend.published_ids().await, Vec::<String>::new());
            assert_eq!(backend.timer_ids().await, [self.timer.id], "the timer is still set");
        }
    }
}

/// A stale conversation: nothing of the commit is done.
pub async fn a_stale_conversation_stops_it_all(backend: Backend) {
    let mut attempt = Attempt::prepare(&backend, 30).await;
    attempt.commit.conversation = Some(attempt.stored.conversation.clone());
    attempt.conflicts(&backend).await;
}

/// A stale task, the last of several: nothing of the commit is done.
pub async fn a_stale_task_stops_it_all(backend: Backend) {
    let mut attempt = Attempt::prepare(&backend, 31).await;
    attempt.commit.tasks.reverse();
    for write in &mut attempt.commit.tasks {
        if !write.create {
            write.expected = 7;
        }
    }
    attempt.conflicts(&backend).await;
}

/// A task that is to be made and exists: nothing of the commit is done.
pub async fn an_existing_task_stops_it_all(backend: Backend) {
    let mut attempt = Attempt::prepare(&backend, 32).await;
    attempt.commit.tasks.remove(0);
    attempt.commit.tasks.push(create(&attempt.stored.task));
    attempt.conflicts(&backend).await;
}

/// A stale message, the last of several: nothing of the commit is done.
pub async fn a_stale_message_stops_it_all(backend: Backend) {
    let mut attempt = Attempt::prepare(&backend, 33).await;
    attempt.commit.messages[1].expected = Some(9);
    attempt.conflicts(&backend).await;
}

/// A row of history that exists, the last of several: nothing of the commit is done.
pub async fn an_existing_row_of_history_stops_it_all(backend: Backend) {
    let mut attempt = Attempt::prepare(&backend, 34).await;
    attempt.commit.history.push(attempt.make.history(&attempt.stored.task));
    attempt.conflicts(&backend).await;
}

/// An idempotency key that has its answer: nothing of the commit is done.
pub async fn a_second_answer_stops_it_all(backend: Backend) {
    let mut attempt = Attempt::prepare(&backend, 35).await;
    let mut answer = attempt.make.answer();
    answer.key.clone_from(&attempt.answer.key);
    attempt.commit.answer = Some(answer);
    attempt.conflicts(&backend).await;
}

/// "Larger than the port takes": an envelope that cannot be published stops the whole commit.
pub async fn an_envelope_that_is_too_large_stops_it_all(backend: Backend) {
    let mut attempt = Attempt::prepare(&backend, 36).await;
    let mut large = attempt.make.envelope(Topic::Calls, "k");
    large.body = "x".repeat(ENVELOPE_BYTES_MAX + 1);
    attempt.commit.outbox.push(large);
    assert_error!(
        backend.turns.commit(attempt.commit.clone()).await,
        PortError::TooLarge { limit: ENVELOPE_BYTES_MAX, .. }
    );
    attempt.left_nothing(&backend).await;
}

/// The same commit with every part right is done as a whole.
pub async fn a_good_commit_does_it_all(backend: Backend) {
    let attempt = Attempt::prepare(&backend, 37).await;
    let commit = attempt.commit.clone();
    let receipt = backend.turns.commit(commit.clone()).await.unwrap();
    backend.publish(receipt).await;
    let ids: Vec<_> = commit.tasks.iter().map(|write| write.task.id.clone()).collect();
    let conversation = &attempt.stored.conversation.id;
    let turn = backend.turns.turn(commit.event.as_ref(), conversation, &ids).await.unwrap();
    assert!(turn.seen);
    assert_eq!(turn.conversation, commit.conversation);
    assert_eq!(turn.tasks.len(), 2);
    let page = Page { limit: 100, cursor: None };
    let found = MessageFilter { q: Some("committed".into()), ..MessageFilter::default() };
    let found = backend.queries.list_messages(&found, &page).await.unwrap();
    assert_eq!(found.items.len(), 2);
    assert_eq!(backend.turns.awaiting("paid", "k", 10).await.unwrap().len(), 1);
    let answer = commit.answer.unwrap();
    let kept = backend.turns.kept_answer(&answer.key, at(1)).await.unwrap();
    assert_eq!(kept, Some(answer));
    assert_eq!(
        backend.failures.failure(&commit.failures[0].id).await.unwrap().as_ref(),
        commit.failures.first()
    );
    if backend.deliveries.is_some() {
        assert_eq!(backend.published_ids().await, [commit.outbox[0].id.clone()]);
        assert_eq!(backend.timer_ids().await, [commit.outbox[1].id.clone()]);
    }
}
