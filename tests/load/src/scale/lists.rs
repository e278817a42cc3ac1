//! Lists of tasks: every filter, every order, page by page.

use http::Method;
use serde::Serialize;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::Bench;
use super::make::QUEUE;
use crate::server::Server;
use crate::talk::Latencies;

const FILTERS: [(&str, &[(&str, &str)]); 9] = [
    ("all", &[]),
    ("flow", &[("flow", "scale-07")]),
    ("status", &[("status", "waiting")]),
    ("flow and status", &[("flow", "scale-07"), ("status", "completed")]),
    ("waiting for", &[("waiting_for", "timer")]),
    ("queue", &[("queue", QUEUE)]),
    ("contact", &[("contact", "person-0000007")]),
    ("label", &[("label", "end")]),
    (
        "the middle",
        &[("created_after", "2026-01-08T00:00:00Z"), ("created_before", "2026-01-15T00:00:00Z")],
    ),
];
const SORTS: [&str; 4] = ["created_desc", "created_asc", "updated_desc", "updated_asc"];
/// Tasks of a page.
const PAGE: &str = "50";
/// Pages of each list, one behind the other, by each order.
const PAGES: u32 = 20;

/// Pages of one kind.
#[derive(Debug, Serialize)]
pub struct Listed {
    /// The filter.
    pub what: String,
    /// Pages asked for, over all orders.
    pub pages: u32,
    /// From the request to the whole answer.
    pub p50_millis: f64,
    /// The same.
    pub p95_millis: f64,
    /// The same.
    pub max_millis: f64,
}

/// Measures.
///
/// # Errors
/// Where a page is refused.
pub(super) async fn measure(bench: &Bench<'_>, server: &Server) -> anyhow::Result<Vec<Listed>> {
    let mut listed = Vec::new();
    for (filter, parameters) in FILTERS {
        eprintln!("lists by {filter}…");
        let (mut latencies, mut pages) = (Latencies::default(), 0);
        for sort in SORTS {
            let mut cursor: Option<String> = None;
            for _ in 0..PAGES {
                let mut query = Serializer::new(String::new());
                query.append_pair("limit", PAGE).append_pair("sort", sort);
                query.extend_pairs(parameters);
                if let Some(cursor) = &cursor {
                    query.append_pair("cursor", cursor);
                }
                let path = format!("/v1/tasks?{}", query.finish());
                let since = tokio::time::Instant::now();
                let answer = server.api(bench.client, Method::GET, &path, None).await?;
                latencies.add(since);
                pages += 1;
                let answer: Value = serde_json::from_slice(&answer)?;
                cursor = answer["next_cursor"].as_str().map(str::to_owned);
                if cursor.is_none() {
                    break;
                }
            }
        }
        let latencies = latencies.sorted();
        listed.push(Listed {
            what: filter.to_owned(),
            pages,
            p50_millis: latencies.percentile(50),
            p95_millis: latencies.percentile(95),
            max_millis: latencies.percentile(100),
        });
    }
    Ok(listed)
}
