//! The JSON Schema of the flow document, generated from the types.

use serde_json::{Value, json};

use crate::document::Flow;

/// The schema, so that editors complete and validate.
pub fn flow_schema() -> Value {
    let mut schema = schemars::schema_for!(Flow).to_value();
    if let Some(steps) = schema.pointer_mut("/$defs/Step") {
        admit_label_and_note(steps);
    }
    if let Some(map) = schema.as_object_mut() {
        map.insert("title".into(), json!("Chatflow flow"));
        map.insert("additionalProperties".into(), json!(false));
    }
    schema
}

/// Every variant of a step carries `label` and `note` too, since a strict variant would refuse
/// the fields that stand beside it.
fn admit_label_and_note(step: &mut Value) {
    let own = step.get("properties").cloned().unwrap_or_else(|| json!({}));
    let Some(variants) = step.get_mut("oneOf").and_then(Value::as_array_mut) else { return };
    for variant in variants {
        let properties = variant.get_mut("properties").and_then(Value::as_object_mut);
        if let (Some(properties), Some(own)) = (properties, own.as_object()) {
            for (name, schema) in own {
                properties.insert(name.clone(), schema.clone());
            }
        }
    }
}
