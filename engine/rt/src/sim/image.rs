//! What a test sees of a simulated disk: the disk of a node ([`SimDisk`]) and copies of it that
//! belong to nobody ([`DiskImage`]).
//!
//! Copies share all bytes until one side changes, so taking one at every crash point is cheap.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use super::disk::{CrashKind, Disk, NodeNumber, OpenMode, Outcome, to_index};
use super::faults::{Fault, FaultCounts, FaultKind};
use super::kernel::Kernel;
use super::random::SeededRandom;
use super::world::World;
use crate::error::{Error, Result};

/// A disk at one moment, with what was and what was not durable then.
///
/// Two are equal if the same paths read the same, whatever is durable of them.
#[derive(Clone, PartialEq, Eq)]
pub struct DiskImage {
    pub(super) disk: Disk,
}

impl Default for DiskImage {
    /// An empty disk of 4 GiB.
    fn default() -> Self {
        Self {
            disk: Disk::default(),
        }
    }
}

impl DiskImage {
    /// What a crash would leave of it, as `seed` decides. Equal seeds, equal outcomes.
    #[must_use]
    pub fn after_crash(&self, kind: CrashKind, seed: u64) -> Self {
        let mut disk = self.disk.clone();
        disk.crash(kind, &mut SeededRandom::new(seed));
        Self { disk }
    }

    /// The path of every file with its size in bytes, sorted.
    pub fn files(&self) -> Vec<(String, u64)> {
        self.disk.files()
    }

    /// All bytes of a file. Error: nothing of that path, or a directory.
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        read(&self.disk, path)
    }

    /// Changes bytes of a file, durable and not, as failing hardware would. Error: no such file,
    /// or the range is not within it.
    pub fn corrupt(&mut self, path: &str, offset: u64, bytes: &[u8]) -> Result<()> {
        corrupt(&mut self.disk, path, offset, bytes)
    }

    /// Turns one bit of a file over; see [`DiskImage::corrupt`].
    pub fn flip_bit(&mut self, path: &str, offset: u64, bit: u8) -> Result<()> {
        flip_bit(&mut self.disk, path, offset, bit)
    }

    /// Gives a file these bytes, durably, whatever it held; makes it if it is not there. Error: no
    /// such directory.
    pub fn put(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        named("put", path, put(&mut self.disk, path, bytes))
    }

    /// Removes a file, durably. Error: no such file.
    pub fn remove(&mut self, path: &str) -> Result<()> {
        named("remove", path, remove(&mut self.disk, path))
    }
}

impl fmt::Debug for DiskImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.files()).finish()
    }
}

/// The disk of a simulated node. Clones are the same disk; [`SimDisk::snapshot`] is a copy.
#[derive(Clone)]
pub struct SimDisk {
    pub(super) world: Rc<World>,
    pub(super) node: usize,
}

impl SimDisk {
    fn with<R>(&self, act: impl FnOnce(&mut Kernel) -> R) -> R {
        self.world.with_kernel(self.node, |kernel, _| act(kernel))
    }

    /// A copy as of now. What is under way is not in it: see
    /// [`Simulation::crash_image`](super::Simulation::crash_image) for what a crash would leave.
    pub fn snapshot(&self) -> DiskImage {
        self.with(|kernel| DiskImage {
            disk: kernel.disk.snapshot(),
        })
    }

    /// Becomes a copy of `image`. The node must be down.
    pub fn restore(&self, image: &DiskImage) {
        assert!(
            !self.world.is_running(self.node),
            "the disk of a running node cannot be replaced"
        );
        self.with(|kernel| kernel.restart(image.disk.clone()));
    }

    /// The path of every file with its size in bytes, sorted.
    pub fn files(&self) -> Vec<(String, u64)> {
        self.with(|kernel| kernel.disk.files())
    }

