//! `Barrier`: within a process and across processes; CPython's behaviours.

mod common;

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::thread;
use std::time::{Duration, Instant};

use common::processes::forked;
use common::system_calls::system_calls;
use common::watchdog;
use crossproc::{
    Arena, AttachError, Barrier, BarrierError, BarrierTurn, BrokenBy, Error, Event, Kind, Process, RawArray, RawValue,
};

crossproc::test_support!();

const PARTIES: usize = 5;
const MOMENT: Duration = Duration::from_millis(20);

type Number = RawValue<AtomicU32>;

fn number() -> Number {
    RawValue::new(AtomicU32::new(0)).unwrap()
}

fn broken(by: BrokenBy) -> Result<BarrierTurn, BarrierError> {
    Err(BarrierError::Broken(by))
}

/// Looks until so many wait, or it is broken; the watchdog ends what never comes.
fn until_waiting(barrier: &Barrier, parties: usize) {
    while barrier.n_waiting() < parties && !barrier.is_broken() {
        thread::yield_now();
    }
}

/// Runs `$f` in four processes and here.
macro_rules! in_all {
    ($f:expr, ($($arg:expr),*)) => {{
        let processes = [0; PARTIES - 1].map(|_| Process::spawn($f, ($(&$arg,)*)).unwrap());
        let here = $f($($arg.clone()),*);
        let there = processes.map(|process| process.join().unwrap());
        let all: Vec<_> = there.into_iter().chain([here]).collect();
        all
    }};
}

fn pass_in_lockstep(barrier: Barrier, before: Number, behind: Number, passes: u32) {
    let parties = PARTIES as u32;
    for pass in 0..passes {
        before.fetch_add(1, SeqCst);
        assert_eq!(behind.load(SeqCst), pass * parties);
        barrier.wait().unwrap();
        behind.fetch_add(1, SeqCst);
        assert_eq!(before.load(SeqCst), (pass + 1) * parties);
        barrier.wait().unwrap();
    }
    assert!(!barrier.is_broken());
}

#[test]
fn it_is_passed_in_lockstep() {
    let _watchdog = watchdog();
    for passes in [1, 10] {
        let (barrier, before, behind) = (Barrier::new(PARTIES).unwrap(), number(), number());
        in_all!(pass_in_lockstep, (barrier, before, behind, passes));
        assert_eq!((barrier.n_waiting(), barrier.parties()), (0, PARTIES));
    }
}

#[test]
fn each_index_is_one_partys_and_one_is_the_leader() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(PARTIES).unwrap();
    let pass = |barrier: Barrier| [0; 20].map(|_| barrier.wait().map(|turn| (turn.index(), turn.is_leader())).unwrap());
    let turns = in_all!(pass, (barrier));
    for generation in 0..20 {
        let mut indices: Vec<_> = turns.iter().map(|party| party[generation]).collect();
        indices.sort_unstable();
        assert_eq!(indices, (0..PARTIES).map(|index| (index, index == 0)).collect::<Vec<_>>());
    }
}

#[test]
fn one_party_never_waits() {
    let barrier = Barrier::new(1).unwrap();
    for _ in 0..3 {
        assert_eq!(barrier.wait().unwrap().index(), 0);
        assert!(barrier.try_wait().unwrap().unwrap().is_leader());
        assert!(barrier.wait_timeout(Duration::ZERO).is_ok());
    }
}

#[test]
fn numbers_of_parties_have_bounds() {
    let most = 65_535;
    for capacity in [0, most + 1, usize::MAX] {
        let refused = Barrier::new(capacity).map(drop);
        assert_eq!(refused, Err(Error::Capacity { object: Kind::Barrier, capacity, most }));
    }
    assert_eq!(Barrier::new(most).unwrap().parties(), most);
}

#[test]
fn the_action_is_done_once_before_anybody_passes() {
    let _watchdog = watchdog();
    let (barrier, done) = (Barrier::new(PARTIES).unwrap(), number());
    let pass = |barrier: Barrier, done: Number| {
        for generation in 1..=20 {
            barrier.wait_with(|| _ = done.fetch_add(1, Relaxed)).unwrap();
            assert_eq!(done.load(Relaxed), generation);
            barrier.wait().unwrap();
        }
    };
    in_all!(pass, (barrier, done));
}

#[test]
fn an_abort_is_for_all() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(PARTIES).unwrap();
    let pass = |barrier: Barrier| {
        if barrier.wait().unwrap().index() == PARTIES / 2 {
            barrier.abort();
            true
        } else {
            barrier.wait() == broken(BrokenBy::Abort)
        }
    };
    assert_eq!(in_all!(pass, (barrier)), [true; PARTIES]);
    assert!(barrier.is_broken());
    assert_eq!(format!("{barrier:?}"), "Barrier { parties: 5, n_waiting: 0, is_broken: true }");
    assert_eq!(barrier.try_wait(), Err(BarrierError::Broken(BrokenBy::Abort)));
}

