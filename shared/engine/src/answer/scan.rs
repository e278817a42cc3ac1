//! A cursor over folded text: the small readers that dates and times are put together from.

use super::normal::strip_word_start;
use super::numerals;

/// What is left to read. Copying it is how a reader looks ahead.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scan<'a>(pub(super) &'a str);

/// An Arabic number as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digits {
    pub(super) value: u32,
    /// How many digits were written: `08` has two.
    pub(super) length: usize,
}

impl Scan<'_> {
    pub(super) fn is_done(self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn next_is(self, test: impl Fn(char) -> bool) -> bool {
        self.0.starts_with(test)
    }

    /// Takes `literal`; a Latin word only as a whole word.
    pub(super) fn eat(&mut self, literal: &str) -> bool {
        let rest = if literal.starts_with(|c: char| c.is_ascii_alphabetic()) {
            strip_word_start(self.0, literal)
        } else {
            self.0.strip_prefix(literal)
        };
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// Takes the first of `literals` that is next.
    pub(super) fn eat_any(&mut self, literals: &[&str]) -> bool {
        literals.iter().any(|literal| self.eat(literal))
    }

    /// Takes the first entry of `table` that is next and answers its meaning.
    pub(super) fn one_of<T: Copy>(&mut self, table: &[(&str, T)]) -> Option<T> {
        table.iter().find(|(literal, _)| self.eat(literal)).map(|(_, meaning)| *meaning)
    }

    pub(super) fn eat_char(&mut self, test: impl Fn(char) -> bool) -> Option<char> {
        let c = self.0.chars().next().filter(|c| test(*c))?;
        self.0 = self.0.get(c.len_utf8()..)?;
        Some(c)
    }

    pub(super) fn space(&mut self) {
        self.0 = self.0.trim_start();
    }

    /// Takes a whole run of at most `max` (up to 9) Arabic digits.
    pub(super) fn digits(&mut self, max: usize) -> Option<Digits> {
        let length = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
        if length == 0 || length > max {
            return None;
        }
        let (run, rest) = self.0.split_at_checked(length)?;
        let value = run.parse().ok()?;
        self.0 = rest;
        Some(Digits { value, length })
    }

    /// Takes a whole number in Arabic digits (up to `max`) or Chinese numerals.
    pub(super) fn count(&mut self, max: usize) -> Option<u32> {
        if let Some(digits) = self.digits(max) {
            return Some(digits.value);
        }
        let (value, rest) = numerals::leading_han(self.0)?;
        self.0 = rest;
        Some(value)
    }

    /// Like [`Scan::count`], or an English number word.
    pub(super) fn count_or_word(&mut self, max: usize) -> Option<u32> {
        if let Some((value, rest)) = numerals::leading_word(self.0) {
            self.0 = rest;
            return Some(value);
        }
        self.count(max)
    }
}
