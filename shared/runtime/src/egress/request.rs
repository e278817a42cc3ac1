//! What goes out and what comes back, and the checks before anything is sent.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use url::Url;

use super::allow::HostAllowList;
use super::error::EgressError;
use super::redirect;
use super::{HEADER_BYTES_MAX, HEADERS_MAX, REDIRECTS_MAX, TIMEOUT_MAX, URL_BYTES_MAX};

/// One request to somebody else's server.
#[derive(Clone)]
pub struct OutgoingRequest {
    /// Any method except CONNECT and TRACE.
    pub method: Method,
    /// An http or https URL without user name and password; a fragment is ignored.
    pub url: String,
    /// Names and values. Those that the connection itself decides (`Host`, `Content-Length`,
    /// `Connection`, …) are refused.
    pub headers: Vec<(String, String)>,
    /// Names of headers that carry a secret, besides those that are known to (see
    /// `redirect::is_sensitive`): not sent on to another origin.
    pub sensitive_headers: Vec<String>,
    /// The body as it goes out; its type is up to a `Content-Type` header.
    pub body: Option<Bytes>,
    /// For everything together: resolving, connecting, redirects, reading the body. At most
    /// [`TIMEOUT_MAX`]. Connecting gets up to nine tenths of what is left, so that a server that
    /// cannot be reached is told from one that does not answer.
    pub timeout: Duration,
    /// Longest body to accept; a longer one is an error, never cut off.
    pub response_bytes_max: usize,
    /// Internal hosts that this request may reach, also by redirect.
    pub allow_internal: HostAllowList,
    /// How many redirects to follow, at most [`REDIRECTS_MAX`]; with 0 a redirect is the answer.
    pub follow_redirects: u8,
}

impl fmt::Debug for OutgoingRequest {
    /// Leaves out everything that may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingRequest")
            .field("method", &self.method)
            .field("body_bytes", &self.body.as_ref().map(Bytes::len))
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// A complete answer, whatever its status.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status, 200 to 999.
    pub status: u16,
    /// Lower-case names and values in the order received, at most [`HEADERS_MAX`] and
    /// [`HEADER_BYTES_MAX`]. Bytes that are not UTF-8 are replaced by U+FFFD.
    pub headers: Vec<(String, String)>,
    /// The whole body as it came, not decompressed.
    pub body: Bytes,
    /// Where the answer came from after redirects. May carry secrets in its query: do not log it.
    pub final_url: String,
}

impl fmt::Debug for Response {
    /// Leaves out everything that may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// A request in the form in which it is sent; each redirect makes the next one.
#[derive(Debug)]
pub(super) struct Hop {
    pub(super) method: Method,
    pub(super) url: Url,
    /// Secret values are marked sensitive.
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
}

/// Bounds that the configuration sets for every request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) request_bytes_max: usize,
    pub(super) response_bytes_max: usize,
}

impl OutgoingRequest {
    /// Checks everything about the request except where it goes.
    pub(super) fn first_hop(&self, bounds: Bounds) -> Result<Hop, EgressError> {
        if self.method == Method::CONNECT || self.method == Method::TRACE {
            return Err(invalid("use a method other than CONNECT and TRACE"));
        }
        if self.timeout.is_zero() || self.timeout > TIMEOUT_MAX {
            return Err(invalid(format!(
                "the timeout must be more than 0 and at most {} seconds",
                TIMEOUT_MAX.as_secs()
            )));
        }
        if self.follow_redirects > REDIRECTS_MAX {
            return Err(invalid(format!("follow at most {REDIRECTS_MAX} redirects")));
        }
        if self.response_bytes_max > bounds.response_bytes_max {
            let max = bounds.response_bytes_max;
            return Err(invalid(format!("accept at most {max} bytes of answer")));
        }
        if self.body.as_ref().is_some_and(|body| body.len() > bounds.request_bytes_max) {
            let max = bounds.request_bytes_max;
            return Err(invalid(format!("the body must have at most {max} bytes")));
        }
        Ok(Hop {
            method: self.method.clone(),
            url: parse_url(&self.url)?,
            headers: parse_headers(&self.headers, &self.sensitive_headers)?,
            body: self.body.clone(),
        })
    }
}

fn invalid(reason: impl Into<String>) -> EgressError {
    EgressError::InvalidRequest { reason: reason.into() }
}

fn parse_url(text: &str) -> Result<Url, EgressError> {
    if text.len() > URL_BYTES_MAX {
        return Err(invalid(format!("the URL must have at most {URL_BYTES_MAX} bytes")));
    }
    let mut url = Url::parse(text)
        .map_err(|problem| invalid(format!("write the URL as https://host/path ({problem})")))?;
    url.set_fragment(None);
    Ok(url)
}

fn parse_headers(
    headers: &[(String, String)],
    sensitive: &[String],
) -> Result<HeaderMap, EgressError> {
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if headers.len() > HEADERS_MAX || bytes > HEADER_BYTES_MAX {
        return Err(invalid(format!(
            "send at most {HEADERS_MAX} headers of {HEADER_BYTES_MAX} bytes together"
        )));
    }
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        // The name may be anything here, even a value in the wrong place: it is not repeated.
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| invalid("a header name has characters that HTTP does not allow"))?;
        if is_decided_by_the_connection(&name) {
            return Err(invalid(format!("leave out the header {name}; it is set for you")));
        }
        let mut value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
            invalid(format!("the value of {name} has a line break or control character"))
        })?;
        let marked = sensitive.iter().any(|marked| name.as_str().eq_ignore_ascii_case(marked));
        value.set_sensitive(marked || redirect::is_sensitive(&name));
        map.append(name, value);
    }
    Ok(map)
}

