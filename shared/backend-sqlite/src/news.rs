//! What the writer tells everybody else once it is on the disk: that something was published, how
//! much waits, and what the delivery loop would otherwise have to read back.
//!
//! Nothing here is needed to go on after a start: who asks for more than is here reads the file.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ports::{Delivery, Topic};
use tokio::sync::Notify;

/// Most envelopes kept for the delivery loop, and most bytes of their bodies. Where it is behind
/// by more it reads them.
const READY_MAX: usize = 4_096;
const READY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// When a timer is due that does not exist.
pub(crate) const NEVER: i64 = i64::MAX;

/// Envelopes that came (positive) and went, by topic.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Backlog([i64; Topic::ALL.len()]);

impl Backlog {
    /// Counts `change` envelopes of a topic.
    pub(crate) fn add(&mut self, topic: Topic, change: i64) {
        let counts = Topic::ALL.into_iter().zip(&mut self.0);
        if let Some((_, count)) = counts.into_iter().find(|(known, _)| *known == topic) {
            *count += change;
        }
    }
}

/// What one transaction did to the queue.
#[derive(Debug, Default)]
pub(crate) struct Queued {
    pub(crate) backlog: Backlog,
    /// Envelopes without a due time that came, in their order.
    pub(crate) ready: Vec<Delivery>,
    /// Positions that went, or whose attempts were counted.
    pub(crate) touched: Vec<i64>,
    /// Whether anything came.
    pub(crate) published: bool,
    /// Whether timers came or went.
    pub(crate) timers: bool,
}

/// How much of [`Queued`] was there at some moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    backlog: Backlog,
    ready: usize,
    touched: usize,
    published: bool,
    timers: bool,
}

impl Queued {
    /// Where it stands.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            backlog: self.backlog,
            ready: self.ready.len(),
            touched: self.touched.len(),
            published: self.published,
            timers: self.timers,
        }
    }

    /// Forgets what came after a mark.
    pub(crate) fn back_to(&mut self, mark: Mark) {
        self.backlog = mark.backlog;
        self.ready.truncate(mark.ready);
        self.touched.truncate(mark.touched);
        self.published = mark.published;
        self.timers = mark.timers;
    }
}

/// What everybody else is told.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Somebody may find something new in the queue.
    pub(crate) published: Notify,
    /// How many envelopes wait, by the topic's place in [`Topic::ALL`].
    backlog: [AtomicI64; Topic::ALL.len()],
    ready: Mutex<Ready>,
    timers: Mutex<Timers>,
}

impl News {
    /// How many envelopes wait; topics without any are left out.
    pub(crate) fn backlog(&self) -> Vec<(Topic, u64)> {
        Topic::ALL
            .into_iter()
            .zip(&self.backlog)
            .map(|(topic, count)| (topic, count.load(Ordering::Relaxed).try_into().unwrap_or(0)))
            .filter(|(_, count)| *count > 0)
            .collect()
    }

    /// Counts envelopes that came or went.
    pub(crate) fn count(&self, change: Backlog) {
        for (count, change) in self.backlog.iter().zip(change.0) {
            count.fetch_add(change, Ordering::Relaxed);
        }
    }

    /// Tells what a transaction did, once it is on the disk.
    pub(crate) fn tell(&self, queued: Queued) {
        self.count(queued.backlog);
        let mut ready = self.ready();
        ready.take(queued.ready);
        // Behind what came: one may have come and gone in the same transaction.
        queued.touched.into_iter().for_each(|position| ready.forget(position));
        drop(ready);
        if queued.timers {
            self.timers().changes += 1;
        }
        if queued.published {
            // Those that wait, and the next one to wait.
            self.published.notify_waiters();
            self.published.notify_one();
        }
    }

    /// Envelopes behind `position` that can be delivered at once, as many as `limit` and their
    /// `bytes` allow; none where the file must be asked. They are given away: who asks for the
    /// same again reads the file.
    pub(crate) fn after(&self, position: i64, limit: usize, bytes: usize) -> Option<Vec<Delivery>> {
        self.ready().after(position, limit, bytes)
    }

    /// The earliest timer ([`NEVER`] where there is none), if it is known and not due at `now`.
    pub(crate) fn next_timer(&self, now: i64) -> Option<i64> {
        let timers = self.timers();
        let (changes, earliest) = timers.known?;
        (changes == timers.changes && earliest > now).then_some(earliest)
    }

    /// How often timers have come and gone, to be asked before they are read.
    pub(crate) fn timer_changes(&self) -> u64 {
        self.timers().changes
    }

    /// The earliest timer as it was read, or [`NEVER`], when timers had changed so often.
    pub(crate) fn learn(&self, changes: u64, earliest: i64) {
        self.timers().known = Some((changes, earliest));
    }

    /// Forgets what would have to be read otherwise.
    pub(crate) fn clear(&self) {
        *self.ready() = Ready::default();
        self.timers().known = None;
    }

