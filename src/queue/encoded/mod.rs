#![allow(unsafe_code)]

mod builder;
mod extents;
mod get;
mod ledger;
mod put;
mod task;

use std::alloc::Layout;
use std::marker::PhantomData;
use std::mem::offset_of;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::builder::QueueBuilder;
use self::extents::Extents;
use self::ledger::{Account, Ledger};
pub use self::task::Task;
use super::cells::{Cells, Shape};
use super::cursors::{Cursors, check_capacity, is_capacity};
use crate::error::{AttachError, Error, Kind, Result};
use crate::fault::crash_point;
use crate::ring::{CONTROL_LAYOUT, Control, Event};
use crate::segment::handle::impl_readable_handle;
use crate::segment::place::{Body, Home, Placed};
use crate::segment::{Arena, Atomics, Segment, stamp, type_stamp};
use crate::sys::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sys::barrier;
use crate::sys::clock::Deadline;

/// A bounded queue of messages of any serde type, lock-free, for any number of producers and consumers.
///
/// A message is encoded into shared memory when it is put, and decoded when it is got; small ones cost no allocation. For
/// plain data there is [`Ring`](crate::Ring), which copies nothing that it need not.
///
/// # Concurrency
///
/// Every message is got by one consumer. What one producer puts is got in its order: each consumer sees a part of it, in
/// that order. A message whose put has returned can be got at once, by everybody, and outlives the process that put it. The
/// queue holds exactly [`capacity`](Self::capacity) messages, those included that are being written or read. Who waits
/// sleeps; while nobody does, no operation makes a system call.
///
/// # Death
///
/// A producer killed at any instruction has put the whole message or nothing. A consumer killed before its `get` has taken
/// the message out has not got it: another one gets it, maybe after later ones ([`redelivered`](Self::redelivered) counts
/// them). So does a message that was got with [`get_task`](Self::get_task) and not done. Whoever waits behind a dead process
/// goes on within 50 ms. A process that is stopped (SIGSTOP) in the middle is waited for.
///
/// # Layout
///
/// Shape (capacity,), fixed at creation: slots of 128 bytes, which hold messages of up to 112 encoded bytes. Longer ones, up
/// to [`max_message`](Self::max_message), take memory behind the slots when they first need it, which the queue then keeps:
/// an idle queue with big limits uses little.
///
/// # Examples
///
/// ```
/// use crossproc::{Process, Queue, Result};
///
/// type Item = (i32, Option<u8>, String);
///
/// fn job(queue: Queue<Item>) -> Result<()> {
///     Ok(queue.put((42, None, "hello".into()))?)
/// }
///
/// fn main() -> Result<()> {
///     crossproc::init();
///     let queue = Queue::new(16)?;
///     let process = Process::spawn(job, (&queue,))?;
///     assert_eq!(queue.get()?, (42, None, "hello".to_string()));
///     process.join()?
/// }
/// ```
pub struct Queue<T> {
    placed: Placed<QueueBody>,
    cursors: Cursors,
    extents: Extents,
    /// The most encoded bytes of a message, as they were when they were checked.
    max_message: u64,
    element: PhantomData<fn(T) -> T>,
}

/// | offset | size           | field       | meaning                                                            |
/// |--------|----------------|-------------|--------------------------------------------------------------------|
/// | 0      | 256            | control     | `ring/control.rs`                                                  |
/// | 256    | 8              | done        | who waits for all to be done sleeps here: `ring/event.rs`          |
/// | 264    | 8              | max_message | the most encoded bytes of a message                                |
/// | 272    | 8              | extents     | offset of the first extent from the segment's first byte           |
/// | 280    | 40             | line        | 0                                                                  |
/// | 320    | peers x 64     |             | accounts: `ledger.rs`                                              |
/// | then   | capacity x 128 |             | the slots: a word (`ring/slot.rs`), the length, the message if it fits |
#[repr(C, align(64))]
struct QueueBody {
    control: Control,
    done: Event,
    max_message: AtomicU64,
    extents: AtomicU64,
    line: [AtomicU64; 5],
}

const _: () = assert!(size_of::<QueueBody>() == 320 && offset_of!(QueueBody, extents) == 272);

