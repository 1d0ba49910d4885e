//! The rivals of every queue: what the kernel moves bytes through.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use zerocopy::IntoBytes;

/// What a pipe may hold at most, without privileges.
const PIPE_BYTES: i32 = 1 << 20;

/// Something with two ends: what is written into one is read from the other.
#[derive(Clone, Copy)]
pub(crate) enum Wire {
    /// A pipe with room for 1 MiB.
    Pipe,
    /// A pair of Unix stream sockets, as they come.
    Socket,
}

impl Wire {
    pub(crate) const ALL: [Wire; 2] = [Wire::Pipe, Wire::Socket];

    /// An end to write into, and one to read from.
    pub(crate) fn open(self) -> (File, File) {
        let (writer, reader): (OwnedFd, OwnedFd) = match self {
            Wire::Pipe => {
                let (reader, writer) = io::pipe().expect("a pipe");
                // SAFETY: the descriptor is open; no memory is involved.
                let size = unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETPIPE_SZ, PIPE_BYTES) };
                assert!(size >= PIPE_BYTES, "{}", io::Error::last_os_error());
                (writer.into(), reader.into())
            }
            Wire::Socket => {
                let (writer, reader) = UnixStream::pair().expect("a pair of sockets");
                (writer.into(), reader.into())
            }
        };
        (writer.into(), reader.into())
    }
}

/// What a child has been given to read from.
pub(crate) fn input() -> File {
    io::stdin().as_fd().try_clone_to_owned().expect("standard input is open").into()
}

/// What a child has been given to write into.
pub(crate) fn output() -> File {
    io::stdout().as_fd().try_clone_to_owned().expect("standard output is open").into()
}

pub(crate) fn send(wire: &File, words: &[u64]) {
    (&*wire).write_all(words.as_bytes()).expect("the reader is there");
}

/// Reads a whole message; false at the end.
pub(crate) fn receive(wire: &File, words: &mut [u64]) -> bool {
    match (&*wire).read_exact(words.as_mut_bytes()) {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => false,
        Err(error) => panic!("{error}"),
    }
}

/// From now on, reading does not wait.
pub(crate) fn never_wait(wire: &File) {
    // SAFETY: the descriptor is open; no memory is involved.
    let failed = unsafe { libc::fcntl(wire.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
    assert_eq!(failed, 0, "{}", io::Error::last_os_error());
}

/// Reads a whole message from a wire that never waits.
pub(crate) fn receive_spinning(wire: &File, words: &mut [u64]) {
    let bytes = words.as_mut_bytes();
    let mut filled = 0;
    while filled < bytes.len() {
        match (&*wire).read(&mut bytes[filled..]) {
            Ok(0) => panic!("the writer is gone"),
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
    }
}
