//! A task of ours as a task of glommio: each poll counts, so that the driver knows of it.

use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};

use super::engine::Engine;
use super::gate::Pass;
use crate::shard;
use crate::task::{Priority, Task};

struct Polled {
    /// glommio never drops a task that is not woken again, and the ring must not stay open for it.
    engine: Weak<Engine>,
    task: Rc<dyn Task>,
    /// Background tasks only.
    pass: Option<Rc<Pass>>,
}

/// Hands `task` to glommio.
pub(super) fn spawn(engine: &Rc<Engine>, task: Rc<dyn Task>) {
    let background = task.priority() == Priority::Background;
    let polled = Polled {
        engine: Rc::downgrade(engine),
        task,
        pass: background.then(Rc::default),
    };
    glommio::spawn_local(polled).detach();
}

impl Future for Polled {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(engine) = self.engine.upgrade() else {
            return Poll::Ready(());
        };
        engine.polls.set(engine.polls.get().wrapping_add(1));
        let now = engine.clock();
        engine.last_poll.set(now);
        shard::with_current(|shard| {
            // The driver is one task among many: where they are so many, or so slow, that the
            // ring has waited for a quantum, it is looked after here and now.
            if now.saturating_since(engine.last_turn.get()) > engine.quantum {
                engine.turn(shard);
            }
            if let Some(pass) = &self.pass {
                if !engine.gate.admit(pass, cx.waker()) {
                    return Poll::Pending;
                }
                let background = engine.background_polls.get().wrapping_add(1);
                engine.background_polls.set(background);
                shard.begin_streak(now);
                let polled = self.task.poll(cx);
                engine.gate.charge(engine.clock().saturating_since(now));
                return polled;
            }
            engine
                .foreground_polls
                .set(engine.foreground_polls.get().wrapping_add(1));
            shard.begin_streak(now);
            self.task.poll(cx)
        })
    }
}
