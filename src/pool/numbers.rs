//! Segments, and functions' offsets, by the numbers that workers know them by.
//!
//! A worker asks for a segment by its number, and is told only then which it is. A segment keeps its number as long as anybody has it,
//! so that a worker that is attached need not ask again; no number is used twice.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use crate::segment::Segment;

/// So many segments are looked through, at the least, for those that nobody has any more. A guess.
const FEW: usize = 64;

#[derive(Default)]
pub(super) struct Numbers {
    segments: HashMap<u64, Weak<Segment>>,
    /// By the segments' addresses. Nobody else gets these, as long as a weak reference above keeps them.
    numbers: HashMap<usize, u64>,
    /// The last number of a segment.
    last: u64,
    /// With so many, they are looked through: twice as many as were left the last time, so that a new one costs a look at a few others.
    enough: usize,
    /// All that workers have been sent to: no more than the program has.
    functions: Vec<u64>,
}

impl Numbers {
    pub(super) fn of(&mut self, segment: &Arc<Segment>) -> u64 {
        let address = Arc::as_ptr(segment).addr();
        if let Some(number) = self.numbers.get(&address) {
            return *number;
        }
        if self.segments.len() >= self.enough {
            self.segments.retain(|_, segment| segment.strong_count() > 0);
            self.numbers.retain(|_, number| self.segments.contains_key(number));
            self.enough = 2 * self.segments.len().max(FEW);
        }
        self.last += 1;
        self.segments.insert(self.last, Arc::downgrade(segment));
        self.numbers.insert(address, self.last);
        self.last
    }

    pub(super) fn of_function(&mut self, offset: u64) -> u64 {
        let found = self.functions.iter().position(|known| *known == offset).unwrap_or_else(|| {
            self.functions.push(offset);
            self.functions.len() - 1
        });
        found as u64
    }

    /// The offset of a function, if workers have been told its number.
    pub(super) fn function(&self, number: u64) -> Option<u64> {
        self.functions.get(usize::try_from(number).ok()?).copied()
    }

    /// The segment of a number, if anybody still has it.
    pub(super) fn segment(&self, number: u64) -> Option<Arc<Segment>> {
        self.segments.get(&number)?.upgrade()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make() -> Arc<Segment> {
        Segment::create(128, 0, None).unwrap()
    }

    #[test]
    fn a_segment_keeps_its_number_and_gives_it_to_no_other() {
        let mut numbers = Numbers::default();
        let kept: Vec<_> = (0..3).map(|_| make()).collect();
        let known: Vec<_> = kept.iter().map(|segment| numbers.of(segment)).collect();
        assert_eq!(known, [1, 2, 3]);
        // Also at an address that one before it had.
        for number in 4..500 {
            assert_eq!(numbers.of(&make()), number);
            assert!(numbers.segment(number).is_none());
        }
        assert_eq!(kept.iter().map(|segment| numbers.of(segment)).collect::<Vec<_>>(), known);
        assert!(
            kept.iter().zip(known).all(|(segment, number)| Arc::ptr_eq(segment, &numbers.segment(number).unwrap()))
        );
    }

    #[test]
    fn segments_that_nobody_has_are_forgotten() {
        let mut numbers = Numbers::default();
        let kept = make();
        numbers.of(&kept);
        for _ in 0..10 * FEW {
            numbers.of(&make());
            assert!(numbers.segments.len() <= 2 * FEW && numbers.numbers.len() == numbers.segments.len());
        }
        assert!(numbers.segment(1).is_some());
    }
}
