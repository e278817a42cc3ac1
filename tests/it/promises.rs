//! What is promised (see the design), whatever is delivered twice, late or in another order.

use std::collections::{BTreeMap, BTreeSet};

use backend_sqlite::DeliveryMode;
use engine::routing::OPEN_TASKS_MAX;
use engine::{EventId, TaskId};
use flow::Contact;
use it::TestApp;
use ports::Commit;
use ports_contract::Rates;
use runtime::jobs::{Accepted, AcceptedBody, ForConversation, StartJob, Thread, What};
use runtime::turn;
use serde_json::{Value, json};

use crate::bench::{Bench, Dice, How};
use crate::replies::ECHO;
use crate::talk::{GREET, each, id, items, open_demo, said, start, task, tell};

/// Waits, reminds, starts children one after the other, records what they brought.
const PARTY: &str = r#"
flow: party
triggers: [{on: keyword, any: [party], when_busy: interrupt}]
vars: {name: {type: string}, total: {type: integer, default: 0}}
timeout: {after: 30d, outcome: expired}
start: ask_name
steps:
  ask_name:
    type: ask
    text: Whose party?
    into: name
    remind: {after: 1h, text: "Whose?", times: 3}
    next: rest
  rest: {type: wait, for: 10m, next: shop}
  shop: {type: each, items: [1, 2, 3], flow: errand, vars: {size: "{{ item }}"}, parallel: 1, into: bought, next: add}
  add: {type: set, vars: {total: "{{ bought|map(attribute='result')|sum }}"}, next: tell}
  tell: {type: say, text: "{{ name }}: {{ total }}", next: done}
  done: {type: end, result: "{{ total }}"}
"#;

const ERRAND: &str = r#"
flow: errand
vars: {size: {type: integer}}
start: pause
steps:
  pause: {type: wait, for: 5m, next: tell}
  tell: {type: say, text: "errand {{ size }}", next: done}
  done: {type: end, result: "{{ size * 10 }}"}
"#;

/// Five people at once, each with two tasks: the same conversation under every kind of delivery.
async fn played(how: How) -> Bench {
    let mut bench = Bench::new(how, &[ERRAND, PARTY, GREET]).await;
    let people: Vec<String> = (0..5).map(|n| format!("p{n}")).collect();
    for (round, text) in ["party", "hello", "Ann", "42", "/tasks", "Ann", "what"].iter().enumerate()
    {
        for person in &people {
            bench.hear(person, &format!("{person}/{round}"), text).await;
        }
        if round != 3 {
            bench.settle().await;
        }
    }
    for minutes in [10, 5, 5, 5, 120] {
        // A second more, for the times of a busy conversation run ahead of the clock.
        bench.clock.advance(chrono::TimeDelta::seconds(minutes * 60 + 1));
        bench.settle().await;
    }
    bench
}

async fn assert_same(how: How) -> u64 {
    let once = played(How::default()).await;
    let other = played(how).await;
    assert_eq!(other.unpublished().await, 0, "the outbox is empty");
    let (expected, got) = (once.state().await, other.state().await);
    let tasks = expected["tasks"].as_object().unwrap();
    assert_eq!(tasks.len(), 25, "five people, each with two tasks and three errands");
    assert!(tasks.values().all(|one| one["task"]["status"]["state"] == "completed"), "{tasks:#?}");
    for (id, task) in tasks {
        assert_eq!(got["tasks"][id], *task, "{id}");
    }
    for (id, messages) in expected["messages"].as_object().unwrap() {
        let pairs =
            messages.as_array().unwrap().iter().zip(got["messages"][id].as_array().unwrap());
        for (expected, got) in pairs {
            assert_eq!(got, expected, "{id}");
        }
    }
    assert_eq!(got, expected);
    for table in ["tasks", "messages", "history"] {
        assert_eq!(other.current(table).await, once.current(table).await, "{table}");
    }
    other.faults()
}

#[tokio::test]
async fn delivered_three_times_and_shuffled_it_comes_out_as_once() {
    for seed in [2, 3] {
        assert_same(How { times: 3, seed, ..How::default() }).await;
    }
}

#[tokio::test]
async fn published_by_hand_or_by_the_sweeper_it_comes_out_as_once() {
    let how = How { mode: DeliveryMode::Published, times: 2, seed: 4, ..How::default() };
    assert_same(how).await;
}

