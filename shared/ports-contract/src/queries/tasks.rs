//! Tasks: every filter alone and with every other, every order, counts.

use engine::{CallId, Parent, Status, Task, TaskId, Wait};
use ports::{Commit, Sort, TaskFilter};
use serde_json::Value;

use super::{list_tasks, store};
use crate::backend::Backend;
use crate::check::sorted;
use crate::sample::{Samples, at, next_sequence, nth, update, waiting};

fn statuses() -> Vec<Status> {
    let reply = Wait::Reply { invalid: 0, reminded: 0, offered: Vec::new() };
    let human = |queue: &str| Wait::Human { queue: queue.into(), assignee: None };
    vec![
        Status::Running,
        waiting(reply),
        waiting(Wait::Timer { until: at(9) }),
        waiting(Wait::Call { call: CallId::from("call_1") }),
        waiting(Wait::Event { kind: "paid".into(), key: "1".into() }),
        waiting(Wait::Child { child: TaskId::from("task_child") }),
        waiting(human("hr")),
        waiting(human("人事")),
        Status::Completed { outcome: "done".into(), result: Value::Null },
        Status::Failed { step: None, reason: "no".into() },
        Status::Cancelled { reason: "enough".into() },
        Status::Expired { outcome: "late".into() },
    ]
}

/// 48 tasks in which every combination of two filters finds some and leaves some out.
fn fixture(make: &Samples) -> (Vec<engine::Conversation>, Vec<Task>) {
    let conversations: Vec<_> = (0..3).map(|_| make.conversation()).collect();
    let labels = ["Leave 100%", "leave_request", "LEAVE of Ärger", "請假 王小明", "Hotel"];
    let mut tasks: Vec<Task> = Vec::new();
    for number in 0..48_usize {
        let mut task = make.task(&conversations[number % 3]);
        task.flow = ["leave-request", "booking"][number / 2 % 2].into();
        task.status = statuses()[number % 12].clone();
        task.label = labels[number % 5].into();
        task.created_at = nth(number * 7 % 48);
        task.updated_at = nth(100 + number * 11 % 48);
        task.ended_at = task.status.has_ended().then_some(task.updated_at);
        task.parent = (number % 4 == 3).then(|| Parent {
            task: tasks[number % 3].id.clone(),
            conversation: task.conversation.clone(),
            waits: true,
            depth: 1,
        });
        tasks.push(task);
    }
    (conversations, tasks)
}

type Setting = Box<dyn Fn(&mut TaskFilter)>;

fn settings(tasks: &[Task]) -> Vec<Setting> {
    let text = |text: &str| Some(text.to_owned());
    let mut settings: Vec<Setting> = Vec::new();
    for flow in ["leave-request", "booking", "none"] {
        settings.push(Box::new(move |filter| filter.flow = text(flow)));
    }
    for status in ["running", "waiting", "completed", "failed", "cancelled", "expired"] {
        settings.push(Box::new(move |filter| filter.status = text(status)));
    }
    for wait in ["reply", "timer", "call", "event", "child", "human"] {
        settings.push(Box::new(move |filter| filter.waiting_for = text(wait)));
    }
    for queue in ["hr", "人事", "none"] {
        settings.push(Box::new(move |filter| filter.queue = text(queue)));
    }
    for label in ["leave", "LEAVE", "%", "_", "請假", "100%", "ärger", "e_r", "tel", "\\", "*"] {
        settings.push(Box::new(move |filter| filter.label = text(label)));
    }
    for task in tasks.iter().take(3).cloned() {
        let (contact, parent) = (task.contact.id.clone(), task.id.clone());
        settings.push(Box::new(move |filter| filter.contact = Some(contact.clone())));
        settings.push(Box::new(move |filter| filter.parent = Some(parent.clone())));
        let conversation = task.conversation;
        settings.push(Box::new(move |filter| filter.conversation = Some(conversation.clone())));
    }
    for second in [0, 10, 24, 47, 48] {
        settings.push(Box::new(move |filter| filter.created_after = Some(at(second))));
        settings.push(Box::new(move |filter| filter.created_before = Some(at(second))));
    }
    settings
}

