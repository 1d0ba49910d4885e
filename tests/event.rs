//! `Event`: within a process, across processes, after a death, in a signal handler.

mod common;

use std::os::fd::{AsFd, AsRawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use common::kills::Kills;
use common::locking::{self, Stage, wait_for_state};
use common::processes::{forked, signal};
use common::system_calls::system_calls;
use common::watchdog;
use crossproc::{Arena, Event, Process, RawValue};

crossproc::test_support!();

const MOMENT: Duration = Duration::from_millis(20);

fn wait_for(event: Event) {
    event.wait();
}

fn pulse(event: Event) {
    loop {
        event.set();
        event.clear();
    }
}

/// A process that waits, and whom the kernel has found asleep there.
fn asleep(event: &Event) -> Process<()> {
    let wait = |event: Event, stage: Stage| {
        stage.advance();
        event.wait();
    };
    locking::asleep!(wait, event)
}

#[test]
fn an_event_is_set_until_it_is_cleared() {
    let _watchdog = watchdog();
    let event = Event::new().unwrap();
    for _ in 0..3 {
        assert!(!event.is_set() && !event.wait_timeout(Duration::ZERO));
        assert_eq!(format!("{event:?}"), "Event { is_set: false }");
        event.set();
        event.set();
        assert!(event.is_set() && event.wait_timeout(Duration::ZERO) && event.wait_timeout(MOMENT));
        assert_eq!(format!("{event:?}"), "Event { is_set: true }");
        event.wait();
        event.clear();
        event.clear();
    }
}

#[test]
fn a_timeout_is_never_early() {
    let _watchdog = watchdog();
    let event = Event::new().unwrap();
    for wait in [Duration::ZERO, Duration::from_micros(1), MOMENT, MOMENT * 4] {
        let start = Instant::now();
        assert!(!event.wait_timeout(wait));
        assert!(start.elapsed() >= wait);
    }
}

#[test]
fn one_setting_wakes_threads_and_processes() {
    let _watchdog = watchdog();
    let event = Event::new().unwrap();
    thread::scope(|scope| {
        let threads = [0; 3].map(|_| scope.spawn(|| event.wait_timeout(Duration::from_secs(3600))));
        let processes = [0; 3].map(|_| asleep(&event));
        event.set();
        for process in processes {
            process.join().unwrap();
        }
        assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
    });
}

#[test]
fn a_child_sets_it_for_its_parent() {
    let _watchdog = watchdog();
    let event = Event::new().unwrap();
    let process = Process::spawn(|event: Event| event.set(), (&event,)).unwrap();
    event.wait();
    process.join().unwrap();
    assert!(event.is_set());
}

/// Who sleeps when it is set returns, also if it is cleared before anybody can look.
#[test]
fn a_sleeper_passes_a_pulse() {
    let _watchdog = watchdog();
    let rounds = if cfg!(debug_assertions) { 10 } else { 50 };
    let event = Event::new().unwrap();
    for _ in 0..rounds {
        let sleepers = [asleep(&event), asleep(&event)];
        event.set();
        event.clear();
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
        assert!(!event.is_set());
    }
}

/// A waiter that is stopped while it is set, and cleared, returns when it goes on.
#[test]
fn a_stopped_waiter_passes_a_pulse() {
    let _watchdog = watchdog();
    let event = Event::new().unwrap();
    let sleeper = asleep(&event);
    signal(sleeper.pid(), libc::SIGSTOP);
    wait_for_state(sleeper.pid(), 'T');
    for _ in 0..3 {
        event.set();
        event.clear();
    }
    signal(sleeper.pid(), libc::SIGCONT);
    sleeper.join().unwrap();
}

#[test]
fn a_killed_waiter_swallows_no_wake_up() {
    let _watchdog = watchdog();
    let event = Event::new().unwrap();
    let [killed, second, third] = [0; 3].map(|_| asleep(&event));
    killed.kill().unwrap();
    assert!(killed.join().is_err());
    event.set();
    second.join().unwrap();
    third.join().unwrap();
}

/// The seed that it prints replays its schedule: `common/kills.rs`.
#[test]
fn killed_waiters_and_setters_leave_nobody_asleep() {
    let event = Event::new().unwrap();
    Kills::asked_for(10).each_round(|_, random| {
        let start = || Process::spawn(wait_for, (&event,)).unwrap();
        let mut waiters: Vec<_> = (0..8).map(|_| start()).collect();
        let setter = Process::spawn(pulse, (&event,)).unwrap();
        for victim in [waiters.swap_remove(random.index(8)), setter] {
            (0..random.below(20_000)).for_each(|_| std::hint::spin_loop());
            victim.kill().unwrap();
            let _ = victim.join(); // a waiter may have passed before
        }
        event.set();
        for waiter in waiters {
            waiter.join().unwrap();
        }
        event.clear();
    });
}

#[test]
fn no_system_call_is_made_where_nobody_waits() {
    let event = Event::new().unwrap();
    let nothing = system_calls(|| true);
    let calls = system_calls(|| {
        (0..1_000).all(|_| {
            event.set();
            event.wait();
            let was_set = event.is_set();
            event.clear();
            was_set
        })
    });
    assert_eq!(calls, nothing);
}

/// A waiter that gives up costs one call of a later setting, and no more.
#[test]
fn a_waiter_that_gave_up_costs_one_system_call() {
    let event = Event::new().unwrap();
    let nothing = system_calls(|| true);
    assert!(!event.wait_timeout(Duration::from_millis(1)));
    let calls = system_calls(|| {
        for _ in 0..1_000 {
            event.set();
            event.clear();
        }
        true
    });
    assert_eq!(calls, nothing + 1);
}

static IN_HANDLER: OnceLock<Event> = OnceLock::new();
static HANDLED: AtomicU32 = AtomicU32::new(0);

extern "C" fn set_in_handler(_signal: i32) {
    if let Some(event) = IN_HANDLER.get() {
        event.set();
    }
    HANDLED.fetch_add(1, SeqCst);
}

fn handle_signals(event: Event) {
    IN_HANDLER.set(event).unwrap();
    // SAFETY: the handler calls what may be called in one.
    unsafe { libc::signal(libc::SIGUSR1, set_in_handler as extern "C" fn(i32) as libc::sighandler_t) };
}

/// A handler that interrupts the allocator, and whatever holds a lock in it, sets the event.
#[test]
fn a_signal_handler_may_set_it() {
    let _watchdog = watchdog();
    const SIGNALS: u32 = 2_000;
    let interrupted = |event: Event, stage: Stage| {
        handle_signals(event);
        stage.advance();
        let mut kept = Vec::new();
        while HANDLED.load(SeqCst) < SIGNALS {
            kept.push(format!("{}", kept.len()));
            kept.truncate(1_000);
        }
        // SAFETY: has no preconditions.
        let errno = unsafe { libc::__errno_location() };
        // SAFETY: an aligned int of this thread, which lives as long as it does.
        let errno = unsafe { AtomicI32::from_ptr(errno) };
        errno.store(77, SeqCst);
        // SAFETY: has no preconditions.
        unsafe { libc::raise(libc::SIGUSR1) };
        errno.load(SeqCst) == 77
    };
    let (event, stage) = (Event::new().unwrap(), Stage::new());
    let process = Process::spawn(interrupted, (&event, &stage)).unwrap();
    stage.wait_for(1);
    for _ in 0..SIGNALS {
        signal(process.pid(), libc::SIGUSR1);
        event.wait();
        event.clear();
    }
    // The last ones may have come together: a signal that is pending already is not counted again.
    while process.exit().is_none() {
        // It may end in between, and be collected by a thread that starts another one: then the signal goes to nobody.
        let (pidfd, none) = (process.as_fd().as_raw_fd(), std::ptr::null::<libc::siginfo_t>());
        // SAFETY: no siginfo is given.
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, libc::SIGUSR1, none, 0) };
    }
    assert!(process.join().unwrap());
}

