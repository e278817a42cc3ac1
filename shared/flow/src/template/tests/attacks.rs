//! Hostile templates and hostile data: every one ends in an error of the right kind.

use serde_json::{Value, json};

use super::super::{
    ErrorKind, VALUE_BYTES_MAX, compile_check, compile_check_expr, evaluate, evaluate_json,
    expression, render,
};
use super::{Fixture, leave};

fn kind(source: &str, fixture: &Fixture) -> ErrorKind {
    match evaluate(source, &fixture.scope()) {
        Ok(value) => panic!("{:.80} gave {:.80}", source, value.to_string()),
        Err(error) => error.kind,
    }
}

/// `big`: 100 kB of text; `texts`: four of it; `list`: 10,000 numbers; `commas`: 400 kB of them.
fn large() -> Fixture {
    let big = "0123456789".repeat(10_000);
    let list: Vec<u32> = (0..10_000).collect();
    Fixture::new(json!({
        "big": big, "list": list, "quote": "\"", "commas": ",".repeat(400_000),
        "five": 5, "texts": vec![big.clone(); 4],
    }))
}

#[test]
fn text_does_not_multiply() {
    let large = large();
    for source in [
        "{{ 'x' * 100000000 }}",
        "{{ [0] * 100000000 }}",
        "{{ big * 1000 }}",
        "{{ five * list }}",
        "{{ (1, 2) ** 9 }}",
        "{{ ('a' ~ 'b') * 9 }}",
    ] {
        assert_eq!(kind(source, &large), ErrorKind::Refused, "{source}");
    }
}

#[test]
fn values_do_not_grow_without_bound() {
    let large = large();
    let chain = |part: &str, times: usize| part.repeat(times);
    for source in [
        format!("{{{{ big{} }}}}", chain(" ~ big", 120)),
        format!("{{{{ big{} }}}}", chain(" + big", 120)),
        format!("{{{{ list{} }}}}", chain(" + list", 120)),
        format!("{{{{ [{}] }}}}", chain("big,", 200)),
        "{{ big|replace('0', big) }}".to_owned(),
        "{{ list|join(big) }}".to_owned(),
        "{{ big }} {{ big }}".to_owned(),
        "{{ commas|replace(',', big) }}".to_owned(),
        "{{ commas|split(',')|join(big) }}".to_owned(),
        "{{ commas|list|map('replace', ',', big) }}".to_owned(),
        format!("{{{{ quote{} }}}}", chain("|tojson", 60)),
        format!("{{{{ commas{} }}}}", chain("|urlencode", 60)),
        format!("{{{{ '&&&&&&&&'{} }}}}", chain("|replace('&', '&&&&&&&&')", 20)),
        format!("{{{{ commas{} }}}}", chain("|escape|list|join('&')", 20)),
        format!("{{{{ list{} }}}}", chain("|map('string')|list", 30)),
    ] {
        assert_eq!(kind(&source, &large), ErrorKind::TooLarge, "{source:.80}");
    }
}

#[test]
fn padding_does_not_grow() {
    let fixture = leave();
    for source in [
        "{{ 'x'|indent(1000000000) }}",
        "{{ 'a\\nb'|indent(-1) }}",
        "{{ 1.5|number(999999999) }}",
        "{{ 1.5|round(2000000000) }}",
        "{{ 1.5|round(-2000000000) }}",
        "{{ [1]|tojson(1000000000) }}",
        "{{ start|date('%A'.x) }}",
    ] {
        assert!(evaluate(source, &fixture.scope()).is_err(), "{source}");
    }
    for source in ["{{ 'x'|center(1000000000) }}", "{{ '%0999999d'|format(1) }}"] {
        assert_eq!(kind(source, &fixture), ErrorKind::Refused, "{source}");
    }
    assert_eq!(kind("{{ '%0999999d' % 1 }}", &fixture), ErrorKind::Other);
    assert_eq!(kind("{{ 10 ** 1000000000 }}", &fixture), ErrorKind::Other);
}

