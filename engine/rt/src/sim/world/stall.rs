//! Nodes that stand still for a while, and wall clocks that are wrong.
//!
//! Keeps: a task that becomes ready in a pause is kept and woken at its end; the system below the
//! node works on.

use std::task::Waker;

use super::{What, World};

impl World {
    /// Polls no task of `node` before `until`.
    pub(in crate::sim) fn pause(&self, node: usize, until: u64) {
        if let Some(state) = self.nodes.borrow_mut().get_mut(node) {
            state.paused_until = state.paused_until.max(until);
        }
        self.schedule(until, What::Resume(node));
    }

    pub(super) fn resume(&self, node: usize) {
        let ready = match self.nodes.borrow_mut().get_mut(node) {
            Some(state) if state.paused_until <= self.clock.get() => {
                std::mem::take(&mut state.paused)
            }
            _ => Vec::new(),
        };
        for waker in ready {
            waker.wake();
        }
    }

    /// Keeps a ready task for the end of its node's pause, if there is one.
    pub(super) fn keep_if_paused(&self, node: usize, waker: &Waker) -> bool {
        match self.nodes.borrow_mut().get_mut(node) {
            Some(state) if state.paused_until > self.clock.get() => {
                state.paused.push(waker.clone());
                true
            }
            _ => false,
        }
    }

    pub(in crate::sim) fn jump_wall_clock(&self, node: usize, by_ms: i64) {
        if let Some(state) = self.nodes.borrow_mut().get_mut(node) {
            state.wall_clock_error_ms = state.wall_clock_error_ms.saturating_add(by_ms);
        }
    }

    pub(in crate::sim) fn wall_clock_error_ms(&self, node: usize) -> i64 {
        let nodes = self.nodes.borrow();
        nodes.get(node).map_or(0, |node| node.wall_clock_error_ms)
    }
}
