//! Filters on numbers.

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Error, State, filters};

use super::catalog::Builder;
use super::error::unusable;
use super::run::{CALL, Run, kind_name};

const DECIMALS_MAX: usize = 10;

pub(super) fn register(builder: &mut Builder) {
    builder.filter("int", int);
    builder.filter("float", float);
    builder.filter("bool", bool);
    builder.filter("abs", filters::abs);
    builder.filter("round", round);
    builder.filter("number", number);
}

fn int(
    state: &State,
    value: &Value,
    default: Option<Value>,
    base: Option<u32>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    charge_text(state, value)?;
    filters::int(state, value, default, base, kwargs)
}

fn float(
    state: &State,
    value: &Value,
    default: Option<Value>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    charge_text(state, value)?;
    filters::float(state, value, default, kwargs)
}

fn charge_text(state: &State, value: &Value) -> Result<(), Error> {
    Run::of(state)?.charge(CALL + value.as_bytes().map_or(0, <[u8]>::len))
}

fn bool(value: &Value) -> bool {
    value.is_true()
}

/// `round`, `round(2)`, `round(2, "ceil")`, `round(2, "floor")`.
fn round(
    value: Value,
    precision: Option<i32>,
    method: Option<&str>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    const DIGITS: std::ops::RangeInclusive<i32> = -30..=30;
    let precision = match precision {
        Some(precision) => precision,
        None => kwargs.get::<Option<i32>>("precision")?.unwrap_or(0),
    };
    if !DIGITS.contains(&precision) {
        return Err(unusable("`round` goes from -30 to 30 digits"));
    }
    filters::round(value, Some(precision), method, kwargs)
}

/// `number`: 1234567.5 as `1,234,567.5`; `number(2)` as `1,234,567.50`.
fn number(state: &State, value: &Value, decimals: Option<usize>) -> Result<Value, Error> {
    let run = Run::of(state)?;
    if value.kind() != ValueKind::Number {
        return Err(unusable(format!(
            "`number` formats numbers, not a {}: write `x|float|number`",
            kind_name(value)
        )));
    }
    if decimals.is_some_and(|decimals| decimals > DECIMALS_MAX) {
        return Err(unusable(format!("`number` goes up to {DECIMALS_MAX} decimals")));
    }
    let text = if value.is_integer() {
        let zeros = decimals.unwrap_or(0);
        if zeros == 0 { value.to_string() } else { format!("{value}.{}", "0".repeat(zeros)) }
    } else {
        let number = f64::try_from(value.clone()).ok().filter(|number| number.is_finite());
        let number = number.ok_or_else(|| unusable("`number` needs a finite number"))?;
        match decimals {
            Some(decimals) => format!("{number:.decimals$}"),
            None => number.to_string(),
        }
    };
    run.made(grouped(&text))
}

/// Puts a comma before every third digit from the right of the integer part.
fn grouped(number: &str) -> String {
    let (integer, fraction) = match number.split_once('.') {
        Some((integer, fraction)) => (integer, Some(fraction)),
        None => (number, None),
    };
    let (sign, digits) = match integer.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", integer),
    };
    let mut out = sign.to_owned();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn groups_thousands() {
        assert_eq!(grouped("0"), "0");
        assert_eq!(grouped("999"), "999");
        assert_eq!(grouped("1000"), "1,000");
        assert_eq!(grouped("-123456"), "-123,456");
        assert_eq!(grouped("1234567.8901"), "1,234,567.8901");
    }
}
