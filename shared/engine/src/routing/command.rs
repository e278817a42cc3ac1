//! What people say to Chatflow itself: `/tasks`, `任務`, `/switch 2`, `切換 2`, …

use serde::{Deserialize, Serialize};

/// A command of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// List the open tasks.
    List,
    /// Give a task the focus.
    Switch {
        /// Its number in the list; asked for where left out.
        number: Option<u32>,
    },
    /// Tell how a task stands.
    Status {
        /// Its number; the focused one where left out.
        number: Option<u32>,
    },
    /// Cancel a task.
    Cancel {
        /// Its number; the focused one where left out.
        number: Option<u32>,
    },
    /// Start a flow.
    New {
        /// Its id, name or keyword; the list of flows where left out.
        flow: Option<String>,
    },
    /// Tell the commands.
    Help,
}

/// Words per command: with a slash in every language, and without one where the script has no
/// spaces and the word is unlikely to be an answer.
const WORDS: [(&str, &[&str]); 6] = [
    (
        "list",
        &["/tasks", "/list", "/任務", "/タスク", "任務", "任務列表", "我的任務", "タスク一覧"],
    ),
    ("switch", &["/switch", "/切換", "/切替", "切換", "切換任務", "切り替え"]),
    ("status", &["/status", "/狀態", "/状態", "狀態", "任務狀態"]),
    ("cancel", &["/cancel", "/取消", "/キャンセル", "取消任務"]),
    ("new", &["/new", "/start", "/新", "/新任務", "/開始", "新任務"]),
    ("help", &["/help", "/", "/說明", "/ヘルプ", "說明", "指令"]),
];

/// Reads a command from a normalised message; none where it is not one.
///
/// A word with a number must be followed by nothing but the number, so that a sentence that
/// begins like a command is not taken for one.
pub fn parse(message: &str) -> Option<Command> {
    let (name, rest) = WORDS.iter().find_map(|(name, words)| {
        words.iter().find_map(|word| {
            let rest = message.strip_prefix(word)?;
            let spaced = rest.is_empty() || rest.starts_with(' ');
            let numbered = rest.chars().all(|c| c.is_ascii_digit());
            (spaced || numbered).then_some((*name, rest.trim()))
        })
    })?;
    let number = match rest {
        "" => Some(None),
        digits => digits.trim_start_matches('#').parse().ok().map(Some),
    };
    match name {
        "list" if rest.is_empty() => Some(Command::List),
        "help" if rest.is_empty() => Some(Command::Help),
        "switch" => number.map(|number| Command::Switch { number }),
        "status" => number.map(|number| Command::Status { number }),
        "cancel" => number.map(|number| Command::Cancel { number }),
        "new" => Some(Command::New {
            flow: (!rest.is_empty()).then(|| rest.chars().take(100).collect()),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Command> {
        parse(&flow::keyword::normalise(text))
    }

    #[test]
    fn commands_in_each_language() {
        assert_eq!(read("/tasks"), Some(Command::List));
        assert_eq!(read("任務"), Some(Command::List));
        assert_eq!(read("/switch 2"), Some(Command::Switch { number: Some(2) }));
        assert_eq!(read("切換 ２"), Some(Command::Switch { number: Some(2) }));
        assert_eq!(read("切換2"), Some(Command::Switch { number: Some(2) }));
        assert_eq!(read("／取消 1"), Some(Command::Cancel { number: Some(1) }));
        assert_eq!(read("狀態"), Some(Command::Status { number: None }));
        assert_eq!(
            read("/new leave-request"),
            Some(Command::New { flow: Some("leave-request".into()) })
        );
        assert_eq!(read("/help"), Some(Command::Help));
    }

    #[test]
    fn sentences_are_not_commands() {
        for text in [
            "任務完成了嗎",
            "switch 2",
            "/tasks please",
            "取消",
            "切換到明天",
            "help",
            "/switch two",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
