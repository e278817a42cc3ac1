//! One subscription's messages: which may be delivered, which wait, which are out.
//!
//! With ordering only the first message of a key may ever be delivered, so at most one of a key
//! is out, and a refused one holds back all that follow it.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use tokio::time::Instant;

use super::message::Message;

/// A message's place in its subscription.
pub(super) type Place = u64;

/// Messages of one subscription that are not acknowledged.
#[derive(Debug, Default)]
pub(super) struct Queue {
    ordered: bool,
    next_place: Place,
    entries: HashMap<Place, Entry>,
    /// May be delivered now.
    ready: VecDeque<Place>,
    /// Were refused and come again at a time.
    waiting: BTreeSet<(Instant, Place)>,
    /// Were pulled and count as refused at a time.
    leases: BTreeSet<(Instant, Place)>,
    /// With ordering: each key's messages; the first is ready, waiting or out.
    keys: HashMap<String, VecDeque<Place>>,
}

#[derive(Debug)]
struct Entry {
    message: Arc<Message>,
    attempts: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Ready, waiting, or behind another of its key.
    Held,
    /// Delivered; with a time, when it was pulled.
    Out(Option<Instant>),
}

/// One delivery of one message.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) place: Place,
    /// Counts from one.
    pub(super) attempt: u32,
    pub(super) message: Arc<Message>,
}

impl Queue {
    pub(super) fn new(ordered: bool) -> Self {
        Self { ordered, ..Self::default() }
    }

    /// Messages that are not acknowledged.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of them.
    pub(super) fn bytes(&self) -> usize {
        self.entries.values().map(|entry| entry.message.draft.bytes()).sum()
    }

    pub(super) fn add(&mut self, message: Arc<Message>) {
        let place = self.next_place;
        self.next_place += 1;
        let mut first = true;
        if self.ordered && !message.draft.ordering_key.is_empty() {
            let key = self.keys.entry(message.draft.ordering_key.clone()).or_default();
            first = key.is_empty();
            key.push_back(place);
        }
        self.entries.insert(place, Entry { message, attempts: 0, state: State::Held });
        if first {
            self.ready.push_back(place);
        }
    }

    /// Takes a message out for a delivery; `choose` picks one of so many, 0 being the oldest.
    /// With a `lease` it counts as refused from then on.
    pub(super) fn take(
        &mut self,
        now: Instant,
        lease: Option<Instant>,
        choose: impl FnOnce(usize) -> usize,
    ) -> Option<Taken> {
        while let Some((due, place)) = self.waiting.first().copied()
            && due <= now
        {
            self.waiting.remove(&(due, place));
            self.ready.push_back(place);
        }
        if self.ready.is_empty() {
            return None;
        }
        let chosen = choose(self.ready.len()).min(self.ready.len() - 1);
        let place =
            if chosen == 0 { self.ready.pop_front() } else { self.ready.swap_remove_back(chosen) }?;
        let entry = self.entries.get_mut(&place)?;
        entry.attempts += 1;
        entry.state = State::Out(lease);
        if let Some(until) = lease {
            self.leases.insert((until, place));
        }
        Some(Taken { place, attempt: entry.attempts, message: Arc::clone(&entry.message) })
    }

