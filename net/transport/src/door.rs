//! Who may come in: limits on the connections of the whole process, whichever shard takes them.
//!
//! Keeps: at most `connections_max` at a time, at most so many of one address, at most so many new
//! ones a second; a guest who leaves is counted out, however it ends.
//! Source: Kafka's `max.connections`, `max.connections.per.ip` with its overrides,
//! `max.connection.creation.rate`.

use core::fmt;
use core::net::IpAddr;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;
use engine_model::Moment;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// New connections that may come at once although their rate is limited: a second's worth.
const BURST: Duration = Duration::from_secs(1);

/// Limits on the connections of a process.
#[derive(Clone, Debug)]
pub struct DoorLimits {
    /// All together.
    pub connections_max: usize,
    /// Of one address.
    pub per_ip_max: usize,
    /// Of these addresses, instead.
    pub per_ip_overrides: BTreeMap<IpAddr, usize>,
    /// New ones a second; `None` is any number.
    pub rate_max: Option<u32>,
}

impl Default for DoorLimits {
    fn default() -> Self {
        Self {
            connections_max: usize::MAX,
            per_ip_max: usize::MAX,
            per_ip_overrides: BTreeMap::new(),
            rate_max: None,
        }
    }
}

/// Counts the connections of a process. Cheap to clone, and meant to go to every shard.
#[derive(Clone)]
pub struct Door {
    inner: Arc<Inner>,
}

struct Inner {
    limits: DoorLimits,
    open: AtomicUsize,
    per_ip: Mutex<BTreeMap<IpAddr, usize>>,
    /// When the next connection would be due if they came evenly, in nanoseconds.
    due: AtomicU64,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door")
            .field("open", &self.open())
            .finish_non_exhaustive()
    }
}

/// Why a connection is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There are as many as may be.
    #[error("{open} connections are open, as many as may be")]
    Full {
        /// Open now.
        open: usize,
    },
    /// There are as many of this address as may be.
    #[error("{of_this_ip} connections of this address are open, as many as may be")]
    FullForIp {
        /// Open of this address.
        of_this_ip: usize,
    },
}

impl Door {
    /// A door with nobody in.
    pub fn new(limits: DoorLimits) -> Self {
        Self {
            inner: Arc::new(Inner {
                limits,
                open: AtomicUsize::new(0),
                per_ip: Mutex::default(),
                due: AtomicU64::new(0),
            }),
        }
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.inner.open.load(Ordering::Relaxed)
    }

    /// Lets a connection of `ip` in, if there is room for it.
    pub fn enter(&self, ip: IpAddr) -> Result<Guest, Refused> {
        let inner = &self.inner;
        let ip = ip.to_canonical();
        let limits = &inner.limits;
        let open = inner
            .open
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| {
                (open < limits.connections_max).then(|| open.saturating_add(1))
            });
        if let Err(open) = open {
            return Err(Refused::Full { open });
        }
        let guest = Guest {
            door: self.clone(),
            ip,
        };
        let max = limits.per_ip_overrides.get(&ip).copied();
        let max = max.unwrap_or(limits.per_ip_max);
        let mut per_ip = inner.per_ip.lock().unwrap_or_else(PoisonError::into_inner);
        let count = per_ip.entry(ip).or_default();
        let of_this_ip = *count;
        *count = count.saturating_add(1);
        drop(per_ip);
        if of_this_ip >= max {
            return Err(Refused::FullForIp { of_this_ip });
        }
        Ok(guest)
    }

    /// How long to wait before the next connection is taken. To be called once for each.
    pub fn pause(&self, now: Moment) -> Duration {
        let Some(rate) = self.inner.limits.rate_max else {
            return Duration::ZERO;
        };
        let gap = 1_000_000_000_u64
            .checked_div(u64::from(rate))
            .unwrap_or(u64::MAX);
        let burst = u64::try_from(BURST.as_nanos()).unwrap_or(u64::MAX);
        let now = now.0;
        let due = self
            .inner
            .due
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |due| {
                Some(due.max(now.saturating_sub(burst)).saturating_add(gap))
            })
            .unwrap_or_else(|due| due);
        Duration::from_nanos(due.saturating_sub(now))
    }
}

/// A connection that is in, until this is dropped.
#[derive(Debug)]
pub struct Guest {
    door: Door,
    ip: IpAddr,
}

impl Drop for Guest {
    fn drop(&mut self) {
        let inner = &self.door.inner;
        inner.open.fetch_sub(1, Ordering::Relaxed);
        let mut per_ip = inner.per_ip.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = per_ip.get_mut(&self.ip) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                per_ip.remove(&self.ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn no_more_come_in_than_may() {
        let door = Door::new(DoorLimits {
            connections_max: 4,
            per_ip_max: 2,
            per_ip_overrides: BTreeMap::from([(ip(9), 1)]),
            rate_max: None,
        });
        let one = door.enter(ip(1)).unwrap();
        let two = door.enter(ip(1)).unwrap();
        let refused = door.enter(ip(1)).unwrap_err();
        assert_eq!(refused, Refused::FullForIp { of_this_ip: 2 });
        let mapped = "::ffff:10.0.0.1".parse().unwrap();
        assert!(door.enter(mapped).is_err(), "the same address");
        let _nine = door.enter(ip(9)).unwrap();
        assert!(door.enter(ip(9)).is_err());
        let _other = door.enter(ip(2)).unwrap();
        let refused = door.enter(ip(3)).unwrap_err();
        assert_eq!(refused, Refused::Full { open: 4 });
        drop(one);
        assert!(door.enter(ip(1)).is_ok());
        drop(two);
        assert_eq!(door.open(), 2);
    }

    #[test]
    fn connections_above_the_rate_wait() {
        let door = Door::new(DoorLimits {
            rate_max: Some(10),
            ..DoorLimits::default()
        });
        let at = |millis: u64| Moment(millis * 1_000_000);
        // A burst of a second's worth and one, then one in 100 ms.
        for _ in 0..11 {
            assert_eq!(door.pause(at(10_000)), Duration::ZERO);
        }
        assert_eq!(door.pause(at(10_000)), Duration::from_millis(100));
        assert_eq!(door.pause(at(10_000)), Duration::from_millis(200));
        assert_eq!(door.pause(at(10_300)), Duration::ZERO);
        assert_eq!(
            Door::new(DoorLimits::default()).pause(at(0)),
            Duration::ZERO
        );
    }
}
