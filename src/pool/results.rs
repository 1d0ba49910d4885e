//! Results on their way from workers to whoever asks for them: still encoded, as only that one knows their type.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{self, AssertUnwindSafe};

use serde::de::DeserializeOwned;
#[cfg(feature = "redis")]
use serde::{Deserialize, Serialize};

use super::callbacks::dispose;
#[cfg(feature = "redis")]
use super::order::Bytes;
use crate::error::{Error, TaskError};
use crate::message::codec::{decode, unpack};
use crate::process::Received;

const RESULT: &str = "the result of a task";

/// Outcomes of calls, in their order.
#[derive(Default)]
pub(super) struct Outcomes {
    /// For each outcome its length, in a byte or [`LONG`], and the encoded result; or [`ODD`].
    bytes: Vec<u8>,
    /// Where the first that nobody has taken begins.
    at: usize,
    odd: VecDeque<Odd>,
}

/// Copied together, fewer bytes than that are. A guess.
const LONG_BYTES: usize = 4 << 10;

/// Stands before a length in four bytes.
const LONG: u8 = 254;

/// Says that the next of `Outcomes::odd` comes here.
const ODD: u8 = 255;

/// Writes down how long the result is that goes from behind the byte at `at` to the end.
#[inline]
pub(super) fn set_length(results: &mut Vec<u8>, at: usize) {
    let length = results.len() - at - 1;
    match u8::try_from(length) {
        Ok(short) if short < LONG => results[at] = short,
        _ => set_long(results, at, length as u32),
    }
}

#[inline(never)]
fn set_long(results: &mut Vec<u8>, at: usize, length: u32) {
    results[at] = LONG;
    results.splice(at + 1..at + 1, length.to_ne_bytes());
}

/// Splits the first result off. `None`: there is none, or this is none.
#[inline]
fn split(results: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = results.split_first()?;
    if length < LONG { rest.split_at_checked(length.into()) } else { split_long(length, rest) }
}

#[inline(never)]
fn split_long(length: u8, rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let (long, rest) = rest.split_first_chunk()?;
    rest.split_at_checked(u32::from_ne_bytes(*long) as usize).filter(|_| length == LONG)
}

/// What comes behind the first result.
pub(super) fn skip(results: &[u8]) -> Option<&[u8]> {
    split(results).map(|(_, rest)| rest)
}

/// How many results a worker has written down, or `None` if that is not what these bytes are.
pub(super) fn count(mut results: &[u8]) -> Option<usize> {
    let mut count = 0;
    while !results.is_empty() {
        results = skip(results)?;
        count += 1;
    }
    Some(count)
}

enum Odd {
    Failed(TaskError),
    /// A result in a message, behind so many bytes of the body.
    Received(Received<()>, usize),
    /// A result that may refer to objects at a server.
    #[cfg(feature = "redis")]
    Apart(Vec<u8>),
}

/// An outcome on its way between machines.
#[cfg(feature = "redis")]
#[derive(Serialize, Deserialize)]
pub(super) enum Travelling {
    Returned(Bytes),
    /// A result that may refer to objects at a server.
    Apart(Bytes),
    Failed(TaskError),
}

#[cfg(feature = "redis")]
impl Outcomes {
    /// All outcomes, for another machine. What has descriptors does not get there.
    pub(super) fn into_travelling(mut self) -> Vec<Travelling> {
        let mut all = Vec::new();
        while let Some(bytes) = self.bytes.get(self.at..).filter(|bytes| !bytes.is_empty()) {
            if bytes.first() == Some(&ODD) {
                self.at += 1;
                all.extend(self.odd.pop_front().map(Odd::travelling));
            } else {
                let Some((result, rest)) = split(bytes) else { break };
                all.push(Travelling::Returned(Bytes::new(result.to_vec())));
                self.at = self.bytes.len() - rest.len();
            }
        }
        all
    }

    pub(super) fn push_travelling(&mut self, outcome: Travelling) {
        match outcome {
            Travelling::Returned(result) => {
                let at = self.bytes.len();
                self.bytes.push(0);
                self.bytes.extend_from_slice(result.as_slice());
                set_length(&mut self.bytes, at);
            }
            Travelling::Apart(result) => {
                self.bytes.push(ODD);
                self.odd.push_back(Odd::Apart(result.as_slice().to_vec()));
            }
            Travelling::Failed(error) => self.push_failed(error),
        }
    }
}

#[cfg(feature = "redis")]
impl Odd {
    fn travelling(self) -> Travelling {
        match self {
            Odd::Failed(error) => Travelling::Failed(error),
            Odd::Received(received, _) if !received.descriptors.is_empty() => {
                let reason = "the result has a handle of the host's machine in it, which gets no further".into();
                Travelling::Failed(TaskError::Encode { reason })
            }
            Odd::Received(received, start) => {
                Travelling::Apart(Bytes::new(received.body().get(start..).unwrap_or_default().to_vec()))
            }
            Odd::Apart(result) => Travelling::Apart(Bytes::new(result)),
        }
    }
}

