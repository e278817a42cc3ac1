//! Every filter, test and function of the catalog.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::{ErrorKind, catalog, compile_check, expression};
use super::{leave, result};

fn texts() -> Vec<(&'static str, Value)> {
    vec![
        ("'aé'|upper", json!("AÉ")),
        ("'AÉ'|lower", json!("aé")),
        ("'the good-old (days)'|title", json!("The Good-Old (Days)")),
        ("'hELLO'|capitalize", json!("Hello")),
        ("'  x '|trim", json!("x")),
        ("'--x-'|trim('-')", json!("x")),
        ("'a.b.c'|replace('.', '//')", json!("a//b//c")),
        ("'aaa'|replace('a', 'b', 2)", json!("bba")),
        ("'a, b'|split(', ')", json!(["a", "b"])),
        ("' a  b '|split", json!(["a", "b"])),
        ("'a:b:c'|split(':', 1)", json!(["a", "b:c"])),
        ("'a\\nb\\r\\n'|lines", json!(["a", "b"])),
        ("'a\\nb\\n\\nc'|indent(2)", json!("a\n  b\n\n  c")),
        ("'a\\nb'|indent(1, true)", json!(" a\n b")),
        ("'請假申請單'|truncate(4)", json!("請假申…")),
        ("'請假申請單'|truncate(5)", json!("請假申請單")),
        ("'請假申請單'|truncate(3, '')", json!("請假申")),
        ("'請假申請單'|truncate(1, '...')", json!(".")),
        ("'👨‍👩‍👧‍👦👍🏽e\u{301}x'|truncate(3, '')", json!("👨‍👩‍👧‍👦👍🏽e\u{301}")),
        ("'A123456789'|mask", json!("******6789")),
        ("'1234'|mask", json!("****")),
        ("'王小明'|mask(1)", json!("**明")),
        ("'<a href=\"x\">'|escape", json!("&lt;a href=&quot;x&quot;&gt;")),
        ("'&'|e", json!("&amp;")),
        ("'a b&日/'|urlencode", json!("a%20b%26%E6%97%A5/")),
        ("{'q': 'a b', 'n': 1, 'x': none}|urlencode", json!("q=a%20b&n=1")),
        ("days|string", json!("3")),
        ("answer|tojson", json!(r#"{"status":201,"body":{"id":"L-9"}}"#)),
        ("[1]|tojson(2)", json!("[\n  1\n]")),
        ("'{\"a\": [1, 2.5]}'|fromjson", json!({"a": [1, 2.5]})),
        ("nope|default('x')", json!("x")),
        ("reason|d('x', boolean=true)", json!("x")),
    ]
}

fn numbers_and_dates() -> Vec<(&'static str, Value)> {
    vec![
        ("'42'|int", json!(42)),
        ("'x'|int(7)", json!(7)),
        ("'x'|int(default=7)", json!(7)),
        ("'2.5'|float", json!(2.5)),
        ("reason|bool", json!(false)),
        ("(-3)|abs", json!(3)),
        ("2.567|round(2)", json!(2.57)),
        ("2.1|round(method='ceil')", json!(3.0)),
        ("1234567|number", json!("1,234,567")),
        ("1234.5|number(2)", json!("1,234.50")),
        ("(-1234)|number(1)", json!("-1,234.0")),
        ("start|date('%Y/%m/%d')", json!("2026/11/30")),
        ("'2026-11-30T23:30:00Z'|date", json!("2026-12-01")),
        ("'2026-11-30 09:05'|datetime('%m月%d日 %H:%M')", json!("11月30日 09:05")),
        ("'2026-11-30T09:05'|datetime(zone='Asia/Tokyo')", json!(null)),
        ("'2026-11-30T09:05'|datetime('%H:%M', 'Asia/Tokyo')", json!("10:05")),
        ("now()|datetime", json!("2026-11-30 05:00")),
        ("start|add_days(2)", json!("2026-12-02")),
        ("'2026-11-30T09:00:00+08:00'|add_days(-30)", json!("2026-10-31T09:00:00+08:00")),
        ("start|weekday", json!(1)),
        ("start|weekday('en')", json!("Monday")),
        ("start|weekday('zh-TW')", json!("星期一")),
        ("today()", json!("2026-11-30")),
        ("now()", json!("2026-11-30T05:00:00+08:00")),
        ("date('2026/11/3')", json!("2026-11-03")),
        ("days_between(start, '2026-12-02')", json!(2)),
        ("days_between('2026-12-02', start)", json!(-2)),
        ("range(3)", json!([0, 1, 2])),
        ("range(6, 0, -2)", json!([6, 4, 2])),
    ]
}

fn lists() -> Vec<(&'static str, Value)> {
    vec![
        ("'星期日'|length", json!(3)),
        ("items|count", json!(3)),
        ("tags|first", json!("b")),
        ("'日x'|last", json!("x")),
        ("[3, 1.5, 2]|min", json!(1.5)),
        ("items|max(attribute='price')|items|first", json!(["name", "蘋果"])),
        ("[1, 2.5]|sum", json!(3.5)),
        ("items|sum('price')", json!(65)),
        ("tags|sort", json!(["a", "b", "C"])),
        ("tags|sort(case_sensitive=true)", json!(["C", "a", "b"])),
        ("[2, 10, 1]|sort(reverse=true)", json!([10, 2, 1])),
        (
            "[9007199254740993, 9007199254740992]|sort",
            json!([9_007_199_254_740_992_i64, 9_007_199_254_740_993_i64]),
        ),
        ("['a', 'A', 1, '1', 1]|unique", json!(["a", 1, "1"])),
        ("tags|reverse", json!(["C", "a", "b"])),
        ("'ab'|reverse", json!("ba")),
        ("'ab'|list", json!(["a", "b"])),
        ("tags|join('、')", json!("b、a、C")),
        ("items|join(',', attribute='name')", json!("蘋果,香蕉,Pen")),
        ("answer.body|items", json!([["id", "L-9"]])),
        ("answer|keys", json!(["status", "body"])),
        ("answer.body|values", json!(["L-9"])),
        ("{'b': 1, 'a': 2}|dictsort", json!([["a", 2], ["b", 1]])),
        ("{'b': 1, 'a': 2}|dictsort(by='value')", json!([["b", 1], ["a", 2]])),
        ("items|groupby('kind')|map('first')", json!(["fruit", "tool"])),
        ("items|groupby('kind')|map('last')|map('length')", json!([2, 1])),
        ("tags|map('upper')", json!(["B", "A", "C"])),
        ("[1.234]|map('round', 1)", json!([1.2])),
        ("items|map(attribute='price')", json!([30, 10, 25])),
        ("items|map(attribute='x.y', default=0)", json!([0, 0, 0])),
        ("[0, 1, '']|select", json!([1])),
        ("[1, 2, 3, 4]|select('even')", json!([2, 4])),
        ("[1, 2, 3]|reject('gt', 1)", json!([1])),
        ("items|selectattr('kind', 'eq', 'tool')|map(attribute='name')", json!(["Pen"])),
        ("items|rejectattr('price', '>', 20)|map(attribute='name')", json!(["香蕉"])),
    ]
}

#[test]
fn filters_and_functions_do_what_they_say() {
    for (source, expected) in texts().into_iter().chain(numbers_and_dates()).chain(lists()) {
        if expected.is_null() {
            // Filters have no named arguments unless they say so.
            assert!(expression(source, &leave().scope()).is_err(), "{source}");
        } else {
            assert_eq!(result(source), expected, "{source}");
        }
    }
}

#[test]
fn every_filter_has_a_test() {
    let tested = texts().into_iter().chain(numbers_and_dates()).chain(lists());
    let tested: Vec<&str> = tested.map(|(source, _)| source).collect();
    let missing: BTreeSet<_> = catalog::get()
        .filter_names()
        .filter(|name| {
            !tested.iter().any(|source| {
                source.split('|').skip(1).any(|part| {
                    part.strip_prefix(name).is_some_and(|rest| {
                        !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
                    })
                })
            })
        })
        .collect();
    assert_eq!(missing, BTreeSet::new());
}

#[test]
fn tests_hold() {
    for source in [
        "days is defined",
        "nope is undefined",
        "nothing is none",
        "urgent is true",
        "(not urgent) is false",
        "urgent is boolean",
        "rate is number",
        "days is integer",
        "rate is float",
        "start is string",
        "answer is mapping",
        "items is sequence",
        "answer is iterable",
        "3 is odd",
        "4 is even",
        "9 is divisibleby 3",
        "'ab' is lower",
        "'AB1' is upper",
        "start is startingwith '2026'",
        "start is endingwith('30')",
        "days is in [3]",
        "'id' is in answer.body",
        "days is eq 3",
        "days is equalto 3",
        "days is ne 4",
        "days is lt 4",
        "days is lessthan 4",
        "days is le 3",
        "days is gt 2",
        "days is greaterthan 2",
        "days is ge 3",
        "9 is not divisibleby 0",
        "days is not divisibleby 'x'",
        "nope is not eq 1",
        "start is not number",
    ] {
        assert_eq!(result(source), json!(true), "{source}");
    }
}

#[test]
fn filters_refuse_what_they_cannot_use() {
    for source in [
        "start|number",
        "'30.02.2026'|date",
        "'2026-02-30'|date",
        "start|date('%Q')",
        "start|date('%')",
        "start|datetime('%H', 'Mars/Base')",
        "start|add_days(9999999)",
        "'9999-12-31'|add_days(1)",
        "days|date",
        "start|weekday('xx')",
        "days|length",
        "days|items",
        "tags|sum",
        "items|sort",
        "'x'|int",
        "'x'|float",
        "'{'|fromjson",
        "tags|join(',', ',', ',')",
        "tags|map",
        "items|map(attribute='nope')",
        "start|replace('', 'x')",
        "start|split('')",
        "start|round",
        "1.5|round(999999999)",
        "start|indent(65)",
        "[1]|tojson(9)",
        "1|number(11)",
        "tags|sort(nope=1)",
    ] {
        let error = expression(source, &leave().scope()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Other, "{source}: {error}");
    }
    for source in ["tags|map('nope')", "tags|select('nope')", "[[1]]|map('map', 'abs')"] {
        let error = expression(source, &leave().scope()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused, "{source}: {error}");
    }
    let error = compile_check("{{ 1|\u{1}operand }}").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Syntax);
}
