//! Functions travel as numbers, and only the pool says what is behind one: whoever can write into the queue of orders still cannot
//! have a worker jump somewhere.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use crossproc::{Pool, Process, TaskError};

use crate::common::locking::{Stage, wait_for_state};
use crate::common::processes::signal;
use crate::common::watchdog;

/// Where these bytes stand in the memory that this process shares with others, by their addresses.
fn find_shared(wanted: &[u8]) -> Vec<u64> {
    let memory = File::open("/proc/self/mem").unwrap();
    let mut found = Vec::new();
    for line in fs::read_to_string("/proc/self/maps").unwrap().lines() {
        let mut fields = line.split_whitespace();
        let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
        let [start, end] =
            range.split_once('-').map(|(a, b)| [a, b].map(|at| u64::from_str_radix(at, 16).unwrap())).unwrap();
        let mut bytes = vec![0; (end - start) as usize];
        if rights == "rw-s" && memory.read_exact_at(&mut bytes, start).is_ok() {
            let places = (0_u64..).zip(bytes.windows(wanted.len())).filter(|(_, bytes)| *bytes == wanted);
            found.extend(places.map(|(at, _)| start + at));
        }
    }
    found
}

fn length(bytes: Vec<u8>) -> usize {
    bytes.len()
}

/// An order ends with: the function's number, the first call's, how many calls, that arguments follow, no segments, how many
/// bytes of them, and these; here a byte for each of the first six.
#[test]
fn a_number_that_nobody_handed_out_is_a_tasks_end() {
    let _watchdog = watchdog();
    for number in [2, 0x7f] {
        let (pool, stage) = (Pool::new(1).unwrap(), Stage::new());
        let busy = pool.apply_async(|stage: Stage| stage.wait_for(1), (&stage,));
        let marker: Vec<u8> = (0..40).map(|n| n ^ number).collect();
        let task = pool.apply_async(length, (&marker,));
        let mut order = vec![1, 1, 1, 1, 0, 41, 40]; // the second function, and the second task, that the pool was given
        order.extend(&marker);
        let places = find_shared(&order);
        assert_eq!(places.len(), 1, "orders look different from what this test takes them for");
        let memory = File::options().write(true).open("/proc/self/mem").unwrap();
        memory.write_all_at(&[number], places[0]).unwrap();
        stage.advance();
        assert_eq!(busy.get(), Ok(()));
        let outcome = task.get();
        assert!(matches!(&outcome, Err(TaskError::Decode { reason }) if reason.contains("handed out")), "{outcome:?}");
        assert_eq!(pool.apply(length, (marker,)), Ok(40), "it goes on");
    }
}

/// The pool's process is stopped, and could answer nothing.
#[test]
fn a_worker_asks_for_a_function_once() {
    let _watchdog = watchdog();
    let step = |stage: Stage, at: u32| {
        stage.wait_for(at);
        stage.advance();
    };
    let stage = Stage::new();
    let run = move |stage: Stage| {
        let pool = Pool::new(1).unwrap();
        let tasks = [1, 3, 4].map(|at| pool.apply_async(step, (&stage, at)));
        stage.advance(); // they are in the queue
        assert_eq!(tasks.map(|task| task.get()), [Ok(()), Ok(()), Ok(())]);
    };
    let owner = Process::spawn(run, (&stage,)).unwrap();
    stage.wait_for(2);
    signal(owner.pid(), libc::SIGSTOP);
    wait_for_state(owner.pid(), 'T');
    stage.advance();
    stage.wait_for(5);
    signal(owner.pid(), libc::SIGCONT);
    owner.join().unwrap();
}
