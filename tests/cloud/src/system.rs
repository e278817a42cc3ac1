//! Starting, wiring, killing and stopping the functions.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use emulators::process::Guarded;
use emulators::pubsub::{DeadLetterPolicy, OidcToken, PushConfig, RetryPolicy, Subscription};
use emulators::run::{self, Running};
use emulators::tokens::Issuer;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::ports::Ports;
use crate::programs;
use crate::proxies::{Proxies, Service};

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
    /// Functions that reach Google's services through proxies, which count and fail on demand.
    pub proxied: Vec<&'static str>,
    /// Settings that every function gets besides.
    pub variables: Vec<(&'static str, String)>,
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
            variables: Vec::new(),
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
    /// What stands between Google's services and the functions that [`Options::proxied`] names.
    pub proxies: BTreeMap<&'static str, Proxies>,
    /// The servers around them.
    pub around: Running,
    /// The administrator's API key.
    pub api_key: String,
    /// For requests to it.
    pub client: reqwest::Client,
    options: Options,
    folder: TempDir,
    ports: Ports,
    /// Instances that were started besides.
    more: AtomicU32,
}

/// A client for requests to functions; its TLS needs a provider even where nothing uses it.
pub fn client() -> reqwest::Client {
    // Fails where it was installed before, by the same code.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
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
        let mut proxies = BTreeMap::new();
        for name in &options.proxied {
            proxies.insert(*name, Proxies::start(&around).await?);
        }
        let folder = tempfile::tempdir()?;
        let mut functions = BTreeMap::new();
        let mut ports = Ports::take()?;
        for (name, _) in FUNCTIONS {
            let port = match (name, options.gateway_port) {
                ("gateway", Some(port)) => port,
                _ => ports.fixed()?,
            };
            functions.insert(name, Function { port, process: None, starts: 0 });
        }
        let timekeeper = url_of(functions["timekeeper"].port);
        let sweeper = tokio::spawn(sweep(timekeeper, around.issuer.clone(), options.sweep_every));
        let mut system = Self {
            functions,
            sweeper,
            proxies,
            around,
            api_key: String::new(),
            client: client(),
            options,
            folder,
            ports,
            more: AtomicU32::new(0),
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

    /// The file with [`System::api_key`].
    pub fn key_file(&self) -> PathBuf {
        self.folder.path().join("admin.key")
    }

    fn set_up(&mut self) -> anyhow::Result<()> {
        let key_file = self.key_file();
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

    /// The command of a function that listens on this port.
    fn command(&self, name: &str, port: u16) -> anyhow::Result<Command> {
        let mut command = Command::new(programs::path(&format!("chatflow-{name}"))?);
        command
            .envs(self.variables())
            .env("PORT", port.to_string())
            .env("CHATFLOW_PUSH_AUDIENCE", self.url(name))
            .env("CHATFLOW_PUSH_SERVICE_ACCOUNTS", format!("{PUSHER},{TIMERS},{SCHEDULER}"));
        command.envs(self.options.variables.iter().cloned());
        if let Some(proxies) = self.proxies.get(name) {
            command.envs(proxies.variables());
        }
        if name == "gateway" {
            // Nobody pushes to it.
            for unused in ["CHATFLOW_PUSH_AUDIENCE", "CHATFLOW_PUSH_SERVICE_ACCOUNTS"] {
                command.env_remove(unused);
            }
        }
        Ok(command)
    }

    fn launch(&mut self, name: &'static str) -> anyhow::Result<()> {
        let port = self.functions.get(name).context("there is no such function")?.port;
        let command = self.command(name, port)?;
        let function = self.functions.get_mut(name).context("there is no such function")?;
        let log = self.folder.path().join(format!("{name}-{}.log", function.starts));
        function.starts += 1;
        function.process =
            Some(Guarded::spawn(&format!("the function {name}"), &command, Some(&log))?);
        Ok(())
    }

    /// Waits until a function answers.
    pub async fn until_it_answers(&mut self, name: &str) -> anyhow::Result<()> {
        let url = format!("{}/healthz", self.url(name));
        let began = Instant::now();
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

    /// Sends a function through proxies from now on, by starting it again.
    pub async fn put_proxies_before(&mut self, name: &'static str) -> anyhow::Result<()> {
        self.proxies.insert(name, Proxies::start(&self.around).await?);
        self.kill_and_restart(name)?;
        self.until_it_answers(name).await
    }

    /// Starts one more instance of a function, as Cloud Run does, and waits for its first answer.
    pub async fn one_more(&self, name: &str) -> anyhow::Result<Instance> {
        let port = self.ports.passing(self.more.fetch_add(1, Ordering::Relaxed));
        let command = self.command(name, port)?;
        let log = self.folder.path().join(format!("{name}-more.log"));
        let began = Instant::now();
        let mut process = Guarded::spawn(&format!("one more {name}"), &command, Some(&log))?;
        while !is_healthy(port).await {
            if !process.is_running() || began.elapsed() > START_MAX {
                anyhow::bail!("{} does not start: {}", process.name(), process.last_lines(20));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(Instance { took: began.elapsed(), process })
    }

    /// Takes a service away from every function that has proxies.
    pub fn outage(&self, service: Service, length: Duration) {
        self.proxies.values().for_each(|proxies| proxies.outage(service, length));
    }

    /// The memory that a function holds, in bytes.
    pub fn resident_bytes(&self, name: &str) -> u64 {
        let process = self.functions.get(name).and_then(|it| it.process.as_ref());
        process.map(Guarded::resident_bytes).unwrap_or_default()
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

/// One more instance of a function. It ends when dropped.
pub struct Instance {
    /// From the start of its process to its first answer.
    pub took: Duration,
    /// The process.
    pub process: Guarded,
}

/// Whether `GET /healthz` is answered with 200, by a connection of its own.
async fn is_healthy(port: u16) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.ok()?;
        let request = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.ok()?;
        Some(status.ends_with(b" 200"))
    };
    ask.await.unwrap_or(false)
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
