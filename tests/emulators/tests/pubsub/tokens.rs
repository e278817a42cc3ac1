//! Tokens against the served key set, checked with nothing but `ring`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use emulators::tokens::{Claims, GOOGLE, Issuer, Signature};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde_json::Value;

use crate::harness::{exchange, send};

const AUDIENCE: &str = "https://controller.example";
const EMAIL: &str = "pusher@test.iam.gserviceaccount.com";

/// What a token says, if the key set has its key and its signature, times and issuer are good.
pub(crate) async fn verified(issuer: &Issuer, token: &str) -> Result<Value, String> {
    let (_, set) = send(Method::GET, issuer.jwks_url(), Value::Null).await;
    let (signed, signature) = token.rsplit_once('.').ok_or("no signature")?;
    let (head, claims) = signed.split_once('.').ok_or("no claims")?;
    let (head, claims) = (json(head), json(claims));
    if head["alg"] != "RS256" {
        return Err(format!("the algorithm {}", head["alg"]));
    }
    let key = set["keys"].as_array().expect("keys").iter().find(|key| key["kid"] == head["kid"]);
    let key = key.ok_or("an unknown key")?;
    let part =
        |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().expect("text")).expect("base64url");
    RsaPublicKeyComponents { n: part("n"), e: part("e") }
        .verify(
            &RSA_PKCS1_2048_8192_SHA256,
            signed.as_bytes(),
            &URL_SAFE_NO_PAD.decode(signature).expect("base64url"),
        )
        .map_err(|_| "a wrong signature")?;
    let now = now();
    match &claims {
        claims if claims["iss"] != GOOGLE => Err("another issuer".to_owned()),
        claims if claims["exp"].as_u64() <= Some(now) => Err("expired".to_owned()),
        claims if claims["iat"].as_u64() > Some(now + 5) => Err("from the future".to_owned()),
        claims if claims["email_verified"] != true => Err("not verified".to_owned()),
        _ => Ok(claims),
    }
}

fn json(part: &str) -> Value {
    let bytes = URL_SAFE_NO_PAD.decode(part).expect("base64url");
    serde_json::from_slice(&bytes).expect("JSON")
}

#[expect(clippy::disallowed_methods, reason = "tokens end by the machine's clock")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

#[tokio::test]
async fn a_good_token_is_shaped_like_googles() {
    let issuer = Issuer::start().await.expect("an issuer");
    let token = issuer.token(AUDIENCE, EMAIL).expect("a token");
    let claims = verified(&issuer, &token).await.expect("good");
    assert_eq!(claims["aud"], AUDIENCE);
    assert_eq!(claims["email"], EMAIL);
    assert_eq!(claims["azp"], claims["sub"]);
    assert_eq!(claims["sub"].as_str().map(str::len), Some(21));
    let times = claims["iat"].as_u64().zip(claims["exp"].as_u64()).expect("times");
    assert_eq!(times.1 - times.0, 3600);
    assert_eq!(issuer.token(AUDIENCE, EMAIL).expect("a token"), token, "it may come again");
    assert_ne!(issuer.token("other", EMAIL).expect("a token"), token);
}

#[tokio::test]
async fn every_wrong_token_is_wrong_in_its_own_way() {
    let issuer = Issuer::start().await.expect("an issuer");
    let good = || Claims::new(AUDIENCE, EMAIL);
    let wrong = [
        (good().expired(), Signature::Right, "expired"),
        (good().from_the_future(), Signature::Right, "from the future"),
        (good().issued_by("https://example.com"), Signature::Right, "another issuer"),
        (good().unverified(), Signature::Right, "not verified"),
        (good(), Signature::UnknownKey, "an unknown key"),
        (good(), Signature::OtherKey, "a wrong signature"),
        (good(), Signature::Missing, "the algorithm \"none\""),
    ];
    for (claims, signature, reason) in wrong {
        let token = issuer.sign(&claims, signature).expect("a token");
        assert_eq!(verified(&issuer, &token).await.expect_err("wrong"), reason);
    }
    let token = issuer.sign(&good(), Signature::Right).expect("a token");
    verified(&issuer, &token).await.expect("good");
}

#[tokio::test]
async fn rotation_changes_the_key_and_keeps_the_one_before() {
    let issuer = Issuer::start().await.expect("an issuer");
    let tokens: Vec<String> = (0..3)
        .map(|_| {
            let token = issuer.token(AUDIENCE, EMAIL).expect("a token");
            issuer.rotate();
            token
        })
        .collect();
    let key = |token: &str| json(token.split('.').next().expect("a head"))["kid"].clone();
    assert_ne!(key(&tokens[0]), key(&tokens[1]));
    assert_ne!(key(&tokens[0]), key(&tokens[2]));
    verified(&issuer, &issuer.token(AUDIENCE, EMAIL).expect("a token")).await.expect("the new key");
    verified(&issuer, &tokens[2]).await.expect("the key before");
    assert_eq!(verified(&issuer, &tokens[1]).await.expect_err("gone"), "an unknown key");
}

#[tokio::test]
async fn the_key_set_says_how_long_it_may_be_remembered() {
    let issuer = Issuer::start().await.expect("an issuer");
    issuer.set_max_age(Duration::from_secs(7));
    let (_, headers, _) = exchange(Method::GET, issuer.jwks_url(), Value::Null).await;
    assert_eq!(headers["cache-control"], "public, max-age=7, must-revalidate");
    assert_eq!(issuer.fetches(), 1);
}
