//! Expected revisions and sequence numbers.

use engine::MessageState;
use ports::{Commit, MessageWrite, PortError, TaskWrite};

use crate::backend::Backend;
use crate::check::assert_error;
use crate::sample::{Samples, at, create, next_revision, next_sequence, update};

/// "Its stored revision must be one less (0 becomes 1: it must not exist)."
pub async fn a_conversation_must_be_one_revision_behind(backend: Backend) {
    let make = Samples::new(20);
    let first = make.conversation();
    let commit = |conversation: &engine::Conversation| Commit {
        conversation: Some(conversation.clone()),
        ..make.commit()
    };
    let second = next_revision(&first);
    let third = next_revision(&second);
    assert_error!(backend.turns.commit(commit(&second)).await, PortError::Conflict { .. });
    backend.turns.commit(commit(&first)).await.unwrap();
    assert_error!(backend.turns.commit(commit(&first)).await, PortError::Conflict { .. });
    assert_error!(backend.turns.commit(commit(&third)).await, PortError::Conflict { .. });
    backend.turns.commit(commit(&second)).await.unwrap();
    assert_error!(backend.turns.commit(commit(&second)).await, PortError::Conflict { .. });
    backend.turns.commit(commit(&third)).await.unwrap();
    let turn = backend.turns.turn(None, &first.id, &[]).await.unwrap();
    assert_eq!(turn.conversation, Some(third));
}

/// Revision 0 is a conversation that was never written; writing it is refused.
pub async fn a_conversation_begins_at_revision_one(backend: Backend) {
    let make = Samples::new(21);
    let mut conversation = make.conversation();
    conversation.revision = 0;
    let commit = Commit { conversation: Some(conversation.clone()), ..make.commit() };
    assert_error!(
        backend.turns.commit(commit).await,
        PortError::Conflict { .. } | PortError::Invalid { .. }
    );
    let turn = backend.turns.turn(None, &conversation.id, &[]).await.unwrap();
    assert_eq!(turn.conversation, None);
}

/// "A task and the sequence number its stored form must have (0: it must not exist)."
pub async fn a_task_must_have_the_expected_sequence(backend: Backend) {
    let make = Samples::new(22);
    let task = make.task(&make.conversation());
    let commit = |write: TaskWrite| Commit { tasks: vec![write], ..make.commit() };
    let second = next_sequence(&task);
    let third = next_sequence(&second);
    let missing = backend.turns.commit(commit(update(&second))).await;
    assert_error!(missing, PortError::Conflict { .. });
    backend.turns.commit(commit(create(&task))).await.unwrap();
    let exists = backend.turns.commit(commit(create(&task))).await;
    assert_error!(exists, PortError::Conflict { .. });
    let ahead = backend.turns.commit(commit(update(&third))).await;
    assert_error!(ahead, PortError::Conflict { .. });
    backend.turns.commit(commit(update(&second))).await.unwrap();
    let behind = backend.turns.commit(commit(update(&second))).await;
    assert_error!(behind, PortError::Conflict { .. });
    assert_eq!(backend.turns.tasks(std::slice::from_ref(&task.id)).await.unwrap(), [second]);
}

/// "A message and the revision its stored form must have (none: it must not exist)."
pub async fn a_message_must_have_the_expected_revision(backend: Backend) {
    let make = Samples::new(23);
    let first = make.message(&make.conversation(), "hello");
    let mut second = first.clone();
    assert!(second.reach(MessageState::Routed, at(1)));
    let write = |message: &engine::Message, expected| Commit {
        messages: vec![MessageWrite { message: message.clone(), expected }],
        ..make.commit()
    };
    let missing = backend.turns.commit(write(&second, Some(1))).await;
    assert_error!(missing, PortError::Conflict { .. });
    backend.turns.commit(write(&first, None)).await.unwrap();
    assert_error!(backend.turns.commit(write(&first, None)).await, PortError::Conflict { .. });
    let wrong = backend.turns.commit(write(&second, Some(2))).await;
    assert_error!(wrong, PortError::Conflict { .. });
    backend.turns.commit(write(&second, Some(1))).await.unwrap();
    let behind = backend.turns.commit(write(&second, Some(1))).await;
    assert_error!(behind, PortError::Conflict { .. });
    assert_eq!(backend.turns.messages(std::slice::from_ref(&first.id)).await.unwrap(), [second]);
}

/// A row of history is written once: its task and sequence number are its key.
pub async fn history_is_never_written_over(backend: Backend) {
    let make = Samples::new(24);
    let begun = make.begin();
    backend.turns.commit(begun.commit).await.unwrap();
    let again = Commit { history: vec![make.history(&begun.task)], ..make.commit() };
    assert_error!(backend.turns.commit(again).await, PortError::Conflict { .. });
    let stored = backend.queries.history(&begun.task.id, 0, 10).await.unwrap();
    assert_eq!(stored, [begun.history]);
}

/// "A second one for the key is a `Conflict`", also from another event.
pub async fn an_answer_is_kept_once(backend: Backend) {
    let make = Samples::new(25);
    let first = make.answer();
    let commit = Commit { answer: Some(first.clone()), ..make.commit() };
    backend.turns.commit(commit).await.unwrap();
    let mut second = make.answer();
    second.key.clone_from(&first.key);
    let commit = Commit { answer: Some(second), ..make.commit() };
    assert_error!(backend.turns.commit(commit).await, PortError::Conflict { .. });
    let kept = backend.turns.kept_answer(&first.key, at(1)).await.unwrap();
    assert_eq!(kept, Some(first));
}
