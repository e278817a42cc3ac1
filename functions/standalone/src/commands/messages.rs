//! `chatflow message search`.

use clap::Subcommand;

use super::output::{list, short, text, time};
use super::{Common, items};
use crate::client::Client;

/// Items of one page.
const PAGE_MAX: usize = 1_000;

/// What is done with messages.
#[derive(Debug, Subcommand)]
pub enum MessageCommand {
    /// Find messages by their words, newest first.
    ///
    /// Example: `chatflow message search 請假 --contact mei`
    Search {
        /// Words that all must be in the text; all messages where left out.
        words: Vec<String>,
        /// Only of this person.
        #[arg(long)]
        contact: Option<String>,
        /// Only of this task.
        #[arg(long)]
        task: Option<String>,
        /// Only of this connection.
        #[arg(long)]
        connection: Option<String>,
        /// Only `in`, from people, or `out`, to them.
        #[arg(long, value_parser = ["in", "out"])]
        direction: Option<String>,
        /// Only in this state: `processed`, `unrouted`, `sent`, `failed`, …
        #[arg(long)]
        state: Option<String>,
        /// Most messages that are listed.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Which server, and how it prints.
        #[command(flatten)]
        common: Common,
    },
}

/// Does it.
pub async fn run(command: MessageCommand) -> anyhow::Result<()> {
    let MessageCommand::Search {
        words,
        contact,
        task,
        connection,
        direction,
        state,
        limit,
        common,
    } = command;
    let words = words.join(" ");
    let parameters = [
        ("q", (!words.is_empty()).then_some(words.as_str())),
        ("contact", contact.as_deref()),
        ("task", task.as_deref()),
        ("connection", connection.as_deref()),
        ("direction", direction.as_deref()),
        ("state", state.as_deref()),
        ("order", Some("newest")),
    ];
    let client = Client::new(&common.server)?;
    let (messages, more) = items(&client, "/v1/messages", &parameters, limit, PAGE_MAX).await?;
    let headings = ["WHEN", "WAY", "CONTACT", "STATE", "TASK", "TEXT"];
    list(common.json, &messages, more, &headings, |message| {
        vec![
            time(&message["created_at"]),
            text(&message["direction"]),
            text(&message["contact"]),
            text(&message["state"]),
            text(&message["task"]),
            short(&text(&message["content"]["text"]), 120),
        ]
    });
    Ok(())
}
