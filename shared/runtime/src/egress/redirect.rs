//! What a redirect does to a request. The client follows none by itself: each target goes through
//! the same checks as the first URL.

use http::{HeaderMap, HeaderName, Method, StatusCode, header};
use url::Url;

use super::URL_BYTES_MAX;
use super::error::{EgressError, Refusal};
use super::request::Hop;

/// Where an answer sends the client next; `None` if it is not a redirect. Whether the target may
/// be reached is not checked here.
pub(super) fn target(
    current: &Url,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<Option<Url>, EgressError> {
    if !matches!(
        status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    ) {
        return Ok(None);
    }
    let Some(location) = headers.get(header::LOCATION) else {
        return Ok(None);
    };
    let refused = |reason| EgressError::Refused { reason };
    let mut target = std::str::from_utf8(location.as_bytes())
        .ok()
        .filter(|location| location.len() <= URL_BYTES_MAX)
        .and_then(|location| current.join(location).ok())
        .filter(|target| target.as_str().len() <= URL_BYTES_MAX)
        .ok_or_else(|| refused(Refusal::RedirectTarget))?;
    if current.scheme() == "https" && target.scheme() == "http" {
        return Err(refused(Refusal::Downgrade));
    }
    target.set_fragment(None);
    Ok(Some(target))
}

/// The request that follows a redirect to `target`.
///
/// As browsers do (WHATWG Fetch, HTTP-redirect fetch): after 303, and for POST after 301 and 302,
/// the next request is a GET without body; otherwise it is the same request again. To another
/// origin, values marked sensitive are left behind, and stay so if a later redirect comes back.
pub(super) fn rewrite(hop: Hop, status: StatusCode, target: Url) -> Hop {
    let Hop { mut method, url, mut headers, mut body } = hop;
    let becomes_get = match status {
        StatusCode::SEE_OTHER => method != Method::GET && method != Method::HEAD,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => method == Method::POST,
        _ => false,
    };
    if becomes_get {
        method = Method::GET;
        body = None;
        for name in [
            header::CONTENT_TYPE,
            header::CONTENT_ENCODING,
            header::CONTENT_LANGUAGE,
            header::CONTENT_LOCATION,
        ] {
            headers.remove(name);
        }
    }
    if url.origin() != target.origin() {
        let secret: Vec<_> = headers
            .iter()
            .filter(|(_, value)| value.is_sensitive())
            .map(|(name, _)| name.clone())
            .collect();
        for name in secret {
            headers.remove(name);
        }
    }
    Hop { method, url: target, headers, body }
}

/// Whether a header carries a secret by its name alone: the standard ones, and what services call
/// their own (`X-Api-Key`, `X-Auth-Token`, `X-Client-Secret`, …). Too many is harmless; a secret
/// handed to a stranger is not.
pub(super) fn is_sensitive(name: &HeaderName) -> bool {
    ["auth", "cookie", "token", "secret", "password", "credential", "session", "api-key", "apikey"]
        .iter()
        .chain(&["access-key", "signature"])
        .any(|word| name.as_str().contains(word))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderValue;

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    fn to(current: &str, status: u16, location: &[u8]) -> Result<Option<Url>, EgressError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::LOCATION, HeaderValue::from_bytes(location).expect("a value"));
        let status = StatusCode::from_u16(status).expect("a status");
        target(&url(current), status, &headers)
    }

    #[test]
    fn a_target_may_be_relative() {
        let at = |location: &str| to("https://a.example/x/y?q#f", 302, location.as_bytes());
        assert_eq!(at("z"), Ok(Some(url("https://a.example/x/z"))));
        assert_eq!(at("/z#part"), Ok(Some(url("https://a.example/z"))));
        assert_eq!(at("//b.example/"), Ok(Some(url("https://b.example/"))));
        assert_eq!(at("ftp://b.example/"), Ok(Some(url("ftp://b.example/"))));
    }

    #[test]
    fn only_redirects_with_a_location_are_followed() {
        for status in [200, 201, 300, 304, 305, 306, 400, 503] {
            assert_eq!(to("https://a.example", status, b"/z"), Ok(None), "{status}");
        }
        let target = target(&url("https://a.example"), StatusCode::FOUND, &HeaderMap::new());
        assert_eq!(target, Ok(None));
    }

    #[test]
    fn downgrades_and_unusable_targets_are_refused() {
        let refused = |reason| Err(EgressError::Refused { reason });
        let at = |location: &[u8]| to("https://a.example/", 307, location);
        assert_eq!(at(b"http://a.example/"), refused(Refusal::Downgrade));
        assert_eq!(at(b"https://[bad"), refused(Refusal::RedirectTarget));
        assert_eq!(at(b"/\xff"), refused(Refusal::RedirectTarget));
        assert_eq!(at("/x".repeat(4097).as_bytes()), refused(Refusal::RedirectTarget));
        assert_eq!(
            to("http://a.example/", 307, b"http://b.example/"),
            Ok(Some(url("http://b.example/")))
        );
    }

    /// What remains of a request after a redirect: method, body, names of the headers.
    fn followed(method: &Method, status: u16, target: &str) -> (Method, Option<Bytes>, String) {
        let mut headers = HeaderMap::new();
        for (name, sensitive) in [("accept", false), ("content-type", false), ("x-mine", true)] {
            let mut value = HeaderValue::from_static("v");
            value.set_sensitive(sensitive);
            headers.insert(HeaderName::from_static(name), value);
        }
        let hop = Hop {
            method: method.clone(),
            url: url("https://a.example/x"),
            headers,
            body: Some(Bytes::from_static(b"body")),
        };
        let hop = rewrite(hop, StatusCode::from_u16(status).expect("a status"), url(target));
        let names: Vec<_> = hop.headers.keys().map(HeaderName::as_str).collect();
        (hop.method, hop.body, names.join(" "))
    }

    #[test]
    fn the_method_changes_as_in_browsers() {
        let here = "https://a.example/z";
        let same = (Some(Bytes::from_static(b"body")), "accept content-type x-mine".to_owned());
        let cut = (None, "accept x-mine".to_owned());
        for (method, status, expected, (body, names)) in [
            (Method::POST, 301, Method::GET, &cut),
            (Method::POST, 302, Method::GET, &cut),
            (Method::POST, 303, Method::GET, &cut),
            (Method::POST, 307, Method::POST, &same),
            (Method::POST, 308, Method::POST, &same),
            (Method::PUT, 302, Method::PUT, &same),
            (Method::PUT, 303, Method::GET, &cut),
            (Method::GET, 303, Method::GET, &same),
            (Method::HEAD, 303, Method::HEAD, &same),
        ] {
            let expected = (expected, body.clone(), names.clone());
            assert_eq!(followed(&method, status, here), expected, "{method} {status}");
        }
    }

    #[test]
    fn another_origin_does_not_see_secrets() {
        for elsewhere in ["https://b.example/", "https://a.example:8443/", "https://x.a.example/"] {
            assert_eq!(followed(&Method::POST, 307, elsewhere).2, "accept content-type");
        }
        let same_origin = followed(&Method::POST, 307, "https://a.example:443/");
        assert_eq!(same_origin.2, "accept content-type x-mine");
    }

    #[test]
    fn secrets_are_known_by_name() {
        let known = |name: &'static str| is_sensitive(&HeaderName::from_static(name));
        for name in ["authorization", "cookie", "x-api-key", "x-auth-token", "webhook-signature"] {
            assert!(known(name), "{name}");
        }
        for name in ["accept", "content-type", "idempotency-key", "user-agent", "webhook-id"] {
            assert!(!known(name), "{name}");
        }
    }
}
