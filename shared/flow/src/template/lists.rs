//! Filters on lists and mappings.
#![expect(clippy::needless_pass_by_value, reason = "the engine hands named arguments over")]

use std::cmp::Ordering;
use std::collections::BTreeSet;

use minijinja::value::{DynObject, Kwargs, Rest, Value, ValueKind};
use minijinja::{Error, State};

use super::VALUE_BYTES_MAX;
use super::catalog::{self, Builder};
use super::error::{Mark, marked, unusable};
use super::order::{Key, Order, field};
use super::run::{Bounded, CALL, ELEMENT, Run, kind_name};

pub(super) const RANGE_MAX: usize = 1_000;

pub(super) fn register(builder: &mut Builder) {
    builder.filter("length", length);
    builder.filter("count", length);
    builder.filter("first", first);
    builder.filter("last", last);
    builder.filter("min", min);
    builder.filter("max", max);
    builder.filter("sum", sum);
    builder.filter("sort", sort);
    builder.filter("unique", unique);
    builder.filter("reverse", reverse);
    builder.filter("list", list);
    builder.filter("join", join);
    builder.filter("items", items);
    builder.filter("keys", keys);
    builder.filter("values", values);
    builder.filter("dictsort", dictsort);
    builder.filter("groupby", groupby);
    builder.filter("map", map);
    builder.filter("select", select);
    builder.filter("reject", reject);
    builder.filter("selectattr", selectattr);
    builder.filter("rejectattr", rejectattr);
    builder.function("range", "\u{1}range", range);
}

/// Numbers of characters, elements or fields.
fn length(state: &State, value: &Value) -> Result<usize, Error> {
    Run::of(state)?.charge(CALL + value.as_bytes().map_or(0, <[u8]>::len))?;
    value.len().ok_or_else(|| unusable(format!("a {} has no length", kind_name(value))))
}

fn first(state: &State, value: &Value) -> Result<Value, Error> {
    if let Some(text) = value.as_str() {
        return Ok(text.chars().next().map_or(Value::UNDEFINED, Value::from));
    }
    Ok(Run::of(state)?.items(value)?.into_iter().next().unwrap_or(Value::UNDEFINED))
}

fn last(state: &State, value: &Value) -> Result<Value, Error> {
    if let Some(text) = value.as_str() {
        return Ok(text.chars().next_back().map_or(Value::UNDEFINED, Value::from));
    }
    Ok(Run::of(state)?.items(value)?.pop().unwrap_or(Value::UNDEFINED))
}

fn min(state: &State, value: &Value, kwargs: Kwargs) -> Result<Value, Error> {
    extreme(state, value, &kwargs, Ordering::Less)
}

fn max(state: &State, value: &Value, kwargs: Kwargs) -> Result<Value, Error> {
    extreme(state, value, &kwargs, Ordering::Greater)
}

fn extreme(
    state: &State,
    value: &Value,
    kwargs: &Kwargs,
    wanted: Ordering,
) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let order = Order::from_kwargs(kwargs, Some(false))?;
    kwargs.assert_all_used()?;
    let mut found: Option<(Key, Value)> = None;
    for (key, item) in order.keyed(&run, run.items(value)?)? {
        if found.as_ref().is_none_or(|(best, _)| key.order(best) == wanted) {
            found = Some((key, item));
        }
    }
    Ok(found.map_or(Value::UNDEFINED, |(_, item)| item))
}

/// `sum`, or `sum("price")` of a field; fields that are not there count as 0.
fn sum(
    state: &State,
    value: &Value,
    attribute: Option<&str>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let attribute = match attribute {
        Some(attribute) => Some(attribute),
        None => kwargs.get::<Option<&str>>("attribute")?,
    };
    kwargs.assert_all_used()?;
    let (mut integers, mut floats, mut exact) = (0_i128, 0.0_f64, true);
    for item in run.items(value)? {
        let item = match attribute {
            Some(attribute) => field(&run, &item, attribute)?,
            None => item,
        };
        if item.is_undefined() {
            continue;
        }
        if item.kind() != ValueKind::Number {
            return Err(unusable(format!("`sum` adds numbers, not a {}", kind_name(&item))));
        }
        if item.is_integer() {
            integers = i128::try_from(item)?
                .checked_add(integers)
                .ok_or_else(|| unusable("the sum is too large"))?;
        } else {
            floats += f64::try_from(item)?;
            exact = false;
        }
    }
    if exact {
        return Ok(i64::try_from(integers).map_or_else(|_| Value::from(integers), Value::from));
    }
    Ok(Value::from(floats + f64::try_from(Value::from(integers))?))
}

fn sort(
    state: &State,
    value: &Value,
    reverse: Option<bool>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let order = Order::from_kwargs(&kwargs, reverse)?;
    kwargs.assert_all_used()?;
    let sorted = order.sorted(&run, run.items(value)?)?;
    run.list(sorted.into_iter().map(|(_, item)| item).collect())
}

