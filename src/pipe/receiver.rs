use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::inlet::FOR_EVER;
use super::outlet::{Outlet, OutletWire};
use super::receiving::Borrowed;
use super::sender::WHAT;
use super::stream::Reader;
use crate::error::{RecvError, RecvIntoError, Result, TryRecvError, TryRecvIntoError};
use crate::message::codec;
use crate::segment::handle::{stow, take_out};
use crate::segment::{Wait, type_stamp};

/// The receiving end of a [`channel`](crate::channel()): messages of type `T` come out here, in the order in which they
/// were sent.
///
/// # Ownership
///
/// As for [`Sender`](crate::Sender): one owner, not `Clone`, gone from this process when it is given to another. What has been
/// received in part goes along.
///
/// # Concurrency
///
/// Receiving waits for a message, or for the end. The memory of a message is given back to the sender when it has been copied
/// out; that of a [`recv_ref`](Self::recv_ref) when the reference is dropped.
///
/// # Death
///
/// When the sender is closed, or its process has died, the receiver still gets every message that had been sent, and then
/// [`EndOfFile`](RecvError::EndOfFile). A message that the dead process had sent in part is dropped.
///
/// # Trust
///
/// Messages are copied before they are decoded, and every length is checked: a hostile sender can make a message anything,
/// and of any size, but do no harm else. [`recv_ref`](Self::recv_ref) alone lends shared memory as it is.
///
/// # Examples
///
/// See [`channel`](crate::channel()).
pub struct Receiver<T> {
    outlet: Outlet,
    message: PhantomData<fn() -> T>,
}

impl<T> Receiver<T> {
    pub(super) fn new(outlet: Outlet) -> Self {
        Receiver { outlet, message: PhantomData }
    }

    /// Receives the next message, and waits for it as long as it takes.
    ///
    /// # Errors
    ///
    /// [`EndOfFile`](RecvError::EndOfFile) when nobody will send any more; [`Failed`](RecvError::Failed) if the message
    /// is no `T` (it is gone then), in a forked copy of this process, or if the memory is corrupted.
    ///
    /// # Examples
    ///
    /// See [`RecvError`].
    #[inline]
    pub fn recv(&mut self) -> Result<T, RecvError>
    where
        T: DeserializeOwned,
    {
        self.receive(FOR_EVER).map_err(without_limit)
    }

    /// Receives the next message if it is there.
    ///
    /// That the sender has been killed may take some milliseconds to be seen by calls in quick succession; once this end has
    /// said that it is ready (by [`poll`](Self::poll), or by its [descriptor](Self::readiness)), it is seen at once.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and [`Empty`](TryRecvError::Empty) without a message.
    ///
    /// # Examples
    ///
    /// See [`TryRecvError`].
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError>
    where
        T: DeserializeOwned,
    {
        self.receive(Wait::No)
    }

    /// Receives the next message, and waits for it, `timeout` at most (monotonic; never shorter). Zero is a
    /// [`try_recv`](Self::try_recv).
    ///
    /// What has arrived of a message in pieces when the time is up is kept for the next call.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and [`Empty`](TryRecvError::Empty) when the time is up.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use crossproc::TryRecvError;
    ///
    /// let (_sender, mut receiver) = crossproc::channel::<u8>()?;
    /// assert_eq!(receiver.recv_timeout(Duration::from_millis(1)), Err(TryRecvError::Empty));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, TryRecvError>
    where
        T: DeserializeOwned,
    {
        self.receive(Wait::at_most(timeout))
    }

    #[inline]
    fn receive(&mut self, wait: Wait) -> Result<T, TryRecvError>
    where
        T: DeserializeOwned,
    {
        self.outlet.receive_with(wait, |bytes| codec::decode(WHAT, bytes))?.map_err(TryRecvError::Failed)
    }

    /// Receives the bytes of the next message, and waits for it as long as it takes.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// See [`Sender::send_bytes`](crate::Sender::send_bytes).
    pub fn recv_bytes(&mut self) -> Result<Vec<u8>, RecvError> {
        self.outlet.receive(FOR_EVER).map_err(without_limit)
    }

