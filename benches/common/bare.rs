//! The limit of every queue: a ring for one producer and one consumer on bare shared memory, that never sleeps, and that
//! no death may touch.

use std::hint;
use std::slice;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::thread;

use super::mapping::{APART, Mapping};

/// The parts of the field: how many messages have been read, how many written, and the slots.
const READ: usize = 0;
const WRITTEN: usize = 1;
const SLOTS: usize = 2;

/// Messages of `N` words, which fill whole parts.
pub(crate) struct BareRing<const N: usize> {
    field: Mapping,
    slots: u64,
}

impl<const N: usize> BareRing<N> {
    const PARTS: usize = {
        assert!(size_of::<[u64; N]>().is_multiple_of(APART));
        size_of::<[u64; N]>() / APART
    };

    pub(crate) fn new(slots: usize) -> Self {
        BareRing { field: Mapping::allocated((SLOTS + slots * Self::PARTS) * APART), slots: slots as u64 }
    }

    /// The same ring in a child.
    pub(crate) fn open(path: &str, slots: usize) -> Self {
        BareRing { field: Mapping::open(path), slots: slots as u64 }
    }

    pub(crate) fn path(&self) -> String {
        self.field.path()
    }

    /// Writes message `n`; each once, in order, by one process.
    pub(crate) fn write(&self, n: u64, write: impl FnOnce(&mut [u64])) {
        wait_until(self.field.word(READ), |read| n - read < self.slots);
        // SAFETY: the slot's words lie within the field, and are this process's until it says that they are written.
        write(unsafe { slice::from_raw_parts_mut(self.slot(n), N) });
        self.field.word(WRITTEN).store(n + 1, Release);
    }

    /// Reads message `n`; each once, in order, by one process.
    pub(crate) fn read(&self, n: u64, read: impl FnOnce(&[u64])) {
        wait_until(self.field.word(WRITTEN), |written| written > n);
        // SAFETY: the slot's words lie within the field, and are not written until this process says that they are read.
        read(unsafe { slice::from_raw_parts(self.slot(n), N) });
        self.field.word(READ).store(n + 1, Release);
    }

    fn slot(&self, n: u64) -> *mut u64 {
        self.field.part(SLOTS + (n % self.slots) as usize * Self::PARTS).cast().as_ptr()
    }
}

fn wait_until(word: &AtomicU64, is_done: impl Fn(u64) -> bool) {
    for looks in 1_u32.. {
        if is_done(word.load(Acquire)) {
            return;
        }
        // Where others want the processors, too, the other side may be waiting for ours.
        if looks.is_multiple_of(1 << 12) {
            thread::yield_now();
        }
        hint::spin_loop();
    }
}
