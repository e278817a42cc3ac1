//! The `Retry-After` header: when a server wants to be asked again.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};

use super::RETRY_AFTER_MAX;

/// How long the server asks to wait, from the answer's headers; at most [`RETRY_AFTER_MAX`]. A date
/// that has passed is no wait at all. `None` without the header, or if it is neither a number of
/// seconds nor a date (RFC 9110, 10.2.3).
pub fn retry_after(headers: &[(String, String)], now: DateTime<Utc>) -> Option<Duration> {
    let (_, value) = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("retry-after"))?;
    let value = value.trim();
    let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit is longer than the maximum as well.
        value.parse().map_or(Duration::MAX, Duration::from_secs)
    } else {
        // A negative span, that is a date in the past, does not convert.
        http_date(value)?.signed_duration_since(now).to_std().unwrap_or(Duration::ZERO)
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// The three date forms of HTTP (RFC 9110, 5.6.7); the second and third are obsolete, still sent.
fn http_date(value: &str) -> Option<DateTime<Utc>> {
    ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(value, form).ok())
        .map(|date| date.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(value: &str) -> Option<Duration> {
        let now = "1994-11-06T08:49:00Z".parse().expect("a time");
        retry_after(&[("Retry-After".to_owned(), value.to_owned())], now)
    }

    #[test]
    fn seconds_and_dates_are_understood() {
        let seconds = Duration::from_secs;
        assert_eq!(at("0"), Some(seconds(0)));
        assert_eq!(at(" 120 "), Some(seconds(120)));
        assert_eq!(at("Sun, 06 Nov 1994 08:49:37 GMT"), Some(seconds(37)));
        assert_eq!(at("Sunday, 06-Nov-94 08:49:37 GMT"), Some(seconds(37)));
        assert_eq!(at("Sun Nov  6 08:49:37 1994"), Some(seconds(37)));
        assert_eq!(at("Sun, 06 Nov 1994 08:48:00 GMT"), Some(seconds(0)));
    }

    #[test]
    fn the_wait_is_capped() {
        let hour = Some(Duration::from_hours(1));
        assert_eq!(at("3600"), hour);
        assert_eq!(at("3601"), hour);
        assert_eq!(at("99999999999999999999999999"), hour);
        assert_eq!(at("Fri, 31 Dec 9999 23:59:59 GMT"), hour);
    }

    #[test]
    fn what_is_neither_is_ignored() {
        for value in ["", "soon", "-1", "+1", "1.5", "1e3", "Sun, 06 Nov 1994", "１２０"] {
            assert_eq!(at(value), None, "{value}");
        }
        assert_eq!(retry_after(&[], DateTime::UNIX_EPOCH), None);
    }

    proptest::proptest! {
        #[test]
        fn the_cap_holds_for_any_text(value in ".{0,60}", now in 0_i64..1 << 40) {
            let now = DateTime::from_timestamp_secs(now).unwrap_or_default();
            let wait = retry_after(&[("retry-after".to_owned(), value)], now);
            proptest::prop_assert!(wait.is_none_or(|wait| wait <= RETRY_AFTER_MAX));
        }
    }
}
