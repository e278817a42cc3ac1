//! What a channel's webhook brings, whatever the channel.

use flow::{Contact, Content};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longest text of an inbound message, in characters; the rest of the text is refused, not cut.
pub const TEXT_CHARS_MAX: usize = 20_000;
/// Longest id of a contact, thread or delivery, in bytes.
pub const ID_BYTES_MAX: usize = 200;

/// One thing that came in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inbound {
    /// What makes a second delivery of it the same; none where the channel gives nothing.
    pub id: Option<String>,
    /// Who.
    pub contact: Option<Contact>,
    /// The thread's key on the connection; the contact's id where the channel has no threads.
    pub conversation: Option<String>,
    /// What.
    pub body: InboundBody,
}

/// What came in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum InboundBody {
    /// A message of the contact.
    Message {
        /// What it says.
        content: Content,
        /// What a button sent back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payload: Option<String>,
        /// The task it names.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task: Option<String>,
        /// An event type that comes with it and may trigger a flow.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        event: Option<String>,
    },
    /// An event without a message.
    Event {
        /// Its type.
        event_type: String,
        /// Its correlation key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subject: Option<String>,
        /// Its data.
        #[serde(default)]
        data: Value,
    },
}

/// Why a webhook's request is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InboundError {
    /// It is not signed as the connection demands. Says no more than that, on purpose.
    #[error("the signature is missing, wrong or too old")]
    Unauthorised,
    /// The body is not JSON.
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    /// The body does not hold what the connection's mapping looks for.
    #[error("{message}")]
    Unfit {
        /// JSON pointer into the body, where one field is at fault.
        pointer: String,
        /// What is wrong and what to do.
        message: String,
    },
}
