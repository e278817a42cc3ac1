//! `Warehouse`: tables that only grow, views of what is current, rows that do not fit.

use ports::{PAGE_MAX, Page, PortError, QuarantinedRow};
use schema::{Row, Table, convert, with_meta};
use serde_json::{Map, Value, json};

use crate::backend::Backend;
use crate::check::assert_error;
use crate::queries::all_pages;
use crate::sample::at;

/// A table `id` of leave requests with a primary key and these columns more: name, type, mode.
pub(crate) fn table(id: &str, more: &[(&str, &str, &str)]) -> Table {
    let mut fields = vec![
        json!({"name": "request", "type": "STRING", "mode": "REQUIRED"}),
        json!({"name": "days", "type": "INT64", "mode": "NULLABLE"}),
        json!({"name": "hours", "type": "FLOAT64", "mode": "NULLABLE"}),
        json!({"name": "paid", "type": "BOOL", "mode": "NULLABLE"}),
        json!({"name": "start", "type": "DATE", "mode": "NULLABLE"}),
        json!({"name": "details", "type": "JSON", "mode": "NULLABLE"}),
        json!({"name": "tags", "type": "STRING", "mode": "REPEATED"}),
    ];
    for (name, field_type, mode) in more {
        fields.push(json!({"name": name, "type": field_type, "mode": mode}));
    }
    let document = json!({
        "tableReference": {"tableId": id},
        "schema": {"fields": fields},
        "tableConstraints": {"primaryKey": {"columns": ["request"]}},
    });
    match Table::parse_user(&document) {
        Ok(table) => table,
        Err(problems) => panic!("{problems}"),
    }
}

fn leaves() -> Table {
    table("leaves", &[])
}

fn row(table: &Table, request: &str, sequence: u64, more: Value) -> Row {
    let mut row = Map::from_iter([
        ("request".to_owned(), json!(request)),
        ("event_id".to_owned(), json!(format!("evt_{request}_{sequence}"))),
        ("sequence".to_owned(), json!(sequence)),
        ("landed_at".to_owned(), json!(at(0))),
    ]);
    if let Value::Object(more) = more {
        row.extend(more);
    }
    match convert(&with_meta(table.clone()), &row) {
        Ok(row) => row,
        Err(problems) => panic!("{problems:?}"),
    }
}

async fn read(
    backend: &Backend,
    table: &Table,
    current: bool,
    limit: usize,
) -> Vec<Map<String, Value>> {
    all_pages(limit, async |page| backend.warehouse.rows(table, current, &page).await.unwrap())
        .await
}

fn column(rows: &[Map<String, Value>], name: &str) -> Vec<Value> {
    rows.iter().map(|row| row.get(name).cloned().unwrap_or_default()).collect()
}

/// "Makes the table and its `_current` view": again and again, with no other effect.
pub async fn ensuring_is_idempotent(backend: Backend) {
    let table = leaves();
    for round in 0..3_u64 {
        backend.warehouse.ensure(&table).await.unwrap();
        let refused =
            backend.warehouse.append(&table, &[row(&table, "a", round, json!({}))]).await.unwrap();
        assert_eq!(refused, []);
    }
    assert_eq!(backend.warehouse.count(&table, false).await.unwrap(), 3);
    assert_eq!(backend.warehouse.count(&table, true).await.unwrap(), 1);
    let empty = self::table("bookings", &[]);
    backend.warehouse.ensure(&empty).await.unwrap();
    assert_eq!(backend.warehouse.count(&empty, false).await.unwrap(), 0, "a table of its own");
    assert!(read(&backend, &empty, true, 10).await.is_empty());
}

/// Every base table of Chatflow can be made.
pub async fn base_tables_are_made(backend: Backend) {
    for table in schema::base_tables() {
        backend.warehouse.ensure(table).await.unwrap();
        assert_eq!(backend.warehouse.count(table, false).await.unwrap(), 0, "{}", table.id());
        assert_eq!(backend.warehouse.count(table, true).await.unwrap(), 0, "{}", table.id());
    }
}

