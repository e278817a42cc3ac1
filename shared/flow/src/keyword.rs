//! How the words of a message are compared: half-width, lower case, without decoration.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::document::KeywordMatch;

/// Longest text that is looked at for keywords and commands, in characters.
pub const COMPARED_CHARS_MAX: usize = 1_000;

/// The text as it is compared: NFKC (full-width to half-width), lower case, white space folded,
/// marks at both ends taken off.
pub fn normalise(text: &str) -> String {
    let folded: String =
        text.chars().take(COMPARED_CHARS_MAX).nfkc().flat_map(char::to_lowercase).collect();
    let words: Vec<&str> = folded.split_whitespace().collect();
    let joined = words.join(" ");
    joined.trim_matches(|c: char| !c.is_alphanumeric() && c != '/').to_owned()
}

/// A word of a trigger. The form in which it is compared is made once, when the document is read:
/// every message is compared with every keyword of every live flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Keyword {
    written: String,
    compared: String,
}

impl Keyword {
    /// The word as it is compared; empty where it has no letter and no digit.
    pub fn compared(&self) -> &str {
        &self.compared
    }

    /// Whether `message` (normalised) has the word in the way asked for.
    pub fn is_in(&self, message: &str, how: KeywordMatch) -> bool {
        matches(message, &self.compared, how)
    }
}

impl From<String> for Keyword {
    fn from(written: String) -> Self {
        Self { compared: normalise(&written), written }
    }
}

impl From<&str> for Keyword {
    fn from(written: &str) -> Self {
        written.to_owned().into()
    }
}

impl From<Keyword> for String {
    fn from(keyword: Keyword) -> Self {
        keyword.written
    }
}

/// Whether `message` (normalised) has `keyword` (normalised) in the way asked for.
fn matches(message: &str, keyword: &str, how: KeywordMatch) -> bool {
    if keyword.is_empty() {
        return false;
    }
    match how {
        KeywordMatch::Exact => message == keyword,
        KeywordMatch::Prefix => message
            .strip_prefix(keyword)
            .is_some_and(|rest| is_boundary(keyword.chars().last(), rest.chars().next())),
        KeywordMatch::Contains => message.match_indices(keyword).any(|(at, _)| {
            let before = message.get(..at).and_then(|text| text.chars().last());
            let after = message.get(at + keyword.len()..).and_then(|text| text.chars().next());
            is_boundary(before, keyword.chars().next())
                && is_boundary(keyword.chars().last(), after)
        }),
    }
}

/// Scripts with spaces have words; between Chinese or Japanese characters anything is a boundary.
fn is_boundary(left: Option<char>, right: Option<char>) -> bool {
    let spaced = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() && !is_unspaced(c));
    !(spaced(left) && spaced(right))
}

/// Whether the character belongs to a script that is written without spaces: Han, kana, Hangul
/// is spaced and is not one of them.
pub fn is_unspaced(c: char) -> bool {
    matches!(u32::from(c),
        0x2E80..=0x2FFF | 0x3005..=0x3007 | 0x3031..=0x3035 | 0x3040..=0x30FF
        | 0x31F0..=0x31FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF
        | 0x0E00..=0x0E7F | 0x20000..=0x3FFFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_match_in_each_script() {
        let has = |message: &str, keyword: &str, how| {
            matches(&normalise(message), &normalise(keyword), how)
        };
        assert!(has("請假！", "請假", KeywordMatch::Exact));
        assert!(has("ＬＥＡＶＥ", "leave", KeywordMatch::Exact));
        assert!(!has("我要請假", "請假", KeywordMatch::Exact));
        assert!(has("我要請假", "請假", KeywordMatch::Contains));
        assert!(has("book a hotel, please", "hotel", KeywordMatch::Contains));
        assert!(!has("hotels", "hotel", KeywordMatch::Contains));
        assert!(has("請假三天", "請假", KeywordMatch::Prefix));
        assert!(has("leave tomorrow", "leave", KeywordMatch::Prefix));
        assert!(!has("leaves", "leave", KeywordMatch::Prefix));
        assert!(!has("anything", "", KeywordMatch::Contains));
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(message in "\\PC{0,60}", keyword in "\\PC{0,6}") {
            for how in [KeywordMatch::Exact, KeywordMatch::Prefix, KeywordMatch::Contains] {
                let _ = matches(&normalise(&message), &normalise(&keyword), how);
            }
        }
    }
}
