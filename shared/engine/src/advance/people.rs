//! `handoff`, and what people with the right to do so may do to a task.

use flow::step::Handoff;
use flow::{Content, StepKind};
use serde_json::{Value, json};

use super::Refused;
use super::walk::{Next, StepError, Walk};
use crate::effect::Effect;
use crate::ids::MessageId;
use crate::task::{Status, TimerName, Wait};
use crate::transition::Transition;

impl Walk<'_> {
    pub(super) fn handoff(&mut self, handoff: &Handoff) -> Result<Next, StepError> {
        let summary = match &handoff.summary {
            Some(source) => Some(self.render(source)?),
            None => None,
        };
        if let Some(text) = &handoff.text {
            let text = self.render_text(text)?;
            self.send(Content::text(text));
        }
        let queue = handoff.queue.clone();
        self.effects.push(Effect::Assign { queue: queue.clone(), assignee: None, summary });
        let mut timers = Vec::new();
        self.set_timeout(handoff.timeout.as_ref(), &mut timers);
        Ok(Next::Wait(Wait::Human { queue, assignee: None }, timers))
    }

    /// The contact wrote while a person has the task: it is noted and the wait goes on.
    pub(super) fn said_to_human(mut self, content: &Content) -> Transition {
        self.task.input = Value::String(content.text.clone());
        self.finish()
    }

    pub(super) fn assigned(mut self, queue: &str, assignee: Option<&String>) -> Transition {
        if let Status::Waiting { on, .. } = &mut self.task.status {
            *on = Wait::Human { queue: queue.to_owned(), assignee: assignee.cloned() };
        }
        self.effects.push(Effect::Assign {
            queue: queue.to_owned(),
            assignee: assignee.cloned(),
            summary: None,
        });
        self.finish()
    }

    pub(super) fn operator_said(
        mut self,
        content: &Content,
        by: &str,
    ) -> Result<Transition, Refused> {
        if content.text.trim().is_empty() && content.attachments.is_empty() {
            return Err(Refused::Invalid("the message is empty; write a text".into()));
        }
        let part = self.part();
        let id = MessageId::derive(self.event.at, &self.event.id, &part);
        self.effects.push(Effect::Send { id, content: content.clone(), by: Some(by.to_owned()) });
        Ok(self.finish())
    }

    pub(super) fn resolved(
        mut self,
        step: &str,
        resolution: &str,
        note: Option<&str>,
        by: &str,
    ) -> Result<Transition, Refused> {
        let flow = self.flow;
        let Some(StepKind::Handoff(handoff)) = flow.steps.get(step).map(|step| &step.kind) else {
            return Ok(self.lost_step(step));
        };
        if !handoff.resolutions.is_empty()
            && !handoff.resolutions.iter().any(|known| known == resolution)
        {
            return Err(Refused::Invalid(format!(
                "`{resolution}` is not a resolution of this step; use one of {}",
                handoff.resolutions.join(", ")
            )));
        }
        if let Some(into) = &handoff.into {
            let value = json!({ "resolution": resolution, "note": note, "by": by });
            if let Err(reason) = self.assign(into, value) {
                return Ok(self.fail(Some(step.to_owned()), reason));
            }
        }
        Ok(self.leave_to(handoff.next.clone(), "next"))
    }

    /// Moves a waiting task to the version in `self.flow`, where its step is still the same kind.
    pub(super) fn migrated(
        mut self,
        step: &str,
        on: &Wait,
        version: u32,
    ) -> Result<Transition, Refused> {
        let cannot = |why: String| Refused::CannotMigrate { version, why };
        let Some(target) = self.flow.steps.get(step) else {
            return Err(cannot(format!("it has no step `{step}`")));
        };
        let fits = matches!(
            (&target.kind, on),
            (StepKind::Ask(_), Wait::Reply { .. })
                | (StepKind::Wait(_), Wait::Timer { .. } | Wait::Event { .. })
                | (StepKind::Call(_), Wait::Call { .. })
                | (StepKind::Start(_), Wait::Child { .. })
                | (StepKind::Each(_), Wait::Children(_))
                | (StepKind::Handoff(_), Wait::Human { .. })
        );
        if !fits {
            return Err(cannot(format!("its step `{step}` is a `{}` there", target.kind.name())));
        }
        let flow = self.flow;
        for (name, var) in &flow.vars {
            match self.task.vars.get(name) {
                None => self.put(name, var.default.clone()),
                Some(value) if var.kind.fits(value) => {}
                Some(_) => {
                    return Err(cannot(format!("`{name}` is a {} there", var.kind.name())));
                }
            }
        }
        if self.vars_exceed() {
            return Err(cannot("with the defaults of its variables the task is too large".into()));
        }
        // The whole task's clock is the new version's, counted from the task's beginning.
        self.effects.push(match &flow.timeout {
            Some(timeout) => Effect::SetTimer {
                name: TimerName::Expiry,
                entered: 0,
                due: (self.task.created_at.checked_add_signed(timeout.after.as_delta()))
                    .map_or(self.now, |due| due.max(self.now)),
            },
            None => Effect::CancelTimer { name: TimerName::Expiry, entered: 0 },
        });
        self.task.version = version;
        Ok(self.finish())
    }
}
