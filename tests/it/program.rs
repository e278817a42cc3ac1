//! The real `chatflow` program: found or built, run, killed.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use it::TestApp;
use serde_json::Value;
use standalone::client::{Client, ServerArgs};

/// How long a process may take to do what it must.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program, of the same build as this test; built where it is absent or older than a source.
pub(crate) fn chatflow() -> PathBuf {
    let here = std::env::current_exe().expect("a test has a program");
    let target = here.parent().and_then(Path::parent).expect("it lies in the target directory");
    let program = target.join("chatflow");
    let built = program.metadata().and_then(|data| data.modified()).ok();
    if built.is_none_or(|built| built < newest_source()) {
        build();
    }
    assert!(program.exists(), "{} was not built", program.display());
    program
}

fn build() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "-p", "standalone", "--bin", "chatflow"])
        .current_dir(it::root())
        .status();
    assert!(status.is_ok_and(|status| status.success()), "chatflow does not build");
}

fn newest_source() -> SystemTime {
    let mut newest = SystemTime::UNIX_EPOCH;
    let mut open = vec![it::root().join("shared"), it::root().join("functions")];
    while let Some(path) = open.pop() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // Tests of the crates are no part of the program, nor is the crate of contracts.
        if path.is_dir()
            && !["tests", "examples", "ports-contract", "test-support"].contains(&name.as_str())
        {
            open.extend(
                path.read_dir().expect("a folder").map(|entry| entry.expect("a file").path()),
            );
        } else if is_part_of_the_program(&name) {
            newest = newest.max(path.metadata().and_then(|data| data.modified()).expect("a time"));
        }
    }
    newest
}

fn is_part_of_the_program(name: &str) -> bool {
    let kinds = [".rs", ".yaml", ".json", ".html", ".sql"];
    !name.contains("test") && kinds.iter().any(|kind| name.ends_with(kind))
}

/// A command that does not see the settings of the one who runs the tests.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = without_settings(Command::new(chatflow()));
    command.args(args);
    command
}

fn without_settings(mut command: Command) -> Command {
    for name in
        ["DATA", "LISTEN", "SERVER", "API_KEY_FILE", "PROFILE", "LOG", "BACKLOG_MAX", "FAULTS"]
    {
        command.env_remove(format!("CHATFLOW_{name}"));
    }
    command
}

/// The same, where what is too large for a file is an error and not the end (`SIGXFSZ`).
pub(crate) fn command_under_limits(args: &[&str]) -> Command {
    let mut command = without_settings(Command::new("sh"));
    command.args(["-c", r#"trap "" XFSZ; exec "$@""#, "sh"]).arg(chatflow()).args(args);
    command
}

/// Runs the program to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    command(args).output().expect("the program runs")
}

/// Exit code, standard output and standard error.
pub(crate) fn told(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// A server as a process.
pub(crate) struct Process {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    pub(crate) url: String,
    pub(crate) key_file: PathBuf,
}

impl Process {
    /// Starts a server with the demo and waits for its line.
    pub(crate) fn serve(data: &Path) -> Self {
        Self::start(command, data, "127.0.0.1:0")
    }

    /// The same at an address.
    pub(crate) fn serve_at(data: &Path, address: &str) -> Self {
        Self::start(command, data, address)
    }

    /// The same, by a command of its own.
    pub(crate) fn start(command: impl Fn(&[&str]) -> Command, data: &Path, address: &str) -> Self {
        let data = data.to_str().expect("a path of plain text");
        let args = ["serve", "--data", data, "--listen", address, "--demo", "--json"];
        let mut child = command(&args).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut output = BufReader::new(child.stdout.take().expect("its output"));
        let mut line = String::new();
        output.read_line(&mut line).expect("a line");
        let told: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        let text = |name: &str| told[name].as_str().expect(name).to_owned();
        assert_eq!(told.as_object().map(serde_json::Map::len), Some(2), "{line}");
        Self { url: text("url"), key_file: text("api_key_file").into(), child, output }
    }

    /// A client with the administrator's key.
    pub(crate) fn client(&self) -> Client {
        let server = self.url.parse().expect("an address");
        let key_file = Some(self.key_file.clone());
        Client::new(&ServerArgs { server: Some(server), key_file, profile: None })
            .expect("a client")
    }

    /// Its number.
    pub(crate) fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.pid()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Ends it at once, in whatever it does: `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ended");
    }

    /// Asks it to end; gives how it ended, how long it took, and what else it printed.
    pub(crate) fn terminate(mut self) -> (ExitStatus, Duration, String) {
        let begun = Instant::now();
        self.signal("TERM");
        let status = self.wait();
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut self.output, &mut rest).expect("its output");
        (status, begun.elapsed(), rest)
    }

    #[expect(clippy::disallowed_methods, reason = "an end of a process can only be asked for")]
    fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return status;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the server does not end");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A test that failed leaves no server behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command against a server, with its administrator's key.
pub(crate) async fn against(app: &TestApp, args: &[&str]) -> (i32, String, String) {
    let key_file = app.server().key_file.clone();
    let mut command = command(args);
    command.args(["--server", &app.url, "--key-file"]).arg(key_file);
    let ran = tokio::task::spawn_blocking(move || command.output());
    told(&ran.await.expect("it ends").expect("it starts"))
}
