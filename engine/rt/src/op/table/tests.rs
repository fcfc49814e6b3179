//! The table under a backend whose completions come in any order, at any time.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use engine_model::{Moment, ShardId, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::descriptor::{Descriptor, Label, RawDescriptor};
use crate::listener::ListenOptions;
use crate::op::{Backend, Chunks};
use crate::system::System;
use crate::task::Task;

/// What the backend was asked to do.
#[derive(Default)]
struct Log {
    submitted: RefCell<Vec<(OpId, &'static str)>>,
    cancelled: RefCell<Vec<OpId>>,
    closed: RefCell<Vec<RawDescriptor>>,
}

struct Scripted(Rc<Log>);

impl Backend for Scripted {
    fn submit(&self, id: OpId, operation: &mut Operation) {
        if let Operation::Close { raw } = operation {
            self.0.closed.borrow_mut().push(*raw);
        }
        self.0.submitted.borrow_mut().push((id, operation.verb()));
    }

    fn cancel(&self, id: OpId) {
        self.0.cancelled.borrow_mut().push(id);
    }

    fn close_now(&self, raw: RawDescriptor) {
        self.0.closed.borrow_mut().push(raw);
    }

    fn spawn(&self, _: Rc<dyn Task>) {}

    fn ring(&self, _: usize) {}

    fn now(&self) -> Moment {
        Moment(0)
    }

    fn wall_clock(&self) -> Timestamp {
        Timestamp(0)
    }

    fn random(&self, _: &mut [u8]) {}

    fn quantum(&self) -> Duration {
        Duration::ZERO
    }

    fn socket(&self, _: SocketAddr) -> Result<RawDescriptor, i32> {
        Err(libc::ENOSYS)
    }

    fn listen(&self, _: SocketAddr, _: ListenOptions) -> Result<(RawDescriptor, SocketAddr), i32> {
        Err(libc::ENOSYS)
    }

    fn probe(&self, _: SocketAddr) -> Result<SocketAddr, i32> {
        Err(libc::ENOSYS)
    }

    fn tune(&self, _: RawDescriptor) {}

