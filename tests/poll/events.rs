//! Events: readable while they are set.

use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::Duration;

use crossproc::{Arena, Event, Process, Queue, wait_any};

use crate::common::locking::Stage;
use crate::common::processes::forked;
use crate::common::watchdog;
use crate::{ROUNDS, is_readable, wait_for, wait_until_unreadable, watchers};

#[test]
fn it_is_readable_while_it_is_set() {
    let _watchdog = watchdog();
    let arena = Arena::new(1 << 12).unwrap();
    for event in [Event::new().unwrap(), Event::new_in(&arena).unwrap()] {
        for _ in 0..3 {
            assert!(!is_readable(&event));
            event.set();
            event.set();
            assert!(is_readable(&event) && is_readable(&event));
            wait_for(&event);
            event.wait();
            assert!(is_readable(&event), "nothing is taken by waiting");
            event.clear();
            event.clear();
        }
    }
}

#[test]
fn what_was_set_before_the_first_look_is_readable() {
    let _watchdog = watchdog();
    let event = Event::new().unwrap();
    event.set();
    assert!(is_readable(&event));
}

/// Who polls the descriptor and asks nothing else is told, too.
#[test]
fn another_process_sets_and_clears_it() {
    let _watchdog = watchdog();
    let event = Event::new().unwrap();
    let descriptor = event.as_fd();
    for _ in 0..3 {
        assert!(wait_any(&[&descriptor], Some(Duration::ZERO)).unwrap().is_empty());
        Process::spawn(|event: Event| event.set(), (&event,)).unwrap().join().unwrap();
        wait_for(&descriptor);
        Process::spawn(|event: Event| event.clear(), (&event,)).unwrap().join().unwrap();
        wait_until_unreadable(&descriptor);
    }
}

/// As the compiled code leaves it when it is killed between the flag and the wake-up: its word is changed, and nobody told.
#[test]
fn a_flag_whose_setter_was_killed_before_it_woke_anybody_is_seen() {
    let _watchdog = watchdog();
    const SET: u64 = 1;
    const WAITERS: u64 = 2;
    let event = Event::new().unwrap();
    let path = format!("/proc/self/fd/{}", event.memory_fd().as_raw_fd());
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let read = || {
        let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    };
    let before = read();
    event.set();
    let place = read().iter().zip(&before).position(|(now, before)| now != before).unwrap() as u64;
    event.clear();
    let descriptor = event.as_fd();
    let word = || {
        let mut word = [0; 8];
        file.read_exact_at(&mut word, place).unwrap();
        u64::from_ne_bytes(word)
    };
    while word() & WAITERS == 0 {
        thread::yield_now(); // until the watcher sleeps, or is about to
    }
    assert_eq!(wait_any(&[&descriptor], Some(Duration::ZERO)), Ok(vec![]));
    file.write_all_at(&(word() | SET).to_ne_bytes(), place).unwrap();
    assert!(event.is_set());
    wait_for(&descriptor);
}

/// Answers each setting of one event by one of the other.
pub(crate) fn answer(there: Event, here: Event) {
    for _ in 0..ROUNDS {
        there.wait();
        there.clear();
        here.set();
    }
}

#[test]
fn every_setting_is_announced() {
    let _watchdog = watchdog();
    let (there, here) = (Event::new().unwrap(), Event::new().unwrap());
    let process = Process::spawn(answer, (&there, &here)).unwrap();
    for _ in 0..ROUNDS {
        there.set();
        wait_for(&here);
        here.clear();
        assert!(!is_readable(&here));
    }
    process.join().unwrap();
}

/// What it is for: workers that stop between two jobs, and not before they are asked.
#[test]
fn it_stops_those_who_wait_for_jobs() {
    let _watchdog = watchdog();
    let (stop, jobs, stage) = (Event::new().unwrap(), Queue::new(4).unwrap(), Stage::new());
    let work = |stop: Event, jobs: Queue<u32>, stage: Stage| {
        let mut done = 0;
        loop {
            match wait_any(&[&stop, &jobs], None).unwrap()[..] {
                [1] => done += jobs.try_get().into_iter().inspect(|_| stage.advance()).count(),
                _ => return done,
            }
        }
    };
    let workers: Vec<_> = (0..2).map(|_| Process::spawn(work, (&stop, &jobs, &stage)).unwrap()).collect();
    (0..10).for_each(|job| jobs.put(job).unwrap());
    stage.wait_for(10);
    stop.set();
    assert_eq!(workers.into_iter().map(|worker| worker.join().unwrap()).sum::<usize>(), 10);
}

#[test]
fn clones_share_a_descriptor_which_goes_with_the_last() {
    let _watchdog = watchdog();
    let body = || {
        let event = Event::new().unwrap();
        let clone = event.clone();
        event.set();
        event.clear();
        assert_eq!(watchers(), (0, 0));
        assert_eq!(event.as_raw_fd(), clone.as_raw_fd());
        while watchers() != (1, 1) {} // until it has its name
        clone.set();
        wait_for(&event);
        event.clear();
        assert!(!is_readable(&clone));
        drop(event);
        assert_eq!(watchers(), (1, 1));
        drop(clone);
        while watchers() != (0, 0) {} // until the kernel has it out of its list
    };
    Process::spawn(body, ()).unwrap().join().unwrap();
}

#[test]
fn a_forked_copy_has_its_own() {
    let _watchdog = watchdog();
    let event = Event::new().unwrap();
    event.as_fd();
    assert!(forked(|| {
        event.set();
        wait_for(&event);
        event.clear();
        assert!(!is_readable(&event));
        event.set();
        true
    }));
    wait_for(&event);
    event.clear();
    assert!(!is_readable(&event));
}
