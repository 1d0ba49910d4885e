//! Holds that are given up in the midst of a transaction of the same thread: they are let go at its end.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, Weak};

use super::object::Hold;
use super::{Heap, Transaction};
use crate::error::Error;
use crate::segment::Segment;

struct Late {
    /// When that is gone, so is the peer that held anything in it.
    segment: Weak<Segment>,
    hold: Hold,
}

thread_local! {
    /// Of this thread: it is the one that has the lock.
    static LATE: RefCell<Vec<Late>> = const { RefCell::new(Vec::new()) };
    /// Whether there are any: cheaper to ask for, at the end of each transaction.
    static IS_LATE: Cell<bool> = const { Cell::new(false) };
}

impl Heap {
    /// Lets go what this process has held; now, or at the end of the transaction that this thread is in the midst of. A forked copy of
    /// the process gives up nothing.
    pub(crate) fn give_up(&self, hold: Hold) {
        if !hold.is_ours() {
            return;
        }
        if let Err(Error::AlreadyHeld { .. }) = self.transact_once(|transaction| transaction.let_go(hold)) {
            let segment = Arc::downgrade(self.segment());
            let late = Late { segment, hold };
            // A thread that ends has nothing left to keep it in: then the hold ends with the process.
            if LATE.try_with(|all| all.borrow_mut().push(late)).is_ok() {
                IS_LATE.set(true);
            }
        }
    }
}

impl Transaction<'_> {
    /// Lets go what was given up in its midst; each in a transaction of its own.
    pub(super) fn let_go_late(&mut self) {
        if !IS_LATE.replace(false) {
            return;
        }
        let ours = |late: &Late| late.segment.as_ptr() == Arc::as_ptr(self.heap().segment());
        let all = LATE.try_with(RefCell::take).unwrap_or_default();
        let (mine, others): (Vec<_>, Vec<_>) = all.into_iter().partition(ours);
        if !others.is_empty() {
            IS_LATE.set(true);
            let _ = LATE.try_with(|all| all.borrow_mut().extend(others));
        }
        for Late { hold, .. } in mine.into_iter().filter(|late| late.hold.is_ours()) {
            if self.let_go(hold).and_then(|()| self.end()).is_err() {
                self.undo();
            }
        }
    }
}
