//! Takes the letters of one other shard: begins its calls in order, hands on its answers.

use core::panic::AssertUnwindSafe;
use core::task::Poll;
use engine_rt::MailReceiver;
use std::rc::Rc;

use super::peer::{Letter, Packet, Peer};
use super::{LocalFuture, Mesh};
use crate::join::poll_once;

pub(super) async fn serve<Q: Send + 'static, A: Send + 'static>(
    mesh: Mesh<Q, A>,
    peer: Rc<Peer<Q, A>>,
    mut receiver: MailReceiver<Packet<Q, A>>,
) {
    // Ends when the other side has sent all it ever will and dropped its end.
    while let Some(packet) = receiver.recv().await {
        for letter in packet {
            match letter {
                Letter::Question { call, question } => begin(&mesh, &peer, call, question).await,
                Letter::Answer { call, answer } => peer.answer(call, Some(answer)),
                Letter::Failed { call } => peer.answer(call, None),
                Letter::Goodbye => peer.hear_goodbye(),
            }
            engine_rt::yield_if_due().await;
        }
    }
    peer.lose();
}

/// Begins a call here and now, then lets it wait in a task of its own if it has to.
async fn begin<Q: Send + 'static, A: Send + 'static>(
    mesh: &Mesh<Q, A>,
    peer: &Rc<Peer<Q, A>>,
    call: u64,
    question: Q,
) {
    let reply = Reply::new(peer, call);
    let from = peer.shard();
    let begun = std::panic::catch_unwind(AssertUnwindSafe(|| (mesh.inner.handler)(from, question)));
    let Ok(future) = begun else {
        // The panic was reported by its hook; `reply` tells the caller.
        return;
    };
    let mut future = CatchUnwind(future);
    match poll_once(core::pin::Pin::new(&mut future)).await {
        Poll::Ready(Some(answer)) => reply.send(answer),
        Poll::Ready(None) => drop(reply),
        Poll::Pending => {
            // Not lost without its handle: `Peer::serving` counts it, and the mesh does
            // not stop before that is zero.
            engine_rt::spawn(async move {
                if let Some(answer) = future.await {
                    reply.send(answer);
                }
            })
            .detach();
        }
    }
}

/// Answers a call once: with what is sent, or on drop with "failed".
struct Reply<Q, A> {
    peer: Rc<Peer<Q, A>>,
    call: u64,
    answer: Option<A>,
}

impl<Q, A> Reply<Q, A> {
    fn new(peer: &Rc<Peer<Q, A>>, call: u64) -> Self {
        peer.begin_serving();
        Self {
            peer: Rc::clone(peer),
            call,
            answer: None,
        }
    }

    fn send(mut self, answer: A) {
        self.answer = Some(answer);
    }
}

impl<Q, A> Drop for Reply<Q, A> {
    fn drop(&mut self) {
        let call = self.call;
        self.peer.post(match self.answer.take() {
            Some(answer) => Letter::Answer { call, answer },
            None => Letter::Failed { call },
        });
        self.peer.end_serving();
    }
}

/// Gives `None` where the future panics, so that one bad call does not end the others' server.
struct CatchUnwind<T>(LocalFuture<T>);

impl<T> core::future::Future for CatchUnwind<T> {
    type Output = Option<T>;

    fn poll(
        mut self: core::pin::Pin<&mut Self>,
        context: &mut core::task::Context<'_>,
    ) -> Poll<Option<T>> {
        match std::panic::catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context))) {
            Ok(Poll::Ready(output)) => Poll::Ready(Some(output)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(_) => Poll::Ready(None),
        }
    }
}
