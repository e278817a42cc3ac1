//! Errors of the Google clients, by meaning.

use std::time::Duration;

use ports::PortError;

/// When to come back to a service that does not answer.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Not now, later perhaps.
pub(crate) fn unavailable() -> PortError {
    PortError::Unavailable { retry_after: RETRY_AFTER }
}

/// Somebody else wrote in between.
pub(crate) fn conflict(what: &str, id: &str) -> PortError {
    PortError::Conflict { what: format!("{what} {id}") }
}

/// The port can never take this.
pub(crate) fn invalid(reason: impl Into<String>) -> PortError {
    PortError::Invalid { reason: reason.into() }
}

/// Whether what was asked for is not there.
pub(crate) fn is_not_found(error: &google_cloud_gax::error::Error) -> bool {
    use google_cloud_gax::error::rpc::Code;
    error.http_status_code() == Some(404)
        || error.status().is_some_and(|status| status.code == Code::NotFound)
}

/// The meaning of an error of the official clients (Pub/Sub, BigQuery, Cloud Tasks, secrets).
/// `NotFound`, `AlreadyExists` and the like are for the caller to judge first.
pub(crate) fn from_google(error: google_cloud_gax::error::Error) -> PortError {
    use google_cloud_gax::error::rpc::Code;
    let code = error.status().map(|status| status.code);
    let http = error.http_status_code();
    let passing = error.is_timeout()
        || error.is_connect()
        || error.is_io()
        || error.is_exhausted()
        || error.is_transient_and_before_rpc()
        || (error.is_transport() && http.is_none())
        || matches!(
            code,
            Some(
                Code::Unavailable
                    | Code::DeadlineExceeded
                    | Code::ResourceExhausted
                    | Code::Aborted
            )
        )
        || matches!(http, Some(429 | 500..=599))
        || is_rationed(&error);
    if !passing {
        return PortError::backend(error);
    }
    tracing::warn!(%error, "a Google service cannot be used right now");
    unavailable()
}

/// Whether a quota is used up for the moment: older services answer 403 and give the reason.
fn is_rationed(error: &google_cloud_gax::error::Error) -> bool {
    use google_cloud_gax::error::rpc::StatusDetails;
    let details = error.status().map(|status| status.details.as_slice()).unwrap_or_default();
    details.iter().any(|detail| match detail {
        StatusDetails::ErrorInfo(info) => {
            matches!(info.reason.as_str(), "rateLimitExceeded" | "jobRateLimitExceeded")
        }
        _ => false,
    })
}
