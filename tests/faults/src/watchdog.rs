//! Ends a run that hangs, so that nothing waits for it and nothing stays behind.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// Ends the process unless it is dropped in time.
#[derive(Debug)]
pub struct Watchdog {
    _alive: Sender<()>,
}

impl Watchdog {
    /// After `patience`, calls `bite` and ends the process.
    pub fn start(patience: Duration, bite: impl FnOnce() + Send + 'static) -> Self {
        let (alive, gone) = channel::<()>();
        thread::spawn(move || {
            if gone.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                bite();
                // Requests to a file system of ours that hang end with the process only.
                std::process::abort();
            }
        });
        Self { _alive: alive }
    }
}
