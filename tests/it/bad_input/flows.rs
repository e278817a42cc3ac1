//! Flows that loop, explode or outgrow their bounds: refused, or a failed task with its reason.

use http::Method;
use it::{Answer, TestApp};
use serde_json::{Value, json};

use crate::talk::{id, items, refused, start, task, tell};

async fn put(app: &TestApp, flow: &str, text: &str) -> Answer {
    let bearer = format!("Bearer {}", app.key);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/yaml")];
    app.request(Method::PUT, &format!("/v1/flows/{flow}"), &headers, Some(text.into())).await
}

async fn publish(app: &TestApp, flow: &str) -> Answer {
    app.post(&format!("/v1/flows/{flow}/publish"), json!({})).await
}

/// A flow that says one template.
fn saying(template: &str) -> String {
    format!(
        "flow: says\nvars: {{n: {{type: integer, default: 1000000}}}}\nstart: tell\nsteps:\n  tell: \
         {{type: say, text: {}, next: done}}\n  done: {{type: end, result: \"{{{{ n }}}}\"}}\n",
        json!(template)
    )
}

/// A flow that asks for a text of one pattern.
fn asking(pattern: &str) -> String {
    format!(
        "flow: asks\nvars: {{a: {{type: string}}}}\nstart: ask\nsteps:\n  ask: {{type: ask, text: \
         Go, into: a, expect: {{type: string, pattern: {}}}, next: done}}\n  done: {{type: end}}\n",
        json!(pattern)
    )
}

/// What a template can be stopped at: when it is published, or when it runs.
#[tokio::test]
async fn templates_that_loop_or_explode_end() {
    let mut app = TestApp::empty().await;
    app.expect_failures();
    let mut failed = 0;
    for template in [
        "{% for i in range(n) %}{% for j in range(n) %}x{% endfor %}{% endfor %}",
        "{% for i in range(n * 1000) %}{% endfor %}",
        "{{ range(n * n) | list | length }}",
        "{{ ('x' * n) ~ ('x' * n) }}",
        "{{ 'x' * (n * n) }}",
        "{{ range(n) | map('string') | join(',') }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]] }}",
        "{% include 'etc/passwd' %}",
        "{{ 1 / (n - 1000000) }}",
        "{{ n ** n }}",
        "{{ nothing.at.all }}",
        "{{ contact.__class__ }}",
    ] {
        let written = put(&app, "says", &saying(template)).await;
        assert!(written.status < 300, "{template}: {}", written.text);
        let published = publish(&app, "says").await;
        if published.status != 201 {
            let errors = refused(&published, 422)["errors"].as_array().unwrap();
            let at = errors.iter().any(|error| error["pointer"] == "/steps/tell/text");
            assert!(at, "{template}: {}", published.text);
            continue;
        }
        let ran = start(&app, "says", "ann", json!({})).await;
        assert_eq!(ran["status"], "failed", "{template}: {ran}");
        assert_eq!(ran["step"], "tell", "{template}: {ran}");
        assert!(ran["error"].as_str().is_some_and(|error| error.len() > 20), "{template}: {ran}");
        failed += 1;
    }
    assert!(failed >= 3, "some can only be found out by running them: {failed}");
    let failures = app.get("/v1/failures?state=open&kind=task").await;
    assert_eq!(items(&failures).len(), failed);
    app.finish().await;
}

#[tokio::test]
async fn patterns_take_linear_time_or_are_refused() {
    let app = TestApp::empty().await;
    for pattern in ["(a", "(a)\\1", "(?=a)b", "((((a{1000}){1000}){1000}){1000})", "a{99999999}"] {
        put(&app, "asks", &asking(pattern)).await;
        let refusal = publish(&app, "asks").await;
        let errors = refused(&refusal, 422)["errors"].as_array().unwrap();
        let at = errors.iter().any(|error| {
            error["pointer"].as_str().is_some_and(|at| at.starts_with("/steps/ask/expect"))
        });
        assert!(at, "{pattern}: {}", refusal.text);
    }
    // What makes a backtracking engine take longer than the universe.
    for pattern in ["(a+)+$", "(a|aa)*b", "(.*)*(.*)*(.*)*x"] {
        app.publish(&asking(pattern)).await;
        let asked = start(&app, "asks", "ann", json!({})).await;
        tell(&app, id(&asked), &format!("{}!", "a".repeat(19_000))).await;
        assert_eq!(task(&app, id(&asked)).await["step"], "ask", "{pattern}: it does not fit");
        app.post(&format!("/v1/tasks/{}/cancel", id(&asked)), json!({})).await;
    }
    app.finish().await;
}

