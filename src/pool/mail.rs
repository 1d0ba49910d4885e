//! What a worker has said through its socket, as its pool takes it in.
//!
//! Results have numbers here, and the records in the worker's channel name them. Those records lie in shared memory: a number there may
//! be any.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;

use super::order::{Ask, Failure};
use crate::error::{Error, Result};
use crate::process::Received;
use crate::process::note::{self, Begun, Heard};

#[derive(Default)]
pub(super) struct Mail {
    /// The message that is coming.
    begun: Begun,
    /// Results by their numbers; each begins so many bytes behind the beginning of its message.
    results: VecDeque<(u64, Received<()>, usize)>,
    /// What nobody has answered yet.
    questions: VecDeque<Question>,
    /// Messages so far.
    pub(super) taken: u64,
    /// Something came that this process could not take in, for want of a descriptor.
    has_lost: bool,
    /// Whether the worker's initializer has run.
    pub(super) is_ready: bool,
    /// Nothing more will come.
    pub(super) has_ended: bool,
    /// Why the worker does not work.
    pub(super) failure: Option<Failure>,
}

/// A question that only the pool's books can answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Question {
    Segment(u64),
    Function(u64),
    Load(u32),
}

impl Mail {
    /// Takes in what comes, up to the next question.
    pub(super) fn listen(&mut self, socket: BorrowedFd<'_>) -> Option<Question> {
        while self.questions.is_empty() && self.take_in(socket) {}
        self.questions.pop_front()
    }

    /// Whether somebody who looked for a result has come upon a question: nobody will find it in the socket any more.
    pub(super) fn has_questions(&self) -> bool {
        !self.questions.is_empty()
    }

    /// Takes the next message in; false if there is none.
    fn take_in(&mut self, socket: BorrowedFd<'_>) -> bool {
        match note::receive(socket, &mut self.begun) {
            Ok(Some(Heard::Note(received))) => self.understand(received),
            Ok(Some(Heard::Panicked(panic))) => self.failure = Some(Failure::Panicked(panic)),
            Ok(Some(Heard::Failed(error))) => self.failure = Some(Failure::Failed(error)),
            Ok(Some(Heard::Hello | Heard::Returned)) => {}
            Ok(None) => return false,
            // What comes next would not be understood, either.
            Err(error) => {
                self.lose(error);
                return false;
            }
        }
        self.taken += 1;
        true
    }

    /// A message is lost. It was a result if the worker was ready: all else is short.
    fn lose(&mut self, error: Error) {
        if self.is_ready {
            self.has_lost = true;
        } else {
            self.failure = Some(Failure::Failed(error));
        }
    }

    fn understand(&mut self, received: Received<()>) {
        let body = received.body();
        match postcard::take_from_bytes::<Ask>(body) {
            Ok((Ask::Ready, _)) => self.is_ready = true,
            Ok((Ask::NotReady(failure), _)) => self.failure = Some(failure),
            Ok((Ask::Segment(number), _)) => self.questions.push_back(Question::Segment(number)),
            Ok((Ask::Function(number), _)) => self.questions.push_back(Question::Function(number)),
            Ok((Ask::Load(cell), _)) => self.questions.push_back(Question::Load(cell)),
            Ok((Ask::Result(number), rest)) => {
                let start = body.len() - rest.len();
                self.results.push_back((number, received, start));
            }
            Err(error) => {
                self.lose(Error::Decode { what: "what a worker says".into(), reason: error.to_string() });
            }
        }
    }

    /// The result that came under the number in a record. If it is lost, no other one is taken for it; and if it was never sent, those
    /// of other records stay.
    pub(super) fn take_result(&mut self, socket: BorrowedFd<'_>, number: &[u8]) -> Result<(Received<()>, usize)> {
        let missing = || Error::Decode { what: "a result".into(), reason: "it could not be taken in".into() };
        let number = u64::from_ne_bytes(number.try_into().map_err(|_| missing())?);
        // Where something is lost, it may be the result.
        while !self.has_lost && self.results.back().is_none_or(|(last, ..)| *last < number) && self.take_in(socket) {}
        self.has_lost = false;
        let index = self.results.iter().position(|(found, ..)| *found == number).ok_or_else(missing)?;
        self.results.drain(..index); // their calls have ended otherwise
        let (_, received, start) = self.results.pop_front().ok_or_else(missing)?;
        Ok((received, start))
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::segment::handle::Parcel;
    use crate::sys::socket;

    fn say(socket: impl AsFd, what: &Ask, result: u8) {
        let mut bytes = postcard::to_stdvec(what).unwrap();
        bytes.push(result);
        note::send(socket.as_fd(), &Parcel::of_bytes(bytes)).unwrap();
    }

    fn taken(mail: &mut Mail, socket: impl AsFd, number: u64) -> Option<u8> {
        let (received, start) = mail.take_result(socket.as_fd(), &number.to_ne_bytes()).ok()?;
        received.body().get(start).copied()
    }

    #[test]
    fn a_number_that_no_result_has_takes_none_away() {
        let (ours, theirs) = socket::pair().unwrap();
        let mut mail = Mail::default();
        for number in 1..=4 {
            say(&theirs, &Ask::Result(number), number as u8);
        }
        assert_eq!(taken(&mut mail, &ours, 1), Some(1));
        for hostile in [u64::MAX, 1 << 63, 5, 1, 0] {
            assert_eq!(taken(&mut mail, &ours, hostile), None, "{hostile}");
        }
        assert!(mail.take_result(ours.as_fd(), &[3]).is_err());
        // The record of the second was never seen.
        assert_eq!([3, 4, 2].map(|number| taken(&mut mail, &ours, number)), [Some(3), Some(4), None]);
    }

    #[test]
    fn a_question_that_a_search_for_a_result_came_upon_is_answered() {
        let (ours, theirs) = socket::pair().unwrap();
        let mut mail = Mail::default();
        say(&theirs, &Ask::Ready, 0);
        say(&theirs, &Ask::Load(7), 0);
        say(&theirs, &Ask::Result(1), 1);
        say(&theirs, &Ask::Segment(8), 0);
        assert!(!mail.has_questions());
        assert_eq!(taken(&mut mail, &ours, u64::MAX), None);
        assert!(mail.is_ready && mail.has_questions());
        assert_eq!(mail.listen(ours.as_fd()), Some(Question::Load(7)));
        assert_eq!(mail.listen(ours.as_fd()), Some(Question::Segment(8)));
        assert_eq!(mail.listen(ours.as_fd()), None);
        assert_eq!(taken(&mut mail, &ours, 1), Some(1));
    }
}
