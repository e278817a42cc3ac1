//! The rows of the base tables (`infra/bigquery`): tasks, messages, history.

use chrono::{DateTime, Utc};
use engine::{HistoryEntry, Message, MessageState, Status, Task};
use serde_json::{Map, Value, json};

use crate::jobs::LandingRow;

fn row(id: String, table: &str, value: Value) -> LandingRow {
    let row = match value {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    LandingRow { id, table: table.to_owned(), row }
}

/// A task as it stands after the event.
pub fn task(task: &Task, event: &str) -> LandingRow {
    let (error, result) = match &task.status {
        Status::Failed { reason, .. } | Status::Cancelled { reason } => {
            (Some(reason.as_str()), Value::Null)
        }
        Status::Completed { result, .. } => (None, result.clone()),
        Status::Running | Status::Waiting { .. } | Status::Expired { .. } => (None, Value::Null),
    };
    row(
        format!("tasks/{}/{}", task.id, task.sequence),
        "tasks",
        json!({
            "task_id": task.id, "sequence": task.sequence, "event_id": event,
            "flow": task.flow, "version": task.version, "status": task.status.name(),
            "step": task.status.step(), "waiting_for": task.status.waiting_for(),
            "label": task.label, "contact_id": task.contact.id,
            "contact_name": task.contact.name, "conversation_id": task.conversation,
            "connection": task.connection,
            "parent_task_id": task.parent.as_ref().map(|parent| &parent.task),
            "queue": task.queue().map(|(queue, _)| queue), "outcome": task.status.outcome(),
            "error": error, "vars": task.vars, "result": result,
            "created_at": time(task.created_at), "updated_at": time(task.updated_at),
            "ended_at": task.ended_at.map(time),
        }),
    )
}

/// A message as it stands now.
pub fn message(message: &Message) -> LandingRow {
    let reached = |state| message.time_of(state).map(time);
    let at = message.reached.last().map_or(message.created_at, |reached| reached.at);
    row(
        format!("messages/{}/{}", message.id, message.revision),
        "messages",
        json!({
            "message_id": message.id, "sequence": message.revision, "event_id": message.event,
            "task_id": message.task, "conversation_id": message.conversation,
            "connection": message.connection, "contact_id": message.contact,
            "direction": message.direction, "state": message.state.name(),
            "sender": message.sender.name(), "text": message.content.text,
            "content": message.content, "external_id": message.external_id,
            "rule": message.rule.map(engine::Rule::name), "error": message.error,
            "received_at": reached(MessageState::Received),
            "routed_at": reached(MessageState::Routed),
            "processed_at": reached(MessageState::Processed),
            "queued_at": reached(MessageState::Queued),
            "sending_at": reached(MessageState::Sending), "sent_at": reached(MessageState::Sent),
            "delivered_at": reached(MessageState::Delivered),
            "read_at": reached(MessageState::Read), "failed_at": reached(MessageState::Failed),
            "at": time(at),
        }),
    )
}

/// One transition.
pub fn history(entry: &HistoryEntry) -> LandingRow {
    row(
        format!("history/{}/{}", entry.task, entry.sequence),
        "history",
        json!({
            "task_id": entry.task, "sequence": entry.sequence, "event_id": entry.event.id,
            "event_kind": entry.event.body.name(), "event": entry.event.body,
            "at": time(entry.at), "steps": entry.steps, "vars_changed": entry.vars_changed,
            "status_before": entry.before, "status_after": entry.status.name(),
            "effects": entry.effects,
        }),
    )
}

/// Largest value of a column in a row that is too large as a whole, in bytes of JSON.
const SHORTENED_BYTES_MAX: usize = 64 * 1024;

/// The row with its largest values replaced by their size. Only JSON columns grow so large.
pub fn shortened(mut row: LandingRow) -> LandingRow {
    for value in row.row.values_mut() {
        let bytes = value.to_string().len();
        if bytes > SHORTENED_BYTES_MAX && (value.is_object() || value.is_array()) {
            *value = json!({ "omitted_bytes": bytes });
        }
    }
    row
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The columns these rows fill are the columns the tables have; only `landed_at` is added
    /// when they land.
    #[test]
    fn rows_and_tables_name_the_same_columns() {
        let at = DateTime::UNIX_EPOCH;
        let filled = |row: &LandingRow| {
            let mut names: Vec<String> = row.row.keys().cloned().collect();
            names.push("landed_at".into());
            names.sort();
            names
        };
        let columns = |table: &str| {
            let table = schema::base_table(table).unwrap();
            let mut names: Vec<String> = table.fields().iter().map(|f| f.name.clone()).collect();
            names.sort();
            names
        };
        let task = engine::NewTask {
            id: "task_1".into(),
            version: 1,
            contact: flow::Contact { id: "u".into(), name: None, lang: None },
            conversation: engine::ConversationId::of("demo", "u"),
            connection: "demo".into(),
            lang: None,
            parent: None,
            trigger: None,
            at,
        };
        let document = flow::parse("flow: f1\nstart: e\nsteps: {e: {type: end}}").unwrap().flow;
        let made = task.make(&document);
        let event = engine::Event {
            id: engine::EventId::of("a", "b"),
            at,
            body: engine::EventBody::Started { vars: Map::new(), input: Value::Null },
        };
        let transition = engine::advance(&document, &made, &event, at).unwrap();
        let message = Message {
            id: "msg_1".into(),
            revision: 1,
            event: event.id.clone(),
            task: None,
            conversation: made.conversation.clone(),
            connection: "demo".into(),
            contact: "u".into(),
            direction: engine::Direction::In,
            sender: engine::Sender::Contact,
            content: flow::Content::text("hi"),
            external_id: None,
            rule: None,
            in_reply_to: None,
            error: None,
            state: MessageState::Received,
            reached: Vec::new(),
            created_at: at,
        };
        assert_eq!(filled(&super::task(&transition.task, "evt")), columns("tasks"));
        assert_eq!(filled(&super::message(&message)), columns("messages"));
        assert_eq!(filled(&super::history(&transition.entry)), columns("history"));
    }
}
