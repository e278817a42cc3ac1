//! Events from outside that name no conversation: to whatever waits for them, and to triggers.

use chrono::{DateTime, Utc};
use engine::{EventBody, EventId, TaskId, Vars};
use flow::template::{self, Scope};
use flow::{Contact, Trigger};
use ports::{Commit, Envelope, Failure, FailureKind, FailureState, PortError, Topic};
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::jobs::{
    Accepted, AcceptedBody, ExternalEvent, StartJob, Thread, What, for_conversation, seal,
};
use crate::outcome::HandleError;

/// Most tasks that one event may wake.
const AWAITING_MAX: usize = 10_000;

/// Publishes one event per waiting task and per trigger. Ids are derived from the event's, so a
/// repeated delivery publishes the same ones and they take effect once.
pub(super) async fn fan_out(
    app: &App,
    accepted: &Accepted,
    event: &ExternalEvent,
) -> Result<(), HandleError> {
    let mut envelopes = Vec::new();
    waiting(app, accepted, event, &mut envelopes).await?;
    triggered(app, accepted, event, &mut envelopes).await?;
    if envelopes.is_empty() {
        // Nobody waits any more for an event that has had its effect.
        let seen = app.store().seen(&accepted.id).await?;
        return if seen { Ok(()) } else { keep(app, accepted, event).await };
    }
    // The event's id goes with them: a repeated delivery finds it and wakes nobody who came later.
    let commit = Commit {
        at: app.now(),
        event: Some(accepted.id.clone()),
        outbox: envelopes,
        ..Commit::default()
    };
    match super::commit(app, commit, None).await {
        Ok(()) | Err(PortError::Duplicate { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn waiting(
    app: &App,
    accepted: &Accepted,
    event: &ExternalEvent,
    envelopes: &mut Vec<Envelope>,
) -> Result<(), HandleError> {
    let Some(subject) = &event.subject else { return Ok(()) };
    let found = app.store().awaiting(&event.kind, subject, AWAITING_MAX).await?;
    if found.len() == AWAITING_MAX {
        tracing::error!(event = %accepted.id, "more than {AWAITING_MAX} tasks wait for one event");
    }
    let ids: Vec<TaskId> = found.into_iter().map(|(task, _)| task).collect();
    for task in app.store().tasks(&ids).await? {
        let thread = Thread::from(&task);
        let body = EventBody::External {
            event_type: event.kind.clone(),
            key: subject.clone(),
            data: event.data.clone(),
        };
        let what = What::Task { task: task.id.clone(), event: body };
        let id = EventId::of(accepted.id.as_str(), task.id.as_str());
        envelopes.push(for_conversation(id, accepted.at, thread, what)?);
    }
    Ok(())
}

async fn triggered(
    app: &App,
    accepted: &Accepted,
    event: &ExternalEvent,
    envelopes: &mut Vec<Envelope>,
) -> Result<(), HandleError> {
    let catalog = app.catalog().await?;
    for entry in catalog.entries() {
        let Trigger::Event { kind, contact, .. } = entry.trigger else { continue };
        if *kind != event.kind {
            continue;
        }
        let part = format!("{}/{}", entry.flow, entry.index);
        let id = EventId::of(accepted.id.as_str(), &part);
        let value = as_value(accepted, event);
        let contact = contact_of(contact.as_deref(), event, &value, accepted)
            .unwrap_or_else(|| Contact { id: id.0.clone(), name: None, lang: None });
        let thread = Thread::of(&event.connection, None, contact);
        let start = StartJob {
            task: TaskId::derive(accepted.at, &id, "start"),
            flow: entry.flow.to_owned(),
            vars: Vars::new(),
            parent: None,
            trigger: Some(entry.index),
            event: value,
        };
        envelopes.push(for_conversation(id, accepted.at, thread, What::Start(start))?);
    }
    Ok(())
}

/// The event as templates see it.
fn as_value(accepted: &Accepted, event: &ExternalEvent) -> Value {
    json!({
        "id": accepted.id, "type": event.kind, "source": event.source, "subject": event.subject,
        "time": event.time.unwrap_or(accepted.at), "data": event.data,
    })
}

/// Whom the new task talks with: as the trigger says, else as the event says.
fn contact_of(
    template: Option<&str>,
    event: &ExternalEvent,
    value: &Value,
    accepted: &Accepted,
) -> Option<Contact> {
    let Some(template) = template else {
        let told = event.data.pointer("/contact").cloned();
        let told = told.and_then(|contact| serde_json::from_value::<Contact>(contact).ok());
        return event.contact.clone().or(told);
    };
    named_contact(template, value, accepted.at)
}

/// The contact that a trigger's `contact` template names; `event` is what set the trigger off.
pub(crate) fn named_contact(template: &str, event: &Value, now: DateTime<Utc>) -> Option<Contact> {
    let (empty, mut extra) = (Map::new(), Map::new());
    extra.insert("event".into(), event.clone());
    let scope = Scope {
        vars: &empty,
        input: None,
        contact: &Value::Null,
        task: &Value::Null,
        extra: &extra,
        now,
        zone: chrono_tz::UTC,
    };
    let id = template::render(template, &scope).ok()?.trim().to_owned();
    let fits = !id.is_empty() && id.len() <= channels::inbound::ID_BYTES_MAX;
    fits.then_some(Contact { id, name: None, lang: None })
}

/// Nothing waits for it: it is kept where people see it, and can be tried again.
async fn keep(app: &App, accepted: &Accepted, event: &ExternalEvent) -> Result<(), HandleError> {
    let key = format!("external/{}", event.kind);
    let again = Accepted {
        id: accepted.id.clone(),
        at: accepted.at,
        body: AcceptedBody::External(event.clone()),
    };
    let failure = Failure {
        id: format!("fail_{}", accepted.id),
        kind: FailureKind::Event,
        reason: format!(
            "no task waits for `{}` with key `{}`, and no trigger names it",
            event.kind,
            event.subject.as_deref().unwrap_or_default()
        ),
        at: app.now(),
        attempts: 1,
        state: FailureState::Open,
        task: None,
        conversation: None,
        envelope: Some(seal(Topic::Events, accepted.id.0.clone(), key, &again)?),
        settled: None,
    };
    app.store().put_failure(&failure).await?;
    Ok(())
}
