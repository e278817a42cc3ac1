//! Every kind of damage is found, by its kind and its place; and nothing is where nothing is wrong.

use backend_sqlite::{Aspect, FINDINGS_MAX, VERSION, VerifyError};
use runtime::stored::Written;

use crate::copies::tear;
use crate::{damaged, fixture, verify};

/// Damages a file by a statement; the finding must be there, and none but those of `kinds`.
fn finds(sql: &str, problem: &str, kinds: &[Aspect]) {
    let (_directory, path) = damaged(sql);
    let report = verify(&path);
    let all = &report.findings;
    let found = all.iter().find(|finding| finding.problem.contains(problem));
    let found = found.unwrap_or_else(|| panic!("{sql}: nothing says `{problem}`: {all:#?}"));
    assert_eq!(found.aspect, kinds[0], "{sql}: {all:#?}");
    let others: Vec<_> = report.counts.keys().filter(|aspect| !kinds.contains(aspect)).collect();
    assert!(others.is_empty(), "{sql}: {others:?}: {all:#?}");
    assert!(!found.place.is_empty() && !found.aspect.fix().is_empty());
}

const ONE_TASK: &str = "SELECT id FROM tasks WHERE contact = 'mei'";

#[test]
fn documents_and_columns() {
    use Aspect::{Column, Conversation, Document, Landing, Lost, Reference, Search};
    for table in ["tasks", "messages", "conversations", "history"] {
        finds(
            &format!(
                "UPDATE {table} SET document = '{{' WHERE rowid IN \
                      (SELECT MIN(rowid) FROM {table})"
            ),
            "does not read back at line 1",
            &[Document, Conversation],
        );
    }
    for table in ["config", "failures", "drafts", "flow_versions", "landed_tables"] {
        let sql = format!("UPDATE {table} SET document = '{{}}'");
        finds(&sql, "does not read back", &[Document, Aspect::Warehouse]);
    }
    for (sql, column) in [
        ("UPDATE tasks SET contact_name = 'x'", "`contact_name`"),
        ("UPDATE tasks SET queue = 'x' WHERE contact = 'mei'", "`queue`"),
        ("UPDATE tasks SET waiting_for = NULL WHERE contact = 'mei'", "`waiting_for`"),
        ("UPDATE tasks SET updated_at = updated_at + 1", "`updated_at`"),
        ("UPDATE messages SET contact = 'x'", "`contact`"),
        ("UPDATE messages SET text_digest = 1", "`text_digest`"),
        ("UPDATE conversations SET contact = 'x'", "`contact`"),
        ("UPDATE failures SET state = 'x'", "`state`"),
        ("UPDATE drafts SET updated_at = 1", "`updated_at`"),
        ("UPDATE config SET id = 'x' WHERE kind = 'key'", "`id`"),
    ] {
        finds(sql, column, &[Column]);
    }
    finds(
        "UPDATE messages SET seq = 5 WHERE seq IN (SELECT MIN(seq) FROM messages)",
        "its key `seq` is not made of its time of creation",
        &[Column, Search],
    );
    finds("UPDATE config SET kind = 'wish' WHERE kind = 'key'", "no such kind", &[Document]);
    // Another id is another thing: what named the first finds nothing.
    finds(
        "UPDATE messages SET id = 'msg_x' WHERE state = 'queued'",
        "`id`",
        &[Column, Landing, Lost, Reference],
    );
}

#[test]
fn counters_and_references() {
    use Aspect::{Conversation, Count, Landing, Lost, Reference, Search};
    finds("UPDATE task_counts SET tasks = tasks + 1", "the counter says", &[Count]);
    finds("DELETE FROM task_counts WHERE flow = 'party'", "the counter says 0", &[Count]);
    finds(
        "DELETE FROM flow_versions WHERE flow = 'party'",
        "version 1 of flow party",
        &[Reference],
    );
    finds("DELETE FROM live_flows WHERE flow = 'party'", "none of them is live", &[Reference]);
    finds(
        "DELETE FROM tasks WHERE flow = 'errand' AND status = 'completed'",
        "the task is not there",
        &[Reference, Count, Landing, Search],
    );
    finds(
        &format!("DELETE FROM tasks WHERE id IN ({ONE_TASK})"),
        "is open and not there",
        &[Conversation, Reference, Count, Landing, Search],
    );
    finds(
        "DELETE FROM conversations WHERE contact = 'mei'",
        "its conversation conv_",
        &[Reference],
    );
    finds(
        "DELETE FROM messages WHERE state = 'queued'",
        "which is not there",
        &[Reference, Landing, Search, Lost],
    );
}

