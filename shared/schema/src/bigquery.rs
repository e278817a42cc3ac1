//! BigQuery text: the current-state view.

use crate::meta::{SEQUENCE, with_meta};
use crate::table::Table;

/// The query of the current view: of the rows with equal [`Table::version_key`] the one with the
/// greatest sequence; of several such, any one. `source` is `dataset.table` or
/// `project.dataset.table`.
///
/// Columns are named, as a view keeps the columns it was made with: make it anew after a column
/// was added.
pub fn current_query(table: &Table, source: &str) -> String {
    let table = with_meta(table.clone());
    let columns: Vec<String> = table.fields().iter().map(|field| quote(&field.name)).collect();
    let key: Vec<String> = table.version_key().into_iter().map(quote).collect();
    let (columns, key) = (columns.join(", "), key.join(", "));
    let (source, sequence) = (quote(source), quote(SEQUENCE));
    format!(
        "SELECT {columns}\n\
         FROM {source}\n\
         WHERE TRUE\n\
         QUALIFY ROW_NUMBER() OVER (PARTITION BY {key} ORDER BY {sequence} DESC) = 1"
    )
}

/// The statement that makes the current view, anew if it exists.
pub fn current_view(table: &Table, view_name: &str, source: &str) -> String {
    format!("CREATE OR REPLACE VIEW {} AS\n{};\n", quote(view_name), current_query(table, source))
}

/// A name or path in backticks, in which escapes are those of strings.
fn quote(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}
