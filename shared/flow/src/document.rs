//! The flow document: what an administrator designs, as data.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::content::{Lang, Text};
use crate::keyword::Keyword;
use crate::span::Span;
use crate::step::{Assignments, Step, StepId, StepKind, Template};

/// A flow as it is written, checked and published.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Flow {
    /// The id: `[a-z][a-z0-9-]{1,62}`.
    #[serde(rename = "flow")]
    pub id: String,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A short name of one task, shown in lists; may use the variables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<Template>,
    /// The time zone of dates in it; UTC where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// What starts it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<Trigger>,
    /// Its variables, typed.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub vars: IndexMap<String, Var>,
    /// The first step.
    pub start: StepId,
    /// How long a task may take as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<FlowTimeout>,
    /// The steps by id.
    pub steps: IndexMap<StepId, Step>,
    /// Conversations that must come out as written; publishing runs them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<FlowTest>,
}

impl Flow {
    /// What people call it in their language; the id where it has no name.
    pub fn title(&self, lang: Option<&Lang>) -> &str {
        self.name.as_ref().map_or(self.id.as_str(), |name| name.pick(lang))
    }

    /// The variables that steps declare by storing an object: `into` of call, wait, start, each
    /// and handoff.
    pub fn implied_vars(&self) -> Vec<&str> {
        self.steps
            .values()
            .filter_map(|step| match &step.kind {
                StepKind::Call(call) => call.into.as_deref(),
                StepKind::Wait(wait) => wait.into.as_deref(),
                StepKind::Start(start) => start.into.as_deref(),
                StepKind::Each(each) => each.into.as_deref(),
                StepKind::Handoff(handoff) => handoff.into.as_deref(),
                StepKind::Say(_)
                | StepKind::Ask(_)
                | StepKind::Set(_)
                | StepKind::Branch(_)
                | StepKind::Notify(_)
                | StepKind::Record(_)
                | StepKind::End(_) => None,
            })
            .filter(|name| !self.vars.contains_key(*name))
            .collect()
    }
}

/// The type of a variable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VarType {
    /// Text.
    String,
    /// A whole number within 64 bits.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// `2026-11-30`.
    Date,
    /// RFC 3339 UTC.
    Datetime,
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// `{url, name, mime, bytes}`.
    File,
    /// A list of anything.
    List,
    /// A JSON object.
    Object,
    /// Anything.
    #[default]
    Any,
}

impl VarType {
    /// The name the document uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Datetime => "datetime",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::File => "file",
            Self::List => "list",
            Self::Object => "object",
            Self::Any => "any",
        }
    }

    /// The value as this type, where that loses nothing: `"3"` for an integer, 3 for a text.
    pub fn coerce(self, value: Value) -> Option<Value> {
        if self.fits(&value) {
            return Some(value);
        }
        match (self, &value) {
            (Self::Integer, Value::String(text)) => {
                text.trim().parse::<i64>().ok().map(Value::from)
            }
            (Self::Integer, Value::Number(number)) => {
                let float = number.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 9e15)?;
                format!("{float:.0}").parse::<i64>().ok().map(Value::from)
            }
            (Self::Number, Value::String(text)) => {
                let float = text.trim().parse::<f64>().ok()?;
                serde_json::Number::from_f64(float).map(Value::Number)
            }
            (Self::Boolean, Value::String(text)) => text.trim().parse().ok().map(Value::Bool),
            (Self::String, Value::Number(_) | Value::Bool(_)) => {
                Some(Value::String(value.to_string()))
            }
            _ => None,
        }
    }

    /// Whether `value` has this type. Null always fits: a variable without a value.
    pub fn fits(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Any, _)
            | (_, Value::Null)
            | (Self::String | Self::Email | Self::Phone, Value::String(_))
            | (Self::Number, Value::Number(_))
            | (Self::Boolean, Value::Bool(_))
            | (Self::List, Value::Array(_))
            | (Self::Object | Self::File, Value::Object(_)) => true,
            (Self::Integer, Value::Number(number)) => number.is_i64(),
            (Self::Date, Value::String(text)) => {
                chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
            }
            (Self::Datetime, Value::String(text)) => {
                chrono::DateTime::parse_from_rfc3339(text).is_ok()
            }
            _ => false,
        }
    }
}

