//! Turns are kept, nothing is lost when a waiter goes away.

use std::cell::RefCell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::*;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll<F: Future>(future: Pin<&mut F>, count: &Arc<Count>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&Waker::from(Arc::clone(count))))
}

fn woken(count: &Arc<Count>) -> usize {
    count.0.load(Ordering::SeqCst)
}

#[test]
fn a_notification_without_waiter_is_kept_once() {
    let (notify, count) = (Notify::new(), Arc::default());
    notify.notify_one();
    notify.notify_one();
    assert!(poll(pin!(notify.notified()), &count).is_ready());
    assert!(poll(pin!(notify.notified()), &count).is_pending());
}

#[test]
fn notify_all_reaches_futures_that_were_made_but_not_polled() {
    let (notify, count) = (Notify::new(), Arc::default());
    let mut early = pin!(notify.notified());
    notify.notify_all();
    assert!(poll(early.as_mut(), &count).is_ready());
    assert!(poll(pin!(notify.notified()), &count).is_pending());
}

#[test]
fn a_dropped_waiter_hands_its_notification_on() {
    let (notify, first, second) = (Notify::new(), Arc::default(), Arc::<Count>::default());
    let mut one = Box::pin(notify.notified());
    let mut two = Box::pin(notify.notified());
    assert!(poll(one.as_mut(), &first).is_pending());
    assert!(poll(two.as_mut(), &second).is_pending());
    notify.notify_one();
    assert_eq!((woken(&first), woken(&second)), (1, 0));
    drop(one);
    assert_eq!(woken(&second), 1);
    assert!(poll(two.as_mut(), &second).is_ready());
}

#[test]
fn permits_go_first_come_first_served() {
    let semaphore = Semaphore::new(3);
    let (big_count, small_count) = (Arc::default(), Arc::default());
    let held = semaphore.try_acquire(2).unwrap();
    let mut big = Box::pin(semaphore.acquire(3));
    let mut small = Box::pin(semaphore.acquire(1));
    assert!(poll(big.as_mut(), &big_count).is_pending());
    assert!(
        poll(small.as_mut(), &small_count).is_pending(),
        "does not overtake"
    );
    assert!(semaphore.try_acquire(1).is_none(), "does not overtake");
    drop(held);
    let Poll::Ready(big_permit) = poll(big.as_mut(), &big_count) else {
        panic!("three permits are free");
    };
    assert_eq!((woken(&big_count), woken(&small_count)), (1, 0));
    drop(big_permit);
    assert!(poll(small.as_mut(), &small_count).is_ready());
    drop(small);
    assert_eq!(semaphore.available(), 3);
}

#[test]
fn a_dropped_acquire_lets_the_next_one_in() {
    let semaphore = Semaphore::new(1);
    let count = Arc::default();
    let mut big = Box::pin(semaphore.acquire(2));
    let mut small = Box::pin(semaphore.acquire(1));
    assert!(poll(big.as_mut(), &count).is_pending());
    assert!(poll(small.as_mut(), &count).is_pending());
    drop(big);
    assert!(poll(small.as_mut(), &count).is_ready());
}

#[test]
fn permits_granted_to_a_dropped_acquire_come_back() {
    let semaphore = Semaphore::new(1);
    let count = Arc::default();
    let held = semaphore.try_acquire(1).unwrap();
    let mut waiting = Box::pin(semaphore.acquire(1));
    assert!(poll(waiting.as_mut(), &count).is_pending());
    drop(held);
    assert_eq!(semaphore.available(), 0, "set aside");
    drop(waiting);
    assert_eq!(semaphore.available(), 1);
}

#[test]
fn merged_permits_are_released_together() {
    let semaphore = Semaphore::new(10);
    let mut permit = semaphore.try_acquire(3).unwrap();
    permit.merge(semaphore.try_acquire(4).unwrap()).unwrap();
    assert_eq!((permit.count(), semaphore.available()), (7, 3));
    permit.release(2);
    assert_eq!((permit.count(), semaphore.available()), (5, 5));
    assert!(
        permit
            .merge(Semaphore::new(1).try_acquire(1).unwrap())
            .is_err()
    );
    drop(permit);
    assert_eq!(semaphore.available(), 10);
}

#[test]
fn a_full_channel_makes_senders_wait_and_a_receive_lets_one_in() {
    let (sender, mut receiver) = channel(1);
    let count = Arc::default();
    sender.try_send(1).unwrap();
    assert_eq!(sender.try_send(2), Err(ChannelClosed(2)));
    let mut waiting = Box::pin(sender.send(3));
    assert!(poll(waiting.as_mut(), &count).is_pending());
    assert_eq!(receiver.try_recv(), Some(1));
    assert!(poll(waiting.as_mut(), &count).is_ready());
    assert_eq!(receiver.try_recv(), Some(3));
}

#[test]
fn a_channel_ends_with_its_last_sender_and_closes_with_its_receiver() {
    let (sender, mut receiver) = channel(2);
    let count = Arc::default();
    let second = sender.clone();
    second.try_send(1).unwrap();
    drop(sender);
    drop(second);
    assert_eq!(poll(pin!(receiver.recv()), &count), Poll::Ready(Some(1)));
    assert_eq!(poll(pin!(receiver.recv()), &count), Poll::Ready(None));

    let (sender, receiver) = channel(1);
    sender.try_send(1).unwrap();
    let mut waiting = Box::pin(sender.send(2));
    assert!(poll(waiting.as_mut(), &count).is_pending());
    drop(receiver);
    assert_eq!(
        poll(waiting.as_mut(), &count),
        Poll::Ready(Err(ChannelClosed(2)))
    );
    assert!(sender.is_closed());
}

#[test]
fn a_oneshot_tells_either_side_of_the_other_ones_end() {
    let count = Arc::default();
    let (sender, receiver) = oneshot();
    let mut receiver = Box::pin(receiver);
    assert!(poll(receiver.as_mut(), &count).is_pending());
    sender.send(5).unwrap();
    assert_eq!(woken(&count), 1);
    assert_eq!(poll(receiver.as_mut(), &count), Poll::Ready(Ok(5)));

    let (sender, receiver) = oneshot::<u8>();
    drop(sender);
    assert_eq!(
        poll(pin!(receiver), &count),
        Poll::Ready(Err(SenderDropped))
    );

    let (sender, receiver) = oneshot();
    drop(receiver);
    assert!(sender.is_closed());
    assert_eq!(sender.send(7), Err(7));
}

#[test]
fn a_value_left_in_a_closed_channel_may_use_that_channel_when_it_is_dropped() {
    struct Last(Rc<RefCell<Option<Sender<Last>>>>);
    impl Drop for Last {
        fn drop(&mut self) {
            assert!(self.0.borrow().as_ref().is_some_and(Sender::is_closed));
        }
    }
    let (sender, receiver) = channel(1);
    let shared = Rc::new(RefCell::new(Some(sender.clone())));
    assert!(sender.try_send(Last(Rc::clone(&shared))).is_ok());
    drop(receiver);
    shared.borrow_mut().take();
}
