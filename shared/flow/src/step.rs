//! The twelve kinds of step. Adding one touches this enum, one module of the engine and one form
//! of the editor.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::content::Text;
use crate::expect::Expect;
use crate::span::{Backoff, Span};

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

/// One message of a `say`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SayMessage {
    /// The text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Text>,
    /// The URL of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Template>,
    /// The URL of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Template>,
}

/// Sends one or more messages: its own `text`, `image`, `file`, then `messages` in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Say {
    /// The text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Text>,
    /// The URL of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Template>,
    /// The URL of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Template>,
    /// Further messages, at most ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<SayMessage>,
    /// Suggestions shown with the last message; pressing one sends its label as a message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<ChoiceSpec>,
    /// Where to go on.
    pub next: StepId,
}

impl Say {
    /// All messages in order, its own first.
    pub fn all(&self) -> Vec<SayMessage> {
        let own = SayMessage {
            text: self.text.clone(),
            image: self.image.clone(),
            file: self.file.clone(),
        };
        let own = (own != SayMessage::default()).then_some(own);
        own.into_iter().chain(self.messages.iter().cloned()).collect()
    }
}

/// A reply on offer: a plain value, or a label with the value it stands for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ChoiceSpec {
    /// A label and its value.
    Labelled(LabelledChoice),
    /// A value that is its own label.
    Plain(Value),
}

/// A label and the value it stands for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelledChoice {
    /// What the person reads.
    pub label: Text,
    /// What the variable gets; the label where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

/// Choices written out, or one expression that gives a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Choices {
    /// Written out.
    List(Vec<ChoiceSpec>),
    /// `"{{ slots }}"`: a list of values, or of `{label, value}`.
    Computed(Template),
}

impl Default for Choices {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Choices {
    /// Whether none is offered.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::List(list) if list.is_empty())
    }
}

/// Sends a prompt, waits for a reply, validates and converts it into a variable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// The prompt.
    pub text: Text,
    /// The URL of a picture sent with the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Template>,
    /// The variable that gets the answer.
    pub into: String,
    /// What counts as an answer; the variable's own type where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
    /// Replies on offer: buttons where the channel has them, a numbered list elsewhere.
    #[serde(default, skip_serializing_if = "Choices::is_empty")]
    pub choices: Choices,
    /// What happens after an answer that does not fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reprompt: Option<Reprompt>,
    /// A reminder while nothing comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remind: Option<Remind>,
    /// Where to go when nothing came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<StepTimeout>,
    /// Where to go on.
    pub next: StepId,
}

/// What happens after an answer that does not fit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reprompt {
    /// How often to ask again (0 to 100) before `then`.
    #[serde(default = "default_reprompts")]
    pub times: u32,
    /// What to say; `input` is the reply. A hint for the expected type where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Text>,
    /// Where to go after that; the task fails where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<StepId>,
}

fn default_reprompts() -> u32 {
    3
}

/// A reminder while nothing comes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Remind {
    /// How long after the prompt, and between reminders.
    pub after: Span,
    /// What to say.
    pub text: Text,
    /// How many reminders at the most (1 to 20).
    #[serde(default = "default_reminders")]
    pub times: u32,
}

fn default_reminders() -> u32 {
    1
}

/// Where to go when nothing came for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepTimeout {
    /// How long to wait.
    pub after: Span,
    /// Where to go then.
    pub next: StepId,
}

/// Assigns variables, in order: later ones see earlier ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// Variable names and their new values.
    pub vars: Assignments,
    /// Where to go on.
    pub next: StepId,
}

/// First true case wins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Branch {
    /// Cases in order.
    pub cases: Vec<Case>,
    /// Where to go when none is true.
    #[serde(rename = "else")]
    pub otherwise: StepId,
}

/// One case of a branch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The condition.
    #[serde(rename = "if")]
    pub condition: Expression,
    /// Where it leads.
    pub next: StepId,
}

/// An HTTP request to an external system; it runs outside the task and never blocks it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// What to send.
    pub request: Request,
    /// The connection whose allowed hosts apply; public addresses only where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// How long one attempt may take (1s to 5m).
    #[serde(default = "default_call_timeout")]
    pub timeout: Span,
    /// When and how often to try again.
    #[serde(default)]
    pub retry: Retry,
    /// The variable that gets `{status, headers, body}`; it needs no declaration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
    /// Where an answer leads, whatever its status.
    pub next: StepId,
    /// Where no answer leads; the task fails where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_error: Option<StepId>,
}

