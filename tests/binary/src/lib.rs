//! The real binary under test: its path, built first, and what a child of it says.
//!
//! Does not: decide how a broker is started, or end it; whoever starts one keeps the child.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "test code: a failure is the report"
)]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, OnceLock};

/// The binary of the profile this program was built in, built first so that no test meets an old
/// one, unless `ODRADEK_TEST_BROKER` names another.
pub fn path() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(given) = std::env::var_os("ODRADEK_TEST_BROKER") {
            return PathBuf::from(given);
        }
        // A program lies in TARGET/PROFILE, a test in TARGET/PROFILE/deps.
        let own = std::env::current_exe().expect("the path of this program");
        let mut folder = own.parent().expect("a target folder");
        if folder.ends_with("deps") {
            folder = folder.parent().expect("a target folder");
        }
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--locked", "--quiet", "-p", "tools-odradek"]);
        if folder.ends_with("release") {
            build.arg("--release");
        }
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let status = build.current_dir(root).stdin(Stdio::null()).status();
        assert!(status.expect("cargo").success(), "building the binary");
        folder.join("odradek")
    })
}

/// All that one broker, or one after another, has said on standard error. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Said(Arc<Mutex<String>>);

impl Said {
    /// It all, so far.
    pub fn text(&self) -> String {
        self.0.lock().expect("what the broker said").clone()
    }

    /// Collects what a child says from now on, and tells the address whenever it says that it is
    /// ready. The receiver hears of the child's end by the sender's.
    pub fn follow(&self, child: &mut Child) -> Receiver<SocketAddr> {
        let stderr = child.stderr.take().expect("a piped stderr");
        let (sender, ready) = channel();
        let said = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let address = line.contains("ready").then(|| address_in(&line)).flatten();
                let mut text = said.0.lock().expect("what the broker said");
                text.push_str(&line);
                text.push('\n');
                drop(text);
                if let Some(address) = address {
                    // Nobody may wait any more.
                    let _ = sender.send(address);
                }
            }
        });
        ready
    }
}

/// The first HOST:PORT in a line.
fn address_in(line: &str) -> Option<SocketAddr> {
    line.split(|c: char| c.is_whitespace() || c == ',')
        .map(|word| word.trim_end_matches(['.', ';', ')']))
        .map(|word| word.rsplit(['/', '=', '(']).next().unwrap_or(word))
        .find_map(|word| word.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_however_it_is_wrapped() {
        let expected: SocketAddr = "127.0.0.1:9092".parse().expect("an address");
        for line in [
            "ready on 127.0.0.1:9092 after 3 ms",
            "ready: plaintext/127.0.0.1:9092, other",
            "ready address=127.0.0.1:9092.",
            "ready (127.0.0.1:9092)",
        ] {
            assert_eq!(address_in(line), Some(expected), "{line}");
        }
        assert_eq!(address_in("ready after 12:30"), None);
    }
}
