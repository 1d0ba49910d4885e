//! A hash table in shared memory: how often each word of a text occurs.
//!
//! Open addressing with linear probing, never more than half full. An entry says where in the text its word first
//! occurs; the word itself stays there. So the table means something only together with that text, in whatever process.

use std::ops::Range;

use crossproc::{Array, Result, Shared};
use serde::{Deserialize, Serialize};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::words::{Word, Words, same_tail};

/// Entries of a new table: 128 KiB, a guess at what is cheap to make and enough for a few pages of prose.
const FIRST_CAPACITY: usize = 4096;

/// | offset | size | field  | meaning                                                   |
/// |--------|------|--------|-----------------------------------------------------------|
/// | 0      | 8    | head   | [`Word::head`]                                            |
/// | 8      | 8    | offset | where the word first occurs in the text                   |
/// | 16     | 8    | length | in bytes                                                  |
/// | 24     | 8    | count  | how often it occurs; 0: the entry is free                 |
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Entry {
    head: u64,
    offset: u64,
    length: u64,
    count: u64,
}

const _: () = assert!(size_of::<Entry>() == 32 && std::mem::offset_of!(Entry, count) == 24);

impl Shared for Entry {}

impl Entry {
    fn is(&self, text: &[u8], word: &Word) -> bool {
        self.head == word.head
            && self.length == word.length as u64
            && same_tail(text, self.offset as usize, word.offset, word.length)
    }

    fn range(&self) -> Range<usize> {
        self.offset as usize..(self.offset + self.length) as usize
    }
}

/// A handle: it can be sent to another process, which then reads the same entries.
#[derive(Serialize, Deserialize)]
pub(crate) struct Table {
    entries: Array<Entry>,
    distinct: u64,
}

impl Table {
    pub(crate) fn new() -> Result<Self> {
        Ok(Table { entries: Array::new(FIRST_CAPACITY)?, distinct: 0 })
    }

    /// How many different words it has.
    pub(crate) fn distinct(&self) -> u64 {
        self.distinct
    }

    /// Adds the words in `range`, neither end of which is inside a word; returns how many these are.
    ///
    /// All of them come from the same `text`, call after call.
    pub(crate) fn count(&mut self, text: &[u8], range: Range<usize>) -> Result<u64> {
        let (mut words, mut total) = (Words::new(text, range), 0);
        loop {
            let mut guard = self.entries.lock()?;
            let entries = &mut *guard;
            let room = entries.len() as u64 / 2;
            for word in words.by_ref() {
                total += 1;
                let entry = find(entries, text, &word);
                if entry.count == 0 {
                    *entry =
                        Entry { head: word.head, offset: word.offset as u64, length: word.length as u64, count: 0 };
                    self.distinct += 1;
                }
                entry.count += 1;
                if self.distinct == room {
                    break;
                }
            }
            if self.distinct < room {
                return Ok(total);
            }
            let larger = doubled(entries, text)?;
            drop(guard);
            self.entries = larger;
        }
    }

    /// Calls `visit` with each word, in the case of its first occurrence, and its number of occurrences.
    pub(crate) fn for_each(&self, text: &[u8], mut visit: impl FnMut(&[u8], u64)) -> Result<()> {
        let entries = self.entries.lock()?;
        entries.iter().filter(|entry| entry.count > 0).for_each(|entry| visit(&text[entry.range()], entry.count));
        Ok(())
    }
}

/// The word's entry, or a free one to put it into. `entries`: a power of two, some of which are free.
#[inline]
fn find<'a>(entries: &'a mut [Entry], text: &[u8], word: &Word) -> &'a mut Entry {
    let mask = entries.len() - 1;
    let mut index = (word.hash >> (64 - entries.len().ilog2())) as usize;
    while entries[index].count != 0 && !entries[index].is(text, word) {
        index = (index + 1) & mask;
    }
    &mut entries[index]
}

/// The same words in an array of twice the length.
fn doubled(entries: &[Entry], text: &[u8]) -> Result<Array<Entry>> {
    let array = Array::new(entries.len() * 2)?;
    let mut larger = array.lock()?;
    for entry in entries.iter().filter(|entry| entry.count > 0) {
        for word in Words::new(text, entry.range()) {
            *find(&mut larger, text, &word) = *entry;
        }
    }
    drop(larger);
    Ok(array)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// More words than a first table holds, some of them twice, in pieces that end between words.
    #[test]
    fn counts_survive_doubling() {
        let words: Vec<String> =
            (0..5 * FIRST_CAPACITY).map(|n| format!("Word{}x", n % (3 * FIRST_CAPACITY))).collect();
        let text = words.join(" ").into_bytes();
        let half = text[..text.len() / 2].iter().rposition(|&byte| byte == b' ').unwrap();
        let mut table = Table::new().unwrap();
        let total = table.count(&text, 0..half).unwrap() + table.count(&text, half..text.len()).unwrap();
        assert_eq!((total, table.distinct()), (5 * FIRST_CAPACITY as u64, 3 * FIRST_CAPACITY as u64));

        let mut expected = HashMap::<_, u64>::new();
        for word in &words {
            *expected.entry(word.clone().into_bytes()).or_default() += 1;
        }
        let mut found = HashMap::new();
        table.for_each(&text, |word, count| assert_eq!(found.insert(word.to_vec(), count), None)).unwrap();
        assert_eq!(found, expected);
    }
}
