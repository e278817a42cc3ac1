//! What a message may hold, on every channel.

use std::fmt;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A BCP 47 language tag as a flow or a contact carries it: `en`, `zh-TW`, `ja`.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Lang(pub String);

impl Lang {
    /// The tag of English.
    pub fn en() -> Self {
        Self("en".into())
    }

    /// The tag of Traditional Chinese.
    pub fn zh_tw() -> Self {
        Self("zh-TW".into())
    }

    /// The primary subtag in lower case: `zh` of `zh-TW`.
    pub fn primary(&self) -> String {
        self.0.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase()
    }
}

impl fmt::Display for Lang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text template, in one language or in several: `text: Hello` or `text: {en: Hello, ja: …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Text {
    /// The same text for everybody.
    One(String),
    /// One text per language; the first is the fallback.
    ByLang(IndexMap<Lang, String>),
}

impl Text {
    /// The text for `lang`: the exact tag, else the same primary language, else the first.
    pub fn pick(&self, lang: Option<&Lang>) -> &str {
        match self {
            Self::One(text) => text,
            Self::ByLang(texts) => {
                let exact = lang.and_then(|lang| texts.get(lang));
                let close = || {
                    let primary = lang?.primary();
                    texts.iter().find(|(tag, _)| tag.primary() == primary).map(|(_, text)| text)
                };
                exact
                    .or_else(close)
                    .or_else(|| texts.values().next())
                    .map(String::as_str)
                    .unwrap_or_default()
            }
        }
    }

    /// Every text with the pointer suffix it stands at (`""`, `/en`, `/ja`).
    pub fn all(&self) -> Vec<(String, &str)> {
        match self {
            Self::One(text) => vec![(String::new(), text.as_str())],
            Self::ByLang(texts) => {
                texts.iter().map(|(lang, text)| (format!("/{lang}"), text.as_str())).collect()
            }
        }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::One(text.to_owned())
    }
}

/// What kind of thing an attachment is; channels send each in their own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttachmentKind {
    /// A picture shown in the conversation.
    Image,
    /// A file to download.
    File,
}

/// A picture or file, always by URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// Picture or file.
    #[serde(default = "default_kind")]
    pub kind: AttachmentKind,
    /// Where it is.
    pub url: String,
    /// The name shown to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The media type, such as `application/pdf`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime: Option<String>,
    /// Size in bytes, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

fn default_kind() -> AttachmentKind {
    AttachmentKind::File
}

/// A reply offered to the person: a button where the channel has them, a numbered list elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OfferedChoice {
    /// What the person reads.
    pub label: String,
    /// What a button press sends back; names the task, so it is routed by rule 1.
    pub payload: String,
}

/// One message, in either direction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// The text, already rendered.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Pictures and files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// Replies on offer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<OfferedChoice>,
}

impl Content {
    /// A message of plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// The text with its choices as a numbered list, for channels without buttons.
    pub fn as_plain_text(&self) -> String {
        let mut text = self.text.clone();
        for (number, choice) in self.choices.iter().enumerate() {
            if !text.is_empty() {
                text.push('\n');
            }
            text.extend([&(number + 1).to_string(), ". ", &choice.label]);
        }
        for attachment in &self.attachments {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&attachment.url);
        }
        text
    }
}

/// Who is on the other side of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Contact {
    /// The id the channel knows the person by.
    pub id: String,
    /// A name to show, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The language the person reads, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang: Option<Lang>,
}

impl Contact {
    /// The name where known, else the id.
    pub fn display_name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_language_is_picked() {
        let text: Text = serde_json::from_str(r#"{"en":"Hi","zh-TW":"嗨","ja":"やあ"}"#).unwrap();
        let pick = |tag: &str| text.pick(Some(&Lang(tag.into()))).to_owned();
        assert_eq!(pick("ja"), "やあ");
        assert_eq!(pick("zh"), "嗨");
        assert_eq!(pick("en-GB"), "Hi");
        assert_eq!(pick("ko"), "Hi");
        assert_eq!(text.pick(None), "Hi");
    }

    #[test]
    fn choices_become_a_numbered_list() {
        let content = Content {
            text: "Which one?".into(),
            choices: vec![OfferedChoice { label: "A".into(), payload: "a".into() }],
            ..Content::default()
        };
        assert_eq!(content.as_plain_text(), "Which one?\n1. A");
    }
}
