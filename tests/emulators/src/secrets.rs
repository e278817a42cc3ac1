//! Stands in for Secret Manager: its v1 REST API, in memory.

mod filter;
mod store;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::State as Shares;
use axum::response::Response;
use http::{Method, Uri};
use serde_json::{Value, json};

use self::filter::Filter;
use self::store::{State, Store};
use crate::discovery::{self, Document};
use crate::rest::{self, Answer, Listener, Refusal};

/// Longest request, in bytes: a payload of 64 KiB in base64, and what surrounds it.
const REQUEST_BYTES_MAX: usize = 256 * 1024;
/// Longest page of `list`, as Google's.
const PAGE_MAX: usize = 25_000;
/// Longest id of a secret, in characters.
const ID_CHARACTERS_MAX: usize = 255;

struct Shared {
    document: Document,
    store: Mutex<Store>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running stand-in; it ends when this is dropped, and its secrets with it.
pub struct Server {
    listener: Listener,
}

impl Server {
    /// Starts it on a free port of 127.0.0.1. Must be called inside a tokio runtime.
    pub fn start() -> anyhow::Result<Self> {
        let document = Document::parse(discovery::SECRETS)?;
        let shared = Arc::new(Shared { document, store: Mutex::default() });
        let router = Router::new().fallback(answer).with_state(shared);
        Ok(Self { listener: rest::serve(router)? })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.address
    }

    /// The endpoint for clients: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }
}

async fn answer(
    Shares(shared): Shares<Arc<Shared>>,
    method: Method,
    uri: Uri,
    body: Body,
) -> Response {
    let path: Vec<&str> = uri.path().trim_start_matches('/').split('/').collect();
    let answer = match path.as_slice() {
        ["v1", "projects", project, "secrets", rest @ ..] => {
            route(&shared, &method, &uri, &format!("projects/{project}"), rest, body).await
        }
        _ => Err(unknown(&method, &uri)),
    };
    rest::respond(&shared.document, answer)
}

fn unknown(method: &Method, uri: &Uri) -> Refusal {
    let path = uri.path();
    Refusal::unimplemented(format!("the stand-in for Secret Manager has no {method} {path}"))
}

/// Routes what is below `projects/P/secrets`.
async fn route(
    shared: &Shared,
    method: &Method,
    uri: &Uri,
    project: &str,
    path: &[&str],
    body: Body,
) -> Answer {
    let (path, verb) = match path {
        [before @ .., last] => match last.split_once(':') {
            Some((id, verb)) => ([before, &[id]].concat(), verb),
            None => (path.to_vec(), ""),
        },
        [] => (Vec::new(), ""),
    };
    let parameters = rest::query(uri);
    let body = async |schema| rest::read(&shared.document, schema, body, REQUEST_BYTES_MAX).await;
    let name = |id: &str| format!("{project}/secrets/{id}");
    match (method.as_str(), path.as_slice(), verb) {
        ("POST", [], "") => {
            let id = parameters.get("secretId").map(String::as_str).unwrap_or_default();
            check_id(id)?;
            let asked = rest::fields(body("Secret").await?);
            Ok(("Secret", shared.lock().create(&name(id), asked)?))
        }
        ("PATCH", [id], "") => {
            let asked = rest::fields(body("Secret").await?);
            let mask = parameters.get("updateMask").map(String::as_str).unwrap_or_default();
            Ok(("Secret", shared.lock().patch(&name(id), mask, &asked)?))
        }
        ("POST", [id], "addVersion") => {
            let asked = body("AddSecretVersionRequest").await?;
            Ok(("SecretVersion", shared.lock().add_version(&name(id), &asked["payload"])?))
        }
        ("POST", [id, "versions", version], "enable" | "disable" | "destroy") => {
            let (schema, state) = match verb {
                "enable" => ("EnableSecretVersionRequest", State::Enabled),
                "disable" => ("DisableSecretVersionRequest", State::Disabled),
                _ => ("DestroySecretVersionRequest", State::Destroyed),
            };
            let asked = body(schema).await?;
            let etag = asked["etag"].as_str();
            Ok(("SecretVersion", shared.lock().set_state(&name(id), version, state, etag)?))
        }
        ("DELETE", [id], "") => {
            shared.lock().delete(&name(id), parameters.get("etag")).map(|()| ("Empty", json!({})))
        }
        ("GET", path, verb) => read(shared, uri, project, path, verb),
        _ => Err(unknown(method, uri)),
    }
}

/// What only reads.
fn read(shared: &Shared, uri: &Uri, project: &str, path: &[&str], verb: &str) -> Answer {
    let parameters = rest::query(uri);
    let filter = parameters.get("filter").map(String::as_str).unwrap_or_default();
    let name = |id: &str| format!("{project}/secrets/{id}");
    let mut store = shared.lock();
    match (path, verb) {
        ([], "") => {
            let filter = Filter::parse(filter)?;
            let found: Vec<_> =
                store.below(project).filter(|(name, secret)| filter.fits(name, secret)).collect();
            let total = found.len();
            let (secrets, next) = rest::page(found.into_iter(), &parameters, PAGE_MAX)?;
            let secrets: Vec<Value> = secrets.into_iter().cloned().map(Value::Object).collect();
            Ok(("ListSecretsResponse", listed("secrets", &secrets, total, next)))
        }
        ([id], "") => Ok(("Secret", store.get(&name(id))?)),
        ([id, "versions"], "") => {
            if !filter.is_empty() {
                return Err(Refusal::unimplemented(
                    "the stand-in filters no versions: leave `filter` out",
                ));
            }
            let found = store.versions(&name(id))?;
            let total = found.len();
            let found = found.iter().map(|(key, version)| (key, version.clone()));
            let (versions, next) = rest::page(found, &parameters, PAGE_MAX)?;
            Ok(("ListSecretVersionsResponse", listed("versions", &versions, total, next)))
        }
        ([id, "versions", version], "") => {
            Ok(("SecretVersion", store.get_version(&name(id), version)?))
        }
        ([id, "versions", version], "access") => {
            Ok(("AccessSecretVersionResponse", store.access(&name(id), version)?))
        }
        _ => Err(unknown(&Method::GET, uri)),
    }
}

/// A page of a list, with how many there are in all.
fn listed(what: &str, found: &[Value], total: usize, next: Option<String>) -> Value {
    let mut answer = rest::listed(what, found, next);
    answer["totalSize"] = total.into();
    answer
}

fn check_id(id: &str) -> Result<(), Refusal> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if id.is_empty() || id.len() > ID_CHARACTERS_MAX || !id.chars().all(fits) {
        return Err(Refusal::invalid(format!(
            "secretId must be 1 to {ID_CHARACTERS_MAX} letters, digits, hyphens and underscores"
        )));
    }
    Ok(())
}
