//! From what a step expects, with its bounds still templates, to what an answer is held against.

use chrono::{DateTime, NaiveDate, Utc};
use flow::Expect;
use serde_json::Value;

use super::walk::{StepError, Walk};
use crate::answer::{self, ChoiceOption, Expected};
use crate::task::Offered;

pub(super) fn expected(
    walk: &Walk<'_>,
    expect: &Expect,
    offered: &[Offered],
) -> Result<Expected, StepError> {
    Ok(match expect {
        Expect::String { pattern, min_length, max_length } => Expected::String {
            pattern: match pattern {
                Some(pattern) => {
                    Some(answer::compile_pattern(pattern).map_err(|error| error.to_string())?)
                }
                None => None,
            },
            min_length: *min_length,
            max_length: *max_length,
        },
        Expect::Integer { min, max } => Expected::Integer {
            min: bound(walk, "min", min.as_ref(), integer)?,
            max: bound(walk, "max", max.as_ref(), integer)?,
        },
        Expect::Number { min, max } => Expected::Number {
            min: bound(walk, "min", min.as_ref(), number)?,
            max: bound(walk, "max", max.as_ref(), number)?,
        },
        Expect::Boolean {} => Expected::Boolean,
        Expect::Date { min, max } => Expected::Date {
            min: bound(walk, "min", min.as_ref(), date)?,
            max: bound(walk, "max", max.as_ref(), date)?,
        },
        Expect::Datetime { min, max } => Expected::DateTime {
            min: bound(walk, "min", min.as_ref(), moment)?,
            max: bound(walk, "max", max.as_ref(), moment)?,
        },
        Expect::Email {} => Expected::Email,
        Expect::Phone { region } => {
            Expected::Phone { region: region.as_deref().and_then(answer::Region::from_code) }
        }
        Expect::Choice { several, min, max } => Expected::Choice {
            options: offered
                .iter()
                .map(|offer| ChoiceOption {
                    label: offer.label.clone(),
                    value: offer.value.clone(),
                })
                .collect(),
            several: *several,
            min: *min,
            max: *max,
        },
        Expect::File { types, max_bytes } => {
            Expected::File { types: types.clone(), max_bytes: *max_bytes }
        }
    })
}

fn bound<T>(
    walk: &Walk<'_>,
    name: &str,
    source: Option<&Value>,
    read: fn(&Value) -> Option<T>,
) -> Result<Option<T>, StepError> {
    let Some(source) = source else { return Ok(None) };
    let value = walk.evaluate(source)?;
    if value.is_null() {
        return Ok(None);
    }
    match read(&value) {
        Some(bound) => Ok(Some(bound)),
        None => Err(format!("`expect.{name}` gives {value}, which does not fit the type")),
    }
}

fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn date(value: &Value) -> Option<NaiveDate> {
    let text = value.as_str()?.trim();
    text.get(..10).and_then(|day| day.parse().ok())
}

/// A moment in RFC 3339, or the start of a day.
pub(super) fn moment(value: &Value) -> Option<DateTime<Utc>> {
    let text = value.as_str()?.trim();
    DateTime::parse_from_rfc3339(text)
        .map(|moment| moment.with_timezone(&Utc))
        .ok()
        .or_else(|| text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0).map(|t| t.and_utc()))
}
