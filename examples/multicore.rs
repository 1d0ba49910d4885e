//! One sum, twice: in a plain loop, in two threads, in two processes. Prints its name, what comes out and how long it
//! took for each of them, such as `loop: 4999999666666716666660000000, 0.043 s`: a number of 93 bits, and two processes
//! take about half as long as the loop.

use std::hint::black_box;
use std::thread;
use std::time::Instant;

use crossproc::{Process, Queue, Result};

fn job() -> u128 {
    // Behind a black box the compiler does not see that the sum has a formula.
    (0..10_000_000).map(black_box).map(|i| i + i * i + i * i * i).sum()
}

fn put_job(queue: Queue<u128>) -> Result<()> {
    Ok(queue.put(job())?)
}

fn plain_loop() -> Result<u128> {
    Ok(job() + job())
}

fn threads() -> Result<u128> {
    let threads = [0, 1].map(|_| thread::spawn(job));
    Ok(threads.map(|thread| thread.join().expect("the thread has not panicked")).iter().sum())
}

fn processes() -> Result<u128> {
    let queue = Queue::new(2)?;
    for process in [Process::spawn(put_job, (&queue,))?, Process::spawn(put_job, (&queue,))?] {
        process.join()??;
    }
    Ok(queue.get()? + queue.get()?)
}

fn measure(name: &str, sum: impl Fn() -> Result<u128>) -> Result<()> {
    let start = Instant::now();
    println!("{name}: {}, {:.3} s", sum()?, start.elapsed().as_secs_f64());
    Ok(())
}

fn main() -> Result<()> {
    crossproc::init();
    measure("loop", plain_loop)?;
    measure("threads", threads)?;
    measure("processes", processes)
}