impl Outcomes {
    /// Results as a worker writes them down, which [`count`] has counted.
    pub(super) fn push(&mut self, results: &[u8]) {
        self.bytes.extend_from_slice(results);
    }

    pub(super) fn push_failed(&mut self, error: TaskError) {
        self.bytes.push(ODD);
        self.odd.push_back(Odd::Failed(error));
    }

    pub(super) fn push_received(&mut self, received: Received<()>, start: usize) {
        self.bytes.push(ODD);
        self.odd.push_back(Odd::Received(received, start));
    }

    pub(super) fn append(&mut self, more: Outcomes) {
        if self.is_empty() {
            *self = more;
        } else {
            self.bytes.extend_from_slice(&more.bytes[more.at..]);
            self.odd.extend(more.odd);
        }
    }

    /// Whether to take these one by one takes longer than to ask for more.
    pub(super) fn is_long(&self) -> bool {
        self.bytes.len() - self.at >= LONG_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Takes the first one. An error is boxed: results that come one behind the other should not have to carry the room for it.
    #[inline]
    pub(super) fn next<R: DeserializeOwned>(&mut self) -> Option<Result<R, Box<TaskError>>> {
        let bytes = self.bytes.get(self.at..)?;
        if bytes.first() == Some(&ODD) {
            self.at += 1;
            return self.odd.pop_front().map(|odd| or_panicked(|| odd.open()));
        }
        let (result, rest) = split(bytes)?;
        self.at = self.bytes.len() - rest.len();
        Some(or_panicked(|| decode(RESULT, result).map_err(undecoded)))
    }
}

/// Decodes as the program says. If that panics, it is the outcome of this call, as any other error is.
#[inline]
pub(super) fn or_panicked<R>(decode: impl FnOnce() -> Result<R, Box<TaskError>>) -> Result<R, Box<TaskError>> {
    panic::catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(panicked)
}

#[cold]
fn panicked<R>(payload: Box<dyn Any + Send>) -> Result<R, Box<TaskError>> {
    dispose(payload);
    Err(Box::new(TaskError::Decode { reason: "the decoding of the result panicked".into() }))
}

#[cold]
fn undecoded(error: Error) -> Box<TaskError> {
    Box::new(TaskError::decode(&error))
}

impl Odd {
    fn open<R: DeserializeOwned>(self) -> Result<R, Box<TaskError>> {
        match self {
            Odd::Failed(error) => Err(Box::new(error)),
            #[cfg(feature = "redis")]
            Odd::Apart(result) => unpack(RESULT, &result, Vec::new()).map_err(undecoded),
            Odd::Received(mut received, start) => {
                let descriptors = std::mem::take(&mut received.descriptors);
                let bytes = received.body().get(start..).unwrap_or_default();
                unpack(RESULT, bytes, descriptors).map_err(undecoded)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(results: &[String]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for result in results {
            let at = bytes.len();
            bytes.push(0);
            bytes.extend(postcard::to_stdvec(result).unwrap());
            set_length(&mut bytes, at);
        }
        bytes
    }

    #[test]
    fn results_of_any_length_come_out_in_their_order() {
        let results = [0, 1, 251, 252, 253, 254, 300, 70_000].map(|length| "x".repeat(length));
        let bytes = written(&results);
        assert_eq!(count(&bytes), Some(results.len()));
        let mut outcomes = Outcomes::default();
        outcomes.push_failed(TaskError::TimedOut { task: 3 });
        outcomes.push(&bytes);
        outcomes.push_failed(TaskError::Cancelled);
        assert_eq!(outcomes.next::<String>(), Some(Err(Box::new(TaskError::TimedOut { task: 3 }))));
        for result in results {
            assert_eq!(outcomes.next::<String>(), Some(Ok(result)));
        }
        assert_eq!(outcomes.next::<String>(), Some(Err(Box::new(TaskError::Cancelled))));
        assert_eq!(outcomes.next::<String>(), None);
    }

    #[test]
    fn what_is_cut_short_or_odd_is_no_result() {
        let bytes = written(&["x".repeat(10), "x".repeat(300)]);
        for length in 1..bytes.len() {
            assert_eq!(count(&bytes[..length]).is_some(), length == 12, "the first {length} bytes");
        }
        assert_eq!(count(&[ODD]), None);
        assert_eq!(count(&[ODD, 0, 0, 0, 0]), None);
        assert_eq!(count(&[LONG, 255, 255, 255, 255, 0]), None);
    }
}
