//! The columns that every table carries and that whoever lands a row supplies.

use crate::table::{Field, FieldType, Mode, Table};

pub(crate) const EVENT_ID: &str = "event_id";
pub(crate) const SEQUENCE: &str = "sequence";
pub(crate) const LANDED_AT: &str = "landed_at";

/// Name, type and description of the meta columns; all are REQUIRED.
pub const META_COLUMNS: [(&str, FieldType, &str); 3] = [
    (EVENT_ID, FieldType::String, "Id of the event that caused this row"),
    (
        SEQUENCE,
        FieldType::Int64,
        "Grows with every version of a thing; the greatest is the current one",
    ),
    (LANDED_AT, FieldType::Timestamp, "When the row was handed to the warehouse"),
];

/// Whether a column name is a meta column's; BigQuery and SQLite ignore the case of names.
pub fn is_meta_column(name: &str) -> bool {
    META_COLUMNS.iter().any(|(meta, _, _)| meta.eq_ignore_ascii_case(name))
}

/// The type of the meta column of exactly that name.
pub(crate) fn meta_type(name: &str) -> Option<FieldType> {
    META_COLUMNS.iter().find(|(meta, _, _)| *meta == name).map(|(_, field_type, _)| *field_type)
}

/// The table with the meta columns it does not define yet appended. Idempotent.
#[must_use]
pub fn with_meta(mut table: Table) -> Table {
    for (name, field_type, description) in META_COLUMNS {
        if table.field(name).is_none() {
            table.schema.fields.push(Field {
                name: name.to_owned(),
                field_type,
                mode: Mode::Required,
                description: Some(description.to_owned()),
                default_value_expression: None,
                fields: Vec::new(),
            });
        }
    }
    table
}
