//! Pub/Sub's gRPC methods that are served: publishing, pulling, and what tests create.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use gcloud_sdk::google::pubsub::v1 as proto;
use gcloud_sdk::prost_types::Duration as ProtoDuration;
use prost::Message;
use proto::push_config::{AuthenticationMethod, Wrapper};
use tonic::Status;
use tonic::server::Grpc;
use tonic_prost::ProstCodec;

use super::message::Draft;
use super::problem::Problem;
use super::service::{Pulled, Service};
use super::subscription::{
    DeadLetterPolicy, NoWrapper, OidcToken, PubsubWrapper, PushConfig, RetryPolicy, Subscription,
};

/// A request's bytes: ten megabytes of messages, and their frames.
const REQUEST_BYTES_MAX: usize = 12_000_000;
const PUBLISHER: &str = "/google.pubsub.v1.Publisher";
const SUBSCRIBER: &str = "/google.pubsub.v1.Subscriber";

pub(super) fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route(&format!("{PUBLISHER}/Publish"), post(publish))
        .route(&format!("{PUBLISHER}/GetTopic"), post(get_topic))
        .route(&format!("{PUBLISHER}/CreateTopic"), post(create_topic))
        .route(&format!("{SUBSCRIBER}/CreateSubscription"), post(create_subscription))
        .route(&format!("{SUBSCRIBER}/Pull"), post(pull))
        .route(&format!("{SUBSCRIBER}/Acknowledge"), post(acknowledge))
        .route(&format!("{SUBSCRIBER}/ModifyAckDeadline"), post(modify_ack_deadline))
        .with_state(service)
}

/// Answers one unary call.
async fn unary<In, Out, Answer>(request: Request, handle: impl Fn(In) -> Answer) -> Response
where
    In: Message + Default + Send + 'static,
    Out: Message + Send + 'static,
    Answer: Future<Output = Result<Out, Problem>>,
{
    let mut grpc = Grpc::new(ProstCodec::<Out, In>::default())
        .max_decoding_message_size(REQUEST_BYTES_MAX)
        .max_encoding_message_size(usize::MAX);
    let handler = tower::service_fn(|request: tonic::Request<In>| {
        let answer = handle(request.into_inner());
        async { answer.await.map(tonic::Response::new).map_err(Status::from) }
    });
    grpc.unary(handler, request).await.map(Body::new)
}

async fn publish(State(service): State<Arc<Service>>, request: Request) -> Response {
    let handle = |request: proto::PublishRequest| {
        let drafts = request.messages.into_iter().map(Draft::from).collect();
        let published = service.publish(&request.topic, drafts);
        async { Ok(proto::PublishResponse { message_ids: published? }) }
    };
    unary(request, handle).await
}

async fn get_topic(State(service): State<Arc<Service>>, request: Request) -> Response {
    let handle = |request: proto::GetTopicRequest| {
        let labels = service.store.topic(&request.topic);
        async { Ok(topic(request.topic, labels?.into_iter().collect())) }
    };
    unary(request, handle).await
}

async fn create_topic(State(service): State<Arc<Service>>, request: Request) -> Response {
    let handle = |request: proto::Topic| {
        let labels = request.labels.clone().into_iter().collect();
        let created = service.store.create_topic(&request.name, labels);
        async { created.map(|()| topic(request.name, request.labels)) }
    };
    unary(request, handle).await
}

fn topic(name: String, labels: HashMap<String, String>) -> proto::Topic {
    proto::Topic { name, labels, ..proto::Topic::default() }
}

async fn create_subscription(State(service): State<Arc<Service>>, request: Request) -> Response {
    let handle = |request: proto::Subscription| {
        let created = subscription(request.clone()).and_then(|given| service.subscribe(given));
        async move {
            let ack_deadline_seconds = created?.ack_deadline_seconds.cast_signed();
            Ok(proto::Subscription { ack_deadline_seconds, ..request })
        }
    };
    unary(request, handle).await
}

