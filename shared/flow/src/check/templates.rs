//! Every template and expression compiles, and uses only names that are there.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::content::Text;
use crate::document::{Flow, Trigger};
use crate::expect::Expect;
use crate::problem::{Problem, escape_pointer};
use crate::step::{Assignments, ChoiceSpec, Choices, StepKind};
use crate::template;

/// Names every template has beside the variables.
const ALWAYS: [&str; 3] = ["input", "contact", "task"];

struct Visitor<'a> {
    vars: Vec<&'a str>,
    used: BTreeSet<String>,
    problems: &'a mut Vec<Problem>,
}

pub(super) fn check(flow: &Flow, problems: &mut Vec<Problem>) {
    let vars = flow.vars.keys().map(String::as_str).chain(flow.implied_vars()).collect();
    let mut visitor = Visitor { vars, used: BTreeSet::new(), problems };
    if let Some(label) = &flow.label {
        visitor.template("/label", label, &[]);
    }
    for (index, trigger) in flow.triggers.iter().enumerate() {
        visitor.trigger(&format!("/triggers/{index}"), trigger);
    }
    for (id, step) in &flow.steps {
        visitor.step(&format!("/steps/{}", escape_pointer(id)), &step.kind);
    }
    let used = visitor.used;
    for name in flow.vars.keys().filter(|name| !used.contains(*name)) {
        problems.push(
            Problem::warning(
                format!("/vars/{}", escape_pointer(name)),
                format!("the variable `{name}` is never read"),
            )
            .fix("use it, or remove it"),
        );
    }
}

