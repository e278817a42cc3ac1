//! Publishing where something is missing or down.

use std::time::{Duration, Instant};

use ports::{Bus as _, Envelope, PortError, Topic};
use ports_contract::Samples;

use crate::gate::{Gate, Way};
use crate::place;
use crate::pulled::Subscriptions;

async fn ids(subscriptions: &Subscriptions, topic: Topic) -> Vec<String> {
    let pulled = subscriptions.pull(topic).await;
    pulled.iter().map(|pulled| pulled.attributes["envelope"].clone()).collect()
}

/// The ids without those that came before, as a function drops them.
fn first_times(ids: &[String]) -> Vec<&String> {
    let first = |place: &usize| !ids[..*place].contains(&ids[*place]);
    (0..ids.len()).filter(first).map(|place| &ids[place]).collect()
}

fn some(make: &Samples, count: usize) -> Vec<Envelope> {
    (0..count).map(|_| make.envelope(Topic::Events, "k")).collect()
}

#[tokio::test]
async fn a_missing_topic_is_named() {
    let config = place::new();
    let bus = place::bus_without_topics(&config).await;
    bus.warm().await;
    let envelopes = some(&Samples::new(20), 3);
    let error = bus.publish(&envelopes).await.unwrap_err();
    assert!(error.is_passing(), "the outbox keeps it: {error:?}");
    let said = error.to_string();
    let name = format!("projects/{}/topics/chatflow-events", config.project);
    assert!(said.contains(&name) && said.contains("terraform apply"), "{said}");

    let examined = bus.examine().await;
    assert_eq!(examined.len(), Topic::ALL.len());
    for (what, result) in examined {
        assert!(what.starts_with("topic projects/"), "{what}");
        assert!(result.unwrap_err().contains("no such topic"), "{what}");
    }

    bus.provision().await.unwrap();
    assert!(bus.examine().await.iter().all(|(_, result)| result.is_ok()));
    let subscriptions = Subscriptions::new(&config).await;
    bus.publish(&envelopes).await.unwrap();
    let published: Vec<String> = envelopes.into_iter().map(|envelope| envelope.id).collect();
    assert_eq!(ids(&subscriptions, Topic::Events).await, published);
}

/// The same envelopes can be published once the server is back, and come in order.
async fn outage(way: Way, seed: u64) {
    let mut config = place::new();
    let gate = Gate::before(config.endpoints.pubsub.as_deref().unwrap()).await;
    let subscriptions = {
        place::bus(&config).await;
        Subscriptions::new(&config).await
    };
    config.endpoints.pubsub = Some(gate.endpoint());
    let bus = place::bus_without_topics(&config).await;
    bus.warm().await;
    let all = some(&Samples::new(seed), 30);
    bus.publish(&all[..10]).await.unwrap();

    gate.set(way);
    let begun = Instant::now();
    // Several calls of one key at once, as turns of several functions' instances are.
    let down = futures::future::join_all(all[10..].chunks(10).map(|part| bus.publish(part))).await;
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    for result in down {
        assert!(matches!(result, Err(PortError::Unavailable { .. })), "{result:?}");
    }

    gate.set(Way::Open);
    bus.publish(&all[10..20]).await.unwrap();
    bus.publish(&all[20..]).await.unwrap();
    let come = ids(&subscriptions, Topic::Events).await;
    let published: Vec<&String> = all.iter().map(|envelope| &envelope.id).collect();
    assert_eq!(first_times(&come), published);
}

#[tokio::test]
async fn a_server_that_is_down_is_unavailable() {
    outage(Way::Closed, 21).await;
}

#[tokio::test]
async fn a_server_that_is_silent_is_unavailable() {
    outage(Way::Silent, 22).await;
}
