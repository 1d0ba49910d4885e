//! Squares, by pools of several sizes and in several ways.

use crossproc::{Pool, Result};

fn job(x: u64) -> u64 {
    x * x
}

fn main() -> Result<()> {
    crossproc::init();
    for pool in [Pool::builder().start()?, Pool::new(3)?] {
        println!("{:?}", pool.map(job, 0..10)?);
        println!("{}", pool.apply_async(job, (2,)).get()?);
        let tasks: Vec<_> = (0..10).map(|x| pool.apply_async(job, (x,))).collect();
        let squares = tasks.into_iter().map(|task| task.get()).collect::<Result<Vec<_>, _>>()?;
        println!("{squares:?}");
    }
    println!("{:?}", Pool::new(5)?.map(job, 1..=10)?);
    Ok(())
}
