//! Subscriptions as REST describes them: what is honoured, what is only kept, what is refused.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use axum::http::Uri;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::problem::Problem;

const ACK_DEADLINE_SECONDS: u32 = 10;
const ACK_DEADLINE_SECONDS_MAX: u32 = 600;
const ATTEMPTS_MIN: u32 = 5;
const ATTEMPTS_MAX: u32 = 100;
const BACKOFF_MINIMUM: Duration = Duration::from_secs(10);
const BACKOFF_MAXIMUM: Duration = Duration::from_secs(600);

/// A subscription. A field that this server neither honours nor can safely ignore is refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Subscription {
    /// `projects/{project}/subscriptions/{subscription}`; taken from the address where it is
    /// empty.
    #[serde(default)]
    pub name: String,
    /// `projects/{project}/topics/{topic}`.
    pub topic: String,
    /// Where messages are pushed; without it they are pulled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push_config: Option<PushConfig>,
    /// How long a delivery may go unanswered, 10 to 600; 0 means 10.
    #[serde(default)]
    pub ack_deadline_seconds: u32,
    /// Whether messages of one ordering key come one after the other.
    #[serde(default)]
    pub enable_message_ordering: bool,
    /// How long a refused message waits before it comes again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<RetryPolicy>,
    /// Where a message goes that was refused too often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter_policy: Option<DeadLetterPolicy>,
    /// Which messages it takes: `attributes.key = "value"`, joined by `AND`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub filter: String,
    /// Kept and given back; without effect.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Kept and given back; nothing expires here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiration_policy: Option<Value>,
    /// Kept and given back; nothing expires here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_retention_duration: Option<Value>,
}

/// How messages are pushed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PushConfig {
    /// `http://127.0.0.1:PORT/PATH`: only loopback. Empty means pull.
    #[serde(default)]
    pub push_endpoint: String,
    /// Only `x-goog-version`, which must be `v1`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// The token that each push carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc_token: Option<OidcToken>,
    /// The usual form of the body; the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pubsub_wrapper: Option<PubsubWrapper>,
    /// The message's data as the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_wrapper: Option<NoWrapper>,
}

/// Whom a push's token names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OidcToken {
    /// The account that pushes.
    pub service_account_email: String,
    /// Whom the token is meant for; empty means the push endpoint.
    #[serde(default)]
    pub audience: String,
}

/// The usual form of a push's body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PubsubWrapper {}

/// The message's data as a push's body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NoWrapper {
    /// Whether headers carry the rest of the message.
    #[serde(default)]
    pub write_metadata: bool,
}

/// How long a refused message waits: twice as long each time, within these bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetryPolicy {
    /// The first wait, as in `"0.1s"`; absent means 10 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_backoff: Option<String>,
    /// The longest wait, up to `"600s"`, which is what absent means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_backoff: Option<String>,
}

/// When a message is given up, and where it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeadLetterPolicy {
    /// `projects/{project}/topics/{topic}`; it must exist.
    pub dead_letter_topic: String,
    /// How often a message is delivered before that, 5 to 100; 0 means 5.
    #[serde(default)]
    pub max_delivery_attempts: u32,
}

/// The bounds of the wait before a message comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait.
    pub minimum: Duration,
    /// The longest wait.
    pub maximum: Duration,
}

impl Backoff {
    /// The wait after delivery `attempt`, which counts from one.
    pub(super) fn after(self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(20);
        self.minimum.saturating_mul(1 << doublings).min(self.maximum)
    }
}

impl Subscription {
    /// Fills in what Pub/Sub fills in, and refuses what it refuses.
    pub(super) fn complete(mut self) -> Result<Self, Problem> {
        name_parts(&self.name, "subscriptions")?;
        name_parts(&self.topic, "topics")?;
        self.push_config = self.push_config.filter(|push| !push.push_endpoint.is_empty());
        if let Some(push) = &self.push_config {
            push.check()?;
        }
        if self.ack_deadline_seconds == 0 {
            self.ack_deadline_seconds = ACK_DEADLINE_SECONDS;
        }
        if !(ACK_DEADLINE_SECONDS..=ACK_DEADLINE_SECONDS_MAX).contains(&self.ack_deadline_seconds) {
            return Err(Problem::invalid("ackDeadlineSeconds must be 10 to 600"));
        }
        if let Some(letters) = &mut self.dead_letter_policy {
            name_parts(&letters.dead_letter_topic, "topics")?;
            if letters.max_delivery_attempts == 0 {
                letters.max_delivery_attempts = ATTEMPTS_MIN;
            }
            if !(ATTEMPTS_MIN..=ATTEMPTS_MAX).contains(&letters.max_delivery_attempts) {
                return Err(Problem::invalid("maxDeliveryAttempts must be 5 to 100"));
            }
        }
        Ok(self)
    }

