//! A value that all workers of a pool add to: each gets it once, when it starts; then each task gets it, as an argument.
//! Prints `55` both times.

use std::sync::OnceLock;

use crossproc::{Pool, Result, Value};

static TOTAL: OnceLock<Value<u64>> = OnceLock::new();

fn keep(total: Value<u64>) {
    TOTAL.get_or_init(|| total);
}

fn add(number: u64) {
    let total = TOTAL.get().expect("the initializer has run");
    total.update(|total| total + number);
}

fn add_to(total: Value<u64>, number: u64) {
    total.update(|total| total + number);
}

fn main() -> Result<()> {
    crossproc::init();
    let total = Value::new(0)?;
    let pool = Pool::builder().workers(4).initializer(keep, (&total,)).start()?;
    pool.map(add, 1..=10)?;
    println!("{}", total.get());

    let total = Value::new(0)?;
    Pool::new(4)?.starmap(add_to, (1..=10).map(|number| (&total, number)))?;
    println!("{}", total.get());
    Ok(())
}
