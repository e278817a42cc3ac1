//! The seven rules of "one person, many tasks", end to end on a webhook.

mod commands;
mod rules;

use it::TestApp;
use serde_json::{Value, json};

use crate::talk::{each, open_demo};

/// Two questions; its keyword interrupts.
const TAXI: &str = r#"
flow: taxi
name: {en: Taxi, zh-TW: 計程車}
triggers: [{on: keyword, any: [taxi, 計程車], when_busy: interrupt}]
vars: {place: {type: string}, time: {type: string}}
start: ask_place
steps:
  ask_place: {type: ask, text: {en: "Where to?", zh-TW: 去哪裡？}, into: place, next: ask_time}
  ask_time: {type: ask, text: {en: "At what time?", zh-TW: 幾點？}, into: time, next: tell}
  tell: {type: say, text: "🚕 {{ place }}, {{ time }}", next: done}
  done: {type: end}
"#;

/// One question with choices; its keyword interrupts.
const HOTEL: &str = r#"
flow: hotel
name: {en: Hotel, zh-TW: 旅館}
triggers: [{on: keyword, any: [hotel, 旅館], when_busy: interrupt}]
vars: {city: {type: string}}
start: ask_city
steps:
  ask_city:
    type: ask
    text: {en: "Which city?", zh-TW: 哪個城市？}
    into: city
    expect: {type: choice}
    choices: [Taipei, Tainan]
    next: tell
  tell: {type: say, text: "🏨 {{ city }}", next: done}
  done: {type: end}
"#;

/// Waits for an hour; its keyword interrupts.
const PARCEL: &str = r"
flow: parcel
name: {en: Parcel, zh-TW: 包裹}
triggers: [{on: keyword, any: [parcel, 包裹], when_busy: interrupt}]
start: on_its_way
steps:
  on_its_way: {type: say, text: It is on its way., next: drive}
  drive: {type: wait, for: 1h, next: done}
  done: {type: end}
";

/// Starts when the conversation is free.
const LUNCH: &str = r#"
flow: lunch
name: {en: Lunch, zh-TW: 午餐}
triggers: [{on: keyword, any: [lunch, 午餐], when_busy: queue}]
vars: {dish: {type: string}}
start: ask_dish
steps:
  ask_dish: {type: ask, text: "What will it be?", into: dish, next: tell}
  tell: {type: say, text: "🍜 {{ dish }}", next: done}
  done: {type: end}
"#;

/// Starts only where nothing waits for a reply.
const NOTE: &str = r#"
flow: note
name: {en: Note, zh-TW: 筆記}
triggers: [{on: keyword, any: [note, 筆記]}]
start: tell
steps:
  tell: {type: say, text: "📝 {{ input }}", next: done}
  done: {type: end}
"#;

async fn town(settings: Value) -> TestApp {
    let app = TestApp::empty().await;
    open_demo(&app, settings).await;
    for flow in [TAXI, HOTEL, PARCEL, LUNCH, NOTE] {
        app.publish(flow).await;
    }
    app
}

/// What the contact said, with the rule that found its task: `text → rule`.
async fn routed(app: &TestApp, contact: &str) -> Vec<String> {
    let list = app.get(&format!("/v1/messages?direction=in&contact={contact}&limit=1000")).await;
    let texts = each(&list, "/content/text").into_iter();
    texts.zip(each(&list, "/rule")).map(|(text, rule)| format!("{text} → {rule}")).collect()
}

/// What was said to the contact since the last look.
struct Heard<'a> {
    app: &'a TestApp,
    contact: &'a str,
    before: usize,
}

impl<'a> Heard<'a> {
    fn by(app: &'a TestApp, contact: &'a str) -> Self {
        Self { app, contact, before: 0 }
    }

    /// Says something, and gives the answers to it.
    async fn say(&mut self, text: &str) -> Vec<String> {
        self.app.say(self.contact, text).await;
        self.news()
    }

    /// Sends a body of its own making, and gives the answers to it.
    async fn send(&mut self, body: Value) -> Vec<String> {
        let mut whole = json!({ "contact": { "id": self.contact } });
        let fields = whole.as_object_mut().expect("an object");
        fields.extend(body.as_object().cloned().unwrap_or_default());
        let answer = self.app.webhook("demo", whole).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        self.app.settle().await;
        self.news()
    }

    fn news(&mut self) -> Vec<String> {
        let all = self.app.said_to(self.contact);
        let news = all.get(self.before..).unwrap_or_default().to_vec();
        self.before = all.len();
        news
    }
}

/// The task of a flow in a contact's conversation, newest first.
async fn newest(app: &TestApp, contact: &str, flow: &str) -> Value {
    let list = app.get(&format!("/v1/tasks?contact={contact}&flow={flow}&limit=1")).await;
    list["items"][0].clone()
}

async fn conversation(app: &TestApp, contact: &str) -> Value {
    app.get(&format!("/v1/conversations?contact={contact}")).await["items"][0].clone()
}
