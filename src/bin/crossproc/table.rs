//! A hash table: how often each word of a text occurs.
//!
//! Open addressing with linear probing, never more than half full. An entry says where in the text its word first
//! occurs; the word itself stays there. So the table means something only together with that text, in whatever process.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::words::{Word, Words, same_tail};

/// Entries of a new table: 128 KiB, a guess at what is cheap to make and enough for a few pages of prose.
const FIRST_CAPACITY: usize = 4096;

/// `count` is 0: the entry is free.
#[derive(Clone, Copy, Default)]
struct Entry {
    /// [`Word::head`]
    head: u64,
    word: Occurrences,
}

/// Where a word first occurs in its text, and how often.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Occurrences {
    offset: u64,
    /// In bytes.
    length: u64,
    pub(crate) count: u64,
}

impl Occurrences {
    /// The word, in the case of its first occurrence.
    pub(crate) fn word<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        &text[self.range()]
    }

    fn range(&self) -> Range<usize> {
        self.offset as usize..(self.offset + self.length) as usize
    }
}

impl Entry {
    fn is(&self, text: &[u8], word: &Word) -> bool {
        self.head == word.head
            && self.word.length == word.length as u64
            && same_tail(text, self.word.offset as usize, word.offset, word.length)
    }
}

pub(crate) struct Table {
    /// A power of two.
    entries: Vec<Entry>,
    distinct: usize,
}

impl Table {
    pub(crate) fn new() -> Self {
        Table { entries: vec![Entry::default(); FIRST_CAPACITY], distinct: 0 }
    }

    /// Adds the words in `range`, neither end of which is inside a word; returns how many these are.
    ///
    /// All of them come from the same `text`, call after call.
    pub(crate) fn count(&mut self, text: &[u8], range: Range<usize>) -> u64 {
        let (mut words, mut total) = (Words::new(text, range), 0);
        loop {
            let entries = &mut *self.entries;
            let room = entries.len() / 2;
            for word in words.by_ref() {
                total += 1;
                let entry = find(entries, text, &word);
                if entry.word.count == 0 {
                    let (offset, length) = (word.offset as u64, word.length as u64);
                    *entry = Entry { head: word.head, word: Occurrences { offset, length, count: 0 } };
                    self.distinct += 1;
                }
                entry.word.count += 1;
                if self.distinct == room {
                    break;
                }
            }
            if self.distinct < room {
                return total;
            }
            self.entries = doubled(entries, text);
        }
    }

    /// Its words, in no order.
    pub(crate) fn into_occurrences(self) -> Vec<Occurrences> {
        self.entries.into_iter().map(|entry| entry.word).filter(|word| word.count > 0).collect()
    }
}

/// The word's entry, or a free one to put it into. `entries`: a power of two, some of which are free.
#[inline]
fn find<'a>(entries: &'a mut [Entry], text: &[u8], word: &Word) -> &'a mut Entry {
    let mask = entries.len() - 1;
    let mut index = (word.hash >> (64 - entries.len().ilog2())) as usize;
    while entries[index].word.count != 0 && !entries[index].is(text, word) {
        index = (index + 1) & mask;
    }
    &mut entries[index]
}

/// The same words in twice the space.
fn doubled(entries: &[Entry], text: &[u8]) -> Vec<Entry> {
    let mut larger = vec![Entry::default(); entries.len() * 2];
    for entry in entries.iter().filter(|entry| entry.word.count > 0) {
        for word in Words::new(text, entry.word.range()) {
            *find(&mut larger, text, &word) = *entry;
        }
    }
    larger
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
        let mut table = Table::new();
        let total = table.count(&text, 0..half) + table.count(&text, half..text.len());
        assert_eq!((total, table.distinct), (5 * FIRST_CAPACITY as u64, 3 * FIRST_CAPACITY));

        let mut expected = HashMap::<_, u64>::new();
        for word in &words {
            *expected.entry(word.clone().into_bytes()).or_default() += 1;
        }
        let mut found = HashMap::new();
        for word in table.into_occurrences() {
            assert_eq!(found.insert(word.word(&text).to_vec(), word.count), None);
        }
        assert_eq!(found, expected);
    }
}
