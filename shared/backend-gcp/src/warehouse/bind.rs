//! A row against its table: in the table's order, of the table's types, and how much it weighs.

use schema::{Cell, Field, FieldType, Mode, Row, Table};

use super::arrow::decimal;

/// Largest row, in bytes as Arrow lays it out, and most bytes of one request; BigQuery takes
/// 10 MB, of which buffers' padding and headers get the rest.
pub(super) const BYTES_MAX: usize = 9_000_000;

/// The values of a row, one for each column of the table, in its order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct BoundRow {
    /// JSON values are texts here.
    pub(super) cells: Vec<Cell>,
    /// Bytes in Arrow, padding not counted.
    pub(super) weight: usize,
}

/// The values of a row, or why it does not fit the table.
pub(super) fn bind(table: &Table, row: &Row) -> Result<BoundRow, String> {
    let fields = table.fields();
    let stranger = row.cells.iter().find(|(name, _)| table.field(name).is_none());
    if let Some((name, _)) = stranger {
        return Err(format!("the table has no column {name}"));
    }
    let mut scale = Scale { weight: 0 };
    let mut cells = Vec::with_capacity(fields.len());
    for (index, field) in fields.iter().enumerate() {
        // A converted row has the table's order; one of another version may not.
        let cell = match row.cells.get(index).filter(|(name, _)| *name == field.name) {
            Some((_, cell)) => Some(cell),
            None => row.get(&field.name),
        };
        let cell = cell.ok_or_else(|| format!("column {} is missing", field.name))?;
        cells.push(scale.field(field, cell)?);
    }
    Ok(BoundRow { cells, weight: scale.weight })
}

struct Scale {
    weight: usize,
}

impl Scale {
    fn add(&mut self, bytes: usize) -> Result<(), String> {
        self.weight = self.weight.saturating_add(bytes);
        if self.weight <= BYTES_MAX {
            return Ok(());
        }
        Err(format!(
            "the row takes more than {BYTES_MAX} bytes in BigQuery's format; land less in one row"
        ))
    }

    fn field(&mut self, field: &Field, cell: &Cell) -> Result<Cell, String> {
        match (field.mode, cell) {
            (Mode::Required, Cell::Null) => {
                Err(format!("column {} is REQUIRED and has no value", field.name))
            }
            (Mode::Nullable, Cell::Null) => {
                self.absent(field)?;
                Ok(Cell::Null)
            }
            (Mode::Repeated, Cell::Null) => {
                self.absent(field)?;
                Ok(Cell::Array(Vec::new()))
            }
            (Mode::Repeated, Cell::Array(elements)) => {
                self.absent(field)?;
                let elements = elements.iter().map(|element| self.single(field, element));
                elements.collect::<Result<_, _>>().map(Cell::Array)
            }
            (Mode::Nullable | Mode::Required, cell) => self.single(field, cell),
            (Mode::Repeated, _) => Err(format!("column {} takes a list", field.name)),
        }
    }

    /// What a column takes without a value: Arrow keeps a place for it all the same.
    fn absent(&mut self, field: &Field) -> Result<(), String> {
        self.add(width(field))?;
        if field.mode != Mode::Repeated {
            field.fields.iter().try_for_each(|field| self.absent(field))?;
        }
        Ok(())
    }

    fn single(&mut self, field: &Field, cell: &Cell) -> Result<Cell, String> {
        if let (FieldType::Record, Cell::Record(parts)) = (field.field_type, cell) {
            return self.record(field, parts);
        }
        let fixed = width_of_one(field.field_type);
        match (field.field_type, cell) {
            (FieldType::String, Cell::String(text)) => self.add(fixed + text.len())?,
            (FieldType::Bytes, Cell::Bytes(bytes)) => self.add(fixed + bytes.len())?,
            (FieldType::Json, Cell::Json(value)) => {
                let text = value.to_string();
                self.add(fixed + text.len())?;
                return Ok(Cell::String(text));
            }
            (FieldType::Numeric, Cell::Numeric(text)) if decimal(text).is_some() => {
                self.add(fixed)?;
            }
            (FieldType::Int64, Cell::Int64(_))
            | (FieldType::Float64, Cell::Float64(_))
            | (FieldType::Bool, Cell::Bool(_))
            | (FieldType::Date, Cell::Date(_))
            | (FieldType::DateTime, Cell::DateTime(_))
            | (FieldType::Time, Cell::Time(_))
            | (FieldType::Timestamp, Cell::Timestamp(_)) => self.add(fixed)?,
            _ => return Err(format!("column {} takes {}", field.name, field.field_type)),
        }
        Ok(cell.clone())
    }

