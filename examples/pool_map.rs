//! Squares that take a second each: one after the other, then by a pool of four. Prints `[1, 4, 9, 16, 25, 36]` and how long
//! it took, both times: about `serial: 6.0 s` and `parallel: 2.0 s`.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crossproc::{Pool, Result};

fn run(x: u64) -> u64 {
    sleep(scaled(1.0));
    x * x
}

fn main() -> Result<()> {
    crossproc::init();
    let numbers = [1, 2, 3, 4, 5, 6];
    let start = Instant::now();
    println!("{:?}", numbers.map(run));
    println!("serial: {:.1} s", start.elapsed().as_secs_f64());

    let pool = Pool::new(4)?;
    let start = Instant::now();
    println!("{:?}", pool.map(run, numbers)?);
    println!("parallel: {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn scaled(seconds: f64) -> Duration {
    let scale = std::env::var("SEED_SCALE").map_or(1.0, |scale| scale.parse().expect("SEED_SCALE is a number"));
    Duration::from_secs_f64(seconds * scale)
}
