//! The data directory: file system, direct I/O, free space, how long a flush takes.

use super::check::{Check, Status};
use engine_rt::process;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// O_DIRECT as the kernel numbers it here.
const O_DIRECT: i32 = if cfg!(any(target_arch = "aarch64", target_arch = "arm")) {
    0o200_000
} else {
    0o40_000
};
/// The unit of direct writes, in bytes.
const BLOCK_BYTES: usize = 4096;
/// How many flushes are timed.
const FLUSHES: usize = 16;
/// Acknowledged records wait for a flush: above this they wait noticeably.
const FLUSH_SLOW: Duration = Duration::from_millis(20);
/// A flush that takes less never reached a disk.
const FLUSH_SUSPICIOUS: Duration = Duration::from_micros(15);
/// Below this a broker soon refuses records.
const FREE_MIN: u64 = 1 << 30;

/// The checks that write nothing.
pub fn checks(data_dir: &Path) -> Vec<Check> {
    let place = existing(data_dir);
    vec![file_system(data_dir, &place), free_space(&place)]
}

/// The directory, or the nearest one above it that is there.
fn existing(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut place = absolute.as_path();
    while !place.exists() {
        match place.parent() {
            Some(parent) => place = parent,
            None => break,
        }
    }
    place.canonicalize().unwrap_or_else(|_| place.to_owned())
}

/// Type of the file system that holds `path`, by the longest mount point above it.
fn kind_of(path: &Path, mounts: &str) -> Option<String> {
    let mut best: Option<(usize, &str)> = None;
    for line in mounts.lines() {
        let mut words = line.split(' ');
        let (_, point, kind) = (words.next(), words.next()?, words.next()?);
        let point = point.replace("\\040", " ");
        let length = point.len();
        if path.starts_with(&point) && best.is_none_or(|(longest, _)| length >= longest) {
            best = Some((length, kind));
        }
    }
    best.map(|(_, kind)| kind.to_owned())
}

fn file_system(data_dir: &Path, place: &Path) -> Check {
    let why = "records are written past the page cache and flushed; network and memory file systems \
               keep neither promise";
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let kind = kind_of(place, &mounts).unwrap_or_else(|| "unknown".to_owned());
    let check = Check::ok(
        "file system",
        why,
        format!("{kind} at {}", data_dir.display()),
    );
    match kind.as_str() {
        "tmpfs" | "ramfs" => check.but(
            Status::Warning,
            "choose a --data-dir on a disk: what is in memory is gone with the machine",
        ),
        "nfs" | "nfs4" | "cifs" | "smb3" | "fuse.sshfs" | "9p" | "vboxsf" | "virtiofs" => check
            .but(
                Status::Warning,
                "choose a --data-dir on a local disk with ext4 or XFS",
            ),
        "overlay" => check.but(
            Status::Warning,
            "mount a volume for --data-dir: a container's own layer is slow and goes with it",
        ),
        _ => check,
    }
}

fn free_space(place: &Path) -> Check {
    let why = "a full disk refuses records, and the redo logs are written in full before use";
    match process::free_space(place) {
        Ok(bytes) => {
            let check = Check::ok("free space", why, format!("{} MiB", bytes >> 20));
            if bytes >= FREE_MIN {
                return check;
            }
            check.but(
                Status::Warning,
                format!(
                    "`df -h {}`; free some, or choose another --data-dir",
                    place.display()
                ),
            )
        }
        Err(error) => Check::ok("free space", why, error).but(
            Status::Problem,
            format!(
                "`ls -ld {}`: is it there, and may you read it?",
                place.display()
            ),
        ),
    }
}

/// A file that goes when this does.
struct Probe {
    path: PathBuf,
}

impl Drop for Probe {
    fn drop(&mut self) {
        // What cannot be removed stays; the check has said its piece.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Writes some blocks past the page cache and times their flushes.
pub fn flush(data_dir: &Path) -> Check {
    let why = "with the durability `fsync` every acknowledgement waits for a flush";
    // In a directory of a broker only files of its own may lie.
    let place = existing(data_dir);
    let place = if place.join("CURRENT").exists() {
        place.parent().map_or_else(|| place.clone(), Path::to_owned)
    } else {
        place
    };
    let path = place.join(format!(".odradek-doctor-{}", std::process::id()));
    let probe = Probe { path };
    let failed = |error: io::Error| {
        let what = format!("cannot write in {}: {error}", place.display());
        Check::ok("flush", why, what).but(
            Status::Problem,
            format!(
                "`ls -ld {}`; choose a --data-dir that you may write to",
                place.display()
            ),
        )
    };
    let (mut file, is_direct) = match open(&probe.path, O_DIRECT) {
        Ok(file) => (file, true),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => match open(&probe.path, 0) {
            Ok(file) => (file, false),
            Err(error) => return failed(error),
        },
        Err(error) => return failed(error),
    };
    let times = match time_flushes(&mut file) {
        Ok(times) => times,
        Err(error) => return failed(error),
    };
    let middle = times.get(times.len() / 2).copied().unwrap_or_default();
    let longest = times.last().copied().unwrap_or_default();
    let direct = if is_direct { "O_DIRECT" } else { "no O_DIRECT" };
    let measured = format!(
        "{direct}, 4 KiB: {:.2} ms in the middle, {:.2} ms at most",
        middle.as_secs_f64() * 1e3,
        longest.as_secs_f64() * 1e3
    );
    let check = Check::ok("flush", why, measured);
    if !is_direct {
        return check.but(
            Status::Warning,
            "choose a --data-dir on ext4 or XFS: without O_DIRECT every record is copied once more",
        );
    }
    if middle > FLUSH_SLOW {
        return check.but(
            Status::Warning,
            "use a disk with power-loss protection, or `--durability written` if its risk is yours",
        );
    }
    if middle < FLUSH_SUSPICIOUS {
        return check.but(
            Status::Warning,
            "flushes seem to be ignored: look for eatmydata, `nobarrier`, or a host that lies",
        );
    }
    check
}

fn open(path: &Path, flags: i32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options
        .write(true)
        .create(true)
        .truncate(true)
        .custom_flags(flags)
        .open(path);
    if file.is_err() {
        // Some file systems make the file and then refuse the flag.
        let _ = std::fs::remove_file(path);
    }
    file
}

fn time_flushes(file: &mut File) -> io::Result<Vec<Duration>> {
    let room = vec![1_u8; BLOCK_BYTES * 2];
    let skip = room.as_ptr().align_offset(BLOCK_BYTES);
    let block = room.get(skip..skip + BLOCK_BYTES).unwrap_or_default();
    // Blocks and size first: a broker writes where it has written before.
    for _ in 0..FLUSHES {
        file.write_all(block)?;
    }
    file.sync_all()?;
    io::Seek::rewind(file)?;
    let mut times = Vec::with_capacity(FLUSHES);
    for _ in 0..FLUSHES {
        let begun = Instant::now();
        file.write_all(block)?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    times.sort();
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_system_is_that_of_the_longest_mount_point() {
        let mounts =
            "/dev/a / ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\n/dev/b /run/my\\040disk xfs rw 0 0\n";
        for (path, kind) in [
            ("/home", "ext4"),
            ("/run/x", "tmpfs"),
            ("/runner", "ext4"),
            ("/run/my disk/data", "xfs"),
        ] {
            assert_eq!(
                kind_of(Path::new(path), mounts).as_deref(),
                Some(kind),
                "{path}"
            );
        }
        assert_eq!(kind_of(Path::new("/"), ""), None);
    }
}
