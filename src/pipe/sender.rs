use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::collecting::trim;
use super::inlet::{FOR_EVER, Inlet, InletWire, Refusal};
use super::stream::Writer;
use crate::error::{Error, SendError, TrySendError};
use crate::message::{Sends, codec};
use crate::segment::transfer::{stow, take_out};
use crate::segment::{Wait, type_stamp};

/// The sending end of a [`channel`](crate::channel()): messages of type `T` go in here.
///
/// # Ownership
///
/// A channel has one `Sender`: it is not `Clone`, and belongs to one process. Passed by value to a new process or
/// returned from one, it is that process's; here it is gone:
///
/// ```compile_fail,E0382
/// # fn job(sender: crossproc::Sender<u32>) {}
/// let (mut sender, receiver) = crossproc::channel::<u32>().unwrap();
/// let process = crossproc::Process::spawn(job, (sender,)).unwrap();
/// sender.send(1);
/// ```
///
/// A reference to it cannot be passed:
///
/// ```compile_fail,E0277
/// # fn job(sender: crossproc::Sender<u32>) {}
/// let (sender, receiver) = crossproc::channel::<u32>().unwrap();
/// let process = crossproc::Process::spawn(job, (&sender,)).unwrap();
/// ```
///
/// Nor can it be cloned:
///
/// ```compile_fail,E0599
/// let (sender, receiver) = crossproc::channel::<u32>().unwrap();
/// let another = sender.clone();
/// ```
///
/// In a plain `fork` it stays the parent's: the child's copy fails with [`GivenAway`](Error::GivenAway), and its drop does
/// nothing.
///
/// # Concurrency
///
/// `send` returns when the message lies in the channel, not when it has been received; it waits only for room. Messages of
/// any size are sent: one of more than half the capacity goes through the channel in pieces, while the receiver takes
/// them out.
///
/// # Death
///
/// A message is received whole or not at all: what a process that is killed had sent in part is dropped, and then the
/// receiver sees the end. If the receiver's process dies, sending is [`BrokenPipe`](SendError::BrokenPipe), at the latest
/// when the channel is full; while there is room, within some milliseconds.
///
/// While a `Sender` is on its way to another process, and when it is lost with one, the receiver's view is the same: the
/// end comes only when nobody has it any more.
///
/// # Examples
///
/// ```
/// use crossproc::{Process, Sender, channel};
///
/// fn count(mut sender: Sender<u32>, up_to: u32) -> crossproc::Result<()> {
///     for number in 0..up_to {
///         sender.send(number)?;
///     }
///     Ok(())
/// }
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let (sender, mut receiver) = channel()?;
/// let process = Process::spawn(count, (sender, 3))?;
/// let mut numbers = Vec::new();
/// while let Ok(number) = receiver.recv() {
///     numbers.push(number);
/// }
/// assert_eq!(numbers, [0, 1, 2]);
/// process.join()?
/// # }
/// ```
pub struct Sender<T> {
    inlet: Inlet,
    /// Where messages are encoded, so that sending allocates nothing; as long as the longest of late.
    encoded: Vec<u8>,
    message: PhantomData<fn(T)>,
}

/// What is sent, for errors.
pub(super) const WHAT: &str = "a message";

/// The least room for an encoded message; a guess.
const LEAST: usize = 128;

impl<T> Sender<T> {
    pub(super) fn new(inlet: Inlet) -> Self {
        Sender { inlet, encoded: Vec::new(), message: PhantomData }
    }

    /// Sends a message, and waits for room as long as it takes.
    ///
    /// What may be sent for a `T` is a `T` or what [`Sends`] says: a `&T`, a `&str` for a `String`, a slice for a `Vec`.
    ///
    /// # Errors
    ///
    /// [`BrokenPipe`](SendError::BrokenPipe) with the message if nobody will receive it; [`Failed`](SendError::Failed) with
    /// the message if it cannot be encoded, in a forked copy of this process, or if the memory is corrupted.
    ///
    /// # Examples
    ///
    /// ```
    /// let (mut sender, mut receiver) = crossproc::channel::<Vec<String>>()?;
    /// sender.send(vec!["a".to_string()])?;
    /// sender.send(&["b".to_string()][..])?;
    /// assert_eq!(receiver.recv()?, ["a"]);
    /// assert_eq!(receiver.recv()?, ["b"]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    #[inline]
    pub fn send<M: Sends<T>>(&mut self, message: M) -> Result<(), SendError<M>> {
        self.encode_and_send(&message, FOR_EVER).map_err(|refusal| without_limit(refusal, message))
    }

    /// Sends a message if there is room for it now.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and [`Full`](TrySendError::Full) without room; [`Failed`](TrySendError::Failed) with
    /// [`TooLarge`](Error::TooLarge) for one that would not even fit into an empty channel, and which only [`send`](Self::send) and
    /// [`send_timeout`](Self::send_timeout) can send, while the receiver receives.
    ///
    /// # Examples
    ///
    /// See [`TrySendError`].
    #[inline]
    pub fn try_send<M: Sends<T>>(&mut self, message: M) -> Result<(), TrySendError<M>> {
        self.encode_and_send(&message, Wait::No).map_err(|refusal| with(refusal, message))
    }

