//! What counts as an answer to an `ask`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::document::VarType;

/// What counts as an answer. Bounds may be templates (`"{{ today() }}"`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Expect {
    /// Any text.
    String {
        /// A regular expression the whole text must match (linear-time syntax).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pattern: Option<String>,
        /// Fewest characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min_length: Option<u32>,
        /// Most characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_length: Option<u32>,
    },
    /// A whole number.
    Integer {
        /// Smallest value, or a template.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<Value>,
        /// Largest value, or a template.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<Value>,
    },
    /// A number.
    Number {
        /// Smallest value, or a template.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<Value>,
        /// Largest value, or a template.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<Value>,
    },
    /// Yes or no.
    Boolean {},
    /// A day, kept as `2026-11-30`.
    Date {
        /// First day, or a template.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<Value>,
        /// Last day, or a template.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<Value>,
    },
    /// A moment, kept as RFC 3339 UTC.
    Datetime {
        /// Earliest, or a template.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<Value>,
        /// Latest, or a template.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<Value>,
    },
    /// An e-mail address.
    Email {},
    /// A telephone number, kept in E.164 where the country is known.
    Phone {
        /// The country of numbers without a country code: `TW`, `JP`, `US`, `CN`, …
        #[serde(default, skip_serializing_if = "Option::is_none")]
        region: Option<String>,
    },
    /// One of the step's `choices`, by label, value or number.
    Choice {
        /// Whether several may be chosen; the variable is then a list.
        #[serde(default)]
        several: bool,
        /// Fewest, with `several`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<u32>,
        /// Most, with `several`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<u32>,
    },
    /// A file or picture: `{url, name, mime, bytes}`.
    File {
        /// Accepted media types or their beginnings: `image/`, `application/pdf`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        types: Vec<String>,
        /// Largest size in bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_bytes: Option<u64>,
    },
}

impl Expect {
    /// The type an answer has.
    pub fn var_type(&self) -> VarType {
        match self {
            Self::String { .. } => VarType::String,
            Self::Integer { .. } => VarType::Integer,
            Self::Number { .. } => VarType::Number,
            Self::Boolean {} => VarType::Boolean,
            Self::Date { .. } => VarType::Date,
            Self::Datetime { .. } => VarType::Datetime,
            Self::Email {} => VarType::Email,
            Self::Phone { .. } => VarType::Phone,
            Self::Choice { several: true, .. } => VarType::List,
            Self::Choice { several: false, .. } => VarType::Any,
            Self::File { .. } => VarType::File,
        }
    }

    /// What a variable of `kind` expects where the step says nothing else.
    pub fn of_type(kind: VarType) -> Self {
        match kind {
            VarType::Integer => Self::Integer { min: None, max: None },
            VarType::Number => Self::Number { min: None, max: None },
            VarType::Boolean => Self::Boolean {},
            VarType::Date => Self::Date { min: None, max: None },
            VarType::Datetime => Self::Datetime { min: None, max: None },
            VarType::Email => Self::Email {},
            VarType::Phone => Self::Phone { region: None },
            VarType::File => Self::File { types: Vec::new(), max_bytes: None },
            VarType::String | VarType::List | VarType::Object | VarType::Any => {
                Self::String { pattern: None, min_length: None, max_length: None }
            }
        }
    }
}
