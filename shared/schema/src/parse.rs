//! JSON to [`Table`]: everything that is wrong is reported, with where it is and what to do.

use serde_json::{Map, Value};

use crate::base::BASE_TABLE_IDS;
use crate::default_value;
use crate::limits::{
    COLUMN_DESCRIPTION_CHARS_MAX, COLUMN_NAME_CHARS_MAX, COLUMNS_MAX, DEFAULT_EXPRESSION_BYTES_MAX,
    NESTING_MAX, TABLE_DESCRIPTION_CHARS_MAX, TABLE_ID_CHARS_MAX,
};
use crate::meta::{is_meta_column, meta_type};
use crate::problem::{InvalidTable, Problems, below, describe};
use crate::references::{Columns, References};
use crate::suggest::{did_you_mean, nearest, shown};
use crate::table::{Field, FieldType, Mode, Table, TableReference, TableSchema};

/// Who wrote the table: a user may not define what Chatflow defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Author {
    Chatflow,
    User,
}

/// Prefixes BigQuery keeps for itself, whatever the case.
const RESERVED_PREFIXES: [&str; 9] = [
    "_TABLE_",
    "_FILE_",
    "_PARTITION",
    "_ROW_TIMESTAMP",
    "__ROOT__",
    "_COLIDENTIFIER",
    "_CHANGE_SEQUENCE_NUMBER",
    "_CHANGE_TYPE",
    "_CHANGE_TIMESTAMP",
];

pub(crate) fn table(value: &Value, author: Author) -> Result<Table, InvalidTable> {
    let mut reader = Reader { problems: Problems::default(), author, columns: 0, stopped: false };
    match reader.table(value) {
        Some(table) if reader.problems.is_empty() => Ok(table),
        _ => Err(reader.problems.into_error()),
    }
}

pub(crate) struct Reader {
    pub(crate) problems: Problems,
    author: Author,
    /// Columns read so far, nested ones counted, meta columns not.
    columns: usize,
    /// Too many columns or problems: the rest is not read.
    stopped: bool,
}

impl Reader {
    fn table(&mut self, value: &Value) -> Option<Table> {
        let known = [
            "tableReference",
            "description",
            "schema",
            "timePartitioning",
            "clustering",
            "tableConstraints",
        ];
        let root = self.object(value, "", &known)?;
        let table_id = self.table_id(root);
        let description = self.description(root, "", TABLE_DESCRIPTION_CHARS_MAX);
        let columns = self.schema(root);
        let references = References::read(self, root, columns.as_ref());
        Some(Table {
            table_reference: TableReference { table_id: table_id? },
            description,
            schema: TableSchema { fields: columns?.into_fields() },
            time_partitioning: references.time_partitioning,
            clustering: references.clustering,
            table_constraints: references.table_constraints,
        })
    }

    fn table_id(&mut self, root: &Map<String, Value>) -> Option<String> {
        let reference = self.required(root, "", "tableReference", "{\"tableId\": \"…\"}")?;
        let reference = self.object(reference, "/tableReference", &["tableId"])?;
        let id = self.required(reference, "/tableReference", "tableId", "a table id")?;
        let pointer = "/tableReference/tableId";
        let id = self.text(id, pointer)?;
        let well_formed = id.starts_with(|first: char| first.is_ascii_lowercase())
            && id.len() <= TABLE_ID_CHARS_MAX
            && id.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        if !well_formed {
            self.problems.report(
                pointer,
                format!("`{}` is no table id", shown(id)),
                "use 1 to 63 lower-case letters, digits and underscores, a letter first",
            );
        } else if self.author == Author::User && BASE_TABLE_IDS.contains(&id) {
            self.problems.report(
                pointer,
                format!("`{id}` is a table of Chatflow's own"),
                "choose another id",
            );
        } else if self.author == Author::User && id.ends_with("_current") {
            self.problems.report(
                pointer,
                "ids that end in `_current` are those of the current-state views",
                "choose another id",
            );
        }
        Some(id.to_owned())
    }

    fn schema(&mut self, root: &Map<String, Value>) -> Option<Columns> {
        let schema = self.required(root, "", "schema", "{\"fields\": […]}")?;
        let schema = self.object(schema, "/schema", &["fields"])?;
        let fields = self.required(schema, "/schema", "fields", "a list of columns")?;
        self.fields(fields, "/schema/fields", 1)
    }

    /// `None` when the columns are not all known, so that nothing can be said about their names.
    fn fields(&mut self, value: &Value, pointer: &str, level: usize) -> Option<Columns> {
        let list = self.list(value, pointer)?;
        if list.is_empty() {
            self.problems.report(pointer, "there are no columns", "define at least one column");
        }
        let mut columns = Columns::default();
        for (index, value) in list.iter().enumerate() {
            let pointer = below(pointer, &index.to_string());
            let (name, field) = self.field(value, &pointer, level);
            let meta = level == 1 && name.as_deref().is_some_and(is_meta_column);
            self.columns += usize::from(!meta);
            if self.stops() {
                return None;
            }
            let Some(name) = name else { continue };
            if columns.declares(&name) {
                self.problems.report(
                    &below(&pointer, "name"),
                    format!("a column `{}` exists already; case makes no difference", shown(&name)),
                    "rename or remove one of them",
                );
            } else {
                columns.declare(name, field);
            }
        }
        Some(columns)
    }

