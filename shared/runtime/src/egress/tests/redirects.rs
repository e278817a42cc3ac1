//! Redirects between real servers.

use axum::Router;
use axum::routing::{any, get as on_get};
use bytes::Bytes;
use http::Method;

use super::super::{AddressClass, EgressError, OutgoingRequest, Refusal};
use super::servers::{Server, Then, closed, echo, raw, redirect};
use super::{egress, get};

fn following(url: String, allowed: &[&str]) -> OutgoingRequest {
    OutgoingRequest { follow_redirects: 5, ..get(url, allowed) }
}

#[tokio::test]
async fn a_redirect_to_a_host_that_is_not_allowed_is_refused() {
    let inside = Server::hello().await;
    let localhost = format!("http://localhost:{}/", inside.port);
    for (location, host) in [(inside.url(), "127.0.0.1"), (localhost, "localhost")] {
        let door = Server::redirecting(302, location).await;
        let answer = egress().send(following(door.url(), &[&door.host()])).await;
        let reason =
            Refusal::InternalAddress { host: host.to_owned(), class: AddressClass::Loopback };
        assert_eq!(answer, Err(EgressError::Refused { reason }));
        assert_eq!((door.hits(), inside.hits()), (1, 0));
    }
}

#[tokio::test]
async fn a_redirect_to_metadata_is_refused() {
    let internal = |host: &str| Refusal::InternalAddress {
        host: host.to_owned(),
        class: AddressClass::Metadata,
    };
    for (location, reason) in [
        ("http://169.254.169.254/latest/meta-data/", internal("169.254.169.254")),
        ("http://[::ffff:169.254.169.254]/", internal("[::ffff:a9fe:a9fe]")),
        ("//2852039166/", internal("169.254.169.254")),
        (
            "http://metadata.google.internal/",
            Refusal::MetadataName { host: "metadata.google.internal".to_owned() },
        ),
        ("ftp://a.example/", Refusal::Scheme),
        ("file:///etc/passwd", Refusal::Scheme),
        ("http://user:word@a.example/", Refusal::Userinfo),
    ] {
        let door = Server::redirecting(307, location.to_owned()).await;
        let answer = egress().send(following(door.url(), &[&door.host()])).await;
        assert_eq!(answer, Err(EgressError::Refused { reason }), "{location}");
    }
}

/// Posts with secrets to a server that redirects to one that tells the request back.
async fn echoed_after(status: u16, origin: &str) -> String {
    let routes = Router::new().fallback(any(echo));
    let elsewhere = Server::start(routes.clone()).await;
    let location = match origin {
        "same" => "/echo".to_owned(),
        _ => format!("{}echo", elsewhere.url()),
    };
    let door = routes.route("/", any(move || std::future::ready(redirect(status, &location))));
    let door = Server::start(door).await;
    let headers = [
        ("Authorization", "Bearer s3cret"),
        ("Cookie", "id=s3cret"),
        ("X-Mine", "s3cret"),
        ("X-Plain", "plain"),
        ("Content-Type", "text/plain"),
    ];
    let request = OutgoingRequest {
        method: Method::POST,
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        sensitive_headers: vec!["x-mine".to_owned()],
        body: Some(Bytes::from_static(b"the body")),
        ..following(door.url(), &[&door.host(), &elsewhere.host()])
    };
    let answer = egress().send(request).await.expect("an answer");
    assert_eq!(answer.status, 200);
    String::from_utf8(answer.body.to_vec()).expect("text")
}

#[tokio::test]
async fn another_origin_gets_no_secrets() {
    let told = echoed_after(307, "other").await;
    assert!(told.starts_with("POST /echo\n"), "{told}");
    assert!(told.contains("x-plain: plain\n"), "{told}");
    assert!(told.contains("content-type: text/plain\n"), "{told}");
    assert!(told.ends_with("\n\nthe body"), "{told}");
    assert!(!told.contains("s3cret"), "{told}");
    assert!(!told.contains("referer"), "{told}");
}

#[tokio::test]
async fn the_same_origin_gets_everything_again() {
    let told = echoed_after(308, "same").await;
    assert!(told.starts_with("POST /echo\n"), "{told}");
    assert_eq!(told.matches("s3cret").count(), 3, "{told}");
    assert!(told.ends_with("\n\nthe body"), "{told}");
}

#[tokio::test]
async fn after_303_the_body_stays_behind() {
    let told = echoed_after(303, "same").await;
    assert!(told.starts_with("GET /echo\n"), "{told}");
    assert!(told.ends_with("\n\n"), "{told}");
    assert!(!told.contains("content-"), "{told}");
}

#[tokio::test]
async fn redirects_are_counted() {
    // /3 leads to /2 leads to /1 leads to /0, which answers.
    let step = |to: &'static str| any(move || std::future::ready(redirect(302, to)));
    let routes = Router::new()
        .route("/3", step("/2"))
        .route("/2", step("/1"))
        .route("/1", step("/0"))
        .route("/0", on_get(|| async { "there" }));
    let server = Server::start(routes).await;
    let from = |path: &str, follow_redirects| OutgoingRequest {
        follow_redirects,
        ..get(format!("{}{path}", server.url()), &[&server.host()])
    };
    let answer = egress().send(from("3", 3)).await.expect("an answer");
    assert_eq!((&answer.body[..], answer.final_url), (&b"there"[..], format!("{}0", server.url())));
    let answer = egress().send(from("3", 2)).await;
    assert_eq!(answer, Err(EgressError::TooManyRedirects { limit: 2 }));
    assert_eq!(server.hits(), 4 + 3);
}

#[tokio::test]
async fn without_following_a_redirect_is_the_answer() {
    let inside = Server::hello().await;
    let door = Server::redirecting(302, inside.url()).await;
    let allowed = [door.host(), inside.host()];
    let answer = egress().send(get(door.url(), &allowed.each_ref().map(String::as_str))).await;
    assert_eq!(answer.expect("an answer").status, 302);
    assert_eq!(inside.hits(), 0);
}

#[tokio::test]
async fn failing_after_a_redirect_is_never_safe_to_retry() {
    // The first server has acted on the request already.
    let (_socket, gone) = closed();
    let door = Server::redirecting(303, format!("http://{gone}/")).await;
    let answer = egress().send(following(door.url(), &[&door.host(), &gone])).await;
    assert_eq!(answer, Err(EgressError::Interrupted));

    let silent = raw("", Then::StayOpen).await;
    let door = Server::redirecting(303, format!("https://{silent}/")).await;
    let request =
        OutgoingRequest { timeout: super::SOON, ..following(door.url(), &[&door.host(), &silent]) };
    assert_eq!(egress().send(request).await, Err(EgressError::Timeout { sent: true }));
}
