//! A deadline for connecting that differs from request to request.
//!
//! A client knows one connect timeout for all its requests. But whether a request may be sent again
//! depends on knowing that it was not sent, and the total deadline cannot tell: it may strike while
//! connecting or while waiting for the answer. So connecting gets a deadline of its own, a little
//! before the total one, and only *its* error says "not sent".

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tower::{BoxError, Layer, Service};

tokio::task_local! {
    /// When the request that runs in this task gives up connecting. Read once, where the client
    /// begins to connect, which it does inside the request's own task.
    pub(super) static CONNECT_DEADLINE: Instant;
}

/// Resolving the name, connecting and the TLS handshake together took too long.
#[derive(Debug, thiserror::Error)]
#[error("the deadline for connecting passed")]
pub(super) struct ConnectDeadlinePassed;

/// Puts the deadline around a client's connector.
#[derive(Debug, Clone)]
pub(super) struct ConnectDeadlineLayer {
    /// Used outside of a request, which does not happen today.
    pub(super) fallback: Duration,
}

impl<S> Layer<S> for ConnectDeadlineLayer {
    type Service = ConnectBefore<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ConnectBefore { inner, fallback: self.fallback }
    }
}

/// A connector that gives up at the deadline.
#[derive(Debug, Clone)]
pub(super) struct ConnectBefore<S> {
    inner: S,
    fallback: Duration,
}

impl<S, Target> Service<Target> for ConnectBefore<S>
where
    S: Service<Target, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, target: Target) -> Self::Future {
        let deadline = CONNECT_DEADLINE
            .try_with(|deadline| *deadline)
            .unwrap_or_else(|_| Instant::now() + self.fallback);
        let connecting = self.inner.call(target);
        Box::pin(async move {
            match timeout_at(deadline, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(ConnectDeadlinePassed.into()),
            }
        })
    }
}
