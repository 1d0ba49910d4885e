//! Both kinds of semaphore as their handles have them.

#![allow(unsafe_code)]

use std::alloc::Layout;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::Permit;
use crate::error::{Error, Kind, Result, TryAcquireError};
use crate::segment::place::{Body, Home, Placed};
use crate::segment::{Segment, Wait, stamp, type_stamp};
use crate::sys::atomic::AtomicU32;
use crate::sys::barrier;
use crate::sys::spin::Spin;
use crate::word::PeerId;
use crate::word::semaphore::{Control, Permits};

/// Every word of the permits lies in another line than what only those write who sleep.
const LINE: usize = 64;

/// The most permits that a semaphore can have: 4 GiB of words.
pub(super) const MOST: usize = 1 << 30;

/// | offset | size  | field   | meaning                      |
/// |--------|-------|---------|------------------------------|
/// | 0      | 16    | control | see `word/semaphore.rs`      |
/// | 64     | 4 x n |         | the permits, n = the length  |
#[repr(C)]
pub(super) struct SemaphoreBody<const BOUNDED: bool> {
    control: Control,
}

const _: () = assert!(size_of::<Control>() == 16);

// SAFETY: `repr(C)`, atomics only; zero is no permit, and nobody waits.
unsafe impl<const BOUNDED: bool> Body for SemaphoreBody<BOUNDED> {
    const KIND: Kind = if BOUNDED { Kind::BoundedSemaphore } else { Kind::Semaphore };
    const STAMP: u64 = stamp(&[size_of::<Self>(), LINE]);
}

#[derive(Clone)]
pub(super) struct PlacedSemaphore<const BOUNDED: bool> {
    placed: Placed<SemaphoreBody<BOUNDED>>,
    start: Start,
    spin: Spin,
}

impl<const BOUNDED: bool> PlacedSemaphore<BOUNDED> {
    pub(super) fn create(home: Home<'_>, permits: usize, most: usize) -> Result<Self> {
        let object = SemaphoreBody::<BOUNDED>::KIND;
        if !(1..=MOST).contains(&most) {
            return Err(Error::Capacity { object, capacity: most, most: MOST });
        }
        if permits > most {
            return Err(Error::TooManyPermits { object, permits, room: most });
        }
        let length = most as u64;
        let fill = |placed: &Placed<_>| Self::permits_of(placed).initialise(permits);
        Ok(Self::of(Placed::create(home, type_stamp::<()>(), length, Self::tail(length), fill)?))
    }

    pub(super) fn attach(segment: Arc<Segment>, offset: u64) -> Result<Self> {
        Ok(Self::of(Placed::attach(segment, offset, &type_stamp::<()>(), Self::tail)?))
    }

    fn of(placed: Placed<SemaphoreBody<BOUNDED>>) -> Self {
        barrier::register();
        PlacedSemaphore { placed, start: Start::default(), spin: Spin::new() }
    }

    pub(super) fn tail(length: u64) -> Option<Layout> {
        let length = usize::try_from(length).ok().filter(|length| (1..=MOST).contains(length))?;
        Layout::array::<AtomicU32>(length).ok()?.align_to(LINE).ok()
    }

    #[inline]
    fn permits_of(placed: &Placed<SemaphoreBody<BOUNDED>>) -> Permits<'_> {
        Permits::new(&placed.body().control, placed.tail_of(placed.length()))
    }

    #[inline]
    pub(super) fn take(&self, wait: Wait) -> Result<Permit<'_>, TryAcquireError> {
        let permits = Self::permits_of(&self.placed);
        let me = self.placed.segment().me()?;
        let place = match permits.take(me, self.start.get()) {
            Some(place) => place,
            None => self.take_slow(me, wait)?,
        };
        self.start.set(place);
        Ok(Permit::new(permits, place))
    }

    #[cold]
    fn take_slow(&self, me: PeerId, wait: Wait) -> Result<usize, TryAcquireError> {
        let (permits, start) = (Self::permits_of(&self.placed), self.start.get());
        let liveness = self.placed.segment().liveness();
        let taken = match wait {
            Wait::No => permits.try_acquire(me, start, liveness),
            Wait::Until(deadline) => permits.acquire(me, start, liveness, deadline, &self.spin),
        };
        taken.ok_or(TryAcquireError::NoPermit)
    }

    pub(super) fn release(&self, permits: usize) -> Result<()> {
        let me = self.placed.segment().me()?;
        let released = Self::permits_of(&self.placed).release(me, permits, self.start.get());
        released.map_err(|room| Error::TooManyPermits { object: SemaphoreBody::<BOUNDED>::KIND, permits, room })
    }

    pub(super) fn value(&self) -> usize {
        Self::permits_of(&self.placed).value(self.placed.segment().liveness())
    }

    pub(super) fn capacity(&self) -> usize {
        self.placed.length()
    }

    pub(super) fn segment(&self) -> &Arc<Segment> {
        self.placed.segment()
    }

    pub(super) fn offset(&self) -> u64 {
        self.placed.offset()
    }
}

/// Where a handle looks for a permit first: where it has got the last one. So those who contend for many find different ones.
#[derive(Default)]
struct Start(AtomicUsize);

impl Start {
    #[inline]
    fn get(&self) -> usize {
        self.0.load(Relaxed) // a hint for nobody but ourselves
    }

    #[inline]
    fn set(&self, place: usize) {
        if self.get() != place {
            self.0.store(place, Relaxed);
        }
    }
}

impl Clone for Start {
    fn clone(&self) -> Self {
        Start(AtomicUsize::new(self.get()))
    }
}
