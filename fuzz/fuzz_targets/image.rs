//! Any bytes as a segment: attaching to them gives an error or an object that works, never a panic, a crash or a hang.
//!
//! An input says which object a valid image is taken from, what is changed in it before anybody attaches, and what a
//! hostile peer writes into it afterwards, while the object is in use.

#![no_main]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use arbitrary::Arbitrary;
use crossproc::{
    Arena, Array, Error, Guard, Lock, Queue, RawArray, Result, Ring, Shared, Slot, Taken, Task, TryLockError, Value,
};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    object: Object,
    /// What the image is taken for, if not for what it is.
    taken_for: Option<Object>,
    /// What a peer writes while the object is attached.
    later: Vec<Edit>,
    image: Image<'a>,
}

/// What the valid image is one of.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Object {
    /// A `Value` of one word.
    Small,
    /// A `Value` of three words, which could be torn.
    Large,
    Array,
    RawArray,
    Lock,
    Arena,
    Ring,
    Queue,
}

#[derive(Arbitrary, Debug)]
enum Image<'a> {
    /// The valid image, changed.
    Edited {
        /// A file that is no longer than this, and a header that agrees.
        cut: Option<u16>,
        edits: Vec<Edit>,
    },
    /// These bytes and no others.
    Raw(&'a [u8]),
}

/// One change of an image; beyond its last byte it changes nothing.
#[derive(Arbitrary, Debug)]
struct Edit {
    place: Place,
    content: Content,
}

/// Mostly where the fields are.
#[derive(Arbitrary, Debug)]
enum Place {
    /// Offset into the segment's header and its first peers.
    Header(u8),
    /// Offset into the first object's header and body.
    Object(u8),
    /// Offset behind the words that the users of a ring share.
    Tail(u8),
    /// Offset from the first byte.
    Anywhere(u16),
}

/// Whole fields, so that a value that the library compares with can be copied in.
#[derive(Arbitrary, Debug)]
enum Content {
    Byte(u8),
    Half(u32),
    Word(u64),
    /// A lock that is held, by this process among others: the numbers of peers are small here.
    Owner(Owner),
}

#[derive(Arbitrary, Debug)]
struct Owner {
    slot: u8,
    generation: u8,
    thread: u32,
    has_waiters: bool,
    is_whole: bool,
    is_dirty: bool,
}

type Small = u64;
type Large = [u8; 24];

/// Elements of the arrays.
const LENGTH: usize = 20;

/// Of the ring and of the queue.
const SLOTS: usize = 3;

fn queue() -> Result<Queue<Vec<u8>>> {
    Queue::builder().capacity(SLOTS).max_message(300).build()
}

/// Header and 256 places for peers.
const FIRST_OBJECT: usize = 128 + 256 * 8;

/// Where the header says how long the segment is.
const LENGTH_FIELD: usize = 24;

/// The longest that any operation waits here for a lock that a forged owner holds.
const MOMENT: Duration = Duration::from_millis(1);

const SEALS: libc::c_int = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;

impl Object {
    fn image(self) -> &'static [u8] {
        static IMAGES: LazyLock<[Vec<u8>; 8]> = LazyLock::new(|| {
            [
                bytes_of(Value::<Small>::new(7)),
                bytes_of(Value::<Large>::new([7; 24])),
                bytes_of(Array::<u32>::new(LENGTH)),
                bytes_of(RawArray::<AtomicU64>::new(LENGTH)),
                bytes_of(Lock::new()),
                bytes_of(Arena::new(1 << 12)),
                bytes_behind(&ring().memory_fd()),
                bytes_behind(&full_queue().memory_fd()),
            ]
        });
        &IMAGES[self as usize]
    }
}

/// The segment of a new object, with its creator still attached: in the copy, a peer that is dead.
fn bytes_of(object: Result<impl AsFd>) -> Vec<u8> {
    bytes_behind(&object.expect("a valid object can be made"))
}

fn ring() -> Ring<[u64; 9]> {
    let ring = Ring::new(SLOTS).expect("a valid object can be made");
    ring.put_many(&[[7; 9]; 2]).expect("there is room");
    ring
}

fn full_queue() -> Queue<Vec<u8>> {
    let queue = queue().expect("a valid object can be made");
    queue.put(vec![7; 200]).expect("there is room");
    queue
}

fn bytes_behind(object: &impl AsFd) -> Vec<u8> {
    // By its path, since reading moves the position of an open file description.
    let path = format!("/proc/self/fd/{}", object.as_fd().as_raw_fd());
    let mut bytes = Vec::new();
    File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).expect("a segment can be read");
    bytes
}

