//! Values as bytes: postcard, into memory that is already there.

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::segment::handle;

/// Encodes `message` into `buffer`: what it has filled of it, or `None` if it is too short. `what` names the message in
/// errors.
#[inline]
pub(crate) fn encode_into<'b, M: Serialize + ?Sized>(
    what: &'static str,
    message: &M,
    buffer: &'b mut [u8],
) -> Result<Option<&'b [u8]>> {
    handle::forget_refusal();
    match postcard::to_slice(message, buffer) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(postcard::Error::SerializeBufferFull) => Ok(None),
        Err(error) => Err(failed(what, error)),
    }
}

/// How many bytes `message` takes.
pub(crate) fn encoded_size<M: Serialize + ?Sized>(what: &'static str, message: &M) -> Result<usize> {
    postcard::serialize_with_flavor(message, postcard::ser_flavors::Size::default())
        .map_err(|error| failed(what, error))
}

/// Encodes `message` piece by piece into a sink, which may refuse; how many bytes it has taken.
pub(crate) fn encode_with<M: Serialize + ?Sized>(
    what: &'static str,
    message: &M,
    sink: impl FnMut(&[u8]) -> Result<()>,
) -> Result<usize> {
    let mut refused = None;
    let pieces = Pieces { sink, refused: &mut refused, total: 0, piece: [0; PIECE], filled: 0 };
    let encoded = postcard::serialize_with_flavor(message, pieces);
    match (refused, encoded) {
        (Some(error), _) => Err(error),
        (None, Ok(total)) => Ok(total),
        (None, Err(error)) => Err(failed(what, error)),
    }
}

/// Decodes a value from exactly `bytes`, which must be private: nobody may write them meanwhile.
#[inline]
pub(crate) fn decode<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T> {
    let mut deserializer = postcard::Deserializer::from_bytes(bytes);
    let value = match T::deserialize(&mut deserializer) {
        Ok(value) => value,
        Err(error) => return Err(undecoded(what, error.to_string())),
    };
    match deserializer.finalize() {
        Ok([]) => Ok(value),
        rest => Err(undecoded(what, format!("{} bytes too many", rest.map_or(0, <[u8]>::len)))),
    }
}

#[cold]
fn undecoded(what: &'static str, reason: String) -> Error {
    Error::Decode { what: what.into(), reason }
}

#[cold]
fn failed(what: &'static str, error: postcard::Error) -> Error {
    if handle::was_refused() {
        return Error::HandleOutsideTransfer;
    }
    Error::Encode { what: what.into(), reason: error.to_string() }
}

/// Numbers come byte by byte; they are gathered before they go into the sink. A guess at what makes its cost vanish.
const PIECE: usize = 256;

struct Pieces<'a, S> {
    sink: S,
    refused: &'a mut Option<Error>,
    total: usize,
    piece: [u8; PIECE],
    filled: usize,
}

impl<S: FnMut(&[u8]) -> Result<()>> Pieces<'_, S> {
    fn flush(&mut self) -> Result<(), postcard::Error> {
        let filled = std::mem::take(&mut self.filled);
        let flushed = (self.sink)(&self.piece[..filled]);
        self.refuse(flushed)
    }

    fn refuse(&mut self, outcome: Result<()>) -> Result<(), postcard::Error> {
        outcome.map_err(|error| {
            *self.refused = Some(error);
            postcard::Error::SerializeBufferFull
        })
    }
}

impl<S: FnMut(&[u8]) -> Result<()>> Flavor for Pieces<'_, S> {
    type Output = usize;

    #[inline]
    fn try_push(&mut self, byte: u8) -> Result<(), postcard::Error> {
        if self.filled == PIECE {
            self.flush()?;
        }
        self.piece[self.filled] = byte;
        self.filled += 1;
        self.total += 1;
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> Result<(), postcard::Error> {
        self.total += bytes.len();
        if bytes.len() > PIECE - self.filled {
            self.flush()?;
            if bytes.len() > PIECE {
                let taken = (self.sink)(bytes);
                return self.refuse(taken);
            }
        }
        self.piece[self.filled..self.filled + bytes.len()].copy_from_slice(bytes);
        self.filled += bytes.len();
        Ok(())
    }

    fn finalize(mut self) -> Result<usize, postcard::Error> {
        self.flush()?;
        Ok(self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_add_up_to_what_one_buffer_would_hold() {
        let message = (vec![7_u8; 700], "text".repeat(200), vec![u64::MAX; 90], 5_u128);
        let whole = postcard::to_stdvec(&message).unwrap();
        let mut pieces = Vec::new();
        let total = encode_with("a message", &message, |piece| {
            pieces.extend_from_slice(piece);
            Ok(())
        });
        assert_eq!((total.unwrap(), &pieces), (whole.len(), &whole));
        assert_eq!(encoded_size("a message", &message).unwrap(), whole.len());
        assert_eq!(decode::<(Vec<u8>, String, Vec<u64>, u128)>("a message", &whole).unwrap(), message);
    }

    #[test]
    fn a_sink_that_refuses_is_heard() {
        let refused = encode_with("a message", &vec![1_u8; 1_000], |_| Err(Error::Exiting));
        assert_eq!(refused, Err(Error::Exiting));
    }

    #[test]
    fn too_many_bytes_are_no_message() {
        assert!(matches!(decode::<u8>("a message", &[1, 2]), Err(Error::Decode { .. })));
    }
}
