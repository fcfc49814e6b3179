//! The content of one file, with or without a volatile write cache in front.
//!
//! Keeps: with a cache, what was written since the last flush is lost at a power cut unless chance
//! keeps it; what was flushed stays. The unit of what is kept or lost is a sector of 512 bytes, and
//! any subset in any order may be kept, as disks do.
//!
//! Does not: know who reads or writes.

use crate::random::Random;
use std::collections::BTreeMap;

/// What a disk writes whole or not at all.
pub const SECTOR_BYTES: usize = 512;
/// What is held in memory as one piece, and what a cut may turn into garbage.
const PAGE_BYTES: usize = 4096;

/// Bytes by page; what was never written is zeros and takes no memory.
#[derive(Clone, Debug, Default)]
struct Pages(BTreeMap<u64, Box<[u8; PAGE_BYTES]>>);

impl Pages {
    fn read(&self, offset: u64, room: &mut [u8]) {
        let mut done = 0;
        while done < room.len() {
            let (page, within) = place(offset, done);
            let count = (PAGE_BYTES - within).min(room.len() - done);
            let to = &mut room[done..done + count];
            match self.0.get(&page) {
                Some(bytes) => to.copy_from_slice(&bytes[within..within + count]),
                None => to.fill(0),
            }
            done += count;
        }
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let (page, within) = place(offset, done);
            let count = (PAGE_BYTES - within).min(bytes.len() - done);
            let page = self
                .0
                .entry(page)
                .or_insert_with(|| Box::new([0; PAGE_BYTES]));
            page[within..within + count].copy_from_slice(&bytes[done..done + count]);
            done += count;
        }
    }

    fn truncate(&mut self, length: u64) {
        let (page, within) = place(length, 0);
        let mut beyond = self.0.split_off(&page);
        if within > 0
            && let Some(mut last) = beyond.remove(&page)
        {
            last[within..].fill(0);
            self.0.insert(page, last);
        }
    }
}

/// Page of a byte, and its place in it.
fn place(offset: u64, done: usize) -> (u64, usize) {
    let page_bytes = u64::try_from(PAGE_BYTES).unwrap();
    let at = offset + u64::try_from(done).unwrap();
    (
        at / page_bytes,
        usize::try_from(at % page_bytes).unwrap_or(0),
    )
}

/// A write that no flush has covered.
#[derive(Clone, Debug)]
struct Write {
    offset: u64,
    bytes: Vec<u8>,
}

/// How a power cut treats what no flush has covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nothing of it is kept.
    All,
    /// Whole writes are kept, each by chance.
    Writes,
    /// Sectors are kept, each by chance: torn writes.
    Sectors,
    /// The first writes are kept, the next one up to some sector, none after.
    Tail,
    /// All of it is kept; a process that was killed leaves its writes to the disk.
    None,
}

/// What a power cut did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Sectors that no flush had covered.
    pub unflushed: u64,
    /// How many of them are lost.
    pub lost: u64,
    /// Whether 4 KiB of them became garbage.
    pub has_garbage: bool,
}

/// The content of a file.
#[derive(Debug, Default)]
pub struct Disk {
    length: u64,
    /// What a reader sees.
    seen: Pages,
    /// With a cache: what a flush has covered, and what it has not, in order.
    cache: Option<(Pages, Vec<Write>)>,
}

impl Disk {
    /// An empty file; every write stays.
    pub fn plain() -> Self {
        Self::default()
    }

    /// A disk of `length` bytes behind a volatile cache.
    pub fn cached(length: u64) -> Self {
        Self {
            length,
            seen: Pages::default(),
            cache: Some((Pages::default(), Vec::new())),
        }
    }

    /// Bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Bytes that take memory.
    pub fn used(&self) -> u64 {
        u64::try_from(self.seen.0.len() * PAGE_BYTES).unwrap()
    }

    /// At most `count` bytes from `offset`, fewer where the file ends.
    pub fn read(&self, offset: u64, count: usize) -> Vec<u8> {
        let left = self.length.saturating_sub(offset);
        let mut room = vec![0; usize::try_from(left).unwrap_or(usize::MAX).min(count)];
        self.seen.read(offset, &mut room);
        room
    }

