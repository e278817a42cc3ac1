//! The one table of settings: parsing, the table in the README and the check for unknown
//! variables all come from it.

use super::role::Role;

/// What a value must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Any text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A file or directory.
    Path,
    /// A port, 1 to 65535.
    Port,
    /// A whole number of days, at least 1.
    Days,
    /// A whole number, 2 to 1000000.
    Count,
    /// A filter of `tracing`.
    LogFilter,
    /// Lowercase letters, digits and `-`, `_`, `.`: part of a resource's name.
    Name,
    /// `https://…`, or `http://` on loopback, without a path.
    Origin,
    /// `https://…`, or `http://` on loopback, with any path.
    Url,
    /// `http://` on loopback, without a path: a server that stands in for Google's.
    StandIn,
    /// `http://` or `https://` anywhere.
    Collector,
    /// An e-mail address.
    Email,
    /// E-mail addresses, separated by commas.
    Emails,
}

/// Who must set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Required {
    /// Nobody.
    No,
    /// Every function in the cloud.
    Functions,
    /// Whoever runs on Google Cloud.
    Gcp,
    /// The functions that Google calls.
    Pushed,
}

/// Who looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// All programs.
    All,
    /// The functions in the cloud.
    Functions,
    /// Whoever runs on Google Cloud: the functions, and `chatflow` where it talks to Google.
    Gcp,
    /// The functions that Google calls.
    Pushed,
    /// The gateway.
    Gateway,
    /// `chatflow serve`.
    Serve,
    /// The commands of `chatflow` that talk to a server.
    Client,
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The environment variable.
    pub name: &'static str,
    /// Its value where it is not set.
    pub default: Option<&'static str>,
    /// Who looks at it.
    pub reader: Reader,
    /// Who must set it.
    pub required: Required,
    /// What it must look like.
    pub shape: Shape,
    /// Whether the value must never be shown.
    pub secret: bool,
    /// What it is for, in one sentence without the full stop.
    pub description: &'static str,
}

/// The names, for the code that reads values.
pub(super) mod name {
    /// `local` or `gcp`.
    pub(crate) const BACKEND: &str = "CHATFLOW_BACKEND";
    /// The log filter.
    pub(crate) const LOG: &str = "CHATFLOW_LOG";
    /// The project.
    pub(crate) const PROJECT: &str = "CHATFLOW_PROJECT";
    /// The region.
    pub(crate) const REGION: &str = "CHATFLOW_REGION";
    /// The Firestore database.
    pub(crate) const DATABASE: &str = "CHATFLOW_FIRESTORE_DATABASE";
    /// Prefix of topics.
    pub(crate) const TOPIC_PREFIX: &str = "CHATFLOW_TOPIC_PREFIX";
    /// The Cloud Tasks queue.
    pub(crate) const QUEUE: &str = "CHATFLOW_TASKS_QUEUE";
    /// The timekeeper's URL.
    pub(crate) const TIMEKEEPER_URL: &str = "CHATFLOW_TIMEKEEPER_URL";
    /// The account of alarms.
    pub(crate) const TASKS_ACCOUNT: &str = "CHATFLOW_TASKS_SERVICE_ACCOUNT";
    /// The BigQuery dataset.
    pub(crate) const DATASET: &str = "CHATFLOW_DATASET";
    /// Prefix of secrets.
    pub(crate) const SECRET_PREFIX: &str = "CHATFLOW_SECRET_PREFIX";
    /// Days of history.
    pub(crate) const HISTORY_DAYS: &str = "CHATFLOW_KEEP_HISTORY_DAYS";
    /// Days of conversations.
    pub(crate) const CONVERSATIONS_DAYS: &str = "CHATFLOW_KEEP_CONVERSATIONS_DAYS";
    /// The audience of pushes.
    pub(crate) const PUSH_AUDIENCE: &str = "CHATFLOW_PUSH_AUDIENCE";
    /// The accounts of pushes.
    pub(crate) const PUSH_ACCOUNTS: &str = "CHATFLOW_PUSH_SERVICE_ACCOUNTS";
    /// What the gateway serves.
    pub(crate) const ROUTES: &str = "CHATFLOW_ROUTES";
    /// Google's keys.
    pub(crate) const JWKS_URL: &str = "CHATFLOW_JWKS_URL";
    /// Stand-in for Firestore.
    pub(crate) const FIRESTORE: &str = "CHATFLOW_FIRESTORE_ENDPOINT";
    /// Stand-in for Pub/Sub.
    pub(crate) const PUBSUB: &str = "CHATFLOW_PUBSUB_ENDPOINT";
    /// Stand-in for BigQuery.
    pub(crate) const BIGQUERY: &str = "CHATFLOW_BIGQUERY_ENDPOINT";
    /// Stand-in for BigQuery's Storage Write API.
    pub(crate) const BIGQUERY_STORAGE: &str = "CHATFLOW_BIGQUERY_STORAGE_ENDPOINT";
    /// Stand-in for Cloud Tasks.
    pub(crate) const TASKS: &str = "CHATFLOW_TASKS_ENDPOINT";
    /// Stand-in for Secret Manager.
    pub(crate) const SECRETS: &str = "CHATFLOW_SECRETS_ENDPOINT";
    /// The port.
    pub(crate) const PORT: &str = "PORT";
    /// The service as Cloud Run names it.
    pub(crate) const SERVICE: &str = "K_SERVICE";
    /// The revision as Cloud Run names it.
    pub(crate) const REVISION: &str = "K_REVISION";
    /// The runtime API of AWS Lambda.
    pub(crate) const LAMBDA: &str = "AWS_LAMBDA_RUNTIME_API";
    /// The OTLP collector.
    pub(crate) const OTLP: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
}

