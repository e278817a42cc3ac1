//! What Terraform sets and counts is what the programs read and log.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bootstrap::Role;
use bootstrap::config::{Required, SETTINGS, Shape};
use serde_json::{Value, json};

fn project(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(path)
}

/// What Terraform does not set, with the reason; tests of Terraform read it from the file.
fn left_out(name: &str) -> Option<&'static str> {
    let setting = SETTINGS.iter().find(|setting| setting.name == name)?;
    if setting.shape == Shape::StandIn {
        return Some("for emulators");
    }
    match name {
        "PORT" | "K_SERVICE" | "K_REVISION" => Some("set by Cloud Run"),
        "AWS_LAMBDA_RUNTIME_API" => Some("set by AWS Lambda"),
        "CHATFLOW_JWKS_URL" => Some("Google's own keys are the default"),
        "OTEL_EXPORTER_OTLP_HEADERS" => {
            Some("a secret: given by `secret_environment` where needed")
        }
        _ => None,
    }
}

/// For each function the variables that it knows and those that it needs.
fn environment() -> Value {
    let mut file = serde_json::Map::new();
    for role in Role::ALL.into_iter().filter(|role| role.is_function()) {
        let of = |keep: &dyn Fn(&bootstrap::config::Setting) -> bool| -> Vec<&str> {
            SETTINGS.iter().filter(|setting| keep(setting)).map(|setting| setting.name).collect()
        };
        let known = of(&|setting| setting.is_read_by(role));
        let required =
            of(&|setting| setting.required != Required::No && setting.is_required_of(role, true));
        file.insert(role.name().into(), json!({ "known": known, "required": required }));
    }
    let names: BTreeSet<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    let left_out: serde_json::Map<String, Value> = names
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), json!(left_out(name)?))))
        .collect();
    file.insert("left_out".into(), Value::Object(left_out));
    Value::Object(file)
}

#[test]
fn the_file_that_terraform_is_held_to_is_that_of_the_code() {
    let file = project("infra/environment.json");
    let written: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let expected = environment();
    assert!(
        written == expected,
        "put this into infra/environment.json:\n\n{}",
        serde_json::to_string_pretty(&expected).unwrap()
    );
}

#[test]
fn what_terraform_sets_is_what_there_is() {
    let text = std::fs::read_to_string(project("terraform/modules/chatflow/environment.tf"));
    let text = text.unwrap();
    let set: BTreeSet<&str> = text
        .split(|letter: char| !(letter.is_ascii_uppercase() || letter == '_'))
        .filter(|word| word.starts_with("CHATFLOW_") || word.starts_with("OTEL_"))
        .collect();
    let wanted: BTreeSet<&str> = SETTINGS
        .iter()
        .filter(|setting| {
            Role::ALL.iter().any(|role| role.is_function() && setting.is_read_by(*role))
        })
        .map(|setting| setting.name)
        .filter(|name| left_out(name).is_none())
        .collect();
    assert_eq!(set, wanted);
}

/// Every source file of the functions and what they share.
fn sources(folder: &Path, found: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn what_terraform_counts_is_logged() {
    let file = project("terraform/modules/observability/main.tf");
    let text = std::fs::read_to_string(file).unwrap();
    let counted: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once("{ message = \"")?.1.split_once('"'))
        .map(|(message, _)| message)
        .collect();
    assert!(counted.len() >= 5, "{counted:?}");
    let mut code = String::new();
    for folder in ["functions", "shared/runtime/src", "shared/bootstrap/src"] {
        sources(&project(folder), &mut code);
    }
    for message in counted {
        assert!(code.contains(&format!("\"{message}\")")), "nobody logs `{message}`");
    }
}
