//! Reading requests: bodies under a limit, JSON with the field at fault, who is asking.

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use runtime::HandleError;
use runtime::keys::{self, Caller};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use crate::Gateway;
use crate::problem::Problem;

/// Largest body of a request, in bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The raw body of a request, at most [`BODY_BYTES_MAX`].
pub async fn bytes(body: Body) -> Result<Bytes, Problem> {
    to_bytes(body, BODY_BYTES_MAX).await.map_err(|error| {
        if std::error::Error::source(&error)
            .is_some_and(|cause| cause.to_string().contains("length limit"))
        {
            Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body has more than {BODY_BYTES_MAX} bytes; send less"),
            )
        } else {
            Problem::malformed("the body ended before its length; send it again")
        }
    })
}

/// Whether the headers say that the body is JSON.
pub fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// 415 with what to send instead.
pub fn not_json() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "send JSON with the header `Content-Type: application/json`",
    )
}

/// Parses JSON; a NUL in any text is refused, since nothing downstream can store it faithfully.
pub fn json(bytes: &[u8]) -> Result<Value, Problem> {
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| Problem::malformed(format!("the body is not JSON: {error}")))?;
    if flow::nesting::is_too_deep(&value) {
        let limit = flow::nesting::DEPTH_MAX;
        let detail = format!("the body is nested deeper than {limit} levels; flatten it");
        return Err(Problem::field("", detail));
    }
    match find_nul(&value) {
        Some(pointer) => Err(Problem::field(pointer, "the text holds a NUL character; remove it")),
        None => Ok(value),
    }
}

/// `serde_json` admits 128 levels, so the recursion is bounded.
fn find_nul(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => text.contains('\0').then(String::new),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| find_nul(item).map(|rest| format!("/{index}{rest}"))),
        Value::Object(map) => map.iter().find_map(|(key, item)| {
            if key.contains('\0') {
                return Some(String::new());
            }
            let key = flow::problem::escape_pointer(key);
            find_nul(item).map(|rest| format!("/{key}{rest}"))
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// A typed value from JSON; 422 with the pointer of the field at fault.
pub fn typed<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    // Serde would read a list as the fields in order.
    if !value.is_object() {
        return Err(Problem::field("", "the body must be a JSON object: {…}"));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let pointer: String = error.path().iter().map(segment).collect();
        Problem::field(pointer, error.inner().to_string())
    })
}

fn segment(segment: &Segment) -> String {
    match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", flow::problem::escape_pointer(key)),
        // Neither is a place in the document.
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    }
}

/// A JSON body.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Gateway> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Gateway) -> Result<Self, Problem> {
        let json_declared = is_json(request.headers());
        let bytes = bytes(request.into_body()).await?;
        if bytes.is_empty() {
            // Nothing at all stands for an empty object: `curl -X POST …/retry`.
            return typed(Value::Object(serde_json::Map::new())).map(Self);
        }
        if !json_declared {
            return Err(not_json());
        }
        typed(json(&bytes)?).map(Self)
    }
}

/// Query parameters.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Gateway> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Result<Self, Problem> {
        axum::extract::Query::<T>::from_request_parts(parts, gateway)
            .await
            .map(|query| Self(query.0))
            .map_err(|rejection| {
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, rejection.body_text())
            })
    }
}

/// Who is asking. Every route of the API asks [`Access::may`] for one permission by name.
pub struct Access(Caller);

impl FromRequestParts<Gateway> for Access {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Result<Self, Problem> {
        let given = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, key)| key.trim());
        let Some(key) = given else {
            return Err(Problem::unauthorised(
                "send an API key in the header `Authorization: Bearer cf_…`",
            ));
        };
        match keys::authenticate(&gateway.app, key).await? {
            Some(caller) => Ok(Self(caller)),
            None => Err(Problem::unauthorised(
                "the API key is unknown or was revoked; ask an administrator for a new one",
            )),
        }
    }
}

impl Access {
    /// The caller, where they may do this; 403 where not.
    pub fn may(self, permission: &str) -> Result<Caller, Problem> {
        require(&self.0, permission)?;
        Ok(self.0)
    }
}

/// One more permission, for routes that take two; 403 where the caller lacks it.
pub fn require(caller: &Caller, permission: &str) -> Result<(), Problem> {
    if caller.may(permission) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        format!("this API key lacks the permission `{permission}`"),
    ))
}

/// 422 where there is no such connection; trouble of the store stays what it is.
pub async fn known_connection(gateway: &Gateway, pointer: &str, id: &str) -> Result<(), Problem> {
    match gateway.app.connection(id).await {
        Ok(_) => Ok(()),
        Err(HandleError::NotFound(what)) => {
            Err(Problem::field(pointer, format!("there is no {what}")))
        }
        Err(error) => Err(error.into()),
    }
}

/// The revision of an `If-Match` header, as the `ETag` gave it.
pub fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    text.trim_start_matches("W/").trim_matches('"').parse().map(Some).map_err(|_| {
        Problem::new(
            StatusCode::PRECONDITION_FAILED,
            "If-Match must be the ETag of the last GET; load it again and repeat the change",
        )
    })
}

/// A conflict that stands for a stale `If-Match`.
pub fn stale(problem: Problem, conditional: bool) -> Problem {
    if conditional && problem.status == StatusCode::CONFLICT.as_u16() {
        let mut problem = problem;
        problem.status = StatusCode::PRECONDITION_FAILED.as_u16();
        problem.title = "Precondition Failed".into();
        return problem;
    }
    problem
}
