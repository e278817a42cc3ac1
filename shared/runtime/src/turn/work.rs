//! Everything one event changes, gathered until it is committed at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use engine::routing::{Texts, texts};
use engine::{
    Conversation, Direction, HistoryEntry, Message, MessageId, MessageState, Reached, Sender, Task,
    TaskId,
};
use flow::Content;
use ports::{
    Commit, Envelope, Failure, FailureKind, FailureState, FlowVersion, MessageWrite, Recovery,
    TaskWrite, Topic, Turn,
};

use super::AnswerOf;
use crate::app::App;
use crate::catalog::Catalog;
use crate::ids;
use crate::jobs::{Accepted, LandJob, LandingRow, SendJob, Thread, What, seal};
use crate::outcome::HandleError;
use crate::rows;

/// Rows per landing envelope; keeps envelopes well below their limit for ordinary rows.
const ROWS_PER_ENVELOPE: usize = 50;

/// A task on the way through the work: as stored, and as it will be.
pub(super) struct Held {
    pub(super) task: Task,
    /// The stored sequence number; none where it is new.
    pub(super) stored: Option<u64>,
}

pub(super) struct Work<'a> {
    pub(super) app: &'a App,
    pub(super) accepted: &'a Accepted,
    pub(super) thread: &'a Thread,
    pub(super) catalog: Arc<Catalog>,
    pub(super) conversation: Conversation,
    /// The focus when the event came: a task that had it may speak without introducing itself.
    focus_before: Option<TaskId>,
    pub(super) tasks: BTreeMap<TaskId, Held>,
    touched: BTreeSet<TaskId>,
    messages: Vec<MessageWrite>,
    pub(super) history: Vec<HistoryEntry>,
    pub(super) outbox: Vec<Envelope>,
    pub(super) withdrawn: Vec<String>,
    pub(super) records: Vec<LandingRow>,
    failures: Vec<Failure>,
    /// The message being answered, for `in_reply_to`.
    pub(super) answering: Option<MessageId>,
    /// Nothing is committed where nothing happened (a stale timer, say).
    pub(super) dirty: bool,
    now: DateTime<Utc>,
    parts: u32,
}

impl<'a> Work<'a> {
    pub(super) async fn begin(
        app: &'a App,
        accepted: &'a Accepted,
        thread: &'a Thread,
        what: &What,
        turn: Turn,
    ) -> Result<Self, HandleError> {
        let catalog = app.catalog().await?;
        let mut conversation = turn.conversation.unwrap_or_else(|| {
            let (id, at) = (thread.id.clone(), accepted.at);
            Conversation::begin(id, &thread.connection, &thread.key, thread.contact.clone(), at)
        });
        if matches!(what, What::Message { .. }) {
            // Other events carry the contact as it was when they were made.
            conversation.learn(&thread.contact);
        }
        if conversation.contact.lang.is_none() {
            conversation.contact.lang =
                catalog.connection(&thread.connection).and_then(|found| found.lang.clone());
        }
        // Time never goes backwards within a conversation, whatever the clock does.
        let now = app.now().max(conversation.updated_at + TimeDelta::microseconds(1));
        let tasks = turn
            .tasks
            .into_iter()
            .map(|task| (task.id.clone(), Held { stored: Some(task.sequence), task }))
            .collect();
        Ok(Self {
            app,
            accepted,
            thread,
            catalog,
            focus_before: conversation.focus.clone(),
            conversation,
            tasks,
            touched: BTreeSet::new(),
            messages: Vec::new(),
            history: Vec::new(),
            outbox: Vec::new(),
            withdrawn: Vec::new(),
            records: Vec::new(),
            failures: Vec::new(),
            answering: None,
            dirty: false,
            now,
            parts: 0,
        })
    }

    /// A time later than every one before it, so that messages list in the order they were made.
    pub(super) fn tick(&mut self) -> DateTime<Utc> {
        self.now += TimeDelta::microseconds(1);
        self.now
    }

    pub(super) fn part(&mut self, what: &str) -> String {
        self.parts += 1;
        format!("{what}/{}", self.parts)
    }

