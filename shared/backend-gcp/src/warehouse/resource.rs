//! BigQuery's table resource: from our table to it and back.

use google_cloud_bigquery_v2::model;
use ports::PortResult;
use schema::{Field, Table, with_meta};
use serde_json::{Map, Value, json};

use super::order;
use crate::error::invalid;

/// The whole resource of a table, meta columns and hidden column included, without the project
/// and the dataset.
pub(super) fn resource(table: &Table) -> Value {
    let mut resource = json!(with_meta(table.clone()));
    if let Some(Value::Array(fields)) = resource.pointer_mut("/schema/fields") {
        fields.push(hidden_column());
    }
    resource
}

fn hidden_column() -> Value {
    json!({
        "name": order::COLUMN,
        "type": "STRING",
        "mode": "NULLABLE",
        "description": order::DESCRIPTION,
    })
}

/// The resource as the client sends it.
pub(super) fn to_create(table: &Table, project: &str, dataset: &str) -> PortResult<model::Table> {
    let mut resource = resource(table);
    resource["tableReference"]["projectId"] = json!(project);
    resource["tableReference"]["datasetId"] = json!(dataset);
    serde_json::from_value(resource).map_err(ports::PortError::backend)
}

/// Whether the table lacks the hidden column.
pub(super) fn lacks_order(raw: &model::Table) -> bool {
    !fields(raw).iter().any(|field| field.name.eq_ignore_ascii_case(order::COLUMN))
}

/// The top-level columns of a table in BigQuery.
pub(super) fn fields(raw: &model::Table) -> &[model::TableFieldSchema] {
    raw.schema.as_ref().map(|schema| schema.fields.as_slice()).unwrap_or_default()
}

