//! Too little memory, too few descriptors, too many peers: typed errors that name both sides.

mod common;

use std::error::Error as _;
use std::hint::black_box;

use common::limits::{address_space, limit};
use common::locking::Stage;
use common::processes::forked;
use common::watchdog;
use crossproc::{
    Arena, Array, Error, GetError, Lock, PipeBuilder, Pool, Process, ProcessError, Queue, TaskError, Value,
};

crossproc::test_support!();

/// Runs `f` in a process of its own, whose limits it may lower.
macro_rules! elsewhere {
    ($f:expr) => {{
        let _watchdog = watchdog();
        Process::spawn($f, ()).unwrap().join().unwrap()
    }};
}

const MEBIBYTE: usize = 1 << 20;

#[test]
fn more_memory_than_there_is_is_no_space() {
    for length in [1 << 44, usize::MAX / 2, usize::MAX] {
        match Array::<u8>::new(length) {
            Err(Error::NoSpace { needed, available }) => assert!(needed > available),
            other => panic!("{other:?}"),
        }
    }
    let machine: u64 =
        std::fs::read_to_string("/proc/meminfo").unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(matches!(Array::<u8>::new(machine as usize * 1024), Err(Error::NoSpace { .. })));
}

#[test]
fn a_limit_of_the_address_space_is_no_space() {
    let refused = || {
        limit(libc::RLIMIT_AS, 1 << 30);
        matches!(Array::<u8>::new(1 << 30), Err(Error::NoSpace { .. })) && Array::<u8>::new(MEBIBYTE).is_ok()
    };
    assert!(elsewhere!(refused));
}

/// Limits the address space of this process to what it has, and a little more.
fn limit_the_address_space() {
    limit(libc::RLIMIT_AS, address_space() + (1 << 20));
}

#[test]
fn what_may_be_a_limit_of_the_address_space_is_said_to_be_one() {
    let refused = || {
        limit_the_address_space();
        Queue::<u8>::new(1024).map(drop).unwrap_err().to_string()
    };
    let text = elsewhere!(refused);
    assert!(text.contains("RLIMIT_AS"), "{text}");
}

fn put(queue: Queue<u8>) -> bool {
    queue.put(7).is_ok()
}

