//! One message is one trace, from the webhook to BigQuery: the context of a request or a message
//! is read here, and offered to whoever publishes.
//!
//! The current context is always OpenTelemetry's. Where a collector is named its spans are in it;
//! where none is, the sender's context is passed on as it came, so that logs of one message belong
//! together all the same.

use std::future::Future;

use tracing::{Instrument, Span};

/// Does `work` inside a span, which continues the trace of `traceparent` where there is one.
#[cfg(not(feature = "cloud"))]
pub(crate) async fn within<F: Future>(_: Option<&str>, span: Span, work: F) -> F::Output {
    work.instrument(span).await
}

#[cfg(feature = "cloud")]
pub use context::{current, follow};
#[cfg(feature = "cloud")]
pub(crate) use context::{of_current, within};

#[cfg(feature = "cloud")]
mod context {
    use std::time::Instant;

    use axum::extract::Request;
    use axum::http::{HeaderMap, Method};
    use axum::middleware::Next;
    use axum::response::Response;
    use opentelemetry::Context;
    use opentelemetry::trace::{
        FutureExt, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState,
    };
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    use super::{Future, Instrument, Span};
    use crate::telemetry::metrics;

    /// The `traceparent` (W3C Trace Context) of what is being done right now.
    pub fn current() -> Option<String> {
        of_current().map(|context| {
            format!(
                "00-{}-{}-{:02x}",
                context.trace_id(),
                context.span_id(),
                context.trace_flags().to_u8()
            )
        })
    }

    /// The context of what is being done right now, where there is a trace.
    pub(crate) fn of_current() -> Option<SpanContext> {
        let context = Context::map_current(|context| context.span().span_context().clone());
        context.is_valid().then_some(context)
    }

    /// Does `work` inside a span, which continues the trace of `traceparent` where there is one.
    pub(crate) async fn within<F: Future>(
        traceparent: Option<&str>,
        span: Span,
        work: F,
    ) -> F::Output {
        let here = Context::current();
        let context = match traceparent.and_then(parse) {
            Some(parent) => {
                let context = here.with_remote_span_context(parent);
                // Without a collector there is no span of OpenTelemetry's to have a parent.
                let _ = span.set_parent(context.clone());
                span.add_link(here.span().span_context().clone());
                context
            }
            None => here,
        };
        work.instrument(span).with_context(context).await
    }

    /// Middleware: every request gets a span that continues its sender's trace.
    pub async fn follow(request: Request, next: Next) -> Response {
        if matches!(request.uri().path(), "/healthz" | "/readyz") {
            // Probes come all the time and belong to nobody's trace.
            return next.run(request).await;
        }
        let parent = of_headers(request.headers());
        let span = tracing::info_span!(
            "request",
            method = request.method().as_str(),
            path = request.uri().path(),
            status = tracing::field::Empty,
        );
        let accepts = accepts(request.method(), request.uri().path());
        let inner = span.clone();
        let work = async move {
            let began = Instant::now();
            let response = next.run(request).await;
            let status = response.status();
            inner.record("status", status.as_u16());
            if accepts && status.is_success() {
                metrics::accepted();
            }
            tracing::debug!(status = status.as_u16(), took = ?began.elapsed(), "answered");
            response
        };
        within(parent.as_deref(), span, work).await
    }

    /// Whether a success of this request is an accepted event.
    fn accepts(method: &Method, path: &str) -> bool {
        method == Method::POST
            && (path.starts_with("/webhooks/")
                || path == "/events"
                || path == "/v1/tasks"
                || (path.starts_with("/v1/") && path.ends_with("/messages")))
    }

    /// The context a request brings, as a `traceparent`.
    fn of_headers(headers: &HeaderMap) -> Option<String> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let w3c = header("traceparent").filter(|value| parse(value).is_some()).map(str::to_owned);
        w3c.or_else(|| header("x-cloud-trace-context").and_then(of_google))
    }

    /// Google's older form: `TRACE_ID/SPAN_ID;o=OPTIONS` with the span's id in decimal.
    fn of_google(value: &str) -> Option<String> {
        let (ids, options) = value.split_once(';').unwrap_or((value, ""));
        let (trace, span) = ids.split_once('/')?;
        let span: u64 = span.parse().ok()?;
        let sampled = options.trim() == "o=1";
        let text = format!("00-{}-{span:016x}-0{}", trace.to_lowercase(), u8::from(sampled));
        parse(&text).map(|_| text)
    }

    /// Reads a `traceparent`.
    fn parse(text: &str) -> Option<SpanContext> {
        let mut parts = text.split('-');
        let (version, trace) = (parts.next()?, parts.next()?);
        let (span, flags) = (parts.next()?, parts.next()?);
        let hex = |part: &str, length: usize| {
            part.len() == length
                && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let known = version == "00" && parts.next().is_none();
        let later = version != "00" && version != "ff" && hex(version, 2);
        if !(known || later) || !hex(trace, 32) || !hex(span, 16) || !hex(flags, 2) {
            return None;
        }
        let flags = u8::from_str_radix(flags, 16).ok()?;
        let context = SpanContext::new(
            TraceId::from_hex(trace).ok()?,
            SpanId::from_hex(span).ok()?,
            TraceFlags::new(flags) & TraceFlags::SAMPLED,
            true,
            TraceState::default(),
        );
        context.is_valid().then_some(context)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

        #[test]
        fn contexts_are_read_strictly() {
            let context = parse(TRACE).unwrap();
            assert_eq!(context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
            assert!(context.is_sampled() && context.is_remote());
            assert!(parse(&TRACE.replace("00-4", "42-4")).is_some());
            for wrong in [
                "",
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
                "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
                "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
                "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            ] {
                assert!(parse(wrong).is_none(), "{wrong}");
            }
        }

        #[test]
        fn googles_header_is_the_same_context() {
            let text = "4bf92f3577b34da6a3ce929d0e0e4736/67667974448284343;o=1";
            assert_eq!(of_google(text).as_deref(), Some(TRACE));
            let unsampled = of_google("4BF92F3577B34DA6A3CE929D0E0E4736/67667974448284343");
            assert_eq!(unsampled.as_deref(), Some(TRACE.replace("-01", "-00").as_str()));
            assert_eq!(of_google("4bf92f3577b34da6a3ce929d0e0e4736/0;o=1"), None);
            assert_eq!(of_google("nonsense/1"), None);
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", "broken".parse().unwrap());
            headers.insert("x-cloud-trace-context", text.parse().unwrap());
            assert_eq!(of_headers(&headers).as_deref(), Some(TRACE));
        }

        #[tokio::test]
        async fn work_knows_the_trace_it_belongs_to() {
            assert_eq!(current(), None);
            let seen = within(Some(TRACE), Span::none(), async {
                tokio::task::yield_now().await;
                current()
            });
            assert_eq!(seen.await.as_deref(), Some(TRACE));
            assert_eq!(current(), None);
        }
    }
}
