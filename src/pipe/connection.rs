use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::receiver::{BytesRef, Receiver};
use super::sender::Sender;
use super::stream::{Reader, Writer};
use crate::error::{RecvError, RecvIntoError, Result, SendError, TryRecvError, TryRecvIntoError, TrySendError};
use crate::message::Sends;

/// One end of a [`pipe`](crate::pipe()): sends messages of type `S` and receives messages of type `R`.
///
/// It consists of a [`Sender`] and a [`Receiver`], which say all about ownership, concurrency and death; [`split`](Self::split)
/// takes it apart, for two threads or two processes. The two directions know nothing of each other: one end may be closed
/// for sending and go on receiving.
///
/// Passed by value to a new process, it is that process's end. A reference to it cannot be passed:
///
/// ```compile_fail,E0277
/// # fn job(connection: crossproc::Connection<u32, u32>) {}
/// let (here, there) = crossproc::pipe::<u32, u32>().unwrap();
/// let process = crossproc::Process::spawn(job, (&there,)).unwrap();
/// ```
///
/// Nor can it be cloned:
///
/// ```compile_fail,E0599
/// let (here, there) = crossproc::pipe::<u32, u32>().unwrap();
/// let another = here.clone();
/// ```
///
/// # Examples
///
/// See [`pipe`](crate::pipe()).
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Connection<S, R> {
    sender: Sender<S>,
    receiver: Receiver<R>,
}

impl<S, R> Connection<S, R> {
    pub(super) fn new(sender: Sender<S>, receiver: Receiver<R>) -> Self {
        Connection { sender, receiver }
    }

    /// The two directions, each with an owner of its own from now on.
    ///
    /// # Examples
    ///
    /// ```
    /// let (here, mut there) = crossproc::pipe::<u8, u8>()?;
    /// let (mut sender, mut receiver) = here.split();
    /// let echo = std::thread::spawn(move || there.recv().map(|number| there.send(number)));
    /// sender.send(5)?;
    /// assert_eq!(receiver.recv()?, 5);
    /// # let _ = echo.join();
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn split(self) -> (Sender<S>, Receiver<R>) {
        (self.sender, self.receiver)
    }

    /// Both directions at once, borrowed: for a thread that sends while another one receives.
    ///
    /// # Examples
    ///
    /// ```
    /// let (mut here, mut there) = crossproc::pipe::<u8, u8>()?;
    /// let (sender, receiver) = here.halves();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| sender.send(5));
    ///     there.send(6).unwrap();
    ///     assert_eq!((receiver.recv(), there.recv()), (Ok(6), Ok(5)));
    /// });
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn halves(&mut self) -> (&mut Sender<S>, &mut Receiver<R>) {
        (&mut self.sender, &mut self.receiver)
    }

    /// As [`Sender::send`].
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    ///
    /// # Examples
    ///
    /// See [`Sender::send`].
    pub fn send<M: Sends<S>>(&mut self, message: M) -> Result<(), SendError<M>> {
        self.sender.send(message)
    }

    /// As [`Sender::try_send`].
    ///
    /// # Errors
    ///
    /// As [`Sender::try_send`].
    ///
    /// # Examples
    ///
    /// See [`Sender::try_send`].
    pub fn try_send<M: Sends<S>>(&mut self, message: M) -> Result<(), TrySendError<M>> {
        self.sender.try_send(message)
    }

    /// As [`Sender::send_timeout`].
    ///
    /// # Errors
    ///
    /// As [`Sender::send_timeout`].
    ///
    /// # Examples
    ///
    /// See [`Sender::send_timeout`].
    pub fn send_timeout<M: Sends<S>>(&mut self, message: M, timeout: Duration) -> Result<(), TrySendError<M>> {
        self.sender.send_timeout(message, timeout)
    }

