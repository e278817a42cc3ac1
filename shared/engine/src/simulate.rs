//! A flow on a virtual clock, without I/O: the editor's preview and the tests of a flow.
//!
//! There is no second interpreter: every line here is an event given to
//! [`advance`](crate::advance()). Calls, timers, child flows and people are not run; they stay
//! open until the script says how they end.

mod notes;
mod report;
mod script;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use flow::{Contact, Content, Flow, Lang, Span, Trigger};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::advance::{NewTask, Refused, advance, trigger_vars};
use crate::effect::{CallRequest, Effect};
use crate::event::{CallResult, Event, EventBody, OperatorAction};
use crate::ids::{ConversationId, EventId, MessageId, TaskId};
use crate::routing::{EntryPoint, read_payload};
use crate::task::{Status, Task, TimerName, Vars, Wait};
use crate::transition::HistoryEntry;
use notes::Notes;

pub use report::{
    Landed, Line, Notified, Open, OpenChild, OpenTimer, PathStep, SimulationReport, TestReport, Who,
};
pub use script::{LINES_MAX, run_test, run_tests, simulate};

/// Most timers that fire in one simulation.
pub const TIMERS_MAX: usize = 10_000;
/// Most lines of a transcript, and most steps of a path.
pub const ENTRIES_MAX: usize = 10_000;
/// Most bytes of text in a transcript.
pub const TRANSCRIPT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Under what circumstances a flow is simulated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Values for declared variables at the start.
    pub vars: Vars,
    /// The language of the contact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lang: Option<Lang>,
    /// When it begins; between 1970 and 9000.
    pub now: DateTime<Utc>,
    /// Who the contact is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<Contact>,
}

impl Default for Options {
    fn default() -> Self {
        // 2026-01-05T01:00:00Z, a Monday.
        let now = DateTime::from_timestamp(1_767_574_800, 0).unwrap_or_default();
        Self { vars: Vars::new(), lang: None, now, contact: None }
    }
}

/// Why something cannot happen in a simulation as it stands. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SimulationError {
    /// The flow waits for something else.
    #[error("the flow is waiting for {awaited}, not for {came}: add {line} before this line")]
    NotAwaited {
        /// What it waits for.
        awaited: &'static str,
        /// What came.
        came: &'static str,
        /// The script line that it waits for.
        line: &'static str,
    },
    /// The flow has ended.
    #[error("the flow has ended ({0}): remove this line, or change what comes before it")]
    Ended(String),
    /// The flow has not begun.
    #[error("the flow has not begun: start it first")]
    NotStarted,
    /// The engine does not take it.
    #[error("{0}")]
    Refused(#[from] Refused),
    /// The variables of a trigger do not evaluate.
    #[error("{0}")]
    Trigger(String),
    /// It runs for too long.
    #[error("the simulation stops after {0}: make it shorter, or look for a loop in the flow")]
    TooLong(String),
    /// The clock is set to a time that no calendar reaches.
    #[error("`now` must lie between the years 1970 and 9000")]
    Now,
}

/// A timer that is set.
#[derive(Debug, Clone, PartialEq)]
struct SetTimer {
    name: TimerName,
    entered: u64,
    due: DateTime<Utc>,
}

/// One run of a flow on a virtual clock.
#[derive(Debug, Clone)]
pub struct Simulation<'a> {
    flow: &'a Flow,
    task: Task,
    now: DateTime<Utc>,
    vars: Vars,
    events: u64,
    fired: usize,
    bytes: usize,
    timers: Vec<SetTimer>,
    call: Option<CallRequest>,
    children: Vec<OpenChild>,
    transcript: Vec<Line>,
    path: Vec<PathStep>,
    records: Vec<Landed>,
    notifications: Vec<Notified>,
    notes: Notes,
}

