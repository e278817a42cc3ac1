//! The commands that talk to a server, each a few requests and a table; and those that look at the
//! data of a local one.

pub mod backup;
pub mod export;
pub mod failures;
pub mod flows;
pub mod keys;
pub mod messages;
pub mod output;
mod tail;
pub mod tasks;

use std::fs::{File, OpenOptions};
use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use crate::client::{Client, ServerArgs};

/// What every command that talks to a server takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// Which server, and with which key.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Who may read a file that is made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Readers {
    /// Whoever may read what this person makes.
    Usual,
    /// Its owner only.
    Owner,
}

/// Makes a file; one that is there is not written over.
fn new_file(path: &Path, readers: Readers) -> anyhow::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if readers == Readers::Owner {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    options.open(path).with_context(|| {
        format!("{} cannot be made; name a file that is not there yet", path.display())
    })
}

/// A path with the parameters that are given.
fn with_query(path: &str, parameters: &[(&str, Option<&str>)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    let query = query.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// A part of a path: ids may hold anything.
fn segment(id: &str) -> String {
    url::form_urlencoded::byte_serialize(id.as_bytes()).collect::<String>().replace('+', "%20")
}

/// The first `most` items of a list, page by page, and whether there are more.
async fn items(
    client: &Client,
    path: &str,
    parameters: &[(&str, Option<&str>)],
    most: usize,
    page_max: usize,
) -> anyhow::Result<(Vec<Value>, bool)> {
    let mut found = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let limit = page_max.min(most - found.len()).to_string();
        let mut asked = parameters.to_vec();
        asked.push(("limit", Some(&limit)));
        asked.push(("cursor", cursor.as_deref()));
        let mut page = client.get(&with_query(path, &asked)).await?;
        if let Some(items) = page["items"].as_array_mut() {
            found.append(items);
        }
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() || found.len() >= most {
            found.truncate(most);
            return Ok((found, cursor.is_some()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_written_where_they_are_given() {
        assert_eq!(with_query("/v1/tasks", &[("flow", None)]), "/v1/tasks");
        let path = with_query("/v1/tasks", &[("q", Some("請假 & more")), ("flow", Some("a"))]);
        assert_eq!(path, "/v1/tasks?q=%E8%AB%8B%E5%81%87+%26+more&flow=a");
        assert_eq!(segment("a/b c"), "a%2Fb%20c");
    }
}
