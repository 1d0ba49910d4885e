//! Processes that end, and what is readable then.

use std::thread;
use std::time::Duration;

use crossproc::{Error, Process, Producer, Queue, Ring, TryGetError, wait_any};

use crate::common::locking::Stage;
use crate::common::watchdog;
use crate::{is_readable, wait_for};

#[test]
fn a_killed_process_is_readable() {
    let _watchdog = watchdog();
    let process = Process::spawn(thread::park, ()).unwrap();
    assert!(!is_readable(&process));
    process.kill().unwrap();
    wait_for(&process);
    wait_for(process.child());
}

/// There is nothing but a slot that a dead producer had claimed: whoever gets mends it, and finds the end.
#[test]
fn a_closed_ring_full_of_what_a_dead_producer_had_claimed_is_readable() {
    let _watchdog = watchdog();
    for is_queried_before in [false, true] {
        let (ring, stage) = (Ring::<u32>::new(1).unwrap(), Stage::new());
        let claim = |ring: Ring<u32>, stage: Stage| {
            let _slot = ring.reserve().unwrap();
            stage.advance();
            stage.wait_for(2);
        };
        let process = Process::spawn(claim, (&ring, &stage)).unwrap();
        stage.wait_for(1);
        if is_queried_before {
            assert!(!is_readable(&ring));
        }
        process.kill().unwrap();
        process.wait();
        ring.close();
        assert_eq!(wait_any(&[&ring], Some(Duration::from_secs(5))), Ok(vec![0]));
        assert_eq!(ring.try_get(), Err(TryGetError::Closed));
    }
}

/// The end of a queue that ends with its producers: told by the last one that goes, or found out.
#[test]
fn a_queue_without_producers_is_readable() {
    let _watchdog = watchdog();
    for is_killed in [false, true] {
        let queue = Queue::<u32>::builder().capacity(4).end_with_producers(true).build().unwrap();
        let (producer, consumer) = (queue.producer(), queue.consumer());
        drop(queue);
        let put = |producer: Producer<u32>, is_killed: bool| {
            producer.put(7).unwrap();
            if is_killed {
                thread::park();
            }
        };
        let process = Process::spawn(put, (producer, is_killed)).unwrap();
        wait_for(&consumer);
        assert_eq!(consumer.get(), Ok(7));
        if is_killed {
            assert!(!is_readable(&consumer));
            process.kill().unwrap();
        }
        wait_for(&consumer);
        assert_eq!(consumer.try_get(), Err(TryGetError::Disconnected));
        assert!(is_readable(&consumer));
        process.wait();
    }
}

/// A process ends with watchers at work, and by all ways.
#[test]
fn watchers_do_not_keep_a_process() {
    let _watchdog = watchdog();
    let body = |way: u32| {
        let queues: Vec<_> = (0..8).map(|_| Queue::<u8>::new(1).unwrap()).collect();
        assert!(queues.iter().all(|queue| queue.readiness().is_ok()));
        std::mem::forget(queues.clone());
        match way {
            0 => {}
            1 => std::process::exit(0),
            _ => std::mem::forget(queues),
        }
    };
    for way in 0..3 {
        let process = Process::spawn(body, (way,)).unwrap();
        assert_eq!(process.wait(), crossproc::Exit::Code(0));
    }
}

#[test]
fn without_descriptors_readiness_is_an_error() {
    let _watchdog = watchdog();
    let body = || {
        let queue = Queue::<u8>::new(1).unwrap();
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: reads a live rlimit.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &none) }, 0);
        match queue.readiness() {
            Err(Error::Os { source, .. }) => source.code() == libc::EMFILE,
            _ => false,
        }
    };
    assert_eq!(Process::spawn(body, ()).unwrap().join(), Ok(true));
}
