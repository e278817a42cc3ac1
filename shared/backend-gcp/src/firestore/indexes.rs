//! The indexes the queries need, as they stand in `infra/firestore/indexes.json`.
//!
//! Firestore answers a query from one index, or joins several that end in the same order: any
//! combination of filters is served by one index for each of them. The emulator answers without
//! any, so that debug builds hold every query to this list.
//!
//! No field has an index by itself but those in [`SINGLE`]: times that grow would make each
//! collection a hot spot, and documents are long.

use serde_json::{Value, json};

use super::keys::{
    ANSWERS, CONVERSATIONS, EVENTS, FAILURES, MESSAGES, OUTBOX, QUARANTINE, TASKS, TIMERS,
};
use super::query::{Query, SHARD};
use super::value::text;

/// One index over each of these prefixes, in these orders.
struct Indexes {
    collection: &'static str,
    /// Fields that must be equal; a list is marked in [`LISTS`].
    prefixes: &'static [&'static [&'static str]],
    /// The field ordered by, and the directions (greatest first?) that are asked for.
    orders: &'static [(&'static str, &'static [bool])],
}

const BOTH: &[bool] = &[false, true];
const ASCENDING: &[bool] = &[false];
const DESCENDING: &[bool] = &[true];

/// Fields that are lists: their indexes say what a list holds.
const LISTS: &[&str] = &["tokens", "pieces"];

const COMPOSITE: &[Indexes] = &[
    Indexes {
        collection: TASKS,
        prefixes: &[
            &["conversation"],
            &["contact"],
            &["parent"],
            &["pieces"],
            &[SHARD],
            &[SHARD, "flow"],
            &[SHARD, "status"],
            &[SHARD, "waiting_for"],
            &[SHARD, "queue"],
        ],
        orders: &[("created_at", BOTH), ("updated_at", BOTH)],
    },
    Indexes {
        collection: MESSAGES,
        prefixes: &[
            &["task"],
            &["conversation"],
            &["contact"],
            &["tokens"],
            &[SHARD],
            &[SHARD, "connection"],
            &[SHARD, "direction"],
            &[SHARD, "state"],
        ],
        orders: &[("created_at", BOTH)],
    },
    Indexes {
        collection: CONVERSATIONS,
        prefixes: &[&["contact"], &[SHARD], &[SHARD, "connection"]],
        orders: &[("updated_at", DESCENDING)],
    },
    Indexes { collection: EVENTS, prefixes: &[&["task"]], orders: &[("sequence", ASCENDING)] },
    Indexes { collection: EVENTS, prefixes: &[&[SHARD]], orders: &[("at", ASCENDING)] },
    Indexes { collection: ANSWERS, prefixes: &[&[SHARD]], orders: &[("expires_at", ASCENDING)] },
    Indexes { collection: OUTBOX, prefixes: &[&[SHARD]], orders: &[("position", ASCENDING)] },
    Indexes { collection: TIMERS, prefixes: &[&[SHARD]], orders: &[("due", ASCENDING)] },
    Indexes {
        collection: FAILURES,
        prefixes: &[&["state"], &["kind"]],
        orders: &[("at", DESCENDING)],
    },
    Indexes { collection: QUARANTINE, prefixes: &[&["table"]], orders: &[("at", ASCENDING)] },
];

/// Fields that have an index by themselves: collection, field, whether it is a list.
const SINGLE: &[(&str, &str, bool)] = &[
    (TASKS, "flow", false),
    (TASKS, "status", false),
    (TASKS, "awaited", false),
    (TASKS, "tokens", true),
    (FAILURES, "at", false),
    ("flow_versions", "flow", false),
];

/// Fields by which Firestore removes documents: collection and field.
const TTL: &[(&str, &str)] = &[
    (EVENTS, "expire_at"),
    (ANSWERS, "expires_at"),
    (CONVERSATIONS, "expire_at"),
    ("parts", "expire_at"),
];

/// Every collection, so that its other fields have no index.
const COLLECTIONS: &[&str] = &[
    EVENTS,
    CONVERSATIONS,
    TASKS,
    MESSAGES,
    ANSWERS,
    OUTBOX,
    TIMERS,
    FAILURES,
    QUARANTINE,
    "parts",
    "drafts",
    "flow_versions",
    "live_flows",
    "connections",
    "api_keys",
    "queues",
    "tables",
];

/// Whether the indexes serve a query.
pub(crate) fn serve(query: &Query) -> bool {
    let wanted = query.prefix();
    let single = |name: &str| SINGLE.iter().any(|(c, f, _)| *c == query.collection && *f == name);
    let Some((order, descending)) = query.order else {
        // Without an order single fields are joined; a whole collection needs none.
        return wanted.iter().all(|name| single(name));
    };
    if wanted.is_empty() {
        return single(order);
    }
    let usable: Vec<&&[&str]> = COMPOSITE
        .iter()
        .filter(|indexes| indexes.collection == query.collection)
        .filter(|indexes| {
            indexes
                .orders
                .iter()
                .any(|(field, directions)| *field == order && directions.contains(&descending))
        })
        .flat_map(|indexes| indexes.prefixes)
        .filter(|prefix| prefix.iter().all(|name| wanted.contains(name)))
        .collect();
    wanted.iter().all(|name| usable.iter().any(|prefix| prefix.contains(name)))
}

/// A query for each composite index that it alone serves, with a name for people.
pub(crate) fn probes() -> Vec<(String, Query)> {
    let mut probes = Vec::new();
    for indexes in COMPOSITE {
        for prefix in indexes.prefixes {
            for (order, directions) in indexes.orders {
                for descending in *directions {
                    let mut query = Query {
                        collection: indexes.collection,
                        order: Some((order, *descending)),
                        limit: 1,
                        ..Query::default()
                    };
                    for name in *prefix {
                        // No stored value is this one.
                        let none = text("\u{10ffff}none");
                        match *name {
                            SHARD => query.sharded = true,
                            list if LISTS.contains(&list) => query.contains = Some((list, none)),
                            name => query.equals.push((name, none)),
                        }
                    }
                    let name = format!(
                        "{} ({}, {order} {})",
                        indexes.collection,
                        prefix.join(", "),
                        direction(*descending).to_lowercase()
                    );
                    probes.push((name, query));
                }
            }
        }
    }
    probes
}

fn direction(descending: bool) -> &'static str {
    if descending { "DESCENDING" } else { "ASCENDING" }
}