/// The table in BigQuery as one of ours, to be compared with `new`.
///
/// `stands_in`: an emulator answers. It does not keep the primary key, so that the key of `new`
/// stands for it; in BigQuery a table without a key has none.
pub(super) fn read(raw: &model::Table, new: &Table, stands_in: bool) -> PortResult<Table> {
    let mut resource = Map::new();
    resource.insert("tableReference".into(), json!({"tableId": new.id()}));
    if let Some(description) = raw.description.as_ref().filter(|text| !text.is_empty()) {
        resource.insert("description".into(), json!(description));
    }
    let ours = fields(raw).iter().filter(|field| !field.name.eq_ignore_ascii_case(order::COLUMN));
    let ours: Vec<Value> = ours.map(|field| field_json(field, new.fields())).collect();
    resource.insert("schema".into(), json!({"fields": ours}));
    if let Some(partitioning) = &raw.time_partitioning {
        let partitioning = json!({"type": partitioning.r#type, "field": partitioning.field});
        resource.insert("timePartitioning".into(), partitioning);
    }
    if let Some(clustering) = raw.clustering.as_ref().filter(|some| !some.fields.is_empty()) {
        resource.insert("clustering".into(), json!({"fields": clustering.fields}));
    }
    let key = raw.table_constraints.as_ref().and_then(|some| some.primary_key.as_ref());
    let key = key.map(|key| key.columns.clone()).unwrap_or_default();
    let key = if key.is_empty() && stands_in { new.primary_key().to_vec() } else { key };
    if !key.is_empty() {
        resource.insert("tableConstraints".into(), json!({"primaryKey": {"columns": key}}));
    }
    Table::parse(&Value::Object(resource)).map_err(|problems| {
        invalid(format!(
            "table {} in BigQuery is not one that Chatflow can land in; remove what is not \
             Chatflow's, or rename the table: {problems}",
            new.id()
        ))
    })
}

/// A column as our schema reads it. A default counts only when it is the one that is wanted:
/// BigQuery's may be an expression that we cannot read, and is replaced or left alone.
fn field_json(raw: &model::TableFieldSchema, wanted: &[Field]) -> Value {
    let new = wanted.iter().find(|field| field.name == raw.name);
    let mut field = Map::new();
    field.insert("name".into(), json!(raw.name));
    field.insert("type".into(), json!(raw.r#type));
    if !raw.mode.is_empty() {
        field.insert("mode".into(), json!(raw.mode));
    }
    if let Some(description) = raw.description.as_ref().filter(|text| !text.is_empty()) {
        field.insert("description".into(), json!(description));
    }
    let default = new.and_then(|new| new.default_value_expression.as_ref());
    if default.is_some() && default == raw.default_value_expression.as_ref() {
        field.insert("defaultValueExpression".into(), json!(default));
    }
    if !raw.fields.is_empty() {
        let nested = new.map(|new| new.fields.as_slice()).unwrap_or_default();
        let nested = raw.fields.iter().map(|raw| field_json(raw, nested));
        field.insert("fields".into(), nested.collect());
    }
    Value::Object(field)
}

/// The columns of the table after an allowed plan: those that are there with what changed, then
/// those that are new. What we do not know of a column, such as policy tags, stays.
///
/// BigQuery takes a default only for a column that exists: `defaults_of_new` says whether new
/// columns get theirs.
pub(super) fn merged(
    raw: &[model::TableFieldSchema],
    new: &[Field],
    defaults_of_new: bool,
) -> PortResult<Vec<model::TableFieldSchema>> {
    let mut merged = raw.to_vec();
    for field in new {
        match merged.iter_mut().find(|raw| raw.name == field.name) {
            Some(raw) => {
                field.mode.name().clone_into(&mut raw.mode);
                raw.description.clone_from(&field.description);
                if field.default_value_expression.is_some() {
                    raw.default_value_expression.clone_from(&field.default_value_expression);
                }
                raw.fields = self::merged(&raw.fields, &field.fields, defaults_of_new)?;
            }
            None => merged.push(added(field, defaults_of_new)?),
        }
    }
    Ok(merged)
}

/// The hidden column, where it is not there yet.
pub(super) fn with_order(
    mut fields: Vec<model::TableFieldSchema>,
) -> PortResult<Vec<model::TableFieldSchema>> {
    if !fields.iter().any(|field| field.name.eq_ignore_ascii_case(order::COLUMN)) {
        let column = serde_json::from_value(hidden_column());
        fields.push(column.map_err(ports::PortError::backend)?);
    }
    Ok(fields)
}

fn added(field: &Field, default: bool) -> PortResult<model::TableFieldSchema> {
    let mut field = field.clone();
    if !default {
        field.default_value_expression = None;
    }
    serde_json::from_value(json!(field)).map_err(ports::PortError::backend)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(note: &Value) -> Table {
        let document = json!({
            "tableReference": {"tableId": "t"},
            "description": "What it holds",
            "schema": {"fields": [{"name": "id", "type": "STRING", "mode": "REQUIRED"}, note]},
            "timePartitioning": {"type": "DAY", "field": "landed_at"},
            "clustering": {"fields": ["id"]},
            "tableConstraints": {"primaryKey": {"columns": ["id"]}},
        });
        Table::parse(&document).unwrap()
    }

    #[test]
    fn terraform_makes_the_same_hidden_column() {
        let file = include_str!("../../../../infra/bigquery/order_column.json");
        assert_eq!(serde_json::from_str::<Value>(file).unwrap(), hidden_column());
    }

    fn old() -> Table {
        table(&json!({"name": "note", "type": "INT64", "mode": "REQUIRED"}))
    }

    /// The table as BigQuery gives it back: older names of types, and attributes of its own.
    fn stored(table: &Table) -> model::Table {
        let mut resource = resource(table);
        resource["timePartitioning"]["expirationMs"] = json!("1000");
        resource["schema"]["fields"][1]["type"] = json!("INTEGER");
        resource["schema"]["fields"][0]["policyTags"] = json!({"names": ["secret"]});
        serde_json::from_value(resource).unwrap()
    }

    #[test]
    fn a_table_reads_back() {
        let read = read(&stored(&old()), &old(), false).unwrap();
        assert_eq!(read, with_meta(old()));
        assert!(schema::plan(Some(&read), &old()).is_empty());
        assert!(!lacks_order(&stored(&old())));
    }

    #[test]
    fn a_key_counts_where_it_is_kept() {
        let mut raw = stored(&old());
        raw.table_constraints = None;
        assert!(!schema::plan(Some(&read(&raw, &old(), false).unwrap()), &old()).is_allowed());
        assert!(schema::plan(Some(&read(&raw, &old(), true).unwrap()), &old()).is_empty());
    }

    #[test]
    fn a_change_keeps_what_is_not_ours() {
        let new = with_meta(table(&json!({"name": "more", "type": "RECORD", "fields": [
            {"name": "x", "type": "STRING"}]})));
        let mut fields = new.fields().to_vec();
        fields.insert(1, old().fields()[1].clone());
        fields[1].mode = schema::Mode::Nullable;
        fields[1].default_value_expression = Some("0".into());
        fields.last_mut().unwrap().description = Some("new".into());
        fields.push(fields[1].clone());
        fields.last_mut().unwrap().name = "late".into();
        let raw = stored(&old());
        let merged = super::merged(super::fields(&raw), &fields, false).unwrap();
        let names: Vec<&str> = merged.iter().map(|field| field.name.as_str()).collect();
        let kept = ["id", "note", "event_id", "sequence", "landed_at", order::COLUMN];
        assert_eq!(names, [&kept[..], &["more", "late"]].concat());
        assert_eq!(merged[0].policy_tags, super::fields(&raw)[0].policy_tags);
        assert_eq!((merged[1].mode.as_str(), merged[1].r#type.as_str()), ("NULLABLE", "INTEGER"));
        assert_eq!(merged[1].default_value_expression.as_deref(), Some("0"));
        assert_eq!(merged[4].description.as_deref(), Some("new"));
        assert_eq!(merged[7].default_value_expression, None, "not in the change that adds it");
        let later = super::merged(&merged, &fields, true).unwrap();
        assert_eq!(later[7].default_value_expression.as_deref(), Some("0"));
    }

    #[test]
    fn a_foreign_table_is_refused_with_what_to_do() {
        let mut raw = stored(&old());
        raw.schema.as_mut().unwrap().fields[0].r#type = "GEOGRAPHY".into();
        let error = read(&raw, &old(), false).unwrap_err().to_string();
        assert!(error.contains("rename the table"), "{error}");
    }
}
