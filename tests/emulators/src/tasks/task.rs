//! One task: what was asked for, checked, and how its attempts went.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use serde_json::{Map, Value, json};

use crate::discovery;
use crate::rest::{self, Refusal};

/// How far ahead a task may be scheduled.
const AHEAD_DAYS_MAX: i64 = 30;
/// Longest body of an HTTP task, in bytes: Google's limit of a task's size.
const BODY_BYTES_MAX: usize = 1_000_000;
/// Google's limit of the headers, in bytes.
const HEADER_BYTES_MAX: usize = 80 * 1024;
/// Google's limit of the URL, in characters.
const URL_CHARACTERS_MAX: usize = 2083;
/// Longest id of a task, in characters.
const ID_CHARACTERS_MAX: usize = 500;

/// How failed attempts are repeated.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Retry {
    /// None is without limit.
    pub(super) attempts_max: Option<u32>,
    /// None is without limit.
    pub(super) duration_max: Option<Duration>,
    pub(super) backoff_min: Duration,
    pub(super) backoff_max: Duration,
    pub(super) doublings_max: u32,
}

impl Default for Retry {
    /// What Google chooses for a queue that does not say.
    fn default() -> Self {
        Self {
            attempts_max: Some(100),
            duration_max: None,
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(3600),
            doublings_max: 16,
        }
    }
}

impl Retry {
    /// This one with what a `RetryConfig` says in place of it.
    pub(super) fn with(mut self, config: Option<&Value>) -> Result<Self, Refusal> {
        let Some(config) = config else { return Ok(self) };
        let time = |field: &str| {
            config[field].as_str().map(|text| {
                rest::duration(text)
                    .ok_or_else(|| Refusal::invalid(format!("retryConfig.{field} is negative")))
            })
        };
        if let Some(count) = integer(&config["maxAttempts"]) {
            self.attempts_max = match count {
                -1 => None,
                1.. => u32::try_from(count).ok(),
                _ => return Err(Refusal::invalid("retryConfig.maxAttempts must be -1 or more")),
            };
        }
        if let Some(most) = time("maxRetryDuration").transpose()? {
            self.duration_max = Some(most).filter(|most| !most.is_zero());
        }
        self.backoff_min = time("minBackoff").transpose()?.unwrap_or(self.backoff_min);
        self.backoff_max = time("maxBackoff").transpose()?.unwrap_or(self.backoff_max);
        if let Some(count) = integer(&config["maxDoublings"]) {
            self.doublings_max = u32::try_from(count)
                .map_err(|_| Refusal::invalid("retryConfig.maxDoublings must be 0 or more"))?;
        }
        if self.backoff_min > self.backoff_max {
            return Err(Refusal::invalid("retryConfig.minBackoff is more than maxBackoff"));
        }
        Ok(self)
    }

    /// How long to wait after the `failures`th failure: doubled, then in equal steps.
    pub(super) fn backoff(&self, failures: u32) -> Duration {
        let before = failures.saturating_sub(1);
        let doubled = before.min(self.doublings_max).min(31);
        let steps = before.saturating_sub(self.doublings_max).saturating_add(1);
        self.backoff_min.saturating_mul(1 << doubled).saturating_mul(steps).min(self.backoff_max)
    }

    /// Whether no attempt follows, `attempts` made and `since` the first. Where both limits are
    /// set, both must be reached, as Google has it.
    pub(super) fn is_over(&self, attempts: u32, since: Duration) -> bool {
        let attempts = self.attempts_max.map(|most| attempts >= most);
        let duration = self.duration_max.map(|most| since >= most);
        match (attempts, duration) {
            (Some(one), Some(other)) => one && other,
            (one, other) => one.or(other).unwrap_or(false),
        }
    }
}

/// The request that an attempt sends.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// The service account and the audience of the token, where one is to be sent.
    pub(super) token: Option<(String, String)>,
    pub(super) deadline: Duration,
}

/// A task that waits or runs.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) queue: String,
    pub(super) request: Request,
    pub(super) retry: Option<Value>,
    pub(super) due: DateTime<Utc>,
    pub(super) running: bool,
    pub(super) dispatched: u32,
    pub(super) answered: u32,
    pub(super) first_attempt: Option<DateTime<Utc>>,
    /// The status of the last answer, where there was one.
    pub(super) last_answer: Option<u16>,
    /// The resource as it was asked for, with output-only fields as they are now.
    pub(super) resource: Map<String, Value>,
}