fn is_or_none<T: PartialEq>(wanted: Option<&T>, have: Option<&T>) -> bool {
    wanted.is_none() || wanted == have
}

/// What the documentation of the fields says, over values.
fn fits(filter: &TaskFilter, task: &Task) -> bool {
    let parent = task.parent.as_ref().map(|parent| &parent.task);
    let queue = task.queue().map(|(queue, _)| queue.to_owned());
    let waiting_for = task.status.waiting_for().map(str::to_owned);
    let label = |wanted: &String| task.label.to_lowercase().contains(&wanted.to_lowercase());
    is_or_none(filter.flow.as_ref(), Some(&task.flow))
        && is_or_none(filter.status.as_ref(), Some(&task.status.name().to_owned()))
        && is_or_none(filter.waiting_for.as_ref(), waiting_for.as_ref())
        && is_or_none(filter.contact.as_ref(), Some(&task.contact.id))
        && is_or_none(filter.conversation.as_ref(), Some(&task.conversation))
        && is_or_none(filter.queue.as_ref(), queue.as_ref())
        && is_or_none(filter.parent.as_ref(), parent)
        && filter.label.as_ref().is_none_or(label)
        && filter.created_after.is_none_or(|time| task.created_at >= time)
        && filter.created_before.is_none_or(|time| task.created_at < time)
}

fn ids<'a>(tasks: impl IntoIterator<Item = &'a Task>) -> Vec<TaskId> {
    tasks.into_iter().map(|task| task.id.clone()).collect()
}

async fn finds_what_fits(backend: &Backend, filter: &TaskFilter, tasks: &[Task]) {
    let found = sorted(ids(&list_tasks(backend, filter).await));
    let expected = sorted(ids(tasks.iter().filter(|task| fits(filter, task))));
    assert_eq!(found, expected, "{filter:?}");
}

/// Every filter alone finds just what it names.
pub async fn every_task_filter_alone(backend: Backend) {
    let make = Samples::new(200);
    let (conversations, tasks) = fixture(&make);
    store(&backend, &make, &conversations, &tasks, &[]).await;
    finds_what_fits(&backend, &TaskFilter::default(), &tasks).await;
    for setting in settings(&tasks) {
        let mut filter = TaskFilter::default();
        setting(&mut filter);
        finds_what_fits(&backend, &filter, &tasks).await;
    }
}

/// Two filters together find what both name.
pub async fn every_two_task_filters_together(backend: Backend) {
    let make = Samples::new(201);
    let (conversations, tasks) = fixture(&make);
    store(&backend, &make, &conversations, &tasks, &[]).await;
    let settings = settings(&tasks);
    for (number, first) in settings.iter().enumerate() {
        for second in settings.iter().skip(number + 1) {
            let mut filter = TaskFilter::default();
            first(&mut filter);
            second(&mut filter);
            finds_what_fits(&backend, &filter, &tasks).await;
        }
    }
}

/// All filters at once.
pub async fn all_task_filters_together(backend: Backend) {
    let make = Samples::new(202);
    let (conversations, mut tasks) = fixture(&make);
    let wanted = &mut tasks[7];
    wanted.status = waiting(Wait::Human { queue: "人事".into(), assignee: None });
    let filter = TaskFilter {
        flow: Some(wanted.flow.clone()),
        status: Some("waiting".into()),
        waiting_for: Some("human".into()),
        contact: Some(wanted.contact.id.clone()),
        conversation: Some(wanted.conversation.clone()),
        queue: Some("人事".into()),
        label: Some(wanted.label.to_uppercase()),
        parent: wanted.parent.clone().map(|parent| parent.task),
        created_after: Some(wanted.created_at),
        created_before: Some(wanted.created_at + chrono::TimeDelta::microseconds(1)),
        q: Some(wanted.label.clone()),
        sort: Sort::UpdatedAsc,
    };
    let wanted = wanted.id.clone();
    store(&backend, &make, &conversations, &tasks, &[]).await;
    assert_eq!(ids(&list_tasks(&backend, &filter).await), [wanted]);
}

