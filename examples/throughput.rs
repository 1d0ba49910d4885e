//! A gibibyte for another process, in writes of 64 KiB: through a channel, an OS pipe and a Unix socket. Prints the rate
//! of each: `channel: 8.4 GiB/s` and so on.

use std::io::{Read, Write, stdin};
use std::os::{fd::OwnedFd, unix::net::UnixStream};
use std::time::Instant;

use crossproc::{Process, Receiver, Result, channel};

const BLOCK: usize = 64 << 10;
const BLOCKS: u64 = 16 << 10;

/// Each block begins and ends with its number, which whoever reads it checks.
fn read(mut from: impl Read) {
    let mut block = vec![0; BLOCK];
    for number in 0..BLOCKS {
        from.read_exact(&mut block).expect("somebody writes");
        assert_eq!([&block[..8], &block[BLOCK - 8..]], [number.to_ne_bytes(); 2]);
    }
}

fn read_channel(mut receiver: Receiver<()>) {
    read(receiver.reader());
}

fn read_stdin() {
    read(stdin().lock());
}

fn measure(name: &str, process: Process<()>, mut to: impl Write) -> Result<()> {
    let start = Instant::now();
    let mut block = vec![0; BLOCK];
    for number in 0..BLOCKS {
        block[..8].copy_from_slice(&number.to_ne_bytes());
        block[BLOCK - 8..].copy_from_slice(&number.to_ne_bytes());
        to.write_all(&block).expect("somebody reads");
    }
    process.join()?;
    println!("{name}: {:.1} GiB/s", 1.0 / start.elapsed().as_secs_f64());
    Ok(())
}

fn main() -> Result<()> {
    crossproc::init();
    let (mut sender, receiver) = channel()?;
    measure("channel", Process::spawn(read_channel, (receiver,))?, sender.writer())?;
    let (reader, writer) = std::io::pipe().expect("there are descriptors");
    measure("pipe", Process::builder().stdin(reader).spawn(read_stdin, ())?, writer)?;
    let (reader, writer) = UnixStream::pair().expect("there are descriptors");
    measure("socket", Process::builder().stdin(OwnedFd::from(reader)).spawn(read_stdin, ())?, writer)
}
