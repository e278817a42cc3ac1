//! The warehouse on BigQuery's emulator: what the contract does not say, and what only this
//! backend can get wrong.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use backend_gcp::{BigQuery, Config, Gcp};
use chrono::{DateTime, Utc};
use ports::{Clock, Page, PageOf, PortError, Warehouse};
use ports_contract::at;
use schema::{Row, Table, convert, with_meta};
use serde_json::{Map, Value, json};

use crate::place;

/// A clock that goes on by a microsecond whenever it is looked at.
struct Ticking(AtomicI64);

#[async_trait]
impl Clock for Ticking {
    fn now(&self) -> DateTime<Utc> {
        let tick = self.0.fetch_add(1, Ordering::Relaxed);
        at(0) + chrono::Duration::microseconds(tick)
    }

    async fn sleep_until(&self, _: DateTime<Utc>) {
        std::future::pending::<()>().await;
    }
}

/// A process of its own over the project of a configuration.
async fn process(config: &Config) -> Arc<BigQuery> {
    let clock = Arc::new(Ticking(AtomicI64::new(0)));
    Gcp::connect(config, clock, Arc::new(|| None)).await.unwrap().warehouse()
}

fn table(id: &str, fields: &Value) -> Table {
    let document = json!({"tableReference": {"tableId": id}, "schema": {"fields": fields}});
    match Table::parse_user(&document) {
        Ok(table) => table,
        Err(problems) => panic!("{problems}"),
    }
}

/// A table with a column `n`, and those.
fn numbers(id: &str, more: &[Value]) -> Table {
    let mut fields = vec![json!({"name": "n", "type": "INT64"})];
    fields.extend_from_slice(more);
    table(id, &Value::Array(fields))
}

fn row(table: &Table, event: &str, row: Value) -> Row {
    let Value::Object(mut row) = row else { panic!("{row}") };
    row.insert("event_id".into(), json!(event));
    row.insert("sequence".into(), json!(1));
    row.insert("landed_at".into(), json!(at(0)));
    match convert(&with_meta(table.clone()), &row) {
        Ok(row) => row,
        Err(problems) => panic!("{problems:?}"),
    }
}

async fn all(warehouse: &BigQuery, table: &Table, limit: usize) -> Vec<Map<String, Value>> {
    let mut rows = Vec::new();
    let mut page = Page { limit, cursor: None };
    loop {
        let PageOf { items, next } = warehouse.rows(table, false, &page).await.unwrap();
        rows.extend(items);
        match next {
            Some(_) => page.cursor = next,
            None => return rows,
        }
    }
}

async fn events(warehouse: &BigQuery, table: &Table, limit: usize) -> Vec<String> {
    let rows = all(warehouse, table, limit).await;
    rows.iter().map(|row| row["event_id"].as_str().unwrap().to_owned()).collect()
}

/// BigQuery's REST API, as another program would use it.
async fn rest(config: &Config, method: reqwest::Method, path: &str, body: &Value) -> Value {
    let endpoint = config.endpoints.bigquery.clone().unwrap();
    let url = format!("{endpoint}/bigquery/v2/projects/{}/{path}", config.project);
    let request = reqwest::Client::new().request(method, url);
    let request = request.header("content-type", "application/json").body(body.to_string());
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    let text = answer.text().await.unwrap();
    let answer = serde_json::from_str::<Value>(&text).unwrap_or_default();
    assert_eq!(answer.get("errors"), None, "{path}");
    answer
}

async fn sql(config: &Config, text: &str) -> Value {
    let text = text.replace("DATASET", &format!("{}.{}", config.project, config.dataset));
    let body = json!({"query": text, "useLegacySql": false});
    rest(config, reqwest::Method::POST, "queries", &body).await
}

