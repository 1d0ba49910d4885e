//! What a pool and its handles make of memory, and of messages, that are not what they should be.

use std::fs;
use std::process;
use std::ptr;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use crossproc::{Error, Pool, Process, ProcessError, Progress, Queue, RawArray, TaskError};
use serde::{Deserialize, Deserializer, Serialize};

use crate::common::locking::Stage;
use crate::common::watchdog;

/// An array that arrives as the counts of a pool.
#[derive(Serialize)]
#[serde(transparent)]
struct Pretender(RawArray<AtomicU64>);

impl<'de> Deserialize<'de> for Pretender {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let progress = Progress::deserialize(deserializer)?;
        assert_eq!([progress.queued(), progress.running(), progress.done(), progress.failed()], [0; 4]);
        RawArray::new(1).map(Pretender).map_err(serde::de::Error::custom)
    }
}

#[test]
fn an_array_that_is_too_short_for_the_counts_of_a_pool_is_refused() {
    let _watchdog = watchdog();
    for words in [1, 3, 259, 260, 262] {
        let array = Pretender(RawArray::new(words).unwrap());
        let outcome = Process::spawn(|_: Pretender| (), (array,)).unwrap().join();
        let Err(ProcessError::Failed { source, .. }) = outcome else { panic!("{words} words: {outcome:?}") };
        assert!(matches!(*source, Error::Decode { .. }), "{words} words: {source:?}");
    }
    let array = Pretender(RawArray::new(261).unwrap());
    assert_eq!(Process::spawn(|_: Pretender| (), (array,)).unwrap().join(), Ok(()));
}

/// In a worker: the end of the socket to its pool.
const SOCKET: i32 = 3;

/// Says to the pool that a message of one descriptor comes; neither does.
fn begin_a_message(stage: Stage) {
    let beginning = b"crossp\0\x01\x01\x00";
    // SAFETY: so many bytes, which outlive the call; if it is no socket of ours, the test fails.
    let sent = unsafe { libc::send(SOCKET, beginning.as_ptr().cast(), beginning.len(), libc::MSG_NOSIGNAL) };
    assert_eq!(sent, beginning.len() as isize);
    stage.advance();
    stage.wait_for(2);
}

#[test]
fn a_message_that_never_comes_keeps_nobody() {
    let _watchdog = watchdog();
    const ROUNDS: u32 = 8;
    let pool = Pool::new(2).unwrap();
    let mut shortest = Duration::MAX;
    for round in 0..ROUNDS {
        let begun = Instant::now();
        let (stage, queue) = (Stage::new(), Queue::<u8>::new(7).unwrap());
        let hostile = pool.apply_async(begin_a_message, (&stage,));
        stage.wait_for(1);
        // The other worker has to ask.
        assert_eq!(pool.apply(|queue: Queue<u8>| queue.capacity(), (&queue,)), Ok(7), "{round}");
        stage.advance();
        assert_eq!(hostile.get(), Ok(()));
        assert_eq!(pool.apply(|bytes: Vec<u8>| bytes.len(), (vec![0; 100 << 10],)), Ok(100 << 10), "{round}");
        shortest = shortest.min(begun.elapsed());
    }
    // Each time, the keeper would have waited for a second at least, and whoever asks with it. On a busy machine a round may take as long
    // for other reasons, but not all of them.
    assert!(shortest < Duration::from_secs(1), "{shortest:?}");
}

/// Writes this word over all that tells whose each task is, and over the counts: that is the one mapping of its size.
fn write_over_the_board(word: u64) {
    /// What is before the words: the header of the segment, its table of peers, and the header of the array.
    const HEAD: usize = 128 + 8 * 256 + 128;
    const WORDS: usize = 3 + 2 * WORKERS + 256;
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let board = maps.lines().filter(|line| line.contains("rw-s")).find_map(|line| {
        let (start, end) = line.split(' ').next()?.split_once('-')?;
        let [start, end] = [start, end].map(|at| usize::from_str_radix(at, 16).unwrap());
        (end - start == (HEAD + 8 * WORDS).next_multiple_of(4096)).then_some((start, end))
    });
    let (start, end) = board.unwrap();
    for at in (start + HEAD..end).step_by(8) {
        // SAFETY: the words are mapped, and any bits are words.
        unsafe { ptr::with_exposed_provenance_mut::<u64>(at).write_volatile(word) };
    }
}

const WORKERS: usize = 2;

#[test]
fn tasks_whose_words_were_written_over_end() {
    let _watchdog = watchdog();
    for word in [0, u64::MAX, 1 << 30 | 1, 0x1234_5678_9abc_def2] {
        let (pool, stage) = (Pool::new(WORKERS).unwrap(), Stage::new());
        let spoil = |word: u64, stage: Stage| {
            stage.advance();
            stage.wait_for(3);
            write_over_the_board(word);
            stage.advance();
        };
        let wait = |stage: Stage| {
            stage.advance();
            stage.wait_for(4);
        };
        let busy = [pool.apply_async(spoil, (word, &stage)), pool.apply_async(wait, (&stage,))];
        stage.wait_for(2);
        let queued: Vec<_> = (0..20).map(|n| pool.apply_async(|n: u32| n, (n,))).collect();
        stage.advance();
        for task in busy {
            assert!(matches!(task.get(), Ok(()) | Err(TaskError::Decode { .. })), "{word:x}");
        }
        for (n, task) in (0..).zip(queued) {
            let outcome = task.get();
            assert!(outcome == Ok(n) || matches!(outcome, Err(TaskError::Decode { .. })), "{word:x}, {n}: {outcome:?}");
        }
        assert_eq!(pool.apply(|| 7, ()), Ok(7), "{word:x}");
        pool.join();
    }
}

#[test]
fn a_worker_that_writes_over_all_words_and_dies_leaves_no_task_behind() {
    let _watchdog = watchdog();
    let pool = Pool::new(WORKERS).unwrap();
    let die = |word: u64| -> () {
        write_over_the_board(word);
        process::abort();
    };
    for word in [0, u64::MAX] {
        let outcome = pool.apply(die, (word,));
        assert!(matches!(outcome, Err(TaskError::Decode { .. })), "{outcome:?}");
        assert_eq!(pool.apply(|| 7, ()), Ok(7));
    }
    pool.join();
}