/// The indexes in the form of the Firebase CLI, which Terraform reads too.
pub fn document() -> Value {
    let mut composite = Vec::new();
    for indexes in COMPOSITE {
        for prefix in indexes.prefixes {
            for (order, directions) in indexes.orders {
                for descending in *directions {
                    let mut fields: Vec<Value> = prefix
                        .iter()
                        .map(|name| {
                            if LISTS.contains(name) {
                                json!({ "fieldPath": name, "arrayConfig": "CONTAINS" })
                            } else {
                                json!({ "fieldPath": name, "order": "ASCENDING" })
                            }
                        })
                        .collect();
                    fields.push(json!({ "fieldPath": order, "order": direction(*descending) }));
                    composite.push(json!({
                        "collectionGroup": indexes.collection,
                        "queryScope": "COLLECTION",
                        "fields": fields,
                    }));
                }
            }
        }
    }
    let mut overrides: Vec<Value> = COLLECTIONS
        .iter()
        .map(|name| json!({ "collectionGroup": name, "fieldPath": "*", "indexes": [] }))
        .collect();
    overrides.extend(SINGLE.iter().map(|(collection, field, is_list)| {
        let indexes = if *is_list {
            json!([{ "arrayConfig": "CONTAINS", "queryScope": "COLLECTION" }])
        } else {
            json!([
                { "order": "ASCENDING", "queryScope": "COLLECTION" },
                { "order": "DESCENDING", "queryScope": "COLLECTION" },
            ])
        };
        json!({ "collectionGroup": collection, "fieldPath": field, "indexes": indexes })
    }));
    overrides.extend(TTL.iter().map(|(collection, field)| {
        json!({ "collectionGroup": collection, "fieldPath": field, "ttl": true, "indexes": [] })
    }));
    json!({ "indexes": composite, "fieldOverrides": overrides })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checked_in_indexes_are_the_ones_the_code_needs() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/firestore/indexes.json");
        let written = std::fs::read_to_string(file).unwrap_or_default();
        assert!(
            written == format!("{:#}\n", document()),
            "write it anew: cargo run -p backend-gcp --example indexes > \
             infra/firestore/indexes.json"
        );
    }

    #[test]
    fn every_index_is_the_only_one_that_serves_its_probe() {
        for (name, query) in probes() {
            assert!(serve(&query), "{name}");
        }
        let unknown = Query {
            collection: TASKS,
            equals: vec![("label", text("x"))],
            order: Some(("created_at", false)),
            ..Query::default()
        };
        assert!(!serve(&unknown), "a field without an index");
    }
}
