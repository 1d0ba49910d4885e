//! Holds that are given up in the midst of a transaction of the same thread: they are let go at its end.

use std::mem;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::object::Hold;
use super::{Heap, Transaction};
use crate::error::Error;
use crate::segment::Segment;
use crate::sys::atomic::Ordering::Relaxed;
use crate::sys::fork;

struct Late {
    /// When that is gone, so is the peer that held anything in it.
    segment: Weak<Segment>,
    /// A forked copy has given up nothing.
    generation: u32,
    hold: Hold,
}

static LATE: Mutex<Vec<Late>> = Mutex::new(Vec::new());

/// How many there are: cheaper to ask for, at the end of each transaction.
static COUNT: AtomicUsize = AtomicUsize::new(0);

fn late() -> MutexGuard<'static, Vec<Late>> {
    LATE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Heap {
    /// Lets go what this process has held; now, or at the end of the transaction that this thread is in the midst of.
    pub(crate) fn give_up(&self, hold: Hold) {
        if let Err(Error::AlreadyHeld { .. }) = self.transact_once(|transaction| transaction.let_go(hold)) {
            let segment = Arc::downgrade(self.segment());
            late().push(Late { segment, generation: fork::generation(), hold });
            COUNT.fetch_add(1, Relaxed);
        }
    }
}

impl Transaction<'_> {
    /// Lets go what was given up in its midst; each in a transaction of its own.
    pub(super) fn let_go_late(&mut self) {
        if COUNT.load(Relaxed) == 0 {
            return;
        }
        let ours = |late: &Late| late.segment.as_ptr() == Arc::as_ptr(self.heap().segment());
        let (mine, others): (Vec<_>, Vec<_>) = mem::take(&mut *late()).into_iter().partition(ours);
        COUNT.fetch_sub(mine.len(), Relaxed);
        late().extend(others);
        for Late { hold, .. } in mine.into_iter().filter(|late| late.generation == fork::generation()) {
            if self.let_go(hold).and_then(|()| self.end()).is_err() {
                self.undo();
            }
        }
    }
}
