use std::fmt;
use std::iter::FusedIterator;

use serde::de::DeserializeOwned;

use super::receiver::Receiver;
use crate::error::{Error, RecvError};

/// The messages of a receiver that are still to come; see [`Receiver::iter`].
///
/// # Examples
///
/// See [`Receiver::iter`].
#[must_use = "an iterator that nobody asks receives nothing"]
pub struct Messages<'a, T> {
    receiver: &'a mut Receiver<T>,
    is_over: bool,
}

impl<'a, T> Messages<'a, T> {
    pub(super) fn new(receiver: &'a mut Receiver<T>) -> Self {
        Messages { receiver, is_over: false }
    }
}

impl<T: DeserializeOwned> Iterator for Messages<'_, T> {
    type Item = Result<T, RecvError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let received = self.receiver.recv();
        // The message is gone where it could not be decoded; what else fails would do so for ever.
        self.is_over = !matches!(received, Ok(_) | Err(RecvError::Failed(Error::Decode { .. })));
        match received {
            Err(RecvError::EndOfFile) => None,
            received => Some(received),
        }
    }
}

impl<T: DeserializeOwned> FusedIterator for Messages<'_, T> {}

impl<'a, T: DeserializeOwned> IntoIterator for &'a mut Receiver<T> {
    type Item = Result<T, RecvError>;
    type IntoIter = Messages<'a, T>;

    fn into_iter(self) -> Messages<'a, T> {
        self.iter()
    }
}

impl<T> fmt::Debug for Messages<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages").finish_non_exhaustive()
    }
}
