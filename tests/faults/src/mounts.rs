//! Mounts and loop devices that leave nothing behind.
//!
//! Keeps: everything of one run lies under one folder whose name carries the process id; the folder
//! and all that is mounted in it goes when it is dropped, after a panic too; what a process that was
//! killed left behind goes at the start of the next run. Nothing of anybody else is touched: only
//! mount points inside such folders and loop devices over files in them.
//!
//! Does not: pretend. A machine that cannot mount fails; see [`may_mount`].

use crate::files::Files;
use crate::watchdog::Watchdog;
use fuser::{BackgroundSession, Config, MountOption};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Names the wish to go on without real mounts.
pub const WITHOUT_MOUNTS: &str = "ODRADEK_TEST_WITHOUT_MOUNTS";
const FOLDER_PREFIX: &str = "odradek-faults.";
/// A command that has not ended by then hangs.
const COMMAND_DURATION_MAX: Duration = Duration::from_mins(1);
/// A folder that is still in use by then belongs to a run that hangs.
const PLACE_DURATION_MAX: Duration = Duration::from_mins(15);
/// How often what is busy is tried again to be released, 50 ms apart.
const RELEASE_TRIES_MAX: u32 = 100;

/// Whether tests that mount are to run: false only where the environment says so by name.
pub fn may_mount() -> bool {
    if std::env::var(WITHOUT_MOUNTS).is_ok_and(|value| value == "1") {
        eprintln!(
            "!!! {WITHOUT_MOUNTS}=1: power cuts, full disks and I/O errors are NOT TESTED in this run"
        );
        return false;
    }
    true
}

/// Runs a command; its output, or what it said when it failed.
pub fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let shown = format!("{program} {}", arguments.join(" "));
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{shown}: {error}; tests/setup installs what the tests need"))?;
    let deadline = Instant::now() + COMMAND_DURATION_MAX;
    while child
        .try_wait()
        .map_err(|error| error.to_string())?
        .is_none()
    {
        if Instant::now() > deadline {
            let _ = child.kill();
            return Err(format!("{shown}: no end after {COMMAND_DURATION_MAX:?}"));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = child
        .wait_with_output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(format!("{shown}: {}: {said}", output.status))
    }
}

fn must(program: &str, arguments: &[&str]) -> String {
    run(program, arguments).unwrap_or_else(|error| {
        panic!(
            "{error}\nThis test mounts file systems of its own: it needs root, /dev/fuse, loop \
             devices and ext4. Where they cannot be had, {WITHOUT_MOUNTS}=1 leaves it out."
        )
    })
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// The folder of one run, with all its mounts.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    _watchdog: Watchdog,
}

