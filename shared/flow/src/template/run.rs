//! The bounds of one evaluation: every byte made or compared is paid for from one budget.
//!
//! The engine's fuel counts instructions, and one instruction can touch megabytes. So every filter
//! and operator pays here for the bytes and elements it reads and makes, *before* or right after it
//! does, and no single value may grow beyond [`VALUE_BYTES_MAX`]. Time and memory are therefore
//! bounded by [`WORK_MAX`] whatever the template and the data are.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use minijinja::value::{Object, ObjectRepr, Value, ValueKind};
use minijinja::{Error, State};

use super::error::{Mark, marked, unusable};
use super::{NESTING_MAX, TEXT_BYTES_MAX, VALUE_BYTES_MAX, WORK_MAX};

/// Under this name the run is in every context; no template can write it.
pub(super) const RUN: &str = "\u{1}run";

/// What an element of a list or map costs besides its content.
pub(super) const ELEMENT: usize = 32;

/// What a call of a filter costs at least.
pub(super) const CALL: usize = 64;

/// The budget, the time and the zone of one evaluation.
#[derive(Debug)]
pub(super) struct Run {
    spent: AtomicUsize,
    shown: AtomicUsize,
    pub(super) now: DateTime<Utc>,
    pub(super) zone: Tz,
}

impl Object for Run {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

impl Run {
    pub(super) fn new(now: DateTime<Utc>, zone: Tz) -> Self {
        Self { spent: AtomicUsize::new(0), shown: AtomicUsize::new(0), now, zone }
    }

    /// The run that `state` belongs to.
    pub(super) fn of(state: &State) -> Result<Arc<Self>, Error> {
        state
            .lookup(RUN)
            .and_then(|value| value.downcast_object::<Self>())
            .ok_or_else(|| unusable("filters work inside of a flow's templates only"))
    }

    /// Pays for `units` bytes of work.
    pub(super) fn charge(&self, units: usize) -> Result<(), Error> {
        let before = self.spent.fetch_add(units.min(WORK_MAX + 1), Ordering::Relaxed);
        if before.saturating_add(units) > WORK_MAX {
            return Err(too_large(
                "the template would produce too much: use less data, or loop \
                                  over less",
            ));
        }
        Ok(())
    }

    /// Pays for `bytes` of text that the template puts out.
    pub(super) fn show(&self, bytes: usize) -> Result<(), Error> {
        let before = self.shown.fetch_add(bytes.min(TEXT_BYTES_MAX + 1), Ordering::Relaxed);
        if before.saturating_add(bytes) > TEXT_BYTES_MAX {
            return Err(too_large(format!(
                "the text would be longer than {TEXT_BYTES_MAX} bytes: shorten it with `|truncate`"
            )));
        }
        Ok(())
    }

    /// Starts to count the text of the next template.
    pub(super) fn reset_shown(&self) {
        self.shown.store(0, Ordering::Relaxed);
    }

    /// Pays for reading all of `value`, and tells how much that is.
    pub(super) fn weigh(&self, value: &Value) -> Result<usize, Error> {
        self.weigh_at(value, 0)
    }

    fn weigh_at(&self, value: &Value, depth: usize) -> Result<usize, Error> {
        if depth > NESTING_MAX {
            return Err(too_large(format!("the value is nested deeper than {NESTING_MAX} levels")));
        }
        let mut weight = own_weight(value);
        self.charge(weight)?;
        let Some(object) = value.as_object() else { return Ok(weight) };
        match object.repr() {
            ObjectRepr::Map => {
                for (key, item) in object.try_iter_pairs().into_iter().flatten() {
                    self.charge(ELEMENT)?;
                    let pair = self.weigh_at(&key, depth + 1)? + self.weigh_at(&item, depth + 1)?;
                    weight = weight.saturating_add(pair + ELEMENT);
                }
            }
            ObjectRepr::Seq | ObjectRepr::Iterable => {
                for item in object.try_iter().into_iter().flatten() {
                    self.charge(ELEMENT)?;
                    weight = weight.saturating_add(self.weigh_at(&item, depth + 1)? + ELEMENT);
                }
            }
            _ => {}
        }
        Ok(weight)
    }

