//! `chatflow failure …`: list, retry, discard.

use clap::Subcommand;
use serde_json::json;

use super::output::{line, list, short, text, time, value};
use super::{Common, items, segment};
use crate::client::Client;

/// Items of one page.
const PAGE_MAX: usize = 200;

/// What is done with failures.
#[derive(Debug, Subcommand)]
pub enum FailureCommand {
    /// List what went wrong for good and is kept, newest first.
    ///
    /// Example: chatflow failure list --kind reply
    List {
        /// Only `open`, `retried` or `discarded`.
        #[arg(long, default_value = "open")]
        state: String,
        /// Only `task`, `reply`, `call`, `landing`, `event` or `dead_letter`.
        #[arg(long)]
        kind: Option<String>,
        /// Most failures that are listed.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Which server, and how it prints.
        #[command(flatten)]
        common: Common,
    },
    /// Try again what failed.
    ///
    /// Example: `chatflow failure retry fail_0199…`
    Retry {
        /// The failures' ids.
        #[arg(required = true)]
        ids: Vec<String>,
        /// Which server, and how it prints.
        #[command(flatten)]
        common: Common,
    },
    /// Decide that nothing is to be done.
    ///
    /// Example: `chatflow failure discard fail_0199…`
    Discard {
        /// The failures' ids.
        #[arg(required = true)]
        ids: Vec<String>,
        /// Which server, and how it prints.
        #[command(flatten)]
        common: Common,
    },
}

/// Does it.
pub async fn run(command: FailureCommand) -> anyhow::Result<()> {
    match command {
        FailureCommand::List { state, kind, limit, common } => {
            let parameters = [("state", Some(state.as_str())), ("kind", kind.as_deref())];
            let client = Client::new(&common.server)?;
            let (found, more) =
                items(&client, "/v1/failures", &parameters, limit, PAGE_MAX).await?;
            let headings = ["FAILURE", "WHEN", "KIND", "TRIES", "TASK", "REASON"];
            list(common.json, &found, more, &headings, |failure| {
                vec![
                    text(&failure["id"]),
                    time(&failure["at"]),
                    text(&failure["kind"]),
                    text(&failure["attempts"]),
                    text(&failure["task"]),
                    short(&text(&failure["reason"]), 120),
                ]
            });
        }
        FailureCommand::Retry { ids, common } => settle(&ids, "retry", &common).await?,
        FailureCommand::Discard { ids, common } => settle(&ids, "discard", &common).await?,
    }
    Ok(())
}

async fn settle(ids: &[String], how: &str, common: &Common) -> anyhow::Result<()> {
    let client = Client::new(&common.server)?;
    for id in ids {
        let path = format!("/v1/failures/{}/{how}", segment(id));
        let failure = client.post(&path, &json!({})).await?;
        if common.json {
            value(&failure);
        } else {
            line(&format!("{} is {}", text(&failure["id"]), text(&failure["state"])));
        }
    }
    Ok(())
}