impl Task {
    /// Checks what `tasks.create` got as `task`, already known to fit the schema.
    pub(super) fn new(
        queue: &str,
        name: &str,
        mut asked: Map<String, Value>,
    ) -> Result<Self, Refusal> {
        let now = rest::now();
        if asked.contains_key("appEngineHttpRequest") {
            return Err(Refusal::unimplemented("the stand-in has no App Engine: use httpRequest"));
        }
        let Some(http) = asked.get("httpRequest") else {
            return Err(Refusal::invalid("Task must have an httpRequest"));
        };
        let request = request(http, asked.get("dispatchDeadline"))?;
        let due = match asked.get("scheduleTime").and_then(Value::as_str) {
            None => now,
            Some(text) => DateTime::parse_from_rfc3339(text)
                .map_err(|_| Refusal::invalid("task.scheduleTime is not a time"))?
                .to_utc()
                .max(now),
        };
        if due > now + TimeDelta::days(AHEAD_DAYS_MAX) {
            return Err(Refusal::invalid(format!(
                "task.scheduleTime is too far in the future: at most {AHEAD_DAYS_MAX} days"
            )));
        }
        for output in
            ["createTime", "dispatchCount", "responseCount", "firstAttempt", "lastAttempt", "view"]
        {
            asked.shift_remove(output);
        }
        asked.insert("name".into(), name.into());
        asked.insert("createTime".into(), rest::timestamp_seconds(now).into());
        asked.insert("scheduleTime".into(), rest::timestamp(due).into());
        asked
            .entry("dispatchDeadline")
            .or_insert_with(|| format!("{}s", request.deadline.as_secs()).into());
        if let Some(http) = asked.get_mut("httpRequest") {
            http["httpMethod"] = request.method.as_str().into();
        }
        let retry = asked.get("retryConfig").cloned();
        Retry::default().with(retry.as_ref())?;
        Ok(Self {
            queue: queue.to_owned(),
            request,
            retry,
            due,
            running: false,
            dispatched: 0,
            answered: 0,
            first_attempt: None,
            last_answer: None,
            resource: asked,
        })
    }

    /// The resource as it is answered. The body only where all of it (`FULL`) is asked for.
    pub(super) fn view(&self, full: bool) -> Value {
        let mut resource = self.resource.clone();
        resource.insert("dispatchCount".into(), self.dispatched.into());
        resource.insert("responseCount".into(), self.answered.into());
        resource.insert("view".into(), if full { "FULL" } else { "BASIC" }.into());
        if let Some(Value::Object(http)) = resource.get_mut("httpRequest")
            && !full
        {
            http.shift_remove("body");
        }
        Value::Object(resource)
    }

    /// Notes that it waits until `due`.
    pub(super) fn wait_until(&mut self, due: DateTime<Utc>) {
        self.due = due;
        self.resource.insert("scheduleTime".into(), rest::timestamp(due).into());
    }

    /// Notes how the attempt that began at `dispatched` went.
    pub(super) fn note_attempt(&mut self, dispatched: DateTime<Utc>, answer: Option<u16>) {
        self.last_answer = answer;
        let (code, message) = match answer {
            Some(503) => (14, "UNAVAILABLE(14): HTTP status code 503".to_owned()),
            Some(status) => (2, format!("UNKNOWN(2): HTTP status code {status}")),
            None => (14, "UNAVAILABLE(14): no answer".to_owned()),
        };
        let mut attempt = json!({
            "scheduleTime": rest::timestamp(self.due),
            "dispatchTime": rest::timestamp(dispatched),
            "responseStatus": { "code": code, "message": message },
        });
        if answer.is_some() {
            self.answered += 1;
            attempt["responseTime"] = rest::timestamp(rest::now()).into();
        }
        self.resource.insert("lastAttempt".into(), attempt);
    }
}

/// An integer of JSON, which may be text.
fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// Whether an id is made of what Google takes, `limit` characters at most.
pub(super) fn is_id(id: &str, more: &str, limit: usize) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || more.contains(c);
    !id.is_empty() && id.len() <= limit && id.chars().all(fits)
}

/// Whether a task's id is one that Google takes.
pub(super) fn is_task_id(id: &str) -> bool {
    is_id(id, "_", ID_CHARACTERS_MAX)
}

/// Checks an `HttpRequest`.
fn request(http: &Value, deadline: Option<&Value>) -> Result<Request, Refusal> {
    let text = http["url"].as_str().unwrap_or_default();
    let url = url(text)?;
    let method = method(&http["httpMethod"])?;
    let body = match http["body"].as_str() {
        None => Bytes::new(),
        Some(text) => discovery::bytes(text)
            .map(Bytes::from)
            .ok_or_else(|| Refusal::invalid("httpRequest.body is not base64"))?,
    };
    if body.len() > BODY_BYTES_MAX {
        return Err(Refusal::invalid(format!("Task size too large: {BODY_BYTES_MAX} bytes")));
    }
    if !body.is_empty() && ![Method::POST, Method::PUT, Method::PATCH].contains(&method) {
        return Err(Refusal::invalid("A body is allowed only with POST, PUT or PATCH"));
    }
    if !http["oauthToken"].is_null() {
        return Err(Refusal::unimplemented("the stand-in signs no OAuth tokens: use oidcToken"));
    }
    let token = match &http["oidcToken"] {
        Value::Null => None,
        token => {
            let email = token["serviceAccountEmail"].as_str().unwrap_or_default();
            if email.is_empty() {
                return Err(Refusal::invalid("oidcToken.serviceAccountEmail is missing"));
            }
            let audience = token["audience"].as_str().filter(|text| !text.is_empty());
            Some((email.to_owned(), audience.unwrap_or(text).to_owned()))
        }
    };
    let deadline = match deadline.and_then(Value::as_str) {
        None => Duration::from_secs(600),
        Some(text) => rest::duration(text)
            .filter(|time| (15..=1800).contains(&time.as_secs()))
            .ok_or_else(|| Refusal::invalid("dispatchDeadline must be in [15s, 1800s]"))?,
    };
    Ok(Request { method, url, headers: headers(&http["headers"])?, body, token, deadline })
}

