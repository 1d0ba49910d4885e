use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The kinds of shared objects.
///
/// # Examples
///
/// ```
/// assert_eq!(crossproc::Kind::RawArray.to_string(), "a RawArray");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
#[repr(u32)]
pub enum Kind {
    /// An [`Arena`](crate::Arena).
    Arena = 1,
    /// A [`Value`](crate::Value).
    Value = 2,
    /// An [`Array`](crate::Array).
    Array = 3,
    /// A [`RawValue`](crate::RawValue).
    RawValue = 4,
    /// A [`RawArray`](crate::RawArray).
    RawArray = 5,
    /// A [`Lock`](crate::Lock).
    Lock = 6,
    /// A [`Ring`](crate::Ring).
    Ring = 7,
    /// A [`Queue`](crate::Queue).
    Queue = 8,
    /// One direction of a [`channel`](crate::channel()) or a [`pipe`](crate::pipe()).
    Channel = 9,
    /// An [`RLock`](crate::RLock).
    RLock = 10,
    /// An [`RwLock`](crate::RwLock).
    RwLock = 11,
    /// A [`Semaphore`](crate::Semaphore).
    Semaphore = 12,
    /// A [`BoundedSemaphore`](crate::BoundedSemaphore).
    BoundedSemaphore = 13,
    /// A [`Condvar`](crate::Condvar).
    Condvar = 14,
    /// An [`Event`](crate::Event).
    Event = 15,
    /// A [`Barrier`](crate::Barrier).
    Barrier = 16,
    /// A [`SharedMemory`](crate::SharedMemory).
    SharedMemory = 17,
    /// A [`ShareableList`](crate::ShareableList).
    ShareableList = 18,
    /// A [`Manager`](crate::Manager), or something that it manages.
    Manager = 19,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Arena => "an Arena",
            Kind::Value => "a Value",
            Kind::Array => "an Array",
            Kind::RawValue => "a RawValue",
            Kind::RawArray => "a RawArray",
            Kind::Lock => "a Lock",
            Kind::Ring => "a Ring",
            Kind::Queue => "a Queue",
            Kind::Channel => "a channel",
            Kind::RLock => "an RLock",
            Kind::RwLock => "an RwLock",
            Kind::Semaphore => "a Semaphore",
            Kind::BoundedSemaphore => "a BoundedSemaphore",
            Kind::Condvar => "a Condvar",
            Kind::Event => "an Event",
            Kind::Barrier => "a Barrier",
            Kind::SharedMemory => "a SharedMemory",
            Kind::ShareableList => "a ShareableList",
            Kind::Manager => "a Manager",
        })
    }
}

