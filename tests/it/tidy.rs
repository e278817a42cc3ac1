//! Habits that a test holds better than a reviewer (see `style.md` of the design).

use std::fs;
use std::path::{Path, PathBuf};

/// Longest line, in characters.
const COLUMNS_MAX: usize = 100;
/// Longest source file, in lines.
const LINES_MAX: usize = 600;
/// Longest function, in lines: what fits a screen.
const FUNCTION_LINES_MAX: usize = 70;

fn sources() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for folder in ["shared", "functions", "tests"] {
        collect(&it::root().join(folder), &mut files);
    }
    assert!(files.len() > 50, "the sources were not found");
    files
}

fn collect(folder: &Path, files: &mut Vec<(PathBuf, String)>) {
    let entries = fs::read_dir(folder).unwrap();
    for path in entries.map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() && name != "target" && name != "node_modules" {
            collect(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            files.push((path, text));
        }
    }
}

fn complain(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn every_module_says_what_it_is_for() {
    let silent: Vec<String> = sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(path, _)| path.display().to_string())
        .collect();
    complain("begin these with `//!`", &silent);
}

#[test]
fn lines_and_files_fit() {
    let mut found = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().count();
        if lines > LINES_MAX {
            found.push(format!("{}: {lines} lines", path.display()));
        }
        // Texts of other scripts and test data may be wider than code.
        for (number, line) in text.lines().enumerate() {
            if line.chars().count() > COLUMNS_MAX && line.is_ascii() && !line.contains('"') {
                found.push(format!("{}:{}", path.display(), number + 1));
            }
        }
    }
    complain("make these shorter", &found);
}

#[test]
fn functions_fit_a_screen() {
    let mut found = Vec::new();
    for (path, text) in sources() {
        let mut open: Option<(usize, usize)> = None;
        for (number, line) in text.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let code = line.trim_start();
            let begins = [
                "fn ",
                "pub fn ",
                "async fn ",
                "pub async fn ",
                "pub(super) fn ",
                "pub(crate) fn ",
                "pub(super) async fn ",
                "pub(crate) async fn ",
                "const fn ",
            ];
            if open.is_none() && begins.iter().any(|begin| code.starts_with(begin)) {
                open = Some((number, indent));
            }
            if let Some((start, depth)) = open
                && indent == depth
                && (code == "}" || code.ends_with("{}") || code.ends_with(';'))
            {
                if number - start + 1 > FUNCTION_LINES_MAX {
                    found.push(format!(
                        "{}:{}: {} lines",
                        path.display(),
                        start + 1,
                        number - start + 1
                    ));
                }
                open = None;
            }
        }
    }
    complain("split these functions", &found);
}

#[test]
fn nothing_is_left_undone_or_switched_off() {
    let banned = [
        "#[ig".to_owned() + "nore",
        "#[al".to_owned() + "low(",
        "to".to_owned() + "do!(",
        "TO".to_owned() + "DO",
        "FIX".to_owned() + "ME",
        "unimple".to_owned() + "mented!(",
    ];
    let mut found = Vec::new();
    for (path, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            if banned.iter().any(|word| line.contains(word.as_str())) {
                found.push(format!("{}:{}: {line}", path.display(), number + 1));
            }
        }
    }
    complain("finish these, or say why with #[expect]", &found);
}

#[test]
fn nothing_is_called_util_or_common() {
    let found: Vec<String> = sources()
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            ["util", "utils", "common", "helpers", "misc"].contains(&stem.as_str())
        })
        .map(|path| path.display().to_string())
        .collect();
    complain("name these after what they do", &found);
}
