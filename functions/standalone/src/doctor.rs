//! `chatflow doctor`: findings, and the look at a local server.

use http::Method;
use serde_json::json;

use crate::client::Client;

/// One check: what was looked at, and what is wrong with it.
pub(crate) type Finding = (String, Result<(), String>);

/// Looks at a server by its API.
pub(crate) async fn local(client: &Client, json: bool) -> anyhow::Result<bool> {
    let server = client.server();
    let mut findings = Vec::new();
    for (what, path, fix) in [
        (format!("a server answers at {server}"), "/healthz", "start one with `chatflow serve`"),
        ("its store answers".to_owned(), "/readyz", "look at the server's log and its disk"),
        ("the API key works".to_owned(), "/v1/flows", "name the key's file with --key-file"),
    ] {
        let found = match client.send(Method::GET, path, None).await {
            Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
            Ok(answer) => Err(format!("it answered {}; {fix}", answer.status)),
            Err(error) => Err(format!("{error}; {fix}")),
        };
        findings.push((what, found));
    }
    Ok(tell(&findings, json))
}

/// Prints findings; false where something is wrong.
pub(crate) fn tell(findings: &[Finding], json: bool) -> bool {
    let wrong = findings.iter().filter(|(_, found)| found.is_err()).count();
    if json {
        let list: Vec<_> = findings
            .iter()
            .map(|(what, found)| json!({ "check": what, "problem": found.as_ref().err() }))
            .collect();
        println!("{}", json!({ "ok": wrong == 0, "checks": list }));
        return wrong == 0;
    }
    for (what, found) in findings {
        match found {
            Ok(()) => println!("  ✓ {what}"),
            Err(problem) => println!("  ✗ {what}\n      {problem}"),
        }
    }
    match wrong {
        0 => println!("All {} checks passed.", findings.len()),
        _ => println!("{wrong} of {} checks failed; what to do stands below each.", findings.len()),
    }
    wrong == 0
}
