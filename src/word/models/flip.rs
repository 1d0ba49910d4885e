use std::sync::Arc;

use loom::thread;

use super::{deaths, every_mutant_fails, explore, explore_deaths, victim};
use crate::sys::atomic::AtomicU64;
use crate::word::flip::Sequence;

/// A value of two words, whose bytes are those of commit 0 in the first copy and of no commit in the second.
struct Pair {
    sequence: Sequence,
    words: [AtomicU64; 4],
}

const NEVER_COMMITTED: u64 = 99;

impl Pair {
    fn new() -> Arc<Self> {
        let words = [0, 0, NEVER_COMMITTED, NEVER_COMMITTED].map(AtomicU64::new);
        Arc::new(Pair { sequence: Sequence::from(AtomicU64::new(0)), words })
    }

    fn write(&self, commit: u64) {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&commit.to_ne_bytes());
        bytes[8..].copy_from_slice(&commit.to_ne_bytes());
        self.sequence.write(&self.words, &bytes);
    }

    /// One attempt; the commit whose value it is.
    fn read(&self) -> Option<u64> {
        let mut bytes = [0; 16];
        self.sequence.read(&self.words, &mut bytes).then(|| {
            let words: Vec<u64> = bytes.as_chunks().0.iter().map(|&word| u64::from_ne_bytes(word)).collect();
            assert_eq!(words[0], words[1], "torn");
            assert_ne!(words[0], NEVER_COMMITTED, "not the value of any commit");
            words[0]
        })
    }
}

/// Three commits (each copy is written over at least once) against a reader that looks twice.
fn a_reader_against_three_commits() {
    let pair = Pair::new();
    let writer = thread::spawn({
        let pair = Arc::clone(&pair);
        move || (1..=3).for_each(|commit| pair.write(commit))
    });
    let seen = [pair.read(), pair.read()];
    if let [Some(first), Some(second)] = seen {
        assert!(first <= second, "the value went back");
    }
    writer.join().unwrap();
    assert_eq!(pair.read(), Some(3), "without a writer, a read succeeds");
}

/// A writer that dies before its `step`-th step leaves the value of its last commit, and the next one goes on from it.
fn a_death_at(step: usize) {
    let pair = Pair::new();
    let writer = thread::spawn({
        let pair = Arc::clone(&pair);
        move || victim(1, Some(step), || (1..=2).for_each(|commit| pair.write(commit)))
    });
    pair.read();
    writer.join().unwrap();
    let left = pair.read().expect("a dead writer does not keep readers from reading");
    pair.write(left + 1);
    assert_eq!(pair.read(), Some(left + 1));
}

#[test]
fn a_value_is_never_torn() {
    explore(None, 3, a_reader_against_three_commits).unwrap();
}

#[test]
fn a_value_survives_its_writers_death_before_any_step() {
    // Two commits of five steps each.
    const DEATHS: [fn(); 11] = deaths!(a_death_at: 0 1 2 3 4 5 6 7 8 9 10);
    explore_deaths(3, &DEATHS);
}

#[test]
fn every_mutant_of_the_value_fails() {
    every_mutant_fails(&["word/flip.rs"], 3, &[a_reader_against_three_commits]);
}
