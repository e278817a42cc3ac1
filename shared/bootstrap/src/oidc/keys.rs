//! The keys that tokens are signed with (a JSON Web Key Set), kept as long as their server says.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::http::header;
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::DecodingKey;
use ports::Clock;
use reqwest::redirect;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use tokio::sync::Mutex;

/// How long one fetch may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// How often an unknown key id leads to a fetch: strangers must not make us call Google.
const UNKNOWN_EVERY: TimeDelta = TimeDelta::seconds(10);
/// How often a failed fetch is repeated.
const FAILED_EVERY: TimeDelta = TimeDelta::seconds(5);
/// How long keys are good where the server does not say, and the bounds where it does.
const AGE_SECONDS_DEFAULT: i64 = 3_600;
const AGE_SECONDS_MIN: i64 = 10;
const AGE_SECONDS_MAX: i64 = 24 * 3_600;
/// How long old keys are used where the server cannot be reached: longer than its outages, and
/// shorter than a withdrawn key should live.
const STALE_MAX: TimeDelta = TimeDelta::hours(12);
/// Largest set, in bytes and keys; Google's has two or three.
const SET_BYTES_MAX: usize = 256 * 1024;
const SET_KEYS_MAX: usize = 100;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// TLS or the client.
    #[error("the client for Google's keys cannot start: {0}")]
    Setup(String),
    /// The server does not answer as it should.
    #[error(
        "the keys at {url} cannot be fetched: {reason}; check CHATFLOW_JWKS_URL and the way out"
    )]
    Fetch {
        /// Where.
        url: String,
        /// Why.
        reason: String,
    },
}

/// What came of looking for a key.
pub(super) enum Wanted {
    /// Here it is.
    Key(Arc<DecodingKey>),
    /// There is none of that id.
    Unknown,
    /// It cannot be told.
    Unavailable,
}

#[derive(Default)]
struct Set {
    keys: HashMap<String, Arc<DecodingKey>>,
    /// When they were fetched last; none is never.
    fetched_at: Option<DateTime<Utc>>,
    fresh_until: Option<DateTime<Utc>>,
    /// When a fetch last ended, well or not.
    tried_at: Option<DateTime<Utc>>,
}

/// The keys.
pub(super) struct Keys {
    url: String,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
    set: RwLock<Set>,
    /// One fetch at a time.
    fetching: Mutex<()>,
}

#[derive(Deserialize)]
struct WebKeys {
    keys: Vec<WebKey>,
}

#[derive(Deserialize)]
struct WebKey {
    #[serde(default)]
    kid: String,
    #[serde(default)]
    kty: String,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default, rename = "use")]
    purpose: Option<String>,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
}

impl Keys {
    pub(super) fn new(url: String, clock: Arc<dyn Clock>) -> Result<Self, KeysError> {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| KeysError::Setup(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .timeout(FETCH_TIMEOUT)
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| KeysError::Setup(error.to_string()))?;
        let (set, fetching) = (RwLock::default(), Mutex::new(()));
        Ok(Self { url, client, clock, set, fetching })
    }

    /// The key of that id, fetched where need be.
    pub(super) async fn find(&self, kid: &str) -> Wanted {
        let (found, due) = self.look(kid);
        if !due {
            return self.settled(found);
        }
        // Whoever has a key that is good enough does not wait for a fetch that is under way.
        let _guard = match (&found, self.fetching.try_lock()) {
            (_, Ok(guard)) => guard,
            (Some(_), Err(_)) => return self.settled(found),
            (None, Err(_)) => self.fetching.lock().await,
        };
        let (found, due) = self.look(kid);
        if due && let Err(error) = self.fetch().await {
            tracing::warn!(%error, "fetching keys failed");
        } else if !due {
            return self.settled(found);
        }
        let (found, _) = self.look(kid);
        self.settled(found)
    }

    /// Fetches them whatever is there.
    pub(super) async fn refresh(&self) -> Result<(), KeysError> {
        let _guard = self.fetching.lock().await;
        self.fetch().await
    }

