//! Messages: every filter alone and with every other, both orders; and a task's history.

use engine::{Direction, Message, MessageId, MessageState, Sender, TaskId};
use ports::{Commit, MessageFilter, MessageWrite};

use super::{list_messages, store};
use crate::backend::Backend;
use crate::check::sorted;
use crate::sample::{Samples, at, create, next_sequence, nth, update};

const STATES: [MessageState; 12] = [
    MessageState::Received,
    MessageState::Queued,
    MessageState::Routed,
    MessageState::Sending,
    MessageState::Processed,
    MessageState::Sent,
    MessageState::Unrouted,
    MessageState::Delivered,
    MessageState::Failed,
    MessageState::Read,
    MessageState::Unknown,
    MessageState::Expired,
];

fn fixture(make: &Samples) -> (Vec<engine::Conversation>, Vec<Message>) {
    let mut conversations: Vec<_> = (0..3).map(|_| make.conversation()).collect();
    conversations[2].connection = "other".into();
    let tasks: Vec<_> = conversations.iter().map(|one| make.task(one)).collect();
    let messages = (0..60_usize)
        .map(|number| {
            let mut message = make.message(&conversations[number % 3], "hello");
            message.task = (number % 4 != 0).then(|| tasks[number % 3].id.clone());
            message.state = STATES[number % 12];
            if number % 2 == 1 {
                message.direction = Direction::Out;
                message.sender = Sender::Flow;
            }
            message.created_at = nth(number * 7 % 60);
            message
        })
        .collect();
    (conversations, messages)
}

type Setting = Box<dyn Fn(&mut MessageFilter)>;

fn settings(messages: &[Message]) -> Vec<Setting> {
    let mut settings: Vec<Setting> = Vec::new();
    for message in messages.iter().skip(1).take(3).cloned() {
        let (task, conversation) = (message.task, message.conversation);
        settings.push(Box::new(move |filter| filter.task.clone_from(&task)));
        settings.push(Box::new(move |filter| filter.conversation = Some(conversation.clone())));
        let contact = message.contact;
        settings.push(Box::new(move |filter| filter.contact = Some(contact.clone())));
    }
    for connection in ["demo", "other", "none"] {
        settings.push(Box::new(move |filter| filter.connection = Some(connection.into())));
    }
    for direction in [Direction::In, Direction::Out] {
        settings.push(Box::new(move |filter| filter.direction = Some(direction)));
    }
    for state in STATES {
        settings.push(Box::new(move |filter| filter.state = Some(state)));
    }
    for second in [0, 20, 59, 60] {
        settings.push(Box::new(move |filter| filter.created_after = Some(at(second))));
        settings.push(Box::new(move |filter| filter.created_before = Some(at(second))));
    }
    settings
}

fn is_or_none<T: PartialEq>(wanted: Option<&T>, have: Option<&T>) -> bool {
    wanted.is_none() || wanted == have
}

/// What the documentation of the fields says, over values.
fn fits(filter: &MessageFilter, message: &Message) -> bool {
    is_or_none(filter.task.as_ref(), message.task.as_ref())
        && is_or_none(filter.conversation.as_ref(), Some(&message.conversation))
        && is_or_none(filter.connection.as_ref(), Some(&message.connection))
        && is_or_none(filter.contact.as_ref(), Some(&message.contact))
        && is_or_none(filter.direction.as_ref(), Some(&message.direction))
        && is_or_none(filter.state.as_ref(), Some(&message.state))
        && filter.created_after.is_none_or(|time| message.created_at >= time)
        && filter.created_before.is_none_or(|time| message.created_at < time)
}

fn ids<'a>(messages: impl IntoIterator<Item = &'a Message>) -> Vec<MessageId> {
    messages.into_iter().map(|message| message.id.clone()).collect()
}

async fn finds_what_fits(backend: &Backend, filter: &MessageFilter, messages: &[Message]) {
    let found = sorted(ids(&list_messages(backend, filter).await));
    let expected = sorted(ids(messages.iter().filter(|message| fits(filter, message))));
    assert_eq!(found, expected, "{filter:?}");
}