/// The four orders.
pub async fn tasks_come_in_each_order(backend: Backend) {
    let make = Samples::new(203);
    let (conversations, mut tasks) = fixture(&make);
    store(&backend, &make, &conversations, &tasks, &[]).await;
    for sort in [Sort::CreatedDesc, Sort::CreatedAsc, Sort::UpdatedDesc, Sort::UpdatedAsc] {
        // No two have the same time.
        tasks.sort_by_key(|task| match sort {
            Sort::CreatedDesc | Sort::CreatedAsc => task.created_at,
            Sort::UpdatedDesc | Sort::UpdatedAsc => task.updated_at,
        });
        if matches!(sort, Sort::CreatedDesc | Sort::UpdatedDesc) {
            tasks.reverse();
        }
        let filter = TaskFilter { sort, ..TaskFilter::default() };
        assert_eq!(ids(&list_tasks(&backend, &filter).await), ids(&tasks), "{sort:?}");
        let filter = TaskFilter { flow: Some("booking".into()), ..filter };
        let expected = ids(tasks.iter().filter(|task| task.flow == "booking"));
        assert_eq!(ids(&list_tasks(&backend, &filter).await), expected, "{sort:?}");
    }
}

/// A task that changes is found by what it is now, and listed as it is now.
pub async fn filters_follow_a_change(backend: Backend) {
    let make = Samples::new(204);
    let begun = make.begin();
    backend.turns.commit(begun.commit).await.unwrap();
    let mut task = next_sequence(&begun.task);
    task.status = waiting(Wait::Human { queue: "hr".into(), assignee: Some("Chen".into()) });
    task.label = "changed".into();
    task.updated_at = at(50);
    let commit = Commit { tasks: vec![update(&task)], ..make.commit() };
    backend.turns.commit(commit).await.unwrap();
    let by = |queue: Option<&str>, label: Option<&str>, waiting_for: Option<&str>| TaskFilter {
        queue: queue.map(str::to_owned),
        label: label.map(str::to_owned),
        waiting_for: waiting_for.map(str::to_owned),
        ..TaskFilter::default()
    };
    for filter in [by(Some("hr"), None, None), by(None, Some("changed"), Some("human"))] {
        assert_eq!(list_tasks(&backend, &filter).await, [task.clone()]);
    }
    for filter in [by(None, Some("Leave"), None), by(None, None, Some("reply"))] {
        assert_eq!(list_tasks(&backend, &filter).await, []);
    }
}

/// "How many tasks there are by flow and status."
pub async fn tasks_are_counted(backend: Backend) {
    let make = Samples::new(205);
    assert_eq!(backend.queries.task_counts().await.unwrap(), []);
    let (conversations, tasks) = fixture(&make);
    store(&backend, &make, &conversations, &tasks, &[]).await;
    let count = |tasks: &[Task]| {
        let mut counts = std::collections::BTreeMap::<(String, String), u64>::new();
        for task in tasks {
            *counts.entry((task.flow.clone(), task.status.name().into())).or_default() += 1;
        }
        counts.into_iter().map(|((flow, status), count)| (flow, status, count)).collect::<Vec<_>>()
    };
    assert_eq!(sorted(backend.queries.task_counts().await.unwrap()), count(&tasks));

    let mut changed = tasks.clone();
    changed[1] = next_sequence(&tasks[1]);
    changed[1].status = Status::Cancelled { reason: "enough".into() };
    let commit = Commit { tasks: vec![update(&changed[1])], ..make.commit() };
    backend.turns.commit(commit).await.unwrap();
    assert_eq!(sorted(backend.queries.task_counts().await.unwrap()), count(&changed));
}

/// "Whether the store answers."
pub async fn the_store_answers(backend: Backend) {
    backend.queries.ping().await.unwrap();
}