    /// Sends a message, and waits for room, `timeout` at most (monotonic; never shorter). Zero is a
    /// [`try_send`](Self::try_send).
    ///
    /// A message in pieces for which the time is up half-way is not received.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and [`Full`](TrySendError::Full) when the time is up.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (mut sender, _receiver) = crossproc::channel::<u8>()?;
    /// sender.send_timeout(1, Duration::from_secs(1))?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn send_timeout<M: Sends<T>>(&mut self, message: M, timeout: Duration) -> Result<(), TrySendError<M>> {
        self.encode_and_send(&message, Wait::at_most(timeout)).map_err(|refusal| with(refusal, message))
    }

    #[inline]
    fn encode_and_send(&mut self, message: &impl Serialize, wait: Wait) -> Result<(), Refusal> {
        match codec::encode_into(WHAT, message, &mut self.encoded) {
            Ok(Some(encoded)) => {
                let used = encoded.len();
                let sent = self.inlet.send(encoded, wait);
                trim(&mut self.encoded, used);
                sent
            }
            Ok(None) => self.encode_larger_and_send(message, wait),
            Err(error) => Err(cannot_encode(error)),
        }
    }

    /// For the first message, and those that are longer than any before or than what is kept.
    #[cold]
    fn encode_larger_and_send(&mut self, message: &impl Serialize, wait: Wait) -> Result<(), Refusal> {
        let mut encoded: Vec<u8> = Vec::new();
        codec::encode_with(WHAT, message, |piece| {
            let needed = (encoded.len() + piece.len()) as u64;
            let no_space = |_| Error::NoSpace { needed, available: 0 };
            encoded.try_reserve(piece.len().max(LEAST)).map_err(no_space)?;
            encoded.extend_from_slice(piece);
            Ok(())
        })
        .map_err(cannot_encode)?;
        let sent = self.inlet.send(&encoded, wait);
        encoded.resize(encoded.capacity(), 0);
        self.encoded = encoded;
        sent
    }

    /// Sends a message of these bytes as they are, and waits for room as long as it takes.
    ///
    /// The receiver takes them with [`recv_bytes`](crate::Receiver::recv_bytes) or one of its kin; they are not a
    /// `T`.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); the bytes are still yours.
    ///
    /// # Examples
    ///
    /// ```
    /// let (mut sender, mut receiver) = crossproc::channel::<()>()?;
    /// sender.send_bytes(b"as they are")?;
    /// assert_eq!(receiver.recv_bytes()?, b"as they are");
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    #[inline]
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), SendError<()>> {
        self.inlet.send(bytes, FOR_EVER).map_err(|refusal| without_limit(refusal, ()))
    }

    /// As [`send_bytes`](Self::send_bytes), if there is room now.
    ///
    /// # Errors
    ///
    /// As [`try_send`](Self::try_send).
    ///
    /// # Examples
    ///
    /// ```
    /// let (mut sender, _receiver) = crossproc::PipeBuilder::new().capacity(64).channel::<()>()?;
    /// assert!(sender.try_send_bytes(&[0; 24]).is_ok());
    /// assert!(sender.try_send_bytes(&[0; 24]).is_err());
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    #[inline]
    pub fn try_send_bytes(&mut self, bytes: &[u8]) -> Result<(), TrySendError<()>> {
        self.inlet.send(bytes, Wait::No)
    }

    /// As [`send_bytes`](Self::send_bytes), waiting `timeout` at most.
    ///
    /// # Errors
    ///
    /// As [`send_timeout`](Self::send_timeout).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (mut sender, _receiver) = crossproc::channel::<()>()?;
    /// sender.send_bytes_timeout(b"soon", Duration::from_secs(1))?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn send_bytes_timeout(&mut self, bytes: &[u8], timeout: Duration) -> Result<(), TrySendError<()>> {
        self.inlet.send(bytes, Wait::at_most(timeout))
    }

    /// Has the next call look whether the receiver is dead.
    pub(super) fn suspect(&mut self) {
        self.inlet.suspect();
    }

    /// A [`Write`](std::io::Write) into the channel: each write is a message of bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::Write;
    ///
    /// let (mut sender, mut receiver) = crossproc::channel::<()>()?;
    /// sender.writer().write_all(b"a line\n").unwrap();
    /// assert_eq!(receiver.recv_bytes()?, b"a line\n");
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn writer(&mut self) -> Writer<'_> {
        Writer::new(&mut self.inlet)
    }

    /// Bytes in the channel, fixed at creation. Each message takes its encoded size, rounded up to a multiple of 8, and 8
    /// more.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = crossproc::PipeBuilder::new().capacity(5000).channel::<u8>()?;
    /// assert_eq!((sender.capacity(), receiver.capacity()), (8192, 8192));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn capacity(&self) -> usize {
        self.inlet.capacity()
    }

    /// Closes this end, as dropping it does: the receiver gets what has been sent, and then the end.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, mut receiver) = crossproc::channel::<u8>()?;
    /// sender.close();
    /// assert!(receiver.recv().is_err());
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn close(self) {}
}

fn cannot_encode(error: Error) -> Refusal {
    Refusal::Failed { message: (), error }
}

/// A wait without a deadline does not end with `Full`.
fn without_limit<M>(refusal: Refusal, message: M) -> SendError<M> {
    match refusal {
        Refusal::Failed { error, .. } => SendError::Failed { message, error },
        Refusal::BrokenPipe(()) | Refusal::Full(()) => SendError::BrokenPipe(message),
    }
}

fn with<M>(refusal: Refusal, message: M) -> TrySendError<M> {
    match refusal {
        Refusal::Full(()) => TrySendError::Full(message),
        Refusal::BrokenPipe(()) => TrySendError::BrokenPipe(message),
        Refusal::Failed { error, .. } => TrySendError::Failed { message, error },
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// Only within a transfer to another process, whose end it is from then on.
impl<T> Serialize for Sender<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        stow(|outgoing| self.inlet.depart(outgoing))?.serialize(serializer)
    }
}

/// Only within a transfer from another process.
impl<'de, T> Deserialize<'de> for Sender<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = InletWire::deserialize(deserializer)?;
        take_out(|incoming| Inlet::arrive(&wire, &type_stamp::<T>(), incoming)).map(Sender::new)
    }
}
