//! Tables of what people type and what it means, and properties over everything they could type.

mod choices;
mod contacts;
mod dates;
mod datetimes;
mod numbers;
mod properties;
mod strings;

use serde_json::Value;

use super::{Context, Expected, Rejection, parse};

/// Friday, 20 November 2026, 10:15 in Taipei.
pub(super) fn taipei() -> Context {
    let now = "2026-11-20T02:15:00Z".parse().expect("a valid time");
    Context { now, zone: chrono_tz::Asia::Taipei }
}

pub(super) fn read(expected: &Expected, text: &str) -> Result<Value, Rejection> {
    parse(expected, text, &[], &taipei())
}

/// Checks every row and reports all that fail at once.
pub(super) fn check<T: Into<Value> + Clone>(
    expected: &Expected,
    rows: &[(&str, Result<T, Rejection>)],
) {
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|(text, wanted)| {
            let wanted = wanted.clone().map(Into::into);
            let got = read(expected, text);
            (got != wanted).then(|| format!("{text:?}: got {got:?}, wanted {wanted:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
