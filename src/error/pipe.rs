use std::{fmt, io};

use crate::error::{Error, Kind};

/// Why a [`send`](crate::Sender::send) did not send. The message comes back.
///
/// # Examples
///
/// ```
/// use crossproc::{SendError, channel};
///
/// let (mut sender, receiver) = channel::<String>()?;
/// drop(receiver);
/// match sender.send("lost?".to_string()) {
///     Err(SendError::BrokenPipe(message)) => assert_eq!(message, "lost?"),
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), crossproc::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub enum SendError<M> {
    /// The receiver was closed, or its process died.
    BrokenPipe(M),
    /// The message could not be encoded, this process is a forked copy of the sender's, or the memory is corrupted.
    Failed {
        /// What was to be sent.
        message: M,
        /// What is wrong.
        error: Error,
    },
}

/// Why a `try_send` or a `send_timeout` did not send. The message comes back.
///
/// # Examples
///
/// ```
/// use crossproc::{PipeBuilder, TrySendError};
///
/// let (mut sender, _receiver) = PipeBuilder::new().capacity(64).channel::<[u8; 20]>()?;
/// sender.try_send([1; 20])?;
/// assert_eq!(sender.try_send([2; 20]), Err(TrySendError::Full([2; 20])));
/// # Ok::<(), crossproc::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub enum TrySendError<M> {
    /// There is no room, and was none until the time was up.
    Full(M),
    /// As [`SendError::BrokenPipe`].
    BrokenPipe(M),
    /// As [`SendError::Failed`].
    Failed {
        /// What was to be sent.
        message: M,
        /// What is wrong.
        error: Error,
    },
}

/// Why a [`recv`](crate::Receiver::recv) received nothing.
///
/// # Examples
///
/// ```
/// use crossproc::{RecvError, channel};
///
/// let (mut sender, mut receiver) = channel()?;
/// sender.send(1)?;
/// drop(sender);
/// assert_eq!((receiver.recv(), receiver.recv()), (Ok(1), Err(RecvError::EndOfFile)));
/// # Ok::<(), crossproc::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecvError {
    /// The sender was closed, or its process died, and all that it had sent has been received.
    EndOfFile,
    /// A message could not be decoded (it is gone), this process is a forked copy of the receiver's, or the memory is
    /// corrupted.
    Failed(Error),
}

/// Why a `try_recv` or a `recv_timeout` received nothing.
///
/// # Examples
///
/// ```
/// use crossproc::{TryRecvError, channel};
///
/// let (_sender, mut receiver) = channel::<u8>()?;
/// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
/// # Ok::<(), crossproc::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// There is no message, and was none until the time was up.
    Empty,
    /// As [`RecvError::EndOfFile`].
    EndOfFile,
    /// As [`RecvError::Failed`].
    Failed(Error),
}

/// A message that is longer than the buffer for it. It is still there, for a longer buffer.
///
/// # Examples
///
/// See [`RecvIntoError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of {message} bytes does not fit into a buffer of {buffer}")]
pub struct BufferTooShort {
    /// Bytes in the message.
    pub message: usize,
    /// Bytes in the buffer.
    pub buffer: usize,
}

/// Why a [`recv_bytes_into`](crate::Receiver::recv_bytes_into) received nothing.
///
/// # Examples
///
/// ```
/// use crossproc::{BufferTooShort, RecvIntoError, channel};
///
/// let (mut sender, mut receiver) = channel::<()>()?;
/// sender.send_bytes(b"four")?;
/// let mut buffer = [0; 8];
/// let refused = receiver.recv_bytes_into(&mut buffer[..3]);
/// assert_eq!(refused, Err(RecvIntoError::BufferTooShort(BufferTooShort { message: 4, buffer: 3 })));
/// assert_eq!(receiver.recv_bytes_into(&mut buffer), Ok(4));
/// # Ok::<(), crossproc::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecvIntoError {
    /// As [`RecvError::EndOfFile`].
    EndOfFile,
    /// The message is longer than the buffer, and stays where it is.
    BufferTooShort(BufferTooShort),
    /// As [`RecvError::Failed`].
    Failed(Error),
}

/// Why a `try_recv_bytes_into` or a `recv_bytes_into_timeout` received nothing.
///
/// # Examples
///
/// ```
/// use crossproc::{TryRecvIntoError, channel};
///
/// let (_sender, mut receiver) = channel::<()>()?;
/// assert_eq!(receiver.try_recv_bytes_into(&mut [0; 8]), Err(TryRecvIntoError::Empty));
/// # Ok::<(), crossproc::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TryRecvIntoError {
    /// As [`TryRecvError::Empty`].
    Empty,
    /// As [`RecvError::EndOfFile`].
    EndOfFile,
    /// As [`RecvIntoError::BufferTooShort`].
    BufferTooShort(BufferTooShort),
    /// As [`RecvError::Failed`].
    Failed(Error),
}

