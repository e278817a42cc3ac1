//! What happens in a run, decided by the seed before it begins.
//!
//! Numbers called `pick` choose among what there is when their turn comes, modulo its length; so
//! every part of a plan is a plan, and a failing one can be made shorter.

use crate::dice::Dice;
use crate::process::PROCESSES;

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A contact has one more thing to say.
    Say {
        /// Who.
        pick: usize,
    },
    /// Somebody asks for a task by the API.
    Ask,
    /// An administrator wants to publish a new version of the echo.
    Publish,
    /// Something that waits is begun: a request, or the delivery of an envelope.
    Begin {
        /// Which.
        pick: usize,
    },
    /// An envelope that was delivered before comes again, perhaps while it is being handled.
    Again {
        /// Which.
        pick: usize,
    },
    /// Something begun goes on, over so many await points.
    Poll {
        /// Which.
        pick: usize,
        /// Await points.
        times: usize,
    },
    /// Something begun stops for good where it is; whoever asked for it must ask again.
    Crash {
        /// Which.
        pick: usize,
    },
    /// A process stops with everything it has begun, and another one starts.
    Restart {
        /// Which.
        process: usize,
    },
    /// Time passes.
    Advance {
        /// How much.
        seconds: u32,
    },
    /// A process has a clock of its own, which goes wrong.
    Skew {
        /// Which.
        process: usize,
        /// How much it is ahead.
        milliseconds: i32,
    },
    /// The store and the bus fail more or less often from now on.
    Weather(Weather),
    /// The scheduler asks for a sweep.
    Sweep,
}

/// How often the store and the bus fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Never.
    Calm,
    /// Now and then.
    Rough,
    /// All the time.
    Storm,
}

/// The plan of a seed.
pub fn generate(seed: u64, steps: usize) -> Vec<Action> {
    let mut dice = Dice::new(seed);
    (0..steps).map(|_| action(&mut dice)).collect()
}

fn action(dice: &mut Dice) -> Action {
    let kind = dice.below(1_000);
    let pick = dice.below(1_000_000);
    match kind {
        0..70 => Action::Say { pick },
        70..80 => Action::Ask,
        80..90 => Action::Publish,
        90..390 => Action::Begin { pick },
        390..420 => Action::Again { pick },
        420..860 => Action::Poll { pick, times: 1 + dice.below(24) },
        860..900 => Action::Crash { pick },
        900..910 => Action::Restart { process: pick % PROCESSES },
        910..950 => Action::Advance { seconds: seconds(dice) },
        950..960 => Action::Skew { process: pick % PROCESSES, milliseconds: skew(dice) },
        960..980 => Action::Weather(match dice.below(3) {
            0 => Weather::Calm,
            1 => Weather::Rough,
            _ => Weather::Storm,
        }),
        _ => Action::Sweep,
    }
}

/// Mostly moments, sometimes long enough for a timer.
fn seconds(dice: &mut Dice) -> u32 {
    let longest = [1, 15, 360, 1_200][dice.below(4)];
    u32::try_from(1 + dice.below(longest)).unwrap_or(1)
}

/// Up to half a minute either way.
fn skew(dice: &mut Dice) -> i32 {
    i32::try_from(dice.below(60_000)).unwrap_or_default() - 30_000
}
