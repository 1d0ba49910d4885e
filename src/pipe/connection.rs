use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::messages::Messages;
use super::receive_bytes::BytesRef;
use super::receiver::Receiver;
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
    /// Whether the sender has been told that the receiver has seen the end.
    #[serde(skip)]
    told: bool,
}

/// Methods that do what those of the same name of one half do.
macro_rules! forward {
    ($half:ident: $End:ident $(fn $name:ident[$($generic:tt)*]($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        $(
            #[doc = concat!("As [`", stringify!($End), "::", stringify!($name), "`].")]
            pub fn $name<$($generic)*>(&mut self, $($argument: $type),*) -> $result {
                self.$half().$name($($argument),*)
            }
        )*
    };
}

impl<S, R> Connection<S, R> {
    pub(super) fn new(sender: Sender<S>, receiver: Receiver<R>) -> Self {
        Connection { sender, receiver, told: false }
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

    forward! { sending: Sender
        fn send[M: Sends<S>](message: M) -> Result<(), SendError<M>>;
        fn try_send[M: Sends<S>](message: M) -> Result<(), TrySendError<M>>;
        fn send_timeout[M: Sends<S>](message: M, timeout: Duration) -> Result<(), TrySendError<M>>;
        fn send_bytes[](bytes: &[u8]) -> Result<(), SendError<()>>;
        fn try_send_bytes[](bytes: &[u8]) -> Result<(), TrySendError<()>>;
        fn send_bytes_timeout[](bytes: &[u8], timeout: Duration) -> Result<(), TrySendError<()>>;
        fn writer[]() -> Writer<'_>;
    }

    forward! { receiving: Receiver
        fn recv_bytes[]() -> Result<Vec<u8>, RecvError>;
        fn try_recv_bytes[]() -> Result<Vec<u8>, TryRecvError>;
        fn recv_bytes_timeout[](timeout: Duration) -> Result<Vec<u8>, TryRecvError>;
        fn recv_bytes_into[](buffer: &mut [u8]) -> Result<usize, RecvIntoError>;
        fn try_recv_bytes_into[](buffer: &mut [u8]) -> Result<usize, TryRecvIntoError>;
        fn recv_bytes_into_timeout[](buffer: &mut [u8], timeout: Duration) -> Result<usize, TryRecvIntoError>;
        fn recv_ref[]() -> Result<BytesRef<'_>, RecvError>;
        fn try_recv_ref[]() -> Result<BytesRef<'_>, TryRecvError>;
        fn recv_ref_timeout[](timeout: Duration) -> Result<BytesRef<'_>, TryRecvError>;
        fn poll[](timeout: Duration) -> Result<bool>;
        fn reader[]() -> Reader<'_>;
    }

    /// As [`Receiver::readiness`].
    pub fn readiness(&self) -> Result<BorrowedFd<'_>> {
        self.receiver.readiness()
    }

    /// The half that sends. When nobody sends to us any more, it is worth a look whether anybody receives from us: one, since
    /// the other end may have been closed for sending only.
    fn sending(&mut self) -> &mut Sender<S> {
        if !self.told && self.receiver.has_ended() {
            self.told = true;
            self.sender.suspect();
        }
        &mut self.sender
    }

    fn receiving(&mut self) -> &mut Receiver<R> {
        &mut self.receiver
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

impl<S, R: DeserializeOwned> Connection<S, R> {
    forward! { receiving: Receiver
        fn recv[]() -> Result<R, RecvError>;
        fn try_recv[]() -> Result<R, TryRecvError>;
        fn recv_timeout[](timeout: Duration) -> Result<R, TryRecvError>;
        fn iter[]() -> Messages<'_, R>;
    }
}

/// Polls readable while there is something to be received: see [`Receiver::readiness`].
impl<S, R> AsFd for Connection<S, R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.receiver.as_fd()
    }
}

/// As [`AsFd`]; for event loops that register numbers.
impl<S, R> AsRawFd for Connection<S, R> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<S, R> fmt::Debug for Connection<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}
