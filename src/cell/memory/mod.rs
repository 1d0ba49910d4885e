#![allow(unsafe_code)]

mod copy;
mod guard;

use std::alloc::Layout;
use std::mem::offset_of;
use std::sync::Arc;

use crate::error::{Error, Kind, Result};
use crate::segment::Name;
use crate::segment::impls::impl_handle;
use crate::segment::named;
use crate::segment::place::{Body, Home, Placed};
use crate::segment::{Arena, Facts, Failure, Ownership, Region, Section, Segment, Wait, stamp, type_stamp};
use crate::sys::atomic::AtomicU64;
use crate::sys::spin::Spin;
use crate::word::lock::LockWord;

pub use guard::SharedMemoryGuard;

/// Bytes that processes share under one lock, as many as were asked for.
///
/// Elements of one type are an [`Array`](crate::Array); what wants no lock is a [`RawArray`](crate::RawArray).
///
/// # Concurrency
///
/// [`lock`](Self::lock) gives the bytes in place, as a slice, until its guard is dropped; [`write_at`](Self::write_at) takes
/// the lock for its own duration. [`read_at`](Self::read_at) and [`to_vec`](Self::to_vec) copy without the lock: they wait for
/// nobody, and what others write meanwhile may be torn in the copy.
///
/// # Death
///
/// A process killed with the lock in hand leaves what it had written so far; the next [`lock`](Self::lock) says so, the copies
/// go on.
///
/// # Trust
///
/// The guard borrows shared memory in place and so trusts the other processes to keep to the lock. The copies trust nobody.
///
/// # Layout
///
/// Shape (len,), fixed at creation: the bytes, from a multiple of 64.
///
/// # Examples
///
/// ```
/// use crossproc::{Process, SharedMemory};
///
/// fn greet(name: String) -> crossproc::Result<()> {
///     SharedMemory::open(name)?.write_at(0, b"howdy")
/// }
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// # let unique = format!("example/memory-{}", std::process::id());
/// # let name = unique.as_str();
/// let memory = SharedMemory::create_named(name, 10)?; // or "app/memory"
/// Process::spawn(greet, (name,))?.join()??;
/// assert_eq!(&memory.lock()?[..6], b"howdy\0");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SharedMemory {
    placed: Placed<MemoryBody>,
    spin: Spin,
}

/// | offset | size | field | meaning                                          |
/// |--------|------|-------|--------------------------------------------------|
/// | 0      | 8    | lock  | `word/lock.rs`                                   |
/// | 8      | 56   | line  | 0: the bytes have cache lines of their own       |
/// | 64     | len  |       | the bytes                                        |
#[repr(C, align(64))]
struct MemoryBody {
    lock: LockWord,
    line: [AtomicU64; 7],
}

const _: () = assert!(size_of::<MemoryBody>() == 64);

// SAFETY: `repr(C)`, atomics only and no padding; zero is a free lock.
unsafe impl Body for MemoryBody {
    const KIND: Kind = Kind::SharedMemory;
    const STAMP: u64 = stamp(&[size_of::<MemoryBody>(), offset_of!(MemoryBody, lock)]);
}

