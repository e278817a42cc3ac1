//! Words of texts, and what a question for words matches.
//!
//! Texts are compared half-width and in lower case (NFKC). A script with spaces has its words.
//! A run of a script without (Han, kana, Thai: [`flow::keyword::is_unspaced`]) gives each pair
//! of neighbours and its last character: 請假申 is `請假 假申 申`. So one character is looked for
//! as the beginning of a pair, two as a pair, more as pairs in a row, and no dictionary is
//! needed. Words hold letters, digits and marks only: what people type is never syntax.
//!
//! A question is all of its words; words of scripts with spaces match as beginnings of words. A
//! question without any letter or digit (only punctuation or pictures) matches nothing.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Longest part of a text whose words are kept, in characters.
pub const INDEXED_CHARS_MAX: usize = 65_536;
/// Longest question, in characters; what follows is not looked at.
pub const QUESTION_CHARS_MAX: usize = 256;
/// Most words of a question; further ones are not looked at.
pub const QUESTION_WORDS_MAX: usize = 16;
/// Longest word; longer ones are looked for by their beginning.
const WORD_CHARS_MAX: usize = 40;
/// Longest part of a label that is looked at, in characters.
pub const LABEL_CHARS_MAX: usize = 256;

/// The text half-width and in lower case.
pub fn fold(text: &str) -> String {
    text.nfkc().flat_map(char::to_lowercase).collect()
}

/// The part of a label that is searched, folded.
pub fn fold_label(label: &str) -> String {
    fold(label).chars().take(LABEL_CHARS_MAX).collect()
}

/// The words of a text, separated by spaces.
pub fn words(text: &str) -> String {
    let mut words = String::new();
    let folded: String =
        text.chars().take(INDEXED_CHARS_MAX).nfkc().flat_map(char::to_lowercase).collect();
    for run in runs(&folded) {
        if run.unspaced {
            for_pairs(run.text, |pair| push(&mut words, pair));
            push(&mut words, last_char(run.text));
        } else {
            push(&mut words, beginning(run.text));
        }
    }
    words
}

/// What somebody looks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    terms: Vec<Term>,
}

/// One word of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// Words of a text, in a row.
    pub row: Vec<String>,
    /// Whether the (one) word is only the beginning of a word of the text.
    pub beginning: bool,
}

impl Question {
    /// Reads a question as somebody typed it.
    pub fn new(text: &str) -> Self {
        let folded: String =
            text.chars().take(QUESTION_CHARS_MAX).nfkc().flat_map(char::to_lowercase).collect();
        let term = |run: Run<'_>| {
            let mut row = Vec::new();
            if run.unspaced {
                for_pairs(run.text, |pair| row.push(pair.to_owned()));
            } else {
                row.push(beginning(run.text).to_owned());
            }
            let beginning = row.is_empty() || !run.unspaced;
            if row.is_empty() {
                row.push(run.text.to_owned());
            }
            Term { row, beginning }
        };
        let mut terms: Vec<Term> = Vec::new();
        for term in runs(&folded).map(term) {
            if terms.len() < QUESTION_WORDS_MAX && !terms.contains(&term) {
                terms.push(term);
            }
        }
        Self { terms }
    }

    /// Whether it asks for nothing that could be found.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Its words.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// Nothing found yet, for [`Question::mark`].
    pub fn unmarked(&self) -> Vec<bool> {
        vec![false; self.terms.len()]
    }

    /// Marks the words of the question that stand among `words` (as [`words()`] gives them).
    pub fn mark(&self, words: &str, marks: &mut [bool]) {
        let words: Vec<&str> = words.split(' ').filter(|word| !word.is_empty()).collect();
        for (term, mark) in self.terms.iter().zip(marks) {
            *mark = *mark || term.stands_in(&words);
        }
    }

    /// Whether all words of the question stand among `words`.
    pub fn matches(&self, words: &str) -> bool {
        let mut marks = self.unmarked();
        self.mark(words, &mut marks);
        !marks.is_empty() && marks.into_iter().all(|mark| mark)
    }
}

impl Term {
    fn stands_in(&self, words: &[&str]) -> bool {
        match self.row.as_slice() {
            [beginning] if self.beginning => {
                words.iter().any(|word| word.starts_with(beginning.as_str()))
            }
            row => words.windows(row.len()).any(|window| window == row),
        }
    }
}

/// Neighbouring characters of one kind.
struct Run<'a> {
    unspaced: bool,
    text: &'a str,
}

