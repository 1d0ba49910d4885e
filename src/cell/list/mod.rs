#![allow(unsafe_code)]

mod access;
mod item;

use std::alloc::Layout;
use std::mem::offset_of;
use std::sync::Arc;

use self::item::HEAD;
use crate::error::{AttachError, Error, Kind, Result};
use crate::segment::impls::impl_handle;
use crate::segment::named;
use crate::segment::place::{Body, Home, Placed};
use crate::segment::{Arena, Atomics, Facts, Failure, Name, Ownership, Section, Segment, Wait, stamp, type_stamp};
use crate::sys::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sys::spin::Spin;
use crate::word::flip::Sequence;
use crate::word::lock::LockWord;

pub use item::ShareableItem;

/// A fixed number of items, each of which is nothing, a number, a text or bytes, and may become any other of them.
///
/// How much room an item has is settled when the list is made: that of the first item in its place, rounded up to a multiple
/// of 8 bytes, and at least 8. So a number fits everywhere.
///
/// # Concurrency
///
/// [`get`](Self::get), and what goes through it ([`iter`](Self::iter), [`to_vec`](Self::to_vec), [`count`](Self::count),
/// [`index`](Self::index)), takes copies without waiting for any writer, and never sees an item half written; only where
/// commits overtake it, it reads again. Writers ([`set`](Self::set), [`update`](Self::update)) take turns, one for all items;
/// what one changes becomes visible in one step. Two items are two steps: a copy of several is of no one instant.
///
/// # Death
///
/// A writer that is killed at any instruction leaves the old item or the new one, and its neighbours as they were; nobody has
/// to be told.
///
/// # Layout
///
/// Shape (len,), fixed at creation: for each item two words that say which of two copies counts and where they are; and
/// the copies, each with a word in front that says what it is.
///
/// # Examples
///
/// ```
/// use crossproc::{Process, ShareableItem, ShareableList};
///
/// fn change(list: ShareableList) -> crossproc::Result<()> {
///     list.set(2, "gone")?; // where a number was
///     list.update(1, |item| match item {
///         ShareableItem::Int(number) => ShareableItem::Int(number + 1),
///         other => other,
///     })?;
///     Ok(())
/// }
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let list = ShareableList::new(["howdy".into(), 100.into(), (-273.154).into(), ShareableItem::None])?;
/// Process::spawn(change, (&list,))?.join()??;
/// assert_eq!(list.to_vec()?, ["howdy".into(), 101.into(), "gone".into(), ShareableItem::None]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ShareableList {
    placed: Placed<ListBody>,
    /// Items, as checked at attach.
    count: usize,
    spin: Spin,
}

/// | offset | size     | field | meaning                                                          |
/// |--------|----------|-------|------------------------------------------------------------------|
/// | 0      | 8        | lock  | whose turn it is to write: `word/lock.rs`                        |
/// | 8      | 8        | count | items                                                            |
/// | 16     | 48       | line  | 0: readers and writers that wait do not share a cache line       |
/// | 64     | 16 x len |       | an [`Entry`] for each item                                       |
/// |        |          |       | the two copies of each item, each a word (`item.rs`) and content |
///
/// The length in the object's header is in words: those of entries and copies.
#[repr(C, align(64))]
struct ListBody {
    lock: LockWord,
    count: AtomicU64,
    line: [AtomicU64; 6],
}

const _: () = assert!(size_of::<ListBody>() == 64 && offset_of!(ListBody, count) == 8);

/// | offset | size | field    | meaning                                                            |
/// |--------|------|----------|--------------------------------------------------------------------|
/// | 0      | 8    | sequence | number of commits: `word/flip.rs`                                  |
/// | 8      | 8    | place    | where the copies are: low half: first word, counted from the first entry; high half: words of each |
#[repr(C)]
struct Entry {
    sequence: Sequence,
    place: AtomicU64,
}

const ENTRY_WORDS: usize = 2;

const _: () = assert!(size_of::<Entry>() == 8 * ENTRY_WORDS && offset_of!(Entry, place) == 8);

// SAFETY: `repr(C)`, two atomics without padding.
unsafe impl Atomics for Entry {}

// SAFETY: `repr(C)`, atomics only and no padding; zero is a free lock and a list without items.
unsafe impl Body for ListBody {
    const KIND: Kind = Kind::ShareableList;
    const STAMP: u64 = stamp(&[
        size_of::<ListBody>(),
        offset_of!(ListBody, lock),
        offset_of!(ListBody, count),
        size_of::<Entry>(),
        offset_of!(Entry, sequence),
        offset_of!(Entry, place),
        HEAD,
    ]);
}

impl ShareableList {
    /// The items, in memory of their own.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](Error::NoSpace) without so much shared memory, or for more than 32 GiB; [`Os`](Error::Os) without a
    /// descriptor.
    ///
    /// # Examples
    ///
    /// ```
    /// let list = crossproc::ShareableList::new((0..10).map(Into::into))?;
    /// assert_eq!(list.get(9)?, 9.into());
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn new(items: impl IntoIterator<Item = ShareableItem>) -> Result<Self> {
        Self::make(Home::Own, items)
    }

    /// The items, under a name, by which other processes can [open](Self::open) them.
    ///
    /// # Errors
    ///
    /// [`NameTaken`](Error::NameTaken) if there is such an object already; [`InvalidName`](Error::InvalidName); and those of
    /// [`new`](Self::new).
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::ShareableList;
    ///
    /// # let unique = format!("example/list-{}", std::process::id());
    /// # let name = unique.as_str();
    /// let _list = ShareableList::create(name, [42.into()])?; // or "app/list"
    /// assert_eq!(ShareableList::open(name)?.get(0)?, 42.into());
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn create(name: impl Into<Name>, items: impl IntoIterator<Item = ShareableItem>) -> Result<Self> {
        named::create(name.into(), |home| Self::make(home, items))
    }

