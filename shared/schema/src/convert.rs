//! A JSON row to a typed row, or every reason why it does not fit.

use std::{fmt::Write as _, io};

use serde_json::{Map, Value};

use crate::cell::{Cell, Row};
use crate::column_problem::{ColumnProblem, ColumnProblemKind, ColumnProblems};
use crate::default_value::default_cell;
use crate::limits::{ROW_BYTES_MAX, ROW_DEPTH_MAX};
use crate::scalar::{Mismatch, scalar, takes, wrong_type};
use crate::suggest::{did_you_mean, shown};
use crate::table::{Field, FieldType, Mode, Table};

/// Checks a JSON row against its table and converts it; all problems at once.
///
/// The columns are exactly those of `table`: to land a row, pass the table [`crate::with_meta`]
/// and a row that holds the meta columns. Cost is linear in the size of the row.
pub fn convert(table: &Table, row: &Map<String, Value>) -> Result<Row, Vec<ColumnProblem>> {
    let mut converter = Converter::default();
    converter.measure(row);
    // Beyond the limits nothing is looked at: reading it is what the limits are to prevent.
    if !converter.problems.is_empty() {
        return Err(converter.problems.into_vec());
    }
    let cells = converter.row(table, row);
    let row = Row { cells };
    if converter.problems.is_empty() && json_bytes(&row) > ROW_BYTES_MAX {
        converter.row_too_large();
    }
    if converter.problems.is_empty() { Ok(row) } else { Err(converter.problems.into_vec()) }
}

/// Converts one value of one top-level column. Used where a whole row is not known yet.
pub(crate) fn convert_column(field: &Field, value: &Value) -> Result<Cell, Vec<ColumnProblem>> {
    let mut converter = Converter { path: field.name.clone(), ..Converter::default() };
    let mut bytes = 0;
    if !measure_value(value, ROW_DEPTH_MAX - 1, &mut bytes) {
        converter.too_deep();
    }
    let cell =
        if converter.problems.is_empty() { converter.field(field, Some(value)) } else { None };
    match cell {
        Some(cell) if converter.problems.is_empty() => Ok(cell),
        _ => Err(converter.problems.into_vec()),
    }
}

#[derive(Default)]
struct Converter {
    /// Path of the column being read.
    path: String,
    problems: ColumnProblems,
}

impl Converter {
    /// Every top-level column: absent ones are null, the empty list or their default.
    fn row(&mut self, table: &Table, row: &Map<String, Value>) -> Vec<(String, Cell)> {
        let mut cells = Vec::with_capacity(table.fields().len());
        for field in table.fields() {
            let cell = self.within(&field.name, |converter| {
                let value = row.get(&field.name);
                if value.is_none()
                    && let Some(default) = default_cell(field)
                {
                    return Some(default);
                }
                converter.field(field, value)
            });
            cells.push((field.name.clone(), cell.unwrap_or(Cell::Null)));
        }
        self.unknown(table.fields(), row);
        cells
    }

    /// The fields of a RECORD, without those that are null or empty.
    fn record(&mut self, fields: &[Field], value: &Map<String, Value>) -> Cell {
        let mut cells = Vec::new();
        for field in fields {
            let cell = self
                .within(&field.name, |converter| converter.field(field, value.get(&field.name)));
            match cell {
                None | Some(Cell::Null) => {}
                Some(Cell::Array(elements)) if elements.is_empty() => {}
                Some(cell) => cells.push((field.name.clone(), cell)),
            }
        }
        self.unknown(fields, value);
        Cell::Record(cells)
    }

    /// `None` means that a problem was reported.
    fn field(&mut self, field: &Field, value: Option<&Value>) -> Option<Cell> {
        let value = value.filter(|value| !value.is_null());
        match (field.mode, value) {
            (Mode::Nullable, None) => Some(Cell::Null),
            (Mode::Repeated, None) => Some(Cell::Array(Vec::new())),
            (Mode::Required, None) => {
                let fix = format!("give {}", takes(field.field_type));
                self.report(ColumnProblemKind::Missing, "the column is REQUIRED", fix);
                None
            }
            (Mode::Nullable | Mode::Required, Some(value)) => self.single(field, value),
            (Mode::Repeated, Some(Value::Array(elements))) => self.list(field, elements),
            (Mode::Repeated, Some(value)) => {
                let mismatch = wrong_type(field.field_type, value);
                self.report(
                    mismatch.kind,
                    "the column is REPEATED and takes a list",
                    format!("give a list, each element {}", takes(field.field_type)),
                );
                None
            }
        }
    }

