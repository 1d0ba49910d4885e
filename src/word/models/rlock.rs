use std::sync::Arc;

use loom::cell::Cell;
use loom::thread::{self, JoinHandle};

use super::{deaths, every_mutant_fails, explore, explore_deaths, victim};
use crate::sys::Process;
use crate::sys::clock::Deadline;
use crate::sys::liveness::Liveness;
use crate::sys::spin::Spin;
use crate::word::PeerId;
use crate::word::lock::{Acquired, Claim};
use crate::word::rlock::{NotLocked, RLockWords};

/// A lock and what it guards; loom fails an execution in which two are in the section at once.
struct Guarded {
    words: RLockWords,
    entries: Cell<u32>,
}

impl Guarded {
    fn new() -> Arc<Self> {
        #[expect(
            clippy::arc_with_non_send_sync,
            reason = "loom runs all threads of a model on one, and checks the rest"
        )]
        Arc::new(Guarded { words: RLockWords::new(), entries: Cell::new(0) })
    }

    /// A turn at depth 2, in the section as long as there is any level left.
    fn enter(&self, id: PeerId, repair: bool) -> Result<Acquired, NotLocked> {
        let claim = Claim::new(id);
        let acquired = self.words.acquire(claim, &Liveness, Deadline::Never, &Spin)?;
        let deeper = self.words.try_acquire(claim, &Liveness)?;
        assert_eq!(acquired, deeper, "each level is told");
        if repair {
            self.words.repair(claim);
        }
        self.words.release(claim);
        self.entries.set(self.entries.get() + 1); // loom checks that nobody else is here
        self.words.release(claim);
        Ok(acquired)
    }
}

fn peer(slot: usize) -> PeerId {
    PeerId::new(slot, 1)
}

/// A contender as a process of its own; `None` if it died.
fn contend(
    guarded: &Arc<Guarded>,
    slot: usize,
    death: Option<usize>,
    repair: bool,
) -> JoinHandle<Option<Result<Acquired, NotLocked>>> {
    let guarded = Arc::clone(guarded);
    thread::spawn(move || victim(peer(slot).get(), death, || guarded.enter(peer(slot), repair)))
}

fn three_contenders() {
    let guarded = Guarded::new();
    let contenders: Vec<_> = (1..=3).map(|slot| contend(&guarded, slot, None, false)).collect();
    for contender in contenders {
        assert_eq!(contender.join().unwrap(), Some(Ok(Acquired::Clean)));
    }
    assert_eq!(guarded.entries.get(), 3);
}

/// A victim that dies before its `step`-th step, at whatever depth; the next owners begin at depth 1.
fn a_death_at(step: usize) {
    let guarded = Guarded::new();
    let victim = contend(&guarded, 1, Some(step), false);
    let survivors = [2, 3].map(|slot| contend(&guarded, slot, None, true));
    let died = victim.join().unwrap().is_none();
    let told = survivors.map(|survivor| survivor.join().unwrap().unwrap().unwrap() == Acquired::Dirty);
    assert!(died || told == [false; 2], "nobody died, and somebody is told so");
    assert_ne!(told, [true; 2], "the first that is told repairs");
    // The depth of whoever came last does not count.
    let last = Process::run(peer(4).get(), None, || guarded.enter(peer(4), false));
    assert!(matches!(last, Some(Ok(_))));
    let free = Process::run(peer(5).get(), None, || guarded.words.try_acquire(Claim::new(peer(5)), &Liveness));
    assert!(matches!(free, Some(Ok(_))), "unlocked as often as locked");
}

const DEATHS: [fn(); 28] =
    deaths!(a_death_at: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27);

#[test]
fn the_recursive_lock_excludes() {
    explore(None, 2, three_contenders).unwrap();
}

#[test]
fn the_recursive_lock_survives_a_death_before_any_step() {
    explore_deaths(2, &DEATHS);
}

/// The words that order are the lock's, and all else is Relaxed: the lock's calls that only this one makes are changed here.
#[test]
fn every_mutant_of_the_lock_below_fails() {
    let models: Vec<fn()> = DEATHS.into_iter().chain([three_contenders as fn()]).collect();
    every_mutant_fails(&["word/lock.rs"], 2, &models);
}
