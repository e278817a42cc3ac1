//! Who may come in while there is more to do than can be done: refused at once is better than
//! accepted and late.
//!
//! One rule everywhere: whoever has fewer places than are free may take one more. Alone, a
//! connection gets half of the places; two busy ones a third each; and one that was quiet always
//! finds a free place. Nobody needs to be counted in beforehand, and nobody has to be told apart
//! from a noisy one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use ports::Topic;
use tokio::time::{Duration, Instant};

use crate::problem::Problem;

/// Requests handled at the same time.
const REQUESTS_MAX: usize = 2_048;
/// Bytes of the bodies of those requests.
const BODIES_BYTES_MAX: usize = 128 * 1024 * 1024;
/// What waits to go out (replies, calls), as a multiple of the events that may wait: an address
/// that does not answer keeps its replies for minutes.
const OUTGOING_FACTOR: usize = 4;
/// The most of it: what rests in the delivery loop has bounds as well, and one event may have
/// several replies.
const OUTGOING_MAX: usize = 8_000;
/// The longest that somebody refused is asked to wait, in seconds.
const RETRY_AFTER_MAX: u32 = 30;
/// How long the rate of handling is counted before it is looked at.
const RATE_EVERY: Duration = Duration::from_secs(1);

/// Places that are shared by connections.
#[derive(Debug, Default)]
struct Pool {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    total: usize,
    by_connection: HashMap<Arc<str>, usize>,
}

impl Pool {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many places a connection has.
    fn of(&self, connection: &str) -> usize {
        self.held().by_connection.get(connection).copied().unwrap_or_default()
    }

    /// Takes a place in any case.
    fn take(self: &Arc<Self>, connection: &Arc<str>) -> Taken {
        self.held().add(connection, 1);
        Taken { pool: self.clone(), connection: connection.clone(), places: 1 }
    }

    /// Takes places where there are so many for this connection.
    fn try_take(
        self: &Arc<Self>,
        connection: &Arc<str>,
        places: usize,
        limit: usize,
    ) -> Result<Taken, Why> {
        let mut held = self.held();
        let mine = held.by_connection.get(connection).copied().unwrap_or_default();
        fits(mine, held.total, places, limit)?;
        held.add(connection, places);
        drop(held);
        Ok(Taken { pool: self.clone(), connection: connection.clone(), places })
    }
}

impl Held {
    fn add(&mut self, connection: &Arc<str>, places: usize) {
        self.total += places;
        *self.by_connection.entry(connection.clone()).or_default() += places;
    }

    fn remove(&mut self, connection: &Arc<str>, places: usize) {
        self.total = self.total.saturating_sub(places);
        if let Some(count) = self.by_connection.get_mut(connection) {
            *count = count.saturating_sub(places);
            if *count == 0 {
                self.by_connection.remove(connection);
            }
        }
    }
}

/// Places; dropping this frees them.
#[derive(Debug)]
struct Taken {
    pool: Arc<Pool>,
    connection: Arc<str>,
    places: usize,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.pool.held().remove(&self.connection, self.places);
    }
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// Nobody gets one.
    Full,
    /// Others still do.
    Share,
}

/// Whether `places` more fit, where a connection has `mine` of `total`: before it takes the last
/// of them it must have fewer than are free. Where nothing is taken anything fits, lest what is
/// large never does.
fn fits(mine: usize, total: usize, places: usize, limit: usize) -> Result<(), Why> {
    let before_last = places.saturating_sub(1);
    match limit.saturating_sub(total.saturating_add(before_last)) {
        _ if places == 0 || (total == 0 && limit > 0) => Ok(()),
        0 => Err(Why::Full),
        free if mine.saturating_add(before_last) >= free => Err(Why::Share),
        _ => Ok(()),
    }
}

/// Bounds of what is under way, and who has how much of it.
#[derive(Debug)]
pub struct Admission {
    backlog_max: usize,
    requests: Arc<Pool>,
    /// Bytes of their bodies.
    bodies: Arc<Pool>,
    events: Arc<Pool>,
    outgoing: Arc<Pool>,
    handled: AtomicU64,
    rate: Mutex<Rate>,
}

/// Events handled in a second, as counted last.
#[derive(Debug)]
struct Rate {
    since: Instant,
    handled: u64,
    per_second: Option<f64>,
}

/// A request that is handled. Dropping it lets the next one in.
#[derive(Debug)]
pub struct Entered {
    _request: Taken,
    _body: Taken,
}

/// Something that waits to be handled, or is. Dropping it says that it is done.
#[derive(Debug)]
pub struct Waiting {
    connection: Arc<str>,
    admission: Arc<Admission>,
    topic: Topic,
    _taken: Option<Taken>,
}

