//! What can go wrong at a port, by meaning and not by vendor.

use std::time::Duration;

/// An error of any port.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// What was asked for is not there.
    #[error("there is no {what}")]
    NotFound {
        /// What, with its id.
        what: String,
    },
    /// Somebody else wrote in between: load again and do it again.
    #[error("{what} changed in the meantime; load it again and repeat the change")]
    Conflict {
        /// What, with its id.
        what: String,
    },
    /// The event has had its effect already; nothing is left to do.
    #[error("event {event} has been handled already")]
    Duplicate {
        /// The event.
        event: String,
    },
    /// The port can never take this.
    #[error("{reason}")]
    Invalid {
        /// Why, and what to do.
        reason: String,
    },
    /// Larger than the port takes.
    #[error("{what} is larger than {limit} bytes; make it smaller")]
    TooLarge {
        /// What.
        what: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// Not now; later it may work.
    #[error("the store cannot be reached right now; try again in {} s", retry_after.as_secs().max(1))]
    Unavailable {
        /// When to try again.
        retry_after: Duration,
    },
    /// Something else went wrong below the port.
    #[error("the backend failed: {source}")]
    Backend {
        /// What.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl PortError {
    /// Wraps an error of the backend.
    pub fn backend(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Backend { source: source.into() }
    }

    /// Whether doing the same again later may work.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Backend { .. } | Self::Conflict { .. })
    }
}

/// The result of every port.
pub type PortResult<T> = Result<T, PortError>;
