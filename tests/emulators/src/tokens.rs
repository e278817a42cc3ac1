//! Google's signing keys, played by two keys of our own: ID tokens and the address that verifies
//! them.
//!
//! Both keys lie in `keys/` for everyone to read, so a token of this issuer is worth nothing
//! outside of tests.

use std::collections::HashMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow};
use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The issuer that Google's ID tokens name.
pub const GOOGLE: &str = "https://accounts.google.com";

/// How long a token is valid, in seconds: as Google's.
const VALID_SECONDS: i64 = 3600;
/// How long a token may be handed out again, in seconds.
const REUSE_SECONDS: i64 = 300;
/// How many tokens are remembered for that.
const REMEMBERED_MAX: usize = 1000;
/// What the keys' address lets clients remember, until [`Issuer::set_max_age`].
const MAX_AGE_SECONDS: u64 = 3600;

/// Signs ID tokens and serves the keys that verify them, as a JSON Web Key Set on loopback.
///
/// Clones share the keys; the server ends with the last of them.
#[derive(Clone)]
pub struct Issuer {
    inner: Arc<Inner>,
    jwks_url: String,
    _server: Arc<JoinSet<()>>,
}

struct Inner {
    keys: [RsaKeyPair; 2],
    /// How often [`Issuer::rotate`] was called. Its parity chooses the key.
    rotations: AtomicU64,
    max_age_seconds: AtomicU64,
    fetches: AtomicU64,
    remembered: Mutex<HashMap<(String, String), Remembered>>,
}

struct Remembered {
    token: String,
    kid: String,
    until: i64,
}

/// What a token says. [`Claims::new`] is a good one; the other methods spoil it.
#[derive(Clone, Debug, Serialize)]
pub struct Claims {
    /// Who vouches for it.
    pub iss: String,
    /// Whom it is meant for: the address of the called function.
    pub aud: String,
    /// Who asked for it: Google repeats the account's number.
    pub azp: String,
    /// The account's number.
    pub sub: String,
    /// The account's address.
    pub email: String,
    /// Whether Google knows the address to be the account's.
    pub email_verified: bool,
    /// When it was issued, in seconds since 1970.
    pub iat: i64,
    /// When it ends, in seconds since 1970.
    pub exp: i64,
}

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// With the current key, under its id.
    Right,
    /// With the current key, under an id that the key set does not have.
    UnknownKey,
    /// With the key that is not the current one, under the current one's id.
    OtherKey,
    /// Not at all: `"alg": "none"`.
    Missing,
}

impl Claims {
    /// What Google says of the service account `email` that calls `audience` now.
    pub fn new(audience: &str, email: &str) -> Self {
        let now = now_seconds();
        let account = account_number(email);
        Self {
            iss: GOOGLE.to_owned(),
            aud: audience.to_owned(),
            azp: account.clone(),
            sub: account,
            email: email.to_owned(),
            email_verified: true,
            iat: now,
            exp: now + VALID_SECONDS,
        }
    }

    /// Ended an hour ago.
    #[must_use]
    pub fn expired(self) -> Self {
        let end = now_seconds() - VALID_SECONDS;
        Self { iat: end - VALID_SECONDS, exp: end, ..self }
    }

    /// Issued an hour from now.
    #[must_use]
    pub fn from_the_future(self) -> Self {
        let start = now_seconds() + VALID_SECONDS;
        Self { iat: start, exp: start + VALID_SECONDS, ..self }
    }

    /// Issued by somebody else.
    #[must_use]
    pub fn issued_by(self, issuer: &str) -> Self {
        Self { iss: issuer.to_owned(), ..self }
    }

    /// With an address that Google does not vouch for.
    #[must_use]
    pub fn unverified(self) -> Self {
        Self { email_verified: false, ..self }
    }
}

