//! Changes the files of a data directory as a program of bytes says.

use bytes::Bytes;
use engine_log::format::{ExtentPlace, ExtentView, FileId};
use engine_model::LogId;
use engine_rt::sim::DiskImage;
use std::collections::BTreeMap;

const BLOCK: usize = 4096;
const SECTOR: usize = 512;

/// No file of this test is made longer than that.
const FILE_BYTES_MAX: usize = 1 << 20;

const VALUES: [u64; 10] = [
    0,
    1,
    2,
    0x7f,
    0xff,
    0x7fff,
    0x7fff_ffff,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];

/// What is left of an input; zeros behind its end.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> usize {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        usize::from(*first)
    }

    fn below(&mut self, bound: usize) -> usize {
        let number = self.byte() | self.byte() << 8;
        number % bound.max(1)
    }
}

/// The files of a directory, in memory.
pub struct Forge {
    image: DiskImage,
    files: BTreeMap<String, Vec<u8>>,
    /// The logs that segments belong to: the seeds of their checksums.
    owners: BTreeMap<String, LogId>,
    removed: Vec<String>,
}

impl Forge {
    pub fn new(image: &DiskImage) -> Self {
        let files: BTreeMap<_, _> = image
            .files()
            .into_iter()
            .map(|(path, _)| {
                let bytes = image.read(&path).unwrap();
                (path, bytes)
            })
            .collect();
        let owners = files
            .iter()
            .filter_map(|(path, bytes)| Some((path.clone(), owner(path, bytes)?)))
            .collect();
        Self {
            image: image.clone(),
            files,
            owners,
            removed: Vec::new(),
        }
    }

    pub fn into_image(mut self) -> DiskImage {
        for path in &self.removed {
            if !self.files.contains_key(path) {
                let _ = self.image.remove(path);
            }
        }
        for (path, bytes) in &self.files {
            self.image.put(path, bytes).unwrap();
        }
        self.image
    }

