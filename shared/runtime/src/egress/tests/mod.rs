//! Requests against real servers, all on loopback.

mod answers;
mod reach;
mod redirects;
mod servers;
mod tls;

use std::time::Duration;

use http::Method;

use super::{Egress, EgressConfig, HostAllowList, OutgoingRequest};

fn egress() -> Egress {
    Egress::new(&EgressConfig::default()).expect("the default configuration works")
}

/// A GET that allows the hosts `allowed` by name.
fn get(url: impl Into<String>, allowed: &[&str]) -> OutgoingRequest {
    OutgoingRequest {
        method: Method::GET,
        url: url.into(),
        headers: vec![],
        sensitive_headers: vec![],
        body: None,
        timeout: Duration::from_secs(20),
        response_bytes_max: 1024 * 1024,
        allow_internal: HostAllowList::parse(allowed).expect("hosts parse"),
        follow_redirects: 0,
    }
}

/// Short enough for a test to wait for; only requests that never get an answer use it.
const SOON: Duration = Duration::from_millis(300);

/// Long enough for whatever must come.
const PATIENCE: Duration = Duration::from_secs(20);

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
}
