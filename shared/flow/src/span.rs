//! Durations as people write them: `20s`, `24h`, `7d`, `1h 30m`.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest duration a flow may name, in days.
pub const SPAN_DAYS_MAX: i64 = 3_660;

/// A length of time with a resolution of one millisecond, between 0 and ten years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(chrono::TimeDelta);

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration; write a number and a unit, such as 20s, 15m, 24h, 7d or 1h 30m")]
pub struct SpanError(String);

impl Span {
    /// The longest one: ten years.
    pub const LONGEST: Self = Self(chrono::TimeDelta::days(SPAN_DAYS_MAX));

    /// `count` seconds, at most ten years.
    pub fn seconds(count: u32) -> Self {
        Self(chrono::TimeDelta::seconds(i64::from(count)))
    }

    /// As chrono's type.
    pub fn as_delta(self) -> chrono::TimeDelta {
        self.0
    }

    /// As the standard library's type.
    pub fn as_std(self) -> std::time::Duration {
        self.0.to_std().unwrap_or_default()
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let error = || SpanError(text.chars().take(40).collect());
        let parsed = humantime::parse_duration(text.trim()).map_err(|_| error())?;
        let delta = chrono::TimeDelta::from_std(parsed).map_err(|_| error())?;
        if delta > chrono::TimeDelta::days(SPAN_DAYS_MAX) {
            return Err(error());
        }
        Ok(Self(chrono::TimeDelta::milliseconds(delta.num_milliseconds())))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", humantime::format_duration(self.as_std()))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A number and a unit: 20s, 15m, 24h, 7d, 1h 30m.",
            "examples": ["20s", "24h", "7d"]
        })
    }
}

/// The waits between attempts: from the first to the longest, as `2s..10m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Before the second attempt; it doubles from there.
    pub first: Span,
    /// Never longer than this.
    pub longest: Span,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Span::seconds(2), longest: Span::seconds(600) }
    }
}

impl FromStr for Backoff {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (first, longest) = text.split_once("..").unwrap_or((text, text));
        let first: Span = first.parse().map_err(|error: SpanError| error.to_string())?;
        let longest: Span = longest.parse().map_err(|error: SpanError| error.to_string())?;
        if longest < first {
            return Err(format!("`{text}` ends before it begins; write it as 2s..10m"));
        }
        Ok(Self { first, longest })
    }
}

impl fmt::Display for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.first, self.longest)
    }
}

impl Serialize for Backoff {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Backoff {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Backoff {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Backoff".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "First and longest wait between attempts: 2s..10m.",
            "examples": ["2s..10m"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_and_write_as_people_do() {
        for (text, seconds) in [("20s", 20), ("7d", 604_800), ("1h 30m", 5_400), ("0s", 0)] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.as_delta().num_seconds(), seconds);
            assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
        }
        for bad in ["", "7", "d", "-1s", "99999999999d", "20 parsecs"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_backoff_is_a_range() {
        let backoff: Backoff = "2s..10m".parse().unwrap();
        assert_eq!(backoff.longest, Span::seconds(600));
        assert!("10m..2s".parse::<Backoff>().is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = text.parse::<Span>();
            let _ = text.parse::<Backoff>();
        }
    }
}