/// Why a descriptor's bytes are not the shared object that was asked for, with both sides of the mismatch.
///
/// # Examples
///
/// A `Value<u64>` is not a `Value<i64>`:
///
/// ```
/// use crossproc::{AttachError, Error, Value};
///
/// let value = Value::new(7_u64)?;
/// let descriptor = value.memory_fd().try_clone_to_owned().unwrap();
/// let refused = Value::<i64>::from_fd(descriptor).unwrap_err();
/// assert!(matches!(refused, Error::Attach(AttachError::WrongType { .. })));
/// assert_eq!(refused.to_string(), "cannot attach: type u64 (8 bytes, alignment 8), expected i64 (8 bytes, alignment 8)");
/// # Ok::<(), crossproc::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// The file could still shrink under the mapping.
    #[error("seals {found:#x}, required {required:#x}")]
    NotSealed {
        /// The seals that the file has (`F_SEAL_*`).
        found: u32,
        /// The seals that it must have.
        required: u32,
    },

    /// The file is shorter or longer than its header says, or than any segment is.
    #[error("file of {found} bytes, expected {expected}")]
    WrongSize {
        /// Bytes in the file.
        found: u64,
        /// Bytes that the header names, or the least that a segment has.
        expected: u64,
    },

    /// A name stands for something else than a file: a folder, a symbolic link, a pipe.
    #[error("not a regular file")]
    NotAFile,

    /// An object that was to be made if there was none is there, and not as it would have been made.
    #[error("{object} with {what} {found}, expected {expected}")]
    WrongShape {
        /// The kind of object.
        object: Kind,
        /// Which of its numbers.
        what: Cow<'static, str>,
        /// The object's.
        found: u64,
        /// What was asked for.
        expected: u64,
    },

    /// An object that was to be made if there was none is there, and its waits last another time unless told.
    #[error("{object} with {}, expected a timeout of {expected:?}", match .found {
        Some(timeout) => format!("a timeout of {timeout:?}"),
        None => "no timeout".to_string(),
    })]
    WrongTimeout {
        /// The kind of object.
        object: Kind,
        /// The object's; none: its waits last for ever.
        found: Option<Duration>,
        /// What was asked for.
        expected: Duration,
    },

    /// The file does not begin with the magic of a segment.
    #[error("magic {found:#018x}, expected {expected:#018x}")]
    WrongMagic {
        /// The file's first eight bytes, little-endian.
        found: u64,
        /// crossproc's.
        expected: u64,
    },

    /// The file was to become a segment, and holds something else.
    #[error("a byte at offset {offset} that is not 0, expected an empty file")]
    NotEmpty {
        /// Of the first such byte.
        offset: u64,
    },

    /// The segment was laid out by another version of crossproc.
    #[error("format {found}, this build reads {expected}")]
    WrongFormat {
        /// The segment's format number.
        found: u32,
        /// This build's.
        expected: u32,
    },

    /// Same format number, other sizes or offsets: a build for another machine, or a corrupted header.
    #[error("layout stamp {found:#018x}, expected {expected:#018x}")]
    WrongLayout {
        /// The stamp in shared memory.
        found: u64,
        /// The stamp that this build computes.
        expected: u64,
    },

    /// The table of peers has an impossible size.
    #[error("table of {found} peers, expected 1 to {most}")]
    WrongPeers {
        /// The size in the header.
        found: u32,
        /// The most that an identity can name.
        most: u32,
    },

    /// There is no complete object at this place.
    #[error("object state {found:#018x} at offset {offset}, expected {expected:#018x}")]
    NoObject {
        /// Where the object should have been.
        offset: u64,
        /// What its first word says.
        found: u64,
        /// What the first word of a complete object says.
        expected: u64,
    },

    /// An object of another kind.
    #[error("{}, expected {expected}", match .found { Ok(kind) => kind.to_string(), Err(number) => format!("kind {number}") })]
    WrongKind {
        /// The kind found, or a number that stands for no kind.
        found: Result<Kind, u32>,
        /// The kind asked for.
        expected: Kind,
    },

    /// An object of another element type.
    #[error("{}type {found}, expected {expected}", match .name {
        Some(name) => format!("{name:?} has "),
        None => String::new(),
    })]
    WrongType {
        /// The name by which it was found, if it was.
        name: Option<Box<str>>,
        /// The type found.
        found: TypeStamp,
        /// The type asked for.
        expected: TypeStamp,
    },

    /// An object with an impossible number of elements.
    #[error("length {found} does not fit into the object's {bytes} bytes")]
    WrongLength {
        /// The number of elements that the object names.
        found: u64,
        /// The object's size.
        bytes: u64,
    },

    /// An object that would lie outside its segment, or askew.
    #[error("object at offset {offset} of {bytes} bytes, in a segment of {segment} bytes")]
    OutOfBounds {
        /// Offset from the segment's first byte.
        offset: u64,
        /// The object's size.
        bytes: u64,
        /// The segment's size.
        segment: u64,
    },
}

impl AttachError {
    /// The same of what was found by a name.
    pub(crate) fn at(mut self, found_by: &str) -> Self {
        if let AttachError::WrongType { name, .. } = &mut self {
            *name = Some(found_by.into());
        }
        self
    }
}

/// What identifies an element type across programs: its name without paths, size and alignment.
///
/// # Examples
///
/// See [`AttachError`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeStamp {
    /// The type's name without module paths; from shared memory at most 72 bytes of it. Of a managed object, which keeps no name:
    /// its hash in words, beside the size and the alignment of what was expected.
    pub name: String,
    /// A hash of the whole name.
    pub hash: u64,
    /// Bytes.
    pub size: u64,
    /// Bytes.
    pub align: u32,
}

impl fmt::Display for TypeStamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes, alignment {})", self.name, self.size, self.align)
    }
}
