//! What Python's `concurrent.futures` promises for its `ProcessPoolExecutor` and what waits for futures, as far as it applies and
//! `pool/` and `outcomes.rs` do not have it.
//!
//! Different, since
//!
//! - a killed worker breaks no pool: it is replaced, and costs one task;
//! - a task that runs can be cancelled: its worker is killed, which nothing that is shared in this crate minds;
//! - a pool that is dropped, also at the end of the program, is terminated, as `multiprocessing`'s is: who wants its results joins it;
//! - `imap` (`Executor.map`) pulls its input as its outcomes are taken, and not at once: so `close` cuts it short;
//! - workers are started at once, so that an initializer that fails is `start`'s error;
//! - what waits for several tasks takes each once, since it owns it: there are no duplicates. The first that fails is found by
//!   `as_completed`, whose timeout is that of `wait_any`.
//!
//! Not here: `shutdown(cancel_futures=True)` that leaves what runs alone (`cancel` each task, or `terminate`), `set_result` and its
//! kind, and whether a future runs (the pool's `progress` counts).

mod common;

use std::io::Read;
use std::process;
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use common::locking::Stage;
use common::watchdog;
use crossproc::{Event, Exit, Pool, Process, Task, TaskError};
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};

crossproc::test_support!();

const MOMENT: Duration = Duration::from_millis(20);

fn square(n: u64) -> u64 {
    n * n
}

fn divide(a: u64, b: u64) -> u64 {
    a / b
}

fn wait_for(stage: Stage) -> u64 {
    stage.wait_for(1);
    42
}

fn died<R>(outcome: &Result<R, TaskError>, of: Exit) -> bool {
    matches!(outcome, Err(TaskError::WorkerDied { exit, .. }) if *exit == of)
}

/// Done, failed, cancelled.
fn done(pool: &Pool) -> [Task<u64>; 3] {
    let tasks = [
        pool.apply_async(square, (3,)),
        pool.apply_async(divide, (1, 0)),
        pool.apply_async(wait_for, (&Stage::new(),)),
    ];
    assert!(tasks[2].cancel());
    tasks.iter().for_each(Task::wait);
    tasks
}

/// `test_shutdown_race_issue12456`, `test_hang_gh94440`: the end comes upon one more than there are workers, or what was just cancelled.
#[test]
fn whatever_was_just_asked_for_a_pool_can_be_joined() {
    let _watchdog = watchdog();
    for round in 0..20 {
        let pool = Pool::new(2).unwrap();
        let map = pool.chunk(1).map_async(square, [2; 3]);
        let task = pool.apply_async(square, (round,));
        let is_cancelled = round % 2 == 0 && task.cancel();
        pool.join();
        assert_eq!(map.get(), Ok(vec![4; 3]));
        assert_eq!(task.get(), if is_cancelled { Err(TaskError::Cancelled) } else { Ok(round * round) });
    }
}

/// Says when it is dropped, in another process than the one that it names.
#[derive(Serialize, Deserialize)]
struct Telltale(u32, Event);

impl Drop for Telltale {
    fn drop(&mut self) {
        if process::id() != self.0 {
            self.1.set();
        }
    }
}

/// `test_ressources_gced_in_workers`: a worker does not keep arguments, while it has nothing else to do.
#[test]
fn a_worker_lets_its_arguments_go() {
    let _watchdog = watchdog();
    let (pool, gone) = (Pool::new(1).unwrap(), Event::new().unwrap());
    assert_eq!(
        pool.apply(|telltale: Telltale| telltale.0, (Telltale(process::id(), gone.clone()),)),
        Ok(process::id())
    );
    gone.wait();
}

/// `test_saturation`, `test_idle_process_reuse_multiple`: fifteen tasks for each worker at once, and no more workers for that.
#[test]
fn a_pool_that_has_too_much_to_do_stays_as_it_is() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(3).unwrap(), Stage::new());
    let pids = || pool.workers().iter().map(|worker| worker.pid()).collect::<Vec<_>>();
    let before = pids();
    let tasks: Vec<_> = (0..45).map(|_| pool.apply_async(wait_for, (&stage,))).collect();
    assert!(!Task::wait_all(&tasks, Some(MOMENT)));
    assert_eq!(pids(), before);
    stage.advance();
    assert!(Task::wait_all(&tasks, None));
    assert_eq!(pids(), before);
}

