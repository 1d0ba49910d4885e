//! Results on their way from workers to whoever asks for them: still encoded, as only that one knows their type.

use std::collections::VecDeque;

use serde::de::DeserializeOwned;

use crate::error::TaskError;
use crate::message::codec::{decode, unpack};
use crate::process::Received;

const RESULT: &str = "the result of a task";

/// Outcomes of calls, in their order.
#[derive(Default)]
pub(super) struct Outcomes {
    /// For each outcome its length in four bytes, and the encoded result; or [`ODD`].
    bytes: Vec<u8>,
    /// Where the first that nobody has taken begins.
    at: usize,
    odd: VecDeque<Odd>,
}

/// Says that the next of `Outcomes::odd` comes here.
const ODD: u32 = u32::MAX;

/// How many results a worker has written down, or `None` if that is not what these bytes are.
pub(super) fn count(mut results: &[u8]) -> Option<usize> {
    let mut count = 0;
    while !results.is_empty() {
        results = skip(results)?;
        count += 1;
    }
    Some(count)
}

/// What comes behind the first result.
#[inline]
pub(super) fn skip(results: &[u8]) -> Option<&[u8]> {
    let (length, rest) = results.split_first_chunk()?;
    let length = u32::from_ne_bytes(*length);
    rest.get(length as usize..).filter(|_| length != ODD)
}

enum Odd {
    Failed(TaskError),
    /// A result in a message, behind so many bytes of the body.
    Received(Received<()>, usize),
}

impl Outcomes {
    /// Results as a worker writes them down, which [`count`] has counted.
    pub(super) fn push(&mut self, results: &[u8]) {
        self.bytes.extend_from_slice(results);
    }

    pub(super) fn push_failed(&mut self, error: TaskError) {
        self.bytes.extend_from_slice(&ODD.to_ne_bytes());
        self.odd.push_back(Odd::Failed(error));
    }

    pub(super) fn push_received(&mut self, received: Received<()>, start: usize) {
        self.bytes.extend_from_slice(&ODD.to_ne_bytes());
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

    pub(super) fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Takes the first one.
    #[inline]
    pub(super) fn next<R: DeserializeOwned>(&mut self) -> Option<Result<R, TaskError>> {
        let head = self.bytes.get(self.at..self.at + 4)?;
        let length = u32::from_ne_bytes(head.try_into().ok()?);
        self.at += 4;
        if length == ODD {
            return self.odd.pop_front().map(Odd::open);
        }
        let result = self.bytes.get(self.at..self.at + length as usize)?;
        self.at += length as usize;
        Some(decode(RESULT, result).map_err(|error| TaskError::decode(&error)))
    }
}

impl Odd {
    fn open<R: DeserializeOwned>(self) -> Result<R, TaskError> {
        match self {
            Odd::Failed(error) => Err(error),
            Odd::Received(mut received, start) => {
                let descriptors = std::mem::take(&mut received.descriptors);
                let bytes = received.body().get(start..).unwrap_or_default();
                unpack(RESULT, bytes, descriptors).map_err(|error| TaskError::decode(&error))
            }
        }
    }
}
