//! What is done to a well-formed request.

use engine_codec::crc::crc32c;

use crate::random::Random;
use crate::seeds::Seed;

const CRC_AT: usize = 17;
const CRC_FROM: usize = 21;
const INTERESTING: [u8; 8] = [0, 1, 2, 0x7e, 0x7f, 0x80, 0xfe, 0xff];

/// A frame made of one of `seeds`, with one to three things wrong with it, or none at all.
pub fn mutate(seeds: &[Seed], random: &mut Random) -> Vec<u8> {
    let seed = random.pick(seeds);
    let mut frame = seed.bytes.clone();
    for _ in 0..*random.pick(&[1_usize, 1, 1, 1, 2, 3]) {
        match random.below(16) {
            0 => return frame,
            1 | 2 => flip(&mut frame, 4, random),
            3 => byte(&mut frame, 4, random),
            4 | 5 => number(&mut frame, 4, random),
            6 => cut(&mut frame, random),
            7 => length(&mut frame, random),
            8 => splice(&mut frame, &random.pick(seeds).bytes.clone(), random),
            9 => repeat(&mut frame, random),
            10 => insert(&mut frame, random),
            11 => noise(&mut frame, random),
            12 => header(&mut frame, random),
            13 => long_varint(&mut frame, random),
            _ => match seed.batch.clone() {
                // Elsewhere it may have moved.
                Some(batch) if frame.len() == seed.bytes.len() => {
                    records(&mut frame[batch], random);
                }
                _ => number(&mut frame, 12, random),
            },
        }
    }
    frame
}

fn place(frame: &[u8], from: usize, random: &mut Random) -> Option<usize> {
    let room = frame.len().checked_sub(from).filter(|room| *room > 0)?;
    Some(from + random.below(room))
}

fn flip(frame: &mut [u8], from: usize, random: &mut Random) {
    for _ in 0..=random.below(8) {
        if let Some(at) = place(frame, from, random) {
            frame[at] ^= 1 << random.below(8);
        }
    }
}

fn byte(frame: &mut [u8], from: usize, random: &mut Random) {
    if let Some(at) = place(frame, from, random) {
        frame[at] = *random.pick(&INTERESTING);
    }
}

/// Puts an extreme number of two, four or eight bytes somewhere.
fn number(frame: &mut [u8], from: usize, random: &mut Random) {
    let width = *random.pick(&[2_usize, 4, 8]);
    let Some(at) = place(frame, from, random) else {
        return;
    };
    let value: [u8; 8] = match random.below(6) {
        0 => [0xff; 8],
        1 => [0; 8],
        2 => i64::MAX.to_be_bytes(),
        3 => i64::MIN.to_be_bytes(),
        4 => (random.draw() % 1000).to_be_bytes(),
        _ => random.draw().to_be_bytes(),
    };
    let value = if value[0] == 0 && value[7] != 0 {
        &value[8 - width..]
    } else {
        &value[..width]
    };
    for (target, source) in frame[at..].iter_mut().zip(value) {
        *target = *source;
    }
}

/// A frame that says how long it is, and whose body ends too early.
fn cut(frame: &mut Vec<u8>, random: &mut Random) {
    if let Some(at) = place(frame, 4, random) {
        frame.truncate(at);
        set_length(frame);
    }
}

/// A length that is not true.
fn length(frame: &mut [u8], random: &mut Random) {
    let Some(head) = frame.first_chunk_mut::<4>() else {
        return;
    };
    let length = i32::from_be_bytes(*head);
    let wrong = match random.below(9) {
        0 => -1,
        1 => 0,
        2 => i32::MIN,
        3 => i32::MAX,
        4 => length.wrapping_add(1),
        5 => length.wrapping_sub(1),
        6 => 100 << 20,
        7 => (100 << 20) + 1,
        _ => length.wrapping_mul(1000),
    };
    *head = wrong.to_be_bytes();
}

fn splice(frame: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let (Some(at), Some(from)) = (place(frame, 4, random), place(other, 4, random)) else {
        return;
    };
    frame.truncate(at);
    frame.extend_from_slice(&other[from..]);
    set_length(frame);
}

/// A range comes twice: fields, tags, elements.
fn repeat(frame: &mut Vec<u8>, random: &mut Random) {
    let Some(at) = place(frame, 4, random) else {
        return;
    };
    let end = (at + 1 + random.below(64)).min(frame.len());
    let range = frame[at..end].to_vec();
    for _ in 0..=random.below(4) {
        frame.splice(at..at, range.iter().copied());
    }
    set_length(frame);
}

fn insert(frame: &mut Vec<u8>, random: &mut Random) {
    let Some(at) = place(frame, 4, random) else {
        return;
    };
    let bytes: Vec<u8> = (0..=random.below(16)).map(|_| random.byte()).collect();
    frame.splice(at..at, bytes);
    set_length(frame);
}

/// Noise behind a header that makes sense.
fn noise(frame: &mut Vec<u8>, random: &mut Random) {
    frame.truncate(27);
    let count = random.below(400);
    frame.extend((0..count).map(|_| random.byte()));
    set_length(frame);
}

/// Another API, another version.
fn header(frame: &mut [u8], random: &mut Random) {
    let api = i16::try_from(random.below(130)).unwrap_or(0) - 1;
    let version = i16::try_from(random.below(20)).unwrap_or(0) - 1;
    if random.below(2) == 0
        && let Some(place) = frame.get_mut(4..6)
    {
        place.copy_from_slice(&api.to_be_bytes());
    }
    if let Some(place) = frame.get_mut(6..8) {
        place.copy_from_slice(&version.to_be_bytes());
    }
}

/// A varint of the largest value, or one that never ends.
fn long_varint(frame: &mut Vec<u8>, random: &mut Random) {
    let Some(at) = place(frame, 12, random) else {
        return;
    };
    let bytes: &[u8] = match random.below(4) {
        0 => &[0xff, 0xff, 0xff, 0xff, 0x0f],
        1 => &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        2 => &[0x80, 0x80, 0x80, 0x80, 0x00],
        _ => &[0x80; 12],
    };
    frame.splice(at..=at, bytes.iter().copied());
    set_length(frame);
}

/// Something is wrong inside a batch, whose checksum is right all the same.
fn records(batch: &mut [u8], random: &mut Random) {
    match random.below(6) {
        0 => flip(batch, 0, random),
        // Attributes, deltas, times, producer, sequence, count.
        1 => number(&mut batch[..61], 21, random),
        2 => byte(&mut batch[..61], 21, random),
        3 => flip(batch, 61, random),
        4 => number(batch, 61, random),
        // Magic, length, epoch.
        _ => byte(&mut batch[..17], 8, random),
    }
    if random.below(8) > 0 {
        let crc = crc32c(&batch[CRC_FROM..]);
        batch[CRC_AT..CRC_FROM].copy_from_slice(&crc.to_be_bytes());
    }
}

fn set_length(frame: &mut [u8]) {
    let length = u32::try_from(frame.len().saturating_sub(4)).unwrap_or(0);
    if let Some(head) = frame.first_chunk_mut::<4>() {
        *head = length.to_be_bytes();
    }
}