    /// The text of `value` as the template would print it.
    pub(super) fn text<'v>(&self, value: &'v Value) -> Result<Cow<'v, str>, Error> {
        if value.is_undefined() {
            return Err(marked(Mark::Undefined(String::new()), "the value is not defined"));
        }
        if let Some(text) = value.as_str() {
            self.charge(CALL + text.len())?;
            return Ok(Cow::Borrowed(text));
        }
        self.weigh(value)?;
        let mut out = Bounded::new(VALUE_BYTES_MAX);
        out.push(format_args!("{value}"))?;
        self.charge(out.text.len())?;
        Ok(Cow::Owned(out.text))
    }

    /// Pays for a text that was made, and makes it a value.
    pub(super) fn made(&self, text: String) -> Result<Value, Error> {
        if text.len() > VALUE_BYTES_MAX {
            return Err(value_too_large());
        }
        self.charge(CALL + text.len())?;
        Ok(Value::from(text))
    }

    /// Pays for a list that was made, and makes it a value. Its elements are paid for already.
    pub(super) fn list(&self, items: Vec<Value>) -> Result<Value, Error> {
        self.charge(CALL + items.len().saturating_mul(ELEMENT))?;
        Ok(Value::from(items))
    }

    /// The elements of a list, the keys of a map, the characters of a text; none for none.
    pub(super) fn items(&self, value: &Value) -> Result<Vec<Value>, Error> {
        if value.is_undefined() {
            return Err(marked(Mark::Undefined(String::new()), "the list is not defined"));
        }
        if let Some(text) = value.as_str() {
            self.charge(CALL + text.len())?;
            let mut characters = Vec::new();
            for character in text.chars() {
                self.charge(ELEMENT)?;
                characters.push(Value::from(character));
            }
            return Ok(characters);
        }
        self.charge(CALL)?;
        let items = value.try_iter().map_err(|_| {
            unusable(format!("a list is needed here, but the value is a {}", kind_name(value)))
        })?;
        let mut list = Vec::new();
        for item in items {
            self.charge(ELEMENT)?;
            list.push(item);
        }
        Ok(list)
    }
}

/// What reading a value costs without what it contains: at least as many units as it prints bytes.
fn own_weight(value: &Value) -> usize {
    match value.kind() {
        ValueKind::String | ValueKind::Bytes => 16 + value.as_bytes().map_or(0, <[u8]>::len),
        // The shortest and the longest numbers print as up to 330 digits.
        ValueKind::Number if !value.is_integer() => match f64::try_from(value.clone()) {
            Ok(number) if number == 0.0 || (1e-9..1e17).contains(&number.abs()) => 32,
            _ => 340,
        },
        ValueKind::Number => 40,
        ValueKind::Plain => 128,
        _ => 16,
    }
}

/// The name of a value's type in the words of the flow language.
pub(super) fn kind_name(value: &Value) -> &'static str {
    match value.kind() {
        ValueKind::Undefined => "undefined value",
        ValueKind::None => "null",
        ValueKind::Bool => "boolean",
        ValueKind::Number => "number",
        ValueKind::String | ValueKind::Bytes => "string",
        ValueKind::Seq | ValueKind::Iterable => "list",
        ValueKind::Map => "mapping",
        _ => "function or loop",
    }
}

pub(super) fn too_large(message: impl Into<String>) -> Error {
    marked(Mark::TooLarge, message)
}

pub(super) fn value_too_large() -> Error {
    too_large(format!("a value would be larger than {VALUE_BYTES_MAX} bytes: use less data"))
}

/// A text that refuses to grow beyond its limit.
pub(super) struct Bounded {
    pub(super) text: String,
    bytes_max: usize,
}

impl Bounded {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { text: String::new(), bytes_max }
    }

    /// Appends, or fails when the text would be too long.
    pub(super) fn push(&mut self, part: impl fmt::Display) -> Result<(), Error> {
        write!(self, "{part}").map_err(|_| value_too_large())
    }
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if self.text.len().saturating_add(part.len()) > self.bytes_max {
            return Err(fmt::Error);
        }
        self.text.push_str(part);
        Ok(())
    }
}
