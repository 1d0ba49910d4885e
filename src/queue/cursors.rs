use std::os::fd::BorrowedFd;
use std::sync::Arc;

use super::cells::Cells;
use super::readable::Readable;
use crate::error::{Error, GetError, PutError, TryGetError, TryPutError};
use crate::ring::{Consumer, GetRefused, Hold, Producer, PutRefused, Slots, Ticket};
use crate::segment::Wait;
use crate::segment::place::{Body, Placed};
use crate::sys::spin::Pace;
use crate::watch::Watched;

/// One handle's places in a ring, and how long it has lately paid for it to spin.
#[derive(Clone)]
pub(super) struct Cursors {
    producer: Producer,
    consumer: Consumer,
    putting: Pace,
    getting: Pace,
    /// The clones' as well.
    watched: Arc<Watched>,
}

/// Why a slot was not got, to write into or to read.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Full, or empty.
    NotNow,
    Closed,
    Disconnected,
    Failed(Error),
}

impl Cursors {
    pub(super) fn new(cells: &Cells<'_>) -> Self {
        Cursors {
            producer: Producer::new(cells),
            consumer: Consumer::new(cells),
            putting: Pace::new(),
            getting: Pace::new(),
            watched: Arc::default(),
        }
    }

    /// A slot to write into. `is_over`: asked before it sleeps, whether nobody is left to wait for.
    #[inline(always)]
    pub(super) fn claim(&self, cells: &Cells<'_>, wait: Wait, is_over: impl Fn() -> bool) -> Result<Ticket, Refusal> {
        let me = cells.segment().me().map_err(Refusal::Failed)?;
        match self.producer.claim(cells, me) {
            Ok(ticket) => Ok(ticket),
            Err(PutRefused::Closed) => Err(Refusal::Closed),
            Err(PutRefused::Full) => self.claim_slow(cells, wait, is_over),
        }
    }

    #[cold]
    fn claim_slow(&self, cells: &Cells<'_>, wait: Wait, is_over: impl Fn() -> bool) -> Result<Ticket, Refusal> {
        let me = cells.segment().me().map_err(Refusal::Failed)?;
        let unless_full = |claimed| match claimed {
            Ok(ticket) => Some(Ok(ticket)),
            Err(PutRefused::Closed) => Some(Err(Refusal::Closed)),
            Err(PutRefused::Full) => None,
        };
        let glance = || unless_full(self.producer.claim(cells, me));
        let mend = || unless_full(self.producer.claim_or_mend(cells, me, cells.segment().liveness()));
        let look = || mend().or_else(|| is_over().then_some(Err(Refusal::Disconnected)));
        let claimed = match wait {
            Wait::No => look(),
            Wait::Until(deadline) => {
                let spin =
                    |glance: &mut dyn FnMut() -> _| self.putting.until(self.producer.number(cells.capacity()), glance);
                cells.ring().space.wait(spin, deadline, glance, look)
            }
        };
        let ticket = claimed.ok_or(Refusal::NotNow)??;
        // Slots may become free behind one that is still in use, while all who wait for them sleep.
        if self.producer.has_room(cells) {
            cells.ring().space.notify_one();
        }
        Ok(ticket)
    }

    /// A message to read. `is_over`: as for [`claim`](Self::claim).
    #[inline(always)]
    pub(super) fn take(
        &self,
        cells: &Cells<'_>,
        hold: Hold,
        wait: Wait,
        is_over: impl Fn() -> bool,
    ) -> Result<Ticket, Refusal> {
        let me = cells.segment().me().map_err(Refusal::Failed)?;
        let is_sweep_due = self.consumer.is_sweep_due();
        if !is_sweep_due && let Some(ticket) = self.consumer.take(cells, me, hold) {
            self.watched.settle(false);
            return Ok(ticket);
        }
        let taken = match wait {
            Wait::No if self.consumer.is_idle(cells) && !is_over() => Err(Refusal::NotNow),
            _ => self.take_slow(cells, hold, wait, is_sweep_due, is_over),
        };
        self.watched.settle(matches!(taken, Err(Refusal::NotNow)));
        taken
    }

