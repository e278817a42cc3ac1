//! Tokens of every kind, against a key server on loopback.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use ports::Clock;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents};
use serde_json::{Value, json};
use test_support::VirtualClock;
use tokio::net::TcpListener;

use super::{Denied, Verifier};
use crate::config::Push;

const AUDIENCE: &str = "https://controller-1.run.app";
const ACCOUNT: &str = "push@demo-1.iam.gserviceaccount.com";

/// Keys that lie in the project for everyone to read.
fn key_pair(second: bool) -> RsaKeyPair {
    let pem = if second {
        include_str!("../../../../tests/emulators/keys/test-only-2.pem")
    } else {
        include_str!("../../../../tests/emulators/keys/test-only.pem")
    };
    let text: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    RsaKeyPair::from_pkcs8(&STANDARD.decode(text).unwrap()).unwrap()
}

fn web_key(kid: &str, second: bool) -> Value {
    let public = RsaPublicKeyComponents::<Vec<u8>>::from(key_pair(second).public());
    json!({
        "kid": kid, "kty": "RSA", "alg": "RS256", "use": "sig",
        "n": URL_SAFE_NO_PAD.encode(public.n), "e": URL_SAFE_NO_PAD.encode(public.e),
    })
}

fn signed(head: &Value, claims: &Value, second: bool) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", encode(head), encode(claims));
    let pair = key_pair(second);
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

struct Server {
    keys: Mutex<Value>,
    fetches: AtomicUsize,
    down: AtomicBool,
}

async fn serve_keys(State(server): State<Arc<Server>>) -> Response {
    server.fetches.fetch_add(1, Ordering::SeqCst);
    if server.down.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let keys = server.keys.lock().unwrap().to_string();
    ([(header::CACHE_CONTROL, "public, max-age=600")], keys).into_response()
}

struct Tested {
    server: Arc<Server>,
    clock: Arc<VirtualClock>,
    verifier: Arc<Verifier>,
}

