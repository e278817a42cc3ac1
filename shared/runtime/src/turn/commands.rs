//! Commands: list, switch, status, cancel, new, help.

use engine::routing::{Command, OpenTask};
use engine::{Event, EventBody, OperatorAction, TaskId, Vars};
use flow::{Trigger, keyword};
use serde_json::Value;

use super::work::Work;
use crate::jobs::StartJob;
use crate::outcome::HandleError;

impl Work<'_> {
    /// Carries out a command; answers by a message of the system, or by the task's own.
    pub(super) async fn command(&mut self, command: &Command) -> Result<(), HandleError> {
        let texts = self.texts();
        match command {
            Command::List => self.system(texts.list(&self.conversation)),
            Command::Help => self.system(texts.help()),
            Command::Status { number } => match self.chosen(*number) {
                Some(open) => self.system(texts.status(&open)),
                None if number.is_none() => self.system(texts.list(&self.conversation)),
                None => self.system(texts.no_such_task()),
            },
            Command::Switch { number: None } => self.system(texts.list(&self.conversation)),
            Command::Switch { number } => match self.chosen(*number) {
                Some(open) => self.switch(&open).await,
                None => self.system(texts.no_such_task()),
            },
            Command::Cancel { number } => match self.chosen(*number) {
                Some(open) => self.cancel(&open).await,
                None => self.system(texts.no_such_task()),
            },
            Command::New { flow: None } => {
                let titles = self.titles();
                self.system(texts.flows(&titles))
            }
            Command::New { flow: Some(name) } => self.new_by_name(name).await,
        }
    }

    fn chosen(&self, number: Option<u32>) -> Option<OpenTask> {
        match number {
            Some(number) => self.conversation.numbered(number).cloned(),
            None => self.conversation.focused().cloned(),
        }
    }

    /// Gives a task the focus; it asks again where it waits for a reply.
    pub(super) async fn switch(&mut self, open: &OpenTask) -> Result<(), HandleError> {
        self.conversation.focus = Some(open.task.clone());
        self.settle_focus(&open.task);
        self.dirty = true;
        if open.waits_for_reply() {
            return self.ask_again(&open.task).await;
        }
        let content = self.texts().switched(open);
        self.system(content)
    }

    async fn cancel(&mut self, open: &OpenTask) -> Result<(), HandleError> {
        if !self.load(&open.task).await? {
            let content = self.texts().no_such_task();
            return self.system(content);
        }
        let content = self.texts().cancelled(&open.label);
        self.system(content)?;
        let by = format!("contact {}", self.conversation.contact.id);
        let action = OperatorAction::Cancel { reason: "the contact cancelled it".into() };
        let event = Event {
            id: self.accepted.id.clone(),
            at: self.accepted.at,
            body: EventBody::Operator { by, action },
        };
        let applied = self.apply(&open.task, &event, false).await?;
        applied.map_err(HandleError::from)
    }

    fn titles(&self) -> Vec<String> {
        let lang = self.conversation.lang();
        self.catalog
            .flows()
            .iter()
            .map(|version| format!("• {}", version.document.title(lang)))
            .collect()
    }

    async fn new_by_name(&mut self, name: &str) -> Result<(), HandleError> {
        let lang = self.conversation.lang();
        let found = self.catalog.flows().iter().find(|version| {
            let flow = &version.document;
            flow.id == name
                || keyword::normalise(flow.title(lang)) == name
                || flow.triggers.iter().any(|trigger| match trigger {
                    Trigger::Keyword { any, .. } => any.iter().any(|word| word.compared() == name),
                    Trigger::Event { .. } | Trigger::Schedule { .. } => false,
                })
        });
        let Some(flow) = found.map(|version| version.document.id.clone()) else {
            let content = self.texts().no_such_flow();
            return self.system(content);
        };
        let part = self.part("new");
        let start = StartJob {
            task: TaskId::derive(self.accepted.at, &self.accepted.id, &part),
            flow,
            vars: Vars::new(),
            parent: None,
            trigger: None,
            event: Value::Null,
        };
        match self.begin_task(&start, Value::Null, true).await? {
            Ok(()) => Ok(()),
            Err(reason) => {
                tracing::info!(flow = start.flow, reason, "a flow could not be started");
                let content = self.texts().too_many();
                self.system(content)
            }
        }
    }
}
