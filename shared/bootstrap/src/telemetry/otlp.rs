//! Traces and metrics for an OpenTelemetry collector, over HTTP in protobuf.

use std::time::Duration;

use anyhow::Context;
use opentelemetry::trace::TracerProvider;
use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::{MetricExporter, Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use tracing::Subscriber;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::registry::LookupSpan;

use crate::config::Config;

/// How long one export may take.
const TIMEOUT: Duration = Duration::from_secs(3);

/// What exports.
#[derive(Debug)]
pub struct Export {
    traces: SdkTracerProvider,
    metrics: SdkMeterProvider,
}

impl Export {
    /// Starts exporting to a collector such as `http://127.0.0.1:4318`. The threads that send
    /// are their own: a busy function holds up no export, and an export no function.
    pub fn start(collector: &str, config: &Config) -> anyhow::Result<Self> {
        let to = collector.trim_end_matches('/');
        let spans = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{to}/v1/traces"))
            .with_timeout(TIMEOUT)
            .build()
            .context("traces cannot be sent; check OTEL_EXPORTER_OTLP_ENDPOINT")?;
        let numbers = MetricExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{to}/v1/metrics"))
            .with_timeout(TIMEOUT)
            .build()
            .context("metrics cannot be sent; check OTEL_EXPORTER_OTLP_ENDPOINT")?;
        let resource = Resource::builder()
            .with_service_name(config.service.clone())
            .with_attribute(KeyValue::new("service.namespace", "chatflow"))
            .with_attribute(KeyValue::new("service.version", config.version.clone()))
            .build();
        let traces = SdkTracerProvider::builder()
            .with_batch_exporter(spans)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
            .with_resource(resource.clone())
            .build();
        let metrics = SdkMeterProvider::builder()
            .with_periodic_exporter(numbers)
            .with_resource(resource)
            .build();
        global::set_meter_provider(metrics.clone());
        Ok(Self { traces, metrics })
    }

    /// Makes the spans of `tracing` OpenTelemetry's.
    pub fn layer<S>(&self) -> OpenTelemetryLayer<S, SdkTracer>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        tracing_opentelemetry::layer().with_tracer(self.traces.tracer("chatflow"))
    }

    /// Sends what is left. Blocks for a few seconds at most.
    pub fn end(&self) {
        let ended = [self.traces.shutdown_with_timeout(TIMEOUT), self.metrics.shutdown()];
        for error in ended.into_iter().filter_map(Result::err) {
            tracing::warn!(%error, "the last traces or metrics were not sent");
        }
    }
}