#[test]
fn loops_end() {
    let large = large();
    let raw = "x".repeat(10_000);
    for source in [
        "{% for a in list %}{% for b in list %}{% endfor %}{% endfor %}".to_owned(),
        "{% for a in range(1000) %}{% for b in range(1000) %}{{ a }}{% endfor %}{% endfor %}"
            .to_owned(),
        format!("{{% for a in list %}}{raw}{{% endfor %}}"),
        "{% for a in list %}{{ big|upper|length }}{% endfor %}".to_owned(),
        "{% for a in list %}{{ big == big ~ '' }}{% endfor %}".to_owned(),
        "{% for a in list %}{{ big in texts }}{% endfor %}".to_owned(),
        "{% for a in list %}{{ list == list|list }}{% endfor %}".to_owned(),
        "{% for a in list %}{{ {big: 1}[big] }}{% endfor %}".to_owned(),
        "{% for a in list %}{{ big[99999] }}{{ big[1:2] }}{% endfor %}".to_owned(),
        "{% for a in list %}{{ list|sort|first }}{% endfor %}".to_owned(),
        "{% for a in list %}{{ list is eq(list|list) }}{% endfor %}".to_owned(),
        "{% for a in list %}{{ texts|map('length')|sum }}{% endfor %}".to_owned(),
        "{% for a in list %}{{ ('[' ~ list|join(',') ~ ']')|fromjson|length }}{% endfor %}"
            .to_owned(),
        "{% for a in list if big != big|trim %}{% endfor %}".to_owned(),
        "{% for a in list if list|max < 0 %}{% endfor %}".to_owned(),
        "{% for a in range(1000) %}{{ range(1000)|sort|length }}{% endfor %}".to_owned(),
    ] {
        let kind = kind(&source, &large);
        assert!(
            matches!(kind, ErrorKind::TooLarge | ErrorKind::OutOfFuel),
            "{source:.80}: {kind:?}"
        );
    }
    assert_eq!(kind("{{ range(1001) }}", &large), ErrorKind::TooLarge);
    assert_eq!(kind("{{ range(0, 9223372036854775807) }}", &large), ErrorKind::TooLarge);
}

#[test]
fn sources_are_limited_before_they_are_parsed() {
    let deep = |open: &str, inner: &str, close: &str, times: usize| {
        format!("{{{{ {}{inner}{} }}}}", open.repeat(times), close.repeat(times))
    };
    for times in [25, 150, 2_000, 10_000, 50_000] {
        for source in [
            deep("(", "1", ")", times),
            deep("[", "1", "]", times),
            deep("{1:", "1", "}", times),
            deep("a[", "1", "]", times),
            deep("range(", "1", ")", times),
            deep("not ", "1", "", times * 11),
            deep("- ", "1", "", times * 11),
            deep("", "1", "|abs", times * 11),
            deep("", "a", ".b", times * 11),
            deep("", "a", "[0]", times * 11),
            deep("", "a", " is defined", times * 11),
            deep("", "1", " + 1", times * 11),
            deep("", "1", " ** 1", times * 11),
            deep("", "1", " < 1", times * 11),
            deep("", "1", " if 1 else 1", times * 11),
            deep("1 if (", "1", ") else 1", times),
            deep("", "1", " or 1", times * 11),
            "{% for (".to_owned() + &"(".repeat(times),
            "{% if a %}".repeat(times * 9) + &"{% endif %}".repeat(times * 9),
            "{% if a %}".to_owned() + &"{% elif a %}".repeat(times * 9) + "{% endif %}",
            "{% for a in b %}".repeat(times * 9),
        ] {
            let kind = compile_check(&source).unwrap_err().kind;
            assert!(
                matches!(kind, ErrorKind::Syntax | ErrorKind::TooLarge),
                "{source:.60} × {times}: {kind:?}"
            );
        }
        let expr = "(".repeat(times) + "1" + &")".repeat(times);
        assert!(compile_check_expr(&expr).is_err());
    }
}

#[test]
fn the_deepest_allowed_source_runs() {
    let fixture = leave();
    let nested = |open: &str, close: &str, times: usize| {
        format!("{{{{ {}1{} }}}}", open.repeat(times), close.repeat(times))
    };
    for source in [
        nested("(", ")", 24),
        nested("[", "]", 24),
        nested("{1:", "}", 24),
        nested("not ", "", 128),
        nested("- ", "", 127),
        nested("", "|abs", 128),
        nested("", " + 1", 128),
        nested("", " < 1", 128),
        nested("", " if 1 else 1", 64),
        nested("(- - - - ", ")", 24),
        "{% if days %}".repeat(99) + "x" + &"{% endif %}".repeat(99),
        "{% if nope %}".to_owned() + &"{% elif nope %}".repeat(198) + "{% endif %}",
    ] {
        evaluate(&source, &fixture.scope()).unwrap_or_else(|error| panic!("{source}: {error}"));
    }
}

