//! `Semaphore` and `BoundedSemaphore`: within a process, across processes, after a death.

mod common;

use std::env;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, SystemTime};

use common::locking::Stage;
use common::system_calls::system_calls;
use common::watchdog;
use crossproc::{
    Arena, AttachError, BoundedSemaphore, Error, Kind, Permit, Process, RawArray, RawValue, Semaphore, inspect,
};
use serde::{Deserialize, Serialize};

crossproc::test_support!();

/// The tests of both kinds; `$make` makes one with so many permits.
macro_rules! semaphore_tests {
    ($tests:ident, $type:ty, $make:expr) => {
        mod $tests {
            use std::panic::{self, AssertUnwindSafe};
            use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
            use std::thread;
            use std::time::{Duration, Instant};

            use crossproc::{Error, Exit, Process, ProcessError, RawValue};

            use crate::common::locking::{Stage, wait_for_state};
            use crate::common::processes::{forked, signal};
            use crate::common::watchdog;

            #[allow(unused_imports, reason = "what the file has in scope")]
            use super::*;

            const MOMENT: Duration = Duration::from_millis(20);

            fn make(permits: usize) -> $type {
                $make(permits).unwrap()
            }

            /// Takes so many permits and waits for its end.
            fn hold_for_ever(it: $type, permits: usize, stage: Stage) {
                let _permits: Vec<_> = (0..permits).map(|_| it.acquire().unwrap()).collect();
                stage.advance();
                loop {
                    thread::park();
                }
            }

            /// One that has so many permits, all of which were taken by a process that has been killed.
            fn abandoned(permits: usize) -> $type {
                let (it, stage) = (make(permits), Stage::new());
                let owner = Process::spawn(hold_for_ever, (&it, permits, &stage)).unwrap();
                stage.wait_for(1);
                assert_eq!(it.value(), 0);
                owner.kill().unwrap();
                assert!(matches!(owner.join(), Err(ProcessError::Ended { exit: Exit::Signal(libc::SIGKILL), .. })));
                it
            }

            /// Goes in and out; nobody finds more inside than there are permits.
            fn come_and_go(it: $type, inside: RawValue<AtomicU32>, permits: u32, times: u64) {
                for _ in 0..times {
                    let permit = it.acquire().unwrap();
                    let before = inside.fetch_add(1, SeqCst);
                    assert!(before < permits, "{before} were inside already");
                    inside.fetch_sub(1, SeqCst);
                    drop(permit);
                }
            }

            #[test]
            fn threads_take_turns() {
                let _watchdog = watchdog();
                for permits in [1, 2] {
                    let (it, inside) = (make(permits), RawValue::new(AtomicU32::new(0)).unwrap());
                    thread::scope(|scope| {
                        for _ in 0..4 {
                            scope.spawn(|| come_and_go(it.clone(), inside.clone(), permits as u32, 5_000));
                        }
                    });
                    assert_eq!(it.value(), permits);
                }
            }

            #[test]
            fn processes_take_turns() {
                let _watchdog = watchdog();
                for permits in [1, 2] {
                    let (it, inside) = (make(permits), RawValue::new(AtomicU32::new(0)).unwrap());
                    let start =
                        || Process::spawn(come_and_go, (&it, &inside, permits as u32, 5_000)).unwrap();
                    let processes: Vec<_> = (0..4).map(|_| start()).collect();
                    for process in processes {
                        process.join().unwrap();
                    }
                    assert_eq!(it.value(), permits);
                }
            }

            #[test]
            fn permits_of_the_dead_come_back() {
                let _watchdog = watchdog();
                for permits in [1, 3] {
                    assert_eq!(abandoned(permits).value(), permits);
                    let (it, mut got) = (abandoned(permits), Vec::new());
                    got.extend((0..permits).map(|_| it.try_acquire().unwrap()));
                    assert!(matches!(it.try_acquire(), Err(Error::Held { .. })));
                    assert!(abandoned(permits).acquire().is_ok());
                    assert!(abandoned(permits).acquire_timeout(Duration::ZERO).is_ok());
                }
            }

            #[test]
            fn a_sleeping_waiter_learns_of_a_death() {
                let _watchdog = watchdog();
                let (it, stage) = (make(2), Stage::new());
                let owner = Process::spawn(hold_for_ever, (&it, 2, &stage)).unwrap();
                stage.wait_for(1);
                let wait = |it: $type| drop(it.acquire().unwrap());
                let waiters = [(); 3].map(|()| Process::spawn(wait, (&it,)).unwrap());
                for waiter in &waiters {
                    wait_for_state(waiter.pid(), 'S');
                }
                owner.kill().unwrap();
                for waiter in waiters {
                    waiter.join().unwrap();
                }
                assert_eq!(it.value(), 2);
            }

            #[test]
            fn a_killed_waiter_swallows_no_wake_up() {
                let _watchdog = watchdog();
                let it = make(1);
                let permit = it.acquire().unwrap();
                let wait = |it: $type| drop(it.acquire().unwrap());
                let waiters = [(); 3].map(|()| Process::spawn(wait, (&it,)).unwrap());
                for waiter in &waiters {
                    wait_for_state(waiter.pid(), 'S');
                }
                waiters[0].kill().unwrap();
                drop(permit);
                let [killed, second, third] = waiters;
                assert!(killed.join().is_err());
                second.join().unwrap();
                third.join().unwrap();
            }

            #[test]
            fn a_stopped_owner_is_waited_for() {
                let _watchdog = watchdog();
                let (it, stage) = (make(1), Stage::new());
                let owner = Process::spawn(hold_for_ever, (&it, 1, &stage)).unwrap();
                stage.wait_for(1);
                signal(owner.pid(), libc::SIGSTOP);
                wait_for_state(owner.pid(), 'T');
                assert!(matches!(it.acquire_timeout(MOMENT * 4), Err(Error::Held { .. })));
                assert_eq!(it.value(), 0);
                owner.kill().unwrap();
                assert!(it.acquire().is_ok());
            }

            #[test]
            fn try_acquire_does_not_wait_and_a_timeout_is_never_early() {
                let _watchdog = watchdog();
                let it = make(2);
                let _permits = [it.acquire().unwrap(), it.acquire().unwrap()];
                assert!(matches!(it.try_acquire(), Err(Error::Held { .. })));
                for wait in [Duration::ZERO, Duration::from_micros(1), MOMENT, MOMENT * 4] {
                    let start = Instant::now();
                    assert!(matches!(it.acquire_timeout(wait), Err(Error::Held { .. })));
                    assert!(start.elapsed() >= wait);
                }
            }

            #[test]
            fn a_panic_releases() {
                let it = make(1);
                let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
                    let _permit = it.acquire().unwrap();
                    panic::resume_unwind(Box::new("while the permit lives"));
                }));
                assert!(panicked.is_err());
                assert_eq!(it.value(), 1);
            }

            #[test]
            fn a_leaked_permit_comes_back_when_its_process_detaches() {
                let _watchdog = watchdog();
                let it = make(1);
                let leak = |it: $type| std::mem::forget(it.acquire());
                Process::spawn(leak, (&it,)).unwrap().join().unwrap();
                assert!(it.acquire().is_ok());
            }

            #[test]
            fn a_handle_can_be_passed_on() {
                let _watchdog = watchdog();
                let it = make(1);
                let pass_on = |it: $type| {
                    let take = |it: $type| it.try_acquire().is_ok();
                    let free = Process::spawn(take, (&it,)).unwrap().join().unwrap();
                    let _permit = it.acquire().unwrap();
                    free && !Process::spawn(take, (&it,)).unwrap().join().unwrap()
                };
                assert!(Process::spawn(pass_on, (&it,)).unwrap().join().unwrap());
            }

            #[test]
            fn a_permit_may_be_dropped_by_another_thread() {
                let it = make(1);
                let permit = it.acquire().unwrap();
                thread::scope(|scope| scope.spawn(move || drop(permit)).join().unwrap());
                assert_eq!(it.value(), 1);
            }

            #[test]
            fn a_forgotten_permit_is_given_back_by_whoever_releases() {
                let _watchdog = watchdog();
                let it = make(1);
                let forget = |it: $type| it.acquire().unwrap().forget();
                Process::spawn(forget, (&it,)).unwrap().join().unwrap();
                assert_eq!(it.value(), 0);
                let wait = |it: $type| drop(it.acquire().unwrap());
                let waiter = Process::spawn(wait, (&it,)).unwrap();
                wait_for_state(waiter.pid(), 'S');
                Process::spawn(|it: $type| it.release(1).unwrap(), (&it,)).unwrap().join().unwrap();
                waiter.join().unwrap();
                assert_eq!(it.value(), 1);
            }

            #[test]
            fn a_release_wakes_as_many_as_can_go_on() {
                let _watchdog = watchdog();
                let it = make(5);
                (0..5).for_each(|_| it.acquire().unwrap().forget());
                // Each keeps its permit until all have one.
                let wait = |it: $type, inside: Stage| {
                    let _permit = it.acquire().unwrap();
                    inside.advance();
                    inside.wait_for(5);
                };
                let inside = Stage::new();
                let waiters = [(); 5].map(|()| Process::spawn(wait, (&it, &inside)).unwrap());
                for waiter in &waiters {
                    wait_for_state(waiter.pid(), 'S');
                }
                it.release(5).unwrap();
                for waiter in waiters {
                    waiter.join().unwrap();
                }
                assert_eq!(it.value(), 5);
            }

            #[test]
            fn a_release_for_which_there_is_no_room_changes_nothing() {
                let it = make(3);
                it.acquire().unwrap().forget();
                let _permit = it.acquire().unwrap();
                let room = it.capacity() - 2;
                for permits in [room + 1, room + 2, usize::MAX] {
                    let refused = it.release(permits).unwrap_err();
                    assert!(matches!(refused, Error::TooManyPermits { permits: p, room: r, .. } if (p, r) == (permits, room)));
                    assert_eq!(it.value(), 1);
                }
                it.release(0).unwrap();
                assert_eq!(it.value(), 1);
                it.release(room).unwrap();
                assert_eq!(it.value(), 1 + room);
                assert!(it.release(1).is_err());
            }

            #[test]
            fn a_forked_copy_has_no_permit_and_is_a_peer_of_its_own() {
                let _watchdog = watchdog();
                let it = make(1);
                let (permit, other) = (it.acquire().unwrap(), make(1));
                let mut permits = [Some(permit), Some(other.acquire().unwrap())];
                let held_by_the_parent = forked(|| {
                    let [permit, again] = permits.each_mut().map(|permit| permit.take().unwrap());
                    drop(permit); // copies: nothing happens
                    again.forget();
                    it.try_acquire().is_err() && other.try_acquire().is_err() && other.release(other.capacity()).is_err()
                });
                assert!(held_by_the_parent, "the copy gave its parent's permit back");
                drop(permits);
                assert!(forked(|| {
                    std::mem::forget(it.acquire()); // dies with the permit in hand
                    it.try_acquire().is_err()
                }));
                assert!(it.acquire().is_ok());
            }

            #[test]
            fn uncontended_it_makes_no_system_call() {
                let it = make(2);
                let turns = |count: usize| {
                    let it = it.clone();
                    system_calls(move || {
                        (0..count).all(|_| {
                            let freed = it.acquire().map(drop).is_ok();
                            it.try_acquire().unwrap().forget();
                            freed && it.release(1).is_ok()
                        })
                    })
                };
                assert_eq!(turns(1), turns(100));
            }
        }
    };
}