    fn ready(&self) -> MutexGuard<'_, Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn timers(&self) -> MutexGuard<'_, Timers> {
        self.timers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Timers {
    changes: u64,
    /// The earliest of all timers, when they had changed so often.
    known: Option<(u64, i64)>,
}

/// The envelopes that were published last.
#[derive(Debug)]
struct Ready {
    /// All that can be delivered at once and stand behind this position are here.
    from: i64,
    envelopes: VecDeque<Delivery>,
    bytes: usize,
}

impl Default for Ready {
    fn default() -> Self {
        Self { from: i64::MAX, envelopes: VecDeque::new(), bytes: 0 }
    }
}

impl Ready {
    fn take(&mut self, published: Vec<Delivery>) {
        for delivery in published {
            if self.from == i64::MAX {
                self.from = delivery.position - 1;
            }
            self.bytes += delivery.envelope.body.len();
            self.envelopes.push_back(delivery);
        }
        if self.envelopes.len() > READY_MAX || self.bytes > READY_BYTES_MAX {
            *self = Self::default();
        }
    }

    /// A row that was changed without having been asked for here is not to be found here either.
    fn forget(&mut self, position: i64) {
        if self.envelopes.binary_search_by_key(&position, |it| it.position).is_ok() {
            *self = Self::default();
        }
    }

    fn after(&mut self, position: i64, limit: usize, bytes: usize) -> Option<Vec<Delivery>> {
        if position < self.from {
            return None;
        }
        let (mut found, mut found_bytes) = (Vec::new(), 0);
        while found.len() < limit
            && found_bytes < bytes
            && let Some(delivery) = self.envelopes.pop_front()
        {
            self.bytes -= delivery.envelope.body.len();
            self.from = delivery.position;
            if delivery.position > position {
                found_bytes += delivery.envelope.body.len();
                found.push(delivery);
            }
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use ports::Envelope;

    use super::*;

    fn delivery(position: i64) -> Delivery {
        let (id, key, body) = (position.to_string(), "key".into(), "0123456789".into());
        let envelope = Envelope { id, topic: Topic::Events, key, due: None, body };
        Delivery { position, attempts: 0, published_at: DateTime::UNIX_EPOCH, envelope }
    }

    fn publish(news: &News, positions: impl IntoIterator<Item = i64>) {
        let ready = positions.into_iter().map(delivery).collect();
        news.tell(Queued { ready, published: true, ..Queued::default() });
    }

    fn after(news: &News, position: i64, limit: usize) -> Option<Vec<i64>> {
        let found = news.after(position, limit, usize::MAX)?;
        Some(found.into_iter().map(|delivery| delivery.position).collect())
    }

    #[test]
    fn what_was_published_is_given_once_and_in_order() {
        let news = News::default();
        assert_eq!(after(&news, 0, 10), None, "what is in the file is not known");
        publish(&news, [5, 6, 9]);
        assert_eq!(after(&news, 3, 10), None, "there may be a fourth");
        assert_eq!(after(&news, 4, 2), Some(vec![5, 6]));
        assert_eq!(after(&news, 4, 2), None, "they were given away");
        publish(&news, [10]);
        assert_eq!(after(&news, 6, 10), Some(vec![9, 10]));
        assert_eq!(after(&news, 10, 10), Some(vec![]));
        publish(&news, [11, 12]);
        assert_eq!(after(&news, 11, 10), Some(vec![12]), "who has read one gets the next");
        publish(&news, [13, 14]);
        assert_eq!(news.after(12, 10, 10).map(|found| found.len()), Some(1), "by bytes");
    }

    #[test]
    fn what_changes_in_the_file_is_read_from_there() {
        let news = News::default();
        publish(&news, [1, 2, 3]);
        news.tell(Queued { touched: vec![2], ..Queued::default() });
        assert_eq!(after(&news, 0, 10), None);
        publish(&news, [4, 5]);
        assert_eq!(after(&news, 3, 1), Some(vec![4]));
        news.tell(Queued { touched: vec![4, 3], ..Queued::default() });
        assert_eq!(after(&news, 4, 10), Some(vec![5]), "what was given away may change");
    }

    #[test]
    fn too_much_is_left_to_the_file() {
        let news = News::default();
        publish(&news, 1..=4_096);
        assert_eq!(after(&news, 0, 1), Some(vec![1]));
        publish(&news, [4_097, 4_098]);
        assert_eq!(after(&news, 1, 10), None);
        publish(&news, [4_099]);
        assert_eq!(after(&news, 4_098, 10), Some(vec![4_099]), "and begins anew");
        let mut large = delivery(4_100);
        large.envelope.body = "x".repeat(READY_BYTES_MAX + 1);
        news.tell(Queued { ready: vec![large], ..Queued::default() });
        assert_eq!(after(&news, 4_099, 10), None);
        assert_eq!(news.ready().bytes, 0);
    }

    #[test]
    fn the_earliest_timer_is_known_until_timers_change() {
        let news = News::default();
        assert_eq!(news.next_timer(0), None);
        news.learn(news.timer_changes(), NEVER);
        assert_eq!(news.next_timer(i64::MAX - 1), Some(NEVER));
        news.learn(news.timer_changes(), 50);
        assert_eq!((news.next_timer(49), news.next_timer(50)), (Some(50), None));
        let before = news.timer_changes();
        news.tell(Queued { timers: true, ..Queued::default() });
        assert_eq!(news.next_timer(49), None);
        news.learn(before, 50);
        assert_eq!(news.next_timer(49), None, "what was read before the change says nothing");
    }

    #[test]
    fn what_failed_is_not_told() {
        let mut queued = Queued::default();
        queued.ready.push(delivery(1));
        queued.backlog.add(Topic::Events, 1);
        let mark = queued.mark();
        queued.ready.push(delivery(2));
        queued.touched.push(1);
        queued.backlog.add(Topic::Events, 1);
        (queued.published, queued.timers) = (true, true);
        queued.back_to(mark);
        assert_eq!((queued.ready.len(), queued.touched.len()), (1, 0));
        assert_eq!((queued.backlog.0[0], queued.published, queued.timers), (1, false, false));
    }
}
