//! `chatflow task …`: start, list, show, tail, reply, cancel, retry.

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::output::{line, list, short, text, time, value};
use super::tail::tail;
use super::{Common, items, segment};
use crate::client::Client;

/// Items of one page of tasks, and of messages.
const PAGE_MAX: usize = 200;
/// Messages of a task that are shown.
const MESSAGES_SHOWN: usize = 1_000;

/// What is done with tasks.
#[derive(Debug, Subcommand)]
pub enum TaskCommand {
    /// Start a task.
    ///
    /// Example: `chatflow task start leave-request --contact mei --var days=3`
    Start {
        /// The flow's id.
        flow: String,
        /// The id of the person it talks with.
        #[arg(long)]
        contact: String,
        /// The person's name.
        #[arg(long)]
        name: Option<String>,
        /// The person's language: `en`, `zh-TW`.
        #[arg(long)]
        lang: Option<String>,
        /// A value for a variable, `name=value`; JSON where it reads as JSON, else text.
        #[arg(long = "var", value_parser = variable)]
        vars: Vec<(String, Value)>,
        /// The connection; `api` where left out.
        #[arg(long)]
        connection: Option<String>,
        /// Which server, and how it prints.
        #[command(flatten)]
        common: Common,
    },
    /// List tasks, newest first.
    ///
    /// Example: chatflow task list --status waiting --flow leave-request
    List {
        /// Only of this flow.
        #[arg(long)]
        flow: Option<String>,
        /// Only `running`, `waiting`, `completed`, `failed`, `cancelled` or `expired`.
        #[arg(long)]
        status: Option<String>,
        /// Only with this person.
        #[arg(long)]
        contact: Option<String>,
        /// Only in this queue.
        #[arg(long)]
        queue: Option<String>,
        /// Only with these words in the label, the contact or a message.
        #[arg(long, short)]
        query: Option<String>,
        /// Most tasks that are listed.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Which server, and how it prints.
        #[command(flatten)]
        common: Common,
    },
    /// Show a task and its messages.
    ///
    /// Example: `chatflow task show task_0199…`
    Show {
        /// The task's id.
        id: String,
        /// Which server, and how it prints.
        #[command(flatten)]
        common: Common,
    },
    /// Follow a task's messages and states, live, until it ends.
    ///
    /// Example: `chatflow task tail task_0199…`
    Tail {
        /// The task's id.
        id: String,
        /// How often in a row it tries to come back to a server that is lost.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(..=1000))]
        tries: u32,
        /// Which server, and how it prints.
        #[command(flatten)]
        common: Common,
    },
    /// Say something to the person, as an operator.
    ///
    /// Example: `chatflow task reply task_0199… "We are on it."`
    Reply {
        /// The task's id.
        id: String,
        /// What is said.
        text: String,
        /// Which server, and how it prints.
        #[command(flatten)]
        common: Common,
    },
    /// Stop a task and those it waits for.
    ///
    /// Example: `chatflow task cancel task_0199… --reason "asked twice"`
    Cancel {
        /// The task's id.
        id: String,
        /// Why; people see it.
        #[arg(long)]
        reason: Option<String>,
        /// Which server, and how it prints.
        #[command(flatten)]
        common: Common,
    },
    /// Let a failed task enter its step again.
    ///
    /// Example: `chatflow task retry task_0199…`
    Retry {
        /// The task's id.
        id: String,
        /// Which server, and how it prints.
        #[command(flatten)]
        common: Common,
    },
}

/// Reads `name=value`.
fn variable(given: &str) -> Result<(String, Value), String> {
    let (name, value) = given.split_once('=').ok_or("write name=value, such as days=3")?;
    let read = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    Ok((name.to_owned(), read))
}