#[test]
fn histories() {
    use Aspect::{History, Landing, Lost};
    let bob = "(SELECT id FROM tasks WHERE contact = 'bob' AND flow = 'leave-request')";
    let first = format!("DELETE FROM history WHERE sequence = 1 AND task IN {bob}");
    finds(&first, "it comes after 0; 1 is missing", &[History, Landing]);
    let last = format!(
        "DELETE FROM history WHERE seq IN (SELECT MAX(seq) FROM history WHERE task IN {bob})"
    );
    finds(&last, "and its history ends at", &[History, Landing]);
    let set = |path: &str, value: &str| {
        format!(
            "UPDATE history SET document = json_set(document, '{path}', {value}) \
             WHERE sequence = 2 AND task IN {bob}"
        )
    };
    finds(&set("$.before", "'failed'"), "it says failed", &[History]);
    finds(&set("$.at", "'2001-01-01T00:00:00Z'"), "its time is before", &[History]);
    finds(&set("$.sequence", "9"), "`sequence`", &[Aspect::Column, History]);
    let input = "UPDATE tasks SET document = json_set(document, '$.input', 'zz') \
                 WHERE contact = 'bob' AND flow = 'leave-request'";
    finds(input, "it is not what its history leads to", &[History]);
    // The timer of the whole task is known from its history alone.
    finds("DELETE FROM queue WHERE id LIKE '%/expiry/%'", "timer `expiry`", &[Lost]);
}

#[test]
fn states_of_messages() {
    use Aspect::State;
    let set = |path: &str, value: &str| {
        format!(
            "UPDATE messages SET document = json_set(document, '{path}', '{value}') \
             WHERE state = 'processed'"
        )
    };
    finds(&set("$.reached[0].state", "read"), "the first of its states is not received", &[State]);
    finds(&set("$.reached[0].state", "read"), "it went from read to routed", &[State]);
    finds(&set("$.reached[1].at", "2001-01-01T00:00:00Z"), "before it was received", &[State]);
    let ended = "UPDATE messages SET document = json_remove(document, '$.reached[2]') \
                 WHERE state = 'processed'";
    finds(ended, "the last of its states is another", &[State]);
}

#[test]
fn conversations() {
    use Aspect::{Column, Conversation};
    let set = |path: &str, value: &str| {
        format!(
            "UPDATE conversations SET document = json_set(document, '{path}', {value}) \
             WHERE contact = 'mei'"
        )
    };
    finds(&set("$.open", "json('[]')"), "is not among its open tasks", &[Conversation]);
    finds(&set("$.open", "json('[]')"), "has the focus and is not open", &[Conversation]);
    finds(&set("$.open[0].waiting_for", "'call'"), "stands otherwise", &[Conversation]);
    finds(&set("$.next_number", "1"), "has a number that another task", &[Conversation]);
    finds(&set("$.key", "'else'"), "its id is not that of", &[Conversation, Column]);
    finds(
        &set("$.held", "json('[{\"message\": \"msg_none\"}]')"),
        "it keeps msg_none",
        &[Aspect::Reference],
    );
    finds(
        "UPDATE conversations SET document = json_set(document, '$.open', json((SELECT \
         json_extract(document, '$.open') FROM conversations WHERE contact = 'mei'))) \
         WHERE contact = 'max'",
        "is open here and belongs to",
        &[Conversation],
    );
}

#[test]
fn envelopes_and_what_is_on_its_way() {
    use Aspect::{Envelope, Lost};
    for topic in ["outbound", "calls", "timers"] {
        let sql = format!("UPDATE queue SET body = '{{}}' WHERE topic = '{topic}'");
        finds(&sql, "cannot be read", &[Envelope]);
    }
    finds("UPDATE queue SET topic = 'sky' WHERE topic = 'calls'", "which is no topic", &[Envelope]);
    finds("DELETE FROM queue WHERE id LIKE '%/remind/%'", "its timer `remind`", &[Lost]);
    finds("DELETE FROM queue WHERE id LIKE '%/due/%'", "its timer `due`", &[Lost]);
    finds("DELETE FROM queue WHERE topic = 'calls'", "the answer of call_", &[Lost]);
    finds("DELETE FROM queue WHERE topic = 'outbound'", "nothing will send it", &[Lost]);
    // What was given up is kept as a failure, where people see it.
    let (_directory, path) = damaged(
        "INSERT INTO failures SELECT 900, 'fail_' || id, 'dead_letter', 'open', 0, \
         json_object('id', 'fail_' || id, 'kind', 'dead_letter', 'reason', 'r', \
         'at', '1970-01-01T00:00:00Z', 'attempts', 1, 'state', 'open') FROM queue \
         WHERE topic = 'calls'; DELETE FROM queue WHERE topic = 'calls'",
    );
    assert_eq!(verify(&path).findings, []);
}

#[test]
fn the_indexes_of_search() {
    use Aspect::Search;
    let message = "(SELECT seq FROM messages WHERE json_extract(document, '$.content.text') \
                   = 'my invoice is wrong')";
    let of_ann = "(SELECT seq FROM tasks WHERE contact = 'ann' LIMIT 1)";
    finds(
        &format!("DELETE FROM message_words WHERE rowid = {message}"),
        "0 of its 4 word(s)",
        &[Search],
    );
    finds(
        &format!(
            "INSERT OR REPLACE INTO message_words (rowid, words) \
                  VALUES ({message}, 'four other little words')"
        ),
        "it is indexed by other words",
        &[Search],
    );
    for table in ["task_words", "task_labels"] {
        let sql = format!("DELETE FROM {table} WHERE rowid = {of_ann}");
        finds(&sql, "are in the index of search", &[Search]);
        let sql = format!("INSERT INTO {table} (rowid, words) VALUES (77, 'stray')");
        finds(&sql, "the task is not there", &[Search]);
    }
}

