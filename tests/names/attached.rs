//! Who is attached to an object, and so keeps it from collectors; and what collectors do to those who attach.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;

use crossproc::{Name, Process, RawArray, RawValue, Value, abandoned, inspect, unlink_abandoned};

use super::common::processes::forked;
use super::common::watchdog;
use super::{TestName, in_own_directory, is_missing, remove, remover};

/// An object that nobody uses.
fn persistent(name: &TestName) {
    drop(Value::create(Name::new(name.as_str()).persist(), 7_u64).unwrap());
}

/// In the result of a child that has ended, which nobody has asked for yet.
#[test]
fn an_object_on_its_way_is_in_use() {
    let _watchdog = watchdog();
    let name = TestName::new();
    persistent(&name);
    let process = Process::spawn(|name: String| Value::<u64>::open(name).unwrap(), (name.as_str(),)).unwrap();
    while process.child().is_alive() {
        thread::yield_now();
    }
    assert_eq!(unlink_abandoned(name.as_str()), Ok(false));
    assert_eq!(process.join().unwrap().get(), 7);
    assert_eq!(unlink_abandoned(name.as_str()), Ok(true));
}

#[test]
fn an_object_in_the_arguments_of_a_child_is_in_use() {
    let _watchdog = watchdog();
    let name = TestName::new();
    let go = RawValue::new(AtomicU64::new(0)).unwrap();
    let work = |value: Value<u64>, go: RawValue<AtomicU64>| {
        while go.load(SeqCst) == 0 {
            thread::yield_now();
        }
        value.get()
    };
    for round in 0..20 {
        persistent(&name);
        let value = Value::<u64>::open(name.as_str()).unwrap();
        let process = Process::spawn(work, (&value, &go)).unwrap();
        drop(value);
        assert_eq!(unlink_abandoned(name.as_str()), Ok(false), "in round {round}");
        go.store(1, SeqCst);
        assert_eq!(process.join(), Ok(7));
        go.store(0, SeqCst);
        remove(&name);
    }
}

/// As daemons do: what a copy of the process has inherited, it is not attached to, but to what it opens.
#[test]
fn what_a_forked_copy_opens_is_in_use() {
    let _watchdog = watchdog();
    let name = TestName::new();
    let stage = RawValue::new(AtomicU64::new(0)).unwrap();
    let daemonize = |name: String, stage: RawValue<AtomicU64>| {
        let _inherited = Value::create(Name::new(&*name).persist(), 1_u64).unwrap();
        // SAFETY: this process has one thread, and the copy ends with _exit.
        if unsafe { libc::fork() } == 0 {
            // SAFETY: has no preconditions; ends the copy if nobody else does.
            unsafe { libc::alarm(60) };
            let opened = Value::<u64>::open(&*name).unwrap();
            stage.store(1, SeqCst);
            while stage.load(SeqCst) == 1 {
                thread::yield_now();
            }
            let is_whole = opened.get() == 1;
            stage.store(if is_whole { 3 } else { 4 }, SeqCst);
            // SAFETY: ends the copy at once.
            unsafe { libc::_exit(0) }
        }
        while stage.load(SeqCst) == 0 {
            thread::yield_now();
        }
    };
    Process::spawn(daemonize, (name.as_str(), &stage)).unwrap().join().unwrap();
    let collected = unlink_abandoned(name.as_str());
    stage.store(2, SeqCst);
    assert_eq!(collected, Ok(false));
    while stage.load(SeqCst) == 2 {
        thread::yield_now();
    }
    assert_eq!(stage.load(SeqCst), 3);
    remove(&name);
}

/// Whoever attaches waits for somebody who is just removing the name, in whatever way it attaches.
#[test]
fn all_who_attach_wait_for_a_remover() {
    let _watchdog = watchdog();
    let name = TestName::new();
    persistent(&name);
    let value = Value::<u64>::open(name.as_str()).unwrap();
    let descriptor = || value.memory_fd().try_clone_to_owned().unwrap();
    // In copies of this process, whose identity is not theirs.
    let ways: [(&str, &dyn Fn() -> bool); 3] = [
        ("open", &|| Value::<u64>::open(name.as_str()).is_ok_and(|value| value.get() == 7)),
        ("from_fd", &|| Value::<u64>::from_fd(descriptor()).is_ok_and(|value| value.get() == 7)),
        ("lock", &|| value.lock().is_ok_and(|value| *value == 7)),
    ];
    for (way, attach) in ways {
        let remover = remover(name.path());
        let inherited = remover.as_raw_fd();
        let waiting = RawValue::new(AtomicU64::new(0)).unwrap();
        let release = || {
            while waiting.load(SeqCst) == 0 {
                thread::yield_now();
            }
            drop(remover);
        };
        thread::scope(|scope| {
            scope.spawn(release);
            assert!(
                forked(|| {
                    // SAFETY: has no memory arguments. The lock is the descriptor's in the other process as well.
                    unsafe { libc::close(inherited) };
                    waiting.store(1, SeqCst);
                    attach()
                }),
                "{way}"
            );
        });
    }
    drop(value);
    remove(&name);
}

