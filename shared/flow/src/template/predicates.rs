//! Tests, as in `x is even`.

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, State};

use super::catalog::Builder;
use super::error::unusable;
use super::run::{Run, kind_name};

pub(super) fn register(builder: &mut Builder) {
    builder.test("defined", |value: &Value| !value.is_undefined());
    builder.test("undefined", Value::is_undefined);
    builder.test("none", Value::is_none);
    builder.test("true", |value: &Value| value.kind() == ValueKind::Bool && value.is_true());
    builder.test("false", |value: &Value| value.kind() == ValueKind::Bool && !value.is_true());
    builder.test("boolean", |value: &Value| value.kind() == ValueKind::Bool);
    builder.test("number", |value: &Value| value.kind() == ValueKind::Number);
    builder.test("integer", Value::is_integer);
    builder.test("float", |value: &Value| value.is_number() && !value.is_integer());
    builder.test("string", |value: &Value| value.kind() == ValueKind::String);
    builder.test("mapping", |value: &Value| value.kind() == ValueKind::Map);
    builder.test("sequence", is_list);
    builder.test("iterable", |value: &Value| {
        is_list(value) || matches!(value.kind(), ValueKind::Map | ValueKind::String)
    });
    builder.test("odd", |value: &Value| remainder(value, 2).is_some_and(|rest| rest != 0));
    builder.test("even", |value: &Value| remainder(value, 2) == Some(0));
    builder.test("divisibleby", divisibleby);
    builder.test("lower", |state: &State, value: &Value| cased(state, value, char::is_uppercase));
    builder.test("upper", |state: &State, value: &Value| cased(state, value, char::is_lowercase));
    builder.test("startingwith", startingwith);
    builder.test("endingwith", endingwith);
    builder.test("in", contained);
    compare(builder, &["eq", "equalto", "=="], |a, b| a == b);
    compare(builder, &["ne", "!="], |a, b| a != b);
    compare(builder, &["lt", "lessthan", "<"], |a, b| a < b);
    compare(builder, &["le", "<="], |a, b| a <= b);
    compare(builder, &["gt", "greaterthan", ">"], |a, b| a > b);
    compare(builder, &["ge", ">="], |a, b| a >= b);
}

/// Comparisons read all of both sides, so that is paid for first.
fn compare(builder: &mut Builder, names: &[&'static str], holds: fn(&Value, &Value) -> bool) {
    for name in names {
        builder.test(name, move |state: &State, a: &Value, b: &Value| -> Result<bool, Error> {
            let run = Run::of(state)?;
            run.weigh(a)?;
            run.weigh(b)?;
            Ok(holds(a, b))
        });
    }
}

fn is_list(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable)
}

fn remainder(value: &Value, divisor: i128) -> Option<i128> {
    if !value.is_integer() {
        return None;
    }
    i128::try_from(value.clone()).ok()?.checked_rem(divisor)
}

fn divisibleby(value: &Value, divisor: &Value) -> bool {
    let divisor = if divisor.is_integer() { i128::try_from(divisor.clone()).ok() } else { None };
    divisor.and_then(|divisor| remainder(value, divisor)) == Some(0)
}

/// A text with letters, none of which is `other` case.
fn cased(state: &State, value: &Value, other: fn(char) -> bool) -> Result<bool, Error> {
    if value.kind() != ValueKind::String {
        return Ok(false);
    }
    let run = Run::of(state)?;
    let text = run.text(value)?;
    Ok(text.chars().any(|c| c.is_lowercase() || c.is_uppercase()) && !text.chars().any(other))
}

fn startingwith(state: &State, value: &Value, start: &Value) -> Result<bool, Error> {
    let run = Run::of(state)?;
    Ok(run.text(value)?.starts_with(run.text(start)?.as_ref()))
}

fn endingwith(state: &State, value: &Value, end: &Value) -> Result<bool, Error> {
    let run = Run::of(state)?;
    Ok(run.text(value)?.ends_with(run.text(end)?.as_ref()))
}

/// A part of a text, an element of a list, or a key of a mapping.
fn contained(state: &State, value: &Value, container: &Value) -> Result<bool, Error> {
    let run = Run::of(state)?;
    run.weigh(value)?;
    run.weigh(container)?;
    match container.kind() {
        ValueKind::String => Ok(run.text(container)?.contains(run.text(value)?.as_ref())),
        ValueKind::Seq | ValueKind::Iterable => {
            Ok(run.items(container)?.iter().any(|item| item == value))
        }
        ValueKind::Map => Ok(container.get_item(value).is_ok_and(|found| !found.is_undefined())),
        _ => Err(unusable(format!(
            "`in` needs a list, mapping or text, not a {}",
            kind_name(container)
        ))),
    }
}