    fn local_address(&self, _: RawDescriptor) -> Result<SocketAddr, i32> {
        Err(libc::ENOSYS)
    }
}

fn scripted() -> (Rc<Shard>, Rc<Log>) {
    let log = Rc::<Log>::default();
    let system = System::simulated(1);
    let backend = Box::new(Scripted(Rc::clone(&log)));
    (
        Shard::new(ShardId(0), Arc::clone(system.core()), backend),
        log,
    )
}

fn poll(future: &mut Submitted) -> Poll<(i32, Operation)> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[derive(Clone, Copy, Debug)]
enum Move {
    Accept,
    Send {
        zero_copy: bool,
    },
    Sync,
    /// Completes one of those under way, with `more` where that is possible.
    Complete {
        which: usize,
        result: i32,
        more: bool,
    },
    Poll(usize),
    Drop(usize),
}

fn any_step() -> impl Strategy<Value = Move> {
    prop_oneof![
        Just(Move::Accept),
        any::<bool>().prop_map(|zero_copy| Move::Send { zero_copy }),
        Just(Move::Sync),
        (any::<usize>(), any::<bool>(), any::<bool>()).prop_map(|(which, fails, more)| {
            Move::Complete {
                which,
                result: if fails { -libc::EIO } else { 0 },
                more,
            }
        }),
        any::<usize>().prop_map(Move::Poll),
        any::<usize>().prop_map(Move::Drop),
    ]
}

proptest! {
    #[test]
    fn every_operation_ends_once_and_every_descriptor_is_closed_once(
        steps in proptest::collection::vec(any_step(), 1..120),
    ) {
        let (shard, log) = scripted();
        let label = Label::Path("socket".into());
        let socket = Descriptor::new(Rc::clone(&shard), 5, label);
        let mut futures: Vec<Submitted> = Vec::new();
        // Under way as the backend sees it; whether it has sent its `more`.
        let mut under_way: BTreeMap<OpId, (&'static str, bool)> = BTreeMap::new();
        let mut opened = 100;
        let mut expected_closed: Vec<RawDescriptor> = Vec::new();
        let mut adopted = Vec::new();
        for step in steps {
            match step {
                Move::Accept | Move::Send { .. } | Move::Sync => {
                    let held = Rc::clone(&socket);
                    let operation = match step {
                        Move::Accept => Operation::Accept { listener: held, peer: None },
                        Move::Send { zero_copy } => Operation::Send {
                            socket: held,
                            chunks: Chunks::new(vec![Bytes::from_static(b"bytes")]),
                            zero_copy,
                        },
                        _ => Operation::Sync { file: held, data_only: true },
                    };
                    let mut future = Submitted::new(Rc::clone(&shard), operation);
                    prop_assert!(poll(&mut future).is_pending());
                    futures.push(future);
                }
                Move::Complete { which, result, more } if !under_way.is_empty() => {
                    let index = which % under_way.len();
                    let (id, (verb, lingers)) =
                        under_way.iter().nth(index).map(|(i, s)| (*i, *s)).unwrap();
                    let more = more && verb == "send to" && !lingers;
                    let accepts = verb == "accept on" && result >= 0;
                    let result = if accepts {
                        opened += 1;
                        expected_closed.push(opened);
                        opened
                    } else {
                        result
                    };
                    shard.complete(id, Completion { result, more });
                    if more {
                        under_way.insert(id, (verb, true));
                    } else {
                        under_way.remove(&id);
                    }
                }
                Move::Poll(which) if !futures.is_empty() => {
                    let index = which % futures.len();
                    if let Poll::Ready((result, operation)) = poll(&mut futures[index]) {
                        drop(futures.swap_remove(index));
                        if operation.yields_descriptor() && result >= 0 {
                            let label = Label::Path("accepted".into());
                            adopted.push(Descriptor::new(Rc::clone(&shard), result, label));
                        }
                    }
                }
                Move::Drop(which) if !futures.is_empty() => {
                    let index = which % futures.len();
                    drop(futures.swap_remove(index));
                }
                _ => {}
            }
            for (id, verb) in log.submitted.borrow_mut().drain(..) {
                prop_assert!(under_way.insert(id, (verb, false)).is_none(), "an id given twice");
            }
            for id in log.cancelled.borrow_mut().drain(..) {
                prop_assert!(under_way.contains_key(&id), "cancels what is not under way");
            }
            prop_assert!(!log.closed.borrow().contains(&5), "closed while it is in use");
        }
        drop(futures);
        drop(adopted);
        drop(socket);
        // Whatever is left completes, what that starts included.
        loop {
            for (id, verb) in log.submitted.borrow_mut().drain(..) {
                under_way.insert(id, (verb, false));
            }
            let Some((id, (verb, _))) = under_way.pop_first() else { break };
            let fails = verb != "close";
            shard.complete(id, Completion::last(if fails { -libc::ECANCELED } else { 0 }));
            // A completion that comes once more, or late, changes nothing.
            shard.complete(id, Completion::last(0));
        }
        prop_assert_eq!(shard.operations_under_way(), 0);
        expected_closed.push(5);
        expected_closed.sort_unstable();
        let mut closed = log.closed.take();
        closed.sort_unstable();
        prop_assert_eq!(closed, expected_closed);
    }
}

#[test]
fn whoever_waits_for_room_gets_it_in_order_and_hands_it_on_when_it_goes() {
    let (shard, log) = scripted();
    let socket = Descriptor::new(Rc::clone(&shard), 5, Label::Path("file".into()));
    let sync = || Operation::Sync {
        file: Rc::clone(&socket),
        data_only: true,
    };
    let mut futures: Vec<_> = (0..LOCAL_OPERATIONS_MAX + 3)
        .map(|_| Submitted::new(Rc::clone(&shard), sync()))
        .collect();
    for future in &mut futures {
        assert!(poll(future).is_pending());
    }
    assert_eq!(log.submitted.borrow().len(), LOCAL_OPERATIONS_MAX);
    let mut waiting = futures.split_off(LOCAL_OPERATIONS_MAX);
    let (third, second, first) = (waiting.pop(), waiting.pop(), waiting.pop());
    let (mut third, mut first) = (third.unwrap(), first.unwrap());
    drop(second);
    // Two ended operations make room for two.
    for mut future in futures.drain(..2) {
        let Step::UnderWay(id) = future.step else {
            panic!("not under way");
        };
        shard.complete(id, Completion::last(0));
        assert!(poll(&mut future).is_ready());
    }
    assert!(poll(&mut first).is_pending());
    assert!(poll(&mut third).is_pending());
    assert_eq!(log.submitted.borrow().len(), LOCAL_OPERATIONS_MAX + 2);
    // A shutdown and a close never wait.
    let shutdown = Operation::Shutdown {
        socket: Rc::clone(&socket),
    };
    let mut shutdown = Submitted::new(Rc::clone(&shard), shutdown);
    assert!(poll(&mut shutdown).is_pending());
    assert_eq!(log.submitted.borrow().len(), LOCAL_OPERATIONS_MAX + 3);
    shard.kill();
    drop((futures, first, third, shutdown, socket));
    assert_eq!(*log.closed.borrow(), [5]);
}
