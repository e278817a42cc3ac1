//! What the delivery loop has in memory: envelopes that are held, and those that rest.

use std::collections::{HashMap, HashSet, VecDeque};

use gateway::admission::Waiting;
use ports::{Delivery, Envelope, Topic};

use super::lane::Lane;

/// Envelopes held in memory; beyond them nothing more is fetched.
const HELD_MAX: usize = 10_000;
/// Bytes of bodies held in memory; beyond them nothing more is fetched.
const HELD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Envelopes that rest without being held: they wait for their next attempt, or behind one that
/// does. Beyond them, and the bytes of their bodies, those that rest are held as well.
const RESTING_MAX: usize = 20_000;
const RESTING_BYTES_MAX: usize = 256 * 1024 * 1024;

pub(super) type Key = (Topic, String);

#[derive(Default)]
pub(super) struct Queues {
    by_key: HashMap<Key, Line>,
    /// Positions of timers under way: they are found again until they are acknowledged.
    pub(super) timers: HashSet<i64>,
    pub(super) lane: Lane,
    pub(super) held: Sum,
    resting: Sum,
    /// Envelopes held that have rows to land.
    pub(super) rows: usize,
}

/// Envelopes of one key that wait for the one before them.
#[derive(Default)]
struct Line {
    waiting: VecDeque<Queued>,
    /// The one before them waits for its next attempt.
    rests: bool,
}

struct Queued {
    delivery: Delivery,
    waiting: Waiting,
    /// Whether it counts as resting and not as held.
    rests: bool,
}

/// Envelopes, and the bytes of their bodies.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Sum {
    count: usize,
    bytes: usize,
}

impl Sum {
    fn add(&mut self, bytes: usize) {
        self.count += 1;
        self.bytes += bytes;
    }

    fn remove(&mut self, bytes: usize) {
        self.count = self.count.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(self) -> bool {
        self.count == 0
    }

    /// Whether there is room for many more that are held.
    pub(super) fn is_low(self) -> bool {
        self.is_below(HELD_MAX / 4 * 3, HELD_BYTES_MAX / 4 * 3)
    }

    fn is_below(self, count: usize, bytes: usize) -> bool {
        self.count < count && self.bytes < bytes
    }
}

impl Queues {
    pub(super) fn have_room(&self) -> bool {
        self.held.is_below(HELD_MAX, HELD_BYTES_MAX)
    }

    pub(super) fn hold(&mut self, envelope: &Envelope) {
        self.held.add(envelope.body.len());
        self.rows += usize::from(envelope.topic == Topic::Landing);
    }

    pub(super) fn let_go(&mut self, envelope: &Envelope) {
        self.held.remove(envelope.body.len());
        self.rows = self.rows.saturating_sub(usize::from(envelope.topic == Topic::Landing));
    }

    /// From held to resting, where there is room.
    fn rest(&mut self, envelope: &Envelope) -> bool {
        let rests = self.resting.is_below(RESTING_MAX, RESTING_BYTES_MAX);
        if rests {
            self.resting.add(envelope.body.len());
            self.let_go(envelope);
        }
        rests
    }

    /// From resting to held.
    pub(super) fn wake(&mut self, envelope: &Envelope) {
        self.resting.remove(envelope.body.len());
        self.hold(envelope);
    }

    /// Puts an envelope behind the others of its key; true where it is the first.
    pub(super) fn join(&mut self, key: Key, delivery: Delivery, waiting: Waiting) -> bool {
        self.hold(&delivery.envelope);
        let follows_resting = self.by_key.get(&key).is_some_and(|line| line.rests);
        let rests = follows_resting && self.rest(&delivery.envelope);
        let is_first = !self.by_key.contains_key(&key);
        let line = self.by_key.entry(key).or_default();
        line.waiting.push_back(Queued { delivery, waiting, rests });
        is_first
    }

