//! `Task`: waiting for it, or for the first or all of several, and cancelling it.

use std::time::{Duration, Instant};

use crossproc::{Error, Lock, Pool, Task, TaskError, TryNextError, TryTaskError};

use crate::common::locking::Stage;
use crate::common::watchdog;

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(50);

fn square(n: u64) -> u64 {
    n * n
}

fn park() {
    loop {
        std::thread::park();
    }
}

/// Says that it has begun, and waits until it is told to end.
fn begin(stage: Stage) -> u32 {
    stage.advance();
    stage.wait_for(2);
    7
}

#[test]
fn a_task_that_is_not_done_is_given_back() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(1).unwrap(), Stage::new());
    let task = pool.apply_async(begin, (&stage,));
    assert_eq!(format!("{task:?}"), "Task { is_ready: false, .. }");
    assert_eq!((task.is_ready(), task.is_successful()), (false, None));
    let Err(TryTaskError::Running(task)) = task.try_get() else { panic!("done without a word") };
    let start = Instant::now();
    assert!(!task.wait_timeout(SHORT));
    let Err(TryTaskError::Running(task)) = task.get_timeout(SHORT) else { panic!("done without a word") };
    assert!(start.elapsed() >= 2 * SHORT);
    stage.wait_for(1);
    stage.advance();
    assert!(task.wait_timeout(LONG));
    assert_eq!((task.is_ready(), task.is_successful()), (true, Some(true)));
    assert_eq!(task.try_get().unwrap(), 7);
}

/// Whatever is asked for in between.
#[test]
fn a_task_has_the_number_that_its_errors_carry() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    let fail = |n: u64| -> u64 { panic!("{n}") };
    for number in [0, 2, 4] {
        let failing = pool.apply_async(fail, (number,));
        assert_eq!(failing.number(), number);
        let Err(TaskError::Panicked { message, task, .. }) = failing.get() else { panic!("no panic of {number}") };
        assert_eq!((message, task), (number.to_string(), number));
        let map = pool.map_async(square, 0..3);
        assert_eq!((map.number(), map.get()), (0, Ok(vec![0, 1, 4])));
        assert!(pool.apply(fail, (7,)).is_err());
    }
}

#[test]
fn a_task_that_failed_says_why_in_every_way_of_asking() {
    let _watchdog = watchdog();
    let pool = Pool::new(1).unwrap();
    let fail = || pool.apply_async(|| -> u32 { std::process::exit(4) }, ());
    let is_it = |error: &TaskError| matches!(error, TaskError::WorkerDied { .. });
    assert!(is_it(&fail().get().unwrap_err()));
    assert!(matches!(fail().get_timeout(LONG), Err(TryTaskError::Failed(error)) if is_it(&error)));
    let task = fail();
    task.wait();
    assert_eq!(task.is_successful(), Some(false));
    assert!(matches!(task.try_get(), Err(TryTaskError::Failed(error)) if is_it(&error)));
}

#[test]
fn a_task_that_nobody_asks_for_runs_all_the_same() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(1).unwrap(), Stage::new());
    drop(pool.apply_async(|stage: Stage| stage.advance(), (&stage,)));
    stage.wait_for(1);
    drop(pool.map_async(|stage: Stage| stage.advance(), (0..10).map(|_| &stage)));
    stage.wait_for(11);
}

#[test]
fn tasks_are_completed_in_the_order_in_which_they_end() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(3).unwrap(), Stage::new());
    let wait = |stage: Stage, turn: u32| {
        stage.wait_for(turn);
        turn
    };
    let tasks: Vec<_> = [2, 0, 1].map(|turn| pool.apply_async(wait, (&stage, turn))).into();
    let mut completed = Task::as_completed(tasks);
    assert_eq!(completed.size_hint(), (3, Some(3)));
    for turn in 0..3 {
        assert_eq!(completed.next().unwrap().get(), Ok(turn));
        stage.advance();
    }
    assert!(completed.next().is_none());
    assert_eq!(Task::<()>::as_completed([]).count(), 0);
    // All are done before anybody asks.
    let tasks: Vec<_> = (0..5).map(|n| pool.apply_async(square, (n,))).collect();
    assert!(Task::wait_all(&tasks, None));
    assert_eq!(Task::as_completed(tasks).map(|task| task.get().unwrap()).sum::<u64>(), 30);
}

