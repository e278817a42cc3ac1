//! One process: an [`App`] with what it keeps in memory, and a clock that may be wrong.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use ports::{Clock, Topic};
use runtime::egress::{Egress, EgressConfig};
use runtime::{App, AppParts, Limits, TerminalLine};
use test_support::VirtualClock;

use crate::gate::Gate;

/// How many processes there are.
pub(crate) const PROCESSES: usize = 7;
/// Takes requests.
pub(crate) const GATEWAY: usize = 0;
const CONTROLLERS: [usize; 2] = [1, 2];
const MESSENGER: usize = 3;
const CONNECTOR: usize = 4;
const LANDING: usize = 5;
/// Fires timers, sweeps, keeps failures.
pub(crate) const TIMEKEEPER: usize = 6;

/// Which process gets an envelope of a topic. There are two controllers, so that their memories
/// and clocks differ.
pub(crate) fn of_topic(topic: Topic, pick: usize) -> usize {
    match topic {
        Topic::Events => CONTROLLERS[pick % CONTROLLERS.len()],
        Topic::Outbound => MESSENGER,
        Topic::Calls => CONNECTOR,
        Topic::Landing => LANDING,
        Topic::Timers | Topic::Failures => TIMEKEEPER,
    }
}

/// A clock beside the true one.
struct Skewed {
    base: Arc<VirtualClock>,
    milliseconds: AtomicI64,
}

impl Skewed {
    fn delta(&self) -> TimeDelta {
        TimeDelta::milliseconds(self.milliseconds.load(Ordering::Relaxed))
    }
}

#[async_trait]
impl Clock for Skewed {
    fn now(&self) -> DateTime<Utc> {
        self.base.now() + self.delta()
    }

    async fn sleep_until(&self, at: DateTime<Utc>) {
        self.base.sleep_until(at - self.delta()).await;
    }
}

/// Lines that connections replied with on the terminal, and nobody has looked at yet.
pub(crate) type Lines = Arc<Mutex<Vec<TerminalLine>>>;

/// A process.
pub(crate) struct Process {
    pub(crate) app: App,
    clock: Arc<Skewed>,
    gate: Arc<Gate>,
    lines: Lines,
}

impl Process {
    pub(crate) fn start(base: Arc<VirtualClock>, gate: Arc<Gate>, lines: Lines) -> Self {
        let clock = Arc::new(Skewed { base, milliseconds: AtomicI64::new(0) });
        let app = app(&clock, &gate, &lines);
        Self { app, clock, gate, lines }
    }

    /// Another process in place of this one, on the same machine.
    pub(crate) fn restart(&mut self) {
        self.app = app(&self.clock, &self.gate, &self.lines);
    }

    /// Its clock is so far ahead from now on.
    pub(crate) fn skew(&self, milliseconds: i64) {
        self.clock.milliseconds.store(milliseconds, Ordering::Relaxed);
    }
}

fn app(clock: &Arc<Skewed>, gate: &Arc<Gate>, lines: &Lines) -> App {
    let lines = Arc::clone(lines);
    App::new(AppParts {
        store: gate.clone(),
        bus: gate.clone(),
        timers: gate.clone(),
        warehouse: gate.clone(),
        secrets: gate.clone(),
        clock: clock.clone(),
        egress: egress(),
        limits: Limits::default(),
        terminal: Arc::new(move |line| {
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(line.clone());
        }),
    })
}

/// One for all: it holds no state, and reading the certificate authorities takes a while.
fn egress() -> Egress {
    static EGRESS: OnceLock<Egress> = OnceLock::new();
    EGRESS
        .get_or_init(|| Egress::new(&EgressConfig::default()).expect("the client needs no network"))
        .clone()
}
