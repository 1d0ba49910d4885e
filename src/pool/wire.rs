//! What a pool and the hosts that serve it say to each other, through a server. Neither believes what it finds there.

use serde::{Deserialize, Serialize};

use super::order::Bytes;
use super::results::Travelling;
use super::unit::{Calls, Unit};
use crate::error::Error;
use crate::segment::handle::Parcel;

const CHUNK: &str = "a chunk of tasks";

/// Calls of one function, as they are put at the server.
#[derive(Serialize, Deserialize)]
pub(super) struct Chunk {
    /// As the pool numbers it.
    pub(super) number: u64,
    /// Where the function is in the program.
    pub(super) function: u64,
    /// The number of the first call.
    pub(super) first: u64,
    /// How often each call is tried again whose worker died.
    pub(super) retries: u32,
    /// Where the arguments of each call end.
    pub(super) ends: Vec<u32>,
    arguments: Bytes,
}

impl Chunk {
    /// The calls of a unit that have no outcome.
    pub(super) fn encode(number: u64, unit: &Unit) -> Vec<u8> {
        let ((_, first), (ends, retries)) = (unit.calls(), unit.rest());
        let chunk = Chunk { number, function: unit.function, first, retries, ends, arguments: unit.arguments() };
        // Of numbers and bytes: it encodes.
        postcard::to_stdvec(&chunk).unwrap_or_default()
    }

    /// Whether there are calls in it, each with arguments, and with numbers that there are.
    pub(super) fn decode(bytes: &[u8]) -> Result<Chunk, Error> {
        let malformed = |reason: String| Error::Decode { what: CHUNK.into(), reason };
        let chunk: Chunk = postcard::from_bytes(bytes).map_err(|error| malformed(error.to_string()))?;
        let length = chunk.arguments.as_slice().len();
        let is_sound = chunk.ends.is_sorted()
            && chunk.ends.last().is_some_and(|end| *end as usize == length)
            && u32::try_from(chunk.ends.len()).is_ok()
            && chunk.first.checked_add(chunk.ends.len() as u64).is_some();
        if is_sound { Ok(chunk) } else { Err(malformed("its calls do not fit its arguments".into())) }
    }

    pub(super) fn into_calls(self) -> Calls {
        Calls { ends: self.ends, parcel: Parcel::of_bytes(self.arguments.as_slice().to_vec()) }
    }
}

/// What has come of a chunk: the outcomes of its calls, in their order.
pub(super) fn report(number: u64, outcomes: &[Travelling]) -> Vec<u8> {
    // As above; errors have texts besides.
    postcard::to_stdvec(&(number, outcomes)).unwrap_or_default()
}

/// The chunk's number, and the outcomes if they can be understood.
pub(super) fn read_report(report: &[u8]) -> Option<(u64, Vec<Travelling>)> {
    let (number, rest) = postcard::take_from_bytes(report).ok()?;
    Some((number, postcard::from_bytes(rest).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::TaskError;
    use crate::pool::results::Outcomes;

    fn chunk(first: u64, ends: &[u32], arguments: &[u8]) -> Vec<u8> {
        let arguments = Bytes::new(arguments.to_vec());
        let chunk = Chunk { number: 1, function: 2, first, retries: 0, ends: ends.to_vec(), arguments };
        postcard::to_stdvec(&chunk).unwrap()
    }

    #[test]
    fn chunks_whose_calls_do_not_fit_are_refused() {
        assert_eq!(Chunk::decode(&chunk(7, &[1, 1, 3], b"abc")).unwrap().into_calls().ends, [1, 1, 3]);
        for (first, ends) in [(0, &[][..]), (0, &[2, 1, 3]), (0, &[2]), (0, &[4]), (u64::MAX, &[1, 3])] {
            assert!(Chunk::decode(&chunk(first, ends, b"abc")).is_err(), "{ends:?} from {first} on");
        }
        let whole = chunk(7, &[1, 1, 3], b"abc");
        for length in 0..whole.len() {
            assert!(Chunk::decode(&whole[..length]).is_err(), "the first {length} bytes");
        }
    }

    #[test]
    fn outcomes_are_the_same_on_the_other_side() {
        let mut outcomes = Outcomes::default();
        outcomes.push_travelling(Travelling::Returned(Bytes::new(vec![7])));
        outcomes.push_failed(TaskError::TimedOut { task: 3 });
        outcomes.push_travelling(Travelling::Apart(Bytes::new(vec![8])));
        outcomes.push_travelling(Travelling::Returned(Bytes::new(postcard::to_stdvec(&vec![1_u8; 300]).unwrap())));
        let (number, travelled) = read_report(&report(5, &outcomes.into_travelling())).unwrap();
        let mut arrived = Outcomes::default();
        travelled.into_iter().for_each(|outcome| arrived.push_travelling(outcome));
        assert_eq!(number, 5);
        assert_eq!(arrived.next::<u8>(), Some(Ok(7)));
        assert_eq!(arrived.next::<u8>(), Some(Err(Box::new(TaskError::TimedOut { task: 3 }))));
        assert_eq!(arrived.next::<u8>(), Some(Ok(8)));
        assert_eq!(arrived.next::<Vec<u8>>(), Some(Ok(vec![1; 300])));
        assert_eq!(arrived.next::<u8>(), None);
        assert!(read_report(&[0xff; 20]).is_none());
        assert_eq!(read_report(&[5, 0xff]).map(|(number, outcomes)| (number, outcomes.len())), Some((5, 0)));
    }
}
