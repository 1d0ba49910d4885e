//! Workers: what they are called, when they are replaced, and what they do first.

use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use crossproc::{Error, Exit, Pool, PoolBuilder, ProcessError, RawValue, TaskError, Value, current};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::common::watchdog;

#[test]
fn workers_have_names_with_numbers_that_are_never_used_twice() {
    let _watchdog = watchdog();
    let name = || current().name().to_string();
    assert_eq!(Pool::new(1).unwrap().apply(name, ()).unwrap(), "Pool-1");
    let pool = Pool::builder().workers(1).name("reader").max_tasks_per_worker(1).start().unwrap();
    let names: Vec<_> = (0..3).map(|_| pool.apply(name, ()).unwrap()).collect();
    assert_eq!(names, ["reader-1", "reader-2", "reader-3"]);
}

#[test]
fn numbers_of_workers_that_cannot_be_are_refused() {
    let _watchdog = watchdog();
    for asked in [0, 241, usize::MAX] {
        assert!(matches!(Pool::new(asked), Err(Error::Workers { asked: found, most: 240 }) if found == asked));
    }
}

/// a a a b b b c: one worker with three tasks each.
#[test]
fn workers_are_replaced_after_so_many_tasks() {
    let _watchdog = watchdog();
    let pid = |_: u32| process::id();
    for most in [1, 2, 3] {
        let pool = Pool::builder().workers(1).max_tasks_per_worker(most).start().unwrap();
        let by_map = pool.chunk(1).map(pid, 0..10).unwrap();
        for (index, pair) in by_map.windows(2).enumerate() {
            assert_eq!(pair[0] != pair[1], (index as u64 + 1).is_multiple_of(most), "{most} tasks each: {by_map:?}");
        }
        let mut pids: Vec<_> = (0..10).map(|n| pool.apply(pid, (n,)).unwrap()).collect();
        pids.dedup();
        assert!(pids.len() as u64 >= 10 / most, "{pids:?}");
        let lazy: Vec<_> = pool.imap(pid, 0..10).map(Result::unwrap).collect();
        assert!(lazy.windows(most as usize + 1).all(|pids| pids[0] != pids[most as usize]), "{lazy:?}");
    }
}

#[test]
fn a_chunk_is_no_longer_than_the_tasks_of_a_worker() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(2).max_tasks_per_worker(3).start().unwrap();
    let mut pids = pool.chunk(100).map(|_: u32| process::id(), 0..30).unwrap();
    assert!(pids.chunks(3).all(|chunk| chunk.iter().all(|pid| *pid == chunk[0])), "{pids:?}");
    pids.dedup();
    assert_eq!(pids.len(), 10);
}

/// What a worker may not do any more of a chunk is done by the next one.
#[test]
fn a_worker_ends_in_the_midst_of_a_chunk() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(1).max_tasks_per_worker(3).start().unwrap();
    let mut pids = pool.chunk(2).map(|_: u32| process::id(), 0..12).unwrap();
    pids.sort_unstable();
    assert!(pids.chunk_by(|a, b| a == b).all(|calls| calls.len() == 3), "{pids:?}");
    assert_eq!((pool.progress().done(), pool.progress().failed()), (12, 0));
}

/// What is on its way when a worker ends arrives.
#[test]
fn nothing_is_lost_between_workers() {
    let _watchdog = watchdog();
    let count = if cfg!(debug_assertions) { 50 } else { 300 };
    let pool = Pool::builder().workers(3).max_tasks_per_worker(1).start().unwrap();
    let tasks: Vec<_> = (0..count).map(|n: u64| pool.apply_async(|n: u64| n + 1, (n,))).collect();
    assert!((0..count).zip(tasks).all(|(n, task)| task.get() == Ok(n + 1)));
    assert_eq!(pool.progress().failed(), 0);
}

static KEPT: OnceLock<Value<u32>> = OnceLock::new();

fn keep(started: Value<u32>) {
    started.update(|n| n + 1);
    KEPT.get_or_init(|| started);
}

