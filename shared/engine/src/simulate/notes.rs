//! What a simulation says between the messages, in English and Traditional Chinese, and the
//! words of its problems.

use flow::{Lang, Span};

use crate::effect::CallRequest;
use crate::event::CallResult;
use crate::task::{Status, Wait};

/// The system lines in one language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notes {
    En,
    ZhTw,
}

impl Notes {
    pub(super) fn of(lang: Option<&Lang>) -> Self {
        match lang.map(Lang::primary).as_deref() {
            Some("zh") => Self::ZhTw,
            _ => Self::En,
        }
    }

    fn pick(self, en: String, zh: String) -> String {
        match self {
            Self::En => en,
            Self::ZhTw => zh,
        }
    }

    pub(super) fn later(self, span: Span) -> String {
        self.pick(format!("{span} later"), format!("經過 {span}"))
    }

    pub(super) fn call(self, call: &CallRequest) -> String {
        let CallRequest { method, url, .. } = call;
        self.pick(format!("calls {method} {url}"), format!("呼叫 {method} {url}"))
    }

    pub(super) fn answered(self, result: &CallResult) -> String {
        match result {
            CallResult::Answer { status, .. } => self.pick(
                format!("the call is answered with {status}"),
                format!("呼叫得到回應 {status}"),
            ),
            CallResult::Failed { reason } => {
                self.pick(format!("the call fails: {reason}"), format!("呼叫失敗：{reason}"))
            }
        }
    }

    pub(super) fn event(self, kind: &str, key: &str) -> String {
        self.pick(format!("event {kind} for {key}"), format!("事件 {kind}（{key}）"))
    }

    pub(super) fn child(self, flow: &str) -> String {
        self.pick(format!("starts {flow}"), format!("啟動流程 {flow}"))
    }

    pub(super) fn children(self, outcome: &str) -> String {
        self.pick(format!("the children end: {outcome}"), format!("子流程結束：{outcome}"))
    }

    pub(super) fn record(self, table: &str) -> String {
        self.pick(format!("a row for {table}"), format!("寫入資料表 {table}"))
    }

    pub(super) fn notified(self, to: &str, text: &str) -> String {
        self.pick(format!("tells {to}: {text}"), format!("通知 {to}：{text}"))
    }

    pub(super) fn assigned(self, queue: &str) -> String {
        self.pick(format!("waits for a person of {queue}"), format!("等待「{queue}」的人員處理"))
    }

    pub(super) fn resolved(self, resolution: &str) -> String {
        self.pick(
            format!("a person resolves it: {resolution}"),
            format!("人員處理完成：{resolution}"),
        )
    }

    pub(super) fn ended(self, status: &Status) -> String {
        let how = ending(status);
        self.pick(format!("the flow has ended ({how})"), format!("流程結束（{how}）"))
    }
}

/// How a task ended, in short.
pub(super) fn ending(status: &Status) -> String {
    match status {
        Status::Completed { outcome, .. } | Status::Expired { outcome } => outcome.clone(),
        Status::Failed { reason, .. } => format!("failed: {reason}"),
        Status::Cancelled { reason } => format!("cancelled: {reason}"),
        Status::Running | Status::Waiting { .. } => status.name().to_owned(),
    }
}

/// What a task waits for, and the script line that gives it that.
pub(super) fn awaited(on: &Wait) -> (&'static str, &'static str) {
    match on {
        Wait::Reply { .. } => ("a reply", "`user:`"),
        Wait::Timer { .. } => ("a time", "`after:`"),
        Wait::Call { .. } => ("a call", "`answer:`"),
        Wait::Event { .. } => ("an event", "`event:`"),
        Wait::Child { .. } | Wait::Children(_) => ("child flows", "`children:`"),
        Wait::Human { .. } => ("a person", "`resolve:`"),
    }
}
