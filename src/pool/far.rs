//! The books of chunks that are at a server, or on their way there.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use super::job::Job;
use super::unit::Unit;
use super::wire::Chunk;

/// The most chunks, and about so many bytes, that go in one request. Guesses.
const MOST_TOGETHER: usize = 64;
const ENOUGH_TOGETHER: usize = 256 << 10;

/// The most entries that are looked at, or withdrawn, in one request. A guess.
const MOST_ENTRIES: usize = 100;

#[derive(Default)]
pub(super) struct Far {
    /// So many chunks may be there.
    most: usize,
    units: BTreeMap<u64, Sent>,
    /// The numbers of those that are to be put there.
    unsent: VecDeque<u64>,
    /// Entries that nobody wants any more.
    recalled: Vec<String>,
    /// The last number: none is used twice.
    last: u64,
    /// The last one whose entry was looked at.
    checked: u64,
    /// How many threads talk to the server.
    pub(super) threads: u32,
}

struct Sent {
    unit: Unit,
    /// Where it is, if the server has said so.
    entry: Option<String>,
}

/// Chunks for a request, with their numbers.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) numbers: Vec<u64>,
    pub(super) chunks: Vec<Vec<u8>>,
}

impl Far {
    pub(super) fn new(most: usize) -> Self {
        Far { most, ..Far::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.units.len() < self.most
    }

    pub(super) fn add(&mut self, unit: Unit) {
        self.last += 1;
        self.unsent.push_back(self.last);
        self.units.insert(self.last, Sent { unit, entry: None });
    }

    /// What comes next, if anything.
    pub(super) fn next_batch(&mut self) -> Option<Batch> {
        let (mut batch, mut bytes) = (Batch::default(), 0);
        while batch.numbers.len() < MOST_TOGETHER
            && bytes < ENOUGH_TOGETHER
            && let Some(number) = self.unsent.pop_front()
        {
            // Nobody may want it any more.
            if let Some(sent) = self.units.get(&number) {
                let chunk = Chunk::encode(number, &sent.unit);
                bytes += chunk.len();
                batch.numbers.push(number);
                batch.chunks.push(chunk);
            }
        }
        (!batch.numbers.is_empty()).then_some(batch)
    }

    /// A batch is there, under these entries.
    pub(super) fn note_sent(&mut self, batch: &Batch, entries: Vec<String>) {
        for (number, entry) in batch.numbers.iter().zip(entries) {
            match self.units.get_mut(number) {
                Some(sent) => sent.entry = Some(entry),
                // It was done in no time, or nobody wants it any more.
                None => self.recalled.push(entry),
            }
        }
    }

    /// A batch is not there, and goes before all others.
    pub(super) fn put_back(&mut self, batch: Batch) {
        batch.numbers.into_iter().rev().for_each(|number| self.unsent.push_front(number));
    }

    /// Entries to be withdrawn, some of them.
    pub(super) fn take_recalled(&mut self) -> Vec<String> {
        let from = self.recalled.len().saturating_sub(MOST_ENTRIES);
        self.recalled.split_off(from)
    }

    pub(super) fn recall(&mut self, entries: Vec<String>) {
        self.recalled.extend(entries);
    }

    /// Takes out a chunk that is done.
    pub(super) fn take(&mut self, number: u64) -> Option<Unit> {
        self.units.remove(&number).map(|sent| sent.unit)
    }

    /// Takes out what belongs to a job, or everything.
    pub(super) fn take_all(&mut self, job: Option<&Arc<Job>>) -> Vec<Unit> {
        let is_meant = |sent: &Sent| job.is_none_or(|job| Arc::ptr_eq(&sent.unit.job, job));
        let (taken, left) = mem::take(&mut self.units).into_iter().partition(|(_, sent)| is_meant(sent));
        self.units = left;
        let taken: BTreeMap<u64, Sent> = taken;
        taken.into_values().map(|sent| (self.recalled.extend(sent.entry), sent.unit).1).collect()
    }

    /// Some of the entries at the server, by turns.
    pub(super) fn some_entries(&mut self) -> Vec<String> {
        let some: Vec<_> = self
            .units
            .range((Excluded(self.checked), Unbounded))
            .filter_map(|(number, sent)| Some((*number, sent.entry.clone()?)))
            .take(MOST_ENTRIES)
            .collect();
        self.checked = if some.len() < MOST_ENTRIES { 0 } else { some.last().map_or(0, |(number, _)| *number) };
        some.into_iter().map(|(_, entry)| entry).collect()
    }

    /// The server has lost these entries, or all: the chunks go there again that may be tried again. The others.
    pub(super) fn lose(&mut self, entries: Option<&[String]>) -> Vec<Unit> {
        let is_lost = |sent: &Sent| {
            let known = sent.entry.as_ref();
            known.is_some_and(|entry| entries.is_none_or(|entries| entries.contains(entry)))
        };
        let lost: Vec<u64> = self.units.iter().filter(|(_, sent)| is_lost(sent)).map(|(number, _)| *number).collect();
        let mut given_up = Vec::new();
        for number in lost {
            let Some(mut sent) = self.units.remove(&number) else { continue };
            if sent.unit.may_retry() {
                sent.entry = None;
                self.units.insert(number, sent);
                self.unsent.push_back(number);
            } else {
                given_up.push(sent.unit);
            }
        }
        given_up
    }
}
