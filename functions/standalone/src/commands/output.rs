//! Tables for people: as wide as the terminal, plain where they are piped.

use std::io::{IsTerminal, Write};

use chrono::{DateTime, Utc};
use comfy_table::{ContentArrangement, Table, presets};
use indicatif::ProgressBar;
use serde_json::{Value, json};

/// Prints a line. A reader that is gone, such as `head`, is no error.
pub(crate) fn line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Tells on a terminal that long work goes on.
pub(crate) fn spinner() -> ProgressBar {
    if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() }
}

/// Prints a JSON value on one line.
pub(crate) fn value(value: &Value) {
    line(&value.to_string());
}

/// A table with these headings; cells that do not fit a terminal are wrapped, piped ones never.
pub(crate) fn table(headings: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table.set_header(headings.to_vec());
    for row in rows {
        table.add_row(row);
    }
    let text = table.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// Prints a list: as JSON, or as a table with a word on what was left out.
pub(crate) fn list(
    as_json: bool,
    items: &[Value],
    more: bool,
    headings: &[&str],
    row: impl Fn(&Value) -> Vec<String>,
) {
    if as_json {
        value(&json!({ "items": items, "more": more }));
        return;
    }
    if items.is_empty() {
        line("nothing found");
        return;
    }
    line(&table(headings, items.iter().map(row).collect()));
    if more {
        line(&format!("the first {}; there are more (--limit)", items.len()));
    }
}

/// A field as people read it: text without quotes, nothing as a dash.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.replace(['\n', '\r'], " "),
        other => other.to_string(),
    }
}

/// A time to the second, UTC.
pub(crate) fn time(value: &Value) -> String {
    let time = value.as_str().and_then(|text| text.parse::<DateTime<Utc>>().ok());
    time.map_or_else(|| text(value), |time| time.format("%Y-%m-%d %H:%M:%S").to_string())
}

/// The first characters of a text.
pub(crate) fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(most.saturating_sub(1)).collect();
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_plain_where_they_are_piped() {
        let rows = vec![vec!["a".into(), "long enough to be cut".repeat(20)]];
        let text = table(&["ID", "LABEL"], rows);
        assert_eq!(text.lines().count(), 2);
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn fields_are_for_people() {
        assert_eq!(text(&Value::Null), "–");
        assert_eq!(text(&json!("two\nlines")), "two lines");
        assert_eq!(time(&json!("2026-01-05T01:02:03.000004Z")), "2026-01-05 01:02:03");
        assert_eq!(short("請假三天", 3), "請假…");
    }
}
