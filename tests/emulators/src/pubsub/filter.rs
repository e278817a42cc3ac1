//! The part of Pub/Sub's filter language that compares attributes: `attributes.key = "value"`,
//! joined by `AND`. Everything else is refused rather than ignored.

use std::collections::BTreeMap;

use super::problem::Problem;

/// Attributes and the values they must have; empty means every message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter(Vec<(String, String)>);

impl Filter {
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let mut rest = text.trim();
        let mut wanted = Vec::new();
        while !rest.is_empty() {
            if !wanted.is_empty() {
                rest = after(rest, "AND").ok_or_else(|| unknown(text))?;
            }
            let (key, value, left) = comparison(rest).ok_or_else(|| unknown(text))?;
            wanted.push((key, value));
            rest = left.trim_start();
        }
        Ok(Self(wanted))
    }

    pub(super) fn matches(&self, attributes: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|(key, value)| attributes.get(key) == Some(value))
    }
}

fn unknown(text: &str) -> Problem {
    Problem::invalid(format!(
        "the filter {text:?} is not understood here: compare attributes, as in \
         attributes.kind = \"order\" AND attributes.\"x-y\" = \"1\""
    ))
}

/// `attributes.key = "value"` at the start of `text`: the key, the value, what follows.
fn comparison(text: &str) -> Option<(String, String, &str)> {
    let text = text.strip_prefix("attributes.")?;
    let (key, text) = if text.starts_with('"') { quoted(text)? } else { word(text)? };
    let (value, text) = quoted(after(text, "=")?)?;
    Some((key, value, text))
}

fn after<'a>(text: &'a str, sign: &str) -> Option<&'a str> {
    text.trim_start().strip_prefix(sign).map(str::trim_start)
}

fn word(text: &str) -> Option<(String, &str)> {
    let end = text
        .find(|sign: char| !(sign.is_alphanumeric() || matches!(sign, '_' | '-')))
        .unwrap_or(text.len());
    (end > 0).then(|| (text[..end].to_owned(), &text[end..]))
}

/// A text in double quotes, where a backslash keeps the next sign.
fn quoted(text: &str) -> Option<(String, &str)> {
    let text = text.strip_prefix('"')?;
    let mut value = String::new();
    let mut signs = text.char_indices();
    while let Some((at, sign)) = signs.next() {
        match sign {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(signs.next()?.1),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn compares_all_attributes_it_names() {
        let filter = Filter::parse(r#"attributes.kind = "a AND b" AND attributes."x.y"="\"1\"""#)
            .expect("a filter");
        assert!(filter.matches(&attributes(&[("kind", "a AND b"), ("x.y", "\"1\""), ("z", "")])));
        assert!(!filter.matches(&attributes(&[("kind", "a AND b")])));
        assert!(!filter.matches(&attributes(&[("kind", "a"), ("x.y", "\"1\"")])));
    }

    #[test]
    fn an_empty_filter_lets_everything_pass() {
        assert!(Filter::parse("  ").expect("a filter").matches(&attributes(&[])));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in [
            "attributes:kind",
            "NOT attributes.kind = \"a\"",
            "attributes.kind != \"a\"",
            "attributes.kind = \"a\" OR attributes.kind = \"b\"",
            "hasPrefix(attributes.kind, \"a\")",
            "attributes.kind = \"a",
        ] {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
    }
}
