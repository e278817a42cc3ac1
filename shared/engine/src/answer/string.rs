//! Text, and the patterns it must match.

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::{Rejection, is_longer};

/// The longest pattern, in characters.
const PATTERN_CHARACTERS_MAX: usize = 1_000;
/// The most memory a compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 1024 * 1024;

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// The pattern has too many characters.
    #[error("the pattern is longer than {PATTERN_CHARACTERS_MAX} characters; shorten it")]
    TooLong,
    /// The compiled pattern would take too much memory.
    #[error(
        "the pattern needs more than {PATTERN_BYTES_MAX} bytes when compiled; use smaller \
         repetitions or narrower classes such as [a-z] or [0-9]"
    )]
    TooBig,
    /// The pattern is not a regular expression of this dialect.
    #[error("the pattern is not a valid regular expression: {reason}")]
    Invalid {
        /// What the compiler says, with the place.
        reason: String,
    },
}

/// Compiles the pattern of a string answer, anchored so that it must match the whole text. Linear
/// time, at most 1,000 characters and 64 KiB compiled; no look-around, no back-references.
pub fn compile_pattern(pattern: &str) -> Result<Regex, PatternError> {
    if pattern.chars().nth(PATTERN_CHARACTERS_MAX).is_some() {
        return Err(PatternError::TooLong);
    }
    // By itself first: `a)|(b` must not become valid by the brackets put around it.
    compile(pattern)?;
    // A comment of the verbose mode would swallow the closing bracket; it ends with the line.
    compile(&format!(r"\A(?:{pattern})\z")).or_else(|error| match error {
        PatternError::Invalid { .. } => compile(&format!("\\A(?:{pattern}\n)\\z")),
        PatternError::TooBig | PatternError::TooLong => Err(error),
    })
}

fn compile(pattern: &str) -> Result<Regex, PatternError> {
    let compiled = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build();
    compiled.map_err(|error| {
        if matches!(error, regex::Error::CompiledTooBig(_)) {
            PatternError::TooBig
        } else {
            PatternError::Invalid { reason: error.to_string() }
        }
    })
}

pub(super) fn parse(
    text: &str,
    pattern: Option<&Regex>,
    min_length: Option<u32>,
    max_length: Option<u32>,
) -> Result<Value, Rejection> {
    let text = text.trim();
    if text.is_empty() && min_length != Some(0) {
        return Err(Rejection::Empty);
    }
    if let Some(max) = max_length
        && is_longer(text, max)
    {
        return Err(Rejection::TextTooLong { max });
    }
    if let Some(min) = min_length
        && usize::try_from(min).is_ok_and(|min| text.chars().count() < min)
    {
        return Err(Rejection::TextTooShort { min });
    }
    // Compared with the whole text too, so that a pattern compiled elsewhere cannot let more in.
    let matches = |pattern: &Regex| pattern.find(text).is_some_and(|m| m.len() == text.len());
    if pattern.is_some_and(|pattern| !matches(pattern)) {
        return Err(Rejection::PatternMismatch);
    }
    Ok(Value::String(text.to_owned()))
}