    pub fn run(&mut self, program: &[u8]) {
        let mut input = Input(program);
        while !input.0.is_empty() {
            self.step(&mut input);
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let action = input.byte();
        let Some(path) = self.pick(input) else { return };
        let mut bytes = self.files.remove(&path).unwrap();
        match action % 16 {
            0 | 1 => flip(&mut bytes, input),
            2..=6 => {
                if let Some(unit) = unit(&bytes, input) {
                    set_field(&mut bytes[unit..], input);
                    self.seal(&path, &mut bytes, unit);
                }
            }
            7 | 8 => self.copy_blocks(&path, &mut bytes, input),
            9 => bytes.truncate(input.below(bytes.len() / SECTOR + 1) * SECTOR),
            10 => {
                let (from, to) = blocks(&bytes, input);
                bytes[from..to].fill(0);
            }
            11 => {
                let more = (1 + input.below(4)) * BLOCK;
                let filler = u8::try_from(input.byte()).unwrap();
                if bytes.len() + more <= FILE_BYTES_MAX {
                    bytes.extend(std::iter::repeat_n(filler, more));
                }
            }
            12 => {
                if let Some(other) = self.pick(input) {
                    let theirs = self.files.get_mut(&other).unwrap();
                    std::mem::swap(theirs, &mut bytes);
                }
            }
            13 if input.byte() < 64 => {
                self.removed.push(path);
                return;
            }
            _ => self.move_frame(&path, &mut bytes, input),
        }
        self.files.insert(path, bytes);
    }

    fn pick(&self, input: &mut Input<'_>) -> Option<String> {
        // First a kind, then a file of it: there are many segments.
        let ending = ["lane", "lane", "lane", "manifest", "segment", "CURRENT"][input.below(6)];
        let of_kind: Vec<_> = self.files.keys().filter(|p| p.ends_with(ending)).collect();
        let place = input.below(of_kind.len());
        of_kind.get(place).map(|path| (*path).clone())
    }

    /// Copies blocks from any file to any place of this one.
    fn copy_blocks(&self, path: &str, bytes: &mut Vec<u8>, input: &mut Input<'_>) {
        let other = self.pick(input);
        let source = match other.and_then(|other| self.files.get(&other)) {
            Some(other) => other.clone(),
            None => bytes.clone(),
        };
        let (from, to) = blocks(&source, input);
        let at = input.below(bytes.len() / BLOCK + 1) * BLOCK;
        let piece = &source[from..to];
        let end = at + piece.len();
        if end <= FILE_BYTES_MAX {
            bytes.resize(bytes.len().max(end), 0);
            bytes[at..end].copy_from_slice(piece);
            self.seal(path, bytes, at);
        }
    }

    /// Copies a frame to another place of this file, where it says that it belongs, perhaps with
    /// another number.
    fn move_frame(&self, path: &str, bytes: &mut [u8], input: &mut Input<'_>) {
        let (Some(from), Some(id)) = (unit(bytes, input), file_id(path)) else {
            return;
        };
        if !bytes[from..].starts_with(b"ODFR") || bytes.len() < from + 128 {
            return;
        }
        let length = word(bytes, from + 88).next_multiple_of(BLOCK);
        let to = input.below(bytes.len() / BLOCK) * BLOCK;
        let ahead = u64::try_from(input.below(8)).unwrap();
        if length == 0 || from + length > bytes.len() || to + length > bytes.len() {
            return;
        }
        bytes.copy_within(from..from + length, to);
        put_file_id(&mut bytes[to + 40..to + 54], id);
        bytes[to + 56..to + 64].copy_from_slice(&u64::try_from(to).unwrap().to_le_bytes());
        for at in [to + 64, to + 72] {
            let number = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
            let number = number.wrapping_add(ahead).to_le_bytes();
            bytes[at..at + 8].copy_from_slice(&number);
        }
        self.seal(path, bytes, to);
    }

    /// Puts the checksums of the unit right that begins at `at`, as far as its lengths allow.
    fn seal(&self, path: &str, bytes: &mut [u8], at: usize) {
        let owner = self.owners.get(path).copied();
        let Some(rest) = bytes.get_mut(at..) else {
            return;
        };
        match rest.get(..4) {
            Some(b"ODFR") if rest.len() >= 128 => seal_frame(rest),
            Some(b"ODMF") if rest.len() >= 64 => {
                let end = 64_usize.saturating_add(word(rest, 12));
                seal_range(rest, 8, end, 0);
            }
            Some(b"ODRA") if rest.len() >= 32 => {
                let end = word(rest, 12);
                seal_range(rest, 16, end, 0);
            }
            Some(b"ODEX") if rest.len() >= 64 => {
                if let (Some(log), Some(file)) = (owner, file_id(path)) {
                    let end = 64_usize.saturating_add(word(rest, 12));
                    seal_range(rest, 8, end, place_seed(log, file, at));
                }
            }
            _ => {}
        }
    }
}

/// Which log's extents a segment holds: the one whose seed makes the first checksum right.
fn owner(path: &str, bytes: &[u8]) -> Option<LogId> {
    let file = file_id(path).filter(|_| path.ends_with(".segment"))?;
    let bytes = Bytes::copy_from_slice(bytes);
    let ids = (0..64).map(|counter| LogId {
        run: 1,
        lane: 0,
        counter,
    });
    ids.into_iter().find(|log| {
        let place = ExtentPlace {
            log: *log,
            file,
            position: 0,
        };
        ExtentView::decode(&bytes, &place).is_ok()
    })
}

fn file_id(path: &str) -> Option<FileId> {
    FileId::parse(path.rsplit('/').next()?.split('.').next()?)
}

fn put_file_id(out: &mut [u8], file: FileId) {
    out[..8].copy_from_slice(&file.run.to_le_bytes());
    out[8..12].copy_from_slice(&file.counter.to_le_bytes());
    out[12..14].copy_from_slice(&file.lane.to_le_bytes());
}

fn place_seed(log: LogId, file: FileId, position: usize) -> u32 {
    let mut seed = [0; 36];
    seed[..8].copy_from_slice(&log.run.to_le_bytes());
    seed[8..12].copy_from_slice(&log.counter.to_le_bytes());
    seed[12..14].copy_from_slice(&log.lane.to_le_bytes());
    put_file_id(&mut seed[14..28], file);
    seed[28..].copy_from_slice(&u64::try_from(position).unwrap().to_le_bytes());
    crc32c::crc32c(&seed)
}

fn word(bytes: &[u8], at: usize) -> usize {
    let word = bytes[at..at + 4].try_into().unwrap();
    usize::try_from(u32::from_le_bytes(word)).unwrap()
}

/// Writes the checksum of `..end`, which leaves its own four bytes out, to `at`.
fn seal_range(unit: &mut [u8], at: usize, end: usize, seed: u32) {
    if (at + 4..=unit.len()).contains(&end) {
        let crc = crc32c::crc32c_append(seed, &unit[..at]);
        let crc = crc32c::crc32c_append(crc, &unit[at + 4..end]);
        unit[at..at + 4].copy_from_slice(&crc.to_le_bytes());
    }
}

fn seal_frame(frame: &mut [u8]) {
    let table_at = 128_usize.saturating_add(word(frame, 84));
    let table_end = table_at.saturating_add(word(frame, 80).min(4096) * 64);
    if table_end <= frame.len() {
        let mut at = 128_usize;
        for row in (table_at..table_end).step_by(64) {
            let end = at.saturating_add(word(frame, row + 44));
            if end <= table_at {
                let crc = crc32c::crc32c(&frame[at..end]);
                frame[row + 48..row + 52].copy_from_slice(&crc.to_le_bytes());
                at = end;
            }
        }
        let crc = crc32c::crc32c(&frame[table_at..table_end]);
        frame[12..16].copy_from_slice(&crc.to_le_bytes());
    }
    seal_range(frame, 8, 128, 0);
}

/// Where one of the units of a file begins.
fn unit(bytes: &[u8], input: &mut Input<'_>) -> Option<usize> {
    let magics: [&[u8]; 4] = [b"ODFR", b"ODMF", b"ODRA", b"ODEX"];
    let starts: Vec<_> = (0..bytes.len())
        .step_by(64)
        .filter(|at| magics.iter().any(|magic| bytes[*at..].starts_with(magic)))
        .collect();
    let place = input.below(starts.len());
    starts.get(place).copied()
}

/// Sets a field of a unit to something extreme, or near what it was: in its header, or in what its
/// header says is its table or payload.
fn set_field(unit: &mut [u8], input: &mut Input<'_>) {
    let is_frame = unit.starts_with(b"ODFR");
    let (from, bytes) = match input.byte() % 3 {
        0 => (0, 128),
        1 if is_frame => (128_usize.saturating_add(word(unit, 84)), 256),
        1 => (64, 512),
        _ => (64, 8 * BLOCK),
    };
    let from = if from < unit.len() { from } else { 0 };
    let at = from + input.below(bytes.min(unit.len() - from));
    let width = [1, 2, 4, 8][input.byte() % 4];
    let end = (at + width).min(unit.len());
    let choice = input.byte();
    let mut old = [0; 8];
    old[..end - at].copy_from_slice(&unit[at..end]);
    let old = u64::from_le_bytes(old);
    let value = match choice % 4 {
        0 => old.wrapping_add(1),
        1 => old.wrapping_sub(1),
        2 => old ^ 1 << (choice / 4 % 64),
        _ => VALUES[choice / 4 % VALUES.len()],
    };
    unit[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
}

fn flip(bytes: &mut [u8], input: &mut Input<'_>) {
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0);
    let bound = if input.byte() < 200 {
        used + 1
    } else {
        bytes.len()
    };
    let at = (input.below(1 << 16) * bound) >> 16;
    let bit = input.byte() % 8;
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << bit;
    }
}

/// A few whole blocks.
fn blocks(bytes: &[u8], input: &mut Input<'_>) -> (usize, usize) {
    let from = input.below(bytes.len() / BLOCK + 1) * BLOCK;
    let count = 1 + input.below(8);
    (
        from.min(bytes.len()),
        (from + count * BLOCK).min(bytes.len()),
    )
}