/// `WaitTests.test_first_completed_some_already_completed`, `test_all_completed`, `test_timeout`: all that are done, however they
/// ended, and not the others.
#[test]
fn whoever_waits_is_told_of_all_that_are_done() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(2).unwrap(), Stage::new());
    let [good, bad, cancelled] = done(&pool);
    let tasks = [good, pool.apply_async(wait_for, (&stage,)), bad, cancelled];
    assert_eq!(Task::wait_any(&tasks, None), [0, 2, 3]);
    let start = Instant::now();
    assert!(!Task::wait_all(&tasks, Some(MOMENT)));
    assert!(start.elapsed() >= MOMENT);
    assert_eq!(tasks.each_ref().map(Task::is_ready), [true, false, true, true]);
    stage.advance();
    assert!(Task::wait_all(&tasks, None));
    assert_eq!(tasks.map(|task| task.is_successful()), [Some(true), Some(true), Some(false), Some(false)]);
}

/// `test_first_exception`, `test_first_exception_one_already_failed`: the first that fails, while others run.
#[test]
fn the_first_failure_is_known_while_others_run() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(2).unwrap(), Stage::new());
    for is_old in [false, true] {
        let [good, bad] = [4, 0].map(|n| pool.apply_async(divide, (8, n)));
        if is_old {
            bad.wait();
        }
        let slow = pool.apply_async(wait_for, (&stage,));
        let mut completed = Task::as_completed([slow, good, bad]);
        assert!(completed.any(|task| task.is_successful() == Some(false)));
        let left = completed.size_hint().0;
        assert!((1..=2).contains(&left), "{left}");
    }
    stage.advance();
}

/// `AsCompletedTests.test_no_timeout`: those that are done, however they ended, and those that will be.
#[test]
fn tasks_that_are_done_are_completed_first() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(2).unwrap(), Stage::new());
    let [good, bad, cancelled] = done(&pool);
    let new = [pool.apply_async(wait_for, (&stage,)), pool.apply_async(wait_for, (&stage,))];
    let mut completed = Task::as_completed(new.into_iter().chain([bad, good, cancelled]));
    let first: Vec<_> = completed.by_ref().take(3).map(|task| task.get().ok()).collect();
    assert_eq!(first, [None, Some(9), None]);
    stage.advance();
    assert_eq!(completed.map(|task| task.get()).collect::<Vec<_>>(), [Ok(42), Ok(42)]);
}

/// `FutureTests.test_done_callback_already_failed`, `test_done_callback_already_cancelled`, `test_done_callback_raises_already_succeeded`.
#[test]
fn a_callback_comes_also_when_all_is_over() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    for task in done(&pool) {
        let (sender, seen) = mpsc::channel();
        let task = task.on_done(|_| std::panic::resume_unwind(Box::new("in a callback")));
        let task = task.on_done(move |outcome| sender.send(outcome.clone()).unwrap());
        assert_eq!(seen.recv(), Ok(task.get()));
    }
}

/// `test_result_with_cancel`: whoever waits learns at once that there will be no result, also of what waits behind others.
#[test]
fn whoever_waits_for_what_is_cancelled_is_woken() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(1).unwrap(), Stage::new());
    let tasks = [pool.apply_async(wait_for, (&stage,)), pool.apply_async(wait_for, (&stage,))];
    for index in [1, 0] {
        thread::scope(|scope| {
            let waiters = [
                scope.spawn(|| tasks[index].wait_timeout(Duration::MAX)),
                scope.spawn(|| Task::wait_any(&tasks[index..=index], None) == [0]),
            ];
            thread::yield_now();
            assert!(tasks[index].cancel());
            assert!(waiters.into_iter().all(|waiter| waiter.join().unwrap()));
        });
    }
}

static POOL: OnceLock<Pool> = OnceLock::new();

extern "C" fn ask_at_the_end() {
    if let Some(pool) = POOL.get() {
        println!("{:?}", pool.apply(square, (3,)));
    }
}

fn leave(is_asked_first: bool) {
    let make = || assert!(POOL.set(Pool::new(1).unwrap()).is_ok());
    if is_asked_first {
        make();
    }
    // SAFETY: what it calls may be called at the end.
    assert_eq!(unsafe { libc::atexit(ask_at_the_end) }, 0);
    if !is_asked_first {
        make();
    }
}

