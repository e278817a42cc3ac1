//! What administrators do: flows, tables, connections, secrets.

pub mod flows;
mod surroundings;
pub mod tables;

use channels::{Channel, Connection, ReplyTarget};
use flow::{keyword, template};
use ports::{Queue, Secret};

use crate::app::App;
use crate::egress::HostAllowList;
use crate::outcome::HandleError;

/// Longest secret, in bytes.
const SECRET_BYTES_MAX: usize = 16 * 1024;

/// Checks and writes a connection. `expected` is the revision the caller saw (0: new).
pub async fn put_connection(
    app: &App,
    mut connection: Connection,
    expected: Option<u64>,
) -> Result<Connection, HandleError> {
    check_connection(&connection)?;
    let stored = app.store().connection(&connection.id).await?;
    let revision = stored.as_ref().map_or(0, |stored| stored.revision);
    if expected.is_some_and(|expected| expected != revision) {
        return Err(
            ports::PortError::Conflict { what: format!("connection `{}`", connection.id) }.into()
        );
    }
    if stored.is_some_and(|stored| stored.channel == Channel::Api)
        || connection.channel == Channel::Api
    {
        return Err(HandleError::Conflict(
            "the connection of the API belongs to the system; make one of channel `webhook`".into(),
        ));
    }
    connection.revision = revision.saturating_add(1);
    app.store().put_connection(&connection).await?;
    app.forget_catalog().await;
    Ok(connection)
}

fn check_connection(connection: &Connection) -> Result<(), HandleError> {
    let wrong = |pointer: &str, message: String| HandleError::unprocessable(pointer, message);
    if !flow::check::is_flow_id(&connection.id) {
        return Err(wrong(
            "/id",
            "use a letter, then letters, digits and -, 2 to 63, lower case".into(),
        ));
    }
    if connection.secret.is_none() && !connection.unsigned_from_loopback {
        return Err(wrong(
            "/secret",
            "name the secret that signs requests, or set `unsigned_from_loopback` for a demo"
                .into(),
        ));
    }
    HostAllowList::parse(&connection.allowed_hosts)
        .map_err(|error| wrong("/allowed_hosts", error.to_string()))?;
    if let ReplyTarget::Url { url } = &connection.reply {
        let parsed = url::Url::parse(url)
            .map_err(|error| wrong("/reply/url", format!("this is not an address: {error}")))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(wrong("/reply/url", "the address begins with https:// or http://".into()));
        }
    }
    for (field, expression) in connection.mapping.fields() {
        if !expression.trim().is_empty() {
            template::compile_check_expr(expression)
                .map_err(|error| wrong(&format!("/mapping/{field}"), error.to_string()))?;
        }
    }
    Ok(())
}

/// Sets a secret; it can be used from then on and never be read back.
pub async fn put_secret(app: &App, name: &str, value: &str) -> Result<(), HandleError> {
    if !flow::check::is_flow_id(name) {
        let message = "use a letter, then letters, digits and -, 2 to 63, lower case";
        return Err(HandleError::unprocessable("/name", message));
    }
    if value.is_empty() || value.len() > SECRET_BYTES_MAX {
        let message = format!("a secret has 1 to {SECRET_BYTES_MAX} bytes");
        return Err(HandleError::unprocessable("/value", message));
    }
    app.secrets().put_secret(name, &Secret::new(value)).await?;
    Ok(())
}

/// Writes a queue of people.
pub async fn put_queue(app: &App, queue: &Queue) -> Result<(), HandleError> {
    if !flow::check::is_flow_id(&queue.id) {
        let message = "use a letter, then letters, digits and -, 2 to 63, lower case";
        return Err(HandleError::unprocessable("/id", message));
    }
    if keyword::normalise(&queue.name).is_empty() {
        return Err(HandleError::unprocessable("/name", "give the queue a name"));
    }
    app.store().put_queue(queue).await?;
    Ok(())
}

/// Makes what every server needs: the connection of the API, and the base tables.
pub async fn prepare(app: &App) -> Result<(), HandleError> {
    if app.store().connection("api").await?.is_none() {
        let connection = Connection {
            id: "api".into(),
            channel: Channel::Api,
            name: "API".into(),
            revision: 1,
            ..Connection::default()
        };
        app.store().put_connection(&connection).await?;
        app.forget_catalog().await;
    }
    crate::land::prepare(app).await?;
    crate::schedules::arm_all(app).await
}
