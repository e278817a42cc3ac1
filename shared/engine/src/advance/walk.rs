//! The walk of one event through the steps: entering, leaving, ending, and what it gathers.

use chrono::{DateTime, Utc};
use flow::template::{self, Scope};
use flow::{Flow, Span, StepId, StepKind, Text};
use serde_json::{Map, Value, json};

use super::{EFFECTS_BYTES_MAX, EFFECTS_MAX, Refused, STEPS_PER_EVENT_MAX};
use crate::effect::Effect;
use crate::event::{Event, EventBody};
use crate::task::{Status, Task, TimerName, VARS_BYTES_MAX, Vars, WAIT_BYTES_MAX, Wait};
use crate::transition::{HistoryEntry, Transition, Visit};

/// Longest label of a task, in characters.
const LABEL_CHARS_MAX: usize = 100;

/// Longest reason of a failure, in characters; a reason may quote a value of any size.
const REASON_CHARS_MAX: usize = 1_000;

/// Where a step leads.
pub(super) enum Next {
    /// To another step, by the named field.
    Go(StepId, String),
    /// Nowhere yet.
    Wait(Wait, Vec<TimerName>),
    /// To the end.
    End { outcome: String, result: Value },
}

/// Why a step cannot be done, for people; the task fails with it.
pub(super) type StepError = String;