impl Tested {
    async fn new() -> Self {
        let server = Arc::new(Server {
            keys: Mutex::new(json!({ "keys": [web_key("one", false)] })),
            fetches: AtomicUsize::new(0),
            down: AtomicBool::new(false),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/jwks", get(serve_keys)).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let clock = Arc::new(VirtualClock::default());
        let push = Push {
            audience: AUDIENCE.into(),
            service_accounts: vec!["other@x.y".into(), ACCOUNT.into()],
            jwks_url: format!("http://{address}/jwks"),
        };
        let verifier = Arc::new(Verifier::new(&push, clock.clone()).unwrap());
        Self { server, clock, verifier }
    }

    fn claims(&self) -> Value {
        let now = self.clock.now().timestamp();
        json!({
            "iss": "https://accounts.google.com", "aud": AUDIENCE, "azp": "1", "sub": "1",
            "email": ACCOUNT, "email_verified": true, "iat": now, "exp": now + 3_600,
        })
    }

    fn with(&self, name: &str, value: Value) -> String {
        let mut claims = self.claims();
        claims[name] = value;
        signed(&json!({ "alg": "RS256", "kid": "one" }), &claims, false)
    }

    fn good(&self) -> String {
        self.with("sub", "1".into())
    }

    fn fetches(&self) -> usize {
        self.server.fetches.load(Ordering::SeqCst)
    }

    fn set_keys(&self, keys: &[Value]) {
        *self.server.keys.lock().unwrap() = json!({ "keys": keys });
    }

    async fn check(&self, token: &str) -> Result<(), Denied> {
        let mut headers = HeaderMap::new();
        let value = format!("Bearer {token}");
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        self.verifier.check(&headers).await
    }

    async fn status(&self, token: &str) -> u16 {
        match self.check(token).await {
            Ok(()) => 204,
            Err(denied) => denied.into_response().status().as_u16(),
        }
    }
}

#[tokio::test]
async fn a_good_token_opens_the_door() {
    let tested = Tested::new().await;
    assert_eq!(tested.status(&tested.good()).await, 204);
    assert_eq!(tested.status(&tested.with("iss", "accounts.google.com".into())).await, 204);
    assert_eq!(tested.status(&tested.with("email", "other@x.y".into())).await, 204);
    assert_eq!(tested.fetches(), 1);
}

#[tokio::test]
async fn bad_tokens_are_401() {
    let tested = Tested::new().await;
    let now = tested.clock.now().timestamp();
    let head = |alg: &str, kid: &str| json!({ "alg": alg, "kid": kid });
    let claims = tested.claims();
    let good = tested.good();
    let (body, _) = good.rsplit_once('.').unwrap();
    let unsigned = {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.", encode(&head("none", "one")), encode(&claims))
    };
    let mut stolen = good.clone();
    stolen.replace_range(stolen.len() - 20..stolen.len() - 16, "AAAA");
    let without = |name: &str| {
        let mut claims = tested.claims();
        claims.as_object_mut().unwrap().remove(name);
        signed(&head("RS256", "one"), &claims, false)
    };
    let cases = [
        (String::new(), "no bearer"),
        ("x".into(), "malformed"),
        ("a.b.c".into(), "malformed"),
        ("x".repeat(9_000), "no bearer"),
        (unsigned, "malformed"),
        (format!("{body}."), "signature"),
        (stolen, "signature"),
        (signed(&head("HS256", "one"), &claims, false), "RS256"),
        (signed(&head("RS512", "one"), &claims, false), "RS256"),
        (signed(&json!({ "alg": "RS256" }), &claims, false), "names no key"),
        (signed(&head("RS256", "one"), &claims, true), "signature"),
        (signed(&head("RS256", "two"), &claims, true), "none of Google's"),
        (tested.with("iss", "https://evil.example".into()), "issuer"),
        (tested.with("exp", (now - 61).into()), "expired"),
        (tested.with("iat", (now + 62).into()), "future"),
        (tested.with("exp", "soon".into()), "malformed"),
        (without("exp"), "malformed"),
        (without("iat"), "malformed"),
        (without("aud"), "malformed"),
        (without("iss"), "malformed"),
    ];
    for (token, said) in cases {
        let denied = tested.check(&token).await.unwrap_err();
        assert!(matches!(denied, Denied::Unauthorised(_)), "{said}: {denied:?}");
        assert!(denied.reason().contains(said), "{said}: {denied:?}");
        assert_eq!(denied.into_response().status(), StatusCode::UNAUTHORIZED);
    }
    // Clocks may differ a little.
    assert_eq!(tested.status(&tested.with("exp", (now - 59).into())).await, 204);
    assert_eq!(tested.status(&tested.with("iat", (now + 59).into())).await, 204);
}

#[tokio::test]
async fn headers_that_are_no_bearer_token_are_401() {
    let tested = Tested::new().await;
    let good = tested.good();
    let check = async |values: &[String]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        tested.verifier.check(&headers).await
    };
    let bearer = format!("Bearer {good}");
    assert!(check(&[format!("bearer {good}")]).await.is_ok());
    for values in [
        vec![],
        vec![good.clone()],
        vec![format!("Basic {good}")],
        vec![bearer.clone(), bearer.clone()],
    ] {
        assert!(matches!(check(&values).await, Err(Denied::Unauthorised(_))), "{values:?}");
    }
}

#[tokio::test]
async fn good_tokens_of_others_are_403() {
    let tested = Tested::new().await;
    for (name, value) in [
        ("aud", json!("https://messenger-1.run.app")),
        ("aud", json!(format!("{AUDIENCE}/"))),
        ("email", json!("stranger@demo-1.iam.gserviceaccount.com")),
        ("email", json!("")),
        ("email_verified", json!(false)),
    ] {
        assert_eq!(tested.status(&tested.with(name, value.clone())).await, 403, "{name}={value}");
    }
}

#[tokio::test]
async fn rotated_keys_are_fetched_and_strangers_make_no_load() {
    let tested = Tested::new().await;
    tested.verifier.warm().await.unwrap();
    let second = signed(&json!({ "alg": "RS256", "kid": "two" }), &tested.claims(), true);
    tested.set_keys(&[web_key("two", true), web_key("one", false)]);
    // An unknown id leads to a fetch only every few seconds.
    for _ in 0..20 {
        assert_eq!(tested.status(&second).await, 401);
    }
    assert_eq!(tested.fetches(), 1);
    tested.clock.advance(TimeDelta::seconds(11));
    assert_eq!((tested.status(&second).await, tested.fetches()), (204, 2));
    assert_eq!((tested.status(&tested.good()).await, tested.fetches()), (204, 2));
    // A key that Google withdrew is worth nothing after the set's age.
    tested.set_keys(&[web_key("two", true)]);
    tested.clock.advance(TimeDelta::seconds(601));
    assert_eq!((tested.status(&tested.good()).await, tested.fetches()), (401, 3));
}

#[tokio::test]
async fn many_at_once_fetch_once() {
    let tested = Tested::new().await;
    let mut checks = Vec::new();
    for _ in 0..50 {
        let (verifier, token) = (tested.verifier.clone(), tested.good());
        checks.push(tokio::spawn(async move {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
            verifier.check(&headers).await
        }));
    }
    for check in checks {
        check.await.unwrap().unwrap();
    }
    assert_eq!(tested.fetches(), 1);
}

#[tokio::test]
async fn an_outage_is_bridged_but_not_for_ever() {
    let tested = Tested::new().await;
    assert_eq!(tested.status(&tested.good()).await, 204);
    tested.server.down.store(true, Ordering::SeqCst);
    tested.clock.advance(TimeDelta::hours(11));
    let fetched = tested.fetches();
    for _ in 0..10 {
        assert_eq!(tested.status(&tested.good()).await, 204);
    }
    assert_eq!(tested.fetches(), fetched + 1);
    // An id nobody knows may be a new key: that cannot be told now.
    let second = signed(&json!({ "alg": "RS256", "kid": "two" }), &tested.claims(), true);
    assert_eq!(tested.status(&second).await, 503);
    tested.clock.advance(TimeDelta::hours(2));
    assert_eq!(tested.status(&tested.good()).await, 503);
    tested.server.down.store(false, Ordering::SeqCst);
    tested.clock.advance(TimeDelta::seconds(6));
    assert_eq!(tested.status(&tested.good()).await, 204);
}

#[tokio::test]
async fn without_any_keys_it_is_503() {
    let tested = Tested::new().await;
    for set in ["[]", "{\"keys\":[]}", "<html>"] {
        *tested.server.keys.lock().unwrap() = Value::String(set.into());
        assert!(tested.verifier.warm().await.is_err());
    }
    tested.server.down.store(true, Ordering::SeqCst);
    tested.clock.advance(TimeDelta::seconds(6));
    assert_eq!(tested.status(&tested.good()).await, 503);
}

#[tokio::test]
async fn keys_of_other_kinds_are_not_used() {
    let tested = Tested::new().await;
    let change = |name: &str, value: &str| {
        let mut key = web_key("one", false);
        key[name] = value.into();
        key
    };
    for key in [change("use", "enc"), change("alg", "RS512"), change("kty", "EC")] {
        tested.set_keys(&[key, web_key("two", true)]);
        tested.verifier.warm().await.unwrap();
        assert_eq!(tested.status(&tested.good()).await, 401);
    }
}