/// The runs of letters, digits and marks of a folded text.
fn runs(folded: &str) -> impl Iterator<Item = Run<'_>> {
    let mut rest = folded;
    std::iter::from_fn(move || {
        let begin = rest.char_indices().find(|(_, c)| is_part(*c))?.0;
        rest = rest.get(begin..)?;
        let unspaced = rest.chars().next().is_some_and(flow::keyword::is_unspaced);
        // A mark belongs to the letter before it, whatever its script.
        let goes_on = |c: char| {
            is_part(c) && (is_combining_mark(c) || flow::keyword::is_unspaced(c) == unspaced)
        };
        let end = rest.char_indices().find(|(_, c)| !goes_on(*c)).map_or(rest.len(), |(at, _)| at);
        let (text, after) = rest.split_at_checked(end)?;
        rest = after;
        Some(Run { unspaced, text })
    })
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c)
}

fn for_pairs(run: &str, mut take: impl FnMut(&str)) {
    let ends = run.char_indices().map(|(at, c)| at + c.len_utf8());
    let begins = run.char_indices().map(|(at, _)| at);
    for (begin, end) in begins.zip(ends.skip(1)) {
        if let Some(pair) = run.get(begin..end) {
            take(pair);
        }
    }
}

fn last_char(run: &str) -> &str {
    run.char_indices().last().and_then(|(at, _)| run.get(at..)).unwrap_or_default()
}

fn beginning(word: &str) -> &str {
    let end = word.char_indices().nth(WORD_CHARS_MAX).map_or(word.len(), |(at, _)| at);
    word.get(..end).unwrap_or(word)
}

fn push(words: &mut String, word: &str) {
    if !words.is_empty() {
        words.push(' ');
    }
    words.push_str(word);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_become_words() {
        for (text, expected) in [
            ("請假申", "請假 假申 申"),
            ("申", "申"),
            ("ＨＯＴＥＬ　Ritz, 2 nights!", "hotel ritz 2 nights"),
            ("book飯店please", "book 飯店 店 please"),
            ("タクシーを", "タク クシ シー ーを を"),
            ("ｶﾞｽ", "ガス ス"),
            ("don't \"AND\" (x:y*) -z^", "don t and x y z"),
            ("สวัสดี", "สว วั ัส สด ดี ี"),
            ("café CAFÉ cafe\u{301}", "café café café"),
            ("예약 확인", "예약 확인"),
            ("…！？🎉 \u{0}", ""),
            ("", ""),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn questions_find_words_in_each_script() {
        let found = |text: &str, question: &str| Question::new(question).matches(&words(text));
        for question in ["請", "假", "三", "天", "請假", "假三", "三天", "我要請假", "要請 三天"]
        {
            assert!(found("我要請假三天。", question), "{question}");
        }
        for question in ["天我", "請三", "我要請假三天了", "x", "。", ""] {
            assert!(!found("我要請假三天。", question), "{question}");
        }
        assert!(!found("請假 假單", "請假單"));
        assert!(found("Hotels in Taipei", "taip HOTEL"));
        assert!(!found("Hotels in Taipei", "otel"));
        assert!(found("ホテルを予約", "予約"));
    }

    #[test]
    fn everything_is_bounded() {
        assert_eq!(words(&"假".repeat(70_000)).split(' ').count(), INDEXED_CHARS_MAX);
        assert_eq!(words(&"x".repeat(100)).len(), WORD_CHARS_MAX);
        let numbers: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        assert_eq!(Question::new(&numbers.join(" ")).terms().len(), QUESTION_WORDS_MAX);
        assert!(Question::new(&"x".repeat(100)).matches(&words(&"x".repeat(100))));
    }

    proptest! {
        #[test]
        fn every_part_of_an_unspaced_text_is_found(
            text in "[請假三天予約タク]{1,12}", begin in 0usize..12, chars in 1usize..12
        ) {
            let part: String = text.chars().skip(begin).take(chars).collect();
            prop_assert_eq!(Question::new(&part).matches(&words(&text)), !part.is_empty());
        }

        #[test]
        fn unspaced_texts_match_as_substrings(
            text in "[請假天]{0,8}", question in "[請假天]{1,4}"
        ) {
            let found = Question::new(&question).matches(&words(&text));
            prop_assert_eq!(found, text.contains(&question));
        }

        #[test]
        fn no_text_panics(text in any::<String>(), question in any::<String>()) {
            let question = Question::new(&question);
            let _ = question.matches(&words(&text));
        }
    }
}
