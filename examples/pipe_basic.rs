//! A child sends a list through its end of a pipe and closes it, and the parent receives; the same with the ends
//! exchanged, and then many messages in both directions. Prints `[42, None, 'hello']` and `[66, None, 'hello,word']`.

use crossproc::{Connection, Process, Result, pipe};

type Item = (i32, Option<u8>, String);
type End = Connection<Item, Item>;

fn hello(mut end: End) -> Result<()> {
    end.send((42, None, "hello".into()))?;
    end.close();
    Ok(())
}

fn hello_word(mut end: End) -> Result<()> {
    end.send((66, None, "hello,word".into()))?;
    end.close();
    Ok(())
}

/// Sends everything back with its number doubled, until the other end is closed.
fn echo(mut end: End) -> Result<()> {
    while let Ok((number, nothing, text)) = end.recv() {
        end.send((2 * number, nothing, text))?;
    }
    Ok(())
}

fn main() -> Result<()> {
    crossproc::init();

    let (mut here, there) = pipe()?;
    let process = Process::spawn(hello, (there,))?;
    show(here.recv()?);
    process.join()??;

    let (there, mut here) = pipe()?;
    let process = Process::spawn(hello_word, (there,))?;
    show(here.recv()?);
    process.join()??;

    let (mut here, there) = pipe()?;
    let process = Process::spawn(echo, (there,))?;
    for number in 0..1000 {
        here.send((number, None, "again".into()))?;
        assert_eq!(here.recv()?, (2 * number, None, "again".into()));
    }
    here.close();
    process.join()?
}

fn show((number, nothing, text): Item) {
    println!("[{number}, {nothing:?}, '{text}']");
}
