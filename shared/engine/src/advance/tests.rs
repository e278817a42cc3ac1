//! `advance`, case by case: every test names the exact new state, the exact effects, and thereby
//! that there is nothing else.

mod children;
mod compute;
mod generate;
mod limits;
mod outside;
mod pairs;
mod people;
mod properties;
mod talk;

use chrono::{DateTime, Utc};
use flow::{Contact, Content, Flow, Lang, OfferedChoice, Span};
use serde_json::{Value, json};

use super::{NewTask, Refused, advance};
use crate::effect::Effect;
use crate::event::{CallResult, Event, EventBody, OperatorAction, Pressed};
use crate::ids::{CallId, ConversationId, EventId, MessageId, RowId, TaskId};
use crate::task::{Offered, Parent, Status, Task, TimerName, Vars, Wait};
use crate::transition::{HistoryEntry, Visit, rebuild};

/// A flow under test: its document without the head.
fn flow_of(rest: &str) -> Flow {
    let text = format!("flow: test\nname: Test\n{rest}");
    flow::parse(&text).unwrap_or_else(|problems| panic!("{problems:?}")).flow
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn span(text: &str) -> chrono::TimeDelta {
    text.parse::<Span>().unwrap().as_delta()
}

fn new_task() -> NewTask {
    NewTask {
        id: TaskId::from("task_1"),
        version: 3,
        contact: Contact { id: "u-42".into(), name: Some("Mei".into()), lang: None },
        conversation: ConversationId::of("demo", "u-42"),
        connection: "demo".into(),
        lang: None,
        parent: None,
        trigger: None,
        at: time("2026-01-05T01:00:00Z"),
    }
}

/// A task that waits for this one.
fn parent() -> Parent {
    Parent {
        task: TaskId::from("task_parent"),
        conversation: ConversationId::of("demo", "boss"),
        waits: true,
        depth: 1,
    }
}

/// One task on its way, with everything that led to where it stands.
struct Run {
    flow: Flow,
    made: Task,
    task: Task,
    now: DateTime<Utc>,
    history: Vec<HistoryEntry>,
}

/// Everything a transition may do; what is left out did not happen.
#[derive(Default)]
struct Expected {
    /// `step` or `step>left_by`.
    steps: &'static [&'static str],
    vars: Option<Value>,
    input: Option<Value>,
    label: Option<&'static str>,
    version: Option<u32>,
    effects: Vec<Effect>,
}

impl Run {
    fn of(rest: &str) -> Self {
        Self::with(rest, new_task())
    }

    fn with(rest: &str, new: NewTask) -> Self {
        let flow = flow_of(rest);
        let made = new.make(&flow);
        Self { flow, task: made.clone(), now: made.created_at, made, history: Vec::new() }
    }

    /// A run that has been started, whatever that did.
    fn started(rest: &str) -> Self {
        let mut run = Self::of(rest);
        run.go(start());
        run
    }

    fn later(&mut self, text: &str) {
        self.now += span(text);
    }

    /// The sequence number of the next transition.
    fn next(&self) -> u64 {
        self.task.sequence + 1
    }

    fn event(&self, body: EventBody) -> Event {
        let id = EventId::of("test", &self.next().to_string());
        Event { id, at: self.now, body }
    }

    /// The name of the `count`th thing that the next transition makes.
    fn part(&self, count: usize) -> String {
        format!("{}/{}/{count}", self.task.id, self.next())
    }

    fn event_id(&self) -> EventId {
        EventId::of("test", &self.next().to_string())
    }

    fn message(&self, count: usize) -> MessageId {
        MessageId::derive(self.now, &self.event_id(), &self.part(count))
    }

    fn child(&self, count: usize) -> TaskId {
        TaskId::derive(self.now, &self.event_id(), &self.part(count))
    }

    fn call(&self, count: usize) -> CallId {
        CallId::derive(self.now, &self.event_id(), &self.part(count))
    }

    fn row(&self, count: usize) -> RowId {
        RowId::derive(self.now, &self.event_id(), &self.part(count))
    }

    fn send(&self, count: usize, text: &str) -> Effect {
        self.send_choices(count, text, 0, &[])
    }

    /// A message whose buttons belong to the wait `entered`.
    fn send_choices(&self, count: usize, text: &str, entered: u64, labels: &[&str]) -> Effect {
        let choices = labels.iter().enumerate().map(|(index, label)| OfferedChoice {
            label: (*label).to_owned(),
            payload: format!("cf1:{}:{entered}:{index}", self.task.id),
        });
        let content = Content { choices: choices.collect(), ..Content::text(text) };
        Effect::Send { id: self.message(count), content, by: None }
    }

    fn set_timer(&self, name: TimerName, after: &str) -> Effect {
        Effect::SetTimer { name, entered: self.next(), due: self.now + span(after) }
    }

    fn expiry(&self, after: &str) -> Effect {
        Effect::SetTimer { name: TimerName::Expiry, entered: 0, due: self.now + span(after) }
    }

    /// The status of a task that the next transition leads into a wait.
    fn waits(&self, step: &str, on: Wait) -> Status {
        self.waits_with(step, on, &[])
    }