    /// Whether to stop reading columns; every level above stops as well.
    fn stops(&mut self) -> bool {
        if self.columns > COLUMNS_MAX && !self.stopped {
            self.problems.report(
                "/schema/fields",
                format!("there are more than {COLUMNS_MAX} columns, nested ones counted"),
                "split the table, or put rarely used values into one JSON column",
            );
        }
        self.stopped |= self.columns > COLUMNS_MAX || self.problems.is_full();
        self.stopped
    }

    /// The name as declared, even when the rest is wrong, and the column when all of it is right.
    fn field(
        &mut self,
        value: &Value,
        pointer: &str,
        level: usize,
    ) -> (Option<String>, Option<Field>) {
        let known = ["name", "type", "mode", "description", "fields", "defaultValueExpression"];
        let Some(object) = self.object(value, pointer, &known) else { return (None, None) };
        let name = self.column_name(object, pointer, level);
        let field_type = self.field_type(object, pointer);
        let mode = self.mode(object, pointer);
        let description = self.description(object, pointer, COLUMN_DESCRIPTION_CHARS_MAX);
        let fields = self.nested(object, pointer, level, field_type);
        let default = self.default_expression(object, pointer);
        let (Some(field_name), Some(field_type), Some(mode), Some(fields)) =
            (name.clone(), field_type, mode, fields)
        else {
            return (name, None);
        };
        let field = Field {
            name: field_name,
            field_type,
            mode,
            description,
            default_value_expression: default,
            fields,
        };
        self.check_default(&field, pointer, level);
        self.check_meta(&field, pointer, level);
        (name, Some(field))
    }

