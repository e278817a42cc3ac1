//! `/webhooks/{connection}`: what channels bring, verified by their own signature.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{HeaderMap, header};
use channels::webhook::inbound::{self, Request as WebhookRequest};
use channels::{Channel, InboundError};
use runtime::receive;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Gateway;
use crate::input;
use crate::problem::Problem;

/// What a webhook is answered once its event is safe.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookAnswer {
    /// Always true: what is not accepted is answered with an error.
    pub accepted: bool,
    /// The event's id; a repeated delivery has the same.
    pub event: String,
    /// The message's id, where it is a message.
    pub message: Option<String>,
    /// The conversation.
    pub conversation: Option<String>,
}

/// Takes what a channel brings. 200 is only answered once the event is stored durably.
#[utoipa::path(post, path = "/webhooks/{connection}", tag = "webhooks",
    params(("connection" = String, Path)), request_body = Object,
    responses((status = 200, body = WebhookAnswer), (status = "4XX", body = Problem)))]
pub async fn receive(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<WebhookAnswer>, Problem> {
    gateway.admit(&id, 1).await?;
    let app = &gateway.app;
    let (parts, body) = request.into_parts();
    // Trouble of the store is no 404: a sender would take the address for gone.
    let found = app.catalog().await?.connection(&id).cloned();
    let Some(connection) = found.filter(|found| found.channel == Channel::Webhook) else {
        return Err(Problem::not_found(format!("webhook connection `{}`", clip(&id))));
    };
    if !input::is_json(&parts.headers) {
        return Err(input::not_json());
    }
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    let body = input::bytes(body).await?;
    let secret = match &connection.secret {
        Some(name) => app.secrets().secret(name).await?,
        None => None,
    };
    let read = inbound::read(
        &connection,
        &WebhookRequest {
            headers: &parts.headers,
            body: &body,
            secret: secret.as_ref().map(ports::Secret::expose),
            from_loopback: from_this_machine(peer, &parts.headers),
            now: app.now(),
        },
    );
    let inbound = read.map_err(|error| refused(&gateway, &connection.id, error))?;
    let receipt = receive::webhook(app, &connection, inbound).await?;
    Ok(Json(WebhookAnswer {
        accepted: true,
        event: receipt.event.0,
        message: receipt.message.map(|id| id.0),
        conversation: receipt.conversation.map(|id| id.0),
    }))
}

/// A bad signature leaves a count, not a row.
fn refused(gateway: &Gateway, connection: &str, error: InboundError) -> Problem {
    match error {
        InboundError::Unauthorised => {
            gateway.counts.unauthorised();
            tracing::warn!(connection, "a webhook request was not signed as it must be");
            Problem::unauthorised(error.to_string())
        }
        InboundError::NotJson(_) => Problem::malformed(error.to_string()),
        InboundError::Unfit { pointer, message } => Problem::field(pointer, message),
    }
}

/// Whether a request comes from a program on this machine: the peer is loopback, no proxy passed
/// it on, and it was addressed to loopback – a web page elsewhere that makes its name resolve to
/// loopback sends its own name (DNS rebinding).
fn from_this_machine(peer: Option<SocketAddr>, headers: &HeaderMap) -> bool {
    let proxied = [
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-real-ip",
        "via",
    ];
    let direct = !proxied.iter().any(|name| headers.contains_key(*name));
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let local = matches!(name, "localhost" | "[::1]")
        || name.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback());
    direct && local && peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback())
}

fn clip(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(peer: &str, host: &str, extra: Option<&'static str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(name) = extra {
            headers.insert(name, "1.2.3.4".parse().unwrap());
        }
        from_this_machine(Some(peer.parse().unwrap()), &headers)
    }

    #[test]
    fn only_this_machine_counts_as_this_machine() {
        assert!(local("127.0.0.1:5", "127.0.0.1:8080", None));
        assert!(local("[::1]:5", "localhost", None));
        assert!(local("[::ffff:127.0.0.1]:5", "[::1]:8080", None));
        assert!(!local("10.0.0.1:5", "localhost", None));
        assert!(!local("127.0.0.1:5", "evil.example", None));
        assert!(!local("127.0.0.1:5", "127.0.0.1.evil.example:80", None));
        assert!(!local("127.0.0.1:5", "localhost", Some("x-forwarded-for")));
        assert!(!from_this_machine(None, &HeaderMap::new()));
    }
}
