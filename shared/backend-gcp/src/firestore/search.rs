//! Words in Firestore: lists of tokens that an index holds, and a look at each text they find.
//!
//! An index can say that a list holds one value, no more. So of a question the token that is
//! likely the rarest is looked up, and what is found is read and held against the whole question.
//! A word of a script with spaces is kept by some of its beginnings, a pair of neighbours of a
//! script without also by its first character: what people look for by beginnings is found.

use std::collections::{BTreeMap, BTreeSet};

use gcloud_sdk::google::firestore::v1::Document;
use ports::search::{Question, Term};
use ports::{PageOf, PortResult, TaskFilter};

use super::Firestore;
use super::cursor::{List, Place};
use super::documents::{DOCUMENT, words_of_task};
use super::keys::{MESSAGES, TASKS, key};
use super::lists::{self, Sorted, TASK_FIELDS};
use super::query::Query;
use super::value::{Read, text};

/// Lengths, in characters, of the beginnings of a word that are kept.
const BEGINNINGS: [usize; 5] = [1, 2, 3, 5, 8];
/// Most tokens of one text: each stands in two indexes, and a document has at most 40,000 entries.
/// Only texts of more than some 3,000 different words reach it; words behind it are not found.
const TOKENS_MAX: usize = 15_000;
/// Most messages, and most tasks by their own words, that one word is looked up in: of common
/// words the newest messages count, and the other filters find older ones.
const HITS_MAX: usize = 5_000;
/// Documents read at a time.
const CHUNK: usize = 500;

/// The tokens of a text's words (as `ports::search::words` gives them).
pub(crate) fn tokens(words: &str) -> Vec<String> {
    let mut tokens = BTreeSet::new();
    for word in words.split(' ').filter(|word| !word.is_empty()) {
        for length in BEGINNINGS {
            let mut chars = word.chars();
            let beginning: String = chars.by_ref().take(length).collect();
            let is_whole = chars.next().is_none();
            if tokens.len() >= TOKENS_MAX {
                return tokens.into_iter().collect();
            }
            if is_whole {
                // A word of a length between two of the lengths is found by the shorter one.
                if beginning.chars().count() == length {
                    tokens.insert(beginning);
                }
                break;
            }
            tokens.insert(beginning);
        }
    }
    tokens.into_iter().collect()
}

/// The token by which one word of a question is looked up: the longest kept beginning.
fn token_of(term: &Term) -> String {
    let word = term.row.first().map(String::as_str).unwrap_or_default();
    let length = word.chars().count();
    let kept = BEGINNINGS.iter().rev().find(|kept| **kept <= length).copied().unwrap_or(1);
    word.chars().take(kept).collect()
}

/// The token of a question that is likely the rarest: the one with most bytes.
pub(crate) fn rarest(question: &Question) -> Option<String> {
    question.terms().iter().map(token_of).max_by_key(String::len)
}

/// The characters of a folded label, each alone and with the one behind it: parts of labels are
/// looked for, so that every character counts, spaces and pictures too.
pub(crate) fn label_pieces(folded: &str) -> BTreeSet<String> {
    let mut pieces = BTreeSet::new();
    let mut rest = folded.chars().peekable();
    while let Some(c) = rest.next() {
        pieces.insert(c.to_string());
        if let Some(next) = rest.peek() {
            pieces.insert(format!("{c}{next}"));
        }
    }
    pieces
}

/// The piece by which a folded part of a label is looked up.
pub(crate) fn piece_of(folded: &str) -> Option<String> {
    let piece: String = folded.chars().take(2).collect();
    Some(piece).filter(|piece| !piece.is_empty())
}

/// Which words of a question stand somewhere in a task, by the task's key.
type Marks = BTreeMap<String, Vec<bool>>;

impl Firestore {
    /// Tasks by words, each of which may stand in the label, the contact or any message.
    pub(crate) async fn search_tasks(
        &self,
        filter: &TaskFilter,
        question: &Question,
        sorted: Sorted,
        list: List,
        start: Option<Place>,
        limit: usize,
    ) -> PortResult<PageOf<engine::Task>> {
        let mut marks = Marks::new();
        for term in question.terms() {
            let token = token_of(term);
            self.mark_tasks(question, &token, &mut marks).await?;
            self.mark_messages(filter, question, &token, &mut marks).await?;
        }
        let keys = marks.into_iter().filter(|(_, marks)| marks.iter().all(|mark| *mark));
        let names: Vec<String> = keys.map(|(key, _)| self.client().name(TASKS, &key)).collect();
        let mut places = Vec::new();
        for names in names.chunks(CHUNK) {
            for document in self.client().get(names, TASK_FIELDS).await?.values() {
                if lists::task_fits(filter, document) {
                    places.push(Place::of(document, sorted.field));
                }
            }
        }
        places.sort();
        if sorted.descending {
            places.reverse();
        }
        let behind = |place: &Place| match &start {
            None => true,
            Some(start) if sorted.descending => place < start,
            Some(start) => place > start,
        };
        let mut wanted: Vec<Place> = places.into_iter().filter(behind).take(limit + 1).collect();
        let more = wanted.len() > limit;
        wanted.truncate(limit);
        let items = self.tasks_at(&wanted).await?;
        let next = wanted.last().filter(|_| more).map(|last| last.cursor(list));
        Ok(PageOf { items, next })
    }

