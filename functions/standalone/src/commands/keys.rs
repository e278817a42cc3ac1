//! `chatflow key …`: create, list, revoke.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use serde_json::{Value, json};

use super::output::{line, list, text, time, value};
use super::{Common, Readers, new_file, segment};
use crate::client::Client;

/// What is done with API keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key; its text is shown this once.
    ///
    /// Example: `chatflow key create reporting --may tasks.read --may messages.read`
    Create {
        /// What it is for; people see it in histories.
        name: String,
        /// A permission such as `tasks.read`, an area such as `tasks.*`, or `*`.
        #[arg(long = "may", required = true)]
        permissions: Vec<String>,
        /// A new file for its text, which only its owner can read.
        #[arg(long, short)]
        output: Option<PathBuf>,
        /// Which server, and how it prints.
        #[command(flatten)]
        common: Common,
    },
    /// List keys; their texts are known to nobody.
    ///
    /// Example: chatflow key list
    List {
        /// Which server, and how it prints.
        #[command(flatten)]
        common: Common,
    },
    /// Revoke a key, for good.
    ///
    /// Example: `chatflow key revoke key_0199…`
    Revoke {
        /// The key's id.
        id: String,
        /// Which server, and how it prints.
        #[command(flatten)]
        common: Common,
    },
}

/// Does it.
pub async fn run(command: KeyCommand) -> anyhow::Result<()> {
    match command {
        KeyCommand::Create { name, permissions, output, common } => {
            let client = Client::new(&common.server)?;
            // The file first: a key whose text went nowhere would be lost.
            let file = output.as_deref().map(|path| new_file(path, Readers::Owner)).transpose()?;
            let body = json!({ "name": name, "permissions": permissions });
            let key = client.post("/v1/keys", &body).await?;
            told(&key, file, output, common.json)?;
        }
        KeyCommand::List { common } => {
            let keys = Client::new(&common.server)?.get("/v1/keys").await?;
            let none = Vec::new();
            let keys = keys["items"].as_array().unwrap_or(&none);
            let headings = ["KEY", "NAME", "MAY", "CREATED", "REVOKED"];
            list(common.json, keys, false, &headings, |key| {
                let may = key["permissions"].as_array().into_iter().flatten().map(text);
                vec![
                    text(&key["id"]),
                    text(&key["name"]),
                    may.collect::<Vec<_>>().join(" "),
                    time(&key["created_at"]),
                    time(&key["revoked_at"]),
                ]
            });
        }
        KeyCommand::Revoke { id, common } => {
            let client = Client::new(&common.server)?;
            let key = client.post(&format!("/v1/keys/{}/revoke", segment(&id)), &json!({})).await?;
            if common.json {
                value(&key);
            } else {
                line(&format!("{} is revoked", text(&key["id"])));
            }
        }
    }
    Ok(())
}

fn told(
    key: &Value,
    file: Option<std::fs::File>,
    output: Option<PathBuf>,
    as_json: bool,
) -> anyhow::Result<()> {
    let secret = key["key"].as_str().context("the server answered without a key")?;
    if let (Some(mut file), Some(path)) = (file, output) {
        writeln!(file, "{secret}")?;
        file.sync_all()?;
        let mut known = key.clone();
        known["key"] = Value::Null;
        if as_json {
            value(&known);
        } else {
            line(&format!("made {}; its text is in {}", text(&key["id"]), path.display()));
        }
    } else if as_json {
        value(key);
    } else {
        line(&format!("made {}; keep this, it is shown once:", text(&key["id"])));
        line(secret);
    }
    Ok(())
}
