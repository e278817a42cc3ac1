//! Numerals: Arabic digits with thousands separators, Chinese and Japanese numerals, mixtures of
//! both (`1萬2000`), English words up to twelve. Texts are folded by [`super::normal`].

use super::Rejection;

/// A number as written, before anyone decides whether it must be whole or how large it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Amount {
    /// Below zero.
    pub(super) negative: bool,
    /// ASCII digits before the point, at least one.
    pub(super) whole: String,
    /// ASCII digits after the point, maybe none.
    pub(super) fraction: String,
}

impl Amount {
    fn of(whole: String, fraction: String) -> Self {
        Self { negative: false, whole, fraction }
    }

    /// The integer, if it is one and fits.
    pub(super) fn to_i64(&self) -> Result<i64, Rejection> {
        if self.fraction.bytes().any(|digit| digit != b'0') {
            return Err(Rejection::NotWhole);
        }
        let sign = if self.negative { "-" } else { "" };
        format!("{sign}{}", self.whole).parse().map_err(|_| Rejection::OutOfRange)
    }

    /// The nearest float, if it is finite.
    pub(super) fn to_f64(&self) -> Result<f64, Rejection> {
        let sign = if self.negative { "-" } else { "" };
        let written = format!("{sign}{}.{}0", self.whole, self.fraction);
        written.parse().ok().filter(|value: &f64| value.is_finite()).ok_or(Rejection::OutOfRange)
    }
}

/// Fixed point: values of Chinese numerals times this.
const SCALE: i128 = 1_000_000_000;
/// Digits after the point that [`SCALE`] holds.
const SCALE_DIGITS: usize = 9;
/// Digits of an Arabic literal inside a mixed numeral; keeps the arithmetic far from overflow.
const LITERAL_DIGITS_MAX: usize = 16;

/// The English number words that are read.
const WORDS: &[(&str, u32)] = &[
    ("zero", 0),
    ("one", 1),
    ("two", 2),
    ("three", 3),
    ("four", 4),
    ("five", 5),
    ("six", 6),
    ("seven", 7),
    ("eight", 8),
    ("nine", 9),
    ("ten", 10),
    ("eleven", 11),
    ("twelve", 12),
];

/// Japanese counts of people and things that are words of their own.
const COUNTS: &[(&str, u32)] = &[
    ("ひとり", 1),
    ("ふたり", 2),
    ("ひとつ", 1),
    ("ふたつ", 2),
    ("みっつ", 3),
    ("よっつ", 4),
    ("いつつ", 5),
    ("むっつ", 6),
    ("ななつ", 7),
    ("やっつ", 8),
    ("ここのつ", 9),
];

/// The number at the start of `text` and what follows it; `None` if there is none.
pub(super) fn leading(text: &str) -> Result<Option<(Amount, &str)>, Rejection> {
    if let Some((value, rest)) = leading_word(text) {
        return Ok(Some((Amount::of(value.to_string(), String::new()), rest)));
    }
    let count = COUNTS.iter().find_map(|(word, value)| Some((value, text.strip_prefix(word)?)));
    if let Some((value, rest)) = count {
        return Ok(Some((Amount::of(value.to_string(), String::new()), rest)));
    }
    let (run, rest) = split_run(text, true);
    if run.is_empty() {
        return Ok(None);
    }
    let amount = if run.is_ascii() { arabic(run)? } else { mixed(run)? };
    Ok(Some((amount, rest)))
}

/// The English number word at the start of `text`.
pub(super) fn leading_word(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end)?;
    WORDS.iter().find(|(name, _)| *name == word).map(|(_, value)| (*value, rest))
}