impl Input<'_> {
    fn image(&self) -> Vec<u8> {
        match &self.image {
            Image::Edited { cut, edits } => {
                let mut bytes = self.object.image().to_vec();
                if let Some(cut) = *cut {
                    bytes.truncate(cut.into());
                    let length = bytes.len() as u64;
                    write(&mut bytes, LENGTH_FIELD, &length.to_le_bytes());
                }
                edits.iter().for_each(|edit| write(&mut bytes, edit.offset(), &edit.content()));
                bytes
            }
            Image::Raw(bytes) => bytes.to_vec(),
        }
    }
}

/// Writes as much as there is room for.
fn write(bytes: &mut [u8], offset: usize, content: &[u8]) {
    let room = bytes.get_mut(offset..).unwrap_or_default();
    room.iter_mut().zip(content).for_each(|(byte, new)| *byte = *new);
}

impl Edit {
    fn offset(&self) -> usize {
        match self.place {
            Place::Header(offset) => offset.into(),
            Place::Object(offset) => FIRST_OBJECT + usize::from(offset),
            Place::Tail(offset) => FIRST_OBJECT + 128 + 256 + usize::from(offset),
            Place::Anywhere(offset) => offset.into(),
        }
    }

    fn content(&self) -> Vec<u8> {
        match &self.content {
            Content::Byte(byte) => vec![*byte],
            Content::Half(half) => half.to_le_bytes().to_vec(),
            Content::Word(word) => word.to_le_bytes().to_vec(),
            Content::Owner(owner) => owner.word().to_le_bytes().to_vec(),
        }
    }
}

impl Owner {
    /// The word of a lock: see `src/word/lock.rs`.
    fn word(&self) -> u64 {
        let small = |number: u8| u64::from(number % 4);
        let bits = [(self.has_waiters, 31), (self.is_whole, 62), (self.is_dirty, 63)];
        let bits = bits.map(|(is_set, bit)| u64::from(is_set) << bit).iter().sum::<u64>();
        small(self.slot) | small(self.generation) << 10 | u64::from(self.thread >> 2) << 32 | bits
    }
}

/// A sealed memory file, and what its hostile peer does.
struct Peer<'a> {
    file: File,
    later: &'a [Edit],
}