#[tokio::test]
async fn with_a_store_and_a_bus_that_fail_all_the_time_it_comes_out_as_once() {
    for seed in 5..8 {
        let how = How { mode: DeliveryMode::Published, rates: Rates::OFTEN, times: 1, seed };
        let faults = assert_same(how).await;
        assert!(faults > 300, "{faults} faults");
    }
}

/// The texts of a contact's messages, by direction, in the order of the conversation.
async fn talk(app: &TestApp, contact: &str) -> (Vec<String>, Vec<String>) {
    let all = app.get(&format!("/v1/messages?contact={contact}&order=oldest&limit=1000")).await;
    let of = |direction: &str| {
        let some = items(&all).iter().filter(|message| message["direction"] == direction);
        some.map(|message| message["content"]["text"].as_str().unwrap().to_owned()).collect()
    };
    (of("in"), of("out"))
}

#[tokio::test]
async fn every_conversation_keeps_its_order_under_many_senders() {
    const SENDERS: usize = 64;
    const MESSAGES: usize = 6;
    let app = TestApp::empty().await;
    app.publish(ECHO).await;
    open_demo(&app, json!({ "default_flow": "echo" })).await;
    let speak = async |sender: usize| {
        for number in 0..MESSAGES {
            let (contact, id) = (format!("c{sender}"), format!("c{sender}/{number}"));
            let body =
                json!({ "id": id, "contact": { "id": contact }, "text": format!("m{number}") });
            assert_eq!(app.webhook("demo", body).await.status, 200);
        }
    };
    futures::future::join_all((0..SENDERS).map(speak)).await;
    app.settle().await;
    let heard: Vec<String> = (0..MESSAGES).map(|n| format!("m{n}")).collect();
    let answered: Vec<String> = (0..MESSAGES).map(|n| format!("{n}: m{n}")).collect();
    for sender in 0..SENDERS {
        let contact = format!("c{sender}");
        assert_eq!(talk(&app, &contact).await, (heard.clone(), answered.clone()), "{contact}");
        assert_eq!(app.said_to(&contact), answered, "{contact}");
    }
    let tasks = app.get("/v1/tasks?limit=200").await;
    let ids: BTreeSet<&str> = each(&tasks, "/id").into_iter().collect();
    assert_eq!(ids.len(), SENDERS);
    app.finish().await;
}

