//! Lists of conversations, last changed first.

use engine::Conversation;
use ports::{Page, PageOf};
use rusqlite::Connection;

use super::scan::{self, Index, Terms};
use crate::cursor::{self, List};
use crate::error::Outcome;

const INDEXES: &[Index] = &[
    ("conversations_contact", &["contact"]),
    ("conversations_connection", &["connection"]),
    ("conversations_updated", &[]),
];

/// One page.
pub(crate) fn list(
    conn: &Connection,
    connection: Option<String>,
    contact: Option<String>,
    page: &Page,
) -> Outcome<PageOf<Conversation>> {
    let limit = page.checked_limit()?;
    let start = cursor::start(page, List::Conversations)?;
    let mut terms = Terms::default();
    let equals = [("contact", contact), ("connection", connection)];
    let equals = equals.into_iter().filter_map(|(column, value)| Some((column, value?))).collect();
    let index = scan::choose(INDEXES, equals, &mut terms).unwrap_or("conversations_updated");
    if let Some(start) = start {
        let (value, key) = (terms.value(start.value), terms.value(start.key));
        terms.walk.push(format!("(updated_at, seq) < ({value}, {key})"));
    }
    let sql = format!(
        "SELECT updated_at, seq, {} FROM conversations INDEXED BY {index} WHERE {} \
         ORDER BY updated_at DESC, seq DESC",
        terms.fits(),
        terms.walk(),
    );
    let found = scan::walk(conn, &sql, &terms.values, limit, scan::any)?;
    let document = "SELECT document FROM conversations WHERE seq = ?1";
    scan::page(conn, "conversation", document, found, List::Conversations)
}
