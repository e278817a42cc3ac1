//! Why a request was refused, for gRPC and for REST.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tonic::{Code, Status};

/// A refusal with Google's code and a text for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Google's canonical code.
    pub code: Code,
    /// What to do about it.
    pub message: String,
}

impl Problem {
    pub(super) fn not_found(what: &str) -> Self {
        Self { code: Code::NotFound, message: format!("{what} does not exist: create it first") }
    }

    pub(super) fn exists(what: &str) -> Self {
        Self {
            code: Code::AlreadyExists,
            message: format!("{what} exists already: delete it first, or keep it"),
        }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self { code: Code::InvalidArgument, message: message.into() }
    }

    pub(super) fn exhausted(message: impl Into<String>) -> Self {
        Self { code: Code::ResourceExhausted, message: message.into() }
    }

    pub(super) fn outage() -> Self {
        Self {
            code: Code::Unavailable,
            message: "an outage was asked for: try again later".to_owned(),
        }
    }

    fn status(&self) -> (StatusCode, &'static str) {
        match self.code {
            Code::NotFound => (StatusCode::NOT_FOUND, "NOT_FOUND"),
            Code::AlreadyExists => (StatusCode::CONFLICT, "ALREADY_EXISTS"),
            Code::InvalidArgument => (StatusCode::BAD_REQUEST, "INVALID_ARGUMENT"),
            Code::FailedPrecondition => (StatusCode::BAD_REQUEST, "FAILED_PRECONDITION"),
            Code::ResourceExhausted => (StatusCode::TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED"),
            Code::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
            Code::DeadlineExceeded => (StatusCode::GATEWAY_TIMEOUT, "DEADLINE_EXCEEDED"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL"),
        }
    }
}

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        Status::new(problem.code, problem.message)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, name) = self.status();
        let error = json!({ "code": status.as_u16(), "message": self.message, "status": name });
        (status, axum::Json(json!({ "error": error }))).into_response()
    }
}
