//! Measures the network between each two of seven nodes, five seconds each: one pair after the other, then in a process
//! for each of the 21, which put what they find into a queue. Prints `cn1 cn2 <latency> <bandwidth>` and so on, 21 lines
//! and how long it took, each time: `all: 105.0 s` and then about `all: 5.0 s`.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crossproc::{Process, Queue, Result};

type Measurement = (String, String, f64, f64);

/// Stands in for the real thing: microseconds and gigabits per second.
fn measure(one: String, other: String) -> Measurement {
    sleep(scaled(5.0));
    let distance = f64::from(one.bytes().chain(other.bytes()).map(u32::from).sum::<u32>() % 7);
    (one, other, 1.5 + distance / 10.0, 100.0 - distance)
}

fn put_measurement(queue: Queue<Measurement>, one: String, other: String) -> Result<()> {
    Ok(queue.put(measure(one, other))?)
}

fn main() -> Result<()> {
    crossproc::init();
    let nodes: Vec<String> = (1..=7).map(|i| format!("cn{i}")).collect();
    let pairs = || nodes.iter().enumerate().flat_map(|(i, one)| nodes[i + 1..].iter().map(move |other| (one, other)));

    let start = Instant::now();
    for (one, other) in pairs() {
        show(measure(one.clone(), other.clone()));
    }
    println!("all: {:.1} s", start.elapsed().as_secs_f64());

    let start = Instant::now();
    let queue = Queue::new(pairs().count())?;
    let mut processes = Vec::new();
    for (one, other) in pairs() {
        processes.push(Process::spawn(put_measurement, (&queue, one, other))?);
    }
    for process in processes {
        process.join()??;
    }
    while !queue.is_empty() {
        show(queue.get()?);
    }
    println!("all: {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn show((one, other, latency, bandwidth): Measurement) {
    println!("{one} {other} {latency:.1} {bandwidth:.1}");
}

fn scaled(seconds: f64) -> Duration {
    let scale = std::env::var("SEED_SCALE").map_or(1.0, |scale| scale.parse().expect("SEED_SCALE is a number"));
    Duration::from_secs_f64(seconds * scale)
}
