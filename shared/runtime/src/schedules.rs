//! Schedule triggers: one timer ahead per trigger of a live version.

use chrono::{DateTime, Utc};
use engine::{EventId, TaskId, Vars};
use flow::{Contact, Trigger};
use ports::{Envelope, FlowVersion, Topic};
use serde_json::json;

use crate::app::App;
use crate::jobs::{StartJob, Thread, TimerJob, What, for_conversation, seal};
use crate::outcome::HandleError;
use crate::turn::named_contact;

/// The connection of tasks that nobody's message started.
pub const SYSTEM_CONNECTION: &str = "api";

/// Sets the next timer of every schedule of a version. Setting one twice is setting it once.
pub async fn arm(app: &App, version: &FlowVersion) -> Result<(), HandleError> {
    let mut envelopes = Vec::new();
    for index in 0..version.document.triggers.len() {
        envelopes.extend(next(version, index, app.now())?);
    }
    if !envelopes.is_empty() {
        app.bus().publish(&envelopes).await?;
    }
    Ok(())
}

/// Sets the timers of every live flow, at the start of the server.
pub async fn arm_all(app: &App) -> Result<(), HandleError> {
    let catalog = app.catalog().await?;
    for version in catalog.flows() {
        arm(app, version).await?;
    }
    Ok(())
}

fn next(
    version: &FlowVersion,
    index: usize,
    after: DateTime<Utc>,
) -> Result<Option<Envelope>, HandleError> {
    let flow = &version.document;
    let Some(Trigger::Schedule { cron, zone, .. }) = flow.triggers.get(index) else {
        return Ok(None);
    };
    let at = flow::schedule::next_after(cron, zone.as_deref(), after)
        .map_err(|error| HandleError::unprocessable("", error.to_string()))?;
    let job =
        TimerJob::Schedule { flow: flow.id.clone(), version: version.version, trigger: index, at };
    let id = format!("schedule/{}/{}/{index}/{}", flow.id, version.version, at.timestamp());
    let mut envelope = seal(Topic::Timers, id, flow.id.clone(), &job)?;
    envelope.due = Some(at);
    Ok(Some(envelope))
}

/// A schedule's time has come: a task starts, and the next time is set. A version that is not
/// live any more does neither.
pub(crate) async fn fire(
    app: &App,
    flow: &str,
    version: u32,
    trigger: usize,
    at: DateTime<Utc>,
) -> Result<(), HandleError> {
    let catalog = app.catalog().await?;
    let Some(live) = catalog.live(flow).filter(|live| live.version == version) else {
        return Ok(());
    };
    let Some(Trigger::Schedule { contact, .. }) = live.document.triggers.get(trigger) else {
        return Ok(());
    };
    let id = EventId::of("schedule", &format!("{flow}/{trigger}/{}", at.timestamp()));
    let event = json!({ "type": "schedule", "time": at, "id": id });
    let contact = contact
        .as_deref()
        .and_then(|template| named_contact(template, &event, at))
        .unwrap_or_else(|| Contact { id: format!("schedule/{flow}"), name: None, lang: None });
    let thread = Thread::of(SYSTEM_CONNECTION, None, contact);
    let start = StartJob {
        task: TaskId::derive(at, &id, "start"),
        flow: flow.to_owned(),
        vars: Vars::new(),
        parent: None,
        trigger: Some(trigger),
        event,
    };
    let mut envelopes = vec![for_conversation(id, at, thread, What::Start(start))?];
    // From the time it stands for, not from now: a late timer skips none, but one far behind
    // does not fire for every time that was missed.
    envelopes.extend(next(live, trigger, at.max(app.now() - chrono::TimeDelta::minutes(1)))?);
    app.bus().publish(&envelopes).await?;
    Ok(())
}