    /// As [`recv_bytes`](Self::recv_bytes), if there is a message.
    ///
    /// # Errors
    ///
    /// As [`try_recv`](Self::try_recv).
    ///
    /// # Examples
    ///
    /// ```
    /// let (mut sender, mut receiver) = crossproc::channel::<()>()?;
    /// assert!(receiver.try_recv_bytes().is_err());
    /// sender.send_bytes(&[1, 2])?;
    /// assert_eq!(receiver.try_recv_bytes()?, [1, 2]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn try_recv_bytes(&mut self) -> Result<Vec<u8>, TryRecvError> {
        self.outlet.receive(Wait::No)
    }

    /// As [`recv_bytes`](Self::recv_bytes), waiting `timeout` at most.
    ///
    /// # Errors
    ///
    /// As [`recv_timeout`](Self::recv_timeout).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (mut sender, mut receiver) = crossproc::channel::<()>()?;
    /// sender.send_bytes(&[])?;
    /// assert_eq!(receiver.recv_bytes_timeout(Duration::from_secs(1))?, []);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn recv_bytes_timeout(&mut self, timeout: Duration) -> Result<Vec<u8>, TryRecvError> {
        self.outlet.receive(Wait::at_most(timeout))
    }

    /// Receives the bytes of the next message into a buffer, and returns how many; waits for it as long as it takes.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and [`BufferTooShort`](RecvIntoError::BufferTooShort) if the message is longer: it stays
    /// the next one.
    ///
    /// # Examples
    ///
    /// See [`RecvIntoError`].
    #[inline]
    pub fn recv_bytes_into(&mut self, buffer: &mut [u8]) -> Result<usize, RecvIntoError> {
        self.outlet.receive_into(buffer, FOR_EVER).map_err(|error| match error {
            TryRecvIntoError::BufferTooShort(error) => RecvIntoError::BufferTooShort(error),
            TryRecvIntoError::Failed(error) => RecvIntoError::Failed(error),
            // A wait without a deadline does not end with `Empty`.
            TryRecvIntoError::EndOfFile | TryRecvIntoError::Empty => RecvIntoError::EndOfFile,
        })
    }

    /// As [`recv_bytes_into`](Self::recv_bytes_into), if there is a message.
    ///
    /// # Errors
    ///
    /// As [`recv_bytes_into`](Self::recv_bytes_into), and [`Empty`](TryRecvIntoError::Empty) without a message.
    ///
    /// # Examples
    ///
    /// See [`TryRecvIntoError`].
    #[inline]
    pub fn try_recv_bytes_into(&mut self, buffer: &mut [u8]) -> Result<usize, TryRecvIntoError> {
        self.outlet.receive_into(buffer, Wait::No)
    }

    /// As [`recv_bytes_into`](Self::recv_bytes_into), waiting `timeout` at most.
    ///
    /// # Errors
    ///
    /// As [`recv_bytes_into`](Self::recv_bytes_into), and [`Empty`](TryRecvIntoError::Empty) when the time is up.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (mut sender, mut receiver) = crossproc::channel::<()>()?;
    /// sender.send_bytes(b"abc")?;
    /// let mut buffer = [0; 8];
    /// assert_eq!(receiver.recv_bytes_into_timeout(&mut buffer, Duration::from_secs(1)), Ok(3));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn recv_bytes_into_timeout(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, TryRecvIntoError> {
        self.outlet.receive_into(buffer, Wait::at_most(timeout))
    }

    /// The bytes of the next message where they lie, without a copy; waits for it as long as it takes.
    ///
    /// The message is gone when the reference is dropped, and only then has the sender its memory back. A message of more
    /// than half the capacity comes in pieces, and is a copy.
    ///
    /// This trusts the sender: one that does not keep to the protocol could change the bytes under the reference.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// let (mut sender, mut receiver) = crossproc::channel::<()>()?;
    /// sender.send_bytes(&[7; 1000])?;
    /// assert_eq!(receiver.recv_ref()?.iter().map(|&byte| u64::from(byte)).sum::<u64>(), 7000);
    /// assert!(receiver.try_recv_ref().is_err());
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    #[inline]
    pub fn recv_ref(&mut self) -> Result<BytesRef<'_>, RecvError> {
        self.outlet.borrow(FOR_EVER).map(BytesRef).map_err(without_limit)
    }

    /// As [`recv_ref`](Self::recv_ref), if there is a message.
    ///
    /// # Errors
    ///
    /// As [`try_recv`](Self::try_recv).
    ///
    /// # Examples
    ///
    /// See [`recv_ref`](Self::recv_ref).
    #[inline]
    pub fn try_recv_ref(&mut self) -> Result<BytesRef<'_>, TryRecvError> {
        self.outlet.borrow(Wait::No).map(BytesRef)
    }

    /// As [`recv_ref`](Self::recv_ref), waiting `timeout` at most.
    ///
    /// # Errors
    ///
    /// As [`recv_timeout`](Self::recv_timeout).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (mut sender, mut receiver) = crossproc::channel::<()>()?;
    /// sender.send_bytes(b"there")?;
    /// assert_eq!(&*receiver.recv_ref_timeout(Duration::from_secs(1))?, b"there");
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn recv_ref_timeout(&mut self, timeout: Duration) -> Result<BytesRef<'_>, TryRecvError> {
        self.outlet.borrow(Wait::at_most(timeout)).map(BytesRef)
    }

    /// Whether receiving would not have to wait: there is a message, or the end. Waits for that, `timeout` at most.
    ///
    /// # Errors
    ///
    /// In a forked copy of this process, or if the memory is corrupted.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (mut sender, mut receiver) = crossproc::channel()?;
    /// assert!(!receiver.poll(Duration::ZERO)?);
    /// sender.send(1)?;
    /// assert!(receiver.poll(Duration::ZERO)?);
    /// assert_eq!(receiver.recv()?, 1);
    /// drop(sender);
    /// assert!(receiver.poll(Duration::from_secs(1))?);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn poll(&mut self, timeout: Duration) -> Result<bool> {
        self.outlet.poll(Wait::at_most(timeout))
    }

    /// The descriptor of [`AsFd`], where there may be none left: it polls readable while there is a message or a part of one,
    /// and once nobody will send any more.
    ///
    /// It is an eventfd of this process, only to be polled: alone, with [`wait_any`](crate::wait_any), or in an event loop
    /// with others. The first call starts a thread, which keeps it right until this end is gone; before that, nothing is
    /// paid for it.
    ///
    /// Of a message of more than half the capacity it may be readable when the first pieces have come: then a `try_` form
    /// takes them, finds the message incomplete, and it is readable again when there is more.
    ///
    /// Event loops may go by levels or by edges (`EPOLLET`): when a `try_` form has returned `Empty`, whatever comes next, the
    /// end included, is a new edge.
    ///
    /// # Death
    ///
    /// The end that the death of the sender is makes it readable within 50 ms.
    ///
    /// # Errors
    ///
    /// [`Os`](crate::Error::Os) without a descriptor or a thread, [`GivenAway`](crate::Error::GivenAway) in a forked copy of this
    /// process.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::wait_any;
    ///
    /// let (mut sender, mut receiver) = crossproc::channel()?;
    /// receiver.readiness()?;
    /// sender.send(1)?;
    /// assert_eq!(wait_any(&[&receiver], None)?, [0]);
    /// assert_eq!(receiver.try_recv()?, 1);
    /// drop(sender);
    /// assert_eq!(wait_any(&[&receiver], None)?, [0]);
    /// assert!(receiver.recv().is_err());
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn readiness(&self) -> Result<BorrowedFd<'_>> {
        self.outlet.readiness()
    }

    /// Whether this end knows that nobody will send any more.
    pub(super) fn has_ended(&self) -> bool {
        self.outlet.has_ended()
    }

    /// A [`Read`](std::io::Read) of the bytes of all messages, one after the other; at its end nobody sends any more.
    ///
    /// What it leaves of a message is what the next receiving call gets.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::Read;
    ///
    /// let (mut sender, mut receiver) = crossproc::channel::<()>()?;
    /// sender.send_bytes(b"one, ")?;
    /// sender.send_bytes(b"two")?;
    /// drop(sender);
    /// let mut text = String::new();
    /// receiver.reader().read_to_string(&mut text).unwrap();
    /// assert_eq!(text, "one, two");
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn reader(&mut self) -> Reader<'_> {
        Reader::new(&mut self.outlet)
    }

    /// As [`Sender::capacity`](crate::Sender::capacity).
    ///
    /// # Examples
    ///
    /// See [`Sender::capacity`](crate::Sender::capacity).
    pub fn capacity(&self) -> usize {
        self.outlet.capacity()
    }

    /// Closes this end, as dropping it does: sending is [`BrokenPipe`](crate::SendError::BrokenPipe) from now on, and what
    /// has not been received is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// let (mut sender, receiver) = crossproc::channel::<u8>()?;
    /// receiver.close();
    /// assert!(sender.send(1).is_err());
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn close(self) {}
}

