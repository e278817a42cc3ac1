//! Alarms: Cloud Tasks that wake the timekeeper when a timer is due.
//!
//! The timer itself is a document of the store; an alarm only says "look at this one now". One
//! that is lost is found by the sweep, one too many finds nothing to do. An alarm is a task whose
//! name is a hash of the timer and of the time it rings, so that setting it twice is setting it
//! once, and creation is spread evenly (Google advises against names in sequence).

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use futures::stream::{self, StreamExt as _};
use google_cloud_auth::credentials::anonymous;
use google_cloud_gax::error::Error;
use google_cloud_gax::error::rpc::Code;
use google_cloud_gax::options::RequestOptionsBuilder as _;
use google_cloud_gax::retry_policy::{Aip194Strict, RetryPolicyExt as _};
use google_cloud_tasks_v2::client::CloudTasks;
use google_cloud_tasks_v2::model::{HttpMethod, HttpRequest, OidcToken, Queue, Task};
use google_cloud_wkt::{Duration as WktDuration, Timestamp};
use ports::{Envelope, PortError, PortResult};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use crate::config::Config;
use crate::error::from_google;

/// Cloud Tasks takes tasks up to 30 days ahead; one day is left for clocks and for rounding.
const AHEAD_MAX: TimeDelta = TimeDelta::days(29);

/// How long the timekeeper may take to answer before the queue asks again.
const DISPATCH_DEADLINE_SECONDS: i64 = 60;

/// Longest wait for one answer of Cloud Tasks, and for all tries of one request.
const ATTEMPT_MAX: Duration = Duration::from_secs(2);
const REQUEST_MAX: Duration = Duration::from_secs(3);

/// Longest time that setting many alarms may take, for a turn waits; the sweep finds the rest.
const MANY_MAX: Duration = Duration::from_secs(3);

/// Most alarms that are being set at once, by all calls.
const AT_ONCE_MAX: usize = 16;

/// Wakes the timekeeper: creates tasks of a Cloud Tasks queue. Clones share one client.
#[derive(Clone)]
pub struct Alarms {
    inner: Arc<Inner>,
}

struct Inner {
    client: CloudTasks,
    location: String,
    queue: String,
    timekeeper_url: String,
    service_account: Option<String>,
    /// Whether the server only stands in for Google's.
    stands_in: bool,
    at_once: Semaphore,
}

impl fmt::Debug for Alarms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarms")
            .field("queue", &self.inner.queue)
            .field("timekeeper_url", &self.inner.timekeeper_url)
            .finish_non_exhaustive()
    }
}

impl Alarms {
    /// A client of the queue. Asks nothing yet.
    pub async fn connect(config: &Config) -> PortResult<Self> {
        let mut builder = CloudTasks::builder()
            .with_retry_policy(Aip194Strict.with_time_limit(REQUEST_MAX).with_attempt_limit(3));
        if let Some(endpoint) = &config.endpoints.tasks {
            builder = builder
                .with_endpoint(endpoint.as_str())
                .with_credentials(anonymous::Builder::new().build());
        }
        let client = builder.build().await.map_err(PortError::backend)?;
        let location = format!("projects/{}/locations/{}", config.project, config.region);
        Ok(Self {
            inner: Arc::new(Inner {
                client,
                queue: format!("{location}/queues/{}", config.queue),
                location,
                timekeeper_url: config.timekeeper_url.clone(),
                service_account: config.tasks_service_account.clone(),
                stands_in: config.endpoints.tasks.is_some(),
                at_once: Semaphore::new(AT_ONCE_MAX),
            }),
        })
    }

    /// Sets the alarm of a timer: it rings when the timer is due, or where that is more than 29
    /// days ahead on the day before that, for the timekeeper to set it again; one that is due
    /// already rings at once. Setting the same again does nothing.
    pub async fn set(&self, id: &str, due: DateTime<Utc>, now: DateTime<Utc>) -> PortResult<()> {
        let inner = &self.inner;
        let rings = rings_at(due, now);
        let task = Task::new()
            .set_name(format!("{}/tasks/{}", inner.queue, task_id(id, rings)))
            .set_schedule_time(timestamp(rings.max(now)))
            .set_dispatch_deadline(WktDuration::clamp(DISPATCH_DEADLINE_SECONDS, 0))
            .set_http_request(inner.request(id));
        let created = inner
            .client
            .create_task()
            .set_parent(&inner.queue)
            .set_task(task)
            // A task of this name is this task: trying again does no harm.
            .with_idempotency(true)
            .with_attempt_timeout(ATTEMPT_MAX)
            .send()
            .await;
        match created {
            Ok(_) => Ok(()),
            Err(error) if has_code(&error, Code::AlreadyExists, 409) => Ok(()),
            Err(error) => Err(from_google(error)),
        }
    }

    /// Sets the alarms of all envelopes that have a due time, several at once. What cannot be
    /// set is only logged: the timers are stored, and the sweep finds those that are late.
    pub async fn set_all(&self, timers: &[Envelope], now: DateTime<Utc>) {
        let setting = timers.iter().filter_map(|timer| {
            let (alarms, id, due) = (self.clone(), timer.id.clone(), timer.due?);
            Some(async move {
                let set = alarms.set(&id, due, now).await;
                (id, set)
            })
        });
        self.set_each(setting.collect()).await;
    }

