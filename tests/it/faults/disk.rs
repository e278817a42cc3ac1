//! A disk that is full, and one that cannot be written.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use futures::future::join_all;
use tokio::task::JoinHandle;

use crate::crowd::{Crowd, assert_arrived, assert_kept, messages, set_up, settle};
use crate::partner::{Partner, Says};
use crate::program::{Process, command, command_under_limits, run, told};

const PEOPLE: usize = 8;
/// Any free port.
const ANY: &str = "127.0.0.1:0";

/// A small filesystem of its own, until it is dropped.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    /// None where only an administrator may mount, and this is none.
    fn mount(options: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("mode=0700,{options}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(folder.path())
            .output();
        mounted.is_ok_and(|mounted| mounted.status.success()).then_some(Self(folder))
    }

    fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let status = Command::new("mount").args(["-o", &options]).arg(self.0.path()).status();
        assert!(status.unwrap().success());
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a server of a test that failed may still be there.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Writes a file until nothing more fits.
fn fill(path: &Path) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    for size in [1 << 20, 4_096, 1] {
        let block = vec![1; size];
        while file.write_all(&block).is_ok() {}
    }
}

/// A disk without room, as a server sees it.
enum Full {
    /// A filesystem that is full, until this file goes.
    Filler(PathBuf),
    /// No file of the process may grow beyond what its log has now.
    FileSize(String),
}

impl Full {
    fn begin(&self, data: &Path) {
        match self {
            Self::Filler(path) => fill(path),
            Self::FileSize(pid) => {
                let log = File::open(data.join("chatflow.db-wal")).unwrap();
                limit(pid, &format!("--fsize={}:", log.metadata().unwrap().len() + 4_096));
            }
        }
    }

    fn end(&self) {
        match self {
            Self::Filler(path) => std::fs::remove_file(path).unwrap(),
            Self::FileSize(pid) => limit(pid, "--fsize=unlimited:"),
        }
    }
}

fn limit(pid: &str, what: &str) {
    let status = Command::new("prlimit").args(["--pid", pid, what]).status();
    assert!(status.expect("prlimit is there (util-linux)").success());
}

/// People write while the disk fills up, stays full, and has room again.
async fn fills_up(process: Process, data: &Path, full: Full) {
    let partner = Partner::saying(&[Says::Status(200)]).await;
    let client = process.client();
    set_up(&client, &partner).await;
    let crowd = Crowd::new(PEOPLE);
    crowd.all_insist(&client, 3).await;
    full.begin(data);
    let writers: Vec<_> = (0..PEOPLE)
        .map(|one| tokio::spawn(crowd.clone().insist(one, client.clone(), 60)))
        .collect();
    // A little may fit still. What does not is refused, and the refusal says when to come again.
    let (mut total, mut refused) = (crowd.total(), crowd.refused());
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(!writers.iter().any(JoinHandle::is_finished), "the disk is not full");
        let before = (total, refused);
        (total, refused) = (crowd.total(), crowd.refused());
        if total == before.0 && refused >= before.1 + PEOPLE {
            break;
        }
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(crowd.total(), total, "what cannot be stored is not accepted");
    // Nobody else notices: what is there can be read.
    client.get("/v1/messages?limit=1").await.unwrap();
    full.end();
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    settle(&client).await;
    let all = messages(&client).await;
    crowd.assert_heard_and_answered(&all);
    let again = assert_arrived(&partner, &all);
    eprintln!("{} refused; {again} replies could not be noted and came again", crowd.refused());
    assert_kept(&client, all.len()).await;
    assert!(process.terminate().0.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_full_disk_it_refuses_and_goes_on_when_there_is_room() {
    let Some(disk) = Tmpfs::mount("size=160m") else {
        eprintln!("SKIPPED: only root may mount; the next test fills the disk by another way");
        return;
    };
    let data = disk.path().join("data");
    let process = Process::start(command, &data, ANY);
    fills_up(process, &data, Full::Filler(disk.path().join("filler"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_limit_of_file_sizes_it_refuses_and_goes_on_when_it_is_lifted() {
    let data = tempfile::tempdir().unwrap();
    let process = Process::start(command_under_limits, data.path(), ANY);
    let pid = process.pid();
    fills_up(process, data.path(), Full::FileSize(pid)).await;
}

#[test]
fn a_directory_that_cannot_be_written_is_told() {
    let (disk, folder) = (Tmpfs::mount("size=12m"), tempfile::tempdir().unwrap());
    let data = disk.as_ref().map_or(folder.path(), Tmpfs::path);
    assert!(Process::start(command, data, ANY).terminate().0.success());
    match &disk {
        Some(disk) => disk.remount("ro"),
        // Who may not mount is held by permissions.
        None => forbid(data),
    }
    let args = ["serve", "--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0"];
    let (code, out, error) = told(&run(&args));
    assert_eq!((code, out.as_str()), (2, ""));
    let expected = format!(
        "error: {}/chatflow.db.lock cannot be opened; let this program write there, or choose \
         another data directory: ",
        data.display()
    );
    assert!(error.starts_with(&expected), "{error}");
    assert_eq!(error.matches("os error").count(), 1, "{error}");
}

fn forbid(data: &Path) {
    use std::os::unix::fs::PermissionsExt;
    for entry in data.read_dir().unwrap() {
        let read_only = std::fs::Permissions::from_mode(0o444);
        std::fs::set_permissions(entry.unwrap().path(), read_only).unwrap();
    }
    std::fs::set_permissions(data, std::fs::Permissions::from_mode(0o555)).unwrap();
}

#[test]
fn a_disk_that_is_full_at_the_start_is_told() {
    let Some(disk) = Tmpfs::mount("size=1m") else {
        eprintln!("SKIPPED: only root may mount");
        return;
    };
    fill(&disk.path().join("filler"));
    let data = disk.path().to_str().unwrap();
    let (code, out, error) = told(&run(&["serve", "--data", data, "--listen", "127.0.0.1:0"]));
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(error.starts_with("error: "), "{error}");
    assert!(error.contains("free space on its disk"), "{error}");
}
