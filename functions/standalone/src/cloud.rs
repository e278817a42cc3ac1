//! `chatflow setup`, `migrate` and `doctor`: a Google Cloud project, made ready, filled, looked at.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use bootstrap::gcp::Google;
use bootstrap::{Config, Local, SystemClock};
use channels::ReplyTarget;
use indicatif::{ProgressBar, ProgressDrawTarget};
use runtime::app::Terminal;
use runtime::transfer::{self, Kind};
use runtime::{App, Limits, administer};
use serde_json::json;
use url::Url;

use crate::{demo, doctor, server};

/// What `chatflow setup` makes.
#[derive(Debug)]
pub(crate) struct Setup {
    /// Whether the demo as well.
    pub(crate) demo: bool,
    /// Where replies of the demo go.
    pub(crate) replies_to: Option<Url>,
    /// Where the administrator's key goes.
    pub(crate) key_file: PathBuf,
}

async fn connect(config: &Config) -> anyhow::Result<Google> {
    let gcp = config.gcp.as_ref().context("set CHATFLOW_BACKEND=gcp and CHATFLOW_PROJECT")?;
    Ok(Google::connect(gcp, Arc::new(SystemClock), Limits::default()).await?)
}

/// Makes what Terraform does not: the base tables where they are missing, the connection of the
/// API, an administrator's key, and the demo where asked to. Doing it twice is doing it once.
pub(crate) async fn setup(config: &Config, setup: &Setup, json: bool) -> anyhow::Result<()> {
    let google = connect(config).await?;
    google.backend().provision().await.context("the topics and the queue cannot be made")?;
    let app = &google.app;
    administer::prepare(app).await.context("the tables cannot be made")?;
    let directory = setup.key_file.parent().unwrap_or(Path::new("."));
    if !directory.as_os_str().is_empty() {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("{} cannot be made", directory.display()))?;
    }
    server::administrator_key(app, &setup.key_file).await?;
    if setup.demo {
        demo::install(app).await.context("setting up the demo failed")?;
        if let Some(url) = &setup.replies_to {
            demo_replies_to(app, url).await?;
        }
    }
    if json {
        println!("{}", json!({ "api_key_file": setup.key_file }));
    } else {
        println!("The project is ready. The administrator's key: {}", setup.key_file.display());
    }
    Ok(())
}

/// In the cloud there is no terminal to reply on.
async fn demo_replies_to(app: &App, url: &Url) -> anyhow::Result<()> {
    let Some(mut connection) = app.store().connection(demo::CONNECTION).await? else {
        return Ok(());
    };
    let host = url.host_str().context("the address of replies has no host")?;
    let port = url.port_or_known_default().context("the address of replies has no port")?;
    let expected = Some(connection.revision);
    connection.reply = ReplyTarget::Url { url: url.to_string() };
    connection.allowed_hosts = vec![format!("{host}:{port}")];
    administer::put_connection(app, connection, expected).await?;
    Ok(())
}

/// Copies a local server's data, then compares; false where the two differ.
pub(crate) async fn migrate(config: &Config, from: &Path, json: bool) -> anyhow::Result<bool> {
    let file = from.join(bootstrap::local::FILE);
    anyhow::ensure!(
        file.is_file(),
        "{} is not there; name the data directory of the local server",
        file.display()
    );
    let quiet: Terminal = Arc::new(|_| {});
    let local = Local::open(from, Arc::new(SystemClock), Limits::default(), quiet)
        .context("stop the local server first")?;
    let google = connect(config).await?;
    google.backend().provision().await.context("the topics and the queue cannot be made")?;
    let bar = ProgressBar::new_spinner();
    if json || !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let copied = Mutex::new(BTreeMap::<Kind, u64>::new());
    let progress = |kind: Kind, count: u64| {
        let mut copied = copied.lock().unwrap_or_else(PoisonError::into_inner);
        let so_far = copied.entry(kind).or_default();
        *so_far += count;
        bar.set_message(format!("{kind}: {so_far}"));
        bar.tick();
    };
    transfer::copy(&local.app, &*local.deliveries, &google.app, &progress)
        .await
        .context("copying stopped; run it again to go on")?;
    bar.set_message("comparing");
    let found = transfer::compare(&local.app, &google.app).await?;
    bar.finish_and_clear();
    local.close().await;
    let same = found.iter().all(|difference| difference.same);
    if json {
        let list: Vec<_> = found
            .iter()
            .map(|it| {
                json!({ "kind": it.kind.to_string(), "here": it.counts[0],
                "there": it.counts[1], "same": it.same })
            })
            .collect();
        println!("{}", json!({ "same": same, "kinds": list }));
        return Ok(same);
    }
    println!("{:<16} {:>9} {:>9}", "", "HERE", "THERE");
    for it in &found {
        let verdict = if it.same { "the same" } else { "NOT the same" };
        println!("{:<16} {:>9} {:>9}  {verdict}", it.kind.to_string(), it.counts[0], it.counts[1]);
    }
    if !same {
        println!("The two differ: was the project empty before, and has nothing run on it since?");
    }
    Ok(same)
}

/// Looks at everything the system needs of the project, and changes nothing. False where something
/// is missing.
pub(crate) async fn doctor(config: &Config, json: bool) -> anyhow::Result<bool> {
    let google = connect(config).await?;
    Ok(doctor::tell(&google.backend().examine().await, json))
}
