//! What holds for everything that has a lock: `Lock`, `RLock`, `Value`, `Array`, the writers of an `RwLock`.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;

use crossproc::{Error, RawValue};

/// A number that two processes count up to tell each other how far they are.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Stage(RawValue<AtomicU32>);

impl Stage {
    pub(crate) fn new() -> Self {
        Stage(RawValue::new(AtomicU32::new(0)).unwrap())
    }

    pub(crate) fn advance(&self) {
        self.0.fetch_add(1, SeqCst);
    }

    pub(crate) fn has_reached(&self, stage: u32) -> bool {
        self.0.load(SeqCst) >= stage
    }

    /// Looks at the number until it is there; the test's watchdog ends what never comes.
    pub(crate) fn wait_for(&self, stage: u32) {
        while !self.has_reached(stage) {
            thread::yield_now();
        }
    }
}

/// The state of a process as the kernel names it in /proc: `S` asleep, `T` stopped, `Z` a zombie ...
pub(crate) fn state_of(pid: u32) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().and_then(|rest| rest.chars().next()).unwrap_or('?')
}

/// Looks at a process until the kernel says it is in this state.
pub(crate) fn wait_for_state(pid: u32, state: char) {
    while state_of(pid) != state {
        thread::yield_now();
    }
}

/// Until the main thread of a process that waits has looked for the dead, from now on: it sleeps between two looks, and the
/// first sleep to be counted may follow on a look from before.
pub(crate) fn wait_for_a_look(pid: u32) {
    let sleeps = || -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
        count.trim().parse().unwrap()
    };
    let before = sleeps();
    while sleeps() < before + 3 {
        thread::yield_now();
    }
}

/// What the next owner is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Told {
    Nothing,
    OwnerDied,
}

/// `locked`: what `lock`, `try_lock`, `read` ... gave after a death. The lock can be had, whatever the dead one was about.
pub(crate) fn told<G>(locked: Result<G, impl Into<Error>>) -> Told {
    match locked.map_err(Into::into) {
        Ok(_) => Told::Nothing,
        Err(Error::OwnerDied { .. }) => Told::OwnerDied,
        Err(other) => panic!("{other}"),
    }
}

/// Runs `$f` with `$arg`s and a `Stage`, which it advances when it is about to wait, in a process; and this process, when the
/// kernel has found it asleep there.
macro_rules! asleep {
    ($f:expr, $($arg:expr),+) => {{
        let stage = $crate::common::locking::Stage::new();
        let process = crossproc::Process::spawn($f, ($($arg,)+ &stage)).unwrap();
        stage.wait_for(1);
        $crate::common::locking::wait_for_state(process.pid(), 'S');
        process
    }};
}
pub(crate) use asleep;

