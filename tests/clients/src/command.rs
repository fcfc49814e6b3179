//! Runs one command to its end, within a limit, and keeps what it said.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A command that has not ended by then is killed and fails the test.
const COMMAND_DURATION_MAX: Duration = Duration::from_mins(3);

/// What a finished command left.
#[derive(Debug)]
pub struct Output {
    /// Exit code, -1 where a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error, as text.
    pub stderr: String,
}

impl Output {
    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The same output, if the command ended with 0.
    #[must_use]
    pub fn expect_success(self) -> Self {
        assert!(
            self.code == 0,
            "exit {}: {}\n{}",
            self.code,
            self.text(),
            self.stderr
        );
        self
    }
}

/// Runs a command without input.
pub fn run(command: &mut Command) -> Output {
    run_with_input(command, b"")
}

/// Runs a command with `input` on its standard input, and fails if it does not end in time.
pub fn run_with_input(command: &mut Command, input: &[u8]) -> Output {
    let shown = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{shown}: {e}; tests/run sets up what the tests need"));
    let mut stdin = child.stdin.take().expect("a piped stdin");
    let mut stdout = child.stdout.take().expect("a piped stdout");
    let mut stderr = child.stderr.take().expect("a piped stderr");
    let input = input.to_vec();
    let writer = thread::spawn(move || {
        // A command may end without reading all of its input.
        let _ = stdin.write_all(&input);
    });
    let out = thread::spawn(move || {
        let mut bytes = Vec::new();
        stdout.read_to_end(&mut bytes).expect("reading stdout");
        bytes
    });
    let err = thread::spawn(move || {
        let mut bytes = Vec::new();
        stderr.read_to_end(&mut bytes).expect("reading stderr");
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let deadline = Instant::now() + COMMAND_DURATION_MAX;
    let status = loop {
        if let Some(status) = child.try_wait().expect("waiting for a child") {
            break status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            panic!(
                "{shown} did not end in {COMMAND_DURATION_MAX:?}: {}",
                err.join().unwrap()
            );
        }
        thread::sleep(Duration::from_millis(5));
    };
    writer.join().expect("the writer of stdin");
    Output {
        code: status.code().unwrap_or(-1),
        stdout: out.join().expect("the reader of stdout"),
        stderr: err.join().expect("the reader of stderr"),
    }
}
