//! What tests of channels and pipes have in common.

use crossproc::{Connection, PipeBuilder, Receiver, Sender};

/// Content that tells one message from another, and one part of it from the next.
pub(crate) fn bytes(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 7 + seed * 13) as u8).collect()
}

/// A channel of the least capacity.
pub(crate) fn least() -> (Sender<Vec<u8>>, Receiver<Vec<u8>>) {
    PipeBuilder::new().capacity(1).channel().unwrap()
}

/// Sends everything back until there is nothing more; how much that was.
pub(crate) fn echo(mut connection: Connection<Vec<u8>, Vec<u8>>) -> usize {
    let mut count = 0;
    while let Ok(message) = connection.recv() {
        connection.send(&message).unwrap();
        count += 1;
    }
    count
}