impl Waiting {
    /// Whose it is; empty where that is nobody's.
    pub fn connection(&self) -> &Arc<str> {
        &self.connection
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.topic == Topic::Events {
            self.admission.handled.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Admission {
    /// Lets in as long as fewer than `backlog_max` events wait to be handled.
    pub fn new(backlog_max: u32) -> Self {
        Self {
            backlog_max: usize::try_from(backlog_max).unwrap_or(usize::MAX),
            requests: Arc::default(),
            bodies: Arc::default(),
            events: Arc::default(),
            outgoing: Arc::default(),
            handled: AtomicU64::new(0),
            rate: Mutex::new(Rate { since: Instant::now(), handled: 0, per_second: None }),
        }
    }

    /// Lets a request in whose body has so many bytes, or says no.
    pub(crate) fn enter(&self, connection: &str, bytes: usize) -> Result<Entered, Problem> {
        let connection: Arc<str> = connection.into();
        let refused = |why| refusal(why, "too many requests at once", 1);
        let request = self.requests.try_take(&connection, 1, REQUESTS_MAX).map_err(refused)?;
        let refused = |why| refusal(why, "too many large requests at once", 1);
        let body = self.bodies.try_take(&connection, bytes, BODIES_BYTES_MAX).map_err(refused)?;
        Ok(Entered { _request: request, _body: body })
    }

    /// Notes that something is to be handled, whether it should have been let in or not.
    pub fn came(self: &Arc<Self>, topic: Topic, connection: &str) -> Waiting {
        let connection: Arc<str> = connection.into();
        let taken = match topic {
            Topic::Events => Some(self.events.take(&connection)),
            Topic::Outbound | Topic::Calls => Some(self.outgoing.take(&connection)),
            Topic::Landing | Topic::Timers | Topic::Failures => None,
        };
        Waiting { connection, admission: self.clone(), topic, _taken: taken }
    }

    /// Whether so many more events of a connection may be accepted, while so much waits in the
    /// store.
    pub(crate) fn admit(
        &self,
        connection: &str,
        more: usize,
        backlog: &[(Topic, u64)],
    ) -> Result<(), Problem> {
        let of = |wanted: &[Topic]| {
            let some = backlog.iter().filter(|(topic, _)| wanted.contains(topic));
            usize::try_from(some.map(|(_, count)| count).sum::<u64>()).unwrap_or(usize::MAX)
        };
        let events = of(&[Topic::Events]);
        // After a start the store knows of more than was counted here. Rows that wait to land are
        // not looked at: where they pile up the delivery loop takes no more events, which shows.
        let waiting = events.max(self.events.held().total);
        fits(self.events.of(connection), waiting, more, self.backlog_max).map_err(|why| {
            let what = "more messages have come than are handled so fast";
            refusal(why, what, self.drained_after(waiting))
        })?;
        let outgoing = of(&[Topic::Outbound, Topic::Calls]);
        let most = self.backlog_max.saturating_mul(OUTGOING_FACTOR).min(OUTGOING_MAX);
        fits(self.outgoing.of(connection), outgoing, more, most).map_err(|why| {
            let what = "too many replies and calls wait for addresses that do not answer";
            refusal(why, what, RETRY_AFTER_MAX)
        })
    }

    /// Seconds until so many events are handled, as fast as they were lately.
    fn drained_after(&self, waiting: usize) -> u32 {
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = rate.since.elapsed();
        if passed >= RATE_EVERY {
            let handled = self.handled.load(Ordering::Relaxed);
            let more = u32::try_from(handled - rate.handled).unwrap_or(u32::MAX);
            rate.per_second = Some(f64::from(more) / passed.as_secs_f64());
            (rate.since, rate.handled) = (Instant::now(), handled);
        }
        let Some(per_second) = rate.per_second else { return 1 };
        let waiting = f64::from(u32::try_from(waiting).unwrap_or(u32::MAX));
        seconds(waiting / per_second)
    }
}

/// Whole seconds, from one to the longest; of what is no number, the longest.
fn seconds(wait: f64) -> u32 {
    (1..RETRY_AFTER_MAX).find(|seconds| f64::from(*seconds) >= wait).unwrap_or(RETRY_AFTER_MAX)
}

fn refusal(why: Why, what: &str, seconds: u32) -> Problem {
    let (status, whose) = match why {
        Why::Full => (StatusCode::SERVICE_UNAVAILABLE, ""),
        Why::Share => (StatusCode::TOO_MANY_REQUESTS, " on this connection"),
    };
    let mut problem = Problem::new(status, format!("{what}{whose}; try again in {seconds} s"));
    problem.retry_after_seconds = Some(seconds.into());
    problem
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(result: Result<(), Problem>) -> u16 {
        result.map_or_else(|problem| problem.status, |()| 200)
    }

    /// Takes places until there are no more for this connection; tells how many it got.
    fn fill(admission: &Arc<Admission>, connection: &str, all: &mut Vec<Waiting>) -> usize {
        let before = all.len();
        while admission.admit(connection, 1, &[]).is_ok() {
            all.push(admission.came(Topic::Events, connection));
        }
        all.len() - before
    }

    #[test]
    fn alone_a_connection_gets_half_and_the_quiet_find_room() {
        let admission = Arc::new(Admission::new(100));
        let mut all = Vec::new();
        assert_eq!(fill(&admission, "noisy", &mut all), 50);
        assert_eq!(status(admission.admit("noisy", 1, &[])), 429);
        assert_eq!(fill(&admission, "quiet", &mut all), 25);
        assert_eq!(fill(&admission, "late", &mut all), 13);
        all.clear();
        assert_eq!(status(admission.admit("noisy", 1, &[])), 200);
        assert_eq!(admission.events.held().by_connection.len(), 0, "nobody is remembered");
    }

    #[test]
    fn what_the_store_holds_counts_for_everybody() {
        let admission = Arc::new(Admission::new(100));
        let full = [(Topic::Events, 100), (Topic::Timers, 1_000_000)];
        assert_eq!(status(admission.admit("any", 1, &full)), 503);
        assert_eq!(status(admission.admit("any", 1, &full[1..])), 200);
    }

    #[test]
    fn replies_to_a_dead_address_stop_their_connection_only() {
        let admission = Arc::new(Admission::new(10));
        let dead: Vec<Waiting> = (0..25).map(|_| admission.came(Topic::Outbound, "dead")).collect();
        let backlog = [(Topic::Outbound, 25)];
        let refused = admission.admit("dead", 1, &backlog).unwrap_err();
        assert_eq!((refused.status, refused.retry_after_seconds), (429, Some(30)));
        assert_eq!(status(admission.admit("other", 1, &backlog)), 200);
        drop(dead);
        assert_eq!(status(admission.admit("dead", 1, &[])), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_refused_is_told_when_there_will_be_room() {
        let admission = Arc::new(Admission::new(100));
        let full = [(Topic::Events, 100)];
        let after = || admission.admit("any", 1, &full).unwrap_err().retry_after_seconds;
        assert_eq!(after(), Some(1), "nothing is known yet");
        drop((0..40).map(|_| admission.came(Topic::Events, "any")).collect::<Vec<_>>());
        tokio::time::advance(RATE_EVERY).await;
        assert_eq!(after(), Some(3), "100 at 40 in a second");
        tokio::time::advance(RATE_EVERY).await;
        assert_eq!(after(), Some(30), "nothing is handled");
    }

    #[test]
    fn requests_under_way_are_bounded_by_connection_and_in_all() {
        let admission = Admission::new(100);
        let enter = |connection| {
            let entered = std::iter::from_fn(|| admission.enter(connection, 0).ok());
            entered.collect::<Vec<_>>()
        };
        let noisy = enter("noisy");
        assert_eq!(noisy.len(), REQUESTS_MAX / 2);
        let refused = admission.enter("noisy", 0).unwrap_err();
        assert_eq!((refused.status, refused.retry_after_seconds), (429, Some(1)));
        let quiet = enter("quiet");
        assert_eq!(quiet.len(), REQUESTS_MAX / 4);
        drop(noisy);
        assert!(admission.enter("noisy", 0).is_ok());
    }

    #[test]
    fn bodies_under_way_are_bounded_by_connection_and_in_all() {
        let admission = Admission::new(100);
        let most = crate::input::BODY_BYTES_MAX;
        let enter = |connection| {
            let entered = std::iter::from_fn(|| admission.enter(connection, most).ok());
            entered.collect::<Vec<_>>().len()
        };
        let kept = admission.enter("noisy", most).unwrap();
        assert_eq!(enter("noisy"), BODIES_BYTES_MAX / most / 2 - 1);
        drop(kept);
        let held: Vec<_> =
            (0..64).map(|_| admission.enter("noisy", most)).collect::<Result<_, _>>().unwrap();
        let refused = admission.enter("noisy", most).unwrap_err();
        assert_eq!((refused.status, refused.retry_after_seconds), (429, Some(1)));
        assert!(admission.enter("noisy", 0).is_ok(), "what has no body needs no bytes");
        assert!(admission.enter("quiet", most).is_ok());
        drop(held);
        assert_eq!(admission.bodies.held().total, 0);
    }

    #[test]
    fn many_events_at_once_count_as_many() {
        let admission = Arc::new(Admission::new(100));
        assert_eq!(status(admission.admit("any", 500, &[])), 200, "nothing else waits");
        let one = admission.came(Topic::Events, "any");
        assert_eq!(status(admission.admit("any", 500, &[])), 503);
        assert_eq!(status(admission.admit("any", 80, &[])), 429);
        assert_eq!(status(admission.admit("any", 40, &[])), 200);
        drop(one);
    }
}
