use loom::cell::Cell;
use std::sync::Arc;

use loom::thread;

use super::{deaths, every_mutant_fails, explore, explore_deaths, victim};
use crate::sys::Process;
use crate::sys::atomic::AtomicU64;
use crate::sys::clock::Deadline;
use crate::sys::liveness::Liveness;
use crate::sys::spin::Spin;
use crate::word::PeerId;
use crate::word::lock::{Acquired, Claim, LockWord, Refused};

/// A lock and what it guards; loom fails an execution in which two are in the section at once, or in which one does
/// not see what the one before it has done.
struct Guarded {
    word: LockWord,
    entries: Cell<u32>,
}

impl Guarded {
    fn new() -> Arc<Self> {
        #[expect(
            clippy::arc_with_non_send_sync,
            reason = "loom runs all threads of a model on one, and checks the rest"
        )]
        Arc::new(Guarded { word: LockWord::from(AtomicU64::new(0)), entries: Cell::new(0) })
    }

    /// One turn in the section; how the lock was got.
    fn enter(&self, claim: Claim, deadline: Deadline, repair: bool) -> Result<Acquired, Refused> {
        let acquired = self.word.acquire(claim, &Liveness, deadline, &Spin)?;
        self.entries.set(self.entries.get() + 1); // loom checks that nobody else is here
        self.word.release(acquired == Acquired::Dirty && !repair);
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
    turn: impl FnOnce(&Guarded, PeerId) -> Result<Acquired, Refused> + 'static,
) -> thread::JoinHandle<Option<Result<Acquired, Refused>>> {
    let guarded = Arc::clone(guarded);
    thread::spawn(move || victim(peer(slot).get(), death, || turn(&guarded, peer(slot))))
}

fn one_turn(guarded: &Guarded, id: PeerId) -> Result<Acquired, Refused> {
    guarded.enter(Claim::new(id), Deadline::Never, false)
}

fn three_contenders() {
    let guarded = Guarded::new();
    let contenders: Vec<_> = (1..=3).map(|slot| contend(&guarded, slot, None, one_turn)).collect();
    for contender in contenders {
        assert_eq!(contender.join().unwrap(), Some(Ok(Acquired::Clean)));
    }
    assert_eq!(guarded.entries.get(), 3);
}

/// One of the three gives up at once if it has to wait; the other two must not miss a wake-up for it.
fn one_gives_up() {
    let guarded = Guarded::new();
    let impatient = contend(&guarded, 1, None, |guarded, id| guarded.enter(Claim::new(id), Deadline::Passed, false));
    let patient: Vec<_> = (2..=3).map(|slot| contend(&guarded, slot, None, one_turn)).collect();
    let gave_up = impatient.join().unwrap() == Some(Err(Refused::Held));
    for contender in patient {
        assert_eq!(contender.join().unwrap(), Some(Ok(Acquired::Clean)));
    }
    assert_eq!(guarded.entries.get(), 3 - u32::from(gave_up));
}

/// One that only tries, against two that wait.
fn one_tries() {
    let guarded = Guarded::new();
    let trying = contend(&guarded, 1, None, |guarded, id| {
        let acquired = guarded.word.try_acquire(Claim::new(id), &Liveness)?;
        guarded.word.release(false);
        Ok(acquired)
    });
    let waiting: Vec<_> = (2..=3).map(|slot| contend(&guarded, slot, None, one_turn)).collect();
    trying.join().unwrap();
    for contender in waiting {
        assert_eq!(contender.join().unwrap(), Some(Ok(Acquired::Clean)));
    }
}

/// A victim that dies before its `step`-th step; the two others get through, and are told of a death only if there was one.
fn a_death_at(step: usize) {
    let guarded = Guarded::new();
    let victim = contend(&guarded, 1, Some(step), one_turn);
    let survivors: Vec<_> = (2..=3).map(|slot| contend(&guarded, slot, None, one_turn)).collect();
    let died = victim.join().unwrap().is_none();
    let told = survivors.into_iter().map(|survivor| survivor.join().unwrap().unwrap().unwrap());
    let told = told.filter(|&acquired| acquired == Acquired::Dirty).count();
    assert!(died || told == 0, "nobody died, and somebody is told so");
    // Nobody repairs: whoever comes now is told what the last one was.
    let last = Process::run(peer(4).get(), None, || one_turn(&guarded, peer(4)));
    assert!(told == 0 || last == Some(Ok(Acquired::Dirty)), "told once, and then no more");
}

/// A victim that dies holding the lock, and two others of which the first repairs.
fn a_repaired_death() {
    let guarded = Guarded::new();
    let holder = Process::run(peer(1).get(), None, || {
        guarded.word.acquire(Claim::new(peer(1)), &Liveness, Deadline::Never, &Spin)
    });
    assert_eq!(holder, Some(Ok(Acquired::Clean)));
    let repairing = |guarded: &Guarded, id| guarded.enter(Claim::new(id), Deadline::Never, true);
    let survivors = [contend(&guarded, 2, None, repairing), contend(&guarded, 3, None, repairing)];
    let told = survivors.map(|survivor| survivor.join().unwrap().unwrap().unwrap() == Acquired::Dirty);
    assert!(told[0] != told[1], "exactly the first of the two is told");
}

/// A victim whose death leaves everything whole: nobody is told, whenever it dies.
fn a_whole_death_at(step: usize) {
    let guarded = Guarded::new();
    let victim =
        contend(&guarded, 1, Some(step), |guarded, id| guarded.enter(Claim::whole(id), Deadline::Never, false));
    let survivor = contend(&guarded, 2, None, one_turn);
    assert_eq!(survivor.join().unwrap(), Some(Ok(Acquired::Clean)));
    victim.join().unwrap();
}

const UNHARMED: [fn(); 3] = [three_contenders, one_gives_up, one_tries];

const DEATHS: [fn(); 11] = deaths!(a_death_at: 0 1 2 3 4 5 6 7 8 9 10);
const WHOLE_DEATHS: [fn(); 11] = deaths!(a_whole_death_at: 0 1 2 3 4 5 6 7 8 9 10);

#[test]
fn the_lock_excludes_and_loses_no_wake_up() {
    for model in UNHARMED {
        explore(None, 3, model).unwrap();
    }
}

#[test]
fn the_lock_survives_a_death_before_any_step() {
    explore_deaths(2, &DEATHS);
    explore_deaths(2, &WHOLE_DEATHS);
    explore(None, 2, a_repaired_death).unwrap();
}

#[test]
fn every_mutant_of_the_lock_fails() {
    let models: Vec<fn()> = UNHARMED.into_iter().chain([a_repaired_death as fn()]).chain(DEATHS).collect();
    every_mutant_fails(&["word/lock.rs"], 2, &models);
}