/// The tests of a type with `lock`, `try_lock` and `lock_timeout`; `$make` makes one. `$relocking`: what is to be seen when the
/// owner locks again, if that is not an error.
macro_rules! locking_tests {
    ($type:ty, $make:expr) => {
        locking_tests!($type, $make, {
            #[test]
            fn relocking_is_an_error() {
                let _watchdog = watchdog();
                let it = $make;
                let guard = it.lock().unwrap();
                assert!(matches!(it.lock(), Err(LockError::AlreadyHeld)));
                assert!(matches!(it.clone().try_lock(), Err(TryLockError::AlreadyHeld)));
                assert!(matches!(it.lock_timeout(MOMENT), Err(TryLockError::AlreadyHeld)));
                drop(guard);
                assert!(it.lock().is_ok());
            }
        });
    };
    ($type:ty, $make:expr, { $($relocking:item)* }) => {
        mod locking {
            use std::panic::{self, AssertUnwindSafe};
            use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
            use std::thread;
            use std::time::{Duration, Instant};

            use crossproc::{Exit, LockError, Process, ProcessError, RawValue, TryLockError};

            use crate::common::locking::{Stage, asleep, wait_for_state};
            use crate::common::processes::{forked, signal};
            use crate::common::watchdog;

            #[allow(unused_imports, reason = "what the type's own file has in scope")]
            use super::*;

            const MOMENT: Duration = Duration::from_millis(20);

            fn hold_for_ever(it: $type, stage: Stage) {
                let _guard = it.lock();
                stage.advance();
                loop {
                    thread::park();
                }
            }

            /// One whose owner has been killed.
            fn abandoned() -> $type {
                let (it, stage) = ($make, Stage::new());
                let owner = Process::spawn(hold_for_ever, (&it, &stage)).unwrap();
                stage.wait_for(1);
                owner.kill().unwrap();
                assert!(matches!(owner.join(), Err(ProcessError::Ended { exit: Exit::Signal(libc::SIGKILL), .. })));
                it
            }

            /// Adds in two steps, so that a lost exclusion is a lost addition.
            fn add(it: $type, total: RawValue<AtomicU64>, times: u64) {
                for _ in 0..times {
                    let guard = it.lock().unwrap();
                    total.store(total.load(Relaxed) + 1, Relaxed);
                    drop(guard);
                }
            }

            #[test]
            fn threads_take_turns() {
                let _watchdog = watchdog();
                let (it, total) = ($make, RawValue::new(AtomicU64::new(0)).unwrap());
                thread::scope(|scope| {
                    for _ in 0..4 {
                        scope.spawn(|| add(it.clone(), total.clone(), 5_000));
                    }
                });
                assert_eq!(total.load(Relaxed), 20_000);
            }

            #[test]
            fn processes_take_turns() {
                let _watchdog = watchdog();
                let (it, total) = ($make, RawValue::new(AtomicU64::new(0)).unwrap());
                let start = || Process::spawn(add, (&it, &total, 5_000)).unwrap();
                let processes: Vec<_> = (0..4).map(|_| start()).collect();
                for process in processes {
                    process.join().unwrap();
                }
                assert_eq!(total.load(Relaxed), 20_000);
            }

            #[test]
            fn next_owner_learns_of_a_death() {
                let _watchdog = watchdog();
                assert!(matches!(abandoned().lock(), Err(LockError::OwnerDied(_))));
                assert!(matches!(abandoned().try_lock(), Err(TryLockError::OwnerDied(_))));
                assert!(matches!(abandoned().lock_timeout(Duration::ZERO), Err(TryLockError::OwnerDied(_))));
            }

            #[test]
            fn every_next_owner_learns_until_one_repairs() {
                let _watchdog = watchdog();
                let it = abandoned();
                for _ in 0..3 {
                    assert!(matches!(it.lock(), Err(LockError::OwnerDied(_))));
                }
                let other = it.clone();
                let elsewhere =
                    Process::spawn(|it: $type| matches!(it.lock(), Err(LockError::OwnerDied(_))), (&other,));
                assert!(elsewhere.unwrap().join().unwrap());
                drop(it.lock().or_else(LockError::repair).unwrap());
                assert!(it.lock().is_ok());
            }

            #[test]
            fn a_sleeping_waiter_learns_of_a_death() {
                let _watchdog = watchdog();
                let (it, stage) = ($make, Stage::new());
                let owner = Process::spawn(hold_for_ever, (&it, &stage)).unwrap();
                stage.wait_for(1);
                let wait = |it: $type, stage: Stage| {
                    stage.advance();
                    matches!(it.lock(), Err(LockError::OwnerDied(_)))
                };
                let waiter = asleep!(wait, &it);
                owner.kill().unwrap();
                assert!(waiter.join().unwrap());
            }

            #[test]
            fn a_killed_waiter_swallows_no_wake_up() {
                let _watchdog = watchdog();
                let it = $make;
                let guard = it.lock().unwrap();
                let wait = |it: $type, stage: Stage| {
                    stage.advance();
                    drop(it.lock().unwrap());
                };
                let [killed, second, third] = [0; 3].map(|_| asleep!(wait, &it));
                killed.kill().unwrap();
                drop(guard);
                assert!(killed.join().is_err());
                second.join().unwrap();
                third.join().unwrap();
            }

            #[test]
            fn a_stopped_owner_is_waited_for() {
                let _watchdog = watchdog();
                let (it, stage) = ($make, Stage::new());
                let pause = |it: $type, stage: Stage| {
                    let guard = it.lock().unwrap();
                    stage.advance();
                    stage.wait_for(2);
                    drop(guard);
                };
                let owner = Process::spawn(pause, (&it, &stage)).unwrap();
                stage.wait_for(1);
                signal(owner.pid(), libc::SIGSTOP);
                wait_for_state(owner.pid(), 'T');
                stage.advance();
                assert!(matches!(it.lock_timeout(MOMENT * 4), Err(TryLockError::Held)));
                signal(owner.pid(), libc::SIGCONT);
                assert!(it.lock().is_ok());
                owner.join().unwrap();
            }

            $($relocking)*

            #[test]
            fn try_lock_does_not_wait_and_a_timeout_is_never_early() {
                let _watchdog = watchdog();
                let it = $make;
                let _guard = it.lock().unwrap();
                thread::scope(|scope| {
                    scope.spawn(|| {
                        assert!(matches!(it.try_lock(), Err(TryLockError::Held)));
                        for wait in [Duration::ZERO, Duration::from_micros(1), MOMENT, MOMENT * 4] {
                            let start = Instant::now();
                            assert!(matches!(it.lock_timeout(wait), Err(TryLockError::Held)));
                            assert!(start.elapsed() >= wait);
                        }
                    });
                });
            }

            #[test]
            fn a_panic_releases() {
                let _watchdog = watchdog();
                let it = $make;
                let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
                    let _guard = it.lock().unwrap();
                    panic::resume_unwind(Box::new("while the guard lives"));
                }));
                assert!(panicked.is_err());
                assert!(it.lock().is_ok());
            }

            #[test]
            fn a_forgotten_guard_is_found_when_its_process_detaches() {
                let _watchdog = watchdog();
                let it = $make;
                let forget = |it: $type| std::mem::forget(it.lock());
                Process::spawn(forget, (&it,)).unwrap().join().unwrap();
                assert!(matches!(it.lock(), Err(LockError::OwnerDied(_))));
            }

            #[test]
            fn a_handle_can_be_passed_on() {
                let _watchdog = watchdog();
                let it = $make;
                let pass_on = |it: $type| {
                    let hold = |it: $type| it.try_lock().is_ok();
                    let free = Process::spawn(hold, (&it,)).unwrap().join().unwrap();
                    let _guard = it.lock().unwrap();
                    free && !Process::spawn(hold, (&it,)).unwrap().join().unwrap()
                };
                assert!(Process::spawn(pass_on, (&it,)).unwrap().join().unwrap());
            }

            #[test]
            fn a_forked_copy_holds_nothing_and_is_a_peer_of_its_own() {
                let _watchdog = watchdog();
                let it = $make;
                let mut guard = Some(it.lock().unwrap());
                assert!(forked(|| {
                    drop(guard.take()); // a copy: nothing happens
                    matches!(it.try_lock(), Err(TryLockError::Held))
                }));
                drop(guard);
                assert!(forked(|| {
                    std::mem::forget(it.lock());
                    true
                }));
                assert!(matches!(it.lock(), Err(LockError::OwnerDied(_))));
            }
        }
    };
}

pub(crate) use locking_tests;
