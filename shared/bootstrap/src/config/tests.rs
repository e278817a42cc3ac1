//! What a start is told about wrong settings.

use super::{Config, ConfigError, Role, SETTINGS, markdown};

const CLOUD: &[(&str, &str)] = &[
    ("CHATFLOW_BACKEND", "gcp"),
    ("CHATFLOW_PROJECT", "demo-1"),
    ("CHATFLOW_REGION", "asia-east1"),
    ("CHATFLOW_TIMEKEEPER_URL", "https://timekeeper-1.run.app/"),
    ("CHATFLOW_TASKS_SERVICE_ACCOUNT", "alarms@demo-1.iam.gserviceaccount.com"),
    ("CHATFLOW_PUSH_AUDIENCE", "https://controller-1.run.app"),
    ("CHATFLOW_PUSH_SERVICE_ACCOUNTS", "push@demo-1.iam.gserviceaccount.com"),
];

fn read(role: Role, vars: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::from_environment(vars, role)
}

/// The cloud's settings with some changed; an empty value takes one away.
fn cloud(role: Role, changes: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let mut vars: Vec<(&str, &str)> = CLOUD.to_vec();
    vars.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    vars.extend(changes);
    read(role, &vars)
}

fn only_problem(result: Result<Config, ConfigError>) -> String {
    let problems = result.unwrap_err().problems;
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems.into_iter().next().unwrap()
}

#[test]
fn nothing_set_is_the_local_server() {
    let vars = [("HOME", "/root"), ("CHATFLOW_LOG", ""), ("PORT", "for somebody else")];
    let config = read(Role::Standalone, &vars).unwrap();
    assert_eq!((config.gcp, config.log.as_str()), (None, "warn"));
}

#[test]
fn a_function_reads_all_of_it() {
    let config = cloud(
        Role::Controller,
        &[
            ("PORT", "9000"),
            ("CHATFLOW_KEEP_HISTORY_DAYS", "30"),
            ("CHATFLOW_PUSH_SERVICE_ACCOUNTS", "a@b.c, d@e.f ,"),
            ("CHATFLOW_FIRESTORE_ENDPOINT", "http://127.0.0.1:8085/"),
            ("K_SERVICE", "chatflow-controller"),
        ],
    )
    .unwrap();
    assert_eq!((config.port, config.lambda), (9000, false));
    assert!(config.log.starts_with("info,"), "{}", config.log);
    assert_eq!(config.service, "chatflow-controller");
    let gcp = config.gcp.unwrap();
    assert_eq!(gcp.timekeeper_url, "https://timekeeper-1.run.app");
    assert_eq!((gcp.history_kept_days, gcp.conversations_kept_days), (Some(30), None));
    assert_eq!((gcp.database.as_str(), gcp.topic_prefix.as_str()), ("(default)", "chatflow-"));
    assert_eq!(gcp.endpoints.firestore.as_deref(), Some("http://127.0.0.1:8085"));
    let push = gcp.push.unwrap();
    assert_eq!(push.service_accounts, ["a@b.c", "d@e.f"]);
    assert_eq!(push.jwks_url, "https://www.googleapis.com/oauth2/v3/certs");
}

#[test]
fn nothing_is_pushed_to_the_gateway() {
    let none = [("CHATFLOW_PUSH_AUDIENCE", ""), ("CHATFLOW_PUSH_SERVICE_ACCOUNTS", "")];
    assert_eq!(cloud(Role::Gateway, &none).unwrap().gcp.unwrap().push, None);
}

#[test]
fn unknown_variables_are_named_with_the_nearest() {
    let problem = only_problem(read(Role::Standalone, &[("CHATFLOW_DATAS", "x")]));
    assert_eq!(problem, "`CHATFLOW_DATAS` is no setting; did you mean `CHATFLOW_DATA`?");
    let problem = only_problem(read(Role::Standalone, &[("CHATFLOW_COLOUR_OF_HAIR", "x")]));
    assert!(problem.contains("unset it"), "{problem}");
}

#[test]
fn one_message_lists_everything() {
    let error = read(
        Role::Messenger,
        &[("CHATFLOW_BACKEND", "gcp"), ("CHATFLOW_PROJET", "p"), ("PORT", "eighty")],
    )
    .unwrap_err();
    let text = error.to_string();
    for name in [
        "did you mean `CHATFLOW_PROJECT`",
        "`PORT`=`eighty` must be a port",
        "`CHATFLOW_PROJECT` is not set",
        "`CHATFLOW_REGION` is not set",
        "`CHATFLOW_TIMEKEEPER_URL` is not set",
        "`CHATFLOW_TASKS_SERVICE_ACCOUNT` is not set",
        "`CHATFLOW_PUSH_AUDIENCE` is not set",
        "`CHATFLOW_PUSH_SERVICE_ACCOUNTS` is not set",
    ] {
        assert!(text.contains(name), "{name} is not in: {text}");
    }
    assert_eq!(error.problems.len(), 8, "{text}");
}

#[test]
fn functions_need_google() {
    assert!(only_problem(read(Role::Landing, &[])).contains("needs `gcp`"));
    let local = read(Role::Landing, &[("CHATFLOW_BACKEND", "local")]);
    assert!(only_problem(local).contains("must be `gcp`"));
}

