//! One event applied to one task, and what that does to the conversation.

use engine::routing::FocusChange;
use engine::{Event, EventBody, EventId, OperatorAction, Refused, Status, Task, TaskId, advance};

use super::Handled;
use super::work::{Held, Work};
use crate::outcome::HandleError;

/// Most follow-ups (focus returning, queued flows starting) of one event.
const FOLLOW_UPS_MAX: usize = 50;

impl Work<'_> {
    /// A timer, an answer, a child's end, an operator's action.
    pub(super) async fn task_event(
        &mut self,
        id: &TaskId,
        body: EventBody,
    ) -> Result<Handled, HandleError> {
        if !self.load(id).await? {
            return Err(HandleError::NotFound(format!("task `{id}`")));
        }
        if matches!(body, EventBody::Focused)
            && let Some(open) = self.conversation.find(id).cloned()
        {
            self.switch(&open).await?;
            return Ok(Handled { task: self.task(id).cloned(), ..Handled::default() });
        }
        let event = Event { id: self.accepted.id.clone(), at: self.accepted.at, body };
        let refused = self.apply(id, &event, false).await?.err();
        if let Some(refused) = &refused {
            tracing::debug!(task = %id, %refused, "the task does not take the event");
        }
        self.follow_up().await?;
        Ok(Handled { task: self.task(id).cloned(), refused, duplicate: false })
    }

    /// Advances a task by one event. The inner error is the engine's refusal: nothing changed.
    pub(super) async fn apply(
        &mut self,
        id: &TaskId,
        event: &Event,
        take_focus: bool,
    ) -> Result<Result<(), Refused>, HandleError> {
        let Some(task) = self.task(id).cloned() else {
            return Err(HandleError::NotFound(format!("task `{id}`")));
        };
        let version = match &event.body {
            EventBody::Operator { action: OperatorAction::Migrate { version }, .. } => {
                match self.app.version(&task.flow, *version).await? {
                    Some(found) => found,
                    None => {
                        let why = "there is no such version".to_owned();
                        return Ok(Err(Refused::CannotMigrate { version: *version, why }));
                    }
                }
            }
            _ => self.version(&task).await?,
        };
        let now = self.tick();
        let transition = match advance(&version.document, &task, event, now) {
            Ok(transition) => transition,
            Err(refused) => return Ok(Err(refused)),
        };
        let next = transition.task;
        self.touch(id);
        self.history.push(transition.entry.clone());
        if let Some(held) = self.tasks.get_mut(id) {
            held.task = next.clone();
        }
        self.effects(&task, &next, &transition.entry.effects).await?;
        if let Status::Failed { reason, .. } = &next.status {
            self.failed(&next, reason)?;
        }
        self.reflect(&next, take_focus);
        Ok(Ok(()))
    }

    /// Enters a task into the conversation it belongs to; another conversation's event does that
    /// for its own.
    fn reflect(&mut self, task: &Task, take_focus: bool) {
        if task.conversation != self.conversation.id {
            return;
        }
        if let FocusChange::Returned(next) = self.conversation.reflect(task, take_focus) {
            tracing::debug!(task = %next, "focus returns");
        }
    }

    fn failed(&mut self, task: &Task, reason: &str) -> Result<(), HandleError> {
        tracing::warn!(task = %task.id, flow = %task.flow, "a task failed");
        self.fail_task(task, reason);
        let apology = self.texts().failed(&task.label);
        self.system(apology)
    }

    /// After a task gave up the focus, the one that has it now asks again; when the conversation
    /// is free, the next queued flow starts.
    pub(super) async fn follow_up(&mut self) -> Result<(), HandleError> {
        for _ in 0..FOLLOW_UPS_MAX {
            if let Some(next) = self.returned_focus() {
                self.ask_again(&next).await?;
                continue;
            }
            self.release_held().await?;
            if self.conversation.is_busy() || self.conversation.queued.is_empty() {
                return Ok(());
            }
            let queued = self.conversation.queued.remove(0);
            self.dirty = true;
            self.start_queued(&queued).await?;
        }
        Ok(())
    }

    /// The task that got the focus because another one ended, and has not spoken since.
    fn returned_focus(&mut self) -> Option<TaskId> {
        let focus = self.conversation.focus.clone()?;
        let changed = self.focus_changed_to(&focus);
        let spoke = self.history.iter().any(|entry| entry.task == focus);
        (changed && !spoke).then_some(focus)
    }

    /// Gives the focus to a task and lets it ask again where it waits for a reply.
    pub(super) async fn ask_again(&mut self, id: &TaskId) -> Result<(), HandleError> {
        if !self.load(id).await? {
            return Ok(());
        }
        let event = Event {
            id: EventId::of(self.accepted.id.as_str(), &format!("focus/{id}")),
            at: self.accepted.at,
            body: EventBody::Focused,
        };
        if let Err(refused) = self.apply(id, &event, true).await? {
            // A task that waits for something else has nothing to ask.
            tracing::debug!(task = %id, %refused, "no question to repeat");
            self.settle_focus(id);
        }
        Ok(())
    }

    /// Puts a new task under the work's care.
    pub(super) fn adopt(&mut self, task: Task) {
        self.tasks.insert(task.id.clone(), Held { task, stored: None });
    }
}