impl<'a> Simulation<'a> {
    /// A task of the flow that has not begun.
    pub fn new(flow: &'a Flow, version: u32, options: Options) -> Self {
        let event = EventId::of("simulation", "0");
        let mut contact = options.contact.unwrap_or_else(|| Contact {
            id: "simulation".into(),
            name: None,
            lang: None,
        });
        let lang = options.lang.or_else(|| contact.lang.clone());
        contact.lang.clone_from(&lang);
        let notes = Notes::of(lang.as_ref());
        let task = NewTask {
            id: TaskId::derive(options.now, &event, "task"),
            version,
            conversation: ConversationId::of("simulation", &contact.id),
            contact,
            connection: "simulation".into(),
            lang,
            parent: None,
            trigger: None,
            at: options.now,
        };
        Self {
            flow,
            task: task.make(flow),
            now: options.now,
            vars: options.vars,
            events: 0,
            fired: 0,
            bytes: 0,
            timers: Vec::new(),
            call: None,
            children: Vec::new(),
            transcript: Vec::new(),
            path: Vec::new(),
            records: Vec::new(),
            notifications: Vec::new(),
            notes,
        }
    }

    /// The task begins, as if started by the API.
    pub fn start(&mut self) -> Result<(), SimulationError> {
        self.begin(self.vars.clone(), Value::Null)
    }

    /// The task begins by a message that matches one of the flow's keyword triggers; false, and
    /// nothing happens, where none does.
    pub fn start_by(&mut self, text: &str) -> Result<bool, SimulationError> {
        let said = flow::keyword::normalise(text);
        let matching = self.flow.triggers.iter().enumerate().find(|(_, trigger)| match trigger {
            Trigger::Keyword { any, matching, .. } => {
                any.iter().any(|word| word.is_in(&said, *matching))
            }
            Trigger::Event { .. } | Trigger::Schedule { .. } => false,
        });
        let Some((index, trigger)) = matching else { return Ok(false) };
        let input = Value::String(text.to_owned());
        let contact = &self.task.contact;
        let mut vars = trigger_vars(self.flow, trigger, contact, &input, &Value::Null, self.now)
            .map_err(SimulationError::Trigger)?;
        vars.extend(self.vars.clone());
        self.task.trigger = Some(EntryPoint { flow: &self.flow.id, index, trigger }.group());
        self.line(Who::User, text.to_owned(), Content::default());
        self.begin(vars, input)?;
        Ok(true)
    }

    fn begin(&mut self, vars: Vars, input: Value) -> Result<(), SimulationError> {
        let year = chrono::Datelike::year(&self.now);
        if !(1970..=9000).contains(&year) {
            return Err(SimulationError::Now);
        }
        self.apply(EventBody::Started { vars, input })
    }

    /// The contact says something, or presses a button whose payload is given.
    pub fn user(&mut self, text: &str, payload: Option<&str>) -> Result<(), SimulationError> {
        self.awaits("a reply", |on| matches!(on, Wait::Reply { .. } | Wait::Human { .. }))?;
        let pressed = payload
            .or(Some(text))
            .and_then(read_payload)
            .filter(|(task, _)| *task == self.task.id)
            .map(|(_, pressed)| pressed);
        let id = EventId::of("simulation", &format!("message/{}", self.events));
        let message = MessageId::derive(self.now, &id, "message");
        let before = self.transcript.len();
        self.line(Who::User, text.to_owned(), Content::default());
        let content = Content::text(text);
        self.apply(EventBody::Reply { message, content, pressed })
            .inspect_err(|_| self.transcript.truncate(before))
    }

    /// So much time passes; timers that fall due fire in order.
    pub fn advance_time(&mut self, span: Span) -> Result<(), SimulationError> {
        let end = self
            .now
            .checked_add_signed(span.as_delta())
            .ok_or_else(|| SimulationError::TooLong("the end of the calendar".into()))?;
        self.note(self.notes.later(span));
        while let Some(place) = self.next_timer(end) {
            if self.fired >= TIMERS_MAX {
                return Err(SimulationError::TooLong(format!("{TIMERS_MAX} timers")));
            }
            let timer = self.timers.remove(place);
            self.fired += 1;
            self.now = self.now.max(timer.due);
            let SetTimer { name, entered, .. } = timer;
            match self.apply(EventBody::Timer { name, entered }) {
                // A timer of an earlier wait that fires all the same changes nothing.
                Ok(()) | Err(SimulationError::Refused(Refused::StaleTimer)) => {}
                Err(error) => return Err(error),
            }
        }
        self.now = end;
        Ok(())
    }

