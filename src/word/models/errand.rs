use std::sync::Arc;

use loom::cell::Cell;
use loom::thread;

use super::{deaths, every_mutant_fails, explore, explore_deaths, victim};
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::word::errand;

/// A task whose message two workers have, as one of them was taken for dead, or is.
struct Task {
    word: AtomicU64,
    /// When it was started.
    time: AtomicU64,
    /// Loom fails an execution in which two are at it.
    work: Cell<u32>,
    /// Bits of those whose results are in their channels.
    sent: AtomicU64,
}

const TASK: u64 = 7;

impl Task {
    fn new() -> Arc<Self> {
        #[expect(
            clippy::arc_with_non_send_sync,
            reason = "loom runs all threads of a model on one, and checks the rest"
        )]
        let task = Arc::new(Task {
            word: AtomicU64::new(0),
            time: AtomicU64::new(0),
            work: Cell::new(0),
            sent: AtomicU64::new(0),
        });
        errand::queue(&task.word, TASK);
        task
    }

    /// Whether it has started the task, and whether it may go on.
    fn run(&self, generation: u64, worker: u32) -> (bool, bool) {
        self.time.store(1, Relaxed);
        if !errand::start(&self.word, generation, worker) {
            return (false, true);
        }
        self.work.set(self.work.get() + 1);
        self.sent.fetch_add(1 << worker, Release); // to `has_sent`
        (true, errand::end(&self.word, generation, worker))
    }

    fn has_sent(&self, worker: u32) -> bool {
        self.sent.load(Acquire) & 1 << worker != 0
    }

    /// The keeper's judgement of a dead worker: whether the task was lost with it.
    fn is_lost_with(&self, generation: u64, worker: u32) -> bool {
        !self.has_sent(worker) && errand::starter(&self.word, generation) == Some(worker)
    }

    /// Whether the word says of a worker that it has ended the task: it has sent its results (C5).
    fn was_ended_by(&self, generation: u64, worker: u32) -> bool {
        let is_ended = errand::ender(&self.word, generation) == Some(worker);
        assert!(!is_ended || self.has_sent(worker));
        is_ended
    }

    /// How many outcomes it has: results of workers, and losses.
    fn outcomes(&self, lost: bool) -> u32 {
        self.sent.load(Relaxed).count_ones() + u32::from(lost)
    }
}

fn worker(task: &Arc<Task>, number: u32) -> thread::JoinHandle<(bool, bool)> {
    let task = Arc::clone(task);
    thread::spawn(move || task.run(TASK, number))
}

/// A worker that dies before its `step`-th step; `None` if it died.
fn mortal(task: &Arc<Task>, number: u32, step: usize) -> thread::JoinHandle<Option<(bool, bool)>> {
    let task = Arc::clone(task);
    thread::spawn(move || victim(number, Some(step), || task.run(TASK, number)))
}

/// One of two starts it.
fn two_have_the_message() {
    let task = Task::new();
    let workers = [1, 2].map(|number| worker(&task, number));
    let outcomes = workers.map(|worker| worker.join().unwrap());
    assert_eq!(outcomes.iter().filter(|(has_started, _)| *has_started).count(), 1);
    let starter = (1..).zip(outcomes).find_map(|(number, (has_started, _))| has_started.then_some(number));
    assert_eq!(errand::ender(&task.word, TASK), starter);
    assert!(outcomes.iter().all(|(_, may_go_on)| *may_go_on));
    assert_eq!(task.work.get(), 1);
}

/// What was taken back nobody starts, and what was started is not taken back.
fn one_is_taken_back() {
    let task = Task::new();
    let workers = [1, 2].map(|number| worker(&task, number));
    let is_back = errand::withdraw(&task.word, TASK);
    let started = workers.map(|worker| worker.join().unwrap()).iter().filter(|(has_started, _)| *has_started).count();
    assert_eq!(started, usize::from(!is_back));
}

/// Who is condemned does not go on, and who goes on is not condemned; and the pool knows when it was started.
fn one_is_condemned() {
    let task = Task::new();
    let workers = [1, 2].map(|number| worker(&task, number));
    let condemned = errand::starter(&task.word, TASK).filter(|&worker| {
        assert_eq!(task.time.load(Relaxed), 1);
        errand::condemn(&task.word, TASK, worker)
    });
    let outcomes = workers.map(|worker| worker.join().unwrap());
    for (number, (_, may_go_on)) in (1..).zip(outcomes) {
        assert_eq!(may_go_on, condemned != Some(number));
    }
    assert_eq!(errand::starter(&task.word, TASK), condemned);
}

