//! The variables that a trigger sets at the start of a task.

use chrono::{DateTime, Utc};
use flow::template::{self, Scope};
use flow::{Contact, Flow, Trigger};
use serde_json::{Map, Value};

use crate::task::Vars;

/// The values of a trigger's `vars`, for the `started` event.
///
/// `input` is the message's text, `event` what `event` means in the templates (null for a
/// keyword or a schedule). The error is the reason for people.
pub fn trigger_vars(
    flow: &Flow,
    trigger: &Trigger,
    contact: &Contact,
    input: &Value,
    event: &Value,
    now: DateTime<Utc>,
) -> Result<Vars, String> {
    let contact = serde_json::to_value(contact).unwrap_or_default();
    let extra: Map<String, Value> = [("event".to_owned(), event.clone())].into_iter().collect();
    let defaults: Vars =
        flow.vars.iter().map(|(name, var)| (name.clone(), var.default.clone())).collect();
    let scope = Scope {
        vars: &defaults,
        input: Some(input),
        contact: &contact,
        task: &Value::Null,
        extra: &extra,
        now,
        zone: flow::schedule::zone(flow.zone.as_deref()).unwrap_or(chrono_tz::UTC),
    };
    let mut vars = Vars::new();
    for (name, source) in trigger.vars() {
        let value = template::evaluate_json(source, &scope)
            .map_err(|error| format!("the trigger's variable `{name}`: {error}"))?;
        vars.insert(name.clone(), value);
    }
    Ok(vars)
}
