//! Which task a conversation's next message is most likely for.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use engine::{ConversationId, TaskId};

/// Most conversations remembered; beyond them all are forgotten, and each costs one more read.
const KEPT: usize = 10_000;

/// The focus of conversations that this process has handled lately. A guess, never a fact: the
/// conversation that is read decides, and a wrong guess only reads a task that is not needed.
#[derive(Debug, Default)]
pub(crate) struct FocusHints(Mutex<HashMap<ConversationId, TaskId>>);

impl FocusHints {
    /// The task that had the focus last.
    pub(crate) fn of(&self, conversation: &ConversationId) -> Option<TaskId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(conversation).cloned()
    }

    /// Notes which task has the focus now.
    pub(crate) fn remember(&self, conversation: &ConversationId, focus: Option<TaskId>) {
        let mut hints = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match focus {
            None => {
                hints.remove(conversation);
            }
            Some(task) => {
                if hints.len() >= KEPT {
                    hints.clear();
                }
                hints.insert(conversation.clone(), task);
            }
        }
    }
}
