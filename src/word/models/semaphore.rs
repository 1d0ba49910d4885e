use loom::cell::Cell;
use std::sync::Arc;

use loom::thread;

use super::{deaths, every_mutant_fails, explore, with_deaths};
use crate::sys::Process;
use crate::sys::atomic::AtomicU32;
use crate::sys::clock::Deadline;
use crate::sys::liveness::Liveness;
use crate::sys::spin::Spin;
use crate::word::PeerId;
use crate::word::semaphore::{Control, Permits};

/// A semaphore, and what is done with its permits one after the other; loom fails an execution in which two are at it at
/// once, or in which one does not see what the one before it has done.
struct Guarded {
    control: Control,
    words: Vec<AtomicU32>,
    entries: Cell<u32>,
}

impl Guarded {
    fn new(free: usize, most: usize) -> Arc<Self> {
        let words = (0..most).map(|_| AtomicU32::new(0)).collect();
        #[expect(
            clippy::arc_with_non_send_sync,
            reason = "loom runs all threads of a model on one, and checks the rest"
        )]
        let guarded = Arc::new(Guarded { control: Control::new(), words, entries: Cell::new(0) });
        guarded.permits().initialise(free);
        guarded
    }

    fn permits(&self) -> Permits<'_> {
        Permits::new(&self.control, &self.words)
    }

    fn acquire(&self, id: PeerId, start: usize, deadline: Deadline) -> Option<usize> {
        self.permits().take(id, start).or_else(|| self.permits().acquire(id, start, &Liveness, deadline, &Spin))
    }

    /// One turn with the only permit.
    fn enter(&self, id: PeerId, deadline: Deadline) -> Option<()> {
        let place = self.acquire(id, 0, deadline)?;
        self.entries.set(self.entries.get() + 1); // loom checks that nobody else is here
        self.permits().free(place);
        Some(())
    }

    fn value(&self) -> usize {
        self.permits().value(&Liveness)
    }

    /// What is free, and for how many there is room: all there is when nobody has a permit.
    fn assert_whole(&self, id: PeerId) {
        Process::run(id.get(), None, || {
            let room = self.words.len() - self.value();
            assert_eq!(self.permits().release(id, room + 1, 0), Err(room));
            assert_eq!(self.permits().release(id, room, 0), Ok(()));
        });
        assert_eq!(self.value(), self.words.len());
    }

    fn release_one(&self, id: PeerId) -> Option<Result<(), usize>> {
        Process::run(id.get(), None, || self.permits().release(id, 1, 0))
    }
}

fn peer(slot: usize) -> PeerId {
    PeerId::new(slot, 1)
}

/// A contender as a process of its own; `None` if it died.
fn contend<R: 'static>(
    guarded: &Arc<Guarded>,
    slot: usize,
    death: Option<usize>,
    turn: impl FnOnce(&Guarded, PeerId) -> R + 'static,
) -> thread::JoinHandle<Option<R>> {
    let guarded = Arc::clone(guarded);
    thread::spawn(move || Process::run(peer(slot).get(), death, || turn(&guarded, peer(slot))))
}

fn one_turn(guarded: &Guarded, id: PeerId) -> Option<()> {
    guarded.enter(id, Deadline::Never)
}

/// Takes a permit and gives it back, with others at the same time.
fn one_of_some(guarded: &Guarded, id: PeerId) {
    let place = guarded.acquire(id, 0, Deadline::Never).unwrap();
    guarded.permits().free(place);
}

fn join<R>(contenders: impl IntoIterator<Item = thread::JoinHandle<Option<R>>>) -> Vec<R> {
    contenders.into_iter().map(|contender| contender.join().unwrap().expect("it lives")).collect()
}

fn three_contenders_for_one() {
    let guarded = Guarded::new(1, 1);
    let contenders = [1, 2, 3].map(|slot| contend(&guarded, slot, None, one_turn));
    join(contenders);
    assert_eq!(guarded.entries.get(), 3);
}

