//! The receiving end without the type of its messages: what it consists of, and where the next message is.

use std::mem;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::collecting::{Pour, trim};
use super::end::{End, EndWire, Side, corrupted};
use super::inlet::{Allowance, check_position};
use super::readable::Readable;
use crate::error::{Error, Result, TryRecvError, TypeStamp};
use crate::ring::bytes::{Consumer, Corrupted, Record};
use crate::ring::record;
use crate::ring::track::Ended;
use crate::segment::Wait;
use crate::segment::handle::{Incoming, Outgoing};
use crate::sys::{clock, spin};
use crate::watch::Watched;

pub(super) struct Outlet {
    pub(super) end: End,
    pub(super) consumer: Consumer,
    /// What has been taken out of the ring of the message that is next.
    pub(super) collected: Vec<u8>,
    pub(super) progress: Progress,
    /// Where messages are copied to before they are decoded; as long as the longest of late.
    pub(super) scratch: Vec<u8>,
    pace: spin::Pace,
    /// How often the kernel is asked whether the sender is dead by calls that do not wait.
    asking: clock::OncePerTick,
    /// Whether the call in progress has found nothing.
    found_nothing: bool,
    watched: Watched,
    readable: Arc<Readable>,
}

/// How much of a message lies in `collected`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Progress {
    Nothing,
    /// Its first pieces.
    Part,
    /// All of it, of which so many bytes have been read already.
    Whole {
        read: u64,
    },
}

/// On its way.
#[derive(Serialize, Deserialize)]
pub(super) struct OutletWire {
    end: EndWire,
    position: u64,
    progress: Progress,
    collected: Vec<u8>,
}

/// Where the next message is.
pub(super) enum Next {
    InRing(Record),
    /// In `collected`, all of it; or in the caller's buffer, if all of it has been poured there.
    Collected,
}

impl Outlet {
    pub(super) fn new(end: End) -> Self {
        Outlet::at(end, 0, Progress::Nothing, Vec::new())
    }

    fn at(end: End, position: u64, progress: Progress, collected: Vec<u8>) -> Self {
        let readable = Arc::new(Readable::new(end.placed().clone()));
        Outlet {
            end,
            consumer: Consumer::at(position),
            collected,
            progress,
            scratch: Vec::new(),
            pace: spin::Pace::new(),
            asking: clock::OncePerTick::default(),
            found_nothing: false,
            watched: Watched::default(),
            readable,
        }
    }

    pub(super) fn depart(&self, outgoing: &mut Outgoing) -> Result<OutletWire> {
        Ok(OutletWire {
            end: self.end.depart(outgoing)?,
            position: self.consumer.position(),
            progress: self.progress,
            collected: self.collected.clone(),
        })
    }

    pub(super) fn arrive(wire: OutletWire, element: &TypeStamp, incoming: &mut Incoming) -> Result<Self> {
        check_position(wire.position)?;
        if let Progress::Whole { read } = wire.progress
            && read > wire.collected.len() as u64
        {
            let reason = format!("{read} bytes read of {}", wire.collected.len());
            return Err(Error::Decode { what: "a handle".into(), reason });
        }
        let end = End::arrive(Side::Receiving, element, &wire.end, incoming)?;
        Ok(Outlet::at(end, wire.position, wire.progress, wire.collected))
    }