/// Polls readable while there is something to be received: see [`readiness`](Receiver::readiness), which says so where there
/// is no such descriptor; this panics.
impl<T> AsFd for Receiver<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.readiness().unwrap_or_else(|error| panic!("a descriptor for `poll`: {error:?}"))
    }
}

/// A wait without a deadline does not end with `Empty`.
fn without_limit(error: TryRecvError) -> RecvError {
    match error {
        TryRecvError::Failed(error) => RecvError::Failed(error),
        TryRecvError::EndOfFile | TryRecvError::Empty => RecvError::EndOfFile,
    }
}

/// A message where it lies, from [`recv_ref`](Receiver::recv_ref). Dropping it receives the message.
///
/// # Examples
///
/// See [`recv_ref`](Receiver::recv_ref).
#[must_use = "dropping it is to have received the message"]
pub struct BytesRef<'a>(Borrowed<'a>);

impl Deref for BytesRef<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for BytesRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BytesRef").field(&&**self).finish()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

/// Only within a transfer to another process, whose end it is from then on.
impl<T> Serialize for Receiver<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        stow(|outgoing| self.outlet.depart(outgoing))?.serialize(serializer)
    }
}

/// Only within a transfer from another process.
impl<'de, T> Deserialize<'de> for Receiver<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = OutletWire::deserialize(deserializer)?;
        take_out(|incoming| Outlet::arrive(wire, &type_stamp::<T>(), incoming)).map(Receiver::new)
    }
}