fn three_contenders_for_two() {
    let guarded = Guarded::new(2, 2);
    let contenders = [1, 2, 3].map(|slot| contend(&guarded, slot, None, one_of_some));
    join(contenders);
    assert_eq!(guarded.value(), 2);
}

/// One of the three gives up at once if it has to wait; the other two must not miss a wake-up for it.
fn one_gives_up() {
    let guarded = Guarded::new(1, 1);
    let impatient = contend(&guarded, 1, None, |guarded, id| guarded.enter(id, Deadline::Passed));
    let patient = [2, 3].map(|slot| contend(&guarded, slot, None, one_turn));
    let came_in = impatient.join().unwrap().unwrap().is_some();
    join(patient);
    assert_eq!(guarded.entries.get(), 2 + u32::from(came_in));
}

/// One waits for a permit that was not there before.
fn one_waits_for_a_release() {
    let guarded = Guarded::new(0, 1);
    let waiting = contend(&guarded, 1, None, one_turn);
    let releasing = contend(&guarded, 2, None, |guarded, id| guarded.permits().release(id, 1, 0));
    join([releasing])[0].unwrap();
    join([waiting]);
    assert_eq!(guarded.value(), 1);
}

/// Two raise the mark, and none takes the other's raise back, though there is room again before it.
fn two_releases_beyond_the_mark() {
    let guarded = Guarded::new(0, 3);
    let one = contend(&guarded, 1, None, |guarded, id| {
        guarded.permits().release(id, 2, 0).unwrap();
        let place = guarded.permits().take(id, 0).unwrap();
        guarded.permits().forget(place);
    });
    let other = contend(&guarded, 2, None, |guarded, id| guarded.permits().release(id, 1, 0).unwrap());
    join([one, other]);
    assert_eq!(guarded.value(), 2);
}

/// There is room for one all the time, but it moves.
fn room_that_moves_is_found() {
    let guarded = Guarded::new(1, 2);
    guarded.permits().release(peer(9), 1, 0).unwrap();
    guarded.permits().forget(guarded.permits().take(peer(9), 1).unwrap());
    // Word 0 is free, and word 1 is room.
    let moving = contend(&guarded, 1, None, |guarded, id| {
        let place = guarded.permits().take(id, 0)?;
        guarded.permits().forget(place);
        Some(guarded.permits().release(id, 1, 1))
    });
    let released = join([contend(&guarded, 2, None, |guarded, id| guarded.permits().release(id, 1, 0))])[0];
    assert_eq!(released, Ok(()), "there was room");
    let moved = join([moving])[0];
    assert_eq!(moved, Some(Ok(())), "there was a permit, and then room");
    assert_eq!(guarded.value(), 2);
}

/// A permit is forgotten by one and released by another; the next one sees what both have done.
fn a_permit_handed_over() {
    let guarded = Guarded::new(1, 1);
    let giving = contend(&guarded, 1, None, |guarded, id| {
        let place = guarded.acquire(id, 0, Deadline::Never).unwrap();
        guarded.entries.set(guarded.entries.get() + 1);
        guarded.permits().forget(place);
    });
    let passing = contend(&guarded, 2, None, |guarded, id| guarded.permits().release(id, 1, 0).is_ok());
    let taking = contend(&guarded, 3, None, one_turn);
    let has_passed = join([passing])[0];
    join([giving]);
    if !has_passed && guarded.value() == 0 {
        // It looked too early. (Or `taking` was before `giving`, and has gone.)
        assert_eq!(guarded.release_one(peer(4)), Some(Ok(())));
    }
    join([taking]);
    assert_eq!(guarded.entries.get(), 2);
}

/// Two that release, with room for one of them: one at most gets it, and nothing is lost.
fn no_more_is_released_than_there_is_room_for() {
    let guarded = Guarded::new(1, 2);
    let one = contend(&guarded, 1, None, |guarded, id| guarded.permits().release(id, 1, 0));
    let other = contend(&guarded, 2, None, |guarded, id| guarded.permits().release(id, 2, 0));
    let released = join([one, other]);
    assert!(released[1].is_err());
    assert_eq!(guarded.value(), 1 + usize::from(released[0].is_ok()));
    guarded.assert_whole(peer(3));
}

