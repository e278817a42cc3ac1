//! Answers: whole, too large, too slow, broken off, or none.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use bytes::Bytes;
use http::Method;

use super::super::{
    AddressClass, ConnectProblem, EgressError, OutgoingRequest, Refusal, ResponsePart,
};
use super::servers::{Server, Then, closed, echo, raw};
use super::{PATIENCE, SOON, egress, get, header};

#[tokio::test]
async fn a_request_arrives_as_written() {
    let server = Server::start(Router::new().fallback(any(echo))).await;
    let request = OutgoingRequest {
        method: Method::PUT,
        headers: vec![("X-Name".to_owned(), "value".to_owned())],
        body: Some(Bytes::from_static(b"{\"a\":1}")),
        ..get(format!("{}a%20b?q=1&q=2#part", server.url()), &[&server.host()])
    };
    let answer = egress().send(request).await.expect("an answer");
    let told = String::from_utf8(answer.body.to_vec()).expect("text");
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "PUT /a%20b?q=1&q=2\nx-name: value\nuser-agent: chatflow/{version}\naccept: */*\n\
         host: {}\ncontent-length: 7\n\n{{\"a\":1}}",
        server.host()
    );
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&told), sorted(&expected));
}

#[tokio::test]
async fn an_answer_is_returned_as_it_came() {
    let bytes = "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Encoding: gzip\r\n\
                 X-Twice: 1\r\nX-Twice: 2\r\nContent-Length: 8\r\n\r\nnot gzip";
    let host = raw(bytes, Then::Close).await;
    let answer = egress().send(get(format!("http://{host}/"), &[&host])).await.expect("an answer");
    assert_eq!((answer.status, &answer.body[..]), (503, &b"not gzip"[..]));
    assert_eq!(header(&answer.headers, "retry-after"), Some("7"));
    let twice: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "x-twice").collect();
    assert_eq!(twice.len(), 2);
}

#[tokio::test]
async fn a_body_up_to_the_limit_is_accepted() {
    let with_length = any(|| async { "x".repeat(100_000) });
    let without_length = any(|| async {
        let chunk = || Ok::<_, std::convert::Infallible>("x".repeat(1000));
        Body::from_stream(futures_chunks(chunk))
    });
    let routes = Router::new().route("/length", with_length).route("/chunks", without_length);
    let server = Server::start(routes).await;
    for path in ["length", "chunks"] {
        let request = |response_bytes_max| OutgoingRequest {
            response_bytes_max,
            ..get(format!("{}{path}", server.url()), &[&server.host()])
        };
        let answer = egress().send(request(100_000)).await.expect("an answer");
        assert_eq!(answer.body.len(), 100_000);
        let answer = egress().send(request(99_999)).await;
        let part = ResponsePart::Body;
        assert_eq!(answer, Err(EgressError::TooLarge { part, limit: 99_999 }), "{path}");
    }
}

#[tokio::test]
async fn an_open_answer_is_read_part_by_part() {
    let (told, tell) = futures::channel::mpsc::unbounded::<Result<Bytes, std::io::Error>>();
    let body = Arc::new(Mutex::new(Some(Body::from_stream(tell))));
    let stream = any(move || {
        let body = body.lock().ok().and_then(|mut body| body.take());
        std::future::ready(body.unwrap_or_default())
    });
    let server = Server::start(Router::new().route("/stream", stream)).await;
    let request = get(format!("{}stream", server.url()), &[&server.host()]);
    let mut open = egress().open(request.clone()).await.expect("a head");
    assert_eq!(open.status, 200);
    for part in ["one", "two"] {
        // The body has not ended, and its limit is not for what comes part by part.
        told.unbounded_send(Ok(Bytes::from(part))).expect("it is read");
        assert_eq!(open.part(PATIENCE).await, Ok(Some(Bytes::from(part))));
    }
    assert_eq!(open.part(SOON).await, Err(EgressError::Timeout { sent: true }));
    told.unbounded_send(Err(std::io::Error::other("gone"))).expect("it is read");
    assert_eq!(open.part(PATIENCE).await, Err(EgressError::Interrupted));
    // Nothing is left of the body: an ordinary answer, and its end.
    let mut open = egress().open(request.clone()).await.expect("a head");
    assert_eq!(open.part(PATIENCE).await, Ok(None));
    let whole = egress().open(request).await.expect("a head").whole(PATIENCE).await;
    assert_eq!(whole.expect("an answer").status, 200);
}

#[tokio::test]
async fn an_open_answer_goes_nowhere_it_may_not() {
    let server = Server::hello().await;
    let refused = egress().open(get(server.url(), &[])).await.expect_err("it is internal");
    assert!(matches!(refused, EgressError::Refused { .. }), "{refused:?}");
    let limited = OutgoingRequest { response_bytes_max: 4, ..get(server.url(), &[&server.host()]) };
    let whole = egress().open(limited).await.expect("a head").whole(PATIENCE).await;
    let part = ResponsePart::Body;
    assert_eq!(whole, Err(EgressError::TooLarge { part, limit: 4 }));
    assert_eq!(server.hits(), 1);
}

