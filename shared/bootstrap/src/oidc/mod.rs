//! Google-signed tokens of pushes, alarms and sweeps: who calls, checked before anything is read.
//!
//! | token | answer |
//! |---|---|
//! | missing, malformed, not signed by Google, expired | 401 |
//! | good, but for another audience or of another account | 403 |
//! | good as far as it can be told, but Google's keys cannot be fetched | 503 |
//!
//! The verifier of the official client library is not used: it takes the algorithm from the token,
//! accepts the issuer of another product, knows one account only, fetches the keys at every
//! unknown id, and fails where two requests need them at the same time.

mod keys;
mod ring_provider;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use ports::Clock;
use serde::Deserialize;

use crate::config::Push;
pub use keys::KeysError;
use keys::{Keys, Wanted};

/// Who vouches for Google's accounts; both forms are in use.
const ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];
/// How far clocks may differ, in seconds.
const SKEW_SECONDS: i64 = 60;
/// Longest token, in bytes; Google's have about 1,200.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// Checks tokens for one function.
pub struct Verifier {
    keys: Keys,
    validation: Validation,
    audience: String,
    accounts: Vec<String>,
    clock: Arc<dyn Clock>,
}

/// Why a request is turned away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// Nobody knows who calls: 401.
    Unauthorised(&'static str),
    /// The caller is known and not welcome: 403.
    Forbidden(&'static str),
    /// Google's keys cannot be had right now: 503.
    Unavailable,
}

#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    exp: i64,
    iat: i64,
    #[serde(default)]
    email: String,
    #[serde(default)]
    email_verified: bool,
}

impl Verifier {
    /// A verifier of this function's tokens.
    pub fn new(push: &Push, clock: Arc<dyn Clock>) -> Result<Self, KeysError> {
        ring_provider::install();
        let mut validation = Validation::new(Algorithm::RS256);
        // Times, audience and issuer are checked below: by this system's clock, and so that a
        // good token for somebody else can be told from a bad one.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        Ok(Self {
            keys: Keys::new(push.jwks_url.clone(), clock.clone())?,
            validation,
            audience: push.audience.clone(),
            accounts: push.service_accounts.clone(),
            clock,
        })
    }

    /// Fetches the keys, so that the first request need not wait for them.
    pub async fn warm(&self) -> Result<(), KeysError> {
        self.keys.refresh().await
    }

    /// Whether these headers bring a token that opens the door.
    pub async fn check(&self, headers: &HeaderMap) -> Result<(), Denied> {
        let token = bearer(headers).ok_or(Denied::Unauthorised("there is no bearer token"))?;
        let head = decode_header(token).map_err(|_| malformed())?;
        if head.alg != Algorithm::RS256 {
            return Err(Denied::Unauthorised("the token is not signed with RS256"));
        }
        let kid = head.kid.ok_or(Denied::Unauthorised("the token names no key"))?;
        let key = match self.keys.find(&kid).await {
            Wanted::Key(key) => key,
            Wanted::Unknown => {
                return Err(Denied::Unauthorised("the token's key is none of Google's"));
            }
            Wanted::Unavailable => return Err(Denied::Unavailable),
        };
        let claims = decode::<Claims>(token, &key, &self.validation).map_err(|error| {
            use jsonwebtoken::errors::ErrorKind;
            match error.kind() {
                ErrorKind::InvalidSignature => {
                    Denied::Unauthorised("the token's signature is wrong")
                }
                _ => malformed(),
            }
        })?;
        self.judge(&claims.claims)
    }

    fn judge(&self, claims: &Claims) -> Result<(), Denied> {
        let now = self.clock.now().timestamp();
        if !ISSUERS.contains(&claims.iss.as_str()) {
            return Err(Denied::Unauthorised("the token's issuer is not Google"));
        }
        if claims.exp.saturating_add(SKEW_SECONDS) <= now {
            return Err(Denied::Unauthorised("the token has expired"));
        }
        if claims.iat.saturating_sub(SKEW_SECONDS) > now {
            return Err(Denied::Unauthorised("the token was issued in the future"));
        }
        if claims.aud != self.audience {
            return Err(Denied::Forbidden("the token is for another audience"));
        }
        if !claims.email_verified || !self.accounts.contains(&claims.email) {
            return Err(Denied::Forbidden("the token's account may not call this function"));
        }
        Ok(())
    }
}

fn malformed() -> Denied {
    Denied::Unauthorised("the token is malformed")
}

/// The token of the one `Authorization: Bearer …`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (value, more) = (all.next()?, all.next());
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let fits = more.is_none() && scheme.eq_ignore_ascii_case("bearer");
    (fits && !token.is_empty() && token.len() <= TOKEN_BYTES_MAX).then_some(token)
}

/// Middleware: turns away whoever brings no good token, before the body is read.
pub async fn guard(
    State(verifier): State<Arc<Verifier>>,
    request: Request,
    next: Next,
) -> Response {
    match verifier.check(request.headers()).await {
        Ok(()) => next.run(request).await,
        Err(denied) => {
            tracing::warn!(reason = denied.reason(), "a request was turned away");
            denied.into_response()
        }
    }
}

impl Denied {
    fn reason(&self) -> &'static str {
        match self {
            Self::Unauthorised(reason) | Self::Forbidden(reason) => reason,
            Self::Unavailable => "Google's keys cannot be fetched; try again",
        }
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let text = format!("{}\n", self.reason());
        match self {
            Self::Unauthorised(_) => {
                let wanted = (header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                (StatusCode::UNAUTHORIZED, [wanted], text).into_response()
            }
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, text).into_response(),
            Self::Unavailable => {
                let later = (header::RETRY_AFTER, HeaderValue::from_static("1"));
                (StatusCode::SERVICE_UNAVAILABLE, [later], text).into_response()
            }
        }
    }
}