    /// The next one of a key, which is held from here on; where there is none the line is gone.
    pub(super) fn next(&mut self, key: &Key) -> Option<(Delivery, Waiting)> {
        let line = self.by_key.get_mut(key)?;
        line.rests = false;
        let Some(Queued { delivery, waiting, rests }) = line.waiting.pop_front() else {
            self.by_key.remove(key);
            return None;
        };
        if rests {
            self.wake(&delivery.envelope);
        }
        Some((delivery, waiting))
    }

    /// The first of a key waits for its next attempt, and with it all behind it; tells whether it
    /// rests.
    pub(super) fn rest_line(&mut self, envelope: &Envelope) -> bool {
        let rests = self.rest(envelope);
        let key = (envelope.topic, envelope.key.clone());
        let Some(mut line) = self.by_key.remove(&key) else { return rests };
        line.rests = true;
        for queued in line.waiting.iter_mut().filter(|queued| !queued.rests) {
            queued.rests = self.rest(&queued.delivery.envelope);
        }
        self.by_key.insert(key, line);
        rests
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gateway::admission::Admission;

    use super::*;

    fn delivery(topic: Topic, position: i64) -> Delivery {
        let body = "0123456789".to_owned();
        let (id, key) = (position.to_string(), "conversation".to_owned());
        Delivery {
            position,
            attempts: 0,
            published_at: chrono::DateTime::UNIX_EPOCH,
            envelope: Envelope { id, topic, key, due: None, body },
        }
    }

    /// Puts so many of one key into the queues; gives the key.
    fn filled(queues: &mut Queues, topic: Topic, count: i64) -> Key {
        let admission = Arc::new(Admission::new(10));
        let key: Key = (topic, "conversation".into());
        for position in 0..count {
            let waiting = admission.came(topic, "demo");
            let is_first = queues.join(key.clone(), delivery(topic, position), waiting);
            assert_eq!(is_first, position == 0);
        }
        key
    }

    #[test]
    fn who_stands_behind_a_dead_address_is_not_held() {
        let mut queues = Queues::default();
        let key = filled(&mut queues, Topic::Outbound, 100);
        let (head, _waiting) = queues.next(&key).unwrap();
        assert_eq!((queues.held.count, queues.held.bytes), (100, 1_000));
        assert!(queues.rest_line(&head.envelope));
        assert!(queues.held.is_empty());
        // Nor are those that come while it rests, nor while it is tried again.
        let waiting = Arc::new(Admission::new(10)).came(Topic::Outbound, "demo");
        assert!(!queues.join(key.clone(), delivery(Topic::Outbound, 100), waiting));
        assert_eq!((queues.held.count, queues.resting.count), (0, 101));
        queues.wake(&head.envelope);
        assert_eq!((queues.held.count, queues.resting.count), (1, 100));
        queues.let_go(&head.envelope);
        // They are held one by one, in their order, and nothing is left in the end.
        let mut order = Vec::new();
        while let Some((next, _waiting)) = queues.next(&key) {
            assert_eq!(queues.held.count, 1);
            order.push(next.position);
            queues.let_go(&next.envelope);
        }
        assert_eq!(order, (1..=100).collect::<Vec<_>>());
        assert_eq!((queues.held.bytes, queues.resting.bytes, queues.by_key.len()), (0, 0, 0));
    }

    #[test]
    fn rows_in_trouble_do_not_count_as_rows_that_wait() {
        let mut queues = Queues::default();
        let key = filled(&mut queues, Topic::Landing, 50);
        assert_eq!(queues.rows, 50);
        let (head, _waiting) = queues.next(&key).unwrap();
        queues.rest_line(&head.envelope);
        assert_eq!(queues.rows, 0);
        queues.wake(&head.envelope);
        assert_eq!(queues.rows, 1);
    }

    #[test]
    fn where_nothing_more_may_rest_it_is_held() {
        let resting = Sum { count: RESTING_MAX, bytes: 0 };
        let mut queues = Queues { resting, ..Queues::default() };
        let key = filled(&mut queues, Topic::Calls, 3);
        let (head, _waiting) = queues.next(&key).unwrap();
        assert!(!queues.rest_line(&head.envelope));
        assert_eq!((queues.held.count, queues.resting.count), (3, RESTING_MAX));
    }
}
