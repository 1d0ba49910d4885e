//! Parties that are killed at random instants: whoever is left is told, and after a reset fresh ones go on.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;

use crossproc::{Barrier, BarrierError, BrokenBy, Exit, Process, ProcessError, RawArray};

use crate::DIED;
use crate::common::kills::Kills;

const PARTIES: usize = 8;

/// Passes until it is broken; nobody may be ahead by more than one generation, or behind. Why it was broken.
fn pass_until_broken(barrier: Barrier, rounds: RawArray<AtomicU32>, me: usize) -> BrokenBy {
    for round in 1.. {
        rounds[me].store(round, SeqCst);
        let passed = if round % 3 == 0 { barrier.wait_with(|| ()) } else { barrier.wait() };
        match passed {
            Ok(_) => {
                let there = rounds.iter().map(|round| round.load(SeqCst));
                assert!(
                    there.clone().all(|other| other == round || other == round + 1),
                    "{:?}",
                    there.collect::<Vec<_>>()
                );
            }
            Err(BarrierError::Broken(by)) => return by,
            Err(other) => panic!("{other}"),
        }
    }
    unreachable!("rounds do not end")
}

/// The seed that it prints replays its schedule: `common/kills.rs`.
#[test]
fn whoever_outlives_random_kills_is_told_and_fresh_processes_go_on() {
    let barrier = Barrier::new(PARTIES).unwrap();
    Kills::asked_for(if cfg!(debug_assertions) { 5 } else { 20 }).each_round(|_, random| {
        let counts = RawArray::<AtomicU32>::new(PARTIES).unwrap();
        let start = |me: usize| Process::spawn(pass_until_broken, (&barrier, &counts, me)).unwrap();
        let mut parties: Vec<_> = (0..PARTIES).map(start).collect();
        let generations = random.below(200) as u32;
        while counts[0].load(SeqCst) < generations {
            thread::yield_now();
        }
        for _ in 0..=random.below(3) {
            let victim = parties.swap_remove(random.index(parties.len()));
            (0..random.below(300)).for_each(|_| thread::yield_now());
            victim.kill().unwrap();
            // A later one may have been told of an earlier one before.
            match victim.join() {
                Ok(by) => assert_eq!(by, BrokenBy::Death),
                Err(ProcessError::Ended { exit, .. }) => assert_eq!(exit, Exit::Signal(libc::SIGKILL)),
                Err(other) => panic!("{other}"),
            }
        }
        for party in parties {
            assert_eq!(party.join().unwrap(), BrokenBy::Death);
        }
        assert_eq!(barrier.wait(), DIED);
        barrier.reset();
    });
}
