//! Barriers, while nobody dies.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use crossproc::managed::{Barrier, List};
use crossproc::{BarrierError, BrokenBy, Error, Manager, Process};

use crate::on_each_engine;

on_each_engine!(
    all_pass_a_barrier_and_one_leads,
    a_barrier_is_broken_by_a_timeout,
    a_barrier_is_tried,
    the_last_at_a_barrier_acts,
    an_action_that_panics_breaks_a_barrier,
);

const SHORT: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(60);

fn all_pass_a_barrier_and_one_leads(manager: &Manager) {
    fn meet(barrier: Barrier) -> [usize; 2] {
        [(); 2].map(|()| {
            let turn = barrier.wait().unwrap();
            assert_eq!(turn.is_leader(), turn.index() == 0);
            turn.index()
        })
    }
    let barrier = manager.barrier(3).unwrap();
    let others = [(); 2].map(|()| Process::spawn(meet, (&barrier,)).unwrap());
    let mut turns = vec![meet(barrier.clone())];
    turns.extend(others.map(|other| other.join().unwrap()));
    for round in 0..2 {
        let mut indices = Vec::from_iter(turns.iter().map(|turn| turn[round]));
        indices.sort_unstable();
        assert_eq!(indices, [0, 1, 2]);
    }
    assert!(matches!(manager.barrier(0), Err(Error::Capacity { .. })));
}

fn a_barrier_is_broken_by_a_timeout(manager: &Manager) {
    let barrier = manager.barrier(2).unwrap();
    assert_eq!(barrier.wait_timeout(SHORT).unwrap_err(), BarrierError::Broken(BrokenBy::Timeout));
    assert_eq!((barrier.is_broken(), barrier.n_waiting(), barrier.parties()), (Ok(true), Ok(0), 2));
    barrier.reset().unwrap();
    assert_eq!(barrier.is_broken(), Ok(false));
    barrier.abort().unwrap();
    assert_eq!(barrier.wait().unwrap_err(), BarrierError::Broken(BrokenBy::Abort));
}

fn a_barrier_is_tried(manager: &Manager) {
    fn meet(barrier: Barrier) -> usize {
        barrier.wait().unwrap().index()
    }
    let barrier = manager.barrier(2).unwrap();
    assert_eq!((barrier.try_wait(), barrier.n_waiting()), (Ok(None), Ok(0)));
    let other = Process::spawn(meet, (&barrier,)).unwrap();
    let start = Instant::now();
    let turn = loop {
        if let Some(turn) = barrier.try_wait().unwrap() {
            break turn;
        }
        assert!(start.elapsed() < LONG, "nobody comes");
    };
    assert_eq!((turn.index(), other.join().unwrap()), (1, 0));
    let mut has_acted = false;
    assert_eq!(barrier.try_wait_with(|| has_acted = true), Ok(None));
    assert!(!has_acted);
}

/// What it has done is seen by all who pass.
fn the_last_at_a_barrier_acts(manager: &Manager) {
    fn meet(barrier: Barrier, rounds: List<u32>) -> [usize; 3] {
        [1, 2, 3].map(|round| {
            let act = || rounds.push(round).unwrap();
            let turn = barrier.wait_with_timeout(LONG, act).unwrap();
            assert_eq!(rounds.to_vec().unwrap(), Vec::from_iter(1..=round));
            barrier.wait().unwrap(); // nobody begins the next round before all have looked
            turn.index()
        })
    }
    let (barrier, rounds) = (manager.barrier(3).unwrap(), manager.list([]).unwrap());
    let others = [(); 2].map(|()| Process::spawn(meet, (&barrier, &rounds)).unwrap());
    let mut turns = vec![meet(barrier.clone(), rounds.clone())];
    turns.extend(others.map(|other| other.join().unwrap()));
    for round in 0..3 {
        let mut indices = Vec::from_iter(turns.iter().map(|turn| turn[round]));
        indices.sort_unstable();
        assert_eq!(indices, [0, 1, 2]);
    }
    let alone = manager.barrier(1).unwrap();
    let mut times = 0;
    assert_eq!(alone.wait_with(|| times += 1).map(|turn| turn.is_leader()), Ok(true));
    assert!(alone.try_wait_with(|| times += 1).unwrap().is_some());
    assert_eq!(times, 2);
}

fn an_action_that_panics_breaks_a_barrier(manager: &Manager) {
    let barrier = manager.barrier(1).unwrap();
    let acted = catch_unwind(AssertUnwindSafe(|| barrier.wait_with(|| resume_unwind(Box::new("it fails")))));
    assert_eq!(acted.unwrap_err().downcast_ref(), Some(&"it fails"));
    assert_eq!(barrier.wait(), Err(BarrierError::Broken(BrokenBy::Panic)));
    barrier.reset().unwrap();
    let mut result = Ok(());
    let acted = barrier.wait_with(|| result = barrier.abort());
    assert_eq!((result, acted), (Ok(()), Err(BarrierError::Broken(BrokenBy::Abort))));
}
