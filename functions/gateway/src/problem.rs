//! Errors as RFC 9457 problem documents. Never a 500 for input, never a stack trace.

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use engine::Refused;
use ports::PortError;
use runtime::HandleError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// A problem document (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// What kind of problem: `about:blank` where the status says it all.
    #[serde(rename = "type")]
    pub kind: String,
    /// A short name of the kind.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong here and what to do.
    pub detail: String,
    /// The fields at fault.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// After how many seconds to try again, as in the `Retry-After` header.
    #[serde(skip)]
    pub retry_after_seconds: Option<u64>,
}

/// A field at fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer into the request's body.
    pub pointer: String,
    /// What is wrong with it.
    pub message: String,
}

impl Problem {
    /// A problem of this status.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank".into(),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_seconds: None,
        }
    }

    /// 400: not even well-formed.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 401.
    pub fn unauthorised(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// 404.
    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no {what}"))
    }

    /// 422 with the field at fault.
    pub fn field(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        let (pointer, message) = (pointer.into(), message.into());
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, message.clone());
        if !pointer.is_empty() {
            problem.errors.push(FieldError { pointer, message });
        }
        problem
    }

    /// The same problem of a part of the body, which is at `place`.
    #[must_use]
    pub fn inside(mut self, place: &str) -> Self {
        if self.errors.is_empty() && !place.is_empty() {
            let message = self.detail.clone();
            self.errors.push(FieldError { pointer: String::new(), message });
        }
        for error in &mut self.errors {
            error.pointer.insert_str(0, place);
        }
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after_seconds;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<HandleError> for Problem {
    fn from(error: HandleError) -> Self {
        match error {
            HandleError::Port(error) => error.into(),
            HandleError::Refused(refused) => refused.into(),
            HandleError::Unprocessable { pointer, message } => Self::field(pointer, message),
            HandleError::NotFound(what) => Self::not_found(what),
            HandleError::Conflict(detail) => Self::new(StatusCode::CONFLICT, detail),
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Invalid(message) => Self::field("", message),
            other => Self::new(StatusCode::CONFLICT, other.to_string()),
        }
    }
}

impl From<PortError> for Problem {
    fn from(error: PortError) -> Self {
        match error {
            PortError::NotFound { what } => Self::not_found(what),
            PortError::Conflict { .. } | PortError::Duplicate { .. } => {
                Self::new(StatusCode::CONFLICT, error.to_string())
            }
            PortError::Invalid { reason } => Self::new(StatusCode::UNPROCESSABLE_ENTITY, reason),
            PortError::TooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string())
            }
            PortError::Unavailable { retry_after } => {
                let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string());
                problem.retry_after_seconds = Some(retry_after.as_secs().max(1));
                problem
            }
            PortError::Backend { source } => {
                // The cause is for the log; outside it helps nobody but an attacker.
                tracing::error!(%source, "the backend failed");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "something failed on our side; the log of the server says what",
                )
            }
        }
    }
}

/// Gives every error response that is not a problem document yet the form of one: unknown paths,
/// wrong methods, ids that are not UTF-8.
pub async fn unify(response: axum::response::Response) -> axum::response::Response {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let content_type = response.headers().get(header::CONTENT_TYPE);
    if !is_error || content_type.is_some_and(|kind| kind == MEDIA_TYPE) {
        return response;
    }
    let detail = match status {
        StatusCode::NOT_FOUND => "there is nothing at this address; /docs lists what there is",
        StatusCode::METHOD_NOT_ALLOWED => {
            "this address does not take this method; /docs lists those it takes"
        }
        StatusCode::PAYLOAD_TOO_LARGE => "the body is larger than 1 MiB; send less",
        StatusCode::INTERNAL_SERVER_ERROR => {
            "something failed on our side; the log of the server says what"
        }
        _ => "the request is malformed; compare it with /docs",
    };
    let mut unified = Problem::new(status, detail).into_response();
    if let Some(allow) = response.headers().get(header::ALLOW) {
        unified.headers_mut().insert(header::ALLOW, allow.clone());
    }
    unified
}
