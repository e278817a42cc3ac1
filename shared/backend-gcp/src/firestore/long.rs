//! Texts that may not fit one document: short ones stand in a field, long ones in documents of
//! their own, written in the same commit.
//!
//! A row of history may hold all variables, a wait and 384 KiB of effects at once, and an outbox
//! repeats them as rows of the warehouse: more than the 1 MiB of a document.

use gcloud_sdk::google::firestore::v1::{Document, Write};
use ports::{PortError, PortResult};

use super::Firestore;
use super::client::{Guard, put};
use super::keys::{PARTS, key};
use super::value::{Fields, Read, integer, key_of, text};

/// Longest text that stands in a field, in bytes; two of them fit a document.
const INLINE_BYTES_MAX: usize = 450_000;
/// Longest part, in bytes.
const PART_BYTES_MAX: usize = 900_000;

/// The field that says how many parts a text has.
fn count_field(name: &str) -> String {
    format!("{name}_parts")
}

/// The key of one part of a document's text.
fn part_key(owner: &str, name: &str, part: usize) -> String {
    key(&format!("{owner}_{name}_{part}"))
}

/// Cuts a text at the boundaries of characters.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while rest.len() > PART_BYTES_MAX {
        let end = (0..=PART_BYTES_MAX).rev().find(|end| rest.is_char_boundary(*end));
        let (piece, after) = rest.split_at(end.unwrap_or(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

impl Firestore {
    /// Sets a text of the document with the key `owner`; what does not fit goes into `writes`,
    /// with the fields of `also`.
    pub(crate) fn set_long(
        &self,
        fields: Fields,
        writes: &mut Vec<Write>,
        owner: &str,
        name: &str,
        long: &str,
        also: &Fields,
    ) -> Fields {
        if long.len() <= INLINE_BYTES_MAX {
            return fields.set(name, text(long));
        }
        let pieces = pieces(long);
        let count = i64::try_from(pieces.len()).unwrap_or(i64::MAX);
        for (part, piece) in pieces.into_iter().enumerate() {
            let name = self.client().name(PARTS, &part_key(owner, name, part));
            writes.push(put(also.clone().set("text", text(piece)).document(name), Guard::Any));
        }
        fields.set(&count_field(name), integer(count))
    }

    /// Reads a text that was set so; none where the document has none.
    pub(crate) async fn long(&self, document: &Document, name: &str) -> PortResult<Option<String>> {
        if let Some(text) = document.text(name) {
            return Ok(Some(text.to_owned()));
        }
        let Some(count) = document.integer(&count_field(name)) else { return Ok(None) };
        let owner = key_of(document);
        let names: Vec<String> = (0..usize::try_from(count).unwrap_or_default())
            .map(|part| self.client().name(PARTS, &part_key(owner, name, part)))
            .collect();
        let parts = self.client().get(&names, &[]).await?;
        let mut whole = String::new();
        for name in &names {
            let part = parts.get(name).and_then(|part| part.text("text"));
            whole.push_str(part.ok_or_else(|| PortError::backend("a part of a text is missing"))?);
        }
        Ok(Some(whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        let text = "請".repeat(1_000_000);
        let cut = pieces(&text);
        assert_eq!(cut.concat(), text);
        assert!(cut.iter().all(|piece| piece.len() <= PART_BYTES_MAX));
        assert_eq!(pieces(""), [""]);
    }
}
