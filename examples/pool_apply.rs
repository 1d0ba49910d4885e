//! Ten tasks of two seconds for a pool of five, first with `apply`, which waits for each, then with `apply_async`, which does
//! not. Prints ten times `in process <pid>` and then `end`, after about 20 seconds; then `end` at once, and ten lines more
//! within about 4.

use std::process;
use std::thread::sleep;
use std::time::Duration;

use crossproc::{Pool, Result};

fn job() {
    sleep(scaled(2.0));
    println!("in process {}", process::id());
}

fn main() -> Result<()> {
    crossproc::init();
    let pool = Pool::new(5)?;
    for _ in 0..10 {
        pool.apply(job, ())?;
    }
    println!("end");

    let tasks: Vec<_> = (0..10).map(|_| pool.apply_async(job, ())).collect();
    println!("end");
    pool.join();
    for task in tasks {
        task.get()?;
    }
    Ok(())
}

fn scaled(seconds: f64) -> Duration {
    let scale = std::env::var("SEED_SCALE").map_or(1.0, |scale| scale.parse().expect("SEED_SCALE is a number"));
    Duration::from_secs_f64(seconds * scale)
}
