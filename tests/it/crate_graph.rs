//! The crate graph against a checked-in snapshot, and what the pure crates must not know.

use std::collections::BTreeMap;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

fn metadata() -> Metadata {
    MetadataCommand::new().manifest_path(it::root().join("Cargo.toml")).exec().unwrap()
}

/// Each of our crates with those of ours it is built on.
fn graph(metadata: &Metadata) -> BTreeMap<String, Vec<String>> {
    let ours: Vec<String> =
        metadata.workspace_packages().iter().map(|package| package.name.to_string()).collect();
    metadata
        .workspace_packages()
        .iter()
        .map(|package| {
            let mut on: Vec<String> = package
                .dependencies
                .iter()
                .filter(|dependency| dependency.kind == DependencyKind::Normal)
                .map(|dependency| dependency.name.clone())
                .filter(|name| ours.contains(name))
                .collect();
            on.sort();
            (package.name.to_string(), on)
        })
        .collect()
}

#[test]
fn dependencies_go_down_the_layers() {
    insta::assert_yaml_snapshot!(graph(&metadata()));
}

/// Every crate that one of ours is built on when it is built alone: in the whole workspace others
/// ask for more features of the same crates.
fn reached_by(name: &str) -> Vec<String> {
    let out = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{lib}"])
        .args(["--package", name])
        .current_dir(it::root())
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).unwrap();
    let reached: Vec<String> =
        text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    assert!(reached.contains(&"serde".to_owned()), "{name} is built on more: {reached:?}");
    reached
}

#[test]
fn pure_crates_know_no_outside_world() {
    let banned = ["tokio", "axum", "reqwest", "hyper", "rusqlite", "getrandom", "mio", "socket2"];
    for name in ["flow", "engine", "schema", "channels"] {
        for reached in reached_by(name) {
            assert!(!banned.contains(&reached.as_str()), "{name} reaches {reached}");
        }
    }
}

#[test]
fn only_bootstrap_names_a_backend() {
    for (name, on) in graph(&metadata()) {
        let names_one = on.iter().any(|dependency| dependency.starts_with("backend-"));
        // The simulation is a test that is a program as well: it opens the local store itself.
        let may = name == "bootstrap" || name == "sim";
        assert!(!names_one || may, "{name} depends on a backend");
    }
}

#[test]
fn every_licence_is_one_we_may_ship() {
    let allowed = [
        "MIT",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "Zlib",
        "Unicode-3.0",
        "MPL-2.0",
        "CDLA-Permissive-2.0",
        "BSL-1.0",
        "0BSD",
        "Unlicense",
        "CC0-1.0",
        "MIT-0",
    ];
    let mut wrong = Vec::new();
    for package in &metadata().packages {
        let Some(licence) = &package.license else {
            wrong.push(format!("{}: none", package.name));
            continue;
        };
        // `A OR B` needs one of them, `A AND B` both; exceptions only widen a licence.
        let licence = licence.replace(['(', ')'], "").replace('/', " OR ");
        let fits = licence.split(" AND ").all(|part| {
            part.split(" OR ").any(|name| {
                allowed.contains(&name.split(" WITH ").next().unwrap_or_default().trim())
            })
        });
        if !fits {
            wrong.push(format!("{}: {licence}", package.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
