//! Which sockets can go on, and when to wake for time.

use crate::error::BenchError;
use crate::socket::Socket;
use rustix::event::{Timespec, epoll};
use std::os::fd::OwnedFd;

/// Sockets told of in one turn.
const EVENTS_MAX: usize = 256;
/// How late the kernel may wake us so as to save wake-ups: as little as it can do, in nanoseconds.
const TIMER_SLACK_NANOS: u64 = 1;

/// A socket that can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Its number.
    pub socket: usize,
    /// There is something to read, or an end or error to learn of.
    pub is_readable: bool,
}

/// See the module's own words.
pub struct Poller {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    /// Which sockets wait for room to write.
    wants_write: Vec<bool>,
}

impl Poller {
    /// Watches sockets, by their places, for something to read.
    pub fn new<'a>(sockets: impl Iterator<Item = &'a Socket>) -> Result<Self, BenchError> {
        let failed = |what| {
            move |error: rustix::io::Errno| BenchError::System {
                what,
                source: error.into(),
            }
        };
        let epoll =
            epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed("cannot make an epoll"))?;
        let mut wants_write = Vec::new();
        for (place, socket) in sockets.enumerate() {
            let data = epoll::EventData::new_u64(crate::number::wide(place));
            epoll::add(&epoll, socket.stream(), data, epoll::EventFlags::IN)
                .map_err(failed("cannot watch a socket"))?;
            wants_write.push(false);
        }
        // Where it is refused timers are up to 50 us late, which the report shows.
        let slack = core::num::NonZeroU64::new(TIMER_SLACK_NANOS);
        let _ = rustix::thread::set_current_timer_slack(slack);
        Ok(Self {
            epoll,
            events: Vec::with_capacity(EVENTS_MAX),
            wants_write,
        })
    }

    /// Says whether a socket waits for room to write.
    pub fn want_write(
        &mut self,
        place: usize,
        socket: &Socket,
        wants: bool,
    ) -> Result<(), BenchError> {
        let Some(known) = self.wants_write.get_mut(place) else {
            return Ok(());
        };
        if *known == wants {
            return Ok(());
        }
        *known = wants;
        let mut flags = epoll::EventFlags::IN;
        flags.set(epoll::EventFlags::OUT, wants);
        let data = epoll::EventData::new_u64(crate::number::wide(place));
        epoll::modify(&self.epoll, socket.stream(), data, flags).map_err(|error| {
            BenchError::System {
                what: "cannot watch a socket",
                source: error.into(),
            }
        })
    }

    /// Waits until a socket can go on or `nanos` have passed.
    pub fn wait(&mut self, nanos: u64, ready: &mut Vec<Ready>) -> Result<(), BenchError> {
        ready.clear();
        self.events.clear();
        let timeout = Timespec {
            tv_sec: i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(nanos % 1_000_000_000).unwrap_or(0),
        };
        let room = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, room, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                return Err(BenchError::System {
                    what: "cannot wait for sockets",
                    source: error.into(),
                });
            }
        }
        for event in &self.events {
            // Copied, since the kernel packs the struct.
            let (flags, data) = (event.flags, event.data);
            let others = epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR;
            ready.push(Ready {
                socket: usize::try_from(data.u64()).unwrap_or(usize::MAX),
                is_readable: flags.intersects(others),
            });
        }
        Ok(())
    }
}
