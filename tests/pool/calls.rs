//! One call at a time: what goes there, what comes back, and from how many threads.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use crossproc::{Pool, Process, RawValue, TaskError};

use crate::common::watchdog;

fn square(n: u64) -> u64 {
    n * n
}

#[test]
fn results_come_back() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    assert_eq!(pool.apply(|| (), ()), Ok(()));
    assert_eq!(pool.apply(square, (5,)), Ok(25));
    assert_eq!(pool.apply(|a: i32, b: i32| a - b, (1, 2)), Ok(-1));
    assert_eq!(pool.apply(|it: Option<u8>| it, (None::<u8>,)), Ok(None));
    let count = |map: BTreeMap<String, Vec<u32>>, name: String| map.len() + name.len();
    let map = BTreeMap::from([("one".to_string(), vec![1]), ("two".to_string(), vec![])]);
    assert_eq!(pool.apply(count, (&map, "three")), Ok(7));
}

#[test]
fn results_can_be_asked_for_in_any_order() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    let tasks: Vec<_> = (0..300).map(|n| (n, pool.apply_async(square, (n,)))).collect();
    for (n, task) in tasks.into_iter().rev() {
        assert_eq!(task.get(), Ok(n * n));
    }
}

#[test]
fn an_err_that_a_function_returns_is_its_result() {
    let _watchdog = watchdog();
    let pool = Pool::new(1).unwrap();
    let refuse = |n: u32| if n == 0 { Err("none".to_string()) } else { Ok(n) };
    assert_eq!(pool.apply(refuse, (0,)), Ok(Err("none".to_string())));
    assert_eq!(pool.map(refuse, [1, 0]), Ok(vec![Ok(1), Err("none".to_string())]));
    assert_eq!(pool.progress().failed(), 0);
}

#[test]
fn arguments_and_results_of_any_size_travel() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    let reversed = |mut bytes: Vec<u8>| {
        bytes.reverse();
        bytes
    };
    for length in [0, 1, 16_380, 16_390, 20 << 10, 65_530, 65_540, 200 << 10, 300 << 10, 20 << 20] {
        let bytes: Vec<_> = (0..length).map(|at: u32| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        let mut back = pool.apply(reversed, (&bytes,)).unwrap();
        back.reverse();
        assert!(back == bytes, "{length} bytes");
    }
    let lengths: Vec<_> = (0..40).map(|n| n * 9_000).collect();
    for chunk in [1, 7] {
        let results = pool.chunk(chunk).map(reversed, lengths.iter().map(|length| vec![7_u8; *length]));
        assert_eq!(results.unwrap().iter().map(Vec::len).collect::<Vec<_>>(), lengths);
    }
    assert_eq!(pool.apply(|bytes: Vec<u8>| bytes.len(), (vec![1; 20 << 20],)), Ok(20 << 20));
    assert_eq!(pool.apply(|length: usize| vec![1_u8; length], (20 << 20,)).unwrap().len(), 20 << 20);
}

/// What has no size at all has to be counted, too.
#[test]
fn arguments_and_results_of_no_bytes_travel() {
    let _watchdog = watchdog();
    let (pool, runs) = (Pool::new(2).unwrap(), RawValue::new(AtomicU64::new(0)).unwrap());
    assert_eq!(pool.chunk(9).map(|()| (), (0..100).map(|_| ())), Ok(vec![(); 100]));
    assert_eq!(pool.chunk(9).starmap(|| (), (0..100).map(|_| ())), Ok(vec![(); 100]));
    let count = |runs: RawValue<AtomicU64>| runs.fetch_add(1, Relaxed);
    pool.chunk(3).map(count, (0..100).map(|_| &runs)).unwrap();
    assert_eq!(runs.load(Relaxed), 100);
}

