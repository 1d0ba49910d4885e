//! Moving over from `shared_memory`: the same block of memory, with crossproc's objects in it instead of offsets by hand.
//! Four processes add up numbers; one of them dies while it holds the lock and has a number in hand. Prints the sum.

use crossproc::{Arena, Lock, LockError, Process, Queue, Result, Value};
use shared_memory::ShmemConf;

/// Adds each number to the total, in two steps, which a lock keeps together.
fn add(numbers: Queue<u64>, lock: Lock, total: Value<u64>, dies: bool) -> Result<()> {
    while let Ok(number) = numbers.get_task() {
        // A mutex at an address would be lost with its owner. Nothing has to be put right: a total is set as a whole.
        let _guard = lock.lock().or_else(LockError::repair)?;
        if dies {
            std::process::abort(); // its number is not done, and so goes to another process
        }
        total.set(total.get() + *number);
        number.done();
    }
    Ok(())
}

fn main() -> Result<()> {
    crossproc::init();
    let shmem = ShmemConf::new().size(1 << 20).create().expect("there is shared memory");

    // Before: `shmem.as_ptr()`, and what lies there known to all by its offset.
    let arena = Arena::in_shmem(&shmem)?;
    let numbers = Queue::builder().capacity(16).max_message(64).build_in(&arena)?;
    let (lock, total) = (Lock::new_in(&arena)?, Value::new_in(&arena, 0)?);

    let start = |dies| Process::spawn(add, (&numbers, &lock, &total, dies));
    let (victim, helpers) = (start(true)?, [start(false)?, start(false)?, start(false)?]);
    for number in 1..=100 {
        numbers.put(&number)?;
    }
    numbers.close(); // ends when all is done
    for helper in helpers {
        helper.join()??;
    }
    victim.wait();
    println!("{}", total.get());
    Ok(())
}
