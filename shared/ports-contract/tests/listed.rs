//! Every case is a test: the lists of the macros and the functions of the modules agree.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// The functions in the files of a group that take a backend.
fn cases(group: &str) -> BTreeSet<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let single = source.join(format!("{group}.rs"));
    let files: Vec<_> = if single.exists() {
        vec![single]
    } else {
        std::fs::read_dir(source.join(group)).unwrap().map(|one| one.unwrap().path()).collect()
    };
    let name = |line: &str| {
        let (name, _) = line.strip_prefix("pub async fn ")?.split_once("(backend: Backend)")?;
        Some(name.to_owned())
    };
    files.iter().flat_map(|file| text(file).lines().filter_map(name).collect::<Vec<_>>()).collect()
}

/// The names behind `__cases!($make, group:`.
fn listed(group: &str) -> BTreeSet<String> {
    let macros = text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/macros.rs"));
    let (_, rest) = macros.split_once(&format!("__cases!($make, {group}:")).unwrap();
    let (names, _) = rest.split_once(");").unwrap();
    names.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

#[test]
fn every_case_is_listed() {
    let groups = [
        "turn_store",
        "concurrency",
        "queries",
        "flows",
        "config",
        "failures",
        "bus",
        "warehouse",
        "secrets",
        "restart",
        "faulty",
    ];
    for group in groups {
        let cases = cases(group);
        assert!(!cases.is_empty(), "{group} has cases");
        assert_eq!(listed(group), cases, "{group}");
    }
}