/// A hundred chunks.
fn futures_chunks<T>(chunk: impl Fn() -> T + Send) -> impl futures::Stream<Item = T> + Send {
    futures::stream::iter((0..100).map(move |_| chunk()))
}

#[tokio::test]
async fn headers_have_limits() {
    let many = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n".to_owned() + &"a: b\r\n".repeat(128);
    let large = format!("HTTP/1.1 200 OK\r\na: {}\r\nContent-Length: 0\r\n", "x".repeat(65_536));
    for (head, part, limit) in
        [(many, ResponsePart::HeaderCount, 128), (large, ResponsePart::HeaderBytes, 65_536)]
    {
        let host = raw(head + "\r\n", Then::Close).await;
        let answer = egress().send(get(format!("http://{host}/"), &[&host])).await;
        assert_eq!(answer, Err(EgressError::TooLarge { part, limit }));
    }
    // Far beyond, the parser itself gives up: still an error, after a bounded amount of memory.
    let flood = "HTTP/1.1 200 OK\r\n".to_owned() + &"a: b\r\n".repeat(100_000);
    let host = raw(flood, Then::StayOpen).await;
    let answer = egress().send(get(format!("http://{host}/"), &[&host])).await;
    assert_eq!(answer, Err(EgressError::Interrupted));
}

#[tokio::test]
async fn a_slow_server_runs_into_the_timeout() {
    let no_answer = "";
    let half_a_head = "HTTP/1.1 200 OK\r\nContent-Le";
    let half_a_body = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello";
    for bytes in [no_answer, half_a_head, half_a_body] {
        let host = raw(bytes, Then::StayOpen).await;
        let request = OutgoingRequest { timeout: SOON, ..get(format!("http://{host}/"), &[&host]) };
        let answer = egress().send(request).await;
        assert_eq!(answer, Err(EgressError::Timeout { sent: true }), "{bytes}");
    }
}

#[tokio::test]
async fn a_connection_that_is_never_ready_has_sent_nothing() {
    // Accepts, but never begins the TLS handshake.
    let host = raw("", Then::StayOpen).await;
    let request = OutgoingRequest { timeout: SOON, ..get(format!("https://{host}/"), &[&host]) };
    let error = egress().send(request).await.expect_err("no answer");
    assert_eq!(error, EgressError::Timeout { sent: false });
    assert!(error.is_safe_to_retry());
}

#[tokio::test]
async fn a_server_that_hangs_up_leaves_the_outcome_unknown() {
    for bytes in [
        "",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "not HTTP at all\r\n\r\n",
    ] {
        let host = raw(bytes, Then::Close).await;
        let error = egress().send(get(format!("http://{host}/"), &[&host])).await;
        let error = error.expect_err("no answer");
        assert_eq!(error, EgressError::Interrupted, "{bytes}");
        assert!(error.is_outcome_unknown() && !error.is_safe_to_retry());
    }
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let (_socket, host) = closed();
    let url = format!("http://{host}/path?key=secret");
    let error = egress().send(get(url, &[&host])).await.expect_err("no answer");
    let problem = ConnectProblem::Unreachable;
    assert_eq!(error, EgressError::Connect { host: "127.0.0.1".to_owned(), problem });
    assert!(error.is_safe_to_retry());
    assert_eq!(
        error.to_string(),
        "could not connect to 127.0.0.1: nobody answers; check host and port; nothing was sent, so \
         it is safe to retry"
    );
}

#[tokio::test]
async fn an_impossible_name_is_not_found() {
    // A label of 64 bytes: the resolver refuses it without asking anybody.
    let host = "a".repeat(64) + ".localhost";
    let answer = egress().send(get(format!("http://{host}/"), &[])).await;
    let problem = ConnectProblem::NameNotFound;
    assert_eq!(answer, Err(EgressError::Connect { host, problem }));
}

#[test]
fn messages_tell_what_to_do() {
    let part = ResponsePart::Body;
    let refused = |class| {
        let reason = Refusal::InternalAddress { host: "a.example".to_owned(), class };
        EgressError::Refused { reason }
    };
    for (error, message) in [
        (
            refused(AddressClass::Private),
            "refused: a.example is at a private address; if the connection is meant to reach it, \
             add exactly this host to the connection's allowed hosts",
        ),
        (
            refused(AddressClass::Metadata),
            "refused: a.example is at a cloud metadata address; if the connection is meant to \
             reach it, add that address itself to the connection's allowed hosts",
        ),
        (
            EgressError::TooLarge { part, limit: 5 },
            "the body of the answer exceeds 5 bytes; ask the server for less or raise the limit",
        ),
        (
            EgressError::TooLarge { part: ResponsePart::HeaderCount, limit: 128 },
            "the header list of the answer exceeds 128 headers; ask the server for less",
        ),
        (
            EgressError::Timeout { sent: true },
            "no complete answer in time; the request may have arrived, so retry only if doing it \
             twice does no harm",
        ),
        (
            EgressError::Timeout { sent: false },
            "no complete answer in time; it was still connecting and nothing was sent, so it is \
             safe to retry",
        ),
    ] {
        assert_eq!(error.to_string(), message);
    }
}
