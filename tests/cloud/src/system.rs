//! Starting, wiring, killing and stopping the functions.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use emulators::process::Guarded;
use emulators::proxy::Proxy;
use emulators::pubsub::{DeadLetterPolicy, OidcToken, PushConfig, RetryPolicy, Subscription};
use emulators::run::{self, Running};
use emulators::tokens::Issuer;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::programs;

/// The project. Everything in it goes with the servers that stand in for Google's.
const PROJECT: &str = "chatflow-local";
/// In whose name Pub/Sub, Cloud Tasks and Cloud Scheduler call.
const PUSHER: &str = "push@chatflow-local.iam.gserviceaccount.com";
const TIMERS: &str = "timers@chatflow-local.iam.gserviceaccount.com";
const SCHEDULER: &str = "scheduler@chatflow-local.iam.gserviceaccount.com";
/// Deliveries of a message before it becomes a failure: as many as Pub/Sub allows.
const DELIVERIES_MAX: u32 = 100;
/// How long a function may take to answer after its start.
const START_MAX: Duration = Duration::from_secs(60);

/// Every function with the topic that wakes it.
pub const FUNCTIONS: [(&str, Option<&str>); 7] = [
    ("gateway", None),
    ("controller", Some("events")),
    ("messenger", Some("outbound")),
    ("connector", Some("calls")),
    ("landing", Some("landing")),
    ("timekeeper", Some("timers")),
    ("failures", Some("failures")),
];

/// How the system starts.
pub struct Options {
    /// The servers around it.
    pub around: run::Options,
    /// Whether the demo is set up.
    pub demo: bool,
    /// Where replies of the demo go.
    pub replies_to: Option<String>,
    /// The gateway's port; none is a free one.
    pub gateway_port: Option<u16>,
    /// How often the sweeper is woken; Cloud Scheduler does so once a minute.
    pub sweep_every: Duration,
    /// Functions that reach Firestore and Pub/Sub through proxies, which count and fail on demand.
    pub proxied: Vec<&'static str>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            around: run::Options::of(&[]),
            demo: true,
            replies_to: None,
            gateway_port: None,
            sweep_every: Duration::from_secs(5),
            proxied: Vec::new(),
        }
    }
}

struct Function {
    port: u16,
    process: Option<Guarded>,
    starts: u32,
}

/// The running system. Everything ends when it is dropped, or with this process.
pub struct System {
    /// The functions by name; first, so that they end before what they talk to.
    functions: BTreeMap<&'static str, Function>,
    sweeper: JoinHandle<()>,
    /// What stands before Firestore and Pub/Sub for some of the functions.
    pub firestore: Proxy,
    /// The same for Pub/Sub.
    pub pubsub: Proxy,
    /// The servers around them.
    pub around: Running,
    /// The administrator's API key.
    pub api_key: String,
    /// For requests to it.
    pub client: reqwest::Client,
    options: Options,
    folder: TempDir,
}

/// A client for requests to functions; its TLS needs a provider even where nothing uses it.
pub fn client() -> reqwest::Client {
    // Fails where it was installed before, by the same code.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("a free port")?;
    Ok(listener.local_addr()?.port())
}

