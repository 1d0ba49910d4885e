use std::sync::Mutex;

use super::engine::sync::atomic::{AtomicI32, Ordering::SeqCst};

/// A place that takes two turns to read or to write, so that others can be seen in between.
pub(crate) struct Cell<T> {
    // Never held over a turn.
    value: Mutex<T>,
    /// How many read; -1: somebody writes.
    at_work: AtomicI32,
}

impl<T: Copy> Cell<T> {
    pub(crate) fn new(value: T) -> Self {
        Cell { value: Mutex::new(value), at_work: AtomicI32::new(0) }
    }

    pub(crate) fn set(&self, value: T) {
        assert_eq!(self.at_work.swap(-1, SeqCst), 0, "written while somebody else is at it");
        *self.value.lock().unwrap() = value;
        assert_eq!(self.at_work.swap(0, SeqCst), -1, "somebody else was at it during a write");
    }

    pub(crate) fn get(&self) -> T {
        assert!(self.at_work.fetch_add(1, SeqCst) >= 0, "read while somebody writes");
        let value = *self.value.lock().unwrap();
        assert!(self.at_work.fetch_sub(1, SeqCst) > 0, "written during a read");
        value
    }
}