pub(super) struct Walk<'a> {
    pub(super) flow: &'a Flow,
    pub(super) event: &'a Event,
    pub(super) now: DateTime<Utc>,
    pub(super) task: Task,
    pub(super) effects: Vec<Effect>,
    /// Names in scope beside the variables: `event` in triggers, `item` and `index` in `each`.
    pub(super) extra: Map<String, Value>,
    before: &'a Task,
    visits: Vec<Visit>,
    changed: Vars,
    changed_bytes: usize,
    parts: usize,
    /// How many of the effects have been weighed, and what they weigh.
    weighed: usize,
    effects_bytes: usize,
    /// The timer whose firing is being handled: it needs no cancelling.
    fired: Option<TimerName>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        flow: &'a Flow,
        task: &'a Task,
        event: &'a Event,
        now: DateTime<Utc>,
    ) -> Self {
        let mut next = task.clone();
        next.sequence = task.sequence.saturating_add(1);
        next.updated_at = now;
        let fired = match &event.body {
            EventBody::Timer { name, .. } => Some(*name),
            _ => None,
        };
        Self {
            flow,
            event,
            now,
            task: next,
            effects: Vec::new(),
            extra: Map::new(),
            before: task,
            visits: Vec::new(),
            changed: Vars::new(),
            changed_bytes: 0,
            parts: 0,
            weighed: 0,
            effects_bytes: 0,
            fired,
        }
    }

    /// The first event: variables get their values, the clock of the whole task starts.
    pub(super) fn started(mut self, vars: &Vars, input: &Value) -> Result<Transition, Refused> {
        let mut wrong = Vec::new();
        for (name, value) in vars {
            match self.flow.vars.get(name) {
                None => wrong.push(
                    match flow::problem::nearest(name, self.flow.vars.keys().map(String::as_str)) {
                        Some(near) => format!(
                            "`{name}` is not a variable of the flow; did you mean `{near}`?"
                        ),
                        None => format!("`{name}` is not a variable of the flow"),
                    },
                ),
                Some(var) => match var.kind.coerce(value.clone()) {
                    Some(value) => self.put(name, value),
                    None => wrong.push(format!("`{name}` must be of type {}", var.kind.name())),
                },
            }
        }
        if !wrong.is_empty() {
            return Err(Refused::Invalid(wrong.join("; ")));
        }
        if !input.is_null() {
            self.task.input = input.clone();
        }
        Ok(self.begin(None))
    }

    /// Enters `step`, or the first one, with a new clock for the whole task.
    pub(super) fn begin(mut self, step: Option<&StepId>) -> Transition {
        if let Some(timeout) = &self.flow.timeout {
            let due = self.after(timeout.after);
            self.effects.push(Effect::SetTimer { name: TimerName::Expiry, entered: 0, due });
        }
        let step = step.unwrap_or(&self.flow.start).clone();
        self.go(step)
    }

    /// Runs from `step` until the task waits or ends.
    pub(super) fn go(mut self, step: StepId) -> Transition {
        self.task.ended_at = None;
        let mut at = step;
        for _ in 0..STEPS_PER_EVENT_MAX {
            let flow = self.flow;
            let Some(step) = flow.steps.get(&at) else {
                let reason = format!("the flow has no step `{at}`");
                return self.fail(None, reason);
            };
            self.visits.push(Visit { step: at.clone(), left_by: None });
            let entered = self.enter(&step.kind);
            if let Some(reason) = self.too_much() {
                return self.abandon(reason);
            }
            match entered {
                Ok(Next::Go(next, by)) => {
                    self.leave_visit(by);
                    at = next;
                }
                Ok(Next::Wait(on, timers)) => {
                    self.task.status = Status::Waiting {
                        step: at,
                        since: self.now,
                        entered: self.task.sequence,
                        timers,
                        on,
                    };
                    return self.finish();
                }
                Ok(Next::End { outcome, result }) => {
                    return self.end(Status::Completed { outcome, result });
                }
                Err(reason) => return self.fail(Some(at), reason),
            }
        }
        let reason = format!(
            "{STEPS_PER_EVENT_MAX} steps ran without waiting; the flow loops, at `{at}` among \
             others"
        );
        self.abandon(reason)
    }

    /// Why the effects so far are more than one transition may have.
    fn too_much(&mut self) -> Option<String> {
        if self.effects.len() > EFFECTS_MAX {
            return Some(format!("more than {EFFECTS_MAX} effects in one go; add a wait"));
        }
        for effect in self.effects.iter().skip(self.weighed) {
            self.effects_bytes += serde_json::to_vec(effect).map_or(0, |bytes| bytes.len());
        }
        self.weighed = self.effects.len();
        (self.effects_bytes > EFFECTS_BYTES_MAX).then(|| {
            let limit = EFFECTS_BYTES_MAX / 1024;
            format!("messages, calls and rows of more than {limit} KB in one go; add a wait")
        })
    }

    fn enter(&mut self, kind: &StepKind) -> Result<Next, StepError> {
        match kind {
            StepKind::Say(say) => self.say(say),
            StepKind::Ask(ask) => self.ask(ask),
            StepKind::Set(set) => self.set(set),
            StepKind::Branch(branch) => self.branch(branch),
            StepKind::Call(call) => self.call(call),
            StepKind::Wait(wait) => self.wait(wait),
            StepKind::Start(start) => self.start(start),
            StepKind::Each(each) => self.each(each),
            StepKind::Handoff(handoff) => self.handoff(handoff),
            StepKind::Notify(notify) => self.notify(notify),
            StepKind::Record(record) => self.record(record),
            StepKind::End(end) => self.end_step(end),
        }
    }

    /// Leaves the step the task waits in, by the named field, and runs on.
    pub(super) fn leave_to(mut self, target: StepId, by: &str) -> Transition {
        self.leave(by);
        self.go(target)
    }

    /// Takes back the timers of the wait and notes how it was left.
    pub(super) fn leave(&mut self, by: &str) {
        let status = std::mem::replace(&mut self.task.status, Status::Running);
        let Status::Waiting { step, entered, timers, .. } = status else { return };
        self.cancel_timers(entered, &timers);
        self.visits.push(Visit { step, left_by: Some(by.to_owned()) });
    }

    fn leave_visit(&mut self, by: String) {
        if let Some(visit) = self.visits.last_mut() {
            visit.left_by = Some(by);
        }
    }

    /// The task fails with a reason.
    pub(super) fn fail(mut self, step: Option<StepId>, mut reason: String) -> Transition {
        if matches!(self.task.status, Status::Waiting { .. }) {
            self.cancel_children();
            self.leave("failed");
        }
        if let Some((end, _)) = reason.char_indices().nth(REASON_CHARS_MAX) {
            reason.truncate(end);
        }
        self.end(Status::Failed { step, reason })
    }

    /// The task stops, and its children with it.
    pub(super) fn cancelled(mut self, reason: &str) -> Transition {
        self.cancel_children();
        self.leave("cancelled");
        self.end(Status::Cancelled { reason: reason.to_owned() })
    }

    /// The task took too long as a whole.
    pub(super) fn expired(mut self) -> Transition {
        self.cancel_children();
        self.leave("expired");
        let outcome =
            self.flow.timeout.as_ref().map_or_else(|| "expired".into(), |t| t.outcome.clone());
        self.end(Status::Expired { outcome })
    }

    /// Cancels the children the task waits for, but not the one whose end is being handled.
    fn cancel_children(&mut self) {
        let ended = match &self.event.body {
            EventBody::ChildEnded { child, .. } => Some(child),
            _ => None,
        };
        let children = self.task.open_children().into_iter().filter(|id| Some(id) != ended);
        self.effects.extend(children.map(|id| Effect::CancelTask { id }));
    }

    /// The task fails, and what this event would have done is not done: a loop that sends is
    /// stopped before it reaches anybody. Only what the task waited in is cleared away; a retry
    /// enters that step again, with the variables it had.
    fn abandon(mut self, reason: String) -> Transition {
        let step = self.before.status.step().unwrap_or(&self.flow.start).to_owned();
        self.task.vars.clone_from(&self.before.vars);
        self.changed.clear();
        self.effects.clear();
        self.task.status = self.before.status.clone();
        if let Status::Waiting { entered, timers, .. } = &self.before.status {
            self.cancel_children();
            self.cancel_timers(*entered, timers);
        }
        self.task.status = Status::Running;
        self.end(Status::Failed { step: Some(step), reason })
    }

    fn cancel_timers(&mut self, entered: u64, timers: &[TimerName]) {
        for name in timers.iter().filter(|name| Some(**name) != self.fired) {
            self.effects.push(Effect::CancelTimer { name: *name, entered });
        }
    }

    pub(super) fn end(mut self, status: Status) -> Transition {
        self.stop_expiry();
        if let Some(parent) = self.task.parent.clone().filter(|parent| parent.waits) {
            let result = match &status {
                Status::Completed { result, .. } => result.clone(),
                Status::Failed { reason, .. } => json!({ "reason": reason }),
                _ => Value::Null,
            };
            self.effects.push(Effect::TellParent {
                parent,
                completed: matches!(status, Status::Completed { .. }),
                outcome: status.outcome().unwrap_or_default().to_owned(),
                result,
            });
        }
        self.task.status = status;
        self.task.ended_at = Some(self.now);
        self.finish()
    }

    /// Takes back the timer of the whole task; one set by this very event is not set at all.
    fn stop_expiry(&mut self) {
        let set = self
            .effects
            .iter()
            .position(|effect| matches!(effect, Effect::SetTimer { name: TimerName::Expiry, .. }));
        if let Some(at) = set {
            self.effects.remove(at);
        } else if self.flow.timeout.is_some()
            && matches!(self.before.status, Status::Waiting { .. })
            && self.fired != Some(TimerName::Expiry)
        {
            self.effects.push(Effect::CancelTimer { name: TimerName::Expiry, entered: 0 });
        }
    }

    /// The transition as it is, after the checks that hold for every one.
    pub(super) fn finish(mut self) -> Transition {
        if self.vars_exceed() {
            return self.abandon(format!(
                "the variables outgrew {} KB; keep large data elsewhere and store its address",
                VARS_BYTES_MAX / 1024
            ));
        }
        if !self.task.status.has_ended() && bytes(&self.task.status) > WAIT_BYTES_MAX {
            return self.abandon(format!(
                "the items, results or choices of the step outgrew {} KB; use fewer or smaller \
                 ones",
                WAIT_BYTES_MAX / 1024
            ));
        }
        self.relabel();
        let entry = HistoryEntry {
            task: self.task.id.clone(),
            sequence: self.task.sequence,
            event: self.event.clone(),
            at: self.now,
            steps: self.visits,
            vars_changed: self.changed,
            before: self.before.status.name().to_owned(),
            status: self.task.status.clone(),
            input: (self.task.input != self.before.input).then(|| self.task.input.clone()),
            label: (self.task.label != self.before.label).then(|| self.task.label.clone()),
            version: (self.task.version != self.before.version).then_some(self.task.version),
            effects: self.effects,
        };
        Transition { task: self.task, entry }
    }

    /// Whether the variables have changed and are larger than a task may carry.
    pub(super) fn vars_exceed(&self) -> bool {
        !self.changed.is_empty() && bytes(&self.task.vars) > VARS_BYTES_MAX
    }

    fn relabel(&mut self) {
        let Some(source) = &self.flow.label else { return };
        if let Ok(label) = self.render(source) {
            let label: String = label.trim().chars().take(LABEL_CHARS_MAX).collect();
            if !label.is_empty() {
                self.task.label = label;
            }
        }
    }

    /// Sets a variable without a look at its type.
    pub(super) fn put(&mut self, name: &str, value: Value) {
        self.changed_bytes = self.changed_bytes.saturating_add(bytes(&value));
        if let Some(old) = self.changed.insert(name.to_owned(), value.clone()) {
            self.changed_bytes = self.changed_bytes.saturating_sub(bytes(&old));
        }
        self.task.vars.insert(name.to_owned(), value);
    }

    /// Sets a declared variable, converting where that loses nothing.
    pub(super) fn assign(&mut self, name: &str, value: Value) -> Result<(), StepError> {
        let value = match self.flow.vars.get(name) {
            None => value,
            Some(var) => {
                let shown = shorten(&value);
                var.kind.coerce(value).ok_or_else(|| {
                    format!("`{name}` is declared as {}, but got {shown}", var.kind.name())
                })?
            }
        };
        self.put(name, value);
        // `finish` gives the reason; this only stops a long walk from filling the memory first.
        if self.changed_bytes > VARS_BYTES_MAX {
            return Err(format!("`{name}` is too large"));
        }
        Ok(())
    }

    /// So much later than now; the end of time rather than past it.
    pub(super) fn after(&self, span: Span) -> DateTime<Utc> {
        self.now.checked_add_signed(span.as_delta()).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// A name for the next thing this event makes in this task; ids are derived from it.
    pub(super) fn part(&mut self) -> String {
        self.parts += 1;
        format!("{}/{}/{}", self.task.id, self.task.sequence, self.parts)
    }

    pub(super) fn with_scope<T>(&self, use_it: impl FnOnce(&Scope<'_>) -> T) -> T {
        let contact = serde_json::to_value(&self.task.contact).unwrap_or_default();
        let task = json!({
            "id": self.task.id, "flow": self.task.flow, "version": self.task.version,
            "label": self.task.label, "sequence": self.task.sequence,
            "conversation": self.task.conversation, "connection": self.task.connection,
            "created_at": self.task.created_at,
        });
        use_it(&Scope {
            vars: &self.task.vars,
            input: Some(&self.task.input),
            contact: &contact,
            task: &task,
            extra: &self.extra,
            now: self.now,
            zone: flow::schedule::zone(self.flow.zone.as_deref()).unwrap_or(chrono_tz::UTC),
        })
    }

    pub(super) fn render(&self, source: &str) -> Result<String, StepError> {
        self.with_scope(|scope| template::render(source, scope)).map_err(|e| e.to_string())
    }

    pub(super) fn render_text(&self, text: &Text) -> Result<String, StepError> {
        self.render(text.pick(self.task.lang.as_ref()))
    }

    pub(super) fn evaluate(&self, value: &Value) -> Result<Value, StepError> {
        self.with_scope(|scope| template::evaluate_json(value, scope)).map_err(|e| e.to_string())
    }
}

/// The size of a value as JSON, without writing it anywhere.
fn bytes(value: &impl serde::Serialize) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.saturating_add(buffer.len());
            Ok(buffer.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).map_or(usize::MAX, |()| count.0)
}

fn shorten(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}
