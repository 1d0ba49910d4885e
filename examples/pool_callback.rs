//! Three tasks of two seconds for a pool of two. When one is done, a callback runs in the process that submitted it. Prints
//! `main process <pid>`, `end`, and for each task `in process <pid of a worker>` and `-->exec done: <result> <pid>`, with the
//! process id of the main process.

use std::process;
use std::thread::sleep;
use std::time::Duration;

use crossproc::{Pool, Result, TaskError};

fn job(number: u32) -> u32 {
    sleep(scaled(2.0));
    println!("in process {}", process::id());
    number
}

fn exec_done(result: &Result<u32, TaskError>) {
    match result {
        Ok(number) => println!("-->exec done: {number} {}", process::id()),
        Err(error) => eprintln!("{error}"),
    }
}

fn main() -> Result<()> {
    crossproc::init();
    println!("main process {}", process::id());
    let pool = Pool::new(2)?;
    for number in 0..3 {
        pool.apply_async(job, (number,)).on_done(exec_done);
    }
    println!("end");
    pool.join(); // the callbacks have run when this returns
    Ok(())
}

fn scaled(seconds: f64) -> Duration {
    let scale = std::env::var("SEED_SCALE").map_or(1.0, |scale| scale.parse().expect("SEED_SCALE is a number"));
    Duration::from_secs_f64(seconds * scale)
}
