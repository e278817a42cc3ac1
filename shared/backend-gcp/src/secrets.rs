//! Secrets: Secret Manager.
//!
//! A secret is read by its version `latest` and remembered for a minute. Setting one adds a
//! version. Older versions are left as they are: destroying them cannot be undone and needs a
//! permission of its own on every secret, and a wrong value that was set by mistake can be taken
//! back by an operator only as long as they are there. A few cents a month each is the price; a
//! value that has leaked must be revoked where it was issued anyway.
//!
//! Secret Manager refuses an empty payload. An empty value is therefore stored as one NUL, and a
//! value that begins with NUL gets one more; all others, those set by `gcloud secrets versions
//! add` among them, are stored as they are.

mod cache;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use google_cloud_auth::credentials::anonymous;
use google_cloud_gax::error::rpc::Code;
use google_cloud_gax::options::RequestOptionsBuilder as _;
use google_cloud_gax::paginator::ItemPaginator as _;
use google_cloud_gax::retry_policy::{Aip194Strict, RetryPolicyExt as _};
use google_cloud_secretmanager_v1::client::SecretManagerService;
use google_cloud_secretmanager_v1::model;
use ports::{Clock, PortError, PortResult, Secret, Secrets};

use self::cache::{Cache, Version};
use crate::alarms::has_code;
use crate::config::Config;
use crate::error::{from_google, invalid};

/// Longest wait for one answer, and for all tries of one request.
const ATTEMPT_MAX: Duration = Duration::from_secs(3);
const REQUEST_MAX: Duration = Duration::from_secs(8);

/// Secret Manager's limit of an id, and of a payload.
const ID_BYTES_MAX: usize = 255;
const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

/// Names asked for at once, and most names of a list.
const PAGE: i32 = 250;
const NAMES_MAX: usize = 10_000;

/// Reads and sets secrets. Clones share one client and what was read.
#[derive(Clone)]
pub struct SecretManager {
    inner: Arc<Inner>,
}

struct Inner {
    client: SecretManagerService,
    project: String,
    prefix: String,
    clock: Arc<dyn Clock>,
    cache: Cache,
}

impl fmt::Debug for SecretManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (project, prefix) = (&self.inner.project, &self.inner.prefix);
        write!(f, "SecretManager({project}/secrets/{prefix}…)")
    }
}

impl SecretManager {
    /// A client of the project's secrets. Asks nothing yet. The clock says how old is what was
    /// read.
    pub async fn connect(config: &Config, clock: Arc<dyn Clock>) -> PortResult<Self> {
        let mut builder = SecretManagerService::builder()
            .with_retry_policy(Aip194Strict.with_time_limit(REQUEST_MAX).with_attempt_limit(3));
        if let Some(endpoint) = &config.endpoints.secrets {
            builder = builder
                .with_endpoint(endpoint.as_str())
                .with_credentials(anonymous::Builder::new().build());
        }
        let client = builder.build().await.map_err(PortError::backend)?;
        Ok(Self {
            inner: Arc::new(Inner {
                client,
                project: format!("projects/{}", config.project),
                prefix: config.secret_prefix.clone(),
                clock,
                cache: Cache::new(),
            }),
        })
    }

    /// Looks whether secrets can be listed, for `chatflow doctor`: what was looked at, and what
    /// is wrong with it in words for people.
    pub async fn examine(&self) -> Vec<(String, Result<(), String>)> {
        let listed = match self.secret_names().await {
            Ok(_) => Ok(()),
            Err(error) => Err(format!(
                "{error}; look whether the Secret Manager API is enabled and \
                 roles/secretmanager.viewer is granted"
            )),
        };
        vec![(format!("secrets {}/secrets/{}…", self.inner.project, self.inner.prefix), listed)]
    }
}

#[async_trait]
impl Secrets for SecretManager {
    async fn secret(&self, name: &str) -> PortResult<Option<Secret>> {
        let inner = &self.inner;
        let Some(id) = inner.id(name) else {
            return Ok(None);
        };
        if let Some(known) = inner.cache.get(name, inner.clock.now()) {
            return Ok(known.value);
        }
        let version = inner.latest(&id).await?;
        inner.cache.keep(name, version.clone(), inner.clock.now());
        Ok(version.value)
    }

    async fn put_secret(&self, name: &str, value: &Secret) -> PortResult<()> {
        let inner = &self.inner;
        let id = inner.id(name).ok_or_else(|| {
            invalid(format!(
                "a secret cannot be called {name:?}; use letters, digits, - and _, with the \
                 prefix {:?} at most {ID_BYTES_MAX}",
                inner.prefix
            ))
        })?;
        let payload = encoded(value);
        if payload.len() > PAYLOAD_BYTES_MAX {
            let what = format!("the value of secret {name}");
            return Err(PortError::TooLarge { what, limit: PAYLOAD_BYTES_MAX });
        }
        let number = match inner.add_version(&id, payload.clone()).await? {
            Some(number) => number,
            None => {
                inner.create(&id).await?;
                inner.add_version(&id, payload).await?.ok_or_else(|| PortError::NotFound {
                    what: format!("secret {id}: it was removed while it was being set"),
                })?
            }
        };
        // Kept rather than forgotten: `latest` may show the version before for a while.
        let version = Version { number, value: Some(value.clone()) };
        inner.cache.keep(name, version, inner.clock.now());
        Ok(())
    }

