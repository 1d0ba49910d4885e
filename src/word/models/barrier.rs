use std::sync::Arc;

use loom::cell::Cell;
use loom::thread;

use super::{deaths, every_mutant_fails, explore, explore_deaths, victim, with_deaths};
use crate::error::BrokenBy;
use crate::sys::clock::Deadline;
use crate::sys::fork::Exclusion;
use crate::sys::futex::sleepers;
use crate::sys::liveness::Liveness;
use crate::sys::spin::Spin;
use crate::word::PeerId;
use crate::word::barrier::BarrierWord;
use crate::word::meeting::{Duty, Meeting};
use crate::word::parties::Place;

/// A barrier for some parties, and what each of them does before it arrives; loom fails an execution in which one that has
/// passed does not see it.
struct Field<const N: usize> {
    word: BarrierWord,
    places: [Place; 4],
    done: [Cell<u32>; N],
    acted: Cell<u32>,
}

impl<const N: usize> Field<N> {
    fn new() -> Arc<Self> {
        #[expect(
            clippy::arc_with_non_send_sync,
            reason = "loom runs all threads of a model on one, and checks the rest"
        )]
        Arc::new(Field {
            word: BarrierWord::new(),
            places: std::array::from_fn(|_| Place::empty()),
            done: std::array::from_fn(|_| Cell::new(0)),
            acted: Cell::new(0),
        })
    }

    fn meeting(&self) -> Meeting<'_> {
        Meeting { word: &self.word, places: &self.places, liveness: &Liveness, parties: N as u32 }
    }

    fn enter(&self, id: PeerId) {
        self.meeting().enter(id, &Exclusion);
    }

    /// One generation; the index.
    fn pass(&self, id: PeerId, deadline: Deadline, acts: bool) -> Result<u32, BrokenBy> {
        let meeting = self.meeting();
        let arrival = meeting.arrive(id, acts, deadline, &Spin)?;
        match arrival.duty {
            Duty::Wait => meeting.wait_for_others(arrival, deadline, &Spin)?,
            Duty::Act => {
                self.acted.set(self.acted.get() + 1);
                meeting.finish(arrival)?;
            }
            Duty::Go => {}
        }
        Ok(arrival.index)
    }

    /// Does its part of a round, passes, and looks whether all have done theirs.
    fn round(&self, id: PeerId, round: u32, acts: bool) -> Result<u32, BrokenBy> {
        self.done[id.slot()].set(round);
        let index = self.pass(id, Deadline::Never, acts)?;
        assert!(self.done.iter().all(|done| done.get() == round), "somebody has passed before all were there");
        Ok(index)
    }
}

fn peer(slot: usize) -> PeerId {
    PeerId::new(slot, 1)
}

type Joined<R> = thread::JoinHandle<Option<R>>;

/// A party as a process of its own, which has a handle; `None` if it died.
fn party<const N: usize, R: 'static>(
    field: &Arc<Field<N>>,
    slot: usize,
    death: Option<usize>,
    body: impl FnOnce(&Field<N>, PeerId) -> R + 'static,
) -> Joined<R> {
    let id = peer(slot);
    std::mem::forget(Liveness.hold(id.get())); // alive from here on
    field.enter(id);
    let field = Arc::clone(field);
    thread::spawn(move || {
        victim(id.get(), death, || {
            let result = body(&field, id);
            assert!(field.meeting().leave(id));
            result
        })
    })
}

/// All pass; each index is one party's.
fn all_pass<const N: usize>(parties: [Joined<Result<u32, BrokenBy>>; N]) {
    let mut indices = parties.map(|party| party.join().unwrap().unwrap().expect("nobody breaks it"));
    indices.sort_unstable();
    assert!(indices.into_iter().eq(0..N as u32), "an index is not one party's: {indices:?}");
}

fn three_pass_together() {
    let field = Field::<3>::new();
    all_pass([0, 1, 2].map(|slot| party(&field, slot, None, |field, id| field.round(id, 1, false))));
}

/// What is done behind one generation is done before the next.
fn two_pass_twice() {
    let field = Field::<2>::new();
    all_pass([0, 1].map(|slot| {
        party(&field, slot, None, |field, id| {
            field.round(id, 1, false)?;
            field.pass(id, Deadline::Never, false)?; // all have looked
            field.round(id, 2, false)
        })
    }));
}

/// The action is done once, by one of them, before anybody passes, and sees what all have done.
fn two_pass_with_an_action() {
    let field = Field::<2>::new();
    all_pass([0, 1].map(|slot| {
        party(&field, slot, None, |field, id| {
            let index = field.round(id, 1, true)?;
            assert_eq!(field.acted.get(), 1);
            Ok(index)
        })
    }));
}

/// One has no time left: both are told so, or neither.
fn one_has_no_time() {
    let field = Field::<2>::new();
    let hasty = party(&field, 0, None, |field, id| field.pass(id, Deadline::Passed, false));
    let patient = party(&field, 1, None, |field, id| field.pass(id, Deadline::Never, false));
    let [hasty, patient] = [hasty, patient].map(|party| party.join().unwrap().unwrap().map(drop));
    assert_eq!(hasty, patient);
    assert!(matches!(hasty, Ok(()) | Err(BrokenBy::Timeout)));
}

