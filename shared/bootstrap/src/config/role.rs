//! Which program this is.

use std::fmt;

use ports::Topic;

/// The program that reads the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Webhooks, events and the API.
    Gateway,
    /// Routes events and advances tasks.
    Controller,
    /// Sends replies.
    Messenger,
    /// Makes calls.
    Connector,
    /// Lands rows.
    Landing,
    /// Due timers and sweeps.
    Timekeeper,
    /// Keeps what was given up.
    Failures,
    /// `chatflow`: everything in one process, and the command line.
    Standalone,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Gateway,
        Self::Controller,
        Self::Messenger,
        Self::Connector,
        Self::Landing,
        Self::Timekeeper,
        Self::Failures,
        Self::Standalone,
    ];

    /// The name: that of the function's folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Controller => "controller",
            Self::Messenger => "messenger",
            Self::Connector => "connector",
            Self::Landing => "landing",
            Self::Timekeeper => "timekeeper",
            Self::Failures => "failures",
            Self::Standalone => "standalone",
        }
    }

    /// The topic whose envelopes are pushed to it.
    pub fn topic(self) -> Option<Topic> {
        match self {
            Self::Controller => Some(Topic::Events),
            Self::Messenger => Some(Topic::Outbound),
            Self::Connector => Some(Topic::Calls),
            Self::Landing => Some(Topic::Landing),
            Self::Timekeeper => Some(Topic::Timers),
            Self::Failures => Some(Topic::Failures),
            Self::Gateway | Self::Standalone => None,
        }
    }

    /// Whether it is a function in the cloud.
    pub fn is_function(self) -> bool {
        self != Self::Standalone
    }

    /// Whether Google calls it, with a signed token.
    pub fn is_pushed_to(self) -> bool {
        self.topic().is_some()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
