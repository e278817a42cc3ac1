//! Each rule where it decides, and what it says.

use serde_json::{Value, json};

use super::{Heard, conversation, newest, routed, town};
use crate::talk::{id, items, refused};

#[tokio::test]
async fn two_tasks_in_one_conversation_take_turns() {
    let app = town(json!({})).await;
    let mut mei = Heard::by(&app, "mei");
    assert_eq!(mei.say("Taxi").await, ["Where to?"]);
    assert_eq!(mei.say("airport").await, ["At what time?"]);
    assert_eq!(mei.say("ＨＯＴＥＬ").await, ["Which city?\n1. Taipei\n2. Tainan"]);
    let view = conversation(&app, "mei").await;
    assert_eq!(view["focus"], newest(&app, "mei", "hotel").await["id"]);
    assert_eq!(view["open"].as_array().map(Vec::len), Some(2));
    // The hotel ends; the focus returns to the taxi, which asks again.
    assert_eq!(mei.say("2").await, ["🏨 Tainan", "At what time?"]);
    assert_eq!(mei.say("9:00").await, ["🚕 airport, 9:00"]);
    assert_eq!(
        routed(&app, "mei").await,
        [
            "Taxi → interrupt",
            "airport → focused",
            "ＨＯＴＥＬ → interrupt",
            "2 → focused",
            "9:00 → focused"
        ]
    );
    let view = conversation(&app, "mei").await;
    assert_eq!((&view["focus"], &view["open"]), (&Value::Null, &json!([])));
    app.finish().await;
}

#[tokio::test]
async fn a_message_that_names_its_task_goes_there() {
    let app = town(json!({})).await;
    let mut mei = Heard::by(&app, "mei");
    mei.say("hotel").await;
    mei.say("taxi").await;
    let taxi = newest(&app, "mei", "taxi").await;
    let hotel = newest(&app, "mei", "hotel").await;
    // A button of the hotel, while the taxi has the focus.
    let asked = app.get(&format!("/v1/messages?task={}&direction=out", id(&hotel))).await;
    let choice = items(&asked)[0]["content"]["choices"][1].clone();
    assert_eq!(choice["label"], "Tainan");
    let press = json!({ "text": choice["label"], "payload": choice["payload"] });
    assert_eq!(mei.send(press.clone()).await, ["[Hotel] 🏨 Tainan"]);
    // Pressed once more, the question has been answered.
    assert_eq!(mei.send(press).await, ["That question has been answered already."]);
    // The body may name the task itself.
    mei.say("hotel").await;
    let named = json!({ "text": "station", "task": id(&taxi) });
    assert_eq!(mei.send(named).await, ["At what time?"]);
    // A task of somebody else is none of hers.
    let mut bo = Heard::by(&app, "bo");
    let stolen = json!({ "text": "9:00", "task": id(&taxi) });
    assert_eq!(
        bo.send(stolen).await,
        ["There is no open task with that number. Send /tasks to see them."]
    );
    let forged = json!({ "text": "x", "payload": format!("cf1:{}:1:0", id(&taxi)) });
    assert_eq!(bo.send(forged).await, ["That question has been answered already."]);
    assert_eq!(newest(&app, "mei", "taxi").await["step"], "ask_time");
    let states = app.get("/v1/messages?contact=bo&direction=in").await;
    assert!(items(&states).iter().all(|message| message["state"] == "failed"), "{states}");
    assert_eq!(
        routed(&app, "mei").await,
        [
            "hotel → interrupt",
            "taxi → interrupt",
            "Tainan → named",
            "Tainan → named",
            "hotel → interrupt",
            "station → named"
        ]
    );
    app.finish().await;
}