/// A declared variable.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Var {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: VarType,
    /// Its value at the start; null where left out.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub default: Value,
    /// What it means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// How long a task may take as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowTimeout {
    /// From the start of the task.
    pub after: Span,
    /// The outcome it then has.
    #[serde(default = "default_expired")]
    pub outcome: String,
}

fn default_expired() -> String {
    "expired".into()
}

/// What a trigger does while another task of the conversation waits for a reply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenBusy {
    /// Start at once and take the focus.
    Interrupt,
    /// Start when the conversation is free.
    Queue,
    /// Leave the message to the waiting task.
    #[default]
    Ignore,
}

/// What a trigger does while a task that it started is still open in the conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenOpen {
    /// Start another one.
    #[default]
    Start,
    /// Switch to the open one, which gets the message as a reply.
    Switch,
}

/// How a keyword is compared with a message (both trimmed, in lower case, half-width).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeywordMatch {
    /// The message is the keyword.
    #[default]
    Exact,
    /// The message begins with the keyword.
    Prefix,
    /// The message contains the keyword (whole words where the script has spaces).
    Contains,
}

/// What starts a flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "on", rename_all = "snake_case", deny_unknown_fields)]
pub enum Trigger {
    /// A message with certain words.
    Keyword {
        /// The words.
        #[schemars(with = "Vec<String>")]
        any: Vec<Keyword>,
        /// How they are compared.
        #[serde(default, rename = "match")]
        matching: KeywordMatch,
        /// What happens while another task waits for a reply.
        #[serde(default)]
        when_busy: WhenBusy,
        /// What happens while a task of this trigger is open.
        #[serde(default)]
        when_open: WhenOpen,
        /// Triggers with the same group count as one for `when_open`; the flow where left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group: Option<String>,
        /// Variables at the start; `input` is the message.
        #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
        vars: Assignments,
    },
    /// An event from outside: a `CloudEvents` event, or a message that carries an event type.
    Event {
        /// The `CloudEvents` type.
        #[serde(rename = "type")]
        kind: String,
        /// The contact the task talks with, from `event`; `event.data.contact.id` where left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contact: Option<Template>,
        /// What happens while another task waits for a reply (for messages).
        #[serde(default)]
        when_busy: WhenBusy,
        /// What happens while a task of this trigger is open.
        #[serde(default)]
        when_open: WhenOpen,
        /// Triggers with the same group count as one for `when_open`; the flow where left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group: Option<String>,
        /// Variables at the start; `event` is `{id, type, source, subject, time, data}`.
        #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
        vars: Assignments,
    },
    /// The clock.
    Schedule {
        /// Five fields: minute, hour, day of month, month, day of week.
        cron: String,
        /// The time zone, such as `Asia/Taipei`; UTC where left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        zone: Option<String>,
        /// The contact the task talks with; none where left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contact: Option<Template>,
        /// Variables at the start.
        #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
        vars: Assignments,
    },
}

impl Trigger {
    /// The variables it sets at the start.
    pub fn vars(&self) -> &Assignments {
        match self {
            Self::Keyword { vars, .. } | Self::Event { vars, .. } | Self::Schedule { vars, .. } => {
                vars
            }
        }
    }
}

/// A conversation that must come out as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowTest {
    /// What it shows.
    pub name: String,
    /// Variables at the start.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub vars: IndexMap<String, Value>,
    /// The language of the contact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang: Option<Lang>,
    /// When it happens; 2026-01-05T01:00:00Z where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<chrono::DateTime<chrono::Utc>>,
    /// What happens, in order.
    pub script: Vec<TestLine>,
    /// The outcome the task must end with; not checked where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Variables that must have these values at the end.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub expect_vars: IndexMap<String, Value>,
}

/// One line of a test's script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TestLine {
    /// The contact says this.
    User(String),
    /// The next message to the contact contains this.
    Bot(String),
    /// The open call is answered so.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The body.
        #[serde(default)]
        body: Value,
    },
    /// The open call fails for good.
    CallFails(String),
    /// So much time passes; due timers fire.
    After(Span),
    /// The awaited event comes.
    Event {
        /// Its data.
        #[serde(default)]
        data: Value,
    },
    /// All open children end so.
    Children {
        /// Their outcome.
        outcome: String,
        /// Their result.
        #[serde(default)]
        result: Value,
    },
    /// A person resolves the hand-off.
    Resolve {
        /// The resolution.
        resolution: String,
        /// A note.
        #[serde(default)]
        note: Option<String>,
    },
}