async fn pull(State(service): State<Arc<Service>>, request: Request) -> Response {
    let handle = |request: proto::PullRequest| {
        let service = Arc::clone(&service);
        async move {
            let count_max = usize::try_from(request.max_messages).unwrap_or(0);
            // Marked as deprecated by Google, honoured all the same.
            #[expect(deprecated, reason = "clients may still send it")]
            let at_once = request.return_immediately;
            let pulled = service.pull(&request.subscription, count_max, at_once).await?;
            let received_messages = pulled.into_iter().map(received).collect();
            Ok(proto::PullResponse { received_messages })
        }
    };
    unary(request, handle).await
}

fn received(pulled: Pulled) -> proto::ReceivedMessage {
    proto::ReceivedMessage {
        ack_id: pulled.ack_id,
        message: Some(pulled.message.grpc()),
        delivery_attempt: pulled.delivery_attempt.unwrap_or(0).cast_signed(),
    }
}

async fn acknowledge(State(service): State<Arc<Service>>, request: Request) -> Response {
    let handle = |request: proto::AcknowledgeRequest| {
        let done = service.acknowledge(&request.subscription, &request.ack_ids);
        async { done }
    };
    unary(request, handle).await
}

async fn modify_ack_deadline(State(service): State<Arc<Service>>, request: Request) -> Response {
    let handle = |request: proto::ModifyAckDeadlineRequest| {
        let seconds = u32::try_from(request.ack_deadline_seconds)
            .map_err(|_| Problem::invalid("ackDeadlineSeconds must be 0 to 600"));
        let done = seconds
            .and_then(|seconds| service.extend(&request.subscription, &request.ack_ids, seconds));
        async { done }
    };
    unary(request, handle).await
}

/// REST's form of a subscription, or a refusal of what is not served.
fn subscription(given: proto::Subscription) -> Result<Subscription, Problem> {
    let elsewhere = given.bigquery_config.is_some()
        || given.cloud_storage_config.is_some()
        || given.bigtable_config.is_some();
    if elsewhere || given.enable_exactly_once_delivery || given.retain_acked_messages {
        return Err(Problem::invalid(
            "exports, exactly-once delivery and retained messages are not served here: use push \
             or pull",
        ));
    }
    let seconds = |wait: ProtoDuration| format!("{}.{:09}s", wait.seconds, wait.nanos);
    Ok(Subscription {
        name: given.name,
        topic: given.topic,
        push_config: given.push_config.map(push_config),
        ack_deadline_seconds: given.ack_deadline_seconds.try_into().unwrap_or(u32::MAX),
        enable_message_ordering: given.enable_message_ordering,
        retry_policy: given.retry_policy.map(|policy| RetryPolicy {
            minimum_backoff: policy.minimum_backoff.map(seconds),
            maximum_backoff: policy.maximum_backoff.map(seconds),
        }),
        dead_letter_policy: given.dead_letter_policy.map(|policy| DeadLetterPolicy {
            dead_letter_topic: policy.dead_letter_topic,
            max_delivery_attempts: policy.max_delivery_attempts.try_into().unwrap_or(u32::MAX),
        }),
        filter: given.filter,
        labels: given.labels.into_iter().collect(),
        expiration_policy: None,
        message_retention_duration: None,
    })
}

fn push_config(given: proto::PushConfig) -> PushConfig {
    PushConfig {
        push_endpoint: given.push_endpoint,
        attributes: given.attributes.into_iter().collect(),
        oidc_token: given.authentication_method.map(|AuthenticationMethod::OidcToken(token)| {
            OidcToken {
                service_account_email: token.service_account_email,
                audience: token.audience,
            }
        }),
        pubsub_wrapper: matches!(given.wrapper, Some(Wrapper::PubsubWrapper(_)))
            .then(PubsubWrapper::default),
        no_wrapper: match given.wrapper {
            Some(Wrapper::NoWrapper(bare)) => {
                Some(NoWrapper { write_metadata: bare.write_metadata })
            }
            Some(Wrapper::PubsubWrapper(_)) | None => None,
        },
    }
}
