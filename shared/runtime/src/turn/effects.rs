//! From the engine's effects to messages, envelopes and rows of the same commit.

use engine::{
    CallRequest, Direction, Effect, EventBody, EventId, Message, MessageState, OperatorAction,
    Parent, Reached, Sender, Task, TaskId, TimerName,
};
use flow::{Contact, Content};
use ports::Topic;
use serde_json::{Value, json};

use super::work::Work;
use crate::ids;
use crate::jobs::{CallJob, LandingRow, StartJob, Thread, TimerJob, What, for_conversation, seal};
use crate::outcome::HandleError;

impl Work<'_> {
    pub(super) async fn effects(
        &mut self,
        before: &Task,
        task: &Task,
        effects: &[Effect],
    ) -> Result<(), HandleError> {
        for effect in effects {
            match effect {
                Effect::Send { id, content, by } => {
                    let sender = match by {
                        Some(name) => Sender::Operator { name: name.clone() },
                        None => Sender::Flow,
                    };
                    self.say(id.clone(), Some(task.id.clone()), sender, content.clone())?;
                }
                Effect::Call(request) => self.call(task, request)?,
                Effect::SetTimer { name, entered, due } => {
                    if *name == TimerName::Expiry && before.sequence > 0 {
                        self.withdraw_expiry(before).await?;
                    }
                    self.set_timer(task, *name, *entered, *due)?;
                }
                Effect::CancelTimer { name: TimerName::Expiry, .. }
                    if before.version != task.version =>
                {
                    self.withdraw_expiry(before).await?;
                }
                Effect::CancelTimer { name, entered } => {
                    let nth =
                        if *name == TimerName::Expiry { 1 } else { ids::nth_of(before, *name) };
                    self.cancel_timer(&ids::timer(&task.id, *name, *entered, nth));
                }
                Effect::StartTask { id, flow, vars, contact, parent } => {
                    let start = StartJob {
                        task: id.clone(),
                        flow: flow.clone(),
                        vars: vars.clone(),
                        parent: Some(parent.clone()),
                        trigger: None,
                        event: Value::Null,
                    };
                    self.start_child(task, start, contact.as_deref())?;
                }
                Effect::CancelTask { id } => self.cancel_child(task, id).await?,
                Effect::TellParent { parent, completed, outcome, result } => {
                    self.tell_parent(task, parent, *completed, outcome, result).await?;
                }
                Effect::Record { id, table, row } => {
                    let mut row = row.clone();
                    row.insert("event_id".into(), json!(self.accepted.id));
                    // Grows from one event to the next, so that the newest row of a key is the
                    // current one; unique within the event even where several tasks record in it.
                    let sequence = self.tick().timestamp_micros();
                    row.insert("sequence".into(), json!(sequence));
                    self.records.push(LandingRow { id: id.0.clone(), table: table.clone(), row });
                }
                Effect::Notify { id, connection, to, content } => {
                    let connection = connection.as_deref().unwrap_or(&task.connection);
                    self.notify(task, id.clone(), connection, to, content)?;
                }
                Effect::Assign { queue, .. } => {
                    tracing::info!(task = %task.id, queue, "waits for a person");
                }
            }
        }
        Ok(())
    }

    fn thread_of(&self, task: &Task) -> Thread {
        if task.conversation == self.thread.id {
            return Thread { contact: task.contact.clone(), ..self.thread.clone() };
        }
        Thread::from(task)
    }

    fn call(&mut self, task: &Task, request: &CallRequest) -> Result<(), HandleError> {
        let id = request.id.0.clone();
        let job = CallJob {
            task: task.id.clone(),
            thread: self.thread_of(task),
            request: request.clone(),
        };
        self.outbox.push(seal(Topic::Calls, id.clone(), id, &job)?);
        Ok(())
    }

    fn set_timer(
        &mut self,
        task: &Task,
        name: TimerName,
        entered: u64,
        due: chrono::DateTime<chrono::Utc>,
    ) -> Result<(), HandleError> {
        let job =
            TimerJob::Task { task: task.id.clone(), thread: self.thread_of(task), name, entered };
        let nth = if name == TimerName::Expiry { task.sequence } else { ids::nth_of(task, name) };
        let id = ids::timer(&task.id, name, entered, nth);
        let mut envelope = seal(Topic::Timers, id, task.id.0.clone(), &job)?;
        envelope.due = Some(due);
        self.outbox.push(envelope);
        Ok(())
    }

    /// A timer of this very commit is not set at all; any other is withdrawn.
    fn cancel_timer(&mut self, id: &str) {
        let before = self.outbox.len();
        self.outbox.retain(|envelope| envelope.id != id);
        if self.outbox.len() == before {
            self.withdrawn.push(id.to_owned());
        }
    }

    /// A retry and a move to another version set the clock of the whole task anew: what earlier
    /// transitions set is withdrawn, or it would end the task too early. Seldom enough to look
    /// into the history for it.
    async fn withdraw_expiry(&mut self, before: &Task) -> Result<(), HandleError> {
        let mut after = 0;
        loop {
            let entries = self.app.store().history(&before.id, after, ports::PAGE_MAX).await?;
            for entry in &entries {
                let sets = |effect: &Effect| {
                    matches!(effect, Effect::SetTimer { name: TimerName::Expiry, .. })
                };
                if entry.effects.iter().any(sets) {
                    let id = ids::timer(&before.id, TimerName::Expiry, 0, entry.sequence);
                    self.withdrawn.push(id);
                }
            }
            match entries.last() {
                Some(last) if entries.len() == ports::PAGE_MAX => after = last.sequence,
                _ => return Ok(()),
            }
        }
    }

    fn start_child(
        &mut self,
        parent: &Task,
        start: StartJob,
        contact: Option<&str>,
    ) -> Result<(), HandleError> {
        let thread = match contact {
            Some(id) if id != parent.contact.id => {
                let contact = Contact { id: id.to_owned(), name: None, lang: None };
                Thread::of(&parent.connection, None, contact)
            }
            _ => self.thread_of(parent),
        };
        let id = ids::start(&start.task);
        let envelope = for_conversation(id, self.accepted.at, thread, What::Start(start))?;
        self.outbox.push(envelope);
        Ok(())
    }

    async fn cancel_child(&mut self, parent: &Task, child: &TaskId) -> Result<(), HandleError> {
        // A child that has not begun finds its parent gone when it does.
        if !self.load(child).await? {
            return Ok(());
        }
        let Some(child) = self.task(child).cloned() else { return Ok(()) };
        let action = OperatorAction::Cancel { reason: "the task that started it ended".into() };
        let event = EventBody::Operator { by: parent.id.0.clone(), action };
        let what = What::Task { task: child.id.clone(), event };
        let id = EventId::of(parent.id.as_str(), &format!("cancel/{}", child.id));
        self.outbox.push(for_conversation(id, self.accepted.at, self.thread_of(&child), what)?);
        Ok(())
    }

    async fn tell_parent(
        &mut self,
        child: &Task,
        parent: &Parent,
        completed: bool,
        outcome: &str,
        result: &Value,
    ) -> Result<(), HandleError> {
        let event = EventBody::ChildEnded {
            child: child.id.clone(),
            completed,
            outcome: outcome.to_owned(),
            result: result.clone(),
        };
        let what = What::Task { task: parent.task.clone(), event };
        let id = ids::ended(child);
        if !self.load(&parent.task).await? {
            return Ok(());
        }
        let Some(above) = self.task(&parent.task).cloned() else { return Ok(()) };
        self.outbox.push(for_conversation(id, self.accepted.at, self.thread_of(&above), what)?);
        Ok(())
    }

    fn notify(
        &mut self,
        task: &Task,
        id: engine::MessageId,
        connection: &str,
        to: &str,
        content: &Content,
    ) -> Result<(), HandleError> {
        let at = self.tick();
        let contact = Contact { id: to.to_owned(), name: None, lang: None };
        let thread = Thread::of(connection, None, contact);
        self.queue_out(Message {
            id,
            revision: 1,
            event: self.accepted.id.clone(),
            task: Some(task.id.clone()),
            conversation: thread.id,
            connection: thread.connection,
            contact: to.to_owned(),
            direction: Direction::Out,
            sender: Sender::Flow,
            content: content.clone(),
            external_id: None,
            rule: None,
            in_reply_to: None,
            error: None,
            state: MessageState::Queued,
            reached: vec![Reached { state: MessageState::Queued, at }],
            created_at: at,
        })
    }
}
