//! An inbound message: routed by the seven rules, taken by its task, answered.

use engine::routing::{HELD_MAX, Held, QUEUED_MAX, QueuedStart, Route};
use engine::{
    Direction, Event, EventBody, EventId, Incoming, Message, MessageId, MessageState, Pressed,
    Reached, Refused, Rule, Sender, TaskId, Vars, route,
};
use serde_json::{Value, json};

use super::Handled;
use super::work::Work;
use crate::jobs::{StartJob, What};
use crate::outcome::HandleError;

impl Work<'_> {
    /// Routes one inbound message and does what follows.
    pub(super) async fn message(&mut self, what: &What) -> Result<Handled, HandleError> {
        let What::Message { message, content, payload, names, event_type, external_id } = what
        else {
            return Ok(Handled::default());
        };
        let incoming = Incoming {
            text: content.text.clone(),
            payload: payload.clone(),
            names: names.clone(),
            event_type: event_type.clone(),
        };
        let default_flow = self
            .catalog
            .connection(&self.thread.connection)
            .and_then(|connection| connection.default_flow.clone())
            .filter(|flow| self.catalog.live(flow).is_some());
        let routed = {
            let entries = self.catalog.entries();
            route(&self.conversation, &incoming, &entries, default_flow.as_deref())
        };
        let mut record = self.received(message, content.clone(), external_id.clone());
        self.answering = Some(message.clone());
        // The message takes its place before its answers.
        record.created_at = self.tick();
        let handled = self.carry_out(&mut record, routed, event_type.as_deref()).await?;
        self.push_message(record, None);
        self.follow_up().await?;
        Ok(handled)
    }

    async fn carry_out(
        &mut self,
        record: &mut Message,
        routed: Route,
        event_type: Option<&str>,
    ) -> Result<Handled, HandleError> {
        match routed {
            Route::Task { task, rule, pressed, focus } => {
                record.rule = Some(rule);
                let refused = self.deliver(record, &task, pressed, focus).await?;
                return Ok(Handled { task: self.task(&task).cloned(), refused, duplicate: false });
            }
            Route::Command(command) => {
                record.rule = Some(Rule::Command);
                self.command(&command).await?;
                self.settle(record, None, None);
            }
            Route::Start { flow, trigger, rule } => {
                record.rule = Some(rule);
                self.start_by_message(record, flow, trigger, event_type).await?;
            }
            Route::Queue { flow, trigger } => {
                record.rule = Some(Rule::Trigger);
                self.queue(record, flow, trigger)?;
            }
            Route::AskWhich(candidates) => {
                record.rule = Some(Rule::Asked);
                self.ask_which(record, candidates)?;
            }
            Route::Chosen(task) => {
                record.rule = Some(Rule::Asked);
                self.settle(record, None, None);
                self.deliver_held(&task).await?;
            }
            Route::StaleButton => {
                record.rule = Some(Rule::Named);
                self.settle(record, None, Some(Refused::StaleChoice.to_string()));
                let content = self.texts().stale_choice();
                self.system(content)?;
            }
            Route::Unrouted(reason) => {
                record.rule = Some(Rule::Unrouted);
                record.error = Some(reason);
                let at = self.tick();
                record.reach(MessageState::Unrouted, at);
            }
        }
        Ok(Handled::default())
    }

    fn received(
        &self,
        id: &MessageId,
        content: flow::Content,
        external_id: Option<String>,
    ) -> Message {
        let at = self.accepted.at;
        Message {
            id: id.clone(),
            revision: 1,
            event: self.accepted.id.clone(),
            task: None,
            conversation: self.conversation.id.clone(),
            connection: self.conversation.connection.clone(),
            contact: self.conversation.contact.id.clone(),
            direction: Direction::In,
            sender: Sender::Contact,
            content,
            external_id,
            rule: None,
            in_reply_to: None,
            error: None,
            state: MessageState::Received,
            reached: vec![Reached { state: MessageState::Received, at }],
            created_at: at,
        }
    }

    /// Moves a message to its end: processed by its task (or by the system), or failed.
    pub(super) fn settle(
        &mut self,
        record: &mut Message,
        task: Option<&TaskId>,
        error: Option<String>,
    ) {
        let at = self.tick();
        if let Some(task) = task {
            record.task = Some(task.clone());
        }
        match error {
            Some(error) => {
                record.error = Some(error);
                record.reach(MessageState::Failed, at);
            }
            None => {
                record.reach(MessageState::Routed, at);
                record.reach(MessageState::Processed, at);
            }
        }
    }

    /// Gives a message to a task. A task that does not take it says so to the person.
    async fn deliver(
        &mut self,
        record: &mut Message,
        task: &TaskId,
        pressed: Option<Pressed>,
        focus: bool,
    ) -> Result<Option<Refused>, HandleError> {
        let known = self.load(task).await?;
        let ours = self.task(task).is_some_and(|found| found.conversation == self.conversation.id);
        if !known || !ours {
            let reason =
                format!("the message names task `{task}`, which is not in this conversation");
            self.settle(record, None, Some(reason));
            let content = self.texts().no_such_task();
            self.system(content)?;
            return Ok(None);
        }
        let event = Event {
            id: EventId::of(self.accepted.id.as_str(), &format!("reply/{}", record.id)),
            at: self.accepted.at,
            body: EventBody::Reply {
                message: record.id.clone(),
                content: record.content.clone(),
                pressed,
            },
        };
        match self.apply(task, &event, focus).await? {
            Ok(()) => {
                self.settle(record, Some(task), None);
                Ok(None)
            }
            Err(refused) => {
                let label = self.task(task).map(|found| found.label.clone()).unwrap_or_default();
                let content = match refused {
                    Refused::StaleChoice => self.texts().stale_choice(),
                    _ => self.texts().not_now(&label),
                };
                self.settle(record, Some(task), Some(refused.to_string()));
                self.system(content)?;
                Ok(Some(refused))
            }
        }
    }

    async fn start_by_message(
        &mut self,
        record: &mut Message,
        flow: String,
        trigger: Option<usize>,
        event_type: Option<&str>,
    ) -> Result<(), HandleError> {
        let part = self.part("start");
        let event = event_type.map_or(Value::Null, |kind| {
            json!({ "id": self.accepted.id, "type": kind, "source": self.thread.connection,
                    "time": self.accepted.at, "data": { "text": record.content.text } })
        });
        let start = StartJob {
            task: TaskId::derive(self.accepted.at, &self.accepted.id, &part),
            flow,
            vars: Vars::new(),
            parent: None,
            trigger,
            event,
        };
        let input = Value::String(record.content.text.clone());
        match self.begin_task(&start, input, true).await? {
            Ok(()) => self.settle(record, Some(&start.task), None),
            Err(reason) => {
                self.settle(record, None, Some(reason));
                let content = self.texts().too_many();
                self.system(content)?;
            }
        }
        Ok(())
    }

    fn queue(
        &mut self,
        record: &mut Message,
        flow: String,
        trigger: usize,
    ) -> Result<(), HandleError> {
        if self.conversation.queued.len() >= QUEUED_MAX {
            let reason = format!("{QUEUED_MAX} flows wait for the conversation already");
            self.settle(record, None, Some(reason));
            let content = self.texts().too_many();
            return self.system(content);
        }
        let lang = self.conversation.lang().cloned();
        let title = self
            .catalog
            .live(&flow)
            .map_or(flow.clone(), |v| v.document.title(lang.as_ref()).to_owned());
        self.conversation.queued.push(QueuedStart { flow, trigger, message: record.id.clone() });
        let content = self.texts().queued(&title);
        self.system(content)
    }

    /// Rule 6: the message is kept, and the person is asked which task it is for.
    fn ask_which(
        &mut self,
        record: &mut Message,
        candidates: Vec<TaskId>,
    ) -> Result<(), HandleError> {
        if self.conversation.held.len() >= HELD_MAX {
            let reason =
                format!("{HELD_MAX} messages wait for an answer to which task they are for");
            self.settle(record, None, Some(reason));
        } else {
            self.conversation.held.push(Held { message: record.id.clone() });
        }
        let content = self.texts().which(&self.conversation, &candidates);
        self.conversation.candidates = candidates;
        self.system(content)
    }

    /// The person said which: the kept messages go there, in order.
    async fn deliver_held(&mut self, task: &TaskId) -> Result<(), HandleError> {
        let held = std::mem::take(&mut self.conversation.held);
        self.conversation.candidates.clear();
        self.dirty = true;
        let ids: Vec<MessageId> = held.into_iter().map(|held| held.message).collect();
        let mut found = self.app.store().messages(&ids).await?;
        found.sort_by_key(|message| ids.iter().position(|id| *id == message.id));
        for mut message in found {
            let stored = message.revision;
            self.answering = Some(message.id.clone());
            self.deliver(&mut message, task, None, true).await?;
            self.push_message(message, Some(stored));
        }
        Ok(())
    }

    /// Nobody will say any more which task the kept messages are for: the tasks that were offered
    /// have ended. Where exactly one task waits they go there, else an operator sees them.
    pub(super) async fn release_held(&mut self) -> Result<(), HandleError> {
        let settled = self.conversation.candidates.is_empty();
        if !settled || self.conversation.held.is_empty() {
            return Ok(());
        }
        let mut waiting = self.conversation.open.iter().filter(|open| open.waits_for_reply());
        if let (Some(only), None) = (waiting.next(), waiting.next()) {
            let only = only.task.clone();
            return self.deliver_held(&only).await;
        }
        self.dirty = true;
        let held = std::mem::take(&mut self.conversation.held);
        let ids: Vec<MessageId> = held.into_iter().map(|held| held.message).collect();
        for mut message in self.app.store().messages(&ids).await? {
            let stored = message.revision;
            let at = self.tick();
            message.error = Some("nobody said which task it is for, and those tasks ended".into());
            if message.reach(MessageState::Unrouted, at) {
                self.push_message(message, Some(stored));
            }
        }
        Ok(())
    }

    /// An operator gives an unrouted message to a task.
    pub(super) async fn assign_message(
        &mut self,
        message: &MessageId,
        task: &TaskId,
    ) -> Result<Handled, HandleError> {
        let found = self.app.store().messages(std::slice::from_ref(message)).await?;
        let Some(mut record) = found.into_iter().next() else {
            return Err(HandleError::NotFound(format!("message `{message}`")));
        };
        if record.state != MessageState::Unrouted {
            return Err(HandleError::Conflict(format!(
                "message `{message}` is {}; only an unrouted one can be assigned",
                record.state.name()
            )));
        }
        if record.conversation != self.conversation.id {
            return Err(HandleError::unprocessable(
                "/task",
                "the task is in another conversation than the message",
            ));
        }
        let stored = record.revision;
        record.rule = Some(Rule::Assigned);
        record.error = None;
        self.answering = Some(message.clone());
        if let Some(refused) = self.deliver(&mut record, task, None, true).await? {
            // Nothing is committed: the message stays unrouted, and another task may take it.
            return Err(refused.into());
        }
        self.push_message(record, Some(stored));
        self.follow_up().await?;
        Ok(Handled { task: self.task(task).cloned(), ..Handled::default() })
    }
}
