//! Hearing of SIGINT and SIGTERM.
//!
//! A handler may do next to nothing, so it writes the signal's number into a pipe, and a thread of
//! ours reads the pipe and calls whoever asked. Source: signal-safety(7).

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// A request to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C at the terminal.
    Interrupt,
    /// What service managers send.
    Terminate,
}

/// Where the handler writes; -1 before anybody watches.
static PIPE: AtomicI32 = AtomicI32::new(-1);

extern "C" fn handle(signal: libc::c_int) {
    let Ok(byte) = u8::try_from(signal) else {
        return;
    };
    let pipe = PIPE.load(Ordering::Relaxed);
    // SAFETY: no arguments; the answer is this thread's own error number.
    let errno_place = unsafe { libc::__errno_location() };
    // SAFETY: valid as long as the thread. The interrupted code may be about to read it.
    let errno = unsafe { *errno_place };
    // SAFETY: write(2) is safe in handlers; one readable byte; the pipe is never closed. A full
    // pipe drops the signal, but then thousands wait to be read.
    unsafe { libc::write(pipe, (&raw const byte).cast(), 1) };
    // SAFETY: as above.
    unsafe { *errno_place = errno };
}

/// Calls `on_signal` for each SIGINT and SIGTERM from now on, on a thread of its own, instead of
/// ending the process. Only the first call in a process does anything; later ones fail with
/// EALREADY.
pub fn watch(on_signal: impl FnMut(Signal) + Send + 'static) -> crate::Result<()> {
    let error = |errno: i32| crate::Error::new("watch", "signals", errno);
    let last = || {
        std::io::Error::last_os_error()
            .raw_os_error()
            .unwrap_or(libc::EIO)
    };
    let mut ends = [-1_i32; 2];
    // SAFETY: room for two descriptors.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(error(last()));
    }
    let [read_end, write_end] = ends;
    // SAFETY: a new descriptor that nobody else owns.
    let read_end = unsafe { OwnedFd::from_raw_fd(read_end) };
    // SAFETY: a new descriptor that nobody else owns.
    let write_end = unsafe { OwnedFd::from_raw_fd(write_end) };
    // A handler must never wait, so a full pipe refuses.
    // SAFETY: an open descriptor and plain numbers.
    if unsafe { libc::fcntl(write_end.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) } != 0 {
        return Err(error(last()));
    }
    let claimed = PIPE.compare_exchange(
        -1,
        write_end.as_raw_fd(),
        Ordering::SeqCst,
        Ordering::SeqCst,
    );
    if claimed.is_err() {
        return Err(error(libc::EALREADY));
    }
    // From here on the handler may use it at any time: it stays open.
    std::mem::forget(write_end);
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || read_signals(File::from(read_end), on_signal))
        .map_err(|e| error(e.raw_os_error().unwrap_or(libc::EAGAIN)))?;
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: all zeros is a value of this plain type: an empty mask, no flags.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = handle as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_RESTART;
        // SAFETY: the handler is async-signal-safe and lives as long as the process.
        if unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } != 0 {
            return Err(error(last()));
        }
    }
    Ok(())
}

fn read_signals(mut pipe: File, mut on_signal: impl FnMut(Signal)) {
    let mut byte = [0_u8; 1];
    loop {
        match pipe.read(&mut byte) {
            Ok(0) => return,
            Ok(_) if i32::from(byte[0]) == libc::SIGINT => on_signal(Signal::Interrupt),
            Ok(_) => on_signal(Signal::Terminate),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
