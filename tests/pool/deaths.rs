//! Deaths and stops from outside: of workers, of the pool's process, of everybody at once; and copies of the pool's process.

use std::io::Read;
use std::process;
use std::thread;

use crossproc::{Exit, Pool, Process, Queue, TaskError};

use crate::common::locking::{Stage, state_of, wait_for_state};
use crate::common::processes::{forked, signal};
use crate::common::watchdog;

fn square(n: u64) -> u64 {
    n * n
}

fn park() {
    loop {
        thread::park();
    }
}

/// Says who it is, and waits.
fn begin(pids: Queue<u32>, stage: Stage) -> u32 {
    pids.put(&process::id()).unwrap();
    stage.wait_for(1);
    7
}

fn wait_until_gone(pid: u32) {
    while !matches!(state_of(pid), '?' | 'Z' | 'X') {
        thread::yield_now();
    }
}

#[test]
fn a_stopped_worker_stops_nobody_else() {
    let _watchdog = watchdog();
    for is_killed in [false, true] {
        let (pool, pids, stage) = (Pool::new(2).unwrap(), Queue::new(1).unwrap(), Stage::new());
        let stopped = pool.apply_async(begin, (&pids, &stage));
        let pid = pids.get().unwrap();
        signal(pid, libc::SIGSTOP);
        wait_for_state(pid, 'T');
        stage.advance();
        let many = 1_000;
        assert_eq!(pool.chunk(1).map(square, 0..many), Ok((0..many).map(square).collect()));
        assert!(!stopped.is_ready());
        if is_killed {
            signal(pid, libc::SIGKILL);
            assert_eq!(stopped.get(), Err(TaskError::WorkerDied { pid, exit: Exit::Signal(libc::SIGKILL), task: 0 }));
        } else {
            signal(pid, libc::SIGCONT);
            assert_eq!(stopped.get(), Ok(7));
        }
    }
}

#[test]
fn a_pool_with_a_stopped_worker_ends() {
    let _watchdog = watchdog();
    let (pool, pids, stage) = (Pool::new(2).unwrap(), Queue::new(1).unwrap(), Stage::new());
    let stopped = pool.apply_async(begin, (&pids, &stage));
    let pid = pids.get().unwrap();
    signal(pid, libc::SIGSTOP);
    wait_for_state(pid, 'T');
    let workers = pool.workers();
    drop(pool);
    assert_eq!(stopped.get(), Err(TaskError::Cancelled));
    assert!(workers.iter().all(|worker| worker.exit() == Some(Exit::Signal(libc::SIGKILL))));
}

/// Makes a pool, says who its workers are, and stays; `is_busy`: with work that never ends.
fn hold_a_pool(pids: Queue<u32>, is_busy: bool) {
    let pool = Pool::new(2).unwrap();
    if is_busy {
        let stay = |pids: Queue<u32>| {
            pids.put(&process::id()).unwrap();
            park();
        };
        drop(pool.chunk(1).map_async(stay, (0..2).map(|_| &pids)));
    } else {
        pool.workers().iter().for_each(|worker| pids.put(&worker.pid()).unwrap());
    }
    park();
}

#[test]
fn workers_die_with_the_process_of_their_pool() {
    let _watchdog = watchdog();
    for is_busy in [false, true] {
        let pids = Queue::new(2).unwrap();
        let process = Process::spawn(hold_a_pool, (&pids, is_busy)).unwrap();
        let workers = [0; 2].map(|_| pids.get().unwrap());
        assert!(workers.iter().all(|pid| state_of(*pid) != '?'));
        process.kill().unwrap();
        workers.into_iter().for_each(wait_until_gone);
    }
}

