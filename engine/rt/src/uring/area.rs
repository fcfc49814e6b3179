//! Memory the kernel reads or writes beside an operation's buffers, at a fixed address.
//!
//! Keeps: an area belongs to one operation from submission to its last completion, then to the
//! pool; vectors keep their room, so a warm shard allocates nothing per operation.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ptr;

use bytes::Bytes;

/// Slices that one entry may carry (the kernel's UIO_MAXIOV).
pub(super) const SLICES_MAX: usize = 1024;
/// Bytes that one entry may move (the kernel's MAX_RW_COUNT, in whole blocks).
pub(super) const BYTES_MAX: usize = 0x7fff_f000;
/// Areas kept for later.
const POOL_MAX: usize = 1024;

pub(super) struct Area {
    pub(super) message: libc::msghdr,
    slices: Vec<libc::iovec>,
    pub(super) address: libc::sockaddr_storage,
    pub(super) address_bytes: libc::socklen_t,
    pub(super) status: libc::statx,
}

impl Area {
    fn new() -> Self {
        // SAFETY: each of the three is plain data for which all zeros is a value.
        let message = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        let address = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        let status = unsafe { std::mem::zeroed() };
        Self {
            message,
            slices: Vec::new(),
            address,
            address_bytes: 0,
            status,
        }
    }

    /// Lists `chunks` (as many as one entry takes) as the kernel wants them.
    pub(super) fn set_slices<'a>(&mut self, chunks: impl Iterator<Item = &'a Bytes>) {
        self.slices.clear();
        let mut room = BYTES_MAX;
        for chunk in chunks.take(SLICES_MAX) {
            let length = chunk.len().min(room);
            self.slices.push(libc::iovec {
                iov_base: chunk.as_ptr().cast_mut().cast(),
                iov_len: length,
            });
            room = room.saturating_sub(length);
            if room == 0 {
                break;
            }
        }
    }

    pub(super) fn slices(&self) -> (*const libc::iovec, u32) {
        (
            self.slices.as_ptr(),
            u32::try_from(self.slices.len()).unwrap_or(0),
        )
    }

    /// The message header over the slices.
    pub(super) fn set_message(&mut self) {
        self.message.msg_iov = self.slices.as_mut_ptr();
        self.message.msg_iovlen = self.slices.len();
    }

    pub(super) fn set_address(&mut self, address: SocketAddr) {
        self.address_bytes = write_address(&mut self.address, address);
    }

    pub(super) fn clear_address(&mut self) {
        self.address_bytes =
            libc::socklen_t::try_from(size_of::<libc::sockaddr_storage>()).unwrap_or(0);
    }

    pub(super) fn peer(&self) -> Option<SocketAddr> {
        read_address(&self.address)
    }
}

/// Writes `address` in the kernel's form and returns its length.
pub(super) fn write_address(
    to: &mut libc::sockaddr_storage,
    address: SocketAddr,
) -> libc::socklen_t {
    let bytes = match address {
        SocketAddr::V4(v4) => {
            let raw = libc::sockaddr_in {
                sin_family: libc::sa_family_t::try_from(libc::AF_INET).unwrap_or(0),
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr {
                    s_addr: u32::from_ne_bytes(v4.ip().octets()),
                },
                sin_zero: [0; 8],
            };
            // SAFETY: a storage is larger than, and aligned for, every address form.
            unsafe { ptr::write(ptr::from_mut(to).cast(), raw) };
            size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(v6) => {
            let raw = libc::sockaddr_in6 {
                sin6_family: libc::sa_family_t::try_from(libc::AF_INET6).unwrap_or(0),
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr {
                    s6_addr: v6.ip().octets(),
                },
                sin6_scope_id: v6.scope_id(),
            };
            // SAFETY: as above.
            unsafe { ptr::write(ptr::from_mut(to).cast(), raw) };
            size_of::<libc::sockaddr_in6>()
        }
    };
    libc::socklen_t::try_from(bytes).unwrap_or(0)
}

/// Reads an address in the kernel's form; `None` if it is no IP address.
pub(super) fn read_address(from: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(from.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the storage, which is large enough, holds this form.
            let raw: libc::sockaddr_in = unsafe { ptr::read(ptr::from_ref(from).cast()) };
            let ip = Ipv4Addr::from(raw.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddrV4::new(ip, u16::from_be(raw.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let raw: libc::sockaddr_in6 = unsafe { ptr::read(ptr::from_ref(from).cast()) };
            let ip = Ipv6Addr::from(raw.sin6_addr.s6_addr);
            let port = u16::from_be(raw.sin6_port);
            Some(SocketAddrV6::new(ip, port, raw.sin6_flowinfo, raw.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// Areas by operation slot, and those nobody uses.
#[derive(Default)]
pub(super) struct Areas {
    used: Vec<Option<Box<Area>>>,
    #[expect(
        clippy::vec_box,
        reason = "areas move between both lists and keep their address"
    )]
    pool: Vec<Box<Area>>,
}

impl Areas {
    /// The area of slot `slot` from now until it is given back.
    pub(super) fn take(&mut self, slot: u32) -> &mut Area {
        let area = self.pool.pop().unwrap_or_else(|| Box::new(Area::new()));
        let index = usize::try_from(slot).unwrap_or(usize::MAX);
        if self.used.len() <= index {
            self.used.resize_with(index.saturating_add(1), || None);
        }
        match self.used.get_mut(index) {
            Some(place) => place.insert(area),
            // The line above made room for it.
            None => std::process::abort(),
        }
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Area> {
        self.used.get(usize::try_from(slot).ok()?)?.as_deref()
    }

    /// The operation of `slot` is through with its area, if it had one.
    pub(super) fn give_back(&mut self, slot: u32) {
        let area = usize::try_from(slot)
            .ok()
            .and_then(|index| self.used.get_mut(index))
            .and_then(Option::take);
        if let Some(area) = area
            && self.pool.len() < POOL_MAX
        {
            self.pool.push(area);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back_as_they_went_in() {
        for text in [
            "127.0.0.1:9092",
            "[::1]:65535",
            "[fe80::1%3]:1",
            "0.0.0.0:0",
        ] {
            let address: SocketAddr = text.parse().unwrap();
            // SAFETY: all zeros is a value of this plain type.
            let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
            write_address(&mut storage, address);
            assert_eq!(read_address(&storage), Some(address), "{text}");
        }
    }
}
