use std::sync::Arc;

use super::super::travel::{self, Loading};
use super::{Engine, Holds};
use crate::error::Result;
use crate::heap::Heap;
use crate::heap::object::{Hold, Object};

/// What keeps an object as long as this process has a handle of it. In a forked copy of the process it keeps nothing: the hold is the
/// parent's.
pub(crate) struct Held {
    pub(super) heap: Arc<Heap>,
    pub(super) object: Object,
    hold: Hold,
}

impl Held {
    /// An object that is there.
    pub(super) fn hold(heap: &Arc<Heap>, object: Object) -> Result<Self> {
        let me = heap.segment().me()?;
        let hold = heap.transact(|transaction| transaction.hold(object, me))?;
        Ok(Self::of(heap, hold))
    }

    /// An object that this process holds.
    pub(super) fn of(heap: &Arc<Heap>, hold: Hold) -> Self {
        Held { heap: Arc::clone(heap), object: hold.object, hold }
    }

    /// Runs `decode`, in which handles of objects of the same heap may be deserialised.
    pub(crate) fn loading<R>(&self, decode: impl FnOnce() -> R) -> R {
        travel::loading(Loading::Local(Holds { heap: Arc::clone(&self.heap), holds: Vec::new() }), decode)
    }

    /// That of its manager.
    pub(crate) fn engine(&self) -> Engine {
        Engine(Arc::clone(&self.heap))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.heap.give_up(self.hold);
    }
}