#[test]
fn pools_inside_tasks_work_and_die_with_them() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    let inside = |n: u64| Pool::new(2).unwrap().map(|n: u64| n * n, 0..n).unwrap().iter().sum::<u64>();
    assert_eq!(pool.chunk(1).map(inside, 0..6), Ok((0..6).map(|n| (0..n).map(square).sum()).collect()));
    // Whose worker is killed, by a cancellation.
    let pids = Queue::new(2).unwrap();
    let task = pool.apply_async(hold_a_pool, (&pids, true));
    let workers = [0; 2].map(|_| pids.get().unwrap());
    assert!(task.cancel());
    workers.into_iter().for_each(wait_until_gone);
    // Whose pool's process is killed: all of them, one after the other.
    let hold_two = |pids: Queue<u32>| {
        let pool = Pool::new(1).unwrap();
        pids.put(&pool.workers()[0].pid()).unwrap();
        pool.apply(hold_a_pool, (&pids, false)).unwrap();
    };
    let process = Process::spawn(hold_two, (&pids,)).unwrap();
    let workers = [0; 3].map(|_| pids.get().unwrap());
    process.kill().unwrap();
    workers.into_iter().for_each(wait_until_gone);
}

extern "C" fn do_nothing(_: libc::c_int) {}

/// What a terminal does on Ctrl-C, to a process that goes on. 0 if its workers did, too.
fn interrupt_everybody() -> u32 {
    // SAFETY: no memory arguments.
    assert_eq!(unsafe { libc::setpgid(0, 0) }, 0);
    let handler = do_nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
    // SAFETY: the handler does nothing, which is safe at any time.
    assert_ne!(unsafe { libc::signal(libc::SIGINT, handler) }, libc::SIG_ERR);
    let (pool, stage) = (Pool::new(3).unwrap(), Stage::new());
    let pids = |pool: &Pool| pool.workers().iter().map(|worker| worker.pid()).collect::<Vec<_>>();
    let before = pids(&pool);
    let wait = |stage: Stage| {
        stage.advance();
        stage.wait_for(3);
    };
    let busy = pool.chunk(1).map_async(wait, (0..2).map(|_| &stage));
    stage.wait_for(2);
    // SAFETY: no memory arguments; 0 is the group, which is this process and its workers.
    assert_eq!(unsafe { libc::kill(0, libc::SIGINT) }, 0);
    stage.advance();
    busy.get().unwrap();
    pool.chunk(1).map(|n: u64| n, 0..50).unwrap();
    let after = pids(&pool);
    drop(pool);
    u32::from(before != after)
}

#[test]
fn ctrl_c_does_nothing_to_workers_and_nothing_is_printed() {
    let _watchdog = watchdog();
    let (mut reader, output) = std::io::pipe().unwrap();
    let builder = Process::builder().stdout(output.try_clone().unwrap()).stderr(output);
    let process = builder.spawn(interrupt_everybody, ()).unwrap();
    let mut printed = String::new();
    reader.read_to_string(&mut printed).unwrap();
    assert_eq!((process.join(), &printed[..]), (Ok(0), ""));
}

#[test]
fn a_forked_copy_of_the_process_harms_no_pool() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(2).unwrap(), Stage::new());
    let pids = |pool: &Pool| pool.workers().iter().map(|worker| worker.pid()).collect::<Vec<_>>();
    let before = pids(&pool);
    let task = pool.apply_async(|stage: Stage| stage.wait_for(1), (&stage,));
    let (mut pool, mut task) = (Some(pool), Some(task));
    assert!(forked(|| {
        let (pool, task) = (pool.take().unwrap(), task.take().unwrap());
        let refused = pool.apply(square, (3,)) == Err(TaskError::ForkedCopy);
        let was_cancelled = task.cancel();
        let result = task.get();
        pool.close();
        pool.terminate();
        drop(pool);
        refused && !was_cancelled && result == Err(TaskError::ForkedCopy)
    }));
    assert!(forked(|| {
        pool.take().unwrap().join();
        true
    }));
    let pool = pool.unwrap();
    assert_eq!(pool.chunk(1).map(square, 0..20), Ok((0..20).map(square).collect()));
    assert_eq!(pids(&pool), before);
    stage.advance();
    assert_eq!(task.unwrap().get(), Ok(()));
}