    fn column_name(
        &mut self,
        object: &Map<String, Value>,
        pointer: &str,
        level: usize,
    ) -> Option<String> {
        let name = self.required(object, pointer, "name", "a column name")?;
        let pointer = below(pointer, "name");
        let name = self.text(name, &pointer)?;
        let upper = name.get(..64).unwrap_or(name).to_ascii_uppercase();
        let prefix = RESERVED_PREFIXES.iter().find(|prefix| upper.starts_with(**prefix));
        let first = |first: char| first.is_ascii_alphabetic() || first == '_';
        if name.len() > COLUMN_NAME_CHARS_MAX
            || !name.starts_with(first)
            || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            self.problems.report(
                &pointer,
                format!("`{}` is no column name", shown(name)),
                format!(
                    "use at most {COLUMN_NAME_CHARS_MAX} letters a-z, digits and underscores, \
                     no digit first"
                ),
            );
        } else if let Some(prefix) = prefix {
            self.problems.report(
                &pointer,
                format!("BigQuery keeps names that start with `{prefix}` for itself"),
                "rename the column",
            );
        } else if self.author == Author::User && level == 1 && is_meta_column(name) {
            self.problems.report(
                &pointer,
                format!("`{name}` is filled by Chatflow in every table"),
                "remove the column, or rename it if it means something else",
            );
        }
        Some(name.to_owned())
    }

    fn field_type(&mut self, object: &Map<String, Value>, pointer: &str) -> Option<FieldType> {
        let value = self.required(object, pointer, "type", "a type such as STRING")?;
        let pointer = below(pointer, "type");
        let name = self.text(value, &pointer)?;
        let known = FieldType::from_name(name);
        if known.is_none() {
            self.choice(&pointer, name, "type", &FieldType::ALL.map(FieldType::name));
        }
        known
    }

    fn mode(&mut self, object: &Map<String, Value>, pointer: &str) -> Option<Mode> {
        let Some(value) = object.get("mode") else { return Some(Mode::Nullable) };
        let pointer = below(pointer, "mode");
        let name = self.text(value, &pointer)?;
        let known = Mode::ALL.into_iter().find(|mode| mode.name() == name);
        if known.is_none() {
            self.choice(&pointer, name, "mode", &Mode::ALL.map(Mode::name));
        }
        known
    }

    /// The fields of a RECORD; none for other types.
    fn nested(
        &mut self,
        object: &Map<String, Value>,
        pointer: &str,
        level: usize,
        field_type: Option<FieldType>,
    ) -> Option<Vec<Field>> {
        let fields_pointer = below(pointer, "fields");
        match (object.get("fields"), field_type) {
            (None, Some(FieldType::Record)) => {
                self.problems.report(
                    &fields_pointer,
                    "a RECORD needs fields",
                    "add `fields`, or use the type JSON for a value without a fixed shape",
                );
                None
            }
            (None, _) => Some(Vec::new()),
            (Some(_), Some(other)) if other != FieldType::Record => {
                self.problems.report(
                    &fields_pointer,
                    format!("a column of type {other} has no fields"),
                    "remove `fields`, or use the type RECORD",
                );
                None
            }
            (Some(_), _) if level >= NESTING_MAX => {
                self.problems.report(
                    &fields_pointer,
                    format!("columns are nested deeper than {NESTING_MAX} levels"),
                    "flatten the table, or use the type JSON here",
                );
                None
            }
            (Some(fields), _) => {
                self.fields(fields, &fields_pointer, level + 1).map(Columns::into_fields)
            }
        }
    }

    fn default_expression(&mut self, object: &Map<String, Value>, at: &str) -> Option<String> {
        let value = object.get("defaultValueExpression")?;
        let pointer = below(at, "defaultValueExpression");
        let expression = self.text(value, &pointer)?;
        if expression.len() > DEFAULT_EXPRESSION_BYTES_MAX {
            self.problems.report(
                &pointer,
                format!("the default has more than {DEFAULT_EXPRESSION_BYTES_MAX} bytes"),
                "shorten it",
            );
            return None;
        }
        Some(expression.to_owned())
    }

    fn check_default(&mut self, field: &Field, pointer: &str, level: usize) {
        if field.default_value_expression.is_none() {
            return;
        }
        let pointer = below(pointer, "defaultValueExpression");
        if level > 1 || field.mode == Mode::Repeated || field.field_type == FieldType::Record {
            self.problems.report(
                &pointer,
                "only a top-level column that is neither REPEATED nor a RECORD has a default",
                "remove `defaultValueExpression`",
            );
        } else if default_value::default_cell(field).is_none() {
            self.problems.report(
                &pointer,
                format!("the default is no literal for a {} column", field.field_type),
                default_value::FIX,
            );
        }
    }

    /// Where Chatflow's own tables define a meta column, it is the one everybody relies on.
    fn check_meta(&mut self, field: &Field, pointer: &str, level: usize) {
        if self.author == Author::User || level > 1 || !is_meta_column(&field.name) {
            return;
        }
        let as_defined = meta_type(&field.name) == Some(field.field_type)
            && field.mode == Mode::Required
            && field.default_value_expression.is_none();
        if !as_defined {
            self.problems.report(
                pointer,
                format!("`{}` is not the meta column of that name", field.name),
                "define it as `event_id` STRING, `sequence` INT64 or `landed_at` TIMESTAMP, \
                 REQUIRED, or leave it out",
            );
        }
    }

    fn description(
        &mut self,
        object: &Map<String, Value>,
        pointer: &str,
        chars_max: usize,
    ) -> Option<String> {
        let value = object.get("description")?;
        let pointer = below(pointer, "description");
        let text = self.text(value, &pointer)?;
        if text.chars().count() > chars_max {
            self.problems.report(
                &pointer,
                format!("the description has more than {chars_max} characters"),
                "shorten it",
            );
        }
        Some(text.to_owned())
    }

    /// The object, with every property reported that is not known.
    pub(crate) fn object<'a>(
        &mut self,
        value: &'a Value,
        pointer: &str,
        known: &[&str],
    ) -> Option<&'a Map<String, Value>> {
        let Value::Object(object) = value else {
            self.wrong_kind(pointer, "an object", value);
            return None;
        };
        for key in object.keys().filter(|key| !known.contains(&key.as_str())) {
            if self.problems.is_full() {
                break;
            }
            let fix = did_you_mean(key, known.iter().copied(), || {
                format!("remove it; known are {}", known.join(", "))
            });
            let message = format!("`{}` is not known here", shown(key));
            self.problems.report(&below(pointer, &shown(key)), message, fix);
        }
        Some(object)
    }

    pub(crate) fn required<'a>(
        &mut self,
        object: &'a Map<String, Value>,
        pointer: &str,
        key: &str,
        what: &str,
    ) -> Option<&'a Value> {
        let value = object.get(key);
        if value.is_none() {
            self.problems.report(
                &below(pointer, key),
                format!("`{key}` is missing"),
                format!("add `{key}`: {what}"),
            );
        }
        value
    }

    pub(crate) fn text<'a>(&mut self, value: &'a Value, pointer: &str) -> Option<&'a str> {
        if value.as_str().is_none() {
            self.wrong_kind(pointer, "text", value);
        }
        value.as_str()
    }

    pub(crate) fn list<'a>(&mut self, value: &'a Value, pointer: &str) -> Option<&'a [Value]> {
        if let Value::Array(list) = value {
            return Some(list);
        }
        self.wrong_kind(pointer, "a list", value);
        None
    }

    /// Reports a word that is none of the known ones.
    pub(crate) fn choice(&mut self, pointer: &str, word: &str, what: &str, known: &[&str]) {
        let listed = format!("use one of {}", known.join(", "));
        let fix = match nearest(word, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`? Otherwise {listed}"),
            None => listed,
        };
        self.problems.report(pointer, format!("`{}` is no {what}", shown(word)), fix);
    }

    fn wrong_kind(&mut self, pointer: &str, expected: &str, value: &Value) {
        self.problems.report(
            pointer,
            format!("this is {}", describe(value)),
            format!("give {expected}"),
        );
    }
}
