//! Plain system calls: what the ring cannot do, and what needs no ring.
//!
//! All of it is short, or happens only at start (listing, locking).

use std::ffi::CStr;
use std::os::fd::RawFd;
use std::time::{SystemTime, UNIX_EPOCH};

use engine_model::Timestamp;

use super::{check, errno};
use crate::dir::{Entry, EntryKind, FileOptions};
use crate::op::Operation;

/// The flags of open(2) for a file.
pub(super) fn open_flags(options: FileOptions) -> i32 {
    let access = match (options.read, options.write) {
        (_, false) => libc::O_RDONLY,
        (false, true) => libc::O_WRONLY,
        (true, true) => libc::O_RDWR,
    };
    let mut flags = access | libc::O_CLOEXEC | libc::O_NOFOLLOW;
    if options.create_new {
        flags |= libc::O_CREAT | libc::O_EXCL;
    } else if options.create {
        flags |= libc::O_CREAT;
    }
    if options.direct {
        flags |= libc::O_DIRECT;
    }
    flags
}

/// Carries out an operation that has no ring entry, and returns its result.
pub(super) fn carry_out(operation: &mut Operation) -> i32 {
    let done = match operation {
        Operation::Truncate { file, length } => truncate(file.raw(), *length),
        Operation::List { directory, entries } => list(directory.raw()).map(|found| {
            *entries = found;
        }),
        Operation::Lock { file } => lock(file.raw()),
        Operation::FreeSpace { directory, bytes } => {
            free_space(directory.raw()).map(|found| *bytes = found)
        }
        _ => Err(libc::EOPNOTSUPP),
    };
    match done {
        Ok(()) => 0,
        Err(errno) => -errno,
    }
}

fn truncate(file: RawFd, length: u64) -> Result<(), i32> {
    let length = i64::try_from(length).map_err(|_| libc::EFBIG)?;
    // SAFETY: the descriptor is open: the operation holds it.
    check(unsafe { libc::ftruncate(file, length) }).map(drop)
}

fn lock(file: RawFd) -> Result<(), i32> {
    // SAFETY: all zeros is a value of this plain type: the whole file, from its start.
    let mut range: libc::flock = unsafe { std::mem::zeroed() };
    range.l_type = i16::try_from(libc::F_WRLCK).unwrap_or(0);
    range.l_whence = i16::try_from(libc::SEEK_SET).unwrap_or(0);
    // Locks of open file descriptions exclude other descriptors of this process too, and die
    // with the last copy of this one.
    // SAFETY: the descriptor is open and `range` outlives the call.
    check(unsafe { libc::fcntl(file, libc::F_OFD_SETLK, &raw const range) }).map(drop)
}

/// Bytes an unprivileged process may still write to the file system of `directory`.
pub(super) fn free_space(directory: RawFd) -> Result<u64, i32> {
    // SAFETY: all zeros is a value of this plain type.
    let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open and `found` outlives the call.
    check(unsafe { libc::fstatvfs(directory, &raw mut found) })?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// A directory stream, closed on drop.
struct Stream(*mut libc::DIR);

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: made by `fdopendir`, closed once.
        unsafe { libc::closedir(self.0) };
    }
}

fn list(directory: RawFd) -> Result<Vec<Entry>, i32> {
    // A descriptor of its own, because the position in a directory belongs to the description.
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: an open descriptor and a constant path.
    let copy = check(unsafe { libc::openat(directory, c".".as_ptr(), flags) })?;
    // SAFETY: an open descriptor of a directory, handed over.
    let stream = unsafe { libc::fdopendir(copy) };
    if stream.is_null() {
        let errno = errno();
        close(copy);
        return Err(errno);
    }
    let stream = Stream(stream);
    let mut entries = Vec::new();
    loop {
        // SAFETY: no arguments; the answer is this thread's own error number.
        let errno_place = unsafe { libc::__errno_location() };
        // SAFETY: valid as long as the thread. readdir leaves it alone at the end of the list.
        unsafe { *errno_place = 0 };
        // SAFETY: the stream is open and used by this thread only.
        let entry = unsafe { libc::readdir64(stream.0) };
        if entry.is_null() {
            match std::io::Error::last_os_error().raw_os_error() {
                Some(0) | None => break,
                Some(errno) => return Err(errno),
            }
        }
        // SAFETY: the entry is valid until the next readdir.
        let entry = unsafe { &*entry };
        // SAFETY: the system ends the name with a zero byte, inside the array.
        let name = unsafe { CStr::from_ptr(entry.d_name.as_ptr()) };
        let kind = entry.d_type;
        if name == c"." || name == c".." {
            continue;
        }
        let kind = match kind {
            libc::DT_REG => EntryKind::File,
            libc::DT_DIR => EntryKind::Directory,
            libc::DT_UNKNOWN => kind_of(directory, name)?,
            _ => EntryKind::Other,
        };
        entries.push(Entry {
            name: name.to_string_lossy().into_owned(),
            kind,
        });
    }
    entries.sort();
    Ok(entries)
}

/// Looks at an entry whose file system does not say in the listing what it is.
fn kind_of(directory: RawFd, name: &CStr) -> Result<EntryKind, i32> {
    // SAFETY: all zeros is a value of this plain type.
    let mut status: libc::stat64 = unsafe { std::mem::zeroed() };
    let flags = libc::AT_SYMLINK_NOFOLLOW;
    // SAFETY: an open descriptor, a terminated name, and `status` outlives the call.
    let looked =
        check(unsafe { libc::fstatat64(directory, name.as_ptr(), &raw mut status, flags) });
    match looked {
        Err(libc::ENOENT) => Ok(EntryKind::Other),
        Err(errno) => Err(errno),
        Ok(_) => Ok(match status.st_mode & libc::S_IFMT {
            libc::S_IFREG => EntryKind::File,
            libc::S_IFDIR => EntryKind::Directory,
            _ => EntryKind::Other,
        }),
    }
}

/// Closes a descriptor; its error, if any, concerns nobody any more.
pub(super) fn close(raw: RawFd) {
    // SAFETY: the last owner gives the descriptor back.
    unsafe { libc::close(raw) };
}

pub(super) fn wall_clock() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

pub(super) fn random(bytes: &mut [u8]) {
    let mut done = 0_usize;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        // SAFETY: the whole of `rest` may be written.
        let count = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        match usize::try_from(count) {
            Ok(count) => done = done.saturating_add(count),
            Err(_) if errno() == libc::EINTR => {}
            // Without randomness ids would collide: nothing may go on.
            Err(_) => super::engine::fatal(&"the system has no random numbers"),
        }
    }
}