impl Issuer {
    /// Serves the keys on a free loopback port.
    pub async fn start() -> anyhow::Result<Self> {
        let inner = Arc::new(Inner {
            keys: [
                key(include_str!("../keys/test-only.pem"))?,
                key(include_str!("../keys/test-only-2.pem"))?,
            ],
            rotations: AtomicU64::new(0),
            max_age_seconds: AtomicU64::new(MAX_AGE_SECONDS),
            fetches: AtomicU64::new(0),
            remembered: Mutex::new(HashMap::new()),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("no free port for the key set")?;
        let jwks_url = format!("http://{}/jwks", listener.local_addr()?);
        let router = Router::new().route("/jwks", get(jwks)).with_state(Arc::clone(&inner));
        let mut server = JoinSet::new();
        server.spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the key set's server ended");
            }
        });
        Ok(Self { inner, jwks_url, _server: Arc::new(server) })
    }

    /// Where the key set is: `http://127.0.0.1:PORT/jwks`.
    pub fn jwks_url(&self) -> &str {
        &self.jwks_url
    }

    /// A good token, valid for an hour. The same one may come again for a few minutes, as from
    /// Google's metadata server.
    pub fn token(&self, audience: &str, email: &str) -> anyhow::Result<String> {
        let claims = Claims::new(audience, email);
        let kid = self.inner.kid();
        let name = (audience.to_owned(), email.to_owned());
        let remembered = || self.inner.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = remembered().get(&name)
            && known.kid == kid
            && claims.iat < known.until
        {
            return Ok(known.token.clone());
        }
        let token = self.sign(&claims, Signature::Right)?;
        let mut remembered = remembered();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        let until = claims.iat + REUSE_SECONDS;
        remembered.insert(name, Remembered { token: token.clone(), kid, until });
        Ok(token)
    }

    /// A token that says `claims`, signed as told.
    pub fn sign(&self, claims: &Claims, signature: Signature) -> anyhow::Result<String> {
        let rotations = self.inner.rotations.load(Ordering::Acquire);
        let kid = match signature {
            Signature::UnknownKey => "unknown".to_owned(),
            Signature::Right | Signature::OtherKey | Signature::Missing => kid(rotations),
        };
        let head = match signature {
            Signature::Missing => json!({ "alg": "none", "typ": "JWT" }),
            Signature::Right | Signature::UnknownKey | Signature::OtherKey => {
                json!({ "alg": "RS256", "kid": kid, "typ": "JWT" })
            }
        };
        let head = URL_SAFE_NO_PAD.encode(head.to_string());
        let body = URL_SAFE_NO_PAD.encode(serde_json::to_vec(claims)?);
        let signed = format!("{head}.{body}");
        let signature = match signature {
            Signature::Missing => return Ok(format!("{signed}.")),
            Signature::Right | Signature::UnknownKey => self.inner.key(rotations).sign(&signed)?,
            Signature::OtherKey => self.inner.key(rotations + 1).sign(&signed)?,
        };
        Ok(format!("{signed}.{signature}"))
    }

    /// Signs with the other key, under a new id, from now on. The key set holds the new key and
    /// the one before, as Google's does.
    pub fn rotate(&self) {
        self.inner.rotations.fetch_add(1, Ordering::AcqRel);
    }

    /// How long clients may remember the key set, in whole seconds.
    pub fn set_max_age(&self, max_age: Duration) {
        self.inner.max_age_seconds.store(max_age.as_secs(), Ordering::Release);
    }

    /// How often the key set was asked for.
    pub fn fetches(&self) -> u64 {
        self.inner.fetches.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Issuer").field("jwks_url", &self.jwks_url).finish_non_exhaustive()
    }
}

impl Inner {
    fn kid(&self) -> String {
        kid(self.rotations.load(Ordering::Acquire))
    }

    fn key(&self, rotations: u64) -> Signer<'_> {
        Signer(&self.keys[usize::from(!rotations.is_multiple_of(2))])
    }

    fn jwk(&self, rotations: u64) -> Value {
        let public = RsaPublicKeyComponents::<Vec<u8>>::from(self.key(rotations).0.public());
        json!({
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": kid(rotations),
            "n": URL_SAFE_NO_PAD.encode(public.n),
            "e": URL_SAFE_NO_PAD.encode(public.e),
        })
    }
}

struct Signer<'a>(&'a RsaKeyPair);

impl Signer<'_> {
    /// The RS256 signature of `text`, in base64url.
    fn sign(&self, text: &str) -> anyhow::Result<String> {
        let mut signature = vec![0; self.0.public().modulus_len()];
        self.0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
            .map_err(|_| anyhow!("the test key does not sign"))?;
        Ok(URL_SAFE_NO_PAD.encode(signature))
    }
}

async fn jwks(State(inner): State<Arc<Inner>>) -> impl IntoResponse {
    inner.fetches.fetch_add(1, Ordering::AcqRel);
    let rotations = inner.rotations.load(Ordering::Acquire);
    let keys: Vec<Value> =
        (rotations.saturating_sub(1)..=rotations).rev().map(|each| inner.jwk(each)).collect();
    let max_age = inner.max_age_seconds.load(Ordering::Acquire);
    let remember = format!("public, max-age={max_age}, must-revalidate");
    ([(header::CACHE_CONTROL, remember)], axum::Json(json!({ "keys": keys })))
}

fn kid(rotations: u64) -> String {
    format!("test-{}", rotations + 1)
}

/// A private key out of its PEM text (PKCS#8).
fn key(pem: &str) -> anyhow::Result<RsaKeyPair> {
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(base64).context("the test key is not PEM")?;
    RsaKeyPair::from_pkcs8(&der).map_err(|error| anyhow!("the test key is not usable: {error}"))
}

/// A number of 21 digits for an account: the same for the same address.
fn account_number(email: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, email.as_bytes());
    let number =
        digest.as_ref().iter().take(8).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    format!("1{number:020}")
}

#[expect(clippy::disallowed_methods, reason = "a token's times are the machine's, not a replay's")]
fn now_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