#[test]
fn whoever_waits_for_several_learns_which_are_done() {
    let _watchdog = watchdog();
    let (pools, stage) = ([Pool::new(1).unwrap(), Pool::new(1).unwrap()], Stage::new());
    let tasks = [pools[0].apply_async(begin, (&stage,)), pools[1].apply_async(begin, (&Stage::new(),))];
    let start = Instant::now();
    assert_eq!(Task::wait_any(&tasks, Some(SHORT)), []);
    assert!(!Task::wait_all(&tasks, Some(SHORT)));
    assert!(start.elapsed() >= 2 * SHORT);
    assert_eq!(Task::wait_any(&tasks, Some(Duration::ZERO)), []);
    stage.wait_for(1);
    stage.advance();
    assert_eq!(Task::wait_any(&tasks, None), [0]);
    assert_eq!(Task::wait_any(&tasks, Some(LONG)), [0], "it stays so");
    assert!(!Task::wait_all(&tasks, Some(SHORT)));
    assert!(tasks[1].cancel());
    assert_eq!(Task::wait_any(&tasks, None), [0, 1]);
    assert!(Task::wait_all(&tasks, None) && Task::wait_all(&tasks, Some(Duration::ZERO)));
    assert_eq!(Task::<()>::wait_any(&[], None), []);
    assert!(Task::<()>::wait_all(&[], None));
}

#[test]
fn the_next_that_is_done_is_waited_for_as_long_as_asked() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(2).unwrap(), Stage::new());
    let mut completed = Task::as_completed([pool.apply_async(begin, (&stage,)), pool.apply_async(|| 3_u32, ())]);
    assert_eq!(completed.next_timeout(LONG).unwrap().unwrap().get(), Ok(3));
    stage.wait_for(1);
    let start = Instant::now();
    assert_eq!(completed.next_timeout(SHORT).unwrap_err(), TryNextError::NotYet);
    assert!(start.elapsed() >= SHORT);
    assert_eq!(completed.try_next().unwrap_err(), TryNextError::NotYet);
    assert_eq!(completed.size_hint(), (1, Some(1)));
    stage.advance();
    assert_eq!(completed.next_timeout(LONG).unwrap().unwrap().get(), Ok(7));
    assert!(completed.try_next().unwrap().is_none() && completed.next().is_none());
}

#[test]
fn a_task_that_waits_is_cancelled_and_never_runs() {
    let _watchdog = watchdog();
    let (pool, first, second) = (Pool::new(1).unwrap(), Stage::new(), Stage::new());
    let busy = pool.apply_async(begin, (&first,));
    first.wait_for(1);
    let map = pool.map_async(|stage: Stage| stage.advance(), (0..50).map(|_| &second));
    // In the queue, and behind all that there is room for.
    let waiting: Vec<_> = (0..600).map(|_| pool.apply_async(|stage: Stage| stage.advance(), (&second,))).collect();
    assert!(waiting.iter().all(Task::cancel) && map.cancel());
    assert!(waiting.iter().all(|task| task.is_ready() && task.is_successful() == Some(false) && !task.cancel()));
    assert_eq!(map.get(), Err(TaskError::Cancelled));
    first.advance();
    assert_eq!(busy.get(), Ok(7));
    assert_eq!(pool.apply(square, (3,)), Ok(9));
    assert!(!second.has_reached(1));
    assert!(waiting.into_iter().all(|task| task.get() == Err(TaskError::Cancelled)));
    assert_eq!((pool.progress().queued(), pool.progress().running()), (0, 0));
}

