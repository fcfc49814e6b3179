//! An operation as an entry of the ring.

use std::ptr;

use io_uring::squeue::Entry;
use io_uring::{opcode, types};

use super::area::BYTES_MAX;
use super::direct;
use super::engine::Engine;
use crate::op::{Chunks, OpId, Operation};

/// How directories are opened.
const DIRECTORY_FLAGS: i32 = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
/// IORING_SEND_ZC_REPORT_USAGE: the notification says whether the bytes were copied all the same.
const SEND_ZC_REPORT_USAGE: u16 = 8;
const FILE_MODE: libc::mode_t = 0o600;
const DIRECTORY_MODE: libc::mode_t = 0o700;

fn length_of(bytes: usize) -> u32 {
    u32::try_from(bytes.min(BYTES_MAX)).unwrap_or(0)
}

impl Engine {
    /// Starts `operation`: as an entry of the ring, or at once where the ring cannot do it.
    pub(super) fn submit_operation(&self, id: OpId, operation: &mut Operation) {
        let mut entry = self.network_entry(id, operation);
        if entry.is_none() {
            entry = self.file_entry(id, operation);
        }
        if entry.is_none() {
            entry = Self::directory_entry(operation);
        }
        match entry {
            Some(entry) => self.push(entry.user_data(id.to_u64())),
            None => self.finish_now(id, direct::carry_out(operation)),
        }
    }

    /// The entry of an operation on a socket.
    fn network_entry(&self, id: OpId, operation: &mut Operation) -> Option<Entry> {
        Some(match operation {
            Operation::Accept { listener, .. } => {
                let mut areas = self.areas.borrow_mut();
                let area = areas.take(id.slot);
                area.clear_address();
                let address = ptr::from_mut(&mut area.address).cast();
                opcode::Accept::new(
                    types::Fd(listener.raw()),
                    address,
                    &raw mut area.address_bytes,
                )
                .flags(libc::SOCK_CLOEXEC)
                .build()
            }
            Operation::Connect { socket, address } => {
                let mut areas = self.areas.borrow_mut();
                let area = areas.take(id.slot);
                area.set_address(*address);
                let address = ptr::from_ref(&area.address).cast();
                opcode::Connect::new(types::Fd(socket.raw()), address, area.address_bytes).build()
            }
            Operation::Receive {
                socket,
                buffer,
                max,
                ..
            } => {
                let (room, length) = buffer.room(*max);
                opcode::Recv::new(types::Fd(socket.raw()), room, length_of(length)).build()
            }
            Operation::Send {
                socket,
                chunks,
                zero_copy,
            } => {
                if *zero_copy {
                    socket.pin(chunks.len());
                }
                self.send_entry(id, socket.raw(), chunks, *zero_copy)
            }
            Operation::Shutdown { socket } => {
                opcode::Shutdown::new(types::Fd(socket.raw()), libc::SHUT_RDWR).build()
            }
            _ => return None,
        })
    }

    /// The entry of an operation on an open file, or on any descriptor.
    fn file_entry(&self, id: OpId, operation: &mut Operation) -> Option<Entry> {
        Some(match operation {
            Operation::Read {
                file,
                offset,
                length,
                buffer,
            } => {
                let room = buffer.spare_mut();
                let length = length_of(room.len().min(*length));
                opcode::Read::new(types::Fd(file.raw()), room.as_mut_ptr().cast(), length)
                    .offset(*offset)
                    .build()
            }
            Operation::Write {
                file,
                offset,
                chunks,
            } => self.write_entry(id, file.raw(), *offset, chunks),
            Operation::Sync { file, data_only } => {
                let flags = if *data_only {
                    types::FsyncFlags::DATASYNC
                } else {
                    types::FsyncFlags::empty()
                };
                opcode::Fsync::new(types::Fd(file.raw()))
                    .flags(flags)
                    .build()
            }
            Operation::Allocate {
                file,
                offset,
                length,
            } => opcode::Fallocate::new(types::Fd(file.raw()), *length)
                .offset(*offset)
                .build(),
            Operation::Truncate { file, length } if self.can.truncate => {
                opcode::Ftruncate::new(types::Fd(file.raw()), *length).build()
            }
            Operation::Inspect { target, name, .. } => {
                let mut areas = self.areas.borrow_mut();
                let area = areas.take(id.slot);
                let (path, flags) = match name {
                    Some(name) => (name.as_c_str().as_ptr(), libc::AT_SYMLINK_NOFOLLOW),
                    None => (c"".as_ptr(), libc::AT_EMPTY_PATH),
                };
                let status = ptr::from_mut(&mut area.status).cast();
                opcode::Statx::new(types::Fd(target.raw()), path, status)
                    .flags(flags)
                    .mask(libc::STATX_SIZE | libc::STATX_TYPE)
                    .build()
            }
            Operation::Close { raw } => opcode::Close::new(types::Fd(*raw)).build(),
            _ => return None,
        })
    }

