//! What holds for both kinds.

/// The tests of both kinds; `$make` makes one with so many permits.
macro_rules! semaphore_tests {
    ($tests:ident, $type:ty, $make:expr) => {
        mod $tests {
            use std::panic::{self, AssertUnwindSafe};
            use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
            use std::thread;
            use std::time::{Duration, Instant};

            use crossproc::{Error, Exit, Process, ProcessError, RawValue, TryAcquireError};

            use crate::common::locking::{Stage, asleep, wait_for_state};
            use crate::common::processes::{forked, signal};
            use crate::common::system_calls::system_calls;
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

            /// Takes a permit, for which it has to wait.
            fn wait(it: $type, stage: Stage) {
                stage.advance();
                drop(it.acquire().unwrap());
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
                    assert!(matches!(it.try_acquire(), Err(TryAcquireError::NoPermit)));
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
                let waiters = [(); 3].map(|()| asleep!(wait, &it));
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
                let [killed, second, third] = [(); 3].map(|()| asleep!(wait, &it));
                killed.kill().unwrap();
                drop(permit);
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
                assert!(matches!(it.acquire_timeout(MOMENT * 4), Err(TryAcquireError::NoPermit)));
                assert_eq!(it.value(), 0);
                owner.kill().unwrap();
                assert!(it.acquire().is_ok());
            }

            #[test]
            fn try_acquire_does_not_wait_and_a_timeout_is_never_early() {
                let _watchdog = watchdog();
                let it = make(2);
                let _permits = [it.acquire().unwrap(), it.acquire().unwrap()];
                assert!(matches!(it.try_acquire(), Err(TryAcquireError::NoPermit)));
                for wait in [Duration::ZERO, Duration::from_micros(1), MOMENT, MOMENT * 4] {
                    let start = Instant::now();
                    assert!(matches!(it.acquire_timeout(wait), Err(TryAcquireError::NoPermit)));
                    assert!(start.elapsed() >= wait);
                }
            }

            #[test]
            fn a_panic_releases() {
                let _watchdog = watchdog();
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
                let _watchdog = watchdog();
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
                let waiter = asleep!(wait, &it);
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
                let wait = |it: $type, inside: Stage, stage: Stage| {
                    stage.advance();
                    let _permit = it.acquire().unwrap();
                    inside.advance();
                    inside.wait_for(5);
                };
                let inside = Stage::new();
                let waiters = [(); 5].map(|()| asleep!(wait, &it, &inside));
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

pub(crate) use semaphore_tests;
