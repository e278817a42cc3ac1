//! `call`, `wait`, `notify`: what happens outside the task.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Assignments, StepId, StepTimeout, Template};
use crate::content::Text;
use crate::span::{Backoff, Span};

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
