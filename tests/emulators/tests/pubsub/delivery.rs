//! Pushing: order, redelivery, tokens, dead letters, both forms of the body.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::http::StatusCode;
use emulators::pubsub::{
    DeadLetterPolicy, Draft, NoWrapper, OidcToken, Options, RetryPolicy, Subscription,
};
use emulators::tokens::Issuer;

use crate::harness::{Endpoint, LIMIT, SUBSCRIPTION, TOPIC, message, publisher, server};
use crate::tokens::verified;

const LETTERS: &str = "projects/test/topics/failures";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keys_order_holds_however_often_a_push_is_refused() {
    let server = server(Options::default()).await;
    let endpoint = Endpoint::start(Duration::from_millis(2), |number, _| match number % 3 {
        0 => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    })
    .await;
    let subscription = Subscription { enable_message_ordering: true, ..endpoint.subscription() };
    server.create_subscription(subscription).expect("a subscription");
    let publisher = publisher(server.endpoint(), TOPIC).await;

    let sent: Vec<_> = (0..200)
        .map(|number| publisher.publish(message(number.to_string(), &format!("k{}", number % 20))))
        .collect();
    let mut ids = BTreeSet::new();
    for sent in sent {
        ids.insert(sent.await.expect("published"));
    }
    server.idle(LIMIT).await.expect("quiet");

    assert_eq!(ids.len(), 200, "every message has an id of its own");
    let pushes = endpoint.pushes();
    assert!(pushes.iter().all(|push| push.open == 1), "two pushes of a key were open at once");
    let mut taken: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for push in pushes.iter().filter(|push| push.status.is_success()) {
        taken.entry(push.key.clone()).or_default().push(push.data.parse().expect("a number"));
    }
    assert_eq!(taken.len(), 20);
    for (key, numbers) in taken {
        let first: usize = key[1..].parse().expect("a number");
        assert_eq!(numbers, (first..200).step_by(20).collect::<Vec<_>>(), "{key}");
    }
    let counters = server.counters()[TOPIC];
    let refused = pushes.len() as u64 - 200;
    assert!(refused > 50);
    assert_eq!((counters.published, counters.acked, counters.nacked), (200, 200, refused));
}

#[tokio::test]
async fn a_push_has_the_form_and_the_token_that_google_gives_it() {
    let issuer = Issuer::start().await.expect("an issuer");
    let server = server(Options { issuer: Some(issuer.clone()), ..Options::default() }).await;
    let endpoint = Endpoint::willing().await;
    let mut subscription = endpoint.subscription();
    subscription.enable_message_ordering = true;
    subscription.push_config.as_mut().expect("push").oidc_token = Some(OidcToken {
        service_account_email: "pusher@test.iam.gserviceaccount.com".to_owned(),
        audience: "https://controller.example".to_owned(),
    });
    server.create_subscription(subscription).expect("a subscription");

    let sent = message("{\"a\":1}", "talk").set_attributes([("envelope", "e1")]);
    let id = publisher(server.endpoint(), TOPIC).await.publish(sent).await.expect("published");
    server.idle(LIMIT).await.expect("quiet");

    let [push] = &endpoint.pushes()[..] else { panic!("one push") };
    let message = &push.body["message"];
    assert_eq!(push.body["subscription"], SUBSCRIPTION);
    assert_eq!(push.body.get("deliveryAttempt"), None, "only with a dead-letter policy");
    assert_eq!(message["messageId"], id);
    assert_eq!(message["message_id"], id);
    assert_eq!(message["publishTime"], message["publish_time"]);
    assert_eq!(message["orderingKey"], "talk");
    assert_eq!(message["attributes"]["envelope"], "e1");
    assert_eq!(push.data, "{\"a\":1}");
    let bearer = push.headers["authorization"].to_str().expect("text");
    let claims = verified(&issuer, bearer.strip_prefix("Bearer ").expect("a bearer")).await;
    let claims = claims.expect("a good token");
    assert_eq!(claims["aud"], "https://controller.example");
    assert_eq!(claims["email"], "pusher@test.iam.gserviceaccount.com");
    assert_eq!(claims["email_verified"], true);
}

