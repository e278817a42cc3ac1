//! Search: one question after the other, of each kind of word and with each kind of filter.

use http::Method;
use serde::Serialize;
use url::form_urlencoded::Serializer;

use super::Bench;
use super::make::CONNECTION;
use super::words::{Dice, Kind, Words};
use crate::server::Server;
use crate::talk::Latencies;

/// Filters beside the words; none, and each of the API's.
const FILTERS: [(&str, &[(&str, &str)]); 6] = [
    ("no filter", &[]),
    ("direction", &[("direction", "in")]),
    ("connection, oldest first", &[("connection", CONNECTION), ("order", "oldest")]),
    ("state", &[("state", "sent")]),
    ("contact", &[("contact", "person-0000007")]),
    (
        "a day",
        &[("created_after", "2026-01-11T00:00:00Z"), ("created_before", "2026-01-12T00:00:00Z")],
    ),
];

/// Questions of one kind.
#[derive(Debug, Serialize)]
pub struct Searched {
    /// The kind of word, and the filter.
    pub what: String,
    /// How many were asked.
    pub questions: u32,
    /// How many of them found nothing.
    pub empty: u32,
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
/// Where a question is refused.
pub(super) async fn measure(bench: &Bench<'_>, server: &Server) -> anyhow::Result<Vec<Searched>> {
    let words = Words::new();
    let kinds = [
        ("Chinese, 1", Kind::Chinese1),
        ("Chinese, 2", Kind::Chinese2),
        ("Chinese, 4", Kind::Chinese4),
        ("English", Kind::English),
    ];
    let mut searched = Vec::new();
    for (name, kind) in kinds {
        for (filter, parameters) in FILTERS {
            let what = format!("messages: {name}; {filter}");
            let asked = Asked { what, path: "/v1/messages", kind, parameters };
            searched.push(asked.measure(bench, server, &words).await?);
        }
        let what = format!("tasks: {name}; no filter");
        let asked = Asked { what, path: "/v1/tasks", kind, parameters: &[] };
        searched.push(asked.measure(bench, server, &words).await?);
    }
    Ok(searched)
}

struct Asked {
    what: String,
    path: &'static str,
    kind: Kind,
    parameters: &'static [(&'static str, &'static str)],
}

impl Asked {
    async fn measure(
        self,
        bench: &Bench<'_>,
        server: &Server,
        words: &Words,
    ) -> anyhow::Result<Searched> {
        eprintln!("search in {}…", self.what);
        // Other words than those of the texts' own seeds, and the same in every run.
        let mut dice = Dice::new(0x005E_A2C4);
        let mut latencies = Latencies::default();
        let mut empty = 0;
        for _ in 0..bench.args.questions {
            let word = words.any(self.kind, &mut dice);
            let mut query = Serializer::new(format!("{}?", self.path));
            query.append_pair("q", &word).extend_pairs(self.parameters);
            let path = query.finish().replacen("?&", "?", 1);
            let since = tokio::time::Instant::now();
            let answer = server.api(bench.client, Method::GET, &path, None).await?;
            latencies.add(since);
            empty += u32::from(answer.starts_with(br#"{"items":[]"#));
        }
        let latencies = latencies.sorted();
        Ok(Searched {
            what: self.what,
            questions: bench.args.questions,
            empty,
            p50_millis: latencies.percentile(50),
            p95_millis: latencies.percentile(95),
            max_millis: latencies.percentile(100),
        })
    }
}
