use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::inlet::FOR_EVER;
use super::messages::Messages;
use super::outlet::{Outlet, OutletWire};
use super::sender::WHAT;
use crate::error::{RecvError, Result, TryRecvError};
use crate::message::codec;
use crate::segment::transfer::{stow, take_out};
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
/// out; that of a [`recv_ref`](Self::recv_ref) when the reference is dropped. What a long message took of this process's own is kept for
/// the next one, until the receiver has had to wait for one that needs less than half of it; 1 MiB is kept in any case.
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
    pub(super) outlet: Outlet,
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

    /// The messages to come, up to the end: [`recv`](Self::recv) as an iterator, which ends where that is
    /// [`EndOfFile`](RecvError::EndOfFile).
    ///
    /// A message that is no `T` is an error, and the next ones follow; after any other error it ends.
    ///
    /// # Examples
    ///
    /// ```
    /// let (mut sender, mut receiver) = crossproc::channel()?;
    /// let sending = std::thread::spawn(move || (0..3).try_for_each(|number| sender.send(number)));
    /// assert_eq!(receiver.iter().next(), Some(Ok(0)));
    /// let mut sum = 0;
    /// for number in &mut receiver {
    ///     sum += number?;
    /// }
    /// assert_eq!(sum, 3);
    /// # sending.join().unwrap()?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn iter(&mut self) -> Messages<'_, T>
    where
        T: DeserializeOwned,
    {
        Messages::new(self)
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

/// As [`AsFd`]; for event loops that register numbers.
impl<T> AsRawFd for Receiver<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// A wait without a deadline does not end with `Empty`.
pub(super) fn without_limit(error: TryRecvError) -> RecvError {
    match error {
        TryRecvError::Failed(error) => RecvError::Failed(error),
        TryRecvError::EndOfFile | TryRecvError::Empty => RecvError::EndOfFile,
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
