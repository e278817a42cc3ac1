//! `chatflow flow …`: check, test, push, pull, list, show, publish, rollback, diff.

mod arguments;
mod versions;

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, bail};
use flow::check::{Alone, check, is_publishable};
use flow::{Problem, Severity};
use http::Method;
use serde_json::json;

pub use arguments::FlowCommand;

use super::output::{list as print_list, text, time, value};
use super::{Readers, new_file, segment};
use crate::client::Client;

/// The media type of a flow's text.
const YAML: &str = "application/yaml";

/// Does it; false where the answer is no.
pub async fn run(command: FlowCommand) -> anyhow::Result<bool> {
    match command {
        FlowCommand::Check { file, json } => return check_file(&file, json),
        FlowCommand::Test { file, json } => return test_file(&file, json),
        FlowCommand::Push { file, common } => {
            push(&Client::new(&common.server)?, &file, common.json).await?;
        }
        FlowCommand::Pull { flow, output, server } => {
            pull(&Client::new(&server)?, &flow, output.as_deref()).await?;
        }
        FlowCommand::Publish { flow, common } => {
            publish(&Client::new(&common.server)?, &flow, common.json).await?;
        }
        FlowCommand::List { common } => list(&Client::new(&common.server)?, common.json).await?,
        FlowCommand::Show { flow, common } => {
            versions::show(&Client::new(&common.server)?, &flow, common.json).await?;
        }
        FlowCommand::Rollback { flow, to, common } => {
            versions::rollback(&Client::new(&common.server)?, &flow, to, common.json).await?;
        }
        FlowCommand::Diff { flow, from, to, server } => {
            return versions::diff(&Client::new(&server)?, &flow, &from, &to).await;
        }
    }
    Ok(true)
}

/// All problems of a flow's text, each with its place.
fn problems(source: &str) -> Vec<Problem> {
    match flow::parse(source) {
        Err(problems) => problems,
        Ok(parsed) => check(&parsed.flow, &Alone)
            .into_iter()
            .map(|problem| parsed.positions.locate(problem))
            .collect(),
    }
}

/// Runs the tests that a file's flow has; true where all pass. No server is asked.
fn test_file(path: &Path, as_json: bool) -> anyhow::Result<bool> {
    let source = read(path)?;
    let problems = problems(&source);
    let parsed = match flow::parse(&source) {
        Ok(parsed) if is_publishable(&problems) => parsed,
        _ => {
            print(path, &problems);
            bail!("{} has errors; correct them first", path.display());
        }
    };
    let reports = engine::simulate::run_tests(&parsed.flow);
    let passed = reports.iter().all(|report| report.passed);
    if as_json {
        value(&json!({ "passed": passed, "tests": reports }));
        return Ok(passed);
    }
    for report in &reports {
        println!("{} {}", if report.passed { "ok    " } else { "failed" }, report.name);
        for problem in &report.problems {
            println!("       {problem}");
        }
    }
    let failed = reports.iter().filter(|report| !report.passed).count();
    println!("{} test(s), {failed} failed", reports.len());
    Ok(passed)
}

/// Checks a file on its own; true where it could be published.
fn check_file(path: &Path, as_json: bool) -> anyhow::Result<bool> {
    let problems = problems(&read(path)?);
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
async fn push(client: &Client, path: &Path, as_json: bool) -> anyhow::Result<()> {
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
async fn pull(client: &Client, id: &str, output: Option<&Path>) -> anyhow::Result<()> {
    let found = client.get(&format!("/v1/flows/{}", segment(id))).await;
    let answer = or_suggest(client, id, found).await?;
    let source = answer["source"].as_str().context("the server answered without a source")?;
    let Some(path) = output else {
        std::io::stdout().lock().write_all(source.as_bytes())?;
        return Ok(());
    };
    let mut file = new_file(path, Readers::Usual)?;
    file.write_all(source.as_bytes())?;
    file.sync_all()?;
    println!("pulled `{id}`, draft {}, into {}", answer["revision"], path.display());
    Ok(())
}

/// Publishes a draft.
async fn publish(client: &Client, id: &str, as_json: bool) -> anyhow::Result<()> {
    let published =
        client.expect(Method::POST, &format!("/v1/flows/{}/publish", segment(id)), None).await;
    let answer = or_suggest(client, id, published).await?;
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
async fn list(client: &Client, as_json: bool) -> anyhow::Result<()> {
    let answer = client.get("/v1/flows").await?;
    if as_json {
        value(&answer);
        return Ok(());
    }
    let none = Vec::new();
    let flows = answer["items"].as_array().unwrap_or(&none);
    print_list(false, flows, false, &["FLOW", "LIVE", "DRAFT", "CHANGED"], |flow| {
        vec![
            text(&flow["flow"]),
            text(&flow["live"]),
            text(&flow["draft_revision"]),
            time(&flow["updated_at"]),
        ]
    });
    Ok(())
}

/// Adds to an error about a flow that there is not which one may have been meant.
pub(super) async fn or_suggest<T>(
    client: &Client,
    id: &str,
    answer: anyhow::Result<T>,
) -> anyhow::Result<T> {
    let error = match answer {
        Ok(answer) => return Ok(answer),
        Err(error) => error,
    };
    let Ok(flows) = client.get("/v1/flows").await else { return Err(error) };
    let known: Vec<&str> = flows["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|flow| flow["flow"].as_str())
        .collect();
    match near_to(id, &known) {
        Some(near) => Err(anyhow::anyhow!("{error:#}; did you mean `{near}`?")),
        None => Err(error),
    }
}

/// The nearest of the known ids, where this one is not among them.
fn near_to<'a>(id: &str, known: &[&'a str]) -> Option<&'a str> {
    if known.contains(&id) { None } else { flow::problem::nearest(id, known.iter().copied()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_told_from_another_flow() {
        let known = ["leave-request", "support-triage"];
        assert_eq!(near_to("leave-requset", &known), Some("leave-request"));
        assert_eq!(near_to("lunch", &known), None);
        assert_eq!(near_to("leave-request", &known), None);
    }
}
