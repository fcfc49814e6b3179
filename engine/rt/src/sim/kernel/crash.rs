//! What a crash does to the system below a node: operations under way leave any part of what they
//! were to do, descriptors and locks are gone, the disk is what the crash left.

use super::{Handle, Kernel, gather};
use crate::op::Operation;
use crate::sim::disk::{CrashKind, CrashLosses, Disk, OpenMode};
use crate::sim::random::SeededRandom;

impl Kernel {
    /// What an operation that a crash met under way leaves on `disk`, a copy of this one's.
    pub(in crate::sim) fn interrupt(
        &self,
        operation: &Operation,
        mark: u64,
        disk: &mut Disk,
        random: &mut SeededRandom,
    ) {
        // An error leaves nothing, which is one of the things that may happen.
        let happens = random.flip();
        match operation {
            Operation::Write {
                file,
                offset,
                chunks,
            } => {
                if let Ok((node, _)) = self.file(file) {
                    disk.interrupt_write(node, *offset, &gather(chunks, chunks.len()), random);
                }
            }
            _ if !happens => {}
            Operation::Sync { file, .. } => {
                let _ = match self.handle(file.raw()) {
                    Ok(Handle::File { node, .. }) => disk.flush(node, mark),
                    Ok(Handle::Directory { node }) => disk.sync_directory(node, mark),
                    _ => Ok(()),
                };
            }
            Operation::Allocate {
                file,
                offset,
                length,
            } => {
                if let Ok((node, _)) = self.file(file) {
                    let _ = disk.allocate(node, *offset, *length);
                }
            }
            Operation::Truncate { file, length } => {
                if let Ok((node, _)) = self.file(file) {
                    let _ = disk.set_size(node, *length);
                }
            }
            Operation::OpenFile {
                parent,
                name,
                options,
            } if options.create || options.create_new => {
                if let Ok(parent) = self.directory(parent) {
                    let mode = OpenMode {
                        create: options.create,
                        create_new: options.create_new,
                    };
                    let _ = disk.open_file(parent, name.as_str(), mode);
                }
            }
            Operation::CreateDirectory { parent, name } => {
                if let Ok(parent) = self.directory(parent) {
                    let _ = disk.make_directory(parent, name.as_str());
                }
            }
            Operation::Rename { parent, from, to } => {
                if let Ok(parent) = self.directory(parent) {
                    let _ = disk.rename(parent, from.as_str(), to.as_str());
                }
            }
            Operation::Remove {
                parent,
                name,
                directory,
            } => {
                if let Ok(parent) = self.directory(parent) {
                    let _ = if *directory {
                        disk.remove_directory(parent, name.as_str())
                    } else {
                        disk.unlink(parent, name.as_str())
                    };
                }
            }
            _ => {}
        }
    }

    /// Goes down and comes up with `disk`: nothing is open, nothing locked.
    pub(in crate::sim) fn restart(&mut self, disk: Disk) {
        self.disk = disk;
        self.descriptors.clear();
        self.locks.clear();
        self.faults.forget_crash_point();
    }

    pub(in crate::sim) fn count_crash(
        &mut self,
        kind: CrashKind,
        interrupted: u64,
        losses: CrashLosses,
    ) {
        let counts = &mut self.faults.counts;
        counts.crashes += 1;
        counts.operations_interrupted += interrupted;
        if kind == CrashKind::Power {
            counts.writes_lost += losses.writes_lost;
            counts.writes_torn += losses.writes_torn;
            counts.changes_lost += losses.changes_lost;
            counts.blocks_garbled += losses.blocks_garbled;
        }
    }
}