/// Headers that would let a request name another host than the one checked, or disagree with its
/// own length, or turn the connection into something else.
fn is_decided_by_the_connection(name: &HeaderName) -> bool {
    [
        header::HOST,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::UPGRADE,
        header::TE,
        header::TRAILER,
        header::EXPECT,
        header::PROXY_AUTHORIZATION,
    ]
    .contains(name)
        || matches!(name.as_str(), "keep-alive" | "proxy-connection" | "http2-settings")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { request_bytes_max: 10, response_bytes_max: 100 };

    fn request() -> OutgoingRequest {
        OutgoingRequest {
            method: Method::POST,
            url: "https://a.example/path?key=secret#part".to_owned(),
            headers: vec![],
            sensitive_headers: vec![],
            body: None,
            timeout: Duration::from_secs(1),
            response_bytes_max: 100,
            allow_internal: HostAllowList::none(),
            follow_redirects: 0,
        }
    }

    fn problem(request: &OutgoingRequest) -> String {
        match request.first_hop(BOUNDS) {
            Err(EgressError::InvalidRequest { reason }) => reason,
            other => panic!("not refused as invalid: {other:?}"),
        }
    }

    #[test]
    fn limits_are_inclusive() {
        let at_limits = OutgoingRequest {
            timeout: TIMEOUT_MAX,
            follow_redirects: REDIRECTS_MAX,
            body: Some(Bytes::from_static(b"0123456789")),
            ..request()
        };
        let hop = at_limits.first_hop(BOUNDS).expect("valid");
        assert_eq!(hop.url.as_str(), "https://a.example/path?key=secret");
        for beyond in [
            OutgoingRequest { timeout: TIMEOUT_MAX + Duration::from_nanos(1), ..request() },
            OutgoingRequest { timeout: Duration::ZERO, ..request() },
            OutgoingRequest { follow_redirects: 6, ..request() },
            OutgoingRequest { response_bytes_max: 101, ..request() },
            OutgoingRequest { body: Some(Bytes::from_static(b"01234567890")), ..request() },
            OutgoingRequest { method: Method::CONNECT, ..request() },
            OutgoingRequest { method: Method::TRACE, ..request() },
            OutgoingRequest { url: format!("http://a/{}", "x".repeat(8192)), ..request() },
            OutgoingRequest { headers: vec![("a".into(), "b".into()); 129], ..request() },
            OutgoingRequest { headers: vec![("a".into(), "b".repeat(65536))], ..request() },
        ] {
            problem(&beyond);
        }
    }

    #[test]
    fn headers_that_the_connection_decides_are_refused() {
        for name in ["Host", "content-length", "Transfer-Encoding", "connection", "Keep-Alive"] {
            let headers = vec![(name.to_owned(), "x".to_owned())];
            let reason = problem(&OutgoingRequest { headers, ..request() });
            let name = name.to_ascii_lowercase();
            assert_eq!(reason, format!("leave out the header {name}; it is set for you"));
        }
    }

    #[test]
    fn messages_and_debug_output_hide_values() {
        for (name, value) in [("x-key", "secret\r\nHost: evil"), ("x key: secret", "secret")] {
            let headers = vec![(name.to_owned(), value.to_owned())];
            let request = OutgoingRequest { headers, ..request() };
            assert!(!problem(&request).contains("secret"));
            assert!(!format!("{request:?}").contains("secret"));
        }
        let url = "https://user:secret@[bad".to_owned();
        assert!(!problem(&OutgoingRequest { url, ..request() }).contains("secret"));
        let headers = vec![("Authorization".to_owned(), "secret".to_owned())];
        let hop = OutgoingRequest { headers, ..request() }.first_hop(BOUNDS).expect("valid");
        assert!(!format!("{:?}", hop.headers).contains("secret"));
    }

    #[test]
    fn marked_and_known_headers_are_sensitive() {
        let headers = ["Authorization", "X-Mine", "Accept"];
        let headers = headers.map(|name| (name.to_owned(), "1".to_owned())).to_vec();
        let sensitive_headers = vec!["x-mine".to_owned()];
        let request = OutgoingRequest { headers, sensitive_headers, ..request() };
        let hop = request.first_hop(BOUNDS).expect("valid");
        let marked = |name: &str| hop.headers.get(name).map(HeaderValue::is_sensitive);
        assert_eq!(marked("authorization"), Some(true));
        assert_eq!(marked("x-mine"), Some(true));
        assert_eq!(marked("accept"), Some(false));
    }

    proptest::proptest! {
        #[test]
        fn any_url_and_header_is_answered(url in ".{0,60}", name in ".{0,20}", value in ".{0,20}") {
            let _ = OutgoingRequest { url, headers: vec![(name, value)], ..request() }
                .first_hop(BOUNDS);
        }
    }
}