#[tokio::test]
async fn a_loop_of_steps_is_refused_or_fails() {
    let mut app = TestApp::empty().await;
    app.expect_failures();
    let sure = "flow: loops\nvars: {n: {type: integer, default: 0}}\nstart: a\nsteps:\n  a: {type: \
                set, vars: {n: \"{{ n + 1 }}\"}, next: b}\n  b: {type: set, vars: {n: 1}, next: a}\n";
    put(&app, "loops", sure).await;
    refused(&publish(&app, "loops").await, 422);
    // With a way out, only running tells that nobody takes it.
    let branching = "flow: loops\nvars: {n: {type: integer, default: 0}}\nstart: a\nsteps:\n  a: {type: \
                     set, vars: {n: \"{{ n + 1 }}\"}, next: b}\n  b: {type: branch, cases: [{if: n < 0, \
                     next: done}], else: c}\n  c: {type: ask, text: Go on?, into: n, next: a}\n  \
                     done: {type: end}\n";
    app.publish(branching).await;
    let harmless = start(&app, "loops", "ann", json!({})).await;
    assert_eq!(harmless["waiting_for"], "reply");
    let counting = "flow: loops\nvars: {n: {type: integer, default: 0}}\nstart: a\nsteps:\n  a: {type: \
                    set, vars: {n: \"{{ n + 1 }}\"}, next: b}\n  b: {type: branch, cases: [{if: n < \
                    5000, next: a}], else: done}\n  done: {type: end}\n";
    put(&app, "loops", counting).await;
    let published = publish(&app, "loops").await;
    if published.status == 201 {
        let ran = start(&app, "loops", "bob", json!({})).await;
        assert_eq!(ran["status"], "failed");
        let error = ran["error"].as_str().unwrap();
        assert!(error.contains("1000") || error.contains("1,000"), "{error}");
    } else {
        refused(&published, 422);
    }
    app.finish().await;
}

#[tokio::test]
async fn a_task_whose_variables_outgrow_their_room_fails_with_its_reason() {
    let mut app = TestApp::empty().await;
    app.expect_failures();
    app.publish(
        r#"
flow: hoard
vars: {a: {type: string}, all: {type: list, default: []}}
start: ask
steps:
  ask: {type: ask, text: More?, into: a, timeout: {after: 1d, next: done}, next: keep}
  keep: {type: set, vars: {all: "{{ all + [a] }}"}, next: ask}
  done: {type: end, result: "{{ all }}"}
"#,
    )
    .await;
    let hoard = start(&app, "hoard", "ann", json!({})).await;
    let text = "長".repeat(20_000); // 60,000 bytes, every time
    let mut told = 0;
    let ended = loop {
        let now = task(&app, id(&hoard)).await;
        if now["status"] != "waiting" {
            break now;
        }
        assert!(told < 20, "it never ends: {}", now["status"]);
        tell(&app, id(&hoard), &text).await;
        told += 1;
    };
    assert_eq!(ended["status"], "failed", "{}", ended["error"]);
    let error = ended["error"].as_str().unwrap();
    assert!(error.contains("524288") || error.contains("512"), "{error}");
    assert!((7..=9).contains(&told), "{told} messages of 60,000 bytes");
    assert_eq!(ended["vars"]["all"].as_array().map(Vec::len), Some(told - 1), "nothing is lost");
    let messages = app.get(&format!("/v1/messages?task={}&direction=in", id(&hoard))).await;
    assert!(items(&messages).iter().all(|message| message["state"] == "processed"));
    assert_eq!(items(&messages).len(), told);

    // Too much at the start is refused or fails as well; never half a task.
    let much = json!({ "a": "x".repeat(300_000), "all": ["x".repeat(300_000)] });
    let body = json!({ "flow": "hoard", "contact": { "id": "bob" }, "vars": much });
    let answer = app.post("/v1/tasks", body).await;
    if answer.status == 201 {
        assert_eq!(answer.body["status"], "failed", "{}", answer.body["status"]);
    } else {
        refused(&answer, 422);
    }
    app.settle().await;
    app.finish().await;
}

#[tokio::test]
async fn documents_that_explode_are_refused() {
    let app = TestApp::empty().await;
    let mut bombs: Vec<(&str, String)> = Vec::new();
    let mut laughs = String::from("a0: &a0 [x, x]\n");
    for level in 1..40 {
        laughs.push_str(&format!("a{level}: &a{level} [*a{}, *a{}]\n", level - 1, level - 1));
    }
    bombs.push(("a billion laughs", laughs));
    bombs.push(("deep lists", "[".repeat(10_000)));
    bombs.push(("deep objects", "{a: ".repeat(10_000)));
    bombs.push(("deep indents", (0..2_000).map(|n| " ".repeat(n % 200) + "a:\n").collect()));
    bombs.push(("deep JSON", format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))));
    bombs.push(("a tag", "!!python/object/apply:os.system [ls]".to_owned()));
    bombs.push(("many steps", (0..20_000).map(|n: u32| n.to_string() + "s: 1\n").collect()));
    bombs.push(("a recursive anchor", "a: &a [*a]".to_owned()));
    for (what, text) in &bombs {
        let answer = put(&app, "bomb", text).await;
        assert!(answer.status < 300, "{what}: {}", answer.text);
        assert_eq!(answer.body["publishable"], false, "{what}");
        assert!(!answer.body["problems"].as_array().unwrap().is_empty(), "{what}");
        assert!(answer.text.len() < 2_000_000, "{what}: {} bytes", answer.text.len());
        refused(&publish(&app, "bomb").await, 422);
    }
    refused(&put(&app, "bomb", "flow: a\0b").await, 422);
    let bearer = format!("Bearer {}", app.key);
    let headers = [("authorization", bearer.as_str())];
    let latin = Some(b"flow: caf\xe9".to_vec());
    refused(&app.request(Method::PUT, "/v1/flows/bomb", &headers, latin).await, 400);
    let deep: Value = (0..100).fold(json!(1), |inner, _| json!([inner]));
    let body = json!({ "source": "flow: x1\nstart: done\nsteps: {done: {type: end}}\n",
        "options": { "vars": { "a": deep } } });
    let simulated = app.post("/v1/flows/bomb/simulate", body).await;
    assert!(simulated.status < 500, "{}", simulated.text);
    app.finish().await;
}
