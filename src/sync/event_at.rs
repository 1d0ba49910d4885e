//! Events for programs that are written against the traits of the crate `raw_sync`.

#![allow(unsafe_code)]

use std::mem::{align_of, size_of};
use std::result::Result;

use raw_sync::Timeout;
use raw_sync::events::{EventImpl, EventInit, EventState};

use crate::error::{AttachError, Error, OsError};
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sys::clock::Deadline;
use crate::sys::spin::Spin;
use crate::word::event::EventWord;

/// What `raw_sync`'s `Event` is, without a mutex that a killed process could keep: an [`Event`](crate::Event) at an address of
/// the caller's, in any shared memory.
///
/// In a program that uses `raw_sync`, put this type where `raw_sync::events::Event` stood; its functions are those of
/// [`EventInit`]. All processes must change at once, as the bytes are others. A manual event stays set until it is cleared;
/// one that resets itself is cleared by the one whose wait it ends.
///
/// Needs the feature `compat-raw-sync`.
///
/// # Concurrency and death
///
/// As [`Event`](crate::Event): a killed waiter takes no wake-up from others, and whom a killed setter did not wake any more
/// returns within 50 ms.
///
/// # Errors
///
/// `wait` fails, with [`Error::Os`] of `ETIMEDOUT`, if the event was not set before its time was up: monotonic, and never
/// earlier. `from_existing` fails, with [`Error::Attach`], where no event has been made.
///
/// # Safety
///
/// Memory given to `new` or `from_existing` is shared, writable, as long as [`size_of`](EventInit::size_of) says of its address,
/// and mapped as long as what they return lives; nothing else writes to it. No event is made anew where somebody uses one.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::AtomicU64;
/// use std::time::Duration;
///
/// use crossproc::{EventAt, RawArray};
/// use raw_sync::Timeout;
/// use raw_sync::events::{EventInit, EventState};
///
/// let place = RawArray::<AtomicU64>::new(2)?; // goes to children in their arguments; new_in: in an arena
/// let address = place.as_ptr().cast_mut().cast();
/// // SAFETY: 16 bytes of shared memory that nobody else uses, and which `place` keeps mapped.
/// let (event, used) = unsafe { EventAt::new(address, true) }.unwrap();
/// assert_eq!(used, EventAt::size_of(Some(address)));
/// event.set(EventState::Signaled).unwrap();
/// event.wait(Timeout::Infinite).unwrap();
/// assert!(event.wait(Timeout::Val(Duration::ZERO)).is_err(), "it was set for one");
/// # Ok::<(), crossproc::Error>(())
/// ```
pub struct EventAt {
    words: *const Words,
    spin: Spin,
}

/// | offset | size | field | meaning                                                                          |
/// |--------|------|-------|----------------------------------------------------------------------------------|
/// | 0      | 8    | word  | see `word/event.rs`                                                              |
/// | 8      | 8    | mode  | "event   ", or "event  a" if it resets itself, stored last; others: no event here |
#[repr(C)]
struct Words {
    word: EventWord,
    mode: AtomicU64,
}

const _: () = assert!(size_of::<Words>() == 16 && align_of::<Words>() == 8);

const MANUAL: u64 = u64::from_le_bytes(*b"event   ");
const AUTO: u64 = u64::from_le_bytes(*b"event  a");

type Made = Result<(Box<dyn EventImpl>, usize), Box<dyn std::error::Error>>;

/// Bytes to the first address that the words can have.
fn padding(mem: *mut u8) -> usize {
    mem.align_offset(align_of::<Words>())
}

impl EventAt {
    /// # Safety
    ///
    /// That of the type.
    unsafe fn at(mem: *mut u8) -> Self {
        // SAFETY: within the memory that the caller gives.
        let words = unsafe { mem.add(padding(mem)) };
        EventAt { words: words.cast(), spin: Spin::for_answers() }
    }

    fn words(&self) -> &Words {
        // SAFETY: aligned, mapped as long as this lives (the promise of `new`'s and `from_existing`'s callers), and atomics, which
        // any bytes are.
        unsafe { &*self.words }
    }

    fn into_made(self, mem: *mut u8) -> Made {
        Ok((Box::new(self), Self::size_of(Some(mem))))
    }
}

impl EventInit for EventAt {
    /// 16, and what aligns the address if there is one.
    fn size_of(addr: Option<*mut u8>) -> usize {
        size_of::<Words>() + addr.map_or(0, padding)
    }

    unsafe fn new(mem: *mut u8, auto_reset: bool) -> Made {
        // SAFETY: as the caller promises.
        let event = unsafe { EventAt::at(mem) };
        let words = event.words();
        words.mode.store(0, Relaxed);
        words.word.reset();
        // Release: publishes the word to the Acquire in `from_existing`.
        words.mode.store(if auto_reset { AUTO } else { MANUAL }, Release);
        event.into_made(mem)
    }

    unsafe fn from_existing(mem: *mut u8) -> Made {
        // SAFETY: as the caller promises.
        let event = unsafe { EventAt::at(mem) };
        let found = event.words().mode.load(Acquire); // pairs with the Release in `new`
        if found != MANUAL && found != AUTO {
            let offset = (padding(mem) + 8) as u64;
            return Err(Error::from(AttachError::NoObject { offset, found, expected: MANUAL }).into());
        }
        event.into_made(mem)
    }
}

impl EventImpl for EventAt {
    fn wait(&self, timeout: Timeout) -> Result<(), Box<dyn std::error::Error>> {
        let deadline = match timeout {
            Timeout::Infinite => Deadline::NEVER,
            Timeout::Val(timeout) => Deadline::after(timeout),
        };
        let Words { word, mode } = self.words();
        let was_set = match mode.load(Relaxed) {
            AUTO => word.take(deadline, &self.spin),
            _ => word.wait(deadline, &self.spin),
        };
        if was_set {
            Ok(())
        } else {
            Err(Error::os("wait for an event any longer", OsError::from_code(libc::ETIMEDOUT)).into())
        }
    }

    fn set(&self, state: EventState) -> Result<(), Box<dyn std::error::Error>> {
        match state {
            EventState::Clear => self.words().word.clear(),
            EventState::Signaled => self.words().word.set(),
        }
        Ok(())
    }
}
