//! The parts of a table that name its columns: partitioning, clustering, primary key.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::limits::{CLUSTERING_COLUMNS_MAX, PRIMARY_KEY_COLUMNS_MAX};
use crate::meta::{META_COLUMNS, meta_type};
use crate::parse::Reader;
use crate::problem::below;
use crate::suggest::{did_you_mean, shown};
use crate::table::{
    Clustering, Field, FieldType, Mode, PartitionType, PrimaryKey, TableConstraints,
    TimePartitioning,
};

/// The columns of one level while a table is read.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    /// Every declared name; the column itself where nothing is wrong with it.
    declared: Vec<(String, Option<Field>)>,
    /// Names in lower case: BigQuery and SQLite ignore the case.
    lower: HashSet<String>,
}

impl Columns {
    pub(crate) fn declares(&self, name: &str) -> bool {
        self.lower.contains(&name.to_lowercase())
    }

    pub(crate) fn declare(&mut self, name: String, field: Option<Field>) {
        self.lower.insert(name.to_lowercase());
        self.declared.push((name, field));
    }

    pub(crate) fn into_fields(self) -> Vec<Field> {
        self.declared.into_iter().filter_map(|(_, field)| field).collect()
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let meta = META_COLUMNS.iter().map(|(name, _, _)| *name);
        self.declared.iter().map(|(name, _)| name.as_str()).chain(meta)
    }

    /// Type and mode of a column; meta columns exist in every table.
    fn find(&self, name: &str) -> Found {
        match self.declared.iter().find(|(declared, _)| declared == name) {
            Some((_, Some(field))) => Found::Column(field.field_type, field.mode),
            Some((_, None)) => Found::Broken,
            None => match meta_type(name) {
                Some(field_type) => Found::Column(field_type, Mode::Required),
                None => Found::Nothing,
            },
        }
    }
}

enum Found {
    Column(FieldType, Mode),
    /// Declared, with problems that are reported at the declaration.
    Broken,
    Nothing,
}

/// What [`References::read`] found; `None` where the part is absent or wrong.
#[derive(Debug)]
pub(crate) struct References {
    pub(crate) time_partitioning: Option<TimePartitioning>,
    pub(crate) clustering: Option<Clustering>,
    pub(crate) table_constraints: Option<TableConstraints>,
}

/// Types that BigQuery clusters by, of those we know.
const CLUSTERABLE: [FieldType; 7] = [
    FieldType::String,
    FieldType::Int64,
    FieldType::Numeric,
    FieldType::Bool,
    FieldType::Date,
    FieldType::DateTime,
    FieldType::Timestamp,
];

impl References {
    /// `columns` is `None` when they could not all be read: then names are not looked up.
    pub(crate) fn read(
        reader: &mut Reader,
        root: &Map<String, Value>,
        columns: Option<&Columns>,
    ) -> Self {
        Self {
            time_partitioning: partitioning(reader, root, columns),
            clustering: clustering(reader, root, columns),
            table_constraints: constraints(reader, root, columns),
        }
    }
}

fn partitioning(
    reader: &mut Reader,
    root: &Map<String, Value>,
    columns: Option<&Columns>,
) -> Option<TimePartitioning> {
    let at = "/timePartitioning";
    let object = reader.object(root.get("timePartitioning")?, at, &["type", "field"])?;
    let partition_type = reader.required(object, at, "type", "DAY, HOUR, MONTH or YEAR");
    let partition_type = partition_type.and_then(|value| partition_type_of(reader, value));
    let field = reader.required(object, at, "field", "the column that decides the partition")?;
    let pointer = "/timePartitioning/field";
    let field = reader.text(field, pointer)?;
    match column(reader, columns, field, pointer) {
        Some((FieldType::Date, _)) if partition_type == Some(PartitionType::Hour) => {
            reader.problems.report(
                "/timePartitioning/type",
                format!("`{field}` is a DATE and has no hours"),
                "use DAY, MONTH or YEAR, or a TIMESTAMP column",
            );
        }
        Some((FieldType::Date | FieldType::DateTime | FieldType::Timestamp, Mode::Repeated)) => {
            reader.problems.report(
                pointer,
                format!("`{field}` is REPEATED"),
                "partition by a column that holds one value",
            );
        }
        Some((FieldType::Date | FieldType::DateTime | FieldType::Timestamp, _)) | None => {}
        Some((other, _)) => reader.problems.report(
            pointer,
            format!("`{field}` is a {other} column"),
            "partition by a DATE, DATETIME or TIMESTAMP column",
        ),
    }
    Some(TimePartitioning { partition_type: partition_type?, field: field.to_owned() })
}

