//! Two processes add to one value, ten times 1 and ten times 3; each holds a lock over all of its additions. Prints
//! 1 to 10 and then 13, 16 ... 40, or 3, 6 ... 30 and then 31 to 40: whoever comes first, it ends at 40.

use std::thread::sleep;
use std::time::Duration;

use crossproc::{Lock, Process, Result, Value};

fn add(lock: Lock, total: Value<i32>, number: i32) -> Result<()> {
    let _guard = lock.lock()?;
    for _ in 0..10 {
        sleep(scaled(0.1));
        total.set(total.get() + number);
        println!("{}", total.get());
    }
    Ok(())
}

fn main() -> Result<()> {
    crossproc::init();
    let lock = Lock::new()?;
    let total = Value::new(0)?;
    let ones = Process::spawn(add, (&lock, &total, 1))?;
    let threes = Process::spawn(add, (&lock, &total, 3))?;
    ones.join()??;
    threes.join()??;
    Ok(())
}

fn scaled(seconds: f64) -> Duration {
    let scale = std::env::var("SEED_SCALE").map_or(1.0, |scale| scale.parse().expect("SEED_SCALE is a number"));
    Duration::from_secs_f64(seconds * scale)
}