/// One column of every type, mode and nesting.
fn every_type() -> Table {
    let scalars = [
        "STRING",
        "INT64",
        "FLOAT64",
        "NUMERIC",
        "BOOL",
        "DATE",
        "DATETIME",
        "TIME",
        "TIMESTAMP",
        "JSON",
        "BYTES",
    ];
    let mut fields = Vec::new();
    for name in scalars {
        let column = name.to_lowercase();
        fields.push(json!({"name": column, "type": name}));
        fields.push(json!({"name": format!("{column}_list"), "type": name, "mode": "REPEATED"}));
    }
    let inner = json!([
        {"name": "name", "type": "STRING", "mode": "REQUIRED"},
        {"name": "tags", "type": "STRING", "mode": "REPEATED"},
        // Not a word of SQL: the emulator does not quote the names of fields in a RECORD.
        {"name": "loose", "type": "JSON"},
        {"name": "deep", "type": "RECORD", "mode": "REPEATED", "fields": [
            {"name": "moment", "type": "TIMESTAMP"}, {"name": "amount", "type": "NUMERIC"},
        ]},
    ]);
    fields.push(json!({"name": "one", "type": "RECORD", "fields": inner}));
    fields.push(json!({"name": "many", "type": "RECORD", "mode": "REPEATED", "fields": inner}));
    table("every_type", &Value::Array(fields))
}

fn full(number: i64) -> Value {
    let deep = json!([
        {"moment": "2026-11-30T08:15:00.000001Z", "amount": "-0.000000001"}, {}, {"amount": "7"},
    ]);
    let record = json!({"name": "三", "tags": ["b", "a"], "loose": [], "deep": deep});
    let mut full = json!({
        "string": "tab\t\"'\\ 請假 😀", "int64": number, "float64": -1.5e300,
        "numeric": "99999999999999999999999999999.999999999", "bool": true, "date": "0001-01-01",
        "datetime": "9999-12-31T23:59:59.999999", "time": "23:59:59.000001",
        "timestamp": "1969-12-31T23:59:59.999999Z", "bytes": "AAECgP8=",
        "json": {"z": [1, {"a": null}, 0.1], "a": "x", "empty": {}}, "one": record,
        "many": [record, {"name": ""}, {"name": "last", "loose": false, "deep": [{}]}],
    });
    for name in [
        "string",
        "int64",
        "float64",
        "numeric",
        "bool",
        "date",
        "datetime",
        "time",
        "timestamp",
        "json",
        "bytes",
    ] {
        full[format!("{name}_list")] = json!([full[name], full[name]]);
    }
    full
}