impl Visitor<'_> {
    fn trigger(&mut self, at: &str, trigger: &Trigger) {
        if let Trigger::Event { contact: Some(contact), .. }
        | Trigger::Schedule { contact: Some(contact), .. } = trigger
        {
            self.template(&format!("{at}/contact"), contact, &["event"]);
        }
        self.assignments(&format!("{at}/vars"), trigger.vars(), &["event"]);
    }

    fn step(&mut self, at: &str, kind: &StepKind) {
        match kind {
            StepKind::Say(say) => {
                self.text(&format!("{at}/text"), say.text.as_ref());
                self.optional(&format!("{at}/image"), say.image.as_ref());
                self.optional(&format!("{at}/file"), say.file.as_ref());
                for (index, message) in say.messages.iter().enumerate() {
                    self.text(&format!("{at}/messages/{index}/text"), message.text.as_ref());
                    self.optional(&format!("{at}/messages/{index}/image"), message.image.as_ref());
                    self.optional(&format!("{at}/messages/{index}/file"), message.file.as_ref());
                }
                self.choices(&format!("{at}/choices"), &say.choices);
            }
            StepKind::Ask(ask) => self.ask(at, ask),
            StepKind::Set(set) => self.assignments(&format!("{at}/vars"), &set.vars, &[]),
            StepKind::Branch(branch) => {
                for (index, case) in branch.cases.iter().enumerate() {
                    let pointer = format!("{at}/cases/{index}/if");
                    self.report(&pointer, template::compile_check_expr(&case.condition), &[]);
                }
            }
            StepKind::Call(call) => {
                let request = &call.request;
                self.template(&format!("{at}/request/url"), &request.url, &[]);
                self.assignments(&format!("{at}/request/query"), &request.query, &[]);
                for (name, value) in &request.headers {
                    let pointer = format!("{at}/request/headers/{}", escape_pointer(name));
                    self.template(&pointer, value, &[]);
                }
                if let Some(json) = &request.json {
                    self.value(&format!("{at}/request/json"), json, &[]);
                }
                self.optional(&format!("{at}/request/body"), request.body.as_ref());
            }
            StepKind::Wait(wait) => {
                self.optional(&format!("{at}/for"), wait.duration.as_ref());
                self.optional(&format!("{at}/until"), wait.until.as_ref());
                self.optional(&format!("{at}/event/key"), wait.event.as_ref().map(|e| &e.key));
            }
            StepKind::Start(start) => {
                self.assignments(&format!("{at}/vars"), &start.vars, &[]);
                self.optional(&format!("{at}/contact"), start.contact.as_ref());
            }
            StepKind::Each(each) => {
                self.value(&format!("{at}/items"), &each.items, &[]);
                self.assignments(&format!("{at}/vars"), &each.vars, &["item", "index"]);
                if let Some(contact) = &each.contact {
                    self.template(&format!("{at}/contact"), contact, &["item", "index"]);
                }
            }
            StepKind::Handoff(handoff) => {
                self.text(&format!("{at}/text"), handoff.text.as_ref());
                self.optional(&format!("{at}/summary"), handoff.summary.as_ref());
            }
            StepKind::Notify(notify) => {
                self.template(&format!("{at}/to"), &notify.to, &[]);
                self.text(&format!("{at}/text"), Some(&notify.text));
            }
            StepKind::Record(record) => self.assignments(&format!("{at}/row"), &record.row, &[]),
            StepKind::End(end) => {
                self.template(&format!("{at}/outcome"), &end.outcome, &[]);
                if let Some(result) = &end.result {
                    self.value(&format!("{at}/result"), result, &[]);
                }
            }
        }
    }

    fn ask(&mut self, at: &str, ask: &crate::step::Ask) {
        self.text(&format!("{at}/text"), Some(&ask.text));
        self.optional(&format!("{at}/image"), ask.image.as_ref());
        match &ask.choices {
            Choices::List(list) => self.choices(&format!("{at}/choices"), list),
            Choices::Computed(source) => self.template(&format!("{at}/choices"), source, &[]),
        }
        if let Some(
            Expect::Integer { min, max }
            | Expect::Number { min, max }
            | Expect::Date { min, max }
            | Expect::Datetime { min, max },
        ) = &ask.expect
        {
            for (name, bound) in [("min", min), ("max", max)] {
                if let Some(bound) = bound {
                    self.value(&format!("{at}/expect/{name}"), bound, &[]);
                }
            }
        }
        self.text(
            &format!("{at}/reprompt/text"),
            ask.reprompt.as_ref().and_then(|r| r.text.as_ref()),
        );
        self.text(&format!("{at}/remind/text"), ask.remind.as_ref().map(|r| &r.text));
    }

    fn choices(&mut self, at: &str, choices: &[ChoiceSpec]) {
        for (index, choice) in choices.iter().enumerate() {
            let pointer = format!("{at}/{index}");
            match choice {
                ChoiceSpec::Plain(value) => self.value(&pointer, value, &[]),
                ChoiceSpec::Labelled(labelled) => {
                    self.text(&format!("{pointer}/label"), Some(&labelled.label));
                    if let Some(value) = &labelled.value {
                        self.value(&format!("{pointer}/value"), value, &[]);
                    }
                }
            }
        }
    }

    fn text(&mut self, at: &str, text: Option<&Text>) {
        for (suffix, source) in text.into_iter().flat_map(Text::all) {
            self.template(&format!("{at}{suffix}"), source, &[]);
        }
    }

    fn optional(&mut self, at: &str, source: Option<&String>) {
        if let Some(source) = source {
            self.template(at, source, &[]);
        }
    }

    fn assignments(&mut self, at: &str, values: &Assignments, extra: &[&str]) {
        for (name, value) in values {
            self.value(&format!("{at}/{}", escape_pointer(name)), value, extra);
        }
    }

    /// Documents are at most `yaml::DOCUMENT_DEPTH_MAX` deep, so the recursion is bounded.
    fn value(&mut self, at: &str, value: &Value, extra: &[&str]) {
        match value {
            Value::String(source) => self.template(at, source, extra),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(&format!("{at}/{index}"), item, extra);
                }
            }
            Value::Object(map) => {
                for (key, item) in map {
                    self.value(&format!("{at}/{}", escape_pointer(key)), item, extra);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn template(&mut self, at: &str, source: &str, extra: &[&str]) {
        self.report(at, template::compile_check(source), extra);
    }

    fn report(
        &mut self,
        at: &str,
        checked: Result<template::Info, template::TemplateError>,
        extra: &[&str],
    ) {
        let info = match checked {
            Ok(info) => info,
            Err(error) => {
                self.problems
                    .push(Problem::error(at, error.to_string()).fix("correct the template"));
                return;
            }
        };
        for name in info.variables {
            let known = self.vars.contains(&name.as_str())
                || ALWAYS.contains(&name.as_str())
                || extra.contains(&name.as_str());
            if known {
                self.used.insert(name);
                continue;
            }
            let names = self.vars.iter().copied().chain(ALWAYS).chain(extra.iter().copied());
            self.problems.push(
                Problem::error(at, format!("the variable `{name}` is not declared"))
                    .fix(format!("declare it under `vars`: `{name}: {{type: string}}`"))
                    .suggest(&name, names),
            );
        }
    }
}
