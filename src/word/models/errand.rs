use std::sync::Arc;

use loom::cell::Cell;
use loom::thread;

use super::{every_mutant_fails, explore};
use crate::sys::atomic::{AtomicU64, Ordering::Relaxed};
use crate::word::errand;

/// A task whose message two workers have, as one of them was taken for dead, or is.
struct Task {
    word: AtomicU64,
    /// When it was started.
    time: AtomicU64,
    /// Loom fails an execution in which two are at it.
    work: Cell<u32>,
}

const TASK: u64 = 7;

impl Task {
    fn new() -> Arc<Self> {
        #[expect(
            clippy::arc_with_non_send_sync,
            reason = "loom runs all threads of a model on one, and checks the rest"
        )]
        let task = Arc::new(Task { word: AtomicU64::new(0), time: AtomicU64::new(0), work: Cell::new(0) });
        errand::queue(&task.word, TASK);
        task
    }

    /// Whether it has started the task, and whether it may go on.
    fn run(&self, worker: u32) -> (bool, bool) {
        self.time.store(1, Relaxed);
        if !errand::start(&self.word, TASK, worker) {
            return (false, true);
        }
        self.work.set(self.work.get() + 1);
        (true, errand::end(&self.word, TASK, worker))
    }
}

fn worker(task: &Arc<Task>, number: u32) -> thread::JoinHandle<(bool, bool)> {
    let task = Arc::clone(task);
    thread::spawn(move || task.run(number))
}

/// One of two starts it.
fn two_have_the_message() {
    let task = Task::new();
    let workers = [1, 2].map(|number| worker(&task, number));
    let outcomes = workers.map(|worker| worker.join().unwrap());
    assert_eq!(outcomes.iter().filter(|(has_started, _)| *has_started).count(), 1);
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

const MODELS: [fn(); 4] = [two_have_the_message, one_is_taken_back, one_is_condemned, the_next_task_comes_early];

#[test]
fn a_task_is_started_once() {
    for model in MODELS {
        explore(None, 3, model).unwrap();
    }
}

#[test]
fn every_mutant_of_an_errand_fails() {
    every_mutant_fails(&["word/errand.rs"], 3, &MODELS);
}
