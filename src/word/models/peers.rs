use std::cell::RefCell;
use std::sync::Arc;

use loom::thread;

use super::{deaths, every_mutant_fails, explore};
use crate::sys::Process;
use crate::sys::liveness::{Hold, Liveness};
use crate::word::PeerId;
use crate::word::peers::{PeerSlot, join, leave};

/// Joins, and is told alive by everybody for as long as it stays.
fn join_and_check(slots: &[PeerSlot]) -> Option<(PeerId, Vec<Hold>)> {
    let held = RefCell::new(Vec::new()); // also those of identities that it has lost meanwhile, as of one description
    let hold = |id| {
        held.borrow_mut().extend(Liveness.hold(id));
        Ok(held.borrow().last().is_some_and(|hold: &Hold| hold.id() == id))
    };
    let id = join(slots, 1, &Liveness, hold).ok()?;
    assert!(!Liveness.is_dead(id.get()), "a peer that has joined looks dead");
    Some((id, held.into_inner()))
}

/// Three processes and two places; the first process dies before its `step`-th step, or leaves in order.
///
/// The two others end up with two identities that live, and none is ever that of another.
fn a_death_at(step: usize) {
    let slots: Arc<[PeerSlot; 2]> = Arc::new([PeerSlot::free(), PeerSlot::free()]);
    let leaver = thread::spawn({
        let slots = Arc::clone(&slots);
        move || {
            let ended = Process::run_unborn(Some(step), || {
                let (id, hold) = join_and_check(&slots[..])?;
                leave(&slots[..], id);
                drop(hold);
                Some(id)
            });
            if ended.is_none() {
                Process::bury();
            }
            ended.flatten()
        }
    });
    let other = thread::spawn({
        let slots = Arc::clone(&slots);
        move || join_and_check(&slots[..])
    });
    let ours = join_and_check(&slots[..]);
    let theirs = other.join().unwrap();
    let gone = leaver.join().unwrap();
    let ids: Vec<PeerId> = [&ours, &theirs].into_iter().flatten().map(|(id, _)| *id).chain(gone).collect();
    let mut distinct = ids.iter().map(|id| id.get()).collect::<Vec<_>>();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), ids.len(), "an identity was given out twice");
    // Whoever found no place can have one now, if the third is gone.
    let (ours, theirs) = (ours.or_else(|| join_and_check(&slots[..])), theirs.or_else(|| join_and_check(&slots[..])));
    assert!(ours.is_some() && theirs.is_some(), "a place is free, and nobody gets it");
}

/// One place, and two that find it taken by somebody who may not have locked its byte yet: only one may have it.
fn two_for_one_place() {
    let slots: Arc<[PeerSlot; 1]> = Arc::new([PeerSlot::free()]);
    let other = thread::spawn({
        let slots = Arc::clone(&slots);
        move || join_and_check(&slots[..])
    });
    let ours = join_and_check(&slots[..]);
    let theirs = other.join().unwrap();
    assert!(ours.is_some() != theirs.is_some(), "one place has one peer");
}

/// The last one takes more steps than there are: an orderly end.
const DEATHS: [fn(); 9] = deaths!(a_death_at: 0 1 2 3 4 5 6 7 1_000);

#[test]
fn identities_are_never_used_twice_and_never_look_dead() {
    for model in DEATHS.into_iter().chain([two_for_one_place as fn()]) {
        explore(None, 2, model).unwrap();
    }
}

#[test]
fn every_mutant_of_the_table_fails() {
    let models: Vec<fn()> = DEATHS.into_iter().chain([two_for_one_place as fn()]).collect();
    every_mutant_fails(&["word/peers.rs"], 2, &models);
}
