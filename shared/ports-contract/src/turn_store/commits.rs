//! What a commit writes is what is read.

use engine::{EventId, MessageId, TaskId};
use ports::{Commit, MessageWrite, Page, PortError, TaskFilter, TaskWrite, Turn};
use serde_json::json;

use crate::backend::Backend;
use crate::check::{assert_error, sorted};
use crate::sample::{Samples, at, create, next_revision, next_sequence, update};

/// "What handling one event needs to know": conversation, tasks and whether the event was seen.
pub async fn a_commit_is_read_back(backend: Backend) {
    let begun = Samples::new(1).begin();
    let event = begun.commit.event.clone().unwrap();
    let receipt = backend.turns.commit(begun.commit.clone()).await.unwrap();
    assert_eq!(receipt.unpublished, [], "a commit without an outbox leaves nothing to publish");

    let (conversation, task) = (begun.conversation, begun.task);
    let turn = backend
        .turns
        .turn(Some(&event), &conversation.id, std::slice::from_ref(&task.id))
        .await
        .unwrap();
    assert_eq!(
        turn,
        Turn {
            seen: true,
            conversation: Some(conversation),
            tasks: vec![task.clone()],
            ..Turn::default()
        }
    );
    let tasks = backend.turns.tasks(std::slice::from_ref(&task.id)).await.unwrap();
    assert_eq!(tasks, std::slice::from_ref(&task));
    assert_eq!(
        backend.turns.messages(std::slice::from_ref(&begun.message.id)).await.unwrap(),
        [begun.message]
    );
    assert_eq!(backend.queries.history(&task.id, 0, 10).await.unwrap(), [begun.history]);
}

/// Nothing is there before it is written, and asking for it is no error.
pub async fn what_does_not_exist_is_left_out(backend: Backend) {
    let make = Samples::new(2);
    let begun = make.begin();
    let event = make.event_id();
    let turn = backend
        .turns
        .turn(Some(&event), &begun.conversation.id, std::slice::from_ref(&begun.task.id))
        .await
        .unwrap();
    assert_eq!(turn, Turn::default());
    assert_eq!(backend.turns.tasks(&[]).await.unwrap(), []);
    assert_eq!(backend.turns.messages(&[]).await.unwrap(), []);

    backend.turns.commit(begun.commit).await.unwrap();
    let asked = [TaskId::from("task_none"), begun.task.id.clone()];
    let found = backend.turns.tasks(&asked).await.unwrap();
    assert_eq!(found, std::slice::from_ref(&begun.task));
    let asked_messages = [MessageId::from("msg_none"), begun.message.id.clone()];
    assert_eq!(backend.turns.messages(&asked_messages).await.unwrap(), [begun.message]);
    let turn = backend.turns.turn(Some(&event), &begun.conversation.id, &asked).await.unwrap();
    assert!(!turn.seen, "another event was committed, not this one");
    assert_eq!(turn.tasks, [begun.task]);
    let without = backend.turns.turn(None, &begun.conversation.id, &[]).await.unwrap();
    assert_eq!((without.seen, without.tasks), (false, vec![]), "nothing more than was asked for");
}

/// A commit may hold nothing, or nothing but its event.
pub async fn a_commit_may_be_small(backend: Backend) {
    let make = Samples::new(3);
    backend.turns.commit(Commit { at: at(0), ..Commit::default() }).await.unwrap();
    backend.turns.commit(Commit { at: at(0), ..Commit::default() }).await.unwrap();
    let commit = make.commit();
    let event = commit.event.clone().unwrap();
    backend.turns.commit(commit).await.unwrap();
    let turn = backend.turns.turn(Some(&event), &make.conversation().id, &[]).await.unwrap();
    assert!(turn.seen);
}