    /// As [`Sender::send_bytes`].
    ///
    /// # Errors
    ///
    /// As [`Sender::send_bytes`].
    ///
    /// # Examples
    ///
    /// See [`Sender::send_bytes`].
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), SendError<()>> {
        self.sender.send_bytes(bytes)
    }

    /// As [`Sender::try_send_bytes`].
    ///
    /// # Errors
    ///
    /// As [`Sender::try_send_bytes`].
    ///
    /// # Examples
    ///
    /// See [`Sender::try_send_bytes`].
    pub fn try_send_bytes(&mut self, bytes: &[u8]) -> Result<(), TrySendError<()>> {
        self.sender.try_send_bytes(bytes)
    }

    /// As [`Sender::send_bytes_timeout`].
    ///
    /// # Errors
    ///
    /// As [`Sender::send_bytes_timeout`].
    ///
    /// # Examples
    ///
    /// See [`Sender::send_bytes_timeout`].
    pub fn send_bytes_timeout(&mut self, bytes: &[u8], timeout: Duration) -> Result<(), TrySendError<()>> {
        self.sender.send_bytes_timeout(bytes, timeout)
    }

    /// As [`Sender::writer`].
    ///
    /// # Examples
    ///
    /// See [`Sender::writer`].
    pub fn writer(&mut self) -> Writer<'_> {
        self.sender.writer()
    }

    /// As [`Receiver::recv`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv`].
    ///
    /// # Examples
    ///
    /// See [`Receiver::recv`].
    pub fn recv(&mut self) -> Result<R, RecvError>
    where
        R: DeserializeOwned,
    {
        self.receiver.recv()
    }

    /// As [`Receiver::try_recv`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::try_recv`].
    ///
    /// # Examples
    ///
    /// See [`Receiver::try_recv`].
    pub fn try_recv(&mut self) -> Result<R, TryRecvError>
    where
        R: DeserializeOwned,
    {
        self.receiver.try_recv()
    }

    /// As [`Receiver::recv_timeout`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv_timeout`].
    ///
    /// # Examples
    ///
    /// See [`Receiver::recv_timeout`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<R, TryRecvError>
    where
        R: DeserializeOwned,
    {
        self.receiver.recv_timeout(timeout)
    }

    /// As [`Receiver::recv_bytes`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv_bytes`].
    ///
    /// # Examples
    ///
    /// See [`Receiver::recv_bytes`].
    pub fn recv_bytes(&mut self) -> Result<Vec<u8>, RecvError> {
        self.receiver.recv_bytes()
    }

    /// As [`Receiver::try_recv_bytes`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::try_recv_bytes`].
    ///
    /// # Examples
    ///
    /// See [`Receiver::try_recv_bytes`].
    pub fn try_recv_bytes(&mut self) -> Result<Vec<u8>, TryRecvError> {
        self.receiver.try_recv_bytes()
    }

    /// As [`Receiver::recv_bytes_timeout`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv_bytes_timeout`].
    ///
    /// # Examples
    ///
    /// See [`Receiver::recv_bytes_timeout`].
    pub fn recv_bytes_timeout(&mut self, timeout: Duration) -> Result<Vec<u8>, TryRecvError> {
        self.receiver.recv_bytes_timeout(timeout)
    }

    /// As [`Receiver::recv_bytes_into`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv_bytes_into`].
    ///
    /// # Examples
    ///
    /// See [`Receiver::recv_bytes_into`].
    pub fn recv_bytes_into(&mut self, buffer: &mut [u8]) -> Result<usize, RecvIntoError> {
        self.receiver.recv_bytes_into(buffer)
    }

    /// As [`Receiver::try_recv_bytes_into`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::try_recv_bytes_into`].
    ///
    /// # Examples
    ///
    /// See [`Receiver::try_recv_bytes_into`].
    pub fn try_recv_bytes_into(&mut self, buffer: &mut [u8]) -> Result<usize, TryRecvIntoError> {
        self.receiver.try_recv_bytes_into(buffer)
    }

    /// As [`Receiver::recv_bytes_into_timeout`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv_bytes_into_timeout`].
    ///
    /// # Examples
    ///
    /// See [`Receiver::recv_bytes_into_timeout`].
    pub fn recv_bytes_into_timeout(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, TryRecvIntoError> {
        self.receiver.recv_bytes_into_timeout(buffer, timeout)
    }

    /// As [`Receiver::recv_ref`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv_ref`].
    ///
    /// # Examples
    ///
    /// See [`Receiver::recv_ref`].
    pub fn recv_ref(&mut self) -> Result<BytesRef<'_>, RecvError> {
        self.receiver.recv_ref()
    }

    /// As [`Receiver::try_recv_ref`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::try_recv_ref`].
    ///
    /// # Examples
    ///
    /// See [`Receiver::try_recv_ref`].
    pub fn try_recv_ref(&mut self) -> Result<BytesRef<'_>, TryRecvError> {
        self.receiver.try_recv_ref()
    }

    /// As [`Receiver::recv_ref_timeout`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv_ref_timeout`].
    ///
    /// # Examples
    ///
    /// See [`Receiver::recv_ref_timeout`].
    pub fn recv_ref_timeout(&mut self, timeout: Duration) -> Result<BytesRef<'_>, TryRecvError> {
        self.receiver.recv_ref_timeout(timeout)
    }

    /// As [`Receiver::poll`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::poll`].
    ///
    /// # Examples
    ///
    /// See [`Receiver::poll`].
    pub fn poll(&mut self, timeout: Duration) -> Result<bool> {
        self.receiver.poll(timeout)
    }

    /// As [`Receiver::readiness`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::readiness`].
    ///
    /// # Examples
    ///
    /// See [`Receiver::readiness`].
    pub fn readiness(&self) -> Result<BorrowedFd<'_>> {
        self.receiver.readiness()
    }

    /// As [`Receiver::reader`].
    ///
    /// # Examples
    ///
    /// See [`Receiver::reader`].
    pub fn reader(&mut self) -> Reader<'_> {
        self.receiver.reader()
    }

    /// Closes this end, as dropping it does: the other one receives what has been sent, and then the end; what it sends from
    /// now on is refused.
    ///
    /// # Examples
    ///
    /// ```
    /// let (here, mut there) = crossproc::pipe::<u8, u8>()?;
    /// here.close();
    /// assert!(there.recv().is_err() && there.send(1).is_err());
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn close(self) {}
}

/// Polls readable while there is something to be received: see [`Receiver::readiness`].
impl<S, R> AsFd for Connection<S, R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.receiver.as_fd()
    }
}

impl<S, R> fmt::Debug for Connection<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}
