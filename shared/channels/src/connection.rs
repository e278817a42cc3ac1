//! A connection: one LINE channel, one Slack app, one webhook; with its settings.

use flow::Lang;
use serde::{Deserialize, Serialize};

/// What a connection speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Signed JSON, in the style of Standard Webhooks.
    #[default]
    Webhook,
    /// The HTTP API itself; made by the system, has no webhook.
    Api,
}

/// Where replies go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "to", rename_all = "snake_case")]
pub enum ReplyTarget {
    /// Nowhere: who wants them reads them by the API.
    #[default]
    None,
    /// A signed POST to this address.
    Url {
        /// The address.
        url: String,
    },
    /// The terminal of the local server.
    Terminal,
}

/// How a webhook's JSON is read: one expression per field, over `body` and `headers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mapping {
    /// What makes a delivery the same delivery.
    pub id: String,
    /// The contact's id.
    pub contact_id: String,
    /// The contact's name.
    pub contact_name: String,
    /// The contact's language.
    pub contact_lang: String,
    /// The thread; the contact's id where it gives nothing.
    pub conversation: String,
    /// The text of the message.
    pub text: String,
    /// What a button sent back.
    pub payload: String,
    /// The task it names.
    pub task: String,
    /// The event type.
    pub event: String,
    /// The correlation key of an event.
    pub subject: String,
    /// The data of an event.
    pub data: String,
    /// A list of `{url, name, mime, bytes, kind}`.
    pub attachments: String,
}

impl Default for Mapping {
    fn default() -> Self {
        Self {
            id: "body.id".into(),
            contact_id: "body.contact.id".into(),
            contact_name: "body.contact.name".into(),
            contact_lang: "body.contact.lang".into(),
            conversation: "body.conversation".into(),
            text: "body.text".into(),
            payload: "body.payload".into(),
            task: "body.task".into(),
            event: "body.event".into(),
            subject: "body.subject".into(),
            data: "body.data".into(),
            attachments: "body.attachments".into(),
        }
    }
}

impl Mapping {
    /// Every field's name and expression.
    pub fn fields(&self) -> [(&'static str, &str); 12] {
        [
            ("id", &self.id),
            ("contact_id", &self.contact_id),
            ("contact_name", &self.contact_name),
            ("contact_lang", &self.contact_lang),
            ("conversation", &self.conversation),
            ("text", &self.text),
            ("payload", &self.payload),
            ("task", &self.task),
            ("event", &self.event),
            ("subject", &self.subject),
            ("data", &self.data),
            ("attachments", &self.attachments),
        ]
    }
}

/// A connection and its settings. Secrets are names in the secret store, never values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// Its id: `[a-z][a-z0-9-]{1,62}`; part of its webhook's address.
    pub id: String,
    /// What it speaks.
    #[serde(default)]
    pub channel: Channel,
    /// What people call it.
    #[serde(default)]
    pub name: String,
    /// The name of the secret that signs what comes in and what goes out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Takes unsigned requests, from this machine only. For demos and development.
    #[serde(default)]
    pub unsigned_from_loopback: bool,
    /// Where replies go.
    #[serde(default)]
    pub reply: ReplyTarget,
    /// How its JSON is read.
    #[serde(default)]
    pub mapping: Mapping,
    /// Hosts on internal addresses that calls and replies of this connection may reach, as
    /// `host` or `host:port`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_hosts: Vec<String>,
    /// The flow that takes messages nothing else does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_flow: Option<String>,
    /// The language of contacts that tell none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang: Option<Lang>,
    /// Counts up with every change; the ETag.
    #[serde(default)]
    pub revision: u64,
}