/// Does it.
pub async fn run(command: TaskCommand) -> anyhow::Result<()> {
    match command {
        TaskCommand::Start { flow, contact, name, lang, vars, connection, common } => {
            let client = Client::new(&common.server)?;
            let vars: Map<String, Value> = vars.into_iter().collect();
            let body = json!({
                "flow": flow, "contact": { "id": contact, "name": name, "lang": lang },
                "vars": vars, "connection": connection,
            });
            let task = client.post("/v1/tasks", &without_nulls(body)).await?;
            told(&task, common.json, "started");
        }
        TaskCommand::List { flow, status, contact, queue, query, limit, common } => {
            let parameters = [
                ("flow", flow.as_deref()),
                ("status", status.as_deref()),
                ("contact", contact.as_deref()),
                ("queue", queue.as_deref()),
                ("q", query.as_deref()),
            ];
            let client = Client::new(&common.server)?;
            let (tasks, more) = items(&client, "/v1/tasks", &parameters, limit, PAGE_MAX).await?;
            let headings = ["TASK", "FLOW", "STATUS", "STEP", "CONTACT", "LABEL", "CHANGED"];
            list(common.json, &tasks, more, &headings, |task| {
                vec![
                    text(&task["id"]),
                    text(&task["flow"]),
                    text(&task["status"]),
                    text(&task["step"]),
                    text(&task["contact"]["id"]),
                    short(&text(&task["label"]), 40),
                    time(&task["updated_at"]),
                ]
            });
        }
        TaskCommand::Show { id, common } => {
            show(&Client::new(&common.server)?, &id, common.json).await?;
        }
        TaskCommand::Tail { id, tries, common } => {
            tail(&id, tries, &common).await?;
        }
        TaskCommand::Reply { id, text, common } => {
            act(&id, "reply", &json!({ "text": text }), "said to", &common).await?;
        }
        TaskCommand::Cancel { id, reason, common } => {
            let body = without_nulls(json!({ "reason": reason }));
            act(&id, "cancel", &body, "cancelled", &common).await?;
        }
        TaskCommand::Retry { id, common } => {
            act(&id, "retry", &json!({}), "tries again:", &common).await?;
        }
    }
    Ok(())
}

/// An object without the fields that are null: those are left out, not sent as nothing.
fn without_nulls(mut body: Value) -> Value {
    if let Value::Object(fields) = &mut body {
        fields.retain(|_, value| !value.is_null());
        fields.values_mut().for_each(|value| *value = without_nulls(value.take()));
    }
    body
}

fn told(task: &Value, as_json: bool, what: &str) {
    if as_json {
        value(task);
    } else {
        line(&format!("{what} {}, {}", text(&task["id"]), text(&task["status"])));
    }
}

async fn act(
    id: &str,
    action: &str,
    body: &Value,
    what: &str,
    common: &Common,
) -> anyhow::Result<()> {
    let client = Client::new(&common.server)?;
    let task = client.post(&format!("/v1/tasks/{}/{action}", segment(id)), body).await?;
    told(&task, common.json, what);
    Ok(())
}

/// The first messages of a task, and whether there are more.
pub(super) async fn messages(client: &Client, id: &str) -> anyhow::Result<(Vec<Value>, bool)> {
    let path = format!("/v1/tasks/{}/messages", segment(id));
    items(client, &path, &[], MESSAGES_SHOWN, MESSAGES_SHOWN).await
}

async fn show(client: &Client, id: &str, as_json: bool) -> anyhow::Result<()> {
    let task = client.get(&format!("/v1/tasks/{}", segment(id))).await?;
    let (messages, _) = messages(client, id).await?;
    if as_json {
        value(&json!({ "task": task, "messages": messages }));
        return Ok(());
    }
    line(&format!("{} {}", text(&task["id"]), text(&task["label"])));
    let progress = &task["progress"];
    let facts = [
        ("flow", format!("{} version {}", text(&task["flow"]), text(&task["version"]))),
        ("status", text(&task["status"])),
        ("step", text(&task["step"])),
        ("waits for", text(&task["waiting_for"])),
        (
            "progress",
            format!("{} of {} steps", text(&progress["visited"]), text(&progress["steps"])),
        ),
        ("contact", text(&task["contact"]["id"])),
        ("error", text(&task["error"])),
        ("variables", text(&task["vars"])),
        ("created", time(&task["created_at"])),
        ("changed", time(&task["updated_at"])),
    ];
    for (name, fact) in facts.iter().filter(|(_, fact)| fact != "–") {
        line(&format!("  {name:<10} {fact}"));
    }
    for message in &messages {
        line(&said(message));
    }
    Ok(())
}

/// A message as a line: when, from whom, what, and how far it has come.
pub(super) fn said(message: &Value) -> String {
    let arrow = if message["direction"] == "in" { "→" } else { "←" };
    let (at, state) = (time(&message["created_at"]), text(&message["state"]));
    let words = text(&message["content"]["text"]);
    match message["error"].as_str() {
        Some(error) => format!("{at} {arrow} {words}  [{state}: {error}]"),
        None => format!("{at} {arrow} {words}  [{state}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_json_where_they_read_as_json() {
        assert_eq!(variable("days=3").unwrap(), ("days".into(), json!(3)));
        assert_eq!(variable("why=a=b").unwrap(), ("why".into(), json!("a=b")));
        assert_eq!(variable("names=[\"a\"]").unwrap(), ("names".into(), json!(["a"])));
        assert!(variable("days").unwrap_err().contains("name=value"));
    }

    #[test]
    fn what_is_not_given_is_not_sent() {
        let body = json!({ "a": null, "b": { "c": null, "d": 1 }, "e": [] });
        assert_eq!(without_nulls(body), json!({ "b": { "d": 1 }, "e": [] }));
    }
}