/// The small whole number in Chinese numerals at the start of `text`, as dates and times use them.
pub(super) fn leading_han(text: &str) -> Option<(u32, &str)> {
    let (run, rest) = split_run(text, false);
    let starts_han = run.starts_with(|c| token(c).is_some());
    if !starts_han || run.contains(|c: char| c.is_ascii()) {
        return None;
    }
    let value = mixed(run).ok()?.to_i64().ok()?;
    Some((u32::try_from(value).ok()?, rest))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Zero,
    Digit(i128),
    /// 20, 30 and 40 in one character: a digit and a ten.
    Tens(i128),
    /// Ten, hundred, thousand.
    Unit(i128),
    /// The units that a whole group counts: 萬, 億, 兆.
    Group(i128),
}

fn token(c: char) -> Option<Token> {
    Some(match c {
        '零' | '〇' => Token::Zero,
        '一' | '壹' => Token::Digit(1),
        '二' | '兩' | '貳' => Token::Digit(2),
        '三' | '參' => Token::Digit(3),
        '四' | '肆' => Token::Digit(4),
        '五' | '伍' => Token::Digit(5),
        '六' | '陸' => Token::Digit(6),
        '七' | '柒' => Token::Digit(7),
        '八' | '捌' => Token::Digit(8),
        '九' | '玖' => Token::Digit(9),
        '廿' => Token::Tens(2),
        '卅' => Token::Tens(3),
        '卌' => Token::Tens(4),
        '十' | '拾' => Token::Unit(10),
        '百' | '佰' => Token::Unit(100),
        '千' | '仟' => Token::Unit(1_000),
        '萬' => Token::Group(10_000),
        '億' => Token::Group(100_000_000),
        '兆' => Token::Group(1_000_000_000_000),
        _ => return None,
    })
}

fn is_numeral(c: char) -> bool {
    c.is_ascii_digit() || token(c).is_some()
}

/// Splits off the longest start that can be a numeral. Separators count only between digits, the
/// 點 of 三點五 only between numerals.
fn split_run(text: &str, with_points: bool) -> (&str, &str) {
    let mut end = 0;
    let mut before: Option<char> = None;
    let mut characters = text.char_indices().peekable();
    while let Some((index, c)) = characters.next() {
        let after = characters.peek().map(|(_, c)| *c);
        let belongs = match c {
            '.' | ',' => {
                with_points
                    && before.is_some_and(|c| c.is_ascii_digit())
                    && after.is_some_and(|c| c.is_ascii_digit())
            }
            '點' => with_points && before.is_some_and(is_numeral) && after.is_some_and(is_numeral),
            other => is_numeral(other),
        };
        if !belongs {
            break;
        }
        before = Some(c);
        end = index.saturating_add(c.len_utf8());
    }
    text.split_at_checked(end).unwrap_or(("", text))
}

/// `1234`, `1,234`, `1,234.5`.
fn arabic(run: &str) -> Result<Amount, Rejection> {
    let (whole, fraction) = run.split_once('.').unwrap_or((run, ""));
    let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(fraction) {
        return Err(Rejection::NotANumber);
    }
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    let rest: Vec<&str> = groups.collect();
    let grouped = rest.iter().all(|group| group.len() == 3) && (1..=3).contains(&first.len());
    if !rest.is_empty() && !grouped {
        // `3,4` may be two numbers or a decimal comma.
        return Err(Rejection::Ambiguous);
    }
    Ok(Amount::of(whole.replace(',', ""), fraction.to_owned()))
}

/// Chinese numerals, with Arabic digits among them or not.
fn mixed(run: &str) -> Result<Amount, Rejection> {
    let Some((whole, decimals)) = run.split_once('點') else {
        return Ok(unscaled(scaled(run)?));
    };
    let whole = scaled(whole)?;
    let end = decimals.find(|c| !is_plain_digit(c)).unwrap_or(decimals.len());
    let (digits, unit) = decimals.split_at_checked(end).ok_or(Rejection::NotANumber)?;
    let digits = plain_digits(digits).ok_or(Rejection::NotANumber)?;
    if unit.is_empty() {
        let amount = unscaled(whole);
        return Ok(Amount::of(amount.whole, digits));
    }
    let mut unit = unit.chars();
    let (Some(Token::Group(factor)), None) = (unit.next().and_then(token), unit.next()) else {
        return Err(Rejection::NotANumber);
    };
    let fraction = scaled_fraction(&digits)?;
    let value = whole.checked_add(fraction).and_then(|value| value.checked_mul(factor));
    value.map(unscaled).ok_or(Rejection::OutOfRange)
}

