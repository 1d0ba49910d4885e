//! One sum, twice: in a plain loop, in two threads, in two processes. Prints its name, what comes out and how long it
//! took for each of them, such as `loop: 4999999666666716666660000000, 0.043 s`: a number of 93 bits, and two processes
//! take about half as long as the loop. `SEED_COUNT` is how many numbers to add up, if not ten million.

use std::hint::black_box;
use std::thread;
use std::time::Instant;

use crossproc::{Process, Queue, Result};

fn job(count: u128) -> u128 {
    // Behind a black box the compiler does not see that the sum has a formula.
    (0..count).map(|i| black_box(i)).map(|i| i + i * i + i * i * i).sum()
}

fn put_job(queue: Queue<u128>, count: u128) -> Result<()> {
    Ok(queue.put(job(count))?)
}

fn plain_loop(count: u128) -> Result<u128> {
    Ok(job(count) + job(count))
}

fn threads(count: u128) -> Result<u128> {
    let threads = [0, 1].map(|_| thread::spawn(move || job(count)));
    Ok(threads.map(|thread| thread.join().expect("the thread has not panicked")).iter().sum())
}

fn processes(count: u128) -> Result<u128> {
    let queue = Queue::new(2)?;
    for process in [Process::spawn(put_job, (&queue, count))?, Process::spawn(put_job, (&queue, count))?] {
        process.join()??;
    }
    Ok(queue.get()? + queue.get()?)
}

fn main() -> Result<()> {
    crossproc::init();
    let count = std::env::var("SEED_COUNT").map_or(10_000_000, |n| n.parse().expect("SEED_COUNT is a number"));
    let ways: [(&str, fn(u128) -> Result<u128>); 3] =
        [("loop", plain_loop), ("threads", threads), ("processes", processes)];
    for (name, sum) in ways {
        let start = Instant::now();
        println!("{name}: {}, {:.3} s", sum(count)?, start.elapsed().as_secs_f64());
    }
    Ok(())
}
