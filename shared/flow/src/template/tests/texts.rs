//! Rendering, undefined values, and what is refused.

use serde_json::json;

use super::super::{
    ErrorKind, Info, compile_check, compile_check_expr, evaluate, evaluate_json, render,
};
use super::{Fixture, failure, leave, text, value};

#[test]
fn renders_text_with_variables() {
    assert_eq!(text("已送出：{{ start }} 起 {{ days }} 天 ✅"), "已送出：2026-11-30 起 3 天 ✅");
    assert_eq!(text("看不懂「{{ input }}」"), "看不懂「三天」");
    assert_eq!(text("{{ contact.name }} {{ task.id }}"), "王小明 t-1");
    assert_eq!(text("no jinja {here}\n"), "no jinja {here}");
    assert_eq!(text("{{ days }}\n"), "3");
    assert_eq!(text("{# nothing #}a{% raw %}{{ b }}{% endraw %}"), "a{{ b }}");
    assert_eq!(text("<b>{{ '<&>' }}</b>"), "<b><&></b>");
}

#[test]
fn branches_and_loops() {
    assert_eq!(text("{% if days > 2 %}long{% elif days %}short{% else %}none{% endif %}"), "long");
    assert_eq!(
        text(
            "{% for i in items %}{{ loop.index }}.{{ i.name }}\
             {% if not loop.last %}、{% endif %}{% endfor %}"
        ),
        "1.蘋果、2.香蕉、3.Pen"
    );
    assert_eq!(
        text("{% for i in items if i.kind == 'fruit' %}{{ i.price }} {% else %}none{% endfor %}"),
        "30 10 "
    );
    assert_eq!(text("{% for i in nothing %}x{% else %}none{% endfor %}"), "none");
    assert_eq!(text("{% for k, v in answer.body|items %}{{ k }}={{ v }}{% endfor %}"), "id=L-9");
    assert_eq!(
        text("{% for a in [1, 2] %}{% for b in 'xy' %}{{ a }}{{ b }} {% endfor %}{% endfor %}"),
        "1x 1y 2x 2y "
    );
}

#[test]
fn undefined_is_an_error_where_a_value_is_needed() {
    let error = failure("a\n{{ dayz }}");
    assert_eq!(error.kind, ErrorKind::Undefined);
    assert_eq!(error.line, Some(2));
    assert_eq!(error.message, "`dayz` is not defined: did you mean `days`?");
    assert_eq!(error.to_string(), "line 2: `dayz` is not defined: did you mean `days`?");
    assert_eq!(
        failure("{{ contact.emial }}").message,
        "`contact.emial` is not defined: did you mean `email`?"
    );
    assert_eq!(
        failure("{{ today }}").message,
        "`today` is not defined: it is a function, write `today()`"
    );
    assert_eq!(
        failure("{{ contact.address.city|upper }}").message,
        "`contact.address.city` is not defined: set it before, or write `|default('…')`"
    );
    for source in [
        "{{ nope + 1 }}",
        "{{ 1 - nope }}",
        "{{ -nope }}",
        "{{ nope * 2 }}",
        "{{ nope ~ 'x' }}",
        "{{ nope == 1 }}",
        "{{ 1 < nope < 3 }}",
        "{{ nope in [1] }}",
        "{{ 1 in nope }}",
        "{{ [nope] }}",
        "{{ {'a': nope} }}",
        "{{ nope[1:] }}",
        "{{ days|round(nope) }}",
        "{{ days_between(start, nope) }}",
        "{% for x in nope %}{% endfor %}",
        "{% for x in items %}{{ x.nope }}{% endfor %}",
        "{{ items[9] }}",
        "{{ (nope or nope) }}",
    ] {
        assert_eq!(failure(source).kind, ErrorKind::Undefined, "{source}");
    }
}

#[test]
fn undefined_is_accepted_where_a_choice_is_made() {
    assert_eq!(text("{{ nope|default('x') }}"), "x");
    assert_eq!(text("{{ contact.address.city|default('—') }}"), "—");
    assert_eq!(text("{{ nope|d(nope2)|d(1) }}"), "1");
    assert_eq!(text("{{ reason|default('none given', true) }}"), "none given");
    assert_eq!(text("{% if nope %}a{% else %}b{% endif %}"), "b");
    assert_eq!(text("{{ nope is defined }} {{ nope.x is undefined }}"), "False True");
    assert_eq!(text("{{ 'y' if nope else 'n' }}{{ 'z' if nope }}"), "n");
    assert_eq!(text("{{ nope or days }} {{ not nope }}"), "3 True");
    let mut unanswered = leave();
    unanswered.input = None;
    assert_eq!(render("{{ input|default('-') }}", &unanswered.scope()).unwrap(), "-");
}

#[test]
fn one_expression_keeps_its_type() {
    assert_eq!(value("{{ days }}"), json!(3));
    assert_eq!(value("{{ rate }}"), json!(2.5));
    assert_eq!(value("{{ big }}"), json!(18_446_744_073_709_551_615_u64));
    assert_eq!(value("{{ nothing }}"), json!(null));
    assert_eq!(value("{{ urgent }}"), json!(true));
    assert_eq!(value("{{ answer }}"), json!({"status": 201, "body": {"id": "L-9"}}));
    assert_eq!(value("{{ [days, (1, 2), {'a': none}] }}\n"), json!([3, [1, 2], {"a": null}]));
    assert_eq!(value("{{ -9223372036854775807 - 1 }}"), json!(i64::MIN));
    assert_eq!(value("{{ 2.0 }}"), json!(2.0));
    assert_eq!(value(" {{ days }}"), json!(" 3"));
    assert_eq!(value("{{ days }}{{ days }}"), json!("33"));
    assert_eq!(value("days"), json!("days"));
    assert_eq!(value("{% if days %}1{% endif %}"), json!("1"));
}

