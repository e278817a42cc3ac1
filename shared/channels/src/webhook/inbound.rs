//! From a webhook's request to what it says.

use chrono::{DateTime, Utc};
use flow::template::{self, Scope};
use flow::{Attachment, Contact, Content, Lang};
use serde_json::{Map, Value, json};

use super::signature;
use crate::connection::{Connection, Mapping};
use crate::inbound::{ID_BYTES_MAX, Inbound, InboundBody, InboundError, TEXT_CHARS_MAX};

/// Most attachments of one message.
const ATTACHMENTS_MAX: usize = 10;

/// A request as the gateway got it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// A header's value, by its name in lower case.
    pub headers: &'a dyn HeaderLookup,
    /// The raw body: what the signature covers.
    pub body: &'a [u8],
    /// The secret of the connection.
    pub secret: Option<&'a str>,
    /// Whether the request came from this machine.
    pub from_loopback: bool,
    /// The time.
    pub now: DateTime<Utc>,
}

/// Header fields by name.
pub trait HeaderLookup: std::fmt::Debug {
    /// The value of the field, where it is there and is text.
    fn get(&self, name: &str) -> Option<&str>;
}

impl HeaderLookup for http::HeaderMap {
    fn get(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Verifies and reads one request.
pub fn read(connection: &Connection, request: &Request<'_>) -> Result<Inbound, InboundError> {
    let signed_id = verify(connection, request)?;
    let body: Value = serde_json::from_slice(request.body)
        .map_err(|error| InboundError::NotJson(error.to_string()))?;
    if flow::nesting::is_too_deep(&body) {
        let limit = flow::nesting::DEPTH_MAX;
        return Err(unfit(
            "",
            &format!("the body is nested deeper than {limit} levels; flatten it"),
        ));
    }
    if !body.is_object() {
        return Err(unfit("", "the body must be a JSON object, such as {\"id\": \"evt-1\", …}"));
    }
    let reader = Reader::new(&connection.mapping, body, request);
    reader.read(signed_id)
}

/// The delivery's id from the signed headers, where the request is signed.
fn verify(connection: &Connection, request: &Request<'_>) -> Result<Option<String>, InboundError> {
    let header = |name| request.headers.get(name).unwrap_or_default();
    if let Some(secret) = request.secret {
        let (id, time, signatures) =
            (header(signature::ID), header(signature::TIMESTAMP), header(signature::SIGNATURE));
        if signature::verify(secret, id, time, signatures, request.body, request.now) {
            return Ok(Some(id.to_owned()));
        }
    }
    if connection.unsigned_from_loopback && request.from_loopback {
        return Ok(None);
    }
    Err(InboundError::Unauthorised)
}

struct Reader<'a> {
    mapping: &'a Mapping,
    extra: Map<String, Value>,
    now: DateTime<Utc>,
}

impl<'a> Reader<'a> {
    fn new(mapping: &'a Mapping, body: Value, request: &Request<'_>) -> Self {
        let mut headers = Map::new();
        for name in ["content-type", "user-agent", signature::ID] {
            if let Some(value) = request.headers.get(name) {
                headers.insert(name.to_owned(), Value::String(value.to_owned()));
            }
        }
        let mut extra = Map::new();
        extra.insert("body".into(), body);
        extra.insert("headers".into(), Value::Object(headers));
        Self { mapping, extra, now: request.now }
    }

    fn read(&self, signed_id: Option<String>) -> Result<Inbound, InboundError> {
        let id = self.id("id", &self.mapping.id)?.or(signed_id);
        let contact = match self.id("contact_id", &self.mapping.contact_id)? {
            Some(id) => Some(Contact {
                id,
                name: self.name("contact_name", &self.mapping.contact_name)?,
                lang: self.name("contact_lang", &self.mapping.contact_lang)?.map(Lang),
            }),
            None => None,
        };
        let conversation = self.id("conversation", &self.mapping.conversation)?;
        let text = self.text("text", &self.mapping.text)?;
        let payload = self.text("payload", &self.mapping.payload)?;
        let task = self.id("task", &self.mapping.task)?;
        let event = self.id("event", &self.mapping.event)?;
        let attachments = self.attachments()?;
        let is_message = text.is_some() || payload.is_some() || !attachments.is_empty();
        let body = match (is_message, event) {
            (true, event) => {
                if contact.is_none() {
                    return Err(unfit(
                        "/contact/id",
                        "a message needs a contact: add \"contact\": {\"id\": \"u-42\"}",
                    ));
                }
                let text = text.or_else(|| payload.clone()).unwrap_or_default();
                let content = Content { text, attachments, choices: Vec::new() };
                InboundBody::Message { content, payload, task, event }
            }
            (false, Some(event_type)) => InboundBody::Event {
                event_type,
                subject: self.id("subject", &self.mapping.subject)?,
                data: self.value("data", &self.mapping.data)?.unwrap_or(Value::Null),
            },
            (false, None) => {
                return Err(unfit(
                    "/text",
                    "there is neither a message nor an event: add \"text\": \"hello\"",
                ));
            }
        };
        Ok(Inbound { id, contact, conversation, body })
    }

