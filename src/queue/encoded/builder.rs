use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Queue;
use crate::error::Result;
use crate::segment::Arena;

/// More about a [`Queue`] than its capacity.
///
/// # Examples
///
/// ```
/// let queue = crossproc::Queue::builder().capacity(100).max_message(64 << 20).build()?;
/// queue.put(vec![1.5_f32; 1_000_000])?; // 4 MB
/// assert_eq!(queue.get()?.len(), 1_000_000);
/// # Ok::<(), crossproc::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder makes nothing until it is told to"]
pub struct QueueBuilder<T> {
    capacity: usize,
    max_message: usize,
    element: PhantomData<fn(T) -> T>,
}

impl<T: Serialize + DeserializeOwned> QueueBuilder<T> {
    pub(super) fn new() -> Self {
        QueueBuilder { capacity: 1024, max_message: 1 << 20, element: PhantomData }
    }

    /// How many messages the queue holds: 1 to 2^30, 1,024 unless told.
    ///
    /// # Examples
    ///
    /// See [`QueueBuilder`].
    pub fn capacity(self, messages: usize) -> Self {
        QueueBuilder { capacity: messages, ..self }
    }

    /// The most encoded bytes that a message may have: 1 MiB unless told.
    ///
    /// It is a limit, not a size: only address space is taken for it in advance.
    ///
    /// # Examples
    ///
    /// See [`QueueBuilder`].
    pub fn max_message(self, bytes: usize) -> Self {
        QueueBuilder { max_message: bytes, ..self }
    }

    /// The queue, in memory of its own.
    ///
    /// # Errors
    ///
    /// As [`Queue::new`].
    ///
    /// # Examples
    ///
    /// See [`QueueBuilder`].
    pub fn build(self) -> Result<Queue<T>> {
        Queue::create(None, self.capacity, self.max_message)
    }

    /// The queue in an arena, which has to have room for all its messages at their longest.
    ///
    /// # Errors
    ///
    /// As [`Queue::new_in`].
    ///
    /// # Examples
    ///
    /// ```
    /// let arena = crossproc::Arena::new(1 << 16)?;
    /// let queue = crossproc::Queue::builder().capacity(8).max_message(100).build_in(&arena)?;
    /// queue.put("a short text".to_string())?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn build_in(self, arena: &Arena) -> Result<Queue<T>> {
        Queue::create(Some(arena), self.capacity, self.max_message)
    }
}