#[test]
fn a_reset_frees_who_waits() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(PARTIES).unwrap();
    let pass = |barrier: Barrier| {
        let was_freed = if barrier.wait().unwrap().index() == PARTIES / 2 {
            until_waiting(&barrier, PARTIES - 1);
            barrier.reset();
            true
        } else {
            barrier.wait() == broken(BrokenBy::Reset)
        };
        was_freed && barrier.wait().is_ok()
    };
    assert_eq!(in_all!(pass, (barrier)), [true; PARTIES]);
}

#[test]
fn what_was_aborted_can_be_reset() {
    let _watchdog = watchdog();
    let (barrier, other) = (Barrier::new(PARTIES).unwrap(), Barrier::new(PARTIES).unwrap());
    let pass = |barrier: Barrier, other: Barrier| {
        if barrier.wait().unwrap().index() == PARTIES / 2 {
            barrier.abort();
        } else {
            assert_eq!(barrier.wait(), broken(BrokenBy::Abort));
        }
        // All have left it before it is reset, and nobody comes before it is.
        if other.wait().unwrap().is_leader() {
            barrier.reset();
        }
        other.wait().unwrap();
        barrier.wait().is_ok()
    };
    assert_eq!(in_all!(pass, (barrier, other)), [true; PARTIES]);
}

#[test]
fn a_timeout_is_for_all_and_never_early() {
    let _watchdog = watchdog();
    let (barrier, late) = (Barrier::new(PARTIES).unwrap(), Event::new().unwrap());
    let pass = |barrier: Barrier, late: Event| {
        if barrier.wait().unwrap().index() == PARTIES / 2 {
            late.wait();
        }
        let told = barrier.wait_timeout(MOMENT);
        late.set();
        told == broken(BrokenBy::Timeout)
    };
    assert_eq!(in_all!(pass, (barrier, late)), [true; PARTIES]);
    for wait in [Duration::ZERO, Duration::from_micros(1), MOMENT, 4 * MOMENT] {
        barrier.reset();
        let start = Instant::now();
        assert_eq!(barrier.wait_timeout(wait), broken(BrokenBy::Timeout));
        assert!(start.elapsed() >= wait);
    }
}

#[test]
fn the_default_timeout_holds_in_all_processes() {
    let _watchdog = watchdog();
    let barrier = Barrier::builder().parties(2).timeout(MOMENT).build().unwrap();
    let wait = |barrier: Barrier| {
        let start = Instant::now();
        (barrier.wait() == broken(BrokenBy::Timeout), start.elapsed() >= MOMENT)
    };
    assert_eq!(Process::spawn(wait, (&barrier,)).unwrap().join().unwrap(), (true, true));
    assert!(wait(barrier.clone()).0, "it is broken by now");
    // More than can be said is for ever, and a wait may name another.
    let patient = Barrier::builder().parties(2).timeout(Duration::MAX).build().unwrap();
    assert_eq!(patient.wait_timeout(MOMENT), broken(BrokenBy::Timeout));
}

#[test]
fn a_thousand_generations() {
    let _watchdog = watchdog();
    let passes = if cfg!(debug_assertions) { 100 } else { 1_000 };
    let barrier = Barrier::new(PARTIES).unwrap();
    let counts = RawArray::<AtomicU32>::new(PARTIES).unwrap();
    let pass = |barrier: Barrier, counts: RawArray<AtomicU32>, me: usize, passes: u32| {
        for pass in 0..passes {
            barrier.wait().unwrap();
            counts[me].store(pass + 1, SeqCst);
            // Nobody is ahead by more than the generation that it waits in.
            assert!(counts.iter().all(|count| count.load(SeqCst).abs_diff(pass + 1) <= 1));
        }
    };
    let start = |me: usize| Process::spawn(pass, (&barrier, &counts, me, passes)).unwrap();
    let processes: Vec<_> = (0..PARTIES).map(start).collect();
    for process in processes {
        process.join().unwrap();
    }
    assert!(counts.iter().all(|count| count.load(SeqCst) == passes));
}

/// More threads than parties: who comes too late for a generation takes part in the next.
#[test]
fn more_threads_than_parties_take_turns() {
    let _watchdog = watchdog();
    const THREADS: u64 = 6;
    const TURNS: u64 = if cfg!(debug_assertions) { 200 } else { 2_000 };
    let (barrier, leaders, actions) = (Barrier::new(3).unwrap(), AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let barrier = barrier.clone();
            let (leaders, actions) = (&leaders, &actions);
            scope.spawn(move || {
                for turn in 0..TURNS {
                    let passed = if turn % 2 == 0 {
                        barrier.wait()
                    } else {
                        barrier.wait_with(|| _ = actions.fetch_add(1, SeqCst))
                    };
                    // Whoever is done first ends it for those who would then be too few.
                    let Ok(passed) = passed else { break };
                    leaders.fetch_add(u64::from(passed.is_leader()), SeqCst);
                }
                barrier.abort();
            });
        }
    });
    // The last action may have been in vain.
    assert!(leaders.load(SeqCst) > 0 && actions.load(SeqCst) <= leaders.load(SeqCst) + 1);
}

