//! The filter of a list: terms joined by `AND`.

use serde_json::{Map, Value};

use crate::rest::Refusal;

/// What a secret must be.
#[derive(Debug, PartialEq, Eq)]
enum Term {
    /// `name:text`: the name contains it. `name=text`: it is the id or the full name.
    Name { text: String, whole: bool },
    /// `labels.key=value`; without a value (`labels.key:*`) the key is there.
    Label { key: String, value: Option<String> },
}

/// A filter that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filter(Vec<Term>);

impl Filter {
    /// Reads a filter. What the stand-in does not know is refused rather than ignored.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        if text.trim().is_empty() {
            return Ok(Self(Vec::new()));
        }
        let text = text.replace(" and ", " AND ");
        text.split(" AND ").map(|term| Self::term(term.trim())).collect::<Result<_, _>>().map(Self)
    }

    fn term(term: &str) -> Result<Term, Refusal> {
        let refusal = || {
            Refusal::invalid(format!(
                "filter: the stand-in for Secret Manager does not know `{term}`; it knows \
                 name:TEXT, name=ID, labels.KEY=VALUE and labels.KEY:*, joined by AND"
            ))
        };
        let at = term.find([':', '=']).ok_or_else(refusal)?;
        let (field, rest) = term.split_at(at);
        let (operator, value) = rest.split_at(1);
        let value = value.trim().trim_matches('"').to_owned();
        let strange = value.is_empty() || value.contains(['(', ')', '"', ' ']);
        match (field.trim(), operator) {
            _ if strange => Err(refusal()),
            ("name", _) => Ok(Term::Name { text: value, whole: operator == "=" }),
            (field, _) => {
                let key = field.strip_prefix("labels.").ok_or_else(refusal)?;
                let value = Some(value).filter(|value| value != "*");
                Ok(Term::Label { key: key.to_owned(), value })
            }
        }
    }

    /// Whether a secret is what the filter asks for.
    pub(super) fn fits(&self, name: &str, resource: &Map<String, Value>) -> bool {
        let id = name.rsplit('/').next().unwrap_or_default();
        self.0.iter().all(|term| match term {
            Term::Name { text, whole: true } => text == id || text == name,
            Term::Name { text, whole: false } => id.contains(text.as_str()) || name == text,
            Term::Label { key, value } => {
                let found = resource
                    .get("labels")
                    .and_then(|labels| labels.get(key))
                    .and_then(Value::as_str);
                found.is_some_and(|found| value.as_ref().is_none_or(|value| value == found))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fits(filter: &str) -> bool {
        let secret = json!({ "labels": { "app": "chatflow", "kind": "line" } });
        let filter = Filter::parse(filter).unwrap();
        filter.fits("projects/p/secrets/chatflow-hr-token", secret.as_object().unwrap())
    }

    #[test]
    fn terms_must_all_fit() {
        assert!(fits(""));
        assert!(fits("labels.app=chatflow AND name:hr"));
        assert!(fits("labels.kind:*"));
        assert!(fits("name=chatflow-hr-token"));
        assert!(!fits("name=chatflow-hr"));
        assert!(!fits("labels.app=chatflow AND labels.kind=slack"));
        assert!(!fits("labels.other:*"));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for filter in ["create_time>2020", "labels.a=b OR labels.c=d", "NOT name:x", "name:", "x"] {
            assert!(Filter::parse(filter).is_err(), "{filter}");
        }
    }
}