#[tokio::test]
async fn the_only_other_task_that_waits_gets_the_message() {
    let app = town(json!({})).await;
    let mut mei = Heard::by(&app, "mei");
    mei.say("taxi").await;
    assert_eq!(mei.say("parcel").await, ["It is on its way."]);
    let parcel = newest(&app, "mei", "parcel").await;
    assert_eq!(conversation(&app, "mei").await["focus"], parcel["id"]);
    // The taxi is out of focus, so it says who it is.
    assert_eq!(mei.say("airport").await, ["[Taxi] At what time?"]);
    assert_eq!(conversation(&app, "mei").await["focus"], parcel["id"]);
    assert_eq!(
        routed(&app, "mei").await,
        ["taxi → interrupt", "parcel → interrupt", "airport → only_waiting"]
    );
    app.finish().await;
}

#[tokio::test]
async fn where_several_wait_the_person_is_asked_which() {
    let app = town(json!({})).await;
    let mut mei = Heard::by(&app, "mei");
    for word in ["taxi", "taxi", "parcel"] {
        mei.say(word).await;
    }
    let which = "Which task is this for?\n1. Taxi\n2. Taxi";
    assert_eq!(mei.say("airport").await, [which]);
    assert_eq!(mei.say("nine o'clock").await, [which]);
    let held = app.get("/v1/messages?contact=mei&state=received").await;
    assert_eq!(items(&held).len(), 2, "both are kept");
    // The answer brings both to the second task, in order. It ends; the first one gets the
    // focus and asks again.
    let answers = ["[Taxi] At what time?", "[Taxi] 🚕 airport, nine o'clock", "Where to?"];
    assert_eq!(mei.say("2").await, answers);
    let list = app.get("/v1/tasks?contact=mei&flow=taxi&sort=created_asc").await;
    assert_eq!(items(&list)[0]["status"], "waiting");
    assert_eq!(items(&list)[1]["vars"], json!({ "place": "airport", "time": "nine o'clock" }));
    let held = app.get("/v1/messages?contact=mei&state=received").await;
    assert_eq!(items(&held).len(), 0);
    let rules = routed(&app, "mei").await;
    assert_eq!(rules.get(3..).unwrap(), ["airport → asked", "nine o'clock → asked", "2 → asked"]);
    app.finish().await;
}

#[tokio::test]
async fn which_one_is_answered_by_label_and_by_button() {
    let app = town(json!({})).await;
    let mut mei = Heard::by(&app, "mei");
    for word in ["taxi", "hotel", "parcel"] {
        mei.say(word).await;
    }
    let which = "Which task is this for?\n1. Taxi\n2. Hotel";
    assert_eq!(mei.say("Tainan").await, [which]);
    assert_eq!(mei.say("HOTEL ").await, ["Which city?\n1. Taipei\n2. Tainan"], "a trigger is one");
    mei.say("parcel").await;
    let asked = mei.say("airport").await;
    assert_eq!(asked, ["Which task is this for?\n1. Taxi\n2. Hotel\n3. Hotel"]);
    let list = app.get("/v1/messages?contact=mei&direction=out&order=newest&limit=1").await;
    let choice = items(&list)[0]["content"]["choices"][0].clone();
    assert_eq!(choice["label"], "Taxi");
    let press = json!({ "text": "Taxi", "payload": choice["payload"] });
    let answers = mei.send(press).await;
    assert_eq!(answers[..2], ["[Taxi] At what time?", "[Taxi] 🚕 Tainan, airport"]);
    app.finish().await;
}

#[tokio::test]
async fn a_trigger_may_wait_or_leave_the_message_to_who_waits() {
    let app = town(json!({})).await;
    let mut mei = Heard::by(&app, "mei");
    assert_eq!(mei.say("note").await, ["📝 note"]);
    mei.say("taxi").await;
    assert_eq!(mei.say("note").await, ["At what time?"], "the taxi goes to a place called note");
    assert_eq!(mei.say("lunch").await, ["Lunch starts as soon as your current task is done."]);
    let queued = app.get("/v1/messages?contact=mei&state=received").await;
    assert_eq!(items(&queued).len(), 1);
    assert_eq!(mei.say("9:00").await, ["🚕 note, 9:00", "What will it be?"]);
    assert_eq!(mei.say("noodles").await, ["🍜 noodles"]);
    assert_eq!(mei.say("lunch").await, ["What will it be?"], "nothing is in its way");
    assert_eq!(
        routed(&app, "mei").await,
        [
            "note → trigger",
            "taxi → interrupt",
            "note → focused",
            "lunch → trigger",
            "9:00 → focused",
            "noodles → focused",
            "lunch → trigger"
        ]
    );
    let states = app.get("/v1/messages?contact=mei&direction=in").await;
    assert!(items(&states).iter().all(|message| message["state"] == "processed"), "{states}");
    app.finish().await;
}

