//! Rows in the warehouse: what lands, what is quarantined, what the current views show.

use backend_sqlite::DeliveryMode;
use it::TestApp;
use ports::{Envelope, Topic};
use runtime::jobs::{LandJob, LandingRow, seal};
use serde_json::{Value, json};

use crate::bench::{Bench, How};
use crate::talk::{GREET, id, items, open_demo, put, start, tell};

/// A table of orders; `more` are further columns.
fn orders(more: &[Value]) -> Value {
    let mut fields = vec![
        json!({ "name": "order_id", "type": "STRING", "mode": "REQUIRED" }),
        json!({ "name": "amount", "type": "INT64", "mode": "NULLABLE" }),
        json!({ "name": "day", "type": "DATE", "mode": "NULLABLE" }),
    ];
    fields.extend(more.iter().cloned());
    json!({
        "tableReference": { "tableId": "orders" },
        "schema": { "fields": fields },
        "tableConstraints": { "primaryKey": { "columns": ["order_id"] } },
    })
}

/// Records what it is given.
const SELL: &str = r#"
flow: sell
vars: {order: {type: string}, amount: {type: any}}
start: note
steps:
  note: {type: record, table: orders, row: {order_id: "{{ order }}", amount: "{{ amount }}", day: "{{ today() }}"}, next: done}
  done: {type: end}
"#;

async fn selling() -> TestApp {
    let app = TestApp::empty().await;
    let made = put(&app, "/v1/tables/orders", orders(&[])).await;
    assert_eq!(made.status, 200, "{}", made.text);
    app.publish(SELL).await;
    app
}

async fn sell(app: &TestApp, order: &str, amount: Value) -> Value {
    start(app, "sell", "ann", json!({ "order": order, "amount": amount })).await
}

/// The rows of a table, all or the current ones.
async fn rows(app: &TestApp, table: &str, current: bool) -> Vec<Value> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/tables/{table}/rows?current={current}&limit=200{cursor}");
        let page = app.get(&path).await;
        all.extend_from_slice(items(&page));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

#[tokio::test]
async fn a_record_lands_as_a_row_and_the_newest_of_its_key_is_current() {
    let app = selling().await;
    sell(&app, "A-1", json!(10)).await;
    sell(&app, "A-2", json!("20")).await;
    let last = sell(&app, "A-1", json!(11)).await;
    let all = rows(&app, "orders", false).await;
    assert_eq!(all.len(), 3);
    let current = rows(&app, "orders", true).await;
    let mut seen: Vec<(&str, i64)> = current
        .iter()
        .map(|row| (row["order_id"].as_str().unwrap(), row["amount"].as_i64().unwrap()))
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, [("A-1", 11), ("A-2", 20)]);
    let newest = current.iter().find(|row| row["order_id"] == "A-1").unwrap();
    let today = app.server().app.now().format("%Y-%m-%d").to_string();
    assert_eq!(newest["day"], today);
    // The row names the event that caused it, as the rows of its task do.
    let tasks = rows(&app, "tasks", false).await;
    let cause = tasks.iter().find(|row| row["task_id"] == last["id"]).unwrap();
    assert_eq!(newest["event_id"], cause["event_id"]);
    assert!(newest["landed_at"].is_string(), "{newest}");
    app.finish().await;
}

#[tokio::test]
async fn a_row_that_does_not_fit_is_kept_with_its_reasons() {
    let app = selling().await;
    sell(&app, "A-1", json!("a lot")).await;
    sell(&app, "A-2", json!(2)).await;
    assert_eq!(rows(&app, "orders", false).await.len(), 1, "the others land all the same");
    let kept = app.get("/v1/tables/orders/quarantine").await;
    let [row] = items(&kept) else { panic!("{kept}") };
    assert_eq!((&row["row"]["order_id"], &row["row"]["amount"]), (&json!("A-1"), &json!("a lot")));
    assert_eq!(
        row["reasons"],
        json!([
            "amount: INT64 takes a whole number such as 12; the row has text of another form; \
                give a whole number such as 12"
        ])
    );
    let again = app.post("/v1/tables/orders/replay", json!({})).await;
    assert_eq!(again.body, json!({ "landed": 0, "kept": 1 }));
    assert_eq!(items(&app.get("/v1/tables/orders/quarantine").await).len(), 1);
    app.finish().await;
}

