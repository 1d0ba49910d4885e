//! Barriers of five parties, of which four are processes.

use crossproc::managed::{Barrier, List};
use crossproc::{BarrierError, BrokenBy, Manager, Process};
use serde::{Deserialize, Serialize};

use super::MOMENT;
use crate::on_each_engine;

on_each_engine!(
    all_pass_in_step,
    each_has_an_index_of_its_own,
    one_of_all_does_what_is_to_be_done_once,
    who_waits_learns_of_an_abort,
    who_waits_learns_of_a_reset_and_all_pass_again,
    a_broken_barrier_can_be_reset,
    who_is_late_breaks_it_for_all,
    one_party_passes_alone,
);

const PARTIES: usize = 5;

/// What all parties have.
#[derive(Clone, Serialize, Deserialize)]
struct Place {
    barrier: Barrier,
    other: Barrier,
    lists: [List<usize>; 3],
}

impl Place {
    fn new(manager: &Manager) -> Self {
        let barrier = || manager.barrier(PARTIES).unwrap();
        let lists = [(); 3].map(|()| manager.list([]).unwrap());
        Place { barrier: barrier(), other: barrier(), lists }
    }

    /// Notes something in one of the lists.
    fn note(&self, list: usize, what: usize) {
        self.lists[list].push(what).unwrap();
    }

    fn lengths(&self) -> [usize; 3] {
        self.lists.each_ref().map(|list| list.len().unwrap())
    }
}

/// Runs a function without captures as all five parties.
macro_rules! as_all {
    ($place:expr, $party:expr) => {
        let children = [(); PARTIES - 1].map(|()| Process::spawn($party, (&$place,)).unwrap());
        $party($place.clone());
        children.into_iter().for_each(|child| child.join().unwrap());
    };
}

/// Whether this party is the one that behaves differently: each has another index.
fn is_odd_one(index: usize) -> bool {
    index == PARTIES / 2
}

fn all_pass_in_step(manager: &Manager) {
    fn party(place: Place) {
        for round in 0..10 {
            place.note(0, round);
            assert_eq!(place.lengths()[1], round * PARTIES);
            place.barrier.wait().unwrap();
            place.note(1, round);
            assert_eq!(place.lengths()[0], (round + 1) * PARTIES);
            place.barrier.wait().unwrap();
        }
        assert_eq!((place.barrier.n_waiting(), place.barrier.is_broken()), (Ok(0), Ok(false)));
    }
    let place = Place::new(manager);
    as_all!(place, party);
    assert_eq!(place.lengths(), [50, 50, 0]);
}

fn each_has_an_index_of_its_own(manager: &Manager) {
    fn party(place: Place) {
        place.note(0, place.barrier.wait().unwrap().index());
    }
    let place = Place::new(manager);
    as_all!(place, party);
    place.lists[0].sort().unwrap();
    assert_eq!(place.lists[0].to_vec().unwrap(), [0, 1, 2, 3, 4]);
}

/// Without an action: who is the leader does it.
fn one_of_all_does_what_is_to_be_done_once(manager: &Manager) {
    fn party(place: Place) {
        let turn = place.barrier.wait().unwrap();
        if turn.is_leader() {
            place.note(0, turn.index());
        }
        place.barrier.wait().unwrap();
        assert_eq!(place.lengths()[0], 1);
    }
    let place = Place::new(manager);
    as_all!(place, party);
}

/// Passes once; then the odd one aborts, and the others learn of it.
fn pass_and_abort(place: &Place) {
    let index = place.barrier.wait().unwrap().index();
    if is_odd_one(index) {
        place.barrier.abort().unwrap();
    } else {
        assert_eq!(place.barrier.wait().unwrap_err(), BarrierError::Broken(BrokenBy::Abort));
        place.note(1, index);
    }
}

fn who_waits_learns_of_an_abort(manager: &Manager) {
    fn party(place: Place) {
        pass_and_abort(&place);
    }
    let place = Place::new(manager);
    as_all!(place, party);
    assert_eq!((place.lengths(), place.barrier.is_broken()), ([0, 4, 0], Ok(true)));
}

fn who_waits_learns_of_a_reset_and_all_pass_again(manager: &Manager) {
    fn party(place: Place) {
        let index = place.barrier.wait().unwrap().index();
        if is_odd_one(index) {
            while place.barrier.n_waiting() != Ok(PARTIES - 1) {
                std::thread::yield_now();
            }
            place.barrier.reset().unwrap();
        } else {
            assert_eq!(place.barrier.wait().unwrap_err(), BarrierError::Broken(BrokenBy::Reset));
            place.note(1, index);
        }
        place.barrier.wait().unwrap();
        place.note(2, index);
    }
    let place = Place::new(manager);
    as_all!(place, party);
    assert_eq!((place.lengths(), place.barrier.is_broken()), ([0, 4, 5], Ok(false)));
}

fn a_broken_barrier_can_be_reset(manager: &Manager) {
    fn party(place: Place) {
        pass_and_abort(&place);
        // Nobody is in it any more, and nobody comes before it is reset.
        if is_odd_one(place.other.wait().unwrap().index()) {
            place.barrier.reset().unwrap();
        }
        place.other.wait().unwrap();
        place.note(2, place.barrier.wait().unwrap().index());
    }
    let place = Place::new(manager);
    as_all!(place, party);
    assert_eq!((place.lengths(), place.barrier.is_broken()), ([0, 4, 5], Ok(false)));
}

fn who_is_late_breaks_it_for_all(manager: &Manager) {
    fn party(place: Place) {
        let index = place.barrier.wait().unwrap().index();
        while is_odd_one(index) && place.barrier.is_broken() != Ok(true) {
            std::thread::yield_now();
        }
        let refused = place.barrier.wait_timeout(MOMENT * 10).unwrap_err();
        assert_eq!(refused, BarrierError::Broken(BrokenBy::Timeout));
        place.note(0, index);
    }
    let place = Place::new(manager);
    as_all!(place, party);
    assert_eq!(place.lengths(), [5, 0, 0]);
}

fn one_party_passes_alone(manager: &Manager) {
    let barrier = manager.barrier(1).unwrap();
    assert!((0..2).all(|_| barrier.wait().unwrap().is_leader()));
}
