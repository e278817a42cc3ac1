//! Runs checked templates in a scope.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::machinery::ast::Expr;
use minijinja::machinery::{CodeGenerator, eval, make_string_output};
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment};
use serde_json::{Map, Value as Json};

use super::catalog::{self, nearest};
use super::error::{ErrorKind, TemplateError, translate};
use super::json::{from_value, to_value, too_deep};
use super::rewrite::{Expression, Template, expression, template};
use super::run::{CALL, RUN, Run};
use super::{SOURCE_BYTES_MAX, Scope, TEXT_BYTES_MAX, VALUE_BYTES_MAX, VALUE_DEPTH_MAX};

/// One budget, one scope, and what of it was needed so far.
pub(super) struct Session<'a> {
    scope: &'a Scope<'a>,
    run: Arc<Run>,
    run_value: Value,
    /// Variables that were converted already.
    roots: RefCell<BTreeMap<String, Value>>,
}

impl<'a> Session<'a> {
    pub(super) fn new(scope: &'a Scope<'a>) -> Self {
        let run = Arc::new(Run::new(scope.now, scope.zone));
        let run_value = Value::from_dyn_object(Arc::clone(&run));
        Self { scope, run, run_value, roots: RefCell::new(BTreeMap::new()) }
    }

    /// The text of a template.
    pub(super) fn render(&self, source: &str) -> Result<String, TemplateError> {
        let text = match plain(source)? {
            Some(text) => text.to_owned(),
            None => self.render_template(source, &template(source)?)?,
        };
        if text.len() > TEXT_BYTES_MAX {
            return Err(TemplateError::too_large(format!(
                "the text would be longer than {TEXT_BYTES_MAX} bytes"
            )));
        }
        Ok(text)
    }

    /// The value of a template that is one expression, the text of any other.
    pub(super) fn evaluate(&self, source: &str) -> Result<Json, TemplateError> {
        if plain(source)?.is_some() {
            return self.render(source).map(Json::String);
        }
        let template = template(source)?;
        match template.single() {
            Some(expr) => {
                let value = self.run_expression(source, expr, &template.roots)?;
                from_value(&value).map_err(|error| self.explain(&error))
            }
            None => self.render_template(source, &template).map(Json::String),
        }
    }

    /// The value of a bare expression.
    pub(super) fn expression(&self, source: &str) -> Result<Json, TemplateError> {
        let Expression { expr, roots } = expression(source, false)?;
        let value = self.run_expression(source, &expr, &roots)?;
        from_value(&value).map_err(|error| self.explain(&error))
    }

    /// Whether a bare expression holds; undefined does not.
    pub(super) fn truthy(&self, source: &str) -> Result<bool, TemplateError> {
        let Expression { expr, roots } = expression(source, true)?;
        Ok(self.run_expression(source, &expr, &roots)?.is_true())
    }

    /// The JSON value with every text in it evaluated.
    pub(super) fn evaluate_json(&self, json: &Json) -> Result<Json, TemplateError> {
        let mut bytes_left = VALUE_BYTES_MAX;
        self.evaluate_json_at(json, 0, &mut bytes_left)
    }

    fn evaluate_json_at(
        &self,
        json: &Json,
        depth: usize,
        bytes_left: &mut usize,
    ) -> Result<Json, TemplateError> {
        if depth > VALUE_DEPTH_MAX {
            return Err(self.explain(&too_deep()));
        }
        take(bytes_left, 8)?;
        Ok(match json {
            Json::Null | Json::Bool(_) | Json::Number(_) => json.clone(),
            Json::String(source) => {
                let value = self.evaluate(source)?;
                measure(&value, depth, bytes_left)?;
                value
            }
            Json::Array(items) => {
                let mut list = Vec::new();
                for item in items {
                    list.push(self.evaluate_json_at(item, depth + 1, bytes_left)?);
                }
                Json::Array(list)
            }
            Json::Object(fields) => {
                let mut map = Map::new();
                for (name, item) in fields {
                    take(bytes_left, name.len())?;
                    let item = self.evaluate_json_at(item, depth + 1, bytes_left)?;
                    map.insert(name.clone(), item);
                }
                Json::Object(map)
            }
        })
    }