    pub(super) fn texts(&self) -> Texts {
        texts(self.conversation.lang())
    }

    /// The version a task is on.
    pub(super) async fn version(&self, task: &Task) -> Result<Arc<FlowVersion>, HandleError> {
        let found = self.app.version(&task.flow, task.version).await?;
        found.ok_or_else(|| {
            HandleError::NotFound(format!("version {} of flow `{}`", task.version, task.flow))
        })
    }

    /// Makes sure a task is loaded; false where it does not exist.
    pub(super) async fn load(&mut self, id: &TaskId) -> Result<bool, HandleError> {
        if self.tasks.contains_key(id) {
            return Ok(true);
        }
        let found = self.app.store().tasks(std::slice::from_ref(id)).await?;
        for task in found {
            self.tasks.insert(task.id.clone(), Held { stored: Some(task.sequence), task });
        }
        Ok(self.tasks.contains_key(id))
    }

    pub(super) fn task(&self, id: &TaskId) -> Option<&Task> {
        self.tasks.get(id).map(|held| &held.task)
    }

    pub(super) fn touch(&mut self, id: &TaskId) {
        self.touched.insert(id.clone());
        self.dirty = true;
    }

    pub(super) fn changed_tasks(&self) -> Vec<TaskId> {
        let named = self.messages.iter().filter_map(|write| write.message.task.clone());
        let all: BTreeSet<TaskId> = self.touched.iter().cloned().chain(named).collect();
        all.into_iter().collect()
    }

    pub(super) fn push_message(&mut self, message: Message, expected: Option<u64>) {
        self.dirty = true;
        self.messages.retain(|write| write.message.id != message.id);
        self.messages.push(MessageWrite { message, expected });
    }

    /// A reply to the contact, queued for the messenger.
    pub(super) fn say(
        &mut self,
        id: MessageId,
        task: Option<TaskId>,
        sender: Sender,
        content: Content,
    ) -> Result<(), HandleError> {
        let (conversation, connection, contact) = (
            self.conversation.id.clone(),
            self.conversation.connection.clone(),
            self.conversation.contact.id.clone(),
        );
        let at = self.tick();
        let message = Message {
            id,
            revision: 1,
            event: self.accepted.id.clone(),
            task,
            conversation,
            connection,
            contact,
            direction: Direction::Out,
            sender,
            content,
            external_id: None,
            rule: None,
            in_reply_to: self.answering.clone(),
            error: None,
            state: MessageState::Queued,
            reached: vec![Reached { state: MessageState::Queued, at }],
            created_at: at,
        };
        self.queue_out(message)
    }

    /// Queues an outgoing message; one whose connection sends nowhere is there to be read at once.
    pub(super) fn queue_out(&mut self, mut message: Message) -> Result<(), HandleError> {
        let read_only = self
            .catalog
            .connection(&message.connection)
            .is_some_and(|found| found.reply == channels::ReplyTarget::None);
        if read_only {
            let at = message.created_at;
            message.reach(MessageState::Sent, at);
        } else {
            let connection = message.connection.clone();
            let job = SendJob { message: message.id.clone(), connection };
            let (id, key) = (ids::sending(&message.id), message.conversation.0.clone());
            self.outbox.push(seal(Topic::Outbound, id, key, &job)?);
        }
        self.push_message(message, None);
        Ok(())
    }

    /// Something Chatflow itself says.
    pub(super) fn system(&mut self, content: Content) -> Result<(), HandleError> {
        let part = self.part("system");
        let id = MessageId::derive(self.accepted.at, &self.accepted.id, &part);
        self.say(id, None, Sender::System, content)
    }

    pub(super) fn fail_task(&mut self, task: &Task, reason: &str) {
        self.failures.push(Failure {
            id: format!("fail_{}_{}", task.id, task.sequence),
            kind: FailureKind::Task,
            reason: reason.to_owned(),
            at: self.now,
            attempts: 1,
            state: FailureState::Open,
            task: Some(task.id.clone()),
            conversation: Some(task.conversation.clone()),
            envelope: None,
            settled: None,
        });
    }

