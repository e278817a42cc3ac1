//! How filters order values, and how they reach into them.

use std::cmp::Ordering;

use minijinja::Error;
use minijinja::value::{Kwargs, Value, ValueKind};

use super::error::unusable;
use super::run::{CALL, ELEMENT, Run, kind_name};

const PATH_BYTES_MAX: usize = 256;

/// What values are ordered by: null before booleans before numbers before texts.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Key {
    Null,
    Bool(bool),
    /// Integers beyond 2⁵³ differ in the second part only.
    Number(f64, i128),
    Text(String),
}

impl Key {
    fn of(run: &Run, value: &Value, case_sensitive: bool) -> Result<Self, Error> {
        run.charge(CALL)?;
        match value.kind() {
            ValueKind::None | ValueKind::Undefined => Ok(Self::Null),
            ValueKind::Bool => Ok(Self::Bool(value.is_true())),
            ValueKind::Number => {
                let number = f64::try_from(value.clone()).unwrap_or(f64::MAX);
                let exact = if value.is_integer() { value.clone().try_into().ok() } else { None };
                Ok(Self::Number(number, exact.unwrap_or(0)))
            }
            ValueKind::String => {
                let text = run.text(value)?;
                // Sorting compares a text with up to 20 others.
                run.charge(text.len().saturating_mul(20))?;
                let text = if case_sensitive { text.into_owned() } else { text.to_lowercase() };
                Ok(Self::Text(text))
            }
            _ => Err(unusable(format!(
                "a {} has no order: name a field with `attribute='…'`",
                kind_name(value)
            ))),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Number(..) => 2,
            Self::Text(_) => 3,
        }
    }

    pub(super) fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Number(a, x), Self::Number(b, y)) => a.total_cmp(b).then_with(|| x.cmp(y)),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

/// Options of the filters that order.
pub(super) struct Order {
    pub(super) attribute: Option<String>,
    pub(super) case_sensitive: bool,
    pub(super) reverse: bool,
}

impl Order {
    pub(super) fn from_kwargs(kwargs: &Kwargs, reverse: Option<bool>) -> Result<Self, Error> {
        let attribute = kwargs.get::<Option<&str>>("attribute")?.map(str::to_owned);
        let case_sensitive = kwargs.get::<Option<bool>>("case_sensitive")?.unwrap_or(false);
        let reverse = match reverse {
            Some(reverse) => reverse,
            None => kwargs.get::<Option<bool>>("reverse")?.unwrap_or(false),
        };
        Ok(Self { attribute, case_sensitive, reverse })
    }

    pub(super) fn keyed(&self, run: &Run, items: Vec<Value>) -> Result<Vec<(Key, Value)>, Error> {
        let mut keyed = Vec::with_capacity(items.len());
        for item in items {
            let key = match &self.attribute {
                Some(attribute) => {
                    Key::of(run, &field(run, &item, attribute)?, self.case_sensitive)
                }
                None => Key::of(run, &item, self.case_sensitive),
            };
            keyed.push((key?, item));
        }
        Ok(keyed)
    }

    pub(super) fn sorted(&self, run: &Run, items: Vec<Value>) -> Result<Vec<(Key, Value)>, Error> {
        let mut keyed = self.keyed(run, items)?;
        run.charge(keyed.len().saturating_mul(ELEMENT * 8))?;
        keyed.sort_by(|(a, _), (b, _)| if self.reverse { b.order(a) } else { a.order(b) });
        Ok(keyed)
    }
}

/// The value at a path such as `address.city` or `0`; undefined where there is none.
pub(super) fn field(run: &Run, value: &Value, path: &str) -> Result<Value, Error> {
    if path.len() > PATH_BYTES_MAX {
        return Err(unusable(format!("a path has up to {PATH_BYTES_MAX} bytes")));
    }
    run.charge(CALL + path.len())?;
    let mut value = value.clone();
    for part in path.split('.') {
        value = match part.parse::<usize>() {
            Ok(index) => value.get_item_by_index(index).unwrap_or(Value::UNDEFINED),
            Err(_) => value.get_attr(part).unwrap_or(Value::UNDEFINED),
        };
    }
    Ok(value)
}