    /// What an expression gives; nothing where it gives null, undefined or an empty text.
    fn value(&self, field: &str, expression: &str) -> Result<Option<Value>, InboundError> {
        if expression.trim().is_empty() {
            return Ok(None);
        }
        // The usual `body.a.b` needs no template engine.
        if let Some(parts) = plain_path(expression) {
            return Ok(self.follow(&parts).cloned().filter(is_something));
        }
        let empty = Map::new();
        let scope = Scope {
            vars: &empty,
            input: None,
            contact: &Value::Null,
            task: &Value::Null,
            extra: &self.extra,
            now: self.now,
            zone: chrono_tz::UTC,
        };
        match template::expression(expression, &scope) {
            Ok(value) => Ok(Some(value).filter(is_something)),
            Err(error) if error.kind == template::ErrorKind::Undefined => Ok(None),
            Err(error) => Err(unfit(
                "",
                &format!("the connection's mapping of `{field}` fails on this body: {error}"),
            )),
        }
    }

    fn follow(&self, parts: &[&str]) -> Option<&Value> {
        let (root, rest) = parts.split_first()?;
        rest.iter().try_fold(self.extra.get(*root)?, |value, part| value.get(*part))
    }

    fn text(&self, field: &str, expression: &str) -> Result<Option<String>, InboundError> {
        let text = match self.value(field, expression)? {
            None => return Ok(None),
            Some(Value::String(text)) => text,
            Some(Value::Number(number)) => number.to_string(),
            Some(_) => {
                return Err(unfit(&format!("/{field}"), &format!("`{field}` must be a text")));
            }
        };
        if text.chars().nth(TEXT_CHARS_MAX).is_some() {
            let message =
                format!("`{field}` has more than {TEXT_CHARS_MAX} characters; shorten it");
            return Err(unfit(&format!("/{field}"), &message));
        }
        if text.contains('\0') {
            let message = format!("`{field}` holds a NUL character; remove it");
            return Err(unfit(&format!("/{field}"), &message));
        }
        Ok(Some(text))
    }

    fn id(&self, field: &str, expression: &str) -> Result<Option<String>, InboundError> {
        let Some(id) = self.text(field, expression)? else { return Ok(None) };
        if id.len() > ID_BYTES_MAX || id.chars().any(char::is_control) {
            let message = format!(
                "`{field}` must have at most {ID_BYTES_MAX} bytes and no control characters"
            );
            return Err(unfit(&format!("/{}", field.replace('_', "/")), &message));
        }
        Ok(Some(id))
    }

    fn name(&self, field: &str, expression: &str) -> Result<Option<String>, InboundError> {
        let name = self.text(field, expression)?;
        Ok(name.map(|name| name.chars().filter(|c| !c.is_control()).take(200).collect()))
    }

    fn attachments(&self) -> Result<Vec<Attachment>, InboundError> {
        let field = "attachments";
        match self.value(field, &self.mapping.attachments)? {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) if items.len() <= ATTACHMENTS_MAX => items
                .into_iter()
                .enumerate()
                .map(|(index, item)| {
                    serde_json::from_value::<Attachment>(item).map_err(|error| {
                        unfit(
                            &format!("/attachments/{index}"),
                            &format!("not an attachment: {error}"),
                        )
                    })
                })
                .collect(),
            Some(_) => Err(unfit(
                "/attachments",
                &format!("`attachments` must be a list of at most {ATTACHMENTS_MAX}"),
            )),
        }
    }
}

