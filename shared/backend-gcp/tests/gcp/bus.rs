//! Publishing: the contract, order, attributes, timers.

use std::sync::Arc;

use backend_gcp::{Config, PubSub};
use backend_sqlite::{DeliveryMode, Options, Sqlite};
use ports::{Bus as _, Envelope, Topic};
use ports_contract::{Backend, Samples};

use crate::place::{self, HandClock};
use crate::pulled::{PulledDeliveries, Subscriptions};

/// Pub/Sub as the bus and Firestore as the store of timers, in a new project. What the cases of
/// the bus do not look at is a store in memory, whose commits leave publishing to the caller.
async fn backend(config: Config) -> Backend {
    let clock = Arc::new(HandClock::default());
    let options = Options { delivery: DeliveryMode::Published, ..Options::new(clock.clone()) };
    let sqlite = Arc::new(Sqlite::in_memory(options).unwrap());
    let (alarms, store) = place::store(&config, clock).await;
    alarms.provision().await.unwrap();
    let bus = PubSub::connect(&config, store.clone(), alarms, Arc::new(|| None));
    let bus = Arc::new(bus.await.unwrap());
    bus.provision().await.unwrap();
    let timers = Arc::new(store);
    let deliveries = PulledDeliveries::new(&config, timers.clone(), bus.clone()).await;
    Backend {
        turns: sqlite.clone(),
        queries: sqlite.clone(),
        flows: sqlite.clone(),
        config: sqlite.clone(),
        failures: sqlite.clone(),
        bus,
        deliveries: Some(Arc::new(deliveries)),
        timers,
        warehouse: sqlite.clone(),
        secrets: sqlite,
        reopen: None,
        keep: None,
    }
}

mod contract {
    use super::*;

    async fn make() -> Backend {
        backend(place::new()).await
    }

    // Left out, for Pub/Sub has no order across keys and topics:
    // `what_is_published_is_delivered` (below as `envelopes_come_as_they_were_published`) and
    // `deliveries_are_read_in_parts` (a position is the test's own, not Pub/Sub's).
    ports_contract::__cases!(make, bus:
        an_id_is_published_once, timers_come_due_in_order, the_next_due_time_is_known,
        what_is_acknowledged_is_done, giving_up_publishes_instead, tries_are_counted,
        a_reader_can_wait, the_backlog_is_counted, an_envelope_has_a_largest_size,
        publishers_at_once_keep_their_order,
    );
}

mod faulty {
    use super::*;

    async fn make() -> Backend {
        backend(place::new()).await
    }

    ports_contract::__faulty_cases!(make, bus:
        an_id_is_published_once, what_is_acknowledged_is_done, giving_up_publishes_instead,
        an_envelope_has_a_largest_size, publishers_at_once_keep_their_order,
    );
}

/// Envelopes of that topic that have come, in order.
async fn envelopes(subscriptions: &Subscriptions, topic: Topic) -> Vec<Envelope> {
    subscriptions.pull(topic).await.iter().map(|pulled| pulled.envelope(topic)).collect()
}

fn of_key<'a>(envelopes: &'a [Envelope], key: &str) -> Vec<&'a Envelope> {
    envelopes.iter().filter(|envelope| envelope.key == key).collect()
}

#[tokio::test]
async fn envelopes_come_as_they_were_published() {
    for config in places() {
        let make = Samples::new(1);
        let bus = place::bus(&config).await;
        let subscriptions = Subscriptions::new(&config).await;
        bus.publish(&[]).await.unwrap();
        let mut all: Vec<Envelope> = Topic::ALL
            .into_iter()
            .flat_map(|topic| [make.envelope(topic, "a"), make.envelope(topic, "請假 \u{1}")])
            .collect();
        all[3].body = "{\"text\":\"quote ' NUL \\u0000 請假 😀\"}".into();
        all[4].body = String::new();
        all[5].key = String::new();
        bus.publish(&all[..5]).await.unwrap();
        bus.publish(&all[5..]).await.unwrap();
        for (topic, published) in Topic::ALL.into_iter().zip(all.chunks(2)) {
            let come = envelopes(&subscriptions, topic).await;
            assert_eq!(come.len(), 2, "{topic:?}");
            assert!(published.iter().all(|envelope| come.contains(envelope)), "{come:?}");
        }
    }
}

