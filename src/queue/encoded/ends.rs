use std::fmt;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::super::line::{Iter, impl_polled};
use super::ledger::{Role, Side};
use super::{Queue, QueueTask};
use crate::error::{GetError, PutError, TryGetError, TryPutError};
use crate::message::Sends;

/// A handle of a [`Queue`] that can only put. It tells a queue that ends with its producers that there is one more.
///
/// # Examples
///
/// See [`QueueBuilder::end_with_producers`](crate::QueueBuilder::end_with_producers).
pub struct Producer<T> {
    queue: Queue<T>,
}

/// A handle of a [`Queue`] that can only get. It tells a queue that ends with its consumers that there is one more.
///
/// # Examples
///
/// See [`QueueBuilder::end_with_producers`](crate::QueueBuilder::end_with_producers).
pub struct Consumer<T> {
    queue: Queue<T>,
}

impl<T> Queue<T> {
    /// A handle that can only put.
    ///
    /// # Examples
    ///
    /// See [`QueueBuilder::end_with_producers`](crate::QueueBuilder::end_with_producers).
    #[must_use = "it counts as long as it lives"]
    pub fn producer(&self) -> Producer<T> {
        Producer { queue: self.again(Role::Putter) }
    }

    /// A handle that can only get.
    ///
    /// # Examples
    ///
    /// See [`QueueBuilder::end_with_producers`](crate::QueueBuilder::end_with_producers).
    #[must_use = "it counts as long as it lives"]
    pub fn consumer(&self) -> Consumer<T> {
        Consumer { queue: self.again(Role::Getter) }
    }

    fn describe(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct(name);
        fields.field("len", &self.len()).field("capacity", &self.capacity()).field("is_closed", &self.is_closed());
        // Counted only where it matters.
        if self.presence.ends.with_producers {
            fields.field("producers", &self.ledger().count(Side::Putters));
        }
        if self.presence.ends.with_consumers {
            fields.field("consumers", &self.ledger().count(Side::Getters));
        }
        fields.finish()
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe("Queue", f)
    }
}

impl<T: Serialize + DeserializeOwned> Producer<T> {
    /// As [`Queue::put`]; [`Disconnected`](PutError::Disconnected) if the queue ends with its consumers.
    ///
    /// # Examples
    ///
    /// See [`QueueBuilder::end_with_producers`](crate::QueueBuilder::end_with_producers).
    pub fn put<M: Sends<T>>(&self, message: M) -> Result<(), PutError<M>> {
        self.queue.put(message)
    }

    /// As [`Queue::try_put`]; [`Disconnected`](TryPutError::Disconnected) if the queue ends with its consumers.
    ///
    /// # Examples
    ///
    /// See [`QueueBuilder::end_with_producers`](crate::QueueBuilder::end_with_producers).
    pub fn try_put<M: Sends<T>>(&self, message: M) -> Result<(), TryPutError<M>> {
        self.queue.try_put(message)
    }

    /// As [`Queue::put_timeout`]; [`Disconnected`](TryPutError::Disconnected) if the queue ends with its consumers.
    ///
    /// # Examples
    ///
    /// See [`QueueBuilder::end_with_producers`](crate::QueueBuilder::end_with_producers).
    pub fn put_timeout<M: Sends<T>>(&self, message: M, timeout: Duration) -> Result<(), TryPutError<M>> {
        self.queue.put_timeout(message, timeout)
    }
}

impl<T: Serialize + DeserializeOwned> Consumer<T> {
    /// As [`Queue::get`]; [`Disconnected`](GetError::Disconnected) if the queue ends with its producers. It waits while
    /// another consumer has a task open: it may come back.
    ///
    /// # Examples
    ///
    /// See [`QueueBuilder::end_with_producers`](crate::QueueBuilder::end_with_producers).
    pub fn get(&self) -> Result<T, GetError> {
        self.queue.get()
    }

    /// As [`Queue::try_get`]; [`Disconnected`](TryGetError::Disconnected) if the queue ends with its producers.
    ///
    /// # Examples
    ///
    /// See [`QueueBuilder::end_with_producers`](crate::QueueBuilder::end_with_producers).
    pub fn try_get(&self) -> Result<T, TryGetError> {
        self.queue.try_get()
    }

    /// As [`Queue::get_timeout`]; [`Disconnected`](TryGetError::Disconnected) if the queue ends with its producers.
    ///
    /// # Examples
    ///
    /// See [`QueueBuilder::end_with_producers`](crate::QueueBuilder::end_with_producers).
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, TryGetError> {
        self.queue.get_timeout(timeout)
    }

    /// As [`Queue::iter`]; ends also once the queue has ended with its producers.
    ///
    /// # Examples
    ///
    /// See [`QueueBuilder::end_with_producers`](crate::QueueBuilder::end_with_producers).
    pub fn iter(&self) -> Iter<'_, Queue<T>> {
        self.queue.iter()
    }

    /// As [`Queue::get_task`].
    ///
    /// # Examples
    ///
    /// See [`QueueBuilder::end_with_producers`](crate::QueueBuilder::end_with_producers).
    pub fn get_task(&self) -> Result<QueueTask<'_, T>, GetError> {
        self.queue.get_task()
    }

    /// As [`Queue::try_get_task`].
    ///
    /// # Examples
    ///
    /// See [`QueueBuilder::end_with_producers`](crate::QueueBuilder::end_with_producers).
    pub fn try_get_task(&self) -> Result<QueueTask<'_, T>, TryGetError> {
        self.queue.try_get_task()
    }

    /// As [`Queue::get_task_timeout`].
    ///
    /// # Examples
    ///
    /// See [`QueueBuilder::end_with_producers`](crate::QueueBuilder::end_with_producers).
    pub fn get_task_timeout(&self, timeout: Duration) -> Result<QueueTask<'_, T>, TryGetError> {
        self.queue.get_task_timeout(timeout)
    }
}