    /// The key, as long as it may be used, and whether a fetch is due.
    fn look(&self, kid: &str) -> (Option<Arc<DecodingKey>>, bool) {
        let now = self.clock.now();
        let set = self.set.read().unwrap_or_else(PoisonError::into_inner);
        let usable = set.fetched_at.is_some_and(|at| now < at + STALE_MAX);
        let found = set.keys.get(kid).filter(|_| usable).cloned();
        let fresh = set.fresh_until.is_some_and(|until| now < until);
        let every = if fresh { UNKNOWN_EVERY } else { FAILED_EVERY };
        let rested = set.tried_at.is_none_or(|at| now >= at + every);
        (found.clone(), rested && (!fresh || found.is_none()))
    }

    fn settled(&self, found: Option<Arc<DecodingKey>>) -> Wanted {
        let now = self.clock.now();
        let set = self.set.read().unwrap_or_else(PoisonError::into_inner);
        let known = set.fresh_until.is_some_and(|until| now < until);
        match found {
            Some(key) => Wanted::Key(key),
            None if known => Wanted::Unknown,
            None => Wanted::Unavailable,
        }
    }

    async fn fetch(&self) -> Result<(), KeysError> {
        let fetched = self.fetched().await;
        let now = self.clock.now();
        let mut set = self.set.write().unwrap_or_else(PoisonError::into_inner);
        set.tried_at = Some(now);
        let (keys, age) =
            fetched.map_err(|reason| KeysError::Fetch { url: self.url.clone(), reason })?;
        set.keys = keys;
        set.fetched_at = Some(now);
        set.fresh_until = now.checked_add_signed(age);
        Ok(())
    }

    async fn fetched(&self) -> Result<(HashMap<String, Arc<DecodingKey>>, TimeDelta), String> {
        let sent = self.client.get(&self.url).send().await;
        let mut answer = sent.map_err(|error| error.without_url().to_string())?;
        if !answer.status().is_success() {
            return Err(format!("the server answers {}", answer.status()));
        }
        let control = answer.headers().get(header::CACHE_CONTROL);
        let age = max_age(control.and_then(|value| value.to_str().ok()));
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| e.without_url().to_string())? {
            if body.len() + chunk.len() > SET_BYTES_MAX {
                return Err(format!("the answer has more than {SET_BYTES_MAX} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        let set: WebKeys = serde_json::from_slice(&body)
            .map_err(|error| format!("the answer is no key set: {error}"))?;
        let keys: HashMap<_, _> =
            set.keys.into_iter().take(SET_KEYS_MAX).filter_map(WebKey::read).collect();
        if keys.is_empty() {
            return Err("the answer has no RSA key for signatures".to_owned());
        }
        Ok((keys, age))
    }
}

impl WebKey {
    /// A key for RS256; others are none of our business.
    fn read(self) -> Option<(String, Arc<DecodingKey>)> {
        let fits = self.kty == "RSA"
            && self.alg.is_none_or(|alg| alg == "RS256")
            && self.purpose.is_none_or(|purpose| purpose == "sig");
        if !fits || self.kid.is_empty() {
            return None;
        }
        let key = DecodingKey::from_rsa_components(&self.n, &self.e).ok()?;
        Some((self.kid, Arc::new(key)))
    }
}

/// How long an answer is good, by its `Cache-Control`.
fn max_age(control: Option<&str>) -> TimeDelta {
    let directives = || control.unwrap_or_default().split(',').map(str::trim);
    let told = directives().find_map(|directive| {
        let (name, seconds) = directive.split_once('=')?;
        if !name.trim().eq_ignore_ascii_case("max-age") {
            return None;
        }
        seconds.trim().trim_matches('"').parse::<i64>().ok()
    });
    let uncached = directives()
        .any(|one| one.eq_ignore_ascii_case("no-store") || one.eq_ignore_ascii_case("no-cache"));
    let seconds = if uncached { 0 } else { told.unwrap_or(AGE_SECONDS_DEFAULT) };
    TimeDelta::seconds(seconds.clamp(AGE_SECONDS_MIN, AGE_SECONDS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_bounded() {
        let seconds = |control| max_age(control).num_seconds();
        assert_eq!(seconds(None), 3_600);
        assert_eq!(seconds(Some("public, max-age=19845, must-revalidate")), 19_845);
        assert_eq!(seconds(Some("Max-Age = \"300\"")), 300);
        assert_eq!(seconds(Some("max-age=0")), AGE_SECONDS_MIN);
        assert_eq!(seconds(Some("max-age=99999999")), AGE_SECONDS_MAX);
        assert_eq!(seconds(Some("no-store, max-age=500")), AGE_SECONDS_MIN);
    }
}
