//! A ring of bytes with one producer and one consumer: where the next record goes, and where the next one is.
//!
//! Promise: the consumer gets every record that was published, once, in order and whole, and nothing of one that was
//! not; a producer or a consumer killed at any instruction leaves a ring that the other one can go on with to its end.
//!
//! ```text
//! position:  consumer's                     producer's
//!            v                              v
//! ... free   [header | payload] [header | payload] [0] free ...
//! ```
//!
//! Positions count bytes since the beginning and never wrap; a byte's place is its position modulo the capacity. Each
//! end keeps its own position to itself. What they share is the headers, and `head`: how far the consumer is.
//!
//! B1. A record begins at a multiple of 8 with its header, and lies in one piece: where the rest of the ring is too short
//!     for it, a SKIP covers the rest.
//! B2. The word at the producer's position is 0. A record is published by storing its header there, when its payload
//!     and the 0 for the next header are written: so the header is all that says that it is there, there is no shared tail,
//!     and a producer killed before that store has published nothing.
//! B3. The producer writes only to `[position, head + capacity)`, and the consumer reads only `[head, producer's position]`.
//!     So no byte is written while it is read.
//! B4. A record takes half the capacity at most: in a ring that is empty but for a SKIP there is always room for it, since
//!     the SKIP was shorter than some record, and leaves half the capacity and a header.
//! B5. What a peer wrote is looked at once, in a private copy, and checked before it is used: a record lies within the
//!     ring, and `head` between the producer's position and one capacity before it.
//!
//! Orderings: the Release store of a header publishes payload and the 0 behind it to the Acquire load of the consumer.
//! The Release store of `head` says that the consumer's reads are done; the producer's Acquire load of it comes before the
//! writes that reuse the bytes. The 0 itself is Relaxed: the header before it publishes it.
//!
//! Source: the single-producer ring of Lamport (1983) with the flag in the slot as in FastForward (Giacomoni et al.,
//! PPoPP 2008), for records of any length.

use std::ptr::NonNull;

use super::record::{HEADER, Header, Kind, record_size};
use super::track::Track;
use crate::fault::crash_point;
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sys::prefetch;

/// One direction of a stream: its shared words, and its bytes as words, of which there are a power of two.
#[derive(Clone, Copy)]
pub(crate) struct Ring<'a> {
    pub(crate) track: &'a Track,
    pub(crate) words: &'a [AtomicU64],
}

/// The fewest and the most bytes that a ring may have: some records of one word, and more than any machine's memory.
pub(crate) const CAPACITY: std::ops::RangeInclusive<u64> = 64..=1 << 46;

/// The most pieces of messages that lie in a ring at once: four quarters, one more for their headers, and one for the end of
/// the ring; and two more to be sure.
pub(crate) const MOST_PIECES: u32 = 8;

/// How many bytes ahead of a message the consumer has memory brought to it. Each header is found through the one before, so that a processor
/// that runs ahead would wait for one line after the other. Measured: streams of 8 and 64 bytes made 57 and 39 M/s without, 82 and
/// 41 with 256, and no more with 512 or 1,024.
const AHEAD: u64 = 256;

/// What the headers of so many pieces take.
const PIECES_NEED: u64 = MOST_PIECES as u64 * HEADER;

impl Ring<'_> {
    #[inline]
    pub(crate) fn capacity(self) -> u64 {
        self.words.len() as u64 * 8
    }

    /// The most bytes of payload that one record takes (B4).
    #[inline]
    pub(crate) fn most(self) -> u64 {
        self.capacity() / 2 - HEADER
    }

    /// The most bytes of a piece of a message: a quarter, so that the consumer has something to do while the next one is written.
    pub(crate) fn most_in_piece(self) -> u64 {
        self.capacity() / 4 - HEADER
    }

    /// The most bytes that a message may have to fit into an empty ring, in one record or in pieces.
    pub(crate) fn most_at_once(self) -> u64 {
        self.most().max(self.capacity() - PIECES_NEED)
    }

    #[inline]
    fn word(&self, position: u64) -> &AtomicU64 {
        &self.words[self.index(position)]
    }

    #[inline]
    fn index(self, position: u64) -> usize {
        (position / 8) as usize & (self.words.len() - 1)
    }

    /// The record whose header lies at a position.
    #[inline(always)]
    fn record(self, position: u64, kind: Kind, bytes: u64) -> Record {
        let start = self.index(position + HEADER);
        Record { kind, start, bytes: bytes as usize, end: position.saturating_add(record_size(bytes)) }
    }

    /// Bytes from a position to the end of the ring.
    #[inline]
    fn rest(self, position: u64) -> u64 {
        self.capacity() - (position & (self.capacity() - 1))
    }
}

