//! Limits on the text of a template, checked on its tokens before anything recursive sees it.
//!
//! The engine's parser guards parentheses and statements against deep recursion, but not chains:
//! `not not …`, `- - …`, `a|b|c…`, `{% elif %}`. Their number is limited here.

use minijinja::machinery::{Span, Token, Tokenizer};
use minijinja::syntax::SyntaxConfig;

use super::error::{ErrorKind, TemplateError, translate};
use super::{BRACKETS_NESTED_MAX, OPERATORS_MAX, SOURCE_BYTES_MAX, STATEMENTS_MAX};

/// Checks size, nesting and length of chains. `in_expression`: the source is a bare expression.
pub(super) fn check(source: &str, in_expression: bool) -> Result<(), TemplateError> {
    if source.len() > SOURCE_BYTES_MAX {
        return Err(TemplateError::too_large(format!(
            "the template has {} bytes, the limit is {SOURCE_BYTES_MAX}: split it",
            source.len()
        )));
    }
    let mut tokens = Tokenizer::new(source, "template", in_expression, SyntaxConfig::default());
    let mut counts = Counts::default();
    loop {
        match tokens.next_token() {
            Ok(Some((token, span))) => counts.add(&token, span)?,
            Ok(None) => return Ok(()),
            Err(error) => return Err(translate(&error, |_| None)),
        }
    }
}

#[derive(Default)]
struct Counts {
    statements: usize,
    operators: usize,
    brackets: usize,
}

impl Counts {
    fn add(&mut self, token: &Token<'_>, span: Span) -> Result<(), TemplateError> {
        match token {
            Token::VariableStart => self.start_expression(),
            Token::BlockStart => {
                self.start_expression();
                self.statements += 1;
            }
            Token::BracketOpen | Token::ParenOpen | Token::BraceOpen => {
                self.brackets += 1;
                self.operators += 1;
            }
            Token::BracketClose | Token::ParenClose | Token::BraceClose => {
                self.brackets = self.brackets.saturating_sub(1);
            }
            Token::Ident("not" | "and" | "or" | "if" | "else" | "is" | "in")
            | Token::Plus
            | Token::Minus
            | Token::Mul
            | Token::Div
            | Token::FloorDiv
            | Token::Pow
            | Token::Mod
            | Token::Dot
            | Token::Tilde
            | Token::Pipe
            | Token::Eq
            | Token::Ne
            | Token::Gt
            | Token::Gte
            | Token::Lt
            | Token::Lte => self.operators += 1,
            _ => {}
        }
        let line = Some(usize::from(span.start_line));
        let refuse = |message| Err(TemplateError::new(ErrorKind::Syntax, line, message));
        if self.brackets > BRACKETS_NESTED_MAX {
            return refuse(format!("brackets are nested deeper than {BRACKETS_NESTED_MAX} levels"));
        }
        if self.operators > OPERATORS_MAX {
            return refuse(format!(
                "an expression has more than {OPERATORS_MAX} operators: split it with `set` steps"
            ));
        }
        if self.statements > STATEMENTS_MAX {
            return refuse(format!(
                "the template has more than {STATEMENTS_MAX} `{{% … %}}` tags: split it"
            ));
        }
        Ok(())
    }

    fn start_expression(&mut self) {
        self.operators = 0;
        self.brackets = 0;
    }
}