#[test]
fn a_task_in_a_limited_address_space_ends_with_the_reason() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(1).initializer(limit_the_address_space, ()).start().unwrap();
    match pool.apply(put, (&Queue::new(1024).unwrap(),)) {
        Err(TaskError::Decode { reason }) => assert!(reason.contains("RLIMIT_AS"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

/// What is shared is no data of a process.
#[test]
fn a_limit_of_data_is_for_what_tasks_allocate() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(1).initializer(|| limit(libc::RLIMIT_DATA, 256 << 20), ()).start().unwrap();
    let queue = Queue::new(1024).unwrap();
    assert_eq!(pool.apply(put, (&queue,)), Ok(true));
    let allocate = |bytes: usize| drop(black_box(vec![1_u8; bytes]));
    assert!(matches!(pool.apply(allocate, (1 << 30,)), Err(TaskError::WorkerDied { .. })));
    assert_eq!(pool.apply(allocate, (1 << 20,)), Ok(()));
}

/// Whoever has no memory for a copy of a long message leaves it to others, or to itself for when it has more.
#[test]
fn a_message_too_long_for_the_address_space_is_no_space_and_stays() {
    let _watchdog = watchdog();
    const LENGTH: usize = 64 * MEBIBYTE;
    let queue = Queue::<Vec<u8>>::builder().capacity(2).max_message(LENGTH + 16).build().unwrap();
    let too_long = |queue: Queue<Vec<u8>>| {
        assert!(queue.is_full()); // attached
        limit(libc::RLIMIT_AS, address_space() + 16 * MEBIBYTE as u64);
        for _ in 0..2 {
            match queue.get() {
                Err(GetError::Failed(Error::NoSpace { needed, .. })) => assert!(needed >= LENGTH as u64),
                other => panic!("{:?}", other.map(|message| message.len())),
            }
        }
        assert_eq!(queue.len(), 2);
        limit(libc::RLIMIT_AS, libc::RLIM_INFINITY);
        queue.get().unwrap().len()
    };
    for byte in [1, 2] {
        queue.put(vec![byte; LENGTH]).unwrap();
    }
    assert_eq!(Process::spawn(too_long, (&queue,)).unwrap().join(), Ok(LENGTH));
    assert_eq!(queue.len(), 1);
    let left = queue.get().unwrap();
    assert!(left.len() == LENGTH && left.iter().all(|&byte| byte == left[0]));
}

#[test]
fn a_limit_of_file_sizes_is_no_space_and_no_signal() {
    let refused = || {
        limit(libc::RLIMIT_FSIZE, MEBIBYTE as u64);
        let error = Array::<u8>::new(2 * MEBIBYTE).unwrap_err();
        assert!(Array::<u8>::new(MEBIBYTE / 2).is_ok());
        error
    };
    match elsewhere!(refused) {
        Error::NoSpace { needed, available } => assert!(needed > 2 << 20 && available == 1 << 20),
        other => panic!("{other}"),
    }
}

/// Such a limit is for files that grow: what has its memory can be used, also behind it.
#[test]
fn a_limit_of_file_sizes_keeps_nobody_from_a_message() {
    let queue = Queue::<Vec<u8>>::new(2).unwrap();
    queue.put(vec![7; 1 << 19]).unwrap();
    let get_and_put = |queue: Queue<Vec<u8>>| {
        limit(libc::RLIMIT_FSIZE, 0);
        let length = queue.get().unwrap().len();
        queue.put(vec![8; 1 << 18]).unwrap();
        length
    };
    let _watchdog = watchdog();
    assert_eq!(Process::spawn(get_and_put, (&queue,)).unwrap().join(), Ok(1 << 19));
    assert_eq!(queue.get().unwrap(), vec![8; 1 << 18]);
}

#[test]
fn messages_longer_than_memory_are_no_space() {
    for most in [isize::MAX as usize - 4095, isize::MAX as usize, usize::MAX] {
        match Queue::<u8>::builder().capacity(1).max_message(most).build() {
            Err(Error::NoSpace { needed, available }) => assert!(needed > available),
            other => panic!("{most:#x}: {other:?}"),
        }
    }
}

#[test]
fn no_memory_of_its_own_for_a_queue_is_no_space() {
    let refused = || {
        let capacity = 1 << 22;
        let build = |capacity| Queue::<u8>::builder().capacity(capacity).max_message(200).build();
        drop(build(1).unwrap());
        // The queue fits, and not all that this process remembers of it.
        limit(libc::RLIMIT_AS, address_space() + (4096 + 128) * capacity + (20 << 20));
        matches!(build(capacity as usize), Err(Error::NoSpace { .. })) && build(1).is_ok()
    };
    assert!(elsewhere!(refused));
}

#[test]
fn a_put_that_fails_says_what_lies_behind() {
    let _watchdog = watchdog();
    let queue = Queue::new(1).unwrap();
    // A forked copy becomes a peer with its first put, and needs a descriptor for that.
    assert!(forked(|| {
        limit(libc::RLIMIT_NOFILE, 3);
        let (put, tried) = (queue.put(1).unwrap_err(), queue.try_put(1).unwrap_err());
        let says = |text: String| text.contains("cannot") && text.contains("os error 24");
        says(format!("{put:?}")) && says(format!("{tried:?}")) && put.source().is_some() && tried.source().is_some()
    }));
    queue.put(1).unwrap();
    let full = queue.try_put(2).unwrap_err();
    assert_eq!((format!("{full:?}"), full.source().is_none()), ("TryPutError(full)".into(), true));
}

#[test]
fn a_limit_of_a_control_group_is_no_space() {
    let _watchdog = watchdog();
    let group = std::path::Path::new("/sys/fs/cgroup/memory").join(format!("crossproc-{}", std::process::id()));
    let limit = group.join("memory.limit_in_bytes");
    if std::fs::create_dir(&group).is_err() || std::fs::write(limit, (256 * MEBIBYTE).to_string()).is_err() {
        let _ = std::fs::remove_dir(&group);
        return eprintln!("not checked: this user cannot make a memory control group of version 1");
    }
    let refused = |tasks: String| {
        std::fs::write(tasks, std::process::id().to_string()).unwrap();
        let refused = matches!(Array::<u8>::new(512 * MEBIBYTE), Err(Error::NoSpace { .. }));
        refused && Array::<u8>::new(64 * MEBIBYTE).is_ok()
    };
    let tasks = group.join("cgroup.procs").to_str().unwrap().to_string();
    let outcome = Process::spawn(refused, (tasks,)).unwrap().join();
    std::fs::remove_dir(&group).unwrap();
    assert_eq!(outcome, Ok(true));
}

#[test]
fn no_descriptor_left_is_an_error_of_the_system() {
    let refused = || {
        limit(libc::RLIMIT_NOFILE, 40);
        let values: Vec<_> = std::iter::repeat_with(|| Value::new(1)).take_while(Result::is_ok).take(100).collect();
        let count = values.len();
        let error = Value::new(1).unwrap_err();
        drop(values);
        assert!(Value::new(1).is_ok(), "all descriptors have come back");
        (count, error)
    };
    let (count, error) = elsewhere!(refused);
    assert!((20..40).contains(&count));
    match error {
        Error::Os { source, .. } => assert_eq!(source.code(), libc::EMFILE),
        other => panic!("{other}"),
    }
}

#[test]
fn a_full_arena_is_no_space_and_goes_on_working() {
    let arena = Arena::new(1024).unwrap();
    let locks: Vec<Lock> = std::iter::from_fn(|| Lock::new_in(&arena).ok()).take(1_000).collect();
    assert!(locks.len() >= 1024 / 256 && locks.len() < 1_000);
    match Value::new_in(&arena, [0_u8; 4096]) {
        Err(Error::NoSpace { needed, available }) => assert!(needed > 4096 && available < 256),
        other => panic!("{other:?}"),
    }
    assert!(locks.iter().all(|lock| lock.lock().is_ok()));
}

#[test]
fn what_does_not_fit_into_an_arena_takes_nothing_of_it() {
    let arena = Arena::new(60 << 10).unwrap();
    let before = arena.remaining();
    let queue = |length| Queue::<u8>::builder().capacity(3).max_message(length).build_in(&arena);
    assert!(matches!(queue(16 << 10), Err(Error::NoSpace { .. })));
    let pipe = |capacity| PipeBuilder::new().capacity(capacity).arena(&arena).pipe::<u8, u8>();
    assert!(matches!(pipe(32 << 10), Err(Error::NoSpace { .. })));
    assert_eq!(arena.remaining(), before);
    drop((queue(4 << 10).unwrap(), pipe(4 << 10).unwrap()));
    assert!(arena.remaining() < before);
}

#[test]
fn one_peer_too_many_is_refused_until_another_leaves() {
    let _watchdog = watchdog();
    let value = Value::new(0_u32).unwrap();
    let enter = Stage::new();
    let (input, leave) = std::io::pipe().unwrap();
    let stay = |value: Value<u32>, enter: Stage| {
        value.update(|n| n + 1);
        enter.advance();
        std::io::read_to_string(std::io::stdin()).unwrap(); // until `leave` is closed
    };
    // This process is the first of 256 peers; the stage has a segment of its own, and the same peers.
    let start = || {
        let input = input.try_clone().unwrap();
        Process::builder().daemon(true).stdin(input).spawn(stay, (&value, &enter)).unwrap()
    };
    let peers: Vec<_> = (0..255).map(|_| start()).collect();
    enter.wait_for(255);
    let refused = start().join().unwrap_err();
    let ProcessError::Failed { source, .. } = refused else { panic!("{refused}") };
    assert_eq!(*source, Error::TooManyPeers { limit: 256 });
    peers[7].kill().unwrap();
    peers[7].wait();
    let newcomer = start();
    enter.wait_for(256);
    drop(leave);
    newcomer.join().unwrap();
    assert_eq!(value.get(), 256);
    let ended = peers.into_iter().map(|peer| peer.join()).filter(Result::is_ok).count();
    assert_eq!(ended, 254);
}