fn method(value: &Value) -> Result<Method, Refusal> {
    // By name, or by the number of the enumeration, as the Rust client sends it.
    const METHODS: [Method; 8] = [
        Method::POST,
        Method::POST,
        Method::GET,
        Method::HEAD,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::OPTIONS,
    ];
    let found = match (value.as_u64(), value.as_str()) {
        (Some(number), _) => usize::try_from(number).ok().and_then(|n| METHODS.get(n)),
        (_, None | Some("HTTP_METHOD_UNSPECIFIED")) => METHODS.first(),
        (_, Some(name)) => METHODS.iter().find(|method| method.as_str() == name),
    };
    found.cloned().ok_or_else(|| Refusal::invalid("httpRequest.httpMethod is not known"))
}

/// A URL that the stand-in calls: plain HTTP to this machine, so that no test reaches others.
fn url(text: &str) -> Result<Uri, Refusal> {
    let url: Uri = text
        .parse()
        .ok()
        .filter(|_| text.len() <= URL_CHARACTERS_MAX)
        .filter(|url: &Uri| matches!(url.scheme_str(), Some("http" | "https")))
        .ok_or_else(|| {
            Refusal::invalid("httpRequest.url must begin with http:// or https://, and be short")
        })?;
    let host = url.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let is_here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    if !is_here || url.scheme_str() != Some("http") {
        return Err(Refusal::invalid(
            "the stand-in for Cloud Tasks only calls http:// addresses of this machine",
        ));
    }
    Ok(url)
}

/// The headers that are passed on: not those that Cloud Tasks sets itself.
fn headers(value: &Value) -> Result<HeaderMap, Refusal> {
    const REPLACED: [&str; 5] =
        ["host", "content-length", "user-agent", "connection", "transfer-encoding"];
    let asked: HashMap<String, String> = serde_json::from_value(value.clone()).unwrap_or_default();
    if asked.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > HEADER_BYTES_MAX
    {
        return Err(Refusal::invalid("httpRequest.headers are more than 80 KB"));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in &asked {
        let lower = name.to_ascii_lowercase();
        let is_googles = ["x-google-", "x-appengine-", "x-cloudtasks-"]
            .iter()
            .any(|begin| lower.starts_with(begin));
        if is_googles || REPLACED.contains(&lower.as_str()) {
            continue;
        }
        let refusal = || Refusal::invalid(format!("httpRequest.headers: {lower} is no header"));
        let value = HeaderValue::from_str(value).map_err(|_| refusal())?;
        headers.insert(HeaderName::from_bytes(lower.as_bytes()).map_err(|_| refusal())?, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_and_then_grows_in_steps() {
        let retry = Retry {
            backoff_min: Duration::from_secs(10),
            backoff_max: Duration::from_secs(300),
            doublings_max: 3,
            ..Retry::default()
        };
        let seconds: Vec<u64> = (1..=8).map(|n| retry.backoff(n).as_secs()).collect();
        assert_eq!(seconds, [10, 20, 40, 80, 160, 240, 300, 300]); // from Google's documents
        assert_eq!(retry.backoff(u32::MAX).as_secs(), 300);
    }

    #[test]
    fn both_limits_must_be_reached_where_both_are_set() {
        let both = Retry {
            attempts_max: Some(3),
            duration_max: Some(Duration::from_secs(9)),
            ..Retry::default()
        };
        assert!(!both.is_over(3, Duration::from_secs(8)));
        assert!(!both.is_over(2, Duration::from_secs(10)));
        assert!(both.is_over(3, Duration::from_secs(9)));
        let attempts = Retry { duration_max: None, ..both.clone() };
        assert!(attempts.is_over(3, Duration::ZERO));
        let none = Retry { attempts_max: None, duration_max: None, ..both };
        assert!(!none.is_over(u32::MAX, Duration::MAX));
    }

    #[test]
    fn only_this_machine_is_called() {
        for good in ["http://127.0.0.1:80/x?y=1", "http://localhost:8080", "http://[::1]:1/"] {
            assert!(url(good).is_ok(), "{good}");
        }
        for bad in ["https://127.0.0.1/", "http://example.com/", "http://10.0.0.1/", "/x", ""] {
            assert!(url(bad).is_err(), "{bad}");
        }
        assert!(url("http://127.0.0.1.example.com/").is_err());
    }

    #[test]
    fn headers_of_cloud_tasks_cannot_be_forged() {
        let asked = json!({ "X-CloudTasks-TaskName": "x", "Host": "x", "X-Mine": "y" });
        let headers = headers(&asked).unwrap();
        assert_eq!(headers.len(), 1);
        assert_eq!(headers["x-mine"], "y");
    }
}