#[test]
fn the_local_backend_ignores_nothing_in_silence() {
    let vars = [("CHATFLOW_PROJECT", "p"), ("CHATFLOW_PUBSUB_ENDPOINT", "http://localhost:1")];
    let problem = only_problem(read(Role::Standalone, &vars));
    assert!(problem.contains("`CHATFLOW_PROJECT`, `CHATFLOW_PUBSUB_ENDPOINT`"), "{problem}");
    assert!(problem.contains("`CHATFLOW_BACKEND=gcp`"), "{problem}");
}

#[test]
fn plain_http_stays_on_this_machine() {
    for (name, value) in [
        ("CHATFLOW_FIRESTORE_ENDPOINT", "http://10.0.0.1:80"),
        ("CHATFLOW_PUBSUB_ENDPOINT", "https://127.0.0.1:80"),
        ("CHATFLOW_SECRETS_ENDPOINT", "http://127.0.0.1:80/path"),
        ("CHATFLOW_TASKS_ENDPOINT", "127.0.0.1:80"),
        ("CHATFLOW_JWKS_URL", "http://keys.example/jwks"),
        ("CHATFLOW_PUSH_AUDIENCE", "http://controller.example"),
        ("CHATFLOW_JWKS_URL", "https://user:word@keys.example/jwks"),
    ] {
        let problem = only_problem(cloud(Role::Controller, &[(name, value)]));
        assert!(problem.contains(name), "{problem}");
    }
    for value in ["http://[::1]:1", "http://localhost:1", "http://127.0.0.1:1"] {
        cloud(Role::Controller, &[("CHATFLOW_TASKS_ENDPOINT", value)]).unwrap();
    }
    cloud(Role::Controller, &[("CHATFLOW_JWKS_URL", "http://127.0.0.1:9/jwks")]).unwrap();
}

#[test]
fn contradictions_are_found() {
    let half = [("CHATFLOW_BIGQUERY_ENDPOINT", "http://127.0.0.1:1")];
    assert!(only_problem(cloud(Role::Controller, &half)).contains("one emulator"));
    let half = [("CHATFLOW_PUSH_SERVICE_ACCOUNTS", "")];
    assert!(only_problem(cloud(Role::Gateway, &half)).contains("belong together"));
    assert!(only_problem(cloud(Role::Controller, &half)).contains("is not set"));

    let own = ("CHATFLOW_PUSH_AUDIENCE", "https://timekeeper-1.run.app");
    let both = "x@y.z,alarms@demo-1.iam.gserviceaccount.com";
    let accounts = ("CHATFLOW_PUSH_SERVICE_ACCOUNTS", both);
    cloud(Role::Timekeeper, &[own, accounts]).unwrap();
    assert!(only_problem(cloud(Role::Timekeeper, &[accounts])).contains("differ"));
    assert!(only_problem(cloud(Role::Timekeeper, &[own])).contains("lacks the account"));
}

#[test]
fn values_have_shapes() {
    for (name, value) in [
        ("CHATFLOW_KEEP_HISTORY_DAYS", "0"),
        ("CHATFLOW_KEEP_CONVERSATIONS_DAYS", "1.5"),
        ("CHATFLOW_PROJECT", "Demo One"),
        ("CHATFLOW_LOG", "a=b=c"),
        ("CHATFLOW_TASKS_SERVICE_ACCOUNT", "alarms"),
        ("CHATFLOW_PUSH_SERVICE_ACCOUNTS", "a@b.c,d"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("PORT", "70000"),
    ] {
        let problem = only_problem(cloud(Role::Controller, &[(name, value)]));
        assert!(problem.starts_with(&format!("`{name}`=`{value}` ")), "{problem}");
    }
    let wrong = cloud(Role::Controller, &[("CHATFLOW_BACKEND", "aws")]).unwrap_err();
    assert!(wrong.to_string().contains("must be one of `local`, `gcp`"), "{wrong}");
}

#[test]
fn the_table_is_complete_and_has_no_doubles() {
    let table = markdown();
    assert_eq!(table.lines().count(), SETTINGS.len() + 2);
    for (index, setting) in SETTINGS.iter().enumerate() {
        assert!(table.contains(&format!("| `{}` |", setting.name)));
        assert!(!setting.description.is_empty() && !setting.description.ends_with('.'));
        assert!(!SETTINGS[..index].iter().any(|other| other.name == setting.name));
        // A bar would break the table.
        assert!(!setting.description.contains('|'), "{}", setting.name);
    }
}

#[test]
fn a_gateway_may_be_for_webhooks_only() {
    assert!(!cloud(Role::Gateway, &[]).unwrap().webhooks_only);
    let public = cloud(Role::Gateway, &[("CHATFLOW_ROUTES", "webhooks")]).unwrap();
    assert!(public.webhooks_only);
    let problem = only_problem(cloud(Role::Gateway, &[("CHATFLOW_ROUTES", "webhook")]));
    assert!(problem.starts_with("`CHATFLOW_ROUTES`=`webhook`"), "{problem}");
}