/// The first of every group of equal values, texts without regard to case.
fn unique(state: &State, value: &Value, kwargs: Kwargs) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let attribute = kwargs.get::<Option<&str>>("attribute")?;
    let case_sensitive = kwargs.get::<Option<bool>>("case_sensitive")?.unwrap_or(false);
    kwargs.assert_all_used()?;
    let (mut seen, mut kept) = (BTreeSet::new(), Vec::new());
    for item in run.items(value)? {
        let key = match attribute {
            Some(attribute) => field(&run, &item, attribute)?,
            None => item.clone(),
        };
        let text = if key.is_undefined() { String::new() } else { run.text(&key)?.into_owned() };
        run.charge(text.len().saturating_mul(20))?;
        let text = if case_sensitive { text } else { text.to_lowercase() };
        if seen.insert((kind_name(&key), text)) {
            kept.push(item);
        }
    }
    run.list(kept)
}

fn reverse(state: &State, value: &Value) -> Result<Value, Error> {
    let run = Run::of(state)?;
    if value.kind() == ValueKind::String {
        let reversed = run.text(value)?.chars().rev().collect();
        return run.made(reversed);
    }
    let mut items = run.items(value)?;
    items.reverse();
    run.list(items)
}

fn list(state: &State, value: &Value) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let items = run.items(value)?;
    run.list(items)
}

/// `join(", ")`, or `join(", ", "name")` of a field.
fn join(
    state: &State,
    value: &Value,
    separator: Option<&Value>,
    attribute: Option<&str>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let attribute = match attribute {
        Some(attribute) => Some(attribute),
        None => kwargs.get::<Option<&str>>("attribute")?,
    };
    kwargs.assert_all_used()?;
    let separator = separator.map(|separator| run.text(separator)).transpose()?.unwrap_or_default();
    let mut out = Bounded::new(VALUE_BYTES_MAX);
    for (index, item) in run.items(value)?.into_iter().enumerate() {
        if index > 0 {
            out.push(separator.as_ref())?;
        }
        match attribute {
            Some(attribute) => out.push(run.text(&field(&run, &item, attribute)?)?)?,
            None => out.push(run.text(&item)?)?,
        }
    }
    run.made(out.text)
}

fn pairs(run: &Run, value: &Value) -> Result<Vec<(Value, Value)>, Error> {
    if value.kind() != ValueKind::Map {
        return Err(unusable(format!("a mapping is needed, not a {}", kind_name(value))));
    }
    let mut pairs = Vec::new();
    let found = value.as_object().and_then(DynObject::try_iter_pairs);
    for pair in found.into_iter().flatten() {
        run.charge(ELEMENT * 4)?;
        pairs.push(pair);
    }
    Ok(pairs)
}

fn pair_list(run: &Run, pairs: Vec<(Value, Value)>) -> Result<Value, Error> {
    run.list(pairs.into_iter().map(|(key, item)| Value::from(vec![key, item])).collect())
}

fn items(state: &State, value: &Value) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let pairs = pairs(&run, value)?;
    pair_list(&run, pairs)
}

fn keys(state: &State, value: &Value) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let pairs = pairs(&run, value)?;
    run.list(pairs.into_iter().map(|(key, _)| key).collect())
}

fn values(state: &State, value: &Value) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let pairs = pairs(&run, value)?;
    run.list(pairs.into_iter().map(|(_, item)| item).collect())
}

/// Pairs of key and value, by key, or with `by='value'`.
fn dictsort(state: &State, value: &Value, kwargs: Kwargs) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let by_value = kwargs.get::<Option<&str>>("by")? == Some("value");
    let attribute = Some(if by_value { "1" } else { "0" }.to_owned());
    let order = Order { attribute, ..Order::from_kwargs(&kwargs, None)? };
    kwargs.assert_all_used()?;
    let pairs = pairs(&run, value)?;
    let pairs = pairs.into_iter().map(|(key, item)| Value::from(vec![key, item])).collect();
    let sorted = order.sorted(&run, pairs)?;
    run.list(sorted.into_iter().map(|(_, pair)| pair).collect())
}

/// Pairs of a value of the field and the list of items that have it, by that value.
fn groupby(state: &State, value: &Value, attribute: &str, kwargs: Kwargs) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let case_sensitive = kwargs.get::<Option<bool>>("case_sensitive")?.unwrap_or(false);
    kwargs.assert_all_used()?;
    let order = Order { attribute: Some(attribute.to_owned()), case_sensitive, reverse: false };
    let mut groups: Vec<(Key, Value, Vec<Value>)> = Vec::new();
    for (key, item) in order.sorted(&run, run.items(value)?)? {
        match groups.last_mut() {
            Some((last, _, members)) if last.order(&key) == Ordering::Equal => members.push(item),
            _ => {
                let name = match field(&run, &item, attribute)? {
                    name if name.is_undefined() => Value::from(()),
                    name => name,
                };
                run.charge(ELEMENT * 4)?;
                groups.push((key, name, vec![item]));
            }
        }
    }
    let pairs = groups.into_iter().map(|(_, name, members)| (name, Value::from(members)));
    pair_list(&run, pairs.collect())
}