#[tokio::test]
async fn every_type_comes_back_as_it_landed() {
    let warehouse = process(&place::new()).await;
    let table = every_type();
    warehouse.ensure(&table).await.unwrap();
    let rows = [
        row(&table, "min", full(i64::MIN)),
        row(&table, "none", json!({})),
        row(&table, "max", full(i64::MAX)),
        row(&table, "empty", json!({"string": "", "bytes": "", "one": {"name": ""}, "json": "n"})),
        row(&table, "few", json!({"float64": 3, "numeric": "-12.50", "date": "9999-12-31"})),
    ];
    assert_eq!(warehouse.append(&table, &rows).await.unwrap(), []);
    let expected: Vec<_> = rows.iter().map(Row::to_json).collect();
    assert_eq!(all(&warehouse, &table, 2).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_at_once_land_all_and_answer_each() {
    let warehouse = process(&place::new()).await;
    let stored = numbers("at_once", &[json!({"name": "m", "type": "INT64", "mode": "REQUIRED"})]);
    let lax = numbers("at_once", &[json!({"name": "m", "type": "INT64"})]);
    warehouse.ensure(&stored).await.unwrap();
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..100 {
        let (warehouse, lax) = (warehouse.clone(), lax.clone());
        callers.spawn(async move {
            let good = |part: &str| row(&lax, &format!("{caller}-{part}"), json!({"m": 1}));
            let bad = row(&lax, "bad", json!({}));
            let rows = [good("a"), bad.clone(), good("b"), bad];
            warehouse.append(&lax, &rows[..if caller % 3 == 0 { 4 } else { 1 }]).await
        });
    }
    let mut refused = 0;
    while let Some(done) = callers.join_next().await {
        let places: Vec<usize> = done.unwrap().unwrap().iter().map(|row| row.index).collect();
        assert!(places.is_empty() || places == [1, 3], "{places:?}");
        refused += places.len();
    }
    assert_eq!(refused, 34 * 2, "the server refuses what the caller's schema allows");
    let found = events(&warehouse, &stored, 1_000).await;
    let expected: BTreeSet<String> = (0..100)
        .flat_map(|caller| {
            let parts: &[&str] = if caller % 3 == 0 { &["a", "b"] } else { &["a"] };
            parts.iter().map(move |part| format!("{caller}-{part}"))
        })
        .collect();
    assert_eq!(found.len(), expected.len(), "each once");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
}

/// Where BigQuery rejects a request and names no row, the rows that are to blame are found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_hold_a_connection_each() {
    const PROCESSES: u32 = 40;
    let config = place::new();
    let table = numbers("shared", &[]);
    let first = process(&config).await;
    first.ensure(&table).await.unwrap();
    let mut open = Vec::new();
    for number in 0..PROCESSES {
        let warehouse = process(&config).await;
        let rows = [row(&table, &format!("evt_{number}"), json!({"n": number}))];
        assert_eq!(warehouse.append(&table, &rows).await.unwrap(), [], "process {number}");
        open.push(warehouse);
    }
    assert_eq!(first.count(&table, false).await.unwrap(), u64::from(PROCESSES));
}

#[tokio::test]
async fn rejected_rows_are_found() {
    let warehouse = process(&place::new()).await;
    let stored = numbers("rejected", &[json!({"name": "m", "type": "INT64"})]);
    let other = numbers("rejected", &[json!({"name": "m", "type": "STRING"})]);
    warehouse.ensure(&stored).await.unwrap();
    let rows: Vec<Row> = (0..40)
        .map(|number| {
            let text =
                if [3, 4, 39].contains(&number) { "none".into() } else { number.to_string() };
            row(&other, &format!("{number:02}"), json!({"m": text}))
        })
        .collect();
    let refused = warehouse.append(&other, &rows).await.unwrap();
    assert_eq!(refused.iter().map(|row| row.index).collect::<Vec<_>>(), [3, 4, 39]);
    assert!(refused.iter().all(|row| !row.reason.is_empty()));
    let found = events(&warehouse, &stored, 1_000).await;
    assert_eq!(found.len(), 37);
    assert!(found.is_sorted(), "halves land in their order: {found:?}");
}

#[tokio::test]
async fn what_fits_no_request_is_cut_or_refused() {
    let warehouse = process(&place::new()).await;
    let lists = json!({"name": "list", "type": "STRING", "mode": "REPEATED"});
    let wide: Vec<Value> =
        (0..400).map(|n| json!({"name": format!("c{n}"), "type": "INT64"})).collect();
    let records = json!({"name": "records", "type": "RECORD", "mode": "REPEATED", "fields": wide});
    let table = numbers("large", &[lists, records]);
    warehouse.ensure(&table).await.unwrap();
    let text = "x".repeat(1024 * 1024);
    let large = |event: &str| row(&table, event, json!({"list": [text, text, text, text]}));
    let empty_records: Vec<Value> = (0..10_000).map(|_| json!({})).collect();
    let rows = [
        large("a"),
        large("b"),
        large("c"),
        row(&table, "spread", json!({"records": empty_records})),
        large("d"),
        large("e"),
    ];
    let refused = warehouse.append(&table, &rows).await.unwrap();
    assert_eq!(refused.iter().map(|row| row.index).collect::<Vec<_>>(), [3]);
    assert!(refused[0].reason.contains("9000000 bytes"), "{}", refused[0].reason);
    assert_eq!(warehouse.count(&table, false).await.unwrap(), 5);
    let page = warehouse.rows(&table, false, &Page { limit: 5, cursor: None }).await.unwrap();
    let page_of = |page: &PageOf<Map<String, Value>>| {
        page.items.iter().map(|row| row["event_id"].as_str().unwrap().to_owned()).collect()
    };
    let found: Vec<String> = page_of(&page);
    assert_eq!(found, ["a", "b", "c", "d", "e"]);
    assert_eq!(page.next, None);
}

#[tokio::test]
async fn a_table_that_is_gone_is_not_found_and_made_again() {
    let config = place::new();
    let warehouse = process(&config).await;
    let table = numbers("gone", &[]);
    let rows = [row(&table, "a", json!({"n": 1}))];
    let is_missing = |error: &PortError| matches!(error, PortError::NotFound { .. });
    let page = Page { limit: 1, cursor: None };
    for round in 0..2 {
        let error = warehouse.append(&table, &rows).await.unwrap_err();
        assert!(is_missing(&error), "round {round}: {error:?}");
        assert!(is_missing(&warehouse.count(&table, false).await.unwrap_err()));
        assert!(is_missing(&warehouse.rows(&table, true, &page).await.unwrap_err()));
        warehouse.ensure(&table).await.unwrap();
        assert_eq!(warehouse.append(&table, &rows).await.unwrap(), []);
        assert_eq!(warehouse.count(&table, false).await.unwrap(), 1);
        let path = format!("datasets/{}/tables/gone", config.dataset);
        rest(&config, reqwest::Method::DELETE, &path, &Value::Null).await;
    }
}

/// One process adds a column while another holds a connection with the old ones.
#[tokio::test]
async fn a_connection_outlives_a_new_column() {
    let config = place::new();
    let (old_process, new_process) = (process(&config).await, process(&config).await);
    let old = numbers("grows", &[]);
    let new = numbers("grows", &[json!({"name": "note", "type": "STRING"})]);
    old_process.ensure(&old).await.unwrap();
    let first = row(&old, "a", json!({"n": 1}));
    assert_eq!(old_process.append(&old, &[first]).await.unwrap(), []);
    let noted = row(&new, "b", json!({"note": "x"}));
    let early = old_process.append(&new, std::slice::from_ref(&noted)).await.unwrap_err();
    assert!(matches!(early, PortError::Invalid { .. }), "the column is not there: {early:?}");
    new_process.ensure(&new).await.unwrap();
    assert_eq!(new_process.append(&new, std::slice::from_ref(&noted)).await.unwrap(), []);
    let second = row(&old, "c", json!({"n": 2}));
    assert_eq!(old_process.append(&old, &[second]).await.unwrap(), []);
    assert_eq!(old_process.append(&new, &[noted]).await.unwrap(), []);
    let notes: Vec<Value> =
        all(&new_process, &new, 10).await.iter().map(|row| row["note"].clone()).collect();
    assert_eq!(notes.iter().filter(|note| note.is_null()).count(), 2);
    assert_eq!(new_process.count(&new, false).await.unwrap(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_may_ensure_at_once() {
    let config = place::new();
    let note = json!({"name": "note", "type": "STRING", "description": "短", "mode": "NULLABLE",
        "defaultValueExpression": "'new'"});
    for table in [numbers("raced", &[]), numbers("raced", &[note])] {
        let mut done = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let (config, table) = (config.clone(), table.clone());
            done.spawn(async move { process(&config).await.ensure(&table).await });
        }
        for one in done.join_all().await {
            one.unwrap();
        }
        let warehouse = process(&config).await;
        let row = row(&table, "a", json!({}));
        assert_eq!(warehouse.append(&table, &[row]).await.unwrap(), []);
    }
    let path = format!("datasets/{}/tables/raced", config.dataset);
    let raw = rest(&config, reqwest::Method::GET, &path, &Value::Null).await;
    let fields = raw["schema"]["fields"].as_array().unwrap();
    let names: Vec<&str> = fields.iter().map(|field| field["name"].as_str().unwrap()).collect();
    let expected = ["n", "event_id", "sequence", "landed_at", "_chatflow_order", "note"];
    assert_eq!(names, expected, "each once, and old ones stay where they are");
}

/// Rows that somebody else landed have no place in the order: they come first, and pages hold.
#[tokio::test]
async fn rows_of_others_are_listed() {
    let config = place::new();
    let warehouse = process(&config).await;
    let table = numbers("others", &[]);
    warehouse.ensure(&table).await.unwrap();
    let ours = [row(&table, "ours-1", json!({"n": 1})), row(&table, "ours-2", json!({"n": 2}))];
    assert_eq!(warehouse.append(&table, &ours).await.unwrap(), []);
    let values: Vec<String> = (0..5)
        .map(|n| format!("({n}, 'theirs-{n}', {n}, TIMESTAMP '2026-01-0{}T00:00:00Z')", n / 2 + 1))
        .collect();
    let insert = "INSERT INTO `DATASET.others` (n, event_id, sequence, landed_at) VALUES ";
    sql(&config, &format!("{insert}{}", values.join(", "))).await;
    let expected = ["theirs-0", "theirs-1", "theirs-2", "theirs-3", "theirs-4", "ours-1", "ours-2"];
    for limit in [1, 2, 100] {
        assert_eq!(events(&warehouse, &table, limit).await, expected, "{limit} at a time");
    }
}

/// A table that Terraform made before the hidden column was known gets it.
#[tokio::test]
async fn the_hidden_column_is_added_and_never_shown() {
    let config = place::new();
    let warehouse = process(&config).await;
    warehouse.ensure(&numbers("first", &[])).await.unwrap();
    let table = numbers("made_before", &[]);
    let mut resource = BigQuery::table_resource(&table);
    let fields = resource["schema"]["fields"].as_array_mut().unwrap();
    assert_eq!(fields.pop().unwrap()["name"], "_chatflow_order");
    let path = format!("datasets/{}/tables", config.dataset);
    rest(&config, reqwest::Method::POST, &path, &resource).await;
    warehouse.ensure(&table).await.unwrap();
    let row = row(&table, "a", json!({"n": 1}));
    assert_eq!(warehouse.append(&table, std::slice::from_ref(&row)).await.unwrap(), []);
    assert_eq!(all(&warehouse, &table, 10).await, [row.to_json()]);
    let view = sql(&config, "SELECT * FROM `DATASET.made_before_current`").await;
    let columns = view["schema"]["fields"].as_array().unwrap();
    let columns: Vec<&str> = columns.iter().map(|field| field["name"].as_str().unwrap()).collect();
    assert_eq!(columns, ["n", "event_id", "sequence", "landed_at"]);
    let ours = numbers("refused", &[json!({"name": "_Chatflow_x", "type": "STRING"})]);
    let error = warehouse.ensure(&ours).await.unwrap_err();
    assert!(error.to_string().contains("_Chatflow_x"), "{error}");
}

#[tokio::test]
async fn the_doctor_says_what_is_missing() {
    let config = place::new();
    let warehouse = process(&config).await;
    let wrong = |found: Vec<(String, Result<(), String>)>| -> Vec<String> {
        found.into_iter().filter_map(|(what, result)| result.err().map(|_| what)).collect()
    };
    let found = wrong(warehouse.examine().await);
    assert_eq!(found, [format!("BigQuery dataset {}.{}", config.project, config.dataset)]);
    let (last, first) = schema::base_tables().split_last().unwrap();
    for table in first {
        warehouse.ensure(table).await.unwrap();
    }
    assert_eq!(wrong(warehouse.examine().await), [format!("BigQuery table {}", last.id())]);
    warehouse.ensure(last).await.unwrap();
    let found = warehouse.examine().await;
    assert_eq!(found.len(), 6, "{found:?}");
    assert_eq!(wrong(found), [""; 0]);
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable() {
    let mut config = place::new();
    config.endpoints.bigquery = Some("http://127.0.0.1:9".to_owned());
    config.endpoints.bigquery_storage = Some("http://127.0.0.1:9".to_owned());
    let warehouse = process(&config).await;
    let table = numbers("away", &[]);
    let rows = [row(&table, "a", json!({}))];
    let (ensured, counted, appended) = tokio::join!(
        warehouse.ensure(&table),
        warehouse.count(&table, false),
        warehouse.append(&table, &rows),
    );
    for error in [ensured.unwrap_err(), counted.unwrap_err(), appended.unwrap_err()] {
        assert!(matches!(error, PortError::Unavailable { .. }), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_rows_land() {
    const BATCHES: u32 = 40;
    const BATCH: u32 = 500;
    let backend = place::backend().await;
    let warehouse = backend.warehouse;
    let messages = schema::base_table("messages").unwrap();
    warehouse.ensure(messages).await.unwrap();
    let batch: Vec<Row> = (0..BATCH)
        .map(|number| {
            let row = json!({
                "message_id": format!("msg_{number:08}"), "task_id": "tsk_1", "direction": "in",
                "conversation_id": "cnv_1", "state": "received", "text": "我要請假三天",
                "content": {"text": "我要請假三天"}, "received_at": at(0), "at": at(0),
            });
            self::row(messages, &format!("evt_{number}"), row)
        })
        .collect();
    let began = Instant::now();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..BATCHES {
        let (warehouse, batch) = (warehouse.clone(), batch.clone());
        callers.spawn(async move { warehouse.append(messages, &batch).await.unwrap() });
    }
    for refused in callers.join_all().await {
        assert_eq!(refused, []);
    }
    let seconds = began.elapsed().as_secs_f64();
    let rows = BATCHES * BATCH;
    eprintln!("{rows} rows in batches of {BATCH}: {:.0} rows/s", f64::from(rows) / seconds);
    assert_eq!(warehouse.count(messages, false).await.unwrap(), u64::from(rows));
    assert_eq!(warehouse.count(messages, true).await.unwrap(), u64::from(BATCH));
}
