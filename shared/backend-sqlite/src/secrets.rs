//! `Secrets` in a table. Whoever can read the file can read them: its mode is 0600.

use async_trait::async_trait;
use ports::{PortResult, Secret, Secrets};
use rusqlite::{Connection, OptionalExtension as _};

use crate::open::Sqlite;
use crate::writer::Group;

#[async_trait]
impl Secrets for Sqlite {
    async fn secret(&self, name: &str) -> PortResult<Option<Secret>> {
        let name = name.to_owned();
        let read = move |conn: &Connection| {
            let value: Option<String> = conn
                .prepare_cached("SELECT value FROM secrets WHERE name = ?1")?
                .query_row([name], |row| row.get(0))
                .optional()?;
            Ok(value.map(Secret::new))
        };
        self.inner.readers.read(read).await
    }

    async fn put_secret(&self, name: &str, value: &Secret) -> PortResult<()> {
        let (name, value) = (name.to_owned(), value.clone());
        let write = move |group: &mut Group<'_>| {
            let sql = "INSERT INTO secrets (name, value) VALUES (?1, ?2) \
                       ON CONFLICT (name) DO UPDATE SET value = excluded.value";
            group.conn.prepare_cached(sql)?.execute((&name, value.expose()))?;
            Ok(())
        };
        self.inner.writer.write(write).await
    }

    async fn secret_names(&self) -> PortResult<Vec<String>> {
        let read = |conn: &Connection| {
            let names = conn
                .prepare_cached("SELECT name FROM secrets ORDER BY name")?
                .query_map([], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            Ok(names)
        };
        self.inner.readers.read(read).await
    }
}
