//! Sockets: made, bound, tuned. None of it waits.

use std::net::SocketAddr;
use std::os::fd::RawFd;

use super::area::{read_address, write_address};
use super::{check, direct};
use crate::listener::ListenOptions;

/// A new TCP socket for the family of `address`.
pub(super) fn stream_socket(address: SocketAddr) -> Result<RawFd, i32> {
    let family = if address.is_ipv4() {
        libc::AF_INET
    } else {
        libc::AF_INET6
    };
    // SAFETY: plain numbers.
    check(unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) })
}

fn set_option(socket: RawFd, level: i32, name: i32) -> Result<(), i32> {
    let on: libc::c_int = 1;
    let bytes = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap_or(0);
    // SAFETY: `on` outlives the call and is as long as said.
    let set = unsafe { libc::setsockopt(socket, level, name, (&raw const on).cast(), bytes) };
    check(set).map(drop)
}

fn bind(socket: RawFd, address: SocketAddr) -> Result<(), i32> {
    // SAFETY: all zeros is a value of this plain type.
    let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let bytes = write_address(&mut storage, address);
    // SAFETY: `storage` holds an address of that many bytes.
    check(unsafe { libc::bind(socket, (&raw const storage).cast(), bytes) }).map(drop)
}

/// The address a socket is bound to.
pub(super) fn local_address(socket: RawFd) -> Result<SocketAddr, i32> {
    // SAFETY: all zeros is a value of this plain type.
    let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let mut bytes = libc::socklen_t::try_from(size_of::<libc::sockaddr_storage>()).unwrap_or(0);
    // SAFETY: room for any address, and its length.
    let named = unsafe { libc::getsockname(socket, (&raw mut storage).cast(), &raw mut bytes) };
    check(named)?;
    read_address(&storage).ok_or(libc::EAFNOSUPPORT)
}

/// Runs `set_up` on a new socket, which is closed if that fails.
fn with_socket<T>(
    address: SocketAddr,
    set_up: impl FnOnce(RawFd) -> Result<T, i32>,
) -> Result<(RawFd, T), i32> {
    let socket = stream_socket(address)?;
    match set_up(socket) {
        Ok(value) => Ok((socket, value)),
        Err(errno) => {
            direct::close(socket);
            Err(errno)
        }
    }
}

pub(super) fn listen(
    address: SocketAddr,
    options: ListenOptions,
) -> Result<(RawFd, SocketAddr), i32> {
    with_socket(address, |socket| {
        set_option(socket, libc::SOL_SOCKET, libc::SO_REUSEADDR)?;
        if options.reuse_port {
            set_option(socket, libc::SOL_SOCKET, libc::SO_REUSEPORT)?;
        }
        bind(socket, address)?;
        let backlog = i32::try_from(options.backlog).unwrap_or(i32::MAX);
        // SAFETY: a bound socket of ours.
        check(unsafe { libc::listen(socket, backlog) })?;
        local_address(socket)
    })
}

/// Binds and listens without SO_REUSEPORT, which fails where anybody listens, and gives up again.
pub(crate) fn probe_port(address: SocketAddr) -> Result<SocketAddr, i32> {
    let options = ListenOptions {
        reuse_port: false,
        backlog: 1,
    };
    let (socket, local) = listen(address, options)?;
    direct::close(socket);
    Ok(local)
}

/// Sends small answers at once. A socket that refuses is slower, not wrong.
pub(super) fn set_no_delay(socket: RawFd) {
    let _ = set_option(socket, libc::IPPROTO_TCP, libc::TCP_NODELAY);
}
