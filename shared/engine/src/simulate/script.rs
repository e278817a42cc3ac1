//! Scripts: what happens line by line, and whether it comes out as written.

use flow::{Flow, FlowTest, TestLine};
use indexmap::IndexMap;
use serde_json::Value;

use super::notes;
use super::report::{SimulationReport, TestReport, Who};
use super::{Options, Simulation, SimulationError};
use crate::task::{Status, Task};

/// Most lines of a script.
pub const LINES_MAX: usize = 1_000;

/// Characters of a message that a problem quotes.
const QUOTED_CHARS_MAX: usize = 200;

/// Runs a script against the flow, as it stands in the editor.
///
/// A first `user:` line that matches a keyword trigger starts the flow, as it would in a
/// conversation; otherwise the flow starts by itself. `bot:` lines are held against the messages
/// sent since the last line that was not one, in order. A line that the flow cannot take is a
/// problem, and the script stops there.
pub fn simulate(flow: &Flow, script: &[TestLine], options: Options) -> SimulationReport {
    let mut play = Play { simulation: Simulation::new(flow, 0, options), heard: 0 };
    let problems = play.all(script);
    play.simulation.into_report(problems)
}

/// Runs one test of a flow.
pub fn run_test(flow: &Flow, test: &FlowTest) -> TestReport {
    let mut options = Options {
        vars: test.vars.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        lang: test.lang.clone(),
        ..Options::default()
    };
    if let Some(now) = test.now {
        options.now = now;
    }
    let SimulationReport { transcript, task, mut problems, .. } =
        simulate(flow, &test.script, options);
    if problems.is_empty() {
        problems.extend(wrong_end(&task, test.outcome.as_deref()));
        problems.extend(wrong_vars(&task, &test.expect_vars));
    }
    TestReport { name: test.name.clone(), passed: problems.is_empty(), problems, transcript }
}

/// Runs all tests of a flow, in order.
pub fn run_tests(flow: &Flow) -> Vec<TestReport> {
    flow.tests.iter().map(|test| run_test(flow, test)).collect()
}

/// A failure that nobody asked for is a problem even where no outcome is named.
fn wrong_end(task: &Task, expected: Option<&str>) -> Option<String> {
    let actual = task.status.outcome();
    if let Status::Failed { step, reason } = &task.status
        && expected != Some("failed")
    {
        let step = step.as_deref().unwrap_or("an unknown step");
        return Some(format!("the flow failed at `{step}`: {reason}"));
    }
    let expected = expected?;
    match (&task.status, actual) {
        (_, Some(actual)) if actual == expected => None,
        (_, Some(actual)) => {
            Some(format!("the flow ended as `{actual}`; the test expects `{expected}`"))
        }
        (Status::Waiting { step, on, .. }, None) => {
            let (awaited, line) = notes::awaited(on);
            Some(format!(
                "the flow has not ended: it waits for {awaited} at `{step}`; add {line}, or leave \
                 `outcome` out"
            ))
        }
        (_, None) => Some("the flow has not begun".into()),
    }
}

fn wrong_vars(task: &Task, expected: &IndexMap<String, Value>) -> Vec<String> {
    let wrong = expected.iter().filter_map(|(name, expected)| match task.vars.get(name) {
        None => Some(format!("there is no variable `{name}`; the test expects {expected}")),
        Some(actual) if same(actual, expected) => None,
        Some(actual) => Some(format!(
            "the variable `{name}` is {}; the test expects {expected}",
            quoted(&actual.to_string())
        )),
    });
    wrong.collect()
}

/// Equal as JSON, with 3 and 3.0 the same number.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            left == right || left.as_f64() == right.as_f64()
        }
        _ => left == right,
    }
}

fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A simulation with its place in the transcript.
struct Play<'a> {
    simulation: Simulation<'a>,
    /// The lines of the transcript that `bot:` lines have been held against.
    heard: usize,
}

impl Play<'_> {
    fn all(&mut self, script: &[TestLine]) -> Vec<String> {
        if script.len() > LINES_MAX {
            return vec![format!(
                "the script has {} lines; at most {LINES_MAX} are run: split it",
                script.len()
            )];
        }
        let mut lines = script.iter().enumerate().peekable();
        let by_keyword = match lines.peek() {
            Some((_, TestLine::User(text))) => self.simulation.start_by(text),
            _ => Ok(false),
        };
        let started = by_keyword.and_then(|by_keyword| {
            if by_keyword {
                lines.next();
                return Ok(());
            }
            self.simulation.start()
        });
        if let Err(error) = started {
            return vec![format!("start: {error}")];
        }
        let mut problems = Vec::new();
        for (index, line) in lines {
            let at = format!("line {} (`{}`)", index + 1, name(line));
            if let TestLine::Bot(expected) = line {
                problems.extend(self.bot(expected).map(|problem| format!("{at}: {problem}")));
                continue;
            }
            self.heard = self.simulation.transcript().len();
            if let Err(error) = self.happens(line) {
                problems.push(format!("{at}: {error}"));
                break;
            }
        }
        problems
    }

    fn happens(&mut self, line: &TestLine) -> Result<(), SimulationError> {
        let simulation = &mut self.simulation;
        match line {
            TestLine::User(text) => simulation.user(text, None),
            TestLine::Bot(_) => Ok(()),
            TestLine::Answer { status, body } => simulation.answer(*status, body.clone()),
            TestLine::CallFails(reason) => simulation.call_fails(reason),
            TestLine::After(span) => simulation.advance_time(*span),
            TestLine::Event { data } => simulation.event(data.clone()),
            TestLine::Children { outcome, result } => simulation.children_end(outcome, result),
            TestLine::Resolve { resolution, note } => {
                simulation.resolve(resolution, note.as_deref())
            }
        }
    }

    /// What is wrong with the next message to the contact.
    fn bot(&mut self, expected: &str) -> Option<String> {
        let transcript = self.simulation.transcript();
        let rest = transcript.iter().enumerate().skip(self.heard);
        let next = rest.filter(|(_, line)| line.who == Who::Bot).map(|(at, line)| (at, &line.text));
        let Some((at, text)) = next.into_iter().next() else {
            let how = match &self.simulation.task().status {
                Status::Waiting { on, .. } => format!("it waits for {}", notes::awaited(on).0),
                status => format!("it has ended ({})", notes::ending(status)),
            };
            return Some(format!("the flow says nothing more here; {how}"));
        };
        let problem = (!text.contains(expected))
            .then(|| format!("the flow says “{}”, not “{}”", quoted(text), quoted(expected)));
        self.heard = at + 1;
        problem
    }
}

fn name(line: &TestLine) -> String {
    match line {
        TestLine::User(text) => format!("user: {}", quoted(text)),
        TestLine::Bot(text) => format!("bot: {}", quoted(text)),
        TestLine::Answer { status, .. } => format!("answer: {status}"),
        TestLine::CallFails(reason) => format!("call_fails: {}", quoted(reason)),
        TestLine::After(span) => format!("after: {span}"),
        TestLine::Event { .. } => "event".to_owned(),
        TestLine::Children { outcome, .. } => format!("children: {}", quoted(outcome)),
        TestLine::Resolve { resolution, .. } => format!("resolve: {}", quoted(resolution)),
    }
}