#[test]
fn the_warehouse() {
    use Aspect::{Landing, Schema, Warehouse};
    finds("DROP VIEW warehouse_tasks_current", "it is not the view", &[Warehouse]);
    finds(
        "DROP VIEW warehouse_tasks_current; \
         CREATE VIEW warehouse_tasks_current AS SELECT * FROM warehouse_tasks",
        "it is not the view",
        &[Warehouse],
    );
    finds(
        "DROP VIEW warehouse_audit_current; DROP TABLE warehouse_audit",
        "it has a schema and is not there",
        &[Warehouse],
    );
    finds("DELETE FROM landed_tables WHERE id = 'audit'", "it is not there", &[Warehouse]);
    finds(
        "ALTER TABLE warehouse_audit ADD COLUMN mine TEXT",
        "its columns are not those",
        &[Warehouse, Schema],
    );
    let one = "SELECT MAX(rowid) FROM warehouse_messages";
    let lost = format!("DELETE FROM warehouse_messages WHERE rowid IN ({one})");
    finds(&lost, "it has not landed", &[Landing]);
    finds(
        "INSERT INTO warehouse_history SELECT * FROM warehouse_history LIMIT 1; \
         UPDATE warehouse_history SET sequence = 99 \
         WHERE rowid IN (SELECT MAX(rowid) FROM warehouse_history)",
        "nothing is stored behind it",
        &[Landing],
    );
    // On its way, or in quarantine, it is not lost.
    let row = "json_object('message_id', message_id, 'sequence', sequence)";
    let waits = format!(
        "INSERT INTO queue (id, topic, key, published_at, body) SELECT 'land/x', 'landing', 'x', 0, \
         json_object('rows', json_array(json_object(\
         'id', 'x', 'table', 'messages', 'row', {row}))) \
         FROM warehouse_messages WHERE rowid IN ({one}); {lost}"
    );
    let kept = format!(
        "INSERT INTO quarantine (id, landing, at, document) SELECT 'x', 'messages', 0, \
         json_object('id', 'x', 'table', 'messages', 'row', {row}, 'reasons', json_array(), \
         'at', '1970-01-01T00:00:00Z') FROM warehouse_messages WHERE rowid IN ({one}); {lost}"
    );
    for sql in [waits, kept] {
        let (_directory, path) = damaged(&sql);
        assert_eq!(verify(&path).findings, [], "{sql}");
    }
}

#[test]
fn pages_tables_and_indexes() {
    use Aspect::{File, Schema};
    finds("DROP INDEX tasks_flow", "is not there", &[Schema]);
    finds("CREATE TABLE mine (x)", "does not belong here", &[Schema]);
    finds(
        "DROP INDEX tasks_flow; CREATE INDEX tasks_flow ON tasks (contact)",
        "is made otherwise",
        &[Schema],
    );
    finds(
        "UPDATE message_words_data SET block = x'00' WHERE id > 10",
        "message_words",
        &[File, Aspect::Search],
    );
    // A part that cannot be read does not keep the others from being looked at.
    let (_directory, path) = fixture(VERSION);
    tear(&path);
    let report = verify(&path);
    assert!(report.counts[&File] >= 2, "{report:#?}");
    let parts: Vec<&str> = report.checked.iter().map(|(part, _)| *part).collect();
    assert!(parts.contains(&"tasks") && !parts.contains(&"messages"), "{parts:?}");
}

#[test]
fn findings_are_counted_and_only_the_first_are_kept() {
    let (_directory, path) = damaged(
        "UPDATE messages SET connection = 'x'; UPDATE messages SET contact = 'x'; \
         UPDATE task_counts SET tasks = 77",
    );
    let report = verify(&path);
    let kept = report.findings.iter().filter(|finding| finding.aspect == Aspect::Column);
    assert_eq!(kept.count() as u64, FINDINGS_MAX);
    assert!(report.counts[&Aspect::Column] > FINDINGS_MAX);
    assert_eq!(report.total(), report.counts.values().sum::<u64>());
}

#[test]
fn what_cannot_be_checked_is_told() {
    let check = |sql: &str| {
        let (_directory, path) = damaged(sql);
        backend_sqlite::verify(&path, &Written, &|_, _| {}).unwrap_err()
    };
    let newer = check("PRAGMA user_version = 99");
    assert!(newer.to_string().contains("run the newer program that wrote it"), "{newer}");
    assert!(matches!(check("PRAGMA application_id = 7"), VerifyError::Foreign(_)));
    let (directory, _path) = fixture(VERSION);
    let missing = directory.path().join("none.db");
    let missing = backend_sqlite::verify(&missing, &Written, &|_, _| {}).unwrap_err();
    assert!(matches!(missing, VerifyError::Missing(_)), "{missing}");
}