impl Place {
    /// A new folder; first takes away what killed processes left.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        clear_dead();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{FOLDER_PREFIX}{}.{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let watched = path.clone();
        let bite = move || {
            eprintln!("no end after {PLACE_DURATION_MAX:?}: {}", watched.display());
            clear(&watched);
        };
        Self {
            path,
            _watchdog: Watchdog::start(PLACE_DURATION_MAX, bite),
        }
    }

    /// A folder in it.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.path.join(name);
        fs::create_dir_all(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// Mounts files of ours; they are served until the session is dropped.
    pub fn mount_files(&self, name: &str, files: &Files) -> (PathBuf, BackgroundSession) {
        let path = self.folder(name);
        let mut config = Config::default();
        let label = MountOption::FSName("odradek-faults".to_owned());
        config.mount_options = vec![label, MountOption::NoAtime];
        let session = fuser::spawn_mount(files.clone(), &path, &config).unwrap_or_else(|error| {
            panic!(
                "mounting through /dev/fuse: {error}\nThis test needs root and /dev/fuse. Where \
                 they cannot be had, {WITHOUT_MOUNTS}=1 leaves it out."
            )
        });
        (path, session)
    }

    /// A file of `bytes` zeros that take no room.
    pub fn sparse_file(&self, name: &str, bytes: u64) -> PathBuf {
        let path = self.path.join(name);
        let file = fs::File::create(&path).and_then(|file| file.set_len(bytes));
        file.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// Attaches a loop device to a file of this folder.
    pub fn attach(&self, file: &Path) -> Loop {
        assert!(file.starts_with(&self.path), "a file of this run");
        let direct = ["--find", "--show", "--direct-io=on", text(file)];
        Loop {
            device: must("losetup", &direct),
        }
    }

    /// Mounts an ext4; an error where it cannot be mounted.
    pub fn mount_ext4(&self, name: &str, device: &Loop) -> Result<Mounted, String> {
        let path = self.folder(name);
        // Nothing is written behind our back: no lazy initialization, no times of access.
        let options = "noinit_itable,noatime";
        let arguments = ["-t", "ext4", "-o", options, &device.device, text(&path)];
        run("mount", &arguments).map(|_| Mounted { path })
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        clear(&self.path);
    }
}

/// A loop device; detached when dropped.
#[derive(Debug)]
pub struct Loop {
    device: String,
}

impl Loop {
    /// Makes an ext4 on it.
    pub fn format(&self) {
        let lazy = "nodiscard,lazy_itable_init=1,lazy_journal_init=1";
        must(
            "mkfs.ext4",
            &["-q", "-F", "-m", "0", "-E", lazy, &self.device],
        );
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        detach(&self.device);
    }
}

/// A mounted ext4; unmounted when dropped.
#[derive(Debug)]
pub struct Mounted {
    path: PathBuf,
}

impl Mounted {
    /// Where.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Mounted {
    /// Bytes that are free on it.
    pub fn free_bytes(&self) -> u64 {
        let table = must(
            "df",
            &["--output=avail", "--block-size=1", text(&self.path)],
        );
        let last = table.lines().last().map(str::trim);
        last.and_then(|bytes| bytes.parse().ok()).expect("a number")
    }

    /// Takes room away until only so many bytes are free.
    pub fn fill(&self, leaving: u64) {
        let bytes = self.free_bytes().saturating_sub(leaving).to_string();
        let file = self.path.join("ballast");
        // A little is lost to the file's own blocks; what does not fit is left out.
        let _ = run("fallocate", &["--length", &bytes, text(&file)]);
    }

    /// Gives that room back.
    pub fn unfill(&self) {
        let file = self.path.join("ballast");
        fs::remove_file(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        unmount(&self.path);
    }
}

fn unmount(path: &Path) {
    for _ in 0..RELEASE_TRIES_MAX {
        // The kernel ends the last work of a killed process after the process is gone.
        match run("umount", &[text(path)]) {
            Err(error) if error.contains("busy") => std::thread::sleep(Duration::from_millis(50)),
            _ => return,
        }
    }
    let _ = run("umount", &["--lazy", text(path)]);
}

fn detach(device: &str) {
    for _ in 0..RELEASE_TRIES_MAX {
        if run("losetup", &["--detach", device]).is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    // A busy device is detached by its last user, a little later.
    for _ in 0..RELEASE_TRIES_MAX {
        if run("losetup", &[device]).is_err() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    eprintln!("{device} is still attached");
}

/// Ends brokers whose data directory lies in a folder.
fn end_brokers(path: &Path) {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes.map(|entry| entry.path()) {
        let command = fs::read(process.join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).into_owned();
        let mut arguments = command.split('\0');
        let is_broker = arguments
            .next()
            .is_some_and(|name| name.ends_with("/odradek"));
        if is_broker && arguments.any(|argument| Path::new(argument).starts_with(path)) {
            let number = process.file_name().and_then(|name| name.to_str());
            let _ = run("kill", &["-KILL", number.unwrap_or_default()]);
        }
    }
}

/// Takes away a folder, its brokers, what is mounted in it and the loop devices over its files.
fn clear(path: &Path) {
    end_brokers(path);
    let table = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let points = table.lines().filter_map(|line| line.split(' ').nth(1));
    let mut points: Vec<&str> = points
        .filter(|at| Path::new(at).starts_with(path))
        .collect();
    // An ext4 before the files it lies on.
    points.reverse();
    for point in &points {
        if !table.contains(&format!("{point} fuse")) {
            let _ = run("umount", &["--lazy", point]);
        }
    }
    let devices = run(
        "losetup",
        &["--list", "--noheadings", "--output", "NAME,BACK-FILE"],
    );
    for line in devices.unwrap_or_default().lines() {
        if let Some((device, file)) = line.split_once(' ')
            && Path::new(file.trim()).starts_with(path)
        {
            detach(device);
        }
    }
    for point in &points {
        let _ = run("umount", &["--lazy", point]);
    }
    if let Err(error) = fs::remove_dir_all(path) {
        eprintln!("{}: {error}", path.display());
    }
}

/// Takes away what processes that are no more left behind.
fn clear_dead() {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let process = name
            .to_str()
            .and_then(|name| name.strip_prefix(FOLDER_PREFIX))
            .and_then(|rest| rest.split('.').next())
            .and_then(|process| process.parse::<u32>().ok());
        if let Some(process) = process
            && !Path::new(&format!("/proc/{process}")).exists()
        {
            eprintln!("taking away what {} left", entry.path().display());
            clear(&entry.path());
        }
    }
}
