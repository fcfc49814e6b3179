//! The io_uring backend on the real kernel.
//!
//! Rounds of the ping-pong tests are multiplied by `ODRADEK_TEST_ROUNDS` (default 1, a few seconds
//! in all).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a failure is the report"
)]
#![allow(
    unsafe_code,
    reason = "limits and filters are set with plain system calls"
)]

mod background;
mod files;
mod lifecycle;
mod lifetime;
mod start;
mod wakeups;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

use engine_rt::{ShardMain, System, UringConfig};

/// Long enough for a loaded machine, short enough to notice a hang.
const PATIENCE: Duration = Duration::from_mins(2);

fn config(shards: usize) -> UringConfig {
    UringConfig {
        cpus: vec![None; shards],
        ..UringConfig::default()
    }
}

/// A shard's main that gives up, loudly, when it hangs.
fn main_of<F: Future<Output = ()> + 'static>(
    make: impl FnOnce() -> F + Send + 'static,
) -> ShardMain {
    Box::new(move || {
        let patience = PATIENCE * u32::try_from(rounds(1)).unwrap();
        Box::pin(async move {
            let ended = engine_rt::timeout(patience, make()).await;
            assert!(ended.is_ok(), "hangs");
        })
    })
}

/// Runs one shard and hands back what its main returns.
fn on_one<T: Send + 'static, F: Future<Output = T> + 'static>(
    make: impl FnOnce() -> F + Send + 'static,
) -> T {
    let (tell, told) = mpsc::channel();
    let system = System::uring(config(1)).unwrap();
    system
        .run(vec![main_of(move || {
            let future = make();
            async move { tell.send(future.await).unwrap() }
        })])
        .unwrap();
    told.recv().unwrap()
}

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// `count`, or as many more as the environment asks for.
fn rounds(count: u64) -> u64 {
    let factor = std::env::var("ODRADEK_TEST_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok());
    count * factor.unwrap_or(1_u64)
}

/// Runs one test of this binary in a process of its own, through a shell that may `set_up` first.
fn alone(test: &str, set_up: &str) -> std::process::Child {
    std::process::Command::new("sh")
        .arg("-c")
        .arg(format!(
            "{set_up} exec \"$0\" --exact \"$1\" --nocapture --include-ignored"
        ))
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .env("ODRADEK_TEST_ALONE", test)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap()
}

/// Whether this process was made by [`alone`] for `test`.
fn is_alone(test: &str) -> bool {
    std::env::var("ODRADEK_TEST_ALONE").is_ok_and(|name| name == test)
}
