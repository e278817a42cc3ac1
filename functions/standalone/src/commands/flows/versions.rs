//! What a flow was and is: show, rollback, diff.

use anyhow::Context;
use serde_json::{Value, json};
use similar::TextDiff;

use super::or_suggest;
use crate::client::Client;
use crate::commands::output::{line, list, text, time, value};
use crate::commands::segment;

/// Unchanged lines that are shown around a change.
const AROUND: usize = 3;

async fn versions(client: &Client, id: &str) -> anyhow::Result<Vec<Value>> {
    let found = client.get(&format!("/v1/flows/{}/versions", segment(id))).await;
    let mut found = or_suggest(client, id, found).await?;
    Ok(found["items"].as_array_mut().map(std::mem::take).unwrap_or_default())
}

/// The draft with its problems, and every version.
pub(super) async fn show(client: &Client, id: &str, as_json: bool) -> anyhow::Result<()> {
    let versions = versions(client, id).await?;
    let draft = client.get(&format!("/v1/flows/{}", segment(id))).await?;
    if as_json {
        value(&json!({ "draft": draft, "versions": versions }));
        return Ok(());
    }
    line(draft["source"].as_str().unwrap_or_default().trim_end());
    line("");
    line(&format!("draft {} of `{id}`", text(&draft["revision"])));
    if !versions.is_empty() {
        list(false, &versions, false, &["VERSION", "PUBLISHED", "BY", "AGAIN"], |version| {
            vec![
                text(&version["version"]),
                time(&version["published_at"]),
                text(&version["published_by"]),
                text(&version["rollback_of"]),
            ]
        });
    }
    Ok(())
}

/// Publishes an old version again.
pub(super) async fn rollback(
    client: &Client,
    id: &str,
    to: Option<u32>,
    as_json: bool,
) -> anyhow::Result<()> {
    let to = match to {
        Some(to) => json!(to),
        // Newest first: the second is the one before.
        None => versions(client, id)
            .await?
            .get(1)
            .map(|version| version["version"].clone())
            .with_context(|| {
                format!("`{id}` has no version before the live one; publish another draft instead")
            })?,
    };
    let path = format!("/v1/flows/{}/rollback", segment(id));
    let answer = client.post(&path, &json!({ "version": to })).await;
    let answer = or_suggest(client, id, answer).await?;
    if as_json {
        value(&answer);
    } else {
        line(&format!("published version {to} of `{id}` again, as version {}", answer["version"]));
    }
    Ok(())
}

/// The text that a name stands for.
async fn source(client: &Client, id: &str, name: &str) -> anyhow::Result<String> {
    let base = format!("/v1/flows/{}", segment(id));
    let found = match (name, name.parse::<u32>()) {
        ("draft", _) => client.get(&base).await,
        ("live", _) => {
            let versions = versions(client, id).await?;
            let newest = versions.first().with_context(|| {
                format!("`{id}` was never published; compare with `draft` or a file")
            })?;
            client.get(&format!("{base}/versions/{}", newest["version"])).await
        }
        (_, Ok(number)) => client.get(&format!("{base}/versions/{number}")).await,
        (path, Err(_)) => {
            return std::fs::read_to_string(path).with_context(|| {
                format!("`{path}` is neither `draft`, `live`, a version nor a file")
            });
        }
    };
    let answer = or_suggest(client, id, found).await?;
    Ok(answer["source"].as_str().unwrap_or_default().to_owned())
}

/// Prints how two texts differ; true where they do not.
pub(super) async fn diff(client: &Client, id: &str, from: &str, to: &str) -> anyhow::Result<bool> {
    let (old, new) = (source(client, id, from).await?, source(client, id, to).await?);
    if old == new {
        return Ok(true);
    }
    let diff = TextDiff::from_lines(&old, &new);
    let mut unified = diff.unified_diff();
    let unified = unified.context_radius(AROUND).header(from, to);
    line(unified.to_string().trim_end());
    Ok(false)
}
