//! `say` and `ask`: prompts, replies, reprompts, reminders.

use flow::step::{Ask, ChoiceSpec, Choices, LabelledChoice, Say};
use flow::{Attachment, AttachmentKind, Content, Expect, OfferedChoice, StepKind};
use serde_json::Value;

use super::Refused;
use super::values::expected;
use super::walk::{Next, StepError, Walk};
use crate::answer;
use crate::effect::Effect;
use crate::event::Pressed;
use crate::ids::MessageId;
use crate::task::{Offered, Status, TimerName, Wait};
use crate::transition::Transition;

/// Most computed choices of one question.
const OFFERED_MAX: usize = flow::check::CHOICES_MAX;

impl Walk<'_> {
    pub(super) fn say(&mut self, say: &Say) -> Result<Next, StepError> {
        let messages = say.all();
        let last = messages.len().saturating_sub(1);
        for (index, message) in messages.iter().enumerate() {
            let mut content = Content::default();
            if let Some(text) = &message.text {
                content.text = self.render_text(text)?;
            }
            if let Some(url) = &message.image {
                content.attachments.push(self.attachment(AttachmentKind::Image, url)?);
            }
            if let Some(url) = &message.file {
                content.attachments.push(self.attachment(AttachmentKind::File, url)?);
            }
            if index == last && !say.choices.is_empty() {
                let offered = self.offered(&Choices::List(say.choices.clone()))?;
                content.choices = offered
                    .into_iter()
                    .map(|offer| OfferedChoice { payload: offer.label.clone(), label: offer.label })
                    .collect();
            }
            self.send(content);
        }
        Ok(Next::Go(say.next.clone(), "next".into()))
    }

    pub(super) fn ask(&mut self, ask: &Ask) -> Result<Next, StepError> {
        let offered = self.offered(&ask.choices)?;
        self.send_prompt(ask, &offered)?;
        let entered = self.task.sequence;
        let mut timers = Vec::new();
        if let Some(remind) = &ask.remind {
            timers.push(TimerName::Remind);
            let due = self.after(remind.after);
            self.effects.push(Effect::SetTimer { name: TimerName::Remind, entered, due });
        }
        self.set_timeout(ask.timeout.as_ref(), &mut timers);
        Ok(Next::Wait(Wait::Reply { invalid: 0, reminded: 0, offered }, timers))
    }

    /// A reply to the question the task waits in.
    pub(super) fn reply(
        mut self,
        step: &str,
        content: &Content,
        pressed: Option<Pressed>,
    ) -> Result<Transition, Refused> {
        let flow = self.flow;
        let Some(StepKind::Ask(ask)) = flow.steps.get(step).map(|step| &step.kind) else {
            return Ok(self.lost_step(step));
        };
        let Status::Waiting { entered, on: Wait::Reply { offered, .. }, .. } = &self.task.status
        else {
            return Err(Refused::StaleChoice);
        };
        let mut input = content.text.clone();
        let answer = match pressed {
            Some(pressed) if pressed.entered != *entered => return Err(Refused::StaleChoice),
            Some(pressed) => match offered.get(pressed.index) {
                Some(offer) => {
                    if input.trim().is_empty() {
                        input.clone_from(&offer.label);
                    }
                    chosen(ask, offer)
                }
                None => return Err(Refused::StaleChoice),
            },
            None => match self.read(ask, content, offered) {
                Ok(answer) => answer,
                Err(reason) => return Ok(self.fail(Some(step.to_owned()), reason)),
            },
        };
        self.task.input = Value::String(input);
        match answer {
            Ok(value) => match self.assign(&ask.into, value) {
                Ok(()) => Ok(self.leave_to(ask.next.clone(), "next")),
                Err(reason) => Ok(self.fail(Some(step.to_owned()), reason)),
            },
            Err(rejection) => Ok(self.reprompt(step, ask, &rejection)),
        }
    }

    /// Reads an answer: a choice by its label first, then whatever the step expects.
    fn read(
        &self,
        ask: &Ask,
        content: &Content,
        offered: &[Offered],
    ) -> Result<Result<Value, answer::Rejection>, StepError> {
        let kind = self.flow.vars.get(&ask.into).map(|var| var.kind).unwrap_or_default();
        let expect = ask.expect.clone().unwrap_or_else(|| Expect::of_type(kind));
        let context = self.context();
        let attachments: Vec<answer::Attachment> = content
            .attachments
            .iter()
            .map(|a| answer::Attachment {
                url: a.url.clone(),
                name: a.name.clone(),
                mime: a.mime.clone(),
                bytes: a.bytes,
            })
            .collect();
        if !offered.is_empty() && !matches!(expect, Expect::Choice { .. }) {
            let said = flow::keyword::normalise(&content.text);
            // A label of marks and emoji alone normalises to nothing: it counts as it is written.
            let exact = offered.iter().find(|offer| offer.label.trim() == content.text.trim());
            let labelled = exact.or_else(|| {
                offered.iter().find(|offer| {
                    !said.is_empty() && flow::keyword::normalise(&offer.label) == said
                })
            });
            // Only for text may a bare number mean a place in the list; elsewhere it is the answer.
            let placed = || match (&expect, said.parse::<usize>()) {
                (Expect::String { .. }, Ok(number)) => offered.get(number.checked_sub(1)?),
                _ => None,
            };
            if let Some(offer) = labelled.or_else(placed) {
                return Ok(Ok(offer.value.clone()));
            }
        }
        let expected = expected(self, &expect, offered)?;
        Ok(answer::parse(&expected, &content.text, &attachments, &context))
    }

    pub(super) fn context(&self) -> answer::Context {
        let zone = flow::schedule::zone(self.flow.zone.as_deref()).unwrap_or(chrono_tz::UTC);
        answer::Context { now: self.now, zone }
    }

    fn reprompt(mut self, step: &str, ask: &Ask, rejection: &answer::Rejection) -> Transition {
        let lang = self.task.lang.as_ref().map_or("en", |lang| lang.0.as_str());
        let hint = rejection.message(answer::AnswerLang::from_tag(lang));
        let times = ask.reprompt.as_ref().map_or(3, |reprompt| reprompt.times);
        let Status::Waiting { on: Wait::Reply { invalid, offered, .. }, .. } =
            &mut self.task.status
        else {
            return self.finish();
        };
        *invalid = invalid.saturating_add(1);
        if *invalid > times {
            return match ask.reprompt.as_ref().and_then(|reprompt| reprompt.then.clone()) {
                Some(then) => self.leave_to(then, "reprompt/then"),
                None => self.fail(
                    Some(step.to_owned()),
                    format!("no fitting answer after {} tries: {hint}", times.saturating_add(1)),
                ),
            };
        }
        let offered = offered.clone();
        let text = match ask.reprompt.as_ref().and_then(|reprompt| reprompt.text.as_ref()) {
            Some(text) => self.render_text(text),
            None => Ok(hint),
        };
        match text {
            Ok(text) => {
                let choices = self.buttons(&offered);
                self.send(Content { text, choices, ..Content::default() });
                self.finish()
            }
            Err(reason) => self.fail(Some(step.to_owned()), reason),
        }
    }

    pub(super) fn remind(mut self, step: &str) -> Result<Transition, Refused> {
        let flow = self.flow;
        let Some(StepKind::Ask(ask)) = flow.steps.get(step).map(|step| &step.kind) else {
            return Ok(self.lost_step(step));
        };
        let Some(remind) = &ask.remind else { return Err(Refused::StaleTimer) };
        let text = match self.render_text(&remind.text) {
            Ok(text) => text,
            Err(reason) => return Ok(self.fail(Some(step.to_owned()), reason)),
        };
        let due = self.after(remind.after);
        let Status::Waiting { on: Wait::Reply { reminded, offered, .. }, timers, entered, .. } =
            &mut self.task.status
        else {
            return Err(Refused::StaleTimer);
        };
        *reminded = reminded.saturating_add(1);
        let again = *reminded < remind.times;
        if !again {
            timers.retain(|name| *name != TimerName::Remind);
        }
        let (offered, entered) = (offered.clone(), *entered);
        let choices = self.buttons(&offered);
        self.send(Content { text, choices, ..Content::default() });
        if again {
            self.effects.push(Effect::SetTimer { name: TimerName::Remind, entered, due });
        }
        Ok(self.finish())
    }

    /// The person came back: the same question, with the same choices.
    pub(super) fn ask_again(mut self, step: &str) -> Transition {
        let flow = self.flow;
        let Some(StepKind::Ask(ask)) = flow.steps.get(step).map(|step| &step.kind) else {
            return self.lost_step(step);
        };
        let offered = match &self.task.status {
            Status::Waiting { on: Wait::Reply { offered, .. }, .. } => offered.clone(),
            _ => Vec::new(),
        };
        match self.send_prompt(ask, &offered) {
            Ok(()) => self.finish(),
            Err(reason) => self.fail(Some(step.to_owned()), reason),
        }
    }

    fn send_prompt(&mut self, ask: &Ask, offered: &[Offered]) -> Result<(), StepError> {
        let mut content = Content::text(self.render_text(&ask.text)?);
        if let Some(url) = &ask.image {
            content.attachments.push(self.attachment(AttachmentKind::Image, url)?);
        }
        content.choices = self.buttons(offered);
        self.send(content);
        Ok(())
    }

    /// Buttons name the task and the wait, so that a press is routed by rule 1 and a stale one is
    /// recognised.
    fn buttons(&self, offered: &[Offered]) -> Vec<OfferedChoice> {
        let entered = match &self.task.status {
            Status::Waiting { entered, .. } => *entered,
            _ => self.task.sequence,
        };
        offered
            .iter()
            .enumerate()
            .map(|(index, offer)| OfferedChoice {
                label: offer.label.clone(),
                payload: crate::routing::payload(&self.task.id, entered, index),
            })
            .collect()
    }

    fn offered(&self, choices: &Choices) -> Result<Vec<Offered>, StepError> {
        let specs = match choices {
            Choices::List(specs) => specs.clone(),
            Choices::Computed(source) => match self.evaluate(&Value::String(source.clone()))? {
                Value::Array(items) if items.len() <= OFFERED_MAX => {
                    return items.iter().map(computed).collect();
                }
                Value::Array(_) => {
                    return Err(format!("`choices` gives more than {OFFERED_MAX} choices"));
                }
                _ => return Err("`choices` must give a list".into()),
            },
        };
        specs.iter().map(|spec| self.offer(spec)).collect()
    }

    fn offer(&self, spec: &ChoiceSpec) -> Result<Offered, StepError> {
        match spec {
            ChoiceSpec::Plain(value) => {
                let value = self.evaluate(value)?;
                Ok(Offered { label: plain(&value), value })
            }
            ChoiceSpec::Labelled(LabelledChoice { label, value }) => {
                let label = self.render_text(label)?;
                let value = match value {
                    Some(value) => self.evaluate(value)?,
                    None => Value::String(label.clone()),
                };
                Ok(Offered { label, value })
            }
        }
    }

    fn attachment(&self, kind: AttachmentKind, url: &str) -> Result<Attachment, StepError> {
        let url = self.render(url)?;
        if !(url.starts_with("https://") || url.starts_with("http://")) {
            return Err("an image or file needs an address that begins with https://".into());
        }
        Ok(Attachment { kind, url, name: None, mime: None, bytes: None })
    }

    /// Sends a message, unless its templates gave nothing at all: no channel takes that.
    pub(super) fn send(&mut self, content: Content) {
        let blank = content.text.trim().is_empty();
        if blank && content.attachments.is_empty() && content.choices.is_empty() {
            return;
        }
        let part = self.part();
        let id = MessageId::derive(self.event.at, &self.event.id, &part);
        self.effects.push(Effect::Send { id, content, by: None });
    }
}

/// A button stands for its value; where several may be chosen, for a list of that one.
fn chosen(ask: &Ask, offer: &Offered) -> Result<Value, answer::Rejection> {
    match &ask.expect {
        Some(Expect::Choice { several: true, min: Some(min), .. }) if *min > 1 => {
            Err(answer::Rejection::TooFewChoices { min: *min })
        }
        Some(Expect::Choice { several: true, .. }) => Ok(Value::Array(vec![offer.value.clone()])),
        _ => Ok(offer.value.clone()),
    }
}

fn computed(item: &Value) -> Result<Offered, StepError> {
    match item {
        Value::Object(map) => {
            let label = map.get("label").map(plain).ok_or("a computed choice needs a `label`")?;
            let value = map.get("value").cloned().unwrap_or_else(|| Value::String(label.clone()));
            Ok(Offered { label, value })
        }
        value => Ok(Offered { label: plain(value), value: value.clone() }),
    }
}

/// A value as people read it: text without quotes.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