/// The table of peers, as its words are: generations from bit 2.
fn generations(file: &File) -> u64 {
    let word = |slot: u64| {
        let mut word = [0; 4];
        file.read_exact_at(&mut word, 128 + slot * 8).unwrap();
        u64::from(u32::from_ne_bytes(word) >> 2)
    };
    (0..256).map(word).sum()
}

/// A collector that is stopped in the middle keeps others out, but costs the object nothing.
#[test]
fn a_stopped_remover_uses_no_identity_up() {
    let _watchdog = watchdog();
    let name = TestName::new();
    persistent(&name);
    let remover = remover(name.path());
    let before = generations(&remover);
    let refused = Value::<u64>::open(name.as_str());
    assert!(matches!(refused, Err(crossproc::Error::Os { .. })), "{refused:?}");
    assert_eq!(generations(&remover), before);
    drop(remover);
    assert_eq!(Value::<u64>::open(name.as_str()).unwrap().get(), 7);
    remove(&name);
}

/// A table full of dead peers, which each newcomer has to find dead, and lookers who never stop.
#[test]
fn a_look_for_what_is_abandoned_disturbs_nobody() {
    let _watchdog = watchdog();
    let race = || {
        if !in_own_directory(c"") {
            return None;
        }
        let killed = || {
            let _value = Value::<u64>::open("n").unwrap();
            // SAFETY: has no preconditions.
            unsafe { libc::raise(libc::SIGKILL) };
            true
        };
        drop(Value::create(Name::new("n").persist(), 7_u64).unwrap());
        for _ in 0..256 {
            forked(killed);
        }
        let stop = RawValue::new(AtomicU64::new(0)).unwrap();
        let look = |stop: RawValue<AtomicU64>| {
            while stop.load(SeqCst) == 0 {
                abandoned().unwrap();
            }
        };
        let lookers = [(); 2].map(|()| Process::spawn(look, (&stop,)).unwrap());
        let (mut seen_alive, mut failures) = (0, Vec::new());
        for _ in 0..300 {
            seen_alive = seen_alive.max(inspect("n").unwrap().peers.len());
            let opened = Value::<u64>::open("n").and_then(|value| {
                let process = Process::spawn(|value: Value<u64>| value.get(), (&value,))?;
                drop(value);
                Ok(process.join()?)
            });
            failures.extend(opened.err());
        }
        stop.store(1, SeqCst);
        for looker in lookers {
            looker.join().unwrap();
        }
        Some((seen_alive, failures))
    };
    match Process::spawn(race, ()).unwrap().join().unwrap() {
        Some(outcome) => assert_eq!(outcome, (0, vec![])),
        None => eprintln!("not checked: this user cannot mount a file system"),
    }
}

/// As of a backup, which gives the file another name for a moment.
#[test]
fn a_hard_link_does_not_split_an_object() {
    let _watchdog = watchdog();
    let name = TestName::new();
    let stop = RawValue::new(AtomicU64::new(0)).unwrap();
    let collect = |name: String, stop: RawValue<AtomicU64>| {
        while stop.load(SeqCst) == 0 {
            let _ = unlink_abandoned(&name);
        }
    };
    let link = |path: String, stop: RawValue<AtomicU64>| {
        let other = format!("{path}-link");
        while stop.load(SeqCst) == 0 {
            let _ = fs::hard_link(&path, &other);
            thread::yield_now();
            let _ = fs::remove_file(&other);
        }
    };
    let collector = Process::spawn(collect, (name.as_str(), &stop)).unwrap();
    let linker = Process::spawn(link, (name.path(), &stop)).unwrap();
    for round in 1..=3_000 {
        let mine = RawArray::<AtomicU64>::open_or_create(Name::new(name.as_str()).persist(), 8).unwrap();
        mine[0].store(round, SeqCst);
        let again = RawArray::<AtomicU64>::open(name.as_str()).unwrap();
        assert_eq!(again[0].load(SeqCst), round);
    }
    stop.store(1, SeqCst);
    collector.join().unwrap();
    linker.join().unwrap();
    let _ = unlink_abandoned(name.as_str());
}

/// The program has closed what it does not own.
#[test]
#[cfg_attr(debug_assertions, ignore = "the standard library aborts at that in debug builds")]
fn closefrom_does_not_keep_the_name() {
    let _watchdog = watchdog();
    let name = TestName::new();
    assert!(forked(|| {
        let value = Value::create(name.as_str(), 1_u64).unwrap();
        // SAFETY: has no memory arguments.
        unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
        drop(value);
        true
    }));
    assert!(is_missing(&Value::<u64>::open(name.as_str())));
}
