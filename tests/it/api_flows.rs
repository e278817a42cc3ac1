//! `/v1/flows`: drafts, checks, tests, versions, simulation.

use http::Method;
use it::{Answer, TestApp};
use serde_json::{Value, json};

use crate::talk::{GREET, each, id, items, refused, said, start, tell};

async fn put_as(app: &TestApp, flow: &str, text: &str, more: &[(&str, &str)]) -> Answer {
    let bearer = format!("Bearer {}", app.key);
    let mut headers = vec![("authorization", bearer.as_str())];
    headers.extend_from_slice(more);
    let path = format!("/v1/flows/{flow}");
    app.request(Method::PUT, &path, &headers, Some(text.into())).await
}

async fn put_flow(app: &TestApp, flow: &str, text: &str) -> Answer {
    put_as(app, flow, text, &[("content-type", "application/yaml")]).await
}

async fn publish(app: &TestApp, flow: &str) -> Answer {
    app.post(&format!("/v1/flows/{flow}/publish"), json!({})).await
}

/// The problems as `severity pointer line:column message`.
fn told(problems: &Value) -> Vec<String> {
    let problems = problems.as_array().expect("a list of problems").iter();
    problems
        .map(|problem| {
            let text = |field: &str| problem[field].as_str().unwrap_or_default();
            format!(
                "{} {} {}:{} {}",
                text("severity"),
                text("pointer"),
                problem["line"],
                problem["column"],
                text("message")
            )
        })
        .collect()
}

const HI: &str = "flow: hi\nstart: done\nsteps:\n  done: {type: end}\n";

#[tokio::test]
async fn a_draft_is_written_read_and_guarded() {
    let app = TestApp::empty().await;
    refused(&app.api(Method::GET, "/v1/flows/hi", None).await, 404);
    let first = put_flow(&app, "hi", HI).await;
    assert_eq!((first.status, first.header("etag")), (201, Some("\"1\"")), "{}", first.text);
    assert_eq!(
        json!([first.body["revision"], first.body["publishable"], first.body["problems"]]),
        json!([1, true, []])
    );
    let read = app.api(Method::GET, "/v1/flows/hi", None).await;
    assert_eq!(read.header("etag"), Some("\"1\""));
    assert_eq!(read.body["source"], HI, "the text as it was written");
    assert_eq!(read.body["document"]["steps"]["done"]["type"], "end");
    assert_eq!(json!([read.body["updated_by"], read.body["live"]]), json!(["administrator", null]));

    let second = format!("# once more\n{HI}");
    let written = put_as(&app, "hi", &second, &[("if-match", "\"1\"")]).await;
    assert_eq!((written.status, written.header("etag")), (200, Some("\"2\"")));
    for stale in ["\"1\"", "W/\"1\"", "\"7\"", "yesterday"] {
        let lost = put_as(&app, "hi", HI, &[("if-match", stale)]).await;
        refused(&lost, 412);
    }
    assert_eq!(app.get("/v1/flows/hi").await["source"], second, "a refused edit changes nothing");
    assert_eq!(put_as(&app, "hi", HI, &[("if-match", "*")]).await.status, 200);
    let unseen = HI.replace("hi", "new-one");
    refused(&put_as(&app, "new-one", &unseen, &[("if-match", "\"1\"")]).await, 412);

    let json = json!({ "flow": "hi", "start": "bye", "steps": { "bye": { "type": "end" } } });
    let kind = [("content-type", "application/json")];
    let written = put_as(&app, "hi", &json.to_string(), &kind).await;
    assert_eq!((written.status, &written.body["publishable"]), (200, &json!(true)));
    assert_eq!(
        app.get("/v1/flows/hi").await["document"],
        json!({
            "flow": "hi", "start": "bye", "steps": { "bye": { "type": "end", "outcome": "completed" } },
        })
    );
    app.finish().await;
}

#[tokio::test]
async fn writing_at_the_same_time_loses_nothing() {
    let app = TestApp::empty().await;
    put_flow(&app, "hi", HI).await;
    let texts: Vec<String> = (0..8).map(|n| format!("# {n}\n{HI}")).collect();
    let puts = texts.iter().map(|text| put_as(&app, "hi", text, &[("if-match", "\"1\"")]));
    let all = futures::future::join_all(puts).await;
    let won: Vec<usize> = (0..8).filter(|n| all[*n].status == 200).collect();
    assert_eq!(won.len(), 1, "one of them wins: {all:?}");
    for answer in all.iter().filter(|answer| answer.status != 200) {
        refused(answer, 412);
    }
    assert_eq!(app.get("/v1/flows/hi").await["source"], json!(texts[won[0]]));
    app.finish().await;
}