/// A handler wakes the very thread that it interrupts in its sleep.
#[test]
fn a_handler_ends_the_wait_that_it_interrupts() {
    let _watchdog = watchdog();
    let wait = |event: Event, stage: Stage| {
        handle_signals(event.clone());
        stage.advance();
        event.wait();
    };
    let (event, stage) = (Event::new().unwrap(), Stage::new());
    let process = Process::spawn(wait, (&event, &stage)).unwrap();
    stage.wait_for(1);
    wait_for_state(process.pid(), 'S');
    signal(process.pid(), libc::SIGUSR1);
    process.join().unwrap();
    assert!(event.is_set());
}

extern "C" fn ignore(_signal: i32) {}

#[test]
fn signals_do_not_end_a_wait() {
    let _watchdog = watchdog();
    let wait = |event: Event, stage: Stage| {
        // SAFETY: the handler does nothing.
        unsafe { libc::signal(libc::SIGUSR1, ignore as extern "C" fn(i32) as libc::sighandler_t) };
        stage.advance();
        event.wait();
        event.is_set()
    };
    let (event, stage) = (Event::new().unwrap(), Stage::new());
    let process = Process::spawn(wait, (&event, &stage)).unwrap();
    stage.wait_for(1);
    for _ in 0..100 {
        signal(process.pid(), libc::SIGUSR1);
        thread::yield_now();
    }
    wait_for_state(process.pid(), 'S');
    event.set();
    assert!(process.join().unwrap());
}

#[test]
fn a_forked_copy_sets_and_waits() {
    let _watchdog = watchdog();
    let (there, back) = (Event::new().unwrap(), Event::new().unwrap());
    thread::scope(|scope| {
        scope.spawn(|| {
            there.wait();
            back.set();
        });
        assert!(forked(|| {
            there.set();
            back.wait();
            back.is_set()
        }));
    });
}

/// What is announced between a clearing and a look is not lost: wait, clear, look.
#[test]
fn no_work_is_lost_between_waits() {
    let _watchdog = watchdog();
    const WORK: u32 = if cfg!(debug_assertions) { 5_000 } else { 100_000 };
    let (event, done) = (Event::new().unwrap(), RawValue::new(AtomicU32::new(0)).unwrap());
    let work = |event: Event, done: RawValue<AtomicU32>| {
        for _ in 0..WORK {
            done.fetch_add(1, SeqCst);
            event.set();
        }
    };
    let process = Process::spawn(work, (&event, &done)).unwrap();
    while done.load(SeqCst) < WORK {
        event.wait();
        event.clear();
    }
    process.join().unwrap();
}

#[test]
fn a_handle_can_be_passed_on_and_had_again() {
    let _watchdog = watchdog();
    let arena = Arena::new(1 << 16).unwrap();
    let (first, second) = (Event::new_in(&arena).unwrap(), Event::new_in(&arena).unwrap());
    let pass_on = |first: Event, second: Event| {
        second.set();
        Process::spawn(wait_for, (first,)).unwrap().join().unwrap();
    };
    let process = Process::spawn(pass_on, (&first, &second)).unwrap();
    second.wait();
    assert!(!first.is_set());
    first.set();
    process.join().unwrap();
    let own = Event::new().unwrap();
    let again = Event::from_fd(own.memory_fd().try_clone_to_owned().unwrap()).unwrap();
    again.set();
    assert!(own.is_set());
}
