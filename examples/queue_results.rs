//! Two processes compute the same sum and put it into one queue; the parent adds up what it gets. Prints `499667166000`.

use crossproc::{Process, Queue, Result};

fn job(queue: Queue<u64>) -> Result<()> {
    let sum = (0..1000).map(|i| i + i * i + i * i * i).sum::<u64>();
    Ok(queue.put(sum)?)
}

fn main() -> Result<()> {
    crossproc::init();
    let queue = Queue::new(2)?;
    let processes = [Process::spawn(job, (&queue,))?, Process::spawn(job, (&queue,))?];
    for process in processes {
        process.join()??;
    }
    println!("{}", queue.get()? + queue.get()?);
    Ok(())
}
