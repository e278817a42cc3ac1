//! A reply as a signed POST with the headers of Standard Webhooks.

use chrono::{DateTime, Utc};
use flow::Content;
use serde::Serialize;

use super::signature;

/// The body of a reply.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReplyBody<'a> {
    /// The message's id; the same on every attempt, so that the receiver can drop repetitions.
    pub id: &'a str,
    /// The connection.
    pub connection: &'a str,
    /// The conversation.
    pub conversation: &'a str,
    /// The contact's id.
    pub contact: &'a str,
    /// The task, where it belongs to one.
    pub task: Option<&'a str>,
    /// The message it answers.
    pub in_reply_to: Option<&'a str>,
    /// When it was made, RFC 3339.
    pub created_at: DateTime<Utc>,
    /// What it says.
    #[serde(flatten)]
    pub content: &'a Content,
}

/// A request to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct SignedReply {
    /// Header fields.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Encodes and signs a reply. Without a secret it goes unsigned, with its id and time.
pub fn encode(
    reply: &ReplyBody<'_>,
    secret: Option<&str>,
    now: DateTime<Utc>,
) -> Result<SignedReply, serde_json::Error> {
    let body = serde_json::to_vec(reply)?;
    let mut headers = vec![
        ("content-type".to_owned(), "application/json".to_owned()),
        (signature::ID.to_owned(), reply.id.to_owned()),
        (signature::TIMESTAMP.to_owned(), now.timestamp().to_string()),
    ];
    if let Some(secret) = secret {
        let signed = signature::sign(secret, reply.id, now, &body);
        headers.push((signature::SIGNATURE.to_owned(), signed));
    }
    Ok(SignedReply { headers, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_verifies_at_the_other_end() {
        let content = Content::text("已送出");
        let reply = ReplyBody {
            id: "msg_1",
            connection: "erp",
            conversation: "conv_1",
            contact: "u-42",
            task: Some("task_1"),
            in_reply_to: None,
            created_at: DateTime::UNIX_EPOCH,
            content: &content,
        };
        let signed = encode(&reply, Some("s3cret"), DateTime::UNIX_EPOCH).unwrap();
        let header = |name: &str| {
            signed.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).unwrap()
        };
        assert!(signature::verify(
            "s3cret",
            header("webhook-id"),
            header("webhook-timestamp"),
            header("webhook-signature"),
            &signed.body,
            DateTime::UNIX_EPOCH
        ));
        let body: serde_json::Value = serde_json::from_slice(&signed.body).unwrap();
        assert_eq!(body["text"], "已送出");
        assert_eq!(body["task"], "task_1");
    }
}