fn partition_type_of(reader: &mut Reader, value: &Value) -> Option<PartitionType> {
    let pointer = "/timePartitioning/type";
    let name = reader.text(value, pointer)?;
    let known = PartitionType::ALL.into_iter().find(|known| known.name() == name);
    if known.is_none() {
        reader.choice(
            pointer,
            name,
            "partition type",
            &PartitionType::ALL.map(PartitionType::name),
        );
    }
    known
}

fn clustering(
    reader: &mut Reader,
    root: &Map<String, Value>,
    columns: Option<&Columns>,
) -> Option<Clustering> {
    let object = reader.object(root.get("clustering")?, "/clustering", &["fields"])?;
    let value = reader.required(object, "/clustering", "fields", "one to four columns")?;
    let names = names(reader, value, "/clustering/fields", CLUSTERING_COLUMNS_MAX)?;
    for (index, name) in names.iter().enumerate() {
        let pointer = below("/clustering/fields", &index.to_string());
        let Some((field_type, mode)) = column(reader, columns, name, &pointer) else { continue };
        if mode == Mode::Repeated || !CLUSTERABLE.contains(&field_type) {
            reader.problems.report(
                &pointer,
                format!("BigQuery does not cluster by {} {field_type}", mode.name()),
                format!("cluster by single values of {}", listed(&CLUSTERABLE)),
            );
        }
    }
    Some(Clustering { fields: names })
}

fn constraints(
    reader: &mut Reader,
    root: &Map<String, Value>,
    columns: Option<&Columns>,
) -> Option<TableConstraints> {
    let at = "/tableConstraints";
    let object = reader.object(root.get("tableConstraints")?, at, &["primaryKey"])?;
    let key = reader.required(object, at, "primaryKey", "{\"columns\": […]}")?;
    let at = "/tableConstraints/primaryKey";
    let key = reader.object(key, at, &["columns"])?;
    let value = reader.required(key, at, "columns", "a list of columns")?;
    let at = "/tableConstraints/primaryKey/columns";
    let names = names(reader, value, at, PRIMARY_KEY_COLUMNS_MAX)?;
    for (index, name) in names.iter().enumerate() {
        let pointer = below(at, &index.to_string());
        let Some((field_type, mode)) = column(reader, columns, name, &pointer) else { continue };
        if mode != Mode::Required {
            reader.problems.report(
                &pointer,
                format!("`{name}` is {}: rows without it would be taken for one", mode.name()),
                "make the column REQUIRED, or choose another key",
            );
        }
        if !CLUSTERABLE.contains(&field_type) {
            reader.problems.report(
                &pointer,
                format!("BigQuery has no keys of type {field_type}"),
                format!("use columns of {}", listed(&CLUSTERABLE)),
            );
        }
    }
    Some(TableConstraints { primary_key: PrimaryKey { columns: names } })
}

/// A list of 1 to `max` different names.
fn names(reader: &mut Reader, value: &Value, pointer: &str, max: usize) -> Option<Vec<String>> {
    let list = reader.list(value, pointer)?;
    if list.is_empty() || list.len() > max {
        reader.problems.report(
            pointer,
            format!("there are {} columns", list.len()),
            format!("name 1 to {max} columns, or remove the property"),
        );
        return None;
    }
    let mut names: Vec<String> = Vec::new();
    for (index, value) in list.iter().enumerate() {
        let pointer = below(pointer, &index.to_string());
        let name = reader.text(value, &pointer)?;
        if names.iter().any(|known| known == name) {
            reader.problems.report(
                &pointer,
                format!("`{}` is named twice", shown(name)),
                "name it once",
            );
        }
        names.push(name.to_owned());
    }
    Some(names)
}

/// The column, or a report that there is none.
fn column(
    reader: &mut Reader,
    columns: Option<&Columns>,
    name: &str,
    pointer: &str,
) -> Option<(FieldType, Mode)> {
    let columns = columns?;
    match columns.find(name) {
        Found::Column(field_type, mode) => return Some((field_type, mode)),
        Found::Broken => {}
        Found::Nothing => {
            let fix = did_you_mean(name, columns.names(), || {
                "name a top-level column of this table".to_owned()
            });
            reader.problems.report(pointer, format!("there is no column `{}`", shown(name)), fix);
        }
    }
    None
}

fn listed(types: &[FieldType]) -> String {
    types.iter().map(|known| known.name()).collect::<Vec<_>>().join(", ")
}
