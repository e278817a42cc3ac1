//! Counts and times of what a function did, sent where a collector is named.
//!
//! | metric | unit | of |
//! |---|---|---|
//! | `chatflow.accepted` | 1 | events the gateway accepted |
//! | `chatflow.advanced`, `.sent`, `.called`, `.landed`, `.fired` | 1 | envelopes done, by topic |
//! | `chatflow.repeated` | 1 | envelopes to be delivered again |
//! | `chatflow.failed` | 1 | envelopes kept as failures |
//! | `chatflow.queue.age` | ms | between publishing and delivery |
//! | `chatflow.latency` | ms | of handling one envelope |

use std::time::Duration;

use ports::Topic;

/// What became of a delivered envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Nothing is left to do.
    Done,
    /// It comes again.
    Again,
    /// It was given up.
    GivenUp,
}

#[cfg(feature = "cloud")]
mod instruments {
    use std::sync::OnceLock;

    use opentelemetry::metrics::{Counter, Histogram};
    use opentelemetry::{KeyValue, global};
    use ports::Topic;

    /// Made once, after the collector is known: made earlier, they would measure nothing.
    pub(super) struct Instruments {
        pub(super) accepted: Counter<u64>,
        done: [Counter<u64>; 5],
        pub(super) repeated: Counter<u64>,
        pub(super) failed: Counter<u64>,
        pub(super) age: Histogram<u64>,
        pub(super) latency: Histogram<f64>,
    }

    impl Instruments {
        pub(super) fn get() -> &'static Self {
            static INSTRUMENTS: OnceLock<Instruments> = OnceLock::new();
            INSTRUMENTS.get_or_init(|| {
                let meter = global::meter("chatflow");
                let counter = |name| meter.u64_counter(name).build();
                Self {
                    accepted: counter("chatflow.accepted"),
                    done: ["advanced", "sent", "called", "landed", "fired"]
                        .map(|name| meter.u64_counter(format!("chatflow.{name}")).build()),
                    repeated: counter("chatflow.repeated"),
                    failed: counter("chatflow.failed"),
                    age: meter.u64_histogram("chatflow.queue.age").with_unit("ms").build(),
                    latency: meter.f64_histogram("chatflow.latency").with_unit("ms").build(),
                }
            })
        }

        pub(super) fn done(&self, topic: Topic) -> Option<&Counter<u64>> {
            let place = match topic {
                Topic::Events => 0,
                Topic::Outbound => 1,
                Topic::Calls => 2,
                Topic::Landing => 3,
                Topic::Timers => 4,
                Topic::Failures => return None,
            };
            self.done.get(place)
        }
    }

    pub(super) fn of(topic: Topic) -> [KeyValue; 1] {
        [KeyValue::new("topic", topic.name())]
    }
}

/// An envelope was delivered: `age_ms` after it was published, and handled in `latency`.
#[cfg(feature = "cloud")]
pub fn delivered(topic: Topic, result: Delivery, age_ms: Option<i64>, latency: Duration) {
    let all = instruments::Instruments::get();
    let labels = instruments::of(topic);
    match result {
        Delivery::Done => {
            if let Some(counter) = all.done(topic) {
                counter.add(1, &[]);
            }
        }
        Delivery::Again => all.repeated.add(1, &labels),
        // Counted where it is kept.
        Delivery::GivenUp => {}
    }
    if let Some(age) = age_ms.and_then(|age| u64::try_from(age).ok()) {
        all.age.record(age, &labels);
    }
    all.latency.record(latency.as_secs_f64() * 1_000.0, &labels);
}

/// An envelope was delivered; the local server keeps its own counts.
#[cfg(not(feature = "cloud"))]
pub fn delivered(_: Topic, _: Delivery, _: Option<i64>, _: Duration) {}

/// Something was kept as a failure.
pub fn failed() {
    #[cfg(feature = "cloud")]
    instruments::Instruments::get().failed.add(1, &[]);
}

/// The gateway accepted an event.
#[cfg(feature = "cloud")]
pub fn accepted() {
    instruments::Instruments::get().accepted.add(1, &[]);
}