/// "Rows as JSON in the order they landed", with every type as it was converted.
pub async fn rows_come_back_as_they_landed(backend: Backend) {
    let table = leaves();
    backend.warehouse.ensure(&table).await.unwrap();
    let full = json!({
        "days": i64::MAX, "hours": 0.5, "paid": true, "start": "2026-11-30",
        "details": {"z": [1, {"請假": null}], "a": "\0 '\" 😀"}, "tags": ["b", "a", "三"],
    });
    let rows = [
        row(&table, "b", 1, full),
        row(&table, "a", 1, json!({})),
        row(&table, "c'; DROP TABLE leaves; --", 1, json!({"days": -1, "paid": false})),
    ];
    // Twice: in one batch, and each by itself.
    let mut expected: Vec<Map<String, Value>> = Vec::new();
    assert_eq!(backend.warehouse.append(&table, &rows).await.unwrap(), []);
    expected.extend(rows.iter().map(Row::to_json));
    for row in &rows {
        let one = std::slice::from_ref(row);
        assert_eq!(backend.warehouse.append(&table, one).await.unwrap(), []);
        expected.push(row.to_json());
    }
    assert_eq!(backend.warehouse.append(&table, &[]).await.unwrap(), []);
    for limit in [1, 4, PAGE_MAX] {
        assert_eq!(read(&backend, &table, false, limit).await, expected, "{limit} at a time");
    }
    assert_eq!(backend.warehouse.count(&table, false).await.unwrap(), 6);
}

/// The meta columns belong to the table whether or not the schema at hand names them.
pub async fn meta_columns_need_not_be_named(backend: Backend) {
    let (plain, full) = (leaves(), with_meta(leaves()));
    backend.warehouse.ensure(&plain).await.unwrap();
    backend.warehouse.ensure(&full).await.unwrap();
    for (sequence, table) in [&plain, &full].into_iter().enumerate() {
        let row = row(&plain, "a", sequence as u64, json!({}));
        assert_eq!(backend.warehouse.append(table, &[row]).await.unwrap(), []);
    }
    assert_eq!(read(&backend, &plain, false, 10).await, read(&backend, &full, false, 10).await);
    assert_eq!(backend.warehouse.count(&full, false).await.unwrap(), 2);
}

/// "Adds the columns that are new"; the rows there are have no value in them.
pub async fn new_columns_are_added(backend: Backend) {
    let old = leaves();
    backend.warehouse.ensure(&old).await.unwrap();
    let first = row(&old, "a", 1, json!({"days": 3}));
    backend.warehouse.append(&old, &[first]).await.unwrap();
    let new = table("leaves", &[("note", "STRING", "NULLABLE"), ("places", "STRING", "REPEATED")]);
    backend.warehouse.ensure(&new).await.unwrap();
    backend.warehouse.ensure(&new).await.unwrap();
    let second = row(&new, "b", 1, json!({"note": "特休", "places": ["台北"]}));
    assert_eq!(backend.warehouse.append(&new, &[second]).await.unwrap(), []);
    for current in [false, true] {
        let rows = read(&backend, &new, current, 10).await;
        let mut notes = column(&rows, "note");
        notes.sort_by_key(Value::to_string);
        assert_eq!(notes, [json!("特休"), Value::Null], "current: {current}");
        let days: Vec<Value> = column(&rows, "days");
        assert!(days.contains(&json!(3)), "the old row has kept its values");
    }
}

/// A change that landed rows do not fit is refused and changes nothing.
pub async fn a_refused_change_changes_nothing(backend: Backend) {
    let old = table("leaves", &[("note", "STRING", "NULLABLE")]);
    backend.warehouse.ensure(&old).await.unwrap();
    backend.warehouse.append(&old, &[row(&old, "a", 1, json!({"note": "x"}))]).await.unwrap();
    let refused = [
        table("leaves", &[]),
        table("leaves", &[("note", "INT64", "NULLABLE")]),
        table("leaves", &[("note", "STRING", "REQUIRED")]),
        table("leaves", &[("note", "STRING", "REPEATED")]),
        // One part of it would be allowed.
        table("leaves", &[("extra", "STRING", "NULLABLE"), ("note", "DATE", "NULLABLE")]),
    ];
    for table in &refused {
        assert_error!(backend.warehouse.ensure(table).await, PortError::Invalid { .. });
    }
    let next = row(&old, "b", 1, json!({"note": "y"}));
    assert_eq!(backend.warehouse.append(&old, &[next]).await.unwrap(), []);
    let rows = read(&backend, &old, false, 10).await;
    assert_eq!(column(&rows, "note"), [json!("x"), json!("y")]);
    assert!(rows.iter().all(|row| !row.contains_key("extra")));
}