#[tokio::test]
async fn problems_come_with_line_and_column_and_block_publishing() {
    let app = TestApp::empty().await;
    let text = "flow: wrong\nstart: hello\nvars: {days: {type: integer}}\nsteps:\n  hello:\n    \
                type: say\n    text: \"{{ dayz }}\"\n    next: nowhere\n  done: {type: end}\n";
    let written = put_flow(&app, "wrong", text).await;
    assert_eq!((written.status, &written.body["publishable"]), (201, &json!(false)));
    let problems = told(&written.body["problems"]);
    for part in [
        "error /steps/hello/next 8:5 there is no step `nowhere`",
        "error /steps/hello/text 7:5 the variable `dayz` is not declared",
    ] {
        assert!(problems.iter().any(|problem| problem.starts_with(part)), "{part}\n{problems:#?}");
    }
    let shown = app.get("/v1/flows/wrong").await;
    assert_eq!(shown["problems"], written.body["problems"]);
    let refusal = publish(&app, "wrong").await;
    let errors = refused(&refusal, 422)["errors"].as_array().unwrap().clone();
    let pointers: Vec<&str> = errors.iter().filter_map(|e| e["pointer"].as_str()).collect();
    assert!(pointers.contains(&"/steps/hello/next"), "{pointers:?}");
    let messages = refusal.text.clone();
    assert!(messages.contains("did you mean `days`?"), "{messages}");

    // What is no flow at all can be kept as a draft, too; and what is not even YAML.
    for text in ["", "just words", "a: [1, 2", "\tflow: x", "- 1\n- 2", "{\"flow\": }"] {
        let kept = put_flow(&app, "wrong", text).await;
        assert_eq!((kept.status, &kept.body["publishable"]), (200, &json!(false)), "{text}");
        assert!(!kept.body["problems"].as_array().unwrap().is_empty(), "{text}");
        refused(&publish(&app, "wrong").await, 422);
    }
    refused(&publish(&app, "missing").await, 404);
    let other = put_flow(&app, "mine", HI).await;
    let problems = told(&other.body["problems"]);
    assert_eq!(problems, ["error /flow 1:1 this is flow `hi`, not `mine`"]);
    refused(&put_flow(&app, "Not-An-Id", HI).await, 422);
    refused(&put_flow(&app, "x", HI).await, 422);
    assert_eq!(app.get("/v1/tasks").await["items"], json!([]));
    app.finish().await;
}

#[tokio::test]
async fn names_of_things_outside_are_checked() {
    let app = TestApp::empty().await;
    let text = r#"
flow: outside
start: hand
steps:
  hand: {type: handoff, queue: desk, next: call}
  call:
    type: call
    connection: nowhere
    request: {url: "https://example.com", auth: {secret: token}}
    next: child
  child: {type: start, flow: other, next: row}
  row: {type: record, table: orders, row: {}, next: done}
  done: {type: end}
"#;
    let written = put_flow(&app, "outside", text).await;
    let problems = told(&written.body["problems"]).join("\n");
    for part in
        ["queue `desk`", "connection `nowhere`", "secret `token`", "flow `other`", "table `orders`"]
    {
        assert!(problems.contains(part), "{part}\n{problems}");
    }
    refused(&publish(&app, "outside").await, 422);
    app.finish().await;
}

