//! A child puts a list with items of several types into a queue, and the parent gets it; then with the child joined
//! first, which no queue minds. Prints `[42, None, 'hello']` and `[66, None, 'hello word']`.

use crossproc::{Process, Queue, Result};

type Item = (i32, Option<u8>, String);

fn hello(queue: Queue<Item>) -> Result<()> {
    Ok(queue.put((42, None, "hello".into()))?)
}

fn hello_word(queue: Queue<Item>) -> Result<()> {
    Ok(queue.put((66, None, "hello word".into()))?)
}

fn main() -> Result<()> {
    crossproc::init();
    let queue = Queue::new(1)?;

    let process = Process::spawn(hello, (&queue,))?;
    show(queue.get()?);
    process.join()??;

    Process::spawn(hello_word, (&queue,))?.join()??;
    while !queue.is_empty() {
        show(queue.get()?);
    }
    Ok(())
}

fn show((number, nothing, text): Item) {
    println!("[{number}, {nothing:?}, '{text}']");
}
