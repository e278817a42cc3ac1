//! What Chatflow itself says to people, in English and Traditional Chinese.

use flow::{Content, Lang, OfferedChoice};

use super::conversation::{Conversation, OpenTask};
use crate::ids::TaskId;

/// The texts of one language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Texts {
    /// English.
    En,
    /// Traditional Chinese.
    ZhTw,
}

/// The texts for a language; English where there are none in it.
pub fn texts(lang: Option<&Lang>) -> Texts {
    match lang.map(Lang::primary).as_deref() {
        Some("zh") => Texts::ZhTw,
        _ => Texts::En,
    }
}

impl Texts {
    fn pick(self, en: &str, zh: &str) -> String {
        match self {
            Self::En => en.to_owned(),
            Self::ZhTw => zh.to_owned(),
        }
    }

    /// The list of open tasks, each as a choice that switches to it.
    pub fn list(self, conversation: &Conversation) -> Content {
        if conversation.open.is_empty() {
            return Content::text(self.pick("You have no open tasks.", "您目前沒有進行中的任務。"));
        }
        let mut text = self.pick("Your open tasks:", "進行中的任務：");
        for open in &conversation.open {
            let mark = if conversation.focus.as_ref() == Some(&open.task) { "▶" } else { " " };
            let number = open.number.to_string();
            text.extend(["\n", mark, " ", &number, ". ", &open.label]);
            text.extend([" – ", &self.waiting(open)]);
        }
        text.push('\n');
        text.push_str(
            &self.pick(
                "Send /switch and a number to change task.",
                "輸入「切換」和編號可以切換任務。",
            ),
        );
        Content::text(text)
    }

    fn waiting(self, open: &OpenTask) -> String {
        match open.waiting_for.as_deref() {
            Some("reply") => self.pick("waits for your reply", "等待您的回覆"),
            Some("human") => self.pick("with a colleague", "由專人處理中"),
            Some("timer") => self.pick("goes on later", "稍後繼續"),
            Some("child") => self.pick("waits for another task", "等待其他任務"),
            Some(_) => self.pick("being processed", "處理中"),
            None => self.pick("running", "執行中"),
        }
    }

    /// How one task stands.
    pub fn status(self, open: &OpenTask) -> Content {
        Content::text(format!("{}. {} – {}", open.number, open.label, self.waiting(open)))
    }

    /// After a switch to a task that is not waiting for a reply.
    pub fn switched(self, open: &OpenTask) -> Content {
        Content::text(format!(
            "{}{} – {}",
            self.pick("Now talking about: ", "已切換到："),
            open.label,
            self.waiting(open)
        ))
    }

    /// A command named a task that is not there.
    pub fn no_such_task(self) -> Content {
        Content::text(self.pick(
            "There is no open task with that number. Send /tasks to see them.",
            "沒有這個編號的任務。輸入「任務」可以查看。",
        ))
    }

    /// A task was cancelled.
    pub fn cancelled(self, label: &str) -> Content {
        Content::text(format!("{}{label}", self.pick("Cancelled: ", "已取消：")))
    }

    /// The flows a person may start.
    pub fn flows(self, titles: &[String]) -> Content {
        if titles.is_empty() {
            return Content::text(
                self.pick("There is nothing to start.", "目前沒有可以開始的流程。"),
            );
        }
        let head =
            self.pick("Send /new and a name to start one of:", "輸入「新任務」和名稱可以開始：");
        Content::text(format!("{head}\n{}", titles.join("\n")))
    }

    /// `new` named a flow that is not there.
    pub fn no_such_flow(self) -> Content {
        Content::text(self.pick(
            "There is no flow of that name. Send /new to see them.",
            "沒有這個流程。輸入「新任務」可以查看。",
        ))
    }

    /// Which task is meant: a choice for each, answered by number, label or button.
    pub fn which(self, conversation: &Conversation, candidates: &[TaskId]) -> Content {
        let choices = candidates
            .iter()
            .filter_map(|task| conversation.find(task))
            .map(|open| OfferedChoice {
                label: open.label.clone(),
                payload: format!("cf1:pick:{}", open.task),
            })
            .collect();
        let text = self.pick("Which task is this for?", "請問這是要回覆哪一個任務？");
        Content { text, choices, ..Content::default() }
    }

    /// A flow starts once the conversation is free.
    pub fn queued(self, title: &str) -> Content {
        Content::text(match self {
            Self::En => format!("{title} starts as soon as your current task is done."),
            Self::ZhTw => format!("目前的任務完成後，會開始「{title}」。"),
        })
    }

    /// The task does not take a message now.
    pub fn not_now(self, label: &str) -> Content {
        Content::text(match self {
            Self::En => format!("{label} is not waiting for a reply right now."),
            Self::ZhTw => format!("「{label}」目前沒有在等待回覆。"),
        })
    }

    /// A button of a question that has been answered.
    pub fn stale_choice(self) -> Content {
        Content::text(
            self.pick("That question has been answered already.", "這個問題已經回答過了。"),
        )
    }

    /// Too many open tasks or kept messages.
    pub fn too_many(self) -> Content {
        Content::text(self.pick(
            "There are too many open tasks. Finish or cancel one first.",
            "進行中的任務太多了，請先完成或取消一個。",
        ))
    }

    /// A task failed; people learn that somebody will look, not the technical reason.
    pub fn failed(self, label: &str) -> Content {
        Content::text(match self {
            Self::En => {
                format!("Sorry, {label} cannot go on. We have been told and will look at it.")
            }
            Self::ZhTw => format!("抱歉，「{label}」無法繼續。我們已收到通知，會儘快處理。"),
        })
    }

    /// The commands.
    pub fn help(self) -> Content {
        Content::text(self.pick(
            "/tasks – your open tasks\n/switch 2 – talk about task 2\n\
             /status 2 – how task 2 stands\n\
             /cancel 2 – cancel task 2\n/new – start something\n/help – this list",
            "任務 – 進行中的任務\n切換 2 – 切換到任務 2\n狀態 2 – 任務 2 的狀態\n\
             取消任務 2 – 取消任務 2\n新任務 – 開始新的任務\n說明 – 顯示這份說明",
        ))
    }

    /// How a task that is not in focus introduces itself.
    pub fn prefix(self, label: &str) -> String {
        match self {
            Self::En => format!("[{label}] "),
            Self::ZhTw => format!("【{label}】"),
        }
    }
}
