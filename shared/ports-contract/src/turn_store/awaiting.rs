//! "Tasks that wait for this event": the index follows the tasks' status.

use engine::{Status, Task, Wait};
use ports::Commit;

use crate::backend::Backend;
use crate::check::sorted;
use crate::sample::{Samples, create, next_sequence, update, waiting};

fn for_event(task: &Task, kind: &str, key: &str) -> Task {
    let on = Wait::Event { kind: kind.into(), key: key.into() };
    Task { status: waiting(on), ..task.clone() }
}

/// A task is found from the commit that makes it wait to the one that ends the wait.
pub async fn awaiting_follows_the_status(backend: Backend) {
    let make = Samples::new(60);
    let task = for_event(&make.task(&make.conversation()), "invoice.paid", "R-1");
    let entry = (task.id.clone(), task.conversation.clone());
    let commit = Commit { tasks: vec![create(&task)], ..make.commit() };
    backend.turns.commit(commit).await.unwrap();
    let found = backend.turns.awaiting("invoice.paid", "R-1", 10).await.unwrap();
    assert_eq!(found, std::slice::from_ref(&entry));
    for (kind, key) in
        [("invoice.paid", "R-2"), ("invoice.sent", "R-1"), ("invoice", "R-1"), ("R-1", "")]
    {
        assert_eq!(backend.turns.awaiting(kind, key, 10).await.unwrap(), [], "{kind} {key}");
    }

    let task = for_event(&next_sequence(&task), "invoice.paid", "R-2");
    let commit = Commit { tasks: vec![update(&task)], ..make.commit() };
    backend.turns.commit(commit).await.unwrap();
    assert_eq!(backend.turns.awaiting("invoice.paid", "R-1", 10).await.unwrap(), []);
    assert_eq!(backend.turns.awaiting("invoice.paid", "R-2", 10).await.unwrap(), [entry]);

    let mut task = next_sequence(&task);
    task.status = Status::Completed { outcome: "paid".into(), result: serde_json::Value::Null };
    let commit = Commit { tasks: vec![update(&task)], ..make.commit() };
    backend.turns.commit(commit).await.unwrap();
    assert_eq!(backend.turns.awaiting("invoice.paid", "R-2", 10).await.unwrap(), []);
}

/// Several tasks may wait for one event; the limit is kept.
pub async fn several_tasks_await_one_event(backend: Backend) {
    let make = Samples::new(61);
    let tasks: Vec<Task> =
        (0..5).map(|_| for_event(&make.task(&make.conversation()), "請款", "鍵 \"'%")).collect();
    let other = make.task(&make.conversation());
    let commit =
        Commit { tasks: tasks.iter().chain([&other]).map(create).collect(), ..make.commit() };
    backend.turns.commit(commit).await.unwrap();
    let expected = tasks.iter().map(|task| (task.id.clone(), task.conversation.clone()));
    let found = backend.turns.awaiting("請款", "鍵 \"'%", 100).await.unwrap();
    assert_eq!(sorted(found), sorted(expected));
    assert_eq!(backend.turns.awaiting("請款", "鍵 \"'%", 3).await.unwrap().len(), 3);
}