/// Every filter alone, and two together, find just what they name.
pub async fn every_message_filter(backend: Backend) {
    let make = Samples::new(210);
    let (conversations, messages) = fixture(&make);
    store(&backend, &make, &conversations, &[], &messages).await;
    finds_what_fits(&backend, &MessageFilter::default(), &messages).await;
    let settings = settings(&messages);
    for (number, first) in settings.iter().enumerate() {
        let mut filter = MessageFilter::default();
        first(&mut filter);
        finds_what_fits(&backend, &filter, &messages).await;
        for second in settings.iter().skip(number + 1) {
            let mut filter = filter.clone();
            second(&mut filter);
            finds_what_fits(&backend, &filter, &messages).await;
        }
    }
}

/// "Messages in the order they came to be", or newest first.
pub async fn messages_come_in_both_orders(backend: Backend) {
    let make = Samples::new(211);
    let (conversations, mut messages) = fixture(&make);
    store(&backend, &make, &conversations, &[], &messages).await;
    // No two have the same time.
    messages.sort_by_key(|message| message.created_at);
    let oldest_first = MessageFilter::default();
    assert_eq!(list_messages(&backend, &oldest_first).await, messages);
    messages.reverse();
    let newest_first = MessageFilter { newest_first: true, ..oldest_first };
    assert_eq!(list_messages(&backend, &newest_first).await, messages);
}

/// A message that changes is found by what it is now.
pub async fn message_filters_follow_a_change(backend: Backend) {
    let make = Samples::new(212);
    let conversation = make.conversation();
    let mut message = make.message(&conversation, "hello");
    store(&backend, &make, &[], &[], std::slice::from_ref(&message)).await;
    assert!(message.reach(MessageState::Routed, at(3)));
    message.task = Some(TaskId::from("task_of_it"));
    let write = MessageWrite { message: message.clone(), expected: Some(1) };
    let commit = Commit { messages: vec![write], ..make.commit() };
    backend.turns.commit(commit).await.unwrap();
    let by_state = |state| MessageFilter { state: Some(state), ..MessageFilter::default() };
    let received = by_state(MessageState::Received);
    assert_eq!(list_messages(&backend, &received).await, []);
    let routed = MessageFilter { task: message.task.clone(), ..by_state(MessageState::Routed) };
    assert_eq!(list_messages(&backend, &routed).await, [message]);
}

/// "A task's history behind `after`, oldest first, at most `limit` rows."
pub async fn history_is_read_in_parts(backend: Backend) {
    let make = Samples::new(213);
    let conversation = make.conversation();
    let (mut task, other) = (make.task(&conversation), make.task(&conversation));
    let commit = Commit {
        tasks: vec![create(&task), create(&other)],
        history: vec![make.history(&task), make.history(&other)],
        ..make.commit()
    };
    let mut written = vec![commit.history[0].clone()];
    backend.turns.commit(commit).await.unwrap();
    for _ in 0..12 {
        task = next_sequence(&task);
        let entry = make.history(&task);
        written.push(entry.clone());
        let commit = Commit { tasks: vec![update(&task)], history: vec![entry], ..make.commit() };
        backend.turns.commit(commit).await.unwrap();
    }
    for (after, limit) in [(0, 100), (0, 1), (0, 5), (5, 5), (10, 5), (12, 1), (13, 5), (99, 5)] {
        let rows = backend.queries.history(&task.id, after, limit).await.unwrap();
        let expected: Vec<_> =
            written.iter().filter(|entry| entry.sequence > after).take(limit).cloned().collect();
        assert_eq!(rows, expected, "behind {after}, at most {limit}");
    }
    assert_eq!(backend.queries.history(&other.id, 0, 100).await.unwrap().len(), 1);
    let none = TaskId::from("task_none");
    assert_eq!(backend.queries.history(&none, 0, 100).await.unwrap(), []);
    let beyond = backend.queries.history(&task.id, u64::MAX, 100).await.unwrap();
    assert_eq!(beyond, [], "the largest sequence number is no error");
}