#[test]
fn the_initializer_runs_first_in_every_worker() {
    let _watchdog = watchdog();
    let started = Value::new(0).unwrap();
    let pool = Pool::builder().workers(2).max_tasks_per_worker(1).initializer(keep, (&started,)).start().unwrap();
    assert_eq!(started.get(), 2);
    let kept = |_: u32| KEPT.get().map(Value::get);
    for (n, seen) in (1..).zip(pool.chunk(1).map(kept, 0..20).unwrap()) {
        assert!(seen.is_some(), "task {n} was run by a worker without one");
    }
    pool.workers().iter().for_each(|worker| worker.kill().unwrap());
    assert!(pool.apply(kept, (0,)).unwrap().is_some_and(|started| started > 20));
}

/// An argument that a child cannot decode.
#[derive(Serialize)]
struct Odd;

impl<'de> Deserialize<'de> for Odd {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(de::Error::custom("nothing for a child"))
    }
}

fn fail() {
    panic!("no good")
}

fn exit(code: i32) {
    process::exit(code)
}

fn abort() {
    process::abort()
}

fn start(builder: PoolBuilder) -> ProcessError {
    match builder.start() {
        Err(Error::Process(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_pool_whose_initializer_fails_is_not_started() {
    let _watchdog = watchdog();
    let two = || Pool::builder().workers(2);
    let error = start(two().initializer(fail, ()));
    assert!(
        matches!(&error, ProcessError::Panicked { message, location, .. }
            if message == "no good" && location.starts_with("tests/pool/workers.rs:")),
        "{error:?}"
    );
    let error = start(two().initializer(|n: u32| Err::<(), _>(format!("no {n}")), (7,)));
    assert!(matches!(&error, ProcessError::Initializer { reason, .. } if reason == "no 7"), "{error:?}");
    for code in [0, 3] {
        let error = start(two().initializer(exit, (code,)));
        assert!(
            matches!(&error, ProcessError::InitializerEnded { exit, .. } if *exit == Exit::Code(code)),
            "{error:?}"
        );
        let text = format!("exited with code {code} before its initializer returned");
        assert!(error.to_string().ends_with(&text), "{error}");
    }
    let error = start(two().initializer(abort, ()));
    assert!(matches!(&error, ProcessError::InitializerEnded { exit: Exit::Signal(libc::SIGABRT), .. }), "{error:?}");
    let error = start(two().initializer(|_: Odd| (), (Odd,)));
    assert!(
        matches!(&error, ProcessError::Failed { source, .. } if matches!(**source, Error::Decode { .. })),
        "{error:?}"
    );
}

/// Fails from the third start on.
fn fail_later(starts: RawValue<AtomicU32>, how: usize) -> Result<(), String> {
    if starts.fetch_add(1, SeqCst) >= 2 {
        match how {
            0 => panic!("worn out"),
            1 => return Err("worn out".into()),
            2 => process::exit(9),
            _ => process::abort(),
        }
    }
    Ok(())
}

/// However often it is tried, it ends.
#[test]
fn a_pool_that_cannot_replace_its_workers_gives_up_and_says_why() {
    for how in 0..4 {
        let is_why = |source: &Error| match source {
            Error::Process(ProcessError::Panicked { message, .. }) => how == 0 && message == "worn out",
            Error::Process(ProcessError::Initializer { reason, .. }) => how == 1 && reason == "worn out",
            Error::Process(ProcessError::InitializerEnded { exit, .. }) => {
                *exit == [Exit::Code(9), Exit::Signal(libc::SIGABRT)][how - 2]
            }
            _ => false,
        };
        let _watchdog = watchdog();
        let starts = RawValue::new(AtomicU32::new(0)).unwrap();
        let pool = Pool::builder().workers(2).initializer(fail_later, (&starts, how)).start().unwrap();
        let tasks: Vec<_> = (0..20).map(|_| pool.apply_async(abort, ())).collect();
        let (mut died, mut not_run) = (0, 0);
        for task in tasks {
            match task.get() {
                Err(TaskError::WorkerDied { .. }) => died += 1,
                Err(TaskError::BrokenPool { failures, source }) => {
                    assert!(failures >= 8 && is_why(&source), "{failures}: {source:?}");
                    not_run += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((died, not_run), (2, 18));
        let tried = starts.load(SeqCst);
        assert!(tried <= 2 + 20, "{tried} starts: that is a storm");
        let refused = pool.apply(|| 7, ());
        assert!(matches!(&refused, Err(TaskError::BrokenPool { source, .. }) if is_why(source)), "{refused:?}");
        pool.join();
    }
}
