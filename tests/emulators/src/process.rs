//! Processes that end with this one, whatever ends it.
//!
//! Each is started by a small shell that leads a process group of its own and reads from a pipe
//! whose other end this process alone holds. When that end closes — dropped, or by the kernel
//! because this process is gone, `kill -9` included — the shell kills the whole group.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;
use tempfile::TempDir;

/// Runs "$@" and watches over it. Descriptor 3 is the pipe; nothing is ever written to it.
const GUARD: &str = r#"
exec 3<&0 </dev/null
"$@" 3<&- &
child=$!
{ read -r _ <&3; kill -s KILL "$child"; } &
wait "$child"
code=$?
[ "$code" = 137 ] || echo "ended with exit code $code"
kill -s KILL 0
"#;

/// Notes its process id in the file "$0" and becomes the command "$@". Where the file is gone, so
/// is who wanted it.
const NOTED: &str = r#"[ -e "$0" ] || exit 1; echo $$ >"$0"; exec "$@""#;

/// When the pipe closes before a line comes through it, kills what the file "$1" notes: "$2" is `-`
/// for its whole group. The command may be just starting, so its note is awaited.
const WATCHDOG: &str = r#"
if read -r _; then rm -f -- "$1"; exit 0; fi
for _ in 1 2 3 4 5; do [ -s "$1" ] && break; sleep 1; done
pid=$(cat "$1")
rm -f -- "$1"
[ -z "$pid" ] || kill -s KILL -- "$2$pid"
"#;

/// Removes the folder "$1" when the pipe closes; once more, for who was still writing.
const REMOVER: &str = r#"read -r _; rm -rf -- "$1" || { sleep 1; rm -rf -- "$1"; }"#;

/// A process that ends with this one.
#[derive(Debug)]
pub struct Guarded {
    name: String,
    guard: Child,
    log: Option<PathBuf>,
}

impl Guarded {
    /// Starts a command. What it writes goes to the file `log`, or nowhere.
    ///
    /// `name` is what messages call it: `the Firestore emulator`.
    pub fn spawn(name: &str, command: &Command, log: Option<&Path>) -> anyhow::Result<Self> {
        let (out, err) = match log {
            None => (Stdio::null(), Stdio::null()),
            Some(path) => {
                let file = File::create(path).with_context(|| format!("{}", path.display()))?;
                (file.try_clone()?.into(), file.into())
            }
        };
        let mut guard = Command::new("/bin/sh");
        guard.args(["-c", GUARD, "guard"]).arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => guard.env(key, value),
                None => guard.env_remove(key),
            };
        }
        if let Some(directory) = command.get_current_dir() {
            guard.current_dir(directory);
        }
        let guard = guard
            .stdin(Stdio::piped())
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .spawn()
            .with_context(|| format!("{name} does not start: /bin/sh is needed"))?;
        Ok(Self { name: name.to_owned(), guard, log: log.map(Path::to_owned) })
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process group that it and its children are in.
    pub fn group(&self) -> u32 {
        self.guard.id()
    }

    /// The memory that it holds, in bytes: the largest process of its group, as Linux tells.
    pub fn resident_bytes(&self) -> u64 {
        let group = self.group().to_string();
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let held = processes.filter_map(|process| {
            let stat = std::fs::read_to_string(process.path().join("stat")).ok()?;
            // What follows the name: state, parent, process group.
            let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
            if fields.nth(2)? != group {
                return None;
            }
            let status = std::fs::read_to_string(process.path().join("status")).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
            let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
            Some(kibibytes * 1024)
        });
        held.max().unwrap_or_default()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.guard.try_wait(), Ok(None))
    }

    /// The last lines that it wrote, or where to see more.
    pub fn last_lines(&self, count: usize) -> String {
        let Some(log) = &self.log else {
            return "(what it wrote was not kept: run it by hand to see it)".to_owned();
        };
        let bytes = std::fs::read(log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // `wait` closes the pipe first; the shell then kills its group and itself.
        if let Err(error) = self.guard.wait() {
            tracing::warn!(name = self.name, %error, "cannot wait for its end");
        }
    }
}

/// Watches over one process that keeps our standard input, and kills it when this process is gone.
///
/// The watch begins before the process does, so that there is no moment without it.
#[derive(Debug)]
pub struct Watchdog {
    shell: Child,
    note: PathBuf,
}

