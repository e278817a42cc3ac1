//! Warehouse table schemas: what a table looks like, whether a row fits it, what changes between
//! two versions of it, and the SQL text that makes the same table in SQLite and its views.
//!
//! A [`Table`] is the subset of BigQuery's REST resource `Table` that Chatflow uses, so that one
//! file (`infra/bigquery/*.json`) serves Terraform, BigQuery and the local store.
//!
//! | module | holds |
//! |---|---|
//! | [`limits`] | every number that bounds a table or a row |
//! | `table`, `parse` | [`Table`] and how it is read from JSON with all problems at once |
//! | `meta` | the columns every table carries: [`with_meta`] |
//! | `cell`, `convert` | [`Row`], [`Cell`] and [`convert()`], JSON row to typed row |
//! | `template` | [`check_row_template`], for checking flows before they are published |
//! | `plan` | [`plan()`], from an old table to a new one |
//! | [`sqlite`], [`bigquery`] | SQL text |
//! | `base` | the tables Chatflow itself lands in: [`base_tables`] |
//!
//! Nothing here does I/O, knows the time or makes an id.

mod base;
pub mod bigquery;
mod cell;
mod column_problem;
mod convert;
mod default_value;
pub mod limits;
mod meta;
mod numeric;
mod parse;
mod plan;
mod problem;
mod references;
mod scalar;
pub mod sqlite;
mod suggest;
mod table;
mod template;
mod temporal;
#[cfg(test)]
mod tests;

pub use base::{base_table, base_tables};
pub use cell::{Cell, Row};
pub use column_problem::{ColumnProblem, ColumnProblemKind};
pub use convert::convert;
pub use meta::{META_COLUMNS, is_meta_column, with_meta};
pub use plan::{Change, Plan, Refusal, RefusalKind, plan};
pub use problem::{InvalidTable, Problem};
pub use table::{
    Clustering, Field, FieldType, Mode, PartitionType, PrimaryKey, Table, TableConstraints,
    TableReference, TableSchema, TimePartitioning,
};
pub use template::{Shape, check_row_template};
