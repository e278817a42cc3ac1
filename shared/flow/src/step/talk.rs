//! `say` and `ask`: what is said, what is asked, and what counts as an answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{StepId, Template};
use crate::content::Text;
use crate::expect::Expect;
use crate::span::Span;

/// One message of a `say`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SayMessage {
    /// The text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Text>,
    /// The URL of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Template>,
    /// The URL of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Template>,
}

/// Sends one or more messages: its own `text`, `image`, `file`, then `messages` in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Say {
    /// The text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Text>,
    /// The URL of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Template>,
    /// The URL of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Template>,
    /// Further messages, at most ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<SayMessage>,
    /// Suggestions shown with the last message; pressing one sends its label as a message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<ChoiceSpec>,
    /// Where to go on.
    pub next: StepId,
}

impl Say {
    /// All messages in order, its own first.
    pub fn all(&self) -> Vec<SayMessage> {
        let own = SayMessage {
            text: self.text.clone(),
            image: self.image.clone(),
            file: self.file.clone(),
        };
        let own = (own != SayMessage::default()).then_some(own);
        own.into_iter().chain(self.messages.iter().cloned()).collect()
    }
}

/// A reply on offer: a plain value, or a label with the value it stands for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ChoiceSpec {
    /// A label and its value.
    Labelled(LabelledChoice),
    /// A value that is its own label.
    Plain(Value),
}

/// A label and the value it stands for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelledChoice {
    /// What the person reads.
    pub label: Text,
    /// What the variable gets; the label where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

/// Choices written out, or one expression that gives a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Choices {
    /// Written out.
    List(Vec<ChoiceSpec>),
    /// `"{{ slots }}"`: a list of values, or of `{label, value}`.
    Computed(Template),
}

impl Default for Choices {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Choices {
    /// Whether none is offered.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::List(list) if list.is_empty())
    }
}

/// Sends a prompt, waits for a reply, validates and converts it into a variable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// The prompt.
    pub text: Text,
    /// The URL of a picture sent with the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Template>,
    /// The variable that gets the answer.
    pub into: String,
    /// What counts as an answer; the variable's own type where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
    /// Replies on offer: buttons where the channel has them, a numbered list elsewhere.
    #[serde(default, skip_serializing_if = "Choices::is_empty")]
    pub choices: Choices,
    /// What happens after an answer that does not fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reprompt: Option<Reprompt>,
    /// A reminder while nothing comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remind: Option<Remind>,
    /// Where to go when nothing came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<StepTimeout>,
    /// Where to go on.
    pub next: StepId,
}

/// What happens after an answer that does not fit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reprompt {
    /// How often to ask again (0 to 100) before `then`.
    #[serde(default = "default_reprompts")]
    pub times: u32,
    /// What to say; `input` is the reply. A hint for the expected type where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Text>,
    /// Where to go after that; the task fails where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<StepId>,
}

fn default_reprompts() -> u32 {
    3
}

/// A reminder while nothing comes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Remind {
    /// How long after the prompt, and between reminders.
    pub after: Span,
    /// What to say.
    pub text: Text,
    /// How many reminders at the most (1 to 20).
    #[serde(default = "default_reminders")]
    pub times: u32,
}

fn default_reminders() -> u32 {
    1
}

/// Where to go when nothing came for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepTimeout {
    /// How long to wait.
    pub after: Span,
    /// Where to go then.
    pub next: StepId,
}