/// The parts of an expression that is no more than a path of names.
fn plain_path(expression: &str) -> Option<Vec<&str>> {
    let plain = |part: &&str| {
        part.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let parts: Vec<&str> = expression.split('.').collect();
    (parts.len() > 1 && parts.iter().all(plain)).then_some(parts)
}

fn is_something(value: &Value) -> bool {
    !(value.is_null() || *value == json!(""))
}

fn unfit(pointer: &str, message: &str) -> InboundError {
    InboundError::Unfit { pointer: pointer.to_owned(), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> Connection {
        Connection { id: "demo".into(), unsigned_from_loopback: true, ..Connection::default() }
    }

    fn read_body(connection: &Connection, body: &str) -> Result<Inbound, InboundError> {
        let headers = http::HeaderMap::new();
        let request = Request {
            headers: &headers,
            body: body.as_bytes(),
            secret: None,
            from_loopback: true,
            now: DateTime::UNIX_EPOCH,
        };
        read(connection, &request)
    }

    #[test]
    fn the_minimal_body_is_enough() {
        let body = r#"{"id": "evt-1", "contact": {"id": "u-42", "name": "Mei"}, "text": "請假"}"#;
        let inbound = read_body(&connection(), body).unwrap();
        assert_eq!(inbound.id.as_deref(), Some("evt-1"));
        let contact = inbound.contact.unwrap();
        assert_eq!((contact.id.as_str(), contact.name.as_deref()), ("u-42", Some("Mei")));
        assert_eq!(
            inbound.body,
            InboundBody::Message {
                content: Content::text("請假"),
                payload: None,
                task: None,
                event: None
            }
        );
    }

    #[test]
    fn a_mapping_reads_any_shape() {
        let mut connection = connection();
        connection.mapping.contact_id = "body.from.phone".into();
        connection.mapping.text = "body.parts | map(attribute='t') | join(' ')".into();
        let inbound =
            read_body(&connection, r#"{"from": {"phone": 42}, "parts": [{"t": "a"}, {"t": "b"}]}"#)
                .unwrap();
        assert_eq!(inbound.contact.as_ref().unwrap().id, "42");
        let InboundBody::Message { content, .. } = inbound.body else { panic!("{inbound:?}") };
        assert_eq!(content.text, "a b");
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let pointer = |body: &str| match read_body(&connection(), body) {
            Err(InboundError::Unfit { pointer, .. }) => pointer,
            other => format!("{other:?}"),
        };
        assert_eq!(pointer(r#"{"text": "hi"}"#), "/contact/id");
        assert_eq!(pointer(r#"{"contact": {"id": "u"}}"#), "/text");
        assert_eq!(pointer(r#"{"contact": {"id": "u"}, "text": {}}"#), "/text");
        assert_eq!(pointer(r#"{"contact": {"id": "u"}, "text": "a\u0000b"}"#), "/text");
        assert_eq!(pointer(r#"{"contact": {"id": "a\nb"}, "text": "x"}"#), "/contact/id");
        assert_eq!(pointer("[]"), "");
        assert!(matches!(read_body(&connection(), "{"), Err(InboundError::NotJson(_))));
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(matches!(read_body(&connection(), &deep), Err(InboundError::NotJson(_))));
    }

    #[test]
    fn unsigned_is_for_this_machine_only() {
        let headers = http::HeaderMap::new();
        let mut request = Request {
            headers: &headers,
            body: br#"{"contact": {"id": "u"}, "text": "x"}"#,
            secret: None,
            from_loopback: false,
            now: DateTime::UNIX_EPOCH,
        };
        assert_eq!(read(&connection(), &request), Err(InboundError::Unauthorised));
        request.from_loopback = true;
        assert!(read(&connection(), &request).is_ok());
        let signed = Connection { unsigned_from_loopback: false, ..connection() };
        assert_eq!(read(&signed, &request), Err(InboundError::Unauthorised));
    }

    proptest::proptest! {
        #[test]
        fn no_body_panics(body: Vec<u8>) {
            let headers = http::HeaderMap::new();
            let request = Request {
                headers: &headers,
                body: &body,
                secret: None,
                from_loopback: true,
                now: DateTime::UNIX_EPOCH,
            };
            let _ = read(&connection(), &request);
        }

        #[test]
        fn no_field_panics(id in "\\PC{0,20}", text in "\\PC{0,40}", event in "\\PC{0,10}") {
            let body = json!({"id": id, "contact": {"id": id}, "text": text, "event": event});
            let _ = read_body(&connection(), &body.to_string());
        }
    }
}