/// Bytes that no end of this ring has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Corrupted {
    /// Where they should have made sense.
    pub(crate) position: u64,
    pub(crate) found: u64,
}

/// Why there is no place for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There will be, once the consumer has come to this position.
    NoRoom {
        until: u64,
    },
    Corrupted(Corrupted),
}

/// The producer's private half.
#[derive(Debug)]
pub(crate) struct Producer {
    /// Where the next record goes; a multiple of 8.
    position: u64,
    /// Up to where the ring is known to be free; at most one capacity behind the true `head`.
    limit: u64,
    /// How many records it has published.
    records: u64,
}

/// Where a record would go.
struct Plan {
    /// Bytes to skip before it; 0 or the rest of the ring.
    skip: u64,
    /// Where the word behind it ends.
    end: u64,
}

impl Producer {
    /// At a position where the previous producer was: a multiple of 8. 0 in a new ring.
    pub(crate) fn at(position: u64) -> Self {
        debug_assert!(position.is_multiple_of(8));
        Producer { position, limit: position, records: 0 } // nothing is known to be free
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    /// Where the payload of a record of `bytes` goes, as an index of words. Until it is published, nothing has happened
    /// but perhaps a skip.
    ///
    /// bytes: at most [`Ring::most`].
    #[inline]
    pub(crate) fn reserve(&mut self, ring: Ring<'_>, bytes: u64) -> Result<usize, Refused> {
        let plan = self.plan(ring, bytes);
        if plan.end > self.limit {
            self.limit = self.look(ring)?;
            if plan.end > self.limit {
                return Err(Refused::NoRoom { until: plan.end.saturating_sub(ring.capacity()) });
            }
        }
        if plan.skip > 0 {
            self.skip(ring, plan.skip);
        }
        Ok(ring.index(self.position + HEADER))
    }

    /// Whether there is room for a record of `bytes`.
    pub(crate) fn has_room(&self, ring: Ring<'_>, bytes: u64) -> Result<bool, Refused> {
        Ok(self.plan(ring, bytes).end <= self.look(ring)?)
    }

    /// How much payload the next piece of a message has, of which so many bytes are left: no more than lies before the end
    /// of the ring, so that nothing is skipped but a last word.
    pub(crate) fn piece(&self, ring: Ring<'_>, bytes: u64) -> u64 {
        let most = ring.most_in_piece();
        match ring.rest(self.position) - HEADER {
            0 => bytes.min(most),
            rest => bytes.min(most).min(rest),
        }
    }

    /// Whether a message of `bytes` in pieces would find room for all of them now. Says no a little too early.
    pub(crate) fn has_room_in_pieces(&self, ring: Ring<'_>, bytes: u64) -> Result<bool, Refused> {
        let needed = bytes.next_multiple_of(8).saturating_add(PIECES_NEED);
        Ok(self.position.saturating_add(needed) <= self.look(ring)?)
    }

    #[inline]
    fn plan(&self, ring: Ring<'_>, bytes: u64) -> Plan {
        debug_assert!(bytes <= ring.most());
        let (size, rest) = (record_size(bytes), ring.rest(self.position));
        let skip = if size <= rest { 0 } else { rest };
        Plan { skip, end: self.position.saturating_add(skip + size + HEADER) }
    }

    /// Up to where the ring is free.
    fn look(&self, ring: Ring<'_>) -> Result<u64, Refused> {
        let head = ring.track.head.load(Acquire); // pairs with the Release in `release` (B3)
        if head > self.position || self.position - head > ring.capacity() {
            return Err(Refused::Corrupted(Corrupted { position: self.position, found: head })); // (B5)
        }
        Ok(head.saturating_add(ring.capacity()))
    }

    /// Covers the rest of the ring.
    #[cold]
    fn skip(&mut self, ring: Ring<'_>, rest: u64) {
        ring.word(self.position + rest).store(Header::NOTHING.0, Relaxed); // (B2)
        // Release: publishes that 0 to the Acquire in `peek`.
        ring.word(self.position).store(Header::new(Kind::Skip, rest - HEADER).0, Release);
        crash_point!("channel.skipped");
        self.position += rest;
    }

    /// Publishes the record for which `reserve` gave the place, and whose payload has been written there.
    #[inline]
    pub(crate) fn publish(&mut self, ring: Ring<'_>, kind: Kind, bytes: u64) {
        let next = self.position + record_size(bytes);
        ring.word(next).store(Header::NOTHING.0, Relaxed); // (B2)
        crash_point!("channel.written");
        // Release: publishes the payload, and the 0 behind it, to the Acquire in `peek`.
        ring.word(self.position).store(Header::new(kind, bytes).0, Release);
        self.position = next;
        self.records += 1;
        crash_point!("channel.published");
        ring.track.items.notify_one();
    }
}

/// A record that lies in the ring for the consumer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    /// Where its payload begins, as an index of words.
    pub(crate) start: usize,
    /// Of payload.
    pub(crate) bytes: usize,
    /// The position behind it.
    end: u64,
}