impl<'a> Peer<'a> {
    fn new(input: &'a Input<'_>) -> Self {
        let image = input.image();
        // SAFETY: a C string that outlives the call.
        let created = unsafe { libc::memfd_create(c"image".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
        assert!(created >= 0, "memfd_create");
        // SAFETY: the call returned a new descriptor, which nobody else owns.
        let mut file = unsafe { File::from_raw_fd(created) };
        file.write_all(&image).expect("a memory file takes an image");
        // SAFETY: F_ADD_SEALS takes an int.
        assert_eq!(unsafe { libc::fcntl(created, libc::F_ADD_SEALS, SEALS) }, 0, "F_ADD_SEALS");
        Peer { file, later: &input.later }
    }

    fn descriptor(&self) -> OwnedFd {
        self.file.as_fd().try_clone_to_owned().expect("a descriptor can be duplicated")
    }

    fn write(&self) {
        for edit in self.later {
            let (offset, content) = (edit.offset(), edit.content());
            // What the file cannot hold it refuses, since it is sealed.
            let _ = self.file.write_at(&content, offset as u64);
        }
    }

    /// Attaches, and uses what that gives: as it was found, and as the peer then leaves it.
    fn expect<H>(&self, attach: fn(OwnedFd) -> Result<H>, work: impl Fn(&H)) {
        match attach(self.descriptor()) {
            Ok(object) => {
                work(&object);
                self.write();
                work(&object);
            }
            Err(Error::Attach(refused)) => drop(refused.to_string()),
            Err(Error::TooManyPeers { .. }) => {}
            Err(other) => panic!("neither an object nor a refusal: {other:?}"),
        }
    }
}

/// Of the outcomes of a lock, those that hostile bytes can bring about; `true` if the lock was got, and is clean now.
///
/// Nobody else is there, so whoever the word names as the owner is dead, except this process itself.
fn is_got<G: Guard>(outcome: Result<G, TryLockError<G>>) -> bool {
    match outcome {
        Ok(_) => true,
        Err(TryLockError::OwnerDied(mut guard)) => {
            guard.repair();
            true
        }
        Err(TryLockError::Held | TryLockError::AlreadyHeld) => false,
        Err(TryLockError::Failed(error)) => panic!("{error:?}"),
    }
}

/// As `is_got`, for an operation that takes the lock itself.
fn is_done<R>(outcome: Result<R>) -> Option<R> {
    match outcome {
        Ok(result) => Some(result),
        Err(Error::Held { .. } | Error::AlreadyHeld { .. }) => None,
        Err(other) => panic!("{other:?}"),
    }
}

fn use_value<T: Shared + PartialEq + std::fmt::Debug>(value: &Value<T>, one: T, two: T) {
    value.get();
    if is_done(value.update_timeout(|_| one, MOMENT)).is_some() {
        assert_eq!(value.get(), one);
        // The lock is free now, and nothing hostile happens meanwhile.
        value.set(two);
        assert_eq!(value.update(|found| found), two);
    }
    if is_got(value.lock_timeout(MOMENT)) {
        let mut guard = value.try_lock().expect("repaired and free");
        assert!(matches!(value.try_set(two), Err(Error::AlreadyHeld { .. })));
        *guard = one;
        drop(guard);
        assert_eq!(value.get(), one);
    }
}

fn use_array(array: &Array<u32>) {
    let last = array.len().saturating_sub(1);
    assert!(matches!(array.get(array.len()), Err(Error::OutOfRange { .. })));
    for index in [0, last / 2, last] {
        if index < array.len() && is_done(array.set_timeout(index, 5, MOMENT)).is_some() {
            assert_eq!(array.get(index).unwrap(), 5);
            assert_eq!(array.to_vec().len(), array.len());
        }
    }
    if is_got(array.lock_timeout(MOMENT)) {
        array.try_lock().expect("repaired and free").fill(6);
        assert!(array.to_vec().iter().all(|&item| item == 6));
    }
}

fn use_raw_array(array: &RawArray<AtomicU64>) {
    for item in array.iter() {
        item.store(item.load(Relaxed).wrapping_add(1), Relaxed);
    }
}

fn use_lock(lock: &Lock) {
    if is_got(lock.try_lock()) {
        let guard = lock.lock_timeout(MOMENT).expect("repaired and free");
        assert!(matches!(lock.try_lock(), Err(TryLockError::AlreadyHeld)));
        drop(guard);
        drop(lock.lock().expect("clean and free"));
    }
    is_got(lock.lock_timeout(MOMENT));
}

fn use_arena(arena: &Arena) {
    let remaining = arena.remaining();
    // What is made in a hostile arena lies on hostile bytes.
    if let Some(value) = is_made(Value::<Small>::new_in(arena, 1), remaining) {
        assert_eq!(value.get(), 1);
        use_value(&value, 2, 3);
    }
    if let Some(array) = is_made(Array::<u32>::new_in(arena, 10), remaining) {
        use_array(&array);
    }
    if let Some(lock) = is_made(Lock::new_in(arena), remaining) {
        use_lock(&lock);
    }
    assert!(is_made(RawArray::<AtomicU64>::new_in(arena, 1 << 20), remaining).is_none());
}

/// Nothing is certain of what lies in it; but it answers, and in time.
fn use_ring(ring: &Ring<[u64; 9]>) {
    for number in 0..2 * SLOTS as u64 {
        let _ = ring.put_timeout([number; 9], MOMENT);
        let _ = ring.try_put([number; 9]);
        let _ = ring.try_reserve().map(Slot::commit);
    }
    let _ = (ring.len(), ring.is_empty(), ring.is_full(), ring.is_closed(), ring.redelivered());
    let _ = ring.try_take().map(Taken::give_back);
    for _ in 0..2 * SLOTS {
        let _ = ring.try_get();
    }
    let _ = ring.get_timeout(MOMENT);
}

fn use_queue(queue: &Queue<Vec<u8>>) {
    for length in [0, 50, 100, 200, 290, 400] {
        let _ = queue.put_timeout(vec![1; length], MOMENT);
        let _ = queue.try_put(vec![1; length]);
    }
    let _ = (queue.len(), queue.is_empty(), queue.is_full(), queue.is_closed(), queue.redelivered());
    let _ = queue.try_get_task().map(Task::give_back);
    for _ in 0..2 * SLOTS {
        let _ = queue.try_get();
        let _ = queue.task_done();
    }
    let _ = queue.get_timeout(MOMENT);
    queue.join_timeout(MOMENT);
}

fn is_made<H>(outcome: Result<H>, room: usize) -> Option<H> {
    match outcome {
        Ok(object) => Some(object),
        Err(Error::NoSpace { available, .. }) => {
            assert!(available <= room as u64);
            None
        }
        Err(other) => panic!("{other:?}"),
    }
}

fuzz_target!(|input: Input<'_>| {
    let peer = Peer::new(&input);
    match input.taken_for.unwrap_or(input.object) {
        Object::Small => peer.expect(Value::<Small>::from_fd, |value| use_value(value, 77, 78)),
        Object::Large => peer.expect(Value::<Large>::from_fd, |value| use_value(value, [77; 24], [78; 24])),
        Object::Array => peer.expect(Array::<u32>::from_fd, use_array),
        Object::RawArray => peer.expect(RawArray::<AtomicU64>::from_fd, use_raw_array),
        Object::Lock => peer.expect(Lock::from_fd, use_lock),
        Object::Arena => peer.expect(Arena::from_fd, use_arena),
        Object::Ring => peer.expect(Ring::<[u64; 9]>::from_fd, use_ring),
        Object::Queue => peer.expect(Queue::<Vec<u8>>::from_fd, use_queue),
    }
});
