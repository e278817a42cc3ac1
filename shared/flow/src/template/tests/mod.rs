//! Tests of templates as flows use them.

mod attacks;
mod catalog;
mod expressions;
mod properties;
mod texts;

use serde_json::{Map, Value, json};

use super::{Scope, TemplateError, evaluate, expression, render};

/// The parts of a scope, for tests to lend out.
pub(super) struct Fixture {
    pub(super) vars: Map<String, Value>,
    pub(super) extra: Map<String, Value>,
    pub(super) input: Option<Value>,
    contact: Value,
    task: Value,
}

impl Fixture {
    pub(super) fn new(vars: Value) -> Self {
        let Value::Object(vars) = vars else { panic!("variables are a mapping") };
        Self {
            vars,
            extra: Map::new(),
            input: Some(json!("三天")),
            contact: json!({"id": "u-7", "name": "王小明", "email": "ming@example.com"}),
            task: json!({"id": "t-1", "flow": "leave-request"}),
        }
    }

    pub(super) fn scope(&self) -> Scope<'_> {
        Scope {
            vars: &self.vars,
            input: self.input.as_ref(),
            contact: &self.contact,
            task: &self.task,
            extra: &self.extra,
            // 2026-11-30 in Taipei, still the day before in UTC.
            now: "2026-11-29T21:00:00Z".parse().unwrap(),
            zone: chrono_tz::Asia::Taipei,
        }
    }
}

pub(super) fn leave() -> Fixture {
    Fixture::new(json!({
        "start": "2026-11-30",
        "days": 3,
        "rate": 2.5,
        "reason": "",
        "nothing": null,
        "urgent": true,
        "big": 18_446_744_073_709_551_615_u64,
        "items": [
            {"name": "蘋果", "price": 30, "kind": "fruit"},
            {"name": "香蕉", "price": 10, "kind": "fruit"},
            {"name": "Pen", "price": 25, "kind": "tool"}
        ],
        "tags": ["b", "a", "C"],
        "answer": {"status": 201, "body": {"id": "L-9"}}
    }))
}

pub(super) fn text(source: &str) -> String {
    render(source, &leave().scope()).unwrap_or_else(|error| panic!("{source}: {error}"))
}

pub(super) fn value(source: &str) -> Value {
    evaluate(source, &leave().scope()).unwrap_or_else(|error| panic!("{source}: {error}"))
}

pub(super) fn result(source: &str) -> Value {
    expression(source, &leave().scope()).unwrap_or_else(|error| panic!("{source}: {error}"))
}

pub(super) fn failure(source: &str) -> TemplateError {
    match render(source, &leave().scope()) {
        Ok(text) => panic!("{source} gave {text:?}"),
        Err(error) => error,
    }
}
