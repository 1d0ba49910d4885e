//! Ten processes take turns at printing, and nobody joins them: the parent waits for them at its exit. Prints
//! `hello word 0` to `hello word 9`, in any order, each line in one piece.

use std::io::{Write, stdout};
use std::thread::sleep;
use std::time::Duration;

use crossproc::{Lock, Process, Result};

fn say(lock: Lock, i: u32) -> Result<()> {
    let _guard = lock.lock()?;
    print!("hello ");
    stdout().flush().expect("standard output is open");
    sleep(Duration::from_millis(10)); // without the lock, others would print here
    println!("word {i}");
    Ok(())
}

fn main() -> Result<()> {
    crossproc::init();
    let lock = Lock::new()?;
    for i in 0..10 {
        Process::spawn(say, (&lock, i))?;
    }
    Ok(())
}
