//! Names: well-formed, known, not taken.

use crate::check::{Lookup, Surroundings};
use crate::document::{Flow, Trigger};
use crate::problem::{Problem, escape_pointer};
use crate::schedule;
use crate::step::StepKind;
use crate::template;

/// Names that some scopes give a meaning beside those that every template has.
const SCOPED: [&str; 3] = ["event", "item", "index"];

pub(super) fn check(flow: &Flow, around: &dyn Surroundings, problems: &mut Vec<Problem>) {
    if !is_flow_id(&flow.id) {
        problems.push(
            Problem::error("/flow", format!("`{}` is not a flow id", clip(&flow.id)))
                .fix("use a letter, then letters, digits and -, 2 to 63 in all, lower case"),
        );
    }
    if let Err(error) = schedule::zone(flow.zone.as_deref()) {
        problems.push(Problem::error("/zone", error.to_string()));
    }
    for name in flow.vars.keys() {
        variable(name, &format!("/vars/{}", escape_pointer(name)), problems);
    }
    for name in flow.implied_vars() {
        variable(name, "/steps", problems);
    }
    for (id, step) in &flow.steps {
        let at = format!("/steps/{}", escape_pointer(id));
        if !is_name(id) {
            problems.push(
                Problem::error(&at, format!("`{}` is not a step id", clip(id)))
                    .fix("use a letter, then letters, digits and _, up to 63, lower case"),
            );
        }
        references(&step.kind, &at, around, problems);
    }
    triggers(flow, problems);
}

fn variable(name: &str, pointer: &str, problems: &mut Vec<Problem>) {
    if !is_name(name) {
        problems.push(
            Problem::error(pointer, format!("`{}` is not a variable name", clip(name)))
                .fix("use a letter, then letters, digits and _, up to 63, lower case"),
        );
    } else if SCOPED.contains(&name) || template::RESERVED_NAMES.contains(&name) {
        problems.push(
            Problem::error(pointer, format!("`{name}` already means something in templates"))
                .fix(format!("call it `{name}_value` or the like")),
        );
    }
}

fn references(kind: &StepKind, at: &str, around: &dyn Surroundings, problems: &mut Vec<Problem>) {
    let mut look = |field: &str, what: &str, name: &str, found: Lookup| {
        if let Lookup::Missing(known) = found {
            let problem =
                Problem::error(format!("{at}{field}"), format!("there is no {what} `{name}`"))
                    .fix(format!("create the {what} first, or correct the name"));
            problems.push(problem.suggest(name, known.iter().map(String::as_str)));
        }
    };
    match kind {
        StepKind::Call(call) => {
            if let Some(connection) = &call.connection {
                look("/connection", "connection", connection, around.connection(connection));
            }
            if let Some(auth) = &call.request.auth {
                look("/request/auth/secret", "secret", &auth.secret, around.secret(&auth.secret));
            }
        }
        StepKind::Start(start) => look("/flow", "flow", &start.flow, around.flow(&start.flow)),
        StepKind::Each(each) => look("/flow", "flow", &each.flow, around.flow(&each.flow)),
        StepKind::Handoff(handoff) => {
            look("/queue", "queue", &handoff.queue, around.queue(&handoff.queue));
        }
        StepKind::Notify(notify) => {
            if let Some(connection) = &notify.connection {
                look("/connection", "connection", connection, around.connection(connection));
            }
        }
        StepKind::Record(record) => {
            look("/table", "table", &record.table, around.table(&record.table));
        }
        StepKind::Say(_)
        | StepKind::Ask(_)
        | StepKind::Set(_)
        | StepKind::Branch(_)
        | StepKind::Wait(_)
        | StepKind::End(_) => {}
    }
}

fn triggers(flow: &Flow, problems: &mut Vec<Problem>) {
    for (index, trigger) in flow.triggers.iter().enumerate() {
        let at = format!("/triggers/{index}");
        match trigger {
            Trigger::Keyword { any, .. } => {
                if any.is_empty() {
                    problems.push(
                        Problem::error(format!("{at}/any"), "the trigger has no keyword")
                            .fix("add at least one word"),
                    );
                }
                for (number, word) in any.iter().enumerate() {
                    if word.compared().is_empty() {
                        problems.push(
                            Problem::error(
                                format!("{at}/any/{number}"),
                                "the keyword has no letter or digit",
                            )
                            .fix("a keyword needs at least one letter or digit"),
                        );
                    }
                }
            }
            Trigger::Event { kind, .. } => {
                if kind.trim().is_empty() || kind.len() > 200 {
                    problems.push(
                        Problem::error(format!("{at}/type"), "an event type has 1 to 200 bytes")
                            .fix("use a CloudEvents type, such as com.example.order.paid"),
                    );
                }
            }
            Trigger::Schedule { cron, zone, .. } => {
                let epoch = chrono::DateTime::UNIX_EPOCH;
                if let Err(error) = schedule::next_after(cron, zone.as_deref(), epoch) {
                    problems.push(Problem::error(at.clone(), error.to_string()));
                }
            }
        }
        for name in trigger.vars().keys() {
            if !flow.vars.contains_key(name) {
                problems.push(
                    Problem::error(
                        format!("{at}/vars/{}", escape_pointer(name)),
                        format!("the variable `{name}` is not declared"),
                    )
                    .fix(format!("declare it under `vars`: `{name}: {{type: string}}`"))
                    .suggest(name, flow.vars.keys().map(String::as_str)),
                );
            }
        }
    }
}

/// `[a-z][a-z0-9-]{1,62}`
pub fn is_flow_id(id: &str) -> bool {
    shaped(id, b'-') && id.len() >= 2
}

/// `[a-z][a-z0-9_]{0,62}`
pub fn is_name(name: &str) -> bool {
    shaped(name, b'_')
}

fn shaped(text: &str, joiner: u8) -> bool {
    text.len() <= 63
        && text.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == joiner)
}

fn clip(text: &str) -> String {
    text.chars().take(40).collect()
}