    /// The same, with each set in the caller's way: futures that tell the timer's id and how
    /// setting its alarm went.
    pub(crate) async fn set_each<S>(&self, setting: Vec<S>)
    where
        S: Future<Output = (String, PortResult<()>)> + Send,
    {
        let count = setting.len();
        let bounded = setting.into_iter().map(|setting| {
            let inner = self.inner.clone();
            async move {
                let _permit = inner.at_once.acquire().await;
                if let (timer, Err(error)) = setting.await {
                    tracing::warn!(timer, %error, "no alarm is set; the sweep will find the timer");
                }
            }
        });
        let all = stream::iter(bounded).buffer_unordered(AT_ONCE_MAX).for_each(|()| ready(()));
        if tokio::time::timeout(MANY_MAX, all).await.is_err() {
            tracing::warn!(count, "setting alarms took too long; the sweep will find the timers");
        }
    }

    /// Makes the queue where it is missing at a server that stands in for Google's; the real one
    /// is made by Terraform.
    pub async fn provision(&self) -> PortResult<()> {
        let inner = &self.inner;
        if !inner.stands_in {
            return Ok(());
        }
        let created = inner
            .client
            .create_queue()
            .set_parent(&inner.location)
            .set_queue(Queue::new().set_name(&inner.queue))
            .with_idempotency(true)
            .with_attempt_timeout(ATTEMPT_MAX)
            .send()
            .await;
        match created {
            Ok(_) => Ok(()),
            Err(error) if has_code(&error, Code::AlreadyExists, 409) => Ok(()),
            Err(error) => Err(from_google(error)),
        }
    }

    /// Looks whether the queue is there, for `chatflow doctor`: what was looked at, and what is
    /// wrong with it in words for people.
    pub async fn examine(&self) -> Vec<(String, Result<(), String>)> {
        let inner = &self.inner;
        let found = inner
            .client
            .get_queue()
            .set_name(&inner.queue)
            .with_attempt_timeout(ATTEMPT_MAX)
            .send()
            .await;
        let queue = match found {
            Ok(queue) if queue.state == google_cloud_tasks_v2::model::queue::State::Paused => {
                Err("the queue is paused: no timer wakes the timekeeper; resume it".to_owned())
            }
            Ok(_) => Ok(()),
            Err(error) if has_code(&error, Code::NotFound, 404) => {
                Err("there is no such queue; create it by `terraform apply`".to_owned())
            }
            Err(error) => Err(error.to_string()),
        };
        let url = match inner.timekeeper_url.split_once("://") {
            Some(("http" | "https", rest)) if !rest.is_empty() => Ok(()),
            _ => Err("the timekeeper's URL must begin with https:// and a host".to_owned()),
        };
        vec![
            (format!("queue {}", inner.queue), queue),
            (format!("timekeeper URL {:?}", inner.timekeeper_url), url),
        ]
    }
}

impl Inner {
    /// What the queue asks of the timekeeper.
    fn request(&self, id: &str) -> HttpRequest {
        let base = self.timekeeper_url.trim_end_matches('/');
        let body = serde_json::json!({ "timer": id }).to_string();
        let request = HttpRequest::new()
            .set_url(format!("{base}/alarms"))
            .set_http_method(HttpMethod::Post)
            .set_headers(HashMap::from([("Content-Type", "application/json")]))
            .set_body(body);
        match &self.service_account {
            Some(account) => request.set_oidc_token(
                OidcToken::new()
                    .set_service_account_email(account)
                    .set_audience(&self.timekeeper_url),
            ),
            None => request,
        }
    }
}

/// When the alarm rings: when the timer is due, as far as that is not too far ahead. Far ones
/// ring at the beginning of a day, so that setting one again on the same day is the same alarm.
fn rings_at(due: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    let farthest = now + AHEAD_MAX;
    if due <= farthest {
        return due;
    }
    farthest.duration_trunc(TimeDelta::days(1)).unwrap_or(farthest)
}

/// The last part of the task's name: a hash, which has only characters that are allowed.
fn task_id(id: &str, rings: DateTime<Utc>) -> String {
    let mut hash = Sha256::new();
    hash.update(rings.timestamp_micros().to_be_bytes());
    hash.update(id);
    let mut name = String::with_capacity(64);
    for byte in hash.finalize() {
        // Writing to a string does not fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

fn timestamp(at: DateTime<Utc>) -> Timestamp {
    Timestamp::clamp(at.timestamp(), i32::try_from(at.timestamp_subsec_nanos()).unwrap_or_default())
}

/// Whether Google answered so: by its own code, or by the status of the HTTP answer alone.
pub(crate) fn has_code(error: &Error, code: Code, http: u16) -> bool {
    match error.status() {
        Some(status) => status.code == code,
        None => error.http_status_code() == Some(http),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::hours(24 * day + 9)
    }

    #[test]
    fn rings_when_due_or_before_cloud_tasks_refuses() {
        assert_eq!(rings_at(day(3), day(0)), day(3));
        assert_eq!(rings_at(day(-3), day(0)), day(-3), "the name stays the same");
        assert_eq!(rings_at(day(29), day(0)), day(29));
        let far = rings_at(day(60), day(0));
        assert_eq!(far, day(29) - TimeDelta::hours(9), "the beginning of the day");
        let later = rings_at(day(60), day(0) + TimeDelta::minutes(5));
        assert_eq!(far, later, "setting it again on the same day is the same alarm");
        assert!(rings_at(day(60), far) > far, "rung early, the next one is a new alarm");
        assert_eq!(rings_at(DateTime::<Utc>::MAX_UTC, day(0)), far);
    }

    #[test]
    fn names_follow_timer_and_time() {
        let name = task_id("env-1", day(0));
        assert_eq!(name.len(), 64);
        assert!(name.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(name, task_id("env-1", day(0)));
        assert_ne!(name, task_id("env-1", day(1)));
        assert_ne!(name, task_id("env-2", day(0)));
    }
}
