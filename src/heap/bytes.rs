//! Bytes in words, and the objects that they refer to.

use super::body::{Heap, control, corrupted};
use super::object::Object;
use super::view::View;
use super::{At, Transaction};
use crate::error::{Error, Result};
use crate::sys::atomic::Ordering::Relaxed;

/// What is kept: encoded bytes, and the objects of the heap that are named in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    pub(crate) objects: Vec<Object>,
}

/// Where a reader copies what is short.
pub(crate) struct Buffer([u8; SHORT]);

/// What is kept, as a reader has copied it.
pub(crate) enum Seen {
    /// So many bytes that refer to nothing, in the buffer.
    Short(usize),
    Long(Content),
}

/// A guess: numbers, short texts.
const SHORT: usize = 64;

impl Buffer {
    #[inline]
    pub(crate) fn new() -> Self {
        Buffer([0; SHORT])
    }

    /// The first bytes.
    #[inline]
    pub(crate) fn bytes(&self, length: usize) -> &[u8] {
        &self.0[..length.min(SHORT)]
    }

    pub(crate) fn content(&self, seen: Seen) -> Content {
        match seen {
            Seen::Short(length) => Content { bytes: self.bytes(length).to_vec(), objects: Vec::new() },
            Seen::Long(content) => content,
        }
    }
}

/// Bytes that refer to nothing, and are so few that they are handed on in registers: a number has ten at most.
#[derive(Clone, Copy)]
pub(crate) struct Short {
    /// Little-endian.
    pub(super) bytes: [u64; SHORTEST / 8],
    /// Up to [`SHORTEST`].
    pub(super) length: usize,
}

pub(super) const SHORTEST: usize = 16;

impl Short {
    /// Runs `decode` with them.
    #[inline]
    pub(crate) fn with<R>(self, decode: impl FnOnce(&[u8]) -> R) -> R {
        let bytes = self.bytes.map(u64::to_le_bytes);
        decode(&bytes.as_flattened()[..self.length.min(SHORTEST)])
    }
}

/// The most objects that a value refers to: they are held, and dropped, in one transaction. A guess.
const MOST_OBJECTS: usize = 1_000;

/// How many words so many bytes take.
pub(super) fn words_of(bytes: usize) -> usize {
    bytes.div_ceil(8)
}

fn word_of(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

impl View<'_> {
    pub(super) fn bytes(&self, at: At, length: usize) -> Result<Vec<u8>> {
        let words = self.words(at, words_of(length))?;
        self.step(words.len())?;
        let mut bytes = Vec::new();
        let no_memory = |_| Error::NoSpace { needed: length as u64, available: 0 };
        bytes.try_reserve_exact(8 * words.len()).map_err(no_memory)?;
        for word in words {
            bytes.extend_from_slice(&word.load(Relaxed).to_le_bytes());
        }
        bytes.truncate(length);
        Ok(bytes)
    }

    /// So many bytes, and the objects in this list.
    #[inline]
    pub(super) fn seen(&self, at: At, length: usize, objects: At, buffer: &mut Buffer) -> Result<Seen> {
        if objects != 0 || length > SHORT {
            return Ok(Seen::Long(Content { bytes: self.bytes(at, length)?, objects: self.objects(objects)? }));
        }
        for (word, bytes) in self.words(at, words_of(length))?.iter().zip(buffer.0.as_chunks_mut().0) {
            *bytes = word.load(Relaxed).to_le_bytes();
        }
        Ok(Seen::Short(length))
    }

    /// Whether the bytes there are these.
    pub(super) fn has_bytes(&self, at: At, bytes: &[u8]) -> Result<bool> {
        let words = self.words(at, words_of(bytes.len()))?;
        Ok(words.iter().zip(bytes.chunks(8)).all(|(word, bytes)| word.load(Relaxed) == word_of(bytes)))
    }

    /// The objects in a list that [`Transaction::keep_objects`] has made.
    pub(super) fn objects(&self, list: At) -> Result<Vec<Object>> {
        if list == 0 {
            return Ok(Vec::new());
        }
        let count = self.load(list)?;
        let words = usize::try_from(count).ok().and_then(|count| count.checked_mul(2));
        let words = self.words(list + 1, words.ok_or_else(|| corrupted(list, count))?)?;
        let mut objects = Vec::new();
        for pair in words.as_chunks::<2>().0 {
            self.step(2)?;
            objects.push(Object { at: pair[0].load(Relaxed), number: pair[1].load(Relaxed) });
        }
        Ok(objects)
    }
}

impl Transaction<'_> {
    /// Puts bytes into a block that this transaction has allocated.
    pub(super) fn fill_bytes(&mut self, at: At, bytes: &[u8]) -> Result<()> {
        for (place, bytes) in (at..).zip(bytes.chunks(8)) {
            self.fill(place, word_of(bytes))?;
        }
        Ok(())
    }

    /// Puts bytes over others.
    pub(super) fn store_bytes(&mut self, at: At, bytes: &[u8]) -> Result<()> {
        for (place, bytes) in (at..).zip(bytes.chunks(8)) {
            self.store(place, word_of(bytes))?;
        }
        Ok(())
    }

    /// Notes what refers to these objects; where, or 0 if there are none.
    pub(super) fn keep_objects(&mut self, objects: &[Object]) -> Result<At> {
        if objects.is_empty() {
            return Ok(0);
        }
        if objects.len() > MOST_OBJECTS {
            let reason =
                format!("it has {} handles in it, and a value takes no more than {MOST_OBJECTS}", objects.len());
            return Err(Error::Encode { what: "a value".into(), reason });
        }
        let list = self.allocate(1 + 2 * objects.len())?;
        self.fill(list, objects.len() as u64)?;
        for (place, object) in (list + 1..).step_by(2).zip(objects) {
            self.fill(place, object.at)?;
            self.fill(place + 1, object.number)?;
            self.refer(*object)?;
        }
        Ok(list)
    }

    /// Drops the references of such a list, and the list.
    pub(super) fn drop_objects(&mut self, list: At) -> Result<()> {
        if list != 0 {
            for object in self.objects(list)? {
                self.drop_reference(object)?;
            }
            self.free(list);
        }
        Ok(())
    }
}

impl Heap {
    /// A number for bytes that is the same in all processes, and not to be guessed by who chooses the bytes.
    pub(super) fn hash(&self, bytes: &[u8]) -> u64 {
        xxhash_rust::xxh3::xxh3_64_with_seed(bytes, self.control(control::SEED).load(Relaxed))
    }
}
