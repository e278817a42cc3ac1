//! The words of `ports::search` in the syntax of FTS5, and parts of labels.
//!
//! Words are the terms of FTS5 tables; what people type never reaches its syntax, as words hold
//! letters, digits and marks only.

use ports::search::{QUESTION_CHARS_MAX, Question, Term, fold};

/// The characters of a folded label as words: each with the one behind it, and the last alone.
/// Parts of labels are looked for, so that every character counts, spaces and pictures too.
pub(crate) fn pieces(folded: &str) -> String {
    let mut pieces = String::new();
    let mut rest = folded.chars().peekable();
    while let Some(c) = rest.next() {
        push(&mut pieces, &piece(c, rest.peek().copied()));
    }
    pieces
}

/// The question for a part of a label (not yet folded) in the syntax of FTS5; none where there
/// is nothing to look for.
pub(crate) fn part_to_match(part: &str) -> Option<String> {
    let folded: Vec<char> = fold(part).chars().take(QUESTION_CHARS_MAX).collect();
    match folded.as_slice() {
        [] => None,
        [c] => Some(format!("\"{}\"*", piece(*c, None))),
        chars => {
            let behind = chars.iter().skip(1);
            let row: Vec<String> =
                chars.iter().zip(behind).map(|(c, next)| piece(*c, Some(*next))).collect();
            Some(format!("\"{}\"", row.join(" ")))
        }
    }
}

/// `6ax` or `6ax73`: hexadecimal code points, which hold no x.
fn piece(c: char, next: Option<char>) -> String {
    match next {
        None => format!("{:x}x", u32::from(c)),
        Some(next) => format!("{:x}x{:x}", u32::from(c), u32::from(next)),
    }
}

/// A question: every word must be there.
pub(crate) fn to_match(question: &Question) -> String {
    each_match(question).join(" AND ")
}

/// Each word of a question.
pub(crate) fn each_match(question: &Question) -> Vec<String> {
    question.terms().iter().map(term_to_match).collect()
}

fn term_to_match(term: &Term) -> String {
    let star = if term.beginning { "*" } else { "" };
    format!("\"{}\"{star}", term.row.join(" "))
}

fn push(words: &mut String, word: &str) {
    if !words.is_empty() {
        words.push(' ');
    }
    words.push_str(word);
}

#[cfg(test)]
mod tests {
    use ports::search::words;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn questions_are_quoted() {
        for (text, expected) in [
            ("請", "\"請\"*"),
            ("請假", "\"請假\""),
            ("請假單", "\"請假 假單\""),
            ("hotel 飯店", "\"hotel\"* AND \"飯店\""),
            ("a\" OR b*", "\"a\"* AND \"or\"* AND \"b\"*"),
            ("NEAR(x y) x", "\"near\"* AND \"x\"* AND \"y\"*"),
            ("?!", ""),
        ] {
            assert_eq!(to_match(&Question::new(text)), expected, "{text}");
        }
    }

    #[test]
    fn labels_are_pieces() {
        assert_eq!(pieces("a 假"), "61x20 20x5047 5047x");
        assert_eq!(pieces(""), "");
        assert_eq!(part_to_match("A"), Some("\"61x\"*".to_owned()));
        assert_eq!(part_to_match("A 假"), Some("\"61x20 20x5047\"".to_owned()));
        assert_eq!(part_to_match(""), None);
    }

    proptest! {
        #[test]
        fn fts5_says_the_same(
            text in "([a-c請假ﾀ\u{301}0-1ก่İß]{0,3}[ .\"'*()]{0,1}){0,6}",
            question in "([a-c請假ﾀ\u{301}0-1ก่İß]{0,3}[ .\"'*()]{0,1}){0,3}",
        ) {
            let conn = rusqlite::Connection::open_in_memory().unwrap();
            conn.execute_batch(
                "CREATE VIRTUAL TABLE f USING fts5 (words, content = '', contentless_delete = 1,
                 tokenize = 'ascii', prefix = '1 2')",
            ).unwrap();
            let words = words(&text);
            conn.execute("INSERT INTO f (rowid, words) VALUES (1, ?1)", [&words]).unwrap();
            let question = Question::new(&question);
            if !question.is_empty() {
                let found: bool = conn
                    .query_row(
                        "SELECT EXISTS (SELECT 1 FROM f WHERE f MATCH ?1)",
                        [to_match(&question)],
                        |row| row.get(0),
                    )
                    .unwrap();
                prop_assert_eq!(found, question.matches(&words), "{:?} in {}", question, words);
            }
        }
    }
}