/// The projects that publishing is tried in: at the test server, and at Google's emulator where
/// the runner has started it too.
fn places() -> Vec<Config> {
    let official = place::variable("EMULATORS_OFFICIAL_PUBSUB").map(|endpoint| {
        let mut config = place::new();
        config.endpoints.pubsub = Some(format!("http://{endpoint}"));
        config
    });
    [Some(place::new()), official].into_iter().flatten().collect()
}

#[tokio::test]
async fn a_message_says_what_it_is() {
    let config = place::new();
    let make = Samples::new(2);
    let (alarms, store) = place::store(&config, Arc::new(HandClock::default())).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let traceparent = Arc::new(move || Some(trace.to_owned()));
    let bus = PubSub::connect(&config, store, alarms, traceparent).await.unwrap();
    bus.provision().await.unwrap();
    bus.provision().await.unwrap();
    let subscriptions = Subscriptions::new(&config).await;
    let long = Envelope { key: "鍵".repeat(1_000), ..make.envelope(Topic::Calls, "") };
    let short = make.envelope(Topic::Calls, "conversation-1");
    bus.publish(&[short.clone(), long.clone()]).await.unwrap();
    let mut pulled = subscriptions.pull(Topic::Calls).await;
    pulled.sort_by_key(|pulled| pulled.ordering_key.len());
    let [one, hashed] = &pulled[..] else { panic!("two were published: {pulled:?}") };
    assert_eq!(one.ordering_key, "conversation-1");
    assert_eq!(one.attributes["envelope"], short.id);
    assert_eq!(one.attributes["key"], "conversation-1");
    assert_eq!(one.attributes["traceparent"], trace);
    assert_eq!(one.attributes.len(), 3);
    assert_eq!(one.data, short.body);
    assert!(hashed.ordering_key.starts_with("sha256-"), "{}", hashed.ordering_key);
    assert_eq!(hashed.attributes["key"], hashed.ordering_key);
    assert_eq!(hashed.attributes["envelope"], long.id);
}

#[tokio::test]
async fn many_keys_in_one_call_keep_their_order() {
    for config in places() {
        let make = Samples::new(3);
        let bus = place::bus(&config).await;
        let subscriptions = Subscriptions::new(&config).await;
        let all: Vec<Envelope> = (0..1_000)
            .map(|number| make.envelope(Topic::Events, &format!("key-{}", number % 50)))
            .collect();
        bus.publish(&all).await.unwrap();
        let come = envelopes(&subscriptions, Topic::Events).await;
        assert_eq!(come.len(), 1_000);
        for key in 0..50 {
            let key = format!("key-{key}");
            assert_eq!(of_key(&come, &key), of_key(&all, &key), "{key}");
        }
    }
}

#[tokio::test]
async fn a_call_larger_than_a_request_keeps_its_order() {
    for config in places() {
        let make = Samples::new(4);
        let bus = place::bus(&config).await;
        let subscriptions = Subscriptions::new(&config).await;
        let large =
            || Envelope { body: "x".repeat(880 * 1024), ..make.envelope(Topic::Landing, "k") };
        let all: Vec<Envelope> = std::iter::repeat_with(large).take(12).collect();
        bus.publish(&all).await.unwrap();
        let ids = |envelopes: &[Envelope]| -> Vec<String> {
            envelopes.iter().map(|envelope| envelope.id.clone()).collect()
        };
        assert_eq!(ids(&envelopes(&subscriptions, Topic::Landing).await), ids(&all));
    }
}

/// A publisher of the crate keeps a task for each key; ours is replaced in between, and a key
/// that goes on has its order nevertheless.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_keys_than_a_publisher_keeps() {
    let config = place::new();
    let make = Samples::new(5);
    let bus = place::bus(&config).await;
    let subscriptions = Subscriptions::new(&config).await;
    let mut steady = Vec::new();
    for call in 0..22 {
        let mut all: Vec<Envelope> = (0..100)
            .map(|number| make.envelope(Topic::Outbound, &format!("key-{call}-{number}")))
            .collect();
        for place in [0, 50, 102] {
            all.insert(place, make.envelope(Topic::Outbound, "steady"));
        }
        steady.extend(of_key(&all, "steady").into_iter().cloned());
        bus.publish(&all).await.unwrap();
    }
    let come = envelopes(&subscriptions, Topic::Outbound).await;
    assert_eq!(come.len(), 22 * 103);
    assert_eq!(of_key(&come, "steady"), steady.iter().collect::<Vec<_>>());
}