    /// Writes, and grows where needed.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) {
        self.seen.write(offset, bytes);
        self.length = self
            .length
            .max(offset + u64::try_from(bytes.len()).unwrap());
        if let Some((_, writes)) = &mut self.cache {
            writes.push(Write {
                offset,
                bytes: bytes.to_vec(),
            });
        }
    }

    /// Makes what was written so far survive a power cut.
    pub fn flush(&mut self) {
        if let Some((flushed, writes)) = &mut self.cache {
            for write in writes.drain(..) {
                flushed.write(write.offset, &write.bytes);
            }
        }
    }

    /// Sets the length; zeros where it grows.
    pub fn set_length(&mut self, length: u64) {
        if length < self.length {
            self.seen.truncate(length);
        }
        self.length = length;
    }

    /// Loses by chance what no flush has covered.
    pub fn cut(&mut self, loss: Loss, with_garbage: bool, random: &mut Random) -> Damage {
        let Some((flushed, writes)) = &mut self.cache else {
            return Damage::default();
        };
        let writes = std::mem::take(writes);
        let mut damage = Damage {
            unflushed: writes.iter().map(sectors).sum(),
            ..Damage::default()
        };
        let percent = random.below(101);
        let count = u64::try_from(writes.len()).unwrap();
        let torn = random.below(count);
        for (number, write) in (0..).zip(&writes) {
            let torn_from = random.below(sectors(write) + 1);
            let keeps_write = random.chance(percent);
            for (index, bytes) in (0..).zip(write.bytes.chunks(SECTOR_BYTES)) {
                let is_kept = match loss {
                    Loss::All => false,
                    Loss::None => true,
                    Loss::Writes => keeps_write,
                    Loss::Sectors => random.chance(percent),
                    Loss::Tail => number < torn || (number == torn && index < torn_from),
                };
                if is_kept {
                    let sector_bytes = u64::try_from(SECTOR_BYTES).unwrap();
                    flushed.write(write.offset + index * sector_bytes, bytes);
                } else {
                    damage.lost += 1;
                }
            }
        }
        if with_garbage && !writes.is_empty() {
            // The block that was under way when the power went: of one write that no flush covers.
            let write = &writes[usize::try_from(random.below(count)).unwrap()];
            let blocks = write.bytes.chunks(PAGE_BYTES);
            let block = random.below(u64::try_from(blocks.len()).unwrap());
            let at = usize::try_from(block).unwrap() * PAGE_BYTES;
            let length = (write.bytes.len() - at).min(PAGE_BYTES);
            let garbage: Vec<u8> = (0..length)
                .map(|_| random.draw().to_be_bytes()[0])
                .collect();
            flushed.write(write.offset + u64::try_from(at).unwrap(), &garbage);
            damage.has_garbage = true;
        }
        self.seen = flushed.clone();
        damage
    }
}

fn sectors(write: &Write) -> u64 {
    u64::try_from(write.bytes.len().div_ceil(SECTOR_BYTES)).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: u64 = 1 << 20;

    fn after_cut(loss: Loss, seed: u64) -> Vec<u8> {
        let mut disk = Disk::cached(LENGTH);
        disk.write(0, &[1; 8192]);
        disk.flush();
        disk.write(4096, &[2; 4096]);
        disk.write(8192, &[3; 4096]);
        disk.cut(loss, false, &mut Random::new(seed));
        disk.read(0, 12288)
    }

    #[test]
    fn what_was_flushed_stays_and_the_rest_goes() {
        let seen = after_cut(Loss::All, 1);
        assert_eq!(&seen[..8192], &[1; 8192]);
        assert_eq!(&seen[8192..], &[0; 4096]);
        let seen = after_cut(Loss::None, 1);
        assert_eq!(&seen[4096..8192], &[2; 4096]);
        assert_eq!(&seen[8192..], &[3; 4096]);
    }

    #[test]
    fn every_sector_is_old_or_new_and_both_happen() {
        for loss in [Loss::Sectors, Loss::Writes, Loss::Tail] {
            let mut kinds = std::collections::BTreeSet::new();
            for seed in 0..200 {
                let seen = after_cut(loss, seed);
                for (at, sector) in seen.chunks(SECTOR_BYTES).enumerate() {
                    let allowed: &[u8] = match at {
                        0..8 => &[1],
                        8..16 => &[1, 2],
                        _ => &[0, 3],
                    };
                    assert!(sector.iter().all(|byte| *byte == sector[0]));
                    assert!(allowed.contains(&sector[0]), "sector {at}: {}", sector[0]);
                    kinds.insert((at, sector[0]));
                }
                let is_torn = seen[4096..8192].iter().any(|byte| *byte != seen[4096]);
                assert!(loss != Loss::Writes || !is_torn);
            }
            assert_eq!(kinds.len(), 8 + 16 + 16, "{loss:?}");
        }
    }

    #[test]
    fn garbage_hits_only_what_no_flush_covers() {
        let mut found = 0;
        for seed in 0..50 {
            let mut disk = Disk::cached(LENGTH);
            disk.write(0, &[1; 8192]);
            disk.flush();
            disk.write(8192, &[2; 8192]);
            disk.cut(Loss::All, true, &mut Random::new(seed));
            assert_eq!(disk.read(0, 8192), vec![1; 8192]);
            found += u32::from(disk.read(8192, 8192) != vec![0; 8192]);
        }
        assert_eq!(found, 50);
    }

    #[test]
    fn a_file_without_a_cache_keeps_everything_and_cuts_to_length() {
        let mut disk = Disk::plain();
        disk.write(10, b"hello");
        disk.cut(Loss::All, true, &mut Random::new(1));
        assert_eq!(disk.read(8, 100), b"\0\0hello");
        disk.set_length(12);
        disk.set_length(16);
        assert_eq!(disk.read(10, 100), b"he\0\0\0\0");
    }
}
