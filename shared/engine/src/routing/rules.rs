//! The seven rules, in order; the first that fits decides.

use flow::{Trigger, WhenBusy, WhenOpen, keyword};
use serde::{Deserialize, Serialize};

use super::command::{self, Command};
use super::conversation::Conversation;
use super::read_payload;
use crate::event::Pressed;
use crate::ids::TaskId;

/// The rule that decided, as reports count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// 1: the message names the task.
    Named,
    /// 2: it is a command.
    Command,
    /// 3: it triggers a flow that interrupts.
    Interrupt,
    /// 4: the focused task waits for a reply.
    Focused,
    /// 5: exactly one other task does.
    OnlyWaiting,
    /// 6: several do, and the person said or is asked which.
    Asked,
    /// 7: a trigger matches.
    Trigger,
    /// 7: the connection's default flow takes it.
    DefaultFlow,
    /// An operator assigned it.
    Assigned,
    /// Nothing fits.
    Unrouted,
}

impl Rule {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Named => "named",
            Self::Command => "command",
            Self::Interrupt => "interrupt",
            Self::Focused => "focused",
            Self::OnlyWaiting => "only_waiting",
            Self::Asked => "asked",
            Self::Trigger => "trigger",
            Self::DefaultFlow => "default_flow",
            Self::Assigned => "assigned",
            Self::Unrouted => "unrouted",
        }
    }
}

/// An inbound message, as far as routing looks at it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Incoming {
    /// Its text.
    pub text: String,
    /// What a button sent back.
    pub payload: Option<String>,
    /// The task it names: API path, quoted message, thread, e-mail headers.
    pub names: Option<TaskId>,
    /// The event type it carries beside its text.
    pub event_type: Option<String>,
}

/// One trigger of a published flow.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryPoint<'a> {
    /// The flow.
    pub flow: &'a str,
    /// The trigger's place in the document.
    pub index: usize,
    /// The trigger.
    pub trigger: &'a Trigger,
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq)]
pub enum Route {
    /// To an open task.
    Task {
        /// Which.
        task: TaskId,
        /// By which rule.
        rule: Rule,
        /// The button it was, where it was one.
        pressed: Option<Pressed>,
        /// Whether the task takes the focus with it.
        focus: bool,
    },
    /// To Chatflow itself.
    Command(Command),
    /// Into a new task.
    Start {
        /// The flow.
        flow: String,
        /// Its trigger; none for the default flow.
        trigger: Option<usize>,
        /// By which rule.
        rule: Rule,
    },
    /// Into a new task, once the conversation is free.
    Queue {
        /// The flow.
        flow: String,
        /// Its trigger.
        trigger: usize,
    },
    /// The person is asked which of these tasks is meant; the message is kept.
    AskWhich(Vec<TaskId>),
    /// The person said which; the kept messages go there.
    Chosen(TaskId),
    /// Nowhere: the button belongs to a task of this conversation that has ended, or to a
    /// question that has been answered. The person is told so; the label is no reply to another.
    StaleButton,
    /// Nowhere; an operator sees it.
    Unrouted(String),
}

/// Most tasks that the question "which one?" offers.
const CANDIDATES_MAX: usize = 10;

