//! The extents of a segment or state file, one after another.

use crate::format::{
    EXTENT_HEADER_BYTES, ExtentHeader, ExtentPlace, ExtentView, FormatError, is_zero, size,
};
use bytes::Bytes;

/// What stands at a block of a segment file.
#[derive(Clone, Debug)]
pub enum ExtentAt {
    /// Nothing was written here.
    End,
    /// An extent; `verified` if its checksum was right, else there was no telling.
    Extent {
        /// Header and payload.
        view: ExtentView,
        /// Whether the checksum could be checked, which takes the id of the log.
        verified: bool,
    },
    /// The extent goes on behind the bytes at hand.
    Short {
        /// Bytes it has.
        needed: usize,
    },
    /// An extent was here and is damaged, or belongs elsewhere.
    Damaged(FormatError),
}

/// Reads what stands at the start of `bytes`.
///
/// Without a `place` there is nothing to check the checksum with: header and length are all there
/// is to go by, and the batches' own checksums.
pub fn extent_at(bytes: &Bytes, place: Option<&ExtentPlace>) -> ExtentAt {
    let header = match ExtentHeader::peek(bytes) {
        Ok(header) => header,
        Err(FormatError::Magic { .. }) if is_blank(bytes) => return ExtentAt::End,
        Err(error) => return ExtentAt::Damaged(error),
    };
    let needed = header.extent_bytes();
    if bytes.len() < needed {
        return ExtentAt::Short { needed };
    }
    let Some(place) = place else {
        let from = EXTENT_HEADER_BYTES;
        let to = from.saturating_add(size(header.payload_bytes));
        return ExtentAt::Extent {
            view: ExtentView {
                header,
                payload: bytes.slice(from..to),
            },
            verified: false,
        };
    };
    match ExtentView::decode(bytes, place) {
        Ok(view) => ExtentAt::Extent {
            view,
            verified: true,
        },
        Err(error) => ExtentAt::Damaged(error),
    }
}

/// Whether the first bytes of a block are those of one that was never written.
fn is_blank(bytes: &[u8]) -> bool {
    bytes.get(..EXTENT_HEADER_BYTES).is_some_and(is_zero)
}