/// The pool has all results, and gives the word to the next task, before the worker has said that it is done.
fn the_next_task_comes_early() {
    let task = Task::new();
    let old = worker(&task, 1);
    if errand::starter(&task.word, TASK) == Some(1) {
        errand::queue(&task.word, TASK + 1);
        assert_eq!(old.join().unwrap(), (true, true));
        assert!(errand::start(&task.word, TASK + 1, 2) && errand::starter(&task.word, TASK + 1) == Some(2));
        assert_eq!(errand::starter(&task.word, TASK), None);
    } else {
        old.join().unwrap();
    }
}

/// One of two that have the message dies before its `step`-th step. The keeper judges it while the other goes on: the task has
/// one outcome, and if it is to be tried again, it is.
fn a_worker_dies_at(step: usize) {
    let task = Task::new();
    let (dying, other) = (mortal(&task, 1, step), worker(&task, 2));
    let is_lost = dying.join().unwrap().is_none() && task.is_lost_with(TASK, 1);
    assert!(!(task.was_ended_by(TASK, 1) && is_lost));
    let (_, may_go_on) = other.join().unwrap();
    assert!(may_go_on);
    assert_eq!(task.outcomes(is_lost), 1);
    assert_eq!(task.was_ended_by(TASK, 2), task.has_sent(2));
    if is_lost {
        errand::queue(&task.word, TASK + 1);
        assert_eq!(task.run(TASK, 2), (false, true), "the message that is still there is of no use");
        assert_eq!(task.run(TASK + 1, 3), (true, true));
    }
}

/// The pool is about to kill whoever is at it, who may die of something else, or do it; it is judged when it is dead.
fn a_worker_that_may_be_condemned_dies_at(step: usize) {
    let task = Task::new();
    let (dying, other) = (mortal(&task, 1, step), worker(&task, 2));
    let condemned = errand::starter(&task.word, TASK).filter(|&worker| errand::condemn(&task.word, TASK, worker));
    let ended = dying.join().unwrap();
    let (has_started, may_go_on) = other.join().unwrap();
    assert_eq!(may_go_on, condemned != Some(2));
    if let Some((_, may_go_on)) = ended {
        assert_eq!(may_go_on, condemned != Some(1));
    }
    let is_dead = ended.is_none() || condemned == Some(1);
    let is_lost = is_dead && task.is_lost_with(TASK, 1);
    assert!(!is_lost || !has_started);
    assert_eq!(task.outcomes(is_lost), 1);
}

/// It dies with the next task in its word already, which another worker may have started: that is not lost with it.
fn a_worker_whose_word_goes_on_dies_at(step: usize) {
    let task = Task::new();
    let dying = mortal(&task, 1, step);
    if task.has_sent(1) {
        errand::queue(&task.word, TASK + 1);
        let next = Arc::clone(&task);
        let next = thread::spawn(move || next.run(TASK + 1, 2));
        dying.join().unwrap();
        assert_ne!(errand::starter(&task.word, TASK + 1), Some(1));
        let is_back = errand::withdraw(&task.word, TASK + 1);
        assert_eq!(next.join().unwrap(), (!is_back, true));
    } else {
        dying.join().unwrap();
    }
}

const MODELS: [fn(); 4] = [two_have_the_message, one_is_taken_back, one_is_condemned, the_next_task_comes_early];

// A worker takes four steps; it does not die before a fifth.
const DEATHS: [fn(); 5] = deaths!(a_worker_dies_at: 0 1 2 3 4);
const CONDEMNED_DEATHS: [fn(); 5] = deaths!(a_worker_that_may_be_condemned_dies_at: 0 1 2 3 4);
const LATE_DEATHS: [fn(); 5] = deaths!(a_worker_whose_word_goes_on_dies_at: 0 1 2 3 4);

#[test]
fn a_task_is_started_once() {
    for model in MODELS {
        explore(None, 3, model).unwrap();
    }
}

#[test]
fn a_task_has_one_outcome_after_a_death_before_any_step() {
    for deaths in [DEATHS, CONDEMNED_DEATHS, LATE_DEATHS] {
        explore_deaths(3, &deaths);
    }
}

#[test]
fn every_mutant_of_an_errand_fails() {
    let models: Vec<fn()> = [&MODELS[..], &DEATHS, &CONDEMNED_DEATHS, &LATE_DEATHS].concat();
    every_mutant_fails(&["word/errand.rs"], 3, &models);
}
