//! `Semaphore` and `BoundedSemaphore`: within a process, across processes, after a death.

#[path = "../common/mod.rs"]
mod common;

mod both;
mod kills;
mod python;

use std::thread;

use both::semaphore_tests;
use common::locking::Stage;
use common::watchdog;
use crossproc::{Arena, AttachError, BoundedSemaphore, Error, Kind, Permit, Process, Semaphore, inspect};

crossproc::test_support!();

semaphore_tests!(semaphore, Semaphore, Semaphore::new);
semaphore_tests!(bounded, BoundedSemaphore, BoundedSemaphore::new);

#[test]
fn permits_can_be_added_up_to_the_limit() {
    let semaphore = Semaphore::new(0).unwrap();
    semaphore.release(1_000).unwrap();
    semaphore.release(24).unwrap();
    assert_eq!((semaphore.value(), semaphore.capacity()), (1_024, 1_024));
    assert_eq!(format!("{semaphore:?}"), "Semaphore { value: 1024, capacity: 1024 }");
    let refused = semaphore.release(1).unwrap_err();
    assert_eq!(refused.to_string(), "cannot add 1 permits to a Semaphore with room for 0");
    let permits: Vec<Permit<'_>> = (0..1_024).map(|_| semaphore.try_acquire().unwrap()).collect();
    assert!(semaphore.try_acquire().is_err());
    drop(permits);
    assert_eq!(semaphore.value(), 1_024);
}

#[test]
fn a_semaphore_that_cannot_be_is_refused() {
    const MOST: usize = 1 << 30;
    for (permits, most) in [(2, 1), (usize::MAX, 7), (8, 7)] {
        let refused = Semaphore::builder().permits(permits).max(most).build().unwrap_err();
        assert_eq!(refused, Error::TooManyPermits { object: Kind::Semaphore, permits, room: most });
    }
    for most in [0, MOST + 1, usize::MAX] {
        let refused = Semaphore::builder().permits(0).max(most).build().unwrap_err();
        assert_eq!(refused, Error::Capacity { object: Kind::Semaphore, capacity: most, most: MOST });
        let refused = BoundedSemaphore::new(most).unwrap_err();
        assert_eq!(refused, Error::Capacity { object: Kind::BoundedSemaphore, capacity: most, most: MOST });
    }
    for permits in [MOST + 1, usize::MAX] {
        let refused = Semaphore::new(permits).unwrap_err();
        assert_eq!(refused, Error::Capacity { object: Kind::Semaphore, capacity: permits, most: MOST });
    }
    // Near the limit there is room for fewer to be added.
    let arena = Arena::new(4_096).unwrap();
    for permits in [MOST - 1_023, MOST] {
        assert!(matches!(Semaphore::new_in(&arena, permits), Err(Error::NoSpace { .. })));
        assert!(matches!(Semaphore::builder().permits(permits).build_in(&arena), Err(Error::NoSpace { .. })));
    }
}

#[test]
fn a_thousand_semaphores_in_an_arena_are_one_descriptor() {
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let arena = Arena::new(1_000 * 256 + 1_000 * 128 * 35).unwrap();
    let before = descriptors();
    let make = |_| (BoundedSemaphore::new_in(&arena, 2).unwrap(), Semaphore::new_in(&arena, 2).unwrap());
    let all: Vec<(BoundedSemaphore, Semaphore)> = (0..1_000).map(make).collect();
    assert!(descriptors() < before + 100, "other tests open some, too, but not a thousand");
    let _permits: Vec<_> = all.iter().map(|(one, other)| [one.acquire().unwrap(), other.acquire().unwrap()]).collect();
    let one_is_left =
        |all: Vec<(BoundedSemaphore, Semaphore)>| all.iter().all(|(one, other)| (one.value(), other.value()) == (1, 1));
    assert!(Process::spawn(one_is_left, (&all,)).unwrap().join().unwrap());
}

/// One look frees them all, whosever they were.
#[test]
fn permits_of_many_dead_processes_come_back_at_once() {
    let _watchdog = watchdog();
    let semaphore = Semaphore::new(20).unwrap();
    let stage = Stage::new();
    let hold = |semaphore: Semaphore, stage: Stage| {
        let _permits = [semaphore.acquire().unwrap(), semaphore.acquire().unwrap()];
        stage.advance();
        loop {
            thread::park();
        }
    };
    let holders: Vec<Process<()>> = (0..10).map(|_| Process::spawn(hold, (&semaphore, &stage)).unwrap()).collect();
    stage.wait_for(10);
    for holder in holders {
        holder.kill().unwrap();
        assert!(holder.join().is_err());
    }
    let permits: Vec<_> = (0..20).map(|_| semaphore.try_acquire().unwrap()).collect();
    assert_eq!((permits.len(), semaphore.value()), (20, 0));
}

#[test]
fn people_are_told_who_has_permits() {
    let name = format!("test/semaphore-{}", std::process::id());
    let semaphore = Semaphore::create(&*name, 3).unwrap();
    let _permits = [semaphore.acquire().unwrap(), semaphore.acquire().unwrap()];
    semaphore.release(1).unwrap();
    let found = inspect(&*name).unwrap();
    assert_eq!((found.kind, found.length), (Ok(Kind::Semaphore), 1_027));
    let state = |what: &str| found.state.iter().find(|(known, _)| known == what).unwrap().1.clone();
    assert_eq!(state("permits"), "2 free, 1027 at most");
    assert!(state("taken").starts_with(&format!("2 by process {}", std::process::id())));
    assert_eq!(state("acquirers"), "none waits");
    let name = name + "b";
    let bounded = BoundedSemaphore::create(&*name, 3).unwrap();
    bounded.acquire().unwrap().forget();
    assert_eq!(inspect(&*name).unwrap().state[0].1, "2 free, 3 at most");
    assert!(matches!(BoundedSemaphore::open_or_create(&*name, 4), Err(Error::Attach(AttachError::WrongShape { .. }))));
    assert_eq!(BoundedSemaphore::open_or_create(&*name, 3).unwrap().value(), 2);
    assert_eq!(Semaphore::open_or_create(&*(name + "c"), 0).unwrap().value(), 0);
}

/// Forgotten and released, permits move from word to word, and so does the room for them.
#[test]
fn permits_that_many_forget_and_release_come_out_even() {
    let _watchdog = watchdog();
    let semaphore = BoundedSemaphore::new(3).unwrap();
    let move_on = |semaphore: BoundedSemaphore| {
        for _ in 0..5_000 {
            semaphore.acquire().unwrap().forget();
            semaphore.release(1).unwrap();
        }
    };
    let processes = [(); 4].map(|()| Process::spawn(move_on, (&semaphore,)).unwrap());
    for process in processes {
        process.join().unwrap();
    }
    assert_eq!(semaphore.value(), 3);
}
