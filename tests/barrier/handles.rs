//! Handles of a barrier: given to others, had again, and in copies of a process.

use std::thread;

use crossproc::{Arena, AttachError, Barrier, BarrierError, BrokenBy, Error, Event, Kind, Process, PutError, Queue};

use crate::common::processes::forked;
use crate::common::watchdog;
use crate::{MOMENT, broken};

#[test]
fn a_barrier_can_be_passed_on_and_had_again() {
    let _watchdog = watchdog();
    let arena = Arena::new(1 << 16).unwrap();
    let [first, second] = [0; 2].map(|_| Barrier::new_in(&arena, 2).unwrap());
    // Two handles of one, and one of another, in one message; and again in the next.
    let pass_on = |first: Barrier, again: Barrier, second: Barrier| {
        let wait = |first: Barrier, second: Barrier| first.wait().is_ok() && second.wait().is_ok();
        let process = Process::spawn(wait, (&again, second)).unwrap();
        drop((first, again));
        process.join().unwrap()
    };
    let process = Process::spawn(pass_on, (&first, &first, &second)).unwrap();
    assert!(first.wait().is_ok() && second.wait().is_ok());
    assert!(process.join().unwrap());
    let own = Barrier::builder().parties(2).timeout(MOMENT).build().unwrap();
    let fd = || own.memory_fd().try_clone_to_owned().unwrap();
    let again = Barrier::from_fd(fd()).unwrap();
    assert_eq!((again.parties(), again.wait()), (2, broken(BrokenBy::Timeout)));
    assert!(own.is_broken());
    let refused = Event::from_fd(fd()).map(drop);
    let expected = AttachError::WrongKind { found: Ok(Kind::Barrier), expected: Kind::Event };
    assert_eq!(refused, Err(Error::Attach(expected)));
}

/// Each is a handle of its own in the one place that the message has.
#[test]
fn clones_of_one_barrier_travel_in_one_message() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(3).unwrap();
    let pass_on = |barriers: Vec<Barrier>, one_more: Option<Barrier>| {
        assert_eq!(barriers.len(), 2);
        thread::scope(|scope| barriers.iter().for_each(|barrier| drop(scope.spawn(|| barrier.wait().unwrap()))));
        (barriers, one_more)
    };
    for round in 0..3 {
        let one_more = (round > 0).then(|| barrier.clone());
        let process = Process::spawn(pass_on, (vec![barrier.clone(); 2], one_more)).unwrap();
        barrier.wait().unwrap();
        let (returned, one_more) = process.join().unwrap();
        assert_eq!((returned.len(), one_more.is_some()), (2, round > 0));
        assert!(!barrier.is_broken(), "a handle has got lost on its way");
    }
    // All places are given back: nobody is missed.
    assert_eq!(barrier.n_waiting(), 0);
    let queue = Queue::<Vec<Barrier>>::new(1).unwrap();
    let refused = queue.put(vec![barrier.clone(); 2]);
    assert!(matches!(refused, Err(PutError::Failed { error: Error::HandleOutsideTransfer, .. })), "{refused:?}");
    assert!(!barrier.is_broken());
}

#[test]
fn a_forked_copy_is_a_party_of_its_own() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(2).unwrap();
    thread::scope(|scope| {
        let other = barrier.clone();
        scope.spawn(move || {
            other.wait().unwrap();
            other.wait().unwrap();
        });
        assert!(forked(|| {
            let passed = barrier.wait().is_ok() && barrier.clone().wait().is_ok();
            drop(barrier.clone());
            passed
        }));
    });
}

/// What an action forks is a copy that has nothing to do with the barrier.
#[test]
fn a_copy_made_by_an_action_lets_nobody_pass() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(1).unwrap();
    let parent = std::process::id();
    let passed = barrier.wait_with(|| {
        // SAFETY: the copy returns from the closure, is refused, and exits below.
        let copy = unsafe { libc::fork() };
        if copy != 0 {
            let mut status = -1;
            // SAFETY: our child; `status` outlives the call.
            assert_eq!(unsafe { libc::waitpid(copy, &mut status, 0) }, copy);
            assert_eq!(status, 0, "the copy passed");
            assert_eq!(barrier.n_waiting(), 0);
        }
    });
    if std::process::id() != parent {
        let is_refused = passed == Err(BarrierError::Failed(Error::ForkedCopy { object: Kind::Barrier }));
        // SAFETY: ends the copy at once.
        unsafe { libc::_exit(i32::from(!is_refused)) };
    }
    assert!(passed.is_ok() && !barrier.is_broken());
}