#[tokio::test]
async fn many_senders_in_one_conversation_lose_nothing_and_double_nothing() {
    const SENDERS: usize = 64;
    let app = TestApp::empty().await;
    app.publish(ECHO).await;
    open_demo(&app, json!({ "default_flow": "echo" })).await;
    let speak = async |sender: usize| {
        let body = json!({
            "id": format!("s{sender}"), "contact": { "id": "ann" }, "text": format!("m{sender}"),
        });
        // Each of them is not sure whether it was heard.
        for _ in 0..2 {
            assert_eq!(app.webhook("demo", body.clone()).await.status, 200);
        }
    };
    futures::future::join_all((0..SENDERS).map(speak)).await;
    app.settle().await;
    let (heard, answered) = talk(&app, "ann").await;
    let different: BTreeSet<&String> = heard.iter().collect();
    assert_eq!((heard.len(), different.len()), (SENDERS, SENDERS));
    let expected: Vec<String> =
        heard.iter().enumerate().map(|(n, text)| format!("{n}: {text}")).collect();
    assert_eq!(answered, expected, "every message is answered, in the order they were heard");
    let found = app.task_of("ann").await;
    assert_eq!(found["vars"]["n"], SENDERS - 1);
    let history = app.get(&format!("/v1/tasks/{}/history?limit=1000", id(&found))).await;
    let sequences: Vec<u64> =
        items(&history).iter().map(|entry| entry["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequences, (1..=SENDERS as u64).collect::<Vec<_>>());
    app.finish().await;
}

/// The greeting, one step shorter, in other words.
const GREET_2: &str = r#"
flow: greet
vars: {name: {type: string}}
start: ask_name
steps:
  ask_name: {type: ask, text: "Who are you?", into: name, next: bye}
  bye: {type: say, text: "See you, {{ name }}", next: done}
  done: {type: end, outcome: left}
"#;

#[tokio::test]
async fn editing_a_flow_breaks_no_running_conversation() {
    let app = TestApp::empty().await;
    app.publish(GREET).await;
    let old = start(&app, "greet", "ann", json!({})).await;
    let waiting = start(&app, "greet", "bob", json!({})).await;
    tell(&app, id(&waiting), "Bob").await;
    app.publish(GREET_2).await;
    let new = start(&app, "greet", "cem", json!({})).await;
    // The old ones go on with the variables, steps and words they began with.
    tell(&app, id(&old), "Ann").await;
    tell(&app, id(&waiting), "30").await;
    tell(&app, id(&new), "Cem").await;
    app.post("/v1/flows/greet/rollback", json!({ "version": 1 })).await;
    tell(&app, id(&old), "31").await;
    let newest = start(&app, "greet", "dee", json!({})).await;
    let told = async |of: &Value| (said(&app, id(of)).await, task(&app, id(of)).await);
    let (words, ended) = told(&old).await;
    assert_eq!(words, ["Your name?", "Hi Ann, how old are you?", "Bye Ann, 31"]);
    assert_eq!((&ended["version"], &ended["outcome"]), (&json!(1), &json!("greeted")));
    assert_eq!(told(&waiting).await.0.last().unwrap(), "Bye Bob, 30");
    let (words, ended) = told(&new).await;
    assert_eq!(words, ["Who are you?", "See you, Cem"]);
    assert_eq!((&ended["version"], &ended["outcome"]), (&json!(2), &json!("left")));
    let (words, begun) = told(&newest).await;
    assert_eq!((words, &begun["version"]), (vec!["Your name?".to_owned()], &json!(3)));
    app.finish().await;
}

#[tokio::test]
async fn publishing_all_the_time_disturbs_nobody() {
    let app = TestApp::empty().await;
    app.publish(ECHO).await;
    open_demo(&app, json!({ "default_flow": "echo" })).await;
    let speak = async |sender: usize| {
        let mut dice = Dice(sender as u64);
        for number in 0..6 {
            let contact = format!("c{sender}");
            // Nobody waits for anybody.
            for _ in 0..dice.below(20) {
                tokio::task::yield_now().await;
            }
            let body = json!({ "contact": { "id": contact }, "text": format!("m{number}") });
            assert_eq!(app.webhook("demo", body).await.status, 200);
        }
    };
    let edit = async {
        for version in 2..=8 {
            app.publish(&ECHO.replace("{{ n }}:", &format!("{{{{ n }}}} v{version}:"))).await;
        }
    };
    futures::join!(futures::future::join_all((0..12).map(speak)), edit);
    app.settle().await;
    let mut versions: BTreeMap<u64, usize> = BTreeMap::new();
    for sender in 0..12 {
        let found = app.task_of(&format!("c{sender}")).await;
        let version = found["version"].as_u64().unwrap();
        *versions.entry(version).or_default() += 1;
        let mark = if version == 1 { String::new() } else { format!(" v{version}") };
        let expected: Vec<String> = (0..6).map(|n| format!("{n}{mark}: m{n}")).collect();
        assert_eq!(talk(&app, &format!("c{sender}")).await.1, expected, "on version {version}");
    }
    assert_eq!(versions.values().sum::<usize>(), 12);
    app.finish().await;
}

/// A start that comes again long after it had its effect, when its conversation has no room for
/// another task: it was done, and is no failure.
#[tokio::test]
async fn an_event_of_long_ago_is_known_where_it_would_be_refused() {
    let test = TestApp::demo().await;
    test.publish(GREET).await;
    let app = test.server().app.clone();
    let thread = Thread::of("demo", None, Contact { id: "ann".into(), name: None, lang: None });
    let start = |number: usize| {
        let what = What::Start(StartJob {
            task: TaskId(format!("task_{number}")),
            flow: "greet".into(),
            vars: engine::Vars::default(),
            parent: None,
            trigger: None,
            event: Value::Null,
        });
        let id = EventId(format!("evt_{number}"));
        let body = AcceptedBody::Conversation(ForConversation { thread: thread.clone(), what });
        Accepted { id, at: app.now(), body }
    };
    let first = start(0);
    assert!(!turn::handle(&app, &first).await.unwrap().duplicate);
    // More events than are kept at hand, and then as many tasks as there is room for.
    let other = |number: usize| {
        let event = Some(EventId(format!("evt_other_{number}")));
        let app = app.clone();
        let commit = Commit { event, at: app.now(), ..Commit::default() };
        async move { app.store().commit(commit).await }
    };
    for done in futures::future::join_all((0..5_000).map(other)).await {
        done.unwrap();
    }
    for number in 1..OPEN_TASKS_MAX {
        turn::handle(&app, &start(number)).await.unwrap();
    }
    assert!(turn::handle(&app, &start(OPEN_TASKS_MAX)).await.is_err(), "there is no room");
    assert!(turn::handle(&app, &first).await.unwrap().duplicate);
    test.finish().await;
}
