use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Queue;
use super::travel::Ends;
use crate::error::{Kind, Result};
use crate::segment::{Arena, Name, named};

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
    capacity: Option<usize>,
    max_message: Option<usize>,
    end_with_producers: Option<bool>,
    end_with_consumers: Option<bool>,
    element: PhantomData<fn(T) -> T>,
}

impl<T: Serialize + DeserializeOwned> QueueBuilder<T> {
    pub(super) fn new() -> Self {
        QueueBuilder {
            capacity: None,
            max_message: None,
            end_with_producers: None,
            end_with_consumers: None,
            element: PhantomData,
        }
    }

    /// How many messages the queue holds: 1 to 2^30, 1,024 unless told.
    ///
    /// # Examples
    ///
    /// See [`QueueBuilder`].
    pub fn capacity(self, messages: usize) -> Self {
        QueueBuilder { capacity: Some(messages), ..self }
    }

    /// The most encoded bytes that a message may have: 1 MiB unless told.
    ///
    /// It is a limit, not a size: only address space is taken for it in advance.
    ///
    /// # Examples
    ///
    /// See [`QueueBuilder`].
    pub fn max_message(self, bytes: usize) -> Self {
        QueueBuilder { max_message: Some(bytes), ..self }
    }

    /// Whether gets end with [`Disconnected`](crate::GetError::Disconnected) once the queue is empty and no handle is left,
    /// in any process, that could put: no [`Queue`] and no [`Producer`](crate::Producer). Unless told, a queue waits for
    /// later producers.
    ///
    /// A handle on its way to another process counts; one in a forked copy of a process does not.
    ///
    /// # Death
    ///
    /// The handles of a process go with it; whoever waits learns it within 50 ms. A get waits while another consumer has a
    /// task open, or is in the middle of a `get`: it may come back.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{GetError, Process, Producer, Queue, Result};
    ///
    /// fn count(numbers: Producer<u32>) -> Result<()> {
    ///     (1..=3).try_for_each(|n| Ok(numbers.put(n)?))
    /// }
    ///
    /// # fn main() -> Result<()> {
    /// crossproc::init();
    /// let queue = Queue::builder().end_with_producers(true).build()?;
    /// let process = Process::spawn(count, (queue.producer(),))?;
    /// let numbers = queue.consumer();
    /// drop(queue); // it could put, too
    /// assert_eq!(numbers.iter().sum::<Result<u32, _>>()?, 6);
    /// assert_eq!(numbers.get(), Err(GetError::Disconnected));
    /// process.join()?
    /// # }
    /// ```
    pub fn end_with_producers(self, end: bool) -> Self {
        QueueBuilder { end_with_producers: Some(end), ..self }
    }

    /// Whether puts end with [`Disconnected`](crate::PutError::Disconnected) once no handle is left, in any process, that
    /// could get: no [`Queue`] and no [`Consumer`](crate::Consumer). Unless told, a queue waits for later consumers.
    ///
    /// It is noticed by those who find the queue full: a message for which there is room is put, and lies there. For the
    /// rest as [`end_with_producers`](Self::end_with_producers).
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{PutError, Queue};
    ///
    /// let queue = Queue::<u8>::builder().capacity(1).end_with_consumers(true).build()?;
    /// let producer = queue.producer();
    /// producer.put(1)?;
    /// drop(queue);
    /// assert_eq!(producer.put(2), Err(PutError::Disconnected(2)));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn end_with_consumers(self, end: bool) -> Self {
        QueueBuilder { end_with_consumers: Some(end), ..self }
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
        self.build_at(None, None)
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
        self.build_at(Some(arena), None)
    }

    /// The queue under a name.
    ///
    /// # Errors
    ///
    /// As [`Queue::create`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Queue;
    ///
    /// # let unique = format!("example/built-{}", std::process::id());
    /// # let name = unique.as_str();
    /// let queue = Queue::builder().capacity(8).max_message(100).create(name)?; // or "app/jobs"
    /// queue.put("a short text".to_string())?;
    /// assert_eq!(Queue::<String>::open(name)?.get()?, "a short text");
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn create(self, name: impl Into<Name>) -> Result<Queue<T>> {
        let name = name.into();
        named::create(name.clone(), |_| self.build_at(None, Some(&name)))
    }

    /// The queue of this name, or a new one if there is none.
    ///
    /// # Errors
    ///
    /// As [`Queue::open_or_create`]; one that is there must have what this was told, and may have what it was not.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{AttachError, Error, Queue};
    ///
    /// # let unique = format!("example/either-{}", std::process::id());
    /// # let name = unique.as_str();
    /// let builder = || Queue::<u8>::builder().capacity(8);
    /// let queue = builder().open_or_create(name)?; // or "app/jobs"
    /// assert!(builder().open_or_create(name).is_ok());
    /// let refused = builder().max_message(100).open_or_create(name).unwrap_err();
    /// assert!(matches!(refused, Error::Attach(AttachError::WrongShape { found: 0x10_0000, expected: 100, .. })));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn open_or_create(self, name: impl Into<Name>) -> Result<Queue<T>> {
        let name = name.into();
        let told = [
            ("capacity", self.capacity),
            ("max_message", self.max_message),
            ("end_with_producers", self.end_with_producers.map(usize::from)),
            ("end_with_consumers", self.end_with_consumers.map(usize::from)),
        ];
        let check = |found: &Queue<T>| {
            let Ends { with_producers, with_consumers } = found.presence.ends;
            let found = [found.capacity(), found.max_message(), with_producers.into(), with_consumers.into()];
            told.iter().zip(found).try_for_each(|(&(what, told), found)| match told {
                Some(told) => named::check_same(Kind::Queue, what, found, told),
                None => Ok(()),
            })
        };
        named::open_or_create(name.clone(), |_| self.build_at(None, Some(&name)), check)
    }

    pub(super) fn build_at(self, arena: Option<&Arena>, name: Option<&Name>) -> Result<Queue<T>> {
        let (capacity, max_message) = (self.capacity.unwrap_or(1024), self.max_message.unwrap_or(1 << 20));
        let with_producers = self.end_with_producers.unwrap_or(false);
        let with_consumers = self.end_with_consumers.unwrap_or(false);
        Queue::create_in(arena, name, capacity, max_message, Ends { with_producers, with_consumers })
    }
}