#[test]
fn a_task_that_runs_is_cancelled_with_its_worker_and_no_other() {
    let _watchdog = watchdog();
    let (pool, stages) = (Pool::new(2).unwrap(), [Stage::new(), Stage::new()]);
    let [victim, other] = [0, 1].map(|index| pool.apply_async(begin, (&stages[index],)));
    stages.iter().for_each(|stage| stage.wait_for(1));
    assert!(victim.cancel());
    assert_eq!(victim.get(), Err(TaskError::Cancelled));
    stages[1].advance();
    assert_eq!(other.get(), Ok(7));
    assert_eq!(pool.chunk(1).map(square, 0..20), Ok((0..20).map(square).collect()));
}

#[test]
fn a_map_that_runs_is_cancelled_with_all_its_workers() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(3).unwrap(), Stage::new());
    let hang = |stage: Stage| {
        stage.advance();
        park();
    };
    let map = pool.chunk(1).map_async(hang, (0..500).map(|_| &stage));
    stage.wait_for(3);
    let before: Vec<_> = pool.workers();
    assert!(map.cancel());
    assert_eq!(map.get(), Err(TaskError::Cancelled));
    before.iter().for_each(|worker| assert!(!worker.wait().success()));
    assert_eq!(pool.apply(square, (3,)), Ok(9));
    assert!(!stage.has_reached(4));
}

/// Also where it waits behind others that keep all workers busy.
#[test]
fn a_cancelled_task_keeps_nothing_alive() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(1).unwrap(), Stage::new());
    let busy = pool.apply_async(begin, (&stage,));
    stage.wait_for(1);
    let others: Vec<_> = (0..400).map(|n| pool.apply_async(square, (n,))).collect();
    let name = format!("cancelled-{}", std::process::id());
    let lock = Lock::create(name.as_str()).unwrap();
    let task = pool.apply_async(|lock: Lock| drop(lock.lock()), (&lock,));
    drop(lock);
    assert!(Lock::open(name.as_str()).is_ok() && task.cancel());
    drop(task);
    assert!(matches!(Lock::open(name.as_str()), Err(Error::NoSuchName { .. })));
    stage.advance();
    assert_eq!(busy.get(), Ok(7));
    assert!((0..).zip(others).all(|(n, task)| task.get() == Ok(n * n)));
}

/// However many there are: a look at each of them for each would take minutes.
#[test]
fn many_tasks_can_be_cancelled_one_by_one() {
    let _watchdog = watchdog();
    const MANY: u64 = 120_000;
    let (pool, stage) = (Pool::new(1).unwrap(), Stage::new());
    let busy = pool.apply_async(begin, (&stage,));
    stage.wait_for(1);
    let tasks: Vec<_> = (0..MANY).map(|n| pool.apply_async(square, (n,))).collect();
    let (even, odd): (Vec<_>, Vec<_>) = (0..).zip(tasks).partition(|(n, _)| n % 2 == 0);
    assert!(even.iter().all(|(_, task)| task.cancel()));
    assert_eq!(pool.progress().queued() + pool.progress().running(), MANY / 2 + 1);
    assert!(busy.cancel());
    assert!(odd.into_iter().all(|(n, task)| task.get() == Ok(n * n)));
    assert!(even.into_iter().all(|(_, task)| task.get() == Err(TaskError::Cancelled)));
    pool.join();
    assert_eq!((pool.progress().queued(), pool.progress().running()), (0, 0));
    assert_eq!(pool.progress().done(), MANY / 2);
}

#[test]
fn a_task_that_is_done_cannot_be_cancelled() {
    let _watchdog = watchdog();
    let pool = Pool::new(1).unwrap();
    let task = pool.apply_async(square, (3,));
    task.wait();
    assert!(!task.cancel());
    assert_eq!(task.get(), Ok(9));
    // Either or, never both and never neither.
    for n in 0..200 {
        let task = pool.apply_async(square, (n,));
        (0..n * 20).for_each(|_| std::hint::spin_loop());
        let was_cancelled = task.cancel();
        assert_eq!(task.get(), if was_cancelled { Err(TaskError::Cancelled) } else { Ok(n * n) });
    }
}