const fn setting(name: &'static str, shape: Shape, description: &'static str) -> Setting {
    Setting {
        name,
        default: None,
        reader: Reader::Gcp,
        required: Required::No,
        shape,
        secret: false,
        description,
    }
}

impl Setting {
    const fn default(mut self, value: &'static str) -> Self {
        self.default = Some(value);
        self
    }

    const fn read_by(mut self, reader: Reader) -> Self {
        self.reader = reader;
        self
    }

    const fn required(mut self, required: Required) -> Self {
        self.required = required;
        self
    }

    const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// Whether this program must set it.
    pub fn is_required_of(&self, role: Role, gcp: bool) -> bool {
        match self.required {
            Required::No => false,
            Required::Functions => role.is_function(),
            Required::Gcp => gcp,
            Required::Pushed => gcp && role.is_pushed_to(),
        }
    }

    /// Whether this function looks at it.
    pub fn is_read_by(&self, role: Role) -> bool {
        match self.reader {
            Reader::All | Reader::Gcp => true,
            Reader::Functions => role.is_function(),
            Reader::Pushed => role.is_pushed_to(),
            Reader::Gateway => role == Role::Gateway,
            Reader::Serve | Reader::Client => role == Role::Standalone,
        }
    }

    /// Whether it is about Google Cloud and nothing else.
    pub fn is_of_gcp(&self) -> bool {
        matches!(self.reader, Reader::Gcp | Reader::Pushed | Reader::Gateway)
            && self.name.starts_with("CHATFLOW_")
    }
}