/// `ExecutorShutdownTest.test_submit_after_interpreter_shutdown`: whoever asks in an exit handler has an answer.
#[test]
fn a_pool_that_is_asked_at_the_end_of_its_process_answers() {
    let _watchdog = watchdog();
    for is_asked_first in [true, false] {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let process = Process::builder().stdout(writer).spawn(leave, (is_asked_first,)).unwrap();
        let mut said = String::new();
        reader.read_to_string(&mut said).unwrap();
        process.join().unwrap();
        assert!(said == "Ok(9)\n" || said.starts_with("Err("), "{said:?}");
    }
}

/// What is to become of whoever encodes or decodes it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Fate {
    Lives,
    Aborts,
    Exits,
}

impl Fate {
    fn meet(self) {
        match self {
            Fate::Lives => {}
            Fate::Aborts => process::abort(),
            Fate::Exits => process::exit(1),
        }
    }

    fn fits<R>(self, outcome: &Result<R, TaskError>) -> bool {
        match self {
            Fate::Lives => outcome.is_ok(),
            Fate::Aborts => died(outcome, Exit::Signal(libc::SIGABRT)),
            Fate::Exits => died(outcome, Exit::Code(1)),
        }
    }
}

/// An argument on whose arrival something happens.
#[derive(Serialize)]
struct Argument(Fate);

impl<'de> Deserialize<'de> for Argument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Fate::deserialize(deserializer).map(|fate| {
            fate.meet();
            Argument(fate)
        })
    }
}

/// A result on whose departure something happens.
#[derive(Deserialize)]
struct Answer(Fate);

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.meet();
        self.0.serialize(serializer)
    }
}

/// `ExecutorDeadlockTest.test_crash_at_task_unpickle`, `test_exit_at_task_unpickle`, `test_crash_during_result_pickle_on_worker`,
/// `test_exit_during_result_pickle_on_worker`.
#[test]
fn who_dies_over_an_argument_or_a_result_costs_one_task() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    let fates = [Fate::Lives, Fate::Aborts, Fate::Lives, Fate::Exits, Fate::Lives, Fate::Lives];
    for chunk in [1, 2, 6] {
        let of_arguments = pool.chunk(chunk).try_map(|argument: Argument| argument.0, fates.map(Argument));
        let of_answers = pool.chunk(chunk).try_map(Answer, fates);
        let of_answers: Vec<_> = of_answers.into_iter().map(|outcome| outcome.map(|answer| answer.0)).collect();
        for outcomes in [of_arguments, of_answers] {
            let is_right = fates.iter().zip(&outcomes).all(|(fate, outcome)| fate.fits(outcome));
            assert!(is_right && outcomes.len() == fates.len(), "by {chunk}: {outcomes:?}");
        }
    }
}

/// `test_crash_big_data`: workers die with long arguments, again and again.
#[test]
fn who_dies_with_long_arguments_keeps_nobody_waiting() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    let die = |_: Vec<u8>| -> () { process::abort() };
    let outcomes = pool.try_map(die, (0..10).map(|_| vec![7_u8; 4 << 20]));
    assert!(outcomes.len() == 10 && outcomes.iter().all(|outcome| died(outcome, Exit::Signal(libc::SIGABRT))));
    assert_eq!(pool.apply(|bytes: Vec<u8>| bytes.len(), (vec![7_u8; 4 << 20],)), Ok(4 << 20));
}

#[derive(Deserialize)]
struct Unsendable;

impl Serialize for Unsendable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(ser::Error::custom("never"))
    }
}

/// `test_shutdown_deadlock`, `test_shutdown_deadlock_pickle`: what fails after the pool was closed, or just before.
#[test]
fn what_fails_when_a_pool_is_closed_keeps_nobody_waiting() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(2).unwrap(), Stage::new());
    let die = |stage: Stage| -> u64 {
        stage.wait_for(1);
        process::abort()
    };
    let dying = pool.apply_async(die, (&stage,));
    let unsent = pool.apply_async(|_: Unsendable| 7, (Unsendable,));
    pool.close();
    assert!(!pool.join_timeout(MOMENT));
    stage.advance();
    pool.join();
    assert!(died(&dying.get(), Exit::Signal(libc::SIGABRT)));
    assert!(matches!(unsent.get(), Err(TaskError::Encode { .. })));
}