    /// The entry of an operation on names.
    fn directory_entry(operation: &Operation) -> Option<Entry> {
        Some(match operation {
            Operation::OpenRoot { path } => {
                opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), path.as_ptr())
                    .flags(DIRECTORY_FLAGS)
                    .build()
            }
            Operation::OpenDirectory { parent, name } => {
                opcode::OpenAt::new(types::Fd(parent.raw()), name.as_c_str().as_ptr())
                    .flags(DIRECTORY_FLAGS | libc::O_NOFOLLOW)
                    .build()
            }
            Operation::OpenFile {
                parent,
                name,
                options,
            } => opcode::OpenAt::new(types::Fd(parent.raw()), name.as_c_str().as_ptr())
                .flags(direct::open_flags(*options))
                .mode(FILE_MODE)
                .build(),
            Operation::CreateDirectory { parent, name } => {
                opcode::MkDirAt::new(types::Fd(parent.raw()), name.as_c_str().as_ptr())
                    .mode(DIRECTORY_MODE)
                    .build()
            }
            Operation::Rename { parent, from, to } => opcode::RenameAt::new(
                types::Fd(parent.raw()),
                from.as_c_str().as_ptr(),
                types::Fd(parent.raw()),
                to.as_c_str().as_ptr(),
            )
            .build(),
            Operation::Remove {
                parent,
                name,
                directory,
            } => {
                let flags = if *directory { libc::AT_REMOVEDIR } else { 0 };
                opcode::UnlinkAt::new(types::Fd(parent.raw()), name.as_c_str().as_ptr())
                    .flags(flags)
                    .build()
            }
            _ => return None,
        })
    }

    fn send_entry(&self, id: OpId, socket: i32, chunks: &Chunks, zero_copy: bool) -> Entry {
        let mut areas = self.areas.borrow_mut();
        let area = areas.take(id.slot);
        area.set_slices(chunks.iter());
        area.set_message();
        let flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
        let flags = u32::try_from(flags).unwrap_or(0);
        let message = ptr::from_ref(&area.message);
        if zero_copy && self.can.send_without_copy {
            opcode::SendMsgZc::new(types::Fd(socket), message)
                .ioprio(SEND_ZC_REPORT_USAGE)
                .flags(flags)
                .build()
        } else {
            opcode::SendMsg::new(types::Fd(socket), message)
                .flags(flags)
                .build()
        }
    }

    fn write_entry(&self, id: OpId, file: i32, offset: u64, chunks: &Chunks) -> Entry {
        let mut list = chunks.iter();
        if let (Some(only), None) = (list.next(), list.next()) {
            return opcode::Write::new(types::Fd(file), only.as_ptr(), length_of(only.len()))
                .offset(offset)
                .build();
        }
        let mut areas = self.areas.borrow_mut();
        let area = areas.take(id.slot);
        area.set_slices(chunks.iter());
        let (slices, count) = area.slices();
        opcode::Writev::new(types::Fd(file), slices, count)
            .offset(offset)
            .build()
    }
}