    /// The list of this name, or a [new](Self::new) one of these items if there is none.
    ///
    /// Of any number of processes that call it at once, one makes the list and the others find it whole, with whatever is in it
    /// by then. Whichever makes it, the name goes with that one's last handle, unless it is to
    /// [persist](Name::persist).
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open) and [`create`](Self::create), but that there is none, or one already; and
    /// [`Attach`](Error::Attach) if the one that is there has not as many items.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::ShareableList;
    ///
    /// # let unique = format!("example/list-either-{}", std::process::id());
    /// # let name = unique.as_str();
    /// let list = ShareableList::open_or_create(name, [1.into(), "two".into()])?; // or "app/list"
    /// list.set(0, 3)?;
    /// assert_eq!(ShareableList::open_or_create(name, [1.into(), "two".into()])?.get(0)?, 3.into());
    /// assert!(ShareableList::open_or_create(name, [1.into()]).is_err());
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn open_or_create(name: impl Into<Name>, items: impl IntoIterator<Item = ShareableItem>) -> Result<Self> {
        let items: Vec<_> = items.into_iter().collect();
        let expected = items.len();
        let check = |found: &Self| named::check_same(Kind::ShareableList, "length", found.len(), expected);
        named::open_or_create(name.into(), |home| Self::make(home, items), check)
    }

    /// The items, in an arena.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](Error::NoSpace) if the arena is full.
    ///
    /// # Examples
    ///
    /// ```
    /// let arena = crossproc::Arena::new(4096)?;
    /// let list = crossproc::ShareableList::new_in(&arena, ["one".into(), 2.into()])?;
    /// assert_eq!(list.len(), 2);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn new_in(arena: &Arena, items: impl IntoIterator<Item = ShareableItem>) -> Result<Self> {
        Self::make(arena.home(), items)
    }

    fn make(home: Home<'_>, items: impl IntoIterator<Item = ShareableItem>) -> Result<Self> {
        let items: Vec<Vec<u8>> = items.into_iter().map(|item| item.encode()).collect();
        let count = items.len();
        let mut first = ENTRY_WORDS * count;
        let mut places = Vec::with_capacity(count);
        for item in &items {
            // A number fits in any item.
            let words = item.len().div_ceil(8).max((HEAD + size_of::<i64>()) / 8);
            places.push((first, words));
            first += 2 * words;
        }
        let total = first;
        if u32::try_from(total).is_err() {
            return Err(Error::NoSpace { needed: 8 * total as u64, available: 8 * u64::from(u32::MAX) });
        }
        let fill = |placed: &Placed<ListBody>| {
            placed.body().count.store(count as u64, Relaxed);
            let (entries, words) = (placed.tail_of::<Entry>(count), placed.tail_of(total));
            for ((entry, item), (first, length)) in entries.iter().zip(&items).zip(places) {
                entry.place.store(first as u64 | (length as u64) << 32, Relaxed);
                entry.sequence.write(&words[first..first + 2 * length], item);
            }
        };
        let placed = Placed::create(home, type_stamp::<u64>(), total as u64, Self::tail(total as u64), fill)?;
        Ok(ShareableList { placed, count, spin: Spin::new() })
    }

    fn attach(segment: Arc<Segment>, offset: u64) -> Result<Self> {
        let placed: Placed<ListBody> = Placed::attach(segment, offset, &type_stamp::<u64>(), Self::tail)?;
        let count = placed.body().count.load(Relaxed);
        if count > (placed.length() / ENTRY_WORDS) as u64 {
            return Err(AttachError::WrongLength { found: count, bytes: 8 * placed.length() as u64 }.into());
        }
        Ok(ShareableList { placed, count: count as usize, spin: Spin::new() })
    }

    fn tail(words: u64) -> Option<Layout> {
        Layout::array::<AtomicU64>(usize::try_from(words).ok()?).ok()
    }

    /// The number of items.
    ///
    /// # Examples
    ///
    /// See [`new_in`](Self::new_in).
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are no items, now as ever.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(crossproc::ShareableList::new([])?.is_empty());
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An item's sequence, and the words of its two copies.
    fn item(&self, index: usize) -> Result<(&Sequence, &[AtomicU64])> {
        let entries = self.placed.tail_of::<Entry>(self.count);
        let Some(entry) = entries.get(index) else {
            return Err(Error::OutOfRange { index, length: self.count });
        };
        let place = entry.place.load(Relaxed);
        let (first, words) = (place as u32 as usize, (place >> 32) as usize);
        let copies = self.placed.tail_of(self.placed.length()).get(first..first + 2 * words);
        match copies {
            Some(copies) if 8 * words >= HEAD => Ok((&entry.sequence, copies)),
            _ => Err(Error::Corrupted { object: Kind::ShareableList, position: index as u64, found: place }),
        }
    }

    /// The turn to write. What it is held for leaves every item whole.
    fn acquire(&self, wait: Wait) -> Result<Ownership<'_>, Failure> {
        Ownership::acquire(self.placed.segment(), &self.placed.body().lock, &self.spin, Section::Whole, wait)
    }
}

impl_handle!(ShareableList, "ShareableList");

/// How many items it has.
pub(crate) fn describe(facts: &mut Facts<'_>) -> Result<u64> {
    let body = facts.image.body::<ListBody>()?;
    facts.say_lock(body + offset_of!(ListBody, lock) as u64)?;
    facts.image.word(body + offset_of!(ListBody, count) as u64)
}
