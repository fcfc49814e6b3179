//! A completion of the ring as the end of its operation.

use io_uring::cqueue;

use super::engine::Engine;
use crate::op::{Completion, OpId, Operation, Status};
use crate::shard::Shard;

/// IORING_NOTIF_USAGE_ZC_COPIED: the bytes of a zero-copy send were copied all the same.
const NOTIF_USAGE_ZC_COPIED: i32 = i32::MIN;

impl Engine {
    pub(super) fn completed(&self, shard: &Shard, id: OpId, result: i32, flags: u32) {
        let more = cqueue::more(flags);
        if cqueue::notif(flags) {
            // The buffers of a zero-copy send are free; the result is not a count.
            shard.with_operation(id, |operation| {
                if let Operation::Send { socket, .. } = operation
                    && result & NOTIF_USAGE_ZC_COPIED != 0
                {
                    socket.note_copies();
                }
            });
        } else if let Ok(count) = usize::try_from(result) {
            shard.with_operation(id, |operation| self.bring_back(id, operation, count, flags));
        }
        if !more {
            shard.with_operation(id, |operation| {
                if let Operation::Send {
                    socket,
                    chunks,
                    zero_copy: true,
                } = operation
                {
                    socket.unpin(chunks.len());
                }
            });
            self.areas.borrow_mut().give_back(id.slot);
        }
        shard.complete(id, Completion { result, more });
    }

    /// Puts what the kernel has written where the operation keeps it.
    fn bring_back(&self, id: OpId, operation: &mut Operation, count: usize, flags: u32) {
        match operation {
            Operation::Accept { peer, .. } => {
                *peer = self
                    .areas
                    .borrow()
                    .get(id.slot)
                    .and_then(super::area::Area::peer);
            }
            Operation::Receive {
                buffer, max, more, ..
            } => {
                *more = cqueue::sock_nonempty(flags);
                // SAFETY: the kernel has written `count` bytes into the room that was made for
                // this entry, and the operation lay in the table since.
                unsafe { buffer.advance(count.min(*max)) };
            }
            Operation::Read { buffer, .. } => buffer.advance(count),
            Operation::Inspect { status, .. } => {
                if let Some(area) = self.areas.borrow().get(id.slot) {
                    let kind = u32::from(area.status.stx_mode) & libc::S_IFMT;
                    *status = Status {
                        size: area.status.stx_size,
                        is_directory: kind == libc::S_IFDIR,
                    };
                }
            }
            _ => {}
        }
    }
}