    /// The first timer to fire until `end`; of several at one time the one that was set first.
    fn next_timer(&self, end: DateTime<Utc>) -> Option<usize> {
        let due = self.timers.iter().enumerate().filter(|(_, timer)| timer.due <= end);
        due.min_by_key(|(_, timer)| timer.due).map(|(place, _)| place)
    }

    /// The open call is answered.
    pub fn answer(&mut self, status: u16, body: Value) -> Result<(), SimulationError> {
        self.call_ends(CallResult::Answer { status, headers: Vars::new(), body })
    }

    /// The open call fails for good.
    pub fn call_fails(&mut self, reason: &str) -> Result<(), SimulationError> {
        self.call_ends(CallResult::Failed { reason: reason.to_owned() })
    }

    fn call_ends(&mut self, result: CallResult) -> Result<(), SimulationError> {
        let call = match self.awaits("an answer", |on| matches!(on, Wait::Call { .. }))? {
            Wait::Call { call } => call.clone(),
            _ => return Err(Refused::Stale.into()),
        };
        self.note(self.notes.answered(&result));
        self.apply(EventBody::Answered { call, result })
    }

    /// The awaited event comes with this data.
    pub fn event(&mut self, data: Value) -> Result<(), SimulationError> {
        let (event_type, key) =
            match self.awaits("an event", |on| matches!(on, Wait::Event { .. }))? {
                Wait::Event { kind, key } => (kind.clone(), key.clone()),
                _ => return Err(Refused::Stale.into()),
            };
        self.note(self.notes.event(&event_type, &key));
        self.apply(EventBody::External { event_type, key, data })
    }

    /// All children of the step end so, those that start as others end too.
    ///
    /// `failed`, `cancelled` and `expired` are the outcomes of a child that did not complete.
    pub fn children_end(&mut self, outcome: &str, result: &Value) -> Result<(), SimulationError> {
        self.awaits("children", |on| matches!(on, Wait::Child { .. } | Wait::Children(_)))?;
        let entered = self.entered();
        self.note(self.notes.children(outcome));
        while self.entered() == entered
            && let Some(child) = self.task.open_children().first().cloned()
        {
            self.children.retain(|open| open.id != child);
            self.apply(EventBody::ChildEnded {
                child,
                completed: !matches!(outcome, "failed" | "cancelled" | "expired"),
                outcome: outcome.to_owned(),
                result: result.clone(),
            })?;
        }
        Ok(())
    }

    /// A person resolves the hand-off.
    pub fn resolve(&mut self, resolution: &str, note: Option<&str>) -> Result<(), SimulationError> {
        self.awaits("a resolution", |on| matches!(on, Wait::Human { .. }))?;
        let before = self.transcript.len();
        self.note(self.notes.resolved(resolution));
        let action = OperatorAction::Resolve {
            resolution: resolution.to_owned(),
            note: note.map(str::to_owned),
        };
        self.apply(EventBody::Operator { by: "simulation".into(), action })
            .inspect_err(|_| self.transcript.truncate(before))
    }

    /// The task as it stands.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// The virtual time.
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// Everything that was said and that happened, in order.
    pub fn transcript(&self) -> &[Line] {
        &self.transcript
    }

    /// What has been set going and has not ended.
    pub fn open(&self) -> Open {
        let timers = self.timers.iter();
        Open {
            call: self.call.clone(),
            timers: timers.map(|t| OpenTimer { name: t.name, due: t.due }).collect(),
            children: self.children.clone(),
        }
    }

    /// The report so far, with these problems.
    pub fn into_report(self, problems: Vec<String>) -> SimulationReport {
        SimulationReport {
            open: self.open(),
            transcript: self.transcript,
            path: self.path,
            task: self.task,
            records: self.records,
            notifications: self.notifications,
            problems,
        }
    }

