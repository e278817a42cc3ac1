//! `Clock`: now, and waiting.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use ports::Clock;

/// Longest real time a wait that should end may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything a clock must do. `advance` lets that much time pass: it moves a virtual clock, and
/// does nothing to one that runs by itself.
pub async fn suite(clock: Arc<dyn Clock>, advance: impl Fn(TimeDelta)) {
    // "The time, with a resolution of one microsecond."
    for _ in 0..50 {
        assert_eq!(clock.now().timestamp_subsec_nanos() % 1_000, 0);
    }

    // What has come already is not waited for.
    for back in [TimeDelta::zero(), TimeDelta::microseconds(1), TimeDelta::days(40_000)] {
        let past = clock.now() - back;
        tokio::time::timeout(PATIENCE, clock.sleep_until(past)).await.unwrap();
    }

    // "Waits until that time has come": never less, and for every one who waits.
    let start = clock.now();
    let waits: Vec<_> = [30, 10, 20, 10]
        .into_iter()
        .map(|millis| {
            let (clock, until) = (clock.clone(), start + TimeDelta::milliseconds(millis));
            tokio::spawn(async move {
                clock.sleep_until(until).await;
                assert!(clock.now() >= until, "woken early");
            })
        })
        .collect();
    let far = {
        let (clock, until) = (clock.clone(), start + TimeDelta::days(40_000));
        tokio::spawn(async move { clock.sleep_until(until).await })
    };
    for _ in 0..4 {
        tokio::task::yield_now().await;
        advance(TimeDelta::milliseconds(10));
    }
    for wait in waits {
        tokio::time::timeout(PATIENCE, wait).await.unwrap().unwrap();
    }
    assert!(!far.is_finished(), "a hundred years have not passed");
    far.abort();
}
