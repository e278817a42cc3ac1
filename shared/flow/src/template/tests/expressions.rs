//! Bare expressions: operators, comparisons, slices.

use serde_json::json;

use super::super::{ErrorKind, expression, truthy};
use super::{leave, result};

#[test]
fn branches_decide() {
    let fixture = leave();
    let scope = fixture.scope();
    assert_eq!(truthy("answer.status == 201", &scope), Ok(true));
    assert_eq!(truthy("answer.status in [400, 409]", &scope), Ok(false));
    assert_eq!(truthy("1 <= days <= 30 and not reason", &scope), Ok(true));
    assert_eq!(truthy("nope", &scope), Ok(false));
    assert_eq!(truthy("answer.body.missing.deep", &scope), Ok(false));
    assert_eq!(truthy("start >= today()", &scope), Ok(true));
    assert_eq!(truthy("nope == 1", &scope).unwrap_err().kind, ErrorKind::Undefined);
    assert_eq!(truthy("days ==", &scope).unwrap_err().kind, ErrorKind::Syntax);
    assert_eq!(truthy("days }} x", &scope).unwrap_err().kind, ErrorKind::Syntax);
}

#[test]
fn computes() {
    for (source, expected) in [
        ("days + 1", json!(4)),
        ("days - 5", json!(-2)),
        ("days * rate", json!(7.5)),
        ("days|string|int * 2", json!(6)),
        ("2 ** 10", json!(1024)),
        ("7 / 2", json!(3.5)),
        ("7 // 2", json!(3)),
        ("-7 % 3", json!(2)),
        ("-days", json!(-3)),
        ("start + '!'", json!("2026-11-30!")),
        ("days ~ ' ' ~ urgent ~ none", json!("3 TrueNone")),
        ("[1] + [2, 3]", json!([1, 2, 3])),
        ("(1, 2) + [3]", json!([1, 2, 3])),
        ("days == 3.0", json!(true)),
        ("1 < days < 3", json!(false)),
        ("'日' in '星期日'", json!(true)),
        ("'id' in answer.body", json!(true)),
        ("9 not in [1, 2]", json!(true)),
        ("{'a': 1} == {'a': 1.0}", json!(true)),
        ("start[:4]", json!("2026")),
        ("'星期日'[::-1]", json!("日期星")),
        ("tags[-1]", json!("C")),
        ("tags[0:2]", json!(["b", "a"])),
        ("tags[5:]", json!([])),
        ("'abc'[0:2:-1]", json!("")),
        ("items[1].name", json!("香蕉")),
        ("items[0]['price']", json!(30)),
        ("answer['body'].id", json!("L-9")),
        ("'星期日'[1]", json!("期")),
        ("days if urgent else 0", json!(3)),
        ("none or 'x'", json!("x")),
    ] {
        assert_eq!(result(source), expected, "{source}");
    }
}

#[test]
fn what_has_no_result_is_an_error() {
    let fixture = leave();
    for source in [
        "1 / 0",
        "1 // 0",
        "1 % 0",
        "0 ** -1",
        "1e308 * 10",
        "'a' + 1",
        "'a' - 1",
        "'%s' % 1",
        "-start",
        "1 in 5",
        "days[1:]",
        "items[::0]",
        "10 ** 30",
        "10 ** 99",
        "days()",
        "'nan'|float",
        "{[1]: 2}",
        "range(1, 2, 0)",
    ] {
        let error = expression(source, &fixture.scope()).unwrap_err();
        assert!(
            matches!(error.kind, ErrorKind::Other | ErrorKind::Refused),
            "{source}: {:?} {error}",
            error.kind
        );
    }
}

#[test]
fn multiplying_is_for_numbers() {
    let fixture = leave();
    for source in ["start * 3", "3 * items", "tags|join * days", "urgent * 2", "'2' ** 2"] {
        let error = expression(source, &fixture.scope()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused, "{source}");
        assert_eq!(
            error.message, "`*` and `**` work with numbers only: write `x|int * 2`",
            "{source}"
        );
    }
}
