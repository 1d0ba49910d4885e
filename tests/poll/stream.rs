//! What tests need of a `Ring` and of a `Queue`.

use std::os::fd::AsFd;

use crossproc::{Queue, Ring, TryGetError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What can be polled and got from, by any number of handles.
pub(crate) trait Stream: AsFd + Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    fn of(capacity: usize) -> Self;
    fn put(&self, number: u32);
    fn get(&self) -> Option<u32>;
    fn try_get(&self) -> Result<u32, TryGetError>;
    fn close(&self);
    /// Gets one, calls `meanwhile` before it is done, and then is done or gives it back.
    fn hold(&self, is_done: bool, meanwhile: impl FnOnce());
}

impl Stream for Ring<u32> {
    fn of(capacity: usize) -> Self {
        Ring::new(capacity).unwrap()
    }

    fn put(&self, number: u32) {
        Ring::put(self, number).unwrap();
    }

    fn get(&self) -> Option<u32> {
        Ring::get(self).ok()
    }

    fn try_get(&self) -> Result<u32, TryGetError> {
        Ring::try_get(self)
    }

    fn close(&self) {
        Ring::close(self);
    }

    fn hold(&self, is_done: bool, meanwhile: impl FnOnce()) {
        let taken = self.take().unwrap();
        meanwhile();
        if is_done { drop(taken) } else { taken.give_back() }
    }
}

impl Stream for Queue<u32> {
    fn of(capacity: usize) -> Self {
        Queue::new(capacity).unwrap()
    }

    fn put(&self, number: u32) {
        Queue::put(self, number).unwrap();
    }

    fn get(&self) -> Option<u32> {
        Queue::get(self).ok()
    }

    fn try_get(&self) -> Result<u32, TryGetError> {
        Queue::try_get(self)
    }

    fn close(&self) {
        Queue::close(self);
    }

    fn hold(&self, is_done: bool, meanwhile: impl FnOnce()) {
        let task = self.get_task().unwrap();
        meanwhile();
        if is_done { drop(task) } else { task.give_back() }
    }
}
