//! Flow documents: types, parsing, templates, checking, versions.
//!
//! A *flow* is what an administrator designs; a *task* is one run of it. Flows are data, never
//! code. This crate does no I/O and knows no clock, no randomness and no environment: time and
//! everything else arrive as arguments.

pub mod check;
pub mod content;
pub mod document;
pub mod expect;
pub mod json_schema;
pub mod keyword;
pub mod nesting;
pub mod parse;
pub mod problem;
pub mod schedule;
pub mod span;
pub mod step;
pub mod template;
pub mod yaml;

pub use content::{Attachment, AttachmentKind, Contact, Content, Lang, OfferedChoice, Text};
pub use document::{
    Flow, FlowTest, FlowTimeout, KeywordMatch, TestLine, Trigger, Var, VarType, WhenBusy, WhenOpen,
};
pub use expect::Expect;
pub use parse::{Parsed, from_value, parse};
pub use problem::{Problem, Severity};
pub use span::{Backoff, Span};
pub use step::{Step, StepId, StepKind};
