use std::fmt;

use super::Error;

/// Why a message was not put, and the message.
///
/// # Examples
///
/// ```
/// use crossproc::{PutError, Queue};
///
/// let queue = Queue::<String>::new(4)?;
/// queue.close();
/// assert_eq!(queue.put("too late"), Err(PutError::Closed("too late")));
/// # Ok::<(), crossproc::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub enum PutError<M> {
    /// Somebody has closed it.
    Closed(M),
    /// There is no consumer left, and it was made to say so.
    Disconnected(M),
    /// The message cannot be put, whatever the others do: it does not encode, is too large, or finds no memory.
    Failed {
        /// What was to be put.
        message: M,
        /// Why it was not.
        error: Error,
    },
}

/// Why a message was not put at once, or before the time was up, and the message.
///
/// # Examples
///
/// ```
/// use crossproc::{Ring, TryPutError};
///
/// let ring = Ring::new(1)?;
/// ring.try_put(1)?;
/// assert_eq!(ring.try_put(2), Err(TryPutError::Full(2)));
/// # Ok::<(), crossproc::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub enum TryPutError<M> {
    /// There is no room.
    Full(M),
    /// Somebody has closed it.
    Closed(M),
    /// There is no consumer left, and it was made to say so.
    Disconnected(M),
    /// The message cannot be put, whatever the others do: it does not encode, is too large, or finds no memory.
    Failed {
        /// What was to be put.
        message: M,
        /// Why it was not.
        error: Error,
    },
}

/// Why there is no message, and will be none.
///
/// # Examples
///
/// ```
/// use crossproc::{GetError, Queue};
///
/// let queue = Queue::<u8>::new(4)?;
/// queue.put(1)?;
/// queue.close();
/// assert_eq!((queue.get(), queue.get()), (Ok(1), Err(GetError::Closed)));
/// # Ok::<(), crossproc::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GetError {
    /// It is closed, and everything in it has been got.
    #[error("closed, and nothing is left")]
    Closed,
    /// There is no producer left, everything has been got, and it was made to say so.
    #[error("no producer is left, and no message")]
    Disconnected,
    /// A message does not decode, or this process cannot take part.
    #[error(transparent)]
    Failed(#[from] Error),
}

/// Why there is no message yet.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use crossproc::{Queue, TryGetError};
///
/// let queue = Queue::<u8>::new(4)?;
/// assert_eq!(queue.try_get(), Err(TryGetError::Empty));
/// assert_eq!(queue.get_timeout(Duration::from_millis(1)), Err(TryGetError::Empty));
/// # Ok::<(), crossproc::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TryGetError {
    /// There is none, or there was none until the time was up.
    #[error("empty")]
    Empty,
    /// It is closed, and everything in it has been got.
    #[error("closed, and nothing is left")]
    Closed,
    /// There is no producer left, everything has been got, and it was made to say so.
    #[error("no producer is left, and no message")]
    Disconnected,
    /// A message does not decode, or this process cannot take part.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl<M> PutError<M> {
    /// What was to be put.
    ///
    /// # Examples
    ///
    /// ```
    /// let ring = crossproc::Ring::new(1)?;
    /// ring.close();
    /// assert_eq!(ring.put(5).unwrap_err().into_message(), 5);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn into_message(self) -> M {
        match self {
            PutError::Closed(message) | PutError::Disconnected(message) | PutError::Failed { message, .. } => message,
        }
    }
}

impl<M> TryPutError<M> {
    /// What was to be put.
    ///
    /// # Examples
    ///
    /// ```
    /// let ring = crossproc::Ring::new(1)?;
    /// ring.put(5)?;
    /// assert_eq!(ring.try_put(6).unwrap_err().into_message(), 6);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn into_message(self) -> M {
        match self {
            TryPutError::Full(message)
            | TryPutError::Closed(message)
            | TryPutError::Disconnected(message)
            | TryPutError::Failed { message, .. } => message,
        }
    }
}

impl<M> fmt::Display for PutError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PutError::Closed(_) => f.write_str("closed"),
            PutError::Disconnected(_) => f.write_str("no consumer is left"),
            PutError::Failed { error, .. } => error.fmt(f),
        }
    }
}

impl<M> fmt::Display for TryPutError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryPutError::Full(_) => f.write_str("full"),
            TryPutError::Closed(_) => f.write_str("closed"),
            TryPutError::Disconnected(_) => f.write_str("no consumer is left"),
            TryPutError::Failed { error, .. } => error.fmt(f),
        }
    }
}

macro_rules! debug_and_error {
    ($($error:ident)*) => {$(
        /// Without the message, which need not be `Debug`; with what lies behind the failure, as for [`Error`].
        impl<M> fmt::Debug for $error<M> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $error::Failed { error, .. } => write!(f, concat!(stringify!($error), "({:?})"), error),
                    outcome => write!(f, concat!(stringify!($error), "({})"), outcome),
                }
            }
        }

        impl<M> std::error::Error for $error<M> {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                match self {
                    // It says what the failure says, and so what lies behind is what lies behind that.
                    $error::Failed { error, .. } => error.source(),
                    _ => None,
                }
            }
        }
    )*};
}

debug_and_error!(PutError TryPutError);

impl<M> From<PutError<M>> for Error {
    fn from(error: PutError<M>) -> Self {
        match error {
            PutError::Closed(_) => Error::Closed,
            PutError::Disconnected(_) => Error::Disconnected { missing: "consumer".into() },
            PutError::Failed { error, .. } => error,
        }
    }
}

impl<M> From<TryPutError<M>> for Error {
    fn from(error: TryPutError<M>) -> Self {
        match error {
            TryPutError::Full(_) => Error::Full,
            TryPutError::Closed(_) => Error::Closed,
            TryPutError::Disconnected(_) => Error::Disconnected { missing: "consumer".into() },
            TryPutError::Failed { error, .. } => error,
        }
    }
}

impl From<GetError> for Error {
    fn from(error: GetError) -> Self {
        match error {
            GetError::Closed => Error::Closed,
            GetError::Disconnected => Error::Disconnected { missing: "producer".into() },
            GetError::Failed(error) => error,
        }
    }
}

impl From<TryGetError> for Error {
    fn from(error: TryGetError) -> Self {
        match error {
            TryGetError::Empty => Error::Empty,
            TryGetError::Closed => Error::Closed,
            TryGetError::Disconnected => Error::Disconnected { missing: "producer".into() },
            TryGetError::Failed(error) => error,
        }
    }
}
