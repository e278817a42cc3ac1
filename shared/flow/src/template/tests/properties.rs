//! Whatever the template and the data: no panic, and results within their limits.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{
    TEXT_BYTES_MAX, VALUE_BYTES_MAX, catalog, compile_check, compile_check_expr, evaluate,
    evaluate_json, expression, render,
};
use super::{Fixture, leave};

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "[0-9]{4}-[0-9]{2}-[0-9]{2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec(("[a-c]{1,2}", inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// What templates are made of.
const PIECES: &[&str] = &[
    "{{ ",
    " }}",
    "{% if ",
    "{% for x in ",
    " %}",
    "{% endif %}",
    "{% endfor %}",
    "{% else %}",
    "{#",
    "#}",
    "{%- ",
    "-}}",
    "{% raw %}",
    "{% endraw %}",
    "a",
    "b",
    "x",
    "loop",
    ".",
    "a.b",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    ",",
    ":",
    "|",
    "|length",
    "|default(1)",
    "|map('upper')",
    "|sort",
    "|tojson",
    "|fromjson",
    "|date",
    "|round",
    "1",
    "2.5",
    "-1",
    "'s'",
    "\"日\"",
    "'\\u65e5'",
    "+",
    "-",
    "*",
    "/",
    "//",
    "%",
    "**",
    "~",
    "==",
    "<",
    "in",
    "not",
    "and",
    "or",
    "is",
    "if",
    "else",
    "none",
    "defined",
    "odd",
    "today()",
    "range(3)",
    " ",
    "\n",
    "\\",
    "日",
    "\u{0}",
    "99999999999999999999999999999999999999",
    "1e400",
    "0x",
    "=",
];

/// Pieces of Jinja in any order: most are wrong, some are not.
fn any_source() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(PIECES);
    prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
}

fn any_expression() -> impl Strategy<Value = String> {
    let names: Vec<&str> = catalog::get().filter_names().collect();
    let leaf = prop::sample::select(vec![
        "a",
        "b",
        "a.b",
        "b[0]",
        "1",
        "-3",
        "2.5",
        "'日本 x'",
        "none",
        "true",
        "[]",
        "{}",
        "today()",
        "[1, 'b', none]",
        "{'a': 1, 'b': [2]}",
        "9223372036854775807",
        "1e308",
        "''",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 24, 3, move |inner| {
        let filter = prop::sample::select(names.clone());
        let operator = prop::sample::select(vec![
            "+", "-", "*", "/", "//", "%", "**", "~", "==", "<", ">=", "in", "not in", "and", "or",
        ]);
        let test = prop::sample::select(vec!["eq", "lt", "in", "divisibleby", "startingwith"]);
        prop_oneof![
            (inner.clone(), operator, inner.clone())
                .prop_map(|(a, operator, b)| format!("({a} {operator} {b})")),
            (inner.clone(), filter.clone()).prop_map(|(a, filter)| format!("({a})|{filter}")),
            (inner.clone(), filter, inner.clone())
                .prop_map(|(a, filter, b)| format!("({a})|{filter}({b})")),
            (inner.clone(), test, inner.clone())
                .prop_map(|(a, test, b)| format!("(({a}) is {test}({b}))")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a})[{b}:{c}]")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a} if {b} else {c})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("({a})[{b}]")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_checked_without_panic(source in ".{0,200}") {
        let _ = compile_check(&source);
        let _ = compile_check_expr(&source);
        if let Ok(text) = render(&source, &leave().scope()) {
            prop_assert!(text.len() <= TEXT_BYTES_MAX);
        }
    }

    #[test]
    fn any_pieces_run_without_panic(source in any_source(), a in any_json(), b in any_json()) {
        let fixture = Fixture::new(json!({"a": a, "b": b}));
        if let Ok(text) = render(&source, &fixture.scope()) {
            prop_assert!(text.len() <= TEXT_BYTES_MAX);
            // What runs has passed the check before publishing.
            prop_assert!(compile_check(&source).is_ok());
        }
        let _ = expression(&source, &fixture.scope());
    }

    #[test]
    fn any_expression_runs_without_panic(
        source in any_expression(), a in any_json(), b in any_json(),
    ) {
        let fixture = Fixture::new(json!({"a": a, "b": b}));
        if let Ok(value) = expression(&source, &fixture.scope()) {
            prop_assert!(value.to_string().len() <= 8 * VALUE_BYTES_MAX);
            prop_assert_eq!(evaluate(&format!("{{{{ {source} }}}}"), &fixture.scope()), Ok(value));
        }
        let repeated = format!("{{% for x in {source} %}}{{{{ x }}}}{{% endfor %}}");
        let _ = render(&repeated, &fixture.scope());
    }

    #[test]
    fn json_passes_unchanged(a in any_json()) {
        let fixture = Fixture::new(json!({"a": a}));
        let expected = fixture.vars.get("a").cloned();
        prop_assert_eq!(expression("a", &fixture.scope()).ok(), expected);
        // The parser of JSON may read a number's last digit differently than it was written.
        let parsed = serde_json::from_str(&fixture.vars["a"].to_string()).ok();
        prop_assert_eq!(expression("a|tojson|fromjson", &fixture.scope()).ok(), parsed);
        let _ = evaluate_json(&fixture.vars["a"], &fixture.scope());
    }
}
