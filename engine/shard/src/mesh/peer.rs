//! One shard's view of another: what is to be sent there and who waits for answers from there.

use core::cell::{Cell, RefCell};
use core::task::{Poll, Waker};
use engine_model::{HashMap, ShardId};
use engine_rt::MailSender;
use engine_rt::sync::{OneshotSender, Permit, Semaphore, oneshot};
use std::rc::Rc;

use super::MeshError;

/// Letters of one scheduler turn.
pub(super) type Packet<Q, A> = Vec<Letter<Q, A>>;

/// What travels between two shards.
pub(super) enum Letter<Q, A> {
    Question {
        call: u64,
        question: Q,
    },
    Answer {
        call: u64,
        answer: A,
    },
    /// The handler ended without an answer.
    Failed {
        call: u64,
    },
    /// The sender makes no more calls.
    Goodbye,
}

/// A caller and its place in line, which is held until the answer came: a caller that left still
/// keeps the other shard busy.
type Caller<A> = (OneshotSender<A>, Permit);

pub(super) struct Peer<Q, A> {
    shard: ShardId,
    line: Semaphore,
    outbox: RefCell<Packet<Q, A>>,
    callers: RefCell<HashMap<u64, Caller<A>>>,
    next_call: Cell<u64>,
    /// Questions from there that are being answered here.
    serving: Cell<usize>,
    said_goodbye: Cell<bool>,
    heard_goodbye: Cell<bool>,
    flusher: RefCell<Option<Waker>>,
}

impl<Q, A> Peer<Q, A> {
    pub(super) fn new(shard: ShardId, calls_max: usize) -> Self {
        Self {
            shard,
            line: Semaphore::new(calls_max),
            outbox: RefCell::default(),
            callers: RefCell::default(),
            next_call: Cell::new(0),
            serving: Cell::new(0),
            said_goodbye: Cell::new(false),
            heard_goodbye: Cell::new(false),
            flusher: RefCell::default(),
        }
    }

    pub(super) fn shard(&self) -> ShardId {
        self.shard
    }

    pub(super) async fn call(&self, question: Q) -> Result<A, MeshError> {
        let to = self.shard;
        let permit = self.line.acquire(1).await;
        // A peer that said goodbye still answers: it leaves only after this side said so too.
        if self.said_goodbye.get() {
            return Err(MeshError::Closed { to });
        }
        let call = self.next_call.get();
        self.next_call.set(call.wrapping_add(1));
        let (sender, receiver) = oneshot();
        self.callers.borrow_mut().insert(call, (sender, permit));
        self.post(Letter::Question { call, question });
        receiver.await.map_err(|_| {
            if self.said_goodbye.get() {
                MeshError::Closed { to }
            } else {
                MeshError::Failed { to }
            }
        })
    }

    /// Puts a letter into the packet of this turn.
    pub(super) fn post(&self, letter: Letter<Q, A>) {
        self.outbox.borrow_mut().push(letter);
        self.wake_flusher();
    }

    pub(super) fn say_goodbye(&self) {
        if !self.said_goodbye.replace(true) {
            self.post(Letter::Goodbye);
        }
    }

    /// That shard makes no more calls. It still answers: it leaves only once this side has said
    /// goodbye too and all was answered.
    pub(super) fn hear_goodbye(&self) {
        self.heard_goodbye.set(true);
        self.wake_flusher();
    }

    /// That shard is gone: nobody there will answer.
    pub(super) fn lose(&self) {
        self.said_goodbye.set(true);
        self.hear_goodbye();
        // Dropping the senders outside of the borrow tells the callers.
        let callers = self.callers.take();
        drop(callers);
    }

    pub(super) fn answer(&self, call: u64, answer: Option<A>) {
        let caller = self.callers.borrow_mut().remove(&call);
        if let (Some((sender, _permit)), Some(answer)) = (caller, answer) {
            // A caller that left does not want it.
            let _gone = sender.send(answer);
        }
        self.wake_flusher();
    }

    pub(super) fn begin_serving(&self) {
        self.serving.set(self.serving.get().saturating_add(1));
    }

    pub(super) fn end_serving(&self) {
        self.serving.set(self.serving.get().saturating_sub(1));
        self.wake_flusher();
    }

    fn wake_flusher(&self) {
        let waker = self.flusher.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Both sides are done: nothing will be posted any more.
    fn is_done(&self) -> bool {
        self.said_goodbye.get()
            && self.heard_goodbye.get()
            && self.serving.get() == 0
            && self.callers.borrow().is_empty()
    }

    async fn next_packet(&self) -> Option<Packet<Q, A>> {
        core::future::poll_fn(|context| {
            let packet = self.outbox.take();
            if !packet.is_empty() {
                return Poll::Ready(Some(packet));
            }
            if self.is_done() {
                return Poll::Ready(None);
            }
            *self.flusher.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

/// Sends packet after packet. It runs behind the tasks that were ready before it, so what they
/// write in one turn leaves as one packet.
pub(super) async fn flush<Q: Send + 'static, A: Send + 'static>(
    peer: Rc<Peer<Q, A>>,
    sender: MailSender<Packet<Q, A>>,
) {
    while let Some(packet) = peer.next_packet().await {
        if sender.send(packet).await.is_err() {
            peer.lose();
            return;
        }
    }
}
