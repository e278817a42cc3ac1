//! JSON to values of the engine and back, without loss: integers stay integers.

use minijinja::Error;
use minijinja::value::{DynObject, Value, ValueKind};
use serde_json::{Map, Number, Value as Json};

use super::error::{Mark, marked, unusable};
use super::run::{ELEMENT, Run, kind_name, too_large, value_too_large};
use super::{VALUE_BYTES_MAX, VALUE_DEPTH_MAX};

/// A JSON value as the engine sees it; paid for from the run's budget.
pub(super) fn to_value(run: &Run, json: &Json) -> Result<Value, Error> {
    to_value_at(run, json, 0)
}

fn to_value_at(run: &Run, json: &Json, depth: usize) -> Result<Value, Error> {
    if depth > VALUE_DEPTH_MAX {
        return Err(too_deep());
    }
    run.charge(ELEMENT)?;
    Ok(match json {
        Json::Null => Value::from(()),
        Json::Bool(flag) => Value::from(*flag),
        Json::Number(number) => number_to_value(number),
        Json::String(text) => {
            run.charge(text.len())?;
            Value::from(text.as_str())
        }
        Json::Array(items) => {
            let mut list = Vec::new();
            for item in items {
                list.push(to_value_at(run, item, depth + 1)?);
            }
            Value::from(list)
        }
        Json::Object(fields) => {
            let mut pairs = Vec::new();
            for (name, item) in fields {
                run.charge(ELEMENT + name.len())?;
                pairs.push((name.as_str(), to_value_at(run, item, depth + 1)?));
            }
            Value::from_pairs(pairs)
        }
    })
}

fn number_to_value(number: &Number) -> Value {
    if let Some(number) = number.as_i64() {
        Value::from(number)
    } else if let Some(number) = number.as_u64() {
        Value::from(number)
    } else {
        number.as_f64().map_or_else(|| Value::from(()), Value::from)
    }
}

/// A value of the engine as JSON.
///
/// # Errors
///
/// For a value that JSON cannot hold, is nested too deep or is too large.
pub(super) fn from_value(value: &Value) -> Result<Json, Error> {
    let mut bytes_left = VALUE_BYTES_MAX;
    from_value_at(value, 0, &mut bytes_left)
}

fn from_value_at(value: &Value, depth: usize, bytes_left: &mut usize) -> Result<Json, Error> {
    if depth > VALUE_DEPTH_MAX {
        return Err(too_deep());
    }
    take(bytes_left, 8)?;
    Ok(match value.kind() {
        ValueKind::None => Json::Null,
        ValueKind::Bool => Json::Bool(value.is_true()),
        ValueKind::Number => Json::Number(number_from_value(value)?),
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default();
            take(bytes_left, text.len())?;
            Json::String(text.to_owned())
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let mut list = Vec::new();
            for item in value.try_iter()? {
                list.push(from_value_at(&item, depth + 1, bytes_left)?);
            }
            Json::Array(list)
        }
        ValueKind::Map => {
            let mut fields = Map::new();
            let pairs = value.as_object().and_then(DynObject::try_iter_pairs);
            for (key, item) in pairs.into_iter().flatten() {
                let name = field_name(&key)?;
                take(bytes_left, name.len())?;
                fields.insert(name, from_value_at(&item, depth + 1, bytes_left)?);
            }
            Json::Object(fields)
        }
        ValueKind::Undefined => {
            return Err(marked(Mark::Undefined(String::new()), "a value is not defined"));
        }
        _ => return Err(unusable(format!("a {} is not a value", kind_name(value)))),
    })
}

fn number_from_value(value: &Value) -> Result<Number, Error> {
    if value.is_integer() {
        if let Ok(number) = i64::try_from(value.clone()) {
            return Ok(Number::from(number));
        }
        return u64::try_from(value.clone())
            .map(Number::from)
            .map_err(|_| unusable("the integer does not fit into 64 bits: use `|float`"));
    }
    f64::try_from(value.clone())
        .ok()
        .and_then(Number::from_f64)
        .ok_or_else(|| unusable("the result is not a finite number"))
}

fn field_name(key: &Value) -> Result<String, Error> {
    match key.kind() {
        ValueKind::String => Ok(key.as_str().unwrap_or_default().to_owned()),
        ValueKind::Number | ValueKind::Bool => Ok(key.to_string()),
        _ => Err(unusable(format!("a {} cannot be the key of a mapping", kind_name(key)))),
    }
}

fn take(bytes_left: &mut usize, bytes: usize) -> Result<(), Error> {
    *bytes_left = bytes_left.checked_sub(bytes).ok_or_else(value_too_large)?;
    Ok(())
}

pub(super) fn too_deep() -> Error {
    too_large(format!("the value is nested deeper than {VALUE_DEPTH_MAX} levels"))
}
