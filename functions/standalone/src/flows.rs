//! `chatflow flow …`: check, push, pull, publish, list.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, bail};
use flow::check::{Alone, check, is_publishable};
use flow::{Problem, Severity};
use http::Method;
use serde_json::{Value, json};

use crate::client::Client;

/// The media type of a flow's text.
const YAML: &str = "application/yaml";

/// Checks a file on its own; true where it could be published.
pub fn check_file(path: &Path, as_json: bool) -> anyhow::Result<bool> {
    let source = read(path)?;
    let problems = match flow::parse(&source) {
        Err(problems) => problems,
        Ok(parsed) => check(&parsed.flow, &Alone)
            .into_iter()
            .map(|problem| parsed.positions.locate(problem))
            .collect(),
    };
    if as_json {
        println!("{}", json!({ "problems": problems, "publishable": is_publishable(&problems) }));
    } else {
        print(path, &problems);
    }
    Ok(is_publishable(&problems))
}

fn print(path: &Path, problems: &[Problem]) {
    for problem in problems {
        println!("{}:{problem}", path.display());
    }
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    match (errors, problems.len() - errors) {
        (0, 0) => println!("{}: no problems", path.display()),
        (errors, warnings) => println!("{errors} error(s), {warnings} warning(s)"),
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path)
        .with_context(|| format!("cannot read {}; give the path of a flow's YAML", path.display()))
}

/// Writes a file's flow as a draft.
pub async fn push(client: &Client, path: &Path, as_json: bool) -> anyhow::Result<()> {
    let source = read(path)?;
    let id = match flow::parse(&source) {
        Ok(parsed) => parsed.flow.id,
        Err(problems) => {
            print(path, &problems);
            bail!("{} is not a flow; correct it first", path.display());
        }
    };
    let body = Some((YAML, source.into_bytes()));
    let answer = client.expect(Method::PUT, &format!("/v1/flows/{id}"), body).await?;
    if as_json {
        println!("{answer}");
    } else {
        println!("pushed `{id}`, draft {}", answer["revision"]);
        let problems: Vec<Problem> =
            serde_json::from_value(answer["problems"].clone()).unwrap_or_default();
        print(path, &problems);
    }
    Ok(())
}

/// Writes a draft's text, as it was written, to a new file or to standard output.
pub async fn pull(client: &Client, id: &str, output: Option<&Path>) -> anyhow::Result<()> {
    let answer = client.get(&format!("/v1/flows/{id}")).await?;
    let source = answer["source"].as_str().context("the server answered without a source")?;
    let Some(path) = output else {
        std::io::stdout().lock().write_all(source.as_bytes())?;
        return Ok(());
    };
    let mut file = std::fs::File::create_new(path).with_context(|| {
        format!("{} cannot be made; name a file that is not there yet", path.display())
    })?;
    file.write_all(source.as_bytes())?;
    file.sync_all()?;
    println!("pulled `{id}`, draft {}, into {}", answer["revision"], path.display());
    Ok(())
}

/// Publishes a draft.
pub async fn publish(client: &Client, id: &str, as_json: bool) -> anyhow::Result<()> {
    let answer = client.expect(Method::POST, &format!("/v1/flows/{id}/publish"), None).await?;
    if as_json {
        println!("{answer}");
    } else {
        println!(
            "published `{id}`, version {}; {} test(s) passed",
            answer["version"], answer["tests"]
        );
    }
    Ok(())
}

/// Lists the flows of a server.
pub async fn list(client: &Client, as_json: bool) -> anyhow::Result<()> {
    let answer = client.get("/v1/flows").await?;
    if as_json {
        println!("{answer}");
        return Ok(());
    }
    println!("{:<32} {:>5} {:>6}  CHANGED", "FLOW", "LIVE", "DRAFT");
    for flow in answer["items"].as_array().into_iter().flatten() {
        let text = |value: &Value| match value {
            Value::Null => "–".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        println!(
            "{:<32} {:>5} {:>6}  {}",
            text(&flow["flow"]),
            text(&flow["live"]),
            text(&flow["draft_revision"]),
            text(&flow["updated_at"])
        );
    }
    Ok(())
}
