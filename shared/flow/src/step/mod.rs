//! The twelve kinds of step. Adding one touches this enum, one module of the engine and one form
//! of the editor.

mod data;
mod outside;
mod people;
mod talk;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

pub use data::{Branch, Case, End, Record, Set};
pub use outside::{Auth, AwaitedEvent, Call, Method, Notify, Request, Retry, Wait};
pub use people::{Each, Handoff, Start, StartMode};
pub use talk::{
    Ask, ChoiceSpec, Choices, LabelledChoice, Remind, Reprompt, Say, SayMessage, StepTimeout,
};

/// The name of a step within its flow: `[a-z][a-z0-9_]{0,62}`.
pub type StepId = String;

/// A Jinja template; `"{{ days }}"` keeps the type of its one expression.
pub type Template = String;

/// A bare expression, as in `if: "answer.status == 201"`.
pub type Expression = String;

/// Names and the values they get; strings in the values are templates.
pub type Assignments = IndexMap<String, Value>;

/// One step: what it is called, and what it does.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Step {
    /// A name for people, shown on the node and in the path of a task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// A remark for those who edit the flow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What it does.
    #[serde(flatten)]
    pub kind: StepKind,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum StepKind {
    /// Sends one or more messages.
    Say(Say),
    /// Sends a prompt and waits for a valid reply.
    Ask(Box<Ask>),
    /// Assigns variables.
    Set(Set),
    /// Goes where the first true case leads.
    Branch(Branch),
    /// Calls an external system over HTTP.
    Call(Box<Call>),
    /// Waits for a while, until a time, or for an event.
    Wait(Wait),
    /// Starts another flow as a child.
    Start(Start),
    /// Runs a child flow for every item of a list.
    Each(Each),
    /// Hands the task to a queue of people.
    Handoff(Handoff),
    /// Tells somebody without waiting.
    Notify(Notify),
    /// Lands a row in a warehouse table.
    Record(Record),
    /// Ends the task.
    End(End),
}

impl StepKind {
    /// The value of `type` in the document.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Say(_) => "say",
            Self::Ask(_) => "ask",
            Self::Set(_) => "set",
            Self::Branch(_) => "branch",
            Self::Call(_) => "call",
            Self::Wait(_) => "wait",
            Self::Start(_) => "start",
            Self::Each(_) => "each",
            Self::Handoff(_) => "handoff",
            Self::Notify(_) => "notify",
            Self::Record(_) => "record",
            Self::End(_) => "end",
        }
    }

    /// Every kind's name, in the order of the documentation.
    pub const NAMES: [&'static str; 12] = [
        "say", "ask", "set", "branch", "call", "wait", "start", "each", "handoff", "notify",
        "record", "end",
    ];

    /// Whether a task that enters this step may stop there and wait; a loop needs one of these.
    pub fn waits(&self) -> bool {
        match self {
            Self::Ask(_) | Self::Call(_) | Self::Wait(_) | Self::Each(_) | Self::Handoff(_) => true,
            Self::Start(start) => start.mode == StartMode::Wait,
            Self::Say(_)
            | Self::Set(_)
            | Self::Branch(_)
            | Self::Notify(_)
            | Self::Record(_)
            | Self::End(_) => false,
        }
    }

    /// Every step this one may lead to, with the field that names it, as a JSON pointer inside the
    /// step.
    pub fn targets(&self) -> Vec<(String, &StepId)> {
        let mut out: Vec<(String, &StepId)> = Vec::new();
        let mut add = |field: &str, target| out.push((field.to_owned(), target));
        match self {
            Self::Say(say) => add("/next", &say.next),
            Self::Ask(ask) => {
                add("/next", &ask.next);
                if let Some(reprompt) = &ask.reprompt
                    && let Some(then) = &reprompt.then
                {
                    add("/reprompt/then", then);
                }
                if let Some(timeout) = &ask.timeout {
                    add("/timeout/next", &timeout.next);
                }
            }
            Self::Set(set) => add("/next", &set.next),
            Self::Branch(branch) => {
                for (index, case) in branch.cases.iter().enumerate() {
                    add(&format!("/cases/{index}/next"), &case.next);
                }
                add("/else", &branch.otherwise);
            }
            Self::Call(call) => {
                add("/next", &call.next);
                if let Some(target) = &call.on_error {
                    add("/on_error", target);
                }
            }
            Self::Wait(wait) => {
                add("/next", &wait.next);
                if let Some(timeout) = &wait.timeout {
                    add("/timeout/next", &timeout.next);
                }
            }
            Self::Start(start) => {
                add("/next", &start.next);
                if let Some(target) = &start.on_error {
                    add("/on_error", target);
                }
            }
            Self::Each(each) => {
                add("/next", &each.next);
                if let Some(target) = &each.on_error {
                    add("/on_error", target);
                }
            }
            Self::Handoff(handoff) => {
                add("/next", &handoff.next);
                if let Some(timeout) = &handoff.timeout {
                    add("/timeout/next", &timeout.next);
                }
            }
            Self::Notify(notify) => add("/next", &notify.next),
            Self::Record(record) => add("/next", &record.next),
            Self::End(_) => {}
        }
        out
    }
}