/// A victim that dies before its `step`-th step, with the permit or without it; another one gets through, and sees what it has
/// done.
fn a_death_at(step: usize) {
    let guarded = Guarded::new(1, 1);
    let victim = contend(&guarded, 1, Some(step), one_turn);
    let survivor = contend(&guarded, 2, None, one_turn);
    victim.join().unwrap();
    join([survivor]);
    assert_eq!(guarded.value(), 1);
}

/// Two find a permit whose owner is dead: one of them takes it, and the other one waits for it.
fn two_find_a_dead_owner() {
    let guarded = Guarded::new(1, 1);
    assert!(Process::run(peer(1).get(), None, || guarded.permits().take(peer(1), 0)).is_some());
    join([2, 3].map(|slot| contend(&guarded, slot, None, one_turn)));
    assert_eq!(guarded.entries.get(), 2);
}

/// A permit that one has freed for a dead owner, and another one takes: it sees what the dead one has done.
fn a_dead_ones_permit_is_freed_for_another() {
    let guarded = Guarded::new(1, 1);
    // Before it gives it back.
    let victim = contend(&guarded, 1, Some(3), one_turn);
    let looking = contend(&guarded, 2, None, |guarded, _| guarded.value());
    let taking = contend(&guarded, 3, None, |guarded, id| {
        let place = guarded.permits().take(id, 0)?;
        guarded.entries.set(guarded.entries.get() + 1);
        guarded.permits().free(place);
        Some(())
    });
    victim.join().unwrap();
    join([taking]);
    join([looking]);
}

/// A victim that dies while it releases two permits, of which one was not there before; who waits gets what there is, or can
/// have it.
fn a_releasers_death_at(step: usize) {
    let guarded = Guarded::new(1, 2);
    guarded.permits().forget(guarded.permits().take(peer(9), 0).unwrap());
    let victim = contend(&guarded, 1, Some(step), |guarded, id| guarded.permits().release(id, 2, 0));
    let survivor = contend(&guarded, 2, None, one_of_some);
    if victim.join().unwrap().is_none() {
        // It may have released none.
        guarded.release_one(peer(3));
    }
    join([survivor]);
    guarded.assert_whole(peer(4));
}

/// More steps than the victims take in nearly any execution with a few preemptions. Some wait
/// again and again, and take more than 40, and each list that goes on so far takes minutes.
const DEATHS: [fn(); 12] = deaths!(a_death_at: 0 1 2 3 4 5 6 7 8 9 10 11);
const RELEASERS_DEATHS: [fn(); 12] = deaths!(a_releasers_death_at: 0 1 2 3 4 5 6 7 8 9 10 11);

/// Those that take long.
const THREE: [fn(); 3] = [three_contenders_for_one, three_contenders_for_two, one_gives_up];

const UNHARMED: [fn(); 7] = [
    two_find_a_dead_owner,
    a_dead_ones_permit_is_freed_for_another,
    one_waits_for_a_release,
    two_releases_beyond_the_mark,
    room_that_moves_is_found,
    a_permit_handed_over,
    no_more_is_released_than_there_is_room_for,
];

#[test]
fn permits_are_one_owners_each_and_no_wake_up_is_lost() {
    for model in THREE.into_iter().chain(UNHARMED) {
        explore(None, 2, model).unwrap();
    }
}

#[test]
fn permits_survive_a_death_before_any_step() {
    for model in DEATHS.into_iter().chain(RELEASERS_DEATHS) {
        explore(None, with_deaths(2), model).unwrap();
    }
}

#[test]
fn every_mutant_of_the_semaphore_fails() {
    let models: Vec<fn()> = UNHARMED.into_iter().chain(DEATHS).collect();
    every_mutant_fails(&["word/semaphore.rs"], 2, &models);
}
