//! Pushes that are not Google's: refused before anything is read, and nothing is done.

use cloud::Options;
use emulators::tokens::{Claims, Signature};
use serde_json::json;

use crate::setting::{Server, settle};

const PUSHER: &str = "push@chatflow-local.iam.gserviceaccount.com";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_refused_and_nothing_is_done() {
    let system = cloud::System::start(Options::default()).await.unwrap();
    let server = Server::of(&system);
    let issuer = &system.around.issuer;
    // An event that would start a task, as an outside publisher would send it.
    let event = json!({
        "specversion": "1.0", "id": "e-1", "source": "test", "type": "hr.leave.requested",
        "data": {},
    });
    for (function, path) in [
        ("controller", "/"),
        ("messenger", "/"),
        ("connector", "/"),
        ("landing", "/"),
        ("failures", "/"),
        ("timekeeper", "/"),
        ("timekeeper", "/alarms"),
        ("timekeeper", "/sweep"),
    ] {
        let audience = system.url(function);
        let good = Claims::new(&audience, PUSHER);
        let elsewhere = Claims::new("https://elsewhere.example", PUSHER);
        let other = Claims::new(&audience, "eve@other.iam.gserviceaccount.com");
        let sign = |claims: &Claims, signature| Some(issuer.sign(claims, signature).unwrap());
        let attempts = [
            (None, 401),
            (Some("not.a.token".to_owned()), 401),
            (sign(&elsewhere, Signature::Right), 403),
            (sign(&good.clone().expired(), Signature::Right), 401),
            (sign(&other, Signature::Right), 403),
            (sign(&good, Signature::Missing), 401),
            (sign(&good, Signature::OtherKey), 401),
        ];
        for (token, expected) in attempts {
            let mut request = system.client.post(format!("{audience}{path}")).json(&event);
            if let Some(token) = &token {
                request = request.bearer_auth(token);
            }
            let status = request.send().await.unwrap().status().as_u16();
            assert_eq!(status, expected, "{function}{path} with {token:?}");
        }
    }
    settle(&system).await;
    for list in ["/v1/tasks", "/v1/messages", "/v1/failures"] {
        let found = server.all(list).await;
        assert!(found.is_empty(), "{list}: {found:?}");
    }
}