// SAFETY: `repr(C)`, atomics only and no padding; all zero is an empty queue for messages without a byte.
unsafe impl Body for QueueBody {
    const KIND: Kind = Kind::Queue;
    const STAMP: u64 = stamp(&[
        CONTROL_LAYOUT[0],
        CONTROL_LAYOUT[1],
        CONTROL_LAYOUT[2],
        CONTROL_LAYOUT[3],
        CONTROL_LAYOUT[4],
        size_of::<QueueBody>(),
        offset_of!(QueueBody, done),
        offset_of!(QueueBody, max_message),
        offset_of!(QueueBody, extents),
        size_of::<Account>(),
        INLINE,
    ]);
}

// SAFETY: `repr(C)`, atomics only and no padding.
unsafe impl Atomics for Account {}

/// The most encoded bytes that a slot holds itself: with its word and their length, two cache lines, since processors fetch
/// them in pairs.
const INLINE: usize = 112;

/// What precedes a message in its slot: its length in bytes.
const LENGTH: usize = size_of::<u64>();

const SHAPE: Shape = match Layout::from_size_align(LENGTH + INLINE, align_of::<u64>()) {
    Ok(layout) => Shape::of(layout),
    Err(_) => unreachable!(),
};

/// The name of a message in errors.
const MESSAGE: &str = "a message";

impl<T: Serialize + DeserializeOwned> Queue<T> {
    /// A queue for `capacity` messages (1 to 2^30) of up to 1 MiB each, in memory of its own.
    ///
    /// # Errors
    ///
    /// [`Capacity`](Error::Capacity) for none or too many, [`NoSpace`](Error::NoSpace) without shared memory,
    /// [`Os`](Error::Os) without a descriptor.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc::Queue::<Vec<String>>::new(6)?;
    /// assert_eq!((queue.capacity(), queue.max_message()), (6, 1 << 20));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn new(capacity: usize) -> Result<Self> {
        Self::builder().capacity(capacity).build()
    }

    /// A queue as [`new`](Self::new) makes it, in an arena, which has to have room for all its messages at their longest: see
    /// [`QueueBuilder`] for shorter ones.
    ///
    /// # Errors
    ///
    /// [`Capacity`](Error::Capacity), and [`NoSpace`](Error::NoSpace) if the arena is full.
    ///
    /// # Examples
    ///
    /// ```
    /// let arena = crossproc::Arena::new(4 << 20)?;
    /// let queue = crossproc::Queue::new_in(&arena, 2)?;
    /// queue.put("text".to_string())?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn new_in(arena: &Arena, capacity: usize) -> Result<Self> {
        Self::builder().capacity(capacity).build_in(arena)
    }

    /// More about a queue than its capacity.
    ///
    /// # Examples
    ///
    /// See [`QueueBuilder`].
    pub fn builder() -> QueueBuilder<T> {
        QueueBuilder::new()
    }

    fn create(arena: Option<&Arena>, capacity: usize, max_message: usize) -> Result<Self> {
        let capacity = check_capacity(Kind::Queue, capacity)?;
        let max_message = max_message as u64;
        let too_much = || Error::NoSpace { needed: u64::MAX, available: isize::MAX as u64 };
        let (stride, bytes) = match max_message {
            0..=INLINE_BYTES => (0, 0),
            _ => Extents::size(max_message, capacity).ok_or_else(too_much)?,
        };
        let (home, offset) = match arena {
            Some(arena) => (arena.home(), if bytes > 0 { arena.allocate(bytes)? } else { 0 }),
            None => (Home::OwnWith(bytes), 0),
        };
        let mut offset = offset;
        let peers = arena.map_or(crate::segment::PEERS, Arena::peers);
        let placed = Placed::create(home, type_stamp::<T>(), capacity, tail(capacity, peers), |placed| {
            if arena.is_none() {
                offset = placed.segment().solid();
            }
            let body: &QueueBody = placed.body();
            body.max_message.store(max_message, Relaxed);
            body.extents.store(offset, Relaxed);
        })?;
        Ok(Self::of(placed, offset, stride, max_message))
    }

    fn attach(segment: Arc<Segment>, offset: u64) -> Result<Self> {
        let peers = segment.peers();
        let tail = |capacity| is_capacity(capacity).then(|| tail(capacity, peers))?;
        let placed = Placed::<QueueBody>::attach(segment, offset, &type_stamp::<T>(), tail)?;
        // Copies, which are checked, and are what is used.
        let max_message = placed.body().max_message.load(Relaxed);
        let (extents, segment) = (placed.body().extents.load(Relaxed), placed.segment().length());
        let capacity = placed.length() as u64;
        let (stride, bytes) = match max_message {
            0..=INLINE_BYTES => (0, 0),
            _ => Extents::size(max_message, capacity).unwrap_or((0, u64::MAX)),
        };
        if extents.checked_add(bytes).is_none_or(|end| end > segment) {
            return Err(AttachError::OutOfBounds { offset: extents, bytes, segment }.into());
        }
        Ok(Self::of(placed, extents, stride, max_message))
    }

    fn of(placed: Placed<QueueBody>, extents: u64, stride: u64, max_message: u64) -> Self {
        barrier::register();
        let cursors = Cursors::new(&cells(&placed));
        let slots = if stride > 0 { placed.length() as u64 } else { 0 };
        Queue { cursors, extents: Extents::new(extents, stride, slots), max_message, placed, element: PhantomData }
    }
}

