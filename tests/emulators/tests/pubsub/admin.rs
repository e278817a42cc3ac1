//! Topics and subscriptions: by Google's own admin clients, and what is refused.

use axum::http::Method;
use emulators::pubsub::Options;
use google_cloud_auth::credentials::anonymous;
use google_cloud_gax::error::rpc::Code;
use google_cloud_gax::options::RequestOptionsBuilder as _;
use google_cloud_gax::retry_policy::NeverRetry;
use google_cloud_pubsub::client::{SubscriptionAdmin, TopicAdmin};
use google_cloud_pubsub::error::PublishError;
use google_cloud_pubsub::model::{DeadLetterPolicy, PushConfig, RetryPolicy};
use serde_json::{Value, json};

use crate::harness::{PROJECT, SUBSCRIPTION, TOPIC, call, message, publisher, server};

#[tokio::test]
async fn googles_clients_create_find_and_delete() {
    let server = server(Options::default()).await;
    let credentials = || anonymous::Builder::new().build();
    let topics = TopicAdmin::builder()
        .with_endpoint(server.endpoint())
        .with_credentials(credentials())
        .build()
        .await
        .expect("a client");
    let letters = "projects/test/topics/failures";
    topics.create_topic().set_name(letters).send().await.expect("created");
    assert_eq!(topics.get_topic().set_topic(letters).send().await.expect("found").name, letters);
    let listed = topics.list_topics().set_project(PROJECT).send().await.expect("listed");
    let names: Vec<&str> = listed.topics.iter().map(|topic| topic.name.as_str()).collect();
    assert_eq!(names, [TOPIC, letters]);

    let subscriptions = SubscriptionAdmin::builder()
        .with_endpoint(server.endpoint())
        .with_credentials(credentials())
        .build()
        .await
        .expect("a client");
    let second = |seconds| google_cloud_wkt::Duration::clamp(seconds, 0);
    let created = subscriptions
        .create_subscription()
        .set_name(SUBSCRIPTION)
        .set_topic(TOPIC)
        .set_ack_deadline_seconds(600)
        .set_enable_message_ordering(true)
        .set_push_config(PushConfig::new().set_push_endpoint("http://127.0.0.1:9/"))
        .set_retry_policy(
            RetryPolicy::new().set_minimum_backoff(second(1)).set_maximum_backoff(second(2)),
        )
        .set_dead_letter_policy(
            DeadLetterPolicy::new().set_dead_letter_topic(letters).set_max_delivery_attempts(5),
        )
        .send()
        .await
        .expect("created");
    let found = subscriptions.get_subscription().set_subscription(SUBSCRIPTION).send().await;
    assert_eq!(found.expect("found"), created);
    assert_eq!(created.ack_deadline_seconds, 600);
    let again = subscriptions
        .create_subscription()
        .set_name(SUBSCRIPTION)
        .set_topic(TOPIC)
        .with_retry_policy(NeverRetry)
        .send()
        .await
        .expect_err("it exists");
    assert_eq!(again.status().map(|status| status.code), Some(Code::AlreadyExists));
    subscriptions
        .delete_subscription()
        .set_subscription(SUBSCRIPTION)
        .send()
        .await
        .expect("deleted");
    topics.delete_topic().set_topic(letters).send().await.expect("deleted");
    let gone = topics.get_topic().set_topic(letters).send().await.expect_err("gone");
    assert_eq!(gone.status().map(|status| status.code), Some(Code::NotFound));
}

#[tokio::test]
async fn publishing_to_a_topic_that_does_not_exist_says_so() {
    let server = server(Options::default()).await;
    let publisher = publisher(server.endpoint(), "projects/test/topics/nothing").await;
    let refused = publisher.publish(message("x", "")).await.expect_err("refused");
    let PublishError::Rpc(error) = refused else { panic!("{refused}") };
    assert_eq!(error.status().map(|status| status.code), Some(Code::NotFound));
    let path = "/v1/projects/test/topics/nothing:publish";
    let body = json!({ "messages": [{ "data": "eA==" }] });
    let (status, answer) = call(&server, Method::POST, path, body).await;
    assert_eq!((status, &answer["error"]["status"]), (404, &json!("NOT_FOUND")));
}

async fn refusal(server: &emulators::pubsub::Server, changes: Value) -> (u16, String) {
    let mut body = json!({ "topic": TOPIC });
    for (name, value) in changes.as_object().expect("fields") {
        body[name] = value.clone();
    }
    let (status, answer) = call(server, Method::PUT, &format!("/v1/{SUBSCRIPTION}"), body).await;
    (status, answer["error"]["status"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_subscription_that_cannot_be_honoured_is_refused() {
    let server = server(Options::default()).await;
    let invalid = [
        json!({ "bigqueryConfig": { "table": "p.d.t" } }),
        json!({ "enableExactlyOnceDelivery": true }),
        json!({ "ackDeadlineSeconds": 5 }),
        json!({ "ackDeadlineSeconds": 601 }),
        json!({ "pushConfig": { "pushEndpoint": "https://example.com/" } }),
        json!({ "pushConfig": { "pushEndpoint": "http://10.1.2.3/" } }),
        json!({ "filter": "attributes:kind" }),
        json!({ "retryPolicy": { "minimumBackoff": "20s", "maximumBackoff": "10s" } }),
        json!({ "retryPolicy": { "maximumBackoff": "601s" } }),
        json!({ "deadLetterPolicy": { "deadLetterTopic": TOPIC, "maxDeliveryAttempts": 4 } }),
        json!({ "topic": "events" }),
    ];
    for changes in invalid {
        let refused = refusal(&server, changes.clone()).await;
        assert_eq!(refused, (400, "INVALID_ARGUMENT".to_owned()), "{changes}");
    }
    let missing = [
        json!({ "topic": "projects/test/topics/nothing" }),
        json!({ "deadLetterPolicy": { "deadLetterTopic": "projects/test/topics/nothing" } }),
    ];
    for changes in missing {
        let refused = refusal(&server, changes.clone()).await;
        assert_eq!(refused, (404, "NOT_FOUND".to_owned()), "{changes}");
    }
    let token = json!({ "serviceAccountEmail": "a@b" });
    let unsigned = json!({ "pushEndpoint": "http://127.0.0.1:9/", "oidcToken": token });
    let refused = refusal(&server, json!({ "pushConfig": unsigned })).await;
    assert_eq!(refused, (400, "FAILED_PRECONDITION".to_owned()));
    assert_eq!(refusal(&server, json!({})).await.0, 200);
}

#[tokio::test]
async fn a_message_beyond_the_limits_is_refused_whole() {
    let server = server(Options::default()).await;
    let publisher = publisher(server.endpoint(), TOPIC).await;
    let large = "x".repeat(10_000_001);
    publisher.publish(message(large, "")).await.expect_err("too large");
    let nothing = google_cloud_pubsub::model::Message::new();
    publisher.publish(nothing).await.expect_err("neither data nor attributes");
    let long = message("x", "").set_attributes([("name", "x".repeat(1025))]);
    publisher.publish(long).await.expect_err("an attribute too long");
    publisher.publish(message("x".repeat(9_000_000), "")).await.expect("large is fine");
    assert_eq!(server.counters()[TOPIC].published, 1);
}