    /// All bytes of a file as its readers see them. Error: no such file.
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        self.with(|kernel| read(&kernel.disk, path))
    }

    /// See [`DiskImage::corrupt`].
    pub fn corrupt(&self, path: &str, offset: u64, bytes: &[u8]) -> Result<()> {
        self.with(|kernel| corrupt(&mut kernel.disk, path, offset, bytes))
    }

    /// See [`DiskImage::flip_bit`].
    pub fn flip_bit(&self, path: &str, offset: u64, bit: u8) -> Result<()> {
        self.with(|kernel| flip_bit(&mut kernel.disk, path, offset, bit))
    }

    /// Sets how many bytes fit on the disk; what is on it stays.
    pub fn set_capacity(&self, bytes: u64) {
        self.with(|kernel| kernel.disk.set_capacity(bytes));
    }

    /// Bytes no file has taken.
    pub fn free_bytes(&self) -> u64 {
        self.with(|kernel| kernel.disk.free_bytes())
    }

    /// Lets the `n`-th operation from now that changes the disk (write, flush, allocation, name,
    /// directory sync; the first is 1) never complete: `run_*` returns at it and the node stands
    /// still until it is crashed. A crash forgets the point.
    pub fn crash_after(&self, n: u64) {
        self.with(|kernel| kernel.faults.crash_after(n));
    }

    /// Operations that changed the disk, completed since the simulation began.
    pub fn mutations(&self) -> u64 {
        self.with(|kernel| kernel.faults.mutations)
    }

    /// Plans an error; see [`Fault`].
    pub fn fail(&self, fault: Fault) {
        self.with(|kernel| kernel.faults.plan(fault));
    }

    /// The next operation of that kind fails.
    pub fn fail_next(&self, kind: FaultKind, errno: i32) {
        self.fail(Fault::once(kind, errno));
    }

    /// Every operation of that kind fails until [`SimDisk::heal`].
    pub fn fail_always(&self, kind: FaultKind, errno: i32) {
        self.fail(Fault::always(kind, errno));
    }

    /// Lets every operation of that kind take so much longer, until [`SimDisk::heal`].
    pub fn slow_down(&self, kind: FaultKind, by: Duration) {
        let nanoseconds = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.with(|kernel| kernel.faults.slow_down(kind, nanoseconds));
    }

    /// Takes back every planned fault and all slowness.
    pub fn heal(&self) {
        self.with(|kernel| kernel.faults.heal());
    }

    /// What has really happened so far.
    pub fn counts(&self) -> FaultCounts {
        self.with(|kernel| kernel.faults.counts)
    }

    /// Descriptors the node has open: files, directories and sockets.
    pub fn open_descriptors(&self) -> usize {
        self.with(|kernel| kernel.open_descriptors())
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.files()).finish()
    }
}

fn named<T>(verb: &'static str, path: &str, outcome: Outcome<T>) -> Result<T> {
    outcome.map_err(|errno| Error::new(verb, path, errno))
}

fn file(disk: &Disk, path: &str) -> Outcome<(NodeNumber, u64)> {
    let node = disk.resolve(path)?;
    // Asks for nothing, but refuses directories.
    disk.read(node, 0, &mut [])?;
    Ok((node, disk.size(node)?))
}

fn read(disk: &Disk, path: &str) -> Result<Vec<u8>> {
    let (node, size) = named("read", path, file(disk, path))?;
    let mut bytes = vec![0; to_index(size)];
    named("read", path, disk.read(node, 0, &mut bytes))?;
    Ok(bytes)
}

fn parent<'a>(disk: &Disk, path: &'a str) -> Outcome<(NodeNumber, &'a str)> {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    Ok((disk.resolve(parent)?, name))
}

fn put(disk: &mut Disk, path: &str, bytes: &[u8]) -> Outcome<()> {
    let (parent, name) = parent(disk, path)?;
    let mode = OpenMode {
        create: true,
        ..OpenMode::default()
    };
    let node = disk.open_file(parent, name, mode)?;
    let written = disk
        .set_size(node, 0)
        .and_then(|()| disk.write(node, 0, Bytes::copy_from_slice(bytes)));
    let mark = disk.mark();
    disk.flush(node, mark)?;
    disk.sync_directory(parent, mark)?;
    disk.close(node);
    written
}

fn remove(disk: &mut Disk, path: &str) -> Outcome<()> {
    let (parent, name) = parent(disk, path)?;
    disk.unlink(parent, name)?;
    let mark = disk.mark();
    disk.sync_directory(parent, mark)
}

fn corrupt(disk: &mut Disk, path: &str, offset: u64, bytes: &[u8]) -> Result<()> {
    let (node, _) = named("corrupt", path, file(disk, path))?;
    let outcome = disk.corrupt(node, offset, &Bytes::copy_from_slice(bytes));
    named("corrupt", path, outcome)
}

fn flip_bit(disk: &mut Disk, path: &str, offset: u64, bit: u8) -> Result<()> {
    let (node, _) = named("corrupt", path, file(disk, path))?;
    let mut byte = [0];
    named("corrupt", path, disk.read(node, offset, &mut byte))?;
    let [value] = byte;
    corrupt(disk, path, offset, &[value ^ (1 << (bit % 8))])
}