#[tokio::test]
async fn rows_that_came_before_their_column_are_replayed_when_it_is_there() {
    let app = selling().await;
    let row = |number: usize| LandingRow {
        id: format!("row_{number}"),
        table: "orders".into(),
        row: json!({
            "order_id": format!("B-{number}"), "colour": "red", "event_id": "evt_1",
            "sequence": number,
        })
        .as_object()
        .cloned()
        .unwrap(),
    };
    let job = LandJob { rows: (0..5).map(row).collect() };
    let envelope = seal(Topic::Landing, "land/test", "test", &job).unwrap();
    app.server().app.bus().publish(&[envelope]).await.unwrap();
    app.settle().await;
    assert_eq!(rows(&app, "orders", false).await.len(), 0);
    let kept = app.get("/v1/tables/orders/quarantine").await;
    assert_eq!(items(&kept).len(), 5);
    let reason = "colour: the table has no such column; remove it, or add the column to the table";
    assert_eq!(items(&kept)[0]["reasons"], json!([reason]));

    let colour = json!({ "name": "colour", "type": "STRING", "mode": "NULLABLE" });
    let plan = app.post("/v1/tables/orders/plan", orders(std::slice::from_ref(&colour))).await;
    assert_eq!(plan.body["allowed"], true, "{}", plan.text);
    assert_eq!(put(&app, "/v1/tables/orders", orders(&[colour])).await.status, 200);
    let again = app.post("/v1/tables/orders/replay", json!({})).await;
    assert_eq!(again.body, json!({ "landed": 5, "kept": 0 }));
    let landed = rows(&app, "orders", true).await;
    assert_eq!(landed.len(), 5);
    assert!(landed.iter().all(|row| row["colour"] == "red"), "{landed:?}");
    assert_eq!(items(&app.get("/v1/tables/orders/quarantine").await).len(), 0);
    let again = app.post("/v1/tables/orders/replay", json!({})).await;
    assert_eq!(again.body, json!({ "landed": 0, "kept": 0 }));
    app.finish().await;
}

#[tokio::test]
async fn rows_of_a_table_that_is_not_there_wait_for_it() {
    let app = TestApp::empty().await;
    let row = json!({ "order_id": "C-1", "event_id": "evt_1", "sequence": 1 });
    let row = LandingRow {
        id: "row_1".into(),
        table: "orders".into(),
        row: row.as_object().cloned().unwrap(),
    };
    let job = LandJob { rows: vec![row] };
    let envelope = seal(Topic::Landing, "land/test", "test", &job).unwrap();
    app.server().app.bus().publish(&[envelope]).await.unwrap();
    app.settle().await;
    assert_eq!(app.post("/v1/tables/orders/replay", json!({})).await.status, 404);
    assert_eq!(put(&app, "/v1/tables/orders", orders(&[])).await.status, 200);
    let again = app.post("/v1/tables/orders/replay", json!({})).await;
    assert_eq!(again.body, json!({ "landed": 1, "kept": 0 }));
    app.finish().await;
}