/// [`INLINE`], as a number of bytes in shared memory.
const INLINE_BYTES: u64 = INLINE as u64;

fn tail(capacity: u64, peers: u32) -> Option<Layout> {
    let accounts = Layout::array::<Account>(peers as usize).ok()?;
    let (tail, slots) = accounts.extend(SHAPE.row(capacity)?).ok()?;
    (slots == slots_at(peers)).then_some(tail)
}

/// Where the slots begin in the tail: behind the accounts, at a multiple of 128.
fn slots_at(peers: u32) -> usize {
    (peers as usize * size_of::<Account>()).next_multiple_of(128)
}

#[inline]
fn cells(placed: &Placed<QueueBody>) -> Cells<'_> {
    let slots = slots_at(placed.segment().peers());
    // SAFETY: the tail was laid out, and checked at attach, with a row of `SHAPE` at this place.
    unsafe { Cells::new(placed, &placed.body().control, slots, SHAPE) }
}

impl<T> Queue<T> {
    #[inline]
    fn cells(&self) -> Cells<'_> {
        cells(&self.placed)
    }

    #[inline]
    fn ledger(&self) -> Ledger<'_> {
        let segment = self.placed.segment();
        Ledger { segment, accounts: self.placed.tail_of(segment.peers() as usize) }
    }

    /// Refuses every put from now on, also those that wait. What has been put can still be got, and then gets end with
    /// [`Closed`](crate::GetError::Closed).
    ///
    /// # Examples
    ///
    /// See [`iter`](Self::iter).
    pub fn close(&self) {
        self.placed.body().control.close();
    }

    /// Whether somebody has closed the queue.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc::Queue::<u8>::new(1)?;
    /// queue.close();
    /// assert!(queue.is_closed());
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.placed.body().control.is_closed()
    }

    /// How many messages are ready to be got. Stale at once where others put and get. It looks at each of them.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc::Queue::new(2)?;
    /// queue.put('a')?;
    /// assert_eq!((queue.len(), queue.is_empty(), queue.is_full()), (1, false, false));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn len(&self) -> usize {
        self.cursors.count(&self.cells(), usize::MAX)
    }

    /// Whether no message is ready to be got. Stale at once where others put and get.
    ///
    /// # Examples
    ///
    /// See [`len`](Self::len).
    pub fn is_empty(&self) -> bool {
        self.cursors.count(&self.cells(), 1) == 0
    }

    /// Whether there is no room for another message. Stale at once where others put and get.
    ///
    /// # Examples
    ///
    /// See [`len`](Self::len).
    pub fn is_full(&self) -> bool {
        self.cursors.is_full(&self.cells())
    }

    /// How many messages the queue holds.
    ///
    /// # Examples
    ///
    /// See [`new`](Self::new).
    pub fn capacity(&self) -> usize {
        self.placed.length()
    }

    /// The most encoded bytes that a message may have.
    ///
    /// # Examples
    ///
    /// See [`new`](Self::new).
    pub fn max_message(&self) -> usize {
        self.max_message as usize
    }

    /// The descriptor of [`AsFd`](std::os::fd::AsFd), where there may be none left: as
    /// [`Ring::readiness`](crate::Ring::readiness).
    ///
    /// # Errors
    ///
    /// [`Os`](crate::Error::Os) without a descriptor or a thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Queue, wait_any};
    ///
    /// let queue = Queue::new(1)?;
    /// queue.readiness()?;
    /// queue.put("text".to_string())?;
    /// assert_eq!(wait_any(&[&queue], None)?, [0]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn readiness(&self) -> Result<BorrowedFd<'_>> {
        self.cursors.readiness(&self.placed, cells)
    }

    /// How many messages have been taken from a consumer that died, for another one to get.
    ///
    /// # Death
    ///
    /// A process killed at the moment of the taking may leave one uncounted.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(crossproc::Queue::<u8>::new(1)?.redelivered(), 0);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn redelivered(&self) -> u64 {
        self.placed.body().control.redelivered()
    }

    /// Says that a message is done which this process has got, for [`join`](Self::join).
    ///
    /// # Errors
    ///
    /// [`NothingToBeDone`](Error::NothingToBeDone) if it has not got more messages than it has done already: those of tasks
    /// ([`get_task`](Self::get_task)) do not count, they say so themselves.
    ///
    /// # Examples
    ///
    /// See [`join`](Self::join).
    pub fn task_done(&self) -> Result<()> {
        if !self.ledger().done()? {
            return Err(Error::NothingToBeDone { object: Kind::Queue });
        }
        crash_point!("queue.done");
        self.placed.body().done.notify_all();
        Ok(())
    }

    /// Waits until everything that has been put is done: got and, with [`task_done`](Self::task_done) or by its
    /// [`Task`]'s drop, said to be done.
    ///
    /// # Death
    ///
    /// What a process had got with `get` when it ended is not waited for any more; what it had as a task is, until
    /// somebody else has done it.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Process, Queue, Result, Value};
    ///
    /// fn work(jobs: Queue<u64>, sum: Value<u64>) -> Result<()> {
    ///     while let Ok(job) = jobs.get() {
    ///         sum.update(|sum| sum + job);
    ///         jobs.task_done()?;
    ///     }
    ///     Ok(())
    /// }
    ///
    /// # fn main() -> Result<()> {
    /// crossproc::init();
    /// let (jobs, sum) = (Queue::new(4)?, Value::new(0)?);
    /// let worker = Process::spawn(work, (&jobs, &sum))?;
    /// (1..=10).try_for_each(|job| jobs.put(job))?;
    /// jobs.join();
    /// assert_eq!(sum.get(), 55);
    /// jobs.close();
    /// worker.join()?
    /// # }
    /// ```
    pub fn join(&self) {
        self.wait_until_done(Deadline::NEVER);
    }

    /// As [`join`](Self::join), for `timeout` at most (monotonic); whether everything is done.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let queue = crossproc::Queue::new(4)?;
    /// assert!(queue.join_timeout(Duration::ZERO));
    /// queue.put(1)?;
    /// assert!(!queue.join_timeout(Duration::from_millis(1)));
    /// drop(queue.get_task()?);
    /// assert!(queue.join_timeout(Duration::ZERO));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn join_timeout(&self, timeout: Duration) -> bool {
        self.wait_until_done(Deadline::after(timeout))
    }

    fn wait_until_done(&self, deadline: Deadline) -> bool {
        let is_done = || {
            // A message that is done may have put another one before: nothing may have been got or done between the
            // two looks at the ledger.
            let (is_quiet, before) = self.ledger().is_quiet();
            let is_done =
                is_quiet && !self.cursors.is_busy(&self.cells()) && self.ledger().is_quiet() == (true, before);
            is_done.then_some(())
        };
        self.placed.body().done.wait(|_| None, deadline, || None, is_done).is_some()
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Queue {
            placed: self.placed.clone(),
            cursors: self.cursors.clone(),
            extents: self.extents.clone(),
            max_message: self.max_message,
            element: PhantomData,
        }
    }
}

impl_readable_handle!(Queue<T: Serialize + DeserializeOwned>, "Queue");