/// "Those that are refused do not keep the others from landing."
pub async fn refused_rows_stand_alone(backend: Backend) {
    let stored = table("leaves", &[("note", "INT64", "REQUIRED")]);
    backend.warehouse.ensure(&stored).await.unwrap();
    // Rows that were converted by another version of the schema.
    let lax = table("leaves", &[("note", "INT64", "NULLABLE")]);
    let rows = [
        row(&stored, "a", 1, json!({"note": 1})),
        row(&lax, "b", 1, json!({})),
        row(&stored, "c", 1, json!({"note": 3})),
        row(&lax, "d", 1, json!({"note": null})),
    ];
    let refused = backend.warehouse.append(&stored, &rows).await.unwrap();
    let places: Vec<usize> = refused.iter().map(|row| row.index).collect();
    assert_eq!(places, [1, 3]);
    assert!(refused.iter().all(|row| !row.reason.is_empty()), "each says why");
    let landed = read(&backend, &stored, false, 10).await;
    assert_eq!(column(&landed, "request"), [json!("a"), json!("c")]);
}

/// "With `current` the newest per key": the greatest sequence, whatever order rows landed in and
/// however often.
pub async fn the_current_view_has_one_row_per_key(backend: Backend) {
    let table = leaves();
    backend.warehouse.ensure(&table).await.unwrap();
    let sequences = [("a", 1), ("b", 2), ("a", 3), ("a", 2), ("b", 1), ("a", 3), ("c", 10)];
    let rows: Vec<Row> = sequences
        .iter()
        .map(|(request, sequence)| row(&table, request, *sequence, json!({"days": sequence})))
        .collect();
    for batch in rows.chunks(2) {
        assert_eq!(backend.warehouse.append(&table, batch).await.unwrap(), []);
    }
    for limit in [1, 2, PAGE_MAX] {
        let mut current: Vec<(String, Value, Value)> = read(&backend, &table, true, limit)
            .await
            .into_iter()
            .map(|row| (row["request"].to_string(), row["sequence"].clone(), row["days"].clone()))
            .collect();
        current.sort_by(|one, other| one.0.cmp(&other.0));
        let expected = [("\"a\"", 3), ("\"b\"", 2), ("\"c\"", 10)]
            .map(|(request, number)| (request.to_owned(), json!(number), json!(number)));
        assert_eq!(current, expected, "{limit} at a time");
    }
    assert_eq!(backend.warehouse.count(&table, true).await.unwrap(), 3);
    assert_eq!(backend.warehouse.count(&table, false).await.unwrap(), 7);
}

/// A table without a primary key: a row that was delivered twice still counts once.
pub async fn a_table_without_a_key_counts_deliveries_once(backend: Backend) {
    let mut table = leaves();
    table.table_constraints = None;
    backend.warehouse.ensure(&table).await.unwrap();
    let one = row(&table, "a", 1, json!({}));
    let rows = [one.clone(), one, row(&table, "a", 2, json!({}))];
    assert_eq!(backend.warehouse.append(&table, &rows).await.unwrap(), []);
    assert_eq!(backend.warehouse.count(&table, false).await.unwrap(), 3);
    assert_eq!(backend.warehouse.count(&table, true).await.unwrap(), 2);
}

/// Rows that land while somebody reads neither repeat nor hide those that were there.
pub async fn pages_hold_while_rows_land(backend: Backend) {
    let table = leaves();
    backend.warehouse.ensure(&table).await.unwrap();
    let rows: Vec<Row> =
        (0..20).map(|number| row(&table, &format!("there-{number:02}"), 1, json!({}))).collect();
    backend.warehouse.append(&table, &rows).await.unwrap();
    let mut pages = 0;
    let found = all_pages(3, async |page| {
        let found = backend.warehouse.rows(&table, false, &page).await.unwrap();
        pages += 1;
        if pages <= 5 {
            let late = row(&table, &format!("late-{pages}"), 1, json!({}));
            backend.warehouse.append(&table, &[late]).await.unwrap();
        }
        found
    })
    .await;
    let requests = column(&found, "request");
    let there: Vec<&Value> = requests
        .iter()
        .filter(|request| request.as_str().is_some_and(|text| text.starts_with("there")))
        .collect();
    let expected: Vec<Value> = (0..20).map(|number| json!(format!("there-{number:02}"))).collect();
    assert_eq!(there, expected.iter().collect::<Vec<_>>());
    let distinct: std::collections::BTreeSet<_> = requests.iter().map(Value::to_string).collect();
    assert_eq!(distinct.len(), requests.len(), "none twice");
}

