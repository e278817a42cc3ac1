//! What goes wrong on purpose.
//!
//! The same seed gives the same sequence of choices; which delivery meets which choice still
//! depends on what runs at once.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;

use super::problem::Problem;

const COPIES_MAX: u32 = 10;
const MILLISECONDS_MAX: u64 = 60_000;

/// What goes wrong. `Faults::default()` is: nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// How often each push is sent, 1 to 10. The answers to the extra copies change nothing.
    pub copies: u32,
    /// An extra copy is sent either at the same moment as the push (half of them) or up to so
    /// much later, when other messages of its key may already be through.
    pub late_milliseconds_max: u64,
    /// Whether a push takes any message that may go, rather than the oldest. Messages of one
    /// ordering key keep their order.
    pub shuffle: bool,
    /// Each push waits up to so long before it is sent.
    pub delay_milliseconds_max: u64,
    /// How probable it is, 0 to 1, that a good answer is lost: the message then comes again, and
    /// the delivery counts as an attempt.
    pub lost_answers: f64,
    /// For so long from now, publishing and pulling are refused as `UNAVAILABLE`, and nothing is
    /// pushed.
    pub outage_milliseconds: u64,
    /// Where the sequence of choices starts.
    pub seed: u64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            copies: 1,
            late_milliseconds_max: 0,
            shuffle: false,
            delay_milliseconds_max: 0,
            lost_answers: 0.0,
            outage_milliseconds: 0,
            seed: 1,
        }
    }
}

impl Faults {
    pub(super) fn check(&self) -> Result<(), Problem> {
        if !(1..=COPIES_MAX).contains(&self.copies) {
            return Err(Problem::invalid("copies must be 1 to 10"));
        }
        if !(0.0..=1.0).contains(&self.lost_answers) {
            return Err(Problem::invalid("lost_answers must be 0 to 1"));
        }
        let times =
            [self.late_milliseconds_max, self.delay_milliseconds_max, self.outage_milliseconds];
        if times.iter().any(|time| *time > MILLISECONDS_MAX) {
            return Err(Problem::invalid("a time must be at most 60000 milliseconds"));
        }
        Ok(())
    }
}

/// What goes wrong with one push.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) delay: Duration,
    /// For each extra copy, how long it waits.
    pub(super) extra: Vec<Duration>,
    pub(super) lose_answer: bool,
}

/// The faults in force, and the choices they make.
#[derive(Debug)]
pub(super) struct Mischief {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    faults: Faults,
    random: Random,
    outage_until: Option<Instant>,
}

impl Mischief {
    pub(super) fn new() -> Self {
        let faults = Faults::default();
        let state = State { faults, random: Random(faults.seed), outage_until: None };
        Self { state: Mutex::new(state), changed: watch::channel(()).0 }
    }

    pub(super) fn set(&self, faults: Faults) {
        let outage = Duration::from_millis(faults.outage_milliseconds);
        let outage_until = (!outage.is_zero()).then(|| Instant::now() + outage);
        *self.state() = State { faults, random: Random(faults.seed), outage_until };
        self.changed.send_replace(());
    }

    pub(super) fn start_outage(&self, length: Duration) {
        self.state().outage_until = Some(Instant::now() + length);
        self.changed.send_replace(());
    }

    /// Changes whenever other faults are in force.
    pub(super) fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// When the outage ends, if there is one.
    pub(super) fn outage(&self) -> Option<Instant> {
        self.state().outage_until.filter(|until| *until > Instant::now())
    }

    /// Which of so many messages goes next.
    pub(super) fn choose(&self, of: usize) -> usize {
        let mut state = self.state();
        if state.faults.shuffle { state.random.below(of as u64).try_into().unwrap_or(0) } else { 0 }
    }

    pub(super) fn plan(&self) -> Plan {
        let mut state = self.state();
        let State { faults, random, .. } = &mut *state;
        let delay = random.up_to(faults.delay_milliseconds_max);
        let lose_answer = random.happens(faults.lost_answers);
        let late = faults.late_milliseconds_max;
        let extra = (1..faults.copies)
            .map(|_| if random.happens(0.5) { random.up_to(late) } else { delay })
            .collect();
        Plan { delay, extra, lose_answer }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `SplitMix64`: small, and enough for choices of tests.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        if limit == 0 { 0 } else { self.next() % limit }
    }

    fn up_to(&mut self, milliseconds: u64) -> Duration {
        Duration::from_millis(self.below(milliseconds + 1))
    }

    fn happens(&mut self, probability: f64) -> bool {
        let thousandth = f64::from(u32::try_from(self.next() >> 32).unwrap_or(0));
        thousandth < probability * (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plans(faults: Faults, count: usize) -> Vec<Plan> {
        let mischief = Mischief::new();
        mischief.set(faults);
        (0..count).map(|_| mischief.plan()).collect()
    }

    #[test]
    fn nothing_goes_wrong_by_default() {
        assert_eq!(plans(Faults::default(), 100), vec![Plan::default(); 100]);
        assert_eq!(Mischief::new().choose(1000), 0);
    }

    #[test]
    fn the_seed_decides() {
        let faults =
            |seed| Faults { copies: 3, delay_milliseconds_max: 50, seed, ..Faults::default() };
        assert_eq!(plans(faults(7), 50), plans(faults(7), 50));
        assert_ne!(plans(faults(7), 50), plans(faults(8), 50));
    }

    #[test]
    fn answers_are_lost_as_often_as_told() {
        let lost = |lost_answers| {
            let faults = Faults { lost_answers, ..Faults::default() };
            plans(faults, 1000).iter().filter(|plan| plan.lose_answer).count()
        };
        assert_eq!(lost(0.0), 0);
        assert_eq!(lost(1.0), 1000);
        assert!((250..350).contains(&lost(0.3)), "{}", lost(0.3));
    }
}
