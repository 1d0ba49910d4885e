//! The bar of `show_progress`, as a terminal sees it.
#![cfg(feature = "cli")]

mod common;

use std::fs::File;
use std::io::Read;
use std::os::fd::FromRawFd;
use std::panic::{self, AssertUnwindSafe};
use std::ptr;

use common::locking::Stage;
use common::watchdog;
use crossproc::{Pool, Process};

crossproc::test_support!();

/// What is on a terminal's screen, and the terminal.
fn terminal() -> (File, File) {
    let (mut screen, mut terminal) = (-1, -1);
    // SAFETY: two writable integers; the other arguments may be null.
    let made = unsafe { libc::openpty(&mut screen, &mut terminal, ptr::null_mut(), ptr::null(), ptr::null()) };
    assert_eq!(made, 0);
    // SAFETY: a descriptor that nobody else owns.
    let screen = unsafe { File::from_raw_fd(screen) };
    // SAFETY: the same.
    (screen, unsafe { File::from_raw_fd(terminal) })
}

/// Reads what is written until `text` is.
fn wait_for(screen: &mut File, text: &str) {
    let (mut seen, mut buffer) = (Vec::new(), [0; 1024]);
    while !String::from_utf8_lossy(&seen).contains(text) {
        let length = screen.read(&mut buffer).unwrap_or_else(|error| panic!("{error} instead of {text}"));
        seen.extend_from_slice(&buffer[..length]);
    }
}

/// Maps an input of four whose last item is not there before the stage is.
fn map_haltingly(stage: Stage) -> Vec<u64> {
    let pool = Pool::new(2).unwrap();
    let input = (0..4).inspect(|n| {
        if *n == 3 {
            stage.wait_for(1);
        }
    });
    pool.show_progress().chunk(1).map(|n: u64| n * n, input).unwrap()
}

#[test]
fn it_moves_while_the_input_is_pulled() {
    let _watchdog = watchdog();
    let ((mut screen, terminal), stage) = (terminal(), Stage::new());
    let process = Process::builder().stderr(terminal).spawn(map_haltingly, (&stage,)).unwrap();
    wait_for(&mut screen, "3/4");
    stage.advance();
    assert_eq!(process.join().unwrap(), [0, 1, 4, 9]);
}

/// Many more than fit between a pool and its one worker, which does not go on.
fn map_more_than_fit(stage: Stage) -> usize {
    let pool = Pool::builder().workers(1).queue_bound(1).start().unwrap();
    let wait_at = |n: u64, stage: Stage| {
        if n == 5 {
            stage.wait_for(1);
        }
    };
    let outcomes = pool.show_progress().chunk(1).try_starmap(wait_at, (0..1_000).map(|n| (n, &stage)));
    outcomes.iter().filter(|outcome| outcome.is_ok()).count()
}

#[test]
fn it_moves_while_a_pool_has_no_room() {
    let _watchdog = watchdog();
    let ((mut screen, terminal), stage) = (terminal(), Stage::new());
    let process = Process::builder().stderr(terminal).spawn(map_more_than_fit, (&stage,)).unwrap();
    wait_for(&mut screen, "5/1,000");
    stage.advance();
    assert_eq!(process.join().unwrap(), 1_000);
}

/// Whether the panic of the input comes through while the worker is busy with what came before it.
fn map_what_panics(stage: Stage) -> bool {
    let pool = Pool::new(1).unwrap();
    let input = (0..4).map(|n| if n < 3 { &stage } else { panic::resume_unwind(Box::new("no more")) });
    let map = || pool.show_progress().chunk(1).map(|stage: Stage| stage.wait_for(1), input);
    let caught = panic::catch_unwind(AssertUnwindSafe(map)).unwrap_err();
    stage.advance();
    caught.downcast_ref() == Some(&"no more") && pool.apply(|| 7, ()) == Ok(7)
}

#[test]
fn it_keeps_no_panic_of_the_input_waiting() {
    let _watchdog = watchdog();
    let ((screen, terminal), stage) = (terminal(), Stage::new());
    let process = Process::builder().stderr(terminal).spawn(map_what_panics, (&stage,)).unwrap();
    assert!(process.join().unwrap());
    drop(screen);
}
