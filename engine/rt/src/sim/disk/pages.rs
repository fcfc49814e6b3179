//! The bytes of one file: a size and its 4 KiB pages, shared between copies until written.
//!
//! Keeps:
//! - a page that was never written reads as zeros;
//! - what lies past `size` reads as zeros once the file grows over it again.
//!
//! Does not: know what is durable (`file`).

use bytes::{Bytes, BytesMut};

/// The unit in which pages are kept, and which direct I/O must be aligned to.
pub(crate) const PAGE_BYTES: u64 = 4096;
/// The unit that a power cut never tears.
pub(crate) const SECTOR_BYTES: u64 = 512;

const PAGE: usize = 4096;

/// What a file holds. A clone shares all pages.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pages {
    /// Missing ones, and those past the end of the list, are zeros.
    pages: Vec<Option<Bytes>>,
    size: u64,
}

pub(crate) fn to_index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

pub(crate) fn to_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

impl Pages {
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    fn page(&self, index: usize) -> Option<&Bytes> {
        self.pages.get(index).and_then(Option::as_ref)
    }

    /// Copies what stands from `offset` on into `out`; returns how much of `out` lies before the
    /// end of the file. The rest of `out` is left alone.
    pub(crate) fn read(&self, offset: u64, out: &mut [u8]) -> usize {
        let length = to_index(self.size.saturating_sub(offset)).min(out.len());
        let mut done = 0;
        while let Some(rest) = out.get_mut(done..length).filter(|rest| !rest.is_empty()) {
            let at = offset.saturating_add(to_u64(done));
            let within = to_index(at % PAGE_BYTES);
            let count = rest.len().min(PAGE - within);
            let Some(target) = rest.get_mut(..count) else {
                break;
            };
            match self
                .page(to_index(at / PAGE_BYTES))
                .and_then(|page| page.get(within..within + count))
            {
                Some(source) => target.copy_from_slice(source),
                None => target.fill(0),
            }
            done += count;
        }
        length
    }

    /// Puts `data` at `offset`; the file grows where `data` reaches past its end.
    ///
    /// Whole pages become slices of `data`, which the caller must own alone for that reason.
    pub(crate) fn write(&mut self, offset: u64, data: &Bytes) {
        self.size = self.size.max(offset.saturating_add(to_u64(data.len())));
        self.put(offset, data);
    }

    /// Like `write`, but never grows the file: what lies past its end is dropped.
    pub(crate) fn overwrite(&mut self, offset: u64, data: &Bytes) {
        let length = to_index(self.size.saturating_sub(offset)).min(data.len());
        self.put(offset, &data.slice(..length));
    }

    fn put(&mut self, offset: u64, data: &Bytes) {
        if data.is_empty() {
            return;
        }
        let last = to_index(offset.saturating_add(to_u64(data.len() - 1)) / PAGE_BYTES);
        if self.pages.len() <= last {
            self.pages.resize(last + 1, None);
        }
        let mut done = 0;
        while done < data.len() {
            let at = offset.saturating_add(to_u64(done));
            let within = to_index(at % PAGE_BYTES);
            let count = (data.len() - done).min(PAGE - within);
            let part = data.slice(done..done + count);
            if let Some(slot) = self.pages.get_mut(to_index(at / PAGE_BYTES)) {
                *slot = Some(if count == PAGE {
                    part
                } else {
                    patched(slot.as_ref(), within, &part)
                });
            }
            done += count;
        }
    }

    /// Cuts the file, or lets it grow with zeros.
    pub(crate) fn set_size(&mut self, size: u64) {
        if size < self.size {
            let whole = size.div_ceil(PAGE_BYTES);
            self.pages.truncate(to_index(whole));
            let within = to_index(size % PAGE_BYTES);
            if within > 0
                && let Some(Some(page)) = self.pages.get_mut(to_index(size / PAGE_BYTES))
            {
                let mut bytes = BytesMut::zeroed(PAGE);
                if let (Some(to), Some(from)) = (bytes.get_mut(..within), page.get(..within)) {
                    to.copy_from_slice(from);
                }
                *page = bytes.freeze();
            }
        }
        self.size = size;
    }

    /// Grows the file with zeros to at least `size`.
    pub(crate) fn extend(&mut self, size: u64) {
        self.size = self.size.max(size);
    }
}

fn patched(page: Option<&Bytes>, within: usize, part: &[u8]) -> Bytes {
    let mut bytes = match page {
        Some(page) => BytesMut::from(&page[..]),
        None => BytesMut::zeroed(PAGE),
    };
    if let Some(target) = bytes.get_mut(within..within + part.len()) {
        target.copy_from_slice(part);
    }
    bytes.freeze()
}

/// Two files are equal if they read the same.
impl PartialEq for Pages {
    fn eq(&self, other: &Self) -> bool {
        let zeros = [0_u8; PAGE];
        let count = self.pages.len().max(other.pages.len());
        self.size == other.size
            && (0..count).all(|index| {
                let mine = self.page(index).map_or(&zeros[..], |page| &page[..]);
                let its = other.page(index).map_or(&zeros[..], |page| &page[..]);
                mine.as_ptr() == its.as_ptr() || mine == its
            })
    }
}

impl Eq for Pages {}
