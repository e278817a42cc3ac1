//! Finds what is installed: the Google Cloud SDK's emulators, Java, Python.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::process::{in_path, variable};

/// Where the SDK is where nobody says: packages, the installer, Homebrew.
const USUAL_ROOTS: [&str; 5] = [
    "/usr/lib/google-cloud-sdk",
    "/usr/share/google-cloud-sdk",
    "/usr/local/share/google-cloud-sdk",
    "/opt/homebrew/share/google-cloud-sdk",
    "/snap/google-cloud-cli/current",
];

/// How long `gcloud info` may take.
const GCLOUD_SECONDS_MAX: u64 = 30;

/// Something that must be installed first. The text says how.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Missing(pub String);

/// The Firestore emulator's jar.
pub async fn firestore_jar() -> Result<PathBuf, Missing> {
    let jar = |root: &Path| {
        let jar = root.join("platform/cloud-firestore-emulator/cloud-firestore-emulator.jar");
        jar.is_file().then_some(jar)
    };
    in_sdk(jar)
        .await
        .ok_or_else(|| emulator_missing("Firestore", "cloud-firestore-emulator", "firestore"))
}

/// The jar of Google's Pub/Sub emulator.
pub async fn pubsub_jar() -> Result<PathBuf, Missing> {
    let jar = |root: &Path| {
        let files = std::fs::read_dir(root.join("platform/pubsub-emulator/lib")).ok()?;
        files.filter_map(|file| Some(file.ok()?.path())).find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("cloud-pubsub-emulator-") && name.ends_with(".jar")
        })
    };
    in_sdk(jar).await.ok_or_else(|| emulator_missing("Pub/Sub", "pubsub-emulator", "pubsub"))
}

/// `java`.
pub fn java() -> Result<PathBuf, Missing> {
    variable("JAVA_HOME")
        .map(|home| home.join("bin/java"))
        .filter(|java| java.is_file())
        .or_else(|| in_path("java"))
        .ok_or_else(|| {
            Missing(
                "Java 17 or later is needed for Google's emulators: apt-get install \
                 openjdk-17-jre-headless, or set JAVA_HOME"
                    .to_owned(),
            )
        })
}

/// `python3`.
pub fn python() -> Result<PathBuf, Missing> {
    in_path("python3").ok_or_else(|| {
        Missing(
            "Python 3 is needed for the BigQuery emulator: apt-get install python3 python3-venv"
                .to_owned(),
        )
    })
}

/// Where the BigQuery emulator's environment is kept.
pub fn bigquery_cache() -> Result<PathBuf, Missing> {
    variable("XDG_CACHE_HOME")
        .or_else(|| Some(variable("HOME")?.join(".cache")))
        .map(|cache| cache.join("chatflow/bigquery-emulator"))
        .ok_or_else(|| Missing("set HOME or XDG_CACHE_HOME: a cache is needed".to_owned()))
}

fn emulator_missing(name: &str, component: &str, package: &str) -> Missing {
    Missing(format!(
        "Google's {name} emulator was not found: gcloud components install {component}, or \
         apt-get install google-cloud-cli-{package}-emulator; where the SDK is in an unusual \
         place, set CLOUDSDK_ROOT to it"
    ))
}

/// The first SDK in which `find` finds its file. `gcloud` itself is asked last: it takes seconds.
async fn in_sdk(find: impl Fn(&Path) -> Option<PathBuf>) -> Option<PathBuf> {
    let told = ["CLOUDSDK_ROOT", "CLOUDSDK_ROOT_DIR"].into_iter().filter_map(variable);
    let home = variable("HOME").map(|home| home.join("google-cloud-sdk"));
    let usual = USUAL_ROOTS.into_iter().map(PathBuf::from);
    match told.chain(usual).chain(home).find_map(|root| find(&root)) {
        Some(found) => Some(found),
        None => find(&gcloud_root().await?),
    }
}

async fn gcloud_root() -> Option<PathBuf> {
    let asked = tokio::process::Command::new(in_path("gcloud")?)
        .args(["info", "--format=value(installation.sdk_root)"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let answer = tokio::time::timeout(Duration::from_secs(GCLOUD_SECONDS_MAX), asked).await;
    let output = answer.ok()?.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(text.trim())).filter(|root| root.is_dir())
}
