//! Bounds on everything that a flow may ask for, and combinations that make no sense.

use crate::document::Flow;
use crate::expect::Expect;
use crate::problem::{Problem, escape_pointer};
use crate::span::Span;
use crate::step::{Ask, Call, Choices, StepKind, Wait};

/// Most choices of one step.
pub const CHOICES_MAX: usize = 100;
/// Most messages of one `say`.
pub const SAY_MESSAGES_MAX: usize = 10;
/// Most triggers of a flow.
pub const TRIGGERS_MAX: usize = 50;

pub(super) fn check(flow: &Flow, problems: &mut Vec<Problem>) {
    if flow.triggers.len() > TRIGGERS_MAX {
        problems.push(Problem::error("/triggers", format!("more than {TRIGGERS_MAX} triggers")));
    }
    if flow.tests.len() > 100 {
        problems.push(Problem::error("/tests", "more than 100 tests"));
    }
    for (id, step) in &flow.steps {
        let at = format!("/steps/{}", escape_pointer(id));
        match &step.kind {
            StepKind::Say(say) => {
                let count = say.all().len();
                range(&format!("{at}/messages"), "messages", count, 1, SAY_MESSAGES_MAX, problems);
                let most = CHOICES_MAX;
                range(&format!("{at}/choices"), "choices", say.choices.len(), 0, most, problems);
            }
            StepKind::Ask(ask) => self::ask(ask, &at, problems),
            StepKind::Call(call) => self::call(call, &at, problems),
            StepKind::Wait(wait) => self::wait(wait, &at, problems),
            StepKind::Each(each) => {
                let at = format!("{at}/parallel");
                range(&at, "parallel", each.parallel as usize, 1, 50, problems);
            }
            StepKind::Branch(branch) => {
                range(&format!("{at}/cases"), "cases", branch.cases.len(), 1, 100, problems);
            }
            StepKind::Set(_)
            | StepKind::Start(_)
            | StepKind::Handoff(_)
            | StepKind::Notify(_)
            | StepKind::Record(_)
            | StepKind::End(_) => {}
        }
    }
}

fn ask(ask: &Ask, at: &str, problems: &mut Vec<Problem>) {
    if let Choices::List(list) = &ask.choices {
        range(&format!("{at}/choices"), "choices", list.len(), 0, CHOICES_MAX, problems);
    }
    if let Some(reprompt) = &ask.reprompt {
        let times = reprompt.times as usize;
        range(&format!("{at}/reprompt/times"), "reprompt.times", times, 0, 100, problems);
    }
    if let Some(remind) = &ask.remind {
        let times = remind.times as usize;
        range(&format!("{at}/remind/times"), "remind.times", times, 1, 20, problems);
        positive(&format!("{at}/remind/after"), remind.after, problems);
    }
    if let Some(Expect::String { pattern: Some(pattern), .. }) = &ask.expect {
        // The same limits as when the pattern runs: linear time, bounded size.
        let compiled = regex::RegexBuilder::new(pattern).size_limit(1 << 20).build();
        if pattern.len() > 1_000 || compiled.is_err() {
            let why = compiled.err().map_or_else(
                || "it is longer than 1,000 bytes".to_owned(),
                |error| error.to_string().lines().last().unwrap_or_default().to_owned(),
            );
            problems.push(
                Problem::error(
                    format!("{at}/expect/pattern"),
                    format!("the pattern is not a regular expression: {why}"),
                )
                .fix("use linear-time syntax: no look-around, no back-references"),
            );
        }
    }
}

fn call(call: &Call, at: &str, problems: &mut Vec<Problem>) {
    let times = call.retry.times as usize;
    range(&format!("{at}/retry/times"), "retry.times", times, 0, 20, problems);
    if call.timeout < Span::seconds(1) || call.timeout > Span::seconds(300) {
        problems.push(
            Problem::error(format!("{at}/timeout"), "a call may take 1s to 5m")
                .fix("for slower systems, `call` starts the work and `wait` awaits its event"),
        );
    }
    if call.request.json.is_some() && call.request.body.is_some() {
        problems.push(
            Problem::error(
                format!("{at}/request/body"),
                "a request has `json` or `body`, not both",
            )
            .fix("remove one of them"),
        );
    }
}

fn wait(wait: &Wait, at: &str, problems: &mut Vec<Problem>) {
    let kinds = [wait.duration.is_some(), wait.until.is_some(), wait.event.is_some()];
    if kinds.iter().filter(|set| **set).count() != 1 {
        problems.push(
            Problem::error(at, "`wait` needs exactly one of `for`, `until` and `event`")
                .fix("write `for: 2h`, `until: \"{{ start }}\"` or `event: {type: …, key: …}`"),
        );
    }
    if let Some(text) = &wait.duration
        && !text.contains("{{")
        && let Err(error) = text.parse::<Span>()
    {
        problems.push(Problem::error(format!("{at}/for"), error.to_string()));
    }
    if wait.timeout.is_some() && wait.event.is_none() {
        problems.push(
            Problem::error(format!("{at}/timeout"), "only a wait for an event can time out")
                .fix("remove `timeout`"),
        );
    }
}

fn positive(at: &str, span: Span, problems: &mut Vec<Problem>) {
    if span < Span::seconds(1) {
        problems.push(Problem::error(at, "a duration here is at least 1s").fix("write 1s or more"));
    }
}

fn range(
    at: &str,
    what: &str,
    count: usize,
    least: usize,
    most: usize,
    problems: &mut Vec<Problem>,
) {
    if count < least || count > most {
        problems.push(
            Problem::error(at, format!("{what}: {count} is not between {least} and {most}"))
                .fix(format!("use {least} to {most}")),
        );
    }
}
