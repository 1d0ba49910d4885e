//! Ten tasks that sleep, for a pool of four: all are submitted first, and then asked for their results. Prints
//! `[(0, 8), (1, 2), (2, 4), (3, 9), (4, 0), (5, 1), (6, 8), (7, 3), (8, 4), (9, 6)]` and how long it took, about
//! `parallel: 14.0 s`; then the same, one after the other: `serial: 45.0 s`.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crossproc::{Pool, Result};

const SECONDS: [u32; 10] = [8, 2, 4, 9, 0, 1, 8, 3, 4, 6];

fn run(index: usize, seconds: u32) -> (usize, u32) {
    sleep(scaled(f64::from(seconds)));
    (index, seconds)
}

fn main() -> Result<()> {
    crossproc::init();
    let pool = Pool::new(4)?;
    let start = Instant::now();
    let tasks: Vec<_> = (0..10).map(|i| pool.apply_async(run, (i, SECONDS[i]))).collect();
    let results = tasks.into_iter().map(|task| task.get()).collect::<Result<Vec<_>, _>>()?;
    println!("{results:?}");
    println!("parallel: {:.1} s", start.elapsed().as_secs_f64());

    let start = Instant::now();
    let results: Vec<_> = (0..10).map(|i| run(i, SECONDS[i])).collect();
    println!("{results:?}");
    println!("serial: {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn scaled(seconds: f64) -> Duration {
    let scale = std::env::var("SEED_SCALE").map_or(1.0, |scale| scale.parse().expect("SEED_SCALE is a number"));
    Duration::from_secs_f64(seconds * scale)
}
