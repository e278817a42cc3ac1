//! Errors of SQLite and of stored documents, by meaning.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ports::PortError;
use rusqlite::ErrorCode;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// When to come back to a store that is busy or full.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How often trouble of the disk is told while it lasts.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// SQLite's limit of one value.
const VALUE_BYTES_MAX: usize = 1_000_000_000;

/// An error inside this crate: a [`PortError`] that `?` makes of SQLite's errors as well.
#[derive(Debug)]
pub(crate) struct Fault(pub(crate) PortError);

/// The result of everything inside this crate.
pub(crate) type Outcome<T> = Result<T, Fault>;

impl From<PortError> for Fault {
    fn from(error: PortError) -> Self {
        Self(error)
    }
}

impl From<Fault> for PortError {
    fn from(fault: Fault) -> Self {
        fault.0
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self(match error.sqlite_error_code() {
            // Another program, the disk, the memory, file descriptors: somebody can make room
            // while we run.
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::OutOfMemory,
            ) => {
                tell(&error);
                unavailable()
            }
            Some(ErrorCode::TooBig) => {
                PortError::TooLarge { what: "a value".into(), limit: VALUE_BYTES_MAX }
            }
            _ => PortError::backend(error),
        })
    }
}

/// Says in the log what the disk or the system refuses, and what to do; not for every request.
fn tell(error: &rusqlite::Error) {
    static LAST: Mutex<Option<Instant>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if last.is_none_or(|last| last.elapsed() >= TELL_EVERY) {
        *last = Some(Instant::now());
        tracing::error!(
            %error,
            "the data cannot be read or written, and nothing is accepted until it can; look at its \
             disk (is it full?) and at other programs that have it open"
        );
    }
}

/// Not now, later perhaps.
pub(crate) fn unavailable() -> PortError {
    PortError::Unavailable { retry_after: RETRY_AFTER }
}

/// Somebody else wrote in between.
pub(crate) fn conflict(what: &str, id: &str) -> Fault {
    Fault(PortError::Conflict { what: format!("{what} {id}") })
}

/// The port can never take this.
pub(crate) fn invalid(reason: impl Into<String>) -> Fault {
    Fault(PortError::Invalid { reason: reason.into() })
}

/// A number as SQLite stores it.
pub(crate) fn integer(what: &str, number: u64) -> Outcome<i64> {
    i64::try_from(number)
        .map_err(|_| invalid(format!("{what} is {number}; the largest number is {}", i64::MAX)))
}

/// A stored number as it was.
pub(crate) fn natural(what: &str, number: i64) -> Outcome<u64> {
    u64::try_from(number)
        .map_err(|_| Fault(PortError::backend(format!("the stored {what} is {number}"))))
}

/// A document as text.
pub(crate) fn to_text<T: Serialize>(what: &str, document: &T) -> Outcome<String> {
    serde_json::to_string(document)
        .map_err(|error| invalid(format!("{what} cannot be written as JSON: {error}")))
}

/// A stored document.
pub(crate) fn from_text<T: DeserializeOwned>(what: &str, text: &str) -> Outcome<T> {
    // The error of serde_json would quote what is stored; the place says enough.
    serde_json::from_str(text).map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        Fault(PortError::backend(format!("a stored {what} does not read back at {place}")))
    })
}
