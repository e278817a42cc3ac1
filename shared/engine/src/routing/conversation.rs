//! What a conversation remembers: who, which tasks are open, which has the focus.

use chrono::{DateTime, Utc};
use flow::{Contact, Lang};
use serde::{Deserialize, Serialize};

use crate::ids::{ConversationId, MessageId, TaskId};
use crate::task::{Status, Task, Wait};

/// Most tasks one conversation may have open.
pub const OPEN_TASKS_MAX: usize = 200;
/// Most messages kept while the person is asked which task they are for.
pub const HELD_MAX: usize = 20;
/// Most flows that wait for the conversation to be free.
pub const QUEUED_MAX: usize = 20;

/// One person's thread with us on one connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// The connection.
    pub connection: String,
    /// The key the connection knows the thread by.
    pub key: String,
    /// Who.
    pub contact: Contact,
    /// How often it was written.
    pub revision: u64,
    /// The task that gets messages which name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub focus: Option<TaskId>,
    /// The open tasks, in the order of their numbers.
    #[serde(default)]
    pub open: Vec<OpenTask>,
    /// The number the next task gets.
    pub next_number: u32,
    /// Messages that wait for an answer to "which task do you mean?".
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Held>,
    /// The tasks that question offered, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<TaskId>,
    /// Flows that start when the conversation is free.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queued: Vec<QueuedStart>,
    /// When the first message came.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// A message kept until the person says which task it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The message.
    pub message: MessageId,
}

/// A flow that starts when the conversation is free.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueuedStart {
    /// The flow.
    pub flow: String,
    /// Its trigger's place in the document.
    pub trigger: usize,
    /// The message that asked for it.
    pub message: MessageId,
}

/// What routing must know of an open task, so that it need not be loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenTask {
    /// Which.
    pub task: TaskId,
    /// The number people use for it: `/switch 2`.
    pub number: u32,
    /// Its flow.
    pub flow: String,
    /// Its label.
    pub label: String,
    /// The trigger group that started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// What it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<String>,
    /// Since when.
    pub since: DateTime<Utc>,
    /// The labels of the replies on offer: a typed label is an answer, not a command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offered: Vec<String>,
}

impl OpenTask {
    /// Whether a reply is what it waits for.
    pub fn waits_for_reply(&self) -> bool {
        self.waiting_for.as_deref() == Some("reply")
    }

    /// Whether a message can reach it: it waits for a reply, or a person has it.
    pub fn takes_messages(&self) -> bool {
        matches!(self.waiting_for.as_deref(), Some("reply" | "human"))
    }
}

/// What ending a task did to the focus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FocusChange {
    /// Nothing.
    None,
    /// This task has the focus now and should ask again.
    Returned(TaskId),
}

impl Conversation {
    /// A conversation before its first message.
    pub fn begin(
        id: ConversationId,
        connection: &str,
        key: &str,
        contact: Contact,
        at: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            connection: connection.to_owned(),
            key: key.to_owned(),
            contact,
            revision: 0,
            focus: None,
            open: Vec::new(),
            next_number: 1,
            held: Vec::new(),
            candidates: Vec::new(),
            queued: Vec::new(),
            created_at: at,
            updated_at: at,
        }
    }

    /// The language it speaks.
    pub fn lang(&self) -> Option<&Lang> {
        self.contact.lang.as_ref()
    }

    /// Takes over what the channel newly tells of the contact; what it leaves out stays.
    pub fn learn(&mut self, contact: &Contact) {
        if contact.name.is_some() {
            self.contact.name.clone_from(&contact.name);
        }
        if contact.lang.is_some() {
            self.contact.lang.clone_from(&contact.lang);
        }
    }

    /// The open task of that id.
    pub fn find(&self, task: &TaskId) -> Option<&OpenTask> {
        self.open.iter().find(|open| open.task == *task)
    }

    /// The open task of that number.
    pub fn numbered(&self, number: u32) -> Option<&OpenTask> {
        self.open.iter().find(|open| open.number == number)
    }

    /// The open task that has the focus.
    pub fn focused(&self) -> Option<&OpenTask> {
        self.focus.as_ref().and_then(|task| self.find(task))
    }

    /// Whether a task waits for a reply, so that the conversation is not free.
    pub fn is_busy(&self) -> bool {
        self.open.iter().any(OpenTask::waits_for_reply)
    }

    /// Takes over how a task stands: opens, updates or closes its entry.
    ///
    /// When the focused task ends, the focus returns to the task that waited longest for a reply.
    pub fn reflect(&mut self, task: &Task, take_focus: bool) -> FocusChange {
        if task.status.has_ended() {
            return self.close(&task.id);
        }
        let (waiting_for, since, offered) = match &task.status {
            Status::Waiting { since, on, .. } => {
                let offered = match on {
                    Wait::Reply { offered, .. } => offered
                        .iter()
                        .take(20)
                        .map(|offer| flow::keyword::normalise(&offer.label))
                        .collect(),
                    _ => Vec::new(),
                };
                (Some(on.name().to_owned()), *since, offered)
            }
            _ => (None, task.updated_at, Vec::new()),
        };
        if let Some(open) = self.open.iter_mut().find(|open| open.task == task.id) {
            open.label.clone_from(&task.label);
            open.waiting_for = waiting_for;
            open.since = since;
            open.offered = offered;
        } else {
            self.open.push(OpenTask {
                task: task.id.clone(),
                number: self.next_number,
                flow: task.flow.clone(),
                label: task.label.clone(),
                trigger: task.trigger.clone(),
                waiting_for,
                since,
                offered,
            });
            self.next_number = self.next_number.saturating_add(1);
        }
        if take_focus || self.focused().is_none() {
            self.focus = Some(task.id.clone());
        }
        FocusChange::None
    }

    fn close(&mut self, task: &TaskId) -> FocusChange {
        let focused = self.focus.as_ref() == Some(task);
        self.open.retain(|open| open.task != *task);
        self.candidates.retain(|candidate| candidate != task);
        if self.open.is_empty() {
            self.next_number = 1;
        }
        if !focused {
            return FocusChange::None;
        }
        let longest = self
            .open
            .iter()
            .filter(|open| open.waits_for_reply())
            .min_by_key(|open| (open.since, open.number))
            .map(|open| open.task.clone());
        self.focus.clone_from(&longest);
        longest.map_or(FocusChange::None, FocusChange::Returned)
    }
}