#[tokio::test]
async fn the_default_flow_takes_what_nothing_else_does() {
    let app = town(json!({ "default_flow": "note", "lang": "zh-TW" })).await;
    let mut mei = Heard::by(&app, "mei");
    assert_eq!(mei.say("今天天氣很好").await, ["📝 今天天氣很好"]);
    assert_eq!(mei.say("計程車").await, ["去哪裡？"], "the connection's language");
    assert_eq!(routed(&app, "mei").await, ["今天天氣很好 → default_flow", "計程車 → interrupt"]);
    app.finish().await;
}

#[tokio::test]
async fn what_finds_no_task_is_kept_until_an_operator_assigns_it() {
    let app = town(json!({})).await;
    let mut mei = Heard::by(&app, "mei");
    assert_eq!(mei.say("airport").await, [""; 0]);
    let list = app.get("/v1/messages?contact=mei&state=unrouted").await;
    let message = items(&list)[0].clone();
    assert_eq!(json!([message["rule"], message["task"]]), json!(["unrouted", null]));
    let reason = message["error"].as_str().unwrap();
    assert!(reason.contains("no trigger matches"), "{reason}");

    mei.say("taxi").await;
    let taxi = newest(&app, "mei", "taxi").await;
    let path = format!("/v1/messages/{}/assign", id(&message));
    let mut bo = Heard::by(&app, "bo");
    bo.say("taxi").await;
    let others = newest(&app, "bo", "taxi").await;
    refused(&app.post(&path, json!({ "task": others["id"] })).await, 422);
    refused(&app.post(&path, json!({ "task": "task_x" })).await, 404);
    let assigned = app.post(&path, json!({ "task": taxi["id"] })).await;
    assert_eq!((assigned.status, &assigned.body["step"]), (200, &json!("ask_time")));
    app.settle().await;
    assert_eq!(mei.news(), ["Where to?", "At what time?"].get(1..).unwrap());
    let list = app.get("/v1/messages?contact=mei&direction=in&limit=1").await;
    let message = &items(&list)[0];
    assert_eq!(
        json!([message["rule"], message["state"], message["task"], message["error"]]),
        json!(["assigned", "processed", taxi["id"], null])
    );
    refused(&app.post(&path, json!({ "task": taxi["id"] })).await, 409);
    let unknown = app.post("/v1/messages/msg_x/assign", json!({ "task": taxi["id"] })).await;
    refused(&unknown, 404);
    assert_eq!(newest(&app, "bo", "taxi").await["step"], "ask_place");
    app.finish().await;
}

#[tokio::test]
async fn a_conversation_has_its_own_key_and_tasks() {
    let app = town(json!({})).await;
    let mut mei = Heard::by(&app, "mei");
    let in_thread = |thread: &str, text: &str| json!({ "conversation": thread, "text": text });
    assert_eq!(mei.send(in_thread("t-1", "taxi")).await, ["Where to?"]);
    assert_eq!(mei.send(in_thread("t-2", "hotel")).await.len(), 1);
    assert_eq!(mei.send(in_thread("t-1", "airport")).await, ["At what time?"]);
    let list = app.get("/v1/conversations?connection=demo&contact=mei").await;
    assert_eq!(items(&list).len(), 2);
    assert!(items(&list).iter().all(|one| one["open"].as_array().map(Vec::len) == Some(1)));
    app.finish().await;
}
