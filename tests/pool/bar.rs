//! The bar of `show_progress`: on a terminal it moves, and is gone at the end; elsewhere nothing is printed.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{FromRawFd, OwnedFd};
use std::panic::{self, AssertUnwindSafe};
use std::ptr;

use crossproc::{Pool, Process, Queue};

use crate::common::locking::Stage;
use crate::common::watchdog;

/// The terminal's own end, and the one for programs.
fn terminal() -> (File, OwnedFd) {
    let (mut ours, mut theirs) = (-1, -1);
    let size = libc::winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: room for two descriptors, and a size to read; nothing else is asked for.
    let made = unsafe { libc::openpty(&mut ours, &mut theirs, ptr::null_mut(), ptr::null(), &raw const size) };
    assert_eq!(made, 0, "{}", io::Error::last_os_error());
    // SAFETY: just made for us.
    let ours = unsafe { OwnedFd::from_raw_fd(ours) };
    // SAFETY: as above.
    (File::from(ours), unsafe { OwnedFd::from_raw_fd(theirs) })
}

/// The last of four items waits.
fn square(n: u32, stage: Stage) -> u32 {
    if n == 3 {
        stage.wait_for(1);
    }
    n * n
}

fn show(stage: Stage, results: Queue<Vec<u32>>) {
    let pool = Pool::new(1).unwrap();
    let squares = pool.show_progress().chunk(1).starmap(square, (0..4).map(|n| (n, &stage))).unwrap();
    results.put(&squares).unwrap();
}

#[test]
fn a_bar_moves_on_a_terminal_and_is_gone_at_the_end() {
    let _watchdog = watchdog();
    let (stage, results) = (Stage::new(), Queue::new(1).unwrap());
    let (mut ours, theirs) = terminal();
    let process = Process::builder().env("TERM", "xterm").stderr(theirs).spawn(show, (&stage, &results)).unwrap();
    let (mut shown, mut part) = (Vec::new(), [0; 4096]);
    // False when all programs have closed their end.
    let mut read = |shown: &mut Vec<u8>| match ours.read(&mut part) {
        Ok(count) => {
            shown.extend_from_slice(&part[..count]);
            true
        }
        Err(error) => {
            assert_eq!(error.raw_os_error(), Some(libc::EIO), "{error}");
            false
        }
    };
    while !String::from_utf8_lossy(&shown).contains("3/4") {
        assert!(read(&mut shown), "the bar has not come so far");
    }
    assert_eq!(results.try_get(), Err(crossproc::TryGetError::Empty), "a map waits while it is shown");
    stage.advance();
    process.join().unwrap();
    assert_eq!(results.get(), Ok(vec![0, 1, 4, 9]));
    while read(&mut shown) {}
    const CLEAR: &str = "\x1b[2K";
    let shown = String::from_utf8_lossy(&shown);
    let (_, left) = shown.rsplit_once(CLEAR).unwrap();
    assert!(!left.contains("/4"), "{shown:?}");
}

#[test]
fn a_bar_prints_nothing_where_there_is_no_terminal() {
    let _watchdog = watchdog();
    let (stage, results) = (Stage::new(), Queue::new(1).unwrap());
    let (reader, output) = io::pipe().unwrap();
    stage.advance();
    let builder = Process::builder().stdout(output.try_clone().unwrap()).stderr(output);
    builder.spawn(show, (&stage, &results)).unwrap().join().unwrap();
    assert_eq!(io::read_to_string(reader).unwrap(), "");
    assert_eq!(results.get(), Ok(vec![0, 1, 4, 9]));
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
    let ((mut screen, program), stage) = (terminal(), Stage::new());
    let process = Process::builder().stderr(program).spawn(map_haltingly, (&stage,)).unwrap();
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
    let ((mut screen, program), stage) = (terminal(), Stage::new());
    let process = Process::builder().stderr(program).spawn(map_more_than_fit, (&stage,)).unwrap();
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
    let ((screen, program), stage) = (terminal(), Stage::new());
    let process = Process::builder().stderr(program).spawn(map_what_panics, (&stage,)).unwrap();
    assert!(process.join().unwrap());
    drop(screen);
}
