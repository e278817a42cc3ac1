//! The demo: three flows, their tables and queues, and a connection that anybody on this machine
//! may use.

use channels::{Connection, ReplyTarget};
use ports::Queue;
use runtime::App;
use runtime::administer::flows::{self, Published};
use runtime::administer::{put_connection, put_queue, tables};

/// The connection of the demo.
pub const CONNECTION: &str = "demo";

const TABLES: [(&str, &str); 3] = [
    ("leave_requests", include_str!("../demo/tables/leave_requests.json")),
    ("bookings", include_str!("../demo/tables/bookings.json")),
    ("tickets", include_str!("../demo/tables/tickets.json")),
];

/// The flows of the demo: id and YAML.
pub const FLOWS: [(&str, &str); 3] = [
    ("leave-request", include_str!("../demo/leave-request.yaml")),
    ("booking", include_str!("../demo/booking.yaml")),
    ("support-triage", include_str!("../demo/support-triage.yaml")),
];

const QUEUES: [(&str, &str); 2] = [("managers", "Managers 主管"), ("support", "Support 客服")];

/// Sets the demo up where it is not there yet; what somebody changed stays as it is.
pub async fn install(app: &App) -> anyhow::Result<()> {
    for (id, document) in TABLES {
        if app.store().table(id).await?.is_none() {
            tables::apply(app, id, &serde_json::from_str(document)?).await?;
        }
    }
    for (id, name) in QUEUES {
        if !app.store().queues().await?.iter().any(|queue| queue.id == id) {
            put_queue(app, &Queue { id: id.into(), name: name.into() }).await?;
        }
    }
    for (id, source) in FLOWS {
        if app.store().draft(id).await?.is_none() {
            flows::put_draft(app, id, source, Some(0), "demo").await?;
        }
        if !app.store().live().await?.iter().any(|(flow, _)| flow == id) {
            publish(app, id).await?;
        }
    }
    if app.store().connection(CONNECTION).await?.is_none() {
        let connection = Connection {
            id: CONNECTION.into(),
            name: "Demo".into(),
            unsigned_from_loopback: true,
            reply: ReplyTarget::Terminal,
            default_flow: Some("support-triage".into()),
            ..Connection::default()
        };
        put_connection(app, connection, Some(0)).await?;
    }
    Ok(())
}

async fn publish(app: &App, id: &str) -> anyhow::Result<()> {
    match flows::publish(app, id, "demo").await? {
        Published::Live(..) => Ok(()),
        Published::Problems(problems) => {
            let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
            anyhow::bail!("the demo flow `{id}` has problems: {}", all.join("; "))
        }
        Published::TestsFail(reports) => {
            let all: Vec<String> = reports
                .iter()
                .filter(|report| !report.passed)
                .map(|report| format!("{}: {}", report.name, report.problems.join("; ")))
                .collect();
            anyhow::bail!("tests of the demo flow `{id}` fail: {}", all.join("; "))
        }
    }
}