    /// When the next waiting message or lease is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let waiting = self.waiting.first().map(|(due, _)| *due);
        let lease = self.leases.first().map(|(due, _)| *due);
        waiting.into_iter().chain(lease).min()
    }

    /// Deliveries whose lease has ended.
    pub(super) fn expired(&self, now: Instant) -> Vec<(Place, u32)> {
        self.leases
            .iter()
            .take_while(|(due, _)| *due <= now)
            .filter_map(|(_, place)| Some((*place, self.entries.get(place)?.attempts)))
            .collect()
    }

    /// The message of that delivery, if it is still out.
    pub(super) fn out(&self, place: Place, attempt: u32) -> Option<&Arc<Message>> {
        let entry = self.entries.get(&place)?;
        let out = matches!(entry.state, State::Out(_)) && entry.attempts == attempt;
        out.then_some(&entry.message)
    }

    /// Done with it: it is gone, and the next of its key may go.
    pub(super) fn remove(&mut self, place: Place, attempt: u32) -> bool {
        if self.out(place, attempt).is_none() {
            return false;
        }
        self.end_lease(place);
        let Some(entry) = self.entries.remove(&place) else {
            return false;
        };
        let key = &entry.message.draft.ordering_key;
        if let Some(places) = self.keys.get_mut(key) {
            places.pop_front();
            match places.front() {
                Some(next) => self.ready.push_back(*next),
                None => {
                    self.keys.remove(key);
                }
            }
        }
        true
    }

    /// Refused: it comes again at that time.
    pub(super) fn hold(&mut self, place: Place, attempt: u32, until: Instant) -> bool {
        if self.out(place, attempt).is_none() {
            return false;
        }
        self.end_lease(place);
        if let Some(entry) = self.entries.get_mut(&place) {
            entry.state = State::Held;
        }
        self.waiting.insert((until, place));
        true
    }

    /// Moves the end of a pulled message's lease.
    pub(super) fn extend(&mut self, place: Place, attempt: u32, until: Instant) -> bool {
        if self.out(place, attempt).is_none() {
            return false;
        }
        self.end_lease(place);
        if let Some(entry) = self.entries.get_mut(&place) {
            entry.state = State::Out(Some(until));
        }
        self.leases.insert((until, place));
        true
    }

    fn end_lease(&mut self, place: Place) {
        if let Some(Entry { state: State::Out(Some(until)), .. }) = self.entries.get(&place) {
            self.leases.remove(&(*until, place));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::message::Draft;
    use super::*;

    fn message(id: &str, key: &str) -> Arc<Message> {
        let draft = Draft { ordering_key: key.to_owned(), ..Draft::default() };
        let published = chrono::DateTime::UNIX_EPOCH;
        Arc::new(Message { id: id.to_owned(), published, draft })
    }

    fn queue(ordered: bool, messages: &[(&str, &str)]) -> Queue {
        let mut queue = Queue::new(ordered);
        for (id, key) in messages {
            queue.add(message(id, key));
        }
        queue
    }

    fn all(queue: &mut Queue, now: Instant) -> Vec<String> {
        std::iter::from_fn(|| queue.take(now, None, |_| 0))
            .map(|taken| format!("{}#{}", taken.message.id, taken.attempt))
            .collect()
    }

    #[test]
    fn one_of_a_key_is_out_and_others_do_not_wait() {
        let now = Instant::now();
        let mut queue = queue(true, &[("a1", "a"), ("a2", "a"), ("b1", "b"), ("x", ""), ("y", "")]);
        assert_eq!(all(&mut queue, now), ["a1#1", "b1#1", "x#1", "y#1"]);
        assert!(queue.remove(0, 1));
        assert_eq!(all(&mut queue, now), ["a2#1"]);
    }

    #[test]
    fn a_refused_message_holds_back_its_key() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut queue = queue(true, &[("a1", "a"), ("a2", "a")]);
        assert_eq!(all(&mut queue, now), ["a1#1"]);
        assert!(queue.hold(0, 1, later));
        assert_eq!(all(&mut queue, now), Vec::<String>::new());
        assert_eq!(queue.next_due(), Some(later));
        assert_eq!(all(&mut queue, later), ["a1#2"]);
        assert!(queue.remove(0, 2));
        assert_eq!(all(&mut queue, later), ["a2#1"]);
    }

    #[test]
    fn an_answer_to_an_older_delivery_does_nothing() {
        let now = Instant::now();
        let mut queue = queue(false, &[("x", "")]);
        assert_eq!(all(&mut queue, now), ["x#1"]);
        assert!(queue.hold(0, 1, now));
        assert_eq!(all(&mut queue, now), ["x#2"]);
        assert!(!queue.remove(0, 1));
        assert!(queue.remove(0, 2));
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn a_lease_ends_unless_extended() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let mut queue = queue(false, &[("x", "")]);
        assert!(queue.take(now, Some(now + second), |_| 0).is_some());
        assert_eq!(queue.expired(now), []);
        assert!(queue.extend(0, 1, now + second * 3));
        assert_eq!(queue.expired(now + second * 2), []);
        assert_eq!(queue.expired(now + second * 3), [(0, 1)]);
    }

    #[test]
    fn without_ordering_any_message_may_be_chosen() {
        let now = Instant::now();
        let mut queue = queue(false, &[("a1", "a"), ("a2", "a"), ("a3", "a")]);
        let taken = queue.take(now, None, |of| of - 1).expect("a message");
        assert_eq!(taken.message.id, "a3");
    }
}
