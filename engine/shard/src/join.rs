//! Small ways to drive several futures from one task.
//!
//! Does not spawn: every future runs inside the task that awaits, and is dropped with it.

use core::future::Future;
use core::pin::Pin;
use core::task::Poll;

enum Slot<F: Future> {
    Running(Pin<Box<F>>),
    Done(F::Output),
}

/// Drives all futures to their end and returns their outputs in the order given.
///
/// The first poll touches the futures in order, so whatever they do before their first wait
/// happens in that order. Meant for a few futures (one a shard): each wake polls all that run.
/// Cancel: as safe as the futures are.
pub async fn join_all<F: Future>(mut futures: Vec<F>) -> Vec<F::Output> {
    // The usual case by far, and these futures are large: one needs no box.
    if futures.len() == 1
        && let Some(only) = futures.pop()
    {
        return vec![only.await];
    }
    let mut slots: Vec<Slot<F>> = futures
        .into_iter()
        .map(|future| Slot::Running(Box::pin(future)))
        .collect();
    core::future::poll_fn(|context| {
        let mut running = false;
        for slot in &mut slots {
            if let Slot::Running(future) = slot {
                match future.as_mut().poll(context) {
                    Poll::Ready(output) => *slot = Slot::Done(output),
                    Poll::Pending => running = true,
                }
            }
        }
        if running {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    slots
        .into_iter()
        .filter_map(|slot| match slot {
            Slot::Done(output) => Some(output),
            Slot::Running(_) => None,
        })
        .collect()
}

/// Polls a future exactly once, in the calling task, and says what came of it.
///
/// A future that is still pending may be moved to another task afterwards: it is polled again
/// there and registers that task's waker. Used where work must *begin* in the order it came in.
pub async fn poll_once<F: Future + ?Sized>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    core::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::task::{Context, Waker};

    fn run<F: Future>(future: F) -> F::Output {
        let mut future = Box::pin(future);
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..1000 {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
        }
        panic!("the future never ends");
    }

    /// Is pending `polls` times, then gives its number.
    async fn after(polls: usize, number: usize) -> usize {
        let mut left = polls;
        core::future::poll_fn(|_| {
            if left == 0 {
                Poll::Ready(number)
            } else {
                left -= 1;
                Poll::Pending
            }
        })
        .await
    }

    #[test]
    fn outputs_come_in_the_order_of_the_futures() {
        let outputs = run(join_all(vec![after(3, 0), after(0, 1), after(1, 2)]));
        assert_eq!(outputs, vec![0, 1, 2]);
        assert_eq!(run(join_all(vec![after(2, 9)])), vec![9]);
        assert!(run(join_all(Vec::<core::future::Ready<()>>::new())).is_empty());
    }

    #[test]
    fn polling_once_does_not_wait() {
        let mut future = Box::pin(after(1, 7));
        assert_eq!(run(poll_once(future.as_mut())), Poll::Pending);
        assert_eq!(run(poll_once(future.as_mut())), Poll::Ready(7));
    }
}
