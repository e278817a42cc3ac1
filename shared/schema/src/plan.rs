//! From an old table to a new one: what changes, and what is refused because rows that have
//! landed would not fit any more.

use serde::Serialize;

use crate::meta::with_meta;
use crate::suggest::nearest;
use crate::table::{Field, Mode, Table};

/// What it takes to make the old table the new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// What is done, in this order.
    pub changes: Vec<Change>,
    /// What is not done, with the reason. Apply nothing unless this is empty.
    pub refused: Vec<Refusal>,
}

impl Plan {
    /// Nothing is refused.
    pub fn is_allowed(&self) -> bool {
        self.refused.is_empty()
    }

    /// The tables are the same.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.refused.is_empty()
    }
}

/// One change. Columns are paths such as `contact.name`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Change {
    /// The table is new.
    Create {
        /// Its id.
        table: String,
    },
    /// A NULLABLE or REPEATED column comes; old rows have no value in it.
    AddColumn {
        /// The new column.
        column: String,
        /// Its definition, without its default: BigQuery sets that afterwards.
        field: Field,
    },
    /// A REQUIRED column becomes NULLABLE.
    Relax {
        /// The column.
        column: String,
    },
    /// The table's description.
    DescribeTable {
        /// The new one; `None` removes it.
        description: Option<String>,
    },
    /// A column's description.
    DescribeColumn {
        /// The column.
        column: String,
        /// The new one; `None` removes it.
        description: Option<String>,
    },
    /// A column's default, for rows that land from now on.
    SetDefault {
        /// The column.
        column: String,
        /// The new one; `None` removes it.
        expression: Option<String>,
    },
    /// Clustering, of rows that land from now on.
    SetClustering {
        /// The new columns; empty removes clustering.
        columns: Vec<String>,
    },
}

/// A difference that is not applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Which rule.
    pub kind: RefusalKind,
    /// Path of the column; empty when it is about the table.
    pub column: String,
    /// Why.
    pub reason: String,
    /// What to do instead.
    pub fix: String,
}

/// Rules that refuse a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RefusalKind {
    /// Another table id.
    Rename,
    /// A column is gone.
    DropColumn,
    /// A column has another type.
    ChangeType,
    /// A column became REQUIRED, REPEATED or single.
    ChangeMode,
    /// A new column is REQUIRED.
    AddRequired,
    /// Partitioning differs.
    ChangePartitioning,
    /// The primary key differs.
    ChangePrimaryKey,
}

/// Compares two tables. The order of columns does not count, and both carry the meta columns
/// whether they define them or not.
pub fn plan(old: Option<&Table>, new: &Table) -> Plan {
    let mut planner = Planner { plan: Plan { changes: Vec::new(), refused: Vec::new() } };
    match old {
        None => planner.plan.changes.push(Change::Create { table: new.id().to_owned() }),
        Some(old) => planner.table(&with_meta(old.clone()), &with_meta(new.clone())),
    }
    planner.plan
}

struct Planner {
    plan: Plan,
}

impl Planner {
    fn table(&mut self, old: &Table, new: &Table) {
        if old.id() != new.id() {
            self.refuse(
                RefusalKind::Rename,
                "",
                format!("`{}` is another table than `{}`", new.id(), old.id()),
                "make a new table and leave the old one",
            );
        }
        if old.description != new.description {
            let description = new.description.clone();
            self.plan.changes.push(Change::DescribeTable { description });
        }
        self.fields("", old.fields(), new.fields());
        if old.time_partitioning != new.time_partitioning {
            self.refuse(
                RefusalKind::ChangePartitioning,
                "",
                "BigQuery cannot partition a table anew".to_owned(),
                "keep the partitioning, or make a new table",
            );
        }
        if old.primary_key() != new.primary_key() {
            self.refuse(
                RefusalKind::ChangePrimaryKey,
                "",
                "the key decides which rows are versions of one thing".to_owned(),
                "keep the primary key, or make a new table",
            );
        }
        if old.clustering_columns() != new.clustering_columns() {
            let columns = new.clustering_columns().to_vec();
            self.plan.changes.push(Change::SetClustering { columns });
        }
    }

    /// Recursion is bounded by the nesting of a parsed table.
    fn fields(&mut self, parent: &str, old: &[Field], new: &[Field]) {
        for field in old {
            let column = path(parent, &field.name);
            match new.iter().find(|other| other.name == field.name) {
                Some(other) => self.field(&column, field, other),
                None => self.dropped(&column, field, new),
            }
        }
        for field in new {
            if !old.iter().any(|other| other.name == field.name) {
                self.added(path(parent, &field.name), field);
            }
        }
    }

    fn field(&mut self, column: &str, old: &Field, new: &Field) {
        if old.field_type != new.field_type {
            self.refuse(
                RefusalKind::ChangeType,
                column,
                format!("rows have landed as {}, not as {}", old.field_type, new.field_type),
                "keep the type, and add a column with the new one",
            );
            return;
        }
        match (old.mode, new.mode) {
            (same, other) if same == other => {}
            (Mode::Required, Mode::Nullable) => {
                self.plan.changes.push(Change::Relax { column: column.to_owned() });
            }
            (from, to) => self.refuse(
                RefusalKind::ChangeMode,
                column,
                format!("rows have landed as {}, not as {}", from.name(), to.name()),
                "keep the mode, and add a column with the new one",
            ),
        }
        if old.description != new.description {
            let (column, description) = (column.to_owned(), new.description.clone());
            self.plan.changes.push(Change::DescribeColumn { column, description });
        }
        if old.default_value_expression != new.default_value_expression {
            let (column, expression) = (column.to_owned(), new.default_value_expression.clone());
            self.plan.changes.push(Change::SetDefault { column, expression });
        }
        self.fields(column, &old.fields, &new.fields);
    }

    fn dropped(&mut self, column: &str, field: &Field, new: &[Field]) {
        let fix = match nearest(&field.name, new.iter().map(|field| field.name.as_str())) {
            Some(near) => {
                format!("put the column back; if it is now called `{near}`, keep both names")
            }
            None => "put the column back; make it NULLABLE if it is not filled any more".to_owned(),
        };
        self.refuse(
            RefusalKind::DropColumn,
            column,
            "the values that have landed in it would be lost".to_owned(),
            &fix,
        );
    }

    fn added(&mut self, column: String, field: &Field) {
        if field.mode == Mode::Required {
            self.refuse(
                RefusalKind::AddRequired,
                &column,
                "rows that have landed have no value in it".to_owned(),
                "make the column NULLABLE",
            );
            return;
        }
        let mut added = field.clone();
        let expression = added.default_value_expression.take();
        self.plan.changes.push(Change::AddColumn { column: column.clone(), field: added });
        if expression.is_some() {
            self.plan.changes.push(Change::SetDefault { column, expression });
        }
    }

    fn refuse(&mut self, kind: RefusalKind, column: &str, reason: String, fix: &str) {
        let (column, fix) = (column.to_owned(), fix.to_owned());
        self.plan.refused.push(Refusal { kind, column, reason, fix });
    }
}

fn path(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") }
}