    fn entered(&self) -> Option<u64> {
        match &self.task.status {
            Status::Waiting { entered, .. } => Some(*entered),
            Status::Running
            | Status::Completed { .. }
            | Status::Failed { .. }
            | Status::Cancelled { .. }
            | Status::Expired { .. } => None,
        }
    }

    /// What the task waits for, where `came` is that; else what to add to the script.
    fn awaits(
        &self,
        came: &'static str,
        fits: impl Fn(&Wait) -> bool,
    ) -> Result<&Wait, SimulationError> {
        match &self.task.status {
            Status::Waiting { on, .. } if fits(on) => Ok(on),
            Status::Waiting { on, .. } => {
                let (awaited, line) = notes::awaited(on);
                Err(SimulationError::NotAwaited { awaited, came, line })
            }
            Status::Running => Err(SimulationError::NotStarted),
            ended @ (Status::Completed { .. }
            | Status::Failed { .. }
            | Status::Cancelled { .. }
            | Status::Expired { .. }) => Err(SimulationError::Ended(notes::ending(ended))),
        }
    }

    fn apply(&mut self, body: EventBody) -> Result<(), SimulationError> {
        self.events += 1;
        let id = EventId::of("simulation", &self.events.to_string());
        let event = Event { id, at: self.now, body };
        let transition = advance(self.flow, &self.task, &event, self.now)?;
        self.task = transition.task;
        self.take(transition.entry)
    }

    fn take(&mut self, entry: HistoryEntry) -> Result<(), SimulationError> {
        for visit in entry.steps {
            match self.path.last_mut() {
                Some(last) if last.step == visit.step && last.left_by.is_none() => {
                    last.left_by = visit.left_by;
                }
                _ => self.path.push(PathStep {
                    step: visit.step,
                    left_by: visit.left_by,
                    at: self.now,
                }),
            }
        }
        for effect in entry.effects {
            self.effect(effect);
        }
        if !matches!(self.task.status, Status::Waiting { on: Wait::Call { .. }, .. }) {
            self.call = None;
        }
        if self.task.status.has_ended() {
            self.note(self.notes.ended(&self.task.status));
        }
        let entries = self.transcript.len().max(self.path.len());
        if entries > ENTRIES_MAX || self.bytes > TRANSCRIPT_BYTES_MAX {
            return Err(SimulationError::TooLong(format!("{entries} lines and steps")));
        }
        Ok(())
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Send { content, .. } => {
                self.line(Who::Bot, content.text.clone(), content);
            }
            Effect::Call(call) => {
                self.note(self.notes.call(&call));
                self.call = Some(*call);
            }
            Effect::SetTimer { name, entered, due } => {
                self.timers.retain(|timer| (timer.name, timer.entered) != (name, entered));
                self.timers.push(SetTimer { name, entered, due });
            }
            Effect::CancelTimer { name, entered } => {
                self.timers.retain(|timer| (timer.name, timer.entered) != (name, entered));
            }
            Effect::StartTask { id, flow, vars, contact, parent } => {
                self.note(self.notes.child(&flow));
                self.children.push(OpenChild { id, flow, vars, contact, waits: parent.waits });
            }
            Effect::CancelTask { id } => self.children.retain(|child| child.id != id),
            Effect::TellParent { .. } => {}
            Effect::Record { table, row, .. } => {
                self.note(self.notes.record(&table));
                self.records.push(Landed { table, row, at: self.now });
            }
            Effect::Notify { connection, to, content, .. } => {
                self.note(self.notes.notified(&to, &content.text));
                self.notifications.push(Notified { connection, to, content, at: self.now });
            }
            Effect::Assign { queue, .. } => self.note(self.notes.assigned(&queue)),
        }
    }

    fn note(&mut self, text: String) {
        self.line(Who::System, text, Content::default());
    }

    fn line(&mut self, who: Who, text: String, content: Content) {
        self.bytes = self.bytes.saturating_add(text.len());
        self.transcript.push(Line {
            who,
            text,
            choices: content.choices,
            attachments: content.attachments,
            at: self.now,
        });
    }
}