fn url_of(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

impl System {
    /// Starts the servers, sets the project up, wires the topics, starts every function, and
    /// waits until each answers.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let say = options.around.say;
        let around = run::start(options.around.clone()).await?;
        let firestore = around.firestore.as_ref().context("Firestore is needed")?.address;
        let pubsub = around.pubsub.as_ref().context("Pub/Sub is needed")?.grpc;
        let (firestore, pubsub) = (Proxy::start(firestore).await?, Proxy::start(pubsub).await?);
        let folder = tempfile::tempdir()?;
        let mut functions = BTreeMap::new();
        for (name, _) in FUNCTIONS {
            let port = match (name, options.gateway_port) {
                ("gateway", Some(port)) => port,
                _ => free_port()?,
            };
            functions.insert(name, Function { port, process: None, starts: 0 });
        }
        let timekeeper = url_of(functions["timekeeper"].port);
        let sweeper = tokio::spawn(sweep(timekeeper, around.issuer.clone(), options.sweep_every));
        let mut system = Self {
            functions,
            sweeper,
            firestore,
            pubsub,
            around,
            api_key: String::new(),
            client: client(),
            options,
            folder,
        };
        say("setting the project up…");
        system.set_up()?;
        system.wire()?;
        say("starting the functions…");
        for (name, _) in FUNCTIONS {
            system.launch(name)?;
        }
        for (name, _) in FUNCTIONS {
            system.until_it_answers(name).await?;
        }
        Ok(system)
    }

    /// The address of a function.
    pub fn url(&self, function: &str) -> String {
        url_of(self.functions[function].port)
    }

    /// The settings of a program that works on the project, such as `chatflow doctor`.
    pub fn variables(&self) -> Vec<(String, String)> {
        let mut variables: BTreeMap<String, String> = self
            .around
            .variables()
            .into_iter()
            .filter(|(name, _)| name.starts_with("CHATFLOW_"))
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        for (name, value) in [
            ("CHATFLOW_BACKEND", "gcp".to_owned()),
            ("CHATFLOW_PROJECT", PROJECT.to_owned()),
            ("CHATFLOW_REGION", "asia-east1".to_owned()),
            ("CHATFLOW_TIMEKEEPER_URL", self.url("timekeeper")),
            ("CHATFLOW_TASKS_SERVICE_ACCOUNT", TIMERS.to_owned()),
        ] {
            variables.insert(name.to_owned(), value);
        }
        variables.into_iter().collect()
    }

    fn set_up(&mut self) -> anyhow::Result<()> {
        let key_file = self.folder.path().join("admin.key");
        let mut setup = Command::new(programs::path("chatflow")?);
        setup.arg("setup").arg("--json").arg("--key-file").arg(&key_file);
        if self.options.demo {
            setup.arg("--demo");
            if let Some(url) = &self.options.replies_to {
                setup.args(["--replies-to", url]);
            }
        }
        setup.envs(self.variables());
        let done = setup.output().context("`chatflow setup` does not start")?;
        anyhow::ensure!(
            done.status.success(),
            "`chatflow setup` failed: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        std::fs::read_to_string(&key_file)?.trim().clone_into(&mut self.api_key);
        Ok(())
    }

    /// Subscribes every function to its topic, as the Terraform module does.
    fn wire(&self) -> anyhow::Result<()> {
        let Some(pubsub) = &self.around.pubsub else { return Ok(()) };
        for (function, topic) in FUNCTIONS {
            let Some(topic) = topic else { continue };
            let url = self.url(function);
            let token =
                OidcToken { service_account_email: PUSHER.to_owned(), audience: url.clone() };
            let dead_letters = (topic != "failures").then(|| DeadLetterPolicy {
                dead_letter_topic: format!("projects/{PROJECT}/topics/chatflow-failures"),
                max_delivery_attempts: DELIVERIES_MAX,
            });
            let subscription = Subscription {
                name: format!("projects/{PROJECT}/subscriptions/chatflow-{topic}"),
                topic: format!("projects/{PROJECT}/topics/chatflow-{topic}"),
                push_config: Some(PushConfig {
                    push_endpoint: format!("{url}/"),
                    oidc_token: Some(token),
                    ..PushConfig::default()
                }),
                ack_deadline_seconds: 60,
                enable_message_ordering: true,
                retry_policy: Some(RetryPolicy {
                    minimum_backoff: Some("0.1s".to_owned()),
                    maximum_backoff: Some("5s".to_owned()),
                }),
                dead_letter_policy: dead_letters,
                ..Subscription::default()
            };
            pubsub
                .create_subscription(subscription)
                .map_err(|problem| anyhow::anyhow!("{topic} cannot be subscribed: {problem:?}"))?;
        }
        Ok(())
    }

    fn launch(&mut self, name: &'static str) -> anyhow::Result<()> {
        let variables = self.variables();
        let function = self.functions.get_mut(name).context("there is no such function")?;
        let url = url_of(function.port);
        let mut command = Command::new(programs::path(&format!("chatflow-{name}"))?);
        command
            .envs(variables)
            .env("PORT", function.port.to_string())
            .env("CHATFLOW_PUSH_AUDIENCE", url)
            .env("CHATFLOW_PUSH_SERVICE_ACCOUNTS", format!("{PUSHER},{TIMERS},{SCHEDULER}"));
        if self.options.proxied.contains(&name) {
            command
                .env("CHATFLOW_FIRESTORE_ENDPOINT", self.firestore.endpoint())
                .env("CHATFLOW_PUBSUB_ENDPOINT", self.pubsub.endpoint());
        }
        if name == "gateway" {
            // Nobody pushes to it.
            for unused in ["CHATFLOW_PUSH_AUDIENCE", "CHATFLOW_PUSH_SERVICE_ACCOUNTS"] {
                command.env_remove(unused);
            }
        }
        let log = self.folder.path().join(format!("{name}-{}.log", function.starts));
        function.starts += 1;
        function.process =
            Some(Guarded::spawn(&format!("the function {name}"), &command, Some(&log))?);
        Ok(())
    }

    /// Waits until a function answers.
    pub async fn until_it_answers(&mut self, name: &str) -> anyhow::Result<()> {
        let url = format!("{}/healthz", self.url(name));
        let began = tokio::time::Instant::now();
        loop {
            let answer = self.client.get(&url).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            let process = self.functions.get_mut(name).and_then(|it| it.process.as_mut());
            if let Some(process) = process
                && (!process.is_running() || began.elapsed() > START_MAX)
            {
                anyhow::bail!("{} does not start: {}", process.name(), process.last_lines(20));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Kills a function as `kill -9` does, and starts it again at the same address.
    pub fn kill_and_restart(&mut self, name: &'static str) -> anyhow::Result<()> {
        if let Some(function) = self.functions.get_mut(name) {
            function.process = None;
        }
        self.launch(name)
    }

    /// The last lines that a function wrote.
    pub fn last_lines(&self, name: &str, count: usize) -> String {
        let process = self.functions.get(name).and_then(|it| it.process.as_ref());
        process.map(|process| process.last_lines(count)).unwrap_or_default()
    }

    /// Everything that the functions have written so far, by file.
    pub fn logs(&self) -> Vec<(PathBuf, String)> {
        let entries = std::fs::read_dir(self.folder.path()).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "log"))
            .map(|path| {
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                (path, text)
            })
            .collect()
    }
}

impl Drop for System {
    fn drop(&mut self) {
        self.sweeper.abort();
    }
}

/// Wakes the sweeper again and again, as Cloud Scheduler does.
async fn sweep(timekeeper: String, issuer: Issuer, every: Duration) {
    let client = client();
    let timekeeper = Arc::new(timekeeper);
    loop {
        tokio::time::sleep(every).await;
        let Ok(token) = issuer.token(&timekeeper, SCHEDULER) else { continue };
        // One that fails is made up for by the next.
        let asked = client
            .post(format!("{timekeeper}/sweep"))
            .bearer_auth(token)
            .timeout(Duration::from_secs(60))
            .send();
        let _ = asked.await;
    }
}
