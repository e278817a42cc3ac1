//! Lines for Cloud Logging and Error Reporting.
//!
//! `tracing-stackdriver` writes severity, labels, spans and source locations. Its released version
//! (0.10) takes the trace from types of `tracing-opentelemetry` 0.23 (OpenTelemetry 0.22): with
//! any newer one it finds none and writes no trace, in silence. So the trace is put into its line
//! here, on the line's way out; the test in this module reads what comes out. The same place adds
//! what Error Reporting wants of errors.

use std::io::{self, Write};

use serde_json::{Map, Value, json};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::registry::LookupSpan;

use super::trace;

/// What makes Error Reporting take a line for an error.
const ERROR_TYPE: &str =
    "type.googleapis.com/google.devtools.clouderrorreporting.v1beta1.ReportedErrorEvent";
/// Fields of a panic's event that say where it was.
const PANIC_FILE: &str = "panicFile";
const PANIC_LINE: &str = "panicLine";

/// Whose lines they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The project that traces belong to.
    pub project: Option<String>,
    /// The service, as Error Reporting shows it.
    pub service: String,
    /// Its version.
    pub version: String,
}

/// The layer that writes the lines.
pub fn layer<S, W>(origin: Origin, writer: W) -> tracing_stackdriver::Layer<S, Lines<W>>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + 'static,
{
    tracing_stackdriver::layer().with_writer(Lines { inner: writer, origin })
}

/// Completes lines on their way to another writer.
#[derive(Debug)]
pub struct Lines<W> {
    inner: W,
    origin: Origin,
}

/// One line.
#[derive(Debug)]
pub struct Line<'a, W> {
    out: W,
    origin: &'a Origin,
    error: Option<Place>,
}

/// Where an error is in the code.
#[derive(Debug)]
struct Place {
    file: String,
    line: u32,
    module: String,
}

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Lines<W> {
    type Writer = Line<'a, W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Line { out: self.inner.make_writer(), origin: &self.origin, error: None }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Self::Writer {
        let error = (*meta.level() == Level::ERROR).then(|| Place {
            file: meta.file().unwrap_or_default().to_owned(),
            line: meta.line().unwrap_or_default(),
            module: meta.target().to_owned(),
        });
        Line { out: self.inner.make_writer_for(meta), origin: &self.origin, error }
    }
}

impl<W: Write> Write for Line<'_, W> {
    /// The formatter writes each line as a whole, while the event's context is current.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.completed(line) {
            Some(completed) => self.out.write_all(&completed)?,
            None => self.out.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<W> Line<'_, W> {
    /// The line with what is missing; none where nothing is, or it is no JSON object.
    fn completed(&self, line: &[u8]) -> Option<Vec<u8>> {
        let mut more = self.trace();
        if let Some(place) = &self.error {
            more.extend(self.report(place, &serde_json::from_slice(line).ok()?));
        }
        if more.is_empty() {
            return None;
        }
        // Before the brace that ends the line's object.
        let body = line.trim_ascii_end().strip_suffix(b"}")?;
        let mut completed = body.to_vec();
        let more = serde_json::to_vec(&more).ok()?;
        if body.trim_ascii_end() != b"{" {
            completed.push(b',');
        }
        completed.extend_from_slice(more.strip_prefix(b"{")?);
        completed.push(b'\n');
        Some(completed)
    }

    fn trace(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        if let (Some(project), Some(context)) = (&self.origin.project, trace::of_current()) {
            let trace = format!("projects/{project}/traces/{}", context.trace_id());
            fields.insert("logging.googleapis.com/trace".into(), trace.into());
            let span = context.span_id().to_string();
            fields.insert("logging.googleapis.com/spanId".into(), span.into());
            let sampled = context.is_sampled();
            fields.insert("logging.googleapis.com/trace_sampled".into(), sampled.into());
        }
        fields
    }

    /// What Error Reporting groups errors by. Stack traces are left out: it reads none of Rust,
    /// and stripped programs have none; the place in the code stands for it.
    fn report(&self, place: &Place, line: &Map<String, Value>) -> Map<String, Value> {
        let text = |name: &str| line.get(name).and_then(Value::as_str);
        let file = text(PANIC_FILE).unwrap_or(&place.file);
        let number = line.get(PANIC_LINE).and_then(Value::as_u64).unwrap_or(place.line.into());
        let mut fields = Map::new();
        fields.insert("@type".into(), ERROR_TYPE.into());
        fields.insert(
            "serviceContext".into(),
            json!({ "service": self.origin.service, "version": self.origin.version }),
        );
        fields.insert(
            "context".into(),
            json!({ "reportLocation": {
                "filePath": file,
                "lineNumber": number,
                "functionName": place.module,
            } }),
        );
        // It takes no error without a message.
        if text("message").is_none() {
            let message = text("error").unwrap_or("an error without a message");
            fields.insert("message".into(), format!("{}: {message}", place.module).into());
        }
        fields
    }
}

