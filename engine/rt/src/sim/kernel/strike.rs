//! What planned faults make of the operations of a node: errors, lies, writes to the wrong place,
//! misreads, slowness.
//!
//! Keeps: a fault is used up and counted only by an operation that it can happen to.
//! Does not: plan anything (`faults`).

use std::rc::Rc;

use super::{Answer, Kernel, count_result, gather};
use crate::buffer::BLOCK_BYTES;
use crate::descriptor::Descriptor;
use crate::op::Operation;
use crate::sim::disk::to_u64;
use crate::sim::faults::{FaultEffect, FaultKind};
use crate::sim::random::SeededRandom;

impl Kernel {
    /// Which faults go for `operation`, and what their path is made of: a descriptor and, for an
    /// operation on a name, that.
    fn exposure<'a>(
        &self,
        operation: &'a Operation,
    ) -> Option<(FaultKind, &'a Rc<Descriptor>, Option<&'a str>)> {
        let exposure = match operation {
            Operation::Read { file, .. } => (FaultKind::Read, file, None),
            Operation::Write { file, .. } => (FaultKind::Write, file, None),
            Operation::Allocate { file, .. } | Operation::Truncate { file, .. } => {
                (FaultKind::Space, file, None)
            }
            Operation::Sync { file, .. } if self.file(file).is_ok() => {
                (FaultKind::Flush, file, None)
            }
            Operation::Sync { file, .. } => (FaultKind::Directory, file, None),
            Operation::OpenFile { parent, name, .. }
            | Operation::OpenDirectory { parent, name }
            | Operation::CreateDirectory { parent, name }
            | Operation::Rename {
                parent, from: name, ..
            }
            | Operation::Remove { parent, name, .. } => {
                (FaultKind::Directory, parent, Some(name.as_str()))
            }
            _ => return None,
        };
        Some(exposure)
    }

    /// How much longer than usual `operation` takes, in nanoseconds.
    pub(in crate::sim) fn hold_up(&mut self, operation: &Operation) -> u64 {
        if !self.faults.is_slow() {
            return 0;
        }
        match self.exposure(operation) {
            Some((kind, ..)) => self.faults.hold_up(kind),
            None => 0,
        }
    }

    /// What the fault planned for `operation`, if any, makes of it.
    pub(super) fn strike(
        &mut self,
        operation: &mut Operation,
        mark: u64,
        random: &mut SeededRandom,
    ) -> Option<Answer<i32>> {
        let (kind, descriptor, name) = self.exposure(operation)?;
        let path = match name {
            Some(name) => descriptor.label().join(name),
            None => descriptor.label().target(),
        };
        let effect = self
            .faults
            .strike(kind, &path, |effect| can_suffer(operation, effect))?;
        Some(match effect {
            FaultEffect::Error(errno) => {
                self.fail(operation, errno, mark, random);
                Err(errno)
            }
            FaultEffect::Lie => match operation {
                Operation::Write { chunks, .. } => count_result(chunks.len()),
                _ => Ok(0),
            },
            FaultEffect::Misdirect => self.misdirect(operation, mark, random),
            FaultEffect::Garble => self.garble(operation, mark, random),
        })
    }

    /// What an operation that fails does all the same.
    fn fail(&mut self, operation: &Operation, errno: i32, mark: u64, random: &mut SeededRandom) {
        match operation {
            Operation::Write {
                file,
                offset,
                chunks,
            } if errno != libc::ENOSPC => {
                // Nobody knows how much of a failed write arrived.
                if let Ok((node, _)) = self.file(file) {
                    let data = gather(chunks, chunks.len());
                    self.disk.interrupt_write(node, *offset, &data, random);
                }
            }
            Operation::Sync { file, .. } => {
                if let Ok((node, _)) = self.file(file) {
                    let forgotten = self.disk.fail_flush(node, mark, || !random.one_in(4));
                    self.faults.counts.writes_forgotten += forgotten;
                }
            }
            _ => {}
        }
    }

    /// Carries a write out at another block of its file; its caller goes on from where it
    /// believes to be.
    fn misdirect(
        &mut self,
        operation: &mut Operation,
        mark: u64,
        random: &mut SeededRandom,
    ) -> Answer<i32> {
        let told = match operation {
            Operation::Write { file, offset, .. } => {
                let (node, _) = self.file(file)?;
                let blocks = self.disk.size(node).unwrap_or(0) / to_u64(BLOCK_BYTES);
                let block = random.below(blocks.max(1));
                std::mem::replace(offset, block * to_u64(BLOCK_BYTES))
            }
            _ => return Err(libc::EINVAL),
        };
        let answer = self.perform_disk(operation, mark, random);
        if let Operation::Write { offset, .. } = operation {
            *offset = told;
        }
        answer
    }

    /// Carries a read out and turns one bit of what it brought over.
    fn garble(
        &mut self,
        operation: &mut Operation,
        mark: u64,
        random: &mut SeededRandom,
    ) -> Answer<i32> {
        let answer = self.perform_disk(operation, mark, random);
        if let (Operation::Read { buffer, .. }, Ok(count)) = (operation, &answer)
            && let Ok(count @ 1..) = usize::try_from(*count)
        {
            let from = buffer.len().saturating_sub(count);
            if let Some(byte) = buffer.as_mut_slice().get_mut(from + random.index(count)) {
                *byte ^= 1 << random.below(8);
            }
        }
        answer
    }
}

/// Whether such a thing can happen to `operation` at all.
fn can_suffer(operation: &Operation, effect: FaultEffect) -> bool {
    match effect {
        FaultEffect::Error(_) => true,
        // Whatever must give something back cannot pretend to have.
        FaultEffect::Lie => matches!(operation, Operation::Write { .. } | Operation::Sync { .. }),
        FaultEffect::Misdirect => matches!(operation, Operation::Write { .. }),
        FaultEffect::Garble => matches!(operation, Operation::Read { .. }),
    }
}