#[test]
fn deep_data_is_refused() {
    let mut deep = json!(1);
    for _ in 0..64 {
        deep = json!([deep]);
    }
    let fits = Fixture::new(json!({"deep": deep}));
    assert!(evaluate("{{ deep }}", &fits.scope()).is_ok());
    assert_eq!(kind("{{ [deep] }}", &fits), ErrorKind::TooLarge);
    assert!(render("{{ [[[deep]]] == deep }}", &fits.scope()).is_ok());
    let fixture = Fixture::new(json!({"deep": [fits.vars.get("deep").unwrap()]}));
    assert_eq!(kind("{{ deep }}", &fixture), ErrorKind::TooLarge);
    assert!(render("unused {{ 1 }}", &fixture.scope()).is_ok());
    assert_eq!(
        evaluate_json(&fixture.vars["deep"], &fixture.scope()).unwrap_err().kind,
        ErrorKind::TooLarge
    );
    let brackets = "[".repeat(100) + &"]".repeat(100);
    let fixture = Fixture::new(json!({"text": brackets}));
    assert_eq!(kind("{{ text|fromjson }}", &fixture), ErrorKind::TooLarge);
    let brackets = "[".repeat(100_000);
    let fixture = Fixture::new(json!({"text": brackets}));
    assert_eq!(kind("{{ text|fromjson }}", &fixture), ErrorKind::Other);
    // Grouping adds levels to a value; so does a chain of it.
    let nesting = format!("{{{{ deep{}|string }}}}", "|groupby('a')".repeat(60));
    assert_eq!(kind(&nesting, &fits), ErrorKind::TooLarge);
}

#[test]
fn many_small_templates_share_one_budget() {
    let large = large();
    let template = json!("{% for a in list %}{% if a > 1 %}{% endif %}{% endfor %}");
    let many = Value::Array(vec![template; 10_000]);
    let error = evaluate_json(&many, &large.scope()).unwrap_err();
    assert!(matches!(error.kind, ErrorKind::TooLarge | ErrorKind::OutOfFuel));
    let many = Value::Array(vec![json!("{{ big }}"); 10]);
    let error = evaluate_json(&many, &large.scope()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::TooLarge);
    let plain = Value::Array(vec![json!("0123456789abcdef".repeat(600)); 1_000]);
    assert_eq!(evaluate_json(&plain, &large.scope()).unwrap_err().kind, ErrorKind::TooLarge);
}

#[test]
fn large_data_that_is_not_used_costs_nothing() {
    let mut fixture = leave();
    fixture.vars.insert("huge".to_owned(), json!("x".repeat(50 * 1024 * 1024)));
    assert_eq!(expression("days + 1", &fixture.scope()), Ok(json!(4)));
    assert_eq!(expression("huge", &fixture.scope()).unwrap_err().kind, ErrorKind::TooLarge);
    fixture.vars.insert("huge".to_owned(), json!("x".repeat(VALUE_BYTES_MAX + 1)));
    assert_eq!(expression("huge", &fixture.scope()).unwrap_err().kind, ErrorKind::TooLarge);
    let length = json!(VALUE_BYTES_MAX + 1);
    assert_eq!(expression("huge|length", &fixture.scope()), Ok(length));
}

#[test]
fn engine_panics_are_out_of_reach() {
    // Each of these stops minijinja 3.0.5 itself with a panic, by overflow or by dividing by 0.
    let fixture = leave();
    assert_eq!(expression("5 is divisibleby 0", &fixture.scope()), Ok(json!(false)));
    assert_eq!(expression("'abc'[0:2:-1]", &fixture.scope()), Ok(json!("")));
    assert_eq!(expression("'abc'[::-9223372036854775807 - 1]", &fixture.scope()), Ok(json!("c")));
    let error = render("{% for a in items %}{{ loop.cycle() }}{% endfor %}", &fixture.scope());
    assert_eq!(error.unwrap_err().kind, ErrorKind::Refused);
}
