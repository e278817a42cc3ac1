//! What Firestore is limited in: sizes of documents and commits, many at once, hot keys.

use engine::Effect;
use flow::Content;
use futures::future::join_all;
use ports::{Commit, DOCUMENT_BYTES_MAX, MessageWrite, PortError, Recovery, Topic};
use ports_contract::Samples;
use ports_contract::sample::{at, create, next_revision, next_sequence, update};

use crate::place::backend;

/// A task as large as a document may be is stored and comes back; one larger is refused with a
/// clear error, and nothing of its commit is done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_near_the_largest_size_is_kept() {
    let backend = backend().await;
    let make = Samples::new(900);
    let begun = make.begin();
    let mut task = begun.task.clone();
    let room = DOCUMENT_BYTES_MAX - serde_json::to_string(&task).unwrap().len() - 40;
    task.vars.insert("long".into(), "x".repeat(room).into());
    let mut history = make.history(&task);
    history.vars_changed = task.vars.clone();
    // Firestore takes 10 MiB at once, its emulator 4.
    let mut large = make.envelope(Topic::Landing, "k");
    large.body = "\"".repeat(600_000);
    let commit = Commit {
        tasks: vec![create(&task)],
        history: vec![history.clone()],
        recovery: Recovery::Redelivery,
        outbox: vec![large],
        ..begun.commit.clone()
    };
    backend.turns.commit(commit.clone()).await.unwrap();
    let ids = [task.id.clone()];
    let turn = backend.turns.turn(commit.event.as_ref(), &task.conversation, &ids).await.unwrap();
    assert_eq!(turn.tasks, [task.clone()]);
    assert_eq!(turn.outbox, commit.outbox, "an outbox larger than a document");
    assert_eq!(backend.queries.history(&task.id, 0, 10).await.unwrap(), [history]);

    let mut larger = next_sequence(&task);
    larger.vars.insert("more".into(), "y".repeat(200).into());
    let conversation = next_revision(&begun.conversation);
    let commit =
        Commit { conversation: Some(conversation), tasks: vec![update(&larger)], ..make.commit() };
    let refused = backend.turns.commit(commit).await;
    assert!(
        matches!(refused, Err(PortError::TooLarge { limit: DOCUMENT_BYTES_MAX, .. })),
        "{refused:?}"
    );
    let turn = backend.turns.turn(None, &task.conversation, &ids).await.unwrap();
    assert_eq!(turn.conversation.unwrap().revision, 1);
}

/// 600 messages and as many effects in one transition are one commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_hundred_effects_are_one_commit() {
    let backend = backend().await;
    let make = Samples::new(901);
    let begun = make.begin();
    let messages: Vec<_> = (0..600)
        .map(|number| make.message(&begun.conversation, &format!("no. {number}")))
        .collect();
    let mut history = begun.history.clone();
    history.effects = messages
        .iter()
        .map(|message| Effect::Send {
            id: message.id.clone(),
            content: Content::text("hello"),
            by: None,
        })
        .collect();
    let writes =
        messages.iter().map(|message| MessageWrite { message: message.clone(), expected: None });
    let commit = Commit {
        messages: writes.collect(),
        history: vec![history],
        outbox: (0..600).map(|_| make.envelope(Topic::Outbound, "k")).collect(),
        ..begun.commit
    };
    let event = commit.event.clone();
    let receipt = backend.turns.commit(commit.clone()).await.unwrap();
    assert_eq!(receipt.unpublished.len(), 600);
    let ids: Vec<_> = messages.iter().map(|message| message.id.clone()).collect();
    assert_eq!(backend.turns.messages(&ids).await.unwrap().len(), 600);
    let again = backend.turns.commit(commit).await;
    assert!(matches!(again, Err(PortError::Duplicate { .. })), "{again:?}");
    let turn = backend.turns.turn(event.as_ref(), &begun.conversation.id, &[]).await.unwrap();
    assert!(turn.seen);
}

/// 500 conversations at once, each with ten writers of the same task: no change is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_conversations_with_hot_keys() {
    let backend = backend().await;
    let make = Samples::new(902);
    let begun: Vec<_> = (0..500).map(|_| make.begin()).collect();
    let commits = begun.iter().map(|one| backend.turns.commit(one.commit.clone()));
    for done in join_all(commits).await {
        done.unwrap();
    }
    // Three changes of each, at once: whoever loses loads again.
    let change = async |number: usize, one: &ports_contract::sample::Begun| {
        loop {
            let ids = std::slice::from_ref(&one.task.id);
            let turn = backend.turns.turn(None, &one.conversation.id, ids).await.unwrap();
            let mut task = next_sequence(&turn.tasks[0]);
            task.vars.insert(format!("writer-{number}"), true.into());
            let commit = Commit {
                at: at(1),
                conversation: Some(next_revision(&turn.conversation.unwrap())),
                tasks: vec![update(&task)],
                ..make.commit()
            };
            match backend.turns.commit(commit).await {
                Ok(_) => return,
                Err(PortError::Conflict { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
    };
    let all = begun.iter().flat_map(|one| (0..3).map(move |number| (number, one)));
    join_all(all.map(|(number, one)| change(number, one))).await;
    let ids: Vec<_> = begun.iter().map(|one| one.task.id.clone()).collect();
    let stored = backend.turns.tasks(&ids).await.unwrap();
    assert_eq!(stored.len(), 500);
    for task in &stored {
        assert_eq!((task.sequence, task.vars.len()), (4, 4), "{:?}", task.vars);
    }
}
