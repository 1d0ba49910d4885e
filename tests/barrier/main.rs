//! `Barrier`: within a process and across processes; CPython's behaviours.

#[path = "../common/mod.rs"]
mod common;

mod action;
mod breaks;
mod deaths;
mod handles;
mod kills;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use common::system_calls::system_calls;
use common::watchdog;
use crossproc::{Barrier, BarrierError, BarrierTurn, BrokenBy, Error, Kind, Process, RawArray, RawValue};

crossproc::test_support!();

const PARTIES: usize = 5;
const MOMENT: Duration = Duration::from_millis(20);

type Number = RawValue<AtomicU32>;

fn number() -> Number {
    RawValue::new(AtomicU32::new(0)).unwrap()
}

/// What all are told of a death.
const DIED: Result<BarrierTurn, BarrierError> = Err(BarrierError::Broken(BrokenBy::Death));

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
pub(crate) use in_all;

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
    let barrier = Barrier::new(3).unwrap();
    let [passes, leaders, actions] = [const { AtomicU64::new(0) }; 3];
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let barrier = barrier.clone();
            let (passes, leaders, actions) = (&passes, &leaders, &actions);
            scope.spawn(move || {
                for turn in 0..TURNS {
                    let passed = if turn % 2 == 0 {
                        barrier.wait()
                    } else {
                        barrier.wait_with(|| _ = actions.fetch_add(1, SeqCst))
                    };
                    // Whoever is done first ends it for those who would then be too few.
                    let Ok(passed) = passed else { break };
                    passes.fetch_add(1, SeqCst);
                    leaders.fetch_add(u64::from(passed.is_leader()), SeqCst);
                }
                barrier.abort();
            });
        }
    });
    let [passes, leaders, actions] = [passes, leaders, actions].map(AtomicU64::into_inner);
    // Whoever was done first has taken part in so many generations; each has three parties, of which one leads.
    assert!(leaders >= TURNS, "{leaders} generations");
    assert_eq!(passes, 3 * leaders, "of each generation, all have passed");
    // The last action may have been in vain.
    assert!(actions <= leaders + 1, "{actions} actions in {leaders} generations");
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
fn no_system_call_is_made_where_nobody_sleeps() {
    let barrier = Barrier::new(1).unwrap();
    let passing =
        |times: usize| system_calls(|| (0..times).all(|_| barrier.wait().is_ok() && barrier.wait_with(|| ()).is_ok()));
    assert_eq!(passing(1), passing(1_000));
}
