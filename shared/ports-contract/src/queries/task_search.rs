//! "Words in its label, its contact or any of its messages."

use engine::TaskId;
use ports::{Commit, TaskFilter};

use super::{list_tasks, store};
use crate::backend::Backend;
use crate::check::sorted;
use crate::sample::{Samples, next_sequence, update};

async fn search(backend: &Backend, words: &str) -> Vec<TaskId> {
    let filter = TaskFilter { q: Some(words.to_owned()), ..TaskFilter::default() };
    sorted(list_tasks(backend, &filter).await.into_iter().map(|task| task.id))
}

/// A task is found by each of the three, once, however many of its messages hold the word.
pub async fn tasks_are_found_by_words(backend: Backend) {
    let make = Samples::new(250);
    let mut conversations = [make.conversation(), make.conversation()];
    conversations[0].contact.name = Some("王小明".into());
    conversations[0].contact.id = "user-zebra".into();
    let mut tasks =
        [make.task(&conversations[0]), make.task(&conversations[1]), make.task(&conversations[1])];
    tasks[0].label = "請假 11/30".into();
    tasks[1].label = "Hotel in Taipei".into();
    tasks[2].label = String::new();
    let mut messages: Vec<_> = ["我要請假", "從週三開始請假", "予約をお願いします", "hotel"]
        .iter()
        .map(|text| make.message(&conversations[0], text))
        .collect();
    messages[0].task = Some(tasks[0].id.clone());
    messages[1].task = Some(tasks[0].id.clone());
    messages[2].task = Some(tasks[2].id.clone());
    // The last belongs to no task.
    store(&backend, &make, &conversations, &tasks, &messages).await;
    let [first, second, third] = tasks.map(|task| task.id);
    let expected: [(&str, &[&TaskId]); 12] = [
        ("請假", &[&first]),
        ("11/30", &[&first]),
        ("週三", &[&first]),
        ("小明", &[&first]),
        ("王", &[&first]),
        ("zebra", &[&first]),
        ("taipei", &[&second]),
        ("hotel", &[&second]),
        ("予約", &[&third]),
        ("お願い", &[&third]),
        ("nothing of it", &[]),
        ("狗", &[]),
    ];
    for (words, found) in expected {
        let expected = sorted(found.iter().map(|id| (*id).clone()));
        assert_eq!(search(&backend, words).await, expected, "{words}");
    }
}

/// A task is found by the label it has now, and by messages that come later.
pub async fn task_search_follows_a_change(backend: Backend) {
    let make = Samples::new(251);
    let conversation = make.conversation();
    let mut task = make.task(&conversation);
    task.label = "old wording".into();
    let id = task.id.clone();
    store(&backend, &make, &[], std::slice::from_ref(&task), &[]).await;
    assert_eq!(search(&backend, "wording").await, std::slice::from_ref(&id));
    task = next_sequence(&task);
    task.label = "特休三天".into();
    let commit = Commit { tasks: vec![update(&task)], ..make.commit() };
    backend.turns.commit(commit).await.unwrap();
    assert_eq!(search(&backend, "wording").await, []);
    assert_eq!(search(&backend, "特休").await, std::slice::from_ref(&id));
    let mut message = make.message(&conversation, "a later word");
    message.task = Some(id.clone());
    store(&backend, &make, &[], &[], &[message]).await;
    assert_eq!(search(&backend, "later").await, [id]);
}
