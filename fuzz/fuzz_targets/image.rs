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
use std::sync::atomic::AtomicU64;

use arbitrary::Arbitrary;
use crossproc::{
    Arena, Array, Barrier, BoundedSemaphore, Condvar, Error, Event, Lock, Queue, RLock, RawArray, Result, Ring, RwLock,
    Semaphore, ShareableList, SharedMemory, Value,
};
use libfuzzer_sys::fuzz_target;
use using::queues::SLOTS;
use using::{cells, queues, sync};

mod using;

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
    SharedMemory,
    ShareableList,
    RLock,
    RwLock,
    Semaphore,
    BoundedSemaphore,
    Condvar,
    Event,
    Barrier,
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

fn queue() -> Result<Queue<Vec<u8>>> {
    Queue::builder().capacity(SLOTS).max_message(300).build()
}

/// Header and 256 places for peers.
const FIRST_OBJECT: usize = 128 + 256 * 8;

/// Where the header says how long the segment is.
const LENGTH_FIELD: usize = 24;

const SEALS: libc::c_int = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;

impl Object {
    fn image(self) -> &'static [u8] {
        static IMAGES: LazyLock<[Vec<u8>; 17]> = LazyLock::new(|| {
            [
                bytes_behind(&made(Value::<Small>::new(7)).memory_fd()),
                bytes_behind(&made(Value::<Large>::new([7; 24])).memory_fd()),
                bytes_behind(&made(Array::<u32>::new(LENGTH)).memory_fd()),
                bytes_behind(&made(RawArray::<AtomicU64>::new(LENGTH)).memory_fd()),
                bytes_behind(&made(Lock::new()).memory_fd()),
                bytes_behind(&made(Arena::new(1 << 12)).memory_fd()),
                bytes_behind(&ring().memory_fd()),
                bytes_behind(&full_queue().memory_fd()),
                bytes_behind(&made(SharedMemory::create(100)).memory_fd()),
                bytes_behind(
                    &made(ShareableList::new(["text".into(), b"bytes".into(), 7.into(), true.into()])).memory_fd(),
                ),
                bytes_behind(&made(RLock::new()).memory_fd()),
                bytes_behind(&made(RwLock::<Small>::new(7)).memory_fd()),
                bytes_behind(&made(Semaphore::builder().permits(2).max(5).build()).memory_fd()),
                bytes_behind(&made(BoundedSemaphore::new(3)).memory_fd()),
                bytes_behind(&made(Condvar::new()).memory_fd()),
                bytes_behind(&made(Event::new()).memory_fd()),
                bytes_behind(&made(Barrier::new(3)).memory_fd()),
            ]
        });
        &IMAGES[self as usize]
    }
}

fn made<H>(object: Result<H>) -> H {
    object.expect("a valid object can be made")
}

fn ring() -> Ring<[u64; 9]> {
    let ring = made(Ring::new(SLOTS));
    ring.put_many(&[[7; 9]; 2]).expect("there is room");
    ring
}

fn full_queue() -> Queue<Vec<u8>> {
    let queue = made(queue());
    queue.put(vec![7; 200]).expect("there is room");
    queue
}

/// The segment of a new object, with its creator still attached: in the copy, a peer that is dead.
fn bytes_behind(memory: &impl AsRawFd) -> Vec<u8> {
    // By its path, since reading moves the position of an open file description.
    let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
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

fuzz_target!(|input: Input<'_>| {
    let peer = Peer::new(&input);
    match input.taken_for.unwrap_or(input.object) {
        Object::Small => peer.expect(Value::<Small>::from_fd, |value| cells::use_value(value, 77, 78)),
        Object::Large => peer.expect(Value::<Large>::from_fd, |value| cells::use_value(value, [77; 24], [78; 24])),
        Object::Array => peer.expect(Array::<u32>::from_fd, cells::use_array),
        Object::RawArray => peer.expect(RawArray::<AtomicU64>::from_fd, cells::use_raw_array),
        Object::Lock => peer.expect(Lock::from_fd, sync::use_lock),
        Object::Arena => peer.expect(Arena::from_fd, cells::use_arena),
        Object::Ring => peer.expect(Ring::<[u64; 9]>::from_fd, queues::use_ring),
        Object::Queue => peer.expect(Queue::<Vec<u8>>::from_fd, queues::use_queue),
        Object::SharedMemory => peer.expect(SharedMemory::from_fd, cells::use_memory),
        Object::ShareableList => peer.expect(ShareableList::from_fd, cells::use_list),
        Object::RLock => peer.expect(RLock::from_fd, sync::use_rlock),
        Object::RwLock => peer.expect(RwLock::<Small>::from_fd, sync::use_rwlock),
        Object::Semaphore => peer.expect(Semaphore::from_fd, sync::use_semaphore),
        Object::BoundedSemaphore => peer.expect(BoundedSemaphore::from_fd, sync::use_bounded_semaphore),
        Object::Condvar => peer.expect(Condvar::from_fd, sync::use_condvar),
        Object::Event => peer.expect(Event::from_fd, sync::use_event),
        Object::Barrier => peer.expect(Barrier::from_fd, sync::use_barrier),
    }
});
