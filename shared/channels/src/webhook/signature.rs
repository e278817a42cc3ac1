//! Standard Webhooks signatures: HMAC-SHA256 over `id.timestamp.body`, compared in constant time.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The header with the message's id.
pub const ID: &str = "webhook-id";
/// The header with the time of sending, in seconds since 1970.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// The header with the signatures, separated by spaces: `v1,<base64>`.
pub const SIGNATURE: &str = "webhook-signature";

/// How far a timestamp may be from now, in seconds: keeps a recorded request from being replayed.
pub const TOLERANCE_SECONDS: i64 = 300;
/// Most signatures that are looked at.
const SIGNATURES_MAX: usize = 10;

/// The key of a secret: `whsec_` and base64, or the bytes as they are.
fn key(secret: &str) -> Vec<u8> {
    secret
        .strip_prefix("whsec_")
        .and_then(|encoded| STANDARD.decode(encoded).ok())
        .unwrap_or_else(|| secret.as_bytes().to_vec())
}

fn mac(secret: &str, id: &str, timestamp: i64, body: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&key(secret)).ok()?;
    mac.update(id.as_bytes());
    mac.update(b".");
    mac.update(timestamp.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    Some(mac)
}

/// The value of the signature header for a message.
pub fn sign(secret: &str, id: &str, at: DateTime<Utc>, body: &[u8]) -> String {
    match mac(secret, id, at.timestamp(), body) {
        Some(mac) => format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())),
        // HMAC takes keys of every length: never taken, and an empty signature is refused.
        None => String::new(),
    }
}

/// Whether one of the signatures is right and the time is near enough.
pub fn verify(
    secret: &str,
    id: &str,
    timestamp: &str,
    signatures: &str,
    body: &[u8],
    now: DateTime<Utc>,
) -> bool {
    let Ok(sent) = timestamp.parse::<i64>() else { return false };
    let age = now.timestamp().saturating_sub(sent);
    if secret.is_empty() || id.is_empty() || age.saturating_abs() > TOLERANCE_SECONDS {
        return false;
    }
    signatures.split(' ').take(SIGNATURES_MAX).any(|signature| {
        let Some(encoded) = signature.strip_prefix("v1,") else { return false };
        let Ok(given) = STANDARD.decode(encoded) else { return false };
        mac(secret, id, sent, body).is_some_and(|mac| mac.verify_slice(&given).is_ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNED: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn the_published_example_verifies() {
        assert_eq!(sign(SECRET, ID, at(1_614_265_330), BODY), SIGNED);
        let now = at(1_614_265_330 + TOLERANCE_SECONDS);
        assert!(verify(SECRET, ID, "1614265330", SIGNED, BODY, now));
        assert!(verify(SECRET, ID, "1614265330", &format!("v1,AAAA {SIGNED}"), BODY, now));
    }

    #[test]
    fn anything_else_does_not() {
        let now = at(1_614_265_330);
        let good = |body: &[u8], id: &str, time: &str, signature: &str, now| {
            verify(SECRET, id, time, signature, body, now)
        };
        assert!(!good(b"{}", ID, "1614265330", SIGNED, now));
        assert!(!good(BODY, "msg_other", "1614265330", SIGNED, now));
        assert!(!good(BODY, ID, "1614265331", SIGNED, now));
        assert!(!good(BODY, ID, "1614265330", "v1,", now));
        assert!(!good(BODY, ID, "1614265330", "", now));
        assert!(!good(BODY, ID, "x", SIGNED, now));
        assert!(!good(BODY, ID, "9223372036854775807", SIGNED, now));
        assert!(!good(BODY, ID, "-9223372036854775808", SIGNED, now));
        assert!(!good(BODY, ID, "1614265330", SIGNED, at(1_614_265_330 + TOLERANCE_SECONDS + 1)));
        assert!(!verify("", ID, "1614265330", SIGNED, BODY, now));
    }

    proptest::proptest! {
        #[test]
        fn no_header_panics(time in "\\PC{0,24}", signature in "\\PC{0,60}", body: Vec<u8>) {
            let refused = !verify(SECRET, ID, &time, &signature, &body, at(0));
            proptest::prop_assert!(refused);
        }
    }
}