#[test]
fn a_try_arrives_only_if_all_others_have() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(3).unwrap();
    assert_eq!(barrier.try_wait(), Ok(None));
    thread::scope(|scope| {
        let first = scope.spawn(|| barrier.wait());
        until_waiting(&barrier, 1);
        assert_eq!(barrier.try_wait(), Ok(None));
        assert_eq!(barrier.try_wait_with(|| panic!("not the last")), Ok(None));
        let second = scope.spawn(|| barrier.wait());
        until_waiting(&barrier, 2);
        assert_eq!(barrier.try_wait().unwrap().map(BarrierTurn::index), Some(2));
        let mut indices = [first, second].map(|party| party.join().unwrap().unwrap().index());
        indices.sort_unstable();
        assert_eq!(indices, [0, 1]);
    });
}

#[test]
fn an_action_that_panics_breaks_it_and_goes_on_panicking() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(2).unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| barrier.wait());
        until_waiting(&barrier, 1);
        let acting = panic::catch_unwind(AssertUnwindSafe(|| {
            barrier.wait_with(|| panic::resume_unwind(Box::new("in the action")))
        }));
        assert_eq!(acting.unwrap_err().downcast_ref(), Some(&"in the action"));
        assert_eq!(waiting.join().unwrap(), broken(BrokenBy::Panic));
    });
    assert_eq!(barrier.wait(), broken(BrokenBy::Panic));
}

/// While the action runs, an abort, a reset and a timeout break the barrier, and the one that acts is told.
#[test]
fn an_action_may_be_in_vain() {
    let _watchdog = watchdog();
    for by in [BrokenBy::Abort, BrokenBy::Reset, BrokenBy::Timeout] {
        let barrier = Barrier::new(2).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| match by {
                BrokenBy::Timeout => barrier.wait_timeout(MOMENT),
                _ => barrier.wait(),
            });
            until_waiting(&barrier, 1);
            let acted = barrier.wait_with(|| {
                match by {
                    BrokenBy::Abort => barrier.abort(),
                    BrokenBy::Reset => barrier.reset(),
                    _ => {
                        while !barrier.is_broken() {
                            thread::yield_now();
                        }
                    }
                }
                // Nobody passes meanwhile.
                assert_eq!(barrier.n_waiting(), 0);
            });
            // The time may have been up before this one came.
            assert_eq!(acted, broken(by));
            assert_eq!(waiting.join().unwrap(), broken(by));
        });
    }
}

/// Whoever comes while the action of the generation before still runs waits for the next one.
#[test]
fn who_comes_during_an_action_is_of_the_next_generation() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(2).unwrap();
    let (acting, may_end) = (Event::new().unwrap(), Event::new().unwrap());
    thread::scope(|scope| {
        let first = scope.spawn(|| barrier.wait());
        until_waiting(&barrier, 1);
        let second = scope.spawn(|| {
            barrier.wait_with(|| {
                acting.set();
                may_end.wait();
            })
        });
        acting.wait();
        let third = scope.spawn(|| barrier.wait());
        assert_eq!((barrier.n_waiting(), barrier.try_wait()), (1, Ok(None)));
        may_end.set();
        let first_two = [first, second].map(|party| party.join().unwrap().unwrap().index());
        assert_eq!(first_two, [0, 1]);
        assert_eq!(barrier.wait().map(drop), Ok(()));
        assert!(third.join().unwrap().is_ok());
    });
}

#[test]
fn no_system_call_is_made_where_nobody_sleeps() {
    let barrier = Barrier::new(1).unwrap();
    let passing =
        |times: usize| system_calls(|| (0..times).all(|_| barrier.wait().is_ok() && barrier.wait_with(|| ()).is_ok()));
    assert_eq!(passing(1), passing(1_000));
}

#[test]
fn errors_say_what_has_broken_it() {
    let fail = || -> crossproc::Result<()> {
        let barrier = Barrier::new(1)?;
        barrier.abort();
        barrier.wait()?;
        Ok(())
    };
    assert_eq!(fail(), Err(Error::BrokenBarrier { by: BrokenBy::Abort }));
    assert_eq!(fail().unwrap_err().to_string(), "the barrier is broken: somebody has aborted it");
}

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
    let fd = || std::os::fd::AsFd::as_fd(&own).try_clone_to_owned().unwrap();
    let again = Barrier::from_fd(fd()).unwrap();
    assert_eq!((again.parties(), again.wait()), (2, broken(BrokenBy::Timeout)));
    assert!(own.is_broken());
    let refused = Event::from_fd(fd()).map(drop);
    let expected = AttachError::WrongKind { found: Ok(Kind::Barrier), expected: Kind::Event };
    assert_eq!(refused, Err(Error::Attach(expected)));
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
        let is_refused = passed == Err(BarrierError::Failed(Error::Held { object: Kind::Barrier }));
        // SAFETY: ends the copy at once.
        unsafe { libc::_exit(i32::from(!is_refused)) };
    }
    assert!(passed.is_ok() && !barrier.is_broken());
}