/// Somebody aborts while another waits, or before, or when both have passed.
fn an_abort_is_for_all_or_none() {
    let field = Field::<2>::new();
    let parties =
        [0, 1].map(|slot| party(&field, slot, None, |field, id| field.pass(id, Deadline::Never, slot_acts(id))));
    field.meeting().abort();
    let [first, second] = parties.map(|party| party.join().unwrap().unwrap().map(drop));
    assert_eq!(first, second);
    assert!(field.meeting().is_broken());
}

fn slot_acts(id: PeerId) -> bool {
    id.slot() == 1
}

/// Somebody resets it while others wait: those come once more, and then both pass, or time is up for both.
fn a_reset_is_for_all_or_none() {
    let field = Field::<2>::new();
    let parties = [0, 1].map(|slot| {
        party(&field, slot, None, |field, id| match field.pass(id, Deadline::Never, slot_acts(id)) {
            Err(BrokenBy::Reset) => {
                // The other one has not passed, and comes once more, too, if it was there; if it was not it comes now.
                field.pass(id, Deadline::Passed, false)
            }
            passed => passed,
        })
    });
    field.meeting().reset();
    let [first, second] = parties.map(|party| party.join().unwrap().unwrap().map(drop));
    assert_eq!(first, second);
    assert!(matches!(first, Ok(()) | Err(BrokenBy::Timeout)), "{first:?}");
    field.meeting().reset();
    assert!(!field.meeting().is_broken() && field.meeting().waiting() == 0);
}

/// Who sleeps when it is reset is told that it was broken.
fn a_reset_wakes_who_waits() {
    let field = Field::<2>::new();
    let waiting = party(&field, 0, None, |field, id| field.pass(id, Deadline::Never, false));
    let is_asleep = sleepers() == 1;
    field.meeting().reset();
    if !is_asleep {
        field.meeting().abort(); // it may not have arrived before
    }
    let told = waiting.join().unwrap().unwrap();
    assert!(matches!(told, Err(BrokenBy::Reset | BrokenBy::Abort)), "{told:?}");
}

/// A party that dies before its `step`-th step: the others all pass, or are all told.
fn a_death_at(step: usize) {
    let field = Field::<3>::new();
    let victim = party(&field, 0, Some(step), |field, id| field.pass(id, Deadline::Never, true));
    let others = [1, 2].map(|slot| party(&field, slot, None, |field, id| field.pass(id, Deadline::Never, true)));
    let died = victim.join().unwrap().is_none();
    let [first, second] = others.map(|party| party.join().unwrap().unwrap().map(drop));
    assert_eq!(first, second);
    assert!(first == Ok(()) || (died && first == Err(BrokenBy::Death)), "{first:?}");
    // Forgotten, it does not stop the next ones.
    field.meeting().reset();
    let next = party(&field, 3, None, |field, id| field.pass(id, Deadline::Passed, false));
    let told = next.join().unwrap().unwrap();
    assert_eq!(told, Err(BrokenBy::Timeout));
}

/// One that died before it came is found by the one that waits, also if a later peer has taken its place.
fn a_death_is_not_overwritten() {
    let field = Field::<2>::new();
    let victim = party(&field, 0, Some(0), |field, id| field.pass(id, Deadline::Never, false));
    assert!(victim.join().unwrap().is_none());
    let waiting = party(&field, 1, None, |field, id| field.pass(id, Deadline::Never, false));
    field.enter(PeerId::new(0, 2));
    assert_eq!(waiting.join().unwrap(), Some(Err(BrokenBy::Death)));
}

/// While one forgets the dead, a later peer takes the place of one of them: it is not forgotten with it.
fn a_successor_is_not_forgotten() {
    let field = Field::<2>::new();
    let victim = party(&field, 0, Some(0), |field, id| field.pass(id, Deadline::Never, false));
    assert!(victim.join().unwrap().is_none());
    let successor = PeerId::new(0, 2);
    std::mem::forget(Liveness.hold(successor.get()));
    let entering = thread::spawn({
        let field = Arc::clone(&field);
        move || field.enter(successor)
    });
    field.meeting().reset();
    entering.join().unwrap();
    assert!(field.meeting().leave(successor), "its handle is not counted");
}

const UNHARMED: [fn(); 7] = [
    three_pass_together,
    two_pass_twice,
    two_pass_with_an_action,
    one_has_no_time,
    an_abort_is_for_all_or_none,
    a_reset_is_for_all_or_none,
    a_reset_wakes_who_waits,
];

const LEFT_BEHIND: [fn(); 2] = [a_death_is_not_overwritten, a_successor_is_not_forgotten];
const DEATHS: [fn(); 14] = deaths!(a_death_at: 0 1 2 3 4 5 6 7 8 9 10 11 12 13);

#[test]
fn all_pass_or_none() {
    for model in UNHARMED {
        explore(None, 2, model).unwrap();
    }
}

#[test]
fn barriers_survive_a_death_before_any_step() {
    explore_deaths(with_deaths(2), &DEATHS);
    for model in LEFT_BEHIND {
        explore(None, 2, model).unwrap();
    }
}

#[test]
fn every_mutant_of_the_barrier_fails() {
    let models: Vec<fn()> = UNHARMED.into_iter().chain(LEFT_BEHIND).chain(DEATHS).collect();
    every_mutant_fails(&["word/meeting.rs", "word/parties.rs"], 2, &models);
}