    async fn tasks_at(&self, places: &[Place]) -> PortResult<Vec<engine::Task>> {
        let names: Vec<String> =
            places.iter().map(|place| self.client().name(TASKS, &place.key)).collect();
        let found = self.client().get(&names, &[]).await?;
        names
            .iter()
            .filter_map(|name| found.get(name))
            .map(|it| self.read_back("task", it))
            .collect()
    }

    /// Marks tasks by their own words.
    async fn mark_tasks(
        &self,
        question: &Question,
        token: &str,
        marks: &mut Marks,
    ) -> PortResult<()> {
        let query = Query {
            collection: TASKS,
            contains: Some(("tokens", text(token))),
            limit: HITS_MAX,
            select: &[DOCUMENT],
            ..Query::default()
        };
        for document in self.client().all(query).await? {
            let task: engine::Task = document.json("task", DOCUMENT)?;
            let marked = marks.entry(key(task.id.as_str())).or_insert_with(|| question.unmarked());
            question.mark(&words_of_task(&task), marked);
        }
        Ok(())
    }

    /// Marks tasks by the words of their newest messages that hold the token.
    async fn mark_messages(
        &self,
        filter: &TaskFilter,
        question: &Question,
        token: &str,
        marks: &mut Marks,
    ) -> PortResult<()> {
        let mut after = None;
        let mut read = 0;
        while read < HITS_MAX {
            let mut query = Query {
                collection: MESSAGES,
                contains: Some(("tokens", text(token))),
                order: Some(("created_at", true)),
                after: after.take(),
                limit: CHUNK,
                select: &["task", "created_at", DOCUMENT],
                ..Query::default()
            };
            if let Some(conversation) = &filter.conversation {
                query.equals.push(("conversation", text(conversation.as_str())));
            }
            let found = self.client().all(query).await?;
            for document in &found {
                mark_message(document, question, marks)?;
            }
            read += found.len();
            let Some(last) = found.last().filter(|_| found.len() == CHUNK) else { break };
            after = Some(lists::behind(last, "created_at"));
        }
        Ok(())
    }
}

fn mark_message(document: &Document, question: &Question, marks: &mut Marks) -> PortResult<()> {
    let Some(task) = document.text("task") else { return Ok(()) };
    let message: engine::Message = document.json("message", DOCUMENT)?;
    let marked = marks.entry(key(task)).or_insert_with(|| question.unmarked());
    question.mark(&ports::search::words(&message.content.text), marked);
    Ok(())
}

#[cfg(test)]
mod tests {
    use ports::search::words;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_kept_by_their_beginnings() {
        assert_eq!(tokens(&words("hotel 請假")), ["h", "ho", "hot", "hotel", "假", "請", "請假"]);
        assert_eq!(rarest(&Question::new("reservations 請")), Some("reservat".to_owned()));
        assert_eq!(tokens(""), Vec::<String>::new());
        assert!(tokens(&"假設".repeat(40_000)).len() <= TOKENS_MAX);
    }

    #[test]
    fn labels_are_kept_by_neighbours() {
        assert!(label_pieces("a 假").contains("a "));
        assert_eq!(piece_of("100%"), Some("10".to_owned()));
        assert_eq!(piece_of(""), None);
    }

    proptest! {
        #[test]
        fn what_matches_is_found_by_its_token(
            text in "([a-c請假ﾀ\u{301}0-1ก่İß]{0,9}[ .\"'*()]{0,1}){0,6}",
            question in "([a-c請假ﾀ\u{301}0-1ก่İß]{0,9}[ .\"'*()]{0,1}){0,3}",
        ) {
            let question = Question::new(&question);
            if question.matches(&words(&text)) {
                let token = rarest(&question).unwrap();
                prop_assert!(tokens(&words(&text)).contains(&token), "{token} of {text:?}");
            }
        }
    }
}
