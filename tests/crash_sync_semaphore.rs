//! SIGKILL at each crash point of a semaphore: a child dies there, and what the survivors find is what the table says.
//!
//! Only in builds with `--cfg crash_points`.

#![cfg(crash_points)]

mod common;

use common::locking::{self, Stage};
use common::processes::{dies_at, is_killed};
use common::watchdog;
use crossproc::{BoundedSemaphore, Process, Semaphore};

crossproc::test_support!();

/// One with room for three permits.
fn semaphore(permits: usize) -> Semaphore {
    Semaphore::builder().permits(permits).max(3).build().unwrap()
}

/// Every permit that there is can be had, every other one be added, and none beyond.
fn assert_all_words_are_usable(it: &Semaphore) {
    let free = it.value();
    let permits: Vec<_> = (0..free).map(|_| it.try_acquire().unwrap()).collect();
    assert!(it.try_acquire().is_err());
    it.release(3 - free).unwrap();
    assert!(it.release(1).is_err());
    drop(permits);
    assert_eq!(it.value(), 3);
}

fn acquire(it: Semaphore) {
    drop(it.acquire().unwrap());
}

fn release_two(it: Semaphore) {
    let _ = it.release(2);
}

fn look(it: Semaphore) {
    it.value();
}

fn asleep(it: &Semaphore) -> Process<()> {
    let wait = |it: Semaphore, stage: Stage| {
        stage.advance();
        acquire(it);
    };
    locking::asleep!(wait, it)
}

#[test]
fn a_permit_after_a_death_at_each_point_of_its_use() {
    let _watchdog = watchdog();
    for point in ["semaphore.taken", "semaphore.freed"] {
        for permits in 1..=3 {
            let it = semaphore(permits);
            dies_at!(point, acquire, (&it,));
            assert_eq!(it.value(), permits, "{point}");
            assert_all_words_are_usable(&it);
        }
    }
}

#[test]
fn a_forgotten_permit_after_a_death_belongs_to_nobody_and_is_room() {
    let _watchdog = watchdog();
    let it = semaphore(2);
    dies_at!("semaphore.forgotten", |it: Semaphore| it.acquire().unwrap().forget(), (&it,));
    assert_eq!(it.value(), 1);
    assert_all_words_are_usable(&it);
}

#[test]
fn a_release_after_a_death_at_each_of_its_points_has_released_some() {
    let _watchdog = watchdog();
    for (point, passes, released) in [
        ("semaphore.raised", 0, 0),
        ("semaphore.claimed", 0, 1),
        ("semaphore.claimed", 1, 2),
        ("semaphore.freed", 0, 2),
        ("semaphore.freed", 1, 2),
    ] {
        let it = semaphore(0);
        dies_at!(point, passes, release_two, (&it,));
        assert_eq!(it.value(), released, "{point} {passes}");
        assert_all_words_are_usable(&it);
    }
}

#[test]
fn a_refused_release_after_a_death_has_released_no_more_than_there_is_room_for() {
    let _watchdog = watchdog();
    for (point, value) in [("semaphore.claimed", 3), ("semaphore.forgotten", 2)] {
        let it = semaphore(2);
        dies_at!(point, release_two, (&it,));
        assert_eq!(it.value(), value, "{point}");
        assert_all_words_are_usable(&it);
    }
    let bounded = BoundedSemaphore::new(2).unwrap();
    bounded.acquire().unwrap().forget();
    let release_two = |it: BoundedSemaphore| drop(it.release(2));
    dies_at!("semaphore.claimed", release_two, (&bounded,));
    assert_eq!(bounded.value(), 2);
    assert!(bounded.release(1).is_err());
}

#[test]
fn a_permit_of_the_dead_after_the_death_of_who_freed_it() {
    let _watchdog = watchdog();
    let it = semaphore(1);
    dies_at!("semaphore.taken", acquire, (&it,));
    dies_at!("semaphore.recovered", look, (&it,));
    assert_eq!(it.value(), 1);
    dies_at!("semaphore.taken", acquire, (&it,));
    dies_at!("semaphore.recovered", acquire, (&it,));
    assert_all_words_are_usable(&it);
}

#[test]
fn a_sleeper_goes_on_after_a_death_at_each_point_of_who_should_have_woken_it() {
    let _watchdog = watchdog();
    for point in ["semaphore.freed", "event.notified"] {
        let (it, stage) = (semaphore(1), Stage::new());
        let own = |it: Semaphore, stage: Stage| {
            let permit = it.acquire().unwrap();
            stage.advance();
            stage.wait_for(2);
            drop(permit);
        };
        let owner = Process::builder().crash_at(point).spawn(own, (&it, &stage)).unwrap();
        stage.wait_for(1);
        let waiters = [asleep(&it), asleep(&it)];
        stage.advance();
        is_killed(point, owner);
        for waiter in waiters {
            waiter.join().unwrap();
        }
        assert_all_words_are_usable(&it);
    }
    for (point, passes) in
        [("semaphore.claimed", 1), ("semaphore.freed", 0), ("event.notified", 0), ("event.notified", 1)]
    {
        let (it, released) = (semaphore(0), Stage::new());
        // Each keeps its permit: given back, it would wake the other one in the releaser's place.
        let wait = |it: Semaphore, released: Stage, stage: Stage| {
            stage.advance();
            let permit = it.acquire().unwrap();
            released.wait_for(1);
            drop(permit);
        };
        let waiters = [0; 2].map(|_| locking::asleep!(wait, &it, &released));
        dies_at!(point, passes, release_two, (&it,));
        released.advance();
        for waiter in waiters {
            waiter.join().unwrap();
        }
        assert_all_words_are_usable(&it);
    }
}

#[test]
fn others_go_on_after_the_death_of_a_waiter() {
    let _watchdog = watchdog();
    let it = semaphore(1);
    let permit = it.acquire().unwrap();
    dies_at!("event.announced", acquire, (&it,));
    let waiter = asleep(&it);
    drop(permit);
    waiter.join().unwrap();
    assert_all_words_are_usable(&it);
}