    fn waits_with(&self, step: &str, on: Wait, timers: &[TimerName]) -> Status {
        Status::Waiting {
            step: step.into(),
            since: self.now,
            entered: self.next(),
            timers: timers.to_vec(),
            on,
        }
    }

    /// The present wait, with this in its place.
    fn still(&self, now_on: Wait) -> Status {
        let mut status = self.task.status.clone();
        match &mut status {
            Status::Waiting { on, .. } => *on = now_on,
            other => panic!("the task does not wait: {other:?}"),
        }
        status
    }

    /// Applies an event that must be taken, and holds all of what it did against `expected`.
    #[track_caller]
    fn takes(&mut self, body: EventBody, status: Status, expected: Expected) {
        let wanted = HistoryEntry {
            task: self.task.id.clone(),
            sequence: self.next(),
            event: self.event(body.clone()),
            at: self.now.max(self.task.updated_at),
            steps: expected.steps.iter().copied().map(visit).collect(),
            vars_changed: expected.vars.map(object).unwrap_or_default(),
            before: self.task.status.name().to_owned(),
            status,
            input: expected.input,
            label: expected.label.map(str::to_owned),
            version: expected.version,
            effects: expected.effects,
        };
        assert_eq!(self.go(body), wanted);
    }

    /// Applies an event that must be taken.
    #[track_caller]
    fn go(&mut self, body: EventBody) -> HistoryEntry {
        let event = self.event(body);
        let made = advance(&self.flow, &self.task, &event, self.now);
        let transition = made.unwrap_or_else(|refused| panic!("refused: {refused}"));
        assert_eq!(transition.entry.sequence, self.task.sequence + 1);
        assert_eq!(transition.entry.event, event);
        self.task = transition.task;
        self.history.push(transition.entry.clone());
        assert_eq!(rebuild(&self.made, &self.history), self.task, "the history tells the state");
        transition.entry
    }

    #[track_caller]
    fn refuses(&self, body: EventBody) -> Refused {
        let event = self.event(body);
        match advance(&self.flow, &self.task, &event, self.now) {
            Ok(transition) => panic!("taken: {:?}", transition.entry),
            Err(refused) => refused,
        }
    }

    #[track_caller]
    fn failed_with(&self) -> (&str, &str) {
        match &self.task.status {
            Status::Failed { step, reason } => (step.as_deref().unwrap_or_default(), reason),
            other => panic!("not failed: {other:?}"),
        }
    }
}

fn shown(visit: &Visit) -> String {
    match &visit.left_by {
        Some(by) => format!("{}>{by}", visit.step),
        None => visit.step.clone(),
    }
}

/// The visit that [`shown`] writes so.
fn visit(text: &str) -> Visit {
    let (step, by) = text.split_once('>').map_or((text, None), |(step, by)| (step, Some(by)));
    Visit { step: step.to_owned(), left_by: by.map(str::to_owned) }
}

fn start() -> EventBody {
    start_with(json!({}))
}

fn start_with(vars: Value) -> EventBody {
    EventBody::Started { vars: object(vars), input: Value::Null }
}

fn object(value: Value) -> Vars {
    match value {
        Value::Object(map) => map,
        other => panic!("not an object: {other}"),
    }
}

fn says(text: &str) -> EventBody {
    replies(Content::text(text), None)
}

fn presses(entered: u64, index: usize) -> EventBody {
    replies(Content::default(), Some(Pressed { entered, index }))
}

fn replies(content: Content, pressed: Option<Pressed>) -> EventBody {
    EventBody::Reply { message: MessageId::from("msg_in"), content, pressed }
}

fn fires(name: TimerName, entered: u64) -> EventBody {
    EventBody::Timer { name, entered }
}

fn by_operator(action: OperatorAction) -> EventBody {
    EventBody::Operator { by: "ana".into(), action }
}

fn cancel() -> EventBody {
    by_operator(OperatorAction::Cancel { reason: "no longer needed".into() })
}

fn retry() -> EventBody {
    by_operator(OperatorAction::Retry)
}

fn answered(call: &CallId, status: u16, body: Value) -> EventBody {
    let result = CallResult::Answer { status, headers: Vars::new(), body };
    EventBody::Answered { call: call.clone(), result }
}

fn child_ends(child: &TaskId, outcome: &str, result: Value) -> EventBody {
    EventBody::ChildEnded {
        child: child.clone(),
        completed: !matches!(outcome, "failed" | "cancelled" | "expired"),
        outcome: outcome.into(),
        result,
    }
}

fn cancels(name: TimerName, entered: u64) -> Effect {
    Effect::CancelTimer { name, entered }
}

fn completed(outcome: &str) -> Status {
    Status::Completed { outcome: outcome.into(), result: Value::Null }
}

fn failed(step: &str, reason: &str) -> Status {
    Status::Failed { step: Some(step.into()), reason: reason.into() }
}

fn cancelled() -> Status {
    Status::Cancelled { reason: "no longer needed".into() }
}

fn reply() -> Wait {
    reply_after(0, 0, &[])
}

/// A wait for a reply with choices whose labels are their values.
fn reply_after(invalid: u32, reminded: u32, labels: &[&str]) -> Wait {
    let offered = labels
        .iter()
        .map(|label| Offered { label: (*label).into(), value: Value::String((*label).into()) })
        .collect();
    Wait::Reply { invalid, reminded, offered }
}