#[tokio::test]
async fn what_cannot_land_keeps_nothing_beside_it_from_landing() {
    let mut app = selling().await;
    app.expect_failures();
    let row = |number: usize| {
        let row = json!({ "order_id": format!("D-{number}"), "event_id": "evt", "sequence": 1 });
        let row = row.as_object().cloned().unwrap();
        LandJob {
            rows: vec![LandingRow { id: format!("row_{number}"), table: "orders".into(), row }],
        }
    };
    let mut envelopes: Vec<Envelope> = (0..400)
        .map(|n| seal(Topic::Landing, format!("land/{n}"), format!("key/{}", n % 7), &row(n)))
        .collect::<Result<_, _>>()
        .unwrap();
    // Published at once, they are fetched at once, and would land together.
    envelopes[13].body = "not what it should be".into();
    app.server().app.bus().publish(&envelopes).await.unwrap();
    app.settle().await;
    let landed = rows(&app, "orders", true).await;
    assert_eq!(landed.len(), 399);
    assert!(landed.iter().all(|row| row["order_id"] != "D-13"));
    let failures = app.get("/v1/failures").await;
    let [failure] = items(&failures) else { panic!("{failures}") };
    assert_eq!(failure["kind"], "dead_letter");
    assert!(failure["reason"].as_str().unwrap().contains("cannot be read"), "{failure}");
    app.finish().await;
}

/// Compares fields that the API and the warehouse both have.
fn same(api: &Value, row: &Value, fields: &[(&str, &str)]) {
    for (pointer, column) in fields {
        let value = api.pointer(pointer).cloned().unwrap_or_default();
        assert_eq!(plain(&value), plain(&row[*column]), "{pointer} in\n{api}\n{row}");
    }
}

/// Times are compared as times, for one side writes more digits.
fn plain(value: &Value) -> Value {
    let time = value.as_str().and_then(|text| chrono::DateTime::parse_from_rfc3339(text).ok());
    time.map_or_else(|| value.clone(), |time| json!(time.timestamp_micros()))
}

/// Fields of a task in the API, and their columns.
const OF_TASK: [(&str, &str); 19] = [
    ("/sequence", "sequence"),
    ("/flow", "flow"),
    ("/version", "version"),
    ("/status", "status"),
    ("/step", "step"),
    ("/waiting_for", "waiting_for"),
    ("/label", "label"),
    ("/contact/id", "contact_id"),
    ("/contact/name", "contact_name"),
    ("/conversation", "conversation_id"),
    ("/connection", "connection"),
    ("/queue", "queue"),
    ("/outcome", "outcome"),
    ("/error", "error"),
    ("/vars", "vars"),
    ("/result", "result"),
    ("/created_at", "created_at"),
    ("/updated_at", "updated_at"),
    ("/ended_at", "ended_at"),
];

/// Fields of an entry of a history, and their columns.
const OF_ENTRY: [(&str, &str); 7] = [
    ("/sequence", "sequence"),
    ("/event/id", "event_id"),
    ("/event/body", "event"),
    ("/at", "at"),
    ("/steps", "steps"),
    ("/vars_changed", "vars_changed"),
    ("/effects", "effects"),
];

/// Fields of a message, and their columns.
const OF_MESSAGE: [(&str, &str); 12] = [
    ("/task", "task_id"),
    ("/conversation", "conversation_id"),
    ("/state", "state"),
    ("/connection", "connection"),
    ("/contact", "contact_id"),
    ("/direction", "direction"),
    ("/sender/kind", "sender"),
    ("/content/text", "text"),
    ("/content", "content"),
    ("/external_id", "external_id"),
    ("/rule", "rule"),
    ("/error", "error"),
];

#[tokio::test]
async fn the_warehouse_tells_what_the_api_tells() {
    let app = TestApp::demo().await;
    for (contact, texts) in [
        ("mei", ["請假", "明天", "2", "/tasks"]),
        ("ann", ["hello", "hotel", "in Tainan, two nights", "that's all"]),
        ("bob", ["help", "it is broken", "taxi", "/cancel"]),
    ] {
        for text in texts {
            app.say(contact, text).await;
        }
    }
    tasks_are_the_same(&app).await;
    messages_are_the_same(&app).await;
    app.finish().await;
}

