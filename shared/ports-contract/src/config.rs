//! `ConfigStore`: connections, keys, queues and table schemas.

use channels::{Channel, Connection, Mapping, ReplyTarget};
use flow::Lang;
use ports::{ApiKey, Queue};

use crate::backend::Backend;
use crate::sample::at;
use crate::warehouse::table;

fn connection(id: &str) -> Connection {
    Connection {
        id: id.into(),
        channel: Channel::Webhook,
        name: format!("連線 {id}"),
        secret: Some("hook".into()),
        unsigned_from_loopback: true,
        reply: ReplyTarget::Url { url: "https://example.com/reply?a=b".into() },
        mapping: Mapping { text: "body.message['text']".into(), ..Mapping::default() },
        allowed_hosts: vec!["localhost:8080".into()],
        default_flow: Some("leave-request".into()),
        lang: Some(Lang("zh-TW".into())),
        revision: 1,
    }
}

/// A connection comes back as it was written; writing it again replaces it.
pub async fn connections_are_kept(backend: Backend) {
    let config = &backend.config;
    assert_eq!(config.connection("demo").await.unwrap(), None);
    assert_eq!(config.connections().await.unwrap(), []);
    for id in ["line", "api", "demo"] {
        config.put_connection(&connection(id)).await.unwrap();
    }
    assert_eq!(config.connection("demo").await.unwrap(), Some(connection("demo")));
    let changed = Connection { id: "demo".into(), revision: 2, ..Connection::default() };
    config.put_connection(&changed).await.unwrap();
    assert_eq!(config.connection("demo").await.unwrap(), Some(changed.clone()));
    let all = config.connections().await.unwrap();
    assert_eq!(all, [connection("api"), changed, connection("line")], "all, by id");
}

/// A key comes back as it was written, revoked ones too; the list is oldest first.
pub async fn keys_are_kept(backend: Backend) {
    let config = &backend.config;
    let key = |id: &str, second| ApiKey {
        id: id.into(),
        hash: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into(),
        name: "管理員".into(),
        permissions: vec!["*".into(), "tasks.read".into()],
        created_at: at(second),
        revoked_at: None,
    };
    assert_eq!(config.key("a").await.unwrap(), None);
    assert_eq!(config.keys().await.unwrap(), []);
    for (id, second) in [("a", 30), ("b", 10), ("c", 20)] {
        config.put_key(&key(id, second)).await.unwrap();
    }
    assert_eq!(config.key("a").await.unwrap(), Some(key("a", 30)));
    let revoked = ApiKey { revoked_at: Some(at(40)), ..key("b", 10) };
    config.put_key(&revoked).await.unwrap();
    let all = config.keys().await.unwrap();
    assert_eq!(all, [revoked, key("c", 20), key("a", 30)], "oldest first");
}

/// Queues by id; writing one again renames it.
pub async fn queues_are_kept(backend: Backend) {
    let config = &backend.config;
    let queue = |id: &str, name: &str| Queue { id: id.into(), name: name.into() };
    assert_eq!(config.queues().await.unwrap(), []);
    for id in ["support", "hr"] {
        config.put_queue(&queue(id, "…")).await.unwrap();
    }
    config.put_queue(&queue("hr", "人事")).await.unwrap();
    assert_eq!(config.queues().await.unwrap(), [queue("hr", "人事"), queue("support", "…")]);
}

/// Table schemas come back as they were written, by id.
pub async fn tables_are_kept(backend: Backend) {
    let config = &backend.config;
    let (first, second) = (table("bookings", &[]), table("leaves", &[]));
    assert_eq!(config.table("leaves").await.unwrap(), None);
    assert_eq!(config.tables().await.unwrap(), []);
    config.put_table(&second).await.unwrap();
    config.put_table(&first).await.unwrap();
    assert_eq!(config.table("leaves").await.unwrap(), Some(second.clone()));
    assert_eq!(config.tables().await.unwrap(), [first.clone(), second]);
    let wider = table("leaves", &[("note", "STRING", "NULLABLE")]);
    config.put_table(&wider).await.unwrap();
    assert_eq!(config.tables().await.unwrap(), [first, wider]);
}
