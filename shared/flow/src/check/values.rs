//! Values fit the types of the variables and columns that get them.

use indexmap::IndexMap;
use serde_json::Value;

use crate::check::{Lookup, Shape, Surroundings};
use crate::document::{Flow, VarType};
use crate::expect::Expect;
use crate::problem::{Problem, escape_pointer};
use crate::step::{Ask, StepKind};
use crate::template;

pub(super) fn check(flow: &Flow, around: &dyn Surroundings, problems: &mut Vec<Problem>) {
    for (name, var) in &flow.vars {
        if !var.kind.fits(&var.default) {
            problems.push(
                Problem::error(
                    format!("/vars/{}/default", escape_pointer(name)),
                    format!("the default of `{name}` is not of type {}", var.kind.name()),
                )
                .fix(format!("write a value such as {}", example(var.kind))),
            );
        }
    }
    for (index, trigger) in flow.triggers.iter().enumerate() {
        for (name, value) in trigger.vars() {
            let at = format!("/triggers/{index}/vars/{}", escape_pointer(name));
            assigned(flow, name, value, &at, problems);
        }
    }
    for (id, step) in &flow.steps {
        let at = format!("/steps/{}", escape_pointer(id));
        match &step.kind {
            StepKind::Set(set) => {
                for (name, value) in &set.vars {
                    let at = format!("{at}/vars/{}", escape_pointer(name));
                    if declared(flow, name, &at, problems) {
                        assigned(flow, name, value, &at, problems);
                    }
                }
            }
            StepKind::Ask(ask) => self::ask(flow, ask, &at, problems),
            StepKind::Record(record) => {
                if around.table(&record.table) == Lookup::Found {
                    let row: IndexMap<String, Shape> = record
                        .row
                        .iter()
                        .map(|(column, value)| (column.clone(), shape(flow, value)))
                        .collect();
                    for found in around.row_problems(&record.table, &row) {
                        let pointer = if found.column.is_empty() {
                            format!("{at}/row")
                        } else {
                            format!("{at}/row/{}", escape_pointer(&found.column))
                        };
                        let mut problem = Problem::error(pointer, found.message);
                        problem.fix = found.fix;
                        problems.push(problem);
                    }
                }
            }
            StepKind::Say(_)
            | StepKind::Branch(_)
            | StepKind::Call(_)
            | StepKind::Wait(_)
            | StepKind::Start(_)
            | StepKind::Each(_)
            | StepKind::Handoff(_)
            | StepKind::Notify(_)
            | StepKind::End(_) => {}
        }
    }
}

fn declared(flow: &Flow, name: &str, at: &str, problems: &mut Vec<Problem>) -> bool {
    let known = flow.vars.contains_key(name) || flow.implied_vars().contains(&name);
    if !known {
        problems.push(
            Problem::error(at, format!("the variable `{name}` is not declared"))
                .fix(format!("declare it under `vars`: `{name}: {{type: string}}`"))
                .suggest(name, flow.vars.keys().map(String::as_str)),
        );
    }
    known
}

fn ask(flow: &Flow, ask: &Ask, at: &str, problems: &mut Vec<Problem>) {
    if !declared(flow, &ask.into, &format!("{at}/into"), problems) {
        return;
    }
    let Some(kind) = flow.vars.get(&ask.into).map(|var| var.kind) else { return };
    if let Some(expect) = &ask.expect
        && !accepts(kind, expect.var_type())
    {
        problems.push(
            Problem::error(
                format!("{at}/expect"),
                format!(
                    "the answer is a {}, but `{}` is declared as {}",
                    expect.var_type().name(),
                    ask.into,
                    kind.name()
                ),
            )
            .fix("change the type of the variable, or what is expected"),
        );
    }
    if matches!(ask.expect, Some(Expect::Choice { .. })) && ask.choices.is_empty() {
        problems.push(
            Problem::error(format!("{at}/choices"), "a choice needs `choices`")
                .fix("list them: `choices: [Yes, No]`"),
        );
    }
}

fn assigned(flow: &Flow, name: &str, value: &Value, at: &str, problems: &mut Vec<Problem>) {
    let Some(kind) = flow.vars.get(name).map(|var| var.kind) else { return };
    let wrong = match shape(flow, value) {
        Shape::Literal(literal) => !kind.fits(&literal),
        Shape::Typed(from) => !accepts(kind, from),
        Shape::Text => !matches!(
            kind,
            VarType::String
                | VarType::Any
                | VarType::Date
                | VarType::Datetime
                | VarType::Email
                | VarType::Phone
        ),
    };
    if wrong {
        problems.push(
            Problem::error(at, format!("`{name}` is declared as {}; this is not", kind.name()))
                .fix(format!("give it a value such as {}", example(kind))),
        );
    }
}

/// Whether a variable of type `to` may get a value of type `from`.
fn accepts(to: VarType, from: VarType) -> bool {
    to == from
        || to == VarType::Any
        || from == VarType::Any
        || matches!((to, from), (VarType::Number, VarType::Integer))
        || matches!((to, from), (VarType::Object, VarType::File))
        || (to == VarType::String
            && matches!(from, VarType::Date | VarType::Datetime | VarType::Email | VarType::Phone))
}

/// What is known of a value before the flow runs.
fn shape(flow: &Flow, value: &Value) -> Shape {
    let Value::String(source) = value else { return composed(value) };
    if !source.contains("{{") && !source.contains("{%") {
        return Shape::Literal(value.clone());
    }
    let single = template::compile_check(source).is_ok_and(|info| info.single_expression);
    if !single {
        return Shape::Text;
    }
    let inner = source.trim().trim_start_matches("{{").trim_end_matches("}}").trim();
    let declared = flow.vars.get(inner).map(|var| var.kind);
    Shape::Typed(declared.unwrap_or(VarType::Any))
}

fn composed(value: &Value) -> Shape {
    match value {
        Value::Array(_) => Shape::Typed(VarType::List),
        Value::Object(_) => Shape::Typed(VarType::Object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Shape::Literal(value.clone())
        }
    }
}

fn example(kind: VarType) -> &'static str {
    match kind {
        VarType::String | VarType::Any => "\"text\"",
        VarType::Integer => "3",
        VarType::Number => "2.5",
        VarType::Boolean => "true",
        VarType::Date => "\"2026-11-30\"",
        VarType::Datetime => "\"2026-11-30T09:00:00Z\"",
        VarType::Email => "\"mei@example.com\"",
        VarType::Phone => "\"+886912345678\"",
        VarType::File => "{url: \"https://…\"}",
        VarType::List => "[1, 2]",
        VarType::Object => "{key: value}",
    }
}