#[tokio::test]
async fn a_token_names_the_endpoint_where_no_audience_is_given() {
    let issuer = Issuer::start().await.expect("an issuer");
    let server = server(Options { issuer: Some(issuer.clone()), ..Options::default() }).await;
    let endpoint = Endpoint::willing().await;
    let mut subscription = endpoint.subscription();
    subscription.push_config.as_mut().expect("push").oidc_token = Some(OidcToken::default());
    server.create_subscription(subscription).expect("a subscription");
    let draft = Draft { data: "x".into(), ..Draft::default() };
    server.publish(TOPIC, vec![draft]).expect("published");
    server.idle(LIMIT).await.expect("quiet");
    let bearer = endpoint.pushes()[0].headers["authorization"].clone();
    let token = bearer.to_str().expect("text").replace("Bearer ", "");
    let claims = verified(&issuer, &token).await.expect("a good token");
    assert_eq!(claims["aud"], format!("http://{}/", endpoint.address));
}

#[tokio::test]
async fn a_message_refused_too_often_goes_to_the_dead_letter_topic() {
    let server = server(Options::default()).await;
    server.create_topic(LETTERS).expect("a topic");
    let letters = Endpoint::willing().await;
    let of_letters = Subscription {
        name: "projects/test/subscriptions/failures-push".to_owned(),
        topic: LETTERS.to_owned(),
        ..letters.subscription()
    };
    server.create_subscription(of_letters).expect("a subscription");
    let endpoint = Endpoint::start(Duration::ZERO, |_, push| match push.data.as_str() {
        "bad" => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::OK,
    })
    .await;
    let subscription = Subscription {
        enable_message_ordering: true,
        retry_policy: Some(RetryPolicy {
            minimum_backoff: Some("0.01s".to_owned()),
            maximum_backoff: Some("0.02s".to_owned()),
        }),
        dead_letter_policy: Some(DeadLetterPolicy {
            dead_letter_topic: LETTERS.to_owned(),
            max_delivery_attempts: 6,
        }),
        ..endpoint.subscription()
    };
    server.create_subscription(subscription).expect("a subscription");

    let publisher = publisher(server.endpoint(), TOPIC).await;
    let bad = message("bad", "talk").set_attributes([("envelope", "e1")]);
    for sent in [publisher.publish(bad), publisher.publish(message("good", "talk"))] {
        sent.await.expect("published");
    }
    server.idle(LIMIT).await.expect("quiet");

    let attempts: Vec<Option<u64>> = endpoint
        .pushes()
        .iter()
        .filter(|push| push.data == "bad")
        .map(|push| push.attempt)
        .collect();
    assert_eq!(attempts, (1..=6).map(Some).collect::<Vec<_>>());
    assert_eq!(endpoint.taken(), ["good"], "what follows it goes on");
    let [letter] = &letters.pushes()[..] else { panic!("one letter") };
    let attributes = &letter.body["message"]["attributes"];
    assert_eq!((letter.data.as_str(), letter.key.as_str()), ("bad", "talk"));
    assert_eq!(attributes["envelope"], "e1");
    assert_eq!(attributes["CloudPubSubDeadLetterSourceDeliveryCount"], "6");
    assert_eq!(attributes["CloudPubSubDeadLetterSourceSubscription"], "events-push");
    assert_eq!(attributes["CloudPubSubDeadLetterSourceSubscriptionProject"], "test");
    let time = attributes["CloudPubSubDeadLetterSourceTopicPublishTime"].as_str().expect("a time");
    chrono::DateTime::parse_from_rfc3339(time).expect("RFC 3339");
    let counters = server.counters();
    assert_eq!((counters[TOPIC].dead_lettered, counters[TOPIC].acked), (1, 1));
    assert_eq!(counters[LETTERS].published, 1);
}

