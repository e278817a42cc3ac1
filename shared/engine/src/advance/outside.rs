//! `call`, `wait`, `notify`: what happens outside the task.

use flow::step::{Call, Notify, StepTimeout, Wait as WaitStep};
use flow::{Content, Span, StepKind};
use indexmap::IndexMap;
use serde_json::{Value, json};

use super::Refused;
use super::talk::plain;
use super::values::moment;
use super::walk::{Next, StepError, Walk};
use crate::effect::{CallRequest, Effect};
use crate::event::CallResult;
use crate::ids::{CallId, MessageId};
use crate::task::{TimerName, Wait};
use crate::transition::Transition;

impl Walk<'_> {
    pub(super) fn call(&mut self, call: &Call) -> Result<Next, StepError> {
        let request = &call.request;
        let mut query = IndexMap::new();
        for (name, value) in &request.query {
            query.insert(name.clone(), plain(&self.evaluate(value)?));
        }
        let mut headers = IndexMap::new();
        for (name, value) in &request.headers {
            headers.insert(name.to_ascii_lowercase(), self.render(value)?);
        }
        let json = match &request.json {
            Some(json) => Some(self.evaluate(json)?),
            None => None,
        };
        let body = match &request.body {
            Some(body) => Some(self.render(body)?),
            None => None,
        };
        let url = self.render(&request.url)?;
        let part = self.part();
        let id = CallId::derive(self.event.at, &self.event.id, &part);
        self.effects.push(Effect::Call(Box::new(CallRequest {
            id: id.clone(),
            method: request.method.as_str().to_owned(),
            url,
            query,
            headers,
            json,
            body,
            auth: request.auth.clone(),
            connection: call.connection.clone(),
            timeout: call.timeout,
            retry: call.retry,
        })));
        Ok(Next::Wait(Wait::Call { call: id }, Vec::new()))
    }

    /// The call came back: any status is an answer, no answer is an error.
    pub(super) fn answered(mut self, step: &str, result: &CallResult) -> Transition {
        let flow = self.flow;
        let Some(StepKind::Call(call)) = flow.steps.get(step).map(|step| &step.kind) else {
            return self.lost_step(step);
        };
        let (value, target, by) = match result {
            CallResult::Answer { status, headers, body } => (
                json!({ "status": status, "headers": headers, "body": body }),
                Some(&call.next),
                "next",
            ),
            CallResult::Failed { reason } => {
                (json!({ "error": reason }), call.on_error.as_ref(), "on_error")
            }
        };
        if let Some(into) = &call.into
            && let Err(reason) = self.assign(into, value)
        {
            return self.fail(Some(step.to_owned()), reason);
        }
        match (target, result) {
            (Some(target), _) => self.leave_to(target.clone(), by),
            (None, CallResult::Failed { reason }) => {
                self.fail(Some(step.to_owned()), format!("the call failed: {reason}"))
            }
            (None, CallResult::Answer { .. }) => self.lost_step(step),
        }
    }

    pub(super) fn wait(&mut self, wait: &WaitStep) -> Result<Next, StepError> {
        let entered = self.task.sequence;
        let mut timers = Vec::new();
        if let Some(event) = &wait.event {
            let key = self.render(&event.key)?;
            if key.is_empty() || key.len() > 500 {
                return Err("the key of an awaited event has 1 to 500 bytes".into());
            }
            self.set_timeout(wait.timeout.as_ref(), &mut timers);
            return Ok(Next::Wait(Wait::Event { kind: event.kind.clone(), key }, timers));
        }
        let until = if let Some(source) = &wait.duration {
            let text = self.render(source)?;
            let span: Span =
                text.parse().map_err(|error: flow::span::SpanError| error.to_string())?;
            self.after(span)
        } else if let Some(source) = &wait.until {
            let value = self.evaluate(&Value::String(source.clone()))?;
            self.local_moment(&value).ok_or_else(|| {
                format!(
                    "`until` gives {value}; write a date or a time such as 2026-11-30T09:00:00Z"
                )
            })?
        } else {
            return Err("`wait` has none of `for`, `until` and `event`".into());
        };
        if until > self.after(Span::LONGEST) {
            return Err(format!("`until` gives {until}, which is more than ten years ahead"));
        }
        // A time in the past still goes through the timer, so that a loop around it cannot spin.
        let due = until.max(self.now);
        self.effects.push(Effect::SetTimer { name: TimerName::Due, entered, due });
        timers.push(TimerName::Due);
        Ok(Next::Wait(Wait::Timer { until: due }, timers))
    }

    /// A moment as it is; a bare date is the start of that day in the flow's zone.
    fn local_moment(&self, value: &Value) -> Option<chrono::DateTime<chrono::Utc>> {
        let text = value.as_str()?.trim();
        if let Ok(day) = text.parse::<chrono::NaiveDate>() {
            // Where the clock is put forward at midnight, the day begins an hour later.
            return (0..3).find_map(|hour| {
                let start = day.and_hms_opt(hour, 0, 0)?.and_local_timezone(self.context().zone);
                start.earliest().map(|moment| moment.to_utc())
            });
        }
        moment(value)
    }

    pub(super) fn set_timeout(
        &mut self,
        timeout: Option<&StepTimeout>,
        timers: &mut Vec<TimerName>,
    ) {
        if let Some(timeout) = timeout {
            let due = self.after(timeout.after);
            let entered = self.task.sequence;
            self.effects.push(Effect::SetTimer { name: TimerName::Timeout, entered, due });
            timers.push(TimerName::Timeout);
        }
    }

    /// A `wait` is over: by its timer, or by the event with its data.
    pub(super) fn left_wait(mut self, step: &str, data: Option<Value>) -> Transition {
        let flow = self.flow;
        let Some(StepKind::Wait(wait)) = flow.steps.get(step).map(|step| &step.kind) else {
            return self.lost_step(step);
        };
        if let (Some(into), Some(data)) = (&wait.into, data)
            && let Err(reason) = self.assign(into, data)
        {
            return self.fail(Some(step.to_owned()), reason);
        }
        self.leave_to(wait.next.clone(), "next")
    }

    /// The timeout of the step the task waits in.
    pub(super) fn timed_out(self, step: &str) -> Result<Transition, Refused> {
        let flow = self.flow;
        let timeout = match flow.steps.get(step).map(|step| &step.kind) {
            Some(StepKind::Ask(ask)) => ask.timeout.as_ref(),
            Some(StepKind::Wait(wait)) => wait.timeout.as_ref(),
            Some(StepKind::Handoff(handoff)) => handoff.timeout.as_ref(),
            _ => None,
        };
        match timeout {
            Some(timeout) => Ok(self.leave_to(timeout.next.clone(), "timeout")),
            None => Err(Refused::StaleTimer),
        }
    }

    pub(super) fn notify(&mut self, notify: &Notify) -> Result<Next, StepError> {
        let to = self.render(&notify.to)?;
        if to.trim().is_empty() {
            return Err("`to` is empty; name whom to tell".into());
        }
        let content = Content::text(self.render_text(&notify.text)?);
        let part = self.part();
        let id = MessageId::derive(self.event.at, &self.event.id, &part);
        let connection = notify.connection.clone();
        self.effects.push(Effect::Notify { id, connection, to, content });
        Ok(Next::Go(notify.next.clone(), "next".into()))
    }

    /// The step the task waits in is not what it was: only a damaged flow does that.
    pub(super) fn lost_step(self, step: &str) -> Transition {
        let reason = format!("step `{step}` is missing from version {}", self.task.version);
        self.fail(None, reason)
    }
}
