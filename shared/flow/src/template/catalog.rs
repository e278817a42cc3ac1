//! The engine with the filters, tests and functions that flows may use, and their names.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::LazyLock;

use minijinja::functions::Function;
use minijinja::value::{FunctionArgs, FunctionResult, Value};
use minijinja::{Environment, Error, Output, State, UndefinedBehavior};

use super::error::{Mark, marked};
use super::run::Run;
use super::{FUEL, dates, lists, numbers, operators, predicates, texts};

/// The engine and the names that templates may use.
pub(super) struct Catalog {
    pub(super) environment: Environment<'static>,
    filters: BTreeSet<&'static str>,
    tests: BTreeSet<&'static str>,
    /// What is written, and the reserved name that no variable can hide.
    functions: Vec<(&'static str, &'static str)>,
}

/// The one catalog.
pub(super) fn get() -> &'static Catalog {
    static CATALOG: LazyLock<Catalog> = LazyLock::new(build);
    &CATALOG
}

fn build() -> Catalog {
    let mut environment = Environment::empty();
    environment.set_fuel(Some(FUEL));
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_formatter(print);
    let mut builder = Builder {
        catalog: Catalog {
            environment,
            filters: BTreeSet::new(),
            tests: BTreeSet::new(),
            functions: Vec::new(),
        },
    };
    operators::register(&mut builder);
    texts::register(&mut builder);
    numbers::register(&mut builder);
    lists::register(&mut builder);
    dates::register(&mut builder);
    predicates::register(&mut builder);
    builder.catalog
}

/// Puts a value out as plain text, and counts it.
fn print(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    let run = Run::of(state)?;
    if value.is_undefined() {
        return Err(marked(Mark::Undefined(String::new()), "not defined"));
    }
    // A variable without a value is nothing to read out to a person; Jinja would say `None`.
    if value.is_none() {
        return Ok(());
    }
    let text = run.text(value)?;
    run.show(text.len())?;
    out.write_str(&text).map_err(Error::from)
}

impl Catalog {
    /// The name of a known filter, or a message that names the nearest.
    pub(super) fn filter(&self, name: &str) -> Result<&'static str, String> {
        known(&self.filters, name).ok_or_else(|| unknown("filter", name, &self.filters))
    }

    /// The name of a known test, or a message that names the nearest.
    pub(super) fn test(&self, name: &str) -> Result<&'static str, String> {
        known(&self.tests, name).ok_or_else(|| unknown("test", name, &self.tests))
    }

    /// The reserved name of a known function, or a message that names the nearest.
    pub(super) fn function(&self, name: &str) -> Result<&'static str, String> {
        if let Some((_, reserved)) = self.functions.iter().find(|(public, _)| *public == name) {
            return Ok(reserved);
        }
        if self.filters.contains(name) {
            return Err(format!("`{name}` is a filter: write `value|{name}`"));
        }
        let names = self.functions.iter().map(|(public, _)| *public).collect();
        Err(unknown("function", name, &names))
    }

    /// Is `name` the name of a function, as it is written?
    pub(super) fn is_function(&self, name: &str) -> bool {
        self.functions.iter().any(|(public, _)| *public == name)
    }

    /// The names of all functions, as they are written.
    pub(super) fn function_names(&self) -> impl Iterator<Item = &'static str> {
        self.functions.iter().map(|(public, _)| *public)
    }

    /// What to write instead of `value.name()`.
    pub(super) fn instead_of_method(&self, name: &str) -> String {
        if self.filters.contains(name) {
            format!("methods are not available: write `value|{name}`")
        } else {
            format!("methods such as `.{name}()` are not available: use filters")
        }
    }

    #[cfg(test)]
    pub(super) fn filter_names(&self) -> impl Iterator<Item = &'static str> {
        self.filters.iter().copied()
    }
}

fn known(names: &BTreeSet<&'static str>, name: &str) -> Option<&'static str> {
    names.get(name).copied()
}

fn unknown(what: &str, name: &str, names: &BTreeSet<&'static str>) -> String {
    let mut message = format!("the {what} `{name}` does not exist");
    if let Some(near) = nearest(name, names.iter().copied()) {
        // Writing to a `String` cannot fail.
        let _ = write!(message, ": did you mean `{near}`?");
    }
    message
}

/// The candidate that `name` is most likely a slip of.
pub(super) fn nearest<'c>(
    name: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    const NAME_BYTES_MAX: usize = 64;
    const CANDIDATES_MAX: usize = 1_000;
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let edits_max = (name.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .take(CANDIDATES_MAX)
        .filter(|candidate| candidate.len() <= NAME_BYTES_MAX)
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(edits, _)| *edits <= edits_max)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Collects filters, tests and functions.
pub(super) struct Builder {
    catalog: Catalog,
}

impl Builder {
    pub(super) fn filter<F, Rv, Args>(&mut self, name: &'static str, filter: F)
    where
        F: Function<Rv, Args>,
        Rv: FunctionResult,
        Args: for<'a> FunctionArgs<'a>,
    {
        self.catalog.filters.insert(name);
        self.catalog.environment.add_filter(name, filter);
    }

    /// A filter that the rewriting uses and no template can name.
    pub(super) fn guard<F, Rv, Args>(&mut self, name: &'static str, filter: F)
    where
        F: Function<Rv, Args>,
        Rv: FunctionResult,
        Args: for<'a> FunctionArgs<'a>,
    {
        self.catalog.environment.add_filter(name, filter);
    }

    pub(super) fn test<F, Rv, Args>(&mut self, name: &'static str, test: F)
    where
        F: Function<Rv, Args>,
        Rv: FunctionResult,
        Args: for<'a> FunctionArgs<'a>,
    {
        self.catalog.tests.insert(name);
        self.catalog.environment.add_test(name, test);
    }

    /// A function, under the name that is written and a reserved one.
    pub(super) fn function<F, Rv, Args>(
        &mut self,
        name: &'static str,
        reserved: &'static str,
        function: F,
    ) where
        F: Function<Rv, Args>,
        Rv: FunctionResult,
        Args: for<'a> FunctionArgs<'a>,
    {
        self.catalog.functions.push((name, reserved));
        self.catalog.environment.add_function(reserved, function);
    }
}
