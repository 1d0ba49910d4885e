//! As many named processes as there are processors, all at once. Each prints its parent's process id and its own, then
//! `hello` and its name three seconds later: `xx_0: parent process 100, process id 101` and `hello xx_0`, in any order.

use std::os::unix::process::parent_id;
use std::thread::sleep;
use std::time::Duration;

use crossproc::{Process, Result, cpu_count, current};

fn info() {
    let me = current();
    println!("{}: parent process {}, process id {}", me.name(), parent_id(), me.pid());
    sleep(scaled(3.0));
    println!("hello {}", me.name());
}

fn main() -> Result<()> {
    crossproc::init();
    let mut processes = Vec::new();
    for i in 0..cpu_count() {
        processes.push(Process::builder().name(format!("xx_{i}")).spawn(info, ())?);
    }
    for process in processes {
        process.join()?;
    }
    Ok(())
}

fn scaled(seconds: f64) -> Duration {
    let scale = std::env::var("SEED_SCALE").map_or(1.0, |scale| scale.parse().expect("SEED_SCALE is a number"));
    Duration::from_secs_f64(seconds * scale)
}
