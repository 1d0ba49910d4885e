//! What a word is, and finding the next one, eight bytes at a time.

/// A longest run of ASCII letters, digits and bytes from 0x80, so that no UTF-8 letter is cut; ASCII case is ignored.
/// Every other byte separates words.
pub(crate) fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}

/// The place of a word in its text, with what a hash table needs to know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) offset: usize,
    pub(crate) length: usize,
    /// The first eight bytes, folded to lower case, zero behind the word's end: a word of up to eight bytes, entirely.
    pub(crate) head: u64,
    /// Its high bits are the good ones.
    pub(crate) hash: u64,
}

/// The words of a part of a text.
pub(crate) struct Words<'a> {
    text: &'a [u8],
    position: usize,
    end: usize,
}

impl<'a> Words<'a> {
    /// The words in the range; neither of its ends is inside a word.
    pub(crate) fn new(text: &'a [u8], range: std::ops::Range<usize>) -> Self {
        Words { text, position: range.start, end: range.end }
    }
}

impl Iterator for Words<'_> {
    type Item = Word;

    #[inline]
    fn next(&mut self) -> Option<Word> {
        let mut block = loop {
            if self.position >= self.end {
                return None;
            }
            let block = Block::at(self.text, self.position);
            match block.separators() {
                0 => break block,
                separators => self.position += separators,
            }
        };
        let offset = self.position;
        let mut bytes = block.word_bytes();
        let head = block.folded(bytes);
        let (mut length, mut hash) = (bytes, mix(0, head));
        while bytes == Block::SIZE {
            block = Block::at(self.text, offset + length);
            bytes = block.word_bytes();
            length += bytes;
            hash = mix(hash, block.folded(bytes));
        }
        // Most often the next word begins in this block: found here, it does not wait for another look at the text.
        self.position = offset + length + block.separators_after(bytes);
        Some(Word { offset, length, head, hash })
    }
}

/// Whether two words of the same length and head are the same from their ninth byte on.
pub(crate) fn same_tail(text: &[u8], one: usize, other: usize, length: usize) -> bool {
    (Block::SIZE..length).step_by(Block::SIZE).all(|at| {
        let bytes = Block::SIZE.min(length - at);
        Block::at(text, one + at).folded(bytes) == Block::at(text, other + at).folded(bytes)
    })
}

/// FxHash, of the Firefox and rustc sources: one multiplication a block. It does not stand up to words chosen to collide.
fn mix(hash: u64, block: u64) -> u64 {
    (hash.rotate_left(5) ^ block).wrapping_mul(0x517c_c1b7_2722_0a95)
}

/// Eight bytes of text, the first in the low byte. A byte's flag is its high bit.
#[derive(Clone, Copy)]
struct Block(u64);

const FLAGS: u64 = each(0x80);

/// The byte, eight times.
const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

impl Block {
    const SIZE: usize = 8;

    /// Behind the end of the text there are zeros, which are separators.
    #[inline]
    fn at(text: &[u8], position: usize) -> Self {
        match text.get(position..).and_then(<[u8]>::first_chunk) {
            Some(bytes) => Block(u64::from_le_bytes(*bytes)),
            None => Block::at_end(text, position),
        }
    }

    #[cold]
    fn at_end(text: &[u8], position: usize) -> Self {
        let rest = text.get(position..).unwrap_or_default();
        let mut bytes = [0; Self::SIZE];
        bytes[..rest.len()].copy_from_slice(rest);
        Block(u64::from_le_bytes(bytes))
    }

    /// Flags the bytes whose low seven bits are in `first..=last`. The sums stay below 256: nothing is carried.
    #[inline]
    fn in_range(seven_bits: u64, first: u8, last: u8) -> u64 {
        let from_first = seven_bits + each(0x80 - first);
        let behind_last = seven_bits + each(0x80 - last - 1);
        from_first & !behind_last & FLAGS
    }

    /// Flags ASCII letters.
    #[inline]
    fn letters(self) -> u64 {
        Self::in_range((self.0 & !FLAGS) | each(0x20), b'a', b'z') & !self.0
    }

    /// Flags what [`is_word_byte`] says of each byte.
    #[inline]
    fn word_flags(self) -> u64 {
        let digits = Self::in_range(self.0 & !FLAGS, b'0', b'9');
        (self.letters() | digits | self.0) & FLAGS
    }

    /// How many bytes at its beginning belong to a word, 0 to 8.
    #[inline]
    fn word_bytes(self) -> usize {
        (!self.word_flags() & FLAGS).trailing_zeros() as usize / 8
    }

    /// How many bytes at its beginning are separators, 0 to 8.
    #[inline]
    fn separators(self) -> usize {
        self.word_flags().trailing_zeros() as usize / 8
    }

    /// How many separators there are behind `bytes` bytes, as far as can be seen.
    #[inline]
    fn separators_after(self, bytes: usize) -> usize {
        let flags = self.word_flags().unbounded_shr(8 * bytes as u32);
        (flags.trailing_zeros() as usize / 8).min(Self::SIZE - bytes)
    }

    /// The first `bytes` bytes in lower case, the others zero.
    #[inline]
    fn folded(self, bytes: usize) -> u64 {
        let keep = u64::MAX.unbounded_shr(64 - 8 * bytes as u32);
        (self.0 | self.letters() >> 2) & keep
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, byte by byte.
    fn oracle(text: &[u8]) -> Vec<(usize, Vec<u8>)> {
        let mut words = Vec::new();
        let mut start = 0;
        for end in 0..=text.len() {
            if end == text.len() || !is_word_byte(text[end]) {
                if start < end {
                    words.push((start, text[start..end].to_ascii_lowercase()));
                }
                start = end + 1;
            }
        }
        words
    }

    fn found(text: &[u8]) -> Vec<(usize, Vec<u8>)> {
        let words = Words::new(text, 0..text.len());
        words.map(|word| (word.offset, text[word.offset..][..word.length].to_ascii_lowercase())).collect()
    }

    #[test]
    fn every_byte_is_of_its_class_in_every_place() {
        for byte in 0..=u8::MAX {
            for place in 0..20 {
                for around in *b"x " {
                    let mut text = [around; 20];
                    text[place] = byte;
                    assert_eq!(found(&text), oracle(&text), "{byte:#04x} at {place} among {around:#04x}");
                }
            }
        }
    }

    #[test]
    fn words_of_every_length_are_found_whole() {
        for length in 0..40 {
            for separators in 0..20 {
                let text = [&b"-".repeat(separators)[..], &b"w".repeat(length), b"\n"].concat();
                assert_eq!(found(&text), oracle(&text));
            }
        }
    }

    #[test]
    fn case_makes_no_difference_and_a_last_byte_does() {
        for length in 1..40_usize {
            let lower: Vec<u8> = (0..length).map(|at| b"abc9\xc3z"[at % 6]).collect();
            let mut other = lower.clone();
            *other.last_mut().unwrap() = b'q';
            let text = [&lower[..], b" ", &lower.to_ascii_uppercase(), b" ", &other].concat();
            let words: Vec<_> = Words::new(&text, 0..text.len()).collect();
            let same = |a: Word, b: Word| a.head == b.head && same_tail(&text, a.offset, b.offset, length);
            assert!(words[0].hash == words[1].hash && same(words[0], words[1]), "length {length}");
            assert!(words[0].hash != words[2].hash && !same(words[0], words[2]), "length {length}");
        }
    }
}
