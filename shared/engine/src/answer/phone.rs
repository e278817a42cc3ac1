//! Telephone numbers.

use serde_json::Value;

use super::normal::{bare, plain};
use super::{Region, Rejection};

/// E.164: most digits with country code.
const DIGITS_MAX: usize = 15;
/// Fewest digits of a number of an unknown country.
const DIGITS_MIN: usize = 5;

pub(super) fn parse(text: &str, region: Option<Region>) -> Result<Value, Rejection> {
    let folded = plain(text);
    let (international, digits) = digits(bare(&folded)).ok_or(Rejection::NotAPhone)?;
    let number = if international {
        from_international(&digits)
    } else {
        match region {
            Some(region) => from_region(&digits, region),
            None => match digits.strip_prefix("00") {
                Some(international) => from_international(international),
                None => (DIGITS_MIN..=DIGITS_MAX).contains(&digits.len()).then_some(digits),
            },
        }
    };
    number.map(Value::String).ok_or(Rejection::NotAPhone)
}

/// The digits of the one number in `text`, and whether a `+` leads them.
fn digits(text: &str) -> Option<(bool, String)> {
    let start = text.find(|c: char| c.is_ascii_digit() || matches!(c, '+' | '('))?;
    let (_, number) = text.split_at_checked(start)?;
    let number = without_extension(number)?;
    let international = number.starts_with('+');
    // +44 (0)20 …: the trunk prefix is for callers at home.
    let number = if international { number.replacen("(0)", "", 1) } else { number.to_owned() };
    let digits = number.strip_prefix('+').unwrap_or(&number);
    let is_separator = |c: char| matches!(c, ' ' | '-' | '.' | '(' | ')');
    if !digits.chars().all(|c| c.is_ascii_digit() || is_separator(c)) {
        return None;
    }
    Some((international, digits.chars().filter(char::is_ascii_digit).collect()))
}

/// Cuts `#123`, `ext. 123`, `分機 123`, if nothing but a number follows.
fn without_extension(text: &str) -> Option<&str> {
    const MARKS: &[&str] =
        &["extension", "ext", "分機", "分机", "內線", "内線", "轉", "转", "#", "x"];
    let found = MARKS.iter().filter_map(|mark| Some((text.find(mark)?, mark))).min();
    let Some((start, mark)) = found else { return Some(text) };
    let (number, rest) = text.split_at_checked(start)?;
    let extension = rest.strip_prefix(mark)?.trim_start_matches(['.', ':', ' ', '#']);
    let is_short = (1..=8).contains(&extension.len());
    let is_number = extension.bytes().all(|b| b.is_ascii_digit());
    (is_short && is_number).then(|| number.trim_end_matches([',', ' ']))
}

fn from_international(digits: &str) -> Option<String> {
    if let Some((region, national)) = Region::of_international(digits) {
        return e164(national, region);
    }
    let is_plausible = (8..=DIGITS_MAX).contains(&digits.len()) && !digits.starts_with('0');
    is_plausible.then(|| format!("+{digits}"))
}

fn from_region(digits: &str, region: Region) -> Option<String> {
    let abroad = digits.strip_prefix(region.international_prefix());
    e164(digits, region)
        .or_else(|| abroad.and_then(from_international))
        // 886912345678: the country code without its plus.
        .or_else(|| e164(digits.strip_prefix(region.country_code())?, region))
}

/// `national`, with or without its trunk prefix, in international form.
fn e164(national: &str, region: Region) -> Option<String> {
    let trunk = region.trunk_prefix();
    let significant = national.strip_prefix(trunk).filter(|_| !trunk.is_empty());
    let valid = [significant.unwrap_or(national), national];
    let number = valid.into_iter().find(|number| region.is_national(number))?;
    Some(format!("+{}{number}", region.country_code()))
}