async fn tasks_are_the_same(app: &TestApp) {
    let tasks = app.get("/v1/tasks?limit=200").await;
    let landed = rows(app, "tasks", true).await;
    let transitions = rows(app, "history", false).await;
    assert_eq!(landed.len(), items(&tasks).len());
    for listed in items(&tasks) {
        let row = landed.iter().find(|row| row["task_id"] == listed["id"]).expect("it landed");
        same(listed, row, &OF_TASK);
        let path = format!("/v1/tasks/{}/history?limit=1000", id(listed));
        let history = app.get(&path).await;
        let mut of_task: Vec<&Value> =
            transitions.iter().filter(|row| row["task_id"] == listed["id"]).collect();
        of_task.sort_by_key(|row| row["sequence"].as_i64());
        assert_eq!(of_task.len(), items(&history).len());
        for (entry, row) in items(&history).iter().zip(of_task) {
            same(entry, row, &OF_ENTRY);
        }
    }
}

async fn messages_are_the_same(app: &TestApp) {
    let messages = app.get("/v1/messages?limit=1000").await;
    let landed = rows(app, "messages", true).await;
    assert_eq!(landed.len(), items(&messages).len());
    for listed in items(&messages) {
        let row = landed.iter().find(|row| row["message_id"] == listed["id"]).expect("it landed");
        same(listed, row, &OF_MESSAGE);
        for reached in listed["states"].as_array().unwrap() {
            let column = format!("{}_at", reached["state"].as_str().unwrap());
            same(reached, row, &[("/at", column.as_str())]);
        }
    }
}

#[tokio::test]
async fn every_version_of_a_task_is_a_row_and_one_is_current() {
    let app = TestApp::empty().await;
    app.publish(GREET).await;
    open_demo(&app, json!({})).await;
    let begun = start(&app, "greet", "ann", json!({})).await;
    tell(&app, id(&begun), "Ann").await;
    tell(&app, id(&begun), "40").await;
    let all = rows(&app, "tasks", false).await;
    let mut numbers: Vec<i64> = all.iter().map(|row| row["sequence"].as_i64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3]);
    let [current] = <[Value; 1]>::try_from(rows(&app, "tasks", true).await).unwrap();
    assert_eq!((&current["sequence"], &current["status"]), (&json!(3), &json!("completed")));
    app.finish().await;
}

#[tokio::test]
async fn what_lands_three_times_is_current_once() {
    let how = How { times: 3, seed: 9, ..How::default() };
    let mut bench = Bench::new(how, &[GREET]).await;
    for (number, text) in ["hello", "Ann", "40"].iter().enumerate() {
        bench.hear("ann", &format!("m{number}"), text).await;
        bench.settle().await;
    }
    for (table, rows) in [("tasks", 1), ("messages", 6), ("history", 3)] {
        assert_eq!(bench.current(table).await.len(), rows, "{table}");
        let table = runtime::land::table(&bench.app, table).await.unwrap().unwrap();
        let all = bench.app.warehouse().count(&table, false).await.unwrap();
        assert!(all >= 3 * rows as u64, "at least once: {all}");
    }
}

#[tokio::test]
async fn the_sweeper_publishes_what_a_crash_left() {
    let rates = ports_contract::Rates { crash: 1_000, ..ports_contract::Rates::NONE };
    let how = How { mode: DeliveryMode::Published, rates, ..How::default() };
    let mut bench = Bench::new(how, &[GREET]).await;
    // Every commit is followed by a crash: nothing is published but what was accepted.
    bench.hear("ann", "m0", "hello").await;
    let accepted = bench.deliveries.after(0, 10).await.unwrap();
    bench.handle_once(&accepted[0].envelope).await;
    assert!(bench.unpublished().await >= 2, "a reply and rows wait in the outbox");
    assert_eq!(bench.deliveries.after(0, 10).await.unwrap().len(), 1);
    assert_eq!(bench.current("tasks").await.len(), 0);
    bench.settle().await;
    assert_eq!(bench.unpublished().await, 0);
    assert_eq!((bench.current("tasks").await.len(), bench.current("messages").await.len()), (1, 2));
    assert!(bench.faults() > 0);
    // Sweeping what is swept does nothing.
    assert_eq!(bench.sweep().await, 0);
}