    /// Its retry policy's bounds, if it has one.
    pub(super) fn backoff(&self) -> Result<Option<Backoff>, Problem> {
        let Some(policy) = &self.retry_policy else {
            return Ok(None);
        };
        let bound = |text: &Option<String>, otherwise| match text {
            None => Ok(otherwise),
            Some(text) => {
                duration(text).filter(|bound| *bound <= BACKOFF_MAXIMUM).ok_or_else(|| {
                    Problem::invalid(format!(
                        "the backoff {text:?} is not 0s to 600s, as in \"0.1s\""
                    ))
                })
            }
        };
        let maximum = bound(&policy.maximum_backoff, BACKOFF_MAXIMUM)?;
        let minimum = bound(&policy.minimum_backoff, BACKOFF_MINIMUM.min(maximum))?;
        if minimum > maximum {
            return Err(Problem::invalid("minimumBackoff is longer than maximumBackoff"));
        }
        Ok(Some(Backoff { minimum, maximum }))
    }
}

impl PushConfig {
    fn check(&self) -> Result<(), Problem> {
        if !is_loopback(&self.push_endpoint) {
            return Err(Problem::invalid(format!(
                "the push endpoint {:?} is not on this machine: use http://127.0.0.1:PORT/PATH",
                self.push_endpoint
            )));
        }
        for (name, value) in &self.attributes {
            if name != "x-goog-version" || value != "v1" {
                return Err(Problem::invalid(
                    "the push attributes may only say x-goog-version: v1",
                ));
            }
        }
        if self.pubsub_wrapper.is_some() && self.no_wrapper.is_some() {
            return Err(Problem::invalid("choose one of pubsubWrapper and noWrapper"));
        }
        Ok(())
    }
}

fn is_loopback(endpoint: &str) -> bool {
    let Ok(uri) = endpoint.parse::<Uri>() else {
        return false;
    };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    uri.scheme_str() == Some("http")
        && (host == "localhost"
            || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()))
}

/// The project and the short name in `projects/{project}/{collection}/{name}`.
pub(super) fn name_parts<'a>(
    name: &'a str,
    collection: &str,
) -> Result<(&'a str, &'a str), Problem> {
    let wrong = || {
        Problem::invalid(format!(
            "the name {name:?} is not projects/PROJECT/{collection}/NAME with a NAME of 3 to 255 \
             letters, digits and -_.~+% that starts with a letter and not with goog"
        ))
    };
    let parts: Vec<&str> = name.split('/').collect();
    let ["projects", project, kind, short] = parts[..] else {
        return Err(wrong());
    };
    let fits = short.starts_with(|sign: char| sign.is_ascii_alphabetic())
        && short.chars().all(|sign| sign.is_ascii_alphanumeric() || "-_.~+%".contains(sign))
        && (3..=255).contains(&short.len())
        && !short.starts_with("goog");
    if project.is_empty() || kind != collection || !fits {
        return Err(wrong());
    }
    Ok((project, short))
}

/// A duration in JSON's form: `"1.5s"`.
fn duration(text: &str) -> Option<Duration> {
    let seconds = text.strip_suffix('s')?.parse::<f64>().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_pushed_to() {
        for good in ["http://127.0.0.1:80/", "http://localhost:1/a?b", "http://[::1]:5/"] {
            assert!(is_loopback(good), "{good}");
        }
        for bad in ["http://10.0.0.1/", "https://127.0.0.1/", "http://localhost.example.com/", "x"]
        {
            assert!(!is_loopback(bad), "{bad}");
        }
    }

    #[test]
    fn waits_double_within_their_bounds() {
        let backoff =
            Backoff { minimum: Duration::from_millis(100), maximum: Duration::from_millis(350) };
        let waits: Vec<u128> = (1..=4).map(|attempt| backoff.after(attempt).as_millis()).collect();
        assert_eq!(waits, [100, 200, 350, 350]);
    }

    #[test]
    fn durations_are_seconds_with_an_s() {
        assert_eq!(duration("0.05s"), Some(Duration::from_millis(50)));
        assert_eq!(duration("10"), None);
        assert_eq!(duration("-1s"), None);
    }
}
