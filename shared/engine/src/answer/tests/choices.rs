//! Choices and files.

use serde_json::{Value, json};

use super::super::Rejection::{
    Ambiguous, FileTooLarge, FileType, NoFile, NotAChoice, TooFewChoices, TooManyChoices,
};
use super::super::{Attachment, ChoiceOption, Expected, Rejection, parse};
use super::{check, read, taipei};

type Row = (&'static str, Result<Value, Rejection>);

fn options(list: &[(&str, Value)]) -> Vec<ChoiceOption> {
    list.iter()
        .map(|(label, value)| ChoiceOption { label: (*label).into(), value: value.clone() })
        .collect()
}

fn one(list: &[(&str, Value)]) -> Expected {
    Expected::Choice { options: options(list), several: false, min: None, max: None }
}

fn drinks() -> Vec<(&'static str, Value)> {
    vec![
        ("咖啡", json!("coffee")),
        ("Black Tea", json!("tea")),
        ("ビール", json!("beer")),
        ("台北水", json!({"from": "Taipei"})),
    ]
}

#[test]
fn one_choice() {
    let rows: &[Row] = &[
        ("咖啡", Ok(json!("coffee"))),
        ("black tea", Ok(json!("tea"))),
        ("ＢＬＡＣＫ　ＴＥＡ", Ok(json!("tea"))),
        ("ﾋﾞｰﾙ", Ok(json!("beer"))),
        ("臺北水", Ok(json!({"from": "Taipei"}))),
        ("coffee", Ok(json!("coffee"))),
        ("1", Ok(json!("coffee"))),
        ("２", Ok(json!("tea"))),
        ("③", Ok(json!("beer"))),
        ("二", Ok(json!("tea"))),
        ("two", Ok(json!("tea"))),
        ("2.", Ok(json!("tea"))),
        ("(2)", Ok(json!("tea"))),
        ("#2", Ok(json!("tea"))),
        ("第二個", Ok(json!("tea"))),
        ("第2个", Ok(json!("tea"))),
        ("2番", Ok(json!("tea"))),
        ("2つ目", Ok(json!("tea"))),
        ("二番目です", Ok(json!("tea"))),
        ("no. 2", Ok(json!("tea"))),
        ("Option 2", Ok(json!("tea"))),
        ("the second one", Ok(json!("tea"))),
        ("2nd", Ok(json!("tea"))),
        ("1. 咖啡", Ok(json!("coffee"))),
        ("2. 咖啡", Err(NotAChoice)),
        ("我要咖啡，謝謝", Ok(json!("coffee"))),
        ("Black tea please!", Ok(json!("tea"))),
        ("ビールにします", Ok(json!("beer"))),
        ("0", Err(NotAChoice)),
        ("5", Err(NotAChoice)),
        ("99999999999", Err(NotAChoice)),
        ("不要咖啡", Err(NotAChoice)),
        ("1 和 3", Err(NotAChoice)),
        ("茶", Err(NotAChoice)),
        ("。", Err(NotAChoice)),
    ];
    check(&one(&drinks()), rows);
}

#[test]
fn labels_win_over_numbers() {
    let shuffled = one(&[("3", json!("c")), ("1", json!("a")), ("2", json!("b"))]);
    let rows: &[Row] = &[
        ("1", Ok(json!("a"))),
        ("２", Ok(json!("b"))),
        ("③", Ok(json!("c"))),
        ("第一個", Ok(json!("c"))),
    ];
    check(&shuffled, rows);
}

#[test]
fn values_and_positions_never_guess() {
    let slots = one(&[("早上", json!(0)), ("下午", json!(1)), ("晚上", json!(2))]);
    let rows: &[Row] = &[
        ("早上", Ok(json!(0))),
        ("0", Ok(json!(0))),
        ("3", Ok(json!(2))),
        ("1", Err(Ambiguous)),
        ("第一個", Ok(json!(0))),
        ("1.", Ok(json!(0))),
    ];
    check(&slots, rows);
    let twins = one(&[("A", json!(1)), ("a", json!(2))]);
    assert_eq!(read(&twins, "A"), Err(Ambiguous));
    let same = one(&[("A", json!("x")), ("a", json!("x"))]);
    assert_eq!(read(&same, "A"), Ok(json!("x")));
    assert_eq!(read(&one(&[]), "1"), Err(NotAChoice));
    assert_eq!(read(&one(&[("", json!(7))]), "1"), Ok(json!(7)));
}

#[test]
fn several_choices() {
    let list = options(&drinks());
    let several = Expected::Choice { options: list, several: true, min: None, max: None };
    let all = json!(["coffee", "tea", "beer", {"from": "Taipei"}]);
    let rows: &[Row] = &[
        ("1", Ok(json!(["coffee"]))),
        ("1,3", Ok(json!(["coffee", "beer"]))),
        ("3,1", Ok(json!(["coffee", "beer"]))),
        ("１、３", Ok(json!(["coffee", "beer"]))),
        ("1 和 3", Ok(json!(["coffee", "beer"]))),
        ("1和3", Ok(json!(["coffee", "beer"]))),
        ("1 3", Ok(json!(["coffee", "beer"]))),
        ("1 and 3", Ok(json!(["coffee", "beer"]))),
        ("①③", Ok(json!(["coffee", "beer"]))),
        ("1と3", Ok(json!(["coffee", "beer"]))),
        ("第一個跟第三個", Ok(json!(["coffee", "beer"]))),
        ("no. 1, no. 3", Ok(json!(["coffee", "beer"]))),
        ("咖啡和Black Tea", Ok(json!(["coffee", "tea"]))),
        ("black tea, 咖啡", Ok(json!(["coffee", "tea"]))),
        ("我要咖啡還有ビール，謝謝", Ok(json!(["coffee", "beer"]))),
        ("1,1", Ok(json!(["coffee"]))),
        ("全部", Ok(all.clone())),
        ("All", Ok(all.clone())),
        ("すべて", Ok(all)),
        ("13", Err(NotAChoice)),
        ("1,9", Err(NotAChoice)),
        ("咖啡茶", Err(NotAChoice)),
        (",", Err(NotAChoice)),
        ("none", Err(NotAChoice)),
    ];
    check(&several, rows);
}

#[test]
fn several_choices_with_limits() {
    let limited = |min, max| Expected::Choice {
        options: options(&drinks()),
        several: true,
        min: Some(min),
        max: Some(max),
    };
    assert_eq!(read(&limited(2, 3), "1"), Err(TooFewChoices { min: 2 }));
    assert_eq!(read(&limited(2, 3), "全部"), Err(TooManyChoices { max: 3 }));
    assert_eq!(read(&limited(2, 3), "1,2"), Ok(json!(["coffee", "tea"])));
    assert_eq!(read(&limited(0, 3), "都不要"), Ok(json!([])));
    let joined = Expected::Choice {
        options: options(&[("和牛", json!(1)), ("salt, pepper", json!(2)), ("salt", json!(3))]),
        several: true,
        min: None,
        max: None,
    };
    assert_eq!(read(&joined, "和牛和salt"), Ok(json!([1, 3])));
    assert_eq!(read(&joined, "salt, pepper"), Ok(json!([2])));
    assert_eq!(read(&joined, "和牛、salt, pepper"), Ok(json!([1, 2])));
}

fn attachment(name: Option<&str>, mime: Option<&str>, bytes: Option<u64>) -> Attachment {
    Attachment {
        url: "https://files.example/1".into(),
        name: name.map(Into::into),
        mime: mime.map(Into::into),
        bytes,
    }
}

#[test]
fn files() {
    let images = Expected::File { types: vec!["image/".into()], max_bytes: Some(1000) };
    let take = |files: &[Attachment]| parse(&images, "", files, &taipei());
    let png = attachment(Some("a.png"), Some("image/png"), Some(1000));
    let pdf = attachment(Some("a.pdf"), Some("application/pdf"), Some(10));
    let large = attachment(None, Some("IMAGE/PNG"), Some(1001));
    let wanted = json!({
        "url": "https://files.example/1", "name": "a.png", "mime": "image/png", "bytes": 1000
    });
    assert_eq!(take(&[pdf.clone(), large.clone(), png]), Ok(wanted));
    assert_eq!(take(&[]), Err(NoFile));
    assert_eq!(take(&[pdf]), Err(FileType { types: "image/".into() }));
    assert_eq!(take(&[large]), Err(FileTooLarge { max_bytes: 1000 }));
    let unknown = attachment(Some("photo.JPG"), None, None);
    let wanted = json!({
        "url": "https://files.example/1", "name": "photo.JPG", "mime": null, "bytes": null
    });
    assert_eq!(take(&[unknown]), Ok(wanted));
    let nameless = attachment(None, None, None);
    assert_eq!(take(std::slice::from_ref(&nameless)), Err(FileType { types: "image/".into() }));
    let any = Expected::File { types: vec!["*/*".into()], max_bytes: None };
    assert!(parse(&any, "", &[nameless], &taipei()).is_ok());
}