/// As `iter`.
impl<'a, T: Serialize + DeserializeOwned> IntoIterator for &'a Consumer<T> {
    type Item = Result<T, GetError>;
    type IntoIter = Iter<'a, Queue<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T> Consumer<T> {
    /// As [`Queue::readiness`]; readable also once the queue has ended with its producers.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Queue, wait_any};
    ///
    /// let queue = Queue::<u8>::builder().end_with_producers(true).build()?;
    /// let consumer = queue.consumer();
    /// drop(queue);
    /// assert_eq!(wait_any(&[&consumer], None)?, [0]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn readiness(&self) -> crate::Result<BorrowedFd<'_>> {
        self.queue.readiness()
    }

    /// As [`Queue::task_done`].
    ///
    /// # Examples
    ///
    /// See [`QueueBuilder::end_with_producers`](crate::QueueBuilder::end_with_producers).
    pub fn task_done(&self) -> crate::Result<()> {
        self.queue.task_done()
    }
}

impl_polled!(Consumer, [T]);

macro_rules! same_as_its_queue {
    ($($end:ident)*) => {$(
        impl<T> $end<T> {
            /// As [`Queue::len`].
            ///
            /// # Examples
            ///
            /// See [`QueueBuilder::end_with_producers`](crate::QueueBuilder::end_with_producers).
            pub fn len(&self) -> usize {
                self.queue.len()
            }

            /// As [`Queue::is_empty`].
            ///
            /// # Examples
            ///
            /// See [`QueueBuilder::end_with_producers`](crate::QueueBuilder::end_with_producers).
            pub fn is_empty(&self) -> bool {
                self.queue.is_empty()
            }

            /// As [`Queue::is_full`].
            ///
            /// # Examples
            ///
            /// See [`QueueBuilder::end_with_producers`](crate::QueueBuilder::end_with_producers).
            pub fn is_full(&self) -> bool {
                self.queue.is_full()
            }

            /// As [`Queue::capacity`].
            ///
            /// # Examples
            ///
            /// See [`QueueBuilder::end_with_producers`](crate::QueueBuilder::end_with_producers).
            pub fn capacity(&self) -> usize {
                self.queue.capacity()
            }

            /// As [`Queue::max_message`].
            ///
            /// # Examples
            ///
            /// See [`QueueBuilder::end_with_producers`](crate::QueueBuilder::end_with_producers).
            pub fn max_message(&self) -> usize {
                self.queue.max_message()
            }

            /// As [`Queue::close`].
            ///
            /// # Examples
            ///
            /// See [`QueueBuilder::end_with_producers`](crate::QueueBuilder::end_with_producers).
            pub fn close(&self) {
                self.queue.close();
            }

            /// As [`Queue::is_closed`].
            ///
            /// # Examples
            ///
            /// See [`QueueBuilder::end_with_producers`](crate::QueueBuilder::end_with_producers).
            pub fn is_closed(&self) -> bool {
                self.queue.is_closed()
            }

            /// As [`Queue::redelivered`].
            ///
            /// # Examples
            ///
            /// See [`QueueBuilder::end_with_producers`](crate::QueueBuilder::end_with_producers).
            pub fn redelivered(&self) -> u64 {
                self.queue.redelivered()
            }

            /// As [`Queue::memory_fd`].
            ///
            /// # Examples
            ///
            /// See [`QueueBuilder::end_with_producers`](crate::QueueBuilder::end_with_producers).
            pub fn memory_fd(&self) -> BorrowedFd<'_> {
                self.queue.memory_fd()
            }

            /// As [`Queue::join`].
            ///
            /// # Examples
            ///
            /// See [`QueueBuilder::end_with_producers`](crate::QueueBuilder::end_with_producers).
            pub fn join(&self) {
                self.queue.join();
            }

            /// As [`Queue::join_timeout`].
            ///
            /// # Examples
            ///
            /// See [`QueueBuilder::end_with_producers`](crate::QueueBuilder::end_with_producers).
            #[must_use = "whether everything is done"]
            pub fn join_timeout(&self, timeout: Duration) -> bool {
                self.queue.join_timeout(timeout)
            }
        }

        impl<T> Clone for $end<T> {
            fn clone(&self) -> Self {
                $end { queue: self.queue.clone() }
            }
        }

        impl<T> fmt::Debug for $end<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.queue.describe(stringify!($end), f)
            }
        }

        /// Only within a transfer to another process.
        impl<T: Serialize + DeserializeOwned> Serialize for $end<T> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.queue.serialize(serializer)
            }
        }

        /// Only within a transfer from another process.
        impl<'de, T: Serialize + DeserializeOwned> Deserialize<'de> for $end<T> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Ok($end { queue: Queue::deserialize(deserializer)? })
            }
        }
    )*};
}

same_as_its_queue!(Producer Consumer);
