//! A clock that stands still until a test moves it.

use async_trait::async_trait;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use ports::Clock;
use tokio::sync::watch;

/// Time as a test decides it. Whoever sleeps wakes when the time is reached, and not before.
#[derive(Debug)]
pub struct VirtualClock {
    now: watch::Sender<DateTime<Utc>>,
}

impl Default for VirtualClock {
    /// Stands at the start of the samples: [`crate::at`]`(0)`.
    fn default() -> Self {
        Self::new(crate::at(0))
    }
}

impl VirtualClock {
    /// Stands at `now`, cut to microseconds.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self { now: watch::Sender::new(microseconds(now)) }
    }

    /// Moves by `delta`; back where it is negative.
    pub fn advance(&self, delta: TimeDelta) {
        self.now.send_modify(|now| *now = microseconds(*now + delta));
    }

    /// Moves to `now`. Going back wakes nobody and keeps nobody awake: clocks do that.
    pub fn set(&self, now: DateTime<Utc>) {
        self.now.send_replace(microseconds(now));
    }

    /// How many sleep right now.
    pub fn sleepers(&self) -> usize {
        self.now.receiver_count()
    }
}

fn microseconds(time: DateTime<Utc>) -> DateTime<Utc> {
    time.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(time)
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.now.borrow()
    }

    async fn sleep_until(&self, at: DateTime<Utc>) {
        let mut now = self.now.subscribe();
        // The sender lives in `self`, which this call borrows: waiting cannot fail.
        let _ = now.wait_for(|now| *now >= at).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::TimeDelta;
    use ports::Clock;

    use super::VirtualClock;
    use crate::at;

    #[tokio::test]
    async fn keeps_the_contract() {
        let clock = Arc::new(VirtualClock::default());
        let advance = |delta| clock.advance(delta);
        ports_contract::clock::suite(clock.clone(), advance).await;
    }

    #[tokio::test]
    async fn wakes_exactly_when_the_time_is_reached() {
        let clock = Arc::new(VirtualClock::default());
        let sleeper = clock.clone();
        let sleep = tokio::spawn(async move { sleeper.sleep_until(at(10)).await });
        while clock.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        let settle = async || {
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        };
        clock.advance(TimeDelta::seconds(10) - TimeDelta::microseconds(1));
        settle().await;
        clock.set(at(-100));
        settle().await;
        clock.set(at(10) - TimeDelta::microseconds(1));
        settle().await;
        assert!(!sleep.is_finished());
        clock.advance(TimeDelta::microseconds(1));
        sleep.await.unwrap();
        assert_eq!((clock.now(), clock.sleepers()), (at(10), 0));
    }

    #[test]
    fn time_has_a_resolution_of_one_microsecond() {
        let clock = VirtualClock::new(at(0) + TimeDelta::nanoseconds(999));
        assert_eq!(clock.now(), at(0));
        clock.advance(TimeDelta::nanoseconds(1_999));
        assert_eq!(clock.now(), at(0) + TimeDelta::microseconds(1));
    }
}
