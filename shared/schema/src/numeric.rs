//! NUMERIC: decimal numbers as text, so that no digit is lost.

use crate::limits::{NUMERIC_INTEGER_DIGITS_MAX, NUMERIC_SCALE_MAX};

/// Why a text is no NUMERIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotNumeric {
    /// Not of the form `-12.5`.
    Syntax,
    /// More than 29 digits before the point.
    Range,
    /// More than 9 digits after the point, zeros at the end not counted.
    Scale,
}

/// Reads `-?digits[.digits]` and writes it in the one way every equal number is written: no
/// needless zeros, no `-0`.
pub(crate) fn normalise(text: &str) -> Result<String, NotNumeric> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (integer, fraction) = match digits.split_once('.') {
        Some((integer, fraction)) if is_digits(fraction) => (integer, fraction),
        Some(_) => return Err(NotNumeric::Syntax),
        None => (digits, ""),
    };
    if !is_digits(integer) {
        return Err(NotNumeric::Syntax);
    }
    let integer = integer.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    if integer.len() > NUMERIC_INTEGER_DIGITS_MAX {
        return Err(NotNumeric::Range);
    }
    if fraction.len() > NUMERIC_SCALE_MAX {
        return Err(NotNumeric::Scale);
    }
    Ok(written(negative, integer, fraction))
}

/// Both parts without needless zeros, either may be empty.
fn written(negative: bool, integer: &str, fraction: &str) -> String {
    let sign = if negative && !(integer.is_empty() && fraction.is_empty()) { "-" } else { "" };
    let integer = if integer.is_empty() { "0" } else { integer };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{integer}{point}{fraction}")
}

/// At least one ASCII digit and nothing else.
pub(crate) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::{NotNumeric, normalise};

    #[test]
    fn equal_numbers_are_written_alike() {
        for (text, expected) in [
            ("0", "0"),
            ("-0", "0"),
            ("-0.00", "0"),
            ("007", "7"),
            ("1.50", "1.5"),
            ("-1.000000000000", "-1"),
            ("0.000000001", "0.000000001"),
            ("-00.10", "-0.1"),
            ("99999999999999999999999999999.999999999", "99999999999999999999999999999.999999999"),
        ] {
            assert_eq!(normalise(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_reason() {
        for (text, expected) in [
            ("", NotNumeric::Syntax),
            ("-", NotNumeric::Syntax),
            (".5", NotNumeric::Syntax),
            ("5.", NotNumeric::Syntax),
            ("+5", NotNumeric::Syntax),
            ("1e3", NotNumeric::Syntax),
            ("1.2.3", NotNumeric::Syntax),
            ("１", NotNumeric::Syntax),
            (" 1", NotNumeric::Syntax),
            ("100000000000000000000000000000", NotNumeric::Range),
            ("0.0000000001", NotNumeric::Scale),
        ] {
            assert_eq!(normalise(text), Err(expected), "{text}");
        }
    }
}
