//! A message record and the states it goes through, which only move forward.

use chrono::{DateTime, Utc};
use flow::Content;
use serde::{Deserialize, Serialize};

use crate::ids::{ConversationId, EventId, MessageId, TaskId};
use crate::routing::Rule;

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the contact to us.
    In,
    /// From us to the contact.
    Out,
}

/// How far a message has come.
///
/// In: `received → routed → processed`, or `unrouted`, `failed`.
/// Out: `queued → sending → sent → delivered → read`, or `failed`, `unknown`, `expired`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// In: stored durably.
    Received,
    /// In: no rule found a task for it; an operator can assign it.
    Unrouted,
    /// In: its task is known.
    Routed,
    /// In: its task has taken it.
    Processed,
    /// Out: committed, to be sent.
    Queued,
    /// Out: being sent.
    Sending,
    /// Out: the channel took it.
    Sent,
    /// Out: it reached the person's device.
    Delivered,
    /// Out: the person saw it.
    Read,
    /// Either: it will not go on; the reason stands beside it.
    Failed,
    /// Out: whether it was sent cannot be known.
    Unknown,
    /// Out: too old to send.
    Expired,
}

impl MessageState {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Unrouted => "unrouted",
            Self::Routed => "routed",
            Self::Processed => "processed",
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
        }
    }

    /// How far along its way a state is; a message never goes to a lower rank.
    fn rank(self) -> u8 {
        match self {
            Self::Received | Self::Queued => 0,
            Self::Unrouted | Self::Sending => 1,
            Self::Routed | Self::Unknown => 2,
            Self::Processed | Self::Sent => 3,
            Self::Delivered => 4,
            Self::Read => 5,
            Self::Failed | Self::Expired => 6,
        }
    }

    /// Whether a message in this state may go to `next`.
    ///
    /// `failed` and `expired` end a message, but only one that was never sent; `unknown` may
    /// still turn into `sent` when the channel says so.
    pub fn may_become(self, next: Self) -> bool {
        let ends = matches!(next, Self::Failed | Self::Expired);
        let gone = matches!(self, Self::Processed | Self::Sent | Self::Delivered | Self::Read);
        if ends {
            return !gone && self.rank() < next.rank();
        }
        self.rank() < next.rank()
    }
}

/// Who wrote a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Sender {
    /// The contact.
    Contact,
    /// The flow of the task.
    Flow,
    /// A person on our side.
    Operator {
        /// Who.
        name: String,
    },
    /// Chatflow itself: answers to commands, questions which task is meant.
    System,
}

impl Sender {
    /// The word for it in tables.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Contact => "contact",
            Self::Flow => "flow",
            Self::Operator { .. } => "operator",
            Self::System => "system",
        }
    }
}

/// A state and the time it was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// The state.
    pub state: MessageState,
    /// When.
    pub at: DateTime<Utc>,
}

/// One message, in either direction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// How often it was written; guards against lost updates.
    pub revision: u64,
    /// The event that brought or made it.
    pub event: EventId,
    /// The task it belongs to; none while unrouted, and for answers to commands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// The conversation.
    pub conversation: ConversationId,
    /// The connection.
    pub connection: String,
    /// The contact's id there.
    pub contact: String,
    /// Which way it goes.
    pub direction: Direction,
    /// Who wrote it.
    pub sender: Sender,
    /// What it says.
    pub content: Content,
    /// The id the channel gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// In: the rule that found its task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// Out: the message it answers, where it answers one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<MessageId>,
    /// Why it failed, is unknown, or found no task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How far it has come.
    pub state: MessageState,
    /// Every state it has been in, with its time.
    pub reached: Vec<Reached>,
    /// When it came to be; messages are listed in this order.
    pub created_at: DateTime<Utc>,
}

impl Message {
    /// Moves on to `state`, keeping the time; false where that would be a step back. The time is
    /// never before that of an earlier state: functions have clocks of their own, and the time of
    /// a busy conversation runs ahead of all of them.
    pub fn reach(&mut self, state: MessageState, at: DateTime<Utc>) -> bool {
        if !self.state.may_become(state) {
            return false;
        }
        self.state = state;
        self.revision = self.revision.saturating_add(1);
        let at = self.reached.last().map_or(at, |last| last.at.max(at));
        self.reached.push(Reached { state, at });
        true
    }

    /// When it reached `state`.
    pub fn time_of(&self, state: MessageState) -> Option<DateTime<Utc>> {
        self.reached.iter().find(|reached| reached.state == state).map(|reached| reached.at)
    }
}

#[cfg(test)]
mod tests {
    use super::MessageState::{
        Delivered, Expired, Failed, Processed, Queued, Read, Received, Routed, Sending, Sent,
        Unknown, Unrouted,
    };
    use super::*;

    const ALL: [MessageState; 12] = [
        Received, Unrouted, Routed, Processed, Queued, Sending, Sent, Delivered, Read, Failed,
        Unknown, Expired,
    ];

    #[test]
    fn states_only_move_forward() {
        for from in ALL {
            assert!(!from.may_become(from));
            for to in ALL {
                assert!(!(from.may_become(to) && to.may_become(from)), "{from:?} {to:?}");
            }
        }
        for [from, to] in [
            [Received, Routed],
            [Received, Unrouted],
            [Unrouted, Routed],
            [Routed, Processed],
            [Queued, Sending],
            [Sending, Sent],
            [Sending, Unknown],
            [Unknown, Sent],
            [Sent, Read],
            [Sending, Failed],
            [Queued, Expired],
        ] {
            assert!(from.may_become(to), "{from:?} {to:?}");
        }
        for [from, to] in [[Sent, Failed], [Sent, Sending], [Read, Delivered], [Processed, Failed]]
        {
            assert!(!from.may_become(to), "{from:?} {to:?}");
        }
    }

    #[test]
    fn times_of_states_never_go_back() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let mut message = Message {
            id: "msg_1".into(),
            revision: 1,
            event: EventId::of("test", "1"),
            task: None,
            conversation: ConversationId::of("demo", "ann"),
            connection: "demo".into(),
            contact: "ann".into(),
            direction: Direction::Out,
            sender: Sender::System,
            content: Content::text("Hello"),
            external_id: None,
            rule: None,
            in_reply_to: None,
            error: None,
            state: Queued,
            reached: vec![Reached { state: Queued, at: at(10) }],
            created_at: at(10),
        };
        // The messenger's clock is behind that of the controller, and catches up.
        assert!(message.reach(Sending, at(8)));
        assert!(message.reach(Sent, at(12)));
        assert_eq!(
            [Queued, Sending, Sent].map(|s| message.time_of(s)),
            [10, 10, 12].map(|s| Some(at(s)))
        );
    }
}