/// Cursors come from outside: one that no page gave is `Invalid`.
pub async fn a_malformed_warehouse_cursor_is_invalid(backend: Backend) {
    let table = leaves();
    backend.warehouse.ensure(&table).await.unwrap();
    backend.warehouse.append(&table, &[row(&table, "a", 1, json!({}))]).await.unwrap();
    for cursor in ["!", "x", "null", "請假", "\0", "'; DROP TABLE leaves; --"] {
        let page = Page { limit: 2, cursor: Some(cursor.to_owned()) };
        for current in [false, true] {
            let rows = backend.warehouse.rows(&table, current, &page).await;
            assert_error!(rows, PortError::Invalid { .. });
        }
        let quarantined = backend.warehouse.quarantined("leaves", &page).await;
        assert_error!(quarantined, PortError::Invalid { .. });
    }
}

fn quarantined(id: &str, table: &str, second: i64) -> QuarantinedRow {
    QuarantinedRow {
        id: id.into(),
        table: table.into(),
        row: Map::from_iter([("days".to_owned(), json!({"z": "三", "a": [null, "\0"]}))]),
        reasons: vec!["days: a list – give a whole number".into(), "request: 缺".into()],
        at: at(second),
    }
}

async fn quarantine_of(backend: &Backend, table: &str, limit: usize) -> Vec<QuarantinedRow> {
    all_pages(limit, async |page| backend.warehouse.quarantined(table, &page).await.unwrap()).await
}

/// "Keeps a row that does not fit"; "rows that do not fit, oldest first".
pub async fn quarantine_keeps_rows(backend: Backend) {
    assert_eq!(quarantine_of(&backend, "leaves", 10).await, []);
    backend.warehouse.quarantine(&[]).await.unwrap();
    let order = [4, 0, 3, 1, 2, 2, 2];
    let rows: Vec<QuarantinedRow> = order
        .iter()
        .enumerate()
        .map(|(number, second)| quarantined(&format!("row_{number}"), "leaves", *second))
        .chain([quarantined("row_other", "bookings", 0)])
        .collect();
    backend.warehouse.quarantine(&rows).await.unwrap();
    for limit in [1, 2, PAGE_MAX] {
        let found = quarantine_of(&backend, "leaves", limit).await;
        let times: Vec<_> = found.iter().map(|row| row.at).collect();
        assert_eq!(times, [0, 1, 2, 2, 2, 3, 4].map(at), "{limit} at a time");
        for row in &found {
            assert!(rows.contains(row), "as it was kept: {row:?}");
        }
        let mut ids: Vec<_> = found.into_iter().map(|row| row.id).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 7, "each once, {limit} at a time");
    }
    let other = quarantine_of(&backend, "bookings", 10).await;
    assert_eq!(other, [quarantined("row_other", "bookings", 0)]);
}

/// "Writing the same id again replaces it"; "removes rows from quarantine, after they landed".
pub async fn quarantined_rows_are_replaced_and_released(backend: Backend) {
    let warehouse = &backend.warehouse;
    let rows = [quarantined("row_1", "leaves", 1), quarantined("row_2", "leaves", 2)];
    warehouse.quarantine(&rows).await.unwrap();
    let again = QuarantinedRow { reasons: vec!["other".into()], ..rows[0].clone() };
    warehouse.quarantine(std::slice::from_ref(&again)).await.unwrap();
    assert_eq!(quarantine_of(&backend, "leaves", 10).await, [again, rows[1].clone()]);
    warehouse.release(&["row_1".into(), "row_none".into()]).await.unwrap();
    assert_eq!(quarantine_of(&backend, "leaves", 10).await, [rows[1].clone()]);
    warehouse.release(&["row_1".into()]).await.unwrap();
    warehouse.release(&[]).await.unwrap();
    warehouse.release(&["row_2".into()]).await.unwrap();
    assert_eq!(quarantine_of(&backend, "leaves", 10).await, []);
}
