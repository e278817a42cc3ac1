//! The seven rules one by one, each before all later ones, and the focus of a conversation.

mod focus;
mod properties;
mod rules;

use chrono::{DateTime, TimeDelta, Utc};
use flow::{Contact, Flow, KeywordMatch, Trigger, WhenBusy, WhenOpen};

use super::{Conversation, EntryPoint, Incoming, OpenTask, Route, Rule, payload, route};
use crate::advance::NewTask;
use crate::event::Pressed;
use crate::ids::{ConversationId, TaskId};
use crate::routing::Command;
use crate::task::{Offered, Status, Task, Wait};

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_574_800, 0).unwrap() + TimeDelta::minutes(minute)
}

fn id(name: &str) -> TaskId {
    TaskId(format!("task_{name}"))
}

fn conversation() -> Conversation {
    let contact = Contact { id: "u-42".into(), name: None, lang: None };
    Conversation::begin(ConversationId::of("demo", "u-42"), "demo", "u-42", contact, at(0))
}

/// A task called `name` that waits like this since that minute.
fn task(name: &str, on: impl Into<Option<Wait>>, since: i64) -> Task {
    let flow = flow("booking");
    let new = NewTask {
        id: id(name),
        version: 1,
        contact: Contact { id: "u-42".into(), name: None, lang: None },
        conversation: ConversationId::of("demo", "u-42"),
        connection: "demo".into(),
        lang: None,
        parent: None,
        trigger: None,
        at: at(since),
    };
    let mut task = new.make(&flow);
    task.label = format!("Task {name}");
    if let Some(on) = on.into() {
        let (since, timers) = (at(since), Vec::new());
        task.status = Status::Waiting { step: "ask".into(), since, entered: 1, timers, on };
    }
    task
}

fn flow(id: &str) -> Flow {
    let text = format!("flow: {id}\nstart: done\nsteps: {{done: {{type: end}}}}");
    flow::parse(&text).unwrap().flow
}

fn for_reply(labels: &[&str]) -> Wait {
    let offered =
        labels.iter().map(|label| Offered { label: (*label).to_owned(), value: (*label).into() });
    Wait::Reply { invalid: 0, reminded: 0, offered: offered.collect() }
}

fn for_human() -> Wait {
    Wait::Human { queue: "hr".into(), assignee: None }
}

fn for_call() -> Wait {
    Wait::Call { call: "call_1".into() }
}

/// Tasks that were opened in this order, a minute apart; the first has the focus.
fn with(tasks: &[(&str, Wait)]) -> Conversation {
    let mut conversation = conversation();
    for (minute, (name, on)) in (0..).zip(tasks) {
        conversation.reflect(&task(name, on.clone(), minute), false);
    }
    conversation
}

/// As [`with`], but no task has the focus.
fn unfocused(tasks: &[(&str, Wait)]) -> Conversation {
    Conversation { focus: None, ..with(tasks) }
}

fn text(text: &str) -> Incoming {
    Incoming { text: text.into(), ..Incoming::default() }
}

fn press(payload: &str, label: &str) -> Incoming {
    Incoming { payload: Some(payload.into()), ..text(label) }
}

fn keyword(word: &str, when_busy: WhenBusy, when_open: WhenOpen, group: Option<&str>) -> Trigger {
    Trigger::Keyword {
        any: vec![word.into()],
        matching: KeywordMatch::Exact,
        when_busy,
        when_open,
        group: group.map(str::to_owned),
        vars: indexmap::IndexMap::new(),
    }
}

fn event(kind: &str, when_busy: WhenBusy) -> Trigger {
    Trigger::Event {
        kind: kind.into(),
        contact: None,
        when_busy,
        when_open: WhenOpen::Start,
        group: None,
        vars: indexmap::IndexMap::new(),
    }
}

/// Routes over flows of one trigger each.
fn routed(conversation: &Conversation, message: &Incoming, triggers: &[(&str, Trigger)]) -> Route {
    route(conversation, message, &entries(triggers), None)
}

fn entries<'a>(triggers: &'a [(&'a str, Trigger)]) -> Vec<EntryPoint<'a>> {
    triggers.iter().map(|(flow, trigger)| EntryPoint { flow, index: 0, trigger }).collect()
}

fn to(name: &str, rule: Rule, focus: bool) -> Route {
    Route::Task { task: id(name), rule, pressed: None, focus }
}

fn starts(flow: &str, rule: Rule) -> Route {
    Route::Start { flow: flow.into(), trigger: Some(0), rule }
}