#[tokio::test]
async fn a_flow_whose_own_tests_fail_is_not_published() {
    let app = TestApp::empty().await;
    let tests = r#"
tests:
  - name: it goes well
    script: [{bot: Your name?}, {user: Ann}, {bot: how old}, {user: "30"}, {bot: "Bye Ann, 30"}]
    outcome: greeted
  - name: it does not
    script: [{bot: Your name?}, {user: Ann}, {bot: What colour?}]
"#;
    let text = format!("{GREET}{tests}");
    put_flow(&app, "greet", &text).await;
    let refusal = publish(&app, "greet").await;
    let body = refused(&refusal, 422);
    assert_eq!(body["detail"], "the flow's own tests fail");
    assert_eq!(body["errors"].as_array().map(Vec::len), Some(1), "{body}");
    assert_eq!(body["errors"][0]["pointer"], "/tests/1");
    let message = body["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("it does not") && message.contains("What colour?"), "{message}");
    assert_eq!(app.get("/v1/flows/greet/versions").await["items"], json!([]));

    let report = app.post("/v1/flows/greet/test", json!({})).await;
    assert_eq!((report.status, &report.body["passed"]), (200, &json!(false)));
    assert_eq!(report.body["tests"][0]["passed"], true);
    assert_eq!(report.body["tests"][1]["name"], "it does not");
    let repaired = json!({ "source": text.replace("What colour?", "how old") });
    let report = app.post("/v1/flows/greet/test", repaired.clone()).await;
    assert_eq!(report.body["passed"], true, "{}", report.text);
    put_flow(&app, "greet", repaired["source"].as_str().unwrap()).await;
    let published = publish(&app, "greet").await;
    assert_eq!((published.status, &published.body["tests"]), (201, &json!(2)));
    refused(&app.post("/v1/flows/greet/test", json!({ "source": "no flow" })).await, 422);
    app.finish().await;
}

#[tokio::test]
async fn versions_are_kept_and_an_old_one_can_come_back() {
    let app = TestApp::empty().await;
    app.publish(GREET).await;
    app.publish(&GREET.replace("Your name?", "Who are you?")).await;
    let rolled = app.post("/v1/flows/greet/rollback", json!({ "version": 1 })).await;
    assert_eq!(rolled.status, 201, "{}", rolled.text);
    assert_eq!(json!([rolled.body["version"], rolled.body["rollback_of"]]), json!([3, 1]));
    let versions = app.get("/v1/flows/greet/versions").await;
    let numbers: Vec<&Value> = items(&versions).iter().map(|v| &v["version"]).collect();
    assert_eq!(numbers, [&json!(3), &json!(2), &json!(1)]);
    assert_eq!(each(&versions, "/published_by"), ["administrator"; 3]);
    let (first, third) =
        (app.get("/v1/flows/greet/versions/1").await, app.get("/v1/flows/greet/versions/3").await);
    assert_eq!((&first["source"], &first["document"]), (&json!(GREET), &third["document"]));
    let draft = app.get("/v1/flows/greet").await;
    assert_eq!(json!([draft["live"], draft["revision"]]), json!([3, 2]), "the draft stays");
    let listed = app.get("/v1/flows").await;
    assert_eq!(
        json!([items(&listed)[0]["flow"], items(&listed)[0]["name"], items(&listed)[0]["live"]]),
        json!(["greet", "Greeting", 3])
    );
    let task = start(&app, "greet", "ann", json!({})).await;
    assert_eq!(task["version"], 3);
    assert_eq!(said(&app, id(&task)).await, ["Your name?"]);
    refused(&app.post("/v1/flows/greet/rollback", json!({ "version": 9 })).await, 404);
    refused(&app.api(Method::GET, "/v1/flows/greet/versions/9", None).await, 404);
    refused(&app.api(Method::GET, "/v1/flows/greet/versions/one", None).await, 400);
    app.finish().await;
}

#[tokio::test]
async fn publishing_at_the_same_time_makes_different_versions() {
    let app = TestApp::empty().await;
    put_flow(&app, "greet", GREET).await;
    let all = futures::future::join_all((0..6).map(|_| publish(&app, "greet"))).await;
    let mut won = 0;
    for answer in &all {
        if answer.status == 201 {
            won += 1;
        } else {
            refused(answer, 409);
        }
    }
    let versions = app.get("/v1/flows/greet/versions").await;
    let numbers: Vec<u64> = items(&versions).iter().filter_map(|v| v["version"].as_u64()).collect();
    assert!(won >= 1 && numbers == (1..=won).rev().collect::<Vec<u64>>(), "{won} {numbers:?}");
    let task = start(&app, "greet", "ann", json!({})).await;
    assert_eq!(task["version"], won);
    tell(&app, id(&task), "Ann").await;
    app.finish().await;
}

#[tokio::test]
async fn checking_and_playing_change_nothing() {
    let app = TestApp::empty().await;
    let checked = app.post("/v1/flows/greet/check", json!({ "source": GREET })).await;
    assert_eq!(checked.status, 200, "{}", checked.text);
    assert_eq!(checked.body, json!({ "problems": [], "publishable": true }));
    let wrong = json!({ "source": GREET.replace("next: bye", "next: by") });
    let checked = app.post("/v1/flows/greet/check", wrong.clone()).await;
    assert_eq!(checked.body["publishable"], false);
    let problem = &checked.body["problems"][0];
    assert_eq!(json!([problem["step"], problem["fix"]]), json!(["ask_age", "did you mean `bye`?"]));

    let played = json!({
        "source": GREET,
        "script": [{ "user": "Ann" }, { "bot": "Hi Ann" }, { "user": "x" }, { "user": "30" }],
        "options": { "vars": { "age": 3 }, "lang": "en" },
    });
    let report = app.post("/v1/flows/greet/simulate", played).await;
    assert_eq!(report.status, 200, "{}", report.text);
    assert_eq!(report.body["problems"], json!([]));
    assert_eq!(report.body["task"]["vars"], json!({ "who": "Ann", "age": 30 }));
    let lines: Vec<&str> = report.body["transcript"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["who"] == "bot")
        .filter_map(|line| line["text"].as_str())
        .collect();
    assert_eq!((lines.first(), lines.last()), (Some(&"Your name?"), Some(&"Bye Ann, 30")));
    let surprised = json!({ "source": GREET, "script": [{ "bot": "Good evening" }] });
    let report = app.post("/v1/flows/greet/simulate", surprised).await;
    assert_eq!(report.body["problems"].as_array().map(Vec::len), Some(1), "{}", report.text);
    refused(&app.post("/v1/flows/greet/simulate", wrong).await, 422);
    let odd = json!({ "source": GREET, "script": [{ "cat": "meows" }] });
    refused(&app.post("/v1/flows/greet/simulate", odd).await, 422);
    for act in ["check", "test", "simulate"] {
        refused(&app.post(&format!("/v1/flows/greet/{act}"), json!({})).await, 404);
    }
    assert_eq!(app.get("/v1/flows").await["items"], json!([]));
    assert_eq!(app.get("/v1/tasks").await["items"], json!([]));
    assert_eq!(app.get("/v1/messages").await["items"], json!([]));
    app.finish().await;
}
