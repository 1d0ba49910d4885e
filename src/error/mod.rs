//! What can go wrong in set-up, in one type.
//!
//! Outcomes that come with something (a guard, a process) have small enums of their own ([`LockError`],
//! [`ProcessError`]); each of them converts into [`Error`], so that `?` works in a function that returns [`Result`]. The
//! short forms of `Value` and `Array` give nothing back and so fail with [`Error`] itself.

mod attach;
mod barrier;
mod lock;
mod os;
mod pipe;
mod process;
mod queue;
mod secret;
mod semaphore;
mod task;

use std::borrow::Cow;
use std::error::Error as _;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use attach::{AttachError, Kind, TypeStamp};
pub use barrier::{BarrierError, BrokenBy};
pub use lock::{Guard, LockError, TryLockError};
pub use os::OsError;
pub use pipe::{BufferTooShort, RecvError, RecvIntoError, SendError, TryRecvError, TryRecvIntoError, TrySendError};
pub use process::{Exit, ProcessError};
pub use queue::{GetError, PutError, TryGetError, TryPutError};
pub(crate) use secret::without_password;
pub use semaphore::TryAcquireError;
pub use task::{TaskError, TryNextError};

/// `std::result::Result` with this crate's [`Error`].
///
/// # Examples
///
/// ```
/// fn main() -> crossproc::Result<()> {
///     let value = crossproc::Value::new(1)?;
///     value.try_set(2)
/// }
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure: what was attempted, on which object, and why.
///
/// It travels between processes: a function that a child runs may return it. `Debug` prints what `Display` prints and the
/// errors behind it, so that `fn main() -> crossproc::Result<()>` fails readably.
///
/// # Examples
///
/// ```standalone_crate
/// use crossproc::{Error, Process};
///
/// // Neither `init` nor `test_support!` has run in this program.
/// let refused = Process::spawn(|| (), ()).unwrap_err();
/// assert!(matches!(refused, Error::NotInitialised));
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A process was to be started in a program that cannot recognise its children.
    #[error(
        "cannot start a process: this program has not called `crossproc::init()`; make `crossproc::init();` the first \
         line of `main` (in a test binary, put `crossproc::test_support!();` at the top level instead)"
    )]
    NotInitialised,

    /// A process was to be started while this one is already exiting.
    #[error("cannot start a process: this process is exiting")]
    Exiting,

    /// The function does not belong to the program's own executable (it came from a shared library), so that a child
    /// could not find it.
    #[error("cannot start a process: function {function} is not part of the program's executable")]
    ForeignFunction {
        /// The function's type, as Rust prints it.
        function: String,
    },

    /// A name that no shared object can have.
    #[error("{name:?} is no name of a shared object: {reason}")]
    InvalidName {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: Cow<'static, str>,
    },

    /// An address at which there can be no manager.
    #[error("cannot connect to {address:?}: {reason}")]
    InvalidAddress {
        /// The address, without the user and the password in it.
        address: String,
        /// What is wrong with it.
        reason: Cow<'static, str>,
    },

    /// No shared object has this name.
    #[error("no shared object is called {name:?}")]
    NoSuchName {
        /// The name.
        name: String,
    },

    /// A shared object was to be made under a name that is taken.
    #[error("a shared object is called {name:?} already; if a killed process has left it, `gc` or `unlink` removes it")]
    NameTaken {
        /// The name.
        name: String,
    },

    /// An object's name was to be removed through a handle that came without one.
    #[error("this process has neither made {object} under a name nor opened it by one")]
    Nameless {
        /// The kind of object.
        object: Kind,
    },

    /// A shared object belongs to another user, or others than its user can get at it.
    #[error("{name:?} may not be used: {found}, expected {expected}")]
    PermissionDenied {
        /// The name.
        name: String,
        /// Whose it is, and its mode.
        found: String,
        /// What it must be.
        expected: String,
    },

    /// There is not enough shared memory left, in the file system or within this process's limits. One of address space (`RLIMIT_AS`) is
    /// easily reached by what is shared, which takes more of it than memory; one of data (`RLIMIT_DATA`) does not concern what is
    /// shared, but copies of messages.
    #[error("cannot reserve shared memory: {needed} bytes needed, {available} available{}", hint(*.needed, *.available))]
    NoSpace {
        /// Bytes asked for.
        needed: u64,
        /// Bytes that could be had when they were asked for; a guess where the kernel only said no.
        available: u64,
    },

    /// Every place in a segment's table of peers is taken: 256 processes may be attached to one at a time. In a child, it is
    /// why its arguments could not be handed over.
    #[error("cannot attach: all {limit} peers of the segment are taken")]
    TooManyPeers {
        /// How many processes may be attached at a time.
        limit: u32,
    },

    /// Bytes that should have been a shared object are not one, or are one of another kind or type.
    #[error("cannot attach: {0}")]
    Attach(AttachError),

    /// An owner of a lock died while it held it, and the guard that said so was dropped without repair. Or, of what is at a server: this process
    /// has had it and lost it, as it was not heard for as long as its lease, or the server was restarted, and so somebody else may have it.
    #[error("{}", lock::owner_died(*.object))]
    OwnerDied {
        /// The kind of object.
        object: Kind,
    },

    /// This thread already holds the lock; waiting for it would never end.
    #[error("this thread already holds {object}")]
    AlreadyHeld {
        /// The kind of object.
        object: Kind,
    },

    /// Somebody else holds the lock, and did so until the time was up.
    #[error("{object} is held by somebody else")]
    Held {
        /// The kind of object.
        object: Kind,
    },

    /// What a process has in hand was to be used in a forked copy of it, which holds nothing.
    #[error("this process is a forked copy of the one that has {object} in hand")]
    ForkedCopy {
        /// The kind of object.
        object: Kind,
    },

    /// So many threads wait at a [`Condvar`](crate::Condvar) already.
    #[error("cannot wait: all {limit} places of the Condvar are taken")]
    TooManyWaiters {
        /// How many threads may wait at a time.
        limit: u32,
    },

    /// An index past the end of an array or a list.
    #[error("index {index} is out of range for a length of {length}")]
    OutOfRange {
        /// The index asked for.
        index: usize,
        /// The number of elements.
        length: usize,
    },

    /// Bytes past the end of a [`SharedMemory`](crate::SharedMemory).
    #[error("{count} bytes from {offset} are out of range for a SharedMemory of {length} bytes")]
    BytesOutOfRange {
        /// Where they begin.
        offset: usize,
        /// How many were asked for.
        count: usize,
        /// The object's length.
        length: usize,
    },

    /// An item of a [`ShareableList`](crate::ShareableList) is longer than the first one in its place.
    #[error("an item of {needed} bytes does not fit into the {space} that item {index} was given")]
    ExceedsSpace {
        /// Which item.
        index: usize,
        /// Bytes of the new item.
        needed: usize,
        /// Bytes that there is room for.
        space: usize,
    },

    /// There is no room for a message, and there was none until the time was up.
    #[error("there is no room for another message")]
    Full,

    /// There is no message, and there was none until the time was up.
    #[error("there is no message")]
    Empty,

    /// A queue or a ring is closed; or it is, and everything has been got.
    #[error("the queue or ring is closed")]
    Closed,

    /// Nobody is left at the other side of a queue that was made to say so.
    #[error("no {missing} of the queue is left")]
    Disconnected {
        /// "producer" or "consumer".
        missing: Cow<'static, str>,
    },

    /// No permit is free, and none was until the time was up.
    #[error("no permit is free")]
    NoPermit,

    /// A message that would not fit if there were no other.
    #[error("a message of {size} bytes is too large for {object} of messages up to {limit} bytes")]
    TooLarge {
        /// The kind of object.
        object: Kind,
        /// Encoded bytes.
        size: usize,
        /// The most bytes that a message may have.
        limit: usize,
    },

    /// This process has said that more messages are done than it has got.
    #[error("{object} has no message that this process has got and not yet said to be done")]
    NothingToBeDone {
        /// The kind of object.
        object: Kind,
    },

    /// An object cannot be made for so many, or for none: messages of a queue, bytes of a memory, permits of a semaphore, parties
    /// of a barrier.
    #[error("{object} cannot be made for {capacity}, only for 1 to {most}")]
    Capacity {
        /// The kind of object.
        object: Kind,
        /// How many were asked for.
        capacity: usize,
        /// The most that it can be made for.
        most: usize,
    },

    /// A pool cannot have so many workers, or none.
    #[error("a pool cannot have {asked} workers, only 1 to {most}")]
    Workers {
        /// How many were asked for.
        asked: usize,
        /// The most that a pool can have.
        most: usize,
    },

    /// More permits were to be free than there is room for: a release without an acquire, or a semaphore that was to begin so.
    #[error("cannot add {permits} permits to {object} with room for {room}")]
    TooManyPermits {
        /// The kind of object.
        object: Kind,
        /// Permits asked for.
        permits: usize,
        /// How many more permits it could have.
        room: usize,
    },

    /// Nobody will receive what was to be sent: the receiver was closed, or its process died.
    #[error("nobody has the receiving end of {object} any more")]
    BrokenPipe {
        /// The kind of object.
        object: Kind,
    },

    /// Nothing more will be received: the sender was closed, or its process died.
    #[error("nobody has the sending end of {object} any more, and all it sent has been received")]
    EndOfFile {
        /// The kind of object.
        object: Kind,
    },

    /// The parties of a barrier did not all come; whoever comes is told so until somebody resets it.
    #[error("the barrier is broken: {by}")]
    BrokenBarrier {
        /// What has broken it.
        by: BrokenBy,
    },

    /// A message is longer than the buffer for it.
    #[error("a message of {message} bytes does not fit into a buffer of {buffer}")]
    BufferTooShort {
        /// Bytes in the message.
        message: usize,
        /// Bytes in the buffer.
        buffer: usize,
    },

    /// What has one owner was used after it had been sent to another process, or in a forked copy of the owner.
    #[error("this end of {object} belongs to another process")]
    GivenAway {
        /// The kind of object.
        object: Kind,
    },

    /// Shared memory contains what nobody who follows the protocol writes.
    #[error("{object} is corrupted: found {found:#018x} at position {position}")]
    Corrupted {
        /// The kind of object.
        object: Kind,
        /// Where.
        position: u64,
        /// What.
        found: u64,
    },

    /// What a handle refers to has been dropped by all who held it. At a server it may also be that the server has lost it, or that this process
    /// was not heard for as long as its lease, which let it go.
    #[error(
        "what this handle of {object} refers to is no more: all who held it have dropped it (or, at a server, it was restarted without \
         what it had kept, or this process was not heard there for as long as its lease)"
    )]
    Gone {
        /// The kind of object.
        object: Kind,
    },

    /// More was to be changed, or held, in one step than is possible.
    #[error("cannot make {asked} changes or holds in one step, only some {fit}")]
    TooManyChanges {
        /// What was asked for: entries of a dictionary, words of memory, or handles in what is read.
        asked: usize,
        /// About how many of them fit.
        fit: usize,
    },

    /// A managed dictionary has no entry for a key.
    #[error("there is no entry for the key that is encoded as {key:02x?}")]
    NoSuchKey {
        /// The encoded key.
        key: Vec<u8>,
    },

    /// A handle was serialised or deserialised outside a transfer between processes.
    #[error("a handle travels only in the arguments and results of processes; it cannot be serialised anywhere else")]
    HandleOutsideTransfer,

    /// A value could not be encoded for another process.
    #[error("cannot encode {what}: {reason}")]
    Encode {
        /// What was encoded.
        what: Cow<'static, str>,
        /// What the encoder said.
        reason: String,
    },

    /// The bytes of another process could not be decoded.
    #[error("cannot decode {what}: {reason}")]
    Decode {
        /// What was decoded.
        what: Cow<'static, str>,
        /// What the decoder said.
        reason: String,
    },

    /// A process did not deliver a result.
    #[error(transparent)]
    Process(#[from] ProcessError),

    /// A task of a pool has no result.
    #[error(transparent)]
    Task(#[from] TaskError),

    /// A task of a pool was not done when the time was up.
    #[error("the task is not done")]
    TaskRunning,

    /// A process had not ended when the time was up.
    #[error("process {name} ({pid}) is still running")]
    StillRunning {
        /// The process's name.
        name: String,
        /// Its process id.
        pid: u32,
    },

    /// This system lacks something that crossproc cannot do without.
    #[error("{what} is not supported here")]
    Unsupported {
        /// What is missing.
        what: Cow<'static, str>,
    },

    /// No server has answered at an address for as long as it is tried. Nothing has happened there.
    #[error("cannot reach {address}: {reason}")]
    Unreachable {
        /// The address, without its password.
        address: String,
        /// What the last attempt said.
        reason: String,
    },

    /// A server was asked to do something, and its answer has not come: it has happened, or it has not.
    #[error("no answer from {address}, which may have carried out {what} or not: {reason}")]
    Unanswered {
        /// The address, without its password.
        address: String,
        /// What it was asked for.
        what: Cow<'static, str>,
        /// Why there is no answer.
        reason: String,
    },

    /// A server has no memory left for what was to be kept there. Nothing has happened.
    #[error("{address} has no memory left: {reason}")]
    ServerFull {
        /// The address, without its password.
        address: String,
        /// What it said.
        reason: String,
    },

    /// A server has refused what it was asked to do, or this process the server's certificate.
    #[error("{address} refuses {what}: {reason}")]
    Refused {
        /// The address, without its password.
        address: String,
        /// What it was asked for.
        what: Cow<'static, str>,
        /// What it said.
        reason: String,
    },

    /// A system call failed. The text says what was attempted; why it failed is in `source` and `Debug`, as for every error with a source.
    #[error("cannot {attempt}")]
    Os {
        /// What was attempted, on which object.
        attempt: Cow<'static, str>,
        /// What the kernel said.
        source: OsError,
    },
}

/// What may lie behind it where nothing at all was to be had. A byte that is not there is a file (`NO_MORE_FILES`).
fn hint(needed: u64, available: u64) -> &'static str {
    if available == 0 && needed > 1 {
        "; unless that is full, this process may be at a limit (RLIMIT_AS, RLIMIT_DATA)"
    } else {
        ""
    }
}

impl From<AttachError> for Error {
    fn from(error: AttachError) -> Self {
        Error::Attach(error)
    }
}

impl Error {
    /// The same of what was found by a name.
    pub(crate) fn at(self, name: &str) -> Self {
        match self {
            Error::Attach(error) => Error::Attach(error.at(name)),
            other => other,
        }
    }

    /// The last OS error of this thread, as the failure of `attempt` ("map a segment").
    pub(crate) fn last_os(attempt: impl Into<Cow<'static, str>>) -> Self {
        Error::os(attempt, OsError::last())
    }

    pub(crate) fn os(attempt: impl Into<Cow<'static, str>>, source: impl Into<OsError>) -> Self {
        Error::Os { attempt: attempt.into(), source: source.into() }
    }
}

/// Prints what `Display` prints, followed by the errors behind it: what a `main` that returns an `Err` prints.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut source = self.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
