//! A worker whose channel of results has been written over: what was in it ends with an error, and the pool goes on.

use std::fs;
use std::ptr;
use std::thread;
use std::time::Duration;

use crossproc::{Pool, TaskError};

use crate::common::locking::Stage;
use crate::common::watchdog;

/// Bytes of a worker's channel.
const RESULTS: usize = 256 << 10;

/// What is before them: the header of the segment, its table of peers, and the header and the body of the pipe.
const HEAD: usize = 128 + 8 * 256 + 128 + 256;

const PAGE: usize = 4096;

/// A message of no bytes, as each word of the channel: the next one is always there.
const EMPTY: &[u64] = &[1 << 48];

/// A message of the 21 bytes that begin a record of results, all 0: of a task that is long gone.
const OLD: &[u64] = &[1 << 48 | 21, 0, 0, 0];

/// No message.
const NONE: &[u64] = &[u64::MAX];

/// Where the channel is in this process: the one mapping of its size.
fn channel() -> *mut u64 {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let found = maps.lines().filter(|line| line.contains("memfd")).find_map(|line| {
        let (start, end) = line.split(' ').next()?.split_once('-')?;
        let [start, end] = [start, end].map(|at| usize::from_str_radix(at, 16).unwrap());
        (end - start == (HEAD + RESULTS).next_multiple_of(PAGE)).then_some(start + HEAD)
    });
    ptr::with_exposed_provenance_mut(found.unwrap())
}

/// Writes these words there, over and over.
fn scribble(words: &[u64]) {
    let channel = channel();
    for index in 0..RESULTS / 8 {
        // SAFETY: the words of the channel are mapped, and any bits are words.
        unsafe { channel.wrapping_add(index).write_volatile(words[index % words.len()]) };
    }
}

fn park() {
    loop {
        thread::park();
    }
}

fn scribble_and_park(words: Vec<u64>) {
    scribble(&words);
    park();
}

#[test]
fn results_that_are_none_are_the_end_of_the_worker_and_its_task() {
    let _watchdog = watchdog();
    for words in [EMPTY, NONE] {
        let pool = Pool::new(1).unwrap();
        for _ in 0..3 {
            let outcome = pool.apply(scribble_and_park, (words.to_vec(),));
            assert!(matches!(outcome, Err(TaskError::Decode { .. })), "{words:x?}: {outcome:?}");
            assert_eq!(pool.apply(|| 7, ()), Ok(7));
        }
    }
}

/// Whoever collects results does not follow a channel that goes round for ever.
#[test]
fn results_without_an_end_keep_nobody() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(1).unwrap(), Stage::new());
    let task = pool.apply_async(
        |stage: Stage| {
            scribble(OLD);
            stage.advance();
            park();
        },
        (&stage,),
    );
    stage.wait_for(1);
    // Longer than results are left uncollected.
    assert!(!task.wait_timeout(Duration::from_millis(200)));
    assert!(task.cancel());
    assert_eq!(pool.apply(|| 7, ()), Ok(7));
}

/// As nobody asks for them, they are in the channel.
#[test]
fn tasks_whose_results_were_written_over_end() {
    let _watchdog = watchdog();
    const AHEAD: u32 = 4;
    let (pool, stage) = (Pool::new(1).unwrap(), Stage::new());
    let one = |(n, stage): (u32, Stage)| {
        if n + 1 == AHEAD {
            scribble(NONE);
            stage.advance();
            park();
        }
        n
    };
    let mut outcomes = pool.chunk(1).imap(one, (0..AHEAD).map(|n| (n, stage.clone())));
    stage.wait_for(1);
    for n in 0..AHEAD {
        let outcome = outcomes.next();
        assert!(matches!(outcome, Some(Err(TaskError::Decode { .. }))), "{n}: {outcome:?}");
    }
    assert_eq!(outcomes.next(), None);
}