/// Logs panics as errors, with their place. The text is logged where it is a constant: one that
/// was put together may hold what people wrote.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let constant = panic.payload().downcast_ref::<&'static str>().copied();
        let place = panic.location();
        tracing::error!(
            panic_file = place.map(std::panic::Location::file),
            panic_line = place.map(std::panic::Location::line),
            reason = constant.unwrap_or("its text is left out"),
            "panicked"
        );
    }));
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Captured {
        fn lines(&self) -> Vec<Value> {
            let bytes = self.0.lock().unwrap();
            let text = std::str::from_utf8(&bytes).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }
    }

    fn captured() -> (Captured, impl Subscriber) {
        let captured = Captured::default();
        let writer = captured.clone();
        let origin = Origin {
            project: Some("demo-1".into()),
            service: "controller".into(),
            version: "0.1.0".into(),
        };
        let layer = layer(origin, move || writer.clone());
        (captured, tracing_subscriber::registry().with(layer))
    }

    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[tokio::test]
    async fn lines_name_the_trace_of_their_request() {
        let (captured, subscriber) = captured();
        let _guard = tracing::subscriber::set_default(subscriber);
        tracing::info!("outside");
        let span = tracing::info_span!("event", task = "task_1");
        trace::within(Some(TRACE), span, async {
            tokio::task::yield_now().await;
            tracing::warn!(labels.kind = "x", attempt = 3, "inside");
        })
        .await;
        let lines = captured.lines();
        assert_eq!(lines[0]["severity"], "INFO");
        assert!(lines[0].get("logging.googleapis.com/trace").is_none());
        let inside = &lines[1];
        assert_eq!(
            inside["logging.googleapis.com/trace"],
            "projects/demo-1/traces/4bf92f3577b34da6a3ce929d0e0e4736"
        );
        assert_eq!(inside["logging.googleapis.com/spanId"], "00f067aa0ba902b7");
        assert_eq!(inside["logging.googleapis.com/trace_sampled"], true);
        assert_eq!(
            (&inside["severity"], &inside["message"]),
            (&"WARNING".into(), &"inside".into())
        );
        assert_eq!(inside["span"]["task"], "task_1");
        assert_eq!(inside["attempt"], 3);
        assert!(inside.get("@type").is_none());
    }

    #[test]
    fn errors_reach_error_reporting() {
        let (captured, subscriber) = captured();
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(error = "no route", "a \"letter\"\nwas lost");
            tracing::error!(error = "no route");
        });
        let lines = captured.lines();
        for line in &lines {
            assert_eq!(line["severity"], "ERROR");
            assert_eq!(line["@type"], ERROR_TYPE);
            let context = json!({ "service": "controller", "version": "0.1.0" });
            assert_eq!(line["serviceContext"], context);
            let place = &line["context"]["reportLocation"];
            assert!(place["filePath"].as_str().unwrap().ends_with("telemetry/cloud.rs"), "{line}");
            assert!(place["lineNumber"].as_u64().unwrap() > 0);
        }
        assert_eq!(lines[0]["message"], "a \"letter\"\nwas lost");
        assert!(lines[1]["message"].as_str().unwrap().ends_with(": no route"), "{}", lines[1]);
    }

    #[test]
    fn panics_are_errors_without_what_people_wrote() {
        let (captured, subscriber) = captured();
        tracing::subscriber::with_default(subscriber, || {
            let before = std::panic::take_hook();
            report_panics();
            let text = "私密".to_owned();
            let sliced = std::panic::catch_unwind(|| text[..1].len());
            let plain = std::panic::catch_unwind(|| panic!("a constant"));
            std::panic::set_hook(before);
            assert!(sliced.is_err() && plain.is_err());
        });
        let lines = captured.lines();
        assert_eq!(lines.len(), 2);
        assert!(!lines[0].to_string().contains('私'), "{}", lines[0]);
        assert_eq!(lines[1]["reason"], "a constant");
        assert_eq!(lines[1]["@type"], ERROR_TYPE);
        assert!(lines[1]["context"]["reportLocation"]["lineNumber"].as_u64().unwrap() > 0);
    }
}
