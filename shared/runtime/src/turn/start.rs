//! Starting tasks: by a message, a trigger, a parent, an API call, the clock.

use engine::advance::trigger_vars;
use engine::routing::{OPEN_TASKS_MAX, QueuedStart};
use engine::{Event, EventBody, EventId, NewTask, Refused, TaskId, Vars};
use serde_json::Value;

use super::Handled;
use super::work::Work;
use crate::ids;
use crate::jobs::StartJob;
use crate::outcome::HandleError;

impl Work<'_> {
    /// A task that something other than a message starts.
    pub(super) async fn start_job(&mut self, start: &StartJob) -> Result<Handled, HandleError> {
        let id = start.task.clone();
        if let Some(parent) = start.parent.as_ref().filter(|parent| parent.waits) {
            // A parent that ended meanwhile, or went on without the child, needs it no more.
            let known = self.load(&parent.task).await?;
            let awaited = self.task(&parent.task).is_some_and(|p| p.open_children().contains(&id));
            if !known || !awaited {
                return Ok(Handled::default());
            }
        }
        let begun = self.begin_task(start, Value::Null, false).await?;
        let refused = match begun {
            Ok(()) => None,
            Err(reason) if start.parent.as_ref().is_some_and(|parent| parent.waits) => {
                self.not_started(start, &reason)?;
                Some(Refused::Invalid(reason))
            }
            // Nobody else would hear of it: the caller is told, or it is kept as a failure.
            Err(reason) => {
                let message = format!("flow `{}` cannot start: {reason}", start.flow);
                return Err(HandleError::unprocessable("/vars", message));
            }
        };
        self.follow_up().await?;
        Ok(Handled { task: self.task(&id).cloned(), refused, duplicate: false })
    }

    /// A child that cannot start has ended as failed, as far as its parent can tell.
    fn not_started(&mut self, start: &StartJob, reason: &str) -> Result<(), HandleError> {
        let Some(parent) = start.parent.as_ref().filter(|parent| parent.waits) else {
            return Ok(());
        };
        let event = EventBody::ChildEnded {
            child: start.task.clone(),
            completed: false,
            outcome: "failed".into(),
            result: serde_json::json!({ "reason": reason }),
        };
        let Some(above) = self.task(&parent.task).cloned() else { return Ok(()) };
        let what = crate::jobs::What::Task { task: parent.task.clone(), event };
        let id = ids::not_started(&start.task);
        let at = self.accepted.at;
        let envelope = crate::jobs::for_conversation(id, at, (&above).into(), what)?;
        self.outbox.push(envelope);
        self.dirty = true;
        Ok(())
    }

    /// Makes and starts a task on the live version. The inner error says, for people, why not.
    pub(super) async fn begin_task(
        &mut self,
        start: &StartJob,
        input: Value,
        take_focus: bool,
    ) -> Result<Result<(), String>, HandleError> {
        let Some(version) = self.catalog.live(&start.flow).cloned() else {
            return Ok(Err(format!("no version of flow `{}` is published", start.flow)));
        };
        if self.conversation.open.len() >= OPEN_TASKS_MAX {
            return Ok(Err(format!(
                "the conversation has {OPEN_TASKS_MAX} open tasks; finish or cancel one first"
            )));
        }
        let flow = &version.document;
        let entry = start.trigger.and_then(|index| {
            let trigger = flow.triggers.get(index)?;
            Some(engine::routing::EntryPoint { flow: &flow.id, index, trigger })
        });
        let made = NewTask {
            id: start.task.clone(),
            version: version.version,
            contact: self.conversation.contact.clone(),
            conversation: self.conversation.id.clone(),
            connection: self.conversation.connection.clone(),
            lang: self.conversation.contact.lang.clone(),
            parent: start.parent.clone(),
            trigger: entry.as_ref().map(engine::routing::EntryPoint::group),
            at: self.accepted.at,
        }
        .make(flow);
        let mut vars = start.vars.clone();
        if let Some(entry) = &entry {
            let (contact, at) = (&self.conversation.contact, self.accepted.at);
            match trigger_vars(flow, entry.trigger, contact, &input, &start.event, at) {
                Ok(more) => vars.extend(more),
                Err(reason) => return Ok(Err(reason)),
            }
        }
        self.adopt(made);
        let event = Event {
            id: EventId::of(self.accepted.id.as_str(), &format!("begin/{}", start.task)),
            at: self.accepted.at,
            body: EventBody::Started { vars, input },
        };
        match self.apply(&start.task, &event, take_focus).await? {
            Ok(()) => Ok(Ok(())),
            Err(refused) => {
                self.tasks.remove(&start.task);
                Ok(Err(refused.to_string()))
            }
        }
    }

    /// The next flow of the queue, now that the conversation is free.
    pub(super) async fn start_queued(&mut self, queued: &QueuedStart) -> Result<(), HandleError> {
        let found = self.app.store().messages(std::slice::from_ref(&queued.message)).await?;
        let Some(mut message) = found.into_iter().next() else { return Ok(()) };
        let stored = message.revision;
        let part = self.part("queued");
        let start = StartJob {
            task: TaskId::derive(self.accepted.at, &self.accepted.id, &part),
            flow: queued.flow.clone(),
            vars: Vars::new(),
            parent: None,
            trigger: Some(queued.trigger),
            event: Value::Null,
        };
        let input = Value::String(message.content.text.clone());
        self.answering = Some(message.id.clone());
        let begun = self.begin_task(&start, input, true).await?;
        self.settle(&mut message, begun.is_ok().then_some(&start.task), begun.err());
        self.push_message(message, Some(stored));
        Ok(())
    }
}