    fn list(&mut self, field: &Field, elements: &[Value]) -> Option<Cell> {
        let mut cells = Vec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            if self.problems.is_full() {
                return None;
            }
            let length = self.path.len();
            // Writing to a String cannot fail.
            let _ = write!(self.path, "[{index}]");
            if element.is_null() {
                self.report(
                    ColumnProblemKind::Missing,
                    "an element of a REPEATED column is never null",
                    "leave the element out, or use one JSON column for the whole list",
                );
            } else {
                cells.extend(self.single(field, element));
            }
            self.path.truncate(length);
        }
        Some(Cell::Array(cells))
    }

    fn single(&mut self, field: &Field, value: &Value) -> Option<Cell> {
        match (field.field_type, value) {
            (FieldType::Record, Value::Object(object)) => Some(self.record(&field.fields, object)),
            (field_type, value) => match scalar(field_type, value) {
                Ok(cell) => Some(cell),
                Err(Mismatch { kind, message, fix }) => {
                    self.report(kind, message, fix);
                    None
                }
            },
        }
    }

    fn unknown(&mut self, fields: &[Field], object: &Map<String, Value>) {
        let known = fields.iter().filter(|field| object.contains_key(&field.name)).count();
        if known == object.len() {
            return;
        }
        for name in object.keys() {
            if self.problems.is_full() {
                return;
            }
            if !fields.iter().any(|field| field.name == *name) {
                let names = fields.iter().map(|field| field.name.as_str());
                let fix = did_you_mean(name, names, || {
                    "remove it, or add the column to the table".to_owned()
                });
                self.within(&shown(name), |converter| {
                    converter.report(
                        ColumnProblemKind::Unknown,
                        "the table has no such column",
                        fix,
                    );
                });
            }
        }
    }

    /// Reports a row whose size or depth is beyond the limits.
    fn measure(&mut self, row: &Map<String, Value>) {
        let mut bytes: usize = 0;
        for (name, value) in row {
            bytes = bytes.saturating_add(name.len());
            if bytes > ROW_BYTES_MAX {
                break;
            }
            if !measure_value(value, ROW_DEPTH_MAX - 1, &mut bytes) {
                self.within(&shown(name), Self::too_deep);
            }
        }
        if bytes > ROW_BYTES_MAX {
            self.row_too_large();
        }
    }

    fn too_deep(&mut self) {
        self.report(
            ColumnProblemKind::TooDeep,
            format!("the value is nested deeper than the {ROW_DEPTH_MAX} levels of a row"),
            "flatten it, or land it as text",
        );
    }

    fn row_too_large(&mut self) {
        self.report(
            ColumnProblemKind::TooLarge,
            format!("the row is larger than {ROW_BYTES_MAX} bytes"),
            "land less in one row, or store large values elsewhere and land their address",
        );
    }

    fn within<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        let result = read(self);
        self.path.truncate(length);
        result
    }

    fn report(
        &mut self,
        kind: ColumnProblemKind,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.problems.report(&self.path, kind, message, fix);
    }
}

/// Adds to `bytes` what the value takes at least; false when it is deeper than `levels`.
fn measure_value(value: &Value, levels: usize, bytes: &mut usize) -> bool {
    let own = if let Value::String(text) = value { text.len() } else { 1 };
    *bytes = bytes.saturating_add(own);
    // Too large is enough to know; how deep the rest is does not matter any more.
    if *bytes > ROW_BYTES_MAX {
        return true;
    }
    match (value, levels.checked_sub(1)) {
        (Value::Array(elements), Some(levels)) => {
            elements.iter().all(|element| measure_value(element, levels, bytes))
        }
        (Value::Object(object), Some(levels)) => object.iter().all(|(name, value)| {
            *bytes = bytes.saturating_add(name.len());
            measure_value(value, levels, bytes)
        }),
        (Value::Array(_) | Value::Object(_), None) => false,
        _ => true,
    }
}

/// Length of the row's JSON text, without making it.
fn json_bytes(row: &Row) -> usize {
    struct Counter(usize);
    impl io::Write for Counter {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            self.0 = self.0.saturating_add(buffer.len());
            Ok(buffer.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    match serde_json::to_writer(&mut counter, row) {
        Ok(()) => counter.0,
        // Keys are text and cells are JSON, so this does not happen; if it did, refuse the row.
        Err(_) => usize::MAX,
    }
}
