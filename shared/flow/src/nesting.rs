//! How deep JSON from outside may be nested.
//!
//! `serde_json` reads 128 levels and writes any number; what is stored wraps what came in a few
//! levels more. A bound well below lets everything that was accepted be read back.

use serde_json::Value;

/// Deepest nesting of JSON from outside, in levels of lists and objects.
pub const DEPTH_MAX: usize = 64;

/// Whether a value is nested deeper than [`DEPTH_MAX`]. Values come from a parser with a bound of
/// its own, so the recursion is bounded as well.
pub fn is_too_deep(value: &Value) -> bool {
    fn deeper(value: &Value, left: usize) -> bool {
        let Some(next) = left.checked_sub(1) else { return true };
        match value {
            Value::Array(items) => items.iter().any(|item| deeper(item, next)),
            Value::Object(map) => map.values().any(|item| deeper(item, next)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
    }
    deeper(value, DEPTH_MAX + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> Value {
        (0..levels).fold(Value::Null, |inner, _| Value::Array(vec![inner]))
    }

    #[test]
    fn the_limit_is_exact() {
        assert!(!is_too_deep(&nested(DEPTH_MAX)));
        assert!(is_too_deep(&nested(DEPTH_MAX + 1)));
        assert!(!is_too_deep(&Value::Null));
    }
}
