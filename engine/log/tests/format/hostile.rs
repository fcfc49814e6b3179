//! Hostile bytes: nothing a decoder is given makes it panic, hang or allocate without measure.
//!
//! Random bytes seldom pass a checksum, so the checksums are put right after each mutation: what
//! is tested is the code behind them.

use super::samples::{Unit, units};
use engine_log::epochs::LeaderEpochs;
use engine_log::producers::Producers;
use proptest::prelude::*;
use proptest::sample::Index;

/// Makes the checksums of a changed unit right again, as far as its lengths allow.
pub fn fix_checksum(unit: &mut [u8]) {
    let length_at = |unit: &[u8], at: usize| {
        usize::try_from(u32::from_le_bytes(unit[at..at + 4].try_into().unwrap())).unwrap()
    };
    let crc_without = |seed: u32, unit: &[u8], at: usize| {
        crc32c::crc32c_append(crc32c::crc32c_append(seed, &unit[..at]), &unit[at + 4..])
    };
    let put = |unit: &mut [u8], at: usize, crc: u32| {
        unit[at..at + 4].copy_from_slice(&crc.to_le_bytes());
    };
    match unit.get(..4) {
        Some(b"ODFR") => {
            let rows = length_at(unit, 80).min(64);
            let table_at = 128_usize.saturating_add(length_at(unit, 84));
            let table_end = table_at + rows * 64;
            if table_end <= unit.len() {
                let mut at = 128_usize;
                for row in (table_at..table_end).step_by(64) {
                    let end = at.saturating_add(length_at(unit, row + 44));
                    if end <= table_at {
                        let crc = crc32c::crc32c(&unit[at..end]);
                        put(unit, row + 48, crc);
                        at = end;
                    }
                }
                let crc = crc32c::crc32c(&unit[table_at..table_end]);
                put(unit, 12, crc);
            }
            let crc = crc_without(0, &unit[..128], 8);
            put(unit, 8, crc);
        }
        Some(b"ODMF") => {
            let end = 64_usize.saturating_add(length_at(unit, 12));
            if end <= unit.len() {
                let crc = crc_without(0, &unit[..end], 8);
                put(unit, 8, crc);
            }
        }
        Some(b"ODRA") => {
            let end = length_at(unit, 12);
            if (32..=unit.len()).contains(&end) {
                let crc = crc_without(0, &unit[..end], 16);
                put(unit, 16, crc);
            }
        }
        // Extents: their seed is their place; their payloads have decoders of their own below.
        _ => {}
    }
}

const VALUES: [u64; 8] = [
    0,
    1,
    0x7f,
    0xff,
    0x7fff_ffff,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];

#[test]
fn extreme_values_in_any_field_are_survived() {
    for Unit { bytes, read, .. } in units() {
        let used = bytes.iter().rposition(|b| *b != 0).unwrap() + 1;
        for at in 0..used {
            for value in VALUES {
                for width in [1, 4, 8] {
                    let mut changed = bytes.clone();
                    let end = (at + width).min(changed.len());
                    changed[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
                    fix_checksum(&mut changed);
                    drop(read(&changed));
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..9000)) {
        for Unit { read, .. } in units() {
            prop_assert!(read(&bytes).is_err());
        }
    }

    #[test]
    fn changed_units_with_sound_checksums_are_survived(
        changes in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..12)
    ) {
        for Unit { bytes, read, .. } in units() {
            let used = bytes.iter().rposition(|b| *b != 0).unwrap() + 1;
            let mut changed = bytes.clone();
            for (at, value) in &changes {
                changed[at.index(used)] = *value;
            }
            fix_checksum(&mut changed);
            drop(read(&changed));
        }
    }

    #[test]
    fn changed_snapshots_are_survived(
        changes in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..6)
    ) {
        for Unit { name, bytes, .. } in units() {
            if !matches!(name, "extent_of_producers" | "extent_of_epochs") {
                continue;
            }
            let length = usize::try_from(u32::from_le_bytes(bytes[12..16].try_into().unwrap()));
            let mut payload = bytes[64..64 + length.unwrap()].to_vec();
            for (at, value) in &changes {
                let at = at.index(payload.len());
                payload[at] = *value;
            }
            if name == "extent_of_producers" {
                if let Ok(read) = Producers::decode(&payload) {
                    prop_assert_eq!(Producers::decode(&read.encode()), Ok(read));
                }
            } else if let Ok(read) = LeaderEpochs::decode(&payload) {
                prop_assert_eq!(LeaderEpochs::decode(&read.encode()), Ok(read));
            }
        }
    }
}