#[test]
fn threads_use_a_pool_at_the_same_time() {
    let _watchdog = watchdog();
    let pool = Pool::new(3).unwrap();
    thread::scope(|scope| {
        for number in 0..6 {
            let pool = &pool;
            scope.spawn(move || {
                for n in 0..100 {
                    match number {
                        0 | 1 => assert_eq!(pool.apply(square, (n,)), Ok(n * n)),
                        2 => assert_eq!(pool.map(square, [n, n + 1]), Ok(vec![n * n, (n + 1) * (n + 1)])),
                        3 => assert_eq!(pool.imap(square, 0..).nth(n as usize), Some(Ok(n * n))),
                        4 => assert_eq!(pool.imap_unordered(square, 0..n).filter(Result::is_ok).count() as u64, n),
                        _ => {
                            let task = pool.apply_async(square, (n,));
                            assert!(task.cancel() || task.get() == Ok(n * n));
                        }
                    }
                }
            });
        }
    });
    // Workers finish what they had of the lazy maps that were dropped.
    while pool.progress().queued() + pool.progress().running() > 0 {
        thread::yield_now();
    }
}

/// Runs `work`, which makes pools, in a process of its own; what it printed for its reader and for the user.
fn apart(work: fn() -> bool, backtrace: Option<&str>) -> String {
    let (mut reader, stderr) = std::io::pipe().unwrap();
    let builder = Process::builder().stderr(stderr);
    let builder = match backtrace {
        Some(value) => builder.env("RUST_BACKTRACE", value),
        None => builder.env_remove("RUST_BACKTRACE").env_remove("RUST_LIB_BACKTRACE"),
    };
    let call = |work: usize| WORKS[work]();
    let number = WORKS.iter().position(|known| std::ptr::fn_addr_eq(*known, work)).unwrap();
    let process = builder.spawn(call, (number,)).unwrap();
    let mut printed = String::new();
    reader.read_to_string(&mut printed).unwrap();
    assert!(process.join().unwrap(), "{printed}");
    printed
}

const WORKS: [fn() -> bool; 2] = [has_backtrace, has_place];

fn fail_by_itself(n: u32) -> u32 {
    panic!("not {n}");
}

const LINE: u32 = line!() - 3;

fn panic_of_a_task() -> Option<(String, String, Option<String>)> {
    match Pool::new(1).unwrap().apply(fail_by_itself, (7,)) {
        Err(TaskError::Panicked { message, location, backtrace, .. }) => Some((message, location, backtrace)),
        _ => None,
    }
}

fn has_backtrace() -> bool {
    panic_of_a_task().is_some_and(|(_, _, backtrace)| backtrace.is_some_and(|text| text.contains("fail_by_itself")))
}

fn has_place() -> bool {
    panic_of_a_task().is_some_and(|(message, location, backtrace)| {
        message == "not 7" && location.starts_with(&format!("tests/pool/calls.rs:{LINE}:")) && backtrace.is_none()
    })
}

#[test]
fn a_panic_comes_back_with_message_and_place_and_is_not_printed() {
    let _watchdog = watchdog();
    assert_eq!(apart(has_place, None), "");
    assert_eq!(apart(has_backtrace, Some("1")), "");
}

#[test]
fn an_error_says_what_happened_where() {
    let _watchdog = watchdog();
    let pool = Pool::new(1).unwrap();
    let pid = pool.workers()[0].pid();
    let error = pool.apply(fail_by_itself, (7,)).unwrap_err();
    let said = format!("task 0 panicked at tests/pool/calls.rs:{LINE}:");
    assert!(error.to_string().starts_with(&said) && error.to_string().ends_with(&format!("in process {pid}: not 7")));
    let error = pool.apply(|| -> u32 { std::process::exit(3) }, ()).unwrap_err();
    assert_eq!(error.to_string(), format!("process {pid} exited with code 3 before it had done task 1"));
    let error = pool.map(|n: u64| assert!(n < 2), 0..3).unwrap_err();
    assert!(error.to_string().starts_with("task 2 panicked at tests/pool/calls.rs:"), "{error}");
    // Maps have numbers of their own.
    let error = pool.apply(fail_by_itself, (7,)).unwrap_err();
    assert!(error.to_string().starts_with("task 2 panicked at "), "{error}");
}