    #[cold]
    fn take_slow(
        &self,
        cells: &Cells<'_>,
        hold: Hold,
        wait: Wait,
        is_sweep_due: bool,
        is_over: impl Fn() -> bool,
    ) -> Result<Ticket, Refusal> {
        let me = cells.segment().me().map_err(Refusal::Failed)?;
        let glance = || self.consumer.take(cells, me, hold).map(Ok);
        let look = || match self.consumer.sweep_and_take(cells, me, hold, cells.segment().liveness(), &is_over) {
            Ok(ticket) => Some(Ok(ticket)),
            Err(GetRefused::Ended) if cells.ring().is_closed() => Some(Err(Refusal::Closed)),
            Err(GetRefused::Ended) => Some(Err(Refusal::Disconnected)),
            Err(GetRefused::Empty) => None,
        };
        let spin_and_wait = |deadline| {
            let number = self.consumer.number(cells.capacity());
            let spin = |glance: &mut dyn FnMut() -> _| self.getting.until(number, glance);
            cells.ring().items.wait(spin, deadline, glance, look)
        };
        let taken = match wait {
            Wait::No => look(),
            // While messages keep coming, nothing else would look for those of the dead.
            Wait::Until(deadline) if is_sweep_due => look().or_else(|| spin_and_wait(deadline)),
            Wait::Until(deadline) => spin_and_wait(deadline),
        };
        let ticket = taken.ok_or(Refusal::NotNow)??;
        // Messages may become ready behind one that is still being written, while all who wait for them sleep.
        if self.consumer.has_more(cells) {
            cells.ring().items.notify_one();
        }
        Ok(ticket)
    }

    /// The descriptor that polls readable when there is a message, or will never be one.
    pub(super) fn readiness<B: Body>(
        &self,
        placed: &Placed<B>,
        cells: fn(&Placed<B>) -> Cells<'_>,
        is_over: fn(&Placed<B>) -> bool,
    ) -> Result<BorrowedFd<'_>, Error> {
        let readable = || Readable { placed: placed.clone(), cells, consumer: self.consumer.clone(), is_over };
        self.watched.descriptor(|| Ok(readable()))
    }

    #[inline(always)]
    pub(super) fn release(&self, cells: &Cells<'_>, ticket: Ticket) {
        self.consumer.release(cells, ticket);
    }

    /// Messages that are ready, up to `most`.
    pub(super) fn count(&self, cells: &Cells<'_>, most: usize) -> usize {
        self.consumer.count(cells, most)
    }

    /// Whether a message is ready, or being read.
    pub(super) fn is_busy(&self, cells: &Cells<'_>) -> bool {
        self.consumer.is_busy(cells)
    }

    pub(super) fn is_full(&self, cells: &Cells<'_>) -> bool {
        !self.producer.has_room(cells)
    }
}

impl Refusal {
    pub(super) fn put<M>(self, message: M) -> PutError<M> {
        match self {
            Refusal::Failed(error) => PutError::Failed { message, error },
            Refusal::Disconnected => PutError::Disconnected(message),
            // Not NotNow: that is for those who do not wait for ever.
            Refusal::Closed | Refusal::NotNow => PutError::Closed(message),
        }
    }

    pub(super) fn try_put<M>(self, message: M) -> TryPutError<M> {
        match self {
            Refusal::NotNow => TryPutError::Full(message),
            Refusal::Closed => TryPutError::Closed(message),
            Refusal::Disconnected => TryPutError::Disconnected(message),
            Refusal::Failed(error) => TryPutError::Failed { message, error },
        }
    }

    pub(super) fn get(self) -> GetError {
        match self {
            Refusal::Failed(error) => GetError::Failed(error),
            Refusal::Disconnected => GetError::Disconnected,
            Refusal::Closed | Refusal::NotNow => GetError::Closed,
        }
    }

    pub(super) fn try_get(self) -> TryGetError {
        match self {
            Refusal::NotNow => TryGetError::Empty,
            Refusal::Closed => TryGetError::Closed,
            Refusal::Disconnected => TryGetError::Disconnected,
            Refusal::Failed(error) => TryGetError::Failed(error),
        }
    }
}

/// Slots of a ring are counted in 32 bits, and twice their number must be, too.
pub(super) const MOST_SLOTS: usize = 1 << 30;

/// A capacity that a ring can have.
pub(super) fn check_capacity(object: crate::error::Kind, capacity: usize) -> Result<u64, Error> {
    match capacity {
        1..=MOST_SLOTS => Ok(capacity as u64),
        _ => Err(Error::Capacity { object, capacity, most: MOST_SLOTS }),
    }
}

/// Whether a capacity that shared memory names is one that a ring can have.
pub(super) fn is_capacity(length: u64) -> bool {
    (1..=MOST_SLOTS as u64).contains(&length)
}

const _: () = assert!(MOST_SLOTS <= u32::MAX as usize / 2);

/// For a ring that does not end with those who use it.
pub(super) fn never() -> bool {
    false
}
