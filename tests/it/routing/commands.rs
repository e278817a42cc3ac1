//! Rule 2: commands, in English and in Traditional Chinese.

use serde_json::json;

use super::{Heard, conversation, newest, routed, town};
use crate::talk::id;

#[tokio::test]
async fn commands_in_english() {
    let app = town(json!({ "lang": "en" })).await;
    let mut mei = Heard::by(&app, "mei");
    assert_eq!(mei.say("/tasks").await, ["You have no open tasks."]);
    let offered = mei.say("/new").await.join("");
    assert!(offered.starts_with("Send /new and a name to start one of:"), "{offered}");
    assert!(offered.contains("• Taxi") && offered.contains("• Lunch"), "{offered}");
    assert_eq!(mei.say("/new taxi").await, ["Where to?"], "by its id");
    assert_eq!(mei.say("/new Hotel").await.len(), 1, "by its name");
    assert_eq!(
        mei.say("/new nothing").await,
        ["There is no flow of that name. Send /new to see them."]
    );
    let list = "Your open tasks:\n  1. Taxi – waits for your reply\n▶ 2. Hotel – waits for your \
                reply\nSend /switch and a number to change task.";
    assert_eq!(mei.say("/tasks").await, [list]);
    assert_eq!(mei.say("/switch").await, [list]);
    assert_eq!(mei.say("/status").await, ["2. Hotel – waits for your reply"]);
    assert_eq!(mei.say("/status 1").await, ["1. Taxi – waits for your reply"]);
    assert_eq!(mei.say("/switch 1").await, ["Where to?"]);
    assert_eq!(conversation(&app, "mei").await["focus"], newest(&app, "mei", "taxi").await["id"]);
    let none = "There is no open task with that number. Send /tasks to see them.";
    assert_eq!(mei.say("/switch 9").await, [none]);
    assert_eq!(mei.say("/cancel 9").await, [none]);
    let hotel = newest(&app, "mei", "hotel").await;
    assert_eq!(mei.say("/cancel 2").await, ["Cancelled: Hotel"]);
    let hotel = app.get(&format!("/v1/tasks/{}", id(&hotel))).await;
    assert_eq!(
        json!([hotel["status"], hotel["error"]]),
        json!(["cancelled", "the contact cancelled it"])
    );
    assert_eq!(mei.say("/cancel").await, ["Cancelled: Taxi"]);
    assert_eq!(mei.say("/cancel").await, [none]);
    assert!(mei.say("/help").await.join("").contains("/switch 2 – talk about task 2"));
    let rules = routed(&app, "mei").await;
    assert!(rules.iter().all(|rule| rule.ends_with("→ command")), "{rules:?}");
    app.finish().await;
}

#[tokio::test]
async fn commands_in_traditional_chinese() {
    let app = town(json!({ "lang": "zh-TW" })).await;
    let mut mei = Heard::by(&app, "mei");
    assert_eq!(mei.say("任務").await, ["您目前沒有進行中的任務。"]);
    assert!(mei.say("新任務").await.join("").contains("• 計程車"));
    assert_eq!(mei.say("新任務 計程車").await, ["去哪裡？"]);
    assert_eq!(mei.say("／新任務　旅館").await, ["哪個城市？\n1. Taipei\n2. Tainan"]);
    assert_eq!(
        mei.say("我的任務").await,
        ["進行中的任務：\n  1. 計程車 – 等待您的回覆\n▶ 2. 旅館 – 等待您的回覆\n\
          輸入「切換」和編號可以切換任務。"]
    );
    assert_eq!(mei.say("狀態").await, ["2. 旅館 – 等待您的回覆"]);
    assert_eq!(mei.say("切換１").await, ["去哪裡？"]);
    assert_eq!(mei.say("切換 9").await, ["沒有這個編號的任務。輸入「任務」可以查看。"]);
    assert_eq!(mei.say("包裹").await, ["It is on its way."]);
    assert_eq!(mei.say("機場").await, ["請問這是要回覆哪一個任務？\n1. 計程車\n2. 旅館"]);
    assert_eq!(mei.say("1").await, ["幾點？"]);
    assert_eq!(mei.say("取消任務 2").await, ["已取消：旅館"]);
    assert_eq!(mei.say("午餐").await, ["目前的任務完成後，會開始「午餐」。"]);
    assert_eq!(mei.say("九點").await, ["🚕 機場, 九點", "What will it be?"]);
    assert!(mei.say("說明").await.join("").contains("切換 2 – 切換到任務 2"));
    assert_eq!(mei.say("牛肉麵").await, ["🍜 牛肉麵"]);
    app.finish().await;
}

#[tokio::test]
async fn what_only_looks_like_a_command_is_an_answer() {
    let app = town(json!({})).await;
    let mut mei = Heard::by(&app, "mei");
    mei.say("taxi").await;
    assert_eq!(mei.say("/switch two").await, ["At what time?"]);
    assert_eq!(mei.say("切換到明天").await, ["🚕 /switch two, 切換到明天"]);
    app.finish().await;
}