/// The consumer's private half.
#[derive(Debug)]
pub(crate) struct Consumer {
    /// Where the next record is, or will be; a multiple of 8.
    position: u64,
    /// How many records it has released.
    records: u64,
}

impl Consumer {
    /// At a position where the previous consumer was: a multiple of 8. 0 in a new ring.
    pub(crate) fn at(position: u64) -> Self {
        debug_assert!(position.is_multiple_of(8));
        Consumer { position, records: 0 }
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    /// The next record, if it is there and a whole message: what it nearly always is.
    #[inline(always)]
    pub(crate) fn peek_message(&self, ring: Ring<'_>) -> Option<Record> {
        prefetch::for_reading(NonNull::from(ring.word(self.position + AHEAD)).cast());
        let header = Header(ring.word(self.position).load(Acquire)); // pairs with the Release in `publish`
        let bytes = header.0.wrapping_sub(Header::new(Kind::Whole, 0).0);
        // No other kind of record is so short (B5).
        if bytes > ring.most() || record_size(bytes) > ring.rest(self.position) {
            return None;
        }
        Some(ring.record(self.position, Kind::Whole, bytes))
    }

    /// The next record, if there is one; it stays where it is.
    pub(crate) fn peek(&self, ring: Ring<'_>) -> Result<Option<Record>, Corrupted> {
        let header = Header(ring.word(self.position).load(Acquire)); // pairs with the Releases in `publish` and `skip`
        if header == Header::NOTHING {
            return Ok(None);
        }
        match Self::check(ring, self.position, header)? {
            Record { kind: Kind::Skip, end, .. } => Self::peek_behind_skip(ring, end),
            record => Ok(Some(record)),
        }
    }

    #[cold]
    fn peek_behind_skip(ring: Ring<'_>, position: u64) -> Result<Option<Record>, Corrupted> {
        let header = Header(ring.word(position).load(Acquire)); // pairs with the Release in `publish`
        if header == Header::NOTHING {
            return Ok(None);
        }
        match Self::check(ring, position, header)? {
            Record { kind: Kind::Skip, .. } => Err(Corrupted { position, found: header.0 }),
            record => Ok(Some(record)),
        }
    }

    /// The record that a header stands for, if it is one that can be (B5).
    fn check(ring: Ring<'_>, position: u64, header: Header) -> Result<Record, Corrupted> {
        let (bytes, rest) = (header.bytes(), ring.rest(position));
        let is_possible = match header.kind() {
            Some(Kind::Skip) => bytes + HEADER == rest,
            Some(_) => bytes <= ring.most() && record_size(bytes) <= rest,
            None => false,
        };
        match header.kind() {
            Some(kind) if is_possible => Ok(ring.record(position, kind, bytes)),
            _ => Err(Corrupted { position, found: header.0 }),
        }
    }

    /// Gives the bytes of a record, which has been read, back to the producer.
    #[inline]
    pub(crate) fn release(&mut self, ring: Ring<'_>, record: Record) {
        self.position = record.end;
        self.records += 1;
        // Release: the consumer's reads come before the producer's writes behind its Acquire in `look` (B3).
        ring.track.head.store(record.end, Release);
        crash_point!("channel.released");
        ring.track.notify_space(record.end);
    }
}