/// Routes one message.
pub fn route(
    conversation: &Conversation,
    message: &Incoming,
    entries: &[EntryPoint<'_>],
    default_flow: Option<&str>,
) -> Route {
    let said = keyword::normalise(&message.text);
    let busy = conversation.is_busy();
    let at_once = |when| when == WhenBusy::Interrupt || (when == WhenBusy::Queue && busy);
    named(conversation, message)
        .or_else(|| offered_by_focused(conversation, &said))
        .or_else(|| command::parse(&said).map(Route::Command))
        .or_else(|| triggered(conversation, message, &said, entries, at_once))
        .or_else(|| focused(conversation))
        .or_else(|| waiting(conversation, &said))
        .or_else(|| triggered(conversation, message, &said, entries, |_| true))
        .unwrap_or_else(|| match default_flow {
            Some(flow) => {
                Route::Start { flow: flow.to_owned(), trigger: None, rule: Rule::DefaultFlow }
            }
            None => Route::Unrouted(
                "no open task waits for a reply, no trigger matches, and the connection has no \
                 default flow"
                    .into(),
            ),
        })
}

/// Rule 1. A press of "which one?" names a task as well.
fn named(conversation: &Conversation, message: &Incoming) -> Option<Route> {
    let payload = message.payload.as_deref().unwrap_or(&message.text);
    if let Some(task) = payload.strip_prefix("cf1:pick:").map(TaskId::from) {
        if conversation.candidates.contains(&task) {
            return Some(Route::Chosen(task));
        }
        // An old question: the press still says which task the person wants to talk about.
        let number = conversation.find(&task).map(|open| open.number);
        return Some(number.map_or(Route::StaleButton, |number| {
            Route::Command(Command::Switch { number: Some(number) })
        }));
    }
    let to = |task, pressed| Route::Task { task, rule: Rule::Named, pressed, focus: true };
    if let Some((task, pressed)) = read_payload(payload) {
        // Only tasks of this conversation: a payload comes from outside and proves nothing.
        return Some(match conversation.find(&task) {
            Some(_) => to(task, Some(pressed)),
            None => Route::StaleButton,
        });
    }
    message.names.clone().map(|task| to(task, None))
}

/// A label that the focused task offers is its reply, even where it reads like a command or a
/// keyword: on channels without buttons, typing the label is the button press.
fn offered_by_focused(conversation: &Conversation, said: &str) -> Option<Route> {
    let offers = |label: &String| !said.is_empty() && label == said;
    let open = conversation.focused()?;
    (open.waits_for_reply() && open.offered.iter().any(offers)).then(|| Route::Task {
        task: open.task.clone(),
        rule: Rule::Focused,
        pressed: None,
        focus: false,
    })
}

/// Rules 3 and 7: the first trigger, in the order of the entries, that matches. One that queues
/// takes its message while a task waits for a reply, and starts once none does.
fn triggered(
    conversation: &Conversation,
    message: &Incoming,
    said: &str,
    entries: &[EntryPoint<'_>],
    applies: impl Fn(WhenBusy) -> bool,
) -> Option<Route> {
    entries.iter().find_map(|entry| {
        let when = when_busy(entry.trigger).filter(|when| applies(*when))?;
        if !matches(entry.trigger, message, said) {
            return None;
        }
        let rule = if when == WhenBusy::Interrupt { Rule::Interrupt } else { Rule::Trigger };
        let group = entry.group();
        let open = conversation
            .open
            .iter()
            .find(|open| open.trigger.as_deref() == Some(&group) && open.takes_messages());
        match (when_open(entry.trigger), open) {
            (WhenOpen::Switch, Some(open)) => {
                Some(Route::Task { task: open.task.clone(), rule, pressed: None, focus: true })
            }
            _ if when == WhenBusy::Queue && conversation.is_busy() => {
                Some(Route::Queue { flow: entry.flow.to_owned(), trigger: entry.index })
            }
            _ => {
                Some(Route::Start { flow: entry.flow.to_owned(), trigger: Some(entry.index), rule })
            }
        }
    })
}

/// Rule 4.
fn focused(conversation: &Conversation) -> Option<Route> {
    let open = conversation.focused().filter(|open| open.takes_messages())?;
    let task = open.task.clone();
    Some(Route::Task { task, rule: Rule::Focused, pressed: None, focus: false })
}

/// Rules 5 and 6.
fn waiting(conversation: &Conversation, said: &str) -> Option<Route> {
    if !conversation.candidates.is_empty()
        && let Some(task) = chosen(conversation, said)
    {
        return Some(Route::Chosen(task));
    }
    let waiting: Vec<&TaskId> =
        conversation.open.iter().filter(|o| o.waits_for_reply()).map(|o| &o.task).collect();
    match waiting.as_slice() {
        [] => None,
        [only] => Some(Route::Task {
            task: (*only).clone(),
            rule: Rule::OnlyWaiting,
            pressed: None,
            focus: false,
        }),
        several => Some(Route::AskWhich(
            several.iter().take(CANDIDATES_MAX).map(|task| (*task).clone()).collect(),
        )),
    }
}

/// An answer to "which one?": its place in the question, or its label.
fn chosen(conversation: &Conversation, said: &str) -> Option<TaskId> {
    let candidates = &conversation.candidates;
    if let Ok(place) = said.trim_start_matches('#').parse::<usize>() {
        return candidates.get(place.checked_sub(1)?).cloned();
    }
    let mut fitting = candidates.iter().filter(|task| {
        !said.is_empty()
            && conversation.find(task).is_some_and(|open| keyword::normalise(&open.label) == said)
    });
    match (fitting.next(), fitting.next()) {
        (Some(task), None) => Some(task.clone()),
        _ => None,
    }
}

fn when_busy(trigger: &Trigger) -> Option<WhenBusy> {
    match trigger {
        Trigger::Keyword { when_busy, .. } | Trigger::Event { when_busy, .. } => Some(*when_busy),
        Trigger::Schedule { .. } => None,
    }
}

fn when_open(trigger: &Trigger) -> WhenOpen {
    match trigger {
        Trigger::Keyword { when_open, .. } | Trigger::Event { when_open, .. } => *when_open,
        Trigger::Schedule { .. } => WhenOpen::Start,
    }
}

impl EntryPoint<'_> {
    /// The name under which a task remembers what started it: `flow`, or `flow/group`.
    pub fn group(&self) -> String {
        let group = match self.trigger {
            Trigger::Keyword { group, .. } | Trigger::Event { group, .. } => group.as_deref(),
            Trigger::Schedule { .. } => None,
        };
        group.map_or_else(|| self.flow.to_owned(), |group| format!("{}/{group}", self.flow))
    }
}

fn matches(trigger: &Trigger, message: &Incoming, said: &str) -> bool {
    match trigger {
        Trigger::Keyword { any, matching, .. } => {
            any.iter().any(|word| word.is_in(said, *matching))
        }
        Trigger::Event { kind, .. } => message.event_type.as_deref() == Some(kind),
        Trigger::Schedule { .. } => false,
    }
}