/// `map("upper")`, `map("round", 2)`, `map(attribute="price", default=0)`.
fn map(
    state: &mut State,
    value: &Value,
    args: Rest<Value>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let items = run.items(value)?;
    let mut mapped = Vec::with_capacity(items.len());
    if let Some(attribute) = kwargs.get::<Option<&str>>("attribute")? {
        let default = kwargs.get::<Option<Value>>("default")?;
        kwargs.assert_all_used()?;
        for item in items {
            let found = field(&run, &item, attribute)?;
            mapped.push(match (found.is_undefined(), &default) {
                (false, _) => found,
                (true, Some(default)) => default.clone(),
                (true, None) => {
                    return Err(unusable(format!(
                        "an item has no field `{attribute}`: write `map(attribute='{attribute}', \
                         default=…)`"
                    )));
                }
            });
        }
        return run.list(mapped);
    }
    kwargs.assert_all_used()?;
    let (name, rest) = match args.split_first() {
        Some((name, rest)) => (text_argument(name)?, rest),
        None => return Err(unusable("`map` needs the name of a filter or `attribute='…'`")),
    };
    let name = catalog::get().filter(name).map_err(|message| marked(Mark::Refused, message))?;
    if matches!(name, "map" | "select" | "reject" | "selectattr" | "rejectattr") {
        return Err(marked(Mark::Refused, format!("`map` cannot apply `{name}`: loop instead")));
    }
    for item in items {
        run.charge(CALL + rest.len().saturating_mul(ELEMENT))?;
        let mut arguments = vec![item];
        arguments.extend_from_slice(rest);
        mapped.push(state.apply_filter(name, &arguments)?);
    }
    run.list(mapped)
}

fn text_argument(value: &Value) -> Result<&str, Error> {
    value.as_str().ok_or_else(|| unusable("a name in quotes is needed"))
}

fn select(state: &mut State, value: &Value, args: Rest<Value>) -> Result<Value, Error> {
    selected(state, value, None, &args, true)
}

fn reject(state: &mut State, value: &Value, args: Rest<Value>) -> Result<Value, Error> {
    selected(state, value, None, &args, false)
}

fn selectattr(
    state: &mut State,
    value: &Value,
    attribute: &str,
    args: Rest<Value>,
) -> Result<Value, Error> {
    selected(state, value, Some(attribute), &args, true)
}

fn rejectattr(
    state: &mut State,
    value: &Value,
    attribute: &str,
    args: Rest<Value>,
) -> Result<Value, Error> {
    selected(state, value, Some(attribute), &args, false)
}

/// The items for which the test, or the item itself without one, is as `wanted`.
fn selected(
    state: &mut State,
    value: &Value,
    attribute: Option<&str>,
    args: &[Value],
    wanted: bool,
) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let test = match args.split_first() {
        Some((name, rest)) => {
            let known = catalog::get().test(text_argument(name)?);
            Some((known.map_err(|message| marked(Mark::Refused, message))?, rest))
        }
        None => None,
    };
    let mut kept = Vec::new();
    for item in run.items(value)? {
        let tested = match attribute {
            Some(attribute) => field(&run, &item, attribute)?,
            None => item.clone(),
        };
        let passed = match test {
            Some((name, rest)) => {
                run.charge(CALL + rest.len().saturating_mul(ELEMENT))?;
                let mut arguments = vec![tested];
                arguments.extend_from_slice(rest);
                state.perform_test(name, &arguments)?
            }
            None => tested.is_true(),
        };
        if passed == wanted {
            kept.push(item);
        }
    }
    run.list(kept)
}

/// `range(5)`, `range(1, 6)`, `range(10, 0, -2)`: up to 1,000 integers.
fn range(
    state: &State,
    first: i64,
    second: Option<i64>,
    step: Option<i64>,
) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let (start, stop) = second.map_or((0, first), |stop| (first, stop));
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(unusable("`range` cannot have the step 0"));
    }
    let mut numbers = Vec::new();
    let mut next = Some(start);
    while let Some(number) = next.filter(|n| if step > 0 { *n < stop } else { *n > stop }) {
        if numbers.len() == RANGE_MAX {
            return Err(super::run::too_large(format!("`range` makes up to {RANGE_MAX} numbers")));
        }
        numbers.push(Value::from(number));
        next = number.checked_add(step);
    }
    run.list(numbers)
}