impl Watchdog {
    /// Begins the watch: over the process that [`Watchdog::command`] becomes, or over the process
    /// group that it leads.
    pub fn start(is_group: bool) -> anyhow::Result<Self> {
        let note = tempfile::Builder::new()
            .prefix("chatflow-command-")
            .tempfile()
            .and_then(|file| Ok(file.into_temp_path().keep()?))
            .context("a file for a process id")?;
        let shell = Command::new("/bin/sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(&note)
            .arg(if is_group { "-" } else { "" })
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("/bin/sh is needed")?;
        Ok(Self { shell, note })
    }

    /// The command to start: a shell that becomes `program`. As shells do, it answers 127 for a
    /// program that there is not.
    pub fn command(&self, program: &str, arguments: &[String]) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", NOTED]).arg(&self.note).arg(program).args(arguments);
        command
    }

    /// Ends the watch without killing.
    pub fn release(mut self) {
        if let Some(pipe) = &mut self.shell.stdin {
            // Where the shell is gone already there is nobody to tell.
            let _ = pipe.write_all(b"\n");
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if let Err(error) = self.shell.wait() {
            tracing::warn!(%error, "cannot wait for the watchdog's end");
        }
    }
}

/// A folder for files that nobody needs afterwards. It is removed when this is dropped, or when
/// this process is gone.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    remover: Child,
}

impl Folder {
    /// Makes one in the system's place for such folders.
    pub fn new() -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("chatflow-emulators-").context("a folder for logs")?;
        let remover = Command::new("/bin/sh")
            .args(["-c", REMOVER, "remover"])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("/bin/sh is needed")?;
        Ok(Self { path: folder.keep(), remover })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = self.remover.wait() {
            tracing::warn!(%error, "cannot wait until the folder is removed");
        }
    }
}

/// Sends a signal, such as `TERM`, to a process, or to the process group of that number.
pub fn signal(name: &str, pid: u32, is_group: bool) {
    let target = if is_group { format!("-{pid}") } else { pid.to_string() };
    let sent = Command::new("/bin/sh")
        .args(["-c", r#"kill -s "$1" -- "$2""#, "signal", name, &target])
        .stderr(Stdio::null())
        .status();
    if let Err(error) = sent {
        tracing::warn!(%error, "cannot send a signal");
    }
}

/// A variable of the environment: where things are installed, not how the product behaves.
pub(crate) fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Where `PATH` has a program.
pub(crate) fn in_path(program: impl AsRef<OsStr>) -> Option<PathBuf> {
    let path = variable("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program.as_ref()))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropping_ends_the_process_and_its_children() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "sleep 600 & echo $!; wait"]);
        let mut guarded = Guarded::spawn("sleeper", &command, Some(&log)).unwrap();
        let pid = loop {
            let text = std::fs::read_to_string(&log).unwrap();
            if let Some((pid, _)) = text.split_once('\n') {
                break pid.to_owned();
            }
            std::thread::yield_now();
        };
        assert!(guarded.is_running());
        assert!(lives(&pid));
        drop(guarded);
        let began = std::time::Instant::now();
        while lives(&pid) {
            assert!(began.elapsed().as_secs() < 10, "it still runs");
            std::thread::yield_now();
        }
    }

    #[test]
    fn its_memory_is_told() {
        let mut command = Command::new("/bin/sleep");
        command.arg("600");
        let guarded = Guarded::spawn("sleeper", &command, None).unwrap();
        let held = guarded.resident_bytes();
        assert!((100_000..100_000_000).contains(&held), "{held}");
    }

    #[test]
    fn an_early_end_is_seen_and_its_words_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo one; echo two; echo three; exit 3"]);
        let mut guarded = Guarded::spawn("sleeper", &command, Some(&log)).unwrap();
        while guarded.is_running() {
            std::thread::yield_now();
        }
        assert_eq!(guarded.last_lines(3), "two\nthree\nended with exit code 3");
    }

    #[test]
    fn a_folder_goes_with_what_is_in_it() {
        let folder = Folder::new().unwrap();
        let path = folder.path().to_owned();
        std::fs::write(path.join("log"), "text").unwrap();
        drop(folder);
        assert!(!path.exists());
    }

    /// Whether a process runs: one that only waits to be collected does not.
    fn lives(pid: &str) -> bool {
        let output = Command::new("ps").args(["-o", "stat=", "-p", pid]).output().unwrap();
        let state = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        !state.is_empty() && !state.starts_with('Z')
    }
}