impl SharedMemory {
    /// `length` bytes of zero, anonymous: other processes get them with a handle.
    ///
    /// # Errors
    ///
    /// [`Capacity`](Error::Capacity) if `length` is 0; [`NoSpace`](Error::NoSpace) without so much shared memory,
    /// [`Os`](Error::Os) without a descriptor.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Error, SharedMemory};
    ///
    /// assert_eq!(SharedMemory::create(10)?.to_vec(), [0; 10]);
    /// assert!(matches!(SharedMemory::create(0), Err(Error::Capacity { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn create(length: usize) -> Result<Self> {
        Self::make(Home::Own, length)
    }

    /// `length` bytes of zero under a name, by which other processes can [open](Self::open) them.
    ///
    /// # Errors
    ///
    /// [`NameTaken`](Error::NameTaken) if there is such an object already; [`InvalidName`](Error::InvalidName); and those of
    /// [`create`](Self::create).
    ///
    /// # Examples
    ///
    /// See [`SharedMemory`].
    pub fn create_named(name: impl Into<Name>, length: usize) -> Result<Self> {
        named::create(name.into(), |home| Self::make(home, length))
    }

    /// The bytes of this name, or as many as `length` [new](Self::create_named) ones if there are none.
    ///
    /// Of any number of processes that call it at once, one makes the object and the others find it whole.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open) and [`create_named`](Self::create_named), but that there is none, or one already; and
    /// [`WrongShape`](crate::AttachError::WrongShape) if the one that is there has another length.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Error, SharedMemory};
    ///
    /// # let unique = format!("example/memory-or-{}", std::process::id());
    /// # let name = unique.as_str();
    /// let _memory = SharedMemory::open_or_create(name, 10)?; // or "app/memory"
    /// assert_eq!(SharedMemory::open_or_create(name, 10)?.len(), 10);
    /// assert!(matches!(SharedMemory::open_or_create(name, 11), Err(Error::Attach(_))));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn open_or_create(name: impl Into<Name>, length: usize) -> Result<Self> {
        let check = |found: &Self| named::check_same(Kind::SharedMemory, "length", found.len(), length);
        named::open_or_create(name.into(), |home| Self::make(home, length), check)
    }

    /// `length` bytes of zero in an arena.
    ///
    /// # Errors
    ///
    /// [`Capacity`](Error::Capacity) if `length` is 0; [`NoSpace`](Error::NoSpace) if the arena is full.
    ///
    /// # Examples
    ///
    /// ```
    /// let arena = crossproc::Arena::new(4096)?;
    /// assert_eq!(crossproc::SharedMemory::new_in(&arena, 100)?.len(), 100);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn new_in(arena: &Arena, length: usize) -> Result<Self> {
        Self::make(arena.home(), length)
    }

    fn make(home: Home<'_>, length: usize) -> Result<Self> {
        if length == 0 {
            return Err(Error::Capacity { object: Kind::SharedMemory, capacity: length, most: isize::MAX as usize });
        }
        let length = length as u64;
        let placed = Placed::create(home, type_stamp::<u8>(), length, Self::tail(length), |_| ())?;
        Ok(SharedMemory { placed, spin: Spin::new() })
    }

    fn attach(segment: Arc<Segment>, offset: u64) -> Result<Self> {
        let placed = Placed::attach(segment, offset, &type_stamp::<u8>(), Self::tail)?;
        Ok(SharedMemory { placed, spin: Spin::new() })
    }

    fn tail(length: u64) -> Option<Layout> {
        (length > 0).then(|| Layout::array::<u8>(usize::try_from(length).ok()?).ok())?
    }

    /// The number of bytes, exactly as it was asked for.
    ///
    /// # Examples
    ///
    /// See [`new_in`](Self::new_in).
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.placed.length()
    }

    /// The bytes, for copies.
    fn bytes(&self) -> Region<'_> {
        // SAFETY: R: the tail was laid out, and checked at attach, for `len()` bytes of a segment that `self` keeps.
        unsafe { Region::new(self.placed.tail(), self.len()) }
    }

    fn acquire(&self, wait: Wait) -> Result<Ownership<'_>, Failure> {
        Ownership::acquire(self.placed.segment(), &self.placed.body().lock, &self.spin, Section::Open, wait)
    }
}

impl_handle!(SharedMemory, "SharedMemory");

pub(crate) fn describe(facts: &mut Facts<'_>) -> Result<()> {
    let body = facts.image.body::<MemoryBody>()?;
    facts.say_lock(body + offset_of!(MemoryBody, lock) as u64)?;
    facts.say_elements("content", facts.image.row::<MemoryBody>()?, facts.image.object.length)
}
