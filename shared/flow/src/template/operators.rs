//! The guards that [`super::rewrite`] puts around operators.
//!
//! Their names begin with a control character, so that no template can call them.

use std::sync::Arc;

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, State};

use super::VALUE_BYTES_MAX;
use super::catalog::Builder;
use super::error::{Mark, marked, unusable};
use super::run::{Bounded, CALL, Run, kind_name};

pub(super) const OPERAND: &str = "\u{1}operand";
pub(super) const WEIGHED: &str = "\u{1}weighed";
pub(super) const NUMBER: &str = "\u{1}number";
pub(super) const ITERATED: &str = "\u{1}iterated";
pub(super) const GROWN: &str = "\u{1}grown";
pub(super) const CONCAT: &str = "\u{1}concat";
pub(super) const ATTRIBUTE: &str = "\u{1}attribute";
pub(super) const ITEM: &str = "\u{1}item";
pub(super) const SLICE: &str = "\u{1}slice";

pub(super) const NUMBERS_ONLY: &str = "`*` and `**` work with numbers only: write `x|int * 2`";

pub(super) fn register(builder: &mut Builder) {
    builder.guard(OPERAND, operand);
    builder.guard(WEIGHED, weighed);
    builder.guard(NUMBER, number);
    builder.guard(ITERATED, iterated);
    builder.guard(GROWN, grown);
    builder.guard(CONCAT, concat);
    builder.guard(ATTRIBUTE, attribute);
    builder.guard(ITEM, item);
    builder.guard(SLICE, slice);
}

fn defined(value: Value, label: &str) -> Result<Value, Error> {
    if value.is_undefined() {
        return Err(marked(Mark::Undefined(label.to_owned()), "not defined"));
    }
    Ok(value)
}

fn operand(value: Value, label: &str) -> Result<Value, Error> {
    defined(value, label)
}

/// Comparisons read all of both sides.
fn weighed(state: &State, value: Value, label: &str) -> Result<Value, Error> {
    Run::of(state)?.weigh(&value)?;
    defined(value, label)
}

fn number(value: Value, label: &str) -> Result<Value, Error> {
    let value = defined(value, label)?;
    if value.kind() != ValueKind::Number {
        return Err(marked(Mark::Refused, NUMBERS_ONLY));
    }
    Ok(value)
}

fn iterated(state: &State, value: Value, label: &str) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let value = defined(value, label)?;
    // A copy, because the engine walks some kinds of values by making a list of them each time.
    Ok(Value::from(run.items(&value)?))
}

/// The result of `+`: sums pass, texts and lists are paid for.
fn grown(state: &State, value: Value) -> Result<Value, Error> {
    let run = Run::of(state)?;
    match value.kind() {
        ValueKind::String => {
            run.charge(CALL + value.as_bytes().map_or(0, <[u8]>::len))?;
            if value.as_bytes().map_or(0, <[u8]>::len) > VALUE_BYTES_MAX {
                return Err(super::run::value_too_large());
            }
            Ok(value)
        }
        ValueKind::Seq | ValueKind::Iterable => Ok(Value::from(run.items(&value)?)),
        _ => Ok(value),
    }
}

fn concat(state: &State, left: &Value, right: &Value) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let mut out = Bounded::new(VALUE_BYTES_MAX);
    out.push(run.text(left)?)?;
    out.push(run.text(right)?)?;
    run.made(out.text)
}

/// A field; missing fields, also of missing values, are undefined, for `|default`.
fn attribute(value: &Value, name: &str) -> Value {
    value.get_attr(name).unwrap_or(Value::UNDEFINED)
}

fn item(state: &State, value: &Value, key: &Value) -> Result<Value, Error> {
    let run = Run::of(state)?;
    run.weigh(key)?;
    if value.kind() == ValueKind::String {
        run.charge(CALL + value.as_bytes().map_or(0, <[u8]>::len))?;
    }
    Ok(value.get_item(key).unwrap_or(Value::UNDEFINED))
}

fn slice(
    state: &State,
    value: &Value,
    start: Option<i64>,
    stop: Option<i64>,
    step: Option<i64>,
) -> Result<Value, Error> {
    let run: Arc<Run> = Run::of(state)?;
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(unusable("a slice cannot have the step 0"));
    }
    match value.kind() {
        ValueKind::String => {
            let text = run.text(value)?;
            let characters: Vec<char> = text.chars().collect();
            run.charge(characters.len().saturating_mul(4))?;
            let picked = indices(characters.len(), start, stop, step)
                .into_iter()
                .filter_map(|index| characters.get(index));
            run.made(picked.collect())
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let items = run.items(value)?;
            let picked = indices(items.len(), start, stop, step)
                .into_iter()
                .filter_map(|index| items.get(index).cloned());
            run.list(picked.collect())
        }
        _ => Err(unusable(format!("a {} cannot be sliced", kind_name(value)))),
    }
}

/// The positions that `[start:stop:step]` picks from `length` elements, as in Python.
fn indices(length: usize, start: Option<i64>, stop: Option<i64>, step: i64) -> Vec<usize> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let (lower, upper) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let clamp = |bound: i64| {
        let from_start = if bound < 0 { bound.saturating_add(length) } else { bound };
        from_start.clamp(lower, upper.max(lower))
    };
    let (first, end) = if step > 0 { (lower, upper) } else { (upper, lower) };
    let mut index = start.map_or(first, clamp);
    let stop = stop.map_or(end, clamp);
    let mut picked = Vec::new();
    while (step > 0 && index < stop) || (step < 0 && index > stop) {
        picked.extend(usize::try_from(index));
        index = index.saturating_add(step);
    }
    picked
}

#[cfg(test)]
mod tests {
    use super::indices;

    #[test]
    fn slices_pick_what_python_picks() {
        assert_eq!(indices(5, None, None, 1), [0, 1, 2, 3, 4]);
        assert_eq!(indices(5, Some(1), Some(-1), 1), [1, 2, 3]);
        assert_eq!(indices(5, Some(-2), None, 1), [3, 4]);
        assert_eq!(indices(5, None, None, -1), [4, 3, 2, 1, 0]);
        assert_eq!(indices(5, Some(0), Some(2), -1), [] as [usize; 0]);
        assert_eq!(indices(5, Some(3), Some(0), -2), [3, 1]);
        assert_eq!(indices(5, None, None, i64::MAX), [0]);
        assert_eq!(indices(5, None, None, i64::MIN), [4]);
        assert_eq!(indices(5, Some(i64::MIN), Some(i64::MAX), 1), [0, 1, 2, 3, 4]);
        assert_eq!(indices(0, None, None, -1), [] as [usize; 0]);
        assert_eq!(indices(0, Some(7), None, 1), [] as [usize; 0]);
    }
}