    /// Everything as one commit; none where nothing happened.
    pub(super) fn into_commit(
        mut self,
        recovery: Recovery,
        answer: Option<AnswerOf<'_>>,
        task: Option<&Task>,
    ) -> Result<Option<Commit>, HandleError> {
        if !self.dirty {
            return Ok(None);
        }
        self.introduce();
        self.land()?;
        self.conversation.revision = self.conversation.revision.saturating_add(1);
        self.conversation.updated_at = self.now;
        let tasks = self
            .touched
            .iter()
            .filter_map(|id| self.tasks.get(id))
            .map(|held| TaskWrite {
                task: held.task.clone(),
                expected: held.stored.unwrap_or_default(),
                create: held.stored.is_none(),
            })
            .collect();
        Ok(Some(Commit {
            at: self.now,
            event: Some(self.accepted.id.clone()),
            conversation: Some(self.conversation),
            tasks,
            messages: self.messages,
            history: self.history,
            outbox: self.outbox,
            recovery,
            withdrawn: self.withdrawn,
            answer: answer.zip(task).map(|(answer, task)| answer(task)),
            failures: self.failures,
        }))
    }

    /// A task that speaks while it is not the one in focus says who it is.
    fn introduce(&mut self) {
        let focus = [self.focus_before.as_ref(), self.conversation.focus.as_ref()];
        let texts = self.texts();
        for write in &mut self.messages {
            let message = &mut write.message;
            let Some(task) = &message.task else { continue };
            let speaks = message.direction == Direction::Out
                && write.expected.is_none()
                && message.conversation == self.conversation.id;
            if !speaks || focus.contains(&Some(task)) || self.conversation.focus.is_none() {
                continue;
            }
            if let Some(held) = self.tasks.get(task) {
                let prefix = texts.prefix(&held.task.label);
                message.content.text.insert_str(0, &prefix);
            }
        }
    }

    /// One row for everything that changed, in as few envelopes as fit.
    fn land(&mut self) -> Result<(), HandleError> {
        let event = self.accepted.id.as_str();
        let mut landing: Vec<LandingRow> = Vec::new();
        for id in &self.touched {
            if let Some(held) = self.tasks.get(id) {
                landing.push(rows::task(&held.task, event));
            }
        }
        landing.extend(self.messages.iter().map(|write| rows::message(&write.message)));
        landing.extend(self.history.iter().map(rows::history));
        landing.append(&mut self.records);
        let key = self.conversation.id.0.clone();
        for (index, chunk) in landing.chunks(ROWS_PER_ENVELOPE).enumerate() {
            let id = format!("land/{event}/{index}");
            seal_rows(&mut self.outbox, &id, &key, chunk)?;
        }
        Ok(())
    }
}

/// Rows that do not fit one envelope go in two, and so on; a single row that does not fit goes
/// without its largest values, which the history in the store keeps.
pub(super) fn seal_rows(
    outbox: &mut Vec<Envelope>,
    id: &str,
    key: &str,
    rows: &[LandingRow],
) -> Result<(), HandleError> {
    match seal(Topic::Landing, id, key, &LandJob { rows: rows.to_vec() }) {
        Ok(envelope) => outbox.push(envelope),
        Err(ports::PortError::TooLarge { .. }) if rows.len() > 1 => {
            let (left, right) = rows.split_at(rows.len() / 2);
            seal_rows(outbox, &format!("{id}a"), key, left)?;
            seal_rows(outbox, &format!("{id}b"), key, right)?;
        }
        Err(ports::PortError::TooLarge { .. }) => {
            let short: Vec<LandingRow> = rows.iter().cloned().map(rows::shortened).collect();
            outbox.push(seal(Topic::Landing, id, key, &LandJob { rows: short })?);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

impl Work<'_> {
    /// Whether the focus went to `task` during this event.
    pub(super) fn focus_changed_to(&self, task: &TaskId) -> bool {
        self.focus_before.as_ref().is_some_and(|before| before != task)
    }

    /// The task needs not ask again for having got the focus.
    pub(super) fn settle_focus(&mut self, task: &TaskId) {
        self.focus_before = Some(task.clone());
    }
}
