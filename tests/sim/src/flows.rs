//! What people talk about in a run.

/// Keeps a line of what its contact said; every version says which one it is.
pub(crate) fn echo(version: usize) -> String {
    format!(
        r#"
flow: echo
name: Echo
vars: {{said: {{type: string, default: ""}}, n: {{type: integer, default: 0}}}}
start: ask
steps:
  ask: {{type: ask, text: "{{{{ n }}}} v{version}: {{{{ input }}}}", into: said, next: count}}
  count: {{type: set, vars: {{n: "{{{{ n + 1 }}}}"}}, next: more}}
  more: {{type: branch, cases: [{{if: "said == 'stop'", next: done}}], else: ask}}
  done: {{type: end}}
"#
    )
}

/// Waits, reminds, starts children one after the other, gathers what they brought.
pub(crate) const PARTY: &str = r#"
flow: party
name: Party
triggers: [{on: keyword, any: [party], when_busy: interrupt}]
vars: {name: {type: string}, total: {type: integer, default: 0}}
timeout: {after: 20h, outcome: expired}
start: ask_name
steps:
  ask_name:
    type: ask
    text: Whose party?
    into: name
    remind: {after: 6m, text: "Whose?", times: 2}
    next: rest
  rest: {type: wait, for: 10m, next: shop}
  shop: {type: each, items: [1, 2, 3], flow: errand, vars: {size: "{{ item }}"}, parallel: 2, into: bought, next: add}
  add: {type: set, vars: {total: "{{ bought|map(attribute='result')|sum }}"}, next: tell}
  tell: {type: say, text: "{{ name }}: {{ total }}", next: done}
  done: {type: end, result: "{{ total }}"}
"#;

/// Asks a system that nobody may reach, so that no socket is needed, and goes on without it.
pub(crate) const ERRAND: &str = r#"
flow: errand
name: Errand
vars: {size: {type: integer}}
start: pause
steps:
  pause: {type: wait, for: 5m, next: order}
  order:
    type: call
    request: {method: POST, url: "http://127.0.0.1:9/orders", json: {size: "{{ size }}"}}
    into: answer
    next: lost
    on_error: tell
  tell: {type: say, text: "errand {{ size }}", next: done}
  lost: {type: end, outcome: reached}
  done: {type: end, result: "{{ size * 10 }}"}
"#;