#[test]
fn json_is_evaluated_text_by_text() {
    let request = json!({
        "employee": "{{ contact.id }}",
        "{{ key }}": ["{{ days }}", "{{ days }} 天", 7, null],
    });
    assert_eq!(
        evaluate_json(&request, &leave().scope()).unwrap(),
        json!({"employee": "u-7", "{{ key }}": [3, "3 天", 7, null]})
    );
}

#[test]
fn more_variables_hide_others() {
    let mut fixture = leave();
    fixture.extra.insert("item".to_owned(), json!({"n": 1}));
    fixture.extra.insert("days".to_owned(), json!(9));
    assert_eq!(evaluate("{{ [item.n, days] }}", &fixture.scope()).unwrap(), json!([1, 9]));
}

#[test]
fn a_variable_cannot_hide_a_function() {
    let fixture = Fixture::new(json!({"today": "x", "range": 1}));
    assert_eq!(render("{{ today() }} {{ today }}", &fixture.scope()).unwrap(), "2026-11-30 x");
}

#[test]
fn checking_lists_variables_and_the_kind() {
    let info =
        compile_check("{{ b.x }} {% for i in a %}{{ i }}{{ loop.index }}{% endfor %}{{ b }}");
    let variables = vec!["b".to_owned(), "a".to_owned()];
    assert_eq!(info, Ok(Info { variables, single_expression: false }));
    let info = compile_check("{{ today() ~ days|default(none_yet) }}").unwrap();
    assert_eq!(info.variables, ["days", "none_yet"]);
    assert!(info.single_expression);
    assert_eq!(compile_check_expr("answer.status == 201").unwrap().variables, ["answer"]);
    // A loop's variable is the loop's inside of it only.
    assert_eq!(compile_check("{% for i in i %}{{ i }}{% endfor %}").unwrap().variables, ["i"]);
}

#[test]
fn refusals_name_what_to_use() {
    let refusals: Vec<String> = [
        "{% set x = 1 %}",
        "{% set x %}a{% endset %}",
        "{% with x = 1 %}{% endwith %}",
        "{% filter upper %}x{% endfilter %}",
        "{% autoescape true %}{% endautoescape %}",
        "{% do days() %}",
        "{% for x in items recursive %}{% endfor %}",
        "{% for a in b %}{% for c in d %}{% for e in f %}{% endfor %}{% endfor %}{% endfor %}",
        "{{ days|uper }}",
        "{{ days is evn }}",
        "{{ items|map('uper') }}",
        "{{ items|selectattr('price', 'evn') }}",
        "{{ toady() }}",
        "{{ upper(days) }}",
        "{{ start.upper() }}",
        "{{ start.encode() }}",
        "{{ items[0]() }}",
        "{{ range(*items) }}",
        "{{ loop }}",
        "{{ 'ab' * 3 }}",
    ]
    .into_iter()
    .map(|source| {
        let error = compile_check(source).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused, "{source}");
        error.to_string()
    })
    .collect();
    insta::assert_snapshot!(refusals.join("\n"), @r"
    line 1: `{% set %}` is not available: use a `set` step before this one
    line 1: `{% set %}` is not available: use a `set` step before this one
    line 1: `{% with %}` is not available: use a `set` step before this one
    line 1: `{% filter %}` is not available: write `{{ value|filter }}` instead
    line 1: `{% autoescape %}` is not available: use the filter `|escape`
    line 1: `{% do %}` is not available: use a `set` step before this one
    line 1: `recursive` loops are not available: use a `for` in a `for`, or an `each` step
    line 1: loops can be nested 2 deep: use an `each` step
    line 1: the filter `uper` does not exist: did you mean `upper`?
    line 1: the test `evn` does not exist: did you mean `even`?
    line 1: the filter `uper` does not exist: did you mean `upper`?
    line 1: the test `evn` does not exist: did you mean `even`?
    line 1: the function `toady` does not exist: did you mean `today`?
    line 1: `upper` is a filter: write `value|upper`
    line 1: methods are not available: write `value|upper`
    line 1: methods such as `.encode()` are not available: use filters
    line 1: only functions can be called, such as `today()`
    line 1: `*` and `**` arguments are not available: write each one
    line 1: `loop` has fields: write `loop.index`, `loop.first` or `loop.last`, inside of a `for`
    line 1: `*` and `**` work with numbers only: write `x|int * 2`
    ");
}

#[test]
fn syntax_errors_have_a_line() {
    for source in [
        "a\n{{ ",
        "a\n{{ 1 + }}",
        "\n{% if %}",
        "\n{% macro m() %}{% endmacro %}",
        "\n{% include 'x' %}",
        "\n{% import 'x' as y %}",
        "\n{% extends 'x' %}",
        "\n{% block b %}{% endblock %}",
        "\n{% call x() %}{% endcall %}",
    ] {
        let error = compile_check(source).unwrap_err();
        assert_eq!((error.kind, error.line), (ErrorKind::Syntax, Some(2)), "{source}: {error}");
    }
}