fn default_call_timeout() -> Span {
    Span::seconds(20)
}

/// HTTP methods a call may use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// GET
    #[default]
    Get,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

impl Method {
    /// The method as HTTP spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// What a call sends. Values are templates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The method; GET where left out.
    #[serde(default)]
    pub method: Method,
    /// The address, https or http.
    pub url: Template,
    /// Query parameters, encoded for you.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub query: Assignments,
    /// Header fields.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub headers: IndexMap<String, Template>,
    /// A JSON body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// A text body, sent as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Template>,
    /// Credentials, by the name of a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
}

/// Credentials of a call: a name in the secret store, never a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// The secret's name.
    pub secret: String,
    /// The header that carries it as it is; `Authorization: Bearer …` where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
}

/// When and how often to try again: after no answer, 408, 425, 429 and 5xx.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// How many attempts after the first (0 to 20).
    #[serde(default = "default_retries")]
    pub times: u32,
    /// The waits between them.
    #[serde(default)]
    pub backoff: Backoff,
}

fn default_retries() -> u32 {
    3
}

impl Default for Retry {
    fn default() -> Self {
        Self { times: default_retries(), backoff: Backoff::default() }
    }
}

/// Waits for a duration, until a time, or for an external event: exactly one of the three.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// For so long; a template may compute it.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub duration: Option<Template>,
    /// Until a date or a time in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Template>,
    /// For an event from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<AwaitedEvent>,
    /// The variable that gets the event's data; it needs no declaration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
    /// Where to go when the event did not come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<StepTimeout>,
    /// Where to go on.
    pub next: StepId,
}

/// The event a task waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwaitedEvent {
    /// Its `CloudEvents` type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its correlation key (the event's `subject`), such as an order number.
    pub key: Template,
}

/// Whether a parent waits for its child.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StartMode {
    /// Wait and take its result.
    #[default]
    Wait,
    /// Go on at once.
    Detach,
}

/// Starts another flow as a child task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// The flow to start.
    pub flow: String,
    /// Its variables.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub vars: Assignments,
    /// The contact it talks with (an id); the parent's where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Template>,
    /// Wait for it, or not.
    #[serde(default)]
    pub mode: StartMode,
    /// The variable that gets `{task, outcome, result}`; it needs no declaration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
    /// Where to go on.
    pub next: StepId,
    /// Where a child that failed, was cancelled or expired leads; the task fails where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_error: Option<StepId>,
}

/// Runs a child flow for every item of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Each {
    /// The list, at most 1,000 items.
    pub items: Value,
    /// The flow to run for each.
    pub flow: String,
    /// Its variables; `item` and `index` (from 0) are in scope.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub vars: Assignments,
    /// The contact each child talks with (an id); the parent's where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Template>,
    /// How many run at the same time (1 to 50).
    #[serde(default = "default_parallel")]
    pub parallel: u32,
    /// The variable that gets a list of `{task, outcome, result}` in item order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
    /// Where to go on.
    pub next: StepId,
    /// Where any child that did not complete leads, after all have ended; `next` where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_error: Option<StepId>,
}

fn default_parallel() -> u32 {
    10
}

/// Assigns the task to a queue of people; messages flow both ways until one of them resolves it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Handoff {
    /// The queue.
    pub queue: String,
    /// What the contact is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Text>,
    /// What the people of the queue should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Template>,
    /// The resolutions they may choose from; any text where left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolutions: Vec<String>,
    /// The variable that gets `{resolution, note, by}`; it needs no declaration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
    /// Where to go when nobody resolved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<StepTimeout>,
    /// Where to go on.
    pub next: StepId,
}

/// Tells a business user or channel without waiting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// The connection to send by; the task's own where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// Whom to tell: the contact's or channel's id there.
    pub to: Template,
    /// What to say.
    pub text: Text,
    /// Where to go on.
    pub next: StepId,
}

/// Lands one row in a warehouse table, checked against its schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The table.
    pub table: String,
    /// Column names and values.
    pub row: Assignments,
    /// Where to go on.
    pub next: StepId,
}

/// Ends the task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// How it ended, for reports and for the parent.
    #[serde(default = "default_outcome")]
    pub outcome: String,
    /// What the parent gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
}

fn default_outcome() -> String {
    "completed".into()
}