#[tokio::test]
async fn only_the_five_statuses_google_takes_are_taken() {
    let server = server(Options::default()).await;
    let endpoint = Endpoint::start(Duration::ZERO, |number, _| {
        let answers = [203, 206, 302, 400, 404, 429, 500, 201];
        StatusCode::from_u16(answers[number]).expect("a status")
    })
    .await;
    let subscription = Subscription {
        retry_policy: Some(RetryPolicy {
            minimum_backoff: Some("0s".to_owned()),
            maximum_backoff: Some("0s".to_owned()),
        }),
        ..endpoint.subscription()
    };
    server.create_subscription(subscription).expect("a subscription");
    let draft = Draft { data: "x".into(), ..Draft::default() };
    server.publish(TOPIC, vec![draft]).expect("published");
    server.idle(LIMIT).await.expect("quiet");
    let counters = server.counters()[TOPIC];
    assert_eq!((counters.pushed, counters.nacked, counters.acked), (8, 7, 1));
}

#[tokio::test]
async fn a_push_without_an_answer_in_time_comes_again() {
    let options = Options { ack_deadline: Some(Duration::from_millis(100)), ..Options::default() };
    let server = server(options).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut subscription = Endpoint::willing().await.subscription();
    subscription.push_config.as_mut().expect("push").push_endpoint =
        format!("http://{}/", listener.local_addr().expect("an address"));
    server.create_subscription(subscription).expect("a subscription");
    let draft = Draft { data: "x".into(), ..Draft::default() };
    server.publish(TOPIC, vec![draft]).expect("published");
    // Connections are held open and never answered.
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(listener.accept().await.expect("a connection"));
    }
    assert!(server.counters()[TOPIC].nacked >= 2);
    let left = server.idle(Duration::from_millis(10)).await.expect_err("it is still out");
    assert!(left.to_string().contains(SUBSCRIPTION), "{left}");
    server.delete_subscription(SUBSCRIPTION).expect("deleted");
    server.idle(LIMIT).await.expect("nothing is out any more");
}

#[tokio::test]
async fn an_unwrapped_push_is_the_data_with_headers() {
    let server = server(Options::default()).await;
    let endpoint = Endpoint::willing().await;
    let mut subscription = endpoint.subscription();
    subscription.push_config.as_mut().expect("push").no_wrapper =
        Some(NoWrapper { write_metadata: true });
    server.create_subscription(subscription).expect("a subscription");
    let draft = Draft {
        data: "{\"message\":{\"data\":\"aGk=\"}}".into(),
        attributes: [("Kind".to_owned(), "order".to_owned())].into(),
        ordering_key: "talk".to_owned(),
    };
    let ids = server.publish(TOPIC, vec![draft]).expect("published");
    server.idle(LIMIT).await.expect("quiet");
    let [push] = &endpoint.pushes()[..] else { panic!("one push") };
    assert_eq!(push.data, "hi", "the body is the data as it was");
    assert_eq!(push.headers["kind"], "order");
    assert_eq!(push.headers["x-goog-pubsub-message-id"], ids[0].as_str());
    assert_eq!(push.headers["x-goog-pubsub-ordering-key"], "talk");
    assert_eq!(push.headers["x-goog-pubsub-subscription-name"], SUBSCRIPTION);
    assert!(push.headers.contains_key("x-goog-pubsub-publish-time"));
}

#[tokio::test]
async fn a_filter_decides_what_comes() {
    let server = server(Options::default()).await;
    let endpoint = Endpoint::willing().await;
    let filter = "attributes.kind = \"order\"".to_owned();
    server
        .create_subscription(Subscription { filter, ..endpoint.subscription() })
        .expect("a subscription");
    let of_kind = |kind: &str| Draft {
        data: kind.to_owned().into(),
        attributes: [("kind".to_owned(), kind.to_owned())].into(),
        ..Draft::default()
    };
    server.publish(TOPIC, vec![of_kind("order"), of_kind("talk")]).expect("published");
    server.idle(LIMIT).await.expect("quiet");
    assert_eq!(endpoint.taken(), ["order"]);
}
