mod body;
mod builder;
mod describe;
mod done;
mod ends;
mod extents;
mod get;
mod ledger;
mod put;
mod task;
mod travel;

use std::marker::PhantomData;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::Serialize;
use serde::de::DeserializeOwned;

use self::body::{INLINE_BYTES, QueueBody, cells, ledger, tail};
pub use self::builder::QueueBuilder;
pub(crate) use self::describe::describe;
pub use self::ends::{Consumer, Producer};
use self::extents::Extents;
use self::ledger::{Ledger, Role};
pub use self::task::QueueTask;
use self::travel::{Ends, Presence};
use super::cells::Cells;
use super::cursors::{Cursors, check_capacity, is_capacity};
use super::line::impl_line;
use crate::error::{AttachError, Error, Kind, Result};
use crate::segment::impls::{impl_create, impl_from_fd};
use crate::segment::place::{Home, Placed};
use crate::segment::{Arena, Name, Segment, type_stamp};
use crate::sys::atomic::Ordering::Relaxed;
use crate::sys::barrier;

/// A bounded queue of messages of nearly any serde type ([`Sends`](crate::Sends#types) says which), lock-free, for any number of producers and consumers.
///
/// A message is encoded into shared memory when it is put, and decoded when it is got; small ones cost no allocation. For
/// plain data there is [`Ring`](crate::Ring), which copies nothing that it need not.
///
/// # Concurrency
///
/// Every message is got by one consumer. What one producer puts is got in its order: each consumer sees a part of it, in
/// that order. A message whose put has returned can be got at once, by everybody, and outlives the process that put it. The
/// queue holds exactly [`capacity`](Self::capacity) messages, those included that are being written or read. Who waits
/// sleeps. A put that finds room and a get that finds a message make no system call while nobody sleeps, but for a look at who
/// lives every 25 ms while others are reading, and the first long message of a slot.
///
/// # Death
///
/// A producer killed at any instruction has put the whole message or nothing. A consumer killed before its `get` has taken
/// the message out has not got it: another one gets it, maybe after later ones ([`redelivered`](Self::redelivered) counts
/// them). So does a message that was got with [`get_task`](Self::get_task) and not done. Whoever waits behind a dead process
/// goes on within 50 ms; a `try_` form may not see that it is dead for some milliseconds. A process that is stopped (SIGSTOP) in the
/// middle is waited for.
///
/// So a task is done at least once. What a worker has put elsewhere before it was killed has been put: give messages a
/// number, and have whoever collects the results ignore the second. A message that kills whoever works on it comes back
/// each time, and nobody counts how often: [`redelivered`](Self::redelivered) grows with it.
///
/// # Limits
///
/// At most 256 processes may have a handle of one queue at a time, as of any object
/// ([`TooManyPeers`](crate::Error::TooManyPeers)). Handles do not travel in messages: to put a `Queue` or a `Lock` into a queue is an
/// error ([`HandleOutsideTransfer`](crate::Error::HandleOutsideTransfer)). They go to a process with its arguments, and come back in
/// its result. Queues at a server ([`managed::Queue`](crate::managed::Queue)) carry handles of what lies there.
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
    presence: Presence,
    /// Whether a message of this handle has been seen to decode.
    is_checked: AtomicBool,
    element: PhantomData<fn(T) -> T>,
}

/// The name of a message in errors.
const MESSAGE: &str = "a message";

impl<T: Serialize + DeserializeOwned> Queue<T> {
    /// A queue for `capacity` messages (1 to 2^30) of up to 1 MiB each, in memory of its own.
    ///
    /// Whoever has a handle of it needs address space for all messages at their longest, a GiB for 1024 of them, and memory only for
    /// those that have been long. Where address space is limited (`RLIMIT_AS`, `ulimit -v`), a
    /// [`builder`](Self::builder) makes one of shorter messages.
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

    fn make(home: Home<'_>, capacity: usize) -> Result<Self> {
        Self::builder().capacity(capacity).build_at(None, home.name())
    }

    /// In an arena, or for a name, or neither.
    fn create_in(
        arena: Option<&Arena>,
        name: Option<&Name>,
        capacity: usize,
        max_message: usize,
        ends: Ends,
    ) -> Result<Self> {
        let capacity = check_capacity(Kind::Queue, capacity)?;
        let max_message = max_message as u64;
        let too_much = || Error::NoSpace { needed: u64::MAX, available: isize::MAX as u64 };
        let (stride, bytes) = match max_message {
            0..=INLINE_BYTES => (0, 0),
            _ => Extents::size(max_message, capacity).ok_or_else(too_much)?,
        };
        let peers = arena.map_or(crate::segment::PEERS, Arena::peers);
        let tail = tail(capacity, peers);
        // Of an arena, all that it takes is taken at once: what is taken is never given back.
        let object = Placed::<QueueBody>::bytes(tail)?;
        let (home, mut offset) = match arena {
            Some(arena) => {
                let start = arena.allocate(object.saturating_add(bytes))?;
                (arena.home_at(start), start + object)
            }
            None => (name.map_or(Home::Own, Home::Named), 0),
        };
        let placed = Placed::create_with(bytes, home, type_stamp::<T>(), capacity, tail, |placed| {
            if arena.is_none() {
                offset = placed.segment().solid();
            }
            let body: &QueueBody = placed.body();
            body.max_message.store(max_message, Relaxed);
            body.extents.store(offset, Relaxed);
            body.ends.store(ends.bits(), Relaxed);
        })?;
        Self::of(placed, offset, stride, max_message, Presence::new(Role::Both, ends))?.entered()
    }

    /// The queue at `offset`, checked, as a handle that is not entered yet.
    fn place(segment: Arc<Segment>, offset: u64, role: Role) -> Result<Self> {
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
        let presence = Presence::new(role, Ends::of_bits(placed.body().ends.load(Relaxed)));
        Self::of(placed, extents, stride, max_message, presence)
    }

    fn of(placed: Placed<QueueBody>, extents: u64, stride: u64, max_message: u64, presence: Presence) -> Result<Self> {
        barrier::register();
        let cursors = Cursors::new(&cells(&placed));
        let slots = if stride > 0 { placed.length() } else { 0 };
        let extents = Extents::new(extents, stride, slots)?;
        let is_checked = AtomicBool::new(false);
        Ok(Queue { cursors, extents, max_message, presence, is_checked, placed, element: PhantomData })
    }
}

impl<T> Queue<T> {
    #[inline]
    fn cells(&self) -> Cells<'_> {
        cells(&self.placed)
    }

    #[inline]
    fn ledger(&self) -> Ledger<'_> {
        ledger(&self.placed)
    }

    /// The most encoded bytes that a message may have.
    ///
    /// # Examples
    ///
    /// See [`new`](Self::new).
    pub fn max_message(&self) -> usize {
        self.max_message as usize
    }

    fn watch(&self) -> Result<BorrowedFd<'_>> {
        self.cursors.readiness(&self.placed, cells, self.watched_end())
    }
}

impl_line!(Queue, "Queue", "queue", [T], [T: Serialize + DeserializeOwned]);
impl_from_fd!(Queue<T: Serialize + DeserializeOwned>, "Queue");
impl_create!(Queue<T: Serialize + DeserializeOwned>, (capacity: usize), ["capacity": capacity == capacity]);
