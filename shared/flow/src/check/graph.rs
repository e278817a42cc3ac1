//! The graph of steps: every target exists, every step is reached, every way has an end, and no
//! loop runs without waiting.

use std::collections::{BTreeMap, BTreeSet};

use crate::document::Flow;
use crate::problem::{Problem, escape_pointer};
use crate::step::StepKind;

pub(super) fn check(flow: &Flow, problems: &mut Vec<Problem>) {
    if flow.steps.is_empty() {
        problems
            .push(Problem::error("/steps", "the flow has no step").fix("add a step of type `end`"));
        return;
    }
    let known = || flow.steps.keys().map(String::as_str);
    if !flow.steps.contains_key(&flow.start) {
        problems.push(
            Problem::error("/start", format!("there is no step `{}`", flow.start))
                .fix("name the step to begin with")
                .suggest(&flow.start, known()),
        );
    }
    let mut edges: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, step) in &flow.steps {
        for (field, target) in step.kind.targets() {
            if flow.steps.contains_key(target) {
                edges.entry(id).or_default().push(target);
            } else {
                problems.push(
                    Problem::error(
                        format!("/steps/{}{field}", escape_pointer(id)),
                        format!("there is no step `{target}`"),
                    )
                    .fix("add the step, or name another one")
                    .suggest(target, known()),
                );
            }
        }
    }
    let reached = walk([flow.start.as_str()], &edges);
    unreachable(flow, &reached, problems);
    endless(flow, &edges, &reached, problems);
    loops(flow, &edges, problems);
}

fn walk<'a>(
    from: impl IntoIterator<Item = &'a str>,
    edges: &BTreeMap<&'a str, Vec<&'a str>>,
) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&str> = from.into_iter().collect();
    while let Some(step) = open.pop() {
        if seen.insert(step) {
            open.extend(edges.get(step).into_iter().flatten().copied());
        }
    }
    seen
}

fn unreachable(flow: &Flow, reached: &BTreeSet<&str>, problems: &mut Vec<Problem>) {
    for id in flow.steps.keys().filter(|id| !reached.contains(id.as_str())) {
        problems.push(
            Problem::warning(
                format!("/steps/{}", escape_pointer(id)),
                format!("no step leads to `{id}`"),
            )
            .fix("lead a step to it, or remove it"),
        );
    }
}

fn endless<'a>(
    flow: &'a Flow,
    edges: &BTreeMap<&'a str, Vec<&'a str>>,
    reached: &BTreeSet<&str>,
    problems: &mut Vec<Problem>,
) {
    let mut back: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, targets) in edges {
        for to in targets {
            back.entry(to).or_default().push(from);
        }
    }
    let ends = flow
        .steps
        .iter()
        .filter(|(_, step)| matches!(step.kind, StepKind::End(_)))
        .map(|(id, _)| id.as_str());
    let ending = walk(ends, &back);
    for id in flow.steps.keys() {
        if reached.contains(id.as_str()) && !ending.contains(id.as_str()) {
            problems.push(
                Problem::error(
                    format!("/steps/{}", escape_pointer(id)),
                    format!("from `{id}` no way leads to an end"),
                )
                .fix("lead it, or a step after it, to a step of type `end`"),
            );
        }
    }
}

/// A loop in which no step waits would run until the step budget fails the task.
fn loops(flow: &Flow, edges: &BTreeMap<&str, Vec<&str>>, problems: &mut Vec<Problem>) {
    let runs_on = |id: &&str| flow.steps.get(*id).is_some_and(|step| !step.kind.waits());
    let mut narrowed: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, targets) in edges {
        if runs_on(from) {
            narrowed.insert(from, targets.iter().copied().filter(|to| runs_on(to)).collect());
        }
    }
    for id in flow.steps.keys() {
        let next = narrowed.get(id.as_str()).cloned().unwrap_or_default();
        if walk(next, &narrowed).contains(id.as_str()) {
            problems.push(
                Problem::warning(
                    format!("/steps/{}", escape_pointer(id)),
                    format!("`{id}` is part of a loop in which no step waits"),
                )
                .fix("make sure a branch leaves the loop; after 1,000 steps the task fails"),
            );
        }
    }
}
