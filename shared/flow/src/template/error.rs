//! What can go wrong with a template, told so that its author can repair it.

use std::error::Error as StdError;
use std::fmt;

use minijinja::ErrorKind as EngineKind;

/// Why a template was not accepted or gave no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The text is not valid Jinja.
    Syntax,
    /// A variable, or a field of one, has no value where one is needed.
    Undefined,
    /// Too many steps: most often a loop over too much.
    OutOfFuel,
    /// The source, the data it touches, or what it would produce is too large.
    TooLarge,
    /// Valid Jinja that flows do not allow, or an unknown filter, test or function.
    Refused,
    /// A filter or operator cannot work with the value it was given.
    Other,
}

/// A template that was not accepted or gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", Place(*.line))]
pub struct TemplateError {
    /// The group of the problem.
    pub kind: ErrorKind,
    /// The line of the template, counted from 1, where it is known.
    pub line: Option<usize>,
    /// What is wrong and what to write instead.
    pub message: String,
}

struct Place(Option<usize>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(line) => write!(f, "line {line}: "),
            None => Ok(()),
        }
    }
}

impl TemplateError {
    pub(super) fn new(kind: ErrorKind, line: Option<usize>, message: impl Into<String>) -> Self {
        Self { kind, line, message: message.into() }
    }

    pub(super) fn too_large(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::TooLarge, None, message)
    }
}

/// Travels as the source of an engine error, so that its kind survives the engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Mark {
    #[error("too large")]
    TooLarge,
    #[error("refused")]
    Refused,
    /// Holds the expression as written, or nothing where it has no short form.
    #[error("undefined")]
    Undefined(String),
}

/// An engine error of a marked kind.
pub(super) fn marked(mark: Mark, message: impl Into<String>) -> minijinja::Error {
    minijinja::Error::new(EngineKind::InvalidOperation, message.into()).with_source(mark)
}

/// An engine error for a value that a filter cannot use.
pub(super) fn unusable(message: impl Into<String>) -> minijinja::Error {
    minijinja::Error::new(EngineKind::InvalidOperation, message.into())
}

/// Translates an error of the engine; `hint` completes the message of an undefined value.
pub(super) fn translate(
    error: &minijinja::Error,
    hint: impl FnOnce(&str) -> Option<String>,
) -> TemplateError {
    let line = error.line();
    let said = || match error.detail() {
        Some(detail) => detail.to_owned(),
        None => error.kind().to_string(),
    };
    let mark = StdError::source(error).and_then(|source| source.downcast_ref::<Mark>());
    let (kind, message) = match (mark, error.kind()) {
        (Some(Mark::TooLarge), _) => (ErrorKind::TooLarge, said()),
        (Some(Mark::Refused), _)
        | (
            None,
            EngineKind::UnknownFilter
            | EngineKind::UnknownTest
            | EngineKind::UnknownFunction
            | EngineKind::UnknownMethod,
        ) => (ErrorKind::Refused, said()),
        (Some(Mark::Undefined(label)), _) => (ErrorKind::Undefined, undefined(label, hint)),
        (None, EngineKind::SyntaxError | EngineKind::BadEscape) => (ErrorKind::Syntax, said()),
        (None, EngineKind::UndefinedError) => (ErrorKind::Undefined, undefined("", hint)),
        (None, EngineKind::OutOfFuel) => (
            ErrorKind::OutOfFuel,
            "the template takes too many steps: loop over less, or prepare the value in a `set` \
             step"
                .to_owned(),
        ),
        (None, _) => (ErrorKind::Other, said()),
    };
    TemplateError { kind, line, message }
}

fn undefined(label: &str, hint: impl FnOnce(&str) -> Option<String>) -> String {
    let (name, hint) = if label.is_empty() {
        ("a value used here".to_owned(), None)
    } else {
        (format!("`{label}`"), hint(label))
    };
    match hint {
        Some(hint) => format!("{name} is not defined: {hint}"),
        None => format!("{name} is not defined: set it before, or write `|default('…')`"),
    }
}
