//! What a person typed, turned into the typed value an `ask` step wants.
//!
//! People answer in Traditional and Simplified Chinese, Japanese and English, with full-width
//! forms and local dates. [`parse`] reads them; what it cannot read for sure it refuses with a
//! [`Rejection`] that tells the person what to type instead – a wrong guess costs more than one
//! more question. Everything is pure: the present moment and the zone are arguments.

mod boolean;
mod calendar;
mod choice;
mod clock;
mod days;
mod describe;
mod email;
mod era;
mod file;
mod moment;
mod normal;
mod number;
mod numerals;
mod phone;
mod region;
mod rejection;
mod scan;
mod string;
#[cfg(test)]
mod tests;
mod zoned;

use chrono::{DateTime, NaiveDate, Utc};
use regex::Regex;
use serde_json::Value;

pub use describe::describe;
pub use region::Region;
pub use rejection::Rejection;
pub use string::{PatternError, compile_pattern};

/// The longest text, in characters, that is read as anything but a string. Nobody types a longer
/// date; a bound keeps hostile input cheap.
pub const TEXT_CHARACTERS_MAX: u32 = 10_000;

/// The language of rejections and hints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AnswerLang {
    /// English.
    #[default]
    En,
    /// Traditional Chinese as written in Taiwan; also used for every other Chinese.
    ZhTw,
    /// Japanese.
    Ja,
}

impl AnswerLang {
    /// The language of a BCP 47 tag such as `zh-TW`, `ja` or `en-US`; English for any other.
    pub fn from_tag(tag: &str) -> Self {
        let tag = tag.to_ascii_lowercase();
        match tag.split(['-', '_']).next() {
            Some("zh") => Self::ZhTw,
            Some("ja") => Self::Ja,
            _ => Self::En,
        }
    }
}

/// What an answer is relative to.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    /// The time of the message: `tomorrow` counts from here.
    pub now: DateTime<Utc>,
    /// The zone of the person: dates and times of day are meant in it.
    pub zone: chrono_tz::Tz,
}

impl Context {
    fn today(&self) -> NaiveDate {
        self.now.with_timezone(&self.zone).date_naive()
    }
}

/// The kind of value wanted, with its limits; all limits are inclusive.
#[derive(Debug, Clone)]
pub enum Expected {
    /// Text, trimmed at both ends and otherwise as typed. Result: JSON string.
    String {
        /// Must match the whole text; made by [`compile_pattern`].
        pattern: Option<Regex>,
        /// Fewest characters (Unicode scalar values). Empty text needs an explicit 0.
        min_length: Option<u32>,
        /// Most characters (Unicode scalar values).
        max_length: Option<u32>,
    },
    /// A whole number. Result: JSON integer.
    Integer {
        /// Smallest value.
        min: Option<i64>,
        /// Largest value.
        max: Option<i64>,
    },
    /// A number. Result: JSON number, written as an integer when it is one (`3`, not `3.0`).
    Number {
        /// Smallest value.
        min: Option<f64>,
        /// Largest value.
        max: Option<f64>,
    },
    /// Yes or no. Result: JSON boolean.
    Boolean,
    /// A calendar day. Result: `YYYY-MM-DD`.
    Date {
        /// Earliest day.
        min: Option<NaiveDate>,
        /// Latest day.
        max: Option<NaiveDate>,
    },
    /// A moment. Result: RFC 3339 in UTC with whole seconds, `2026-11-30T06:30:00Z`.
    DateTime {
        /// Earliest moment.
        min: Option<DateTime<Utc>>,
        /// Latest moment.
        max: Option<DateTime<Utc>>,
    },
    /// An e-mail address. Result: the address, domain in lower case.
    Email,
    /// A telephone number. Result: E.164 (`+886912345678`) when the number has a country code or
    /// `region` supplies one, else only its digits. An extension is left out.
    Phone {
        /// The country of numbers typed without a country code.
        region: Option<Region>,
    },
    /// One or several of a list. Result: the option's value, or with `several` an array of values
    /// in the order of the options.
    Choice {
        /// What to choose from; numbers typed by people count from 1.
        options: Vec<ChoiceOption>,
        /// Whether more than one may be chosen.
        several: bool,
        /// Fewest, with `several`; 1 if not given.
        min: Option<u32>,
        /// Most, with `several`.
        max: Option<u32>,
    },
    /// An attachment. Result: `{"url", "name", "mime", "bytes"}`, unknown ones `null`.
    File {
        /// Accepted types as prefixes (`image/`, `application/pdf`; `image/*` works too); empty
        /// accepts every type.
        types: Vec<String>,
        /// Largest size; an attachment of unknown size passes.
        max_bytes: Option<u64>,
    },
}

/// One option of a choice.
#[derive(Debug, Clone, PartialEq)]
pub struct ChoiceOption {
    /// What people see and type.
    pub label: String,
    /// What the flow gets.
    pub value: Value,
}

/// A file that came with the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Where its content is.
    pub url: String,
    /// File name, if the channel tells it.
    pub name: Option<String>,
    /// MIME type, if the channel tells it.
    pub mime: Option<String>,
    /// Size, if the channel tells it.
    pub bytes: Option<u64>,
}

/// Reads an answer: `text` and, for files, `attachments`.
///
/// # Examples
///
/// ```
/// # use engine::answer::{Context, Expected, parse};
/// let context = Context {
///     now: "2026-11-20T00:00:00Z".parse()?,
///     zone: chrono_tz::Asia::Taipei,
/// };
/// let days = Expected::Integer { min: Some(1), max: Some(30) };
/// assert_eq!(parse(&days, "三天", &[], &context), Ok(3.into()));
/// let start = Expected::Date { min: None, max: None };
/// assert_eq!(parse(&start, "下週一", &[], &context), Ok("2026-11-23".into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn parse(
    expected: &Expected,
    text: &str,
    attachments: &[Attachment],
    context: &Context,
) -> Result<Value, Rejection> {
    let is_bounded = !matches!(expected, Expected::String { .. } | Expected::File { .. });
    if is_bounded {
        if is_longer(text, TEXT_CHARACTERS_MAX) {
            return Err(Rejection::TextTooLong { max: TEXT_CHARACTERS_MAX });
        }
        if text.trim().is_empty() {
            return Err(Rejection::Empty);
        }
    }
    match expected {
        Expected::String { pattern, min_length, max_length } => {
            string::parse(text, pattern.as_ref(), *min_length, *max_length)
        }
        Expected::File { types, max_bytes } => file::parse(attachments, types, *max_bytes),
        Expected::Integer { min, max } => number::parse_integer(text, *min, *max),
        Expected::Number { min, max } => number::parse_number(text, *min, *max),
        Expected::Boolean => boolean::parse(text),
        Expected::Date { min, max } => moment::parse_date(text, *min, *max, context),
        Expected::DateTime { min, max } => moment::parse_datetime(text, *min, *max, context),
        Expected::Email => email::parse(text),
        Expected::Phone { region } => phone::parse(text, *region),
        Expected::Choice { options, several: false, .. } => choice::parse_one(text, options),
        Expected::Choice { options, several: true, min, max } => {
            choice::parse_several(text, options, *min, *max)
        }
    }
}

/// Whether `text` has more than `max` characters; does not count further than that.
fn is_longer(text: &str, max: u32) -> bool {
    usize::try_from(max).is_ok_and(|max| text.chars().nth(max).is_some())
}