    /// The fields of a record, absent ones left out, in the order of the table.
    fn record(&mut self, field: &Field, parts: &[(String, Cell)]) -> Result<Cell, String> {
        self.add(1)?;
        let mut cells = Vec::with_capacity(parts.len());
        let mut left = parts.iter().peekable();
        for part in &field.fields {
            match left.next_if(|(name, _)| *name == part.name) {
                Some((name, cell)) => cells.push((name.clone(), self.field(part, cell)?)),
                None if part.mode == Mode::Required => {
                    let (record, name) = (&field.name, &part.name);
                    return Err(format!("column {record}.{name} is REQUIRED and has no value"));
                }
                None => self.absent(part)?,
            }
        }
        match left.next() {
            None => Ok(Cell::Record(cells)),
            Some((name, _)) => {
                Err(format!("column {} has no field {name} at this place", field.name))
            }
        }
    }
}

/// Bytes of a column before its values: a list's offset, or the place of one value.
fn width(field: &Field) -> usize {
    if field.mode == Mode::Repeated { 5 } else { width_of_one(field.field_type) }
}

/// Bytes of one value, those of texts not counted; one of them for whether it is there.
fn width_of_one(field_type: FieldType) -> usize {
    match field_type {
        FieldType::Bool => 2,
        FieldType::Date | FieldType::String | FieldType::Json | FieldType::Bytes => 5,
        FieldType::Int64
        | FieldType::Float64
        | FieldType::DateTime
        | FieldType::Time
        | FieldType::Timestamp => 9,
        FieldType::Numeric => 17,
        FieldType::Record => 1,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn table(fields: &Value) -> Table {
        let table = json!({"tableReference": {"tableId": "t"}, "schema": {"fields": fields}});
        Table::parse(&table).unwrap()
    }

    fn row(table: &Table, row: &Value) -> Row {
        schema::convert(table, row.as_object().unwrap()).unwrap()
    }

    #[test]
    fn rows_of_another_version_are_put_in_order() {
        let old = table(&json!([{"name": "b", "type": "INT64"}, {"name": "a", "type": "JSON"}]));
        let new = table(&json!([{"name": "a", "type": "JSON"}, {"name": "b", "type": "INT64"}]));
        let bound = bind(&new, &row(&old, &json!({"a": {"z": 1}, "b": 2}))).unwrap();
        assert_eq!(bound.cells, [Cell::String("{\"z\":1}".into()), Cell::Int64(2)]);
        assert_eq!(bound.weight, 5 + 7 + 9);
    }

    #[test]
    fn what_does_not_fit_says_why() {
        let a = |field_type: &str, mode: &str| {
            table(&json!([{"name": "a", "type": field_type, "mode": mode}]))
        };
        let two = table(&json!([{"name": "a", "type": "STRING"}, {"name": "b", "type": "STRING"}]));
        let text = row(&a("STRING", "NULLABLE"), &json!({"a": "x"}));
        let none = row(&a("STRING", "NULLABLE"), &json!({}));
        for (table, row, expected) in [
            (a("INT64", "NULLABLE"), &text, "column a takes INT64"),
            (a("STRING", "REPEATED"), &text, "column a takes a list"),
            (a("STRING", "REQUIRED"), &none, "column a is REQUIRED and has no value"),
            (two, &text, "column b is missing"),
            (table(&json!([{"name": "c", "type": "STRING"}])), &text, "the table has no column a"),
        ] {
            assert_eq!(bind(&table, row), Err(expected.to_owned()));
        }
    }

    #[test]
    fn records_are_checked_too() {
        let part = |name: &str, mode: &str| json!({"name": name, "type": "STRING", "mode": mode});
        let record =
            |parts: &[Value]| table(&json!([{"name": "r", "type": "RECORD", "fields": parts}]));
        let both = record(&[part("a", "NULLABLE"), part("b", "NULLABLE")]);
        let full = row(&both, &json!({"r": {"b": "y", "a": "x"}}));
        assert!(bind(&both, &full).is_ok());
        let turned = record(&[part("b", "NULLABLE"), part("a", "NULLABLE")]);
        let reason = bind(&turned, &full).unwrap_err();
        assert_eq!(reason, "column r has no field b at this place");
        let strict = record(&[part("a", "NULLABLE"), part("b", "REQUIRED")]);
        let reason = bind(&strict, &row(&both, &json!({"r": {}}))).unwrap_err();
        assert_eq!(reason, "column r.b is REQUIRED and has no value");
        assert!(bind(&strict, &row(&both, &json!({}))).is_ok(), "no record at all");
    }

    #[test]
    fn decimals_are_whole_numbers_of_their_last_digit() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-12.5", Some(-12_500_000_000)),
            ("0.000000001", Some(1)),
            ("1.0000000001", None),
            ("", Some(0)),
            ("x", None),
            ("99999999999999999999999999999.999999999", Some(10_i128.pow(38) - 1)),
            ("999999999999999999999999999999.999999999", None),
        ] {
            assert_eq!(decimal(text), expected, "{text}");
        }
    }
}
