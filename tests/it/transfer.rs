//! Moving everything to another store: nothing missing, again and again without another effect.

use std::sync::Mutex;

use ports_contract::Rates;
use runtime::transfer::{self, Kind};

use crate::bench::{Bench, How};

const FLOW: &str = "
flow: nap
triggers:
  - {on: keyword, any: [nap]}
vars: {name: {type: string}}
start: who
steps:
  who:
    type: ask
    text: who are you
    into: name
    remind: {after: 1h, text: well}
    next: told
  told: {type: say, text: 'hello {{ name }}', next: done}
  done: {type: end}
";

#[tokio::test]
async fn everything_is_moved_once() {
    let mut here = Bench::new(How::default(), &[FLOW]).await;
    for (id, contact, text) in [
        ("1", "mei", "nap"),
        ("2", "mei", "Mei"),
        ("3", "bob", "nap"),
        ("4", "ann", "nobody understands this"),
    ] {
        here.hear(contact, id, text).await;
        here.settle().await;
    }
    let there = Bench::new(How { rates: Rates::NONE, ..How::default() }, &[]).await;
    let before = transfer::compare(&here.app, &there.app).await.unwrap();
    assert!(before.iter().any(|difference| !difference.same), "{before:?}");
    let moved = Mutex::new(std::collections::BTreeMap::<Kind, u64>::new());
    let count = |kind, count| *moved.lock().unwrap().entry(kind).or_default() += count;
    for _ in 0..2 {
        transfer::copy(&here.app, &*here.deliveries, &there.app, &count).await.unwrap();
        let after = transfer::compare(&here.app, &there.app).await.unwrap();
        assert!(after.iter().all(|difference| difference.same), "{after:?}");
    }
    let timers = there.deliveries.due(chrono::DateTime::<chrono::Utc>::MAX_UTC, 10).await.unwrap();
    assert_eq!(timers.len(), 1, "bob's reminder");
    let moved = moved.into_inner().unwrap();
    assert_eq!(moved[&Kind::Tasks], 4, "two, twice");
    assert_eq!(moved[&Kind::Conversations], 6, "three, twice");
}