semaphore_tests!(semaphore, Semaphore, Semaphore::new);
semaphore_tests!(bounded, BoundedSemaphore, BoundedSemaphore::new);

#[test]
fn permits_can_be_added_up_to_the_limit() {
    let semaphore = Semaphore::new(0).unwrap();
    semaphore.release(1_000).unwrap();
    semaphore.release(24).unwrap();
    assert_eq!((semaphore.value(), semaphore.capacity()), (1_024, 1_024));
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
    for permits in [MOST - 1_023, usize::MAX] {
        assert!(matches!(Semaphore::new(permits), Err(Error::Capacity { .. })));
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

/// Whoever waits for the last of the permits of a dead process, while others wait, too, is not the last to learn of it.
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

/// What contenders for permits write down.
#[derive(Clone, Serialize, Deserialize)]
struct Room {
    semaphore: Semaphore,
    /// One for each contender that has been: how often it has gone in and out. Odd: it is inside.
    steps: RawArray<AtomicU64>,
    /// One for each contender: it is about to be killed.
    doomed: RawArray<AtomicU32>,
    entries: RawValue<AtomicU64>,
    violations: RawValue<AtomicU64>,
    stop: RawValue<AtomicU32>,
}

const PERMITS: usize = 3;
const CONTENDERS: usize = 8;

impl Room {
    /// How many were inside at one instant and are not doomed: the steps were the same before and after it.
    fn inside(&self) -> Option<usize> {
        let steps = || self.steps.iter().map(|steps| steps.load(SeqCst)).collect::<Vec<_>>();
        let before = steps();
        if steps() != before {
            return None;
        }
        let counts = |contender: &usize| before[*contender] % 2 == 1 && self.doomed[*contender].load(SeqCst) == 0;
        Some((0..before.len()).filter(counts).count())
    }

    fn go_in(&self, turn: u64) -> Option<Permit<'_>> {
        match turn % 3 {
            0 => Some(self.semaphore.acquire().unwrap()),
            1 => self.semaphore.acquire_timeout(Duration::from_millis(1)).ok(),
            _ => self.semaphore.try_acquire().ok(),
        }
    }
}

fn contend(room: Room, me: usize) {
    let mut turn = 0;
    while room.stop.load(SeqCst) == 0 {
        turn += 1;
        let Some(permit) = room.go_in(turn) else {
            thread::yield_now();
            continue;
        };
        room.steps[me].fetch_add(1, SeqCst);
        if room.inside().is_some_and(|inside| inside > PERMITS) {
            room.violations.fetch_add(1, SeqCst);
        }
        room.entries.fetch_add(1, SeqCst);
        room.steps[me].fetch_add(1, SeqCst);
        drop(permit);
    }
}

/// `KILL_ROUNDS` says how many kills, `KILL_SEED` which: the seed that it prints replays its schedule.
#[test]
fn eight_contenders_for_three_permits_are_killed_at_random() {
    let _watchdog = watchdog();
    let rounds: usize = env::var("KILL_ROUNDS").map_or(100, |rounds| rounds.parse().unwrap());
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos();
    let mut seed: u32 = env::var("KILL_SEED").map_or_else(|_| now(), |seed| seed.parse().unwrap());
    println!("KILL_SEED={seed}");
    let mut random = |below: u32| {
        seed = seed.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        (seed >> 16) % below
    };
    let number = || RawValue::new(AtomicU64::new(0)).unwrap();
    let room = Room {
        semaphore: Semaphore::new(PERMITS).unwrap(),
        steps: RawArray::new(CONTENDERS + rounds).unwrap(),
        doomed: RawArray::new(CONTENDERS + rounds).unwrap(),
        entries: number(),
        violations: number(),
        stop: RawValue::new(AtomicU32::new(0)).unwrap(),
    };
    let start = |me| (me, Process::builder().daemon(true).spawn(contend, (&room, me)).unwrap());
    let mut contenders: Vec<_> = (0..CONTENDERS).map(start).collect();
    for round in 0..rounds {
        let before = room.entries.load(SeqCst);
        let entries = u64::from(random(200)) + 1;
        while room.entries.load(SeqCst) < before + entries {
            thread::yield_now();
        }
        let (me, victim) = contenders.swap_remove(random(CONTENDERS as u32) as usize);
        room.doomed[me].store(1, SeqCst);
        victim.kill().unwrap();
        assert!(victim.join().is_err());
        contenders.push(start(CONTENDERS + round));
    }
    room.stop.store(1, SeqCst);
    let killed_inside = room.steps.iter().zip(room.doomed.iter());
    let killed_inside = killed_inside.filter(|(steps, doomed)| steps.load(SeqCst) % 2 == 1 && doomed.load(SeqCst) == 1);
    println!("{} entries, {} killed inside", room.entries.load(SeqCst), killed_inside.count());
    for (_, contender) in contenders {
        contender.join().unwrap();
    }
    assert_eq!(room.violations.load(SeqCst), 0, "more were inside than there are permits");
    assert_eq!(room.semaphore.value(), PERMITS, "all are back");
}

/// Forgotten and released, permits move from word to word, and so does the room for them. There is always some for who has
/// forgotten one.
#[test]
fn a_release_that_is_due_is_never_refused() {
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
