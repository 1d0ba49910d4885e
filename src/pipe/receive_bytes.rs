//! Receiving the bytes of messages, whatever their type.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use super::inlet::FOR_EVER;
use super::receiver::{Receiver, without_limit};
use super::receiving::Borrowed;
use super::stream::Reader;
use crate::error::{RecvError, RecvIntoError, Result, TryRecvError, TryRecvIntoError};
use crate::segment::Wait;

impl<T> Receiver<T> {
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
