//! The table resource: the subset of BigQuery's REST `Table` that Chatflow uses.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Value;

use crate::problem::InvalidTable;

/// A table: its id, columns, partitioning, clustering and primary key.
///
/// Serializes to the shape of BigQuery's REST API (camelCase), which [`Table::parse`] reads.
/// Made only by parsing, so that one in hand keeps every limit of [`crate::limits`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Table {
    /// Names the table.
    pub table_reference: TableReference,
    /// What the table holds, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The columns.
    pub schema: TableSchema,
    /// How the table is cut by time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_partitioning: Option<TimePartitioning>,
    /// How rows are ordered within a partition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clustering: Option<Clustering>,
    /// The primary key, not enforced by BigQuery; it decides what the `_current` view shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table_constraints: Option<TableConstraints>,
}

/// The name of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TableReference {
    /// `[a-z][a-z0-9_]{0,62}`
    pub table_id: String,
}

/// The columns of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableSchema {
    /// Top-level columns in their order.
    pub fields: Vec<Field>,
}

/// One column, or one field of a RECORD.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Field {
    /// Letters, digits and underscores; unique among its siblings whatever the case.
    pub name: String,
    /// The type of one value.
    #[serde(rename = "type")]
    pub field_type: FieldType,
    /// Whether it may be absent, and whether it holds a list.
    pub mode: Mode,
    /// What the column holds, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A literal such as `'new'`, `0` or `TRUE` that is taken when the row leaves the column out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_value_expression: Option<String>,
    /// The fields of a RECORD; empty for every other type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
}

/// How a table is cut by time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimePartitioning {
    /// Width of a partition.
    #[serde(rename = "type")]
    pub partition_type: PartitionType,
    /// The top-level DATE, DATETIME or TIMESTAMP column that decides the partition.
    pub field: String,
}

/// Width of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names say it")]
pub enum PartitionType {
    Hour,
    Day,
    Month,
    Year,
}

/// The order of rows within a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Clustering {
    /// One to four top-level columns.
    pub fields: Vec<String>,
}

/// Constraints that BigQuery records and does not enforce.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TableConstraints {
    /// Rows with equal values here are versions of one thing.
    pub primary_key: PrimaryKey,
}

/// The columns that identify a thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PrimaryKey {
    /// Top-level REQUIRED columns.
    pub columns: Vec<String>,
}

/// The type of one value. JSON shapes are those that [`crate::convert()`] takes and
/// [`crate::Row::to_json`] writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum FieldType {
    /// Text of at most 1 MiB.
    String,
    /// Whole number of 64 bits; also read as `INTEGER`.
    Int64,
    /// Number of 64 bits; also read as `FLOAT`.
    Float64,
    /// Decimal number with 29 digits before and 9 after the point; in JSON a string.
    Numeric,
    /// True or false; also read as `BOOLEAN`.
    Bool,
    /// `YYYY-MM-DD`
    Date,
    /// `YYYY-MM-DDTHH:MM:SS[.ffffff]`, without a zone.
    DateTime,
    /// `HH:MM:SS[.ffffff]`
    Time,
    /// A point in time: RFC 3339, microseconds.
    Timestamp,
    /// Any JSON value.
    Json,
    /// Named fields; also read as `STRUCT`.
    Record,
    /// Bytes; in JSON standard base64 with padding.
    Bytes,
}

impl FieldType {
    /// Every type, in the order in which messages list them.
    pub const ALL: [Self; 12] = [
        Self::String,
        Self::Int64,
        Self::Float64,
        Self::Numeric,
        Self::Bool,
        Self::Date,
        Self::DateTime,
        Self::Time,
        Self::Timestamp,
        Self::Json,
        Self::Record,
        Self::Bytes,
    ];

    /// BigQuery's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "STRING",
            Self::Int64 => "INT64",
            Self::Float64 => "FLOAT64",
            Self::Numeric => "NUMERIC",
            Self::Bool => "BOOL",
            Self::Date => "DATE",
            Self::DateTime => "DATETIME",
            Self::Time => "TIME",
            Self::Timestamp => "TIMESTAMP",
            Self::Json => "JSON",
            Self::Record => "RECORD",
            Self::Bytes => "BYTES",
        }
    }

    /// The type of that name, BigQuery's older names included.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "INTEGER" => Some(Self::Int64),
            "FLOAT" => Some(Self::Float64),
            "BOOLEAN" => Some(Self::Bool),
            "STRUCT" => Some(Self::Record),
            _ => Self::ALL.into_iter().find(|known| known.name() == name),
        }
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Whether a column may be absent, and whether it holds a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Mode {
    /// May be absent or null. What a field has that does not say.
    Nullable,
    /// Must be there and not null.
    Required,
    /// A list; absent and null are the empty list. Its elements are never null.
    Repeated,
}

impl Mode {
    /// BigQuery's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nullable => "NULLABLE",
            Self::Required => "REQUIRED",
            Self::Repeated => "REPEATED",
        }
    }

    pub(crate) const ALL: [Self; 3] = [Self::Nullable, Self::Required, Self::Repeated];
}

impl PartitionType {
    /// BigQuery's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hour => "HOUR",
            Self::Day => "DAY",
            Self::Month => "MONTH",
            Self::Year => "YEAR",
        }
    }

    pub(crate) const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Month, Self::Year];
}

impl Table {
    /// Reads a table from JSON and reports all problems at once. Meta columns may be defined, as
    /// Chatflow's own tables do; for a table that somebody else wrote use [`Table::parse_user`].
    pub fn parse(value: &Value) -> Result<Self, InvalidTable> {
        crate::parse::table(value, crate::parse::Author::Chatflow)
    }

    /// Like [`Table::parse`] for a user's table: it may not define the meta columns (see
    /// [`crate::with_meta`]), nor take the id of a base table or one that ends in `_current`.
    pub fn parse_user(value: &Value) -> Result<Self, InvalidTable> {
        crate::parse::table(value, crate::parse::Author::User)
    }

    /// The table's id.
    pub fn id(&self) -> &str {
        &self.table_reference.table_id
    }

    /// Top-level columns in their order.
    pub fn fields(&self) -> &[Field] {
        &self.schema.fields
    }

    /// The top-level column of exactly that name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields().iter().find(|field| field.name == name)
    }

    /// Primary key columns; empty without a key.
    pub fn primary_key(&self) -> &[String] {
        match &self.table_constraints {
            Some(constraints) => &constraints.primary_key.columns,
            None => &[],
        }
    }

    /// Clustering columns; empty without clustering.
    pub fn clustering_columns(&self) -> &[String] {
        match &self.clustering {
            Some(clustering) => &clustering.fields,
            None => &[],
        }
    }

    /// What makes two rows versions of one thing: the primary key, or, without one, `event_id`
    /// and `sequence`, so that a row that was delivered twice still counts once.
    pub fn version_key(&self) -> Vec<&str> {
        match self.primary_key() {
            [] => vec![crate::meta::EVENT_ID, crate::meta::SEQUENCE],
            columns => columns.iter().map(String::as_str).collect(),
        }
    }
}

impl<'de> Deserialize<'de> for Table {
    /// As [`Table::parse`]; the error lists all problems.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