fn is_plain_digit(c: char) -> bool {
    c.is_ascii_digit() || matches!(token(c), Some(Token::Digit(_) | Token::Zero))
}

/// Digits one by one, as in 二〇二六, as ASCII.
fn plain_digits(run: &str) -> Option<String> {
    run.chars()
        .map(|c| match token(c) {
            Some(Token::Zero) => Some('0'),
            Some(Token::Digit(value)) => {
                u32::try_from(value).ok().and_then(|value| char::from_digit(value, 10))
            }
            Some(Token::Tens(_) | Token::Unit(_) | Token::Group(_)) => None,
            None => c.is_ascii_digit().then_some(c),
        })
        .collect()
}

fn scaled_fraction(digits: &str) -> Result<i128, Rejection> {
    if digits.len() > SCALE_DIGITS {
        return Err(Rejection::NotANumber);
    }
    format!("{digits:0<SCALE_DIGITS$}").parse().map_err(|_| Rejection::NotANumber)
}

fn unscaled(value: i128) -> Amount {
    let fraction = format!("{:0>SCALE_DIGITS$}", value % SCALE);
    Amount::of((value / SCALE).to_string(), fraction.trim_end_matches('0').to_owned())
}

/// The value of a run times [`SCALE`].
fn scaled(run: &str) -> Result<i128, Rejection> {
    let is_spelled_out = run.chars().count() > 1 && run.chars().all(is_plain_digit);
    if is_spelled_out && !run.is_ascii() {
        return scaled_digits(run);
    }
    let mut sum = Sum::new();
    let mut rest = run;
    while let Some(c) = rest.chars().next() {
        if c.is_ascii_digit() {
            let end = rest.find(|c| !matches!(c, '0'..='9' | '.' | ',')).unwrap_or(rest.len());
            let (literal, after) = rest.split_at_checked(end).ok_or(Rejection::NotANumber)?;
            sum.literal(&arabic(literal)?)?;
            rest = after;
        } else {
            sum.add(token(c).ok_or(Rejection::NotANumber)?)?;
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    sum.finish()
}

/// 二〇二六 and 一二三. Two digits with no zero, as in 三四天, mean "three or four".
fn scaled_digits(run: &str) -> Result<i128, Rejection> {
    if run.chars().any(|c| c.is_ascii_digit()) {
        return Err(Rejection::NotANumber);
    }
    let has_zero = run.chars().any(|c| token(c) == Some(Token::Zero));
    let count = run.chars().count();
    if count == 2 && !has_zero {
        return Err(Rejection::Ambiguous);
    }
    if count > LITERAL_DIGITS_MAX {
        return Err(Rejection::OutOfRange);
    }
    let digits = plain_digits(run).ok_or(Rejection::NotANumber)?;
    let value: i128 = digits.parse().map_err(|_| Rejection::NotANumber)?;
    value.checked_mul(SCALE).ok_or(Rejection::OutOfRange)
}

/// The sum of a numeral with units, built from left to right. All values are times [`SCALE`].
struct Sum {
    /// Groups that are done: before the last 萬.
    total: i128,
    /// The group at hand.
    group: i128,
    /// A digit or literal that waits for its unit.
    pending: Option<i128>,
    /// A single digit waits, not a literal of several.
    pending_is_digit: bool,
    /// The next unit must be smaller.
    unit: i128,
    /// The next group unit must be smaller.
    group_unit: i128,
    /// A zero stands before what comes next.
    zero: bool,
}

impl Sum {
    fn new() -> Self {
        Self {
            total: 0,
            group: 0,
            pending: None,
            pending_is_digit: false,
            unit: i128::MAX,
            group_unit: i128::MAX,
            zero: false,
        }
    }

    fn literal(&mut self, amount: &Amount) -> Result<(), Rejection> {
        if amount.whole.len() > LITERAL_DIGITS_MAX {
            return Err(Rejection::OutOfRange);
        }
        let whole: i128 = amount.whole.parse().map_err(|_| Rejection::NotANumber)?;
        let value = whole.checked_mul(SCALE).ok_or(Rejection::OutOfRange)?;
        let value = value.checked_add(scaled_fraction(&amount.fraction)?);
        self.wait(value.ok_or(Rejection::OutOfRange)?)?;
        self.pending_is_digit = amount.whole.len() == 1;
        Ok(())
    }

    fn wait(&mut self, value: i128) -> Result<(), Rejection> {
        if self.pending.replace(value).is_some() {
            // 二三十: twenty or thirty.
            return Err(Rejection::Ambiguous);
        }
        self.pending_is_digit = true;
        Ok(())
    }

    fn add(&mut self, token: Token) -> Result<(), Rejection> {
        match token {
            Token::Zero if self.pending.is_some() || self.zero => Err(Rejection::NotANumber),
            Token::Zero => {
                self.zero = true;
                Ok(())
            }
            Token::Digit(value) => self.wait(value.saturating_mul(SCALE)),
            Token::Tens(tens) => {
                self.wait(tens.saturating_mul(SCALE))?;
                self.unit(10)
            }
            Token::Unit(unit) => self.unit(unit),
            Token::Group(unit) => self.close_group(unit),
        }
    }

    fn unit(&mut self, unit: i128) -> Result<(), Rejection> {
        let count = match self.pending.take() {
            Some(count) => count,
            None if self.zero => return Err(Rejection::NotANumber),
            None => SCALE,
        };
        if unit >= self.unit {
            return Err(Rejection::NotANumber);
        }
        self.unit = unit;
        self.zero = false;
        let value = count.checked_mul(unit).and_then(|value| self.group.checked_add(value));
        self.group = value.ok_or(Rejection::OutOfRange)?;
        Ok(())
    }

    fn close_group(&mut self, unit: i128) -> Result<(), Rejection> {
        let group = self.group.checked_add(self.pending.take().unwrap_or(0));
        let group = group.filter(|group| *group > 0).ok_or(Rejection::NotANumber)?;
        if unit >= self.group_unit {
            return Err(Rejection::NotANumber);
        }
        let value = group.checked_mul(unit).and_then(|value| self.total.checked_add(value));
        self.total = value.ok_or(Rejection::OutOfRange)?;
        self.group = 0;
        self.group_unit = unit;
        self.unit = i128::MAX;
        self.zero = false;
        Ok(())
    }

    fn finish(self) -> Result<i128, Rejection> {
        let is_alone = self.total == 0 && self.group == 0;
        let last_unit = if self.unit == i128::MAX { self.group_unit } else { self.unit };
        match self.pending {
            // 零 alone is 0; 一百零 is unfinished.
            None if self.zero && !is_alone => return Err(Rejection::NotANumber),
            // 三千五 is 3500 in Chinese and 3005 in Japanese.
            Some(_) if !is_alone && self.pending_is_digit && !self.zero && last_unit > 10 => {
                return Err(Rejection::Ambiguous);
            }
            Some(tail) if last_unit != i128::MAX && tail >= last_unit.saturating_mul(SCALE) => {
                return Err(Rejection::NotANumber);
            }
            _ => {}
        }
        let tail = self.pending.unwrap_or(0);
        let sum = self.total.checked_add(self.group).and_then(|sum| sum.checked_add(tail));
        sum.ok_or(Rejection::OutOfRange)
    }
}