/// "Tasks by id, in no order": any number of them in one question.
pub async fn many_tasks_are_one_batch(backend: Backend) {
    let make = Samples::new(4);
    let conversation = make.conversation();
    let tasks: Vec<_> = (0..150).map(|_| make.task(&conversation)).collect();
    let messages: Vec<_> =
        (0..150).map(|number| make.message(&conversation, &format!("message {number}"))).collect();
    let commit = Commit {
        conversation: Some(conversation.clone()),
        tasks: tasks.iter().map(create).collect(),
        messages: messages
            .iter()
            .map(|message| MessageWrite { message: message.clone(), expected: None })
            .collect(),
        ..make.commit()
    };
    backend.turns.commit(commit).await.unwrap();
    let task_ids: Vec<TaskId> = tasks.iter().map(|task| task.id.clone()).collect();
    let message_ids: Vec<MessageId> = messages.iter().map(|message| message.id.clone()).collect();
    let found = backend.turns.tasks(&task_ids).await.unwrap();
    assert_eq!(sorted(found.into_iter().map(|task| task.id)), sorted(task_ids.clone()));
    let found = backend.turns.messages(&message_ids).await.unwrap();
    assert_eq!(sorted(found.into_iter().map(|message| message.id)), sorted(message_ids));
    let turn = backend.turns.turn(None, &conversation.id, &task_ids).await.unwrap();
    assert_eq!(sorted(turn.tasks.into_iter().map(|task| task.id)), sorted(task_ids));
}

/// Text, numbers, times and the order of keys come back as they went in.
pub async fn nothing_is_lost_in_translation(backend: Backend) {
    let make = Samples::new(5);
    let mut begun = make.begin();
    let strange = "NUL \0, quote ', \", \\, %, 🏨👩‍👩‍👧, e\u{301}, \u{feff}, 請假三天, \u{10ffff}";
    let value = json!({
        "z": strange, "a": [1, -1, u64::MAX, i64::MIN, 0.1, 1e300, true, null, [], {}],
        "": {"請假": {"deep": [[[[["x"]]]]]}},
    });
    begun.task.label = strange.into();
    begun.task.vars.insert("strange".into(), value.clone());
    begun.task.input = value;
    begun.message.content.text = strange.into();
    begun.conversation.contact.name = Some(strange.into());
    begun.commit.conversation = Some(begun.conversation.clone());
    begun.commit.tasks = vec![create(&begun.task)];
    begun.commit.messages = vec![MessageWrite { message: begun.message.clone(), expected: None }];
    backend.turns.commit(begun.commit).await.unwrap();

    let tasks = [begun.task.id.clone()];
    let turn = backend.turns.turn(None, &begun.conversation.id, &tasks).await.unwrap();
    assert_eq!(turn.conversation, Some(begun.conversation));
    assert_eq!(turn.tasks, [begun.task.clone()]);
    let stored = serde_json::to_string(&turn.tasks).unwrap();
    assert_eq!(stored, serde_json::to_string(&[begun.task]).unwrap(), "keys keep their order");
    let messages = backend.turns.messages(&[begun.message.id.clone()]).await.unwrap();
    assert_eq!(messages, [begun.message]);
}

/// "The event, created if absent: a second commit of it is a `Duplicate`", with no effect.
pub async fn an_event_takes_effect_once(backend: Backend) {
    let make = Samples::new(6);
    let begun = make.begin();
    backend.turns.commit(begun.commit.clone()).await.unwrap();
    let event = begun.commit.event.clone();
    let again = Commit {
        conversation: Some(next_revision(&begun.conversation)),
        tasks: vec![update(&next_sequence(&begun.task))],
        outbox: vec![make.envelope(ports::Topic::Outbound, "k")],
        ..Commit { at: at(1), event: event.clone(), ..Commit::default() }
    };
    match backend.turns.commit(again).await {
        Err(PortError::Duplicate { event: named }) => {
            assert_eq!(Some(EventId(named)), event, "the error names the event");
        }
        other => panic!("expected Duplicate, got {other:?}"),
    }
    let tasks = [begun.task.id.clone()];
    let turn = backend.turns.turn(None, &begun.conversation.id, &tasks).await.unwrap();
    assert_eq!(turn.conversation, Some(begun.conversation));
    assert_eq!(turn.tasks, [begun.task]);
    if backend.deliveries.is_some() {
        assert_eq!(backend.published_ids().await, Vec::<String>::new());
    }
}

