//! What workers have sent, or left on their desks, comes into the books.

use super::Hub;
use crate::error::{Error, TaskError, TryRecvError};
use crate::pool::board::Board;
use crate::pool::desk::Found;
use crate::pool::order::{Head, Tag};

/// A record in a worker's channel takes a word at least.
const LEAST_RECORD: usize = 8;

impl Hub {
    /// Takes in all that a worker has sent: what its channel has room for, and no more, as whoever writes there may do so for ever.
    pub(in crate::pool) fn collect_from(&mut self, place: usize, board: &Board) {
        let Some(mut worker) = self.workers[place].take() else { return };
        let (mut last, mut failure) = (None, None);
        for _ in 0..worker.results.capacity() / LEAST_RECORD {
            let record = match worker.results.try_recv_ref() {
                Ok(record) => record,
                Err(TryRecvError::Empty | TryRecvError::EndOfFile) => break,
                Err(TryRecvError::Failed(error)) => {
                    failure = Some(error);
                    break;
                }
            };
            let Some((head, payload)) = Head::split(&record) else {
                failure = Some(Error::Decode { what: "a record of results".into(), reason: "it has no head".into() });
                break;
            };
            let apart = (head.tag == Tag::InSocket).then(|| worker.socket.take_result(payload));
            self.is_asked |= apart.is_some() && worker.socket.mail.has_questions();
            // Of what is not there any more, or comes twice, nothing is wanted.
            let Some(unit) = self.unit(head.cell, head.generation) else { continue };
            match (head.tag, apart) {
                (Tag::Returned, _) => unit.note_returned(head.first, payload),
                (Tag::Left, _) => {}
                (_, Some(Ok((result, start)))) => unit.note(|outcomes| outcomes.push_received(result, start)),
                (_, Some(Err(error))) => {
                    unit.fail(TaskError::decode(&error));
                    board.count_failed(1);
                }
                (_, None) => {
                    let malformed = |error: postcard::Error| TaskError::Decode { reason: error.to_string() };
                    unit.fail(postcard::from_bytes(payload).unwrap_or_else(malformed));
                    board.count_failed(1);
                }
            }
            last = Some(head.cell);
            if unit.is_whole() || matches!(head.tag, Tag::Stopped | Tag::Left) {
                self.retire(head.cell, board);
            }
        }
        if let Some(cell) = last {
            self.flush(cell, board);
            worker.relieve();
        }
        if let Some(error) = failure {
            // Nothing more will come through its channel.
            worker.fail(TaskError::decode(&error));
        }
        self.workers[place] = Some(worker);
    }

    /// Takes in what lies on a worker's desk, behind what it has sent.
    pub(in crate::pool) fn collect_desk(&mut self, found: &Found, board: &Board) {
        let Some(unit) = self.unit(found.cell, found.generation) else { return };
        unit.note_returned(found.first, &found.results);
        if unit.is_whole() {
            self.retire(found.cell, board);
        } else {
            self.flush(found.cell, board);
        }
    }
}
