//! A pool that Ctrl-C ends: what is done by then has its results, the rest is `Cancelled`, and the program goes on. Prints `begun`, and
//! then how many of 100 tasks are done. With the argument `fail` one of them panics, and with `wait` they wait for Ctrl-C.

use std::sync::{Arc, OnceLock};
use std::{env, thread};

use crossproc::{Event, Pool, Result, TaskError};

static INTERRUPTED: OnceLock<Event> = OnceLock::new();

extern "C" fn interrupt(_signal: libc::c_int) {
    if let Some(interrupted) = INTERRUPTED.get() {
        interrupted.set(); // which a signal handler may do
    }
}

fn job((number, how): (u64, String)) {
    match &*how {
        "fail" => assert_ne!(number, 50, "no such number"),
        "wait" if number >= 10 => loop {
            thread::park();
        },
        _ => {}
    }
}

fn main() -> Result<()> {
    crossproc::init();
    let how = env::args().nth(1).unwrap_or_default();
    let (pool, interrupted) = (Arc::new(Pool::new(2)?), Event::new()?);
    INTERRUPTED.get_or_init(|| interrupted.clone());
    // SAFETY: the handler does what a handler may.
    unsafe { libc::signal(libc::SIGINT, interrupt as *const () as libc::sighandler_t) };
    let to_end = Arc::downgrade(&pool);
    // Nobody joins it, as a scope would: when `main` ends, be it by the `?` below or a panic, it ends, too.
    thread::spawn(move || {
        interrupted.wait();
        to_end.upgrade().inspect(|pool| pool.terminate());
    });
    let mut done = 0;
    let items = (0..100).map(|number| (number, how.clone()));
    for outcome in pool.chunk(1).imap(job, items) {
        match outcome {
            Ok(()) => done += 1,
            Err(TaskError::Cancelled) => break,
            Err(error) => return Err(error.into()),
        }
        if done == 10 {
            println!("begun");
        }
    }
    println!("{done} done");
    Ok(())
}
