//! Runs the real binary: a node of its own, and commands against it.

#![allow(dead_code, reason = "every test file takes what it needs of this one")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// A node that is not ready by then fails the test. Generous: the machine may be busy.
const START_DURATION_MAX: Duration = Duration::from_mins(1);

/// The binary under test.
pub const ODRADEK: &str = env!("CARGO_BIN_EXE_odradek");

/// A started `odradek start`, killed when dropped.
pub struct Node {
    pub child: Child,
    pub address: String,
    /// Temporary files of the node go here.
    pub folder: tempfile::TempDir,
}

impl Node {
    /// Starts `odradek start` with these arguments in a directory of its own; waits until it serves.
    pub fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(ODRADEK);
        command.arg("start").args(arguments);
        let (child, address) = launch(command, folder.path());
        Self {
            child,
            address,
            folder,
        }
    }

    /// A node of two shards on a free port that leaves nothing behind.
    pub fn ephemeral() -> Self {
        Self::start(&["--ephemeral", "--listen", "127.0.0.1:0", "--shards", "2"])
    }

    /// Runs `odradek ARGUMENTS` against the node.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.run_with_input(arguments, b"")
    }

    /// The same with something on stdin.
    pub fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = Command::new(ODRADEK);
        command
            .args(arguments)
            .env("ODRADEK_BOOTSTRAP_SERVER", &self.address);
        run(command, input)
    }

    /// Runs a line of shell in which `odradek` is the binary, asking the node.
    pub fn shell(&self, line: &str) -> Output {
        let mut command = Command::new("sh");
        command
            .args(["-c", line])
            .current_dir(self.folder.path())
            .env("PATH", path_with_odradek())
            .env("ODRADEK_BOOTSTRAP_SERVER", &self.address);
        run(command, b"")
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        signal(&self.child, name);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal by its name.
pub fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

/// `PATH` with the directory of the binary in front.
pub fn path_with_odradek() -> String {
    let folder = Path::new(ODRADEK).parent().unwrap();
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}

/// Starts a node's command and reads its stderr up to the line that says `ready`.
pub fn launch(mut command: Command, folder: &Path) -> (Child, String) {
    let mut child = command
        .current_dir(folder)
        .env("TMPDIR", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = child.stderr.take().unwrap();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let mut said = Vec::new();
    loop {
        let line = receiver
            .recv_timeout(START_DURATION_MAX)
            .unwrap_or_else(|error| panic!("not ready ({error}): {said:#?}"));
        if let Some(rest) = line.strip_prefix("ready on ") {
            let address = rest.split(' ').next().unwrap().to_owned();
            return (child, address);
        }
        said.push(line);
    }
}

/// What a command did.
#[derive(Debug)]
pub struct Output {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Output {
    /// Stdout as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    /// Fails the test unless the exit code is 0.
    pub fn good(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }
}

/// Runs a command to its end.
pub fn run(mut command: Command, input: &[u8]) -> Output {
    use std::io::Write;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that fails early does not read its input.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    Output {
        code: output.status.code(),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs `odradek ARGUMENTS` without a node.
pub fn odradek(arguments: &[&str]) -> Output {
    let mut command = Command::new(ODRADEK);
    command
        .args(arguments)
        .env_remove("ODRADEK_BOOTSTRAP_SERVER");
    run(command, b"")
}