    /// The descriptor that polls readable when a call has something to do: a message, a part of one, or an end.
    pub(super) fn readiness(&self) -> Result<BorrowedFd<'_>> {
        self.end.check_ours()?;
        self.watched.descriptor(|| {
            self.say_where();
            Ok(Arc::clone(&self.readable))
        })
    }

    /// What every call does last: another one may find something else.
    #[inline]
    pub(super) fn settle(&mut self) {
        if self.watched.is_watched() {
            self.say_where();
            self.watched.settle(mem::take(&mut self.found_nothing));
        }
    }

    fn say_where(&self) {
        self.readable.update(self.consumer.position(), matches!(self.progress, Progress::Whole { .. }));
    }

    /// The next message, if it is one that lies in the ring: what it nearly always is.
    #[inline(always)]
    pub(super) fn message(&mut self) -> Option<Record> {
        if self.progress != Progress::Nothing || self.end.check_ours().is_err() {
            return None;
        }
        self.consumer.peek_message(self.end.ring())
    }

    /// The next message, when all of it is there.
    #[inline]
    pub(super) fn next(&mut self, wait: Wait) -> Result<Next, TryRecvError> {
        match self.message() {
            Some(record) => Ok(Next::InRing(record)),
            None => self.next_slow(wait),
        }
    }

    #[cold]
    fn next_slow(&mut self, wait: Wait) -> Result<Next, TryRecvError> {
        self.next_poured(wait, &mut Pour { buffer: &mut [], poured: None })
    }

    /// As [`next`](Self::next); a message that comes in pieces goes into the caller's buffer. What is there of one that has not come in
    /// time is collected.
    pub(super) fn next_poured(&mut self, wait: Wait, pour: &mut Pour<'_>) -> Result<Next, TryRecvError> {
        let next = self.seek(wait, pour);
        if next.is_err() {
            self.spill(pour);
        }
        self.found_nothing = matches!(next, Err(TryRecvError::Empty));
        next
    }

    fn seek(&mut self, wait: Wait, pour: &mut Pour<'_>) -> Result<Next, TryRecvError> {
        self.end.check_ours().map_err(TryRecvError::Failed)?;
        if let Progress::Whole { .. } = self.progress {
            return Ok(Next::Collected);
        }
        let (mut allowance, mut lap) = (Allowance::new(wait), Lap::new(&self.consumer));
        loop {
            let found = self.consumer.peek(self.end.ring()).map_err(failed)?;
            let record = match found {
                Some(record) => record,
                None => self.wait_for_record(wait)?,
            };
            match (record.kind, self.progress) {
                (record::Kind::Whole, _) => {
                    self.forget();
                    trim(&mut self.collected, 0);
                    pour.poured = None;
                    return Ok(Next::InRing(record));
                }
                (record::Kind::First, _) => {
                    self.forget();
                    pour.poured = Some(0);
                    self.pour(record, pour)?;
                    self.progress = Progress::Part;
                }
                (record::Kind::More, Progress::Part) => self.pour(record, pour)?,
                (record::Kind::Last, Progress::Part) => {
                    self.pour(record, pour)?;
                    self.progress = Progress::Whole { read: 0 };
                    return Ok(Next::Collected);
                }
                (kind, _) => {
                    return Err(failed(Corrupted { position: self.consumer.position(), found: kind as u64 }));
                }
            }
            lap.check(self)?;
            if !allowance.covers_another() {
                return Err(TryRecvError::Empty);
            }
        }
    }

    fn wait_for_record(&mut self, wait: Wait) -> Result<Record, TryRecvError> {
        let (ring, liveness) = (self.end.ring(), self.end.liveness());
        let bytes = if self.progress == Progress::Part { ring.most_in_piece() } else { 0 };
        let waited = match wait {
            Wait::Until(deadline) => ring.wait_for_record(&self.consumer, bytes, liveness, deadline, &self.pace),
            Wait::No if ring.track.sender.is_closed() || self.readable.has_ended() || self.asking.is_due() => {
                ring.look_for_record(&self.consumer, liveness).unwrap_or(Err(Ended::TimedOut))
            }
            Wait::No => Err(Ended::TimedOut),
        };
        waited.map_err(|ended| match ended {
            Ended::Gone => {
                self.readable.end();
                TryRecvError::EndOfFile
            }
            Ended::TimedOut => TryRecvError::Empty,
            Ended::Corrupted(found) => failed(found),
        })
    }

    /// Whether this end knows that nobody will send any more.
    pub(super) fn has_ended(&self) -> bool {
        self.readable.has_ended()
    }

    pub(super) fn capacity(&self) -> usize {
        self.end.ring().capacity() as usize
    }
}

/// A call that goes on and on has an end when its sender has: who is gone has left no more than the ring holds.
pub(super) struct Lap {
    /// Where it began.
    position: u64,
    /// Whether the sender was gone by then.
    is_last: bool,
}

impl Lap {
    pub(super) fn new(consumer: &Consumer) -> Self {
        Lap { position: consumer.position(), is_last: false }
    }

    /// Fails where there are records behind the last lap.
    pub(super) fn check(&mut self, outlet: &Outlet) -> Result<(), TryRecvError> {
        let (ring, position) = (outlet.end.ring(), outlet.consumer.position());
        if position - self.position < ring.capacity() {
            return Ok(());
        }
        if self.is_last {
            return Err(failed(Corrupted { position, found: self.position }));
        }
        *self = Lap { position, is_last: ring.track.sender.is_gone(outlet.end.liveness()) };
        Ok(())
    }
}

fn failed(found: Corrupted) -> TryRecvError {
    TryRecvError::Failed(corrupted(found))
}