/// A repeated commit meets its own revisions: it is a `Duplicate` all the same, no `Conflict`.
pub async fn a_duplicate_comes_before_a_conflict(backend: Backend) {
    let make = Samples::new(7);
    let mut begun = make.begin();
    begun.commit.answer = Some(make.answer());
    backend.turns.commit(begun.commit.clone()).await.unwrap();
    for _ in 0..3 {
        let again = backend.turns.commit(begun.commit.clone()).await;
        assert_error!(again, PortError::Duplicate { .. });
    }
}

/// A commit of an event that lost to a `Conflict` may come again, and then takes effect.
pub async fn a_conflict_does_not_use_up_the_event(backend: Backend) {
    let make = Samples::new(8);
    let begun = make.begin();
    backend.turns.commit(begun.commit).await.unwrap();
    let event = make.event_id();
    let stale = Commit {
        event: Some(event.clone()),
        conversation: Some(begun.conversation.clone()),
        ..make.commit()
    };
    assert_error!(backend.turns.commit(stale).await, PortError::Conflict { .. });
    let conversation = next_revision(&begun.conversation);
    let fresh = Commit {
        event: Some(event.clone()),
        conversation: Some(conversation.clone()),
        ..make.commit()
    };
    backend.turns.commit(fresh).await.unwrap();
    let turn = backend.turns.turn(Some(&event), &conversation.id, &[]).await.unwrap();
    assert_eq!(turn, Turn { seen: true, conversation: Some(conversation), ..Turn::default() });
}

/// "Things that went wrong, to be kept in the same step."
pub async fn failures_are_kept_with_the_commit(backend: Backend) {
    let make = Samples::new(9);
    let mut failure = make.failure();
    let begun = make.begin();
    failure.task = Some(begun.task.id.clone());
    failure.conversation = Some(begun.conversation.id.clone());
    failure.envelope = Some(make.envelope(ports::Topic::Outbound, "k"));
    let commit = Commit { failures: vec![failure.clone()], ..begun.commit };
    backend.turns.commit(commit).await.unwrap();
    assert_eq!(backend.failures.failure(&failure.id).await.unwrap(), Some(failure));
}

/// Many transitions later, the store holds the last state and every row of history.
pub async fn a_long_conversation_keeps_up(backend: Backend) {
    let make = Samples::new(10);
    let begun = make.begin();
    backend.turns.commit(begun.commit).await.unwrap();
    let (mut conversation, mut task) = (begun.conversation, begun.task);
    for number in 0..40 {
        conversation = next_revision(&conversation);
        task = next_sequence(&task);
        task.vars.insert("days".into(), json!(number));
        task.updated_at = at(number);
        let commit = Commit {
            conversation: Some(conversation.clone()),
            tasks: vec![update(&task)],
            history: vec![make.history(&task)],
            ..make.commit()
        };
        backend.turns.commit(commit).await.unwrap();
    }
    let tasks = [task.id.clone()];
    let turn = backend.turns.turn(None, &conversation.id, &tasks).await.unwrap();
    assert_eq!(turn.conversation, Some(conversation));
    assert_eq!(turn.tasks, [task.clone()]);
    let history = backend.queries.history(&task.id, 0, 1_000).await.unwrap();
    let sequences: Vec<u64> = history.iter().map(|entry| entry.sequence).collect();
    assert_eq!(sequences, (1..=41).collect::<Vec<u64>>());
    let filter = TaskFilter::default();
    let page = Page { limit: 10, cursor: None };
    let listed = backend.queries.list_tasks(&filter, &page).await.unwrap();
    assert_eq!(listed.items, [task], "one task, in its last state");
}

/// A commit of a task that is new names it once; two writes of one task make no sense together.
pub async fn one_commit_writes_a_task_once(backend: Backend) {
    let make = Samples::new(11);
    let begun = make.begin();
    let twice = vec![
        create(&begun.task),
        TaskWrite { task: begun.task.clone(), expected: 0, create: true },
    ];
    let commit = Commit { tasks: twice, ..begun.commit };
    let event = commit.event.clone();
    assert_error!(
        backend.turns.commit(commit).await,
        PortError::Conflict { .. } | PortError::Invalid { .. }
    );
    let turn = backend.turns.turn(event.as_ref(), &begun.conversation.id, &[]).await.unwrap();
    assert_eq!(turn, Turn::default());
}
