//! What can go wrong with an outgoing request, told so that the caller can choose whether to send
//! it again.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use super::address::AddressClass;
use super::connect::ConnectDeadlinePassed;
use super::resolver::{AddressRefused, NameNotFound};

/// Why an outgoing request has no answer.
///
/// Messages name at most the host; never a path, query, header value, body or password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// Policy forbids the request, or the redirect that its answer asked for. Trying again cannot
    /// help.
    #[error("refused: {reason}")]
    Refused {
        /// What the policy forbids, and what can be done.
        reason: Refusal,
    },
    /// The request itself is wrong; nothing was sent.
    #[error("the request is not valid: {reason}")]
    InvalidRequest {
        /// What to change.
        reason: String,
    },
    /// No connection, so certainly nothing was sent: sending again is safe.
    #[error("could not connect to {host}: {problem}; nothing was sent, so it is safe to retry")]
    Connect {
        /// The host, without port.
        host: String,
        /// What went wrong.
        problem: ConnectProblem,
    },
    /// The time is up.
    #[error(
        "no complete answer in time; {}",
        if *.sent {
            "the request may have arrived, so retry only if doing it twice does no harm"
        } else {
            "it was still connecting and nothing was sent, so it is safe to retry"
        }
    )]
    Timeout {
        /// Whether the request may have reached the server.
        sent: bool,
    },
    /// The connection broke after it was made: whether the server did its work is unknown.
    #[error(
        "the connection broke before the answer was complete; the request may have arrived, so \
         retry only if doing it twice does no harm"
    )]
    Interrupted,
    /// The server answered, with more than the request allows; the rest was not read.
    #[error("the {part} of the answer exceeds {limit} {}; ask the server for less{}",
        .part.unit(),
        if *.part == ResponsePart::Body { " or raise the limit" } else { "" }
    )]
    TooLarge {
        /// What was too large.
        part: ResponsePart,
        /// The limit, in the unit of the part: bytes, or a number of headers.
        limit: usize,
    },
    /// The answers kept pointing elsewhere.
    #[error("more than {limit} redirects; call the address where they end directly")]
    TooManyRedirects {
        /// How many were followed.
        limit: u8,
    },
}

impl EgressError {
    /// Whether the server certainly did not get the request, so that sending it again cannot do the
    /// work twice.
    pub fn is_safe_to_retry(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Timeout { sent: false })
    }

    /// Whether the server may have done the work although there is no answer: retry only what may
    /// be done twice.
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(self, Self::Interrupted | Self::Timeout { sent: true })
    }

    /// The meaning of an error of the client. `host` is where the request was going.
    pub(super) fn from_transport(error: &reqwest::Error, host: &str) -> Self {
        if let Some(AddressRefused(class)) = find(error) {
            let reason = Refusal::InternalAddress { host: host.to_owned(), class: *class };
            return Self::Refused { reason };
        }
        if find::<ConnectDeadlinePassed>(error).is_some() {
            return Self::Timeout { sent: false };
        }
        if error.is_builder() {
            return Self::InvalidRequest { reason: "the URL cannot be requested".to_owned() };
        }
        if error.is_connect() {
            let problem = ConnectProblem::of(error);
            return Self::Connect { host: host.to_owned(), problem };
        }
        Self::Interrupted
    }

    /// The meaning of an error after a redirect: an earlier server did get the request, and may
    /// have acted on it before it answered with the redirect.
    pub(super) fn after_redirect(self) -> Self {
        match self {
            Self::Connect { .. } => Self::Interrupted,
            Self::Timeout { .. } => Self::Timeout { sent: true },
            other => other,
        }
    }
}

/// What policy forbids.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Neither http nor https.
    #[error("only http and https addresses can be called; use one")]
    Scheme,
    /// The URL carries a user name or password.
    #[error("a URL must not carry a user name or password; send an Authorization header instead")]
    Userinfo,
    /// The host is, or resolves to, an address that is not on the public internet.
    #[error(
        "{host} is at {class}; if the connection is meant to reach it, add {} to the connection's \
         allowed hosts",
        if .class.is_never_behind_a_name() { "that address itself" } else { "exactly this host" }
    )]
    InternalAddress {
        /// The host as the URL has it.
        host: String,
        /// What kind of address it is at; the address itself is not told.
        class: AddressClass,
    },
    /// The host is a name under which a cloud serves credentials.
    #[error("{host} is a cloud metadata service, which flows must not call; use another host")]
    MetadataName {
        /// The host as the URL has it.
        host: String,
    },
    /// A redirect from https to http.
    #[error("the server redirects from https to http; call an address that stays on https")]
    Downgrade,
    /// A redirect without a usable target.
    #[error("the server redirects to something that is not a URL; call the final address directly")]
    RedirectTarget,
}

/// Why there was no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectProblem {
    /// The name has no address, or no name server said so in time.
    NameNotFound,
    /// Nobody answers there, or the network does not lead there.
    Unreachable,
    /// The TLS handshake failed: no TLS at that port, or a certificate that does not hold.
    Tls,
}

impl ConnectProblem {
    fn of(error: &reqwest::Error) -> Self {
        if find::<NameNotFound>(error).is_some() {
            Self::NameNotFound
        } else if find::<rustls::Error>(error).is_some() {
            Self::Tls
        } else {
            Self::Unreachable
        }
    }
}

impl fmt::Display for ConnectProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NameNotFound => "the name was not found; check its spelling",
            Self::Unreachable => "nobody answers; check host and port",
            Self::Tls => "the TLS handshake failed; check the server's certificate and port",
        })
    }
}

/// A part of an answer that has a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponsePart {
    /// The body, in bytes.
    Body,
    /// Header names and values together, in bytes.
    HeaderBytes,
    /// The number of headers.
    HeaderCount,
}

impl ResponsePart {
    fn unit(self) -> &'static str {
        match self {
            Self::Body | Self::HeaderBytes => "bytes",
            Self::HeaderCount => "headers",
        }
    }
}

impl fmt::Display for ResponsePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Body => "body",
            Self::HeaderBytes => "header section",
            Self::HeaderCount => "header list",
        })
    }
}

/// The first error of type `E` among an error and its causes. `io::Error` hides what it wraps from
/// `source`, so it is opened by hand.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    // Chains are a handful of links; the bound only guards against a cycle.
    for _ in 0..32 {
        let current = next?;
        if let Some(found) = current.downcast_ref::<E>() {
            return Some(found);
        }
        next = match current.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => current.source(),
        };
    }
    None
}
