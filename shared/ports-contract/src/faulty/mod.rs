//! Faults within the contract, made on purpose: the same seed makes the same ones.
//!
//! [`Faulty`] stands before a backend and does what the weakest backend may do: it refuses, it
//! answers and the answer is lost, it delivers late and twice. [`Retrying`] is a caller that
//! copes. Under both, a suite must come out as without either.

mod cases;
mod dice;
mod pass;
mod ports;
mod publish;
mod retrying;
mod run;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::ports::{PortError, PortResult};

pub use cases::*;
pub use retrying::Retrying;
pub use run::run;

use crate::backend::Backend;
use dice::Dice;
use publish::Held;

/// Most calls for which a publish is held back.
pub const DELAY_CALLS_MAX: u32 = 3;

/// How often each fault happens, of a thousand times that it could.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// A commit is refused as a `Conflict`, and has changed nothing.
    pub conflict: u16,
    /// A call is refused as `Unavailable`, and has changed nothing.
    pub unavailable: u16,
    /// A call is done and its answer lost: `Unavailable` as well.
    pub lost_answer: u16,
    /// The process stops between commit and publish: the receipt hands nothing over.
    pub crash: u16,
    /// A delivery comes twice.
    pub duplicate: u16,
    /// A publish is held back for up to [`DELAY_CALLS_MAX`] calls of the bus.
    pub delay: u16,
    /// Envelopes published together change places across keys, never within a key.
    pub reorder: u16,
}

impl Rates {
    /// No faults.
    pub const NONE: Self = Self {
        conflict: 0,
        unavailable: 0,
        lost_answer: 0,
        crash: 0,
        duplicate: 0,
        delay: 0,
        reorder: 0,
    };

    /// Every fault, often.
    pub const OFTEN: Self = Self {
        conflict: 150,
        unavailable: 150,
        lost_answer: 150,
        crash: 300,
        duplicate: 300,
        delay: 300,
        reorder: 300,
    };
}

/// How often each fault has happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// Commits refused as a `Conflict`.
    pub conflicts: u64,
    /// Calls refused as `Unavailable`.
    pub unavailable: u64,
    /// Calls that were done and whose answer was lost.
    pub lost_answers: u64,
    /// Receipts that handed nothing over.
    pub crashes: u64,
    /// Deliveries that came twice.
    pub duplicates: u64,
    /// Publishes that were held back.
    pub delays: u64,
    /// Batches whose envelopes changed places.
    pub reorders: u64,
}

impl Faults {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.conflicts
            + self.unavailable
            + self.lost_answers
            + self.crashes
            + self.duplicates
            + self.delays
            + self.reorders
    }
}

/// Every port of a backend, with faults in `TurnStore`, `Bus`, `Timers` and `Deliveries`; the
/// others pass.
pub struct Faulty {
    inner: Backend,
    state: Mutex<State>,
    held: Held,
}

struct State {
    dice: Dice,
    rates: Rates,
    faults: Faults,
}

/// One kind of fault: its rate and its count.
type Kind = (fn(&Rates) -> u16, fn(&mut Faults) -> &mut u64);

const CONFLICT: Kind = (|rates| rates.conflict, |faults| &mut faults.conflicts);
const UNAVAILABLE: Kind = (|rates| rates.unavailable, |faults| &mut faults.unavailable);
const LOST_ANSWER: Kind = (|rates| rates.lost_answer, |faults| &mut faults.lost_answers);
const CRASH: Kind = (|rates| rates.crash, |faults| &mut faults.crashes);
const DUPLICATE: Kind = (|rates| rates.duplicate, |faults| &mut faults.duplicates);
const DELAY: Kind = (|rates| rates.delay, |faults| &mut faults.delays);

impl Faulty {
    /// Stands before `inner`.
    pub fn new(inner: Backend, seed: u64, rates: Rates) -> Arc<Self> {
        let state = State { dice: Dice::new(seed), rates, faults: Faults::default() };
        Arc::new(Self { inner, state: Mutex::new(state), held: Held::default() })
    }

    /// The backend as callers see it. It cannot be opened again.
    pub fn backend(self: &Arc<Self>) -> Backend {
        Backend {
            turns: self.clone(),
            queries: self.clone(),
            flows: self.clone(),
            config: self.clone(),
            failures: self.clone(),
            bus: self.clone(),
            deliveries: self.inner.deliveries.is_some().then(|| self.clone() as _),
            timers: self.clone(),
            warehouse: self.clone(),
            secrets: self.clone(),
            reopen: None,
            keep: None,
        }
    }

    /// What has happened so far.
    pub fn faults(&self) -> Faults {
        self.state().faults
    }

    /// Other rates from now on.
    pub fn set_rates(&self, rates: Rates) {
        self.state().rates = rates;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A case that panicked elsewhere does not make this state wrong.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this fault happens now; counts it.
    fn happens(&self, (rate, count): Kind) -> bool {
        let mut state = self.state();
        let rate = rate(&state.rates);
        let happens = state.dice.per_mille() < rate;
        if happens {
            *count(&mut state.faults) += 1;
        }
        happens
    }

    /// A call without an effect that could be lost.
    fn may_refuse(&self) -> PortResult<()> {
        if self.happens(UNAVAILABLE) { Err(unavailable()) } else { Ok(()) }
    }

    /// The answer of a call that was done, unless it gets lost.
    fn may_lose<T>(&self, answer: T) -> PortResult<T> {
        if self.happens(LOST_ANSWER) { Err(unavailable()) } else { Ok(answer) }
    }
}

fn unavailable() -> PortError {
    PortError::Unavailable { retry_after: Duration::from_millis(1) }
}