impl<M> SendError<M> {
    /// What was to be sent.
    ///
    /// # Examples
    ///
    /// ```
    /// let (mut sender, receiver) = crossproc::channel()?;
    /// drop(receiver);
    /// assert_eq!(sender.send(7).unwrap_err().into_message(), 7);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn into_message(self) -> M {
        match self {
            SendError::BrokenPipe(message) | SendError::Failed { message, .. } => message,
        }
    }
}

impl<M> TrySendError<M> {
    /// What was to be sent.
    ///
    /// # Examples
    ///
    /// ```
    /// let (mut sender, receiver) = crossproc::channel()?;
    /// drop(receiver);
    /// assert_eq!(sender.try_send(7).unwrap_err().into_message(), 7);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn into_message(self) -> M {
        match self {
            TrySendError::Full(message) | TrySendError::BrokenPipe(message) | TrySendError::Failed { message, .. } => {
                message
            }
        }
    }
}

const OBJECT: Kind = Kind::Channel;

impl<M> From<SendError<M>> for Error {
    /// The message is dropped.
    fn from(error: SendError<M>) -> Self {
        match error {
            SendError::BrokenPipe(_) => Error::BrokenPipe { object: OBJECT },
            SendError::Failed { error, .. } => error,
        }
    }
}

impl<M> From<TrySendError<M>> for Error {
    /// The message is dropped.
    fn from(error: TrySendError<M>) -> Self {
        match error {
            TrySendError::Full(_) => Error::Full,
            TrySendError::BrokenPipe(_) => Error::BrokenPipe { object: OBJECT },
            TrySendError::Failed { error, .. } => error,
        }
    }
}

impl From<RecvError> for Error {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::EndOfFile => Error::EndOfFile { object: OBJECT },
            RecvError::Failed(error) => error,
        }
    }
}

impl From<TryRecvError> for Error {
    fn from(error: TryRecvError) -> Self {
        match error {
            TryRecvError::Empty => Error::Empty,
            TryRecvError::EndOfFile => Error::EndOfFile { object: OBJECT },
            TryRecvError::Failed(error) => error,
        }
    }
}

/// `Empty` is [`WouldBlock`](io::ErrorKind::WouldBlock), the end [`UnexpectedEof`](io::ErrorKind::UnexpectedEof).
impl From<TryRecvError> for io::Error {
    fn from(error: TryRecvError) -> Self {
        let kind = match error {
            TryRecvError::Empty => io::ErrorKind::WouldBlock,
            TryRecvError::EndOfFile => io::ErrorKind::UnexpectedEof,
            TryRecvError::Failed(_) => io::ErrorKind::Other,
        };
        io::Error::new(kind, Error::from(error))
    }
}

impl From<BufferTooShort> for Error {
    fn from(BufferTooShort { message, buffer }: BufferTooShort) -> Self {
        Error::BufferTooShort { message, buffer }
    }
}

impl From<RecvIntoError> for Error {
    fn from(error: RecvIntoError) -> Self {
        match error {
            RecvIntoError::EndOfFile => Error::EndOfFile { object: OBJECT },
            RecvIntoError::BufferTooShort(error) => error.into(),
            RecvIntoError::Failed(error) => error,
        }
    }
}

impl From<TryRecvIntoError> for Error {
    fn from(error: TryRecvIntoError) -> Self {
        match error {
            TryRecvIntoError::Empty => Error::Empty,
            TryRecvIntoError::EndOfFile => Error::EndOfFile { object: OBJECT },
            TryRecvIntoError::BufferTooShort(error) => error.into(),
            TryRecvIntoError::Failed(error) => error,
        }
    }
}

/// Says what the [`Error`] says that is made of it.
macro_rules! says_what_the_error_says {
    ($($outcome:ident)*) => {
        $(
            impl fmt::Display for $outcome {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    Error::from(self.clone()).fmt(f)
                }
            }

            impl std::error::Error for $outcome {
                fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                    match self {
                        $outcome::Failed(error) => error.source(),
                        _ => None,
                    }
                }
            }
        )*
    };
}

says_what_the_error_says! { RecvError TryRecvError RecvIntoError TryRecvIntoError }

impl<M> fmt::Display for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::BrokenPipe(_) => Error::BrokenPipe { object: OBJECT }.fmt(f),
            SendError::Failed { error, .. } => error.fmt(f),
        }
    }
}

impl<M> fmt::Display for TrySendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrySendError::Full(_) => Error::Full.fmt(f),
            TrySendError::BrokenPipe(_) => Error::BrokenPipe { object: OBJECT }.fmt(f),
            TrySendError::Failed { error, .. } => error.fmt(f),
        }
    }
}

/// What the two that give a message back have in common.
macro_rules! gives_the_message_back {
    ($($outcome:ident)*) => {
        $(
            /// As `Display`: a message need not have anything to show.
            impl<M> fmt::Debug for $outcome<M> {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    fmt::Display::fmt(self, f)
                }
            }

            impl<M> std::error::Error for $outcome<M> {
                fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                    match self {
                        $outcome::Failed { error, .. } => error.source(),
                        _ => None,
                    }
                }
            }
        )*
    };
}

gives_the_message_back! { SendError TrySendError }