    fn render_template<'s>(
        &self,
        source: &'s str,
        template: &Template<'s>,
    ) -> Result<String, TemplateError> {
        let mut text = String::new();
        self.run.reset_shown();
        self.execute(source, &template.roots, &mut text, |code| code.compile_stmt(&template.body))?;
        if text.len() > TEXT_BYTES_MAX {
            return Err(TemplateError::too_large(format!(
                "the text would be longer than {TEXT_BYTES_MAX} bytes"
            )));
        }
        Ok(text)
    }

    fn run_expression<'s>(
        &self,
        source: &'s str,
        expr: &Expr<'s>,
        roots: &[&'s str],
    ) -> Result<Value, TemplateError> {
        let mut unused = String::new();
        let result = self.execute(source, roots, &mut unused, |code| code.compile_expr(expr))?;
        result.ok_or_else(|| TemplateError::new(ErrorKind::Other, None, "there is no result"))
    }

    fn execute<'s>(
        &self,
        source: &'s str,
        roots: &[&'s str],
        text: &mut String,
        compile: impl FnOnce(&mut CodeGenerator<'s>),
    ) -> Result<Option<Value>, TemplateError> {
        let context = self.context(roots)?;
        let environment: &Environment<'s> = &catalog::get().environment;
        let mut code = CodeGenerator::new("template", source);
        compile(&mut code);
        let (instructions, blocks) = code.finish();
        let mut out = make_string_output(text);
        let finished =
            eval(environment, &instructions, context, &blocks, &mut out, AutoEscape::None);
        let (result, state) = finished.map_err(|error| self.explain(&error))?;
        // Many small templates in one JSON value share the budget also for their steps.
        let steps = state.fuel_levels().map_or(0, |(consumed, _)| consumed);
        let steps = usize::try_from(steps).unwrap_or(usize::MAX);
        let parsing = source.len().saturating_mul(16).saturating_add(CALL * 4);
        self.run
            .charge(steps.saturating_mul(16).saturating_add(parsing))
            .map_err(|error| self.explain(&error))?;
        Ok(result)
    }

    /// What the engine sees of the scope: the variables that the template names, and the run.
    fn context(&self, names: &[&str]) -> Result<Value, TemplateError> {
        let mut pairs = vec![(RUN.to_owned(), self.run_value.clone())];
        for name in names {
            let Some(json) = self.scope.get(name) else { continue };
            let known = self.roots.borrow().get(*name).cloned();
            let value = if let Some(value) = known {
                value
            } else {
                let value = to_value(&self.run, json).map_err(|error| self.explain(&error))?;
                self.roots.borrow_mut().insert((*name).to_owned(), value.clone());
                value
            };
            pairs.push(((*name).to_owned(), value));
        }
        Ok(Value::from_pairs(pairs))
    }

    fn explain(&self, error: &minijinja::Error) -> TemplateError {
        translate(error, |label| self.hint(label))
    }

    /// What may be meant by the undefined `label`, such as `contact.emial`.
    fn hint(&self, label: &str) -> Option<String> {
        let mut parts = label.split('.');
        let root = parts.next()?;
        let Some(mut json) = self.scope.get(root) else {
            if catalog::get().is_function(root) {
                return Some(format!("it is a function, write `{root}()`"));
            }
            return did_you_mean(root, self.scope.names())
                .or_else(|| did_you_mean(root, catalog::get().function_names()));
        };
        for part in parts {
            let fields = json.as_object()?;
            match fields.get(part) {
                Some(inner) => json = inner,
                None => return did_you_mean(part, fields.keys().map(String::as_str)),
            }
        }
        None
    }
}

fn did_you_mean<'c>(name: &str, candidates: impl Iterator<Item = &'c str>) -> Option<String> {
    nearest(name, candidates).map(|near| format!("did you mean `{near}`?"))
}

/// The text of a source without any Jinja in it, as the engine would give it.
fn plain(source: &str) -> Result<Option<&str>, TemplateError> {
    if ["{{", "{%", "{#"].iter().any(|marker| source.contains(marker)) {
        return Ok(None);
    }
    if source.len() > SOURCE_BYTES_MAX {
        return Err(TemplateError::too_large(format!(
            "the text has {} bytes, the limit is {SOURCE_BYTES_MAX}: split it",
            source.len()
        )));
    }
    let text = source.strip_suffix('\n').unwrap_or(source);
    Ok(Some(text.strip_suffix('\r').unwrap_or(text)))
}

fn take(bytes_left: &mut usize, bytes: usize) -> Result<(), TemplateError> {
    *bytes_left = bytes_left.checked_sub(bytes).ok_or_else(|| {
        TemplateError::too_large(format!("the value would be larger than {VALUE_BYTES_MAX} bytes"))
    })?;
    Ok(())
}

/// Counts what an expression added to a JSON value.
fn measure(json: &Json, depth: usize, bytes_left: &mut usize) -> Result<(), TemplateError> {
    if depth > VALUE_DEPTH_MAX {
        return Err(TemplateError::too_large(format!(
            "the value would be nested deeper than {VALUE_DEPTH_MAX} levels"
        )));
    }
    take(bytes_left, 8)?;
    match json {
        Json::Null | Json::Bool(_) | Json::Number(_) => Ok(()),
        Json::String(text) => take(bytes_left, text.len()),
        Json::Array(items) => {
            items.iter().try_for_each(|item| measure(item, depth + 1, bytes_left))
        }
        Json::Object(fields) => fields.iter().try_for_each(|(name, item)| {
            take(bytes_left, name.len())?;
            measure(item, depth + 1, bytes_left)
        }),
    }
}
