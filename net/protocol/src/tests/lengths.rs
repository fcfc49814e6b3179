//! Every length of every message in every version, set to what no honest client writes.
//!
//! The reader tells where it read a length; the same bytes are then read again with another number
//! at that place.

use super::fixtures::{Fixture, fixtures};
use super::for_each_message;
use crate::api::Version;
use crate::{DecodeError, Message, Reader, Writer};
use bytes::Bytes;
use std::cell::{Cell, RefCell};

/// How a length is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    Two,
    Four,
    Varint,
}

impl Width {
    pub(crate) fn of(version: Version, bytes: usize) -> Self {
        match (version.flexible, bytes) {
            (true, _) => Self::Varint,
            (false, 2) => Self::Two,
            (false, _) => Self::Four,
        }
    }
}

thread_local! {
    static NOTES: RefCell<Vec<(usize, Width)>> = const { RefCell::new(Vec::new()) };
    static RESERVED: Cell<usize> = const { Cell::new(0) };
}

/// A length stands at the start of `rest`.
pub(crate) fn note(rest: &Bytes, width: Width) {
    NOTES.with_borrow_mut(|notes| notes.push((rest.as_ptr().addr(), width)));
}

/// So much memory is taken for an array.
pub(crate) fn note_reserved(bytes: usize) {
    RESERVED.set(RESERVED.get() + bytes);
}

/// The most memory an element takes for each of its bytes on the wire.
const MEMORY_PER_BYTE_MAX: usize = 256;

/// Reads bytes and sees to it that no more memory was taken than they can justify.
fn read<M: Message>(version: i16, bytes: &Bytes) -> Result<M, DecodeError> {
    NOTES.take();
    RESERVED.set(0);
    let result = M::decode(version, &mut Reader::new(bytes.clone()));
    let reserved = RESERVED.get();
    assert!(
        reserved <= bytes.len() * MEMORY_PER_BYTE_MAX,
        "{reserved} bytes of memory for {} on the wire",
        bytes.len()
    );
    result
}

fn varint(value: u32) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.unsigned_varint(value);
    writer.into_bytes().to_vec()
}

/// What to write over a length, and whether that cannot be anything but an error.
fn corruptions(width: Width, standing: &[u8]) -> Vec<(Vec<u8>, bool)> {
    let mut all: Vec<(Vec<u8>, bool)> = Vec::new();
    match width {
        Width::Two => {
            let number = i16::from_be_bytes(standing.try_into().unwrap());
            for value in [
                -1,
                i16::MIN,
                0,
                number.wrapping_add(1),
                number.wrapping_sub(1),
            ] {
                all.push((value.to_be_bytes().to_vec(), false));
            }
            all.push((i16::MAX.to_be_bytes().to_vec(), true));
        }
        Width::Four => {
            let number = i32::from_be_bytes(standing.try_into().unwrap());
            for value in [
                -1,
                i32::MIN,
                0,
                number.wrapping_add(1),
                number.wrapping_sub(1),
            ] {
                all.push((value.to_be_bytes().to_vec(), false));
            }
            for value in [i32::MAX, i32::MAX - 1, 1 << 24] {
                all.push((value.to_be_bytes().to_vec(), true));
            }
        }
        Width::Varint => {
            let number = Reader::new(Bytes::copy_from_slice(standing))
                .unsigned_varint()
                .unwrap();
            for value in [0, 1, number.wrapping_add(1), number.wrapping_sub(1)] {
                let is_huge = value == u32::MAX;
                all.push((varint(value), is_huge));
            }
            for value in [1 << 15, 1 << 24, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
                all.push((varint(value), true));
            }
            // Too long, and of more than 32 bits.
            all.push((b"\x80\x80\x80\x80\x80\x01".to_vec(), true));
            all.push((b"\xff\xff\xff\xff\x7f".to_vec(), true));
        }
    }
    all
}

fn standing_bytes(bytes: &[u8], width: Width) -> usize {
    match width {
        Width::Two => 2,
        Width::Four => 4,
        Width::Varint => bytes.iter().take_while(|byte| **byte >= 0x80).count() + 1,
    }
}

/// Returns how many lengths there were.
fn check<M: Message>(what: &str, version: i16, bytes: &Bytes) -> usize {
    read::<M>(version, bytes).unwrap();
    let base = bytes.as_ptr().addr();
    let notes = NOTES.take();
    for (address, width) in &notes {
        let place = address - base;
        let length = standing_bytes(&bytes[place..], *width);
        let standing = &bytes[place..place + length];
        for (wrong, must_fail) in corruptions(*width, standing) {
            let changed = [&bytes[..place], &wrong, &bytes[place + length..]].concat();
            let result = read::<M>(version, &changed.into());
            assert!(
                !must_fail || result.is_err(),
                "{what}: {wrong:?} at {place}: {result:?}"
            );
            if let Ok(message) = result {
                assert_eq!(message.encode(version, &mut Writer::new()), Ok(()));
            }
        }
    }
    notes.len()
}

#[test]
fn a_length_that_lies_is_an_error_and_takes_no_memory() {
    let mut count = 0;
    macro_rules! each {
        ($name:ident, $module:ident) => {
            for Fixture {
                kind,
                version,
                bytes,
            } in fixtures(stringify!($name))
            {
                let what = format!("{} {kind} {version}", stringify!($name));
                count += check::<crate::$module::$name>(&what, version, &bytes);
            }
        };
    }
    for_each_message!(each);
    assert!(
        count > 2_000,
        "{count} lengths are too few to mean anything"
    );
}