/// Every setting there is.
pub static SETTINGS: &[Setting] = &[
    setting(
        name::BACKEND,
        Shape::Word(&["local", "gcp"]),
        "where everything is kept: `local` is one SQLite file, `gcp` is Google Cloud; the \
         functions need `gcp`",
    )
    .default("local")
    .read_by(Reader::All)
    .required(Required::Functions),
    setting(
        name::LOG,
        Shape::LogFilter,
        "what is logged: `warn`, `info`, `runtime=debug,warn`, …; the functions' own default is \
         `info`",
    )
    .default("warn")
    .read_by(Reader::All),
    setting(
        "CHATFLOW_DATA",
        Shape::Path,
        "the directory of `chatflow.db` and the administrator's key",
    )
    .default("data")
    .read_by(Reader::Serve),
    setting("CHATFLOW_LISTEN", Shape::Text, "the address to listen on; port 0 is any free port")
        .default("127.0.0.1:8080")
        .read_by(Reader::Serve),
    setting(
        "CHATFLOW_BACKLOG_MAX",
        Shape::Count,
        "events that may wait to be handled; more are answered 503, or 429 where one connection \
         has more than its share, with `Retry-After`",
    )
    .default("2000")
    .read_by(Reader::Serve),
    setting("CHATFLOW_SERVER", Shape::Text, "the server that commands talk to")
        .default("http://127.0.0.1:8080")
        .read_by(Reader::Client),
    setting("CHATFLOW_API_KEY_FILE", Shape::Path, "the file with the API key of commands")
        .default("data/admin.key")
        .read_by(Reader::Client),
    setting(
        "CHATFLOW_PROFILE",
        Shape::Text,
        "a server of `~/.config/chatflow/profiles.toml`, by its name there",
    )
    .read_by(Reader::Client),
    setting(name::PROJECT, Shape::Name, "the Google Cloud project's id").required(Required::Gcp),
    setting(name::REGION, Shape::Name, "the region of the queue, such as `asia-east1`")
        .required(Required::Gcp),
    setting(name::DATABASE, Shape::Text, "the Firestore database").default("(default)"),
    setting(
        name::TOPIC_PREFIX,
        Shape::Name,
        "what the names of topics begin with: `chatflow-` makes `chatflow-events`",
    )
    .default("chatflow-"),
    setting(name::QUEUE, Shape::Name, "the Cloud Tasks queue of timers").default("chatflow-timers"),
    setting(
        name::TIMEKEEPER_URL,
        Shape::Origin,
        "the timekeeper's URL, which the queue calls when a timer is due",
    )
    .required(Required::Gcp),
    setting(
        name::TASKS_ACCOUNT,
        Shape::Email,
        "the service account in whose name the queue calls the timekeeper",
    )
    .required(Required::Gcp),
    setting(name::DATASET, Shape::Text, "the BigQuery dataset of the rows").default("chatflow"),
    setting(
        name::SECRET_PREFIX,
        Shape::Name,
        "what the names of secrets begin with: `chatflow-` makes `chatflow-hr-token`",
    )
    .default("chatflow-"),
    setting(
        name::HISTORY_DAYS,
        Shape::Days,
        "days after which the TTL policy removes history; unset keeps it",
    ),
    setting(
        name::CONVERSATIONS_DAYS,
        Shape::Days,
        "days without a change after which the TTL policy removes a conversation that has no \
         open task; unset keeps it",
    ),
    setting(
        name::PUSH_AUDIENCE,
        Shape::Origin,
        "this function's own URL: the audience that tokens of pushes, alarms and sweeps must name",
    )
    .read_by(Reader::Pushed)
    .required(Required::Pushed),
    setting(
        name::PUSH_ACCOUNTS,
        Shape::Emails,
        "the service accounts, separated by commas, that may push to this function",
    )
    .read_by(Reader::Pushed)
    .required(Required::Pushed),
    setting(
        name::ROUTES,
        Shape::Word(&["all", "webhooks"]),
        "what the gateway serves: `webhooks` leaves only `/webhooks/…`, for a service that \
         everybody may call",
    )
    .default("all")
    .read_by(Reader::Gateway),
    setting(name::JWKS_URL, Shape::Url, "the keys that such tokens are signed with")
        .default("https://www.googleapis.com/oauth2/v3/certs")
        .read_by(Reader::Pushed),
    stand_in(name::FIRESTORE, "a Firestore emulator (gRPC) in place of Google's"),
    stand_in(name::PUBSUB, "a Pub/Sub emulator (gRPC) in place of Google's"),
    stand_in(name::BIGQUERY, "a BigQuery emulator (REST) in place of Google's"),
    stand_in(
        name::BIGQUERY_STORAGE,
        "the same emulator's Storage Write API (gRPC); set both or neither",
    ),
    stand_in(name::TASKS, "a Cloud Tasks emulator (REST) in place of Google's"),
    stand_in(name::SECRETS, "a Secret Manager emulator (REST) in place of Google's"),
    setting(name::PORT, Shape::Port, "the port to listen on; Cloud Run sets it")
        .default("8080")
        .read_by(Reader::Functions),
    setting(
        name::SERVICE,
        Shape::Text,
        "the service's name in error reports and traces; Cloud Run sets it, else it is the \
         function's name",
    )
    .read_by(Reader::Functions),
    setting(
        name::REVISION,
        Shape::Text,
        "the version in error reports and traces; Cloud Run sets it, else it is the program's",
    )
    .read_by(Reader::Functions),
    setting(
        name::LAMBDA,
        Shape::Text,
        "AWS Lambda sets it: the function then serves that runtime instead of `PORT`",
    )
    .read_by(Reader::Functions),
    setting(
        name::OTLP,
        Shape::Collector,
        "an OpenTelemetry collector (HTTP, protobuf) that traces and metrics go to; unset sends \
         none",
    )
    .read_by(Reader::Functions),
    setting(
        "OTEL_EXPORTER_OTLP_HEADERS",
        Shape::Text,
        "headers for that collector, read by OpenTelemetry itself",
    )
    .read_by(Reader::Functions)
    .secret(),
];

const fn stand_in(name: &'static str, description: &'static str) -> Setting {
    setting(name, Shape::StandIn, description)
}

/// The table of the README: Markdown, one row per setting.
pub fn markdown() -> String {
    let mut table = String::from(
        "| variable | read by | default | required | meaning |\n|---|---|---|---|---|\n",
    );
    for setting in SETTINGS {
        let readers = match setting.reader {
            Reader::All => "all",
            Reader::Functions => "functions",
            Reader::Gcp => "`gcp`",
            Reader::Pushed => "functions that Google calls",
            Reader::Gateway => "gateway",
            Reader::Serve => "`chatflow serve`",
            Reader::Client => "`chatflow` commands",
        };
        let required = match setting.required {
            Required::No => "",
            Required::Functions => "by functions",
            Required::Gcp => "with `gcp`",
            Required::Pushed => "by functions that Google calls",
        };
        let default = setting.default.map(|value| format!("`{value}`")).unwrap_or_default();
        let secret = if setting.secret { " (secret)" } else { "" };
        table.push_str(&format!(
            "| `{}` | {readers} | {default} | {required} | {}{secret} |\n",
            setting.name, setting.description
        ));
    }
    table
}
