//! Ten processes that sleep for two seconds, all at the same time. Prints `hello QQ0` to `hello QQ9`, in any order, and
//! takes about two seconds.

use std::thread::sleep;
use std::time::Duration;

use crossproc::Process;

fn run(name: String) {
    sleep(scaled(2.0));
    println!("hello {name}");
}

fn main() -> crossproc::Result<()> {
    crossproc::init();
    let mut processes = Vec::new();
    for i in 0..10 {
        processes.push(Process::spawn(run, (format!("QQ{i}"),))?);
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