    async fn secret_names(&self) -> PortResult<Vec<String>> {
        let inner = &self.inner;
        let mut request = inner
            .client
            .list_secrets()
            .set_parent(&inner.project)
            .set_page_size(PAGE)
            .with_attempt_timeout(ATTEMPT_MAX);
        if !inner.prefix.is_empty() {
            // Finds it anywhere in the name; what does not begin with it is left out below.
            request = request.set_filter(format!("name:{}", inner.prefix));
        }
        let mut pages = request.by_item();
        let mut names = Vec::new();
        while let Some(secret) = pages.next().await {
            let secret = secret.map_err(from_google)?;
            let id = secret.name.rsplit('/').next().unwrap_or_default();
            if let Some(name) = id.strip_prefix(&inner.prefix).filter(|name| !name.is_empty()) {
                names.push(name.to_owned());
            }
            if names.len() > NAMES_MAX {
                return Err(invalid(format!("there are more than {NAMES_MAX} secrets")));
            }
        }
        names.sort_unstable();
        Ok(names)
    }
}

impl Inner {
    /// The id of that name's secret; none where Secret Manager allows no such id.
    fn id(&self, name: &str) -> Option<String> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let id = format!("{}{name}", self.prefix);
        let fits = !name.is_empty() && id.len() <= ID_BYTES_MAX && id.bytes().all(allowed);
        fits.then_some(id)
    }

    /// The latest version. None where there is no secret, no version, or the latest one has
    /// been disabled or destroyed.
    async fn latest(&self, id: &str) -> PortResult<Version> {
        let read = self
            .client
            .access_secret_version()
            .set_name(format!("{}/secrets/{id}/versions/latest", self.project))
            .with_attempt_timeout(ATTEMPT_MAX)
            .send()
            .await;
        let read = match read {
            Ok(read) => read,
            Err(error)
                if has_code(&error, Code::NotFound, 404)
                    || has_code(&error, Code::FailedPrecondition, 400) =>
            {
                return Ok(Version { number: 0, value: None });
            }
            Err(error) => return Err(from_google(error)),
        };
        let data = read.payload.map(|payload| payload.data).unwrap_or_default();
        let value = decoded(&data).ok_or_else(|| {
            PortError::backend(format!("secret {id} is not UTF-8 text; set it again as text"))
        })?;
        Ok(Version { number: number(&read.name), value: Some(value) })
    }

    /// Adds a version and tells its number; none where there is no such secret.
    async fn add_version(&self, id: &str, payload: Vec<u8>) -> PortResult<Option<u64>> {
        let added = self
            .client
            .add_secret_version()
            .set_parent(format!("{}/secrets/{id}", self.project))
            .set_payload(model::SecretPayload::new().set_data(payload))
            // Adding it twice leaves one version more and the same value.
            .with_idempotency(true)
            .with_attempt_timeout(ATTEMPT_MAX)
            .send()
            .await;
        match added {
            Ok(version) => Ok(Some(number(&version.name))),
            Err(error) if has_code(&error, Code::NotFound, 404) => Ok(None),
            Err(error) => Err(from_google(error)),
        }
    }

    /// Makes the secret, without a version; where somebody just did, that is as good.
    async fn create(&self, id: &str) -> PortResult<()> {
        let automatic = model::replication::Automatic::new();
        let secret = model::Secret::new()
            .set_replication(model::Replication::new().set_automatic(automatic))
            .set_labels(HashMap::from([("app", "chatflow")]));
        let created = self
            .client
            .create_secret()
            .set_parent(&self.project)
            .set_secret_id(id)
            .set_secret(secret)
            .with_idempotency(true)
            .with_attempt_timeout(ATTEMPT_MAX)
            .send()
            .await;
        match created {
            Ok(_) => Ok(()),
            Err(error) if has_code(&error, Code::AlreadyExists, 409) => Ok(()),
            Err(error) => Err(from_google(error)),
        }
    }
}

/// The number at the end of `projects/…/secrets/…/versions/7`.
fn number(name: &str) -> u64 {
    name.rsplit('/').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// The value as it is stored: never empty.
fn encoded(value: &Secret) -> Vec<u8> {
    let value = value.expose();
    let mut payload = Vec::with_capacity(value.len() + 1);
    if value.is_empty() || value.starts_with('\0') {
        payload.push(0);
    }
    payload.extend_from_slice(value.as_bytes());
    payload
}

/// The value of what is stored; none where it is not text.
fn decoded(payload: &[u8]) -> Option<Secret> {
    let value = payload.strip_prefix(b"\0").unwrap_or(payload);
    std::str::from_utf8(value).ok().map(Secret::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_stored_and_none_is_empty() {
        for value in ["", "\0", "\0\0", "\0x", "x", "x\0", "請假 🔑\n"] {
            let payload = encoded(&Secret::new(value));
            assert!(!payload.is_empty());
            assert_eq!(decoded(&payload).unwrap().expose(), value);
        }
        assert_eq!(decoded(b"plain").unwrap().expose(), "plain");
        assert_eq!(decoded(b"\xff"), None);
    }

    #[test]
    fn the_number_is_read_from_the_name() {
        assert_eq!(number("projects/p/secrets/s/versions/12"), 12);
        assert_eq!(number("latest"), 0);
    }
}
