//! What became of an envelope, and what kind of trouble a use case had.

use std::time::Duration;

use engine::Refused;
use ports::PortError;
use sha2::{Digest, Sha256};

/// What a function says of an envelope it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is left to do.
    Done,
    /// Deliver it again.
    Retry {
        /// Not before this has passed.
        after: Duration,
        /// Why, for logs.
        reason: String,
    },
    /// It can never succeed: keep it as a failure.
    GiveUp {
        /// Why, for people.
        reason: String,
    },
}

/// Why a use case did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// A port.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The engine: the task does not take this.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The input is well-formed and wrong.
    #[error("{message}")]
    Unprocessable {
        /// JSON pointer to the field at fault; empty for the whole.
        pointer: String,
        /// What is wrong and what to do.
        message: String,
    },
    /// There is no such thing.
    #[error("there is no {0}")]
    NotFound(String),
    /// It contradicts something that is there.
    #[error("{0}")]
    Conflict(String),
}

impl HandleError {
    /// Input that is well-formed and wrong.
    pub fn unprocessable(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Unprocessable { pointer: pointer.into(), message: message.into() }
    }

    /// What a push function makes of it: passing trouble is delivered again, the rest is kept.
    pub fn into_outcome(self, attempt: u32, id: &str) -> Outcome {
        match self {
            Self::Port(PortError::Duplicate { .. }) => Outcome::Done,
            Self::Port(error) if error.is_passing() => Outcome::Retry {
                after: backoff(id, attempt, Duration::from_millis(200), Duration::from_secs(60)),
                reason: error.to_string(),
            },
            other => Outcome::GiveUp { reason: other.to_string() },
        }
    }
}

/// The wait before attempt `attempt + 1` (0: after the first): doubling from `first` to
/// `longest`, with ±25 % of jitter derived from `id`, so that many do not come back at once.
pub fn backoff(id: &str, attempt: u32, first: Duration, longest: Duration) -> Duration {
    let doubled = first.saturating_mul(2u32.saturating_pow(attempt.min(20)));
    let wait = doubled.min(longest);
    let mut hash = Sha256::new();
    hash.update(id.as_bytes());
    hash.update(attempt.to_le_bytes());
    let byte = hash.finalize().first().copied().unwrap_or_default();
    // 75 % to 125 %.
    wait.saturating_mul(192 + u32::from(byte) / 2) / 256
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_with_jitter_and_stay_bounded() {
        let first = Duration::from_secs(1);
        let longest = Duration::from_secs(60);
        for attempt in 0..40 {
            let wait = backoff("x", attempt, first, longest);
            let exact = first.saturating_mul(2u32.saturating_pow(attempt.min(20))).min(longest);
            assert!(wait >= exact.mul_f64(0.74) && wait <= exact.mul_f64(1.26), "{wait:?}");
            assert_eq!(wait, backoff("x", attempt, first, longest));
        }
        assert_ne!(backoff("x", 3, first, longest), backoff("y", 3, first, longest));
    }
}
